//! The runs of all rules, stored side by side: what a place in the text is held against, byte for
//! byte, before a rule is asked.

use std::collections::HashMap;

use super::need::{ByteSet, Meaning, Run};

/// Index of a run in [`Runs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RunId(u32);

/// What became of holding a run against a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stands {
    /// Of a byte that is certainly in the line.
    pub(super) inside: usize,
    /// What it means for the line.
    pub(super) meaning: Meaning,
}

/// All runs. Sets are few and stand once: most hold one byte.
#[derive(Debug, Default)]
pub(super) struct Runs {
    sets: Vec<ByteSet>,
    /// Indexes into `sets`, run behind run.
    bytes: Vec<u16>,
    stored: Vec<Stored>,
}

#[derive(Clone, Copy, Debug)]
struct Stored {
    start: u32,
    end: u32,
    inside: u32,
    meaning: Meaning,
}

/// Stores runs, each set once.
#[derive(Debug, Default)]
pub(super) struct RunsBuilder {
    runs: Runs,
    known: HashMap<ByteSet, u16>,
}

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
        let part = run.sets.iter().skip(skipped).take(Self::MOST_SETS);
        let start = u32::try_from(self.runs.bytes.len()).ok()?;
        for set in part {
            let index = self.index(set)?;
            self.runs.bytes.push(index);
        }
        let end = u32::try_from(self.runs.bytes.len()).ok()?;
        // The CR of a terminator is no part of the line. Sets that hold LF, too, mean what is
        // outside of it.
        let may_end_behind = |set: &ByteSet| set.contains(b'\r') && !set.contains(b'\n');
        let meaning = if run.sets.iter().any(may_end_behind) {
            Meaning::Possible
        } else {
            meaning
        };
        // Only look sets are outside, and they stand at a run's ends.
        let inside = run
            .inside
            .saturating_sub(skipped)
            .min((end - start) as usize - 1);
        self.runs.stored.push(Stored {
            start,
            end,
            inside: u32::try_from(inside).ok()?,
            meaning,
        });
        let id = u32::try_from(self.runs.stored.len() - 1).ok()?;
        Some((RunId(id), at - skipped.cast_signed()))
    }

    fn index(&mut self, set: &ByteSet) -> Option<u16> {
        if let Some(index) = self.known.get(set) {
            return Some(*index);
        }
        let index = u16::try_from(self.runs.sets.len()).ok()?;
        self.runs.sets.push(*set);
        self.known.insert(*set, index);
        Some(index)
    }

    pub(super) fn finish(self) -> Runs {
        self.runs
    }
}

impl Runs {
    /// Whether the run stands in `lines` with its first byte at `at`; what is outside of `lines`
    /// counts as LF.
    #[inline]
    pub(super) fn stands(&self, run: RunId, lines: &[u8], at: isize) -> Option<Stands> {
        let stored = self.stored.get(run.0 as usize)?;
        let sets = self.bytes.get(stored.start as usize..stored.end as usize)?;
        let inside = usize::try_from(at + isize::try_from(stored.inside).ok()?).ok()?;
        let has = |index: u16, byte: u8| {
            let set = self.sets.get(usize::from(index));
            set.is_some_and(|set| set.contains(byte))
        };
        let mut all = 0;
        let within = usize::try_from(at)
            .ok()
            .and_then(|start| lines.get(start..start.checked_add(sets.len())?));
        if let Some(bytes) = within {
            for (index, byte) in sets.iter().zip(bytes) {
                if !has(*index, *byte) {
                    return None;
                }
                all |= byte;
            }
        } else {
            for (index, place) in sets.iter().zip(at..) {
                let byte = byte_at(lines, place);
                if !has(*index, byte) {
                    return None;
                }
                all |= byte;
            }
        }
        if inside >= lines.len() {
            return None;
        }
        let meaning = if all.is_ascii() {
            stored.meaning
        } else {
            Meaning::Possible
        };
        Some(Stands { inside, meaning })
    }
}

/// The byte at `place`, LF outside of `lines`.
pub(super) fn byte_at(lines: &[u8], place: isize) -> u8 {
    usize::try_from(place)
        .ok()
        .and_then(|place| lines.get(place).copied())
        .unwrap_or(b'\n')
}
