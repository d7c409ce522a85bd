//! What happened before, for one rule and group.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{History, Timestamp};

/// How far back alerts are counted.
const COUNTED: Duration = Duration::from_hours(30 * 24);
/// Starts remembered at the most: more of them are told as so many.
const MOST_STARTS: usize = 1_000;

/// Ended alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Past {
    /// Starts, oldest first.
    starts: VecDeque<Timestamp>,
    last_duration_s: Option<u64>,
    #[serde(default)]
    last_ended_at: Option<Timestamp>,
}

impl Past {
    /// Notes an alert that has ended.
    pub(super) fn add(&mut self, started_at: Timestamp, ended_at: Timestamp) {
        while self.starts.len() >= MOST_STARTS
            || self
                .starts
                .front()
                .is_some_and(|at| at.plus(COUNTED) < started_at)
        {
            self.starts.pop_front();
        }
        self.starts.push_back(started_at);
        self.last_duration_s = Some(ended_at.since(started_at).as_secs());
        self.last_ended_at = Some(ended_at);
    }

    /// How it looks to an alert that starts at `started_at`.
    pub(super) fn seen_from(&self, started_at: Timestamp) -> History {
        let since = started_at.minus(COUNTED);
        History {
            fired_30d: self.starts.iter().filter(|at| **at >= since).count() as u64,
            last_started_at: self.starts.back().copied(),
            last_duration_s: self.last_duration_s,
        }
    }

    /// Whether what came to hold at `at` belongs to an episode that is over and told: a straggler
    /// must not tell it again.
    pub(super) fn covers(&self, at: Timestamp) -> bool {
        self.last_ended_at.is_some_and(|ended_at| at < ended_at)
    }

    /// Whether there is still something to count at `now`.
    pub(super) fn matters(&self, now: Timestamp) -> bool {
        self.starts.back().is_some_and(|at| at.plus(COUNTED) >= now)
    }
}
