//! What happened before, for one rule and group.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Ack, History, Timestamp};

/// How far back alerts are counted.
const COUNTED: Duration = Duration::from_hours(DAYS as u64 * 24);
const DAYS: usize = 30;
const DAY: Duration = Duration::from_hours(24);
/// Starts that are remembered one by one; of older ones it is known how many there were in each
/// hour, so that the count is exact however many there are, but for the hour 30 days ago.
const MOST_STARTS: usize = 200;
const HOUR: i64 = 3_600;

/// Ended alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Past {
    /// Starts, oldest first.
    starts: VecDeque<Timestamp>,
    /// Earlier ones: hours since the epoch, and how many began in each, oldest first.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    hours: VecDeque<(i64, u32)>,
    last_duration_s: Option<u64>,
    #[serde(default)]
    last_ended_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_ack: Option<Box<Ack>>,
    /// From when to when the latest fired, where that is kept.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    spans: VecDeque<(Timestamp, Timestamp)>,
}

/// What is kept of an alert that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// That it was.
    Start,
    /// Also until when it fired: something may ask whether it was muted by it.
    Span,
}

/// Spans that are kept: lines that are read late may ask for a time when others fired.
const MOST_SPANS: usize = 64;

/// The beginning of an hour.
fn begins(hour: i64) -> Timestamp {
    Timestamp::from_secs(hour.saturating_mul(HOUR))
}

impl Past {
    /// Notes an alert that has ended.
    pub(super) fn add(
        &mut self,
        (started_at, ended_at): (Timestamp, Timestamp),
        acked: Option<Ack>,
        keep: Keep,
    ) {
        if keep == Keep::Span {
            self.spans.push_back((started_at, ended_at));
            if self.spans.len() > MOST_SPANS {
                self.spans.pop_front();
            }
        }
        while self.starts.len() >= MOST_STARTS
            && let Some(at) = self.starts.pop_front()
        {
            let hour = at.as_secs().div_euclid(HOUR);
            match self.hours.back_mut() {
                // Starts may go back a little: what counts is that none is lost.
                Some((last, count)) if *last >= hour => *count = count.saturating_add(1),
                _ => self.hours.push_back((hour, 1)),
            }
        }
        let old = started_at.minus(COUNTED);
        while self.starts.front().is_some_and(|at| *at < old) {
            self.starts.pop_front();
        }
        while self
            .hours
            .front()
            .is_some_and(|(hour, _)| begins(*hour) < old)
        {
            self.hours.pop_front();
        }
        self.starts.push_back(started_at);
        self.last_duration_s = Some(ended_at.since(started_at).as_secs());
        self.last_ended_at = Some(ended_at);
        if acked.is_some() {
            self.last_ack = acked.map(Box::new);
        }
    }

    /// How it looks to an alert that starts at `started_at`.
    pub(super) fn seen_from(&self, started_at: Timestamp) -> History {
        let since = started_at.minus(COUNTED);
        let hours = self
            .hours
            .iter()
            .map(|(hour, count)| (begins(*hour), *count));
        let all = hours.chain(self.starts.iter().map(|at| (*at, 1)));
        let (mut fired_30d, mut per_day) = (0, vec![0_u32; DAYS]);
        for (at, count) in all.filter(|(at, _)| *at >= since) {
            fired_30d += u64::from(count);
            let days_ago = started_at.since(at).as_secs() / DAY.as_secs();
            let index = usize::try_from(days_ago).unwrap_or(DAYS).min(DAYS - 1);
            if let Some(day) = per_day.get_mut(DAYS - 1 - index) {
                *day = day.saturating_add(count);
            }
        }
        if fired_30d == 0 {
            per_day.clear();
        }
        History {
            fired_30d,
            last_started_at: self.starts.back().copied(),
            last_duration_s: self.last_duration_s,
            last_ack: self.last_ack.as_deref().cloned(),
            per_day,
        }
    }

    /// When the alert had ended for good that was firing at `at`.
    pub(super) fn fired_until(&self, at: Timestamp, resolve_after: Duration) -> Option<Timestamp> {
        let spans = self.spans.iter().rev();
        let mut ends = spans.map(|(start, end)| (*start, end.plus(resolve_after)));
        let fired = ends.find(|(start, end)| *start <= at && at < *end);
        fired.map(|(_, end)| end)
    }

    /// Whether what came to hold at `at` belongs to an episode that is over and told: a straggler
    /// must not tell it again, and one of the very time of its start would get its id.
    pub(super) fn covers(&self, at: Timestamp) -> bool {
        let is_start = self.starts.back() == Some(&at);
        is_start || self.last_ended_at.is_some_and(|ended_at| at < ended_at)
    }

    /// Whether there is still something to count at `now`.
    pub(super) fn matters(&self, now: Timestamp) -> bool {
        self.starts.back().is_some_and(|at| at.plus(COUNTED) >= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000).plus(Duration::from_mins(minutes))
    }

    #[test]
    fn many_alerts_are_counted_exactly_in_bounded_memory() {
        let mut past = Past::default();
        // One a minute for 31 days.
        let days = 31 * 24 * 60;
        for minute in 0..days {
            past.add((at(minute), at(minute)), None, Keep::Start);
        }
        let history = past.seen_from(at(days));
        // The hour 30 days ago is left out whole.
        let least = 30 * 24 * 60 - 60;
        assert!(
            (least..=30 * 24 * 60).contains(&history.fired_30d),
            "{history:?}"
        );
        assert_eq!(history.per_day.len(), 30);
        assert!(
            history
                .per_day
                .iter()
                .skip(1)
                .all(|n| (1_380..=1_500).contains(n)),
            "{history:?}"
        );
        assert!(past.starts.len() <= MOST_STARTS && past.hours.len() <= 31 * 24);
    }

    #[test]
    fn a_straggler_of_the_second_that_started_an_alert_starts_no_other() {
        let mut past = Past::default();
        past.add((at(5), at(5)), None, Keep::Start);
        assert_eq!(
            [4, 5, 6].map(|minute| past.covers(at(minute))),
            [true, true, false]
        );
    }

    #[test]
    fn few_alerts_are_known_by_the_second() {
        let mut past = Past::default();
        for minute in [0, 1, 60 * 24, 60 * 24 * 30] {
            past.add((at(minute), at(minute + 4)), None, Keep::Start);
        }
        let history = past.seen_from(at(60 * 24 * 30 + 1));
        assert_eq!((history.fired_30d, history.last_duration_s), (3, Some(240)));
        assert_eq!((history.per_day[0], history.per_day[29]), (2, 1));
        assert_eq!(past.seen_from(at(60 * 24 * 90)).per_day, Vec::<u32>::new());
    }
}
