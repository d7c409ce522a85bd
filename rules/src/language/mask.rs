//! The shape of a line: what varies from line to line replaced by what it is.
//!
//! `session 4711 opened for 10.0.0.9 by (uid=0)` has the shape `session <number> opened for <ip> by
//! (uid=<number>)`. Which kinds are masked is the rule's `mask`. Everything is found in the original
//! text; of two that overlap the more special one stands.

use std::ops::Range;
use std::sync::LazyLock;

use super::pattern::{Case, Pattern, PatternError};
use super::redact::{email_places, ip_places};

/// What to mask.
#[derive(Debug)]
pub struct Masks {
    /// The more special one first.
    items: Vec<Item>,
    /// All of them, in this order.
    text: String,
}

#[derive(Debug)]
enum Item {
    Own(Box<Pattern>),
    Kind(Kind),
}

/// What is built in, the more special one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Email,
    Uuid,
    Ip,
    Path,
    Hex,
    Number,
}

const KINDS: [(&str, Kind); 6] = [
    ("number", Kind::Number),
    ("ip", Kind::Ip),
    ("uuid", Kind::Uuid),
    ("hex", Kind::Hex),
    ("path", Kind::Path),
    ("email", Kind::Email),
];

/// Fixed patterns; where there is a group `secret`, only that is masked.
static UUID: LazyLock<Pattern> = LazyLock::new(|| {
    fixed(r"(?i-u)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
});
static URL: LazyLock<Pattern> =
    LazyLock::new(|| fixed(r#"(?-u)\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s"'<>]+"#));
static PATH: LazyLock<Pattern> = LazyLock::new(|| {
    fixed(r#"(?-u)(?:^|[\s"'=(\[,:<>])(?P<secret>~?/[^\s"'<>()\[\],;]*[^\s"'<>()\[\],;:.])"#)
});
static WORD: LazyLock<Pattern> = LazyLock::new(|| fixed(r"(?-u)\b[0-9A-Za-z]{6,}\b"));
static NUMBER: LazyLock<Pattern> = LazyLock::new(|| fixed(r"(?-u)[0-9]+(?:\.[0-9]+)?"));
/// Names of months beside a number, and of days before either, are part of a time.
static MONTH_BEFORE: LazyLock<Pattern> =
    LazyLock::new(|| fixed(&format!(r"(?-u)\b(?P<secret>{MONTHS})\b[ ,/-]{{1,2}}[0-9]")));
static MONTH_BEHIND: LazyLock<Pattern> =
    LazyLock::new(|| fixed(&format!(r"(?-u)[0-9][ /-](?P<secret>{MONTHS})\b")));
static DAY: LazyLock<Pattern> = LazyLock::new(|| {
    let behind = format!(r"\b,? {{1,2}}(?:{MONTHS}|[0-9])");
    fixed(&format!(
        r"(?-u)\b(?P<secret>Mon|Tue|Wed|Thu|Fri|Sat|Sun){behind}"
    ))
});
const MONTHS: &str = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec";

fn fixed(text: &str) -> Pattern {
    Pattern::new(text, Case::Sensitive).expect("a fixed pattern that the tests compile")
}

impl Masks {
    /// A longer shape is cut here, in bytes.
    pub const MAX_SHAPE_BYTES: usize = 512;

    /// The words that are not patterns.
    pub fn names() -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|(name, _)| *name)
    }

    /// All that is built in.
    pub fn all() -> Self {
        Self::of(KINDS.iter().map(|(_, kind)| Item::Kind(*kind)).collect())
    }

    /// `items`: words of [`Masks::names`], any other text is a pattern. Where that has a group
    /// named `secret`, only the group is masked.
    ///
    /// # Errors
    ///
    /// Every item that is no pattern, with its index.
    pub fn new<T: AsRef<str>>(items: &[T]) -> Result<Self, Vec<(usize, PatternError)>> {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for (index, item) in items.iter().enumerate() {
            let item = item.as_ref();
            if let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == item) {
                good.push(Item::Kind(*kind));
                continue;
            }
            match Pattern::new(item, Case::Sensitive) {
                Ok(pattern) => good.push(Item::Own(Box::new(pattern))),
                Err(error) => bad.push((index, error)),
            }
        }
        if bad.is_empty() {
            Ok(Self::of(good))
        } else {
            Err(bad)
        }
    }

    fn of(mut items: Vec<Item>) -> Self {
        items.sort_by_key(|item| match item {
            Item::Own(_) => None,
            Item::Kind(kind) => Some(*kind),
        });
        let text = format!("{items:?}");
        Self { items, text }
    }

    /// What tells them from others: with others, shapes are others.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The shape of `text`: valid UTF-8, runs of white space made one space, at most
    /// [`Masks::MAX_SHAPE_BYTES`]. O(text) for each item.
    pub fn shape(&self, text: &[u8]) -> String {
        let mut masked: Vec<(Range<usize>, &'static str)> = Vec::new();
        for item in &self.items {
            let mut found: Vec<(Range<usize>, &'static str)> = Vec::new();
            item.find(text, &mut |place, label| {
                let overlaps = |(other, _): &(Range<usize>, _)| {
                    place.start < other.end && other.start < place.end
                };
                let after = masked.partition_point(|(other, _)| other.end <= place.start);
                if !place.is_empty() && !masked.get(after).is_some_and(overlaps) {
                    found.push((place, label));
                }
            });
            masked.append(&mut found);
            masked.sort_by_key(|(place, _)| place.start);
            masked.dedup_by(|b, a| b.0.start < a.0.end);
        }
        let mut shape = String::new();
        let mut from = 0;
        for (place, label) in masked {
            push(&mut shape, text.get(from..place.start).unwrap_or_default());
            shape.push_str(label);
            from = place.end;
        }
        push(&mut shape, text.get(from..).unwrap_or_default());
        shape.truncate(shape.floor_char_boundary(Self::MAX_SHAPE_BYTES));
        shape.truncate(shape.trim_end().len());
        shape
    }
}

impl Item {
    fn find(&self, text: &[u8], each: &mut dyn FnMut(Range<usize>, &'static str)) {
        match self {
            Self::Own(pattern) => pattern.find_all(text, &mut |place| each(place, "<mask>")),
            Self::Kind(Kind::Email) => email_places(text, &mut |place| each(place, "<email>")),
            Self::Kind(Kind::Ip) => ip_places(text, &mut |place| each(place, "<ip>")),
            Self::Kind(Kind::Uuid) => UUID.find_all(text, &mut |place| each(place, "<uuid>")),
            Self::Kind(Kind::Path) => {
                URL.find_all(text, &mut |place| each(place, "<path>"));
                PATH.find_all(text, &mut |place| each(place, "<path>"));
            }
            Self::Kind(Kind::Hex) => WORD.find_all(text, &mut |place| {
                if is_random(text.get(place.clone()).unwrap_or_default()) {
                    each(place, "<hex>");
                }
            }),
            Self::Kind(Kind::Number) => {
                MONTH_BEFORE.find_all(text, &mut |place| each(place, "<time>"));
                MONTH_BEHIND.find_all(text, &mut |place| each(place, "<time>"));
                DAY.find_all(text, &mut |place| each(place, "<time>"));
                NUMBER.find_all(text, &mut |place| each(place, "<number>"));
            }
        }
    }
}

/// A hexadecimal word of letters and digits, or a long one of any letters with some digits between.
fn is_random(word: &[u8]) -> bool {
    let word = word
        .strip_prefix(b"0x")
        .or_else(|| word.strip_prefix(b"0X"))
        .unwrap_or(word);
    let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_hex = word.iter().all(u8::is_ascii_hexdigit);
    let changes = word
        .windows(2)
        .filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit())
        .count();
    digits > 0 && digits < word.len() && (is_hex || (word.len() >= 16 && changes >= 3))
}

/// Appends text with runs of white space made one space, none at the beginning.
fn push(shape: &mut String, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            if !c.is_whitespace() {
                shape.push(c);
            } else if !shape.is_empty() && !shape.ends_with(' ') {
                shape.push(' ');
            }
        }
        if !chunk.invalid().is_empty() {
            shape.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_masked_and_what_does_not_stays() {
        let masks = Masks::all();
        for (line, shape) in [
            (
                "session 4711 opened for 10.0.0.9 by (uid=0)",
                "session <number> opened for <ip> by (uid=<number>)",
            ),
            (
                "2026-11-21T09:00:00Z  ERROR   worker-3 took 1.5s",
                "<number>-<number>-<number>T<number>:<number>:<number>Z ERROR worker-<number> took <number>s",
            ),
            (
                "Nov 21 09:00:00 web1 sshd[99]: bye",
                "<time> <number> <number>:<number>:<number> web<number> sshd[<number>]: bye",
            ),
            (
                "[21/Nov/2026:09] x",
                "[<number>/<time>/<number>:<number>] x",
            ),
            (
                "Sat Nov 21 it may rain",
                "<time> <time> <number> it may rain",
            ),
            (
                "open(\"/etc/ssl/certs.pem\"): denied, see https://example.com/x?y=1",
                "open(\"<path>\"): denied, see <path>",
            ),
            (
                "job 8f14e45f-ceea-467f-a8d5-0123456789ab by bob@example.com",
                "job <uuid> by <email>",
            ),
            ("commit 3f2a9c at 0xdeadbeef1", "commit <hex> at <hex>"),
            ("trace kJ3x9QpL2mV7bN4s done", "trace <hex> done"),
            (
                "decade facade 1/2 a/b",
                "decade facade <number>/<number> a/b",
            ),
            ("peer fe80::1 port 22", "peer <ip> port <number>"),
            ("\t two  words\u{a0}\n", "two words"),
        ] {
            assert_eq!(masks.shape(line.as_bytes()), shape, "{line}");
        }
    }

    #[test]
    fn only_what_is_asked_for_is_masked_and_own_patterns_go_first() {
        let masks = Masks::new(&["number", r"user=(?P<secret>\S+)"]).unwrap();
        let shape = masks.shape(b"user=bob7 from 10.0.0.9");
        assert_eq!(shape, "user=<mask> from <number>.<number>");
        assert_eq!(Masks::new(&["ip", "("]).unwrap_err()[0].0, 1);
    }

    #[test]
    fn a_long_line_and_one_that_is_no_text_have_a_bounded_shape() {
        let masks = Masks::all();
        assert_eq!(masks.shape(&[b'x'; 10_000]).len(), Masks::MAX_SHAPE_BYTES);
        assert_eq!(masks.shape(b"a\xff1"), "a\u{fffd}<number>");
    }
}
