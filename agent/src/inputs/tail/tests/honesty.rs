//! What was not read is counted by file, and what is held is told.

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
    rig.remove("socket.log");
    tail.wait_for("the socket to be forgotten", |tail| {
        tail.counters.inputs()[0].unreadable_total == 0
    });
    drop(tail.stop());
}
