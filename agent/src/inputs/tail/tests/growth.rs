use super::*;

#[test]
fn lines_come_as_they_are_written() {
    noticing(|notices| {
        let mut rig = Rig::new(&["a.log"]);
        rig.notices = notices;
        rig.append("a.log", "old\n");
        let mut tail = rig.start();
        tail.expect(&["old"]);
        rig.append("a.log", "one\r\ntwo\n");
        tail.expect(&["old", "one", "two"]);
        assert_eq!(tail.seen[2].offset, 9);
        assert_eq!(tail.seen[2].source, rig.path("a.log").display().to_string());
        tail.end(&["old", "one", "two"]);
    });
}

#[test]
fn a_part_of_a_line_waits_for_its_end() {
    let rig = Rig::new(&["a.log"]);
    rig.append("a.log", "one\npart");
    let mut tail = rig.start();
    tail.expect(&["one"]);
    rig.append("a.log", "ial");
    rig.append("a.log", " line\nnext\n");
    tail.expect(&["one", "partial line", "next"]);
    assert_eq!(tail.seen[1].offset, 4);
    tail.end(&["one", "partial line", "next"]);
}

#[test]
fn the_position_stays_before_a_part_of_a_line() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", "one\npart");
    let mut tail = rig.start();
    tail.expect(&["one"]);
    rig.stop(tail);
    assert_eq!(rig.saved[0].offset, 4);
    rig.append("a.log", "ial\n");
    let mut tail = rig.start();
    tail.expect(&["partial"]);
    tail.end(&["partial"]);
}

#[test]
fn start_at_end_begins_with_the_line_that_is_under_way() {
    let mut rig = Rig::new(&["*.log"]);
    rig.start_at = StartAt::End;
    rig.append("a.log", "old\nolder\nhalf");
    rig.append("b.log", "no line at all");
    rig.append("c.log", "whole\n");
    rig.append("d.log", "");
    let mut tail = rig.start();
    rig.append("a.log", " and half\n");
    tail.expect(&["half and half"]);
    rig.append("b.log", " until now\n");
    tail.expect(&["half and half", "no line at all until now"]);
    rig.append("c.log", "c\n");
    tail.wait("c", |tail| tail.seen.len() == 3);
    rig.append("d.log", "d\n");
    tail.expect(&["half and half", "no line at all until now", "c", "d"]);
    assert_eq!(tail.seen[0].offset, 10);
    // A file that appears now is read from its beginning all the same.
    rig.append("e.log", "e1\ne2\n");
    tail.expect(&[
        "half and half",
        "no line at all until now",
        "c",
        "d",
        "e1",
        "e2",
    ]);
    drop(tail.stop());
}

#[test]
fn a_file_at_its_start_has_a_position_without_a_line() {
    let mut rig = Rig::new(&["*.log"]);
    rig.start_at = StartAt::End;
    rig.append("a.log", "old\n");
    let tail = rig.start();
    assert_eq!(
        tail.positions
            .values()
            .map(|position| position.offset)
            .collect::<Vec<_>>(),
        [4]
    );
    rig.stop(tail);
    rig.append("a.log", "while stopped\n");
    let mut tail = rig.start();
    tail.expect(&["while stopped"]);
    tail.end(&["while stopped"]);
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_line() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", "\u{FEFF}one\n");
    let mut tail = rig.start();
    tail.expect(&["one"]);
    assert_eq!(tail.seen[0].offset, 3);
    rig.stop(tail);
    rig.append("a.log", "two\n");
    let mut tail = rig.start();
    tail.expect(&["two"]);
    tail.end(&["two"]);
}

#[test]
fn it_is_current_only_when_the_backlog_is_read() {
    let rig = Rig::new(&["a.log"]);
    rig.append("a.log", numbers(0..20_000));
    let asked_at = clock::now();
    let tail = rig.start();
    tail.handle.look();
    let mut lines = 0;
    let current = loop {
        match tail.events.recv_timeout(DEADLINE).unwrap() {
            Event::Lines { batch, .. } => {
                lines += memchr::memchr_iter(b'\n', &batch.bytes).count();
            }
            Event::Current(at) => break at,
            _ => {}
        }
    };
    assert_eq!(lines, 20_000);
    assert!(current >= asked_at);
    drop(tail.stop());
}

#[test]
fn one_busy_file_does_not_keep_the_others_waiting() {
    let rig = Rig::new(&["*.log"]);
    rig.append("a.log", numbers(0..60_000));
    rig.append("b.log", "quiet\n");
    let mut tail = rig.start();
    tail.wait("the quiet one", |tail| {
        tail.seen.iter().any(|seen| seen.text == "quiet")
    });
    assert!(
        tail.seen.len() < 30_000,
        "{} lines before it",
        tail.seen.len()
    );
    tail.wait("the busy one", |tail| tail.seen.len() == 60_001);
    drop(tail.stop());
}

#[test]
fn a_backlog_arrives_when_it_was_written() {
    let rig = Rig::new(&["a.log"]);
    rig.append("a.log", "old\n");
    let written = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    File::options()
        .append(true)
        .open(rig.path("a.log"))
        .unwrap()
        .set_modified(written)
        .unwrap();
    let tail = rig.start();
    let Event::Lines { batch, .. } = tail.events.recv_timeout(DEADLINE).unwrap() else {
        panic!()
    };
    assert_eq!(batch.arrival, clock::from_system(written));
    drop(tail.stop());
}
