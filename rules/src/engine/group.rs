//! What is remembered of one rule's group: its window, its latest lines, its alert, its past.

use std::collections::{BTreeMap, VecDeque};

use super::alert::Alert;
use super::past::Past;
use super::rate::{self, Buckets};
use super::top::Top;
use crate::condition::{Condition, Entry, Held, Observation, TopValues};
use crate::language::rule::Rule;
use crate::model::{InputId, Part, Parts, Sample, Timestamp};
use crate::scanner::Hit;

/// One group of one rule.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The values of the rule's `group_by` fields.
    pub(super) values: Box<[String]>,
    pub(super) condition: Condition,
    /// The latest lines, oldest first, at most the rule's `samples`.
    pub(super) samples: VecDeque<Sample>,
    pub(super) rate: Buckets,
    /// Latest line time of its hits, and when that line arrived: how far the two clocks are apart.
    pub(super) latest: Timestamp,
    pub(super) latest_arrival: Timestamp,
    /// Of the latest hit.
    pub(super) input: InputId,
    pub(super) alert: Option<Firing>,
    pub(super) past: Past,
    /// Whether a state of it was handed out to be stored, which must be taken back when it goes.
    pub(super) is_saved: bool,
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
    pub(super) fn new(rule: &Rule, hit: &Hit) -> Self {
        Self {
            values: hit.group.clone().into_boxed_slice(),
            condition: Condition::new(rule),
            samples: VecDeque::new(),
            rate: Buckets::default(),
            latest: hit.time,
            latest_arrival: hit.arrival,
            input: hit.input,
            alert: None,
            past: Past::default(),
            is_saved: false,
        }
    }

    /// Takes a hit's line into everything but the alert.
    /// Its sample is cut at `sample_bytes`.
    pub(super) fn note(&mut self, hit: &Hit, rule: &Rule, sample_bytes: usize) -> Option<Held> {
        if hit.time >= self.latest {
            self.latest = hit.time;
            self.latest_arrival = hit.arrival;
        }
        self.input = hit.input;
        self.keep_sample(&hit.sample, rule.samples, sample_bytes);
        self.rate
            .add(hit.time, rate::step(rule.condition.timeframe()));
        let top: Option<TopValues> = (!hit.top.is_empty()).then(|| {
            hit.top
                .iter()
                .map(|value| value.as_deref().map(Into::into))
                .collect()
        });
        let hit = Observation {
            time: hit.time,
            parts: Parts::of(Part::MATCH),
            values: &[],
            top,
        };
        self.condition.observe(hit).held()
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
        let remembers = rule.condition.timeframe().unwrap_or_default();
        self.alert.is_none() && self.latest.plus(remembers) <= now
    }
}

impl Firing {
    /// Counts the values of the hits that made it fire.
    pub(super) fn start(alert: Alert, held: Held, group: &Group, hit: &Hit) -> Self {
        let mut firing = Self {
            alert,
            top: vec![Top::default(); hit.top.len()],
            fields: hit.fields.clone(),
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
        if !counted {
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
