use lapwing_rules::model::line::line_about;
use lapwing_rules::model::{Batch, InputId, Source, Timestamp};
use proptest::prelude::*;

use super::*;

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
    let mut framer = Framer::new(max, base);
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
    let mut framer = Framer::new(16, 0);
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
    let mut framer = Framer::new(100, 50);
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
