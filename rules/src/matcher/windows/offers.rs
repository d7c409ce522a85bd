//! The windows of a need, spelt out once with what is known of them beforehand: each rule weighs its
//! windows up to three times, by what others have taken meanwhile.

use super::super::frequency::Frequencies;
use super::super::need::{Need, Run};
use super::sharing::{Places, print_of};
use super::{Gram, Window, grams};

/// What there is to choose from for one need. Its runs follow one another as they do in the need.
#[derive(Debug, Default)]
pub(in crate::matcher) struct Offers {
    runs: Vec<OfRun>,
    windows: Vec<OfWindow>,
    /// Each with how often it begins in [`Frequencies::OF_BYTES`] of text.
    grams: Vec<(Gram, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct OfRun {
    print: u64,
    /// Where its windows end.
    end: usize,
}

#[derive(Clone, Copy, Debug)]
struct OfWindow {
    hits: u64,
    place: u64,
    /// Where its grams end.
    end: u32,
    at: i32,
}

/// The windows of one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunOffers<'o> {
    /// Of the run.
    pub(super) print: u64,
    windows: &'o [OfWindow],
    /// Where the grams of the first one begin.
    first: u32,
    grams: &'o [(Gram, u32)],
}

/// One window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer<'o> {
    /// As of [`Window::at`].
    pub(super) at: isize,
    /// How often its grams begin in [`Frequencies::OF_BYTES`] of text.
    pub(super) hits: u64,
    /// What it looks like.
    pub(super) place: u64,
    /// Ascending, each once.
    pub(super) grams: &'o [(Gram, u32)],
}

impl Offers {
    /// By what is rare there.
    pub(in crate::matcher) fn new(need: &Need, frequencies: &Frequencies) -> Self {
        let mut offers = Self::default();
        offers.add(need, frequencies);
        offers
    }

    /// How much memory they take, in bytes.
    pub(in crate::matcher) fn size(&self) -> usize {
        size_of_val(self.windows.as_slice()) + size_of_val(self.grams.as_slice())
    }

    fn add(&mut self, need: &Need, frequencies: &Frequencies) {
        match need {
            Need::Run(run) => self.add_run(run, frequencies),
            Need::All(needs) | Need::Any(needs) => {
                for need in needs {
                    self.add(need, frequencies);
                }
            }
        }
    }

    fn add_run(&mut self, run: &Run, frequencies: &Frequencies) {
        let mut places = None;
        let mut seen: Vec<Gram> = Vec::new();
        for window in Window::of(run) {
            seen.clear();
            if !window.texts(&mut |text| seen.extend(grams(text))) {
                continue;
            }
            seen.sort_unstable();
            seen.dedup();
            let mut hits = 0;
            for gram in &seen {
                let count = frequencies.count(*gram);
                hits += count;
                // There are not so many bytes.
                self.grams
                    .push((*gram, u32::try_from(count).unwrap_or(u32::MAX)));
            }
            self.windows.push(OfWindow {
                hits,
                place: places
                    .get_or_insert_with(|| Places::of(run))
                    .print(window.at),
                end: u32::try_from(self.grams.len()).unwrap_or(u32::MAX),
                at: i32::try_from(window.at).unwrap_or(i32::MAX),
            });
        }
        self.runs.push(OfRun {
            print: print_of(run),
            end: self.windows.len(),
        });
    }

    /// Of each run, in the order of the need.
    pub(super) fn of_runs(&self) -> impl Iterator<Item = RunOffers<'_>> {
        let mut start = 0usize;
        self.runs.iter().map(move |run| {
            let before = start.checked_sub(1).and_then(|last| self.windows.get(last));
            let windows = self.windows.get(start..run.end).unwrap_or_default();
            start = run.end;
            RunOffers {
                print: run.print,
                windows,
                first: before.map_or(0, |window: &OfWindow| window.end),
                grams: &self.grams,
            }
        })
    }
}

impl<'o> RunOffers<'o> {
    pub(super) fn iter(self) -> impl Iterator<Item = Offer<'o>> {
        let mut first = self.first;
        self.windows.iter().map(move |window| {
            let grams = self.grams.get(first as usize..window.end as usize);
            first = window.end;
            Offer {
                at: window.at as isize,
                hits: window.hits,
                place: window.place,
                grams: grams.unwrap_or_default(),
            }
        })
    }
}
