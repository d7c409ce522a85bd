//! The life of one alert: when it is told again, when it ends. Decisions over values only; what
//! is said is put together in `telling`, whether it may be said is decided in `mute`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::condition::{Cause, Held, Verdict};
use crate::language::rule::{ConditionSpec, Rule};
use crate::model::{Ack, Mode, Reason, Timestamp};

/// One episode of trouble for one rule and group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Alert {
    /// Ends in 16 hexadecimal digits that depend on host, rule, group, what is new and start
    /// alone.
    pub(super) id: String,
    /// Of the latest notification; counts from 1. 0: nothing was said yet.
    pub(super) seq: u32,
    /// Line time at which the condition came to hold.
    pub(super) started_at: Timestamp,
    /// Line time of the oldest hit in the window that fired.
    pub(super) first_hit_at: Timestamp,
    /// Line time up to which the condition holds; [`Timestamp::MAX`] while no end is in sight.
    pub(super) held_until: Timestamp,
    /// Hits since `first_hit_at`.
    pub(super) count: u64,
    /// Line time of the latest occasion to speak, used or not.
    pub(super) told_at: Timestamp,
    /// `count` in the latest notification.
    pub(super) told_count: u64,
    /// Nothing is told again for so long after `told_at`.
    pub(super) quiet: Duration,
    /// What the type measured when it last held.
    #[serde(default)]
    pub(super) value: f64,
    /// What that was held against.
    #[serde(default)]
    pub(super) threshold: f64,
    /// Whether it is lines that did not come what makes it hold.
    #[serde(default)]
    pub(super) is_silence: bool,
    /// `count` on the latest occasion, where that was not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) passed_count: Option<u64>,
    /// What was not said, and is when nothing is in the way any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) held_back: Option<HeldBack>,
    /// Line time of the first notification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) first_said_at: Option<Timestamp>,
    /// Nobody was at it in time, and further people were told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) escalated: bool,
    /// They would have been, but something was in the way: line time at which they may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) escalate_look_at: Option<Timestamp>,
    /// Who is at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) acked: Option<Ack>,
    /// Another alert speaks for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_folded: bool,
    /// The mode of its rule when it started: of one that is no longer a shadow nobody has heard.
    #[serde(default = "live", skip_serializing_if = "is_live")]
    pub(super) mode: Mode,
}

fn live() -> Mode {
    Mode::Live
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives it so")]
fn is_live(mode: &Mode) -> bool {
    *mode == Mode::Live
}

/// Something that was not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HeldBack {
    /// What it would have been.
    pub(super) reason: Reason,
    /// Line time at which it may be said.
    pub(super) look_at: Timestamp,
}

/// What comes next for an alert if no more hits do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The hits of the quiet time are to be told.
    Digest,
    /// The silence goes on.
    Repeat,
    /// Further people are to be told.
    Escalate,
    /// What was held back may be said.
    Look,
    /// The end of the alert before was held back, and may be said.
    LookAtEnd,
    /// It ends.
    End,
}

/// Whether a verdict came with a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum With {
    /// With a hit, which stands for so many.
    Hit(u64),
    /// With the passing of time.
    Time,
}

/// Silence is not repeated more often than this, whatever `realert` says: no hit holds it up.
const LEAST_QUIET: Duration = Duration::from_mins(1);
/// So many times a silence is repeated after `realert`.
const AT_PACE: u32 = 100;
/// A longer one is repeated when it has gone on for one part of so many of its length: of a log
/// whose clock goes from 1970 to today in one line, some 250 messages are made and not a million.
/// It follows from the alert alone, so that time comes to the same in one step or in many.
const PARTS: u32 = 10;

impl Alert {
    /// An alert that starts now, and of which nothing was said yet.
    pub(super) fn start(id: String, held: Held, rule: &Rule) -> Self {
        Self {
            id,
            seq: 0,
            started_at: held.at,
            first_hit_at: held.first,
            held_until: held.until,
            count: held.count,
            told_at: held.at,
            told_count: held.count,
            quiet: rule.realert,
            value: held.value,
            threshold: held.threshold,
            is_silence: held.by == Cause::Silence,
            passed_count: None,
            held_back: None,
            first_said_at: None,
            escalated: false,
            escalate_look_at: None,
            acked: None,
            is_folded: false,
            mode: rule.mode,
        }
    }

    /// Takes what the condition says at line time `time`; says why to tell of it now, if so. What
    /// is due by then must have been settled.
    pub(super) fn take(
        &mut self,
        time: Timestamp,
        verdict: Verdict,
        with: With,
        rule: &Rule,
    ) -> Option<Reason> {
        self.count += match (with, verdict) {
            (_, Verdict::Holds(held)) if rule.condition.counts_what_held() => held.count,
            (With::Hit(times), _) if !rule.condition.counts_what_held() => times,
            _ => 0,
        };
        match verdict {
            Verdict::Holds(held) => {
                self.held_until = self.held_until.max(held.until);
                (self.value, self.threshold) = (held.value, held.threshold);
                self.is_silence = held.by == Cause::Silence;
            }
            Verdict::Ceased(at) => self.held_until = at,
            Verdict::Nothing => {}
        }
        let goes_on = match rule.condition {
            ConditionSpec::Any | ConditionSpec::Frequency { .. } => matches!(with, With::Hit(_)),
            _ => matches!(verdict, Verdict::Holds(_)),
        };
        if !goes_on || time < self.told_at.plus(self.quiet) {
            return None;
        }
        Some(Reason::Repeat)
    }

    /// What is due next, and when in line time. The end comes before everything else that is due
    /// at its time.
    pub(super) fn due(&self, rule: &Rule) -> (Timestamp, Due) {
        let mut next = (self.held_until.plus(rule.resolve_after), Due::End);
        let mut consider = |at: Timestamp, what| {
            if at < next.0 {
                next = (at, what);
            }
        };
        let again = self.told_at.plus(self.quiet);
        if self.wants_digest(rule) {
            consider(again, Due::Digest);
        } else if self.is_silence && self.held_until == Timestamp::MAX {
            consider(self.told_at.plus(self.quiet_of_silence()), Due::Repeat);
        }
        if let Some(held_back) = self.held_back {
            consider(held_back.look_at, Due::Look);
        }
        if let Some(at) = self.escalates_at(rule) {
            consider(at, Due::Escalate);
        }
        next
    }

    /// How long a silence is not told again.
    fn quiet_of_silence(&self) -> Duration {
        let quiet = self.quiet.max(LEAST_QUIET);
        let lasted = self.told_at.since(self.started_at);
        if lasted < quiet.saturating_mul(AT_PACE) {
            quiet
        } else {
            lasted / PARTS
        }
    }

    /// When further people are told, who were not told yet.
    fn escalates_at(&self, rule: &Rule) -> Option<Timestamp> {
        let escalation = rule.escalate.as_ref()?;
        let may = self.seq > 0 && !self.escalated && self.acked.is_none();
        let since = self.first_said_at.unwrap_or(self.started_at);
        let at = since.plus(escalation.after);
        may.then(|| self.escalate_look_at.map_or(at, |look_at| look_at.max(at)))
    }

    /// Whether hits wait for a digest. One that ends with such hits tells them first: they must
    /// not be lost because `resolve_after` is shorter than `realert`.
    pub(super) fn wants_digest(&self, rule: &Rule) -> bool {
        let passed = self.passed_count.unwrap_or(self.told_count);
        matches!(rule.condition, ConditionSpec::Any) && self.count > passed
    }

    /// Hits since the latest notification.
    pub(super) fn untold(&self) -> u64 {
        self.count - self.told_count
    }

    /// An occasion to speak, used or not: `realert` begins anew.
    pub(super) fn pass(&mut self, time: Timestamp, rule: &Rule) {
        self.told_at = time;
        self.passed_count = Some(self.count);
        if let Some(most) = rule.exponential_realert {
            self.quiet = (self.quiet * 2).min(most).max(rule.realert);
        }
    }

    /// Nothing is said now.
    pub(super) fn hold_back(&mut self, reason: Reason, look_at: Timestamp) {
        let reason = self.with_held_back(reason);
        self.held_back = Some(HeldBack { reason, look_at });
    }

    /// Something is said at line time `time`; gives what it is, with what was held back.
    pub(super) fn say(&mut self, reason: Reason, time: Timestamp) -> Reason {
        let reason = self.with_held_back(reason);
        self.seq += 1;
        if reason == Reason::Escalated {
            (self.escalated, self.escalate_look_at) = (true, None);
            // What others wait for stays; a state that an earlier version saved has this here.
            self.held_back
                .take_if(|held_back| held_back.reason == Reason::Escalated);
        } else {
            self.held_back = None;
        }
        self.told_at = time;
        self.told_count = self.count;
        self.first_said_at.get_or_insert(time);
        self.passed_count = None;
        reason
    }

    /// Who has not heard of it at all hears of it for the first time, whatever the occasion is.
    fn with_held_back(&self, reason: Reason) -> Reason {
        let weight = |reason| match reason {
            Reason::Resolved | Reason::Drill | Reason::Escalated => 3,
            Reason::First => 2,
            Reason::Digest | Reason::Repeat => 1,
        };
        match self.held_back {
            Some(held_back) if weight(held_back.reason) > weight(reason) => held_back.reason,
            _ => reason,
        }
    }
}
