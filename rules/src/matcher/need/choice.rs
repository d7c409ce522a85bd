//! Texts of which one is needed → runs for the planner: without what tells nothing at their ends,
//! without those that another one makes superfluous.

use std::cmp::Reverse;

use super::text::{Side, Text, join_neighbours, lane};
use super::{ByteSet, Meaning, Need, Run};

/// A shorter run has no window of its own: where one is, few runs are better than long ones.
const WINDOW: usize = 7;
/// Above, comparing all runs with all others costs more than it saves.
const FEW: usize = 32;

/// A run in the making.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Draft {
    sets: Vec<ByteSet>,
    /// From and to where the sets' bytes belong to the line.
    inside: (usize, usize),
    meaning: Meaning,
}

/// One of `whole` is needed, each of which means at most `meaning`, or one of `parts`, which lie
/// towards `side` of what they are parts of. `None`: that would say nothing.
pub(super) fn one_of(whole: &[Text], meaning: Meaning, parts: &[Text], side: Side) -> Option<Need> {
    let mut drafts = drafts(whole, meaning)?;
    let mut cut = self::drafts(parts, Meaning::Possible)?;
    let has_windows = |draft: &Draft| draft.sets.len() >= WINDOW;
    if cut.len() > 1 && !(drafts.iter().all(has_windows) && cut.iter().all(has_windows)) {
        cut = self::drafts(&[lane(parts, side)], Meaning::Possible).unwrap_or(cut);
    }
    drafts.append(&mut cut);
    if drafts.len() <= FEW {
        drafts = without_superfluous(drafts);
    }
    join_neighbours(&mut drafts, joined);
    Some(Need::any(
        drafts.into_iter().map(|draft| Need::Run(draft.finish())),
    ))
}

/// `text` is needed, and means at most `meaning`. `None`: that would say nothing.
pub(super) fn only(text: &Text, meaning: Meaning) -> Option<Need> {
    Some(Need::Run(Draft::of(text, meaning)?.finish()))
}

fn drafts(texts: &[Text], meaning: Meaning) -> Option<Vec<Draft>> {
    texts.iter().map(|text| Draft::of(text, meaning)).collect()
}

/// Whether looking at a byte is worth it, to see that it is in `set`.
fn tells(set: ByteSet) -> bool {
    set.len() <= 200 && set.ascii_len() <= 100
}

impl Draft {
    /// Of the sets of `text` and those around it, as far as they tell something.
    fn of(text: &Text, most: Meaning) -> Option<Self> {
        let mut sets = Vec::with_capacity(text.sets.len() + 2);
        sets.extend(Some(text.before).filter(|set| *set != ByteSet::ALL));
        let first = sets.len();
        sets.extend_from_slice(&text.sets);
        let end = sets.len();
        sets.extend(Some(text.after).filter(|set| *set != ByteSet::ALL));
        let from = sets.iter().position(|set| tells(*set))?;
        let to = sets.iter().rposition(|set| tells(*set))? + 1;
        // The CR of a terminator is no byte of the line.
        let may_end_outside = text.sets.last().is_none_or(|last| last.contains(b'\r'));
        let meaning = if from > 0 || to < sets.len() || may_end_outside {
            Meaning::Possible
        } else {
            text.meaning.min(most)
        };
        sets.truncate(to);
        sets.drain(..from);
        let inside = (first.saturating_sub(from), end.min(to).saturating_sub(from));
        (inside.0 < inside.1).then_some(Self {
            sets,
            inside,
            meaning,
        })
    }

    fn finish(self) -> Run {
        let (from, to) = self.inside;
        let is_never_cr = |index: &usize| {
            self.sets
                .get(*index)
                .is_some_and(|set| !set.contains(b'\r'))
        };
        Run {
            // Only the last one may be the terminator's.
            inside: (from..to).find(is_never_cr).unwrap_or(from),
            sets: self.sets,
            meaning: self.meaning,
        }
    }
}

/// Whether bytes of the sets `part` stand wherever bytes of the sets `whole` do.
pub(super) fn holds(whole: &[ByteSet], part: &[ByteSet]) -> bool {
    whole.windows(part.len()).any(|window| {
        let mut pairs = window.iter().zip(part);
        pairs.all(|(inner, outer)| inner.is_within(*outer))
    })
}

/// A run in which another one always stands need not be looked for.
fn without_superfluous(mut drafts: Vec<Draft>) -> Vec<Draft> {
    // Of equal ones the certain one is first.
    drafts.sort_by_key(|draft| (draft.sets.len(), Reverse(draft.meaning)));
    let mut kept: Vec<Draft> = Vec::new();
    for draft in drafts {
        if !kept.iter().any(|other| holds(&draft.sets, &other.sets)) {
            kept.push(draft);
        }
    }
    kept
}

/// The run that stands where one of the two does, if there is one.
fn joined(left: &Draft, right: &Draft) -> Option<Draft> {
    if left.sets.len() != right.sets.len() || left.meaning != right.meaning {
        return None;
    }
    let pairs = || left.sets.iter().zip(&right.sets);
    let inside = (
        left.inside.0.max(right.inside.0),
        left.inside.1.min(right.inside.1),
    );
    (inside.0 < inside.1 && pairs().filter(|(a, b)| a != b).count() <= 1).then(|| Draft {
        sets: pairs().map(|(a, b)| a.union(*b)).collect(),
        inside,
        meaning: left.meaning,
    })
}
