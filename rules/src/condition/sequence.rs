//! `type: sequence`: `steps` in order `within`, each with its own `num_events`.
//!
//! Holds when, among the lines since the sequence before, there are `num_events` of the first step,
//! then as many of the next, and so on, with at most `within` from the first of them to the last.
//! Lines between do not matter; a line that meets several steps counts for one of them. What made a
//! sequence is used up with all before it: the next one begins anew.
//!
//! For each number of lines of each step the latest beginning that got so far is known. A line of a
//! step moves all beginnings that stand in this step on by one, so a step is a queue as long as its
//! `num_events`, and a line costs O(steps). A line that comes late has all lines that may still
//! count go through anew.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::verdict::{Cause, Held, Verdict};
use crate::model::{Part, Parts, Timestamp};

/// The state of one group.
#[derive(Clone, Debug)]
pub struct Sequence {
    num_events: Box<[usize]>,
    within: Duration,
    /// Lines that may still count, oldest first.
    lines: VecDeque<(Timestamp, Parts)>,
    steps: Steps,
    /// Up to here everything is used up.
    used: Timestamp,
    now: Timestamp,
}

/// Where beginnings stand.
#[derive(Clone, Debug)]
struct Steps {
    /// One for each step: the latest beginning that has taken 1, 2, 3 … lines of it.
    queues: Box<[VecDeque<Option<Timestamp>>]>,
    /// The latest beginning that has taken all lines of a step.
    done: Box<[Option<Timestamp>]>,
}

/// As it is saved.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    steps: usize,
    lines: Vec<(i64, u32)>,
    used: i64,
    now: i64,
}

impl Steps {
    fn new(num_events: &[usize]) -> Self {
        let queue = |len: &usize| std::iter::repeat_n(None, *len).collect();
        Self {
            queues: num_events.iter().map(queue).collect(),
            done: vec![None; num_events.len()].into(),
        }
    }

    /// Takes a line; gives the latest beginning of a sequence that it completes.
    fn take(&mut self, time: Timestamp, parts: Parts) -> Option<Timestamp> {
        let mut completed = None;
        // The last step first: a line that completes a step is not used by the next one, too.
        for step in (0..self.queues.len()).rev() {
            if !parts.has(Part::step(step)) {
                continue;
            }
            let comes = match step.checked_sub(1) {
                None => Some(time),
                Some(before) => self.done.get(before).copied().flatten(),
            };
            let Some(queue) = self.queues.get_mut(step) else {
                continue;
            };
            queue.push_front(comes);
            queue.pop_back();
            let done = queue.back().copied().flatten();
            if step + 1 == self.done.len() {
                completed = done;
            }
            if let Some(slot) = self.done.get_mut(step) {
                *slot = done;
            }
        }
        completed
    }
}

impl Sequence {
    /// No line yet. `num_events` of each step, each ≥ 1; `within` > 0.
    pub fn new(num_events: &[u32], within: Duration) -> Self {
        let num_events: Box<[usize]> = num_events
            .iter()
            .map(|count| usize::try_from(*count).unwrap_or(usize::MAX).max(1))
            .collect();
        Self {
            steps: Steps::new(&num_events),
            num_events,
            within,
            lines: VecDeque::new(),
            used: Timestamp::MIN,
            now: Timestamp::MIN,
        }
    }

    /// Takes a line that meets some of the steps.
    pub fn observe(&mut self, time: Timestamp, parts: Parts) -> Verdict {
        let is_late = time < self.now;
        self.now = self.now.max(time);
        if time < self.used || time < self.now.minus(self.within) {
            return Verdict::Nothing;
        }
        let later = self.lines.iter().rev().take_while(|line| line.0 > time);
        let at = self.lines.len() - later.count();
        self.lines.insert(at, (time, parts));
        self.forget();
        let completed = if is_late {
            self.go_through()
        } else {
            let first = self.steps.take(time, parts);
            first.map(|first| (first, time))
        };
        let Some((first, last)) = completed.filter(|(first, last)| self.is_quick(*first, *last))
        else {
            return Verdict::Nothing;
        };
        self.used = last;
        self.lines.retain(|(time, _)| *time > last);
        let completed = self.go_through();
        debug_assert!(completed.is_none(), "one line completes one sequence");
        Verdict::Holds(Held {
            at: last,
            until: last,
            first,
            count: self.num_events.iter().map(|count| *count as u64).sum(),
            value: last.since(first).as_secs_f64(),
            threshold: self.within.as_secs_f64(),
            by: Cause::Hits,
        })
    }

    /// Line time after which nothing of it matters any more if nothing more comes.
    pub fn matters_until(&self) -> Timestamp {
        self.now.plus(self.within)
    }

    fn is_quick(&self, first: Timestamp, last: Timestamp) -> bool {
        last.since(first) <= self.within
    }

    /// Takes all lines anew; gives the first sequence among them.
    fn go_through(&mut self) -> Option<(Timestamp, Timestamp)> {
        self.steps = Steps::new(&self.num_events);
        let mut found = None;
        for (time, parts) in &self.lines {
            if let Some(first) = self.steps.take(*time, *parts)
                && found.is_none()
                && time.since(first) <= self.within
            {
                found = Some((first, *time));
            }
        }
        found
    }

    /// Lets go of lines that are too old, or too many.
    fn forget(&mut self) {
        let most = 4 * self.num_events.iter().sum::<usize>() + 1_024;
        let horizon = self.now.minus(self.within);
        while self.lines.len() > most || self.lines.front().is_some_and(|line| line.0 < horizon) {
            self.lines.pop_front();
        }
    }

    pub(super) fn save(&self) -> Saved {
        let line = |(time, parts): &(Timestamp, Parts)| (time.as_nanos(), parts.bits());
        Saved {
            steps: self.num_events.len(),
            lines: self.lines.iter().map(line).collect(),
            used: self.used.as_nanos(),
            now: self.now.as_nanos(),
        }
    }

    /// Goes on from what was saved; of a sequence with another number of steps nothing is kept.
    pub(super) fn restore(&mut self, saved: Saved) {
        if saved.steps != self.num_events.len() {
            return;
        }
        self.used = Timestamp::from_nanos(saved.used);
        self.now = Timestamp::from_nanos(saved.now);
        let line = |(nanos, bits)| (Timestamp::from_nanos(nanos), Parts::from_bits(bits));
        self.lines = saved.lines.into_iter().map(line).collect();
        self.lines.make_contiguous().sort_by_key(|line| line.0);
        self.go_through();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_secs(second)
    }

    /// `a`, `b`, `c` for the steps; several letters for a line that meets several.
    fn parts(what: &str) -> Parts {
        let step = |letter: u8| Part::step(usize::from(letter - b'a'));
        what.bytes()
            .fold(Parts::NONE, |parts, letter| parts.and(step(letter)))
    }

    /// `0a 5b`: lines with the steps they meet; within a minute. Gives what is told.
    fn trace(num_events: &[u32], lines: &str) -> String {
        let mut sequence = Sequence::new(num_events, Duration::from_mins(1));
        let mut told = Vec::new();
        for line in lines.split_whitespace() {
            let digits = line.bytes().take_while(u8::is_ascii_digit).count();
            let (second, what) = line.split_at(digits);
            let verdict = sequence.observe(at(second.parse().unwrap()), parts(what));
            if let Verdict::Holds(held) = verdict {
                told.push(format!("{}-{}", held.first.as_secs(), held.at.as_secs()));
            }
        }
        told.join(" ")
    }

    #[test]
    fn steps_in_order_within_the_time_are_a_sequence() {
        for (num_events, lines, told) in [
            (&[1, 1][..], "0a 5b", "0-5"),
            (&[1, 1], "0b 5a", ""),
            (&[1, 1], "0a 60b", "0-60"),
            (&[1, 1], "0a 61b", ""),
            (&[1, 1], "0a 30a 70b", "30-70"),
            (&[3, 1], "0a 1a 5b 6a 7b", "0-7"),
            (&[3, 1], "0a 1a 2a 3a 4b", "1-4"),
            (&[1, 2], "0a 1b 2a 3b", "0-3"),
            (&[1, 1, 1], "0a 1c 2b 3c", "0-3"),
            (&[1, 1], "0ab 1ab", "0-1"),
            (&[1, 1], "0ab", ""),
            (&[1, 1], "0a 1b 2b", "0-1"),
            (&[1, 1], "0a 1b 2a 3b", "0-1 2-3"),
            (&[1, 1], "5b 0a", "0-5"),
            (&[2, 1], "0a 10b 5a", "0-10"),
        ] {
            assert_eq!(trace(num_events, lines), told, "{num_events:?} {lines}");
        }
    }

    #[test]
    fn lines_of_one_time_count_as_they_were_read() {
        assert_eq!(trace(&[1, 1], "0a 0b"), "0-0");
        assert_eq!(trace(&[1, 1], "0b 0a"), "");
    }

    #[test]
    fn a_flood_of_lines_takes_bounded_memory_and_is_told() {
        let mut sequence = Sequence::new(&[100, 1], Duration::from_hours(1));
        for n in 0..100_000 {
            assert_eq!(
                sequence.observe(Timestamp::from_nanos(n), parts("a")),
                Verdict::Nothing
            );
        }
        assert!(sequence.lines.len() < 2_000);
        let held = sequence.observe(at(1), parts("b")).held().unwrap();
        assert_eq!(
            (held.count, held.first),
            (101, Timestamp::from_nanos(99_900))
        );
    }

    /// The end of the first sequence, from any beginning, each taking what comes first.
    fn naive(lines: &[(i64, Parts)], num_events: &[u32], within: i64) -> Option<(i64, i64)> {
        let from = |start: usize| {
            let (mut step, mut taken) = (0, 0);
            for (time, parts) in &lines[start..] {
                if parts.has(Part::step(step)) {
                    taken += 1;
                    if taken == num_events[step] {
                        (step, taken) = (step + 1, 0);
                    }
                } else if step == 0 && taken == 0 {
                    return None;
                }
                if step == num_events.len() {
                    return (*time - lines[start].0 <= within).then_some((*time, lines[start].0));
                }
            }
            None
        };
        // The earliest end, and of those the latest beginning.
        let found = (0..lines.len()).filter_map(from);
        found
            .min_by_key(|(end, start)| (*end, -*start))
            .map(|(end, start)| (start, end))
    }

    proptest! {
        /// Against all beginnings tried one by one, on unordered, late and bursty times.
        #[test]
        fn it_holds_when_some_beginning_gets_to_the_end(
            lines in prop::collection::vec((0i64..25, 0i64..50, 1u32..8), 1..40),
            num_events in prop::collection::vec(1u32..4, 1..4),
        ) {
            let make = || Sequence::new(&num_events, Duration::from_mins(1));
            let (mut sequence, mut now) = (make(), 0);
            let mut seen: Vec<(i64, Parts)> = Vec::new();
            let (mut used, mut known) = (i64::MIN, i64::MIN / 2);
            for (n, (ahead, late, bits)) in lines.into_iter().enumerate() {
                now += ahead;
                let time = if n % 3 == 0 { now - late } else { now };
                let parts = Parts::from_bits(bits << 1);
                let verdict = sequence.observe(at(time), parts);
                let mut expected = None;
                known = known.max(time);
                if time >= used && time >= known - 60 {
                    let place = seen.partition_point(|(other, _)| *other <= time);
                    seen.insert(place, (time, parts));
                    seen.retain(|(time, _)| *time >= known - 60);
                    expected = naive(&seen, &num_events, 60);
                }
                let got = verdict.held().map(|held| (held.first.as_secs(), held.at.as_secs()));
                prop_assert_eq!(got, expected, "line {} at {}", n, time);
                if let Some((_, end)) = expected {
                    used = end;
                    seen.retain(|(time, _)| *time > end);
                }
                let saved = serde_json::to_vec(&sequence.save()).unwrap();
                sequence = make();
                sequence.restore(serde_json::from_slice(&saved).unwrap());
            }
        }
    }
}
