//! How many different values there were in a sliding window: exact for few, estimated for many, in
//! bounded memory.
//!
//! Of each value a hash of 64 bits and the time it was last seen are kept. When there are more than
//! [`Distinct::MOST`], those whose hash does not begin with a zero bit are let go, then those that
//! do not begin with two, and so on: the rest is a fair sample of all values, a half, a quarter …
//! of them (Flajolet, "On adaptive sampling", 1990). Between [`Distinct::MOST`] / 2 and as many as
//! that are kept, so the standard error is some 3 %. When there are fewer again, more are let in; until
//! a whole window has passed the count goes by those that were let in all the while.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::model::Timestamp;

/// The values of one window.
#[derive(Clone, Debug)]
pub(super) struct Distinct {
    span: Duration,
    /// A value is kept when its hash begins with so many zero bits.
    level: u32,
    /// Since when values of this level are let in, if it was one more before.
    lowered: Option<Timestamp>,
    last: HashMap<u64, Timestamp>,
    order: BTreeSet<(Timestamp, u64)>,
}

/// As it is saved: levels and, oldest first, nanoseconds since the one before and the hash.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedDistinct {
    level: u32,
    lowered: Option<i64>,
    seen: Vec<(i64, u64)>,
}

/// A hash that is the same in every version, and that nobody can aim at another value's.
pub(super) fn hash(value: &str) -> u64 {
    let digest = Sha256::digest(value);
    let mut first = [0; 8];
    for (to, from) in first.iter_mut().zip(digest) {
        *to = from;
    }
    u64::from_be_bytes(first)
}

impl Distinct {
    /// Up to so many values are counted exactly.
    pub(super) const MOST: usize = 2_048;

    /// None yet, in a window of `span`.
    pub(super) fn new(span: Duration) -> Self {
        Self {
            span,
            level: 0,
            lowered: None,
            last: HashMap::new(),
            order: BTreeSet::new(),
        }
    }

    /// A value was seen. O(log n).
    pub(super) fn add(&mut self, hash: u64, time: Timestamp) {
        if hash.leading_zeros() < self.level {
            return;
        }
        match self.last.get_mut(&hash) {
            Some(last) if *last >= time => return,
            Some(last) => {
                self.order.remove(&(*last, hash));
                *last = time;
            }
            None => {
                self.last.insert(hash, time);
            }
        }
        self.order.insert((time, hash));
        while self.last.len() > Self::MOST {
            self.level += 1;
            self.lowered = None;
            let level = self.level;
            self.last.retain(|hash, _| hash.leading_zeros() >= level);
            self.order.retain(|(_, hash)| hash.leading_zeros() >= level);
        }
    }

    /// Lets go of what has left the window that ends at `now`. Amortized O(log n).
    pub(super) fn come_to(&mut self, now: Timestamp) {
        let horizon = now.minus(self.span);
        while let Some((time, hash)) = self.order.first().copied()
            && time <= horizon
        {
            self.order.pop_first();
            self.last.remove(&hash);
        }
        if self.lowered.is_some_and(|since| since <= horizon) {
            self.lowered = None;
        }
        if self.level > 0 && self.lowered.is_none() && self.last.len() < Self::MOST * 3 / 8 {
            self.level -= 1;
            self.lowered = Some(now);
        }
    }

    /// Different values in the window that ends at `at`, which is no earlier than what
    /// [`Distinct::come_to`] was told. O(values) where some have left since then.
    pub(super) fn count(&self, at: Timestamp) -> u64 {
        let horizon = at.minus(self.span);
        let level = self.level + u32::from(self.lowered.is_some());
        let has_left = self.order.first().is_some_and(|(time, _)| *time <= horizon);
        let kept = if has_left || self.lowered.is_some() {
            let counts =
                |(time, hash): &&(Timestamp, u64)| *time > horizon && hash.leading_zeros() >= level;
            self.order.iter().filter(counts).count()
        } else {
            self.last.len()
        };
        (kept as u64).saturating_mul(1 << level.min(40))
    }

    /// When the count may fall below `least` if nothing more comes: never after it does.
    pub(super) fn falls_below(&self, least: u64) -> Option<Timestamp> {
        let leaves = |at: usize| {
            let oldest = self.order.iter().nth(at);
            oldest.map(|(time, _)| time.plus(self.span))
        };
        if self.lowered.is_some() {
            return leaves(0);
        }
        let needed = least.div_ceil(1 << self.level.min(40));
        let needed = usize::try_from(needed).unwrap_or(usize::MAX);
        leaves(self.last.len().checked_sub(needed)?)
    }

    pub(super) fn save(&self) -> SavedDistinct {
        let mut before = 0;
        let seen = self.order.iter().map(|(time, hash)| {
            let nanos = time.as_nanos();
            (
                nanos.wrapping_sub(std::mem::replace(&mut before, nanos)),
                *hash,
            )
        });
        SavedDistinct {
            level: self.level,
            lowered: self.lowered.map(Timestamp::as_nanos),
            seen: seen.collect(),
        }
    }

    pub(super) fn restore(&mut self, saved: SavedDistinct) {
        self.level = saved.level.min(63);
        let mut nanos = 0i64;
        for (since, hash) in saved.seen {
            nanos = nanos.wrapping_add(since);
            self.add(hash, Timestamp::from_nanos(nanos));
        }
        self.lowered = saved.lowered.map(Timestamp::from_nanos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_values_are_estimated_within_some_percent_in_bounded_memory() {
        let mut distinct = Distinct::new(Duration::from_secs(1_000));
        for n in 0..200_000u32 {
            distinct.add(
                hash(&n.to_string()),
                Timestamp::from_secs(i64::from(n / 1_000)),
            );
            let seen = u64::from(n) + 1;
            if n % 1_000 == 999 {
                let count = distinct.count(Timestamp::from_secs(200));
                let error = count.abs_diff(seen) * 100 / seen;
                assert!(error < 12, "{count} of {seen}");
            }
        }
        assert!(distinct.last.len() <= Distinct::MOST);
    }

    #[test]
    fn the_standard_error_is_the_one_that_is_stated() {
        // 150 windows of so many values that none has in common with another.
        const WINDOWS: u64 = 150;
        for values in [10_000u64, 23_000] {
            let mut squares = 0.0;
            for window in 0..WINDOWS {
                let mut distinct = Distinct::new(Duration::from_secs(1_000));
                for n in 0..values {
                    let value = hash(&format!("{window}/{values}/{n}"));
                    distinct.add(value, Timestamp::from_secs(0));
                }
                let count = distinct.count(Timestamp::from_secs(1));
                #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
                let error = count.abs_diff(values) as f64 / values as f64;
                squares += error * error;
            }
            let standard_error = (squares / 150.0f64).sqrt();
            // "Some 3 %", in the header and in LANGUAGE.md.
            assert!(
                (0.018..0.034).contains(&standard_error),
                "{standard_error} of {values} values"
            );
        }
    }

    #[test]
    fn when_there_are_few_again_the_count_is_exact_again() {
        let mut distinct = Distinct::new(Duration::from_secs(100));
        for n in 0..50_000u32 {
            distinct.add(hash(&n.to_string()), Timestamp::from_secs(0));
        }
        // Ten values, each second; with each window the sample grows to twice its share.
        for second in 1..2_000 {
            distinct.come_to(Timestamp::from_secs(second));
            distinct.add(
                hash(&(second % 10).to_string()),
                Timestamp::from_secs(second),
            );
        }
        let count = distinct.count(Timestamp::from_secs(1_999));
        assert_eq!((distinct.level, count), (0, 10));
    }
}
