//! A batch of lines → hits: matched, timed, grouped and redacted.
//!
//! The one place that knows both the matcher and what the engine wants of a line. Takes batches
//! from the inputs (live) or from files (`backtest`); gives hits to the engine.

mod clock;
mod context;
mod fill;
mod heard;
pub mod parts;
mod plans;
mod repeats;
mod source;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::fields::{Fields, Format, Zone};
use crate::language::rule::{Rule, RuleSet};
use crate::matcher::{Found, Matcher, Pairs, Scratch, Spread, in_turn};
use crate::model::{Batch, InputId, Part, Parts, RuleId, Sample, Text, Timestamp};

use clock::Clock;
use fill::{fill, fill_gaps};
use plans::Plans;

pub use heard::{Span, tolerance};
pub use plans::{Replan, Replanned};
pub use source::{Detector, Fit, Memory, SourceState};

/// A line that a rule's `match` accepted, as the engine wants it.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The rule.
    pub rule: RuleId,
    /// The input that the line came from.
    pub input: InputId,
    /// The line's time.
    pub time: Timestamp,
    /// When it arrived, wall clock.
    pub arrival: Timestamp,
    /// The values of the rule's `group_by` fields; a missing one is empty. Redacted.
    pub group: Vec<String>,
    /// How many lines it stands for: more than one where `expand_repeats` finds that it says so.
    pub times: u64,
    /// Which parts of the rule it meets.
    pub parts: Parts,
    /// The values that the rule's type asks for, or the line's shape. Redacted.
    pub values: Vec<Option<String>>,
    /// The values of the rule's `top_count_keys`. Redacted.
    pub top: Vec<Option<String>>,
    /// The line. Redacted.
    pub sample: Sample,
    /// All fields, where the rule's templates ask for them. Redacted.
    pub fields: BTreeMap<String, String>,
    /// Where lines came since the hit before of the same source, and a little ahead, hits or not;
    /// where a rule asks for that.
    pub heard: Vec<Span>,
}

/// An input, as far as the scanner cares.
#[derive(Debug)]
pub struct InputSpec {
    /// Its name, which rules may ask for.
    pub name: Arc<str>,
    /// How its lines are written; `None`: find out by looking.
    pub format: Option<Arc<Format>>,
}

/// Which rules an input's lines are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listening {
    /// Those that name it, or name no input.
    AsConfigured,
    /// All of them: where there is no configuration, the names of inputs mean nothing.
    ToEverything,
}

/// The matchers of all inputs and what they reuse.
#[derive(Debug)]
pub struct Scanner {
    rules: Arc<RuleSet>,
    plans: Vec<Plans>,
    inputs: Vec<Input>,
    zone: Zone,
    /// See [`tolerance`].
    tolerance: Option<Duration>,
    scratch: Scratch,
    hit: Hit,
    redacted: Vec<u8>,
    /// The fields of a batch's last record.
    looked_at: Fields,
}

/// What [`Scanner::search`] found in a batch.
#[derive(Debug)]
pub struct Searched {
    format: Arc<Format>,
    /// `None` where no rule listens.
    matcher: Option<Arc<Matcher>>,
    pairs: Pairs,
}

impl Searched {
    /// What was found, if it holds for lines of `format`.
    fn found_as(&self, format: &Arc<Format>) -> Option<(&Matcher, &Pairs)> {
        let holds = plans::is_for(Some(&self.format), format);
        let matcher = self.matcher.as_deref().filter(|_| holds)?;
        Some((matcher, &self.pairs))
    }
}

#[derive(Clone, Debug)]
struct Input {
    /// Index into the scanner's plans.
    plans: usize,
    format: Option<Arc<Format>>,
}

impl Scanner {
    /// Each input's lines are held against the rules that listen to it. The search for them is
    /// planned with the first lines, or by [`Scanner::prepare`].
    pub fn new(rules: &Arc<RuleSet>, inputs: &[InputSpec], listening: Listening) -> Self {
        let ids = |input: &InputSpec| -> Vec<RuleId> {
            let listens =
                |rule: &Rule| listening == Listening::ToEverything || listens_to(rule, &input.name);
            rules
                .iter()
                .filter(|(_, rule)| listens(rule))
                .map(|(id, _)| id)
                .collect()
        };
        Self::with_rules(rules, inputs, ids)
    }

    /// The same with one rule only.
    pub fn of_one(rules: &Arc<RuleSet>, rule: RuleId, input: InputSpec) -> Self {
        Self::with_rules(rules, &[input], |_| vec![rule])
    }

    fn with_rules(
        rules: &Arc<RuleSet>,
        inputs: &[InputSpec],
        ids: impl Fn(&InputSpec) -> Vec<RuleId>,
    ) -> Self {
        let mut plans: Vec<Plans> = Vec::new();
        let inputs = inputs.iter().map(|input| {
            let ids = ids(input);
            let known = plans.iter().position(|plans| *plans.ids() == *ids);
            let index = known.unwrap_or(plans.len());
            if known.is_none() {
                plans.push(Plans::new(rules, ids));
            }
            Input {
                plans: index,
                format: input.format.clone(),
            }
        });
        Self {
            inputs: inputs.collect(),
            plans,
            rules: Arc::clone(rules),
            tolerance: tolerance(rules),
            zone: Zone::UTC,
            scratch: Scratch::default(),
            hit: Hit::empty(),
            redacted: Vec::new(),
            looked_at: Fields::default(),
        }
    }

    /// Plans what can be planned before the first line comes.
    pub fn prepare(&mut self) {
        for input in &self.inputs {
            if let Some(plans) = self.plans.get_mut(input.plans)
                && (input.format.is_some() || plans.suits_all_formats())
            {
                plans.plan(&self.rules, input.format.as_ref(), None, &in_turn);
            }
        }
    }

    /// Plans for lines of `format`, of which `sample` is some; the greater part of that by `spread`.
    pub fn prepare_for(&mut self, format: &Arc<Format>, sample: &[u8], spread: Spread<'_>) {
        for plans in &mut self.plans {
            plans.plan(&self.rules, Some(format), Some(sample), spread);
        }
    }

    /// What is to be planned anew because enough lines have gone by to know them better; asked
    /// after a scan. [`Replan::run`] it elsewhere, and give what comes of it to
    /// [`Scanner::adopt`]. Other plans find the same lines.
    pub fn replan(&mut self) -> Option<Replan> {
        let mut plans = self.plans.iter_mut().enumerate();
        plans.find_map(|(index, plans)| plans.replan(&self.rules, index))
    }

    /// Goes on with other plans.
    pub fn adopt(&mut self, replanned: Replanned) {
        if let Some(plans) = self.plans.get_mut(replanned.index()) {
            plans.adopt(replanned);
        }
    }

    /// Calls `each` for every hit in `batch`, records in order, rules in order within a record. The hit
    /// is `each`'s to change: all of it but its memory is made anew for the next one.
    ///
    /// A line time after `latest` is not believed: arrival time counts instead. Nothing is
    /// allocated, parsed or split for a line that no rule may match, but for one line
    /// a batch: its time, and whether it is of the format.
    pub fn scan(
        &mut self,
        batch: &Batch,
        state: &mut SourceState,
        latest: Timestamp,
        each: &mut dyn FnMut(&mut Hit),
    ) {
        self.scan_searched(batch, None, state, latest, each);
    }

    /// The lines of `batch` that rules accept, for [`Scanner::scan_searched`] of another scanner of
    /// the same rules. Nothing of the batches before it has to be known. `format`: how its lines
    /// are probably written.
    pub fn search(&mut self, batch: &Batch, format: &Arc<Format>) -> Searched {
        let input = self.inputs.get(batch.source.input.0 as usize);
        let plans = input.and_then(|input| self.plans.get_mut(input.plans));
        let matcher = plans.map(|plans| plans.matcher(&self.rules, format));
        let mut pairs = Pairs::default();
        if let Some(matcher) = &matcher {
            self.scratch.set_peer(batch.source.peer());
            matcher.search(batch.text(), format, &mut self.scratch, &mut pairs);
        }
        Searched {
            format: Arc::clone(format),
            matcher,
            pairs,
        }
    }

    /// As [`Scanner::scan`]. `searched`: of the same batch, where somebody has searched it.
    pub fn scan_searched(
        &mut self,
        batch: &Batch,
        searched: Option<&Searched>,
        state: &mut SourceState,
        latest: Timestamp,
        each: &mut dyn FnMut(&mut Hit),
    ) {
        let Some(input) = self.inputs.get(batch.source.input.0 as usize) else {
            return;
        };
        let format = state.format_of(batch.text(), input.format.as_ref());
        let mut clock = Clock::new(&format, batch, latest, self.zone, state.last_time);
        let Some(plans) = self.plans.get_mut(input.plans) else {
            return;
        };
        let matcher = plans.matcher(&self.rules, &format);
        plans.note(&batch.bytes);
        if let Some(tolerance) = self.tolerance {
            state.hear(clock.spans(tolerance), tolerance);
        }
        let (hit, redacted, rules) = (&mut self.hit, &mut self.redacted, &self.rules);
        let heard = &mut state.heard;
        let (latest_lines, repeatable) = (&state.latest, &mut state.repeatable);
        // Where the hit that waits for further parts begins, and its rule.
        let mut waits: Option<(usize, RuleId)> = None;
        let mut accept = |found: Found<'_>| {
            let (id, part) = parts::split(found.rule);
            let rule = rules.get(id);
            if waits == Some((found.line.start, id)) {
                hit.parts = hit.parts.and(part);
                fill_gaps(hit, &found, rule, batch, redacted);
                return;
            }
            if let Some((start, waiting)) = waits.take()
                && rules.get(waiting).accepts(hit.parts)
            {
                repeatable.give(hit, start, (rules, batch), each);
            }
            repeatable.settle(found.line.start, batch, &mut clock, each);
            hit.heard.append(heard);
            (hit.input, hit.arrival) = (batch.source.input, batch.arrival);
            (hit.rule, hit.parts) = (id, Parts::of(part));
            hit.time = clock.time_of(&found.line);
            fill(hit, &found, rule, batch, redacted);
            latest_lines.fill(hit, found.line.start, rule, batch);
            if rule.parts.is_empty() {
                repeatable.give(hit, found.line.start, (rules, batch), each);
            } else {
                waits = Some((found.line.start, id));
            }
        };
        self.scratch.set_peer(batch.source.peer());
        let text = (batch.text(), &format);
        tell(&matcher, searched, text, &mut self.scratch, &mut accept);
        if let Some((start, waiting)) = waits
            && rules.get(waiting).accepts(hit.parts)
        {
            repeatable.give(hit, start, (rules, batch), each);
        }
        repeatable.settle(usize::MAX, batch, &mut clock, each);
        repeatable.batch_ended(batch);
        if let Some(saved) = state.latest.push(batch, rules, plans.ids()) {
            state.saved_latest = saved;
        }
        // What belonged to a line that was no hit after all waits for the next one.
        heard.append(&mut hit.heard);
        state.batch_ended(&format, batch, &mut clock, &mut self.looked_at);
    }

    /// Times without a zone, such as those of nginx's error log, are read as times of this one; UTC
    /// where nobody says otherwise.
    pub fn assume_zone(&mut self, zone: Zone) {
        self.zone = zone;
    }

    /// Another one with the same plans, and memory of its own.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            rules: Arc::clone(&self.rules),
            plans: self.plans.clone(),
            inputs: self.inputs.clone(),
            tolerance: self.tolerance,
            zone: Zone::UTC,
            scratch: Scratch::default(),
            hit: Hit::empty(),
            redacted: Vec::new(),
            looked_at: Fields::default(),
        }
    }
}

/// Calls `each` for what rules find in the lines of a batch: again, if that is known.
fn tell(
    matcher: &Matcher,
    searched: Option<&Searched>,
    (text, format): (Text<'_>, &Arc<Format>),
    scratch: &mut Scratch,
    each: &mut dyn FnMut(Found<'_>),
) {
    match searched.and_then(|searched| searched.found_as(format)) {
        Some((matcher, pairs)) => matcher.tell(text, pairs, format, scratch, each),
        None => matcher.scan_records(text, format, scratch, each),
    }
}

/// Whether a rule's `inputs` name this one.
pub(crate) fn listens_to(rule: &Rule, input: &str) -> bool {
    rule.inputs.is_empty()
        || rule.inputs.iter().any(|name| {
            name == input
                || globset::Glob::new(name).is_ok_and(|glob| glob.compile_matcher().is_match(input))
        })
}

impl Hit {
    fn empty() -> Self {
        let sample = Sample {
            at: Timestamp::default(),
            line: String::new(),
            source: String::new(),
            offset: 0,
            cut: false,
            times: 1,
            before: Vec::new(),
            after: Vec::new(),
        };
        Self {
            rule: RuleId(0),
            input: InputId(0),
            time: Timestamp::default(),
            arrival: Timestamp::default(),
            group: Vec::new(),
            times: 1,
            parts: Parts::of(Part::MATCH),
            values: Vec::new(),
            top: Vec::new(),
            sample,
            fields: BTreeMap::new(),
            heard: Vec::new(),
        }
    }
}

/// For tests of rooms behind this one that make their own hits.
#[cfg(test)]
pub(crate) fn empty_hit() -> Hit {
    Hit::empty()
}

#[cfg(test)]
mod tests;
