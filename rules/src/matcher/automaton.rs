//! The last tier: rules whose patterns need nothing that could be searched for are asked together,
//! on every line, by one automaton that is built as lines go through it.

use std::fmt;

use regex_automata::meta::{self, Regex};
use regex_automata::nfa::thompson::NFA;
use regex_automata::{Input, MatchKind, PatternSet};
use regex_syntax::hir::{Hir, Look, LookSet};

use crate::language::pattern::Pattern;
use crate::language::rule::Match;

use super::need::without_looks;

/// All patterns of some rules.
pub(super) struct Automaton {
    regex: Regex,
    /// For each pattern its rule in the plan, and whether the rule has to be asked further.
    rules: Vec<(u32, bool)>,
}

/// Memory that it reuses.
#[derive(Debug, Default)]
pub(super) struct Found {
    patterns: Option<PatternSet>,
    rules: Vec<(u32, bool)>,
}

impl Automaton {
    /// Its lazy automaton may take so much for each thread that scans.
    const CACHE_BYTES: usize = 4 * 1024 * 1024;

    /// Of rules with patterns, ascending: of all of them, or where those are too large for one
    /// automaton, of the smaller ones. `None` when there are none.
    ///
    /// It knows nothing of the word boundaries of Unicode: with them it would have to give up on any
    /// line that is not ASCII, and leave it to an engine that is slower by far. A rule that has them is
    /// asked itself.
    pub(super) fn new(rules: &[(u32, &Match)]) -> Option<Self> {
        if let Some(automaton) = Self::of_all(rules) {
            return Some(automaton);
        }
        let sizes = rules.iter().map(|(_, matching)| size_of(matching));
        let mut by_size: Vec<_> = sizes.zip(rules.iter().copied()).collect();
        by_size.sort_by_key(|(size, _)| *size);
        let (mut size, mut count) = (0, 0);
        for (of_rule, _) in &by_size {
            size = of_rule.saturating_add(size);
            count += usize::from(size <= Self::CACHE_BYTES);
        }
        while count > 0 {
            let mut small: Vec<_> = by_size.iter().take(count).map(|(_, rule)| *rule).collect();
            small.sort_by_key(|(rule, _)| *rule);
            if let Some(automaton) = Self::of_all(&small) {
                return Some(automaton);
            }
            count /= 2;
        }
        None
    }

    fn of_all(rules: &[(u32, &Match)]) -> Option<Self> {
        let patterns: Vec<Hir> = rules
            .iter()
            .flat_map(|(_, matching)| patterns_of(matching))
            .collect();
        if patterns.is_empty() {
            return None;
        }
        let config = meta::Config::new()
            .utf8_empty(false)
            .match_kind(MatchKind::All)
            .nfa_size_limit(Some(Self::CACHE_BYTES))
            .hybrid_cache_capacity(Self::CACHE_BYTES);
        let regex = Regex::builder()
            .configure(config)
            .build_many_from_hir(&patterns)
            .ok()?;
        let has_unicode = |pattern: &Pattern| {
            let looks = pattern.hir().properties().look_set();
            looks.contains_word_unicode()
        };
        let of_pattern = rules.iter().flat_map(|(rule, matching)| {
            let asks_more = !matching.contains.is_empty()
                || !matching.not_contains.is_empty()
                || !matching.not_regex.is_empty()
                || matching.condition.is_some()
                || matching.regex.iter().any(has_unicode);
            matching.regex.iter().map(move |_| (*rule, asks_more))
        });
        Some(Self {
            regex,
            rules: of_pattern.collect(),
        })
    }

    /// Whether `rule` is one of those that it knows.
    pub(super) fn knows(&self, rule: u32) -> bool {
        self.rules
            .binary_search_by_key(&rule, |(rule, _)| *rule)
            .is_ok()
    }

    /// The rules one of whose patterns matches `line`, ascending, and whether each has to be asked
    /// further.
    pub(super) fn find<'f>(&self, line: &[u8], found: &'f mut Found) -> &'f [(u32, bool)] {
        let patterns = match &mut found.patterns {
            Some(patterns) if patterns.capacity() == self.rules.len() => patterns,
            patterns => patterns.insert(PatternSet::new(self.rules.len())),
        };
        patterns.clear();
        self.regex
            .which_overlapping_matches(&Input::new(line), patterns);
        found.rules.clear();
        for pattern in patterns.iter() {
            if let Some(rule) = self.rules.get(pattern.as_usize())
                && found.rules.last() != Some(rule)
            {
                found.rules.push(*rule);
            }
        }
        &found.rules
    }
}

/// The patterns of `matching` as the automaton takes them.
fn patterns_of(matching: &Match) -> impl Iterator<Item = Hir> {
    let is_unicode = |look: Look| LookSet::singleton(look).contains_word_unicode();
    let patterns = matching.regex.iter().map(Pattern::hir);
    patterns.map(move |hir| without_looks(hir, &is_unicode))
}

/// How many bytes the patterns of `matching` take.
fn size_of(matching: &Match) -> usize {
    let config = NFA::config().nfa_size_limit(Some(Automaton::CACHE_BYTES));
    let patterns: Vec<Hir> = patterns_of(matching).collect();
    let nfa = NFA::compiler()
        .configure(config)
        .build_many_from_hir(&patterns);
    nfa.map_or(usize::MAX, |nfa| nfa.memory_usage())
}

/// Without the automaton, which fills pages.
impl fmt::Debug for Automaton {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Automaton")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
