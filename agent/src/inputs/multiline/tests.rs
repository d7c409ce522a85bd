use lapwing_rules::language::pattern::Case;
use lapwing_rules::model::{Batch, InputId, Source, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::inputs::framer::{Encoding, Framer, Framing};

/// A record as a reader of batches sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    offset: u64,
    text: Vec<u8>,
    cut: bool,
}

fn record(offset: u64, text: &str) -> Record {
    Record {
        offset,
        text: text.as_bytes().to_vec(),
        cut: false,
    }
}

fn records_of(framed: Framed) -> Vec<Record> {
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
    let mut records = Vec::new();
    let mut at = 0;
    while at < batch.bytes.len() {
        let place = batch.text().about(at);
        assert_eq!(place.start, at);
        let is_joined = batch.records.iter().any(|record| record.start == at);
        assert_eq!(batch.bytes[place.clone()].contains(&b'\n'), is_joined);
        records.push(Record {
            offset: batch.offset_of(at),
            text: batch.bytes[place].to_vec(),
            cut: batch.is_cut(at),
        });
        at = batch.text().behind(at);
    }
    assert!(
        batch
            .segments
            .windows(2)
            .all(|pair| pair[0].at < pair[1].at)
    );
    records
}

fn pattern(text: &str) -> Option<Pattern> {
    (!text.is_empty()).then(|| Pattern::new(text, Case::Sensitive).unwrap())
}

fn framing(start: &str, continues: &str, max_line_bytes: usize) -> Framing {
    let multiline = Multiline::new(pattern(start), pattern(continues), Duration::from_secs(1));
    Framing {
        max_line_bytes,
        multiline: multiline.map(Arc::new),
    }
}

/// What the documentation says, line by line and without haste.
fn oracle(bytes: &[u8], framing: &Framing, base: u64) -> Vec<Record> {
    let multiline = framing.multiline.as_ref().unwrap();
    let max = framing.max_line_bytes;
    let mut groups: Vec<(u64, Vec<Vec<u8>>)> = Vec::new();
    let mut open = false;
    let mut start = 0;
    while start < bytes.len() {
        let lf = bytes[start..].iter().position(|&byte| byte == b'\n');
        let end = lf.map_or(bytes.len(), |lf| start + lf);
        let mut line = &bytes[start..end];
        if lf.is_some() {
            line = line.strip_suffix(b"\r").unwrap_or(line);
        }
        // A line is judged by what of it is kept.
        let judged = &line[..line.len().min(max)];
        let begins = multiline.start.as_ref().map(|p| p.is_match(judged));
        let continues = multiline.continues.as_ref().map(|p| p.is_match(judged));
        let (begins, continues) = match (begins, continues) {
            (Some(begins), None) => (begins, !begins),
            (None, Some(continues)) => (!continues, continues),
            (begins, continues) => (begins.unwrap(), continues.unwrap() && !begins.unwrap()),
        };
        if continues && open {
            groups.last_mut().unwrap().1.push(line.to_vec());
        } else {
            groups.push((base + start as u64, vec![line.to_vec()]));
            open = begins;
        }
        start = end + 1;
    }
    let records = groups.into_iter().map(|(offset, lines)| {
        let text = lines.join(&b'\n');
        // Of a line that is cut nothing behind it is kept either.
        Record {
            offset,
            cut: text.len() > max,
            text: text[..text.len().min(max)].to_vec(),
        }
    });
    records.collect()
}

/// Cut into reads of these sizes in turn, and from time to time begun anew where it would go on
/// after a restart.
fn frame(bytes: &[u8], framing: &Framing, reads: &[usize], restart: usize) -> Vec<Record> {
    const BASE: u64 = 9;
    let mut framer = Framer::at(framing, BASE, Encoding::Bytes);
    let mut framed = Framed::default();
    let mut records = Vec::new();
    let mut at = 0;
    for (turn, &size) in reads.iter().cycle().enumerate() {
        if at == bytes.len() {
            break;
        }
        let end = (at + size).min(bytes.len());
        framer.push(&bytes[at..end], &mut framed);
        at = end;
        records.extend(records_of(std::mem::take(&mut framed)));
        if restart > 0 && turn % restart == restart - 1 {
            // What was told is never read again, what was not is read again whole.
            let position = framer.record_start();
            framer = Framer::at(framing, position, Encoding::Bytes);
            let again = usize::try_from(position - BASE).unwrap();
            framer.push(&bytes[again..at], &mut framed);
            assert!(framed.bytes.is_empty(), "nothing is told twice");
        }
    }
    framer.finish(&mut framed);
    records.extend(records_of(framed));
    assert_eq!(framer.record_start(), BASE + bytes.len() as u64);
    records
}

const KINDS: [(&str, &str); 4] = [("^a", ""), ("", "^ "), ("^a", "^ "), ("a", "a|b")];

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let bit = prop_oneof![
        4 => Just(&b"\n"[..]),
        3 => Just(&b"\na"[..]),
        3 => Just(&b"\n b"[..]),
        2 => Just(&b"\r\n"[..]),
        1 => Just(&b"\r"[..]),
        3 => Just(&b"b"[..]),
        1 => Just(&b"\xFF"[..]),
        1 => Just(&b"cccccccccccc"[..]),
    ];
    prop::collection::vec(bit, 0..80).prop_map(|bits| bits.concat())
}

proptest! {
    #[test]
    fn records_do_not_depend_on_how_they_were_read(
        bytes in bytes(),
        kind in prop::sample::select(&KINDS[..]),
        max in 1_usize..40,
        reads in prop::collection::vec(1_usize..60, 1..10),
        restart in 0_usize..4,
    ) {
        let framing = framing(kind.0, kind.1, max);
        prop_assert_eq!(frame(&bytes, &framing, &reads, restart), oracle(&bytes, &framing, 9));
    }

    #[test]
    fn records_of_utf_16_are_those_of_the_same_text(
        lines in prop::collection::vec("[a\u{1F600} ][ab]{0,3}", 0..20),
        kind in prop::sample::select(&KINDS[..]),
        reads in prop::collection::vec(1_usize..60, 1..10),
    ) {
        let text = lines.join("\r\n");
        let framing = framing(kind.0, kind.1, 100);
        let units = "\u{FEFF}".encode_utf16().chain(text.encode_utf16());
        let bytes: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
        let mut framer = Framer::new(&framing);
        let mut framed = Framed::default();
        let mut rest = &bytes[..];
        for &size in reads.iter().cycle() {
            let (now, later) = rest.split_at(size.min(rest.len()));
            framer.push(now, &mut framed);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        framer.finish(&mut framed);
        let texts = |records: Vec<Record>| records.into_iter().map(|record| record.text).collect::<Vec<_>>();
        prop_assert_eq!(texts(records_of(framed)), texts(oracle(text.as_bytes(), &framing, 0)));
    }
}

const TRACE: &str = "leftover\n  at Old\n2026 ERROR a\n  at Main\r\n\n  at Run\n2026 INFO b\n";

fn all(framing: &Framing, text: &str) -> Vec<Record> {
    frame(text.as_bytes(), framing, &[1000], 0)
}

#[test]
fn lines_are_joined_until_the_next_start() {
    assert_eq!(
        all(&framing("^2026", "", 100), TRACE),
        [
            record(9, "leftover"),
            record(18, "  at Old"),
            record(27, "2026 ERROR a\n  at Main\n\n  at Run"),
            record(61, "2026 INFO b"),
        ]
    );
}

#[test]
fn lines_that_continue_belong_to_the_one_before() {
    assert_eq!(
        all(&framing("", r"^\s|^$", 100), TRACE),
        [
            record(9, "leftover\n  at Old"),
            record(27, "2026 ERROR a\n  at Main\n\n  at Run"),
            record(61, "2026 INFO b"),
        ]
    );
    // Nothing is before the first line.
    assert_eq!(
        all(&framing("", "^ ", 100), " a\n b\nc\n d\n"),
        [record(9, " a"), record(12, " b"), record(15, "c\n d")]
    );
}

#[test]
fn with_both_what_is_neither_stands_alone() {
    assert_eq!(
        all(&framing("^2026", "^ ", 100), TRACE),
        [
            record(9, "leftover"),
            record(18, "  at Old"),
            record(27, "2026 ERROR a\n  at Main"),
            record(51, ""),
            record(52, "  at Run"),
            record(61, "2026 INFO b"),
        ]
    );
}

#[test]
fn a_record_that_waited_long_enough_is_told_once_and_what_comes_later_stands_alone() {
    let mut framer = Framer::at(&framing("^a", "", 100), 0, Encoding::Bytes);
    let mut framed = Framed::default();
    framer.push(b"a\n b\n par", &mut framed);
    assert_eq!((framer.record_start(), framer.holds_record()), (0, true));
    assert!(framed.bytes.is_empty());
    framer.complete(&mut framed);
    assert_eq!((framer.record_start(), framer.holds_record()), (5, false));
    framer.complete(&mut framed);
    framer.push(b"tial\n late\na\n", &mut framed);
    framer.finish(&mut framed);
    assert_eq!(
        records_of(framed),
        [
            record(0, "a\n b"),
            record(5, " partial"),
            record(14, " late"),
            record(20, "a"),
        ]
    );
}

#[test]
fn an_endless_record_is_held_small_and_the_next_one_is_whole() {
    let mut framer = Framer::at(&framing("^a", "", 16), 0, Encoding::Bytes);
    let mut framed = Framed::default();
    framer.push(b"a\n", &mut framed);
    for _ in 0..1000 {
        framer.push(&b"  at\n".repeat(1000), &mut framed);
        let held = framer.joiner().held.as_ref().unwrap();
        assert!(held.text.capacity() < 4096 && held.gaps.is_empty());
    }
    framer.push(b"a next\n", &mut framed);
    framer.finish(&mut framed);
    assert_eq!(framed.dropped, 1 + 5_000_000 - 16);
    let cut = Record {
        cut: true,
        ..record(0, "a\n  at\n  at\n  at")
    };
    assert_eq!(records_of(framed), [cut, record(5_000_002, "a next")]);
}

#[test]
fn bytes_within_a_record_know_where_they_stood() {
    let mut framer = Framer::at(&framing("^a", "", 100), 50, Encoding::Bytes);
    let mut framed = Framed::default();
    framer.push(b"a\n b\r\n c\r\na\n", &mut framed);
    framer.finish(&mut framed);
    assert_eq!(framed.bytes, b"a\n b\n c\na\n");
    let places: Vec<(usize, u64)> = framed.segments.iter().map(|s| (s.at, s.offset)).collect();
    assert_eq!(places, [(0, 50), (5, 56), (8, 60)]);
}
