//! What was read stands beside a tailed log once more, under a name like that of a rotation.

use std::process::Command;

use super::*;

/// A log that was rotated once, all of it read: lines 0 to 50, then 50 to 60.
fn rotated(notices: Notices) -> (Rig, Tail) {
    let mut rig = Rig::new(&["a.log"]);
    rig.notices = notices;
    rig.append("a.log", numbers(0..50));
    let mut tail = rig.start();
    tail.wait("the first", |tail| tail.seen.len() == 50);
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", numbers(50..60));
    tail.wait("the second", |tail| tail.seen.len() == 60);
    (rig, tail)
}

/// Looks at everything twice: what is suspected is known by then.
fn read_all(tail: &mut Tail) {
    for _ in 0..2 {
        tail.current = false;
        tail.handle.look();
        tail.wait("all", |tail| tail.current);
    }
}

#[test]
fn a_copy_of_a_rotated_log_is_not_read_again() {
    noticing(|notices| {
        let (mut rig, mut tail) = rotated(notices);
        copy(&rig.path("a.log.1"), &rig.path("a.log.1.20261122"));
        read_all(&mut tail);
        rig.append("a.log", numbers(60..61));
        tail.wait_for("what is new", |tail| tail.seen.len() >= 61);
        read_all(&mut tail);
        assert_eq!(numbers_of(&rig.stop(tail)), (0..61).collect::<Vec<_>>());
        // And while nobody looks.
        copy(&rig.path("a.log.1"), &rig.path("a.log.1.bak"));
        let (seen, _) = rig.start().stop_when_current();
        assert_eq!(numbers_of(&seen), [0_u32; 0]);
    });
}

#[test]
fn what_comes_behind_the_copy_of_a_rotated_log_is_read() {
    let (rig, mut tail) = rotated(Notices::System);
    copy(&rig.path("a.log.1"), &rig.path("a.log.1.20261122"));
    read_all(&mut tail);
    rig.append("a.log.1.20261122", numbers(60..61));
    tail.wait("what is new", |tail| tail.seen.len() >= 61);
    read_all(&mut tail);
    let (seen, _) = tail.stop();
    assert_eq!(numbers_of(&seen), (0..61).collect::<Vec<_>>());
}

#[test]
fn a_rotated_log_that_was_compressed_and_is_unpacked_again_is_not_read_again() {
    let (rig, mut tail) = rotated(Notices::System);
    let gzip = |options: &[&str], name: &str| {
        let path = rig.path(name);
        let done = Command::new("gzip").args(options).arg(path).status();
        assert!(done.unwrap().success());
    };
    gzip(&[], "a.log.1");
    tail.wait("the archive to be known", |tail| {
        let mut positions = tail.positions.values();
        positions.any(|position| position.path.ends_with("a.log.1.gz")) && tail.positions.len() == 2
    });
    gzip(&["-dk"], "a.log.1.gz");
    rig.append("a.log", numbers(60..61));
    tail.wait("what is new", |tail| tail.seen.len() >= 61);
    read_all(&mut tail);
    let (seen, _) = tail.stop();
    assert_eq!(numbers_of(&seen), (0..61).collect::<Vec<_>>());
}

/// A program may say the same each time that it starts.
#[test]
fn a_short_log_that_begins_like_the_one_before_it_is_read() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", "started\n");
    let mut tail = rig.start();
    tail.expect(&["started"]);
    rig.stop(tail);
    rig.rename("a.log", "a.log.2");
    rig.append("a.log.1", "started\n");
    rig.append("a.log", "started again\n");
    let mut tail = rig.start();
    tail.expect(&["started", "started again"]);
    tail.end(&["started", "started again"]);
}

/// What was edited has another length, and was read again from its beginning.
#[test]
fn a_rotated_log_that_was_edited_is_not_read_again() {
    noticing(|notices| {
        for change in [
            "/00000030/d",
            "s/line 00000030/line 00000030, which is longer/",
        ] {
            let (rig, mut tail) = rotated(notices);
            let path = rig.path("a.log.1");
            let edit = Command::new("sed").args(["-i", change]).arg(path).status();
            assert!(edit.unwrap().success());
            rig.append("a.log", numbers(60..61));
            tail.wait("what is new", |tail| tail.seen.len() >= 61);
            read_all(&mut tail);
            let (seen, _) = tail.stop();
            assert_eq!(numbers_of(&seen), (0..61).collect::<Vec<_>>(), "{change}");
        }
    });
}
