//! How many hits there were when, in buckets: what windows with any number of hits are made of.
//!
//! A window of `timeframe` is made of [`STEPS`] buckets and moves from one to the next. So it is
//! exact for times in whole seconds and a `timeframe` of a minute, and off by less than a sixtieth
//! in general. Buckets lie at multiples of their width since the epoch: where they begin does not
//! depend on when a hit came first.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// Buckets of a window.
pub(super) const STEPS: i64 = 60;

/// Buckets that are not empty, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    width: i64,
    /// Buckets that may matter, from the newest back.
    kept: i64,
    buckets: VecDeque<(i64, u32)>,
}

/// As it is saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedCounts {
    width: i64,
    buckets: Vec<(i64, u32)>,
}

impl Counts {
    /// For windows of `timeframe` cut into `steps` (≥ 1), of which as many as cover `reach` are
    /// kept.
    pub(super) fn new(timeframe: Duration, steps: i64, reach: Duration) -> Self {
        let nanos = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        let width = (nanos(timeframe) / steps).max(1);
        Self {
            width,
            kept: nanos(reach) / width + 1,
            buckets: VecDeque::new(),
        }
    }

    /// The bucket that `time` lies in.
    pub(super) fn bucket(&self, time: Timestamp) -> i64 {
        time.as_nanos().div_euclid(self.width)
    }

    /// When a bucket begins.
    pub(super) fn begin(&self, bucket: i64) -> Timestamp {
        Timestamp::from_nanos(bucket.saturating_mul(self.width))
    }

    /// `span` in buckets, rounded.
    pub(super) fn buckets_in(&self, span: Duration) -> i64 {
        let nanos = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        nanos.saturating_add(self.width / 2) / self.width
    }

    /// Counts a hit; one that is older than all that matters is left out. O(1) for one that is the
    /// newest.
    pub(super) fn add(&mut self, time: Timestamp) {
        let bucket = self.bucket(time);
        let newest = self.buckets.back().map_or(bucket, |(newest, _)| *newest);
        if bucket <= newest - self.kept {
            return;
        }
        let later = self.buckets.iter().rev().take_while(|(at, _)| *at > bucket);
        let at = self.buckets.len() - later.count();
        let same = at.checked_sub(1).and_then(|at| self.buckets.get_mut(at));
        match same.filter(|(of, _)| *of == bucket) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.buckets.insert(at, (bucket, 1)),
        }
        let horizon = newest.max(bucket) - self.kept;
        while self.buckets.front().is_some_and(|(at, _)| *at <= horizon) {
            self.buckets.pop_front();
        }
    }

    /// Hits in these buckets. O(buckets that are not empty).
    pub(super) fn sum(&self, buckets: RangeInclusive<i64>) -> u64 {
        let from = self.index(*buckets.start());
        let within = self.buckets.range(from..);
        let within = within.take_while(|(at, _)| at <= buckets.end());
        within.map(|(_, count)| u64::from(*count)).sum()
    }

    /// The first bucket from this one on that is not empty.
    pub(super) fn first_from(&self, bucket: i64) -> Option<i64> {
        self.buckets.get(self.index(bucket)).map(|(at, _)| *at)
    }

    fn index(&self, bucket: i64) -> usize {
        self.buckets.partition_point(|(at, _)| *at < bucket)
    }

    pub(super) fn save(&self) -> SavedCounts {
        SavedCounts {
            width: self.width,
            buckets: self.buckets.iter().copied().collect(),
        }
    }

    /// Goes on from what was saved; with buckets of another width nothing can be done.
    pub(super) fn restore(&mut self, saved: SavedCounts) {
        if saved.width == self.width && saved.buckets.is_sorted_by(|a, b| a.0 < b.0) {
            self.buckets = saved.buckets.into();
            let newest = self.buckets.back().map_or(0, |(newest, _)| *newest);
            let horizon = newest.saturating_sub(self.kept);
            self.buckets.retain(|(at, _)| *at > horizon);
        }
    }
}
