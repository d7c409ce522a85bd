//! Parts in a row: the border between two parts whose texts are known is no border for a search, so
//! runs go on over it. Of all runs that could be searched for, the ones that no other one makes
//! superfluous are offered.

use std::cmp::Reverse;
use std::ops::Range;

use super::part::Part;
use super::text::{Side, Text, lane, product};
use super::{Meaning, Need, Run, choice};

/// So many needs are offered for a row, of each kind.
const MAX_OFFERS: usize = 32;
/// So many rows of forks are tried for it.
const MAX_TRIES: usize = 128;
/// A window of the planner spans no more sets than this: forks that are farther apart from each
/// other than this are not joined.
const MAX_SPAN: usize = 8;
/// Beside a fork, so many sets of a text are taken along.
const MAX_BESIDE: usize = 16;
/// And where it has more texts than this, so many.
const MANY_TEXTS: usize = 32;
const FEW_BESIDE: usize = 4;
/// So many texts may be known only up to an open fork.
const MAX_CUT: usize = 32;
/// So many texts of a row are looked at one by one.
const MAX_LANES: usize = 1024;

/// Texts that are known, and forks between them.
#[derive(Debug)]
pub(super) struct Row {
    /// One more than `forks`, most of them empty.
    texts: Vec<Text>,
    /// Each goes on in several ways.
    forks: Vec<Part>,
    needs: Vec<Need>,
    is_impossible: bool,
}

/// What a sweep over forks has met.
struct Swept {
    /// All the way.
    whole: Vec<Text>,
    /// Where it is not known how it goes on.
    cut: Vec<Text>,
    /// Else it became too much, and `whole` goes only as far as it was not.
    is_complete: bool,
}

impl Row {
    pub(super) fn new() -> Self {
        Self {
            texts: vec![Text::empty()],
            forks: Vec::new(),
            needs: Vec::new(),
            is_impossible: false,
        }
    }

    /// Puts `part` behind all others. Assertions go into the texts beside them, which mostly leaves
    /// one way of several: `\b` behind a letter.
    pub(super) fn push(&mut self, mut part: Part) {
        if self.texts.last().is_some_and(Text::is_blank)
            && let Some(fork) = self
                .forks
                .pop_if(|fork| fork.is_assertion() || part.is_assertion())
        {
            match fork.then(&part) {
                Some(both) if both.exact.len() <= fork.exact.len().max(part.exact.len()) => {
                    self.texts.pop();
                    part = Part {
                        needs: [fork.needs, part.needs].concat(),
                        ..both
                    };
                }
                _ => self.forks.push(fork),
            }
        }
        self.is_impossible |= part.is_impossible();
        let Some(text) = self.texts.last_mut() else {
            return;
        };
        if let Some(single) = part.single() {
            self.is_impossible |= text.append(single).is_none();
            return;
        }
        if part.is_assertion()
            && let Some(fitting) = product(std::slice::from_ref(text), &part.exact)
            && let [_] | [] = fitting.as_slice()
        {
            match fitting.into_iter().next() {
                Some(single) => *text = single,
                None => self.is_impossible = true,
            }
            return;
        }
        self.needs.append(&mut part.needs);
        self.forks.push(part);
        self.texts.push(Text::empty());
    }

    /// All of it as one part, with all that it needs. A match of it means `meaning` at most.
    pub(super) fn finish(mut self, meaning: Meaning) -> Part {
        if self.is_impossible {
            return Part::impossible();
        }
        let mut needs = self.offers(meaning);
        needs.extend(std::mem::take(&mut self.needs).into_iter().take(MAX_OFFERS));
        let needs = without_superfluous(needs);
        if self.forks.is_empty() {
            return Part {
                needs,
                ..Part::exact(self.texts)
            };
        }
        let all = 0..self.forks.len();
        let begins = self.sweep(Side::Right, all.clone(), usize::MAX);
        let ends = self.sweep(Side::Left, all, usize::MAX);
        let part = if begins.is_complete && ends.is_complete {
            Part {
                exact: begins.whole,
                ..Part::open(begins.cut, ends.cut)
            }
        } else {
            Part::open(
                [begins.whole, begins.cut].concat(),
                [ends.whole, ends.cut].concat(),
            )
        };
        Part { needs, ..part }
    }

    /// From one end of `forks` towards the other, with at most `beside` sets of the texts beside
    /// them.
    fn sweep(&self, towards: Side, forks: Range<usize>, beside: usize) -> Swept {
        let text = |index: usize| self.texts.get(index).map_or_else(Text::empty, Text::clone);
        let left = text(forks.start).cut(Side::Right, beside);
        let right = text(forks.end).cut(Side::Left, beside);
        let last = forks.end.saturating_sub(1);
        let mut swept = Swept {
            whole: vec![match towards {
                Side::Right => left.clone(),
                Side::Left => right.clone(),
            }],
            cut: Vec::new(),
            is_complete: false,
        };
        let in_order: Vec<usize> = match towards {
            Side::Right => forks.clone().collect(),
            Side::Left => forks.clone().rev().collect(),
        };
        for index in in_order {
            let Some(fork) = self.forks.get(index) else {
                continue;
            };
            let next = match towards {
                Side::Right if index == last => right.clone(),
                Side::Right => text(index + 1),
                Side::Left if index == forks.start => left.clone(),
                Side::Left => text(index),
            };
            if swept.step(towards, fork, &next).is_none() {
                return swept;
            }
        }
        swept.is_complete = true;
        swept
    }

    /// What can be searched for, apart from what is inside of forks.
    fn offers(&self, meaning: Meaning) -> Vec<Need> {
        let all = 0..self.forks.len();
        if all.is_empty() {
            let only = self.texts.first().map(|text| choice::only(text, meaning));
            return only.flatten().into_iter().collect();
        }
        let mut offers = Vec::new();
        self.offer(&all, usize::MAX, meaning, &mut offers);
        let is_whole_offered = !offers.is_empty();
        let mut tries = 0;
        for width in 1..=all.len().min(MAX_SPAN) {
            for start in 0..=all.len() - width {
                let forks = start..start + width;
                if offers.len() > MAX_OFFERS || tries > MAX_TRIES {
                    break;
                }
                if let Some(beside) = self.beside(&forks)
                    && !(is_whole_offered && forks == all)
                {
                    tries += 1;
                    self.offer(&forks, beside, Meaning::Possible, &mut offers);
                }
            }
        }
        offers.splice(..0, self.lanes());
        offers
    }

    /// How much of the texts beside these forks is taken along. `None`: they are not joined.
    fn beside(&self, forks: &Range<usize>) -> Option<usize> {
        let most = self.forks.get(forks.clone())?.iter();
        let most = most.map(|fork| fork.exact.len()).max()?;
        let between = self.texts.get(forks.start + 1..forks.end)?.iter();
        let between: usize = between.map(|text| text.sets.len()).sum();
        if most <= MANY_TEXTS && between <= MAX_SPAN {
            Some(MAX_BESIDE)
        } else {
            (forks.len() == 1).then_some(FEW_BESIDE)
        }
    }

    /// Adds what `forks` and the texts beside them need.
    fn offer(&self, forks: &Range<usize>, beside: usize, most: Meaning, offers: &mut Vec<Need>) {
        let parts = self.forks.get(forks.clone()).unwrap_or_default();
        for towards in [Side::Right, Side::Left] {
            if towards == Side::Left && parts.iter().all(Part::is_exact) {
                return;
            }
            let swept = self.sweep(towards, forks.clone(), beside);
            // Where it never gets to the end, fewer forks say as much.
            if !swept.is_complete || (swept.whole.is_empty() && forks.len() > 1) {
                continue;
            }
            // Cut texts end where it is not known how they go on.
            let known = match towards {
                Side::Right => Side::Left,
                Side::Left => Side::Right,
            };
            let offer = choice::one_of(&swept.whole, most, &swept.cut, known);
            offers.extend(offer.filter(|offer| !offers.contains(offer)));
        }
    }

    /// For every text one run: it, and what the forks beside it have in common. The longest ones.
    fn lanes(&self) -> Vec<Need> {
        let mut lanes: Vec<Run> = Vec::new();
        for index in 0..self.texts.len().min(MAX_LANES) {
            match self.lane(index) {
                None => return vec![Need::impossible()],
                Some(text) => {
                    if let Some(Need::Run(run)) = choice::only(&text, Meaning::Possible) {
                        lanes.push(run);
                    }
                }
            }
        }
        lanes.sort_by_key(|run| Reverse(run.sets.len()));
        lanes.truncate(MAX_OFFERS);
        lanes.into_iter().map(Need::Run).collect()
    }

    /// The text with this index and what is beside it. `None`: they contradict each other.
    fn lane(&self, index: usize) -> Option<Text> {
        let beside = |index: usize, side: Side| {
            let nearest = |text: &Text| text.cut(side, MAX_BESIDE);
            self.texts.get(index).map_or_else(Text::empty, nearest)
        };
        let mut whole = Text::empty();
        if let Some(before) = index.checked_sub(1)
            && let Some(fork) = self.forks.get(before)
        {
            let joined = product(&[beside(before, Side::Right)], &fork.exact);
            let joined = joined.unwrap_or_else(|| fork.exact.clone());
            whole = lane(&[joined.as_slice(), &fork.ends].concat(), Side::Left);
        }
        whole.append(self.texts.get(index)?)?;
        if let Some(fork) = self.forks.get(index) {
            let joined = product(&fork.exact, &[beside(index + 1, Side::Left)]);
            let joined = joined.unwrap_or_else(|| fork.exact.clone());
            whole.append(&lane(
                &[joined.as_slice(), &fork.begins].concat(),
                Side::Right,
            ))?;
        }
        Some(whole)
    }
}

/// Without runs that are part of another run: the planner sees them there.
fn without_superfluous(mut offers: Vec<Need>) -> Vec<Need> {
    // Of equal ones the certain one is first.
    offers.sort_by_key(|need| match need {
        Need::Run(run) => Reverse((run.sets.len(), run.meaning)),
        Need::All(_) | Need::Any(_) => Reverse((usize::MAX, Meaning::Possible)),
    });
    let mut kept: Vec<Need> = Vec::new();
    for offer in offers {
        // A single class is the worst of all choices.
        if let Need::Run(run) = &offer
            && let [set] = run.sets.as_slice()
            && set.len() > 1
            && !kept.is_empty()
        {
            continue;
        }
        let is_held = |other: &Need| match (other, &offer) {
            (Need::Run(other), Need::Run(run)) => {
                choice::holds(&other.sets, &run.sets) && other.meaning >= run.meaning
            }
            _ => *other == offer,
        };
        if !kept.iter().any(is_held) {
            kept.push(offer);
        }
    }
    kept
}

impl Swept {
    /// Goes on over `fork` and the text behind it. `None`: that is too much.
    fn step(&mut self, towards: Side, fork: &Part, next: &Text) -> Option<()> {
        let join = |texts: &[Text], more: &[Text]| match towards {
            Side::Right => product(texts, more),
            Side::Left => product(more, texts),
        };
        let open = match towards {
            Side::Right => &fork.begins,
            Side::Left => &fork.ends,
        };
        let cut = join(&self.whole, open)?;
        let whole = join(&self.whole, &fork.exact)?;
        let whole = join(&whole, std::slice::from_ref(next))?;
        if cut.len() + self.cut.len() > MAX_CUT {
            return None;
        }
        self.cut.extend(cut);
        self.whole = whole;
        Some(())
    }
}
