//! A regular expression of a rule: checked at load, compiled when the first line asks for it.
//!
//! Its syntax is that of Rust's regex crate over bytes, Unicode on. It sees one line without its
//! terminator, or a record of several lines: either way no class in it holds LF, and a pattern that
//! spells one is refused, which is what lets the matcher search a whole batch of lines at once.
//! Operators' text comes in from `check`; what literals a pattern needs is the matcher's affair.

mod error;
mod hir;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use regex_automata::util::iter::Searcher;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Input, Match, Span, meta};
use regex_syntax::hir::Hir;

pub use error::PatternError;

/// Whether upper and lower case are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// As written.
    Sensitive,
    /// Unicode simple case folding.
    Ignore,
}

/// One pattern.
pub struct Pattern {
    text: String,
    hir: Hir,
    /// The named groups' names, in order.
    names: Vec<String>,
    /// The number of each of `names`.
    groups: Vec<usize>,
    /// Two for the whole match and for each group.
    slots: usize,
    /// See [`Pattern::large_bytes`].
    large: usize,
    regex: OnceLock<meta::Regex>,
}

impl Pattern {
    /// A longer text is refused: parsed, it would take some 200 times its size.
    pub const MAX_TEXT_BYTES: usize = 64 * 1024;
    /// A pattern that compiles to more is refused, as in the regex crate.
    pub const MAX_COMPILED_BYTES: usize = 10 * 1024 * 1024;
    /// All patterns of a set of rules that are large, see [`Self::large_bytes`], may take so much:
    /// each of them stays in memory once a line has asked for it.
    pub const MAX_LARGE_BYTES: usize = 256 * 1024 * 1024;
    /// The name of the group that `redact` blanks.
    pub const SECRET: &str = "secret";

    /// Up to this estimate (an upper bound, see [`hir::compiled_bytes`]) a pattern is known to
    /// keep below the limit and need not be compiled to find out. Above it, the compiler's reverse
    /// automaton may be some times larger than the estimate of the forward one.
    const CERTAINLY_SMALL: usize = 1024 * 1024;

    /// Checks `text`.
    ///
    /// # Errors
    ///
    /// When it is no pattern, can only match with a line feed, or is too large.
    pub fn new(text: &str, case: Case) -> Result<Self, PatternError> {
        if text.len() > Self::MAX_TEXT_BYTES {
            return Err(PatternError::text_too_long(text.len()));
        }
        let parsed = regex_syntax::ParserBuilder::new()
            .utf8(false)
            .case_insensitive(case == Case::Ignore)
            .build()
            .parse(text)
            .map_err(|error| PatternError::syntax(text, &error))?;
        let hir = hir::without_line_feed(parsed)
            .map_err(|hir::NeedsLineFeed| PatternError::line_feed(text))?;
        let mut pattern = Self::of(text.to_owned(), hir);
        if hir::compiled_bytes(&pattern.hir) > Self::CERTAINLY_SMALL {
            let regex = compile(&pattern.hir, Some(Self::MAX_COMPILED_BYTES))
                .map_err(|_| PatternError::too_large(text.len()))?;
            // It is compiled anew if a line asks for it: few are ever asked for.
            pattern.large = regex.memory_usage();
        }
        Ok(pattern)
    }

    /// The pattern that matches `literal`, any bytes, and nothing else: so that ignoring case
    /// means one thing for literals and for patterns. No byte of it may be LF.
    pub fn literal(literal: &[u8], case: Case) -> Self {
        Self::of(
            String::from_utf8_lossy(literal).into_owned(),
            hir::literal(literal, case),
        )
    }

    fn of(text: String, hir: Hir) -> Self {
        let (mut names, mut groups) = (Vec::new(), Vec::new());
        let last_group = hir::named_groups(&hir, &mut |number, name| {
            names.push(name.to_owned());
            groups.push(number);
        });
        Self {
            text,
            hir,
            names,
            groups,
            slots: 2 * (last_group + 1),
            large: 0,
            regex: OnceLock::new(),
        }
    }

    /// As the operator wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is searched for: no class in it holds LF.
    pub fn hir(&self) -> &Hir {
        &self.hir
    }

    /// Names of its named groups, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Bytes that it takes when compiled, where that may be more than 1 MiB; else 0.
    pub fn large_bytes(&self) -> usize {
        self.large
    }

    /// Whether it matches somewhere in `line` (no terminator).
    pub fn is_match(&self, line: &[u8]) -> bool {
        self.regex().is_match(line)
    }

    /// Calls `each` with the name and the place of every named group that took part in the
    /// leftmost match in `line`; gives whether there is a match.
    pub fn captures(&self, line: &[u8], each: &mut dyn FnMut(&str, Range<usize>)) -> bool {
        if self.names.is_empty() {
            return self.is_match(line);
        }
        self.with_slots(|slots| {
            let found = self
                .regex()
                .search_slots(&Input::new(line), slots)
                .is_some();
            if found {
                for (name, &group) in self.names.iter().zip(&self.groups) {
                    if let Some(place) = group_place(slots, group) {
                        each(name, place);
                    }
                }
            }
            found
        })
    }

    /// Calls `each` with the place of every match, left to right, that does not overlap the one
    /// before: of the group named `secret` where the pattern has one, else of the whole match.
    pub fn find_all(&self, line: &[u8], each: &mut dyn FnMut(Range<usize>)) {
        let secret = self.names.iter().position(|name| name == Self::SECRET);
        let Some(&group) = secret.and_then(|at| self.groups.get(at)) else {
            for found in self.regex().find_iter(line) {
                each(found.range());
            }
            return;
        };
        self.with_slots(|slots| {
            let mut searcher = Searcher::new(Input::new(line));
            loop {
                let found = searcher.advance(|input| {
                    Ok(self
                        .regex()
                        .search_slots(input, slots)
                        .and_then(|id| Some(Match::new(id, Span::from(group_place(slots, 0)?)))))
                });
                if found.is_none() {
                    return;
                }
                if let Some(place) = group_place(slots, group) {
                    each(place);
                }
            }
        });
    }

    /// Whether it matches the empty string everywhere, and so every line: worth a warning.
    pub fn matches_every_line(&self) -> bool {
        hir::matches_every_line(&self.hir)
    }

    fn regex(&self) -> &meta::Regex {
        self.regex.get_or_init(|| {
            compile(&self.hir, None)
                .expect("what is not known to be small was compiled once at load, within a limit")
        })
    }

    /// Room for the places of all groups; of few groups on the stack.
    fn with_slots<T>(&self, run: impl FnOnce(&mut [Option<NonMaxUsize>]) -> T) -> T {
        const FEW: usize = 32;
        let mut few = [None; FEW];
        match few.get_mut(..self.slots) {
            Some(slots) => run(slots),
            None => run(&mut vec![None; self.slots]),
        }
    }
}

/// Its text only: the automata behind it fill pages.
impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text).finish()
    }
}

/// Where `group` took part in the match that filled `slots`.
fn group_place(slots: &[Option<NonMaxUsize>], group: usize) -> Option<Range<usize>> {
    let start = slots.get(2 * group).copied()??;
    let end = slots.get(2 * group + 1).copied()??;
    Some(start.get()..end.get())
}

/// There are hundreds of patterns in an agent that must stay within some ten megabytes, and most
/// of them see few lines: hence the small caches.
fn compile(hir: &Hir, limit: Option<usize>) -> Result<meta::Regex, Box<meta::BuildError>> {
    let config = meta::Config::new()
        .utf8_empty(false)
        .nfa_size_limit(limit)
        .onepass_size_limit(Some(64 * 1024))
        .hybrid_cache_capacity(256 * 1024);
    meta::Regex::builder()
        .configure(config)
        .build_from_hir(hir)
        .map_err(Box::new)
}
