//! The lines that a rule may accept, each pair of the two once, brought into order.

use std::ops::Range;

use super::need::Meaning;
use super::runs::Stands;
use crate::model::line::line_about;

/// A rule and a line, in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    /// Where the line starts.
    pub(super) start: usize,
    /// Where it ends, its terminator not counted.
    pub(super) end: usize,
    /// Index of the rule in the plan.
    pub(super) rule: u32,
    /// Certain first: of two the first one counts.
    pub(super) is_possible: bool,
}

/// Collects candidates of one batch. Warm, it allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    found: Vec<Candidate>,
    /// For each rule the turn and the start of the line that it was last found in.
    stamps: Vec<(u32, usize)>,
    /// The same for each crowd.
    crowds: Vec<(u32, usize)>,
    turn: u32,
    /// The line found last: hits come in clusters.
    line: Range<usize>,
}

impl Candidates {
    /// Ready for a batch, so many rules and so many crowds. It may go from one matcher to another.
    pub(super) fn begin(&mut self, rules: usize, crowds: usize) {
        self.found.clear();
        self.line = 0..0;
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
            self.stamps.resize(rules, (0, 0));
        }
    }

    /// Makes the turn wrap within a few batches.
    #[cfg(test)]
    pub(super) fn wrap_soon(&mut self) {
        self.turn = u32::MAX - 5;
    }

    /// The run of the crowd with this index stands in `lines`: gives the line, once.
    pub(super) fn crowd(
        &mut self,
        lines: &[u8],
        stands: Stands,
        index: usize,
    ) -> Option<Range<usize>> {
        let line = self.line_about(lines, stands);
        let stamp = (self.turn, line.start);
        let last = self.crowds.get_mut(index)?;
        (std::mem::replace(last, stamp) != stamp).then_some(line)
    }

    #[inline]
    fn line_about(&mut self, lines: &[u8], stands: Stands) -> Range<usize> {
        if !self.line.contains(&stands.inside) {
            self.line = line_about(lines, stands.inside);
        }
        self.line.clone()
    }

    /// A run of `rule` stands in `lines`.
    #[inline]
    pub(super) fn add(&mut self, lines: &[u8], stands: Stands, rule: u32) {
        let line = self.line_about(lines, stands);
        let stamp = (self.turn, line.start);
        let Some(last) = self.stamps.get_mut(rule as usize) else {
            return;
        };
        if *last != stamp {
            *last = stamp;
            self.found.push(Candidate {
                start: line.start,
                end: line.end,
                rule,
                is_possible: stands.meaning == Meaning::Possible,
            });
        }
    }

    /// Those of the batch: lines ascending, rules ascending, each pair once.
    pub(super) fn sorted(&mut self) -> &[Candidate] {
        self.found.sort_unstable();
        self.found
            .dedup_by_key(|candidate| (candidate.start, candidate.rule));
        &self.found
    }
}
