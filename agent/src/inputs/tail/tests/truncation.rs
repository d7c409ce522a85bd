use super::*;

#[test]
fn a_truncated_file_is_read_from_its_beginning() {
    noticing(|notices| {
        let mut rig = Rig::new(&["a.log"]);
        rig.notices = notices;
        rig.append("a.log", "one\ntwo\n");
        let mut tail = rig.start();
        tail.expect(&["one", "two"]);
        rig.truncate("a.log", 0);
        rig.append("a.log", "new\n");
        tail.expect(&["one", "two", "new"]);
        assert_eq!(tail.seen[2].offset, 0);
        assert_eq!(tail.counters.truncations.get(), 1);
        tail.end(&["one", "two", "new"]);
    });
}

#[test]
fn truncated_and_refilled_past_the_old_place_between_two_looks() {
    // The same first 4 KiB or not, to the same length or a greater one.
    for (head, more) in [
        ("", "longer"),
        (numbers(0..80).as_str(), "longer"),
        ("", ""),
    ] {
        let mut rig = Rig::new(&["a.log"]);
        rig.notices = Notices::Off;
        rig.append("a.log", format!("{head}old 1\nold 2\n"));
        let lines = head.lines().count();
        let mut tail = rig.start();
        tail.wait("the old lines", |tail| tail.seen.len() == lines + 2);
        fs::write(rig.path("a.log"), format!("{head}new 1\nnew 2{more}\n")).unwrap();
        tail.wait("the new lines", |tail| tail.seen.len() == 2 * (lines + 2));
        assert_eq!(tail.seen.last().unwrap().text, format!("new 2{more}"));
        assert_eq!(tail.counters.truncations.get(), 1);
        drop(tail.stop());
    }
}

#[test]
fn truncated_while_stopped() {
    for new in ["new\n", "much longer than what was there before\nnew\n"] {
        let mut rig = Rig::new(&["a.log"]);
        rig.append("a.log", "one\ntwo\n");
        let mut tail = rig.start();
        tail.expect(&["one", "two"]);
        rig.stop(tail);
        fs::write(rig.path("a.log"), new).unwrap();
        let mut tail = rig.start();
        tail.expect(&new.lines().collect::<Vec<_>>());
        assert_eq!(tail.counters.truncations.get(), 1);
        rig.stop(tail);
        rig.start().end(&[]);
    }
}

#[test]
fn no_line_is_glued_to_one_that_was_cut_off() {
    let rig = Rig::new(&["a.log"]);
    rig.append("a.log", "one\npart");
    let mut tail = rig.start();
    tail.expect(&["one"]);
    rig.truncate("a.log", 0);
    rig.append("a.log", "new\n");
    tail.expect(&["one", "part", "new"]);
    tail.end(&["one", "part", "new"]);
}

#[test]
fn the_hole_of_a_writer_that_does_not_append_is_skipped() {
    let rig = Rig::new(&["a.log"]);
    let mut writer = File::create(rig.path("a.log")).unwrap();
    writer.write_all(numbers(0..2000).as_bytes()).unwrap();
    let mut tail = rig.start();
    tail.wait("the old lines", |tail| tail.seen.len() == 2000);
    rig.truncate("a.log", 0);
    writer.write_all(b"behind the hole\n").unwrap();
    tail.wait("the new line", |tail| tail.seen.len() == 2001);
    assert_eq!(tail.seen[2000].text, "behind the hole");
    assert_eq!(tail.seen[2000].offset, tail.counters.hole_bytes.get());
    writer.write_all(b"next\n").unwrap();
    tail.wait("the next line", |tail| tail.seen.len() == 2002);
    drop(tail.stop());
}
