//! What was not read is counted by file, and what is held is told.

use super::hand::Hand;
use super::*;

fn losses(tail: &Tail) -> Vec<(String, LossKind, Option<u64>, u64)> {
    let row = |loss: Loss| {
        let path = loss.path.expect("few files have rows of their own");
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, loss.kind, loss.bytes, loss.times)
    };
    tail.counters.losses().into_iter().map(row).collect()
}

#[test]
fn what_was_seen_and_not_read_before_a_truncation_is_counted_by_file() {
    let rig = Rig::new(&["*.log"]);
    // More than the inbox and all that waits before it hold.
    let text = numbers(0..400_000);
    rig.append("a.log", &text);
    let mut tail = rig.start();
    // Nothing is taken: the thread waits for the inbox, in the middle of the file.
    let deadline = clock::monotonic() + DEADLINE;
    while tail.counters.inputs()[0].bytes_read < 16 * 256 * 1024 {
        assert!(clock::monotonic() < deadline, "{:?}", tail.counters);
        std::thread::yield_now();
    }
    rig.truncate("a.log", 0);
    rig.append("a.log", "line 99999999\n");
    tail.wait("the new line", |tail| {
        tail.seen
            .last()
            .is_some_and(|seen| seen.text == "line 99999999")
    });
    let read: usize = tail.seen[..tail.seen.len() - 1]
        .iter()
        .map(|seen| seen.text.len() + 1)
        .sum();
    let lost = losses(&tail);
    let [(name, LossKind::Truncated, Some(bytes), 1)] = &lost[..] else {
        panic!("{lost:?}")
    };
    assert_eq!(name, "a.log");
    // A line that was cut off came out without its LF, which is counted here.
    let all = text.len() as u64;
    let sum = read as u64 + bytes;
    assert!((all..=all + 1).contains(&sum), "{read} {bytes} {all}");
    drop(tail.stop());
}

#[test]
fn what_was_gone_when_it_came_back_is_counted_by_file() {
    let mut rig = Rig::new(&["*.log"]);
    rig.append("gone.log", "one\n");
    rig.append("replaced.log", "one\n");
    let mut tail = rig.start();
    tail.wait("both", |tail| tail.seen.len() == 2);
    rig.stop(tail);
    rig.remove("gone.log");
    fs::write(rig.path("replaced.log"), "two\n").unwrap();
    let mut tail = rig.start();
    tail.expect(&["two"]);
    let mut lost = losses(&tail);
    lost.sort();
    assert_eq!(
        lost,
        [
            ("gone.log".to_owned(), LossKind::Vanished, None, 1),
            ("replaced.log".to_owned(), LossKind::Truncated, None, 1),
        ]
    );
    drop(tail.stop());
}

/// Its name and all of its lines are known: it is deleted because it is old.
#[test]
fn a_rotated_file_that_was_read_and_is_deleted_while_stopped_was_not_gone_before_it_was_read() {
    // The rotated one beside the pattern is let go, the one that it means is followed.
    let mut rig = Rig::new(&["beside.log", "within.log*"]);
    rig.append("within.log.1", "one\n");
    for name in ["beside.log", "within.log"] {
        rig.append(name, "two\n");
    }
    let mut tail = rig.start();
    tail.wait("all", |tail| tail.seen.len() == 3);
    rig.rename("beside.log", "beside.log.1");
    for name in ["beside.log", "within.log"] {
        rig.append(name, "three\n");
    }
    tail.wait("what is new", |tail| tail.seen.len() == 5);
    let is_done = |tail: &Tail, name: &str| {
        let of_name = |position: &&Position| position.path.ends_with(name);
        tail.positions.values().find(of_name).unwrap().done
    };
    tail.wait_for("both rotated ones to be done with", |tail| {
        tail.handle.look();
        is_done(tail, "beside.log.1") && is_done(tail, "within.log.1")
    });
    assert!(!is_done(&tail, "beside.log") && !is_done(&tail, "within.log"));
    rig.stop(tail);
    // Nobody begins anew with that.
    let tail = rig.start();
    rig.stop(tail);
    for name in ["beside.log.1", "within.log.1"] {
        rig.remove(name);
    }
    let tail = rig.start();
    assert_eq!(losses(&tail), []);
    assert_eq!(tail.counters.files_lost.get(), 0);
    rig.stop(tail);
    assert_eq!(rig.saved.len(), 2, "{:?}", rig.saved);
}

/// None of them saw it at rest for five seconds, and the one after its deletion said that it had been lost.
#[test]
fn a_rotated_file_that_was_read_by_agents_that_did_not_live_long_was_not_gone_before_it_was_read() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", "one\n");
    let mut tail = rig.start();
    tail.expect(&["one"]);
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "two\n");
    tail.expect(&["one", "two"]);
    rig.stop(tail);
    assert!(rig.saved.iter().all(|position| !position.done));
    let rotated = OpenOptions::new().append(true).open(rig.path("a.log.1"));
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    rotated.unwrap().set_modified(long_ago).unwrap();
    let tail = rig.start();
    rig.stop(tail);
    rig.remove("a.log.1");
    let tail = rig.start();
    assert_eq!(losses(&tail), []);
    rig.stop(tail);
}

#[test]
fn what_comes_to_a_rotated_file_that_was_done_with_is_missed_again() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", "one\n");
    let mut tail = rig.start();
    tail.expect(&["one"]);
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "two\n");
    tail.expect(&["one", "two"]);
    tail.wait_for("the rotated one to be let go", |tail| {
        tail.positions.values().any(|position| position.done)
    });
    rig.append("a.log.1", "three\n");
    tail.expect(&["one", "two", "three"]);
    rig.stop(tail);
    assert!(rig.saved.iter().all(|position| !position.done));
    rig.remove("a.log.1");
    let tail = rig.start();
    let lost = losses(&tail);
    assert_eq!(lost, [("a.log.1".to_owned(), LossKind::Vanished, None, 1)]);
    drop(tail.stop());
}

#[test]
fn what_a_truncated_file_was_refilled_with_is_not_missed_of_what_it_had_held() {
    let mut rig = Rig::new(&["a.log"]);
    rig.notices = Notices::Off;
    rig.append("a.log", numbers(0..10));
    Hand::with(&rig, |hand| {
        // In one go, so that nobody sees it empty.
        let log = OpenOptions::new().write(true).open(rig.path("a.log"));
        let text = numbers(10..1_000);
        std::os::unix::fs::FileExt::write_all_at(&log.unwrap(), text.as_bytes(), 0).unwrap();
        hand.look_anew();
        assert_eq!(hand.lines.borrow().len(), 1_000);
        assert_eq!(hand.lost(), []);
    });
}

#[test]
fn cut_bytes_and_holes_are_counted_by_file() {
    let mut rig = Rig::new(&["*.log"]);
    rig.max_line_bytes = 10;
    rig.append("long.log", "0123456789abc\n");
    let mut writer = File::create(rig.path("hole.log")).unwrap();
    writer.write_all(b"1\n2\n3\n").unwrap();
    let mut tail = rig.start();
    tail.wait("all", |tail| tail.seen.len() == 4);
    rig.truncate("hole.log", 0);
    writer.write_all(b"4\n").unwrap();
    tail.wait("behind the hole", |tail| tail.seen.len() == 5);
    let mut lost = losses(&tail);
    // Where this thread had no processor, more may have been cut off than was seen.
    lost.retain(|(_, kind, ..)| *kind != LossKind::Truncated);
    lost.sort();
    assert_eq!(
        lost,
        [
            ("hole.log".to_owned(), LossKind::Hole, Some(6), 1),
            ("long.log".to_owned(), LossKind::Cut, Some(3), 1),
        ]
    );
    drop(tail.stop());
}

#[test]
fn an_input_says_what_it_holds_and_what_it_cannot_read() {
    let rig = Rig::new(&["*.log"]);
    rig.append("a.log", "12345\n67");
    rig.append("b.log", "12\n");
    std::os::unix::net::UnixListener::bind(rig.path("socket.log")).unwrap();
    let mut tail = rig.start();
    tail.wait("both", |tail| tail.seen.len() == 2);
    tail.wait_for("figures", |tail| {
        let figures = &tail.counters.inputs()[0];
        (figures.files, figures.bytes_read, figures.lag_bytes) == (2, 11, 0)
            && figures.unreadable_total == 1
    });
    let figures = tail.counters.inputs().remove(0);
    assert_eq!(figures.input.as_ref(), "logs");
    assert_eq!(figures.unreadable[0].path, rig.path("socket.log"));
    assert_eq!(losses(&tail), [], "a socket is no loss");
    assert_eq!(figures.failing(), 0, "nobody misses what is in a socket");
    rig.remove("socket.log");
    tail.wait_for("the socket to be forgotten", |tail| {
        tail.counters.inputs()[0].unreadable_total == 0
    });
    drop(tail.stop());
}

/// A reload began to count anew.
#[test]
fn what_was_lost_before_a_reload_is_still_counted_after_it() {
    let mut rig = Rig::new(&["a.log"]);
    rig.max_line_bytes = 10;
    rig.append("a.log", "0123456789abc\n");
    let mut tail = rig.start();
    tail.wait("the line", |tail| tail.seen.len() == 1);
    let counters = Arc::clone(&tail.counters);
    let (_, positions, kept) = tail.leave(Handle::stop);
    (rig.saved, rig.first_start) = (positions, FirstStart::No);
    let before = (counters.losses(), counters.inputs()[0].bytes_read);
    assert_eq!((before.0.len(), before.1), (1, 14));
    let mut tail = rig.start_counting(kept, Arc::clone(&counters));
    assert_eq!((counters.losses(), counters.inputs()[0].bytes_read), before);
    rig.append("a.log", "0123456789abcdef\n");
    tail.wait("the next line", |tail| tail.seen.len() == 1);
    let losses = counters.losses();
    assert_eq!((losses[0].times, losses[0].bytes), (2, Some(9)));
    assert_eq!(counters.inputs()[0].bytes_read, 31);
    tail.stop();
}
