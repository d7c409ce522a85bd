//! Does a rule accept this line? Asked only of lines that may: every key of the rule's `match`,
//! the cheap ones first.

mod row;

use std::sync::{Arc, OnceLock};

use aho_corasick::AhoCorasick;
use memchr::memmem::Finder;

use crate::fields::{Fields, Format};
use crate::language::pattern::{Case, Pattern};
use crate::language::rule::Match;

use row::{Rows, Verdict};

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
    /// For each of `matching.regex`.
    regex: Box<[Question]>,
    /// For each of `matching.not_regex`.
    not_regex: Box<[Question]>,
    fields: FieldUse,
    /// No field is wanted that comes from a pattern.
    needs_no_groups: bool,
}

/// Whether a pattern matches a line. What answers it is made when it is asked for the first time:
/// most rules never are.
#[derive(Debug, Default)]
struct Question(OnceLock<Option<Box<Rows>>>);

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
            // A record may be of the format as a whole (JSON spread over lines) or in its first line
            // (a stack trace behind it).
            if self.of_line.iter().next().is_none()
                && let Some(lf) = memchr::memchr(b'\n', line)
            {
                self.of_line.clear();
                format.read(line.get(..lf).unwrap_or_default(), &mut self.of_line);
            }
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
            regex: Question::for_each(&matching.regex),
            not_regex: Question::for_each(&matching.not_regex),
            needs_no_groups: fields == FieldUse::Unwanted
                || matching
                    .regex
                    .iter()
                    .all(|pattern| pattern.names().is_empty()),
            matching,
            fields,
        }
    }

    /// What is reported of a line that is accepted for certain.
    fn fields_of<'a>(
        &self,
        line: &[u8],
        format: &Format,
        memory: &'a mut LineFields,
    ) -> &'a Fields {
        if self.fields == FieldUse::Unwanted {
            return &memory.none;
        }
        memory.read(line, format);
        &memory.of_line
    }

    /// The fields to report when the rule accepts `line` (no terminator), `None` when it does not.
    /// Where that `is_possible` and not certain, `contains` and `regex` are asked.
    pub(super) fn ask<'a>(
        &self,
        line: &[u8],
        is_possible: bool,
        format: &Format,
        memory: &'a mut LineFields,
    ) -> Option<&'a Fields> {
        if !is_possible && self.needs_no_groups {
            return Some(self.fields_of(line, format, memory));
        }
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
        let matched = first_match(&self.regex, regex, line);
        if (matched.is_none() && !regex.is_empty())
            || first_match(&self.not_regex, &self.matching.not_regex, line).is_some()
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

/// The first of `patterns` that matches `line`; `questions` are about them.
fn first_match<'a>(
    questions: &[Question],
    patterns: &'a [Pattern],
    line: &[u8],
) -> Option<&'a Pattern> {
    let mut pairs = questions.iter().zip(patterns);
    let (_, pattern) = pairs.find(|(question, pattern)| question.is_match(pattern, line))?;
    Some(pattern)
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

impl Question {
    fn for_each(patterns: &[Pattern]) -> Box<[Self]> {
        patterns.iter().map(|_| Self::default()).collect()
    }

    /// `pattern`: the same one each time.
    fn is_match(&self, pattern: &Pattern, line: &[u8]) -> bool {
        let Self(rows) = self;
        let rows = rows.get_or_init(|| Rows::of(pattern.hir()).map(Box::new));
        match rows.as_ref().map(|rows| rows.is_match(line)) {
            Some(Verdict::Yes) => true,
            Some(Verdict::No) => false,
            Some(Verdict::Unknown) | None => pattern.is_match(line),
        }
    }
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
