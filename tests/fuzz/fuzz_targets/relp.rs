//! The frames of RELP against a naive reader, which looks at the whole stream at once.
//!
//! From `tests/fuzz`:
//!
//! ```text
//! mkdir -p corpus/relp
//! cargo +nightly fuzz run --fuzz-dir . relp corpus/relp seeds/relp -- -dict=relp.dict
//! ```
//!
//! The first byte of an input is the limit, the second says how the rest, the stream, is cut. Whole,
//! byte by byte and cut in between, the same must come out as the naive reader says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use relp::{Command, Frame, Reader};

/// The agent's own file, without the agent: what it depends on would take minutes to build.
#[allow(dead_code, reason = "only reading is called")]
#[path = "../../../agent/src/inputs/syslog/relp.rs"]
mod relp;

/// A frame: its number, what it wants, its first bytes, how many there were.
type Seen = (u32, Command, Vec<u8>, u64);

fuzz_target!(|input: &[u8]| {
    let &[limit, piece, ref stream @ ..] = input else {
        return;
    };
    let max = usize::from(limit);
    let expected = naive(stream, max);
    for piece in [stream.len(), 1, usize::from(piece)] {
        let found = read(stream, max, piece.max(1));
        assert_eq!(found, expected, "in pieces of {piece}, of {max} bytes at most");
    }
});

/// The frames, and whether what came behind them is no RELP.
fn read(stream: &[u8], max: usize, piece: usize) -> (Vec<Seen>, bool) {
    let mut reader = Reader::new(max);
    let mut seen = Vec::new();
    let mut each = |frame: Frame<'_>| {
        assert!(frame.data.len() <= max + 1);
        seen.push((frame.txnr, frame.command, frame.data.to_vec(), frame.length));
    };
    let pushed = stream.chunks(piece).try_for_each(|part| reader.push(part, &mut each));
    (seen, pushed.is_err())
}

enum Cut<T> {
    Found(T),
    Incomplete,
    Wrong,
}

fn naive(stream: &[u8], max: usize) -> (Vec<Seen>, bool) {
    let mut seen = Vec::new();
    let mut rest = stream;
    loop {
        while let Some((b'\n', behind)) = rest.split_first() {
            rest = behind;
        }
        match frame(rest, max) {
            Cut::Found((frame, behind)) => {
                seen.push(frame);
                rest = behind;
            }
            Cut::Incomplete => return (seen, false),
            Cut::Wrong => return (seen, true),
        }
    }
}

/// `TXNR SP COMMAND SP LENGTH [SP DATA] LF`.
fn frame(text: &[u8], max: usize) -> Cut<(Seen, &[u8])> {
    let (txnr, text) = match word(text, 9, u8::is_ascii_digit) {
        Cut::Found((word, b' ', behind)) => (number(word), behind),
        Cut::Incomplete => return Cut::Incomplete,
        _ => return Cut::Wrong,
    };
    let (command, text) = match word(text, 32, u8::is_ascii_alphanumeric) {
        Cut::Found((word, b' ', behind)) => (word, behind),
        Cut::Incomplete => return Cut::Incomplete,
        _ => return Cut::Wrong,
    };
    let command = match command {
        b"open" => Command::Open,
        b"syslog" => Command::Syslog,
        b"close" => Command::Close,
        _ => Command::Unknown,
    };
    let (length, is_over, text) = match word(text, 9, u8::is_ascii_digit) {
        Cut::Found((word, end @ (b' ' | b'\n'), behind)) => (number(word), end == b'\n', behind),
        Cut::Incomplete => return Cut::Incomplete,
        _ => return Cut::Wrong,
    };
    let seen = |data: &[u8]| {
        let kept = data[..data.len().min(max + 1)].to_vec();
        (txnr, command, kept, u64::from(length))
    };
    if is_over {
        return if length == 0 { Cut::Found((seen(b""), text)) } else { Cut::Wrong };
    }
    let Some((data, behind)) = text.split_at_checked(length as usize) else {
        return Cut::Incomplete;
    };
    match behind.split_first() {
        None => Cut::Incomplete,
        Some((b'\n', behind)) => Cut::Found((seen(data), behind)),
        Some(_) => Cut::Wrong,
    }
}

/// One to `most` bytes of a kind, the byte that ends them, and what is behind that.
fn word(text: &[u8], most: usize, is_inner: fn(&u8) -> bool) -> Cut<(&[u8], u8, &[u8])> {
    let length = text.iter().take_while(|byte| is_inner(byte)).count();
    match text.get(length) {
        _ if length > most => Cut::Wrong,
        None => Cut::Incomplete,
        Some(_) if length == 0 => Cut::Wrong,
        Some(end) => Cut::Found((&text[..length], *end, &text[length + 1..])),
    }
}

fn number(digits: &[u8]) -> u32 {
    std::str::from_utf8(digits).unwrap().parse().unwrap()
}
