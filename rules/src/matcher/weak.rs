//! Rules without a window: a few sets of one of their runs are looked for at every byte, eight runs
//! in one pass. Dearer than the sieve by far, and cheaper by far than asking on every line.

use std::borrow::Borrow;

use super::candidates::Candidates;
use super::frequency::Frequencies;
use super::kernel::classes::Classes;
use super::kernel::{BLOCK, Kernel};
use super::need::{ByteSet, Need, Run};
use super::runs::{RunId, Runs, RunsBuilder, byte_at};

/// A part of a run, owned or not, that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part<R> {
    pub(super) run: R,
    /// Index of its first set.
    pub(super) at: usize,
    pub(super) length: usize,
}

/// What is looked for on behalf of one rule: one of these is in every line that it accepts.
#[derive(Clone, Debug)]
pub(super) struct Choice<'n> {
    pub(super) parts: Vec<Part<&'n Run>>,
    /// How often they begin in [`Frequencies::OF_BYTES`] of text.
    pub(super) count: u64,
}

/// Bytes of the sample that parts are counted in: there may be hundreds of rules.
const COUNTED_BYTES: usize = 64 * 1024;
/// Places in a run where a part may begin.
const MOST_PLACES: usize = 24;

impl Part<&Run> {
    /// With a run of its own.
    pub(super) fn cloned(&self) -> Part<Run> {
        Part {
            run: self.run.clone(),
            at: self.at,
            length: self.length,
        }
    }
}

impl<R: Borrow<Run>> Part<R> {
    pub(super) fn sets(&self) -> &[ByteSet] {
        let sets = self.run.borrow().sets.get(self.at..self.at + self.length);
        sets.unwrap_or_default()
    }
}

/// Whether [`choose`] finds something in `need`; quickly.
pub(super) fn has_parts(need: &Need) -> bool {
    match need {
        Need::Run(_) => true,
        Need::All(needs) => needs.iter().any(has_parts),
        Need::Any(needs) => needs.iter().all(has_parts),
    }
}

/// The parts of `need` that are rarest; `None` where it has none. More than `most` of them are not
/// counted any further.
pub(super) fn choose<'n>(
    need: &'n Need,
    frequencies: &Frequencies,
    most: usize,
) -> Option<Choice<'n>> {
    match need {
        Need::Run(run) => {
            let length = run.sets.len().min(Classes::SETS);
            let most = run.sets.len().min(MOST_PLACES - 1 + length);
            let sets = run.sets.get(..most).unwrap_or(&run.sets);
            let counts = frequencies.count_parts(sets, length, COUNTED_BYTES);
            let parts = (0..).map(|at| Part { run, at, length });
            let rarest = counts.into_iter().zip(parts);
            rarest
                .min_by_key(|(count, _)| *count)
                .map(|(count, part)| Choice {
                    parts: vec![part],
                    count,
                })
        }
        Need::All(needs) => needs
            .iter()
            .filter_map(|need| choose(need, frequencies, most))
            .min_by_key(|choice| (choice.count, choice.parts.len())),
        Need::Any(needs) => {
            let mut all = Choice {
                parts: Vec::new(),
                count: 0,
            };
            for need in needs {
                if all.parts.len() > most {
                    break;
                }
                let choice = choose(need, frequencies, most)?;
                all.count += choice.count;
                all.parts.extend(choice.parts);
                all.parts.dedup();
            }
            Some(all)
        }
    }
}

/// Up to eight parts.
#[derive(Debug)]
pub(super) struct Pass {
    classes: Classes,
    /// One for each bit.
    owners: Vec<Owner>,
}

#[derive(Clone, Copy, Debug)]
struct Owner {
    /// Index of the rule in the plan.
    rule: u32,
    run: RunId,
    /// Index in the run of the part's first set.
    at: isize,
}

/// All passes over the parts of some rules.
pub(super) fn passes(
    kernel: Kernel,
    parts: &[(u32, Part<Run>)],
    runs: &mut RunsBuilder,
) -> Option<Vec<Pass>> {
    let mut passes = Vec::new();
    for parts in parts.chunks(Classes::RUNS) {
        let sets: Vec<&[ByteSet]> = parts.iter().map(|(_, part)| part.sets()).collect();
        let mut owners = Vec::new();
        for (rule, part) in parts {
            let (run, at) = runs.add(&part.run, part.at.cast_signed())?;
            owners.push(Owner {
                rule: *rule,
                run,
                at,
            });
        }
        passes.push(Pass {
            classes: Classes::new(kernel, &sets),
            owners,
        });
    }
    Some(passes)
}

/// Memory that a pass reuses.
#[derive(Debug)]
pub(super) struct Masks([u64; Pass::PIECE_BLOCKS * MASKS]);

/// Masks of a block.
const MASKS: usize = BLOCK / 64;

impl Default for Masks {
    fn default() -> Self {
        Self([0; Pass::PIECE_BLOCKS * MASKS])
    }
}

impl Pass {
    /// Its runs, and the rules that they are of.
    pub(super) fn owners(&self) -> impl Iterator<Item = (u32, RunId)> {
        self.owners.iter().map(|owner| (owner.rule, owner.run))
    }

    /// As of the grams' index: both look at a piece while it is in the first-level cache.
    const PIECE_BLOCKS: usize = super::index::Index::PIECE_BLOCKS;

    /// Finds the runs that stand in `lines` and whose part begins at `from` and on, up to `from`
    /// and so many blocks; with `from` 0 also those that begin before the first byte.
    #[inline]
    pub(super) fn search(
        &self,
        lines: &[u8],
        from: usize,
        runs: &Runs,
        masks: &mut Masks,
        candidates: &mut Candidates,
    ) {
        if from == 0 {
            self.confirm(lines, -1, runs, candidates);
        }
        let Some(text) = lines.get(from..) else {
            return;
        };
        let blocks = (text.len().saturating_sub(Classes::BEHIND) / BLOCK).min(Self::PIECE_BLOCKS);
        let whole = blocks * BLOCK;
        if let Some(text) = text.get(..whole + Classes::BEHIND) {
            self.classes.find(text, &mut masks.0);
            let found = masks
                .0
                .iter()
                .take(blocks * MASKS)
                .zip((from..).step_by(64));
            for (mask, start) in found {
                self.look(lines, *mask, start, runs, candidates);
            }
        }
        if blocks < Self::PIECE_BLOCKS {
            // Less than a block and the bytes behind it. What is outside of the lines counts as LF.
            let mut last = [b'\n'; 2 * BLOCK + Classes::BEHIND];
            let rest = text.get(whole..).unwrap_or_default();
            if let Some(place) = last.get_mut(..rest.len()) {
                place.copy_from_slice(rest);
            }
            let mut masks = [0; 2 * MASKS];
            self.classes.find(&last, &mut masks);
            for (mask, start) in masks.iter().zip((0..rest.len()).step_by(64)) {
                let left = rest.len() - start;
                let of_text = if left < 64 { (1 << left) - 1 } else { u64::MAX };
                self.look(
                    lines,
                    mask & of_text,
                    from + whole + start,
                    runs,
                    candidates,
                );
            }
        }
    }

    #[inline]
    fn look(
        &self,
        lines: &[u8],
        mut mask: u64,
        start: usize,
        runs: &Runs,
        candidates: &mut Candidates,
    ) {
        while mask != 0 {
            let place = start + mask.trailing_zeros() as usize;
            mask &= mask - 1;
            self.confirm(lines, place.cast_signed(), runs, candidates);
        }
    }

    /// Holds against the text at `place` the runs that may stand there.
    #[inline]
    fn confirm(&self, lines: &[u8], place: isize, runs: &Runs, candidates: &mut Candidates) {
        let within = usize::try_from(place)
            .ok()
            .and_then(|place| lines.get(place..)?.first_chunk());
        let mut places = place..;
        let bytes: [u8; Classes::SETS] = within.copied().unwrap_or_else(|| {
            std::array::from_fn(|_| byte_at(lines, places.next().unwrap_or(isize::MAX)))
        });
        let mut found = self.classes.runs_at(&bytes);
        while found != 0 {
            let bit = found.trailing_zeros() as usize;
            found &= found - 1;
            if let Some(owner) = self.owners.get(bit)
                && let Some(stands) = runs.stands(owner.run, lines, place - owner.at)
            {
                candidates.add(lines, stands, owner.rule);
            }
        }
    }
}
