//! How a text can be written between quotes where backslashes escape (JSON and logfmt, as
//! `fields::escape` reads them): as it is, with a short escape, by the number of a byte.

use super::place::{set, sets};
use super::{all, any, run};
use crate::matcher::need::{ByteSet, Need};

/// Of a longer text only the start is searched for.
const MOST_BYTES: usize = 64;
/// A text is cut before it has more bytes that can be written in two ways.
pub(super) const MOST_CHOICES: usize = 6;
/// A set of a run that is larger: nearly every escape may stand for one of its bytes.
const LARGE: usize = 64;

/// The start of `text` that is searched for, with so many choices at the most, and whether it is
/// all of it.
pub(super) fn shortened(text: &[u8], most_choices: usize) -> (&[u8], bool) {
    let mut choices = 0;
    let end = text.iter().take(MOST_BYTES).position(|byte| {
        choices += usize::from(Written::of(*byte).is_choice());
        choices > most_choices
    });
    let end = end.unwrap_or(text.len().min(MOST_BYTES));
    (text.get(..end).unwrap_or(text), end == text.len())
}

/// How one byte is written, other than by its number.
enum Written {
    Plain,
    /// With a backslash before this letter.
    Short(u8),
    /// The first is as it is, or a lone backslash, and the second with one before this letter.
    Either(u8),
}

impl Written {
    fn of(byte: u8) -> Self {
        match byte {
            b'"' => Self::Short(byte),
            b'/' | b'\'' | b'\\' => Self::Either(byte),
            b'\n' => Self::Either(b'n'),
            b'\t' => Self::Either(b't'),
            b'\r' => Self::Either(b'r'),
            0x08 => Self::Either(b'b'),
            0x0c => Self::Either(b'f'),
            _ => Self::Plain,
        }
    }

    fn is_choice(&self) -> bool {
        matches!(self, Self::Either(_))
    }
}

/// A text between quotes, no byte of it written by its number.
pub(super) struct Escaped {
    /// As programs mostly write it.
    pub(super) written: Vec<u8>,
    /// For each byte that may be written in another way: what is certain before it, that way, and
    /// what is certain behind it.
    others: Vec<Other>,
}

struct Other {
    written: Vec<u8>,
    reaches_end: bool,
}

impl Escaped {
    pub(super) fn new(text: &[u8]) -> Self {
        let mut written = Vec::new();
        let mut others = Vec::new();
        // Behind the byte before that had a choice.
        let mut certain = b"\"".to_vec();
        let mut rest = text;
        while let Some((byte, behind)) = rest.split_first() {
            rest = behind;
            let way = Written::of(*byte);
            if let Written::Either(letter) = way {
                let slashes_stay = matches!(byte, b'/' | b'\'');
                let short = [b'\\', letter];
                let plain = [*byte];
                let (usual, other): (&[u8], &[u8]) = if slashes_stay {
                    (&plain, &short)
                } else {
                    (&short, &plain)
                };
                written.extend_from_slice(usual);
                let (next, reaches_end) = until_choice(rest);
                certain.extend_from_slice(other);
                certain.extend_from_slice(&next);
                others.push(Other {
                    written: std::mem::take(&mut certain),
                    reaches_end,
                });
                continue;
            }
            let one = plain_way(*byte);
            written.extend_from_slice(&one);
            certain.extend_from_slice(&one);
        }
        Self { written, others }
    }

    /// One of these is in the line when the text is written in another way than `written`. `after`:
    /// what stands behind the text.
    pub(super) fn other_ways(&self, after: Option<ByteSet>) -> Vec<Need> {
        self.others
            .iter()
            .map(|other| {
                let mut sets = sets(&other.written);
                sets.extend(after.filter(|_| other.reaches_end));
                run(sets, 0)
            })
            .collect()
    }
}

/// How the start of `text` is written up to the first byte that has a choice, and whether there is
/// none.
fn until_choice(text: &[u8]) -> (Vec<u8>, bool) {
    let end = text.iter().position(|byte| Written::of(*byte).is_choice());
    let certain = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
    let written = certain.iter().flat_map(|byte| plain_way(*byte)).collect();
    (written, end.is_none())
}

/// How a byte without a choice is written.
fn plain_way(byte: u8) -> Vec<u8> {
    match Written::of(byte) {
        Written::Short(letter) => vec![b'\\', letter],
        _ => vec![byte],
    }
}

/// One of these is in the line when one of `bytes` is written by its number, alone or as part of a
/// character: `\u0061`, `\x61`.
///
/// Hardly any program writes letters and digits so: they have one run for all, which rules can
/// share. Signs are told apart, because many programs write some of them so (`\u003c`, `\u0027`).
pub(super) fn hex(bytes: impl Iterator<Item = u8>) -> Vec<Need> {
    let any_digit = (0..16).map(digit).fold(ByteSet::default(), ByteSet::union);
    let mut groups = [(ByteSet::default(), ByteSet::default()); 4];
    let mut is_beyond_ascii = false;
    for byte in bytes {
        let (group, high, low) = match byte {
            0..0x20 => (0, digit(byte >> 4), digit(byte & 15)),
            b'0'..=b'9' => (1, set(b"3"), ByteSet::of_range(b'0', b'9')),
            0x20..0x40 => (2, digit(byte >> 4), digit(byte & 15)),
            0x40..0x80 => (3, ByteSet::of_range(b'4', b'7'), any_digit),
            0x80.. => {
                is_beyond_ascii = true;
                continue;
            }
        };
        if let Some((highs, lows)) = groups.get_mut(group) {
            *highs = highs.union(high);
            *lows = lows.union(low);
        }
    }
    let mut ways = Vec::new();
    for (high, low) in groups.into_iter().filter(|(high, _)| !high.is_empty()) {
        for prefix in [&b"\\u00"[..], b"\\x"] {
            let mut sets = sets(prefix);
            sets.extend([high, low]);
            ways.push(run(sets, 0));
        }
    }
    if is_beyond_ascii {
        let mut by_character = sets(b"\\u");
        by_character.extend([any_digit; 4]);
        let mut by_byte = sets(b"\\x");
        by_byte.extend([set(b"89abcdefABCDEF"), any_digit]);
        ways.extend([run(by_character, 0), run(by_byte, 0)]);
    }
    ways
}

/// A hexadecimal digit, in both cases.
fn digit(value: u8) -> ByteSet {
    match char::from_digit(value.into(), 16) {
        Some(digit) => {
            let mut both = [0; 2];
            let lower = digit.encode_utf8(&mut both).as_bytes();
            set(lower).union(set(&lower.to_ascii_uppercase()))
        }
        None => ByteSet::default(),
    }
}

/// What a line holds when a value between quotes holds `need` once its escapes are undone.
pub(super) fn perhaps_escaped(need: Need) -> Need {
    match need {
        Need::All(needs) => all(needs.into_iter().map(perhaps_escaped).collect()),
        Need::Any(needs) => any(needs.into_iter().map(perhaps_escaped).collect()),
        Need::Run(found) => {
            let bytes = found
                .sets
                .iter()
                .fold(ByteSet::default(), |all, set| all.union(*set));
            let mut letters = ByteSet::default();
            for byte in bytes.iter() {
                if let Written::Short(letter) | Written::Either(letter) = Written::of(byte) {
                    letters.insert(letter);
                }
            }
            let mut ways = vec![Need::Run(found)];
            if bytes.len() > LARGE {
                letters = letters.union(set(b"ux"));
            } else {
                ways.extend(hex(bytes.iter()));
            }
            if !letters.is_empty() {
                ways.push(run(vec![set(b"\\"), letters], 0));
            }
            any(ways)
        }
    }
}
