//! A text whose bytes are known as sets, and what must stand around it; lists of such texts, of
//! which one is meant. What texts a pattern has is not known here.

use super::{ByteSet, Meaning};

/// So many texts may come of multiplying lists.
const MAX_PRODUCT: usize = 32;
/// So many pairs are tried for it.
const MAX_PAIRS: usize = 16 * 1024;
/// A product's texts are no longer than this. A single text may be.
const MAX_PRODUCT_SETS: usize = 64;
/// A [`lane`] is no longer than this.
const MAX_LANE: usize = 8;

/// Bytes of these sets follow one another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text {
    /// What the byte before must be; what is before the line counts as LF.
    pub(super) before: ByteSet,
    /// May be empty. None of them is an empty set.
    pub(super) sets: Vec<ByteSet>,
    /// What the byte behind must be; what is behind the line counts as LF, or as CR and LF.
    pub(super) after: ByteSet,
    /// Certain: bytes that it fits, if they are ASCII, are always what it was made of.
    pub(super) meaning: Meaning,
}

/// A direction from a border between two parts of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Text {
    /// Fits between any two bytes.
    pub(super) fn empty() -> Self {
        Self::of(Vec::new())
    }

    /// Exactly these sets, anything around them.
    pub(super) fn of(sets: Vec<ByteSet>) -> Self {
        Self {
            before: ByteSet::ALL,
            sets,
            after: ByteSet::ALL,
            meaning: Meaning::Certain,
        }
    }

    /// No byte, between these.
    pub(super) fn between(before: ByteSet, after: ByteSet) -> Self {
        Self {
            before,
            after,
            ..Self::empty()
        }
    }

    /// The same, where bytes that fit may be something else.
    pub(super) fn only_possible(self) -> Self {
        Self {
            meaning: Meaning::Possible,
            ..self
        }
    }

    /// Whether it fits everywhere.
    pub(super) fn is_blank(&self) -> bool {
        self.sets.is_empty() && self.before == ByteSet::ALL && self.after == ByteSet::ALL
    }

    /// Puts `next` behind it. `None`: nothing fits that.
    pub(super) fn append(&mut self, next: &Self) -> Option<()> {
        let border = self.sets.len();
        self.sets.extend_from_slice(&next.sets);
        match border
            .checked_sub(1)
            .and_then(|last| self.sets.get_mut(last))
        {
            Some(last) => *last = last.intersection(next.before),
            None => self.before = self.before.intersection(next.before),
        }
        let mut after = next.after;
        match self.sets.get_mut(border) {
            Some(first) => *first = first.intersection(self.after),
            None => after = after.intersection(self.after),
        }
        self.after = after;
        self.meaning = self.meaning.min(next.meaning);
        let around = border.saturating_sub(1)..self.sets.len().min(border + 1);
        let is_possible = !self.before.is_empty()
            && !self.after.is_empty()
            && !self.sets.get(around)?.iter().any(|set| set.is_empty());
        is_possible.then_some(())
    }

    /// At most `most` sets of it, those that are farthest to the `side`.
    pub(super) fn cut(&self, side: Side, most: usize) -> Self {
        let Some(excess) = self
            .sets
            .len()
            .checked_sub(most)
            .filter(|excess| *excess > 0)
        else {
            return self.clone();
        };
        let (kept, before, after) = match side {
            Side::Left => (self.sets.get(..most), self.before, ByteSet::ALL),
            Side::Right => (self.sets.get(excess..), ByteSet::ALL, self.after),
        };
        Self {
            before,
            sets: kept.unwrap_or_default().to_vec(),
            after,
            meaning: Meaning::Possible,
        }
    }
}

/// Each once, sorted; such that differ in one place are made one, as far as they are found.
pub(super) fn normal(mut texts: Vec<Text>) -> Vec<Text> {
    join_neighbours(&mut texts, joined);
    texts
}

/// Sorts, and makes one of neighbours that `joined` can join.
pub(super) fn join_neighbours<T: Ord>(items: &mut Vec<T>, joined: fn(&T, &T) -> Option<T>) {
    loop {
        let count = items.len();
        items.sort_unstable();
        items.dedup_by(|next, kept| {
            let both = joined(kept, next);
            let is_joined = both.is_some();
            if let Some(both) = both {
                *kept = both;
            }
            is_joined
        });
        // One pass makes new neighbours; a long list is rarely worth a second one.
        if items.len() == count || count > MAX_PRODUCT {
            return;
        }
    }
}

/// Beginnings (`Side::Left`) or ends of something, few enough to go on with.
pub(super) fn either(texts: Vec<Text>, ends: Side) -> Vec<Text> {
    if texts.iter().any(Text::is_blank) {
        return vec![Text::empty()];
    }
    let texts = normal(texts);
    if texts.len() <= MAX_PRODUCT {
        return texts;
    }
    // Beginnings lie to the right of where they begin.
    vec![lane(
        &texts,
        match ends {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        },
    )]
}

/// The text that fits what one of the two fits, if there is one.
fn joined(left: &Text, right: &Text) -> Option<Text> {
    if left.sets.len() != right.sets.len() || left.meaning != right.meaning {
        return None;
    }
    let around = [(left.before, right.before), (left.after, right.after)];
    let inner = left.sets.iter().copied().zip(right.sets.iter().copied());
    let mut different = around.into_iter().chain(inner).filter(|(a, b)| a != b);
    if different.nth(1).is_some() {
        return None;
    }
    // What is anything is not looked at again; but a byte that is not ASCII may belong to neither: of
    // bytes that are no UTF-8 neither `\b` nor `\B` holds.
    let opens = |(a, b): (ByteSet, ByteSet)| {
        a.union(b) == ByteSet::ALL && a != ByteSet::ALL && b != ByteSet::ALL
    };
    let meaning = if around.into_iter().any(opens) {
        Meaning::Possible
    } else {
        left.meaning
    };
    let mut sets = left.sets.clone();
    for (set, other) in sets.iter_mut().zip(&right.sets) {
        *set = set.union(*other);
    }
    Some(Text {
        before: left.before.union(right.before),
        sets,
        after: left.after.union(right.after),
        meaning,
    })
}

/// Each of `left` followed by each of `right`, normal. `None`: too many or too long.
pub(super) fn product(left: &[Text], right: &[Text]) -> Option<Vec<Text>> {
    if left.len().saturating_mul(right.len()) > MAX_PAIRS {
        return None;
    }
    let longest = |texts: &[Text]| texts.iter().map(|text| text.sets.len()).max().unwrap_or(0);
    let is_long = longest(left) + longest(right) > MAX_PRODUCT_SETS;
    if is_long && left.len().max(right.len()) > 1 {
        return None;
    }
    let mut texts = Vec::new();
    for head in left {
        for tail in right {
            let mut text = head.clone();
            if text.append(tail).is_some() {
                texts.push(text);
            }
        }
    }
    let texts = normal(texts);
    (texts.len() <= MAX_PRODUCT.max(left.len()).max(right.len())).then_some(texts)
}

/// One text for all of `texts`, which lie to the `side` of a border: byte for byte what any of them
/// may have there, as far as all of them reach.
pub(super) fn lane(texts: &[Text], side: Side) -> Text {
    let shortest = texts.iter().map(|text| text.sets.len()).min().unwrap_or(0);
    let known = shortest.min(MAX_LANE);
    if texts.is_empty() {
        return Text::empty();
    }
    // Counted from the border. `None` beyond what is known of a text.
    let set_of = |text: &Text, index: usize| match side {
        Side::Right => text
            .sets
            .get(index)
            .copied()
            .or((index == text.sets.len()).then_some(text.after)),
        Side::Left => match text.sets.len().checked_sub(index + 1) {
            Some(index) => text.sets.get(index).copied(),
            None => (index == text.sets.len()).then_some(text.before),
        },
    };
    let at = |index: usize| {
        texts.iter().fold(ByteSet::default(), |all, text| {
            all.union(set_of(text, index).unwrap_or(ByteSet::ALL))
        })
    };
    let mut sets: Vec<ByteSet> = (0..known).map(at).collect();
    let beyond = at(known);
    let across = texts.iter().fold(ByteSet::default(), |all, text| {
        all.union(match side {
            Side::Right => text.before,
            Side::Left => text.after,
        })
    });
    let (before, after) = match side {
        Side::Right => (across, beyond),
        Side::Left => {
            sets.reverse();
            (beyond, across)
        }
    };
    Text {
        before,
        sets,
        after,
        meaning: Meaning::Possible,
    }
}
