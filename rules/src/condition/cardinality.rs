//! `type: cardinality`: the distinct values of a field in `timeframe` exceed `max_cardinality` or
//! fall below `min_cardinality`.
//!
//! Holds at time t by the values last seen in (t − timeframe, t]; below the least only when one
//! whole window has been watched. Too many begin with a hit, too few also by the passing of time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::counts::{Counts, STEPS, SavedCounts};
use super::distinct::{Distinct, SavedDistinct, hash};
use super::verdict::{Cause, Held, Verdict, number};
use crate::model::Timestamp;

/// The state of one group.
#[derive(Clone, Debug)]
pub struct Cardinality {
    least: Option<u64>,
    most: Option<u64>,
    timeframe: Duration,
    values: Distinct,
    /// Of all hits.
    hits: Counts,
    watched: Option<Timestamp>,
    now: Timestamp,
    holds: Option<Cause>,
    next: Option<Timestamp>,
}

/// As it is saved.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    values: SavedDistinct,
    hits: SavedCounts,
    watched: Option<i64>,
    now: i64,
    too_many: bool,
    too_few: bool,
}

impl Cardinality {
    /// No hit yet. At least one of the bounds is given; `timeframe` > 0.
    pub fn new(least: Option<u64>, most: Option<u64>, timeframe: Duration) -> Self {
        Self {
            least,
            most,
            timeframe,
            values: Distinct::new(timeframe),
            hits: Counts::new(timeframe, STEPS, timeframe),
            watched: None,
            now: Timestamp::MIN,
            holds: None,
            next: None,
        }
    }

    /// Is watched from `time` on, if it was not before.
    pub fn begin(&mut self, time: Timestamp) {
        if self.watched.is_none() {
            self.watched = Some(time);
            self.now = self.now.max(time);
            self.plan();
        }
    }

    /// The first hit bears a time before it was watched: what was written before is looked at as
    /// well, and it is watched from then on.
    pub fn begin_earlier(&mut self, time: Timestamp) {
        if self.watched.is_some_and(|since| time < since) {
            (self.watched, self.now) = (Some(time), time);
        }
    }

    /// Takes a hit with the field's value, where it has one.
    pub fn observe(&mut self, time: Timestamp, value: Option<&str>) -> Verdict {
        self.watched.get_or_insert(time);
        if time < self.now {
            self.next = None;
        }
        self.now = self.now.max(time);
        self.hits.add(time);
        if let Some(value) = value {
            self.values.add(hash(value), time);
        }
        self.judge()
    }

    /// Line time at which the passing of time may change something.
    pub fn due(&self) -> Option<Timestamp> {
        self.next
    }

    /// Line time has come to `now`.
    pub fn pass(&mut self, now: Timestamp) -> Verdict {
        // It may have been put off since. What is asked in vain must leave no trace.
        self.plan();
        if self.next.is_none_or(|next| next > now) {
            return Verdict::Nothing;
        }
        self.now = self.now.max(now);
        self.next = None;
        self.judge()
    }

    /// Distinct values in the window that ends at line time `at`, or as far as time has come.
    pub fn value(&self, at: Timestamp) -> f64 {
        number(self.values.count(at.max(self.now)))
    }

    /// Line time after which nothing of it matters any more if nothing more comes.
    pub fn matters_until(&self) -> Timestamp {
        if self.holds.is_some() {
            return Timestamp::MAX;
        }
        // A bucket of hits may reach a little further back.
        self.now.plus(self.timeframe + self.timeframe / 30)
    }

    fn judge(&mut self) -> Verdict {
        self.values.come_to(self.now);
        let count = self.values.count(self.now);
        let is_whole = self
            .watched
            .is_some_and(|since| self.now >= since.plus(self.timeframe));
        let too_many = self.most.filter(|most| count > *most);
        let too_few = self.least.filter(|least| is_whole && count < *least);
        let broken = match (too_many, too_few) {
            (Some(most), _) => Some((Cause::Hits, most)),
            (None, Some(least)) => Some((Cause::Silence, least)),
            (None, None) => None,
        };
        let was = std::mem::replace(&mut self.holds, broken.map(|(by, _)| by));
        if self.next.is_none() || was != self.holds {
            self.plan();
        }
        let Some((by, threshold)) = broken else {
            return match was {
                Some(_) => Verdict::Ceased(self.now),
                None => Verdict::Nothing,
            };
        };
        let newest = self.hits.bucket(self.now);
        let oldest = self.hits.first_from(newest - STEPS + 1);
        let first = oldest.map_or(self.now, |bucket| self.hits.begin(bucket));
        Verdict::Holds(Held {
            at: self.now,
            until: Timestamp::MAX,
            first: first.min(self.now),
            count: self.hits.sum(newest - STEPS + 1..=newest),
            value: number(count),
            threshold: number(threshold),
            by,
        })
    }

    /// When the next values leave, where that can matter. Hits only put it off.
    fn plan(&mut self) {
        let now = self.now;
        let whole = self.watched.map(|since| since.plus(self.timeframe));
        self.next = match (self.holds, self.least, self.most) {
            (Some(Cause::Hits), _, Some(most)) => self.values.falls_below(most + 1),
            (Some(_), ..) | (None, None, _) => None,
            (None, Some(least), _) => {
                let falls = self.values.falls_below(least);
                falls.max(whole).or(whole)
            }
        };
        self.next = self.next.filter(|next| *next > now);
    }

    pub(super) fn save(&self) -> Saved {
        Saved {
            values: self.values.save(),
            hits: self.hits.save(),
            watched: self.watched.map(Timestamp::as_nanos),
            now: self.now.as_nanos(),
            too_many: self.holds == Some(Cause::Hits),
            too_few: self.holds == Some(Cause::Silence),
        }
    }

    pub(super) fn restore(&mut self, saved: Saved) {
        self.values.restore(saved.values);
        self.hits.restore(saved.hits);
        self.watched = saved.watched.map(Timestamp::from_nanos);
        self.now = Timestamp::from_nanos(saved.now);
        self.holds = match (saved.too_many, saved.too_few) {
            (true, _) => Some(Cause::Hits),
            (false, true) => Some(Cause::Silence),
            (false, false) => None,
        };
        self.plan();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_secs(second)
    }

    #[test]
    fn more_values_than_allowed_hold_until_some_have_left() {
        let mut users = Cardinality::new(None, Some(2), MINUTE);
        for (second, user) in [(0, "a"), (10, "b"), (20, "a")] {
            assert_eq!(users.observe(at(second), Some(user)), Verdict::Nothing);
        }
        let held = users.observe(at(30), Some("c")).held().unwrap();
        assert_eq!((held.value, held.threshold, held.count), (3.0, 2.0, 4));
        assert_eq!(users.due(), Some(at(70)), "b was seen at 10 s");
        assert_eq!(users.pass(at(70)), Verdict::Ceased(at(70)));
    }

    #[test]
    fn too_few_values_are_told_when_time_has_passed() {
        let mut nodes = Cardinality::new(Some(2), None, MINUTE);
        for (second, node) in [(0, "a"), (30, "b"), (50, "a"), (80, "a")] {
            assert_eq!(nodes.observe(at(second), Some(node)), Verdict::Nothing);
        }
        let mut ask = || {
            let due = nodes.due().unwrap();
            nodes.pass(due).held()
        };
        let held = std::iter::repeat_with(&mut ask)
            .find_map(|held| held)
            .unwrap();
        assert_eq!(
            (held.at, held.value, held.by),
            (at(90), 1.0, Cause::Silence)
        );
        assert_eq!(nodes.observe(at(95), Some("b")), Verdict::Ceased(at(95)));
    }

    #[test]
    fn a_line_without_the_field_has_no_value() {
        let mut users = Cardinality::new(None, Some(1), MINUTE);
        assert_eq!(users.observe(at(0), None), Verdict::Nothing);
        assert_eq!(users.observe(at(0), Some("")), Verdict::Nothing);
        assert!(users.observe(at(0), Some("x")).held().is_some());
    }

    proptest! {
        /// Against the definition, second by second, on unordered, late and bursty times.
        #[test]
        fn it_holds_when_the_definition_says_so(
            hits in prop::collection::vec((0i64..40, 0i64..50, 0u8..6), 1..60),
            least in prop::option::of(1u64..4),
            most in prop::option::of(2u64..5),
        ) {
            let make = || Cardinality::new(least, most, MINUTE);
            let mut machine = make();
            let (mut seen, mut now, mut held) = (Vec::<(i64, u8)>::new(), 0, false);
            // How far the machine knows that time has come.
            let mut known = 0;
            machine.begin(at(0));
            let holds = |seen: &[(i64, u8)], now: i64| {
                let within = seen.iter().filter(|(at, _)| *at > now - 60 && *at <= now);
                let count = within.map(|(_, value)| *value).collect::<HashSet<_>>().len() as u64;
                let broken = most.is_some_and(|most| count > most)
                    || (now >= 60 && least.is_some_and(|least| count < least));
                broken.then_some(number(count))
            };
            for (ahead, late, value) in hits {
                for _ in 0..ahead {
                    now += 1;
                    if machine.due().is_some_and(|due| due <= at(now)) {
                        match machine.pass(at(now)) {
                            Verdict::Holds(by_time) => {
                                prop_assert_eq!(Some(by_time.value), holds(&seen, now));
                                held = true;
                            }
                            Verdict::Ceased(_) => held = false,
                            Verdict::Nothing => {}
                        }
                        known = known.max(machine.now.as_secs());
                    }
                    prop_assert_eq!(held, holds(&seen, now).is_some(), "{}", now);
                }
                let time = if value % 2 == 0 { now } else { now - late };
                seen.push((time, value));
                let verdict = machine.observe(at(time), Some(&value.to_string()));
                known = known.max(time);
                let expected = holds(&seen, known);
                prop_assert_eq!(verdict.held().map(|held| held.value), expected);
                prop_assert_eq!(matches!(verdict, Verdict::Ceased(_)), held && expected.is_none());
                held = expected.is_some();
                let saved = serde_json::to_vec(&machine.save()).unwrap();
                machine = make();
                machine.restore(serde_json::from_slice(&saved).unwrap());
            }
        }
    }
}
