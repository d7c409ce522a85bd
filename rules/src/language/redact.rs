//! Blanks what must not leave the host: the rule's `redact` list, applied before anything of a
//! line is stored or sent.
//!
//! Everything is found in the original text, then blanked at once: what one item leaves behind is
//! never searched by the next. Where in doubt, more is blanked and not less.

mod ip;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::LazyLock;

use super::pattern::{Case, Pattern, PatternError};

/// What to blank. The default blanks nothing.
#[derive(Debug, Default)]
pub struct Redactor {
    items: Vec<Item>,
}

#[derive(Debug)]
enum Item {
    Email,
    Ip,
    Pattern(Box<Pattern>),
}

/// Letters of any script, because domains and mailboxes have them; `%40` is how a query string
/// spells the at sign. The other characters that RFC 5322 allows (`=`, `/`, `&`, …) stand between
/// addresses in logs and would take their neighbours with them.
static EMAIL: LazyLock<Pattern> = LazyLock::new(|| {
    Pattern::new(
        r"[\pL\pN._%+'-]+(?:@|%40)[\pL\pN-]+(?:\.[\pL\pN-]+)+",
        Case::Sensitive,
    )
    .expect("a fixed pattern that the tests compile")
});

/// Calls `each` with the place of every mail address, left to right. O(text).
pub(super) fn email_places(text: &[u8], each: &mut dyn FnMut(Range<usize>)) {
    EMAIL.find_all(text, each);
}

/// Calls `each` with the place of every IP address, left to right. O(text).
pub(super) fn ip_places(text: &[u8], each: &mut dyn FnMut(Range<usize>)) {
    ip::find_all(text, each);
}

/// A place to blank, and what to write there.
struct Blank {
    place: Range<usize>,
    label: &'static str,
}

impl Redactor {
    /// `items`: the words `email` and `ip`, any other text is a pattern. Where that has a group
    /// named `secret`, only the group is blanked.
    ///
    /// # Errors
    ///
    /// Every item that is no pattern, with its index.
    pub fn new<T: AsRef<str>>(items: &[T]) -> Result<Self, Vec<(usize, PatternError)>> {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for (index, item) in items.iter().enumerate() {
            match item.as_ref() {
                "email" => good.push(Item::Email),
                "ip" => good.push(Item::Ip),
                text => match Pattern::new(text, Case::Sensitive) {
                    Ok(pattern) => good.push(Item::Pattern(Box::new(pattern))),
                    Err(error) => bad.push((index, error)),
                },
            }
        }
        if bad.is_empty() {
            Ok(Self { items: good })
        } else {
            Err(bad)
        }
    }

    /// Whether it blanks nothing.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Appends `text` to `out`, never clears it, with `[email]`, `[ip]` or `[redacted]` in place of
    /// what must not be seen. Valid UTF-8 stays valid. O(text) for each item; an operator's pattern
    /// whose matches each look far ahead (`a.*b|a`) may take longer, up to O(text²).
    pub fn redact(&self, text: &[u8], out: &mut Vec<u8>) {
        blank(text, self.blanks(text), out);
    }

    /// The same for a value that was taken out of `line`: what is blanked in the line is blanked in
    /// the value as well, although the value by itself does not show what it is (`token=…`).
    pub fn redact_value(&self, value: &[u8], line: &[u8], out: &mut Vec<u8>) {
        let mut blanks = self.blanks(value);
        for secret in self.blanks(line) {
            let text = line.get(secret.place).unwrap_or_default();
            for start in memchr::memmem::find_iter(value, text) {
                let place = whole_characters(value, start..start + text.len());
                blanks.push(Blank {
                    place,
                    label: secret.label,
                });
            }
        }
        blank(value, blanks, out);
    }

    fn blanks(&self, text: &[u8]) -> Vec<Blank> {
        let mut blanks = Vec::new();
        for item in &self.items {
            let mut add = |place: Range<usize>, label| {
                if !place.is_empty() {
                    let place = whole_characters(text, place);
                    blanks.push(Blank { place, label });
                }
            };
            match item {
                Item::Email => EMAIL.find_all(text, &mut |place| add(place, "[email]")),
                Item::Ip => ip::find_all(text, &mut |place| add(place, "[ip]")),
                Item::Pattern(pattern) => {
                    pattern.find_all(text, &mut |place| add(place, "[redacted]"));
                }
            }
        }
        blanks
    }
}

fn blank(text: &[u8], blanks: Vec<Blank>, out: &mut Vec<u8>) {
    let mut from = 0;
    for blank in merged(blanks) {
        out.extend_from_slice(text.get(from..blank.place.start).unwrap_or_default());
        out.extend_from_slice(blank.label.as_bytes());
        from = blank.place.end;
    }
    out.extend_from_slice(text.get(from..).unwrap_or_default());
}

/// Left to right, overlapping ones made one with the label of the first.
fn merged(mut blanks: Vec<Blank>) -> Vec<Blank> {
    blanks.sort_by_key(|blank| (blank.place.start, std::cmp::Reverse(blank.place.end)));
    let mut merged: Vec<Blank> = Vec::with_capacity(blanks.len());
    for blank in blanks {
        match merged.last_mut() {
            Some(last) if blank.place.start < last.place.end => {
                last.place.end = last.place.end.max(blank.place.end);
            }
            _ => merged.push(blank),
        }
    }
    merged
}

/// `place` and the rest of the characters that it cuts: `(?-u)` patterns may match half a one.
fn whole_characters(text: &[u8], place: Range<usize>) -> Range<usize> {
    /// Of a character's at most four bytes.
    const CONTINUATIONS: usize = 3;
    let continues = |at: usize| text.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
    let Range { mut start, mut end } = place;
    for _ in 0..CONTINUATIONS {
        if start > 0 && continues(start) {
            start -= 1;
        }
        if continues(end) {
            end += 1;
        }
    }
    start..end
}
