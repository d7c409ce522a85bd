//! Hits of a group over time, in a few buckets: what a sparkline is drawn from.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Number, Rate, Timestamp};

/// Buckets kept: what fits beside a title.
const BUCKETS: usize = 24;

/// The newest buckets, oldest first; the last one holds `newest`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Buckets {
    counts: Vec<u32>,
    newest: i64,
}

impl Buckets {
    /// Counts a hit, which stands for so many. One that is older than all buckets is left out.
    pub(super) fn add(&mut self, time: Timestamp, step: Duration, times: u64) {
        let bucket = index(time, step);
        if self.counts.is_empty() {
            self.counts = vec![0; BUCKETS];
            self.newest = bucket;
        }
        self.shift_to(bucket);
        let age = usize::try_from(self.newest - bucket).unwrap_or(usize::MAX);
        if let Some(count) = BUCKETS
            .checked_sub(1 + age)
            .and_then(|at| self.counts.get_mut(at))
        {
            *count = count.saturating_add(u32::try_from(times).unwrap_or(u32::MAX));
        }
    }

    /// Hits in all buckets.
    pub(super) fn sum(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// How it stood at `time`.
    pub(super) fn at(&self, time: Timestamp, step: Duration) -> Rate {
        let mut shifted = self.clone();
        if !shifted.counts.is_empty() {
            shifted.shift_to(index(time, step));
        }
        Rate {
            step_s: Number(step.as_secs_f64()),
            counts: shifted.counts,
        }
    }

    fn shift_to(&mut self, bucket: i64) {
        let steps = usize::try_from(bucket.saturating_sub(self.newest)).unwrap_or(0);
        if steps > 0 {
            let gone = steps.min(BUCKETS);
            self.counts.rotate_left(gone);
            self.counts[BUCKETS - gone..].fill(0);
            self.newest = bucket;
        }
    }
}

/// The width of a bucket for a rule with this window.
pub(super) fn step(timeframe: Option<Duration>) -> Duration {
    const WITHOUT_WINDOW: Duration = Duration::from_secs(30);
    /// A log's times are often whole seconds: finer buckets would show a comb.
    const FINEST: Duration = Duration::from_secs(1);
    timeframe.map_or(WITHOUT_WINDOW, |span| (span / 12).max(FINEST))
}

fn index(time: Timestamp, step: Duration) -> i64 {
    let width = i64::try_from(step.as_nanos()).unwrap_or(i64::MAX).max(1);
    time.as_nanos().div_euclid(width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_move_on_with_time_and_take_late_hits() {
        let step = Duration::from_secs(5);
        let mut buckets = Buckets::default();
        for s in [0, 1, 7, 12, 6] {
            buckets.add(Timestamp::from_secs(s), step, 1);
        }
        let rate = buckets.at(Timestamp::from_secs(15), step);
        assert_eq!(rate.counts[BUCKETS - 4..], [2, 2, 1, 0]);
        buckets.add(Timestamp::from_secs(100_000), step, 1);
        assert_eq!(buckets.counts.iter().sum::<u32>(), 1);
    }
}
