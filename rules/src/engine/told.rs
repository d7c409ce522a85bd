//! What the engine gives to those who ask: what there is to say, to whom, and what was counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Notification, RuleId, Timestamp};
use crate::mute::Why;

/// What the engine gives: a notification and the rule that it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The rule.
    pub rule: RuleId,
    /// What there is to say.
    pub notification: Notification,
    /// To whom.
    pub to: To,
}

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// The rule's `notify`.
    Notify,
    /// Those of the rule's `escalate`.
    Escalation,
    /// All of them: whoever heard of an alert hears how it goes on.
    Both,
}

/// What was not said, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeldBack {
    /// An operator's silence.
    pub silenced: u64,
    /// Another alert that fired.
    pub inhibited: u64,
    /// The rule's time intervals.
    pub interval: u64,
    /// Another message spoke for it.
    pub folded: u64,
    /// The rule is a shadow.
    pub shadow: u64,
    /// No output takes it: none is named, or it is not severe enough for any.
    pub unrouted: u64,
}

impl HeldBack {
    /// Each reason's word and how often it was.
    pub fn by_reason(&self) -> [(&'static str, u64); 6] {
        [
            (Why::Silenced.name(), self.silenced),
            (Why::Inhibited.name(), self.inhibited),
            (Why::Interval.name(), self.interval),
            (Why::Folded.name(), self.folded),
            ("shadow", self.shadow),
            ("unrouted", self.unrouted),
        ]
    }
}

/// What happened to a rule since the engine was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleCounts {
    /// Lines that its `match` accepted.
    pub hits: u64,
    /// Alerts that started.
    pub alerts: u64,
    /// Alerts that ended.
    pub resolved: u64,
    /// What was not said.
    pub held_back: HeldBack,
    /// Notifications.
    pub notifications: u64,
    /// Groups that went because there were more than `max_groups`.
    pub dropped_groups: u64,
}

/// A running alert, as it stands between two notifications.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertView {
    /// As in its notifications.
    pub id: String,
    /// Hits since the first of the window that fired.
    pub count: u64,
    /// Hits since the latest notification.
    pub suppressed: u64,
    /// Line time of its start.
    pub started_at: Timestamp,
    /// What the type measured when it last held.
    pub value: f64,
    /// As in its notifications.
    pub group: BTreeMap<String, String>,
}
