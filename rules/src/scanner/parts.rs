//! Rules of several parts: each part is searched for as if it were a rule of its own, and what is
//! found in one line is put together again.

use std::sync::Arc;

use crate::language::rule::{Rule, RuleSet};
use crate::matcher::{FieldUse, Wanted};
use crate::model::{Mode, Part, RuleId};

/// Numbers that a rule's parts take.
const STRIDE: u32 = 32;

/// What to look for to find the rules `ids`, by number of rule and part; those with mode off left
/// out.
pub fn wanted(rules: &RuleSet, ids: &[RuleId], fields: &dyn Fn(&Rule) -> FieldUse) -> Vec<Wanted> {
    let live = ids.iter().filter(|id| rules.get(**id).mode != Mode::Off);
    let parts = live.flat_map(|&id| {
        let rule = rules.get(id);
        let own = rule.asks_match().then_some(&rule.matching);
        let first = own.map(|matching| (0, matching));
        first
            .into_iter()
            .chain((1..).zip(&rule.parts))
            .map(move |(part, matching)| Wanted {
                rule: RuleId(id.0.saturating_mul(STRIDE) + part),
                matching: Arc::clone(matching),
                fields: fields(rule),
            })
    });
    parts.collect()
}

/// The rule and the part that a number of [`wanted`] stands for.
pub fn split(number: RuleId) -> (RuleId, Part) {
    let part = usize::try_from(number.0 % STRIDE).unwrap_or(0);
    (
        RuleId(number.0 / STRIDE),
        Part::numbered(part).unwrap_or(Part::MATCH),
    )
}
