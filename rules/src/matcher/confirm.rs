//! Does a rule accept this line? Asked only of lines that may: every key of the rule's `match`,
//! the cheap ones first.

use std::sync::Arc;

use aho_corasick::AhoCorasick;
use memchr::memmem::Finder;

use crate::fields::{Fields, Format};
use crate::language::pattern::{Case, Pattern};
use crate::language::rule::Match;

/// Whether [`super::Found::fields`] is wanted for a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldUse {
    /// By the rule's condition, groups or message.
    Wanted,
    /// By none of them.
    Unwanted,
}

/// One rule's `match`, ready to be asked.
#[derive(Debug)]
pub(super) struct Confirm {
    matching: Arc<Match>,
    contains: Option<Texts>,
    not_contains: Option<Texts>,
    fields: FieldUse,
}

/// Any of some texts.
#[derive(Debug)]
enum Texts {
    /// Byte for byte, one after the other.
    Few(Vec<Finder<'static>>),
    /// Byte for byte, all at once.
    Many(AhoCorasick),
    /// But for case.
    Folded(Vec<Pattern>),
}

/// The line that is being asked about, and what has been read of it so far. Reused from line to
/// line: warm, it allocates nothing.
#[derive(Debug, Default)]
pub(super) struct LineFields {
    /// The format's fields, once a rule asked for them.
    of_line: Fields,
    is_read: bool,
    /// `of_line` and one rule's named groups.
    of_rule: Fields,
    /// What rules get that want no fields.
    none: Fields,
}

impl LineFields {
    /// Forgets the line before.
    pub(super) fn next_line(&mut self) {
        self.is_read = false;
    }

    fn read(&mut self, line: &[u8], format: &Format) {
        if !self.is_read {
            self.of_line.clear();
            format.read(line, &mut self.of_line);
            self.is_read = true;
        }
    }
}

impl Confirm {
    pub(super) fn new(matching: Arc<Match>, fields: FieldUse) -> Self {
        let fields = if matching.condition.is_some() {
            FieldUse::Wanted
        } else {
            fields
        };
        Self {
            contains: Texts::new(&matching.contains, matching.ignore_case),
            not_contains: Texts::new(&matching.not_contains, matching.ignore_case),
            matching,
            fields,
        }
    }

    /// The fields to report when the rule accepts `line` (no terminator), `None` when it does not.
    pub(super) fn ask<'a>(
        &self,
        line: &[u8],
        format: &Format,
        memory: &'a mut LineFields,
    ) -> Option<&'a Fields> {
        if self
            .contains
            .as_ref()
            .is_some_and(|texts| !texts.any_in(line))
            || self
                .not_contains
                .as_ref()
                .is_some_and(|texts| texts.any_in(line))
        {
            return None;
        }
        let regex = &self.matching.regex;
        let matched = regex.iter().find(|pattern| pattern.is_match(line));
        if (matched.is_none() && !regex.is_empty())
            || self
                .matching
                .not_regex
                .iter()
                .any(|pattern| pattern.is_match(line))
        {
            return None;
        }
        if self.fields == FieldUse::Unwanted {
            return Some(&memory.none);
        }
        memory.read(line, format);
        let fields = match matched {
            Some(pattern) if !pattern.names().is_empty() => with_groups(line, pattern, memory),
            _ => &memory.of_line,
        };
        let holds = self
            .matching
            .condition
            .as_ref()
            .is_none_or(|condition| condition.holds(fields));
        holds.then_some(fields)
    }
}

/// The line's fields and the named groups of the leftmost match of `pattern`.
fn with_groups<'a>(line: &[u8], pattern: &Pattern, memory: &'a mut LineFields) -> &'a Fields {
    let LineFields {
        of_line, of_rule, ..
    } = memory;
    of_rule.clear();
    for (name, value) in of_line.iter() {
        of_rule.push(name, value);
    }
    pattern.captures(line, &mut |name, place| {
        of_rule.push(name, line.get(place).unwrap_or_default());
    });
    of_rule
}

impl Texts {
    /// `None` where there is nothing to look for.
    fn new(texts: &[Vec<u8>], ignore_case: bool) -> Option<Self> {
        /// From here on one pass for all is quicker than one for each.
        const MANY: usize = 8;
        if texts.is_empty() {
            return None;
        }
        if ignore_case {
            let patterns = texts
                .iter()
                .map(|text| Pattern::literal(text, Case::Ignore));
            return Some(Self::Folded(patterns.collect()));
        }
        // Building fails only past 2 GiB of texts; one by one they need no automaton.
        if texts.len() >= MANY
            && let Ok(all) = AhoCorasick::new(texts)
        {
            return Some(Self::Many(all));
        }
        Some(Self::Few(
            texts
                .iter()
                .map(|text| Finder::new(text).into_owned())
                .collect(),
        ))
    }

    fn any_in(&self, line: &[u8]) -> bool {
        match self {
            Self::Few(texts) => texts.iter().any(|text| text.find(line).is_some()),
            Self::Many(texts) => texts.is_match(line),
            Self::Folded(texts) => texts.iter().any(|text| text.is_match(line)),
        }
    }
}
