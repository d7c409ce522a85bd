//! What is done to and asked of a parsed pattern. All walks are recursive: the parser bounds the
//! depth (250).

use regex_syntax::hir::{
    Capture, Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind,
    Look, LookSet,
};
use regex_syntax::utf8::Utf8Sequences;

use super::Case;

/// The pattern spells a line feed.
#[derive(Debug)]
pub(super) struct NeedsLineFeed;

/// The same pattern with LF taken out of every class.
pub(super) fn without_line_feed(hir: Hir) -> Result<Hir, NeedsLineFeed> {
    let all = |subs: Vec<Hir>| {
        subs.into_iter()
            .map(without_line_feed)
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(match hir.into_kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Look(look) => Hir::look(look),
        HirKind::Literal(literal) if literal.0.contains(&b'\n') => return Err(NeedsLineFeed),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(Class::Unicode(mut class)) => {
            class.difference(&ClassUnicode::new([ClassUnicodeRange::new('\n', '\n')]));
            Hir::class(Class::Unicode(class))
        }
        HirKind::Class(Class::Bytes(mut class)) => {
            class.difference(&ClassBytes::new([ClassBytesRange::new(b'\n', b'\n')]));
            Hir::class(Class::Bytes(class))
        }
        HirKind::Repetition(mut repetition) => {
            repetition.sub = Box::new(without_line_feed(*repetition.sub)?);
            Hir::repetition(repetition)
        }
        HirKind::Capture(Capture { index, name, sub }) => Hir::capture(Capture {
            index,
            name,
            sub: Box::new(without_line_feed(*sub)?),
        }),
        HirKind::Concat(subs) => Hir::concat(all(subs)?),
        HirKind::Alternation(subs) => Hir::alternation(all(subs)?),
    })
}

/// What matches `literal` and nothing else.
pub(super) fn literal(literal: &[u8], case: Case) -> Hir {
    if case == Case::Sensitive {
        return Hir::literal(literal);
    }
    let mut parts = Vec::new();
    for chunk in literal.utf8_chunks() {
        for char in chunk.valid().chars() {
            let mut class = ClassUnicode::new([ClassUnicodeRange::new(char, char)]);
            class.case_fold_simple();
            parts.push(Hir::class(Class::Unicode(class)));
        }
        if !chunk.invalid().is_empty() {
            parts.push(Hir::literal(chunk.invalid()));
        }
    }
    Hir::concat(parts)
}

/// Calls `each` with the number and name of every named group, in order; gives the highest number
/// of any group, 0 where there is none.
pub(super) fn named_groups(hir: &Hir, each: &mut dyn FnMut(usize, &str)) -> usize {
    match hir.kind() {
        HirKind::Capture(capture) => {
            let number = usize::try_from(capture.index).unwrap_or(usize::MAX);
            if let Some(name) = &capture.name {
                each(number, name);
            }
            named_groups(&capture.sub, each).max(number)
        }
        kind => kind
            .subs()
            .iter()
            .map(|sub| named_groups(sub, each))
            .max()
            .unwrap_or(0),
    }
}

/// An upper bound for the size of the automaton that `hir` compiles to, in bytes. Saturates.
pub(super) fn compiled_bytes(hir: &Hir) -> usize {
    /// A state with its share of transitions.
    const STATE: usize = 48;
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => STATE,
        HirKind::Literal(literal) => literal.0.len().saturating_mul(STATE),
        HirKind::Class(Class::Bytes(class)) => {
            class.ranges().len().saturating_add(1).saturating_mul(STATE)
        }
        HirKind::Class(Class::Unicode(class)) => class
            .iter()
            .flat_map(|range| Utf8Sequences::new(range.start(), range.end()))
            .fold(STATE, |sum, sequence| {
                sum.saturating_add((sequence.len() + 1).saturating_mul(STATE))
            }),
        HirKind::Repetition(repetition) => {
            let copies = repetition.max.unwrap_or(repetition.min).max(repetition.min);
            let copies = usize::try_from(copies)
                .unwrap_or(usize::MAX)
                .saturating_add(1);
            compiled_bytes(&repetition.sub)
                .saturating_add(STATE)
                .saturating_mul(copies)
        }
        HirKind::Capture(capture) => compiled_bytes(&capture.sub).saturating_add(2 * STATE),
        HirKind::Concat(subs) | HirKind::Alternation(subs) => {
            subs.iter().fold(STATE, |sum, sub| {
                sum.saturating_add(compiled_bytes(sub))
                    .saturating_add(STATE)
            })
        }
    }
}

/// Whether every line matches, whatever it holds. May miss some that do (`^.*$` is not one: `.` is
/// no byte outside UTF-8), never says so of one that does not.
pub(super) fn matches_every_line(hir: &Hir) -> bool {
    let is_start = |look| matches!(look, Look::Start | Look::StartLF | Look::StartCRLF);
    let is_end = |look| matches!(look, Look::End | Look::EndLF | Look::EndCRLF);
    empty_at(hir)
        .iter()
        .any(|looks| looks.iter().all(is_start) || looks.iter().all(is_end))
}

/// The sets of assertions under each of which `hir` matches the empty string. Not all of them
/// where there are many.
fn empty_at(hir: &Hir) -> Vec<LookSet> {
    /// Patterns that people write have one or two.
    const MOST: usize = 16;
    match hir.kind() {
        HirKind::Empty => vec![LookSet::empty()],
        HirKind::Look(look) => vec![LookSet::singleton(*look)],
        HirKind::Literal(_) | HirKind::Class(_) => Vec::new(),
        HirKind::Repetition(repetition) if repetition.min == 0 => vec![LookSet::empty()],
        HirKind::Repetition(repetition) => empty_at(&repetition.sub),
        HirKind::Capture(capture) => empty_at(&capture.sub),
        HirKind::Concat(subs) => {
            let mut product = vec![LookSet::empty()];
            for sub in subs {
                let more = empty_at(sub);
                product = product
                    .iter()
                    .flat_map(|left| more.iter().map(|right| left.union(*right)))
                    .take(MOST)
                    .collect();
            }
            product
        }
        HirKind::Alternation(subs) => subs.iter().flat_map(empty_at).take(MOST).collect(),
    }
}
