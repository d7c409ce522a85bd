use lapwing_rules::language::pattern::{Case, Pattern as LinePattern};
use lapwing_rules::model::Timestamp;

use super::*;

/// Long enough that nothing but the next record, or the end of its file, completes one.
const NEVER: Duration = Duration::from_hours(1);

/// Records begin with lines that begin with `a`.
fn rig(glob: &str, timeout: Duration) -> Rig {
    let mut rig = Rig::new(&[glob]);
    let start = LinePattern::new("^a", Case::Sensitive).unwrap();
    rig.multiline = Multiline::new(Some(start), None, timeout).map(Arc::new);
    rig
}

/// Waits until so many bytes of the only file were read.
fn wait_for_bytes(tail: &mut Tail, bytes: u32) {
    let read = |position: &Position| position.head.len == bytes;
    tail.wait("bytes", |tail| tail.positions.values().any(read));
}

#[test]
fn a_record_is_complete_when_the_next_one_begins_or_when_nothing_came_for_a_while() {
    let mut rig = rig("a.log", Duration::from_millis(200));
    rig.append("a.log", "before\na 1\n  x\na 2\n  y\n");
    let mut tail = rig.start();
    tail.expect(&["before", "a 1\n  x", "a 2\n  y"]);
    // What comes for it later is a record of its own, and nothing is told again after a restart.
    rig.append("a.log", "  late\n");
    tail.expect(&["before", "a 1\n  x", "a 2\n  y", "  late"]);
    assert_eq!(tail.seen[2].offset, 15);
    rig.stop(tail);
    rig.start().end(&[]);
}

#[test]
fn a_restart_within_a_record_tells_it_whole_and_once() {
    let mut rig = rig("a.log", NEVER);
    rig.append("a.log", "a 1\n  x\na 2\n  y\n");
    let mut tail = rig.start();
    tail.expect(&["a 1\n  x"]);
    tail.wait("the position", |tail| {
        tail.positions.values().any(|position| position.offset == 8)
    });
    assert_eq!(rig.stop(tail).len(), 1);
    rig.append("a.log", "  z\na 3\n");
    let mut tail = rig.start();
    tail.expect(&["a 2\n  y\n  z"]);
    tail.end(&["a 2\n  y\n  z"]);
}

#[test]
fn a_restart_before_a_record_had_any_end_reads_it_from_its_first_byte() {
    let mut rig = rig("a.log", NEVER);
    rig.append("a.log", "a 1\n  x\n  par");
    let mut tail = rig.start();
    wait_for_bytes(&mut tail, 13);
    assert_eq!(rig.stop(tail), []);
    assert_eq!(rig.saved[0].offset, 0);
    rig.append("a.log", "tial\na 2\n");
    let mut tail = rig.start();
    tail.expect(&["a 1\n  x\n  partial"]);
    drop(tail.stop());
}

#[test]
fn a_stop_at_any_batch_loses_repeats_and_splits_no_record() {
    let mut rig = rig("a.log", NEVER);
    let record = |number: u32| {
        let lines = numbers(number..number + number % 4);
        format!("a {number}\n{lines}")
    };
    let text: String = (0..12_000).map(record).collect();
    rig.append("a.log", &text);
    let mut texts: Vec<String> = Vec::new();
    for round in 0..300 {
        let mut tail = rig.start();
        if texts.len() == 12_002 {
            drop(tail.stop());
            break;
        }
        let before = tail.seen.len();
        tail.wait("a batch", |tail| tail.seen.len() > before);
        texts.extend(rig.stop(tail).into_iter().map(|seen| seen.text));
        if round < 3 {
            // The record under way ends with its file.
            rig.rename("a.log", &format!("a.log.{round}"));
            rig.append("a.log", record(12_000 + round));
        }
    }
    let expected = (0..12_002).map(|number| record(number).trim_end().to_owned());
    let mut expected: Vec<String> = expected.collect();
    // Which of two files of one name goes first after a start is another matter.
    expected.sort_unstable();
    texts.sort_unstable();
    assert_eq!(texts, expected);
}

#[test]
fn a_record_under_way_ends_with_its_file_when_that_was_rotated_away() {
    let mut rig = rig("a.log", NEVER);
    let mut old = rig.writer("a.log");
    old.write_all(b"a 1\n  x\n").unwrap();
    let mut tail = rig.start();
    wait_for_bytes(&mut tail, 8);
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "  of nobody\na 2\n");
    old.write_all(b"  y\n").unwrap();
    tail.expect(&["  of nobody", "a 1\n  x\n  y"]);
    assert_eq!(rig.stop(tail).len(), 2);
    rig.append("a.log", "a 3\n");
    let mut tail = rig.start();
    tail.expect(&["a 2"]);
    tail.end(&["a 2"]);
}

#[test]
fn what_was_held_of_a_truncated_file_is_told() {
    let rig = rig("a.log", NEVER);
    rig.append("a.log", "a 1\n  x\n");
    let mut tail = rig.start();
    wait_for_bytes(&mut tail, 8);
    rig.truncate("a.log", 0);
    rig.append("a.log", "a 2\na 3\n");
    tail.expect(&["a 1\n  x", "a 2"]);
    assert_eq!(tail.counters.truncations.get(), 1);
    drop(tail.stop());
}

#[test]
fn a_record_that_was_copied_aside_goes_on_in_the_copy() {
    let mut rig = rig("a.log", NEVER);
    // Nobody looks between the two: what is longer than the log cannot be its copy.
    rig.notices = Notices::Off;
    rig.append("a.log", "a 1\n  x\na 2\n  y\n");
    let mut tail = rig.start();
    tail.expect(&["a 1\n  x"]);
    wait_for_bytes(&mut tail, 16);
    rig.append("a.log.1", "a 1\n  x\na 2\n  y\n  z\na 3\n");
    rig.truncate("a.log", 0);
    tail.wait("the record", |tail| tail.seen.len() >= 2);
    assert_eq!(tail.texts(), ["a 1\n  x", "a 2\n  y\n  z"]);
    drop(tail.stop());
}

#[test]
fn a_record_is_bounded_as_a_whole_and_the_next_one_is_whole() {
    let mut rig = rig("a.log", NEVER);
    rig.max_line_bytes = 1000;
    rig.append(
        "a.log",
        format!("a 1\n{}a 2\na 3\n", "  at x\n".repeat(300_000)),
    );
    let mut tail = rig.start();
    tail.wait("both", |tail| tail.seen.len() == 2);
    assert_eq!((tail.seen[0].text.len(), tail.seen[0].cut), (1000, true));
    assert_eq!((&*tail.seen[1].text, tail.seen[1].cut), ("a 2", false));
    assert_eq!(tail.counters.lines_cut.get(), 1);
    assert_eq!(tail.counters.bytes_dropped.get(), 3 + 2_100_000 - 1000);
    drop(tail.stop());
}

/// Asks for everything to be read; the records that came before the answer, and its time.
fn ask(tail: &mut Tail) -> Timestamp {
    tail.handle.look();
    loop {
        match tail.events.recv_timeout(DEADLINE).unwrap() {
            Event::Current(at) => return at,
            event => tail.take(event),
        }
    }
}

#[test]
fn whoever_asks_for_silence_gets_the_record_that_waits_for_lines_first() {
    let rig = rig("a.log", Duration::from_secs(1));
    let mut tail = rig.start();
    rig.append("a.log", "a 1\n  x\n");
    let asked_at = clock::now();
    assert!(ask(&mut tail) >= asked_at);
    assert_eq!(tail.texts(), ["a 1\n  x"]);
    drop(tail.stop());
}

#[test]
fn a_record_that_never_ends_does_not_keep_whoever_asks_for_silence_waiting_for_ever() {
    let rig = rig("a.log", NEVER);
    let mut tail = rig.start();
    rig.append("a.log", "a 1\n  x\n");
    ask(&mut tail);
    assert!(tail.texts().is_empty());
    drop(tail.stop());
}

/// What had no room was counted when the record ended, which it never did.
#[test]
fn what_a_record_under_way_has_no_room_for_is_counted_at_once() {
    let mut rig = rig("a.log", NEVER);
    rig.max_line_bytes = 1000;
    rig.append("a.log", format!("a 1\n{}", "  at x\n".repeat(1000)));
    let mut tail = rig.start();
    tail.wait_for("the count", |tail| {
        tail.counters.bytes_dropped.get() == 3 + 7000 - 1000
    });
    assert_eq!(tail.texts(), [] as [&str; 0]);
    let losses = tail.counters.losses();
    assert_eq!(
        (losses[0].kind, losses[0].bytes),
        (LossKind::Cut, Some(6003))
    );
    rig.append("a.log", "a 2\na 3\n");
    tail.wait("both", |tail| tail.seen.len() == 2);
    assert_eq!((tail.seen[0].text.len(), tail.seen[0].cut), (1000, true));
    assert_eq!(tail.counters.bytes_dropped.get(), 6003, "once");
    drop(tail.stop());
}

/// Nobody was told of it as long as its lines went on.
#[test]
fn a_full_record_whose_lines_never_pause_is_told() {
    let mut rig = rig("a.log", Duration::from_millis(500));
    rig.max_line_bytes = 1000;
    rig.append("a.log", format!("a 1\n{}", "  at x\n".repeat(1000)));
    let mut tail = rig.start();
    tail.wait_for("the record", |tail| {
        rig.append("a.log", "  at x\n");
        !tail.seen.is_empty()
    });
    assert_eq!((tail.seen[0].text.len(), tail.seen[0].cut), (1000, true));
    assert!(tail.seen[0].text.starts_with("a 1\n  at x\n"));
    drop(tail.stop());
}
