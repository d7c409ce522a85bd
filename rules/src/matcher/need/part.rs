//! What is known of the text that a part of a pattern matches: all of it, or how it begins and
//! ends. The algebra of such parts; who makes them is not known here.

use super::text::{Side, Text, either, normal, product};
use super::{Meaning, Need, choice};

/// So many texts may a part match exactly.
const MAX_EXACT: usize = 8192;
/// And so many sets may they have together.
const MAX_EXACT_SETS: usize = 128 * 1024;
/// A repetition is written out up to so many copies.
const MAX_COPIES: u32 = 64;
/// A part that is repeated a varying number of times may have so many texts.
const MAX_VARIANTS: usize = 8;

/// What is known of a part of a pattern: what it matches is one of `exact`, or begins with one of
/// `begins` and ends with one of `ends`. All three empty: it matches nothing.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// All that is matched, normal.
    pub(super) exact: Vec<Text>,
    /// Begins what is matched, where it is none of `exact`.
    pub(super) begins: Vec<Text>,
    /// Ends it. Empty when `begins` is.
    pub(super) ends: Vec<Text>,
    /// What every match needs, beyond what the texts say.
    pub(super) needs: Vec<Need>,
}

impl Part {
    /// Matches exactly one of `texts`.
    pub(super) fn exact(texts: Vec<Text>) -> Self {
        Self {
            exact: normal(texts),
            begins: Vec::new(),
            ends: Vec::new(),
            needs: Vec::new(),
        }
    }

    /// Matches the empty text.
    pub(super) fn empty() -> Self {
        Self::exact(vec![Text::empty()])
    }

    /// Matches nothing.
    pub(super) fn impossible() -> Self {
        Self::exact(Vec::new())
    }

    /// Not known but for how it begins and ends.
    pub(super) fn open(begins: Vec<Text>, ends: Vec<Text>) -> Self {
        // What cannot begin or cannot end is not there at all.
        if begins.is_empty() || ends.is_empty() {
            return Self::impossible();
        }
        Self {
            exact: Vec::new(),
            begins: either(begins, Side::Left),
            ends: either(ends, Side::Right),
            needs: Vec::new(),
        }
    }

    /// The text that it matches, where that is one.
    pub(super) fn single(&self) -> Option<&Text> {
        match self.exact.as_slice() {
            [text] if self.is_exact() => Some(text),
            _ => None,
        }
    }

    /// Whether `exact` is all that it matches.
    pub(super) fn is_exact(&self) -> bool {
        self.begins.is_empty()
    }

    pub(super) fn is_impossible(&self) -> bool {
        self.exact.is_empty() && self.is_exact()
    }

    /// Whether it only says what must stand around it.
    pub(super) fn is_assertion(&self) -> bool {
        self.is_exact() && self.exact.iter().all(|text| text.sets.is_empty())
    }

    /// What it needs, where it is a branch that may mean `meaning`.
    pub(super) fn need(&self, meaning: Meaning) -> Need {
        if self.is_impossible() {
            return Need::impossible();
        }
        let by_text = self.single().and_then(|text| choice::only(text, meaning));
        Need::all(self.needs.iter().cloned().chain(by_text))
    }

    /// This part and then `next`, without their needs. `None`: too many texts.
    pub(super) fn then(&self, next: &Self) -> Option<Self> {
        if self.is_impossible() || next.is_impossible() {
            return Some(Self::impossible());
        }
        let begins = product(&self.exact, &next.begins)?;
        let ends = product(&self.ends, &next.exact)?;
        Some(Self {
            exact: product(&self.exact, &next.exact)?,
            ..Self::open(
                [begins, self.begins.clone()].concat(),
                [ends, next.ends.clone()].concat(),
            )
        })
    }

    /// One of `branches`, whose `needs` are all that is known of them.
    pub(super) fn one_of(branches: &[Self], meaning: Meaning) -> Self {
        let texts = |of: fn(&Self) -> &Vec<Text>| -> Vec<Text> {
            branches.iter().flat_map(of).cloned().collect()
        };
        let all = |texts: &[Text]| texts.iter().map(|text| text.sets.len()).sum::<usize>();
        let is_list = branches.iter().all(|branch| branch.single().is_some());
        let exact = texts(|branch| &branch.exact);
        let (begins, ends) = (texts(|branch| &branch.begins), texts(|branch| &branch.ends));
        let is_small = exact.len() <= MAX_EXACT && all(&exact) <= MAX_EXACT_SETS;
        let is_workable = begins.is_empty() || exact.len() <= MAX_VARIANTS;
        if is_small && is_list {
            return Self::exact(exact);
        }
        let needs = vec![Need::any(
            branches.iter().map(|branch| branch.need(meaning)),
        )];
        let part = Self {
            exact: normal(exact),
            ..Self::open(begins, ends)
        };
        let part = if is_small && is_workable {
            part
        } else {
            part.loosened()
        };
        Self { needs, ..part }
    }

    /// `min` to `max` copies of it, or more without a `max`.
    pub(super) fn repeated(mut self, min: u32, max: Option<u32>) -> Self {
        // A single text is in the texts that are made of it.
        let needs = match self.single() {
            None if min > 0 => std::mem::take(&mut self.needs),
            _ => Vec::new(),
        };
        let part = self.copied(min, max);
        Self { needs, ..part }
    }

    fn copied(self, min: u32, max: Option<u32>) -> Self {
        let mut copies = Self::empty();
        for copy in 0..min {
            match copies.then(&self).filter(|_| copy < MAX_COPIES) {
                Some(more) => copies = more,
                None => return copies.loosened(),
            }
        }
        if max == Some(min) {
            return copies;
        }
        let some = max.and_then(|max| copies.and_up_to(max.saturating_sub(min), &self));
        match some {
            Some(part) => part,
            None if min == 0 => Self {
                exact: copies.exact,
                ..self.loosened()
            },
            None => copies.loosened(),
        }
    }

    /// It, and it with up to `most` of `other` behind. `None`: too many texts.
    fn and_up_to(&self, most: u32, other: &Self) -> Option<Self> {
        let mut all = self.clone();
        let mut last = self.clone();
        for _ in 0..most {
            last = last.then(other)?;
            let begins = [all.begins, last.begins.clone()].concat();
            let ends = [all.ends, last.ends.clone()].concat();
            all = Self {
                exact: normal([all.exact, last.exact.clone()].concat()),
                ..Self::open(begins, ends)
            };
            if all.exact.len() > MAX_VARIANTS {
                return None;
            }
        }
        Some(all)
    }

    /// The same, with something unknown in the middle.
    fn loosened(self) -> Self {
        Self::open(
            [self.begins, self.exact.clone()].concat(),
            [self.ends, self.exact].concat(),
        )
    }
}
