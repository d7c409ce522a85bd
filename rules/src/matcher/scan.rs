//! The scan of a batch: the tiers one after the other over each piece of it, then the candidates
//! in order.

use std::ops::Range;

use super::automaton::{Automaton, Found};
use super::candidates::{Candidate, Candidates};
use super::confirm::LineFields;
use super::index::{Hits, Index};
use super::kernel::{BLOCK, Kernel};
use super::runs::{RunId, Runs};
use super::weak::{Masks, Pass};
use crate::model::Text;

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
    /// Each rule with each of its runs, ascending.
    pub(super) owners: Box<[(u32, RunId)]>,
}

/// Memory that a scan reuses: warm, a scan allocates nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) candidates: Candidates,
    hits: Hits,
    masks: Masks,
    found: Found,
    fields: LineFields,
    /// The records of a piece.
    records: Vec<Range<usize>>,
}

impl Scratch {
    /// From now on lines have a field `peer` of this value; or none.
    pub fn set_peer(&mut self, peer: Option<&str>) {
        self.fields.set_peer(peer);
    }

    pub(super) fn fields(&mut self) -> &mut LineFields {
        &mut self.fields
    }
}

/// What became of a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// All rules that may accept a record of it were asked.
    Asked,
    /// There are too many of them to be held at once: none was asked. The piece has several records.
    TooMany,
}

/// Asks a rule about the line at a place.
type Ask<'a> = dyn FnMut(Candidate, &mut LineFields) + 'a;

impl Search {
    /// The runs of `rule` that are looked for.
    pub(super) fn runs_of(&self, rule: u32) -> Vec<RunId> {
        let from = self.owners.partition_point(|(owner, _)| *owner < rule);
        let owners = self.owners.get(from..).unwrap_or_default();
        let own = owners.iter().take_while(|(owner, _)| *owner == rule);
        own.map(|(_, run)| *run).collect()
    }

    /// Calls `ask` with every record, and each rule to be asked about it, for which there are any:
    /// records ascending, rules ascending, none twice. `rules`: how many there are.
    pub(super) fn scan(
        &self,
        text: Text<'_>,
        rules: usize,
        scratch: &mut Scratch,
        ask: &mut Ask<'_>,
    ) {
        let mut from = 0;
        let mut records = text.records;
        let mut most = PIECE_BYTES;
        while let Some(rest) = text.bytes.get(from..).filter(|rest| !rest.is_empty()) {
            let end = piece_end(rest, most, from, records);
            let piece = rest.get(..end).unwrap_or(rest);
            let (of_piece, behind) =
                records.split_at(records.partition_point(|record| record.start < from + end));
            scratch.records.clear();
            let shifted = of_piece.iter().map(|r| r.start - from..r.end - from);
            scratch.records.extend(shifted);
            let ask = &mut |candidate: Candidate, fields: &mut LineFields| {
                let candidate = Candidate {
                    start: from + candidate.start,
                    end: from + candidate.end,
                    ..candidate
                };
                ask(candidate, fields);
            };
            match self.scan_piece(piece, rules, scratch, ask) {
                Outcome::Asked => {
                    from += piece.len();
                    records = behind;
                    most = (2 * most).min(PIECE_BYTES);
                }
                Outcome::TooMany => most = piece.len() / 2,
            }
        }
    }

    fn scan_piece(
        &self,
        lines: &[u8],
        rules: usize,
        scratch: &mut Scratch,
        ask: &mut Ask<'_>,
    ) -> Outcome {
        let candidates = &mut scratch.candidates;
        let crowds = self.index.as_ref().map_or(0, Index::crowds);
        candidates.begin(rules, crowds, &scratch.records);
        let (hits, masks) = (&mut scratch.hits, &mut scratch.masks);
        self.kernel.run(|| {
            for from in (0..lines.len()).step_by(Index::PIECE_BLOCKS * BLOCK) {
                if let Some(index) = &self.index {
                    index.search(lines, from, &self.runs, hits, candidates);
                }
                for pass in &self.passes {
                    pass.search(lines, from, &self.runs, masks, candidates);
                }
                if candidates.are_too_many() {
                    return;
                }
            }
        });
        if candidates.are_too_many() {
            return Outcome::TooMany;
        }
        let text = Text {
            bytes: lines,
            records: &scratch.records,
        };
        let candidates = scratch.candidates.sorted();
        if self.automaton.is_some() || !self.every_line.is_empty() {
            self.every_line(
                text,
                candidates,
                &mut scratch.found,
                &mut scratch.fields,
                ask,
            );
            return Outcome::Asked;
        }
        let mut last = usize::MAX;
        for candidate in candidates {
            if candidate.start != last {
                last = candidate.start;
                scratch.fields.next_line();
            }
            ask(*candidate, &mut scratch.fields);
        }
        Outcome::Asked
    }

    /// Asks the rules of the last tiers about each record, together with those that were found there.
    fn every_line(
        &self,
        text: Text<'_>,
        mut candidates: &[Candidate],
        found: &mut Found,
        fields: &mut LineFields,
        ask: &mut Ask<'_>,
    ) {
        let mut from = 0;
        while from < text.bytes.len() {
            let Range { start, end } = text.about(from);
            from = text.behind(end);
            fields.next_line();
            let here = candidates.partition_point(|candidate| candidate.start == start);
            let (of_line, rest) = candidates.split_at(here);
            candidates = rest;
            let line = text.bytes.get(start..end).unwrap_or_default();
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
                    only: None,
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

/// Where the first piece of `lines` ends: behind a LF, or at their end, and not within a record; about
/// `most` bytes behind their start. `lines` begin at `from` of the text that `records` are of.
fn piece_end(lines: &[u8], most: usize, from: usize, records: &[Range<usize>]) -> usize {
    let end = line_end(lines, most);
    let last = records.partition_point(|record| record.start < from + end);
    match last.checked_sub(1).and_then(|last| records.get(last)) {
        Some(record) if record.end > from + end && record.start > from => record.start - from,
        Some(record) if record.end > from + end => record.end - from,
        _ => end,
    }
}

/// The end of a line about `most` bytes behind the start of `lines`.
fn line_end(lines: &[u8], most: usize) -> usize {
    if lines.len() <= most + most / 2 {
        return lines.len();
    }
    let (head, tail) = lines.split_at(most);
    match memchr::memrchr(b'\n', head) {
        Some(lf) => lf + 1,
        None => memchr::memchr(b'\n', tail).map_or(lines.len(), |lf| most + lf + 1),
    }
}
