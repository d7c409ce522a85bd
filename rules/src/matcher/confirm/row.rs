//! The answer to most patterns that people write, from some 200 bytes of memory.
//!
//! A regex automaton is quick on many lines in a row and slow on the one line that reaches it after
//! thousands of other rules: its tables have left the caches by then. A pattern that is a few rows
//! of bytes, classes and repeats of classes is told apart from that with a search for one byte and
//! a comparison. What is no such pattern, or no line of ASCII, or takes too long, is left to the
//! regex: the verdict is then [`Verdict::Unknown`], and never wrong.
//!
//! Patterns come in as checked ones, from [`super`]; how they become rows is the affair of
//! `compile`, how rows are held against a line that of `walk`.

mod compile;
mod placed;
mod short;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::OnceLock;

use regex_syntax::hir::Hir;

use super::{Known, Line};
use crate::matcher::candidates::Stand;
use placed::Placed;
use short::Short;
use walk::Walk;

/// A pattern as alternatives, each of them codes that follow one another in the line. Those of an
/// ordinary pattern stand in one piece of memory.
#[derive(Debug)]
pub(super) struct Rows {
    alternatives: Short<Row, 2>,
    /// Those of all rows. A byte of ASCII stands for itself.
    codes: Short<u8, 47>,
    sets: Short<Set, 3>,
    repeats: Short<Repeat, 3>,
    /// By which runs they are found, once that was asked.
    placed: OnceLock<Short<Placed, 2>>,
}

/// What is known of a pattern and a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It matches somewhere in the line.
    Yes,
    /// It does not.
    No,
    /// Ask the regex.
    Unknown,
}

/// One alternative.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// Its place in [`Rows::codes`].
    start: u16,
    end: u16,
    anchor: Anchor,
}

/// Where in the line a row may be.
#[derive(Clone, Copy, Debug)]
enum Anchor {
    /// At the line's start only.
    Start,
    /// Where a stretch of its codes is, each of which stands for one byte.
    Stretch {
        /// The stretch begins behind so many codes.
        start: u8,
        len: u8,
        /// The code that is searched for, counted from the start of the stretch.
        rare: u8,
        needles: Needles,
    },
    /// Anywhere.
    Anywhere,
}

/// The bytes that a code stands for.
#[derive(Clone, Copy, Debug)]
enum Needles {
    One(u8),
    Two(u8, u8),
    Three(u8, u8, u8),
}

/// Bytes of ASCII, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Set([u64; 2]);

/// Bytes of one set, so often one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Repeat {
    /// Index into [`Rows::sets`].
    set: u8,
    least: u16,
    /// [`Repeat::UNBOUNDED`] for any number.
    most: u16,
}

/// What one code stands for.
#[derive(Clone, Copy, Debug)]
enum Code {
    Byte(u8),
    /// Index into [`Rows::sets`].
    Set(u8),
    /// Index into [`Rows::repeats`].
    Repeat(u8),
    Look(Look),
}

/// Between two bytes of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Start,
    End,
    Word,
    NotWord,
}

impl Rows {
    /// `None` where `hir` is no pattern of this kind, or a large one.
    pub(super) fn of(hir: &Hir) -> Option<Self> {
        compile::rows(hir)
    }

    /// Whether the pattern matches somewhere in `line`, any bytes. Allocates nothing; O(length of
    /// the line) for each alternative, plus a bounded number of steps.
    pub(super) fn is_match(&self, line: Line<'_>) -> Verdict {
        if !line.is_ascii {
            return Verdict::Unknown;
        }
        let mut walk = Walk::new(self, line.bytes);
        if self.alternatives.iter().any(|row| walk.finds(row)) {
            // However little was tried: what was found is there.
            Verdict::Yes
        } else if walk.is_worn_out() {
            Verdict::Unknown
        } else {
            Verdict::No
        }
    }

    /// The same, where of all runs of the rule only one stands in the line, and only there. `known`:
    /// the same each time.
    pub(super) fn is_match_at(&self, line: Line<'_>, stand: Stand, known: &Known<'_>) -> Verdict {
        let placed = self.placed.get_or_init(|| {
            let (runs, own) = known();
            Short::of(placed::placed(self, runs, &own))
        });
        if placed.is_empty() {
            return self.is_match(line);
        }
        if !line.is_ascii {
            return Verdict::Unknown;
        }
        let mut walk = Walk::new(self, line.bytes);
        let mut here = placed.iter().filter(|placed| placed.run == stand.run);
        if here.any(|placed| walk.finds_at(*placed, stand.at)) {
            Verdict::Yes
        } else if walk.is_worn_out() {
            Verdict::Unknown
        } else {
            Verdict::No
        }
    }

    fn has(&self, set: u8, byte: u8) -> bool {
        self.sets
            .get(usize::from(set))
            .is_some_and(|set| set.contains(byte))
    }

    /// Whether `code` stands for one byte, and for this one.
    fn accepts(&self, code: u8, byte: u8) -> bool {
        // The bytes of the line are ASCII, and no other code is.
        if code == byte {
            return true;
        }
        match Code::of(code) {
            Code::Set(set) => self.has(set, byte),
            Code::Byte(_) | Code::Repeat(_) | Code::Look(_) => false,
        }
    }
}

impl Repeat {
    const UNBOUNDED: u16 = u16::MAX;
}

impl Code {
    /// How they are told apart: bytes below, sets from here on.
    const SETS: u8 = 0x80;
    const REPEATS: u8 = 0xC0;
    const LOOKS: u8 = 0xF8;

    fn of(code: u8) -> Self {
        match code {
            ..Self::SETS => Self::Byte(code),
            Self::SETS..Self::REPEATS => Self::Set(code - Self::SETS),
            Self::REPEATS..Self::LOOKS => Self::Repeat(code - Self::REPEATS),
            Self::LOOKS.. => Self::Look(match code - Self::LOOKS {
                0 => Look::Start,
                1 => Look::End,
                2 => Look::Word,
                _ => Look::NotWord,
            }),
        }
    }
}

impl Set {
    /// What `.` matches.
    const ANY: Self = Self([!(1 << b'\n'), !0]);

    fn contains(self, byte: u8) -> bool {
        let Self(words) = self;
        // Bytes beyond ASCII are in none.
        words
            .get(usize::from(byte >> 6))
            .is_some_and(|word| word >> (byte & 63) & 1 == 1)
    }
}
