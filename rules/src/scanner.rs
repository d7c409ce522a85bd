//! A batch of lines → hits: matched, timed, grouped and redacted.
//!
//! The one place that knows both the matcher and what the engine wants of a line. Takes batches
//! from the inputs (live) or from files (`backtest`); gives hits to the engine.

mod fill;
mod heard;
pub mod parts;
mod plans;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fields::{Assume, Format, Zone};
use crate::language::rule::{Rule, RuleSet};
use crate::matcher::{Found, Scratch};
use crate::model::{Batch, InputId, Part, Parts, RuleId, Sample, Timestamp, line::line_about};

use fill::{fill, fill_gaps};
use plans::Plans;

pub use heard::{Span, tolerance};
pub use plans::{Replan, Replanned};

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

/// What is remembered of a source over a restart: a line without a time of its own takes that of
/// the line before it, wherever the reading was interrupted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The time of the last line that had one.
    pub last_time: Option<Timestamp>,
    /// The name of the format that was found.
    pub format: Option<String>,
}

/// What is remembered of a source from batch to batch.
#[derive(Clone, Debug, Default)]
pub struct SourceState {
    detector: Option<Detector>,
    last_time: Option<Timestamp>,
    /// Where lines came that no hit has told of yet.
    heard: Vec<Span>,
    /// Lines whose own time was too far in the future.
    pub skewed: u64,
}

impl SourceState {
    /// Of a source whose line before the first one bore `time`.
    pub fn after(time: Timestamp) -> Self {
        Self {
            last_time: Some(time),
            ..Self::default()
        }
    }

    /// Of a source that was read before: what [`SourceState::memory`] gave. A format that is no
    /// longer known is found out anew.
    pub fn remembered(memory: &Memory) -> Self {
        let format = memory
            .format
            .as_deref()
            .and_then(Format::named)
            .map(Arc::new);
        Self {
            detector: format.map(|format| Detector::new(Some(format))),
            last_time: memory.last_time,
            heard: memory
                .last_time
                .map(|time| (time, time))
                .into_iter()
                .collect(),
            skewed: 0,
        }
    }

    /// What must not be forgotten over a restart.
    pub fn memory(&self) -> Memory {
        let format = self
            .detector
            .as_ref()
            .and_then(|detector| detector.known.as_ref());
        Memory {
            last_time: self.last_time,
            format: format.map(|format| format.name().to_owned()),
        }
    }

    /// Where lines came that no hit has told of.
    pub fn heard(&self) -> &[Span] {
        &self.heard
    }

    /// The same; from now on they are told.
    pub fn take_heard(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.heard)
    }

    /// The time of the last line that had one.
    pub fn last_time(&self) -> Option<Timestamp> {
        self.last_time
    }
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
}

#[derive(Clone, Debug)]
struct Input {
    /// Index into the scanner's plans.
    plans: usize,
    format: Option<Arc<Format>>,
}

/// Lines of a source looked at to find out a format; after so many it is taken for plain.
const DETECT_LINES: usize = 2_000;
/// Times at which lines came that wait for a hit to tell of them.
const MOST_HEARD: usize = 256;
/// Lines looked back over at a batch's end while the source has never shown a time.
const LOOK_BACK_LINES: usize = 100;

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
        }
    }

    /// Plans what can be planned before the first line comes.
    pub fn prepare(&mut self) {
        for input in &self.inputs {
            if let Some(plans) = self.plans.get_mut(input.plans)
                && (input.format.is_some() || plans.suits_all_formats())
            {
                plans.plan(&self.rules, input.format.as_ref(), None);
            }
        }
    }

    /// Plans for lines of `format`, of which `sample` is some.
    pub fn prepare_for(&mut self, format: &Arc<Format>, sample: &[u8]) {
        for plans in &mut self.plans {
            plans.plan(&self.rules, Some(format), Some(sample));
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

    /// Calls `each` for every hit in `batch`, lines in order, rules in order within a line. The hit
    /// is `each`'s to change: all of it but its memory is made anew for the next one.
    ///
    /// A line time after `latest` is not believed: arrival time counts instead. Nothing is
    /// allocated, parsed or split for a line that no rule may match, but for the time of one line
    /// a batch.
    pub fn scan(
        &mut self,
        batch: &Batch,
        state: &mut SourceState,
        latest: Timestamp,
        each: &mut dyn FnMut(&mut Hit),
    ) {
        let Some(input) = self.inputs.get(batch.source.input.0 as usize) else {
            return;
        };
        let detector = state.detector.get_or_insert_with(|| Detector::new(None));
        if let Some(format) = &input.format {
            detector.known = Some(Arc::clone(format));
        }
        let format = detector.format_of(&batch.bytes);
        let mut clock = Clock {
            format: &format,
            batch,
            latest,
            skewed: 0,
            last: None,
            zone: self.zone,
            before: state.last_time,
            searched: (0, None),
        };
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
            if let Some((_, waiting)) = waits.take()
                && rules.get(waiting).accepts(hit.parts)
            {
                each(hit);
            }
            hit.heard = std::mem::take(heard);
            (hit.input, hit.arrival) = (batch.source.input, batch.arrival);
            (hit.rule, hit.parts) = (id, Parts::of(part));
            hit.time = clock.time_of(&found.line);
            fill(hit, &found, rule, batch, redacted);
            if rule.parts.is_empty() {
                each(hit);
            } else {
                waits = Some((found.line.start, id));
            }
        };
        matcher.scan(&batch.bytes, &format, &mut self.scratch, &mut accept);
        if let Some((_, waiting)) = waits
            && rules.get(waiting).accepts(hit.parts)
        {
            each(hit);
        }
        if format.has_time() {
            state.last_time = clock.last_of_batch().or(state.last_time);
        }
        state.skewed += clock.skewed;
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
        }
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

/// Finds out how the lines of one source are written.
#[derive(Clone, Debug)]
pub struct Detector {
    known: Option<Arc<Format>>,
    plain: Arc<Format>,
    lines_left: usize,
}

impl Detector {
    /// `given` ends the search before it begins.
    pub fn new(given: Option<Arc<Format>>) -> Self {
        Self {
            known: given,
            plain: Arc::new(Format::Plain),
            lines_left: DETECT_LINES,
        }
    }

    /// The format of `lines`: given, known from before, or found by looking. Plain until a line
    /// shows more: a header does not hide what comes after it.
    pub fn format_of(&mut self, lines: &[u8]) -> Arc<Format> {
        let mut at = 0;
        while self.known.is_none() && self.lines_left > 0 && at < lines.len() {
            self.lines_left -= 1;
            let line = line_about(lines, at);
            let format = Format::detect(lines.get(line.clone()).unwrap_or_default());
            if format.has_time() {
                self.known = Some(Arc::new(format));
            }
            let behind = lines.get(line.end..).unwrap_or_default();
            at = memchr::memchr(b'\n', behind).map_or(lines.len(), |lf| line.end + lf + 1);
        }
        Arc::clone(self.known.as_ref().unwrap_or(&self.plain))
    }
}

/// The times of a batch's lines.
struct Clock<'a> {
    format: &'a Format,
    batch: &'a Batch,
    latest: Timestamp,
    skewed: u64,
    /// The line asked for last and its time: several rules ask for one line.
    last: Option<(usize, Timestamp)>,
    zone: Zone,
    /// The time of the last line of the batches before.
    before: Option<Timestamp>,
    /// Up to here no further line has to be looked at, and what was found before it.
    searched: (usize, Option<Timestamp>),
}

impl SourceState {
    /// Lines came.
    fn hear(&mut self, spans: Vec<Span>, tolerance: Duration) {
        for (from, to) in spans {
            match self.heard.last_mut() {
                Some(last) if from >= last.0 && from <= last.1.plus(tolerance) => {
                    last.1 = last.1.max(to);
                }
                _ => self.heard.push((from, to)),
            }
        }
        let too_many = self.heard.len().saturating_sub(MOST_HEARD);
        self.heard.drain(..too_many);
    }
}

impl Clock<'_> {
    /// Where the batch's lines lie in time.
    fn spans(&self, tolerance: Duration) -> Vec<Span> {
        let arrival = self.batch.arrival;
        if self.batch.bytes.is_empty() {
            return Vec::new();
        }
        if !self.format.has_time() {
            return vec![(arrival, arrival)];
        }
        let latest = self.latest;
        heard::spans(&self.batch.bytes, tolerance, &|line| {
            let own = self.own_time(&line)?;
            Some(if own > latest { arrival } else { own })
        })
    }

    fn time_of(&mut self, line: &std::ops::Range<usize>) -> Timestamp {
        if let Some((start, time)) = self.last
            && start == line.start
        {
            return time;
        }
        let own = self.own_time(line);
        let time = match own {
            Some(time) if time > self.latest => {
                self.skewed += 1;
                self.batch.arrival
            }
            Some(time) => time,
            None if self.format.has_time() => self
                .time_before(line.start, usize::MAX)
                .or(self.before)
                .unwrap_or(self.batch.arrival),
            None => self.batch.arrival,
        };
        self.last = Some((line.start, time));
        time
    }

    /// The time that a line itself bears; one without a year is of the year nearest to its arrival.
    fn own_time(&self, line: &std::ops::Range<usize>) -> Option<Timestamp> {
        let text = self.batch.bytes.get(line.clone()).unwrap_or_default();
        let near = Some(self.batch.arrival);
        self.format.time_assuming(
            text,
            Assume {
                near,
                zone: self.zone,
            },
        )
    }

    /// The time of the last line of the batch that has one.
    fn last_of_batch(&mut self) -> Option<Timestamp> {
        // A source that has never shown a time is not searched in vain again and again.
        let unknown = self.before.is_none() && self.last.is_none();
        let most = if unknown { LOOK_BACK_LINES } else { usize::MAX };
        self.time_before(self.batch.bytes.len(), most)
    }

    /// The time of the nearest line before `end` that has one that can be believed, among the
    /// `most` nearest. No line is looked at twice in a batch: a row of hits without a time costs
    /// no more than its length.
    fn time_before(&mut self, end: usize, most: usize) -> Option<Timestamp> {
        let (searched, known) = self.searched;
        let (mut at, mut left, mut found) = (end, most, None);
        while at > searched && left > 0 {
            left -= 1;
            let line = line_about(&self.batch.bytes, at - 1);
            found = self.own_time(&line).filter(|time| *time <= self.latest);
            if found.is_some() {
                break;
            }
            at = line.start;
        }
        let found = found.or(known);
        if end > searched {
            self.searched = (end, found);
        }
        found
    }
}

impl Hit {
    fn empty() -> Self {
        let sample = Sample {
            at: Timestamp::default(),
            line: String::new(),
            source: String::new(),
            offset: 0,
            cut: false,
            before: Vec::new(),
            after: Vec::new(),
        };
        Self {
            rule: RuleId(0),
            input: InputId(0),
            time: Timestamp::default(),
            arrival: Timestamp::default(),
            group: Vec::new(),
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
