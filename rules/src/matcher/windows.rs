//! Which seven bytes are searched for, for each rule: the rarest window that it needs, by the
//! 4-grams of a sample of logs.
//!
//! A window is seven bytes long because then, wherever it lies, one of its four 4-grams begins at a
//! multiple of four, and only those are looked at. Sets of a run are spelt out, folded: a window of
//! it may be some dozen texts. A run of six sets borrows a byte before or behind it, whatever that
//! is. Rules that share wording share grams: one that is looked for anyway costs little more, as long
//! as what stands about it tells whose it is (`sharing`).

mod sharing;

use std::collections::{BTreeSet, HashMap};

use super::frequency::Frequencies;
use super::kernel::sieve::Gram;
use super::need::{ByteSet, Need, Run};
use sharing::Sharing;

/// Bytes of a window: as many as make sure that a gram in it begins at a multiple of the stride.
pub(super) const WINDOW: usize = STRIDE + GRAM - 1;
/// Grams are looked at where they begin at a multiple of this.
pub(super) const STRIDE: usize = 4;
/// Bytes of a gram.
pub(super) const GRAM: usize = 4;

/// So many texts may come of spelling out a window.
const MOST_TEXTS: usize = 32;
/// And of one with a borrowed byte: 128 folded bytes, for so many texts.
const MOST_BORROWING: usize = 2;

/// A folded text that is looked for.
pub(super) type Text = [u8; WINDOW];

/// What a new gram costs, as if it began so often in [`Frequencies::OF_BYTES`] of text: it fills
/// the tables. Found by trying: from 20 to 60 it makes little difference.
const NEW_GRAM: u64 = 60;

/// So many windows with the same gram are as bad as one more place where it begins: the bytes about
/// it tell them apart, but not for nothing.
const CROWD: u64 = 64;

/// A window of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window<'n> {
    pub(super) run: &'n Run,
    /// Index of its first set; -1 for a borrowed byte before the run.
    pub(super) at: isize,
}

/// What is looked for on behalf of one rule: one of these windows is in every line that it accepts.
#[derive(Clone, Debug)]
pub(super) struct Choice<'n> {
    pub(super) windows: Vec<Window<'n>>,
    /// How often a gram of them begins in [`Frequencies::OF_BYTES`] of text.
    pub(super) hits: u64,
    /// Those and what else they cost, in the same measure.
    pub(super) cost: u64,
}

impl<'n> Window<'n> {
    /// Calls `each` with every text that the window may be; whether it has few enough.
    pub(super) fn texts(&self, each: &mut dyn FnMut(Text)) -> bool {
        let mut sets = [ByteSet::ALL; WINDOW];
        let (mut count, mut borrowed) = (1usize, 0);
        for (offset, set) in (self.at..).zip(&mut sets) {
            let own = usize::try_from(offset).ok();
            match own.and_then(|index| self.run.sets.get(index)) {
                Some(own) => {
                    *set = own.folded();
                    count = count.saturating_mul(set.len());
                }
                None => borrowed += 1,
            }
            if count > MOST_TEXTS {
                return false;
            }
        }
        if borrowed > 1 || (borrowed == 1 && count > MOST_BORROWING) {
            return false;
        }
        let mut text = [0; WINDOW];
        for (byte, set) in text.iter_mut().zip(sets) {
            *byte = set.iter().next().unwrap_or_default();
        }
        if count == 1 && borrowed == 0 {
            each(text);
        } else {
            spell(&sets.map(ByteSet::folded), 0, &mut text, each);
        }
        true
    }

    /// All windows of a run: its own, or where it has none those with a borrowed byte.
    fn of(run: &'n Run) -> impl Iterator<Item = Self> {
        let length = run.sets.len().cast_signed();
        let last = length - WINDOW.cast_signed();
        let (from, to) = if last == -1 { (-1, 0) } else { (0, last) };
        (from..=to).map(move |at| Self { run, at })
    }
}

fn spell(sets: &[ByteSet; WINDOW], from: usize, text: &mut Text, each: &mut dyn FnMut(Text)) {
    let Some(set) = sets.get(from) else {
        each(*text);
        return;
    };
    for byte in set.iter() {
        if let Some(place) = text.get_mut(from) {
            *place = byte;
        }
        spell(sets, from + 1, text, each);
    }
}

/// The grams of a text, by the place where they begin.
pub(super) fn grams(text: Text) -> [Gram; STRIDE] {
    std::array::from_fn(|at| {
        let bytes = text.get(at..).and_then(|bytes| bytes.first_chunk());
        Gram::of(bytes.copied().unwrap_or_default())
    })
}

/// Chooses windows for many rules, so that few and rare grams are looked for in all.
pub(super) struct Chooser<'f> {
    frequencies: &'f Frequencies,
    /// The grams that are looked for, each with the number of windows that ask for it.
    taken: HashMap<Gram, u32>,
    sharing: Sharing,
    /// Memory of [`Chooser::cost`].
    seen: Vec<Gram>,
}

impl<'f> Chooser<'f> {
    /// By what is rare there.
    pub(super) fn new(frequencies: &'f Frequencies) -> Self {
        Self {
            frequencies,
            taken: HashMap::new(),
            sharing: Sharing::default(),
            seen: Vec::new(),
        }
    }

    /// `need` is one of those that windows are chosen for.
    pub(super) fn know(&mut self, need: &Need) {
        self.sharing.know(need);
    }

    /// The cheapest windows of `need`, `None` where it has none; from now on they are looked for.
    pub(super) fn take_cheapest<'n>(&mut self, need: &'n Need) -> Option<Choice<'n>> {
        let choice = self.cheapest(need)?;
        self.take(&choice);
        Some(choice)
    }

    /// The cheapest windows of `need`, `None` where it has none.
    pub(super) fn cheapest<'n>(&mut self, need: &'n Need) -> Option<Choice<'n>> {
        match need {
            Need::Run(run) => self.cheapest_of(run),
            Need::All(needs) => needs
                .iter()
                .filter_map(|need| self.cheapest(need))
                .min_by_key(|choice| (choice.cost, choice.windows.len())),
            Need::Any(needs) => {
                let mut all = Choice {
                    windows: Vec::new(),
                    hits: 0,
                    cost: 0,
                };
                let mut seen = BTreeSet::new();
                for need in needs {
                    let choice = self.cheapest(need)?;
                    let before = seen.len();
                    seen.extend(choice.windows.iter().map(|window| (window.run, window.at)));
                    if seen.len() > before {
                        all.cost += choice.cost;
                        all.hits += choice.hits;
                        all.windows.extend(choice.windows);
                    }
                }
                Some(all)
            }
        }
    }

    fn cheapest_of<'n>(&mut self, run: &'n Run) -> Option<Choice<'n>> {
        let mut best: Option<Choice<'n>> = None;
        for window in Window::of(run) {
            let least = best.as_ref().map_or(u64::MAX, |best| best.cost);
            if let Some((cost, hits)) = self.cost(&window)
                && cost < least
            {
                let cost = cost + self.sharing.cost_of_place(&window);
                if cost < least {
                    best = Some(Choice {
                        windows: vec![window],
                        hits,
                        cost,
                    });
                }
            }
        }
        let mut best = best?;
        best.cost += self.sharing.cost_of_run(run);
        Some(best)
    }

    /// What its grams cost, and how often they begin; `None` when it would be too many texts.
    fn cost(&mut self, window: &Window<'_>) -> Option<(u64, u64)> {
        let mut seen = std::mem::take(&mut self.seen);
        seen.clear();
        let is_small = window.texts(&mut |text| seen.extend(grams(text)));
        seen.sort_unstable();
        seen.dedup();
        let (mut cost, mut hits) = (0, 0);
        for gram in &seen {
            let count = self.frequencies.count(*gram);
            hits += count;
            cost += match self.taken.get(gram) {
                // Its hits are paid for, but each of them wakes one more.
                Some(others) => count / 4 + u64::from(*others) / CROWD,
                None => NEW_GRAM + count,
            };
        }
        self.seen = seen;
        is_small.then_some((cost, hits))
    }

    /// Forgets what was taken, but for the grams that several windows asked for: they count as taken
    /// from now on.
    pub(super) fn begin_anew(&mut self) {
        self.taken.retain(|_, windows| *windows > 1);
        self.taken.values_mut().for_each(|windows| *windows = 1);
        self.sharing.begin_anew();
    }

    fn take(&mut self, choice: &Choice<'_>) {
        for window in &choice.windows {
            self.sharing.take(window);
            window.texts(&mut |text| {
                for gram in grams(text) {
                    *self.taken.entry(gram).or_default() += 1;
                }
            });
        }
    }
}
