//! What is remembered of one rule's group: its condition, its latest lines, its alert, its past.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::AlertView;
use super::alert::{Alert, Due, With};
use super::past::Past;
use super::rate::{self, Buckets};
use super::top::Top;
use crate::condition::{Condition, Entry, Held, Observation, TopValues, Verdict};
use crate::language::rule::{ConditionSpec, Dedupe, Rule};
use crate::model::{InputId, Notification, Sample, Timestamp};
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
    pub(super) alert: Option<Box<Firing>>,
    /// The end of an alert that people know of, which nobody was told yet.
    pub(super) owed: Option<Box<Owed>>,
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

/// An end that was held back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Owed {
    /// As it would have been said.
    pub(super) notification: Notification,
    /// Line time at which it may be said.
    pub(super) look_at: Timestamp,
    /// Whether further people were told of it.
    pub(super) escalated: bool,
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

impl Subject {
    /// The `item` of the group that speaks for all groups of its rule.
    pub(super) const ALL: usize = usize::MAX;
}

impl Group {
    /// Whether it speaks for all groups of its rule.
    pub(super) fn is_fold(&self) -> bool {
        let item = self.subject.as_ref().map(|subject| subject.item);
        item == Some(Subject::ALL)
    }

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
            owed: None,
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
        let alike = match rule.dedupe {
            Dedupe::Nothing => 0,
            Dedupe::Template => self.keep_sample_once(&hit.sample),
        };
        self.keep_sample(&hit.sample, rule.samples, sample_bytes);
        if let Some(kept) = self.samples.back_mut() {
            kept.times = alike.saturating_add(hit.times);
        }
        let step = rate::step(rule.condition.timeframe());
        self.rate.add(hit.time, step, hit.times);
        if !hit.fields.is_empty() && rule.condition.may_begin_by_time() {
            self.fields.clone_from(&hit.fields);
        }
    }

    /// Lets the condition take a hit, as often as the hit stands for: what came of all of it.
    pub(super) fn observe_all(&mut self, hit: &Hit, rule: &Rule) -> Verdict {
        let mut all = self.observe(hit);
        for _ in 1..hit.times {
            let next = self.observe(hit);
            all = match (all, next) {
                (Verdict::Holds(first), Verdict::Holds(next)) => Verdict::Holds(Held {
                    at: first.at,
                    first: first.first,
                    count: first.count
                        + if rule.condition.counts_what_held() {
                            next.count
                        } else {
                            1
                        },
                    ..next
                }),
                (Verdict::Holds(first), _) if !rule.condition.counts_what_held() => {
                    Verdict::Holds(Held {
                        count: first.count + 1,
                        ..first
                    })
                }
                (all, Verdict::Nothing) => all,
                (_, next) => next,
            };
        }
        all
    }

    fn observe(&mut self, hit: &Hit) -> Verdict {
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

    /// One that differs in numbers only from one that is kept takes its place, and counts it.
    fn keep_sample_once(&mut self, sample: &Sample) -> u64 {
        let is_alike = |kept: &Sample| differ_in_numbers_only(&kept.line, &sample.line);
        let alike = self.samples.iter().position(is_alike);
        let kept = alike.and_then(|index| self.samples.remove(index));
        kept.map_or(0, |kept| kept.times)
    }

    fn keep_sample(&mut self, sample: &Sample, most: usize, most_bytes: usize) {
        if most == 0 {
            return;
        }
        if self.samples.is_empty() {
            // Most groups of a flood never have another.
            self.samples.reserve_exact(1);
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
            kept.before.clear();
            kept.after.clear();
        }
    }

    /// Bytes of the lines that it keeps.
    pub(super) fn sample_bytes(&self) -> usize {
        let context = |sample: &Sample| -> usize {
            sample
                .before
                .iter()
                .chain(&sample.after)
                .map(String::len)
                .sum()
        };
        let bytes = |sample: &Sample| sample.line.len() + context(sample);
        self.samples.iter().map(bytes).sum()
    }

    /// Whether it has had more than one hit lately.
    pub(super) fn has_come_again(&self) -> bool {
        self.rate.sum() > 1
    }

    /// What is due next, but for its condition, and when in line time.
    pub(super) fn due(&self, rule: &Rule) -> Option<(Timestamp, Due)> {
        let alert = self.alert.as_ref().map(|firing| firing.alert.due(rule));
        let owed = self.owed.as_ref();
        match (owed.map(|owed| (owed.look_at, Due::LookAtEnd)), alert) {
            (Some(owed), Some(alert)) if alert.0 < owed.0 => Some(alert),
            (None, alert) => alert,
            (owed, _) => owed,
        }
    }

    /// When the alert ends if nothing more comes, or may be known to, where it fires at line time
    /// `at`. Does not depend on how much of what is due by then has been settled.
    pub(super) fn fires_until(&self, rule: &Rule, at: Timestamp) -> Option<Timestamp> {
        let before = || self.past.fired_until(at, rule.resolve_after);
        let Some(firing) = self
            .alert
            .as_ref()
            .filter(|firing| firing.alert.started_at <= at)
        else {
            return before();
        };
        let alert = &firing.alert;
        let end = |held_until: Timestamp| held_until.plus(rule.resolve_after);
        let mut until = end(alert.held_until);
        let Some(mut due) = self.condition.due() else {
            return (until > at).then_some(until);
        };
        if due <= at {
            let (mut condition, mut alert) = (self.condition.clone(), alert.clone());
            while due <= at.min(end(alert.held_until)) {
                let verdict = condition.pass(due);
                alert.take(due, verdict, With::Time, rule);
                let Some(next) = condition.due() else {
                    due = Timestamp::MAX;
                    break;
                };
                due = next;
            }
            until = end(alert.held_until);
        }
        (until > at).then_some(until.min(due.max(at.plus(Duration::from_nanos(1)))))
    }

    /// Whether something of it waits until nothing is in the way any more.
    pub(super) fn waits(&self) -> bool {
        let alert = self.alert.as_ref().map(|firing| &firing.alert);
        let waits = |alert: &Alert| alert.held_back.is_some() || alert.escalate_look_at.is_some();
        self.owed.is_some() || alert.is_some_and(waits)
    }

    /// The point in arrival time that answers to line time `due`, seen from the latest hit: the
    /// two clocks run alike while nothing comes. In `backtest` they are one.
    pub(super) fn arrival_of(&self, due: Timestamp) -> Timestamp {
        self.latest_arrival
            .plus(due.since(self.latest))
            .minus(self.latest.since(due))
    }

    /// The line time that answers to a point in arrival time: the other way round.
    pub(super) fn line_of(&self, arrival: Timestamp) -> Timestamp {
        self.latest
            .plus(arrival.since(self.latest_arrival))
            .minus(self.latest_arrival.since(arrival))
    }

    /// Whether nothing of it can matter any more at line time `now`, but for its past.
    pub(super) fn is_spent(&self, now: Timestamp, rule: &Rule) -> bool {
        // Without groups, silence is watched for from the start on and for ever.
        let is_always_there = rule.group_by.is_empty() && rule.condition.watches_for_silence();
        self.alert.is_none()
            && self.owed.is_none()
            && !is_always_there
            && self.condition.due().is_none()
            && self.condition.matters_until(self.latest, &rule.condition) <= now
    }

    /// Everything that tells it from other groups of its rule.
    pub(super) fn identity(&self) -> (&[String], Option<&Subject>) {
        (&self.values, self.subject.as_ref())
    }

    /// The values of all that, as people are shown them.
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

    /// Its running alert, as it stands.
    pub(super) fn view(&self, rule: &Rule) -> Option<AlertView> {
        let alert = &self.alert.as_ref()?.alert;
        Some(AlertView {
            id: alert.id.clone(),
            count: alert.count,
            suppressed: alert.untold(),
            started_at: alert.started_at,
            value: alert.value,
            group: self.named(rule),
        })
    }

    /// The shape of the lines, where that is what is new.
    pub(super) fn pattern(&self, rule: &Rule) -> Option<String> {
        let is_pattern = matches!(rule.condition, ConditionSpec::NewPattern { .. });
        let subject = self.subject.as_ref();
        let subject = subject.filter(|_| is_pattern && !self.is_fold())?;
        subject.values.first().cloned()
    }
}

/// Whether two lines are the same but for their numbers. O(length).
fn differ_in_numbers_only(one: &str, other: &str) -> bool {
    let words = |text: &str| {
        let mut in_number = false;
        let bytes = text.bytes().filter_map(move |byte| {
            let was_in_number = std::mem::replace(&mut in_number, byte.is_ascii_digit());
            match (was_in_number, in_number) {
                (true, true) => None,
                (false, true) => Some(b'0'),
                (_, false) => Some(byte),
            }
        });
        bytes.collect::<Vec<u8>>()
    };
    words(one) == words(other)
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
            firing.count_values(values.iter().map(Option::as_deref), 1);
        }
        if let Some(hit) = hit.filter(|_| !counted) {
            firing.count_values(hit.top.iter().map(Option::as_deref), hit.times);
        }
        firing
    }

    /// Counts the values of one more hit, which stands for so many.
    pub(super) fn count_values<'a>(
        &mut self,
        values: impl Iterator<Item = Option<&'a str>>,
        times: u64,
    ) {
        for (top, value) in self.top.iter_mut().zip(values) {
            if let Some(value) = value {
                top.add(value, times);
            }
        }
    }
}
