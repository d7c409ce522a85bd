//! A group as it is saved: versioned JSON, apart from the structs that the engine works with.
//!
//! Fields may be added with a default; a change of meaning takes a new version. A large window is
//! apart from it, in parts that are written once each: see [`Window`](crate::condition::Window).

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize, Serializer};

use super::alert::Alert;
use super::group::{Firing, Group, Owed, Subject};
use super::past::Past;
use super::rate::Buckets;
use super::top::Top;
use crate::condition::{Condition, Entry, Saved, State, TopValues, Window};
use crate::language::rule::Rule;
use crate::model::{InputId, Mode, Sample, Timestamp};

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

#[derive(Deserialize)]
struct Record {
    version: u32,
    /// What the rule looked like: a window of another kind of rule is not carried over.
    shape: Shape,
    values: Vec<String>,
    /// What is new, of a group that is there for it.
    #[serde(default)]
    subject: Option<Subject>,
    /// What the type remembers beside its window.
    #[serde(default)]
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
    #[serde(default)]
    is_unheard: bool,
    input: String,
    alert: Option<Alert>,
    #[serde(default)]
    owed: Option<Owed>,
    top: Vec<Vec<(String, u64)>>,
    fields: BTreeMap<String, String>,
    /// Fields of the latest hit, where an alert may begin without one.
    #[serde(default)]
    latest_fields: BTreeMap<String, String>,
    past: Past,
}

#[derive(PartialEq, Eq, Deserialize)]
struct Shape {
    rule_type: String,
    group_by: Vec<String>,
    top_count_keys: Vec<String>,
}

#[derive(Deserialize)]
struct Hit(i64, #[serde(default)] Option<Vec<Option<String>>>);

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
    /// Most states are shorter: to grow a text by doubling costs more than to write it.
    const ROOM: usize = 4096;
    static NO_FIELDS: BTreeMap<String, String> = BTreeMap::new();
    let extent = group.condition.window().map(Window::extent);
    let alert = group.alert.as_deref();
    let written = Written {
        version: VERSION,
        shape: ShapeOf {
            rule_type: rule.condition.name(),
            group_by: &rule.group_by,
            top_count_keys: &rule.top_count_keys,
        },
        values: &group.values,
        subject: group.subject.as_ref(),
        condition: group.condition.save(),
        first: extent.map_or(0, |extent| extent.first),
        rest: extent.map_or(0, |extent| extent.rest),
        window: RestOf(group.condition.window()),
        samples: &group.samples,
        rate: &group.rate,
        latest: group.latest.as_nanos(),
        latest_arrival: group.latest_arrival.as_nanos(),
        is_unheard: group.is_unheard,
        input,
        alert: alert.map(|firing| &firing.alert),
        owed: group.owed.as_deref(),
        top: alert.map_or(&[], |firing| &firing.top),
        fields: alert.map_or(&NO_FIELDS, |firing| &firing.fields),
        latest_fields: &group.fields,
        past: &group.past,
    };
    let mut json = Vec::with_capacity(ROOM);
    if serde_json::to_writer(&mut json, &written).is_err() {
        // Plain values into memory: this cannot fail.
        json.clear();
    }
    json.shrink_to_fit();
    json
}

/// A [`Record`] that borrows everything: many of them are written with each commit.
#[derive(Serialize)]
struct Written<'g> {
    version: u32,
    shape: ShapeOf<'g>,
    values: &'g [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'g Subject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<State>,
    first: u64,
    rest: u64,
    window: RestOf<'g>,
    samples: &'g VecDeque<Sample>,
    rate: &'g Buckets,
    latest: i64,
    latest_arrival: i64,
    is_unheard: bool,
    input: &'g str,
    alert: Option<&'g Alert>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owed: Option<&'g Owed>,
    top: &'g [Top],
    fields: &'g BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    latest_fields: &'g BTreeMap<String, String>,
    past: &'g Past,
}

#[derive(Serialize)]
struct ShapeOf<'g> {
    rule_type: &'g str,
    group_by: &'g [String],
    top_count_keys: &'g [String],
}

/// The hits of a window that belong to no whole part.
struct RestOf<'g>(Option<&'g Window>);

impl Serialize for RestOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let window = self.0.into_iter();
        let entries = window.flat_map(|window| window.numbered(window.extent().rest, u64::MAX));
        serializer
            .collect_seq(entries.map(|entry| HitOf(entry.time.as_nanos(), entry.top.as_ref())))
    }
}

/// A [`Hit`] that borrows.
#[derive(Serialize)]
struct HitOf<'g>(
    i64,
    #[serde(skip_serializing_if = "Option::is_none")] Option<&'g TopValues>,
);

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
    // Nobody heard of it: a rule that goes live begins with an alert of its own.
    let is_known = |alert: &Alert| alert.mode != Mode::Shadow || rule.mode != Mode::Live;
    Some(Group {
        values: record.values.into_boxed_slice(),
        subject: record.subject,
        fields: record.latest_fields,
        condition,
        samples: record.samples.into_iter().take(rule.samples).collect(),
        rate: record.rate,
        latest: Timestamp::from_nanos(record.latest),
        latest_arrival: Timestamp::from_nanos(record.latest_arrival),
        is_unheard: record.is_unheard,
        input: input(&record.input),
        alert: record.alert.filter(is_known).map(|alert| {
            Box::new(Firing {
                alert,
                top,
                fields: record.fields,
            })
        }),
        owed: record.owed.map(Box::new),
        past: record.past,
        is_saved: true,
        is_changed: false,
    })
}
