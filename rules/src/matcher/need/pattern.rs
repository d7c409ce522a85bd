//! A pattern → what its lines need. The pattern's tree is walked once, by recursion: the parser
//! bounds the depth. Lines are bytes without LF, so what must stand before `^` is a LF.

use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

use super::class::{of_class, of_look, of_outermost};
use super::part::Part;
use super::row::Row;
use super::text::{Side, Text};
use super::{ByteSet, Meaning, Need};

/// Whether something of the pattern stands beyond an end of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    /// Nothing does: `[0-9]{4,}` means no more there than `[0-9]{4}`.
    Free,
    /// Something may.
    Bound,
}

/// A part's two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Edges {
    left: Edge,
    right: Edge,
}

impl Edges {
    const FREE: Self = Self {
        left: Edge::Free,
        right: Edge::Free,
    };
    const BOUND: Self = Self {
        left: Edge::Bound,
        right: Edge::Bound,
    };

    /// What a match of such a part may mean at most.
    fn meaning(self) -> Meaning {
        if self == Self::FREE {
            Meaning::Certain
        } else {
            Meaning::Possible
        }
    }
}

/// What every line needs that `hir` matches in. No class in it holds LF.
pub(in crate::matcher) fn of_pattern(hir: &Hir) -> Need {
    let part = row(hir, Edges::FREE);
    if part.is_impossible() {
        return Need::impossible();
    }
    Need::all(part.needs)
}

/// The part, with all that it needs.
fn row(hir: &Hir, edges: Edges) -> Part {
    let mut row = Row::new();
    push(&mut row, hir, edges);
    row.finish(edges.meaning())
}

/// Groups and concatenations are nothing by themselves: what is in them stands in the same row.
fn push(row: &mut Row, hir: &Hir, edges: Edges) {
    match hir.kind() {
        HirKind::Capture(capture) => push(row, &capture.sub, edges),
        HirKind::Concat(subs) => {
            for (index, sub) in subs.iter().enumerate() {
                let mut edges = edges;
                if index > 0 {
                    edges.left = Edge::Bound;
                }
                if index + 1 < subs.len() {
                    edges.right = Edge::Bound;
                }
                push(row, sub, edges);
            }
        }
        HirKind::Repetition(repetition) if copies(repetition, edges) == (1, Some(1)) => {
            push(row, &repetition.sub, edges);
        }
        _ => row.push(part(hir, edges)),
    }
}

/// How many copies count.
fn copies(repetition: &Repetition, edges: Edges) -> (u32, Option<u32>) {
    if edges == Edges::BOUND {
        (repetition.min, repetition.max)
    } else {
        (repetition.min, Some(repetition.min))
    }
}

fn part(hir: &Hir, edges: Edges) -> Part {
    match hir.kind() {
        HirKind::Empty => Part::empty(),
        HirKind::Look(look) => of_look(*look),
        HirKind::Literal(literal) => {
            let sets = literal.0.iter().map(|byte| ByteSet::of(*byte));
            Part::exact(vec![Text::of(sets.collect())])
        }
        HirKind::Class(class) => outermost(class, 1, edges).unwrap_or_else(|| of_class(class)),
        HirKind::Repetition(repetition) => {
            let (min, max) = copies(repetition, edges);
            if let HirKind::Class(class) = repetition.sub.kind()
                && let Some(part) = outermost(class, min, edges)
            {
                return part;
            }
            if max == Some(0) {
                return Part::empty();
            }
            row(&repetition.sub, Edges::BOUND).repeated(min, max)
        }
        HirKind::Alternation(subs) => {
            let branches = subs.iter().map(|sub| match sub.kind() {
                HirKind::Literal(_) => part(sub, edges),
                _ => row(sub, edges),
            });
            Part::one_of(&branches.collect::<Vec<_>>(), edges.meaning())
        }
        HirKind::Capture(_) | HirKind::Concat(_) => row(hir, edges),
    }
}

/// So many members of a class at a free end.
fn outermost(class: &Class, copies: u32, edges: Edges) -> Option<Part> {
    let side = match edges {
        Edges {
            right: Edge::Free, ..
        } => Side::Right,
        Edges {
            left: Edge::Free, ..
        } => Side::Left,
        Edges::BOUND => return None,
    };
    of_outermost(class, usize::try_from(copies).ok()?, side)
}
