//! The latest hits of a sliding window, bounded in number and in time.

use std::collections::VecDeque;
use std::ops::Range;
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
///
/// Hits are numbered in their order, from the first that was ever kept. A large window is saved
/// in parts of [`Window::PART`] hits by number, so that what is written is what is new.
#[derive(Clone, Debug)]
pub struct Window {
    entries: VecDeque<Entry>,
    wanted: usize,
    span: Duration,
    /// The number of the oldest entry.
    first: u64,
    /// Parts from this one on are not as they were saved.
    unsaved: u64,
}

/// Where a window stands among its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The number of the oldest hit.
    pub first: u64,
    /// The number of the first hit that belongs to no whole part.
    pub rest: u64,
}

/// What is known of saved hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// Their whole parts are saved under their numbers.
    Parts,
    /// They were saved in another way.
    Nothing,
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
            first: 0,
            unsaved: 0,
        }
    }

    /// Hits of a part.
    pub const PART: u64 = 256;

    /// Where it stands. A small window has no parts: all of it is rest.
    pub fn extent(&self) -> Extent {
        const SMALL: usize = 512;
        let end = self.first + self.entries.len() as u64;
        let rest = if self.most() <= SMALL {
            self.first
        } else {
            (end / Self::PART * Self::PART).max(self.first)
        };
        Extent {
            first: self.first,
            rest,
        }
    }

    /// The numbers of the whole parts that are not as they were saved; from now on they are.
    pub fn take_unsaved(&mut self) -> Range<u64> {
        let Extent { first, rest } = self.extent();
        let (from, until) = (first / Self::PART, rest / Self::PART);
        let unsaved = self.unsaved.clamp(from, until.max(from));
        self.unsaved = until;
        unsaved..until.max(unsaved)
    }

    /// Nothing counts as saved any more.
    pub fn forget_saved(&mut self) {
        self.unsaved = 0;
    }

    /// The hits from number `from` up to number `until`, as far as there are any.
    pub fn numbered(&self, from: u64, until: u64) -> impl Iterator<Item = &Entry> {
        let index = |number: u64| {
            let index = usize::try_from(number.saturating_sub(self.first));
            index.unwrap_or(usize::MAX).min(self.entries.len())
        };
        let (from, until) = (index(from), index(until));
        self.entries.range(from..until.max(from))
    }

    /// Goes on from saved hits, the oldest of which has number `first`. What is given is saved as
    /// far as `saved` says.
    pub fn restore(&mut self, first: u64, entries: impl Iterator<Item = Entry>, saved: Saved) {
        self.first = first;
        let mut given = 0;
        for entry in entries {
            given += 1;
            self.push(entry.time, entry.top);
        }
        let is_whole = self.first + self.entries.len() as u64 == first + given;
        self.unsaved = match saved {
            Saved::Parts if is_whole => self.extent().rest / Self::PART,
            Saved::Parts | Saved::Nothing => 0,
        };
    }

    /// Hits that are kept at the most.
    fn most(&self) -> usize {
        const A_FEW: usize = 16;
        2 * self.wanted + A_FEW
    }

    /// Adds a hit in its place; gives the first full window that it is part of, if there is one.
    /// O(1) for a hit that is the newest, O(`wanted`) for a late one. One that is too late is
    /// dropped.
    pub fn push(&mut self, time: Timestamp, top: Option<TopValues>) -> Option<Full> {
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
        let at = self.entries.len() - later;
        self.entries.insert(at, Entry { time, top });
        self.unsaved = self.unsaved.min((self.first + at as u64) / Self::PART);
        let mut gone = 0;
        while self.entries.len() > self.most()
            || self.oldest().is_some_and(|oldest| oldest <= horizon)
        {
            self.entries.pop_front();
            gone += 1;
        }
        self.first += gone as u64;
        self.full_about(at.checked_sub(gone)?)
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
