//! One row held against one line: codes, repeats and looks, with bounded patience.
//!
//! The line is of ASCII; whether it is, and what follows from running out of patience, is the
//! caller's affair.

use super::placed::Placed;
use super::{Anchor, Code, Look, Needles, Repeat, Row, Rows, Set};

/// Which end of a row is matched first.
#[derive(Clone, Copy)]
enum Way {
    Forward,
    Backward,
}

/// One question: a pattern, a line and the patience that is left.
pub(super) struct Walk<'a> {
    rows: &'a Rows,
    line: &'a [u8],
    steps: u32,
}

impl<'a> Walk<'a> {
    /// About as many bytes of a line as a regex takes in while a cold one gets under way.
    const STEPS: u32 = 2_000;

    pub(super) fn new(rows: &'a Rows, line: &'a [u8]) -> Self {
        Self {
            rows,
            line,
            steps: Self::STEPS,
        }
    }

    /// Whether there is no patience left: what was not found may be there after all.
    pub(super) fn is_worn_out(&self) -> bool {
        self.steps == 0
    }

    /// Whether the row is in the line about what the run that begins at `at` says of it.
    pub(super) fn finds_at(&mut self, placed: Placed, at: i32) -> bool {
        let Some(row) = self.rows.alternatives.get(usize::from(placed.row)) else {
            return false;
        };
        let place = usize::from(row.start)..usize::from(row.end);
        let codes = self.rows.codes.get(place).unwrap_or_default();
        let split = codes.split_at_checked(placed.before.into());
        let (before, rest) = split.unwrap_or_default();
        let after = rest.get(usize::from(placed.told)..).unwrap_or_default();
        let Ok(start) = usize::try_from(at + i32::from(placed.at)) else {
            return false;
        };
        let end = start + usize::from(placed.told);
        end <= self.line.len()
            && self.follows(Way::Forward, after, end)
            && self.follows(Way::Backward, before, start)
    }

    /// Whether `row` is somewhere in the line. `false` also when patience has run out.
    pub(super) fn finds(&mut self, row: &Row) -> bool {
        let place = usize::from(row.start)..usize::from(row.end);
        let codes = self.rows.codes.get(place).unwrap_or_default();
        match row.anchor {
            Anchor::Start => self.follows(Way::Forward, codes, 0),
            Anchor::Anywhere => self.finds_anywhere(codes),
            Anchor::Stretch {
                start,
                len,
                rare,
                needles,
            } => {
                let (before, rest) = codes.split_at_checked(start.into()).unwrap_or_default();
                let (stretch, after) = rest.split_at_checked(len.into()).unwrap_or_default();
                self.finds_stretch(before, stretch, after, rare.into(), needles)
            }
        }
    }

    fn finds_anywhere(&mut self, codes: &[u8]) -> bool {
        for at in 0..=self.line.len() {
            if !self.pays() {
                return false;
            }
            if self.may_go_on(codes, at) && self.follows(Way::Forward, codes, at) {
                return true;
            }
        }
        false
    }

    fn finds_stretch(
        &mut self,
        before: &[u8],
        stretch: &[u8],
        after: &[u8],
        rare: usize,
        needles: Needles,
    ) -> bool {
        let mut from = rare;
        while let Some(found) = self.line.get(from..).and_then(|rest| needles.find(rest))
            && self.pays()
        {
            let start = from + found - rare;
            let end = start + stretch.len();
            let Some(bytes) = self.line.get(start..end) else {
                return false;
            };
            let mut pairs = stretch.iter().zip(bytes);
            if pairs.all(|(code, byte)| self.rows.accepts(*code, *byte))
                && self.follows(Way::Forward, after, end)
                && self.follows(Way::Backward, before, start)
            {
                return true;
            }
            from += found + 1;
        }
        false
    }

    /// Whether `codes` are in the line from `at` on, or up to `at`. Recurses once for each repeat.
    fn follows(&mut self, way: Way, mut codes: &[u8], mut at: usize) -> bool {
        while let Some((code, rest)) = way.split(codes) {
            codes = rest;
            match Code::of(code) {
                Code::Look(look) => {
                    if !look.holds(self.line, at) {
                        return false;
                    }
                }
                Code::Repeat(repeat) => {
                    let Some(repeat) = self.rows.repeats.get(usize::from(repeat)) else {
                        return false;
                    };
                    return self.repeats(way, *repeat, rest, at);
                }
                Code::Byte(_) | Code::Set(_) => {
                    if !way
                        .byte(self.line, at)
                        .is_some_and(|byte| self.rows.accepts(code, byte))
                        || !self.pays()
                    {
                        return false;
                    }
                    at = way.past(at);
                }
            }
        }
        true
    }

    /// Whether `repeat` and then `codes` are there: with as few bytes for the repeat as will do.
    fn repeats(&mut self, way: Way, repeat: Repeat, codes: &[u8], mut at: usize) -> bool {
        let mut count = 0;
        while count < repeat.least {
            if !self.takes(way, repeat.set, at) {
                return false;
            }
            at = way.past(at);
            count += 1;
        }
        if repeat.most == Repeat::UNBOUNDED {
            return self.repeats_on(way, repeat.set, codes, at);
        }
        loop {
            if self.follows(way, codes, at) {
                return true;
            }
            if count == repeat.most || !self.takes(way, repeat.set, at) {
                return false;
            }
            at = way.past(at);
            count += 1;
        }
    }

    /// Whether `codes` are there behind any number of bytes of `set`.
    fn repeats_on(&mut self, way: Way, set: u8, codes: &[u8], mut at: usize) -> bool {
        let Some((next, _)) = way.split(codes) else {
            return true;
        };
        let jumps_to = match (Code::of(next), self.rows.sets.get(usize::from(set))) {
            (Code::Byte(byte), Some(&Set::ANY)) => Some(byte),
            _ => None,
        };
        loop {
            if let Some(byte) = jumps_to {
                let Some(found) = self.jumps(way, at, byte) else {
                    return false;
                };
                at = found;
            }
            if self.may_start(way, next, at) && self.follows(way, codes, at) {
                return true;
            }
            if !self.takes(way, set, at) {
                return false;
            }
            at = way.past(at);
        }
    }

    /// Whether the next byte is one of `set`.
    fn takes(&mut self, way: Way, set: u8, at: usize) -> bool {
        way.byte(self.line, at)
            .is_some_and(|byte| self.rows.has(set, byte))
            && self.pays()
    }

    /// The first place, beginning with `at`, next to a `byte`: see [`Way::find`]. What it goes past
    /// is paid for, so that a line full of places to jump from costs no more than any other.
    fn jumps(&mut self, way: Way, at: usize, byte: u8) -> Option<usize> {
        /// As many as are searched in the time of a step.
        const BYTES_OF_A_STEP: usize = 64;
        let found = way.find(self.line, at, byte);
        let gone = match (found, way) {
            (Some(place), _) => place.abs_diff(at),
            (None, Way::Forward) => self.line.len() - at,
            (None, Way::Backward) => at,
        };
        let price = u32::try_from(gone / BYTES_OF_A_STEP).unwrap_or(u32::MAX);
        self.steps = self.steps.saturating_sub(price);
        found.filter(|_| self.pays())
    }

    /// `false` where `codes` cannot begin with what is at `at`.
    fn may_go_on(&self, codes: &[u8], at: usize) -> bool {
        codes
            .first()
            .is_none_or(|code| self.may_start(Way::Forward, *code, at))
    }

    /// `false` where the byte at `at` is not one for `code`.
    fn may_start(&self, way: Way, code: u8, at: usize) -> bool {
        match Code::of(code) {
            Code::Byte(_) | Code::Set(_) => way
                .byte(self.line, at)
                .is_some_and(|byte| self.rows.accepts(code, byte)),
            Code::Repeat(_) | Code::Look(_) => true,
        }
    }

    /// One step. `false` when there were none left; from then on nothing is found.
    fn pays(&mut self) -> bool {
        self.steps = self.steps.saturating_sub(1);
        self.steps > 0
    }
}

impl Way {
    /// The code to match first, and the others.
    fn split(self, codes: &[u8]) -> Option<(u8, &[u8])> {
        let (code, rest) = match self {
            Self::Forward => codes.split_first(),
            Self::Backward => codes.split_last(),
        }?;
        Some((*code, rest))
    }

    /// The byte next to `at`, which is a place between two bytes.
    fn byte(self, line: &[u8], at: usize) -> Option<u8> {
        let index = match self {
            Self::Forward => at,
            Self::Backward => at.checked_sub(1)?,
        };
        line.get(index).copied()
    }

    /// The place beyond the byte next to `at`. There is such a byte.
    fn past(self, at: usize) -> usize {
        match self {
            Self::Forward => at + 1,
            Self::Backward => at - 1,
        }
    }

    /// The first place, beginning with `at`, next to a `byte`, with no LF before it: that is what
    /// [`Set::ANY`] stops at.
    fn find(self, line: &[u8], at: usize, byte: u8) -> Option<usize> {
        let place = match self {
            Self::Forward => at + memchr::memchr2(byte, b'\n', line.get(at..)?)?,
            Self::Backward => memchr::memrchr2(byte, b'\n', line.get(..at)?)? + 1,
        };
        (self.byte(line, place) == Some(byte)).then_some(place)
    }
}

impl Needles {
    fn find(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::One(byte) => memchr::memchr(byte, bytes),
            Self::Two(one, two) => memchr::memchr2(one, two, bytes),
            Self::Three(one, two, three) => memchr::memchr3(one, two, three, bytes),
        }
    }
}

impl Look {
    /// Whether it holds between the bytes around `at` of a line of ASCII.
    fn holds(self, line: &[u8], at: usize) -> bool {
        let is_word = |way: Way| {
            way.byte(line, at)
                .is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        match self {
            Self::Start => at == 0,
            Self::End => at == line.len(),
            Self::Word => is_word(Way::Forward) != is_word(Way::Backward),
            Self::NotWord => is_word(Way::Forward) == is_word(Way::Backward),
        }
    }
}
