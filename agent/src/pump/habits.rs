//! What is usual of each input, and what is not: one that has been silent for longer than it ever is,
//! one whose lines are no longer written as they were. Both make rules blind without a failure that
//! anybody would see. Pure: figures come in every now and then, troubles go out to `self_watch`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lapwing_rules::scanner::Fit;
use serde::{Deserialize, Serialize};

use super::self_watch::{Kind, Trouble};
use crate::outputs::render::span;

/// Under what name it is saved.
pub const HABITS: &str = "habits";
/// Between two times that it is saved.
pub(super) const SAVE_EVERY: Duration = Duration::from_hours(1);

const DAY_S: u64 = 24 * 60 * 60;
/// Nobody knows what is usual who has not seen a weekend.
const LEARNS_S: u64 = 7 * DAY_S;
/// Days that are remembered, of those up to the last line.
const DAYS: u64 = 8;
/// An input has a habit when lines came on so many of them.
const BUSY_DAYS: usize = 5;
/// So many times the longest silence is more than chance.
const TIMES: u64 = 5;
/// Shorter silences are never told.
const LEAST_S: u64 = 10 * 60;

/// Fewer records say nothing.
const ENOUGH: u64 = 20;
/// Records that say what is usual: what was before them counts for less and less.
const MOST_BEFORE: u64 = 10_000;

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

/// Time is that during which somebody was there to watch: what a host was switched off for is no silence.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Habit {
    /// Seconds of watching.
    watched_s: u64,
    /// Seconds of watching since the last line.
    silent_s: u64,
    /// Days of watching on which lines came, and the longest silence that ended on each; the latest last.
    days: VecDeque<(u64, u64)>,
    /// The latest looks at records, as many as hold [`ENOUGH`]: fits and misfits.
    recent: VecDeque<(u64, u64)>,
    /// Of the looks before those.
    before: (u64, u64),
    /// When it was looked at last, and what had come by then; `None` at a start.
    #[serde(skip)]
    looked: Option<(Instant, Figures)>,
}

impl Habits {
    /// Forgets inputs that are not there any more.
    pub(super) fn retain(&mut self, names: &[Arc<str>]) {
        self.0
            .retain(|known, _| names.iter().any(|name| **name == **known));
    }

    /// Forgets an input that is not read for a while: its silence is none.
    pub(super) fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Looks at one input; gives what is unusual.
    pub(super) fn look(
        &mut self,
        name: &str,
        figures: Figures,
        now: Instant,
    ) -> impl Iterator<Item = Trouble> + use<> {
        let habit = self.0.entry(name.to_owned()).or_default();
        let (at, last) = habit
            .looked
            .replace((now, figures))
            .unwrap_or((now, Figures::default()));
        habit.watch(now.saturating_duration_since(at).as_secs());
        if figures.lines > last.lines {
            habit.heard();
        }
        habit.held(
            figures.fit.fits.saturating_sub(last.fit.fits),
            figures.fit.misfits.saturating_sub(last.fit.misfits),
        );
        let silent = habit.silent(name);
        silent.into_iter().chain(habit.misfit(name))
    }

    /// To be saved.
    pub(super) fn save(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Habit {
    fn watch(&mut self, passed: u64) {
        self.watched_s = self.watched_s.saturating_add(passed);
        self.silent_s = self.silent_s.saturating_add(passed);
    }

    /// How long a silence may last; `None`: nobody can say.
    fn limit(&self) -> Option<u64> {
        let knows = self.watched_s >= LEARNS_S && self.days.len() >= BUSY_DAYS;
        let longest = self.longest();
        knows.then(|| longest.saturating_mul(TIMES).max(LEAST_S))
    }

    fn longest(&self) -> u64 {
        let longest = self.days.iter().map(|(_, longest)| *longest);
        longest.max().unwrap_or_default()
    }

    /// Lines came. A silence that was told is not all of it a habit: an outage over night must not hide the
    /// next one for a week.
    fn heard(&mut self) {
        let most = self.limit().unwrap_or(u64::MAX);
        let silence = std::mem::take(&mut self.silent_s).min(most);
        let today = self.watched_s / DAY_S;
        match self.days.back_mut() {
            Some((day, longest)) if *day == today => *longest = silence.max(*longest),
            _ => self.days.push_back((today, silence)),
        }
        self.days.retain(|(day, _)| day + DAYS > today);
    }

    fn silent(&self, name: &str) -> Option<Trouble> {
        self.limit().filter(|limit| self.silent_s > *limit)?;
        let [silence, longest] = [self.silent_s, self.longest()].map(Duration::from_secs);
        Some(Trouble {
            kind: Kind::Silent,
            about: name.to_owned(),
            what: format!(
                "no line of the input {name} has come for {}; in the week before the longest silence was {}: \
                 is it still written where lapwing reads?",
                span(silence),
                span(longest)
            ),
        })
    }

    /// Records were held against the format.
    fn held(&mut self, fits: u64, misfits: u64) {
        if fits + misfits == 0 {
            return;
        }
        self.recent.push_back((fits, misfits));
        // What is wrong must not become what is usual while it lasts.
        let is_wrong = self.is_wrong();
        while let Some(&(fits, misfits)) = self.recent.front()
            && count(self.recent()) >= ENOUGH + fits + misfits
        {
            self.recent.pop_front();
            if !is_wrong {
                self.before = (self.before.0 + fits, self.before.1 + misfits);
            }
        }
        if count(self.before) > MOST_BEFORE {
            self.before = (self.before.0 / 2, self.before.1 / 2);
        }
    }

    fn recent(&self) -> (u64, u64) {
        let sum = |a: (u64, u64), b: &(u64, u64)| (a.0 + b.0, a.1 + b.1);
        self.recent.iter().fold((0, 0), sum)
    }

    /// Whether records that were nearly all of the format are mostly not any more.
    fn is_wrong(&self) -> bool {
        let (recent, before) = (self.recent(), self.before);
        let used_to_fit = count(before) >= ENOUGH && before.0 >= 9 * before.1;
        used_to_fit && count(recent) >= ENOUGH && recent.1 > recent.0
    }

    fn misfit(&self, name: &str) -> Option<Trouble> {
        let recent = self.recent();
        self.is_wrong().then(|| Trouble {
            kind: Kind::Misfit,
            about: name.to_owned(),
            what: format!(
                "of the last {} lines of the input {name} that were looked at, {} are not of its format, as \
                 nearly all were before: rules that speak of fields do not see them",
                count(recent),
                recent.1
            ),
        })
    }
}

fn count((fits, misfits): (u64, u64)) -> u64 {
    fits + misfits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::pump::self_watch::EVERY;

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
    fn what_never_had_a_line_is_not_told_of() {
        let mut app = Input::new(Habits::default());
        assert_eq!(app.live(20 * DAY_S, 0), []);
    }

    #[test]
    fn what_is_written_every_other_day_has_no_habit() {
        let mut app = Input::new(Habits::default());
        assert_eq!(app.live(30 * DAY_S, 2 * DAY_S), []);
        assert_eq!(app.live(30 * DAY_S, 0), []);
    }

    #[test]
    fn a_daily_line_and_a_daily_restart_make_no_alert() {
        let mut app = Input::new(Habits::default());
        for _ in 0..14 {
            assert_eq!(app.live(20 * 3_600, DAY_S), []);
            let saved = serde_json::from_slice(&app.habits.save()).unwrap();
            app = Input::new(saved);
            assert_eq!(app.live(4 * 3_600, 0), []);
        }
    }

    #[test]
    fn a_silence_goes_on_over_a_restart() {
        let mut app = Input::new(Habits::default());
        app.live(LEARNS_S, 30);
        assert_eq!(app.live(3_600, 0).len(), 1);
        let saved = serde_json::from_slice(&app.habits.save()).unwrap();
        let told = Input::new(saved).live(60, 0);
        assert!(matches!(told[..], [(Kind::Silent, 0)]), "{told:?}");
    }

    #[test]
    fn a_silence_of_months_is_told_all_the_while() {
        let mut app = Input::new(Habits::default());
        app.live(LEARNS_S, 30);
        app.live(40 * DAY_S, 0);
        let told = app.live(60, 0);
        assert!(matches!(told[..], [(Kind::Silent, 0)]), "{told:?}");
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
        assert!(!app.records(1, (0, 10)));
        assert!(app.records(2, (0, 10)));
        assert!(app.records(4_000, (0, 10)), "it does not become usual");
        assert!(app.records(100, (0, 0)), "no line makes it right");
        let saved = serde_json::from_slice(&app.habits.save()).unwrap();
        let mut app = Input::new(saved);
        assert!(app.records(1, (0, 0)), "a restart does not, either");
        assert!(!app.records(3, (10, 0)));
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
        app.records(15, (1, 0));
        assert!(!app.records(100, (0, 1)), "too few were of the format");
        let mut app = Input::new(Habits::default());
        app.records(60, (1, 0));
        assert!(!app.records(10, (0, 1)));
        assert!(app.records(1, (0, 1)));
    }
}
