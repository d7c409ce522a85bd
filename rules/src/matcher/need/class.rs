//! Classes and assertions → parts: what bytes a member begins with, has and ends with, and what
//! bytes an assertion wants around it.

use regex_syntax::hir::{Class, ClassUnicode, Look};
use regex_syntax::utf8::Utf8Sequences;

use super::ByteSet;
use super::part::Part;
use super::text::{Side, Text};

/// Classes with so many ranges beyond ASCII at most, and so many texts of them, are spelt out.
const MAX_SPELT: usize = 8;
/// A class with more ASCII members goes on in too many ways to be followed.
const MAX_ASCII: usize = 64;
/// So many copies of a class are counted at an end of a pattern.
const MAX_OUTERMOST: usize = 64;

/// The part that matches one member of `class`.
pub(super) fn of_class(class: &Class) -> Part {
    match class {
        Class::Bytes(class) => {
            let set = class.iter().fold(ByteSet::default(), |set, range| {
                set.union(ByteSet::of_range(range.start(), range.end()))
            });
            Part::exact(one_byte(set))
        }
        Class::Unicode(class) => {
            let ascii = ascii_of(class);
            spelt_out(class, ascii).map_or_else(|| by_ends(class, ascii), Part::exact)
        }
    }
}

/// So many members, where nothing of the pattern stands on the `side` of them: as many bytes are
/// enough, and where these are ASCII, so many are members. `None`: all that is matched is known.
pub(super) fn of_outermost(class: &Class, copies: usize, side: Side) -> Option<Part> {
    let Class::Unicode(class) = class else {
        return None;
    };
    let ascii = ascii_of(class);
    if copies == 0 || copies > MAX_OUTERMOST || spelt_out(class, ascii).is_some() {
        return None;
    }
    let (leads, trails) = (leads_of(class), trails());
    let mut sets = vec![ascii.union(leads).union(trails); copies];
    match side {
        Side::Right => *sets.first_mut()? = ascii.union(leads),
        Side::Left => *sets.last_mut()? = ascii.union(trails),
    }
    Some(Part::exact(vec![Text::of(sets)]))
}

fn ascii_of(class: &ClassUnicode) -> ByteSet {
    let ranges = class.iter().filter(|range| range.start().is_ascii());
    ranges.fold(ByteSet::default(), |set, range| {
        let last = u8::try_from(range.end()).map_or(0x7F, |byte| byte.min(0x7F));
        let first = u8::try_from(range.start()).unwrap_or(last);
        set.union(ByteSet::of_range(first, last))
    })
}

/// The first bytes of the members beyond ASCII.
fn leads_of(class: &ClassUnicode) -> ByteSet {
    let first_byte = |char: char| {
        let mut bytes = [0; 4];
        char.encode_utf8(&mut bytes);
        let [first, ..] = bytes;
        first
    };
    let ranges = class.iter().filter(|range| !range.end().is_ascii());
    ranges.fold(ByteSet::default(), |set, range| {
        let start = range.start().max('\u{80}');
        set.union(ByteSet::of_range(
            first_byte(start),
            first_byte(range.end()),
        ))
    })
}

/// The bytes that follow a first one.
fn trails() -> ByteSet {
    ByteSet::of_range(0x80, 0xBF)
}

/// Nothing fits the empty set.
fn one_byte(set: ByteSet) -> Vec<Text> {
    let is_empty = set.is_empty();
    (!is_empty)
        .then(|| Text::of(vec![set]))
        .into_iter()
        .collect()
}

/// All members, where only few are beyond ASCII.
fn spelt_out(class: &ClassUnicode, ascii: ByteSet) -> Option<Vec<Text>> {
    let beyond = || class.iter().filter(|range| !range.end().is_ascii());
    if beyond().count() > MAX_SPELT {
        return None;
    }
    let mut texts = one_byte(ascii);
    for range in beyond() {
        for sequence in Utf8Sequences::new(range.start().max('\u{80}'), range.end()) {
            let sets = sequence
                .as_slice()
                .iter()
                .map(|range| ByteSet::of_range(range.start, range.end));
            texts.push(Text::of(sets.collect()));
        }
        if texts.len() > MAX_SPELT {
            return None;
        }
    }
    Some(texts)
}

/// The ASCII members as they are, of the others the first and the last byte.
fn by_ends(class: &ClassUnicode, ascii: ByteSet) -> Part {
    let (leads, trails) = (leads_of(class), trails());
    if ascii.len() <= MAX_ASCII {
        return Part {
            exact: one_byte(ascii),
            ..Part::open(one_byte(leads), one_byte(trails))
        };
    }
    Part::open(one_byte(ascii.union(leads)), one_byte(ascii.union(trails)))
}

/// The part that matches where `look` holds.
pub(super) fn of_look(look: Look) -> Part {
    let lf = ByteSet::of(b'\n');
    let line_end = ByteSet::of(b'\r').union(lf);
    let any = ByteSet::ALL;
    let ascii_word = [(b'0', b'9'), (b'A', b'Z'), (b'_', b'_'), (b'a', b'z')]
        .into_iter()
        .fold(ByteSet::default(), |set, (first, last)| {
            set.union(ByteSet::of_range(first, last))
        });
    let high = ByteSet::of_range(0x80, 0xFF);
    let not_ascii_word = ascii_word.complement();
    // A byte beyond ASCII may belong to a word or not.
    let (word, not_word) = match look {
        Look::WordAscii
        | Look::WordAsciiNegate
        | Look::WordStartAscii
        | Look::WordEndAscii
        | Look::WordStartHalfAscii
        | Look::WordEndHalfAscii => (ascii_word, not_ascii_word),
        _ => (ascii_word.union(high), not_ascii_word),
    };
    let between = match look {
        Look::Start | Look::StartLF => vec![Text::between(lf, any)],
        // Whether the CR is the terminator's cannot be seen.
        Look::End | Look::EndLF | Look::EndCRLF => {
            vec![Text::between(any, line_end).only_possible()]
        }
        // Behind a CR of the line, too: what follows there is no LF.
        Look::StartCRLF => vec![Text::between(line_end, any)],
        Look::WordAscii | Look::WordUnicode => {
            vec![Text::between(word, not_word), Text::between(not_word, word)]
        }
        Look::WordAsciiNegate | Look::WordUnicodeNegate => {
            vec![Text::between(word, word), Text::between(not_word, not_word)]
        }
        Look::WordStartAscii | Look::WordStartUnicode => vec![Text::between(not_word, word)],
        Look::WordEndAscii | Look::WordEndUnicode => vec![Text::between(word, not_word)],
        Look::WordStartHalfAscii | Look::WordStartHalfUnicode => {
            vec![Text::between(not_word, any)]
        }
        Look::WordEndHalfAscii | Look::WordEndHalfUnicode => vec![Text::between(any, not_word)],
    };
    Part::exact(between)
}
