//! `type: flatline`: the hits in `timeframe` stay below `threshold`.
//!
//! Holds at time t when one whole window has been watched and fewer than `threshold` hits lie in
//! (t − timeframe, t]; until hits come again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::verdict::{Cause, Held, Verdict, number};
use super::{TopValues, Window};
use crate::model::Timestamp;

/// The state of one group.
#[derive(Clone, Debug)]
pub struct Flatline {
    threshold: usize,
    timeframe: Duration,
    /// As many of the latest hits as are asked for, and some more.
    window: Window,
    watched: Option<Timestamp>,
    /// How far line time has come.
    now: Timestamp,
    holds: bool,
}

/// As it is saved, beside the window.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    watched: Option<i64>,
    now: i64,
    holds: bool,
}

impl Flatline {
    /// No hit yet. `threshold` ≥ 1, `timeframe` > 0.
    pub fn new(threshold: u32, timeframe: Duration) -> Self {
        let threshold = usize::try_from(threshold).unwrap_or(usize::MAX).max(1);
        Self {
            threshold,
            timeframe,
            window: Window::new(threshold, timeframe),
            watched: None,
            now: Timestamp::MIN,
            holds: false,
        }
    }

    /// Is watched from `time` on, if it was not before.
    pub fn begin(&mut self, time: Timestamp) {
        if self.watched.is_none() {
            self.watched = Some(time);
            self.now = self.now.max(time);
        }
    }

    /// The first hit bears a time before it was watched: what was written before is looked at as
    /// well, and it is watched from then on.
    pub fn begin_earlier(&mut self, time: Timestamp) {
        if self.watched.is_some_and(|since| time < since) {
            (self.watched, self.now) = (Some(time), time);
        }
    }

    /// Takes a hit.
    pub fn observe(&mut self, time: Timestamp, top: Option<TopValues>) -> Verdict {
        self.watched.get_or_insert(time);
        self.now = self.now.max(time);
        self.window.push(time, top);
        self.judge()
    }

    /// Line time at which it comes to hold if nothing more comes.
    pub fn due(&self) -> Option<Timestamp> {
        if self.holds { None } else { self.begins() }
    }

    /// Line time has come to `now`.
    pub fn pass(&mut self, now: Timestamp) -> Verdict {
        self.now = self.now.max(now);
        self.judge()
    }

    /// Hits in the window that ends at line time `at`, or as far as time has come.
    pub fn value(&self, at: Timestamp) -> f64 {
        number(self.counted(at.max(self.now)).0)
    }

    /// The hits that may still count.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// The same, for what saves and restores them.
    pub fn window_mut(&mut self) -> &mut Window {
        &mut self.window
    }

    /// When one whole window has been watched, and all but too few hits have left it.
    fn begins(&self) -> Option<Timestamp> {
        let whole = self.watched?.plus(self.timeframe);
        let last = self.window.newest_but(self.threshold - 1);
        Some(last.map_or(whole, |last| last.plus(self.timeframe).max(whole)))
    }

    /// Hits in the window that ends at `at`, and the oldest of them.
    fn counted(&self, at: Timestamp) -> (u64, Option<Timestamp>) {
        let horizon = at.minus(self.timeframe);
        let mut count = 0;
        let mut oldest = None;
        while let Some(time) = self.window.newest_but(count).filter(|time| *time > horizon) {
            oldest = Some(time);
            count += 1;
        }
        (count as u64, oldest)
    }

    fn judge(&mut self) -> Verdict {
        let begins = self.begins().filter(|begins| *begins <= self.now);
        let was = std::mem::replace(&mut self.holds, begins.is_some());
        let Some(at) = begins else {
            return if was {
                Verdict::Ceased(self.now)
            } else {
                Verdict::Nothing
            };
        };
        let (count, oldest) = self.counted(self.now);
        Verdict::Holds(Held {
            at,
            until: Timestamp::MAX,
            first: oldest.unwrap_or(at).min(at),
            count,
            value: number(count),
            threshold: number(self.threshold as u64),
            by: Cause::Silence,
        })
    }

    pub(super) fn save(&self) -> Saved {
        Saved {
            watched: self.watched.map(Timestamp::as_nanos),
            now: self.now.as_nanos(),
            holds: self.holds,
        }
    }

    /// Goes on from what was saved; the window is put back by itself.
    pub(super) fn restore(&mut self, saved: &Saved) {
        self.watched = saved.watched.map(Timestamp::from_nanos);
        self.now = Timestamp::from_nanos(saved.now);
        self.holds = saved.holds;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Watched from 0 on, with hits at `seconds`; gives what begins and ends.
    fn trace(threshold: u32, timeframe_s: u64, seconds: &[i64], until: i64) -> String {
        let mut flatline = Flatline::new(threshold, Duration::from_secs(timeframe_s));
        flatline.begin(Timestamp::from_secs(0));
        let mut told = Vec::new();
        let mut was = false;
        let mut note = |verdict: Verdict| match verdict {
            Verdict::Holds(held) if !was => {
                was = true;
                told.push(format!("{}s {}", held.at.as_secs(), held.count));
            }
            Verdict::Ceased(at) => {
                was = false;
                told.push(format!("{}s over", at.as_secs()));
            }
            _ => {}
        };
        for second in seconds {
            let time = Timestamp::from_secs(*second);
            while let Some(due) = flatline.due().filter(|due| *due < time) {
                note(flatline.pass(due));
            }
            note(flatline.observe(time, None));
        }
        let end = Timestamp::from_secs(until);
        while let Some(due) = flatline.due().filter(|due| *due <= end) {
            note(flatline.pass(due));
        }
        told.join(", ")
    }

    #[test]
    fn it_is_told_when_the_last_hit_has_left_the_window() {
        assert_eq!(trace(1, 60, &[10, 50, 100], 159), "");
        assert_eq!(trace(1, 60, &[10, 50, 100], 160), "160s 0");
        assert_eq!(
            trace(1, 60, &[10, 50, 110, 171], 300),
            "170s 0, 171s over, 231s 0"
        );
    }

    #[test]
    fn a_hit_at_the_very_end_of_the_window_is_in_time() {
        assert_eq!(trace(1, 60, &[0, 60, 120], 120), "");
    }

    #[test]
    fn nothing_is_told_before_a_whole_window_was_watched() {
        assert_eq!(trace(1, 60, &[], 59), "");
        assert_eq!(trace(1, 60, &[], 60), "60s 0");
        assert_eq!(trace(5, 60, &[1, 2], 60), "60s 2");
    }

    #[test]
    fn fewer_hits_than_asked_for_are_too_few() {
        assert_eq!(
            trace(3, 60, &[0, 20, 40, 60, 90, 100], 105),
            "80s 2, 90s over"
        );
    }

    #[test]
    fn a_late_hit_inside_the_window_ends_it() {
        assert_eq!(trace(1, 60, &[0, 100, 130], 130), "60s 0, 100s over");
        let mut flatline = Flatline::new(1, Duration::from_mins(1));
        flatline.begin(Timestamp::from_secs(0));
        assert!(flatline.pass(Timestamp::from_secs(70)).held().is_some());
        let late = flatline.observe(Timestamp::from_secs(30), None);
        assert_eq!(late, Verdict::Ceased(Timestamp::from_secs(70)));
    }

    proptest! {
        /// Against the definition, second by second, on unordered, late and bursty times.
        #[test]
        fn it_holds_when_the_definition_says_so(
            bursts in prop::collection::vec((0i64..90, 0i64..50, 0usize..6), 1..25),
            threshold in 1u32..6,
        ) {
            let mut flatline = Flatline::new(threshold, Duration::from_mins(1));
            flatline.begin(Timestamp::from_secs(0));
            let (mut hits, mut now, mut held) = (Vec::<i64>::new(), 0, false);
            let holds = |hits: &[i64], now: i64| {
                let count = hits.iter().filter(|at| **at > now - 60 && **at <= now).count();
                (now >= 60 && count < threshold as usize).then_some(count as u64)
            };
            for (ahead, late, count) in bursts {
                for _ in 0..ahead {
                    now += 1;
                    if flatline.due().is_some_and(|due| due.as_secs() <= now) {
                        let verdict = flatline.pass(Timestamp::from_secs(now)).held();
                        prop_assert_eq!(verdict.map(|held| held.count), holds(&hits, now), "{}", now);
                        prop_assert_eq!(verdict.unwrap().at.as_secs(), now);
                        held = true;
                    }
                    prop_assert_eq!(held, holds(&hits, now).is_some(), "{}", now);
                }
                for n in 0..count {
                    let time = if n % 2 == 0 { now } else { now - late };
                    hits.push(time);
                    let verdict = flatline.observe(Timestamp::from_secs(time), None);
                    let expected = holds(&hits, now);
                    prop_assert_eq!(verdict.held().map(|held| held.count), expected, "hit {}", time);
                    prop_assert_eq!(matches!(verdict, Verdict::Ceased(_)), held && expected.is_none());
                    held = expected.is_some();
                }
                let saved = serde_json::to_vec(&flatline.save()).unwrap();
                let mut restored = Flatline::new(threshold, Duration::from_mins(1));
                for entry in flatline.window().iter() {
                    restored.window_mut().push(entry.time, None);
                }
                restored.restore(&serde_json::from_slice(&saved).unwrap());
                flatline = restored;
            }
        }
    }
}
