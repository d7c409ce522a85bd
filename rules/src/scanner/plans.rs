//! The matchers of the inputs: made when lines of a format first come, and made anew from time to
//! time, for what the lines on this host turn out to be. Which plan is at work decides how fast a
//! scan is, never what it finds.

use std::sync::Arc;

use crate::fields::Format;
use crate::language::rule::{Rule, RuleSet};
use crate::matcher::{FieldUse, Matcher, Setup, Spread, in_turn};
use crate::model::RuleId;

use super::fill::needs_fields;
use super::parts;

/// The matchers for some rules, which all inputs share that the same rules listen to.
#[derive(Clone, Debug)]
pub(super) struct Plans {
    ids: Arc<[RuleId]>,
    /// Whether a rule has a `where`: what it needs depends on the format.
    has_conditions: bool,
    /// By format, or one for all where no rule asks for fields.
    planned: Vec<(Option<Arc<Format>>, Arc<Matcher>)>,
    sample: Sample,
}

/// Some of the text that went by.
#[derive(Clone, Debug)]
struct Sample {
    text: Vec<u8>,
    /// Bytes that went by.
    seen: u64,
    /// The next piece is taken when so many bytes have gone by.
    next_piece: u64,
    /// Where it goes, once the sample is full.
    place: usize,
    /// The next plan is due when so many bytes have gone by.
    due: u64,
}

/// A plan to be made: takes some milliseconds, so it is made on a thread of its own.
#[derive(Debug)]
pub struct Replan {
    rules: Arc<RuleSet>,
    index: usize,
    ids: Arc<[RuleId]>,
    formats: Vec<Option<Arc<Format>>>,
    sample: Vec<u8>,
}

/// Plans that were made.
#[derive(Debug)]
pub struct Replanned {
    index: usize,
    planned: Vec<(Option<Arc<Format>>, Arc<Matcher>)>,
}

impl Plans {
    pub(super) fn new(rules: &RuleSet, ids: Vec<RuleId>) -> Self {
        let wanted = parts::wanted(rules, &ids, &|_| FieldUse::Unwanted);
        let mut matches = wanted.iter().map(|wanted| &wanted.matching);
        Self {
            has_conditions: matches.any(|matching| matching.condition.is_some()),
            ids: ids.into(),
            planned: Vec::new(),
            sample: Sample::new(),
        }
    }

    pub(super) fn ids(&self) -> &[RuleId] {
        &self.ids
    }

    /// Whether one plan does for all formats.
    pub(super) fn suits_all_formats(&self) -> bool {
        !self.has_conditions
    }

    /// The matcher for lines of `format`; made now, where there is none.
    pub(super) fn matcher(&mut self, rules: &RuleSet, format: &Arc<Format>) -> Arc<Matcher> {
        if let Some((_, matcher)) = self
            .planned
            .iter()
            .find(|(of, _)| is_for(of.as_ref(), format))
        {
            return Arc::clone(matcher);
        }
        self.plan(rules, Some(format), None, &in_turn)
    }

    /// Plans for lines of `format`, or of any where no rule asks for fields. `sample`: what such
    /// lines are like; what went by, where none is given.
    pub(super) fn plan(
        &mut self,
        rules: &RuleSet,
        format: Option<&Arc<Format>>,
        sample: Option<&[u8]>,
        spread: Spread<'_>,
    ) -> Arc<Matcher> {
        let format = format.filter(|_| self.has_conditions).cloned();
        let sample = sample.unwrap_or(&self.sample.text);
        let matcher = make(rules, &self.ids, (format.as_ref(), sample), spread);
        self.put(format, Arc::clone(&matcher));
        matcher
    }

    fn put(&mut self, format: Option<Arc<Format>>, matcher: Arc<Matcher>) {
        let same = |of: &Option<Arc<Format>>| match (of, &format) {
            (Some(of), Some(format)) => is_for(Some(of), format),
            (None, None) => true,
            _ => false,
        };
        match self.planned.iter_mut().find(|(of, _)| same(of)) {
            Some(slot) => slot.1 = matcher,
            None => self.planned.push((format, matcher)),
        }
    }

    /// Takes note of lines that went by.
    pub(super) fn note(&mut self, lines: &[u8]) {
        self.sample.note(lines);
    }

    /// What is to be planned anew, if that is due; once.
    pub(super) fn replan(&mut self, rules: &Arc<RuleSet>, index: usize) -> Option<Replan> {
        if self.sample.seen < self.sample.due || self.planned.is_empty() {
            return None;
        }
        self.sample.due = self.sample.due.saturating_mul(Sample::DUE_FACTOR);
        Some(Replan {
            rules: Arc::clone(rules),
            index,
            ids: Arc::clone(&self.ids),
            formats: self
                .planned
                .iter()
                .map(|(format, _)| format.clone())
                .collect(),
            sample: self.sample.text.clone(),
        })
    }

    pub(super) fn adopt(&mut self, replanned: Replanned) {
        for (format, matcher) in replanned.planned {
            self.put(format, matcher);
        }
    }
}

impl Sample {
    const MOST_BYTES: usize = 128 * 1024;
    const PIECE_BYTES: usize = 16 * 1024;
    /// A full sample takes a piece out of so many bytes: it forgets what was some ten times as
    /// many ago.
    const EVERY: u64 = 4 * 1024 * 1024;
    /// A first plan of its own after so much text, and further ones whenever there was so many
    /// times as much: logs change, but slowly.
    const FIRST_DUE: u64 = 1024 * 1024;
    const DUE_FACTOR: u64 = 16;

    fn new() -> Self {
        Self {
            text: Vec::new(),
            seen: 0,
            next_piece: 0,
            place: 0,
            due: Self::FIRST_DUE,
        }
    }

    fn note(&mut self, lines: &[u8]) {
        self.seen += lines.len() as u64;
        if self.seen < self.next_piece {
            return;
        }
        let piece = lines.get(..Self::PIECE_BYTES).unwrap_or(lines);
        if self.text.len() < Self::MOST_BYTES {
            // All of it at once: no line waits for memory later.
            self.text.reserve_exact(Self::MOST_BYTES - self.text.len());
            let room = Self::MOST_BYTES - self.text.len();
            self.text
                .extend_from_slice(piece.get(..room).unwrap_or(piece));
        } else if let Some(place) = self.text.get_mut(self.place..self.place + piece.len()) {
            place.copy_from_slice(piece);
            self.place = (self.place + Self::PIECE_BYTES) % Self::MOST_BYTES;
            self.next_piece = self.seen + Self::EVERY;
        }
    }
}

impl Replan {
    /// Makes the plans. Takes some milliseconds, with thousands of rules some hundred.
    pub fn run(self) -> Replanned {
        let planned = self.formats.into_iter().map(|format| {
            let matcher = make(
                &self.rules,
                &self.ids,
                (format.as_ref(), &self.sample),
                &in_turn,
            );
            (format, matcher)
        });
        Replanned {
            index: self.index,
            planned: planned.collect(),
        }
    }
}

impl Replanned {
    pub(super) fn index(&self) -> usize {
        self.index
    }
}

/// What a rule needs of a line is the same for all formats of a name, but for patterns: each of those
/// has fields of its own.
pub(super) fn is_for(of: Option<&Arc<Format>>, format: &Arc<Format>) -> bool {
    of.is_none_or(|of| {
        let is_pattern = matches!(**format, Format::Pattern { .. });
        Arc::ptr_eq(of, format) || (of.name() == format.name() && !is_pattern)
    })
}

fn make(
    rules: &RuleSet,
    ids: &[RuleId],
    (format, sample): (Option<&Arc<Format>>, &[u8]),
    spread: Spread<'_>,
) -> Arc<Matcher> {
    let setup = Setup {
        format: format.map(|format| &**format),
        sample,
        ..Setup::default()
    };
    let fields = |rule: &Rule| {
        if needs_fields(rule) {
            FieldUse::Wanted
        } else {
            FieldUse::Unwanted
        }
    };
    Arc::new(Matcher::spread(
        parts::wanted(rules, ids, &fields),
        &setup,
        spread,
    ))
}
