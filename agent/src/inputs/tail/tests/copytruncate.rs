use super::super::poller::LINGER;
use super::hand::Hand;
use super::*;

/// What logrotate does.
fn copytruncate(rig: &Rig, name: &str, to: &str) {
    copy(&rig.path(name), &rig.path(to));
    rig.truncate(name, 0);
}

#[test]
fn an_idle_file_loses_and_repeats_nothing() {
    for glob in ["a.log", "a.log*"] {
        let rig = Rig::new(&[glob]);
        rig.append("a.log", numbers(0..50));
        let mut tail = rig.start();
        tail.wait("the first lines", |tail| tail.seen.len() == 50);
        for round in 1..20_u32 {
            copytruncate(&rig, "a.log", &format!("a.log.{round}"));
            rig.append("a.log", numbers(round * 50..(round + 1) * 50));
            let lines = (round as usize + 1) * 50;
            tail.wait("the next lines", |tail| tail.seen.len() >= lines);
        }
        let (seen, _) = tail.stop();
        assert_eq!(numbers_of(&seen), (0..1000).collect::<Vec<_>>(), "{glob}");
    }
}

#[test]
fn what_was_not_read_in_time_is_read_in_the_copy() {
    for (glob, notices) in [
        ("a.log", Notices::Off),
        ("a.log*", Notices::Off),
        ("a.log", Notices::System),
        ("a.log*", Notices::System),
    ] {
        let mut rig = Rig::new(&[glob]);
        rig.notices = notices;
        rig.append("a.log", numbers(0..50));
        let mut tail = rig.start();
        tail.wait("the first lines", |tail| tail.seen.len() == 50);
        rig.append("a.log", numbers(50..100));
        copytruncate(&rig, "a.log", "a.log.1");
        rig.append("a.log", numbers(100..150));
        tail.wait("all", |tail| tail.seen.len() >= 150);
        let (seen, _) = tail.stop();
        assert_eq!(
            numbers_of(&seen),
            (0..150).collect::<Vec<_>>(),
            "{glob} {notices:?}"
        );
    }
}

#[test]
fn copied_and_truncated_while_stopped() {
    for glob in ["a.log", "a.log*"] {
        let mut rig = Rig::new(&[glob]);
        rig.append("a.log", numbers(0..50));
        let mut tail = rig.start();
        tail.wait("the first lines", |tail| tail.seen.len() == 50);
        rig.stop(tail);
        rig.append("a.log", numbers(50..100));
        copytruncate(&rig, "a.log", "a.log.1");
        rig.append("a.log", numbers(100..150));
        let mut tail = rig.start();
        tail.wait("the rest", |tail| tail.seen.len() >= 100);
        let seen = rig.stop(tail);
        assert_eq!(numbers_of(&seen), (50..150).collect::<Vec<_>>(), "{glob}");
        assert_eq!(rig.start().stop().0, [], "{glob}");
    }
}

#[test]
fn a_copy_whose_original_goes_on_is_passed_over() {
    let rig = Rig::new(&["a.log*"]);
    rig.append("a.log", numbers(0..50));
    let mut tail = rig.start();
    tail.wait("the first lines", |tail| tail.seen.len() == 50);
    copy(&rig.path("a.log"), &rig.path("a.log.bak"));
    let length = fs::metadata(rig.path("a.log")).unwrap().len();
    tail.wait("the copy's position", |tail| {
        let of_copy = |position: &&Position| position.path.ends_with("a.log.bak");
        tail.positions
            .values()
            .find(of_copy)
            .is_some_and(|position| position.offset == length)
    });
    rig.append("a.log", numbers(50..51));
    tail.wait("the original's next", |tail| tail.seen.len() == 51);
    rig.append("a.log.bak", numbers(51..52));
    tail.wait("the copy's own", |tail| tail.seen.len() == 52);
    let (seen, _) = tail.stop();
    assert_eq!(numbers_of(&seen), (0..52).collect::<Vec<_>>());
}

#[test]
fn a_new_file_that_only_begins_like_another_is_read() {
    let rig = Rig::new(&["a.log*"]);
    rig.append("a.log", "date,level,message\none\n");
    let mut tail = rig.start();
    tail.expect(&["date,level,message", "one"]);
    rig.append("a.log.2", "date,level,message\n");
    rig.append("a.log.2", "two\n");
    let all = ["date,level,message", "one", "date,level,message", "two"];
    tail.expect(&all);
    tail.end(&all);
}

/// Both were read: the copy was no suspect, for of the log nothing had been read since it was cut.
#[test]
fn what_is_copied_again_before_the_rest_of_the_first_copy_is_read_is_read_once() {
    let rig = Rig::new(&["a.log*"]);
    // More than the inbox and all that waits before it hold.
    rig.append("a.log", numbers(0..400_000));
    let mut tail = rig.start();
    let deadline = clock::monotonic() + DEADLINE;
    while tail.counters.inputs()[0].bytes_read < 16 * 256 * 1024 {
        assert!(clock::monotonic() < deadline, "{:?}", tail.counters);
        std::thread::yield_now();
    }
    copy(&rig.path("a.log"), &rig.path("a.log.2"));
    rig.truncate("a.log", 0);
    rig.append("a.log", numbers(400_000..400_010));
    copy(&rig.path("a.log"), &rig.path("a.log.1"));
    tail.wait("all", |tail| tail.seen.len() >= 400_010);
    let (seen, _) = tail.stop_when_current();
    let mut seen = numbers_of(&seen);
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..400_010));
}

/// It was looked for in its folder only, not found, and read from its beginning when that was known to be no
/// more a copy of what is written to.
#[test]
fn what_was_read_before_the_cut_is_not_read_again_in_a_copy_that_is_deleted_by_then() {
    let mut rig = Rig::new(&["a.log*"]);
    rig.notices = Notices::Off;
    rig.append("a.log", numbers(0..30));
    Hand::with(&rig, |hand| {
        let original = hand.only_file();
        rig.append("a.log", numbers(30..50));
        copy(&rig.path("a.log"), &rig.path("a.log.1"));
        hand.tailer.scan().unwrap();
        assert_eq!(hand.tailer.suspects.len(), 1);
        rig.remove("a.log.1");
        rig.truncate("a.log", 0);
        rig.append("a.log", numbers(50..60));
        hand.tailer.scan().unwrap();
        hand.tailer.enqueue(original);
        hand.read_all();
        hand.look_after(LINGER);
        let mut lines = hand.lines.borrow().clone();
        lines.sort_unstable();
        assert_eq!(lines, numbers(0..60).lines().collect::<Vec<_>>());
        assert_eq!(hand.lost(), []);
    });
}
