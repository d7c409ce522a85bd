//! The lines that a rule may accept, each pair of the two once, brought into order.

use std::ops::Range;

use super::need::Meaning;
use super::runs::{RunId, Stands};
use crate::model::Text;

/// A rule and a line, in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    /// Where the line starts, or the record that it is of.
    pub(super) start: usize,
    /// Where it ends, its terminator not counted.
    pub(super) end: usize,
    /// Index of the rule in the plan.
    pub(super) rule: u32,
    /// Certain first: of two the first one counts.
    pub(super) is_possible: bool,
    /// Where the one run of the rule stands that is in the line; `None` where there may be others.
    pub(super) only: Option<Stand>,
}

/// A run, and where in the line its first byte is: a run may begin before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stand {
    pub(super) run: RunId,
    pub(super) at: i32,
}

/// When something was last found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stamp {
    turn: u32,
    /// Index of the candidate.
    found: u32,
    /// The start of the line.
    start: usize,
}

/// Collects candidates of a piece of text. Warm, it allocates nothing; and it never holds more than
/// [`Candidates::MOST`], or one for each rule.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    found: Vec<Candidate>,
    /// More than this are not taken.
    most: usize,
    /// Some were not taken.
    is_over: bool,
    /// For each rule.
    stamps: Vec<Stamp>,
    /// For each crowd the turn and the start of the line that it was last found in.
    crowds: Vec<(u32, usize)>,
    turn: u32,
    /// The records of several lines.
    records: Vec<Range<usize>>,
    /// The record found last: hits come in clusters.
    last: Record,
}

/// A line, or what several were joined to.
#[derive(Clone, Debug, Default)]
struct Record {
    /// Without its terminator.
    place: Range<usize>,
    is_joined: bool,
}

impl Candidates {
    /// Room for all of an ordinary piece, many times over; some megabytes.
    pub(super) const MOST: usize = 64 * 1024;

    /// Ready for a piece of text, so many rules and so many crowds; `records`: those of several lines
    /// in it. It may go from one matcher to another.
    pub(super) fn begin(&mut self, rules: usize, crowds: usize, records: &[Range<usize>]) {
        self.found.clear();
        self.most = Self::MOST.max(rules);
        self.is_over = false;
        self.records.clear();
        self.records.extend_from_slice(records);
        self.last = Record::default();
        self.turn = self.turn.wrapping_add(1);
        if self.turn == 0 {
            // Once in four billion batches old stamps would look new.
            self.stamps.clear();
            self.crowds.clear();
            self.turn = 1;
        }
        if self.crowds.len() < crowds {
            self.crowds.resize(crowds, (0, 0));
        }
        if self.stamps.len() < rules {
            self.stamps.resize(rules, Stamp::default());
        }
    }

    /// Makes the turn wrap within a few batches.
    #[cfg(test)]
    pub(super) fn wrap_soon(&mut self) {
        self.turn = u32::MAX - 5;
    }

    /// How many there is memory for.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.found.capacity()
    }

    /// Whether there were more candidates than are held: the piece is to be searched in parts. One
    /// record never has so many.
    #[inline]
    pub(super) fn are_too_many(&self) -> bool {
        self.is_over
    }

    /// The run of the crowd with this index stands in `lines`: gives the record, once.
    pub(super) fn crowd(
        &mut self,
        lines: &[u8],
        stands: Stands,
        index: usize,
    ) -> Option<Range<usize>> {
        let place = self.record_about(lines, stands).place.clone();
        let stamp = (self.turn, place.start);
        let last = self.crowds.get_mut(index)?;
        (std::mem::replace(last, stamp) != stamp).then_some(place)
    }

    #[inline]
    fn record_about(&mut self, lines: &[u8], stands: Stands) -> &Record {
        if !self.last.place.contains(&stands.inside) {
            let text = Text {
                bytes: lines,
                records: &self.records,
            };
            self.last = Record {
                place: text.about(stands.inside),
                is_joined: text.is_joined_at(stands.inside),
            };
        }
        &self.last
    }

    /// A run of `rule` stands in `lines`. Every place where one does is told, or [`Self::add_any`] is
    /// called.
    #[inline]
    pub(super) fn add(&mut self, lines: &[u8], stands: Stands, rule: u32) {
        let record = self.record_about(lines, stands);
        let from = isize::try_from(record.place.start).unwrap_or(isize::MAX);
        let only = i32::try_from(stands.at - from).ok().map(|at| Stand {
            run: stands.run,
            at,
        });
        self.add_in_last(rule, stands.meaning, only);
    }

    /// The same, where further runs of `rule` in the line may go untold.
    pub(super) fn add_any(&mut self, lines: &[u8], stands: Stands, rule: u32) {
        self.record_about(lines, stands);
        self.add_in_last(rule, stands.meaning, None);
    }

    /// What was found in a line of a record was found in the record. Whether it makes the rule's mind
    /// up is not known there: an anchor may have been held against the end of a line within.
    #[inline]
    fn add_in_last(&mut self, rule: u32, meaning: Meaning, only: Option<Stand>) {
        let Record { place, is_joined } = &self.last;
        let only = only.filter(|_| !is_joined);
        let Some(last) = self.stamps.get_mut(rule as usize) else {
            return;
        };
        if last.turn == self.turn && last.start == place.start {
            if let Some(known) = self.found.get_mut(last.found as usize)
                && known.only != only
            {
                known.only = None;
            }
            return;
        }
        if self.found.len() == self.most {
            self.is_over = true;
            return;
        }
        *last = Stamp {
            turn: self.turn,
            // More than there is memory for.
            found: u32::try_from(self.found.len()).unwrap_or(u32::MAX),
            start: place.start,
        };
        self.found.push(Candidate {
            start: place.start,
            end: place.end,
            rule,
            is_possible: meaning == Meaning::Possible || *is_joined,
            only,
        });
    }

    /// Those of the batch: lines ascending, rules ascending, each pair once.
    pub(super) fn sorted(&mut self) -> &[Candidate] {
        self.found.sort_unstable();
        self.found.dedup_by(|next, kept| {
            let is_same = (next.start, next.rule) == (kept.start, kept.rule);
            if is_same && next.only != kept.only {
                kept.only = None;
            }
            is_same
        });
        &self.found
    }
}
