//! A group as it is saved: versioned JSON, apart from the structs that the engine works with.
//!
//! Fields may be added with a default; a change of meaning takes a new version.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::alert::Alert;
use super::group::{Firing, Group};
use super::past::Past;
use super::rate::Buckets;
use super::top::Top;
use crate::condition::Condition;
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
    /// JSON; `None` when the group is gone.
    pub state: Option<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    /// What the rule looked like: a window of another kind of rule is not carried over.
    shape: Shape,
    values: Vec<String>,
    window: Vec<Hit>,
    samples: VecDeque<Sample>,
    rate: Buckets,
    latest: i64,
    latest_arrival: i64,
    input: String,
    alert: Option<Alert>,
    top: Vec<Vec<(String, u64)>>,
    fields: BTreeMap<String, String>,
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

/// The JSON of a group. `input` is the name of its latest input.
pub(super) fn save(rule: &Rule, group: &Group, input: &str) -> Vec<u8> {
    let texts = |top: &crate::condition::TopValues| {
        top.iter()
            .map(|value| value.as_deref().map(str::to_owned))
            .collect()
    };
    let record = Record {
        version: VERSION,
        shape: shape(rule),
        values: group.values.to_vec(),
        window: group
            .condition
            .entries()
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
        past: group.past.clone(),
    };
    serde_json::to_vec(&record).unwrap_or_default()
}

/// A group out of its JSON; `None` when it is damaged, of another version, or of a rule that now
/// groups or counts otherwise.
pub(super) fn restore(state: &[u8], rule: &Rule, input: impl Fn(&str) -> InputId) -> Option<Group> {
    let record: Record = serde_json::from_slice(state).ok()?;
    if record.version != VERSION || record.shape != shape(rule) {
        return None;
    }
    // The hits are observed anew, so that 9 of 10 stay 9 of 10 when the rule's numbers change.
    let mut condition = Condition::new(rule);
    if let Some(window) = condition.window_mut() {
        for Hit(time, top) in record.window {
            let values = |values: Vec<Option<String>>| {
                let values = values.into_iter();
                values.map(|value| value.map(Into::into)).collect()
            };
            window.push(Timestamp::from_nanos(time), top.map(values));
        }
    }
    let top = record.top.into_iter().map(Top::restore).collect();
    Some(Group {
        values: record.values.into_boxed_slice(),
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
