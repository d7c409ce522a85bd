//! A batch of lines → hits: matched, timed, grouped and redacted.
//!
//! The one place that knows both the matcher and what the engine wants of a line. Takes batches
//! from the inputs (live) or from files (`backtest`); gives hits to the engine.

pub mod parts;
mod plans;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::fields::{Assume, Format, Zone};
use crate::language::redact::Redactor;
use crate::language::rule::{ConditionSpec, Rule, RuleSet};
use crate::matcher::{Found, Scratch};
use crate::model::{Batch, InputId, Part, Parts, RuleId, Sample, Timestamp, line::line_about};

use plans::Plans;

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

/// Longest value of a field that is kept, in bytes; longer ones are cut. A window keeps one for
/// each hit and key.
const MAX_VALUE_BYTES: usize = 256;
/// Fields kept for templates.
const MAX_FIELDS: usize = 64;
/// Where formats have what a line says, without when and by whom.
const MESSAGES: [&str; 2] = ["message", "msg"];
/// Lines of a source looked at to find out a format; after so many it is taken for plain.
const DETECT_LINES: usize = 2_000;
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
        let (hit, redacted, rules) = (&mut self.hit, &mut self.redacted, &self.rules);
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
            zone: Zone::UTC,
            scratch: Scratch::default(),
            hit: Hit::empty(),
            redacted: Vec::new(),
        }
    }
}

/// Whether a rule's `inputs` name this one.
fn listens_to(rule: &Rule, input: &str) -> bool {
    rule.inputs.is_empty()
        || rule.inputs.iter().any(|name| {
            name == input
                || globset::Glob::new(name).is_ok_and(|glob| glob.compile_matcher().is_match(input))
        })
}

fn needs_fields(rule: &Rule) -> bool {
    !rule.group_by.is_empty()
        || !rule.top_count_keys.is_empty()
        || !rule.condition.values().is_empty()
        || matches!(rule.condition, ConditionSpec::NewPattern { .. })
        || wants_all_fields(rule)
}

fn wants_all_fields(rule: &Rule) -> bool {
    let templates = [
        Some(&rule.summary),
        rule.runbook_url.as_ref(),
        rule.dashboard_url.as_ref(),
    ];
    templates
        .into_iter()
        .flatten()
        .any(crate::language::template::Template::wants_fields)
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

impl Clock<'_> {
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

fn fill(hit: &mut Hit, found: &Found<'_>, rule: &Rule, batch: &Batch, redacted: &mut Vec<u8>) {
    let line = batch.bytes.get(found.line.clone()).unwrap_or_default();
    let mut clean = Clean {
        rule,
        line,
        redacted,
    };
    hit.group.resize(rule.group_by.len(), String::new());
    for (name, value) in rule.group_by.iter().zip(&mut hit.group) {
        clean.name_into(found.fields.get(name).unwrap_or_default(), value);
    }
    hit.values.clear();
    fill_values(hit, found, &mut clean);
    hit.top.clear();
    hit.top.extend(
        rule.top_count_keys
            .iter()
            .map(|name| found.fields.get(name).map(|raw| clean.value(raw))),
    );
    hit.fields.clear();
    if wants_all_fields(rule) {
        let fields = found.fields.iter().take(MAX_FIELDS);
        hit.fields
            .extend(fields.map(|(name, raw)| (name.to_owned(), clean.value(raw))));
    }
    hit.sample.at = hit.time;
    hit.sample.source.clear();
    hit.sample.source.push_str(&batch.source.name);
    hit.sample.offset = batch.offset_of(found.line.start);
    let whole = decode(clean.line(), Sample::MAX_BYTES, &mut hit.sample.line);
    hit.sample.cut = !whole || batch.is_cut(found.line.start);
}

/// The values that the type asks for; for new_pattern the line's shape.
fn fill_values(hit: &mut Hit, found: &Found<'_>, clean: &mut Clean<'_>) {
    match &clean.rule.condition {
        ConditionSpec::NewPattern { masks, .. } => {
            // The line around its message says when and who.
            let message = MESSAGES.iter().find_map(|name| found.fields.get(name));
            let text = match message {
                Some(raw) => clean.bytes(raw),
                None => clean.line(),
            };
            hit.values.push(Some(masks.shape(text)));
        }
        condition => {
            let names = condition.values().into_iter();
            hit.values.extend(names.map(|name| {
                let raw = found.fields.get(name)?;
                let mut value = String::new();
                clean.name_into(raw, &mut value);
                Some(value)
            }));
        }
    }
}

/// The same line meets a further part, which may give what the parts before did not.
fn fill_gaps(hit: &mut Hit, found: &Found<'_>, rule: &Rule, batch: &Batch, redacted: &mut Vec<u8>) {
    let line = batch.bytes.get(found.line.clone()).unwrap_or_default();
    let mut clean = Clean {
        rule,
        line,
        redacted,
    };
    for (name, value) in rule.group_by.iter().zip(&mut hit.group) {
        if value.is_empty() {
            clean.name_into(found.fields.get(name).unwrap_or_default(), value);
        }
    }
    for (name, value) in rule.top_count_keys.iter().zip(&mut hit.top) {
        if value.is_none() {
            *value = found.fields.get(name).map(|raw| clean.value(raw));
        }
    }
    if wants_all_fields(rule) {
        for (name, raw) in found.fields.iter().take(MAX_FIELDS) {
            if !hit.fields.contains_key(name) {
                hit.fields.insert(name.to_owned(), clean.value(raw));
            }
        }
    }
}

/// What of a line may be seen.
struct Clean<'a> {
    rule: &'a Rule,
    line: &'a [u8],
    redacted: &'a mut Vec<u8>,
}

impl Clean<'_> {
    /// A value of the line.
    fn bytes<'s>(&'s mut self, raw: &'s [u8]) -> &'s [u8] {
        if self.rule.redact.is_empty() {
            return raw;
        }
        self.redacted.clear();
        self.rule.redact.redact_value(raw, self.line, self.redacted);
        self.redacted
    }

    /// The line itself.
    fn line(&mut self) -> &[u8] {
        if self.rule.redact.is_empty() {
            return self.line;
        }
        self.redacted.clear();
        self.rule.redact.redact(self.line, self.redacted);
        self.redacted
    }

    fn value(&mut self, raw: &[u8]) -> String {
        let mut value = String::new();
        decode(self.bytes(raw), MAX_VALUE_BYTES, &mut value);
        value
    }

    /// A value by which things are told apart.
    fn name_into(&mut self, raw: &[u8], value: &mut String) {
        decode(self.bytes(raw), MAX_VALUE_BYTES, value);
        tell_apart(raw, value, &self.rule.redact);
    }
}

/// Two values that differ only behind the cut, or in bytes that are no UTF-8, are two groups all
/// the same: such a value ends in a hash of itself.
fn tell_apart(raw: &[u8], value: &mut String, redact: &Redactor) {
    if redact.is_empty() && value.as_bytes() != raw {
        // Writing to a String cannot fail.
        let hash = Sha256::digest(raw);
        write!(
            value,
            "#{:02x}{:02x}{:02x}{:02x}",
            hash[0], hash[1], hash[2], hash[3]
        )
        .unwrap_or_default();
    }
}

/// Writes `raw` to `out` as UTF-8, at most `most` bytes. Gives whether that is all of it.
fn decode(raw: &[u8], most: usize, out: &mut String) -> bool {
    out.clear();
    // Nearly every line: looked at at once, and copied at once.
    if raw.len() <= most
        && let Ok(text) = std::str::from_utf8(raw)
    {
        out.push_str(text);
        return true;
    }
    for chunk in raw.utf8_chunks() {
        out.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
        if out.len() > most {
            out.truncate(out.floor_char_boundary(most));
            return false;
        }
    }
    true
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
