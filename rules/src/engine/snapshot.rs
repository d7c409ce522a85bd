//! A group as it is saved: versioned JSON, apart from the structs that the engine works with.
//!
//! Fields may be added with a default; a change of meaning takes a new version. A large window is
//! apart from it, in parts that are written once each: see [`Window`](crate::condition::Window).

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::alert::Alert;
use super::group::{Firing, Group, Subject};
use super::past::Past;
use super::rate::Buckets;
use super::top::Top;
use crate::condition::{Condition, Entry, Saved, State, TopValues, Window};
use crate::language::rule::Rule;
use crate::model::{InputId, Sample, Timestamp};

const VERSION: u32 = 1;

/// A group that was saved and can be put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedGroup {
    /// The rule's name.
    pub rule: String,
    /// The group's key.
    pub key: String,
    /// JSON; `None` when the group is gone, with all parts of its window.
    pub state: Option<Vec<u8>>,
    /// Whole parts of its window by number, JSON: what is new, of what was given before; to
    /// restore it, all of them.
    pub parts: BTreeMap<u64, Vec<u8>>,
    /// Parts of a lower number are gone.
    pub first_part: u64,
}

#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    /// What the rule looked like: a window of another kind of rule is not carried over.
    shape: Shape,
    values: Vec<String>,
    /// What is new, of a group that is there for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Subject>,
    /// What the type remembers beside its window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    condition: Option<State>,
    /// The number of the window's oldest hit.
    #[serde(default)]
    first: u64,
    /// The number of the first hit in `window`; those before it are in parts.
    #[serde(default)]
    rest: u64,
    window: Vec<Hit>,
    samples: VecDeque<Sample>,
    rate: Buckets,
    latest: i64,
    latest_arrival: i64,
    input: String,
    alert: Option<Alert>,
    top: Vec<Vec<(String, u64)>>,
    fields: BTreeMap<String, String>,
    /// Fields of the latest hit, where an alert may begin without one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    latest_fields: BTreeMap<String, String>,
    past: Past,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Shape {
    rule_type: String,
    group_by: Vec<String>,
    top_count_keys: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Hit(
    i64,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<Vec<Option<String>>>,
);

fn shape(rule: &Rule) -> Shape {
    Shape {
        rule_type: rule.condition.name().to_owned(),
        group_by: rule.group_by.clone(),
        top_count_keys: rule.top_count_keys.clone(),
    }
}

/// A whole part of a window. It may lack hits at its beginning that had left when it was saved.
#[derive(Serialize, Deserialize)]
struct Part {
    /// The number of its first hit.
    first: u64,
    /// The time of its first hit, and of each one the nanoseconds since the one before.
    at: i64,
    since: Vec<i64>,
    /// What a message will count, where there is something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    top: Vec<Option<Vec<Option<String>>>>,
}

fn texts(top: &TopValues) -> Vec<Option<String>> {
    let text = |value: &Option<Box<str>>| value.as_deref().map(str::to_owned);
    top.iter().map(text).collect()
}

fn values(texts: Vec<Option<String>>) -> TopValues {
    texts
        .into_iter()
        .map(|value| value.map(Into::into))
        .collect()
}

impl Part {
    fn of(window: &Window, number: u64) -> Self {
        let (from, until) = (number * Window::PART, (number + 1) * Window::PART);
        let entries = || window.numbered(from, until);
        let at = entries().next().map_or(0, |entry| entry.time.as_nanos());
        let mut before = at;
        let since = entries().map(|entry| {
            let time = entry.time.as_nanos();
            time.wrapping_sub(std::mem::replace(&mut before, time))
        });
        let has_top = entries().any(|entry| entry.top.is_some());
        Self {
            first: from.max(window.extent().first),
            at,
            since: since.collect(),
            top: entries()
                .filter(|_| has_top)
                .map(|entry| entry.top.as_ref().map(texts))
                .collect(),
        }
    }

    fn entries(self) -> impl Iterator<Item = (u64, Entry)> {
        let (mut time, mut tops) = (self.at, self.top.into_iter());
        let entry = move |since: i64| {
            time = time.wrapping_add(since);
            Entry {
                time: Timestamp::from_nanos(time),
                top: tops.next().flatten().map(values),
            }
        };
        (self.first..).zip(self.since.into_iter().map(entry))
    }
}

/// The changes of a group. `input` is the name of its latest input.
pub(super) fn save(rule: &Rule, key: &str, group: &mut Group, input: &str) -> SavedGroup {
    let mut parts = group.condition.take_parts();
    let mut first_part = 0;
    if let Some(window) = group.condition.window_mut() {
        let unsaved = window.take_unsaved();
        first_part = window.extent().first / Window::PART;
        for number in unsaved {
            let json = serde_json::to_vec(&Part::of(window, number)).unwrap_or_default();
            parts.insert(number, json);
        }
    }
    SavedGroup {
        rule: rule.name.clone(),
        key: key.to_owned(),
        state: Some(state(rule, group, input)),
        parts,
        first_part,
    }
}

fn state(rule: &Rule, group: &Group, input: &str) -> Vec<u8> {
    let extent = group.condition.window().map(Window::extent);
    let rest = extent.map_or(0, |extent| extent.rest);
    let window = group.condition.window().into_iter();
    let record = Record {
        version: VERSION,
        shape: shape(rule),
        values: group.values.to_vec(),
        subject: group.subject.clone(),
        condition: group.condition.save(),
        first: extent.map_or(0, |extent| extent.first),
        rest,
        window: window
            .flat_map(|window| window.numbered(rest, u64::MAX))
            .map(|entry| Hit(entry.time.as_nanos(), entry.top.as_ref().map(texts)))
            .collect(),
        samples: group.samples.clone(),
        rate: group.rate.clone(),
        latest: group.latest.as_nanos(),
        latest_arrival: group.latest_arrival.as_nanos(),
        input: input.to_owned(),
        alert: group.alert.as_ref().map(|firing| firing.alert.clone()),
        top: group
            .alert
            .as_ref()
            .map(|firing| firing.top.iter().map(Top::all).collect())
            .unwrap_or_default(),
        fields: group
            .alert
            .as_ref()
            .map(|firing| firing.fields.clone())
            .unwrap_or_default(),
        latest_fields: group.fields.clone(),
        past: group.past.clone(),
    };
    serde_json::to_vec(&record).unwrap_or_default()
}

/// A group out of what was saved; `None` when it is damaged, of another version, or of a rule that
/// now groups or counts otherwise.
pub(super) fn restore(
    saved: &SavedGroup,
    rule: &Rule,
    input: impl Fn(&str) -> InputId,
) -> Option<Group> {
    let record: Record = serde_json::from_slice(saved.state.as_deref()?).ok()?;
    if record.version != VERSION || record.shape != shape(rule) {
        return None;
    }
    // The hits are observed anew, so that 9 of 10 stay 9 of 10 when the rule's numbers change.
    let mut condition = Condition::new(rule);
    if let Some(window) = condition.window_mut() {
        let numbers = record.first / Window::PART..record.rest / Window::PART;
        let mut entries = Vec::new();
        for (_, part) in saved.parts.range(numbers.clone()) {
            let part: Part = serde_json::from_slice(part).ok()?;
            let counts = |(number, _): &(u64, Entry)| *number >= record.first;
            entries.extend(part.entries().filter(counts).map(|(_, entry)| entry));
        }
        if entries.len() as u64 != record.rest.checked_sub(record.first)? {
            return None;
        }
        entries.extend(record.window.into_iter().map(|Hit(time, top)| Entry {
            time: Timestamp::from_nanos(time),
            top: top.map(values),
        }));
        let how = if numbers.is_empty() {
            Saved::Nothing
        } else {
            Saved::Parts
        };
        window.restore(record.first, entries.into_iter(), how);
    }
    if let Some(state) = record.condition
        && !condition.restore(state, &saved.parts)
    {
        return None;
    }
    let top = record.top.into_iter().map(Top::restore).collect();
    Some(Group {
        values: record.values.into_boxed_slice(),
        subject: record.subject,
        fields: record.latest_fields,
        condition,
        samples: record.samples.into_iter().take(rule.samples).collect(),
        rate: record.rate,
        latest: Timestamp::from_nanos(record.latest),
        latest_arrival: Timestamp::from_nanos(record.latest_arrival),
        input: input(&record.input),
        alert: record.alert.map(|alert| Firing {
            alert,
            top,
            fields: record.fields,
        }),
        past: record.past,
        is_saved: true,
    })
}
