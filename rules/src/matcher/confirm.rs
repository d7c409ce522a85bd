//! Does a rule accept this line? Asked only of lines that may: every key of the rule's `match`,
//! the cheap ones first.

mod row;

use std::sync::{Arc, OnceLock};

use aho_corasick::AhoCorasick;
use memchr::memmem::Finder;

use crate::fields::{Fields, Format};
use crate::language::pattern::{Case, Pattern};
use crate::language::rule::Match;
use crate::model::RuleId;

use super::Wanted;
use super::candidates::{Candidate, Stand};
use super::runs::{RunId, Runs};
use super::scan::Search;
use row::{Rows, Verdict};

/// The field that says who sent a line.
pub(super) const PEER: &str = "peer";

/// Whether [`super::Found::fields`] is wanted for a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldUse {
    /// By the rule's condition, groups or message.
    Wanted,
    /// By none of them.
    Unwanted,
}

/// One rule's `match`, ready to be asked. Few bytes, and all that most questions need: thousands of
/// rules lie side by side, and a question to one that was not asked for long begins with a walk to
/// memory.
#[derive(Debug)]
pub(super) struct Confirm {
    /// What [`super::Found::rule`] will say.
    pub(super) rule: RuleId,
    shape: Shape,
    fields: FieldUse,
    /// No field is wanted that comes from a pattern.
    needs_no_groups: bool,
    /// About the only pattern, where there is one.
    only: Question,
    whole: Box<Whole>,
}

/// What a rule asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// One pattern, and no field is wanted.
    Pattern,
    /// One pattern, no text, and something else.
    PatternAndMore,
    /// Anything.
    Any,
}

/// All of a rule's `match`.
#[derive(Debug)]
struct Whole {
    matching: Arc<Match>,
    contains: Option<Texts>,
    not_contains: Option<Texts>,
    /// For each of `matching.regex`, unless there is only one and no text.
    regex: Box<[Question]>,
    /// For each of `matching.not_regex`.
    not_regex: Box<[Question]>,
}

/// Whether a line is accepted, and by which pattern, where there are patterns.
enum Answer<'a> {
    No,
    Yes(Option<&'a Pattern>),
}

/// Whether a pattern matches a line. What answers it is made when it is asked for the first time:
/// most rules never are.
#[derive(Debug, Default)]
struct Question(OnceLock<Option<Box<Rows>>>);

/// All runs, and those of the rule that is asked.
pub(super) type Known<'a> = dyn Fn() -> (&'a Runs, Vec<RunId>) + 'a;

/// A line that patterns are asked about.
#[derive(Clone, Copy, Debug)]
struct Line<'l> {
    bytes: &'l [u8],
    is_ascii: bool,
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
    /// Whether the line is ASCII, once that was asked.
    is_ascii: Option<bool>,
    /// `of_line` and one rule's named groups.
    of_rule: Fields,
    /// What rules get that want no fields.
    none: Fields,
    /// Who sent the lines.
    peer: Option<String>,
}

impl LineFields {
    /// Forgets the line before.
    pub(super) fn next_line(&mut self) {
        self.is_read = false;
        self.is_ascii = None;
    }

    /// The line, looked through once however many rules are asked about it.
    fn seen<'l>(&mut self, bytes: &'l [u8]) -> Line<'l> {
        let is_ascii = *self.is_ascii.get_or_insert_with(|| bytes.is_ascii());
        Line { bytes, is_ascii }
    }

    pub(super) fn set_peer(&mut self, peer: Option<&str>) {
        if self.peer.as_deref() != peer {
            self.peer = peer.map(str::to_owned);
        }
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
            if let Some(peer) = &self.peer {
                self.of_line.push(PEER, peer.as_bytes());
            }
            self.is_read = true;
        }
    }
}

impl Confirm {
    pub(super) fn new(wanted: Wanted) -> Self {
        let Wanted {
            rule,
            matching,
            fields,
        } = wanted;
        let fields = if matching.condition.is_some() {
            FieldUse::Wanted
        } else {
            fields
        };
        let (contains, not_contains) = (
            Texts::new(&matching.contains, matching.ignore_case),
            Texts::new(&matching.not_contains, matching.ignore_case),
        );
        let is_one = contains.is_none() && not_contains.is_none() && matching.regex.len() == 1;
        let is_all = matching.not_regex.is_empty() && fields == FieldUse::Unwanted;
        let names_none = |pattern: &Pattern| pattern.names().is_empty();
        Self {
            rule,
            shape: match (is_one, is_all) {
                (true, true) => Shape::Pattern,
                (true, false) => Shape::PatternAndMore,
                (false, _) => Shape::Any,
            },
            needs_no_groups: fields == FieldUse::Unwanted || matching.regex.iter().all(names_none),
            fields,
            only: Question::default(),
            whole: Box::new(Whole {
                contains,
                not_contains,
                regex: Question::for_each(if is_one { &[] } else { &matching.regex }),
                not_regex: Question::for_each(&matching.not_regex),
                matching,
            }),
        }
    }

    /// The fields to report when the rule accepts `line` (no terminator), `None` when it does not.
    /// Where the `candidate` is possible and not certain, `contains` and `regex` are asked. `search`:
    /// what found it.
    pub(super) fn ask<'a>(
        &self,
        line: &[u8],
        candidate: &Candidate,
        search: &Search,
        format: &Format,
        memory: &'a mut LineFields,
    ) -> Option<&'a Fields> {
        if !candidate.is_possible && self.needs_no_groups {
            if self.fields == FieldUse::Wanted {
                memory.read(line, format);
                return Some(&memory.of_line);
            }
            return Some(&memory.none);
        }
        let only = || self.whole.matching.regex.first();
        let seen = memory.seen(line);
        let matched = match self.shape {
            Shape::Any => match self.whole.answer(seen) {
                Answer::No => return None,
                Answer::Yes(pattern) => pattern,
            },
            Shape::Pattern | Shape::PatternAndMore => {
                let runs = || (&search.runs, search.runs_of(candidate.rule));
                let place = candidate.only.map(|only| (only, &runs as &Known<'_>));
                if !self.only.is_match(only, seen, place) {
                    return None;
                }
                if self.shape == Shape::Pattern {
                    return Some(&memory.none);
                }
                only()
            }
        };
        if first_match(&self.whole.not_regex, &self.whole.matching.not_regex, seen).is_some() {
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
        let condition = self.whole.matching.condition.as_ref();
        let holds = condition.is_none_or(|condition| condition.holds(fields));
        holds.then_some(fields)
    }
}

impl Whole {
    /// What the texts and `regex` say of `line`.
    fn answer(&self, line: Line<'_>) -> Answer<'_> {
        let is_in = |texts: &Texts| texts.any_in(line.bytes);
        if !self.contains.as_ref().is_none_or(is_in)
            || self.not_contains.as_ref().is_some_and(is_in)
        {
            return Answer::No;
        }
        let patterns = &self.matching.regex;
        match first_match(&self.regex, patterns, line) {
            None if !patterns.is_empty() => Answer::No,
            pattern => Answer::Yes(pattern),
        }
    }
}

/// The first of `patterns` that matches `line`; `questions` are about them.
fn first_match<'a>(
    questions: &[Question],
    patterns: &'a [Pattern],
    line: Line<'_>,
) -> Option<&'a Pattern> {
    let mut pairs = questions.iter().zip(patterns);
    let (_, pattern) =
        pairs.find(|(question, pattern)| question.is_match(|| Some(pattern), line, None))?;
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

    /// `pattern`: which one it is about, the same each time.
    /// `place`: where the only run of the rule stands in the line, and all of its runs, which are the
    /// same each time.
    fn is_match<'a>(
        &self,
        pattern: impl Fn() -> Option<&'a Pattern>,
        line: Line<'_>,
        place: Option<(Stand, &Known<'_>)>,
    ) -> bool {
        let Self(rows) = self;
        let rows = rows.get_or_init(|| Rows::of(pattern()?.hir()).map(Box::new));
        let verdict = rows.as_ref().map(|rows| match place {
            Some((stand, known)) => rows.is_match_at(line, stand, known),
            None => rows.is_match(line),
        });
        match verdict {
            Some(Verdict::Yes) => true,
            Some(Verdict::No) => false,
            Some(Verdict::Unknown) | None => {
                pattern().is_some_and(|pattern| pattern.is_match(line.bytes))
            }
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
