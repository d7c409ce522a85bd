//! Which texts are searched for, and which rules each of them wakes: decided at load, plain data,
//! so that `lapwing explain` can say why a rule is cheap or dear.
//!
//! Every key of a rule's `match` must hold, so the rarest requirement among them is enough to wake
//! it. A rule without one is asked on every line.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::literals::{self, Literals};
use super::rarity;
use crate::language::pattern::{Case, Pattern};
use crate::language::rule::Match;
use crate::model::RuleId;

/// A longer text is searched for by its rarest part: no rarer, and less to keep.
const MAX_LITERAL_BYTES: usize = 32;

/// A rule that more than one byte in so many would wake is asked on every line at once: looking at
/// each of those bytes would cost more.
const COMMON: f64 = 1.0 / 32.0;

/// How the rules of a matcher are found.
#[derive(Debug, Default)]
pub struct Plan {
    /// One for each rule, ascending by rule.
    pub rules: Vec<RulePlan>,
    /// The texts that are searched for, ASCII lower case, each once, ascending.
    pub literals: Vec<Vec<u8>>,
    /// For each of `literals` the indexes into `rules` of those that it wakes, ascending.
    pub wakes: Vec<Vec<u32>>,
}

/// How one rule is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulePlan {
    /// The rule.
    pub rule: RuleId,
    /// When it is asked about a line.
    pub tier: Tier,
}

/// When a rule is asked about a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tier {
    /// When one of these texts stands in the line, ASCII upper and lower case being one. None:
    /// never, because it can match no line.
    Literal {
        /// The key of `match` that the texts come from.
        from: Key,
        /// ASCII lower case, none empty.
        literals: Vec<Vec<u8>>,
    },
    /// On every line.
    EveryLine(Why),
}

/// A key of `match`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// `contains`.
    Contains,
    /// `regex`.
    Regex,
}

/// Why a rule is asked on every line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// `match` is empty: every line is a hit.
    NothingAsked,
    /// It has neither `contains` nor `regex`: `where` and `not` give nothing to search for.
    NoText,
    /// The pattern with this index in `regex` needs no fixed text.
    NoLiteral {
        /// Index into `regex`.
        pattern: usize,
    },
    /// The texts that it needs stand in most lines.
    TooCommon {
        /// They.
        literals: Vec<Vec<u8>>,
    },
    /// All texts together are too many for one search.
    TooMany,
}

impl Plan {
    /// Plans for `matches`, ascending by rule.
    pub fn new(matches: &[(RuleId, Arc<Match>)]) -> Self {
        let rules: Vec<RulePlan> = matches
            .iter()
            .map(|(rule, matching)| RulePlan {
                rule: *rule,
                tier: tier(matching),
            })
            .collect();
        let mut woken: BTreeMap<&[u8], Vec<u32>> = BTreeMap::new();
        for (index, plan) in (0..).zip(&rules) {
            for literal in plan.tier.literals() {
                woken.entry(literal).or_default().push(index);
            }
        }
        let (literals, wakes) = woken
            .into_iter()
            .map(|(text, rules)| (text.to_vec(), rules))
            .unzip();
        Self {
            rules,
            literals,
            wakes,
        }
    }

    /// The same rules with nothing to search for.
    pub(super) fn without_literals(mut self) -> Self {
        for plan in &mut self.rules {
            if !plan.tier.literals().is_empty() {
                plan.tier = Tier::EveryLine(Why::TooMany);
            }
        }
        self.literals.clear();
        self.wakes.clear();
        self
    }

    /// Indexes into `rules` of those that are asked on every line, ascending.
    pub(super) fn every_line(&self) -> Vec<u32> {
        (0..)
            .zip(&self.rules)
            .filter(|(_, plan)| matches!(plan.tier, Tier::EveryLine(_)))
            .map(|(index, _)| index)
            .collect()
    }
}

impl Tier {
    /// The texts that wake the rule; none for the last tier.
    pub fn literals(&self) -> &[Vec<u8>] {
        match self {
            Self::Literal { literals, .. } => literals,
            Self::EveryLine(_) => &[],
        }
    }
}

/// What `lapwing explain` says of it: reads after the rule's name and `is asked`.
impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal { literals, .. } if literals.is_empty() => {
                f.write_str("never: no line can match")
            }
            Self::Literal { from, literals } => {
                let key = match from {
                    Key::Contains => "contains",
                    Key::Regex => "regex",
                };
                write!(f, "where a line holds {} (from `{key}`)", Listed(literals))
            }
            Self::EveryLine(why) => write!(f, "on every line: {why}"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingAsked => f.write_str("`match` is empty"),
            Self::NoText => f.write_str("it has neither `contains` nor `regex`"),
            Self::NoLiteral { pattern } => {
                write!(f, "pattern {} of `regex` needs no fixed text", pattern + 1)
            }
            Self::TooCommon { literals } => write!(f, "most lines hold {}", Listed(literals)),
            Self::TooMany => f.write_str("all texts together are too many for one search"),
        }
    }
}

/// `"a", "b" or 3 more`.
struct Listed<'a>(&'a [Vec<u8>]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 4;
        for (index, literal) in self.0.iter().take(SHOWN).enumerate() {
            let comma = match index {
                0 => "",
                _ if index + 1 == self.0.len() => " or ",
                _ => ", ",
            };
            write!(f, "{comma}\"{}\"", literal.escape_ascii())?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " or {more} more"),
        }
    }
}

fn tier(matching: &Match) -> Tier {
    if matching.contains.is_empty() && matching.regex.is_empty() {
        let asks = matching.condition.is_some()
            || !matching.not_contains.is_empty()
            || !matching.not_regex.is_empty();
        return Tier::EveryLine(if asks { Why::NoText } else { Why::NothingAsked });
    }
    let by_contains = (!matching.contains.is_empty())
        .then(|| from_contains(matching))
        .flatten();
    let by_regex = (!matching.regex.is_empty()).then(|| from_regex(matching));
    let (from, literals) = match (by_contains, by_regex) {
        (Some(contains), Some(Ok(regex))) if rarity::cost(&regex) < rarity::cost(&contains) => {
            (Key::Regex, regex)
        }
        (Some(contains), _) => (Key::Contains, contains),
        (None, Some(Ok(regex))) => (Key::Regex, regex),
        (None, Some(Err(pattern))) => return Tier::EveryLine(Why::NoLiteral { pattern }),
        (None, None) => return Tier::EveryLine(Why::NoText),
    };
    if rarity::frequency(&literals) > COMMON {
        return Tier::EveryLine(Why::TooCommon { literals });
    }
    Tier::Literal { from, literals }
}

/// One of these is in every line that `contains` accepts.
fn from_contains(matching: &Match) -> Option<Literals> {
    if !matching.ignore_case {
        return Some(searchable(
            matching
                .contains
                .iter()
                .map(|text| literals::folded(text))
                .collect(),
        ));
    }
    let mut all = Literals::new();
    for text in &matching.contains {
        all.extend(literals::required(
            Pattern::literal(text, Case::Ignore).hir(),
        )?);
    }
    Some(searchable(all))
}

/// One of these is in every line that `regex` accepts; else the index of a pattern that needs no
/// literal.
fn from_regex(matching: &Match) -> Result<Literals, usize> {
    let mut all = Literals::new();
    for (index, pattern) in matching.regex.iter().enumerate() {
        all.extend(literals::required(pattern.hir()).ok_or(index)?);
    }
    Ok(searchable(all))
}

/// Cut to size, each once.
fn searchable(literals: Literals) -> Literals {
    literals::minimal(
        literals
            .into_iter()
            .map(|text| match text.len() {
                0..=MAX_LITERAL_BYTES => text,
                _ => rarity::rarest_window(&text, MAX_LITERAL_BYTES).to_vec(),
            })
            .collect(),
    )
}
