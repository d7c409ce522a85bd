//! One JSON object a line, read in place: nothing is built but the fields.
//!
//! `{"a": {"b": 1}}` is the field `a.b`, as `{"a.b": 1}` is. Strings are unescaped, numbers and
//! booleans stand as they are written, null is absent, an array is its JSON text. Of a key that
//! comes twice the last one counts that is not null. What is no JSON object as a whole gives
//! nothing; only raw control bytes, bytes that are not UTF-8 and odd escapes are let pass, because
//! programs write them.
//!
//! Written by hand, because `serde_json` gives numbers another spelling and refuses such bytes.

use super::escape::{closing_quote, push_lossy, unescape};
use super::timestamp::{self, Assume};
use super::{Fields, MAX_FIELDS, MAX_NAME_BYTES, time_names};
use crate::model::Timestamp;

/// Objects nested deeper are kept as JSON text.
const MAX_NAMED_DEPTH: usize = 16;
/// A line that is nested deeper is not read: the reader's own stack is bounded by this.
const MAX_DEPTH: usize = 128;

/// Appends the line's fields.
pub(super) fn read(line: &[u8], out: &mut Fields) {
    let mark = out.mark();
    let is_whole = each_field(line, &mut |key, value| {
        out.push_with(|name| key.write(name), |text| value.write(text));
    });
    if is_whole.is_none() {
        out.reset(mark);
    }
}

/// The time in `time_field`, or in the first of the usual keys whose value is a time.
pub(super) fn time(line: &[u8], time_field: Option<&str>, assume: Assume) -> Option<Timestamp> {
    let names = time_names(time_field.as_ref());
    let mut found = [None; 4];
    each_field(line, &mut |key, value| {
        for (name, found) in names.iter().zip(&mut found) {
            if key.is(name) {
                *found = Some(value);
            }
        }
    })?;
    found
        .into_iter()
        .flatten()
        .find_map(|value| value.time(assume))
}

/// Whether `line` is a JSON object with something in it.
pub(super) fn detect(line: &[u8]) -> bool {
    let mut count = 0;
    each_field(line, &mut |_, _| count += 1).is_some() && count > 0
}

/// Calls `each` for every field, in order; `None` when `line` is not one whole object, which may
/// turn out only after some calls.
fn each_field<'a>(line: &'a [u8], each: &mut Each<'_, 'a>) -> Option<()> {
    let mut reader = Reader { rest: line };
    let mut left = MAX_FIELDS;
    reader.skip_space();
    reader.object(None, 0, &mut |key, value| {
        if left > 0 && key.len <= MAX_NAME_BYTES {
            left -= 1;
            each(key, value);
        }
    })?;
    reader.skip_space();
    reader.rest.is_empty().then_some(())
}

type Each<'f, 'a> = dyn FnMut(&Key<'_>, Value<'a>) + 'f;

/// A key within the keys around it.
struct Key<'a> {
    outer: Option<&'a Key<'a>>,
    /// Between its quotes, as it is written.
    text: &'a [u8],
    /// Hardly any key has escapes: that one may allocate.
    has_escapes: bool,
    /// Bytes of the whole name, as it is written.
    len: usize,
}

impl Key<'_> {
    fn write(&self, out: &mut String) {
        if let Some(outer) = self.outer {
            outer.write(out);
            out.push('.');
        }
        if self.has_escapes {
            let mut plain = Vec::new();
            unescape(self.text, &mut plain);
            push_lossy(&plain, out);
        } else {
            push_lossy(self.text, out);
        }
    }

    fn is(&self, name: &str) -> bool {
        self.strip_from(name.as_bytes())
            .is_some_and(<[u8]>::is_empty)
    }

    /// What is left of `name` behind this key.
    fn strip_from<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        let name = match self.outer {
            Some(outer) => outer.strip_from(name)?.strip_prefix(b".")?,
            None => name,
        };
        if self.has_escapes {
            let mut plain = Vec::new();
            unescape(self.text, &mut plain);
            name.strip_prefix(plain.as_slice())
        } else {
            name.strip_prefix(self.text)
        }
    }
}

#[derive(Clone, Copy)]
enum Value<'a> {
    /// Between the quotes of a string, as it is written.
    Quoted(&'a [u8]),
    /// Anything else.
    Verbatim(&'a [u8]),
}

impl Value<'_> {
    fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Quoted(text) => unescape(text, out),
            Self::Verbatim(text) => out.extend_from_slice(text),
        }
    }

    fn time(self, assume: Assume) -> Option<Timestamp> {
        match self {
            // PHP writes slashes as `\/`.
            Self::Quoted(text) if text.contains(&b'\\') => {
                let mut plain = Vec::new();
                unescape(text, &mut plain);
                timestamp::any_shape(&plain, assume)
            }
            Self::Quoted(text) | Self::Verbatim(text) => timestamp::any_shape(text, assume),
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn object(
        &mut self,
        outer: Option<&Key<'_>>,
        depth: usize,
        each: &mut Each<'_, 'a>,
    ) -> Option<()> {
        self.eat(b"{")?;
        self.skip_space();
        if self.eat(b"}").is_some() {
            return Some(());
        }
        loop {
            self.skip_space();
            let text = self.string()?;
            self.skip_space();
            self.eat(b":")?;
            self.skip_space();
            let len = outer.map_or(0, |outer| outer.len + 1) + text.len();
            let key = Key {
                outer,
                text,
                has_escapes: text.contains(&b'\\'),
                len,
            };
            self.member(&key, depth, each)?;
            self.skip_space();
            if self.eat(b"}").is_some() {
                return Some(());
            }
            self.eat(b",")?;
        }
    }

    /// The value behind `key:`.
    fn member(&mut self, key: &Key<'_>, depth: usize, each: &mut Each<'_, 'a>) -> Option<()> {
        match self.rest.first()? {
            b'"' => each(key, Value::Quoted(self.string()?)),
            b'n' => self.eat(b"null")?,
            b'{' if depth < MAX_NAMED_DEPTH => self.object(Some(key), depth + 1, each)?,
            _ => {
                let start = self.rest;
                self.skip(depth)?;
                each(
                    key,
                    Value::Verbatim(&start[..start.len() - self.rest.len()]),
                );
            }
        }
        Some(())
    }

    /// Passes over any value.
    fn skip(&mut self, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.rest.first()? {
            b'"' => self.string().map(|_| ()),
            b'{' => self.object(None, depth + 1, &mut |_, _| ()),
            b'[' => self.array(depth),
            b't' => self.eat(b"true"),
            b'f' => self.eat(b"false"),
            b'n' => self.eat(b"null"),
            _ => self.number(),
        }
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.eat(b"[")?;
        self.skip_space();
        if self.eat(b"]").is_some() {
            return Some(());
        }
        loop {
            self.skip_space();
            self.skip(depth + 1)?;
            self.skip_space();
            if self.eat(b"]").is_some() {
                return Some(());
            }
            self.eat(b",")?;
        }
    }

    fn number(&mut self) -> Option<()> {
        let _sign = self.eat(b"-");
        if self.eat(b"0").is_none() {
            self.digits()?;
        }
        if self.eat(b".").is_some() {
            self.digits()?;
        }
        if self.eat(b"e").or_else(|| self.eat(b"E")).is_some() {
            let _sign = self.eat(b"+").or_else(|| self.eat(b"-"));
            self.digits()?;
        }
        Some(())
    }

    /// At least one digit.
    fn digits(&mut self) -> Option<()> {
        let is_other = |byte: &u8| !byte.is_ascii_digit();
        let end = self
            .rest
            .iter()
            .position(is_other)
            .unwrap_or(self.rest.len());
        self.rest = &self.rest[end..];
        (end > 0).then_some(())
    }

    /// What is between the quotes of a string, as it is written.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.eat(b"\"")?;
        let end = closing_quote(self.rest)?;
        let text = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Some(text)
    }

    fn eat(&mut self, word: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    fn skip_space(&mut self) {
        let is_other = |byte: &u8| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let end = self
            .rest
            .iter()
            .position(is_other)
            .unwrap_or(self.rest.len());
        self.rest = &self.rest[end..];
    }
}

#[cfg(test)]
mod tests;
