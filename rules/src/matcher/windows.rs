//! Which seven bytes are searched for, for each rule: the rarest window that it needs, by the
//! 4-grams of a sample of logs.
//!
//! A window is seven bytes long because then, wherever it lies, one of its four 4-grams begins at a
//! multiple of four, and only those are looked at. Sets of a run are spelt out, folded: a window of
//! it may be some dozen texts. A run of six sets borrows a byte before or behind it, whatever that
//! is. Rules that share wording share grams: one that is looked for anyway costs little more, as long
//! as what stands about it tells whose it is (`sharing`).

mod offers;
mod sharing;

use std::collections::BTreeSet;

use super::frequency::Counts;
use super::kernel::sieve::Gram;
use super::need::{ByteSet, Need, Run};
use offers::RunOffers;
use sharing::Sharing;

pub(super) use offers::Offers;

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

/// What a new gram costs, as if it began so often in [`super::frequency::Frequencies::OF_BYTES`] of text: it fills
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
    /// How often a gram of them begins in [`super::frequency::Frequencies::OF_BYTES`] of text.
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
#[derive(Default)]
pub(super) struct Chooser {
    /// The grams that are looked for, each with the number of windows that ask for it.
    taken: Counts,
    sharing: Sharing,
}

impl Chooser {
    /// Of which no window is taken yet.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// `need` is one of those that windows are chosen for.
    pub(super) fn know(&mut self, need: &Need) {
        self.sharing.know(need);
    }

    /// The cheapest windows of `need`, `None` where it has none; from now on they are looked for.
    pub(super) fn take_cheapest<'n>(
        &mut self,
        need: &'n Need,
        offers: &Offers,
    ) -> Option<Choice<'n>> {
        let choice = self.cheapest(need, offers)?;
        self.take(&choice);
        Some(choice)
    }

    /// The cheapest windows of `need`, `None` where it has none. `offers` are its own.
    pub(super) fn cheapest<'n>(&self, need: &'n Need, offers: &Offers) -> Option<Choice<'n>> {
        self.cheapest_of(need, &mut offers.of_runs())
    }

    /// `offers`: of the runs of `need`, and of those behind it.
    fn cheapest_of<'n, 'o>(
        &self,
        need: &'n Need,
        offers: &mut impl Iterator<Item = RunOffers<'o>>,
    ) -> Option<Choice<'n>> {
        match need {
            Need::Run(run) => self.cheapest_of_run(run, &offers.next()?),
            Need::All(needs) => {
                let mut best: Option<Choice<'n>> = None;
                for need in needs {
                    let rank = |choice: &Choice<'_>| (choice.cost, choice.windows.len());
                    if let Some(choice) = self.cheapest_of(need, offers)
                        && best.as_ref().is_none_or(|best| rank(&choice) < rank(best))
                    {
                        best = Some(choice);
                    }
                }
                best
            }
            Need::Any(needs) => {
                let mut all = Some(Choice {
                    windows: Vec::new(),
                    hits: 0,
                    cost: 0,
                });
                let mut seen = BTreeSet::new();
                for need in needs {
                    // Its offers are to be passed over in any case.
                    let choice = self.cheapest_of(need, offers);
                    let (Some(so_far), Some(choice)) = (&mut all, choice) else {
                        all = None;
                        continue;
                    };
                    let before = seen.len();
                    seen.extend(choice.windows.iter().map(|window| (window.run, window.at)));
                    if seen.len() > before {
                        so_far.cost += choice.cost;
                        so_far.hits += choice.hits;
                        so_far.windows.extend(choice.windows);
                    }
                }
                all
            }
        }
    }

    fn cheapest_of_run<'n>(&self, run: &'n Run, offers: &RunOffers<'_>) -> Option<Choice<'n>> {
        let mut best: Option<Choice<'n>> = None;
        for offer in offers.iter() {
            let least = best.as_ref().map_or(u64::MAX, |best| best.cost);
            // Whatever is taken, a quarter of each gram's count remains.
            if offer.hits / 4 >= least.saturating_add(offer.grams.len() as u64) {
                continue;
            }
            let cost = self.cost(offer.grams);
            let window = Window { run, at: offer.at };
            if cost < least {
                let cost = cost + self.sharing.cost_of_place(offer.place);
                if cost < least {
                    best = Some(Choice {
                        windows: vec![window],
                        hits: offer.hits,
                        cost,
                    });
                }
            }
        }
        let mut best = best?;
        best.cost += self.sharing.cost_of_run(offers.print);
        Some(best)
    }

    fn cost(&self, grams: &[(Gram, u32)]) -> u64 {
        let cost = |(gram, count): &(Gram, u32)| match (self.taken.of(*gram), u64::from(*count)) {
            (0, count) => NEW_GRAM + count,
            // Its hits are paid for, but each of them wakes one more.
            (others, count) => count / 4 + u64::from(others) / CROWD,
        };
        grams.iter().map(cost).sum()
    }

    /// Forgets what was taken, but for the grams that several windows asked for: they count as taken
    /// from now on.
    pub(super) fn begin_anew(&mut self) {
        let mut taken = Counts::default();
        for (gram, _) in self.taken.iter().filter(|(_, windows)| *windows > 1) {
            taken.add(gram, 1);
        }
        self.taken = taken;
        self.sharing.begin_anew();
    }

    fn take(&mut self, choice: &Choice<'_>) {
        for window in &choice.windows {
            self.sharing.take(window);
            window.texts(&mut |text| {
                for gram in grams(text) {
                    self.taken.add(gram, 1);
                }
            });
        }
    }
}
