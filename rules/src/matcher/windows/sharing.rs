//! What rules have in common, as far as it makes a window a bad choice: where it is found, all that
//! share it are looked at. A line that almost matches one rule must not wake a hundred.
//!
//! Sharing a gram is cheap, since the bytes about it tell its runs apart. Two things are not told
//! apart by them: rules that need the very same run, and runs that are alike all around the window.
//! It is only guessed at, by prints of sets, and decides how fast a scan is, never what it finds.

use std::collections::HashMap;

use super::{ByteSet, Need, Run, WINDOW, Window};

/// What is known of all rules' runs, and of the windows chosen so far.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    /// How many rules have a run, by its print.
    runs: HashMap<u64, u32>,
    /// How many windows are searched for with the same bytes in and about them, by their print.
    places: HashMap<u64, u32>,
}

/// What each other rule or window costs, in the measure of [`super::Choice::cost`]. Found by trying,
/// on logs that are all near misses: from 10 to 100 it makes little difference, with none they take
/// a third longer.
const OTHER: u64 = 20;
/// More of them are asked as a crowd.
const MOST_OTHERS: u64 = 1_000;
/// Bytes about a window that tell its run from others wherever in it a gram is seen.
const ABOUT: isize = 5;

impl Sharing {
    /// A rule needs `need`.
    pub(super) fn know(&mut self, need: &Need) {
        let mut prints = Vec::new();
        prints_of(need, &mut prints);
        prints.sort_unstable();
        prints.dedup();
        for print in prints {
            *self.runs.entry(print).or_default() += 1;
        }
    }

    /// What it costs that other rules have the run of this print.
    pub(super) fn cost_of_run(&self, print: u64) -> u64 {
        let rules = self.runs.get(&print).copied().unwrap_or(1);
        OTHER * u64::from(rules).saturating_sub(1).min(MOST_OTHERS)
    }

    /// What it costs that other windows have the same print.
    pub(super) fn cost_of_place(&self, print: u64) -> u64 {
        let others = self.places.get(&print).copied().unwrap_or(0);
        OTHER * u64::from(others).min(MOST_OTHERS)
    }

    /// Forgets which windows are searched for.
    pub(super) fn begin_anew(&mut self) {
        self.places.clear();
    }

    /// From now on `window` is searched for.
    pub(super) fn take(&mut self, window: &Window<'_>) {
        let print = Places::of(window.run).print(window.at);
        *self.places.entry(print).or_default() += 1;
    }
}

fn prints_of(need: &Need, prints: &mut Vec<u64>) {
    match need {
        Need::Run(run) => prints.push(print_of(run)),
        Need::All(needs) | Need::Any(needs) => {
            for need in needs {
                prints_of(need, prints);
            }
        }
    }
}

/// A hash of a run.
pub(super) fn print_of(run: &Run) -> u64 {
    run.sets
        .iter()
        .fold(0, |print, set| mix(print, set.print()))
}

/// What the windows of a run look like.
pub(super) struct Places {
    /// Of each set, folded.
    prints: Vec<u64>,
    /// Of any byte.
    any: u64,
}

impl Places {
    pub(super) fn of(run: &Run) -> Self {
        let prints = run.sets.iter().map(|set| set.folded().print());
        Self {
            prints: prints.collect(),
            any: ByteSet::ALL.folded().print(),
        }
    }

    /// A hash of the window at `at` and of what stands about it.
    pub(super) fn print(&self, at: isize) -> u64 {
        let places = at - ABOUT..at + WINDOW.cast_signed() + ABOUT;
        places.fold(0, |print, at| {
            let index = usize::try_from(at).ok();
            let set = index.and_then(|index| self.prints.get(index));
            mix(print, *set.unwrap_or(&self.any))
        })
    }
}

fn mix(print: u64, next: u64) -> u64 {
    (print ^ next)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .rotate_left(29)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::need::Meaning;

    fn run(text: &str) -> Run {
        Run {
            sets: text.bytes().map(ByteSet::of).collect(),
            inside: 0,
            meaning: Meaning::Possible,
        }
    }

    #[test]
    fn a_run_costs_more_with_each_other_rule_that_has_it() {
        let mut sharing = Sharing::default();
        let need = Need::Run(run("queue is full"));
        sharing.know(&need);
        let cost = |sharing: &Sharing, text| sharing.cost_of_run(print_of(&run(text)));
        assert_eq!(cost(&sharing, "queue is full"), 0);
        sharing.know(&Need::All(vec![need.clone(), need]));
        assert_eq!(cost(&sharing, "queue is full"), OTHER);
        assert_eq!(cost(&sharing, "queue is ful"), 0);
    }

    #[test]
    fn a_window_costs_more_where_it_looks_like_another_one() {
        let mut sharing = Sharing::default();
        let (one, other) = (run("orchard: queue is full"), run("harbour: queue is full"));
        let at = |run, at| Window { run, at };
        let cost = |sharing: &Sharing, run, at| sharing.cost_of_place(Places::of(run).print(at));
        sharing.take(&at(&one, 14));
        assert_eq!(cost(&sharing, &other, 14), OTHER);
        sharing.take(&at(&one, 7));
        assert_eq!(cost(&sharing, &other, 7), 0, "`d: ` tells");
    }
}
