//! `type: pair`: `start` is not followed by `finish` `within` (missing), or is (completed).
//!
//! A start at s is followed when some finish lies in (s, s + within], or at s itself and was read
//! after it. One finish answers all starts that wait for one: a job that says twice that it begins
//! is done when it says so once. A line that is both finishes first. Of each group at most
//! [`Pair::MOST`] starts wait at the same time; with more, those between are let go, and the first
//! and the latest are still told.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::verdict::{Cause, Held, Verdict};
use crate::language::rule::FireOn;
use crate::model::{Part, Parts, Timestamp};

/// The state of one group.
#[derive(Clone, Debug)]
pub struct Pair {
    within: Duration,
    fire_on: FireOn,
    /// Starts that nothing has followed yet, oldest first.
    starts: VecDeque<Timestamp>,
    /// Finishes that may follow a start that comes late, oldest first.
    finishes: VecDeque<Timestamp>,
    now: Timestamp,
}

/// As it is saved.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    starts: Vec<i64>,
    finishes: Vec<i64>,
    now: i64,
}

impl Pair {
    /// Starts, and finishes, that are kept.
    pub const MOST: usize = 1_000;

    /// Nothing has started. `within` > 0.
    pub fn new(within: Duration, fire_on: FireOn) -> Self {
        Self {
            within,
            fire_on,
            starts: VecDeque::new(),
            finishes: VecDeque::new(),
            now: Timestamp::MIN,
        }
    }

    /// Takes a line that starts, finishes or both.
    pub fn observe(&mut self, time: Timestamp, parts: Parts) -> Verdict {
        self.now = self.now.max(time);
        self.forget();
        let mut verdict = Verdict::Nothing;
        if parts.has(Part::FINISH) {
            verdict = self.finish(time);
        }
        if parts.has(Part::START)
            && let Verdict::Holds(held) = self.start(time)
        {
            verdict = Verdict::Holds(held);
        }
        verdict
    }

    /// Line time after which the oldest start is too old to be followed.
    pub fn due(&self) -> Option<Timestamp> {
        let oldest = self.starts.front()?;
        Some(oldest.plus(self.within))
    }

    /// Line time has come to `now` and gone past it: what was due by then is missing, one start for
    /// each call.
    pub fn pass(&mut self, now: Timestamp) -> Verdict {
        self.now = self.now.max(now);
        let Some(first) = self.starts.front().copied() else {
            return Verdict::Nothing;
        };
        let at = first.plus(self.within);
        if at > now {
            return Verdict::Nothing;
        }
        self.starts.pop_front();
        match self.fire_on {
            FireOn::Completed => Verdict::Nothing,
            FireOn::Missing => Verdict::Holds(self.held(at, first, Cause::Silence)),
        }
    }

    /// Line time after which nothing of it matters any more if nothing more comes.
    pub fn matters_until(&self) -> Timestamp {
        // A start may come late.
        self.now.plus(self.within * 2)
    }

    fn start(&mut self, time: Timestamp) -> Verdict {
        let followed = self.finishes.iter().find(|finish| **finish > time);
        let last = time.plus(self.within);
        if let Some(finish) = followed.copied().filter(|finish| *finish <= last) {
            return self.completed(finish, time);
        }
        if last < self.now {
            // Too late to be waited for, and nothing followed: it is due at once.
            return match self.fire_on {
                FireOn::Completed => Verdict::Nothing,
                FireOn::Missing => Verdict::Holds(self.held(last, time, Cause::Silence)),
            };
        }
        insert(&mut self.starts, time);
        if self.starts.len() > Self::MOST {
            self.starts.remove(Self::MOST - 1);
        }
        Verdict::Nothing
    }

    fn finish(&mut self, time: Timestamp) -> Verdict {
        let oldest = time.minus(self.within);
        let from = self.starts.partition_point(|start| *start < oldest);
        let to = self.starts.partition_point(|start| *start <= time);
        let first = self.starts.drain(from..to.max(from)).next();
        insert(&mut self.finishes, time);
        if self.finishes.len() > Self::MOST {
            self.finishes.pop_front();
        }
        match first {
            Some(first) => self.completed(time, first),
            None => Verdict::Nothing,
        }
    }

    fn completed(&self, finish: Timestamp, start: Timestamp) -> Verdict {
        match self.fire_on {
            FireOn::Completed => Verdict::Holds(self.held(finish, start, Cause::Hits)),
            FireOn::Missing => Verdict::Nothing,
        }
    }

    fn held(&self, at: Timestamp, first: Timestamp, by: Cause) -> Held {
        Held {
            at,
            until: at,
            first,
            count: match by {
                Cause::Hits => 2,
                Cause::Silence => 1,
            },
            value: at.since(first).as_secs_f64(),
            threshold: self.within.as_secs_f64(),
            by,
        }
    }

    /// Lets go of finishes that no start can come late for.
    fn forget(&mut self) {
        let horizon = self.now.minus(self.within);
        while self.finishes.front().is_some_and(|at| *at < horizon) {
            self.finishes.pop_front();
        }
        // Nobody asks when these are over.
        if self.fire_on == FireOn::Completed {
            while self.starts.front().is_some_and(|at| *at < horizon) {
                self.starts.pop_front();
            }
        }
    }

    pub(super) fn save(&self) -> Saved {
        let nanos = |times: &VecDeque<Timestamp>| times.iter().map(|at| at.as_nanos()).collect();
        Saved {
            starts: nanos(&self.starts),
            finishes: nanos(&self.finishes),
            now: self.now.as_nanos(),
        }
    }

    pub(super) fn restore(&mut self, saved: Saved) {
        let times = |nanos: Vec<i64>| {
            let mut times: Vec<_> = nanos.into_iter().map(Timestamp::from_nanos).collect();
            times.sort_unstable();
            times.truncate(Self::MOST);
            VecDeque::from(times)
        };
        self.starts = times(saved.starts);
        self.finishes = times(saved.finishes);
        self.now = Timestamp::from_nanos(saved.now);
    }
}

/// Inserts a time in its place, behind equal ones.
fn insert(times: &mut VecDeque<Timestamp>, time: Timestamp) {
    let later = times.iter().rev().take_while(|at| **at > time).count();
    times.insert(times.len() - later, time);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_secs(second)
    }

    fn parts(what: char) -> Parts {
        match what {
            's' => Parts::of(Part::START),
            'f' => Parts::of(Part::FINISH),
            _ => Parts::of(Part::START).and(Part::FINISH),
        }
    }

    /// `0s 10f`: a start at 0 s, a finish at 10 s; within a minute. Gives what is told.
    fn trace(fire_on: FireOn, lines: &str, until: i64) -> String {
        let mut pair = Pair::new(Duration::from_mins(1), fire_on);
        let mut told = Vec::new();
        let mut note = |verdict: Verdict| {
            if let Verdict::Holds(held) = verdict {
                told.push(format!("{}s after {}s", held.at.as_secs(), held.value));
            }
        };
        for line in lines.split_whitespace() {
            let (second, what) = line.split_at(line.len() - 1);
            let time = at(second.parse().unwrap());
            while let Some(due) = pair.due().filter(|due| *due < time) {
                note(pair.pass(due));
            }
            note(pair.observe(time, parts(what.chars().next().unwrap())));
        }
        while let Some(due) = pair.due().filter(|due| *due <= at(until)) {
            note(pair.pass(due));
        }
        told.join(", ")
    }

    #[test]
    fn what_is_not_finished_in_time_is_missing() {
        for (lines, told) in [
            ("0s 30f", ""),
            ("0s", "60s after 60s"),
            ("0s 60f", ""),
            ("0s 61f", "60s after 60s"),
            ("10f 0s", ""),
            ("0f 0s", "60s after 60s"),
            ("0s 0f", ""),
            ("0s 10s 40f", ""),
            ("0s 40s 70f", "60s after 60s"),
            ("0s 5s", "60s after 60s, 65s after 60s"),
            ("0s 20b", "80s after 60s"),
            ("0f 200f", ""),
        ] {
            assert_eq!(trace(FireOn::Missing, lines, 1_000), told, "{lines}");
        }
    }

    #[test]
    fn what_is_finished_in_time_is_told_with_the_time_it_took() {
        for (lines, told) in [
            ("0s 30f", "30s after 30s"),
            ("0s 10s 40f", "40s after 40s"),
            ("0s 61f", ""),
            ("0s 30f 40f", "30s after 30s"),
            ("10f 4s", "10s after 6s"),
            ("0s 20b 50f", "20s after 20s, 50s after 30s"),
        ] {
            assert_eq!(trace(FireOn::Completed, lines, 1_000), told, "{lines}");
        }
    }

    #[test]
    fn a_flood_of_starts_takes_bounded_memory_and_the_first_is_told_in_time() {
        let mut pair = Pair::new(Duration::from_hours(1), FireOn::Missing);
        for n in 0..100_000 {
            pair.observe(Timestamp::from_nanos(n), Parts::of(Part::START));
            pair.observe(
                Timestamp::from_nanos(n - 1_000_000_000_000),
                Parts::of(Part::FINISH),
            );
        }
        assert!(pair.starts.len() <= Pair::MOST && pair.finishes.len() <= Pair::MOST);
        assert_eq!(pair.due(), Some(Timestamp::from_secs(3_600)));
    }

    proptest! {
        /// Against the definition: of the starts whose time is over, those without a finish.
        #[test]
        fn missing_are_those_that_nothing_followed(
            lines in prop::collection::vec((0i64..30, 0i64..40, any::<bool>()), 1..60),
        ) {
            let make = || Pair::new(Duration::from_mins(1), FireOn::Missing);
            let (mut pair, mut now, mut told) = (make(), 0, Vec::new());
            // Equal times are ordered by how they were read: each line has a time of its own.
            let mut lines: Vec<(i64, bool)> = lines
                .into_iter()
                .map(|(ahead, late, starts)| {
                    now += ahead;
                    (if starts { now - late } else { now }, starts)
                })
                .collect();
            for (n, line) in lines.iter_mut().enumerate() {
                line.0 = line.0 * 100 + i64::try_from(n).unwrap();
            }
            let at = |n: i64| Timestamp::from_nanos(n * 10_000_000);
            for (time, starts) in &lines {
                while let Some(due) = pair.due().filter(|due| *due < at(*time)) {
                    told.extend(pair.pass(due).held().map(|held| held.first));
                }
                let verdict = pair.observe(at(*time), parts(if *starts { 's' } else { 'f' }));
                told.extend(verdict.held().map(|held| held.first));
                let saved = serde_json::to_vec(&pair.save()).unwrap();
                pair = make();
                pair.restore(serde_json::from_slice(&saved).unwrap());
            }
            while let Some(due) = pair.due() {
                told.extend(pair.pass(due).held().map(|held| held.first));
            }
            let finished = |start: i64| lines.iter()
                .any(|(time, starts)| !starts && *time >= start && *time <= start + 6_000);
            let mut expected: Vec<Timestamp> = lines.iter()
                .filter(|(time, starts)| *starts && !finished(*time))
                .map(|(time, _)| at(*time))
                .collect();
            expected.sort_unstable();
            told.sort_unstable();
            prop_assert_eq!(told, expected);
        }
    }
}
