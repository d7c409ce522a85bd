//! The latest hits of a sliding window, bounded in number and in time.

use std::collections::VecDeque;
use std::time::Duration;

use super::TopValues;
use crate::model::Timestamp;

/// One hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its line time.
    pub time: Timestamp,
    /// What the message will count.
    pub top: Option<TopValues>,
}

/// Hits sorted by time: those that a window of `span` may still be made of.
///
/// A hit may come late, or the newest one may be ahead of all others (a host whose clock is
/// wrong), so hits are kept for [`Window::LATENESS`] longer than `span`, and twice as many as are
/// asked for and a few: what comes in order is always judged exactly.
#[derive(Clone, Debug)]
pub struct Window {
    entries: VecDeque<Entry>,
    wanted: usize,
    span: Duration,
}

/// Hits that make a full window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// Time of the oldest.
    pub first: Timestamp,
    /// Time of the newest.
    pub last: Timestamp,
    /// When the oldest of the latest such window leaves it.
    pub until: Timestamp,
}

impl Window {
    /// How late a hit may come; as far as a line's own time may be ahead by default.
    pub const LATENESS: Duration = Duration::from_mins(10);

    /// Empty; takes no memory until the first hit. Full with `wanted` (≥ 1) hits within `span`.
    pub fn new(wanted: usize, span: Duration) -> Self {
        Self {
            entries: VecDeque::new(),
            wanted: wanted.max(1),
            span,
        }
    }

    /// Adds a hit in its place; gives the first full window that it is part of, if there is one.
    /// O(1) for a hit that is the newest, O(`wanted`) for a late one. One that is too late is
    /// dropped.
    pub fn push(&mut self, time: Timestamp, top: Option<TopValues>) -> Option<Full> {
        const A_FEW: usize = 16;
        let later = self
            .entries
            .iter()
            .rev()
            .take_while(|entry| entry.time > time)
            .count();
        let newest = self.newest().map_or(time, |newest| newest.max(time));
        let horizon = newest.minus(self.span).minus(Self::LATENESS);
        if time <= horizon {
            return None;
        }
        let mut at = self.entries.len() - later;
        self.entries.insert(at, Entry { time, top });
        while self.entries.len() > 2 * self.wanted + A_FEW
            || self.oldest().is_some_and(|oldest| oldest <= horizon)
        {
            self.entries.pop_front();
            at = at.checked_sub(1)?;
        }
        self.full_about(at)
    }

    /// The windows of `wanted` hits that the one at index `at` is part of.
    fn full_about(&self, at: usize) -> Option<Full> {
        let last_start = self.entries.len().checked_sub(self.wanted)?.min(at);
        let mut starts = (at + 1).saturating_sub(self.wanted)..=last_start;
        let times = |start: usize| {
            let (first, last) = (
                self.entries.get(start)?.time,
                self.entries.get(start + self.wanted - 1)?.time,
            );
            (first > last.minus(self.span)).then_some((first, last))
        };
        let (first, last) = starts.clone().find_map(times)?;
        let latest = starts
            .rfind(|start| times(*start).is_some())
            .and_then(times);
        let until = latest.map_or(first, |(first, _)| first).plus(self.span);
        Some(Full { first, last, until })
    }

    /// The time of the `n`-th newest hit, counted from 0.
    pub fn newest_but(&self, n: usize) -> Option<Timestamp> {
        let at = self.entries.len().checked_sub(n + 1)?;
        self.entries.get(at).map(|entry| entry.time)
    }

    fn oldest(&self) -> Option<Timestamp> {
        self.entries.front().map(|entry| entry.time)
    }

    fn newest(&self) -> Option<Timestamp> {
        self.entries.back().map(|entry| entry.time)
    }

    /// All hits that are kept, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against the definition, on unordered, late and bursty times.
        #[test]
        fn is_full_when_so_many_hits_lie_within_the_span(
            times in prop::collection::vec(0i64..200, 1..30),
            wanted in 1usize..8,
            span in 1i64..60,
        ) {
            let mut window = Window::new(wanted, Duration::from_secs(span.unsigned_abs()));
            for (n, s) in times.iter().enumerate() {
                let got = window.push(Timestamp::from_secs(*s), None);
                let seen = &times[..=n];
                // Some window (t − span, t] with this hit in it holds so many.
                let holds = (*s..*s + span)
                    .any(|t| seen.iter().filter(|x| **x > t - span && **x <= t).count() >= wanted);
                // More hits than are kept: a late one may find too few before it.
                prop_assert!(got.is_some() == holds || n >= 2 * wanted + 16, "{:?} {}", seen, n);
            }
        }
    }
}
