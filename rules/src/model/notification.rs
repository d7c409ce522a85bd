//! One message about an alert, as section 6 of the contract has it. Plain data; the field names
//! are the JSON's, so this struct is the wire format of `format: lapwing`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use super::Timestamp;

/// How bad it is. Ordered: `Info < Warning < Critical`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth a look today.
    Warning,
    /// Worth waking someone.
    Critical,
}

/// What a rule does with what it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Finds, records, notifies.
    Live,
    /// Does all but notify.
    Shadow,
    /// Does nothing.
    Off,
}

/// Whether the alert goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It goes on.
    Firing,
    /// It is over.
    Resolved,
}

/// How the inputs were that a rule listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputState {
    /// Lines came, but no hits.
    Ok,
    /// No line came at all.
    Silent,
    /// No line came, and something could not be read.
    Unreadable,
}

/// Why this notification is sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// The alert started.
    First,
    /// It still goes on after `realert`.
    Repeat,
    /// The hits of the quiet time after a notification, told at its end.
    Digest,
    /// Nobody acknowledged it in time.
    Escalated,
    /// The alert ended.
    Resolved,
    /// Made up, to try the way to people.
    Drill,
}

/// One line that counted. Redacted; UTF-8, made so where it was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The line's time.
    pub at: Timestamp,
    /// The line without its terminator, at most [`Sample::MAX_BYTES`].
    pub line: String,
    /// The path that was opened, or `syslog://peer`.
    pub source: String,
    /// Byte offset of the line's start in its source.
    pub offset: u64,
    /// The line is longer than what stands here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// How many lines it stands for that differ in numbers only, itself included.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub times: u64,
    /// Lines before it, oldest first.
    #[serde(default)]
    pub before: Vec<String>,
    /// Lines after it, oldest first.
    #[serde(default)]
    pub after: Vec<String>,
}

impl Sample {
    /// A longer line is cut here: five of them for each of 10,000 groups must fit in memory.
    pub const MAX_BYTES: usize = 8 * 1024;
}

fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_one(times: &u64) -> bool {
    *times == 1
}

/// What outputs for people add to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Attachment {
    /// Hits over time.
    Graph,
    /// What happened before.
    History,
}

impl Attachment {
    /// What is added where a rule does not say.
    pub fn all() -> Vec<Self> {
        vec![Self::Graph, Self::History]
    }
}

#[expect(clippy::ptr_arg, reason = "serde asks so")]
fn is_all(attach: &Vec<Attachment>) -> bool {
    [Attachment::Graph, Attachment::History]
        .iter()
        .all(|one| attach.contains(one))
}

/// Somebody says that they are at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// Who.
    pub by: String,
    /// When, wall clock.
    pub at: Timestamp,
    /// What they had to say; may be empty.
    pub note: String,
}

impl Ack {
    /// Longest note, in bytes.
    pub const MOST_NOTE: usize = 1_024;
}

/// What happened last time, for the same rule and group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Earlier alerts that started in the 30 days before this one.
    pub fired_30d: u64,
    /// When the one before this started.
    pub last_started_at: Option<Timestamp>,
    /// How long the one before this lasted, in seconds.
    pub last_duration_s: Option<u64>,
    /// Who said last that they are at one of the earlier alerts, and what they noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ack: Option<Ack>,
    /// Earlier alerts that started on each of the 30 days before this one, oldest first; empty
    /// where there was none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub per_day: Vec<u32>,
}

/// A number that is written as JSON without a fraction where it has none (`60`, not `60.0`).
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Deserialize)]
#[serde(transparent)]
pub struct Number(pub f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// Up to here every whole `f64` is exact.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if self.0.fract() == 0.0 && self.0.abs() < EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

/// Hits of the group over time, oldest first: what a sparkline is drawn from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// The width of a bucket in seconds.
    pub step_s: Number,
    /// Hits in each bucket; the last one is under way.
    pub counts: Vec<u32>,
}

/// One message about an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// The version of this format: 1.
    pub version: u32,
    /// The same for all notifications of one alert, and again after a crash.
    pub id: String,
    /// Counts up from 1 within an alert.
    pub seq: u32,
    /// Whether the alert goes on.
    pub status: Status,
    /// Why this is sent now.
    pub reason: Reason,
    /// The rule's name.
    pub rule: String,
    /// The rule's type.
    #[serde(rename = "type")]
    pub rule_type: String,
    /// The rule's severity.
    pub severity: Severity,
    /// The rule's mode; `Off` never comes here.
    pub mode: Mode,
    /// The agent's host.
    pub host: String,
    /// The input of the latest hit.
    pub input: String,
    /// The values of the rule's `group_by` fields; for `new_term` those of the term, too.
    pub group: BTreeMap<String, String>,
    /// For `new_pattern`: the shape of the lines, with what varies masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// For flatline: how the rule's inputs were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_state: Option<InputState>,
    /// The rule's `summary`, rendered.
    pub summary: String,
    /// The rule's `description`.
    pub description: String,
    /// The rule's labels.
    pub labels: BTreeMap<String, String>,
    /// Hits in the window at first, later all hits since the first of that window.
    pub count: u64,
    /// Hits since the notification before.
    pub suppressed: u64,
    /// The rule's window in seconds; null for types without one.
    pub timeframe_s: Option<Number>,
    /// What the type measures.
    pub value: Number,
    /// What `value` is held against.
    pub threshold: Number,
    /// Line time of the hit that made the condition hold.
    pub started_at: Timestamp,
    /// Line time of the oldest hit in the window that fired.
    pub first_hit_at: Timestamp,
    /// When the condition last held; null while it goes on.
    pub ended_at: Option<Timestamp>,
    /// When it became due to say this: line time of the hit, or of the end of a quiet time.
    /// The delivering side replaces it by the time of the first try.
    pub sent_at: Timestamp,
    /// The latest lines that counted, oldest first.
    pub samples: Vec<Sample>,
    /// For each of `top_count_keys` up to five values with their counts, most first.
    pub top: BTreeMap<String, Vec<(String, u64)>>,
    /// Of an alert that speaks for all groups of its rule: how many fire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folded_groups: Option<u64>,
    /// Who is at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acked: Option<Ack>,
    /// What happened last time.
    pub history: History,
    /// What outputs for people show of `rate` and `history`; absent: both.
    #[serde(default = "Attachment::all", skip_serializing_if = "is_all")]
    pub attach: Vec<Attachment>,
    /// Hits over time.
    pub rate: Rate,
    /// The rule's `runbook_url`.
    pub runbook_url: Option<String>,
    /// The rule's `dashboard_url`, rendered.
    pub dashboard_url: Option<String>,
    /// How many seconds after `started_at` it was found, when it was found late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_s: Option<u64>,
}
