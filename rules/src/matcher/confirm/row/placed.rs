//! Where a row is, when a run of its rule is known to stand in the line: so that nothing is searched
//! for again.
//!
//! A block of a row is what has a fixed length between two repeats: bytes, sets and looks. Around it
//! stands what the repeats and looks beside it allow. A run whose sets hold all of that, byte for
//! byte, stands wherever the row is matched; so a row is found by looking where the run stands, and
//! nowhere else. Each row needs such a run; where one has none, the rule is asked without. What the
//! run is of the block needs no second look.

use super::{Code, Look, Repeat, Row, Rows, Set};
use crate::matcher::need::ByteSet;
use crate::matcher::runs::{RunId, Runs};

/// What is left of a row when a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) run: RunId,
    /// Index of the row.
    pub(super) row: u8,
    /// The run says that so many codes stand there, behind `before` others.
    pub(super) before: u8,
    pub(super) told: u8,
    /// Where the first of them begins, counted from the run's first byte.
    pub(super) at: i16,
}

/// For each row the block by which it is found, and for each further run of `own` that it has, too.
/// Empty where a row has none of `own`.
pub(super) fn placed(rows: &Rows, runs: &Runs, own: &[RunId]) -> Vec<Placed> {
    let mut all = Vec::new();
    for (row, index) in rows.alternatives.iter().zip(0..) {
        let blocks = blocks(rows, row);
        let before = all.len();
        for run in own {
            let place = blocks.iter().find_map(|block| {
                let at = block.place_in(runs, *run)?;
                let (skipped, told) = block.told(runs, *run, at);
                Some(Placed {
                    run: *run,
                    row: index,
                    before: block.from.checked_add(u8::try_from(skipped.0).ok()?)?,
                    told,
                    at: at.checked_add(i16::try_from(skipped.1).ok()?)?,
                })
            });
            all.extend(place);
        }
        if all.len() == before {
            return Vec::new();
        }
    }
    all
}

/// What stands where a block is matched, in a line of ASCII.
struct Block {
    from: u8,
    /// For each of its codes, what byte it stands for; `None` for a look.
    codes: Vec<Option<ByteSet>>,
    /// Of the bytes before it, the nearest one first.
    before: Vec<ByteSet>,
    /// Of its own bytes, then of those behind it.
    sets: Vec<ByteSet>,
}

impl Block {
    /// Where the block begins, counted from the first byte of the run that stands about it; `None`
    /// where the run may stand elsewhere.
    fn place_in(&self, runs: &Runs, run: RunId) -> Option<i16> {
        let length = runs.length(run);
        let set_at = |at: isize| match usize::try_from(at) {
            Ok(at) => self.sets.get(at),
            Err(_) => self.before.get(at.unsigned_abs() - 1),
        };
        let first = -self.before.len().cast_signed();
        let starts = first..self.sets.len().cast_signed();
        let stands = |start: &isize| {
            (0..length).all(|index| {
                let set = set_at(start + index).copied().unwrap_or(ByteSet::ALL);
                set.is_within(runs.set(run, index))
            })
        };
        let start = starts.into_iter().find(stands)?;
        i16::try_from(-start).ok()
    }

    /// The longest stretch of the block that the run vouches for, the block being at `at`: how many
    /// codes and how many bytes stand before it in the block, and its length.
    fn told(&self, runs: &Runs, run: RunId, at: i16) -> ((usize, usize), u8) {
        let mut best = ((0, 0), 0u8);
        let (mut bytes, mut start, mut length) = (0, (0, 0), 0u8);
        for (code, index) in self.codes.iter().zip(0..) {
            let place = isize::from(at) + isize::try_from(bytes).unwrap_or(isize::MAX);
            let is_told = code.is_some_and(|set| runs.set(run, place).is_within(set));
            if is_told {
                if length == 0 {
                    start = (index, bytes);
                }
                length = length.saturating_add(1);
                if length > best.1 {
                    best = (start, length);
                }
            } else {
                length = 0;
            }
            bytes += usize::from(code.is_some());
        }
        best
    }
}

fn blocks(rows: &Rows, row: &Row) -> Vec<Block> {
    let codes = rows.codes.get(usize::from(row.start)..usize::from(row.end));
    let codes = codes.unwrap_or_default();
    let is_repeat = |code: &u8| matches!(Code::of(*code), Code::Repeat(_));
    let mut blocks = Vec::new();
    let mut from = 0;
    for block in codes.split(is_repeat) {
        let to = from + block.len();
        let last = |index: Option<usize>| Some(*codes.get(index?)?);
        let (before, behind) = (last(from.checked_sub(1)), last(Some(to)));
        let of_codes: Vec<_> = block.iter().map(|code| rows.bytes(*code)).collect();
        let own: Vec<ByteSet> = of_codes.iter().copied().flatten().collect();
        if let (Some(first), Some(end)) = (own.first(), own.last())
            && let Ok(start) = u8::try_from(from)
        {
            let leading = block.iter().map_while(|code| look(*code));
            let trailing = block.iter().rev().map_while(|code| look(*code));
            let ahead = around(
                rows,
                before,
                leading.map(|look| look.beside(*first, Side::Left)),
            );
            let after = around(
                rows,
                behind,
                trailing.map(|look| look.beside(*end, Side::Right)),
            );
            blocks.push(Block {
                from: start,
                codes: of_codes,
                before: ahead,
                sets: own.iter().copied().chain(after).collect(),
            });
        }
        from = to + 1;
    }
    blocks
}

fn look(code: u8) -> Option<Look> {
    match Code::of(code) {
        Code::Look(look) => Some(look),
        Code::Byte(_) | Code::Set(_) | Code::Repeat(_) => None,
    }
}

/// What the bytes beside a block may be, the nearest one first: those of the repeat there, if there
/// is one, and what the looks between allow.
fn around(rows: &Rows, repeat: Option<u8>, looks: impl Iterator<Item = ByteSet>) -> Vec<ByteSet> {
    /// Of a longer repeat no more is of use.
    const MOST: u16 = 16;
    let repeat = repeat.and_then(|code| match Code::of(code) {
        Code::Repeat(index) => rows.repeats.get(usize::from(index)),
        Code::Byte(_) | Code::Set(_) | Code::Look(_) => None,
    });
    let mut sets = Vec::new();
    if let Some(Repeat { set, least, .. }) = repeat {
        let set = rows.sets.get(usize::from(*set)).map(Set::bytes_of);
        let set = set.unwrap_or(ByteSet::ALL);
        sets.resize((*least).min(MOST).into(), set);
    }
    let allowed = looks.fold(ByteSet::ALL, ByteSet::intersection);
    match sets.first_mut() {
        Some(nearest) => *nearest = nearest.intersection(allowed),
        None => sets.push(allowed),
    }
    sets
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

impl Look {
    /// What may stand beside a byte of `set` on that side, where this holds between the two: in the
    /// line, or outside of it, where a LF or the CR of a terminator stands.
    fn beside(self, set: ByteSet, side: Side) -> ByteSet {
        let word = Set::WORD.bytes_of();
        let not_word = word.complement();
        let (is_word, is_none) = (set.is_within(word), set.is_within(not_word));
        match (self, side) {
            (Self::Start, Side::Left) => ByteSet::of(b'\n'),
            (Self::End, Side::Right) => ByteSet::of(b'\n').union(ByteSet::of(b'\r')),
            (Self::Word, _) if is_word => ascii(not_word),
            (Self::Word, _) if is_none => word,
            (Self::NotWord, _) if is_word => word,
            (Self::NotWord, _) if is_none => ascii(not_word),
            _ => ByteSet::ALL,
        }
    }
}

/// The line is ASCII, and so is what stands for its surroundings.
fn ascii(set: ByteSet) -> ByteSet {
    set.intersection(ByteSet::of_range(0, 0x7F))
}

impl Rows {
    /// What a code stands for that is one byte.
    fn bytes(&self, code: u8) -> Option<ByteSet> {
        match Code::of(code) {
            Code::Byte(byte) => Some(ByteSet::of(byte)),
            Code::Set(set) => Some(self.sets.get(usize::from(set))?.bytes_of()),
            Code::Repeat(_) | Code::Look(_) => None,
        }
    }
}

impl Set {
    /// `\w` of ASCII.
    const WORD: Self = Self([0x03FF_0000_0000_0000, 0x07FF_FFFE_87FF_FFFE]);

    fn bytes_of(&self) -> ByteSet {
        let mut set = ByteSet::default();
        for byte in (0..0x80).filter(|byte| self.contains(*byte)) {
            set.insert(byte);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_letters_digits_and_the_underscore() {
        for byte in 0..=u8::MAX {
            let is_word = byte.is_ascii_alphanumeric() || byte == b'_';
            assert_eq!(Set::WORD.contains(byte), is_word, "{byte}");
        }
    }
}
