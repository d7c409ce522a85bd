//! `key=value key="quoted value"`. A bare key is `true`, `key=` is empty, quoted values are
//! unescaped, and a quote that never closes (the line was cut) takes the rest. Of a key that comes
//! twice the last one counts, and what stands behind `=` without a key is passed over. A line without any `key=value` is none.

use super::escape::{closing_quote, push_lossy, unescape};
use super::timestamp::{self, Assume};
use super::{Fields, MAX_FIELDS, MAX_NAME_BYTES, time_names};
use crate::model::Timestamp;

/// Appends the line's fields.
pub(super) fn read(line: &[u8], out: &mut Fields) {
    if is_logfmt(line) {
        for pair in pairs(line) {
            out.push_with(
                |name| push_lossy(pair.key, name),
                |text| pair.value.write(text),
            );
        }
    }
}

/// The time in `time_field`, or in the first of the usual keys whose value is a time.
pub(super) fn time(line: &[u8], time_field: Option<&str>, assume: Assume) -> Option<Timestamp> {
    let names = time_names(time_field.as_ref());
    let mut found = [None; 4];
    for pair in pairs(line) {
        for (name, found) in names.iter().zip(&mut found) {
            if pair.key == name.as_bytes() {
                *found = Some(pair.value);
            }
        }
    }
    found
        .into_iter()
        .flatten()
        .find_map(|value| value.time(assume))
}

/// Whether `line` is nothing but pairs, and among them a time, or a level and a message: a line
/// of prose with a few `key=value` is not.
pub(super) fn detect(line: &[u8]) -> bool {
    let mut count = 0;
    let mut has_level = false;
    let mut has_message = false;
    for pair in pairs(line) {
        let is_inner = |byte: &u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@' | b'/')
        };
        if matches!(pair.value, Value::Bare) || !pair.key.iter().all(is_inner) {
            return false;
        }
        count += 1;
        has_level |= matches!(pair.key, b"level" | b"lvl" | b"severity");
        has_message |= matches!(pair.key, b"msg" | b"message" | b"event");
    }
    count >= 2 && (has_level && has_message || time(line, None, Assume::default()).is_some())
}

fn is_logfmt(line: &[u8]) -> bool {
    pairs(line).any(|pair| !matches!(pair.value, Value::Bare))
}

struct Pair<'a> {
    /// Not empty.
    key: &'a [u8],
    value: Value<'a>,
}

#[derive(Clone, Copy)]
enum Value<'a> {
    /// There is no `=`.
    Bare,
    /// Up to the next space.
    Plain(&'a [u8]),
    /// Between the quotes, as it is written.
    Quoted(&'a [u8]),
}

impl Value<'_> {
    fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Bare => out.extend_from_slice(b"true"),
            Self::Plain(text) => out.extend_from_slice(text),
            Self::Quoted(text) => unescape(text, out),
        }
    }

    fn time(self, assume: Assume) -> Option<Timestamp> {
        match self {
            Self::Bare => None,
            Self::Quoted(text) if text.contains(&b'\\') => {
                let mut plain = Vec::new();
                unescape(text, &mut plain);
                timestamp::any_shape(&plain, assume)
            }
            Self::Plain(text) | Self::Quoted(text) => timestamp::any_shape(text, assume),
        }
    }
}

/// The pairs of a line, at most [`MAX_FIELDS`], without those whose key is too long. Quotes and
/// equal signs that open nothing are passed over.
fn pairs(line: &[u8]) -> impl Iterator<Item = Pair<'_>> {
    let mut rest = line;
    let next = move || {
        loop {
            rest = rest.trim_ascii_start();
            if rest.is_empty() {
                return None;
            }
            let end = rest
                .iter()
                .position(|byte| matches!(byte, b'=' | b'"') || byte.is_ascii_whitespace());
            let (key, behind) = rest.split_at(end.unwrap_or(rest.len()));
            let (value, behind) = match behind {
                [b'=', b'"', behind @ ..] => quoted(behind),
                [b'=', behind @ ..] => {
                    let end = behind.iter().position(u8::is_ascii_whitespace);
                    let (value, behind) = behind.split_at(end.unwrap_or(behind.len()));
                    (Value::Plain(value), behind)
                }
                [b'"', behind @ ..] | behind => (Value::Bare, behind),
            };
            rest = behind;
            if !key.is_empty() && key.len() <= MAX_NAME_BYTES {
                return Some(Pair { key, value });
            }
        }
    };
    std::iter::from_fn(next).take(MAX_FIELDS)
}

/// `text` begins behind an opening quote.
fn quoted(text: &[u8]) -> (Value<'_>, &[u8]) {
    match closing_quote(text) {
        Some(end) => (Value::Quoted(&text[..end]), &text[end + 1..]),
        None => (Value::Quoted(text), &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(line: &str) -> String {
        let mut out = Fields::default();
        read(line.as_bytes(), &mut out);
        let show =
            |(name, value): (&str, &[u8])| format!("{name}={} | ", String::from_utf8_lossy(value));
        out.iter().map(show).collect()
    }

    #[test]
    fn gives_every_pair() {
        for (line, expected) in [
            ("a=1 b=x.y  c=\t", "a=1 | b=x.y | c= | "),
            (r#"msg="a \"b\"\n" n=2"#, "msg=a \"b\"\n | n=2 | "),
            (r#"empty="" bare x=1"#, "empty= | bare=true | x=1 | "),
            (r"url=/a?b=c&d", "url=/a?b=c&d | "),
            (r#"a=1 msg="cut of"#, "a=1 | msg=cut of | "),
            (r#"=x "y" é=ü a="b"c"#, "y=true | é=ü | a=b | c=true | "),
            ("just some words", ""),
            ("", ""),
        ] {
            assert_eq!(fields(line), expected, "{line}");
        }
    }

    #[test]
    fn takes_the_time_from_the_first_key_that_holds_one() {
        let nine = "2026-11-21T09:00:00Z".parse().ok();
        for (line, time_field, expected) in [
            ("ts=2026-11-21T09:00:00Z level=info", None, nine),
            ("time=\"2026-11-21 09:00:00\"", None, nine),
            ("time=3ms ts=1795251600", None, nine),
            ("ts=1 ts=1795251600", None, nine),
            ("at=1795251600", Some("at"), nine),
            ("at=1795251600", None, None),
            ("time", None, None),
        ] {
            assert_eq!(
                time(line.as_bytes(), time_field, Assume::default()),
                expected,
                "{line}"
            );
        }
    }
}
