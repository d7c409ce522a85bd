//! The filters and tests that a template's text names, in whichever branch they stand: minijinja
//! looks for them only while it renders, and a branch that is taken at night only would fail then.
//! Whether there is one of that name is not known here.

use std::ops::Range;

/// What a name is asked to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `x | name`, `{% filter name %}`
    Filter,
    /// `x is name`
    Test,
}

/// A name that stands where a filter or a test does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word<'t> {
    pub(super) kind: Kind,
    pub(super) name: &'t str,
    /// Its bytes in the text.
    pub(super) span: Range<usize>,
}

/// What stood before, as far as it says what a name is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    BlockStart,
    Pipe,
    Is,
    Dot,
    Other,
}

/// All of them, in the order of the text, which is the source of a template that can be read.
/// O(length).
pub(super) fn words(text: &str) -> Vec<Word<'_>> {
    let (mut words, mut at) = (Vec::new(), 0);
    while let Some((open, kind)) = next_block(text, at) {
        let inner = open + 2;
        at = match kind {
            b'#' => after(text, inner, "#}"),
            b'%' if begins_with(text, inner, "raw") => {
                match text.get(inner..).unwrap_or_default().find("endraw") {
                    Some(end) => after(text, inner + end, "%}"),
                    None => text.len(),
                }
            }
            _ => block(text, inner, kind, &mut words),
        };
    }
    words
}

/// The next `{{`, `{%` or `{#`.
fn next_block(text: &str, from: usize) -> Option<(usize, u8)> {
    let bytes = text.as_bytes().get(from..)?;
    let mut pairs = bytes.windows(2).enumerate();
    let open = pairs.find(|(_, pair)| pair[0] == b'{' && matches!(pair[1], b'{' | b'%' | b'#'))?;
    Some((from + open.0, open.1[1]))
}

fn after(text: &str, from: usize, end: &str) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    rest.find(end)
        .map_or(text.len(), |at| from + at + end.len())
}

fn begins_with(text: &str, at: usize, word: &str) -> bool {
    let rest = text.get(at..).unwrap_or_default();
    let rest = rest.trim_start_matches(['-', '+']).trim_start();
    rest.strip_prefix(word)
        .is_some_and(|rest| !rest.starts_with(is_of_name))
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Reads a block from its inside on; gives where it ends.
fn block<'t>(text: &'t str, from: usize, kind: u8, words: &mut Vec<Word<'t>>) -> usize {
    let end = if kind == b'{' { "}}" } else { "%}" };
    let (mut at, mut before) = (
        from,
        if kind == b'%' {
            Before::BlockStart
        } else {
            Before::Other
        },
    );
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(end) {
            return at + end.len();
        }
        let name = rest.split(|c| !is_of_name(c)).next().unwrap_or_default();
        if !name.is_empty() {
            let span = at..at + name.len();
            at = span.end;
            before = match (before, name) {
                (Before::Pipe, _) => {
                    words.push(Word {
                        kind: Kind::Filter,
                        name,
                        span,
                    });
                    Before::Other
                }
                (Before::Is, "not") | (Before::Other, "is") => Before::Is,
                (Before::Is, _) => {
                    words.push(Word {
                        kind: Kind::Test,
                        name,
                        span,
                    });
                    Before::Other
                }
                (Before::BlockStart, "filter") => Before::Pipe,
                _ => Before::Other,
            };
            continue;
        }
        let sign = rest.chars().next().unwrap_or_default();
        at += match sign {
            '\'' | '"' => quoted(rest, sign),
            _ => sign.len_utf8(),
        };
        before = match sign {
            '|' => Before::Pipe,
            '.' => Before::Dot,
            // `{%-`
            '-' | '+' if before == Before::BlockStart => before,
            _ if sign.is_whitespace() => before,
            _ => Before::Other,
        };
    }
    text.len()
}

/// Bytes of the text in quotes with which `rest` begins, the quotes included.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_filters_and_tests_are_found_wherever_they_stand() {
        for (text, expected) in [
            ("a | b {{ c|d | e(f|g) }} |h", "|d |e |g"),
            (
                "{% if x is odd %}{{ y|up }}{% else %}{{ y|down }}{% endif %}",
                "?odd |up |down",
            ),
            ("{% if x is not none and y.is == 3 %}", "?none"),
            ("{%- filter upper -%}x{%- endfilter -%}", "|upper"),
            ("{{ 'a|b }} \\' |c' | d }}", "|d"),
            (
                "{# {{ x|y }} #}{% raw %}{{ x|y }}{% endraw %}{{ x|z }}",
                "|z",
            ),
            ("{%- raw -%}{{ x|y }}{%- endraw -%}{{ rawer|z }}", "|z"),
            ("{{ 'größer'|ä }} {{ x|", "|ä"),
            ("{{ 'x", ""),
            ("{% raw %}{{ x|y }}", ""),
        ] {
            let found = words(text).into_iter().map(|word| {
                assert_eq!(text.get(word.span), Some(word.name));
                format!(
                    "{}{}",
                    if word.kind == Kind::Filter { '|' } else { '?' },
                    word.name
                )
            });
            assert_eq!(found.collect::<Vec<_>>().join(" "), expected, "{text}");
        }
    }
}
