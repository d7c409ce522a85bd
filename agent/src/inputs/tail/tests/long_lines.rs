use std::os::unix::fs::FileExt as _;

use super::*;

const MIB: usize = 1024 * 1024;

#[test]
fn a_partial_line_and_its_rest_after_a_restart_are_one_line() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", "one\nfirst half,");
    let mut tail = rig.start();
    tail.expect(&["one"]);
    rig.stop(tail);
    let tail = rig.start();
    rig.stop(tail);
    rig.append("a.log", " second half\ntwo\n");
    let mut tail = rig.start();
    tail.expect(&["first half, second half", "two"]);
    drop(tail.stop());
}

#[test]
fn lines_of_a_mebibyte_more_or_less_a_byte_and_of_64_are_cut_and_the_next_ones_are_whole() {
    let mut rig = Rig::new(&["a.log"]);
    rig.max_line_bytes = MIB;
    let lengths = [MIB - 1, MIB, MIB + 1, 64 * MIB, 4];
    for length in lengths {
        rig.append("a.log", "x".repeat(length) + "\r\n");
    }
    let mut tail = rig.start();
    tail.wait("all", |tail| tail.seen.len() == 5);
    let seen = tail.seen.iter().map(|seen| (seen.text.len(), seen.cut));
    let expected = lengths.map(|length| (length.min(MIB), length > MIB));
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    let before: usize = lengths[..4].iter().map(|length| length + 2).sum();
    assert_eq!(tail.seen[4].offset, before as u64);
    drop(tail.stop());
}

#[test]
fn a_line_of_a_gibibyte_is_cut_and_the_next_one_is_whole() {
    const GIB: u64 = 1024 * 1024 * 1024;
    let rig = Rig::new(&["a.log"]);
    let file = File::create(rig.path("a.log")).unwrap();
    // Nearly all of it is a hole in the file: its bytes are NULs.
    file.write_all_at(b"begins", 0).unwrap();
    file.write_all_at(b"\nnext\n", GIB).unwrap();
    let mut tail = rig.start();
    tail.wait("both", |tail| tail.seen.len() == 2);
    assert!(tail.seen[0].text.starts_with("begins\0\0") && tail.seen[0].cut);
    assert_eq!(tail.seen[0].text.len(), 256 * 1024);
    assert_eq!(
        (&*tail.seen[1].text, tail.seen[1].offset),
        ("next", GIB + 1)
    );
    assert_eq!(tail.counters.bytes_dropped.get(), GIB - 256 * 1024);
    drop(tail.stop());
}

#[test]
fn a_hole_of_two_gibibytes_before_the_first_line_is_stepped_over() {
    const HOLE: u64 = 2 * 1024 * 1024 * 1024;
    let mut rig = Rig::new(&["a.log"]);
    let file = File::create(rig.path("a.log")).unwrap();
    file.write_all_at(b"behind the hole\nnext\n", HOLE).unwrap();
    let mut tail = rig.start();
    tail.expect(&["behind the hole", "next"]);
    assert_eq!(tail.seen[0].offset, HOLE);
    assert_eq!(tail.counters.hole_bytes.get(), HOLE);
    rig.stop(tail);
    // What begins with NULs later is a line of the file.
    file.write_all_at(b"\0later\n", HOLE + 21).unwrap();
    let mut tail = rig.start();
    tail.expect(&["\0later"]);
    tail.end(&["\0later"]);
}
