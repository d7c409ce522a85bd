//! Rules → the compiled hot loop that finds, in a whole batch of lines, those that a rule accepts.
//!
//! [`plan`] chooses the texts to search for (`literals` knows what a pattern needs, `rarity` what
//! is rare in logs), `scan` finds them, `confirm` asks the rules that they wake. What a hit then
//! means is not known here.

mod confirm;
mod literals;
pub mod plan;
mod rarity;
mod scan;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use crate::fields::{Fields, Format};
use crate::language::rule::{Match, RuleSet};
use crate::model::{Mode, RuleId};

use confirm::Confirm;
use plan::Plan;
use scan::Search;

pub use confirm::FieldUse;
pub use scan::Scratch;

/// What is searched for on one input: the rules that listen to it, compiled together.
#[derive(Debug)]
pub struct Matcher {
    plan: Plan,
    search: Search,
    /// One for each rule of the plan.
    confirms: Vec<Confirm>,
}

/// One thing to look for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What [`Found::rule`] will say. Each once.
    pub rule: RuleId,
    /// Which lines.
    pub matching: Arc<Match>,
    /// Whether [`Found::fields`] is wanted.
    pub fields: FieldUse,
}

/// A line that a rule accepts.
#[derive(Debug)]
pub struct Found<'a> {
    /// The rule.
    pub rule: RuleId,
    /// The line in the batch, without its terminator.
    pub line: Range<usize>,
    /// The format's fields and the rule's named groups, where the rule needs any
    /// ([`Matcher::new`]'s `needs_fields`, or a `where`); else empty.
    pub fields: &'a Fields,
}

impl Matcher {
    /// Plans for the rules `ids` of `rules`. Rules with mode off are left out.
    /// `needs_fields(id)`: `Found::fields` is wanted for that rule.
    ///
    /// # Panics
    ///
    /// When one of `ids` is not of `rules`.
    pub fn new(rules: &RuleSet, ids: &[RuleId], needs_fields: &dyn Fn(RuleId) -> bool) -> Self {
        let live = ids.iter().filter(|id| rules.get(**id).mode != Mode::Off);
        Self::of(
            live.map(|&rule| Wanted {
                rule,
                matching: Arc::clone(&rules.get(rule).matching),
                fields: if needs_fields(rule) {
                    FieldUse::Wanted
                } else {
                    FieldUse::Unwanted
                },
            })
            .collect(),
        )
    }

    /// Plans for `wanted`, in any order; of several with the same rule the first one counts.
    pub fn of(mut wanted: Vec<Wanted>) -> Self {
        wanted.sort_by_key(|wanted| wanted.rule);
        wanted.dedup_by_key(|wanted| wanted.rule);
        let matches: Vec<(RuleId, Arc<Match>)> = wanted
            .iter()
            .map(|wanted| (wanted.rule, Arc::clone(&wanted.matching)))
            .collect();
        let (plan, search) = Search::new(Plan::new(&matches));
        let confirms = wanted
            .into_iter()
            .map(|wanted| Confirm::new(wanted.matching, wanted.fields))
            .collect();
        Self {
            plan,
            search,
            confirms,
        }
    }

    /// How the rules are found, for `lapwing explain`.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Calls `each` for every (rule, line) pair that matches, lines ascending, rules ascending
    /// within a line. `lines`: whole lines, the last one with or without LF; an LF at the very end
    /// starts no further line.
    pub fn scan(
        &self,
        lines: &[u8],
        format: &Format,
        scratch: &mut Scratch,
        each: &mut dyn FnMut(Found<'_>),
    ) {
        let ask = &mut |place: Range<usize>, rules: &[u32], fields: &mut confirm::LineFields| {
            let line = lines.get(place.clone()).unwrap_or_default();
            for &index in rules {
                let index = index as usize;
                if let (Some(confirm), Some(plan)) =
                    (self.confirms.get(index), self.plan.rules.get(index))
                    && let Some(fields) = confirm.ask(line, format, fields)
                {
                    each(Found {
                        rule: plan.rule,
                        line: place.clone(),
                        fields,
                    });
                }
            }
        };
        self.search.scan(lines, self.confirms.len(), scratch, ask);
    }
}
