//! The runs of all rules, stored side by side: what a place in the text is held against, byte for
//! byte, before a rule is asked.
//!
//! Most sets of a run are one byte, or a letter in both cases: eight of those are compared at once,
//! as a word. The few others are looked at one by one, behind them.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use super::need::{ByteSet, Meaning, Run, fold};

/// Index of a run in [`Runs`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RunId(u32);

impl RunId {
    pub(super) fn of(index: u32) -> Self {
        Self(index)
    }

    /// Below [`Runs::len`].
    pub(super) fn index(self) -> usize {
        let Self(index) = self;
        index as usize
    }
}

/// What became of holding a run against a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stands {
    pub(super) run: RunId,
    /// Where its first byte is, or would be: a run may begin outside of the text.
    pub(super) at: isize,
    /// Of a byte that is certainly in the line.
    pub(super) inside: usize,
    /// What it means for the line.
    pub(super) meaning: Meaning,
}

/// All runs. Sets that are no word's stand once: there are few.
#[derive(Debug, Default)]
pub(super) struct Runs {
    sets: Vec<ByteSet>,
    words: Vec<Word>,
    others: Vec<Other>,
    stored: Vec<Stored>,
}

/// Eight sets of a run: a byte is one of its set when, with the bits of `fold` set, it is that of
/// `text`, as far as `mask` goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Word {
    fold: u64,
    mask: u64,
    text: u64,
}

/// A set that a word cannot tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Other {
    /// Where in the run.
    at: u16,
    /// Index into [`Runs::sets`].
    set: u16,
}

#[derive(Clone, Copy, Debug)]
struct Stored {
    first_word: u32,
    first_other: u32,
    length: u16,
    others: u16,
    inside: u16,
    meaning: Meaning,
}

/// Stores runs, equal ones and equal sets once.
#[derive(Debug, Default)]
pub(super) struct RunsBuilder {
    runs: Runs,
    known_sets: HashMap<ByteSet, u16>,
    /// By a hash of all that is stored of a run. Where two runs have one, both are stored.
    known: HashMap<u64, RunId>,
    hashes: BuildHasherDefault<DefaultHasher>,
}

const SETS_OF_A_WORD: usize = 8;

impl RunsBuilder {
    /// Of a longer run only so much is held against the text about the window.
    const MOST_SETS: usize = 256;

    /// Stores `run`; also gives where in it the set at `at` stands, as its beginning may be left out.
    /// `None` when all runs together are too many.
    pub(super) fn add(&mut self, run: &Run, at: isize) -> Option<(RunId, isize)> {
        let from = usize::try_from(at).unwrap_or(0);
        // A part is not the whole, so it makes nothing certain.
        let (skipped, meaning) = if run.sets.len() <= Self::MOST_SETS {
            (0, run.meaning)
        } else {
            (
                from.min(run.sets.len() - Self::MOST_SETS),
                Meaning::Possible,
            )
        };
        let part = run.sets.get(skipped..).unwrap_or_default();
        let part = part.get(..Self::MOST_SETS).unwrap_or(part);
        // The CR of a terminator is no part of the line. Sets that hold LF, too, mean what is
        // outside of it.
        let may_end_behind = |set: &ByteSet| set.contains(b'\r') && !set.contains(b'\n');
        let meaning = if run.sets.iter().any(may_end_behind) {
            Meaning::Possible
        } else {
            meaning
        };
        // Only look sets are outside, and they stand at a run's ends.
        let inside = run.inside.saturating_sub(skipped).min(part.len() - 1);
        let id = self.stored(part, inside, meaning)?;
        Some((id, at - skipped.cast_signed()))
    }

    fn stored(&mut self, sets: &[ByteSet], inside: usize, meaning: Meaning) -> Option<RunId> {
        let (first_word, first_other) = (self.runs.words.len(), self.runs.others.len());
        for (index, sets) in sets.chunks(SETS_OF_A_WORD).enumerate() {
            let mut word = Word::default();
            for (offset, set) in sets.iter().enumerate() {
                if !word.tells(offset, *set) && *set != ByteSet::ALL {
                    let at = u16::try_from(SETS_OF_A_WORD * index + offset).ok()?;
                    let set = self.index(set)?;
                    self.runs.others.push(Other { at, set });
                }
            }
            self.runs.words.push(word);
        }
        let stored = Stored {
            first_word: u32::try_from(first_word).ok()?,
            first_other: u32::try_from(first_other).ok()?,
            length: u16::try_from(sets.len()).ok()?,
            others: u16::try_from(self.runs.others.len() - first_other).ok()?,
            inside: u16::try_from(inside).ok()?,
            meaning,
        };
        let hash = self.hashes.hash_one((sets, inside, meaning));
        if let Some(known) = self.known.get(&hash)
            && self.runs.are_equal(*known, &stored)
        {
            self.runs.words.truncate(first_word);
            self.runs.others.truncate(first_other);
            return Some(*known);
        }
        let id = RunId(u32::try_from(self.runs.stored.len()).ok()?);
        self.runs.stored.push(stored);
        self.known.insert(hash, id);
        Some(id)
    }

    fn index(&mut self, set: &ByteSet) -> Option<u16> {
        if let Some(index) = self.known_sets.get(set) {
            return Some(*index);
        }
        let index = u16::try_from(self.runs.sets.len()).ok()?;
        self.runs.sets.push(*set);
        self.known_sets.insert(*set, index);
        Some(index)
    }

    pub(super) fn finish(self) -> Runs {
        let mut runs = self.runs;
        runs.sets.shrink_to_fit();
        runs.words.shrink_to_fit();
        runs.others.shrink_to_fit();
        runs.stored.shrink_to_fit();
        runs
    }
}

impl Word {
    /// Takes `set` for the byte at `offset`, if it can.
    fn tells(&mut self, offset: usize, set: ByteSet) -> bool {
        let (Some(first), folded) = (set.iter().next(), set.folded()) else {
            return false;
        };
        if set.len() > 2 || folded.len() > 1 {
            return false;
        }
        let (text, bits) = if set.len() == 1 {
            (first, 0)
        } else {
            (fold(first), fold(0))
        };
        let shift = 8 * offset;
        self.text |= u64::from(text) << shift;
        self.fold |= u64::from(bits) << shift;
        self.mask |= 0xff << shift;
        true
    }
}

impl Stored {
    fn words(&self) -> std::ops::Range<usize> {
        let first = self.first_word as usize;
        first..first + usize::from(self.length).div_ceil(SETS_OF_A_WORD)
    }

    fn others(&self) -> std::ops::Range<usize> {
        let first = self.first_other as usize;
        first..first + usize::from(self.others)
    }
}

impl Runs {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.stored.len()
    }

    /// How many sets the run has.
    pub(super) fn length(&self, run: RunId) -> isize {
        let stored = self.stored.get(run.index());
        stored.map_or(0, |stored| isize::try_from(stored.length).unwrap_or(0))
    }

    /// The byte that the run must have at `at`, folded, where it is one.
    pub(super) fn folded_byte(&self, RunId(run): RunId, at: isize) -> Option<u8> {
        let stored = self.stored.get(run as usize)?;
        let at = usize::try_from(at).ok()?;
        let words = self.words.get(stored.words())?;
        let word = words.get(at / SETS_OF_A_WORD)?;
        let offset = at % SETS_OF_A_WORD;
        let byte = |bits: u64| bits.to_le_bytes().get(offset).copied();
        (byte(word.mask)? != 0).then_some(fold(byte(word.text)?))
    }

    /// What the run's byte at `at` may be; any where it has none.
    pub(super) fn set(&self, run: RunId, at: isize) -> ByteSet {
        self.known_set(run, at).unwrap_or(ByteSet::ALL)
    }

    fn known_set(&self, RunId(run): RunId, at: isize) -> Option<ByteSet> {
        let stored = self.stored.get(run as usize)?;
        let others = self.others.get(stored.others())?;
        if let Some(other) = others
            .iter()
            .find(|other| isize::try_from(other.at) == Ok(at))
        {
            return self.sets.get(usize::from(other.set)).copied();
        }
        let at = usize::try_from(at).ok()?;
        let word = self.words.get(stored.words())?.get(at / SETS_OF_A_WORD)?;
        let byte = |bits: u64| bits.to_le_bytes().get(at % SETS_OF_A_WORD).copied();
        let (text, fold) = (byte(word.text)?, byte(word.fold)?);
        let both = ByteSet::of(text).union(ByteSet::of(text & !fold));
        (byte(word.mask)? != 0).then_some(both)
    }

    fn are_equal(&self, RunId(known): RunId, stored: &Stored) -> bool {
        let Some(known) = self.stored.get(known as usize) else {
            return false;
        };
        known.length == stored.length
            && known.inside == stored.inside
            && known.meaning == stored.meaning
            && self.words.get(known.words()) == self.words.get(stored.words())
            && self.others.get(known.others()) == self.others.get(stored.others())
    }

    /// Whether the run stands in `lines` with its first byte at `at`; what is outside of `lines`
    /// counts as LF.
    #[inline]
    pub(super) fn stands(&self, id: RunId, lines: &[u8], at: isize) -> Option<Stands> {
        let stored = self.stored.get(id.index())?;
        let words = self.words.get(stored.words())?;
        for (word, place) in words.iter().zip((at..).step_by(SETS_OF_A_WORD)) {
            if (word_at(lines, place) | word.fold) & word.mask != word.text {
                return None;
            }
        }
        for other in self.others.get(stored.others())? {
            let byte = byte_at(lines, at + isize::try_from(other.at).ok()?);
            let set = self.sets.get(usize::from(other.set))?;
            if !set.contains(byte) {
                return None;
            }
        }
        let inside = usize::try_from(at + isize::try_from(stored.inside).ok()?).ok()?;
        if inside >= lines.len() {
            return None;
        }
        let meaning = match stored.meaning {
            Meaning::Certain if is_ascii(lines, at, stored.length.into()) => Meaning::Certain,
            _ => Meaning::Possible,
        };
        Some(Stands {
            run: id,
            at,
            inside,
            meaning,
        })
    }
}

/// Whether the bytes of `lines` from `at` on, `length` of them, are ASCII.
fn is_ascii(lines: &[u8], at: isize, length: usize) -> bool {
    let end = at.saturating_add_unsigned(length);
    let start = usize::try_from(at).unwrap_or(0);
    let end = usize::try_from(end).unwrap_or(0).min(lines.len());
    lines.get(start..end).is_none_or(<[u8]>::is_ascii)
}

/// The eight bytes at `place`, the first one lowest; LF outside of `lines`.
#[inline]
pub(super) fn word_at(lines: &[u8], place: isize) -> u64 {
    let within = usize::try_from(place)
        .ok()
        .and_then(|place| lines.get(place..)?.first_chunk());
    let bytes = within
        .copied()
        .unwrap_or_else(|| bytes_near_end(lines, place));
    u64::from_le_bytes(bytes)
}

#[cold]
fn bytes_near_end(lines: &[u8], place: isize) -> [u8; 8] {
    let mut places = place..;
    std::array::from_fn(|_| byte_at(lines, places.next().unwrap_or(isize::MAX)))
}

/// The byte at `place`, LF outside of `lines`.
pub(super) fn byte_at(lines: &[u8], place: isize) -> u8 {
    usize::try_from(place)
        .ok()
        .and_then(|place| lines.get(place).copied())
        .unwrap_or(b'\n')
}
