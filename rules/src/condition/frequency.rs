//! `type: frequency`: at least `num_events` hits within `timeframe`.
//!
//! Holds at time t when the hits in (t − timeframe, t] are at least `num_events`.

use std::time::Duration;

use super::verdict::{Cause, Held, number};
use super::{TopValues, Window};
use crate::model::Timestamp;

/// The state of one group.
#[derive(Clone, Debug)]
pub struct Frequency {
    num_events: usize,
    window: Window,
}

impl Frequency {
    /// No hit yet. `num_events` ≥ 1, `timeframe` > 0.
    pub fn new(num_events: u32, timeframe: Duration) -> Self {
        let num_events = usize::try_from(num_events).unwrap_or(usize::MAX).max(1);
        Self {
            num_events,
            window: Window::new(num_events, timeframe),
        }
    }

    /// Takes a hit.
    pub fn observe(&mut self, time: Timestamp, top: Option<TopValues>) -> Option<Held> {
        let full = self.window.push(time, top)?;
        let count = self.num_events as u64;
        Some(Held {
            at: full.last,
            until: full.until,
            first: full.first,
            count,
            value: number(count),
            threshold: number(count),
            by: Cause::Hits,
        })
    }

    /// The hits that may still count.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// The same, for what saves and restores them.
    pub fn window_mut(&mut self) -> &mut Window {
        &mut self.window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds hits at `seconds`; gives the index of each hit with which it holds.
    fn holds(num_events: u32, timeframe_s: u64, seconds: &[i64]) -> Vec<usize> {
        let mut frequency = Frequency::new(num_events, Duration::from_secs(timeframe_s));
        let held = |s: &i64| frequency.observe(Timestamp::from_secs(*s), None).is_some();
        seconds
            .iter()
            .map(held)
            .enumerate()
            .filter(|(_, held)| *held)
            .map(|(i, _)| i)
            .collect()
    }

    #[test]
    fn the_window_is_open_at_its_start_and_closed_at_its_end() {
        assert_eq!(holds(3, 60, &[0, 30, 59]), [2]);
        assert_eq!(holds(3, 60, &[0, 30, 60]), [] as [usize; 0]);
        assert_eq!(holds(2, 1, &[0, 0, 0]), [1, 2]);
    }

    #[test]
    fn one_event_is_enough_where_one_is_asked_for() {
        assert_eq!(holds(1, 60, &[0, 100]), [0, 1]);
    }

    #[test]
    fn a_backlog_of_hits_a_minute_apart_does_not_hold() {
        let minutes: Vec<i64> = (0..100).map(|m| m * 60).collect();
        assert_eq!(holds(10, 60, &minutes), [] as [usize; 0]);
    }

    #[test]
    fn late_hits_inside_the_window_count() {
        assert_eq!(holds(3, 60, &[40, 50, 10]), [2]);
        assert_eq!(holds(3, 60, &[100, 110, 10]), [] as [usize; 0], "too late");
    }

    #[test]
    fn a_hit_far_ahead_does_not_hide_the_others() {
        assert_eq!(holds(3, 60, &[500, 0, 1, 2, 3]), [3, 4]);
    }

    #[test]
    fn it_holds_until_the_oldest_leaves() {
        let mut frequency = Frequency::new(2, Duration::from_mins(1));
        for s in [0, 10, 30] {
            frequency.observe(Timestamp::from_secs(s), None);
        }
        let held = frequency.observe(Timestamp::from_secs(45), None).unwrap();
        assert_eq!(
            (held.first, held.until),
            (Timestamp::from_secs(30), Timestamp::from_secs(90))
        );
    }
}
