use proptest::prelude::*;

use super::*;

/// The messages of a stream, cut into pieces of these lengths: `text` as it is, `CUT` behind one that
/// lost its end, `+` behind one of several lines.
fn messages(bytes: &[u8], max: usize, pieces: &[usize]) -> (Vec<String>, bool) {
    let mut frames = Frames::new(max);
    let mut shown = Vec::new();
    let (mut rest, mut pieces, mut is_broken) = (bytes, pieces.iter().cycle(), false);
    let mut count = 0;
    while !rest.is_empty() && !is_broken {
        let piece = pieces
            .next()
            .map_or(rest.len(), |piece| (*piece).clamp(1, rest.len()));
        let (now, later) = rest.split_at(piece);
        let mut out = Framed::default();
        is_broken = frames.push(now, &mut out).is_err();
        show(&out, &mut shown);
        count += frames.take_messages();
        rest = later;
    }
    let mut out = Framed::default();
    frames.finish(&mut out);
    show(&out, &mut shown);
    count += frames.take_messages();
    assert_eq!(count, shown.len() as u64, "{shown:?}");
    (shown, is_broken)
}

fn show(out: &Framed, shown: &mut Vec<String>) {
    let text = lapwing_rules::model::Text {
        bytes: &out.bytes,
        records: &out.records,
    };
    let mut at = 0;
    while at < out.bytes.len() {
        let record = text.about(at);
        let cut = if out.cut.contains(&record.start) {
            " CUT"
        } else {
            ""
        };
        let joined = if out.records.iter().any(|it| it.start == record.start) {
            " +"
        } else {
            ""
        };
        shown.push(format!("{}{cut}{joined}", out.bytes[record].escape_ascii()));
        at = text.behind(at);
    }
}

#[track_caller]
fn check(stream: &str, expected: &[&str]) {
    let bytes = stream.as_bytes();
    for piece in 1..=bytes.len().max(1) {
        let (got, is_broken) = messages(bytes, 10, &[piece]);
        assert_eq!(got, expected, "{stream:?} in pieces of {piece}");
        assert!(!is_broken);
    }
}

#[test]
fn both_framings_mixed_and_cut_at_every_byte_give_the_same_messages() {
    check("", &[]);
    check("<1>a\n<1>b\n", &["<1>a", "<1>b"]);
    check("4 <1>a4 <1>b", &["<1>a", "<1>b"]);
    check("4 <1>a<1>b\n4 <1>c", &["<1>a", "<1>b", "<1>c"]);
    check("<1>b\n4 <1>c<1>d\n", &["<1>b", "<1>c", "<1>d"]);
    check("<1>a\r\n<1>b\r\n", &["<1>a", "<1>b"]);
    check("5 <1>a\n<1>b\n", &["<1>a", "<1>b"]);
    check("4 <1>a\n4 <1>b\n", &["<1>a", "<1>b"]);
    check("\n\n<1>a\n\r\n\n<1>b\n", &["<1>a", "<1>b"]);
    check("0 abc\n", &["0 abc"]);
    check("2026-11-21\n4 <1>a", &["2026-11-21", "<1>a"]);
    check("7\n<1>a\n", &["7", "<1>a"]);
    check("7", &["7"]);
}

#[test]
fn a_line_that_begins_with_a_number_and_a_space_swallows_nothing_behind_it() {
    check("a\n10 rows\nb\n", &["a", "10 rows", "b"]);
    check(
        "<1>a\n2026 Nov\n4 <1>b<1>c\n",
        &["<1>a", "2026 Nov", "<1>b", "<1>c"],
    );
    // At the beginning, too: with the first LF it is seen that it was no count.
    check(
        "2026 Nov\n2026 Dec\n<1>b\n",
        &["2026 Nov", "2026 Dec", "<1>b"],
    );
    check("200 GET /abcdef\nb\n", &["200 GET /a CUT", "b"]);
    // Milliseconds, 64 bits, and no number that anybody writes.
    check("a\n1763715600000\nb\n", &["a", "1763715600 CUT", "b"]);
    check(
        "a\n18446744073709551615 x\nb\n",
        &["a", "1844674407 CUT", "b"],
    );
    check("a\n7 ", &["a", "7 "]);
}

#[test]
fn a_stream_whose_lines_begin_with_times_since_the_epoch_is_read_and_stays_open() {
    // Squid; seconds, milliseconds and nanoseconds; behind a line, too.
    check(
        "1763715600.123    180 192.168.0.68 TCP_MISS/200\nb\n",
        &["1763715600 CUT", "b"],
    );
    for stamp in ["1763715600", "1763715600000", "1763715600000000000"] {
        for text in ["INFO boot", "<error> x", "<", "<13", "<1234>", ""] {
            let line = format!("{stamp} {text}\n");
            check(
                &format!("{line}{line}b\n"),
                &["1763715600 CUT", "1763715600 CUT", "b"],
            );
        }
    }
    check("1763715600", &["1763715600"]);
    check("1763715600 ", &["1763715600 CUT"]);
}

#[test]
fn a_number_with_a_tag_behind_it_is_no_count_where_a_priority_should_stand() {
    check(
        "<13>a\n60 <html> not found\n<13>b\n<13>c\n",
        &["<13>a", "60 <html>  CUT", "<13>b", "<13>c"],
    );
    check("a\n9 <1234>x\nb\n", &["a", "9 <1234>x", "b"]);
    check("a\n9 <>x\nb\n", &["a", "9 <>x", "b"]);
    check("a\n2 <1>x\nb\n", &["a", "2 <1>x", "b"]);
    check("a\n9 <1", &["a", "9 <1"]);
    check("60 <p>\nb\n", &["60 <p>", "b"]);
    check("3 <1>", &["<1>"]);
    check("a\n3 <1>4 <2>b", &["a", "<1>", "<2>b"]);
    check("a\n7 <191>xyb\n", &["a", "<191>xy", "b"]);
    // Of the first frame the count may be of anything, as long as no LF comes within.
    check("2 <12 ab", &["<1", "ab"]);
}

#[test]
fn frames_with_a_count_need_no_priority_where_the_first_one_has_a_count() {
    check(
        "5 hello5 world4 <1>a2 hi",
        &["hello", "world", "<1>a", "hi"],
    );
    check("6 hello\n7 world\r\n3 a\nb", &["hello", "world", r"a\nb +"]);
    check("a\n4 <1>a1 b", &["a", "<1>a", "b"]);
}

#[test]
fn a_message_of_several_lines_is_one_record() {
    check("9 <1>a\n\tb\nc<1>d\n", &[r"<1>a\n\tb\nc +", "<1>d"]);
    check("7 <1>a\nb\n3 x\0\n", &[r"<1>a\nb +", "x"]);
}

#[test]
fn a_frame_over_the_limit_is_cut_and_the_next_one_is_intact() {
    check("0123456789\nb\n", &["0123456789", "b"]);
    check("0123456789\r\nb\n", &["0123456789", "b"]);
    check("0123456789abc\nb\n", &["0123456789 CUT", "b"]);
    check("10 0123456789b\n", &["0123456789", "b"]);
    check("13 0123456789abc1 b", &["0123456789 CUT", "b"]);
    check("13 0123456789abc1 bc\n", &["0123456789 CUT", "b", "c"]);
    check("13 <1>\n456789abcx\n", &[r"<1>\n456789 CUT +", "x"]);
}

#[test]
fn what_came_before_the_end_of_a_stream_is_delivered() {
    check("<1>a\n<1>b", &["<1>a", "<1>b"]);
    check("9 <1>a", &["<1>a CUT"]);
    check("9 ", &[]);
}

#[test]
fn a_count_of_ten_digits_or_four_kib_of_digits_ends_the_stream_and_what_came_before_it_is_kept() {
    let long = "1".repeat(4096);
    let counted = "<1>a\n4 <1>b";
    for (before, bad) in [
        (counted, "10000000000 "),
        (counted, "9999999999"),
        (counted, &long),
        ("<1>a\n<1>b\n", "10000000000 <13>a"),
        ("<1>a\n<1>b\n", &long),
        ("", "10000000000 <13>a"),
        ("", "1234567890 <1>"),
        ("", &long),
    ] {
        let stream = format!("{before}{bad}");
        for piece in [1, 2, 5, 5000] {
            let (got, is_broken) = messages(stream.as_bytes(), 10, &[piece]);
            assert!(is_broken, "{stream:.30}");
            let kept: &[&str] = if before.is_empty() {
                &[]
            } else {
                &["<1>a", "<1>b"]
            };
            assert_eq!(got[..kept.len()], *kept, "{stream:.30}");
        }
    }
}

#[test]
fn a_count_of_a_gigabyte_takes_no_more_memory_than_the_limit() {
    let mut frames = Frames::new(64);
    let mut out = Framed::default();
    frames.push(b"999999999 ", &mut out).unwrap();
    for _ in 0..1_000 {
        frames.push(&vec![b'x'; 100_000], &mut out).unwrap();
    }
    assert!(out.bytes.is_empty());
    assert!(frames.held.capacity() < 256);
}

proptest! {
    #[test]
    fn however_a_stream_is_cut_the_same_messages_come_out(
        parts in prop::collection::vec(prop_oneof![
            Just("<1>a\n"), Just("4 <1>b"), Just("\n"), Just("\r"), Just("12 "), Just("0"), Just("\0"),
            Just("<1>long long long long\n"), Just("2 "), Just("x"), Just("7"), Just(" "), Just("<"), Just(">"),
            Just("a\n"), Just("1234567890"),
        ], 0..40),
        pieces in prop::collection::vec(1usize..9, 1..20),
    ) {
        let stream = parts.concat();
        let whole = messages(stream.as_bytes(), 10, &[stream.len().max(1)]);
        prop_assert_eq!(messages(stream.as_bytes(), 10, &pieces), whole);
    }
}
