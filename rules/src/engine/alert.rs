//! The life of one alert: when it is told again, when it ends. Decisions over values only; what
//! is said is put together in `telling`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::condition::{Cause, Held, Verdict};
use crate::language::rule::{ConditionSpec, Rule};
use crate::model::{Reason, Timestamp};

/// One episode of trouble for one rule and group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Alert {
    /// Ends in 16 hexadecimal digits that depend on host, rule, group and start alone.
    pub(super) id: String,
    /// Of the latest notification; counts from 1.
    pub(super) seq: u32,
    /// Line time at which the condition came to hold.
    pub(super) started_at: Timestamp,
    /// Line time of the oldest hit in the window that fired.
    pub(super) first_hit_at: Timestamp,
    /// Line time up to which the condition holds; [`Timestamp::MAX`] while no end is in sight.
    pub(super) held_until: Timestamp,
    /// Hits since `first_hit_at`.
    pub(super) count: u64,
    /// Line time of the latest notification.
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
}

/// What comes next for an alert if no more hits do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The hits of the quiet time are to be told.
    Digest,
    /// The silence goes on.
    Repeat,
    /// It ends.
    End,
}

/// Whether a verdict came with a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum With {
    /// With a hit.
    Hit,
    /// With the passing of time.
    Time,
}

/// Silence is not repeated more often than this, whatever `realert` says: no hit holds it up.
const LEAST_QUIET: Duration = Duration::from_mins(1);

impl Alert {
    /// An alert that starts now, and whose start is being told.
    pub(super) fn start(id: String, held: Held, rule: &Rule) -> Self {
        Self {
            id,
            seq: 1,
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
        self.count += match (with, counts(&rule.condition), verdict) {
            (With::Hit, Counts::Hits, _) => 1,
            (_, Counts::WhatHeld, Verdict::Holds(held)) => held.count,
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
            ConditionSpec::Any | ConditionSpec::Frequency { .. } => with == With::Hit,
            _ => matches!(verdict, Verdict::Holds(_)),
        };
        if !goes_on || time < self.told_at.plus(self.quiet) {
            return None;
        }
        self.tell(time, rule);
        Some(Reason::Repeat)
    }

    /// What is due next, and when in line time.
    pub(super) fn due(&self, rule: &Rule) -> (Timestamp, Due) {
        let end = (self.held_until.plus(rule.resolve_after), Due::End);
        let again = self.told_at.plus(self.quiet);
        if self.wants_digest(rule) && again < end.0 {
            (again, Due::Digest)
        } else if self.is_silence && self.held_until == Timestamp::MAX {
            (again.max(self.told_at.plus(LEAST_QUIET)), Due::Repeat)
        } else {
            end
        }
    }

    /// Whether hits wait for a digest. One that ends with such hits tells them first: they must
    /// not be lost because `resolve_after` is shorter than `realert`.
    pub(super) fn wants_digest(&self, rule: &Rule) -> bool {
        matches!(rule.condition, ConditionSpec::Any) && self.untold() > 0
    }

    /// Hits since the latest notification.
    pub(super) fn untold(&self) -> u64 {
        self.count - self.told_count
    }

    /// Notes that something is told at line time `time`. The caller reads `untold` before.
    pub(super) fn tell(&mut self, time: Timestamp, rule: &Rule) {
        self.seq += 1;
        self.told_at = time;
        if let Some(most) = rule.exponential_realert {
            self.quiet = (self.quiet * 2).min(most).max(rule.realert);
        }
    }
}

/// What an alert's `count` is of.
enum Counts {
    /// All hits.
    Hits,
    /// The lines that made the condition hold: others are of what went well.
    WhatHeld,
}

fn counts(condition: &ConditionSpec) -> Counts {
    match condition {
        ConditionSpec::Pair { .. } | ConditionSpec::Sequence { .. } => Counts::WhatHeld,
        _ => Counts::Hits,
    }
}
