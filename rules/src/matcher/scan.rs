//! The hot loop: a whole batch is searched for the texts of all rules at once; only around a text
//! that is found there is a line, and only the rules that the text wakes are asked about it.
//!
//! No text holds LF, so each stands within one line; the search is an overlapping one, so no text
//! hides another. Rules of the last tier are asked on every line, in order with the rest.

use std::ops::Range;

use aho_corasick::automaton::{Automaton, OverlappingState};
use aho_corasick::{Input, MatchError, MatchKind, dfa, nfa::contiguous};

use super::confirm::LineFields;
use super::plan::Plan;
use crate::model::line::line_about;

/// Up to so many bytes of texts the automaton is a table, quicker and some 256 bytes for a byte of
/// text (two megabytes); above, it is packed.
const TABLE_TEXT_BYTES: usize = 8192;

/// Finds texts, and knows whom to wake.
#[derive(Debug)]
pub(super) struct Search {
    automaton: Option<Searcher>,
    /// `owners[starts[i]..starts[i + 1]]`: the rules that text `i` wakes. One list for all, so that
    /// a hit touches two cache lines.
    owners: Vec<u32>,
    starts: Vec<usize>,
    /// The rules that are asked on every line, ascending.
    every_line: Vec<u32>,
}

#[derive(Debug)]
enum Searcher {
    Table(Box<dfa::DFA>),
    Packed(Box<contiguous::NFA>),
}

/// Memory that a scan reuses: warm, a scan allocates nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    /// For each rule the turn in which it was last woken: so it is asked once a line.
    stamps: Vec<u32>,
    turn: u32,
    /// The rules to ask about the line at hand.
    woken: Vec<u32>,
    pub(super) fields: LineFields,
}

/// Asks the rules with these indexes about the line at this place.
type Ask<'a> = dyn FnMut(Range<usize>, &[u32], &mut LineFields) + 'a;

/// A text found in the batch.
struct Hit {
    /// Index into the plan's literals.
    literal: usize,
    /// Where its last byte ends.
    end: usize,
}

impl Search {
    /// The search that `plan` asks for, and the plan that it follows: one without texts when they
    /// are too many for an automaton.
    pub(super) fn new(plan: Plan) -> (Plan, Self) {
        if plan.literals.is_empty() {
            let search = Self::with(None, &plan);
            return (plan, search);
        }
        let automaton = Searcher::new(&plan.literals);
        let plan = if automaton.is_some() {
            plan
        } else {
            plan.without_literals()
        };
        let search = Self::with(automaton, &plan);
        (plan, search)
    }

    fn with(automaton: Option<Searcher>, plan: &Plan) -> Self {
        let (mut owners, mut starts) = (Vec::new(), vec![0]);
        for rules in &plan.wakes {
            owners.extend_from_slice(rules);
            starts.push(owners.len());
        }
        Self {
            automaton,
            owners,
            starts,
            every_line: plan.every_line(),
        }
    }

    /// Calls `ask` with every line, and the rules to be asked about it, for which there are any:
    /// lines ascending, rules ascending, none twice. `rules`: how many there are.
    pub(super) fn scan(
        &self,
        lines: &[u8],
        rules: usize,
        scratch: &mut Scratch,
        ask: &mut Ask<'_>,
    ) {
        scratch.begin(rules);
        let mut state = OverlappingState::start();
        // The start of the first line that has not been asked about.
        let mut from = 0;
        let mut next = self.next_hit(lines, &mut state);
        while let Some(hit) = next {
            // The last byte of the text lies in the line; its end may be the next one's start.
            let line = line_about(lines, hit.end - 1);
            self.plain_lines(lines, from..line.start, scratch, ask);
            from = behind(lines, line.end);
            next = self.wake_all(lines, hit, from, &mut state, scratch);
            scratch.woken.sort_unstable();
            ask(line, &scratch.woken, &mut scratch.fields);
        }
        self.plain_lines(lines, from..lines.len(), scratch, ask);
    }

    /// Wakes the rules of `hit` and of all further ones before `end`, and those of the last tier;
    /// gives the first hit behind.
    fn wake_all(
        &self,
        lines: &[u8],
        hit: Hit,
        end: usize,
        state: &mut OverlappingState,
        scratch: &mut Scratch,
    ) -> Option<Hit> {
        scratch.next_line();
        for &rule in &self.every_line {
            scratch.wake(rule);
        }
        let mut next = Some(hit);
        while let Some(hit) = &next
            && hit.end <= end
        {
            for &rule in self.owners_of(hit.literal) {
                scratch.wake(rule);
            }
            next = self.next_hit(lines, state);
        }
        next
    }

    /// Asks the rules of the last tier about the lines of `within`, in which no text was found.
    fn plain_lines(
        &self,
        lines: &[u8],
        within: Range<usize>,
        scratch: &mut Scratch,
        ask: &mut Ask<'_>,
    ) {
        if self.every_line.is_empty() {
            return;
        }
        let mut from = within.start;
        while from < within.end {
            let line = line_about(lines, from);
            from = behind(lines, line.end);
            scratch.fields.next_line();
            ask(line, &self.every_line, &mut scratch.fields);
        }
    }

    fn next_hit(&self, lines: &[u8], state: &mut OverlappingState) -> Option<Hit> {
        let automaton = self.automaton.as_ref()?;
        automaton
            .find(&Input::new(lines), state)
            .expect("an unanchored overlapping search of a standard automaton has no error");
        let found = state.get_match()?;
        Some(Hit {
            literal: found.pattern().as_usize(),
            end: found.end(),
        })
    }

    fn owners_of(&self, literal: usize) -> &[u32] {
        let bounds = self.starts.get(literal..literal + 2);
        let Some(&[start, end]) = bounds else {
            return &[];
        };
        self.owners.get(start..end).unwrap_or_default()
    }
}

impl Searcher {
    fn new(literals: &[Vec<u8>]) -> Option<Self> {
        let size: usize = literals.iter().map(Vec::len).sum();
        if size <= TABLE_TEXT_BYTES {
            let table = dfa::Builder::new()
                .match_kind(MatchKind::Standard)
                .ascii_case_insensitive(true)
                .build(literals)
                .ok()?;
            return Some(Self::Table(Box::new(table)));
        }
        let packed = contiguous::Builder::new()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .build(literals)
            .ok()?;
        Some(Self::Packed(Box::new(packed)))
    }

    fn find(&self, input: &Input<'_>, state: &mut OverlappingState) -> Result<(), MatchError> {
        match self {
            Self::Table(table) => table.try_find_overlapping(input, state),
            Self::Packed(packed) => packed.try_find_overlapping(input, state),
        }
    }
}

impl Scratch {
    /// Ready for a scan with so many rules. A scratch may go from one matcher to another.
    fn begin(&mut self, rules: usize) {
        if self.stamps.len() < rules {
            self.stamps.resize(rules, self.turn);
        }
    }

    fn next_line(&mut self) {
        self.woken.clear();
        self.fields.next_line();
        self.turn = self.turn.wrapping_add(1);
        if self.turn == 0 {
            // Once in four billion lines old stamps would look new.
            self.stamps.fill(0);
            self.turn = 1;
        }
    }

    /// Makes the turn wrap within a few lines.
    #[cfg(test)]
    pub(super) fn wrap_soon(&mut self) {
        self.turn = u32::MAX - 5;
    }

    fn wake(&mut self, rule: u32) {
        if let Some(stamp) = self.stamps.get_mut(rule as usize)
            && *stamp != self.turn
        {
            *stamp = self.turn;
            self.woken.push(rule);
        }
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
