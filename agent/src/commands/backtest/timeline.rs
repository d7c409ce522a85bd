//! How often something happened over a time that is not known beforehand, in bounded memory: equal
//! steps that double when there would be too many. Every count stays exact, only finer times go.

use std::collections::VecDeque;

use lapwing_rules::model::Timestamp;

/// Steps that are kept at the most: finer than any screen.
const MOST: usize = 2048;

/// Counts over time.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    step_s: i64,
    /// The number of the first step, counted from the epoch.
    first: i64,
    counts: VecDeque<u32>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            step_s: 1,
            first: 0,
            counts: VecDeque::new(),
        }
    }
}

impl Timeline {
    /// Something happened at `at`; times may go back.
    pub(super) fn add(&mut self, at: Timestamp) {
        loop {
            let step = at.as_secs().div_euclid(self.step_s);
            if self.counts.is_empty() {
                self.first = step;
            }
            let last = self.first + i64::try_from(self.counts.len()).unwrap_or(i64::MAX);
            let span = last.max(step + 1) - self.first.min(step);
            if usize::try_from(span).is_ok_and(|span| span <= MOST) {
                while step < self.first {
                    self.counts.push_front(0);
                    self.first -= 1;
                }
                let index = usize::try_from(step - self.first).unwrap_or(0);
                if index >= self.counts.len() {
                    self.counts.resize(index + 1, 0);
                }
                if let Some(count) = self.counts.get_mut(index) {
                    *count = count.saturating_add(1);
                }
                return;
            }
            self.widen();
        }
    }

    fn widen(&mut self) {
        let mut wider: VecDeque<u32> = VecDeque::new();
        let first = self.first.div_euclid(2);
        for (step, count) in (self.first..).zip(&self.counts) {
            let index = usize::try_from(step.div_euclid(2) - first).unwrap_or(0);
            if index >= wider.len() {
                wider.resize(index + 1, 0);
            }
            if let Some(sum) = wider.get_mut(index) {
                *sum = sum.saturating_add(*count);
            }
        }
        (self.step_s, self.first, self.counts) = (self.step_s * 2, first, wider);
    }

    /// The same in `columns` equal parts of the time from `begin` to `end`; what lies outside
    /// counts at that end.
    pub(super) fn columns(&self, begin: Timestamp, end: Timestamp, columns: usize) -> Vec<u32> {
        let mut out = vec![0u32; columns];
        let (from, until) = (begin.as_secs(), end.as_secs().max(begin.as_secs() + 1));
        let most = i64::try_from(columns).unwrap_or(i64::MAX) - 1;
        for (step, count) in (self.first..).zip(&self.counts) {
            // Where the middle of the step lies.
            let middle = (step * self.step_s + self.step_s / 2).clamp(from, until);
            let part = i128::from(middle - from) * i128::from(most) / i128::from(until - from);
            if let Some(sum) = usize::try_from(part)
                .ok()
                .and_then(|part| out.get_mut(part))
            {
                *sum = sum.saturating_add(*count);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: impl IntoIterator<Item = i64>) -> Timeline {
        let mut timeline = Timeline::default();
        times
            .into_iter()
            .for_each(|at| timeline.add(Timestamp::from_secs(at)));
        timeline
    }

    #[test]
    fn each_time_stands_in_its_column_whatever_the_order() {
        let (begin, end) = (Timestamp::from_secs(100), Timestamp::from_secs(200));
        for times in [[100, 150, 200, 200], [200, 200, 150, 100]] {
            assert_eq!(of(times).columns(begin, end, 3), [1, 1, 2]);
        }
    }

    #[test]
    fn no_time_is_lost_in_a_century_and_little_is_kept() {
        let mut times: Vec<i64> = (0..5_000).map(|n| n * 600_000).collect();
        times.extend([-3_000_000_000, i64::MAX / 1_000_000_000]);
        let timeline = of(times);
        assert!(timeline.counts.len() <= MOST);
        let columns = timeline.columns(Timestamp::MIN, Timestamp::MAX, 48);
        assert_eq!(columns.iter().sum::<u32>(), 5_002);
        assert_eq!(timeline.counts.iter().sum::<u32>(), 5_002);
    }
}
