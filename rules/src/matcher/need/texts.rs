//! The keys of a rule's `match` → what its lines need. What `where` needs is told by the caller.

use super::text::Text;
use super::{ByteSet, Meaning, Need, choice, of_pattern};
use crate::language::pattern::{Case, Pattern};
use crate::language::rule::Match;

/// What every line needs that one of `contains` is in; with `ignore_case` as
/// [`Pattern::literal`] has it. No text holds LF.
pub(in crate::matcher) fn of_texts(contains: &[Vec<u8>], ignore_case: bool) -> Need {
    Need::any(contains.iter().map(|text| {
        if ignore_case {
            of_pattern(Pattern::literal(text, Case::Ignore).hir())
        } else {
            let sets = text.iter().map(|byte| ByteSet::of(*byte));
            choice::only(&Text::of(sets.collect()), Meaning::Certain).unwrap_or_else(Need::nothing)
        }
    }))
}

/// What every line needs that `matching` accepts. `condition`: what its `where` needs.
///
/// Certain are only runs of a rule that asks for nothing else.
pub(in crate::matcher) fn of_match(matching: &Match, condition: Need) -> Need {
    let by_texts =
        (!matching.contains.is_empty()).then(|| of_texts(&matching.contains, matching.ignore_case));
    let by_pattern = (!matching.regex.is_empty()).then(|| {
        let patterns = matching.regex.iter();
        Need::any(patterns.map(|pattern| of_pattern(pattern.hir())))
    });
    let asks_for_one_key = by_texts.is_some() != by_pattern.is_some()
        && matching.condition.is_none()
        && matching.not_contains.is_empty()
        && matching.not_regex.is_empty();
    let need = Need::all(
        [by_texts, by_pattern]
            .into_iter()
            .flatten()
            .chain([condition]),
    );
    if asks_for_one_key {
        need
    } else {
        need.only_possible()
    }
}
