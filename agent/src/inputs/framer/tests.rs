use lapwing_rules::model::line::line_about;
use lapwing_rules::model::{Batch, InputId, Source, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::inputs::utf16::Order;

/// A line as a reader of batches sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    offset: u64,
    text: Vec<u8>,
    cut: bool,
}

fn lines_of(framed: Framed) -> Vec<Line> {
    let batch = Batch {
        source: Source {
            input: InputId(0),
            name: "x".into(),
        }
        .into(),
        bytes: framed.bytes,
        segments: framed.segments,
        cut: framed.cut,
        records: framed.records,
        arrival: Timestamp::MIN,
    };
    let mut lines = Vec::new();
    let mut at = 0;
    while at < batch.bytes.len() {
        let text = line_about(&batch.bytes, at);
        lines.push(Line {
            offset: batch.offset_of(at),
            text: batch.bytes[text].to_vec(),
            cut: batch.is_cut(at),
        });
        at = memchr(b'\n', &batch.bytes[at..]).map_or(batch.bytes.len(), |lf| at + lf + 1);
    }
    if let Some(first) = batch.segments.first() {
        assert_eq!(first.at, 0, "the first segment stands at 0");
    }
    assert!(
        batch
            .segments
            .windows(2)
            .all(|pair| pair[0].at < pair[1].at)
    );
    lines
}

/// What the contract says, line by line and without haste.
fn oracle(bytes: &[u8], max: usize, base: u64) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let lf = bytes[start..].iter().position(|&byte| byte == b'\n');
        let end = lf.map_or(bytes.len(), |lf| start + lf);
        let mut text = &bytes[start..end];
        if lf.is_some() {
            text = text.strip_suffix(b"\r").unwrap_or(text);
        }
        let kept = &text[..text.len().min(max)];
        lines.push(Line {
            offset: base + start as u64,
            text: kept.to_vec(),
            cut: text.len() > max,
        });
        start = end + 1;
    }
    lines
}

/// Frames `bytes`, cut into reads of these sizes in turn; a batch is taken after each `every`th.
fn frame(bytes: &[u8], max: usize, base: u64, reads: &[usize], every: usize) -> Vec<Line> {
    let mut framer = Framer::at(&Framing::lines(max), base, Encoding::Bytes);
    let mut framed = Framed::default();
    let mut lines = Vec::new();
    let mut rest = bytes;
    for (turn, &size) in reads.iter().cycle().enumerate() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at(size.clamp(1, rest.len()));
        framer.push(now, &mut framed);
        assert!(framer.held.len() <= max + 1, "a line under way is bounded");
        if turn % every == 0 {
            lines.extend(lines_of(std::mem::take(&mut framed)));
        }
        rest = later;
    }
    assert_eq!(framer.position(), base + bytes.len() as u64);
    framer.finish(&mut framed);
    lines.extend(lines_of(framed));
    assert_eq!(framer.line_start(), base + bytes.len() as u64);
    lines
}

fn check(bytes: &[u8], max: usize) {
    let expected = oracle(bytes, max, 7);
    for reads in [&[1][..], &[2], &[3, 1], &[5], &[1 << 20]] {
        for every in [1, 2, 100] {
            let lines = frame(bytes, max, 7, reads, every);
            assert_eq!(
                lines,
                expected,
                "{reads:?} {every} {:?}",
                bytes.escape_ascii().to_string()
            );
        }
    }
}

#[test]
fn the_cases_that_others_got_wrong() {
    for text in [
        "",
        "\n",
        "\n\n\n",
        "a\n",
        "a",
        "\nfirst is a line feed\n",
        "crlf\r\nlone\rcr\r\n\r\n\r",
        "\0\0nul\0\n\0",
        "123\n1234\n12345\n123456789\nend\n",
        "123\r\n1234\r\n12345\r\n123456789\r\nend\r\n",
        "123\r\n123\rx\n1234\rx\n12\r\r\n1234\r\r\n",
        "1234\r",
        "12345",
        "12345\r",
    ] {
        check(text.as_bytes(), 4);
        check(text.as_bytes(), 1);
        check(text.as_bytes(), 1000);
    }
}

#[test]
fn a_huge_line_is_held_small_and_the_next_one_is_whole() {
    let mut framer = Framer::new(&Framing::lines(16));
    let mut framed = Framed::default();
    for _ in 0..1000 {
        framer.push(&[b'x'; 4096], &mut framed);
        assert!(framer.held.capacity() < 4096);
    }
    framer.push(b"\nnext\n", &mut framed);
    assert_eq!(framed.dropped, 4_096_000 - 16);
    let lines = lines_of(framed);
    assert_eq!(
        lines[0],
        Line {
            offset: 0,
            text: vec![b'x'; 16],
            cut: true
        }
    );
    assert_eq!(
        lines[1],
        Line {
            offset: 4_096_001,
            text: b"next".to_vec(),
            cut: false
        }
    );
}

#[test]
fn a_line_under_way_stays_where_it_began() {
    let mut framer = Framer::at(&Framing::lines(100), 50, Encoding::Bytes);
    let mut framed = Framed::default();
    framer.push(b"whole\npart", &mut framed);
    assert_eq!((framer.line_start(), framer.position()), (56, 60));
    assert!(framer.has_partial());
    framer.push(b" done\n", &mut framed);
    assert_eq!((framer.line_start(), framer.position()), (66, 66));
    assert_eq!(framed.segments, [Segment { at: 0, offset: 50 }]);
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => Just(b'a'),
        2 => Just(b'\n'),
        2 => Just(b'\r'),
        1 => Just(0),
        1 => any::<u8>(),
    ];
    prop::collection::vec(byte, 0..200)
}

proptest! {
    #[test]
    fn lines_do_not_depend_on_how_they_were_read(
        bytes in bytes(),
        max in 1_usize..40,
        reads in prop::collection::vec(1_usize..60, 1..10),
        every in 1_usize..5,
    ) {
        prop_assert_eq!(frame(&bytes, max, 3, &reads, every), oracle(&bytes, max, 3));
    }
}

/// Frames a source from its very first byte, cut into reads of these sizes in turn.
fn frame_source(framing: &Framing, bytes: &[u8], reads: &[usize]) -> Vec<Line> {
    let mut framer = Framer::new(framing);
    let mut framed = Framed::default();
    let mut lines = Vec::new();
    let mut rest = bytes;
    for &size in reads.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at(size.clamp(1, rest.len()));
        framer.push(now, &mut framed);
        lines.extend(lines_of(std::mem::take(&mut framed)));
        rest = later;
    }
    assert_eq!(framer.position(), bytes.len() as u64);
    framer.finish(&mut framed);
    lines.extend(lines_of(framed));
    lines
}

fn utf16(text: &str, order: Order) -> Vec<u8> {
    let mark = std::iter::once(0xFEFF);
    mark.chain(text.encode_utf16())
        .flat_map(|unit| match order {
            Order::Little => unit.to_le_bytes(),
            Order::Big => unit.to_be_bytes(),
        })
        .collect()
}

#[test]
fn a_utf_8_mark_is_no_part_of_the_first_line() {
    for reads in [&[1][..], &[2], &[3], &[100]] {
        let lines = frame_source(&Framing::lines(100), b"\xEF\xBB\xBFa\nb\n", reads);
        let seen: Vec<(u64, &[u8])> = lines.iter().map(|l| (l.offset, &*l.text)).collect();
        assert_eq!(seen, [(3, &b"a"[..]), (5, b"b")], "{reads:?}");
    }
}

#[test]
fn what_only_begins_like_a_mark_is_text() {
    for text in [
        &b"\xEF\xBBa\n"[..],
        b"\xEF\n",
        b"\xEF\xBB",
        b"\xFFa\n",
        b"\xFE",
    ] {
        for reads in [&[1][..], &[2], &[100]] {
            let lines = frame_source(&Framing::lines(100), text, reads);
            assert_eq!(lines, oracle(text, 100, 0), "{reads:?}");
        }
    }
}

#[test]
fn a_file_in_utf_16_goes_on_in_utf_16_from_the_middle() {
    let bytes = utf16("one\ntw\u{1F600}o\nthree", Order::Big);
    let framing = Framing::lines(100);
    let mut framer = Framer::new(&framing);
    let mut framed = Framed::default();
    framer.push(&bytes[..13], &mut framed);
    let offset = framer.record_start();
    assert_eq!((offset, framer.encoding()), (10, Encoding::of(&bytes)));
    let mut again = Framer::at(&framing, offset, Encoding::of(&bytes));
    framed.clear();
    again.push(&bytes[10..], &mut framed);
    again.finish(&mut framed);
    let lines = lines_of(framed);
    let seen: Vec<(u64, String)> = lines
        .iter()
        .map(|line| (line.offset, String::from_utf8(line.text.clone()).unwrap()))
        .collect();
    assert_eq!(
        seen,
        [(10, "tw\u{1F600}o".to_owned()), (22, "three".to_owned())]
    );
}

#[test]
fn a_line_of_utf_16_is_cut_by_its_text_and_the_next_one_is_whole() {
    let text = format!("{}\r\nnext\r\n", "x".repeat(1000));
    for (max, cut) in [(1000, false), (999, true)] {
        let bytes = utf16(&text, Order::Little);
        let lines = frame_source(&Framing::lines(max), &bytes, &[7]);
        assert_eq!(lines[0].text.len(), max);
        assert_eq!(lines[0].cut, cut);
        assert_eq!(lines[1].text, b"next");
        assert_eq!(lines[1].offset, 2 + 2 * 1002);
    }
}

fn chars() -> impl Strategy<Value = String> {
    let char = prop_oneof![
        4 => Just('a'),
        2 => Just('\n'),
        2 => Just('\r'),
        1 => Just('\u{1F600}'),
        1 => any::<char>().prop_filter("another mark", |char| *char != '\u{FEFF}'),
    ];
    prop::collection::vec(char, 0..100).prop_map(|chars| chars.into_iter().collect())
}

proptest! {
    #[test]
    fn utf_16_gives_the_lines_of_the_same_text_in_utf_8(
        text in chars(),
        max in 1_usize..60,
        reads in prop::collection::vec(1_usize..40, 1..10),
        big in any::<bool>(),
    ) {
        let order = if big { Order::Big } else { Order::Little };
        let expected: Vec<Line> = oracle(text.as_bytes(), max, 0)
            .into_iter()
            .map(|line| {
                let before = std::str::from_utf8(&text.as_bytes()[..usize::try_from(line.offset).unwrap()]);
                let units = before.unwrap().encode_utf16().count();
                Line { offset: 2 + 2 * units as u64, ..line }
            })
            .collect();
        let lines = frame_source(&Framing::lines(max), &utf16(&text, order), &reads);
        prop_assert_eq!(lines, expected);
    }
}
