//! The framing of syslog streams against a naive one, which looks at the whole stream at once.
//!
//! From `tests/fuzz`:
//!
//! ```text
//! mkdir -p corpus/frames
//! cargo +nightly fuzz run --fuzz-dir . frames corpus/frames seeds/frames
//! ```
//!
//! The first byte of an input is the limit, the second says how the rest, the stream, is cut. Whole,
//! byte by byte and cut in between, the same must come out as the naive reader says.

#![no_main]

use std::ops::Range;

use inputs::framer::Framed;
use inputs::syslog::frame::Frames;
use libfuzzer_sys::fuzz_target;

/// The agent's own files, without the agent: what it depends on would take minutes to build.
#[allow(dead_code, reason = "only framing is called")]
#[path = "../../../agent/src/inputs"]
mod inputs {
    pub mod framer;
    pub mod multiline;
    pub mod utf16;
    pub mod syslog {
        pub mod frame;
    }
}

/// All that comes out of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Out {
    bytes: Vec<u8>,
    cut: Vec<usize>,
    records: Vec<Range<usize>>,
    dropped: u64,
    messages: u64,
    is_broken: bool,
}

fuzz_target!(|input: &[u8]| {
    let &[limit, piece, ref stream @ ..] = input else {
        return;
    };
    let max = usize::from(limit).max(1);
    let expected = naive(stream, max);
    for piece in [stream.len(), 1, usize::from(piece)] {
        let found = framed(stream, max, piece.max(1));
        assert_eq!(found, expected, "in pieces of {piece}, of {max} bytes at most");
    }
});

fn framed(stream: &[u8], max: usize, piece: usize) -> Out {
    let mut frames = Frames::new(max);
    let mut framed = Framed::default();
    let pushed = stream.chunks(piece).try_for_each(|part| frames.push(part, &mut framed));
    if pushed.is_ok() {
        frames.finish(&mut framed);
        assert!(!frames.is_within());
    }
    Out {
        bytes: framed.bytes,
        cut: framed.cut,
        records: framed.records,
        dropped: framed.dropped,
        messages: frames.take_messages(),
        is_broken: pushed.is_err(),
    }
}

fn naive(stream: &[u8], max: usize) -> Out {
    let mut out = Out::default();
    let mut rest = stream;
    let mut before = Before::Nothing;
    while !rest.is_empty() {
        let count = match count(rest, before) {
            Some(count) => count,
            None => {
                out.is_broken = true;
                return out;
            }
        };
        let messages = out.messages;
        if let Some((number, behind)) = count {
            let here = number.min(behind.len());
            out.take(&behind[..here], number, max);
            rest = &behind[here..];
            before = if here == number { Before::Counted } else { before };
            continue;
        }
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        out.take(&rest[..end], end, max);
        rest = rest.get(end + 1..).unwrap_or_default();
        before = if out.messages > messages { Before::Line } else { before };
    }
    out
}

/// What the last frame was that was not empty.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    Nothing,
    Line,
    Counted,
}

/// The count that a frame begins with, and what stands behind it; `Some(None)`: it is a line; `None`:
/// it is neither.
fn count(rest: &[u8], before: Before) -> Option<Option<(usize, &[u8])>> {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || rest[0] == b'0' {
        return Some(None);
    }
    let most = if before == Before::Counted { 9 } else { 20 };
    if digits > most {
        return None;
    }
    let Some(behind) = rest.get(digits + 1..).filter(|_| rest[digits] == b' ') else {
        return Some(None);
    };
    if digits > 9 {
        return (!bears_priority(behind)).then_some(None);
    }
    let number: usize = std::str::from_utf8(&rest[..digits]).unwrap().parse().unwrap();
    let is_first_count = || {
        let text = behind.get(..number);
        behind.is_empty() || text.is_some_and(|text| !text[..number - 1].contains(&b'\n'))
    };
    let has_priority = bears_priority(&behind[..number.min(behind.len())]);
    let is_count = match before {
        Before::Counted => true,
        Before::Line => has_priority,
        Before::Nothing => has_priority || is_first_count(),
    };
    Some(is_count.then_some((number, behind)))
}

/// Whether it begins with `<13>`, of one to three digits.
fn bears_priority(text: &[u8]) -> bool {
    let end = text.iter().position(|byte| *byte == b'>');
    end.is_some_and(|end| {
        (2..=4).contains(&end) && text[0] == b'<' && text[1..end].iter().all(u8::is_ascii_digit)
    })
}

impl Out {
    /// One message, of which `text` came and `length` bytes were announced.
    fn take(&mut self, text: &[u8], length: usize, max: usize) {
        let mut kept = text;
        // Of a longer one, and of one that was broken off, nobody knows the end.
        let end_is_known = text.len() == length && length <= max + 1;
        if end_is_known {
            while let Some((b'\0' | b'\r' | b'\n', before)) = kept.split_last() {
                kept = before;
            }
        }
        if kept.is_empty() {
            return;
        }
        let whole = if end_is_known { kept.len() } else { length };
        let kept = &kept[..kept.len().min(max)];
        let start = self.bytes.len();
        if kept.len() < whole {
            self.cut.push(start);
            self.dropped += (whole - kept.len()) as u64;
        }
        self.bytes.extend_from_slice(kept);
        if kept.ends_with(b"\r") {
            self.bytes.push(b'\r');
        }
        self.bytes.push(b'\n');
        if kept.contains(&b'\n') {
            self.records.push(start..self.bytes.len());
        }
        self.messages += 1;
    }
}
