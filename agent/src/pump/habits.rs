//! What is usual of each input, and what is not: one that has been silent for longer than it ever is,
//! one whose lines are no longer written as they were. Both make rules blind without a failure that
//! anybody would see. Pure: figures come in every now and then, troubles go out to `self_watch`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lapwing_rules::scanner::Fit;
use serde::{Deserialize, Serialize};

use super::self_watch::{EVERY, Kind, Trouble};
use crate::outputs::render::span;

/// Under what name it is saved.
pub const HABITS: &str = "habits";
/// Between two times that it is saved.
pub(super) const SAVE_EVERY: Duration = Duration::from_hours(1);

const DAY_S: u64 = 24 * 60 * 60;
/// Nobody knows what is usual who has not seen a weekend.
const LEARNS_S: u64 = 7 * DAY_S;
/// Days whose longest silence is remembered, the one that runs included.
const DAYS: usize = 8;
/// So many times the longest silence is more than chance.
const TIMES: u64 = 5;
/// Shorter silences are never told.
const LEAST_S: u64 = 10 * 60;

/// Looks that are held against what was before.
const RECENT: usize = 40;
/// Fewer records say nothing.
const ENOUGH: u64 = 20;

/// What an input has had since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Lines that were matched.
    pub lines: u64,
    /// Lines whose own time was too far in the future.
    pub skewed: u64,
    /// Of the records that were looked at.
    pub fit: Fit,
}

/// By the input's name.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Habits(BTreeMap<String, Habit>);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Habit {
    /// Seconds for which somebody was there to watch.
    watched_s: u64,
    /// The longest silence of each of the last days of watching, the day that runs last.
    longest_s: VecDeque<u64>,
    #[serde(skip)]
    run: Option<Run>,
}

/// What is known since the start only.
#[derive(Debug)]
struct Run {
    looked_at: Instant,
    lines: u64,
    heard_at: Instant,
    fit: Fit,
    /// Fits and misfits of each of the last looks.
    recent: VecDeque<Fit>,
    /// Of the looks before those.
    before: Fit,
}

impl Habits {
    /// Forgets inputs that are not there any more.
    pub(super) fn retain(&mut self, names: &[Arc<str>]) {
        self.0
            .retain(|known, _| names.iter().any(|name| **name == **known));
    }

    /// Looks at one input; gives what is unusual.
    pub(super) fn look(
        &mut self,
        name: &str,
        figures: Figures,
        now: Instant,
    ) -> impl Iterator<Item = Trouble> + use<> {
        let habit = self.0.entry(name.to_owned()).or_default();
        let run = habit.run.get_or_insert_with(|| Run::begin(figures, now));
        let passed = now.saturating_duration_since(run.looked_at).as_secs();
        run.looked_at = now;
        let misfit = run.misfit(name, figures.fit);
        let silence = now.saturating_duration_since(run.heard_at).as_secs();
        if figures.lines != run.lines {
            (run.lines, run.heard_at) = (figures.lines, now);
            habit.broke(silence);
        }
        habit.watch(passed);
        let silent = habit.is_unusual(silence).then(|| {
            let longest = habit.longest();
            Trouble {
                kind: Kind::Silent,
                about: name.to_string(),
                what: format!(
                    "no line of the input {name} has come for {}; for a week the longest silence was {}: \
                     is it still written where lapwing reads?",
                    span(Duration::from_secs(silence)),
                    span(Duration::from_secs(longest))
                ),
            }
        });
        silent.into_iter().chain(misfit)
    }

    /// To be saved.
    pub(super) fn save(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Habit {
    fn longest(&self) -> u64 {
        self.longest_s.iter().copied().max().unwrap_or_default()
    }

    fn limit(&self) -> u64 {
        self.longest().saturating_mul(TIMES).max(LEAST_S)
    }

    fn is_unusual(&self, silence: u64) -> bool {
        self.watched_s >= LEARNS_S && silence > self.limit()
    }

    /// A silence of so many seconds is over. One that was told is not all of it a habit: an outage over
    /// night must not hide the next one for a week.
    fn broke(&mut self, silence: u64) {
        let silence = if self.is_unusual(silence) {
            self.limit()
        } else {
            silence
        };
        match self.longest_s.back_mut() {
            Some(today) => *today = silence.max(*today),
            None => self.longest_s.push_back(silence),
        }
    }

    fn watch(&mut self, passed: u64) {
        let day = self.watched_s / DAY_S;
        self.watched_s = self.watched_s.saturating_add(passed);
        if self.watched_s / DAY_S > day {
            self.longest_s.push_back(0);
        }
        let too_many = self.longest_s.len().saturating_sub(DAYS);
        self.longest_s.drain(..too_many);
    }
}

impl Run {
    fn begin(figures: Figures, now: Instant) -> Self {
        Self {
            looked_at: now,
            lines: figures.lines,
            heard_at: now,
            fit: figures.fit,
            recent: VecDeque::new(),
            before: Fit::default(),
        }
    }

    /// Whether records that were nearly all of the format are mostly not any more.
    fn misfit(&mut self, name: &str, fit: Fit) -> Option<Trouble> {
        self.recent.push_back(Fit {
            fits: fit.fits.saturating_sub(self.fit.fits),
            misfits: fit.misfits.saturating_sub(self.fit.misfits),
        });
        self.fit = fit;
        let recent: Fit = self.recent.iter().copied().sum();
        let used_to_fit = self.before.fits + self.before.misfits >= ENOUGH
            && self.before.fits >= 9 * self.before.misfits;
        let is_wrong =
            used_to_fit && recent.fits + recent.misfits >= ENOUGH && recent.misfits > recent.fits;
        // What is wrong must not become what is usual while it lasts.
        if self.recent.len() > RECENT
            && let Some(oldest) = self.recent.pop_front()
            && !is_wrong
        {
            self.before += oldest;
        }
        let minutes = EVERY.as_secs() * self.recent.len() as u64 / 60;
        is_wrong.then(|| Trouble {
            kind: Kind::Misfit,
            about: name.to_owned(),
            what: format!(
                "{} of {} lines of the input {name} that were looked at in the last {minutes} minutes are not \
                 of its format, as nearly all were before: rules that speak of fields do not see them",
                recent.misfits,
                recent.fits + recent.misfits
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    struct Input {
        habits: Habits,
        now: Instant,
        figures: Figures,
    }

    impl Input {
        fn new(habits: Habits) -> Self {
            Self {
                habits,
                now: clock::monotonic(),
                figures: Figures::default(),
            }
        }

        /// For so long there is a line `every` so often; gives the kinds of troubles and after how many
        /// seconds each was seen first.
        fn live(&mut self, lasts: u64, every: u64) -> Vec<(Kind, u64)> {
            let mut seen: Vec<(Kind, u64)> = Vec::new();
            for second in (0..lasts).step_by(15) {
                if every > 0 && second % every < 15 {
                    self.figures.lines += 1;
                }
                self.now += EVERY;
                for trouble in self.habits.look("app", self.figures, self.now) {
                    if seen.iter().all(|(kind, _)| *kind != trouble.kind) {
                        seen.push((trouble.kind, second));
                    }
                }
            }
            seen
        }

        /// Looks at so many records, of which a part fits.
        fn records(&mut self, looks: usize, (fits, misfits): (u64, u64)) -> bool {
            let mut is_told = false;
            for _ in 0..looks {
                self.figures.fit.fits += fits;
                self.figures.fit.misfits += misfits;
                self.now += EVERY;
                let mut told = self.habits.look("app", self.figures, self.now);
                is_told = told.any(|trouble| trouble.kind == Kind::Misfit);
            }
            is_told
        }
    }

    #[test]
    fn a_silence_longer_than_five_times_the_longest_of_a_week_is_told() {
        let mut app = Input::new(Habits::default());
        assert_eq!(app.live(LEARNS_S, 600), []);
        let told = app.live(DAY_S, 0);
        let [(Kind::Silent, after)] = told[..] else {
            panic!("{told:?}");
        };
        // The last line was ten minutes ago.
        assert!((2_400..2_500).contains(&after), "{after}");
    }

    #[test]
    fn nights_and_weekends_are_usual() {
        let mut app = Input::new(Habits::default());
        for _ in 0..3 {
            for _ in 0..5 {
                assert_eq!(app.live(10 * 3_600, 30), []);
                assert_eq!(app.live(14 * 3_600, 0), []);
            }
            assert_eq!(app.live(2 * DAY_S, 0), []);
        }
    }

    #[test]
    fn who_has_not_seen_a_week_does_not_know_what_is_usual() {
        let mut app = Input::new(Habits::default());
        assert_eq!(app.live(LEARNS_S / 2, 30), []);
        assert_eq!(app.live(LEARNS_S / 2 - 3_600, 0), []);
    }

    #[test]
    fn a_restart_forgets_no_habit() {
        let mut app = Input::new(Habits::default());
        app.live(LEARNS_S, 30);
        let saved: Habits = serde_json::from_slice(&app.habits.save()).unwrap();
        let mut again = Input::new(saved);
        again.live(600, 30);
        let told = again.live(3_600, 0);
        assert!(matches!(told[..], [(Kind::Silent, 570..630)]), "{told:?}");
    }

    #[test]
    fn an_outage_does_not_hide_the_next_one() {
        let mut app = Input::new(Habits::default());
        app.live(LEARNS_S, 30);
        assert_eq!(app.live(DAY_S / 2, 0).len(), 1);
        app.live(3_600, 30);
        let told = app.live(DAY_S, 0);
        assert!(
            matches!(told[..], [(Kind::Silent, 2_970..3_030)]),
            "{told:?}"
        );
    }

    #[test]
    fn lines_that_were_of_the_format_and_are_not_any_more_are_told_until_they_are_again() {
        let mut app = Input::new(Habits::default());
        assert!(!app.records(60, (10, 0)));
        assert!(!app.records(10, (0, 10)));
        assert!(app.records(20, (0, 10)));
        assert!(app.records(400, (0, 10)), "it does not become usual");
        assert!(!app.records(40, (10, 0)));
    }

    #[test]
    fn lines_that_never_were_of_the_format_are_not_told_of() {
        let mut app = Input::new(Habits::default());
        assert!(!app.records(60, (7, 3)));
        assert!(!app.records(60, (0, 10)));
    }

    #[test]
    fn few_lines_say_nothing() {
        let mut app = Input::new(Habits::default());
        app.records(60, (10, 0));
        app.records(40, (0, 0));
        assert!(!app.records(1, (0, 19)));
        assert!(app.records(1, (0, 1)));
    }
}
