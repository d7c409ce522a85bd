//! A condition's text → its words, each with its place.

use std::ops::Range;

use super::ExpressionError;
use super::value::Operator;

/// One word of the text.
#[derive(Clone, Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind<'t>,
    /// Its bytes in the text, quotes and backticks included.
    pub(super) span: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind<'t> {
    /// A name, a keyword or a number.
    Word(&'t str),
    /// A name between backticks.
    Name(&'t str),
    /// What is between quotes, as it stands.
    Quoted(&'t str),
    Compare(Operator),
    Tilde,
    Open,
    Close,
    OpenList,
    CloseList,
    Comma,
    End,
}

/// What people write who think of another language: the longest first.
const FOREIGN: &[(&str, &str)] = &[
    ("===", "write =="),
    ("!==", "write !="),
    ("=~", "write ~"),
    ("!~", "write `not (field ~ 'pattern')`"),
    ("<>", "write !="),
    ("=<", "write <="),
    ("=>", "write >="),
    ("&&", "write `and`"),
    ("||", "write `or`"),
    ("=", "write =="),
    ("&", "write `and`"),
    ("|", "write `or`"),
    ("!", "write `not`"),
    ("{", "lists stand in [ ]"),
    ("}", "lists stand in [ ]"),
];

/// What stands for itself: the longest first.
const SIGNS: &[(&str, Kind<'static>)] = &[
    ("==", Kind::Compare(Operator::Equal)),
    ("!=", Kind::Compare(Operator::NotEqual)),
    ("<=", Kind::Compare(Operator::LessOrEqual)),
    (">=", Kind::Compare(Operator::GreaterOrEqual)),
    ("<", Kind::Compare(Operator::Less)),
    (">", Kind::Compare(Operator::Greater)),
    ("~", Kind::Tilde),
    ("(", Kind::Open),
    (")", Kind::Close),
    ("[", Kind::OpenList),
    ("]", Kind::CloseList),
    (",", Kind::Comma),
];

/// All words of `text`, the last of them `End`.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, ExpressionError> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let start = text.len() - rest.len();
        let (kind, len) = token(rest).map_err(|error| error.moved(start))?;
        tokens.push(Token {
            kind,
            span: start..start + len,
        });
        rest = rest.get(len..).unwrap_or_default().trim_start();
    }
    tokens.push(Token {
        kind: Kind::End,
        span: text.len()..text.len(),
    });
    Ok(tokens)
}

impl ExpressionError {
    /// The same one in a text that begins `by` bytes earlier.
    pub(super) fn moved(mut self, by: usize) -> Self {
        self.span = self.span.start + by..self.span.end + by;
        self
    }
}

/// The word at the start of `rest`, which is not empty, and its length.
fn token(rest: &str) -> Result<(Kind<'_>, usize), ExpressionError> {
    for quote in ['"', '\''] {
        if let Some(behind) = rest.strip_prefix(quote) {
            let text = quoted(behind, quote).ok_or_else(|| unclosed(rest, quote))?;
            return Ok((Kind::Quoted(text), text.len() + 2));
        }
    }
    if let Some(behind) = rest.strip_prefix('`') {
        return match behind.split_once('`') {
            Some(("", _)) => Err(error("a name is empty", None, 0..2)),
            Some((name, _)) => Ok((Kind::Name(name), name.len() + 2)),
            None => Err(unclosed(rest, '`')),
        };
    }
    let foreign = FOREIGN.iter().find(|(sign, _)| rest.starts_with(sign));
    let sign = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign));
    match (foreign, sign) {
        (Some((foreign, _)), Some((sign, kind))) if sign.len() >= foreign.len() => {
            return Ok((*kind, sign.len()));
        }
        (Some((foreign, help)), _) => {
            return Err(error(
                format!("`{foreign}` is not known here"),
                Some(help),
                0..foreign.len(),
            ));
        }
        (None, Some((sign, kind))) => return Ok((*kind, sign.len())),
        (None, None) => {}
    }
    let len = word_len(rest);
    match rest.get(..len) {
        Some(word) if !word.is_empty() => Ok((Kind::Word(word), len)),
        _ => Err(odd_character(rest)),
    }
}

/// What stands between the quotes: up to the first `quote` that no backslash escapes.
fn quoted(text: &str, quote: char) -> Option<&str> {
    let mut is_escaped = false;
    let end = text.find(|character| {
        let is_end = character == quote && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        is_end
    })?;
    text.get(..end)
}

/// The length of the name, keyword or number at the start of `rest`; 0 when there is none. A plus
/// belongs to a number's exponent only.
fn word_len(rest: &str) -> usize {
    let is_number = rest
        .trim_start_matches('-')
        .starts_with(|first: char| first.is_ascii_digit());
    let mut before = ' ';
    rest.find(|character: char| {
        let is_inner = character.is_alphanumeric()
            || matches!(character, '_' | '.' | '-' | '@')
            || character == '+' && is_number && matches!(before, 'e' | 'E');
        before = character;
        !is_inner
    })
    .unwrap_or(rest.len())
}

fn unclosed(rest: &str, quote: char) -> ExpressionError {
    let help = format!("close it with {quote}");
    error("this quote is never closed", Some(&help), 0..rest.len())
}

fn odd_character(rest: &str) -> ExpressionError {
    let character = rest.chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
    let help = "values stand in quotes, field names with other signs than _ . - @ in backticks";
    let message = format!("`{}` is not known here", character.escape_debug());
    error(message, Some(help), 0..character.len_utf8())
}

pub(super) fn error(
    message: impl Into<String>,
    help: Option<&str>,
    span: Range<usize>,
) -> ExpressionError {
    ExpressionError {
        message: message.into(),
        help: help.map(str::to_owned),
        span,
    }
}
