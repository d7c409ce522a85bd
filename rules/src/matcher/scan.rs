//! The scan of a batch: the tiers one after the other over each piece of it, then the candidates
//! in order.

use std::ops::Range;

use super::automaton::{Automaton, Found};
use super::candidates::{Candidate, Candidates};
use super::confirm::LineFields;
use super::index::{Hits, Index};
use super::kernel::{BLOCK, Kernel};
use super::runs::Runs;
use super::weak::{Masks, Pass};
use crate::model::line::line_about;

/// Whole lines of about so many bytes go through all tiers before the next ones: they fit into the
/// second-level cache, with the tables.
const PIECE_BYTES: usize = 256 * 1024;

/// Everything that finds candidates.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) kernel: Kernel,
    pub(super) runs: Runs,
    pub(super) index: Option<Index>,
    pub(super) passes: Vec<Pass>,
    pub(super) automaton: Option<Automaton>,
    /// Rules that are asked on every line, ascending.
    pub(super) every_line: Vec<u32>,
}

/// Memory that a scan reuses: warm, a scan allocates nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) candidates: Candidates,
    hits: Hits,
    masks: Masks,
    found: Found,
    fields: LineFields,
}

/// Asks a rule about the line at a place.
type Ask<'a> = dyn FnMut(Candidate, &mut LineFields) + 'a;

impl Search {
    /// Calls `ask` with every line, and each rule to be asked about it, for which there are any:
    /// lines ascending, rules ascending, none twice. `rules`: how many there are.
    pub(super) fn scan(
        &self,
        lines: &[u8],
        rules: usize,
        scratch: &mut Scratch,
        ask: &mut Ask<'_>,
    ) {
        let mut from = 0;
        while let Some(rest) = lines.get(from..).filter(|rest| !rest.is_empty()) {
            let piece = rest.get(..piece_end(rest)).unwrap_or(rest);
            let ask = &mut |candidate: Candidate, fields: &mut LineFields| {
                let candidate = Candidate {
                    start: from + candidate.start,
                    end: from + candidate.end,
                    ..candidate
                };
                ask(candidate, fields);
            };
            self.scan_piece(piece, rules, scratch, ask);
            from += piece.len();
        }
    }

    fn scan_piece(&self, lines: &[u8], rules: usize, scratch: &mut Scratch, ask: &mut Ask<'_>) {
        let candidates = &mut scratch.candidates;
        candidates.begin(rules, self.index.as_ref().map_or(0, Index::crowds));
        let (hits, masks) = (&mut scratch.hits, &mut scratch.masks);
        self.kernel.run(|| {
            for from in (0..lines.len()).step_by(Index::PIECE_BLOCKS * BLOCK) {
                if let Some(index) = &self.index {
                    index.search(lines, from, &self.runs, hits, candidates);
                }
                for pass in &self.passes {
                    pass.search(lines, from, &self.runs, masks, candidates);
                }
            }
        });
        let candidates = scratch.candidates.sorted();
        if self.automaton.is_some() || !self.every_line.is_empty() {
            self.every_line(
                lines,
                candidates,
                &mut scratch.found,
                &mut scratch.fields,
                ask,
            );
            return;
        }
        let mut last = usize::MAX;
        for candidate in candidates {
            if candidate.start != last {
                last = candidate.start;
                scratch.fields.next_line();
            }
            ask(*candidate, &mut scratch.fields);
        }
    }

    /// Asks the rules of the last tiers about each line, together with those that were found there.
    fn every_line(
        &self,
        lines: &[u8],
        mut candidates: &[Candidate],
        found: &mut Found,
        fields: &mut LineFields,
        ask: &mut Ask<'_>,
    ) {
        let mut from = 0;
        while from < lines.len() {
            let Range { start, end } = line_about(lines, from);
            from = behind(lines, end);
            fields.next_line();
            let here = candidates.partition_point(|candidate| candidate.start == start);
            let (of_line, rest) = candidates.split_at(here);
            candidates = rest;
            let line = lines.get(start..end).unwrap_or_default();
            let of_automaton = self
                .automaton
                .as_ref()
                .map(|automaton| automaton.find(line, found));
            let mut asked: [&mut dyn Iterator<Item = (u32, bool)>; 3] = [
                &mut of_line
                    .iter()
                    .map(|candidate| (candidate.rule, candidate.is_possible)),
                &mut of_automaton.unwrap_or_default().iter().copied(),
                &mut self.every_line.iter().map(|rule| (*rule, true)),
            ];
            merge(&mut asked, &mut |rule, is_possible| {
                let candidate = Candidate {
                    start,
                    end,
                    rule,
                    is_possible,
                };
                ask(candidate, fields);
            });
        }
    }
}

/// Calls `each` for what three ascending lists hold, ascending, each rule once: a rule whose runs
/// found room in part only is in two of them.
fn merge(lists: &mut [&mut dyn Iterator<Item = (u32, bool)>; 3], each: &mut dyn FnMut(u32, bool)) {
    let [a, b, c] = lists;
    let mut heads = [a.next(), b.next(), c.next()];
    // Of two heads of one rule the certain one is less.
    while let Some((rule, is_possible)) = heads.iter().flatten().min().copied() {
        each(rule, is_possible);
        let is_same = |head: &Option<(u32, bool)>| head.is_some_and(|(other, _)| other == rule);
        let [head_a, head_b, head_c] = &mut heads;
        if is_same(head_a) {
            *head_a = a.next();
        }
        if is_same(head_b) {
            *head_b = b.next();
        }
        if is_same(head_c) {
            *head_c = c.next();
        }
    }
}

/// Where the first piece of `lines` ends: behind a LF, or at their end.
fn piece_end(lines: &[u8]) -> usize {
    if lines.len() <= PIECE_BYTES + PIECE_BYTES / 2 {
        return lines.len();
    }
    let (head, tail) = lines.split_at(PIECE_BYTES);
    match memchr::memrchr(b'\n', head) {
        Some(lf) => lf + 1,
        None => memchr::memchr(b'\n', tail).map_or(lines.len(), |lf| PIECE_BYTES + lf + 1),
    }
}

/// The start of the line behind the one that ends at `end` (its terminator not counted).
fn behind(lines: &[u8], end: usize) -> usize {
    match lines.get(end..) {
        Some([b'\n', ..]) => end + 1,
        Some([b'\r', b'\n', ..]) => end + 2,
        _ => lines.len(),
    }
}
