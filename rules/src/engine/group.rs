//! What is remembered of one rule's group: its condition, its latest lines, its alert, its past.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::alert::Alert;
use super::past::Past;
use super::rate::{self, Buckets};
use super::top::Top;
use crate::condition::{Condition, Entry, Held, Observation, TopValues, Verdict};
use crate::language::rule::{ConditionSpec, Rule};
use crate::model::{InputId, Sample, Timestamp};
use crate::scanner::Hit;

/// One group of one rule.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The values of the rule's `group_by` fields.
    pub(super) values: Box<[String]>,
    /// What is new, where the group is there for that.
    pub(super) subject: Option<Subject>,
    pub(super) condition: Condition,
    /// The latest lines, oldest first, at most the rule's `samples`.
    pub(super) samples: VecDeque<Sample>,
    pub(super) rate: Buckets,
    /// Latest line time of its hits, and when that line arrived: how far the two clocks are apart.
    pub(super) latest: Timestamp,
    pub(super) latest_arrival: Timestamp,
    /// It is watched, and no hit has come yet.
    pub(super) is_unheard: bool,
    /// Of the latest hit.
    pub(super) input: InputId,
    /// Fields of the latest hit, where a template asks for them and an alert may begin without one.
    pub(super) fields: BTreeMap<String, String>,
    pub(super) alert: Option<Firing>,
    pub(super) past: Past,
    /// Whether a state of it was handed out to be stored, which must be taken back when it goes.
    pub(super) is_saved: bool,
    /// Whether it is on the engine's list of those that changed.
    pub(super) is_changed: bool,
}

/// A term or a pattern that was not seen before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subject {
    /// The index of the item of `fields`; 0 for a pattern.
    pub(super) item: usize,
    /// Its values, or the pattern.
    pub(super) values: Box<[String]>,
}

/// A running alert and what its messages hold.
#[derive(Clone, Debug)]
pub(super) struct Firing {
    pub(super) alert: Alert,
    /// One for each of the rule's `top_count_keys`.
    pub(super) top: Vec<Top>,
    /// Fields of the hit that fired, where a template asks for them.
    pub(super) fields: BTreeMap<String, String>,
}

impl Group {
    pub(super) fn new(rule: &Rule, hit: &Hit, subject: Option<Subject>) -> Self {
        let mut group = Self::unheard(rule, hit.time, hit.arrival);
        group.is_unheard = false;
        group.values = hit.group.clone().into_boxed_slice();
        group.input = hit.input;
        if subject.is_some() {
            group.condition = Condition::Told;
        }
        group.subject = subject;
        group
    }

    /// One that is watched from `time` on, when it was `arrival`, without a hit.
    pub(super) fn unheard(rule: &Rule, time: Timestamp, arrival: Timestamp) -> Self {
        Self {
            values: Box::default(),
            subject: None,
            condition: Condition::new(rule),
            samples: VecDeque::new(),
            rate: Buckets::default(),
            latest: time,
            latest_arrival: arrival,
            is_unheard: true,
            input: InputId(0),
            fields: BTreeMap::new(),
            alert: None,
            past: Past::default(),
            is_saved: false,
            is_changed: false,
        }
    }

    /// The first hit of a group that is watched may be of a time before that: a backlog is looked at
    /// from its beginning.
    pub(super) fn begin_earlier(&mut self, hit: &Hit) {
        let is_first = std::mem::replace(&mut self.is_unheard, false);
        if is_first && self.alert.is_none() && hit.time < self.latest {
            (self.latest, self.latest_arrival) = (hit.time, hit.arrival);
            self.condition.begin_earlier(hit.time);
        }
    }

    /// Takes a hit's time and place.
    pub(super) fn hear(&mut self, hit: &Hit) {
        if hit.time >= self.latest {
            self.latest = hit.time;
            self.latest_arrival = hit.arrival;
        }
        self.input = hit.input;
    }

    /// Takes a hit's line; its sample is cut at `sample_bytes`.
    pub(super) fn keep_line(&mut self, hit: &Hit, rule: &Rule, sample_bytes: usize) {
        self.keep_sample(&hit.sample, rule.samples, sample_bytes);
        self.rate
            .add(hit.time, rate::step(rule.condition.timeframe()));
        if !hit.fields.is_empty() && rule.condition.may_begin_by_time() {
            self.fields.clone_from(&hit.fields);
        }
    }

    /// Lets the condition take a hit.
    pub(super) fn observe(&mut self, hit: &Hit) -> Verdict {
        let top: Option<TopValues> = (!hit.top.is_empty()).then(|| {
            hit.top
                .iter()
                .map(|value| value.as_deref().map(Into::into))
                .collect()
        });
        self.condition.observe(Observation {
            time: hit.time,
            parts: hit.parts,
            values: &hit.values,
            top,
        })
    }

    fn keep_sample(&mut self, sample: &Sample, most: usize, most_bytes: usize) {
        if most == 0 {
            return;
        }
        if self.samples.len() < most {
            self.samples.push_back(sample.clone());
        } else if let Some(mut oldest) = self.samples.pop_front() {
            oldest.clone_from(sample);
            self.samples.push_back(oldest);
        }
        if let Some(kept) = self
            .samples
            .back_mut()
            .filter(|kept| kept.line.len() > most_bytes)
        {
            kept.line
                .truncate(kept.line.floor_char_boundary(most_bytes));
            kept.line.shrink_to_fit();
            kept.cut = true;
        }
    }

    /// Bytes of the lines that it keeps.
    pub(super) fn sample_bytes(&self) -> usize {
        self.samples.iter().map(|sample| sample.line.len()).sum()
    }

    /// The point in arrival time that answers to line time `due`, seen from the latest hit: the
    /// two clocks run alike while nothing comes. In `backtest` they are one.
    pub(super) fn arrival_of(&self, due: Timestamp) -> Timestamp {
        self.latest_arrival
            .plus(due.since(self.latest))
            .minus(self.latest.since(due))
    }

    /// Whether nothing of it can matter any more at line time `now`, but for its past.
    pub(super) fn is_spent(&self, now: Timestamp, rule: &Rule) -> bool {
        // Without groups, silence is watched for from the start on and for ever.
        let is_always_there = rule.group_by.is_empty() && rule.condition.watches_for_silence();
        self.alert.is_none()
            && !is_always_there
            && self.condition.due().is_none()
            && self.condition.matters_until(self.latest, &rule.condition) <= now
    }

    /// Everything that tells it from other groups, for the alert's name.
    pub(super) fn all_values(&self) -> impl Iterator<Item = &str> {
        let subject = self.subject.iter().flat_map(|subject| &subject.values);
        self.values.iter().chain(subject).map(String::as_str)
    }

    /// Names and values, as messages show them.
    pub(super) fn named(&self, rule: &Rule) -> BTreeMap<String, String> {
        let mut named: BTreeMap<String, String> = rule
            .group_by
            .iter()
            .cloned()
            .zip(self.values.iter().cloned())
            .collect();
        if let (Some(subject), ConditionSpec::NewTerm { fields, .. }) =
            (&self.subject, &rule.condition)
            && let Some(names) = fields.get(subject.item)
        {
            named.extend(names.iter().cloned().zip(subject.values.iter().cloned()));
        }
        named
    }

    /// The shape of the lines, where that is what is new.
    pub(super) fn pattern(&self, rule: &Rule) -> Option<String> {
        let is_pattern = matches!(rule.condition, ConditionSpec::NewPattern { .. });
        let subject = self.subject.as_ref().filter(|_| is_pattern)?;
        subject.values.first().cloned()
    }
}

impl Firing {
    /// Counts the values of the hits that made it fire. `hit`: the last of them, where it was a hit.
    pub(super) fn start(
        alert: Alert,
        held: Held,
        group: &Group,
        hit: Option<&Hit>,
        rule: &Rule,
    ) -> Self {
        let fields = hit.map_or(&group.fields, |hit| &hit.fields);
        let mut firing = Self {
            alert,
            top: vec![Top::default(); rule.top_count_keys.len()],
            fields: fields.clone(),
        };
        let mut counted = false;
        let counts = |entry: &&Entry| (held.first..=held.at).contains(&entry.time);
        for values in group
            .condition
            .entries()
            .filter(counts)
            .filter_map(|entry| entry.top.as_ref())
        {
            counted = true;
            firing.count_values(values.iter().map(Option::as_deref));
        }
        if let Some(hit) = hit.filter(|_| !counted) {
            firing.count_values(hit.top.iter().map(Option::as_deref));
        }
        firing
    }

    /// Counts the values of one more hit.
    pub(super) fn count_values<'a>(&mut self, values: impl Iterator<Item = Option<&'a str>>) {
        for (top, value) in self.top.iter_mut().zip(values) {
            if let Some(value) = value {
                top.add(value);
            }
        }
    }
}
