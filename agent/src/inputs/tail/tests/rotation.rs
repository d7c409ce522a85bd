use super::*;

#[test]
fn the_rest_of_a_renamed_file_comes_before_the_new_one() {
    noticing(|notices| {
        let mut rig = Rig::new(&["a.log"]);
        rig.notices = notices;
        let mut old = rig.writer("a.log");
        old.write_all(b"one\n").unwrap();
        let mut tail = rig.start();
        tail.expect(&["one"]);
        old.write_all(b"two\n").unwrap();
        rig.rename("a.log", "a.log.1");
        old.write_all(b"three\n").unwrap();
        rig.append("a.log", "four\n");
        tail.expect(&["one", "two", "three", "four"]);
        tail.end(&["one", "two", "three", "four"]);
    });
}

#[test]
fn a_writer_may_keep_the_old_file_for_a_while() {
    let rig = Rig::new(&["*.log"]);
    let mut old = rig.writer("a.log");
    old.write_all(b"one\n").unwrap();
    let mut tail = rig.start();
    tail.expect(&["one"]);
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "new\n");
    tail.expect(&["one", "new"]);
    old.write_all(b"late\n").unwrap();
    tail.expect(&["one", "new", "late"]);
    tail.end(&["one", "new", "late"]);
}

#[test]
fn the_last_line_without_a_line_feed_is_handed_over_when_a_rotated_file_is_let_go() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", "one\nlast words");
    let mut tail = rig.start();
    tail.expect(&["one"]);
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "new\n");
    tail.expect(&["one", "new", "last words"]);
    rig.stop(tail);
    // And not once more after a restart; but what is appended later is read.
    rig.append("a.log.1", "\nlater\n");
    rig.append("a.log", "newer\n");
    let mut tail = rig.start();
    tail.wait("three lines", |tail| tail.seen.len() == 3);
    let mut texts = tail.texts();
    texts.sort_unstable();
    assert_eq!(texts, ["", "later", "newer"]);
    drop(tail.stop());
}

#[test]
fn rotation_inside_the_glob_reads_nothing_twice() {
    let rig = Rig::new(&["a.log*"]);
    rig.append("a.log", "one\n");
    let mut tail = rig.start();
    tail.expect(&["one"]);
    for round in 0..5 {
        for number in (1..=round).rev() {
            rig.rename(&format!("a.log.{number}"), &format!("a.log.{}", number + 1));
        }
        rig.rename("a.log", "a.log.1");
        rig.append("a.log", format!("round {round}\n"));
        tail.wait("the new line", |tail| tail.seen.len() == 2 + round);
    }
    tail.end(&["one", "round 0", "round 1", "round 2", "round 3", "round 4"]);
}

#[test]
fn rotated_once_while_stopped() {
    for glob in ["a.log", "a.log*"] {
        let mut rig = Rig::new(&[glob]);
        rig.append("a.log", "one\n");
        let mut tail = rig.start();
        tail.expect(&["one"]);
        rig.stop(tail);
        rig.append("a.log", "two\n");
        rig.rename("a.log", "a.log.1");
        rig.append("a.log", "three\n");
        let mut tail = rig.start();
        tail.expect(&["two", "three"]);
        tail.end(&["two", "three"]);
    }
}

#[test]
fn rotated_three_times_while_stopped() {
    for glob in ["a.log", "a.log*"] {
        let mut rig = Rig::new(&[glob]);
        rig.append("a.log", "0\n");
        let mut tail = rig.start();
        tail.expect(&["0"]);
        rig.stop(tail);
        rig.append("a.log", "1\n");
        for round in 0..3_usize {
            for number in (1..=round).rev() {
                rig.rename(&format!("a.log.{number}"), &format!("a.log.{}", number + 1));
            }
            rig.rename("a.log", "a.log.1");
            rig.append("a.log", format!("{}\n", round + 2));
        }
        let mut tail = rig.start();
        tail.expect(&["1", "2", "3", "4"]);
        rig.stop(tail);
        rig.start().end(&[]);
    }
}

#[test]
fn rotated_twice_between_two_looks() {
    let mut rig = Rig::new(&["a.log"]);
    rig.notices = Notices::Off;
    rig.append("a.log", "one\n");
    let mut tail = rig.start();
    tail.expect(&["one"]);
    rig.append("a.log", "two\n");
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "three\n");
    rig.rename("a.log.1", "a.log.2");
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "four\n");
    tail.expect(&["one", "two", "three", "four"]);
    tail.end(&["one", "two", "three", "four"]);
}

#[test]
fn the_same_lines_in_a_new_file_are_new_lines() {
    let rig = Rig::new(&["a.log*"]);
    let text = numbers(0..100);
    rig.append("a.log", &text);
    let mut tail = rig.start();
    tail.wait("the old file", |tail| tail.seen.len() == 100);
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", &text);
    tail.wait("the new file", |tail| tail.seen.len() == 200);
    drop(tail.stop());
}

/// After a long silence of the agent: somebody still wrote to the newest rotated file when the live one
/// had been made, and nobody has written to that yet.
#[test]
fn a_live_file_that_looks_older_than_its_predecessor_is_read_last() {
    for globs in ["app.log", "app.log*"] {
        let mut rig = Rig::new(&[globs]);
        rig.notices = Notices::Off;
        rig.append("app.log", "0\n");
        let mut tail = rig.start();
        tail.expect(&["0"]);
        let made_at = |name: &str, before: u64| {
            let metadata = fs::metadata(rig.path("app.log")).unwrap();
            let at = metadata.modified().unwrap() - Duration::from_millis(before);
            let file = File::options().write(true).open(rig.path(name)).unwrap();
            file.set_modified(at).unwrap();
        };
        // Each rotated file was written to after its successor.
        for (number, line) in ["1\n", "2\n", "3\n"].into_iter().enumerate() {
            for old in (1..=number).rev() {
                rig.rename(&format!("app.log.{old}"), &format!("app.log.{}", old + 1));
            }
            rig.rename("app.log", "app.log.1");
            rig.append("app.log", line);
        }
        for (name, before) in [("app.log.2", 3), ("app.log.1", 6), ("app.log", 9)] {
            made_at(name, before);
        }
        tail.expect(&["0", "1", "2", "3"]);
        tail.end(&["0", "1", "2", "3"]);
    }
}
