//! `type: spike`: the hits in `timeframe` are `spike_height` times those of the reference, which is
//! the window before it or the same window some days ago.
//!
//! Holds at time t when both windows have been watched whole and
//! - up: current ≥ height × reference, current ≥ `threshold_cur`, reference ≥ `threshold_ref`;
//! - down: height × current ≤ reference, reference ≥ `threshold_ref`. A fall to nothing is one, so
//!   `threshold_cur` does not ask for hits there.
//!
//! A spike up begins with a hit; one down also by the passing of time. See [`Counts`] for how
//! windows move.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::counts::{Counts, STEPS, SavedCounts};
use super::verdict::{Cause, Held, Verdict, number};
use crate::language::rule::{Reference, SpikeSpec, SpikeType};
use crate::model::Timestamp;

/// The state of one group.
#[derive(Clone, Debug)]
pub struct Spike {
    spec: SpikeSpec,
    counts: Counts,
    /// Buckets of a window.
    steps: i64,
    /// From a window to its reference, in buckets.
    back: i64,
    /// From the beginning of the reference to now.
    reach: Duration,
    watched: Option<Timestamp>,
    /// It is watched without hits as well.
    is_always_there: bool,
    /// The time of the latest hit.
    last: Option<Timestamp>,
    /// How far line time has come.
    now: Timestamp,
    holds: Option<Direction>,
    /// Not before this may the passing of time change anything.
    next: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Direction {
    Up,
    Down,
}

/// What can make it begin to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Hit,
    Time,
}

/// As it is saved.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    counts: SavedCounts,
    watched: Option<i64>,
    is_always_there: bool,
    last: Option<i64>,
    now: i64,
    holds: Option<Direction>,
}

/// A reference some days ago takes no more buckets than this.
const MOST_BUCKETS: u128 = 16_384;

/// Buckets of a window: fewer of them where the reference lies many windows back.
fn steps(timeframe: Duration, reach: Duration) -> i64 {
    let windows = reach.as_nanos() / timeframe.as_nanos().max(1) + 1;
    let fits = |steps: &i64| windows * u128::from(steps.unsigned_abs()) <= MOST_BUCKETS;
    [STEPS, 30, 12, 6, 4, 2].into_iter().find(fits).unwrap_or(1)
}

impl Spike {
    /// No hit yet.
    pub fn new(spec: SpikeSpec) -> Self {
        let back = match spec.reference {
            Reference::Previous => spec.timeframe,
            Reference::SameTime(span) => span,
        };
        let reach = back + spec.timeframe;
        let steps = match spec.reference {
            Reference::Previous => STEPS,
            Reference::SameTime(_) => steps(spec.timeframe, reach),
        };
        let counts = Counts::new(spec.timeframe, steps, reach);
        Self {
            back: counts.buckets_in(back),
            spec,
            counts,
            steps,
            reach,
            watched: None,
            is_always_there: false,
            last: None,
            now: Timestamp::MIN,
            holds: None,
            next: None,
        }
    }

    /// Is watched from `time` on, if it was not before.
    pub fn begin(&mut self, time: Timestamp) {
        self.is_always_there = true;
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

    /// Takes a hit. A group that was not heard of for both windows is as good as new: whoever keeps
    /// it may have let it go.
    pub fn observe(&mut self, time: Timestamp) -> Verdict {
        let is_forgotten = !self.is_always_there
            && self.holds.is_none()
            && self
                .last
                .is_some_and(|last| last.plus(self.remembers()) <= time);
        if is_forgotten {
            (self.watched, self.next) = (None, None);
        }
        let watched = *self.watched.get_or_insert(time);
        self.last = self.last.max(Some(time));
        if time < self.now {
            // A late one leaves sooner than those that were planned for.
            self.next = None;
        }
        self.now = self.now.max(time);
        let is_within = time.plus(self.reach) > self.now;
        if time < watched && is_within && !self.is_always_there {
            // Of the lines at the very start the earliest one came later.
            self.watched = Some(time);
        }
        self.counts.add(time);
        self.judge(By::Hit)
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
        self.judge(By::Time)
    }

    /// What it measures at line time `at`, or as far as time has come.
    pub fn value(&self, at: Timestamp) -> f64 {
        let (current, reference) = self.windows(at.max(self.now));
        ratio(current, reference, self.holds.unwrap_or(self.likely()))
    }

    /// Line time after which nothing of it matters any more if nothing more comes.
    pub fn matters_until(&self) -> Timestamp {
        match (self.holds, self.last) {
            // Longer than it remembers: a line may come late, of a time at which it still did.
            (None, Some(last)) if !self.is_always_there => last.plus(self.remembers() * 2),
            _ => Timestamp::MAX,
        }
    }

    /// After so long without a hit both windows are empty.
    fn remembers(&self) -> Duration {
        self.reach + self.spec.timeframe
    }

    fn likely(&self) -> Direction {
        if self.spec.direction == SpikeType::Down {
            Direction::Down
        } else {
            Direction::Up
        }
    }

    /// Hits in the window that ends at `at` and in its reference.
    fn windows(&self, at: Timestamp) -> (u64, u64) {
        let newest = self.counts.bucket(at);
        let before = newest - self.back;
        (
            self.counts.sum(newest - self.steps + 1..=newest),
            self.counts.sum(before - self.steps + 1..=before),
        )
    }

    fn judge(&mut self, by: By) -> Verdict {
        let verdict = self.verdict(by);
        let was = self.holds;
        if let Verdict::Holds(held) = verdict {
            self.holds = Some(match held.by {
                Cause::Hits => Direction::Up,
                Cause::Silence => Direction::Down,
            });
        } else {
            self.holds = None;
        }
        // What a hit adds leaves later than all else; but it may be the first to do so.
        if by == By::Time || self.next.is_none() || was != self.holds {
            self.plan();
        }
        match (was, verdict) {
            (Some(_), Verdict::Nothing) => Verdict::Ceased(self.now),
            _ => verdict,
        }
    }

    fn verdict(&self, by: By) -> Verdict {
        let is_watched = self
            .watched
            .is_some_and(|since| self.now >= since.plus(self.reach));
        if !is_watched {
            return Verdict::Nothing;
        }
        let (current, reference) = self.windows(self.now);
        let spec = &self.spec;
        if reference < spec.threshold_ref {
            return Verdict::Nothing;
        }
        let (cur, base) = (number(current), number(reference));
        let may_rise = by == By::Hit || self.holds == Some(Direction::Up);
        let is_up = may_rise
            && spec.direction != SpikeType::Down
            && current >= spec.threshold_cur.max(1)
            && cur >= spec.height * base;
        let is_down = spec.direction != SpikeType::Up && reference > 0 && spec.height * cur <= base;
        let direction = match (is_up, is_down) {
            (true, _) => Direction::Up,
            (false, true) => Direction::Down,
            (false, false) => return Verdict::Nothing,
        };
        let newest = self.counts.bucket(self.now);
        let oldest = self.counts.first_from(newest - self.steps + 1);
        let oldest = oldest.map_or(self.now, |bucket| self.counts.begin(bucket));
        Verdict::Holds(Held {
            at: self.now,
            until: Timestamp::MAX,
            first: oldest.min(self.now),
            count: current,
            value: ratio(current, reference, direction),
            threshold: spec.height,
            by: match direction {
                Direction::Up => Cause::Hits,
                Direction::Down => Cause::Silence,
            },
        })
    }

    /// When the next bucket enters or leaves one of the windows, where that can matter.
    fn plan(&mut self) {
        self.next = None;
        let Some(watched) = self.watched else { return };
        if self.holds.is_none() && self.spec.direction == SpikeType::Up {
            return;
        }
        let newest = self.counts.bucket(self.now);
        let before = newest - self.back;
        let leaves = |lowest: i64, offset: i64| {
            let bucket = self.counts.first_from(lowest - self.steps + 1)?;
            Some(bucket + offset + self.steps)
        };
        let changes = [
            leaves(newest, 0),
            leaves(before, self.back),
            self.counts
                .first_from(before + 1)
                .map(|bucket| bucket + self.back),
        ];
        let next = changes
            .into_iter()
            .flatten()
            .filter(|at| *at > newest)
            .min();
        let next = next.map(|bucket| self.counts.begin(bucket));
        // Before both windows are whole nothing is judged.
        let whole = watched.plus(self.reach);
        self.next = if whole > self.now { Some(whole) } else { next };
    }

    pub(super) fn save(&self) -> Saved {
        Saved {
            counts: self.counts.save(),
            watched: self.watched.map(Timestamp::as_nanos),
            is_always_there: self.is_always_there,
            last: self.last.map(Timestamp::as_nanos),
            now: self.now.as_nanos(),
            holds: self.holds,
        }
    }

    pub(super) fn restore(&mut self, saved: Saved) {
        self.counts.restore(saved.counts);
        self.watched = saved.watched.map(Timestamp::from_nanos);
        self.is_always_there = saved.is_always_there;
        self.last = saved.last.map(Timestamp::from_nanos);
        self.now = Timestamp::from_nanos(saved.now);
        self.holds = saved.holds;
        self.plan();
    }
}

/// How many times more, or fewer; with nothing on one side, as if there were one.
fn ratio(current: u64, reference: u64, direction: Direction) -> f64 {
    let (more, less) = match direction {
        Direction::Up => (current, reference),
        Direction::Down => (reference, current),
    };
    number(more) / number(less.max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(direction: SpikeType, height: f64, reference: Reference) -> SpikeSpec {
        SpikeSpec {
            direction,
            height,
            timeframe: Duration::from_mins(1),
            threshold_ref: 10,
            threshold_cur: 10,
            reference,
        }
    }

    /// Feeds (second, hits); lets time pass from one to the next as an engine does; gives what
    /// begins and ends, with the second.
    fn trace(spec: SpikeSpec, hits: &[(i64, u32)], until: i64) -> String {
        let mut spike = Spike::new(spec);
        let mut told = Vec::new();
        let mut was = false;
        let mut note = |verdict: Verdict| match verdict {
            Verdict::Holds(held) if !was => {
                was = true;
                told.push(format!("{}s x{}", held.at.as_secs(), held.value));
            }
            Verdict::Ceased(at) => {
                was = false;
                told.push(format!("{}s over", at.as_secs()));
            }
            _ => {}
        };
        for (second, count) in hits.iter().copied().chain([(until, 0)]) {
            let time = Timestamp::from_secs(second);
            while let Some(due) = spike.due().filter(|due| *due < time) {
                note(spike.pass(due));
            }
            for _ in 0..count {
                note(spike.observe(time));
            }
        }
        told.join(", ")
    }

    #[test]
    fn a_rise_to_so_many_times_the_window_before_is_one() {
        let rise = [(0, 10), (30, 10), (90, 59), (121, 20), (122, 1)];
        // At 121 s the first hit makes 60, against the ten of 30 s; at 150 s those of 90 s leave.
        for (height, told) in [(3.0, "121s x6, 150s over"), (9.0, "")] {
            let spec = spec(SpikeType::Up, height, Reference::Previous);
            assert_eq!(trace(spec, &rise, 1_000), told, "{height}");
        }
    }

    #[test]
    fn nothing_is_judged_before_both_windows_have_been_watched() {
        let spec = spec(SpikeType::Both, 2.0, Reference::Previous);
        assert_eq!(trace(spec, &[(0, 10), (70, 1_000)], 100), "");
    }

    #[test]
    fn a_fall_to_nothing_is_a_spike_down_without_a_hit() {
        let spec = spec(SpikeType::Down, 3.0, Reference::Previous);
        let steady: Vec<(i64, u32)> = (0..20).map(|n| (n * 10, 5)).collect();
        // The last hits are at 190 s: at 230 s ten are in the window, thirty in the one before; at
        // 300 s that has too few to be held against.
        assert_eq!(trace(spec, &steady, 1_000), "230s x3, 300s over");
    }

    #[test]
    fn the_same_time_some_days_ago_is_the_reference() {
        const DAY: i64 = 86_400;
        let reference = Reference::SameTime(Duration::from_hours(7 * 24));
        let spec = spec(SpikeType::Up, 3.0, reference);
        let mut hits = Vec::new();
        for day in 0..8 {
            hits.push((day * DAY + 7_200, 20));
        }
        // On day 8 at the same hour as ever; on day 9 with four times as much.
        hits.extend([(8 * DAY + 7_200, 20), (9 * DAY + 7_200, 80)]);
        assert_eq!(
            trace(spec, &hits, 9 * DAY + 8_000),
            format!("{}s x3, {}s over", 9 * DAY + 7_200, 9 * DAY + 7_260)
        );
    }

    #[test]
    fn a_week_of_history_takes_bounded_memory() {
        let reference = Reference::SameTime(Duration::from_hours(7 * 24));
        let mut spike = Spike::new(spec(SpikeType::Both, 3.0, reference));
        for second in (0..40 * 86_400).step_by(20) {
            spike.observe(Timestamp::from_secs(second));
        }
        let buckets = serde_json::to_string(&spike.save())
            .unwrap()
            .matches('[')
            .count();
        assert!(buckets <= 16_384 + 2, "{buckets}");
    }

    /// The definition, over all hits ever.
    fn naive(hits: &[i64], now: i64, since: i64, spec: &SpikeSpec) -> (bool, bool) {
        let tf = 60;
        let count = |to: i64| {
            hits.iter()
                .filter(|at| **at > to - tf && **at <= to)
                .count() as u64
        };
        let (cur, base) = (count(now), count(now - tf));
        let whole = now >= since + 2 * tf && base >= spec.threshold_ref;
        let up =
            whole && cur >= spec.threshold_cur.max(1) && number(cur) >= spec.height * number(base);
        let down = whole && base > 0 && number(cur) * spec.height <= number(base);
        (
            up && spec.direction != SpikeType::Down,
            down && spec.direction != SpikeType::Up,
        )
    }

    fn which(up: bool, down: bool) -> Option<Cause> {
        let up = up.then_some(Cause::Hits);
        up.or(down.then_some(Cause::Silence))
    }

    proptest! {
        /// Against the definition, second by second, on unordered, late and bursty times.
        #[test]
        fn it_holds_when_the_definition_says_so(
            bursts in prop::collection::vec((0i64..90, 0i64..30, 1usize..12), 1..25),
            height in 2u32..5,
            way in 0usize..3,
            (threshold_ref, threshold_cur) in (0u64..6, 0u64..6),
        ) {
            let direction = [SpikeType::Up, SpikeType::Down, SpikeType::Both][way];
            let spec = SpikeSpec {
                threshold_ref, threshold_cur,
                ..spec(direction, f64::from(height), Reference::Previous)
            };
            let mut spike = Spike::new(spec);
            spike.begin(Timestamp::from_secs(0));
            let (mut hits, mut now, mut held) = (Vec::new(), 0, None);
            let since = 0;
            for (ahead, late, count) in bursts {
                let to = now + ahead;
                // Time passes second by second; the machine is asked only when it wants to be.
                while now < to {
                    now += 1;
                    if spike.due().is_some_and(|due| due.as_secs() <= now) {
                        match spike.pass(Timestamp::from_secs(now)) {
                            Verdict::Holds(by_time) => held = Some(by_time.by),
                            Verdict::Ceased(_) => held = None,
                            Verdict::Nothing => {}
                        }
                    }
                    let (up, down) = naive(&hits, now, since, &spec);
                    // Going up begins with a hit only.
                    let expected = which(up && held == Some(Cause::Hits), down);
                    prop_assert_eq!(held, expected, "{}", now);
                }
                for n in 0..count {
                    let time = if n % 2 == 0 { now } else { now - late };
                    hits.push(time);
                    let verdict = spike.observe(Timestamp::from_secs(time));
                    let (up, down) = naive(&hits, now.max(time), since, &spec);
                    let expected = which(up, down);
                    let got = verdict.held().map(|held| held.by);
                    prop_assert_eq!(got, expected, "hit {}", now);
                    let ceased = matches!(verdict, Verdict::Ceased(_));
                    prop_assert_eq!(ceased, held.is_some() && expected.is_none());
                    held = expected;
                }
                let saved = serde_json::to_vec(&spike.save()).unwrap();
                let mut restored = Spike::new(spec);
                restored.restore(serde_json::from_slice(&saved).unwrap());
                spike = restored;
            }
        }
    }
}
