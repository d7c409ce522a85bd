//! Why a text is no pattern, in words for an operator: what is wrong, where, and what to write
//! instead. People paste patterns from PCRE, so what this engine lacks is named.

use std::ops::Range;

use regex_syntax::ast::{self, ErrorKind};
use regex_syntax::{Error, hir};

use super::Pattern;

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// What is wrong: a lower-case sentence without a full stop.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// The bytes of the pattern's text that are meant.
    pub span: Range<usize>,
}

impl PatternError {
    pub(super) fn text_too_long(len: usize) -> Self {
        Self {
            message: format!(
                "this pattern has {len} bytes, and {} are the most",
                Pattern::MAX_TEXT_BYTES
            ),
            help: Some("give several patterns, or list fixed words under `contains`".to_owned()),
            span: 0..len,
        }
    }

    pub(super) fn too_large(len: usize) -> Self {
        Self {
            message: format!(
                "this pattern is too large: compiled, it takes more than {} MiB",
                Pattern::MAX_COMPILED_BYTES / (1024 * 1024)
            ),
            help: Some(
                "lower the counts in `{…}`, or write `(?-u:\\w)` where ASCII letters will do"
                    .to_owned(),
            ),
            span: 0..len,
        }
    }

    pub(super) fn line_feed(text: &str) -> Self {
        Self {
            message: "this pattern needs a line feed, and a pattern sees one line without its end"
                .to_owned(),
            help: Some("match what stands on one line".to_owned()),
            span: line_feed_span(text).unwrap_or(0..text.len()),
        }
    }

    pub(super) fn syntax(text: &str, error: &Error) -> Self {
        let (message, help, span) = match error {
            Error::Parse(error) => {
                let span = error.span().start.offset..error.span().end.offset;
                let (message, help) = describe(error.kind(), text, &span);
                (message, help, span)
            }
            Error::Translate(error) => {
                let span = error.span().start.offset..error.span().end.offset;
                let help = matches!(error.kind(), hir::ErrorKind::UnicodePropertyNotFound)
                    .then(|| "Unicode classes are written like `\\p{Greek}` or `\\pL`".to_owned());
                (error.kind().to_string(), help, span)
            }
            other => (other.to_string(), None, 0..text.len()),
        };
        Self {
            message,
            help,
            span: visible(text, span),
        }
    }
}

/// `span`, or the character behind it where it is empty: an arrow needs something to point at.
fn visible(text: &str, span: Range<usize>) -> Range<usize> {
    let behind = text.get(span.end..).and_then(|rest| rest.chars().next());
    match behind {
        Some(char) if span.is_empty() => span.start..span.end + char.len_utf8(),
        _ => span,
    }
}

/// What the parser says, and more where it says little.
fn describe(kind: &ErrorKind, text: &str, span: &Range<usize>) -> (String, Option<String>) {
    // The parser's span may end inside of what people know as one construct.
    let from = text.get(span.start..).unwrap_or_default();
    let opened = text
        .get(..span.end)
        .and_then(|head| head.rfind("(?"))
        .and_then(|at| text.get(at..))
        .unwrap_or_default();
    match kind {
        ErrorKind::UnsupportedLookAround => (
            "look-around (`(?=`, `(?!`, `(?<=`, `(?<!`) is not supported: this engine has none, so that every line is matched in linear time".to_owned(),
            Some("say what must not be there with `not: {regex: […]}`, or take a named group and compare it in `where`".to_owned()),
        ),
        ErrorKind::UnsupportedBackreference => (
            "back-references are not supported: this engine has none, so that every line is matched in linear time".to_owned(),
            Some("take two named groups and compare them in `where`".to_owned()),
        ),
        ErrorKind::FlagUnrecognized if opened.starts_with("(?P=") => (
            "back-references are not supported: this engine has none".to_owned(),
            Some("take two named groups and compare them in `where`".to_owned()),
        ),
        ErrorKind::FlagUnrecognized | ErrorKind::RepetitionMissing if opened.starts_with("(?>") => (
            "atomic groups `(?>…)` are not supported".to_owned(),
            Some("write `(?:…)`: this engine never backtracks".to_owned()),
        ),
        ErrorKind::EscapeUnrecognized => {
            let help = match from.as_bytes().get(1) {
                Some(b'Z') => Some("`$` is the end of the line"),
                Some(b'h') => Some("write `[ \\t]`"),
                Some(b'R' | b'N') => Some("a pattern sees one line: `.` is any of its characters"),
                Some(b'Q' | b'E') => Some("put fixed text under `contains`, where nothing needs escaping"),
                Some(b'K') => Some("put the part that is meant into a named group"),
                Some(b'e') => Some("write `\\x1b`"),
                _ => None,
            };
            ("this escape is not known".to_owned(), help.map(str::to_owned))
        }
        ErrorKind::NestLimitExceeded(depth) => (
            format!("this pattern is nested more than {depth} deep"),
            None,
        ),
        ErrorKind::GroupUnclosed => ("this group is never closed".to_owned(), Some("a literal parenthesis is `\\(`".to_owned())),
        ErrorKind::GroupUnopened => ("this parenthesis closes no group".to_owned(), Some("a literal parenthesis is `\\)`".to_owned())),
        ErrorKind::ClassUnclosed => ("this class is never closed".to_owned(), Some("a literal bracket is `\\[`".to_owned())),
        ErrorKind::RepetitionMissing => ("there is nothing before this to repeat".to_owned(), Some("a literal star, plus or question mark is `\\*`, `\\+` or `\\?`".to_owned())),
        ErrorKind::RepetitionCountDecimalEmpty | ErrorKind::RepetitionCountUnclosed => (kind.to_string(), Some("a literal brace is `\\{`".to_owned())),
        _ => (kind.to_string(), None),
    }
}

/// Where `text` spells a line feed.
fn line_feed_span(text: &str) -> Option<Range<usize>> {
    let parsed = ast::parse::Parser::new().parse(text).ok()?;
    ast::visit(&parsed, FindLineFeed { span: None }).ok()?
}

struct FindLineFeed {
    span: Option<Range<usize>>,
}

impl FindLineFeed {
    fn look_at(&mut self, literal: &ast::Literal) {
        if literal.c == '\n' && self.span.is_none() {
            self.span = Some(literal.span.start.offset..literal.span.end.offset);
        }
    }
}

impl ast::Visitor for FindLineFeed {
    type Output = Option<Range<usize>>;
    type Err = ();

    fn finish(self) -> Result<Self::Output, ()> {
        Ok(self.span)
    }

    fn visit_pre(&mut self, ast: &ast::Ast) -> Result<(), ()> {
        if let ast::Ast::Literal(literal) = ast {
            self.look_at(literal);
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ast::ClassSetItem) -> Result<(), ()> {
        if let ast::ClassSetItem::Literal(literal) = item {
            self.look_at(literal);
        }
        Ok(())
    }
}
