use std::collections::VecDeque;

use lapwing_rules::model::line::line_about;
use lapwing_rules::model::{Batch, InputId, Source, Timestamp};
use proptest::prelude::*;

use super::*;

/// A line as a reader of batches sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    offset: u64,
    /// With its terminator.
    bytes: Vec<u8>,
    is_cut: bool,
}

fn lines_of(framed: Framed) -> Vec<Line> {
    let source = Source {
        input: InputId(0),
        name: "x".into(),
    };
    let batch = Batch {
        source: source.into(),
        bytes: framed.bytes,
        segments: framed.segments,
        cut: framed.cut,
        records: framed.records,
        arrival: Timestamp::MIN,
    };
    let (mut lines, mut at) = (Vec::new(), 0);
    while at < batch.bytes.len() {
        let behind = line_about(&batch.bytes, at).end;
        let end =
            memchr(b'\n', &batch.bytes[behind..]).map_or(batch.bytes.len(), |lf| behind + lf + 1);
        lines.push(Line {
            offset: batch.offset_of(at),
            bytes: batch.bytes[at..end].to_vec(),
            is_cut: batch.is_cut(at),
        });
        at = end;
    }
    lines
}

/// What the framer makes of all the bytes at once.
fn framed(bytes: &[u8], max: usize) -> Vec<Line> {
    let mut framer = Framer::new(&Framing::lines(max));
    let mut framed = Framed::default();
    framer.push(bytes, &mut framed);
    framer.finish(&mut framed);
    lines_of(framed)
}

/// Gives its bytes in reads of these sizes in turn, and fails where it says so.
struct Reads {
    bytes: VecDeque<u8>,
    sizes: Vec<usize>,
    turn: usize,
    failure: Option<io::Error>,
}

impl Read for Reads {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.turn.is_multiple_of(3) {
            self.turn += 1;
            return Err(io::ErrorKind::Interrupted.into());
        }
        let size = self.sizes[self.turn % self.sizes.len()].min(buffer.len());
        self.turn += 1;
        let size = size.min(self.bytes.len());
        if size == 0
            && let Some(failure) = self.failure.take()
        {
            return Err(failure);
        }
        for (to, from) in buffer.iter_mut().zip(self.bytes.drain(..size)) {
            *to = from;
        }
        Ok(size)
    }
}

fn blocks_of(
    bytes: &[u8],
    sizes: &[usize],
    cutting: Cutting,
    failure: Option<io::Error>,
) -> Blocks {
    let reads = Reads {
        bytes: bytes.to_vec().into(),
        sizes: sizes.to_vec(),
        turn: 1,
        failure,
    };
    Blocks::new(Box::new(reads), cutting)
}

/// Reads everything, giving every buffer back.
fn read(mut blocks: Blocks, length: usize) -> Vec<Line> {
    let (mut lines, mut counted, mut read) = (Vec::new(), 0, 0);
    let mut spare = Vec::new();
    while let Some(block) = blocks.next(std::mem::take(&mut spare)).unwrap() {
        assert!(!block.framed.bytes.is_empty());
        counted += count_lines(&block.framed.bytes, block.joined);
        read += block.read;
        spare = block.framed.bytes.clone();
        lines.extend(lines_of(block.framed));
    }
    assert_eq!((counted, read), (lines.len() as u64, length as u64));
    assert!(blocks.next(spare).unwrap().is_none(), "the end is the end");
    lines
}

fn cutting(block_bytes: usize, max_line_bytes: usize, filling: Filling) -> Cutting {
    Cutting {
        block_bytes,
        framing: Framing::lines(max_line_bytes),
        filling,
    }
}

#[test]
fn the_lines_are_those_of_the_framer() {
    for text in [
        "",
        "\n",
        "\n\n\n",
        "a",
        "a\nb",
        "123\n1234\n12345\n123456789\nend\n",
        "123\r\n1234\r\n12345\r\n123456789\r\nend\r\n",
        "12345678901234567890",
        "1234567890123456789\r\n1\r",
        "1\n12345678901234567890\n2\n3",
    ] {
        for block_bytes in [1, 2, 3, 5, 8, 100] {
            for filling in [Filling::Full, Filling::Prompt] {
                for max in [1, 4, 5, 50] {
                    let blocks = blocks_of(
                        text.as_bytes(),
                        &[2, 3],
                        cutting(block_bytes, max, filling),
                        None,
                    );
                    let expected = framed(text.as_bytes(), max);
                    assert_eq!(
                        read(blocks, text.len()),
                        expected,
                        "{text:?} {block_bytes} {max}"
                    );
                }
            }
        }
    }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![6 => Just(b'a'), 2 => Just(b'\n'), 2 => Just(b'\r'), 1 => any::<u8>()];
    prop::collection::vec(byte, 0..300)
}

proptest! {
    #[test]
    fn however_it_is_read_the_lines_are_those_of_the_framer(
        bytes in bytes(),
        max in 1_usize..40,
        block_bytes in 1_usize..80,
        sizes in prop::collection::vec(1_usize..90, 1..8),
        filling in prop_oneof![Just(Filling::Full), Just(Filling::Prompt)],
    ) {
        let blocks = blocks_of(&bytes, &sizes, cutting(block_bytes, max, filling), None);
        prop_assert_eq!(read(blocks, bytes.len()), framed(&bytes, max));
    }
}

#[test]
fn whole_lines_before_a_failure_come_out_and_it_is_told_once() {
    let failure = Some(io::Error::other("the disk is gone"));
    let mut blocks = blocks_of(
        b"one\ntwo\nthr",
        &[100],
        cutting(64, 16, Filling::Full),
        failure,
    );
    let block = blocks.next(Vec::new()).unwrap().expect("two lines");
    assert_eq!(
        (
            block.framed.bytes.as_slice(),
            count_lines(&block.framed.bytes, block.joined)
        ),
        (&b"one\ntwo\n"[..], 2)
    );
    let error = blocks.next(Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "the disk is gone");
    assert!(blocks.next(Vec::new()).unwrap().is_none());
}

#[test]
fn a_line_that_is_being_written_is_not_waited_for() {
    let mut blocks = blocks_of(b"one\ntwo\n", &[4], cutting(64, 16, Filling::Prompt), None);
    let first = blocks.next(Vec::new()).unwrap().expect("a line");
    assert_eq!(first.framed.bytes, b"one\n");
}

#[test]
fn a_buffer_that_comes_back_is_read_into_again() {
    let text = "0123456\n".repeat(100);
    let mut blocks = blocks_of(
        text.as_bytes(),
        &[1000],
        cutting(64, 16, Filling::Full),
        None,
    );
    let first = blocks
        .next(Vec::new())
        .unwrap()
        .expect("lines")
        .framed
        .bytes;
    let place = first.as_ptr();
    let second = blocks.next(first).unwrap().expect("lines").framed.bytes;
    assert_eq!((second.as_ptr(), second.len()), (place, 64));
}

#[test]
fn a_huge_line_is_held_small() {
    let text = vec![b'x'; 1 << 20];
    let mut blocks = blocks_of(&text, &[4096], cutting(4096, 100, Filling::Full), None);
    let only = blocks.next(Vec::new()).unwrap().expect("a line").framed;
    assert_eq!((only.bytes.len(), only.dropped), (100, (1 << 20) - 100));
    assert!(blocks.carry.capacity() <= 4096);
}
