//! The figures of a running agent, as `lapwing status --json` prints them.

use std::collections::BTreeMap;

use lapwing_rules::engine::HeldBack;
use lapwing_rules::model::Timestamp;
use serde::{Deserialize, Serialize};

/// How everything stands. Counts are since the agent's start, or since the last reload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The agent's version.
    pub version: String,
    /// What it calls its host.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// Seconds since it was started.
    pub uptime_s: u64,
    /// State is loaded and every file has its starting position.
    pub ready: bool,
    /// By name.
    pub inputs: BTreeMap<String, InputStatus>,
    /// By name; empty, with `engine` saying why, while the engine does not answer.
    pub rules: BTreeMap<String, RuleStatus>,
    /// Silences that hold now.
    #[serde(default)]
    pub silences: u64,
    /// By name.
    pub outputs: BTreeMap<String, OutputStatus>,
    /// What is kept on disk.
    pub state: StateStatus,
    /// Lines that the agent writes for itself, one a minute.
    #[serde(default)]
    pub canary: CanaryStatus,
    /// `ok`, or why there are no figures of rules.
    pub engine: String,
    /// The last SIGHUP; `null`: there was none.
    pub last_reload: Option<super::LastReload>,
    /// How many there were since the process was started.
    #[serde(default)]
    pub reloads: Reloads,
}

/// SIGHUPs, by what came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloads {
    /// The new configuration was taken.
    pub ok: u64,
    /// The old one stayed.
    pub refused: u64,
}

/// One input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InputStatus {
    /// Its `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Files that are followed.
    pub files: u64,
    /// Lines that were matched.
    #[serde(default)]
    pub lines: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Bytes that stand in files and were not read yet.
    pub lag_bytes: u64,
    /// Lines whose own time was too far in the future.
    pub skewed: u64,
    /// What others send to it; `null` where it reads files.
    #[serde(default)]
    pub received: Option<ReceivedStatus>,
    /// What cannot be read now: 100 at most.
    pub unreadable: Vec<Unreadable>,
    /// How many there are.
    pub unreadable_total: u64,
    /// How many of these need not be read, such as pipes and what the agent writes itself.
    #[serde(default)]
    pub passed_over: u64,
    /// What could not be read for good, by file.
    pub losses: Vec<Loss>,
}

/// What was received from others, since the process began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedStatus {
    /// Messages.
    pub messages: u64,
    /// Connections that are open now.
    pub connections: u64,
    /// Connections that were opened.
    pub accepted: u64,
    /// Connections that were refused: `max_connections` were open.
    pub refused: u64,
    /// Connections that were closed for what came over them.
    pub broken: u64,
    /// Connections that were closed because they took too long.
    pub timed_out: u64,
    /// TLS handshakes that failed.
    pub handshakes_failed: u64,
    /// Messages that were cut at `max_line_bytes`.
    pub cut: u64,
    /// Datagrams that the system dropped because they came faster than they were read.
    pub datagrams_dropped: u64,
    /// The agent's own messages that came back, and were dropped.
    pub own: u64,
    /// Addresses that cannot be listened at now, and why.
    pub deaf: BTreeMap<String, String>,
}

/// A file that is not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// Its name.
    pub path: String,
    /// The system's answer, or why it need not be read.
    pub error: String,
    /// Since when.
    pub since: Timestamp,
    /// Whether nobody misses anything: it is a pipe, say, or what the agent writes itself.
    #[serde(default)]
    pub passed_over: bool,
}

/// What was lost of one file, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Its name; `null` sums up all files that found no row of their own.
    pub path: Option<String>,
    /// One word: `truncated`, `vanished`, `unreadable`, `cut`, `hole`, `archive`, `oversize`.
    pub kind: String,
    /// Why, to follow the name.
    pub why: String,
    /// How much, at least; `null`: nobody can say.
    pub bytes: Option<u64>,
    /// How often.
    pub times: u64,
    /// When last, wall clock.
    pub last_at: Timestamp,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleStatus {
    /// Its `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `live`, `shadow` or `off`.
    pub mode: String,
    /// Lines that it accepted.
    pub hits: u64,
    /// Alerts that started.
    pub alerts: u64,
    /// Notifications.
    pub notifications: u64,
    /// Alerts that are firing now.
    pub firing: u64,
    /// Messages that were not sent, by reason.
    #[serde(default)]
    pub held_back: HeldBack,
    /// Groups that went because there were more than `max_groups`.
    pub dropped_groups: u64,
}

/// One output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputStatus {
    /// Its `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Notifications that wait; `null`: the store cannot say now.
    pub waiting: Option<u64>,
    /// Bytes that they take.
    pub waiting_bytes: Option<u64>,
    /// Notifications that the other side took.
    pub delivered: u64,
    /// Tries that failed and are made again.
    pub failed: u64,
    /// Notifications that the other side will never take.
    pub rejected: u64,
    /// Notifications that grew too old.
    pub expired: u64,
    /// Notifications that a full queue lost.
    pub dropped: u64,
    /// When something was last delivered.
    pub delivered_at: Option<Timestamp>,
    /// Why the last try failed; `null` when it did not.
    pub last_error: Option<String>,
    /// When the last failure was.
    pub failed_at: Option<Timestamp>,
    /// When the other side is tried again, which fails; `null`: it does not.
    #[serde(default)]
    pub next_try_at: Option<Timestamp>,
    /// Of those that wait, those that it fails at while it takes others.
    #[serde(default)]
    pub aside: u64,
}

/// The state folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateStatus {
    /// The folder.
    pub path: String,
    /// Bytes of the database.
    pub bytes: u64,
    /// When something was last committed.
    pub committed_at: Option<Timestamp>,
    /// How long that took.
    pub commit_ms: u64,
    /// Since when nothing can be committed; `null`: it can.
    pub failing_since: Option<Timestamp>,
    /// Why not.
    pub error: Option<String>,
    /// Notifications that stand in memory only.
    pub in_memory: u64,
    /// What was dropped, by reason.
    pub dropped: DroppedStatus,
    /// `ok`, or what was wrong with the state at the start.
    pub start: String,
}

/// Lines that the agent writes for itself and that go the way of all others up to the durable commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CanaryStatus {
    /// How long the last one took; `null`: none has come through yet.
    pub seconds: Option<f64>,
    /// Those that came through.
    pub arrived: u64,
    /// Those that did not before the next one was written.
    pub lost: u64,
}

/// Notifications that were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedStatus {
    /// An output's queue was full.
    pub queue_full: u64,
    /// They waited for an output that is configured no more.
    pub orphaned: u64,
    /// They were told while nothing could be saved, and are in no history.
    pub unrecorded: u64,
}
