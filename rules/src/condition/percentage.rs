//! `type: percentage_match`: the share of hits that also meet `match_bucket` leaves
//! `min_percentage` … `max_percentage`.
//!
//! Holds at time t when the window that ends at t has at least `min_denominator` hits and their
//! share is out of bounds. It begins with a hit and ends with one, or as hits leave the window. See
//! [`Counts`] for how the window moves.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::counts::{Counts, STEPS, SavedCounts};
use super::verdict::{Cause, Held, Verdict, number};
use crate::model::{Part, Parts, Timestamp};

/// The state of one group.
#[derive(Clone, Debug)]
pub struct Percentage {
    least: Option<f64>,
    most: Option<f64>,
    min_denominator: u64,
    timeframe: Duration,
    all: Counts,
    bucket: Counts,
    now: Timestamp,
    holds: bool,
}

/// As it is saved.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    all: SavedCounts,
    bucket: SavedCounts,
    now: i64,
    holds: bool,
}

impl Percentage {
    /// No hit yet. At least one of the bounds is given, in percent; `timeframe` > 0.
    pub fn new(
        least: Option<f64>,
        most: Option<f64>,
        min_denominator: u64,
        timeframe: Duration,
    ) -> Self {
        let counts = Counts::new(timeframe, STEPS, timeframe);
        Self {
            least,
            most,
            min_denominator: min_denominator.max(1),
            timeframe,
            all: counts.clone(),
            bucket: counts,
            now: Timestamp::MIN,
            holds: false,
        }
    }

    /// Takes a hit.
    pub fn observe(&mut self, time: Timestamp, parts: Parts) -> Verdict {
        self.now = self.now.max(time);
        self.all.add(time);
        if parts.has(Part::BUCKET) {
            self.bucket.add(time);
        }
        let broken = self.broken();
        self.judge(broken)
    }

    /// Line time at which it may cease to hold.
    pub fn due(&self) -> Option<Timestamp> {
        if !self.holds {
            return None;
        }
        let oldest = self.all.first_from(self.window(self.now).0)?;
        Some(self.all.begin(oldest + STEPS))
    }

    /// Line time has come to `now`.
    pub fn pass(&mut self, now: Timestamp) -> Verdict {
        self.now = self.now.max(now);
        let broken = self.broken().filter(|_| self.holds);
        self.judge(broken)
    }

    /// The share in percent, of the window that ends at line time `at`, or as far as time has come;
    /// 0 where there is no hit.
    pub fn value(&self, at: Timestamp) -> f64 {
        let (all, bucket) = self.counts(at.max(self.now));
        100.0 * number(bucket) / number(all.max(1))
    }

    /// Line time after which nothing of it matters any more if nothing more comes.
    pub fn matters_until(&self) -> Timestamp {
        if self.holds {
            return Timestamp::MAX;
        }
        // A bucket may reach a little further back.
        self.now.plus(self.timeframe + self.timeframe / 30)
    }

    /// The first and the last bucket of the window that ends at `at`.
    fn window(&self, at: Timestamp) -> (i64, i64) {
        let newest = self.all.bucket(at);
        (newest - STEPS + 1, newest)
    }

    fn counts(&self, at: Timestamp) -> (u64, u64) {
        let (from, to) = self.window(at);
        (self.all.sum(from..=to), self.bucket.sum(from..=to))
    }

    /// The bound that is broken, and by what.
    fn broken(&self) -> Option<(f64, f64)> {
        if self.counts(self.now).0 < self.min_denominator {
            return None;
        }
        let value = self.value(self.now);
        let above = self.most.filter(|most| value > *most);
        let below = self.least.filter(|least| value < *least);
        above.or(below).map(|bound| (bound, value))
    }

    fn judge(&mut self, broken: Option<(f64, f64)>) -> Verdict {
        let was = std::mem::replace(&mut self.holds, broken.is_some());
        let Some((threshold, value)) = broken else {
            return if was {
                Verdict::Ceased(self.now)
            } else {
                Verdict::Nothing
            };
        };
        let oldest = self.all.first_from(self.window(self.now).0);
        let first = oldest.map_or(self.now, |bucket| self.all.begin(bucket));
        Verdict::Holds(Held {
            at: self.now,
            until: Timestamp::MAX,
            first: first.min(self.now),
            count: self.counts(self.now).0,
            value,
            threshold,
            by: Cause::Hits,
        })
    }

    pub(super) fn save(&self) -> Saved {
        Saved {
            all: self.all.save(),
            bucket: self.bucket.save(),
            now: self.now.as_nanos(),
            holds: self.holds,
        }
    }

    pub(super) fn restore(&mut self, saved: Saved) {
        self.all.restore(saved.all);
        self.bucket.restore(saved.bucket);
        self.now = Timestamp::from_nanos(saved.now);
        self.holds = saved.holds;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_secs(second)
    }

    fn parts(is_in_bucket: bool) -> Parts {
        let parts = Parts::of(Part::MATCH);
        if is_in_bucket {
            parts.and(Part::BUCKET)
        } else {
            parts
        }
    }

    #[test]
    fn a_share_above_the_bound_holds_once_there_are_enough_hits() {
        let mut errors = Percentage::new(None, Some(20.0), 10, MINUTE);
        for second in 0..9 {
            assert_eq!(
                errors.observe(at(second), parts(second < 4)),
                Verdict::Nothing
            );
        }
        let held = errors.observe(at(9), parts(false)).held().unwrap();
        assert_eq!((held.value, held.threshold, held.count), (40.0, 20.0, 10));
        // At 60 s the first hit leaves: nine are too few to judge.
        assert_eq!(errors.due(), Some(at(60)));
        assert_eq!(errors.pass(at(60)), Verdict::Ceased(at(60)));
    }

    #[test]
    fn a_share_at_the_bound_is_within_it() {
        let mut errors = Percentage::new(Some(50.0), Some(50.0), 2, MINUTE);
        assert_eq!(errors.observe(at(0), parts(true)), Verdict::Nothing);
        assert_eq!(errors.observe(at(0), parts(false)), Verdict::Nothing);
        let held = errors.observe(at(1), parts(false)).held().unwrap();
        assert!(held.value < held.threshold);
    }

    proptest! {
        /// Against the definition, second by second, on unordered, late and bursty times.
        #[test]
        fn it_holds_when_the_definition_says_so(
            hits in prop::collection::vec((0i64..30, 0i64..50, any::<bool>()), 1..60),
            bounds in (0u32..60, 40u32..100),
            min_denominator in 1u64..6,
        ) {
            let (least, most) = (f64::from(bounds.0), f64::from(bounds.1));
            let make = || Percentage::new(Some(least), Some(most), min_denominator, MINUTE);
            let mut machine = make();
            let (mut seen, mut now, mut held) = (Vec::<(i64, bool)>::new(), 0, false);
            let holds = |seen: &[(i64, bool)], now: i64| {
                let within = || seen.iter().filter(|(at, _)| *at > now - 60 && *at <= now);
                let all = within().count() as u64;
                let share = 100.0 * number(within().filter(|(_, is_in)| *is_in).count() as u64)
                    / number(all.max(1));
                all >= min_denominator && (share < least || share > most)
            };
            // How far the machine knows that time has come.
            let mut known = 0;
            for (ahead, late, is_in) in hits {
                for _ in 0..ahead {
                    now += 1;
                    if machine.due().is_some_and(|due| due <= at(now)) {
                        known = now;
                        let verdict = machine.pass(at(now));
                        let expected = held && holds(&seen, now);
                        prop_assert_eq!(verdict.held().is_some(), expected);
                        held = expected;
                    }
                    prop_assert!(!held || holds(&seen, now), "{}", now);
                }
                let time = if is_in { now } else { now - late };
                seen.push((time, is_in));
                let verdict = machine.observe(at(time), parts(is_in));
                known = known.max(time);
                let expected = holds(&seen, known);
                prop_assert_eq!(verdict.held().is_some(), expected);
                prop_assert_eq!(matches!(verdict, Verdict::Ceased(_)), held && !expected);
                held = expected;
                let saved = serde_json::to_vec(&machine.save()).unwrap();
                machine = make();
                machine.restore(serde_json::from_slice(&saved).unwrap());
            }
        }
    }
}
