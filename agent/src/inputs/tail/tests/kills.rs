//! Killed after any event, and started again: a commit holds all events up to some place, whichever one
//! that is. What had been handed over before, and what comes after, is each line once.

use std::process::Command;

use super::*;

/// Ends `tail` once everything is read; then starts again from what each of its events left behind, all
/// at once: each sees the files as they are now. `before` was handed over before `tail` began.
fn kill_after_any_event(rig: &mut Rig, before: &[Seen], mut tail: Tail, all: u32, what: &str) {
    tail.handle.look();
    tail.wait("what there is", |tail| tail.current);
    let history = std::mem::take(&mut tail.history);
    let (seen, _) = tail.stop();
    rig.notices = Notices::Off;
    rig.first_start = FirstStart::No;
    assert!(history.len() > 2, "{what}: too little happened");
    let mut successors = Vec::new();
    for (count, positions) in history {
        rig.saved.clone_from(&positions);
        successors.push((positions, count, rig.start()));
    }
    for (positions, count, successor) in successors {
        let (rest, _) = successor.stop_when_current();
        let mut numbers = numbers_of(before);
        numbers.extend(numbers_of(&seen[..count]));
        let told = numbers.clone();
        numbers.extend(numbers_of(&rest));
        numbers.sort_unstable();
        assert_eq!(
            numbers,
            (0..all).collect::<Vec<_>>(),
            "{what}: killed with {told:?} handed over and {positions:#?}"
        );
    }
}

fn gzip(rig: &Rig, name: &str) {
    let done = Command::new("gzip").arg(rig.path(name)).status().unwrap();
    assert!(done.success());
}

/// Each of them was passed over for older than what had been said of the live file meanwhile.
#[test]
fn killed_before_the_compressed_ones_were_looked_into() {
    for glob in ["a.log", "a.log*"] {
        let mut rig = Rig::new(&[glob]);
        rig.append("a.log", numbers(0..10));
        let mut tail = rig.start();
        tail.wait("the first lines", |tail| tail.seen.len() == 10);
        let before = rig.stop(tail);
        for (lines, name) in [
            (10..20, "a.log.3"),
            (20..30, "a.log.2"),
            (30..40, "a.log.1"),
        ] {
            rig.append("a.log", numbers(lines));
            rig.rename("a.log", name);
            gzip(&rig, name);
        }
        rig.append("a.log", numbers(40..50));
        let tail = rig.start();
        kill_after_any_event(&mut rig, &before, tail, 50, glob);
    }
}

#[test]
fn killed_on_the_very_first_start_before_the_compressed_one_was_read() {
    let mut rig = Rig::new(&["a.log*"]);
    rig.append("a.log.1", numbers(0..10));
    gzip(&rig, "a.log.1");
    rig.append("a.log", numbers(10..20));
    let tail = rig.start();
    kill_after_any_event(&mut rig, &[], tail, 20, "first start");
}

#[test]
fn killed_while_rotated_files_that_nobody_had_seen_are_read() {
    for glob in ["a.log", "a.log*"] {
        let mut rig = Rig::new(&[glob]);
        rig.append("a.log", numbers(0..10));
        let mut tail = rig.start();
        tail.wait("the first lines", |tail| tail.seen.len() == 10);
        let before = rig.stop(tail);
        for (lines, name) in [
            (10..20, "a.log.3"),
            (20..30, "a.log.2"),
            (30..40, "a.log.1"),
        ] {
            rig.append("a.log", numbers(lines));
            rig.rename("a.log", name);
        }
        rig.append("a.log", numbers(40..50));
        let tail = rig.start();
        kill_after_any_event(&mut rig, &before, tail, 50, glob);
    }
}

/// A copy that was only suspected to be one had a position, and was read from its beginning by the next start.
#[test]
fn killed_while_a_copy_was_suspected() {
    for glob in ["a.log", "a.log*"] {
        let mut rig = Rig::new(&[glob]);
        rig.append("a.log", numbers(0..10));
        let mut tail = rig.start();
        tail.wait("the first lines", |tail| tail.seen.len() == 10);
        rig.append("a.log", numbers(10..20));
        copy(&rig.path("a.log"), &rig.path("a.log.1"));
        tail.wait("what is copied", |tail| tail.seen.len() == 20);
        rig.truncate("a.log", 0);
        rig.append("a.log", numbers(20..30));
        tail.wait("what is new", |tail| tail.seen.len() == 30);
        kill_after_any_event(&mut rig, &[], tail, 30, glob);
    }
}

/// What is written after the last look at a folder and rotated away is not known, however lately lines
/// of another file of its family were handed over.
#[test]
fn killed_before_a_file_that_came_and_went_was_noticed() {
    let mut rig = Rig::new(&["a.log"]);
    rig.notices = Notices::Off;
    rig.append("a.log", numbers(0..10));
    let mut tail = rig.start();
    tail.wait("the first lines", |tail| tail.seen.len() == 10);
    // Let what follows be younger than the start, beyond doubt.
    let began = clock::now();
    tail.wait_for("a moment", |_| {
        clock::now() > began.plus(Duration::from_millis(100))
    });
    let mut writer = rig.writer("a.log");
    rig.rename("a.log", "a.log.2");
    rig.append("a.log", numbers(10..20));
    rig.rename("a.log", "a.log.1");
    let began = clock::now();
    tail.wait_for("a moment", |_| {
        clock::now() > began.plus(Duration::from_millis(100))
    });
    writer.write_all(numbers(20..30).as_bytes()).unwrap();
    rig.append("a.log", numbers(30..40));
    tail.wait_for("all", |tail| tail.seen.len() == 40);
    kill_after_any_event(&mut rig, &[], tail, 40, "unnoticed");
}

/// The next file of its name was read before one that had been rotated away: only a name that was moved
/// already had a position.
#[test]
fn killed_between_a_rename_and_the_first_look_at_the_new_log_the_older_is_read_first() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", numbers(0..10));
    let mut tail = rig.start();
    tail.wait("the first lines", |tail| tail.seen.len() == 10);
    rig.stop(tail);
    rig.rename("a.log", "a.log.3");
    // As after a kill when the rename was known, and nothing of the new log.
    for position in &mut rig.saved {
        position.path = rig.folder.path().join("a.log.3");
    }
    for (lines, name) in [(10..20, "a.log.2"), (20..30, "a.log.1"), (30..40, "a.log")] {
        rig.append(name, numbers(lines));
    }
    let (seen, _) = rig.start().stop_when_current();
    assert_eq!(numbers_of(&seen), (10..40).collect::<Vec<_>>());
}
