//! The words of a condition → a checked one, or what is wrong and what to write instead.

use super::lexer::{Kind, Token, error, tokens};
use super::value::{Number, Value};
use super::{Expression, ExpressionError, Field, Name, Node};
use crate::language::pattern::{Case, Pattern};

const KEYWORDS: &[&str] = &["and", "or", "not", "in"];
const OPERATORS: &str = "compare it with ==, !=, <, <=, >, >=, ~, in [..] or not in [..]";

/// Checks `text`.
pub(super) fn parse(text: &str) -> Result<Expression, ExpressionError> {
    if text.len() > Expression::MAX_LEN {
        let message = format!("a condition of more than {} bytes", Expression::MAX_LEN);
        return Err(error(message, Some("split the rule in two"), 0..text.len()));
    }
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
        names: Vec::new(),
    };
    if parser.peek() == Kind::End {
        let help = "write a condition, or leave `where` out";
        return Err(error("the condition is empty", Some(help), 0..text.len()));
    }
    let root = parser.any_of()?;
    if parser.peek() != Kind::End {
        return Err(parser.trailing());
    }
    Ok(Expression {
        text: text.to_owned(),
        names: parser.names,
        root,
    })
}

struct Parser<'t> {
    /// Not empty; the last one is `End`.
    tokens: Vec<Token<'t>>,
    at: usize,
    depth: usize,
    names: Vec<Name>,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Kind<'t> {
        self.tokens
            .get(self.at)
            .map_or(Kind::End, |token| token.kind)
    }

    /// The word after the next one.
    fn peek_second(&self) -> Kind<'t> {
        self.tokens
            .get(self.at + 1)
            .map_or(Kind::End, |token| token.kind)
    }

    fn span(&self) -> std::ops::Range<usize> {
        let token = self.tokens.get(self.at).or(self.tokens.last());
        token.map_or(0..0, |token| token.span.clone())
    }

    fn advance(&mut self) {
        self.at += 1;
    }

    /// Passes over `kind`, if that is next.
    fn eats(&mut self, kind: Kind<'_>) -> bool {
        let is_next = self.peek() == kind;
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, kind: Kind<'_>, sign: &str) -> Result<(), ExpressionError> {
        if self.eats(kind) {
            return Ok(());
        }
        Err(self.error_here(
            format!("expected `{sign}`"),
            Some(&format!("add `{sign}` here")),
        ))
    }

    fn error_here(&self, message: impl Into<String>, help: Option<&str>) -> ExpressionError {
        error(message, help, self.span())
    }

    /// `a or b or c`
    fn any_of(&mut self) -> Result<Node, ExpressionError> {
        let first = self.all_of()?;
        let mut nodes = vec![first];
        while self.eats(Kind::Word("or")) {
            nodes.push(self.all_of()?);
        }
        Ok(one_or(nodes, Node::Or))
    }

    /// `a and b and c`
    fn all_of(&mut self) -> Result<Node, ExpressionError> {
        let first = self.condition()?;
        let mut nodes = vec![first];
        while self.eats(Kind::Word("and")) {
            nodes.push(self.condition()?);
        }
        Ok(one_or(nodes, Node::And))
    }

    /// One condition, with any `not` before it.
    fn condition(&mut self) -> Result<Node, ExpressionError> {
        match (self.peek(), self.peek_second()) {
            (Kind::Word("not"), _) => self.nested(|parser| {
                let inner = parser.condition()?;
                Ok(Node::Not(Box::new(inner)))
            }),
            (Kind::Open, _) => self.nested(|parser| {
                let inner = parser.any_of()?;
                if parser.peek() != Kind::Close {
                    return Err(parser.trailing());
                }
                parser.advance();
                Ok(inner)
            }),
            (Kind::Word("exists"), Kind::Open) => {
                self.advance();
                self.advance();
                let field = self.field()?;
                self.expect(Kind::Close, ")")?;
                Ok(Node::Exists(field))
            }
            _ => self.comparison(),
        }
    }

    /// Passes over the next word, then reads `inner` one level deeper.
    fn nested(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<Node, ExpressionError>,
    ) -> Result<Node, ExpressionError> {
        if self.depth == Expression::MAX_DEPTH {
            let message = format!("nested more than {} deep", Expression::MAX_DEPTH);
            return Err(self.error_here(message, Some("split the rule, or use in [..]")));
        }
        self.advance();
        self.depth += 1;
        let node = inner(self);
        self.depth -= 1;
        node
    }

    /// `field operator value`
    fn comparison(&mut self) -> Result<Node, ExpressionError> {
        let name = self.span();
        let field = self.field()?;
        match self.peek() {
            Kind::Compare(operator) => {
                self.advance();
                Ok(Node::Compare(field, operator, self.value()?))
            }
            Kind::Tilde => {
                self.advance();
                Ok(Node::Matches(field, Box::new(self.pattern()?)))
            }
            Kind::Word("in") => {
                self.advance();
                Ok(Node::In(field, self.list()?))
            }
            Kind::Word("not") if self.peek_second() == Kind::Word("in") => {
                self.advance();
                self.advance();
                Ok(Node::NotIn(field, self.list()?))
            }
            Kind::Word(word) if is_shouted(word) => Err(self.shouted(word)),
            Kind::Word(word) if !KEYWORDS.contains(&word) => {
                Err(self.error_here(format!("`{word}` is no comparison"), Some(OPERATORS)))
            }
            _ => Err(error(
                "this field is compared with nothing",
                Some(&format!("{OPERATORS}, or write exists(..)")),
                name,
            )),
        }
    }

    fn field(&mut self) -> Result<Field, ExpressionError> {
        let span = self.span();
        let name = match self.peek() {
            Kind::Name(name) => name,
            Kind::Word(word) if KEYWORDS.contains(&word) => {
                let help = format!("a field of that name is written `{word}`, in backticks");
                return Err(
                    self.error_here(format!("expected a field, found `{word}`"), Some(&help))
                );
            }
            Kind::Word(word) if is_shouted(word) => return Err(self.shouted(word)),
            Kind::Word(word) if Number::read(word.as_bytes()).is_some() => {
                let help = "put the field first, as in status == 502; a field of that name stands in backticks";
                return Err(self.error_here(
                    format!("expected a field, found the number {word}"),
                    Some(help),
                ));
            }
            Kind::Word(word) => word,
            Kind::Quoted(text) => {
                let help = if is_plain_name(text) {
                    format!("a field stands without quotes: {text}")
                } else {
                    "put the field first; an odd name stands in backticks".to_owned()
                };
                return Err(self.error_here("expected a field, found a text", Some(&help)));
            }
            Kind::End => {
                let help = "write a field and what it is compared with";
                return Err(self.error_here("the condition breaks off here", Some(help)));
            }
            _ => {
                return Err(self.error_here("expected a field", Some("write `field == \"value\"`")));
            }
        };
        self.advance();
        let known = self.names.iter().position(|known| known.name == name);
        Ok(Field(known.unwrap_or_else(|| {
            let name = name.to_owned();
            self.names.push(Name { name, span });
            self.names.len() - 1
        })))
    }

    fn value(&mut self) -> Result<Value, ExpressionError> {
        let text = match self.peek() {
            Kind::Quoted(text) => {
                unescape(text).map_err(|error| error.moved(self.span().start + 1))?
            }
            Kind::Word(word) if Number::read(word.as_bytes()).is_some() => word.as_bytes().to_vec(),
            Kind::Word("null" | "nil" | "none") => {
                let help = "a missing field is asked for with exists(..) or not exists(..)";
                return Err(self.error_here("there is no such value", Some(help)));
            }
            Kind::Word(word) | Kind::Name(word) => {
                let help = format!("quote it: \"{word}\"");
                return Err(self.error_here(
                    format!("expected a value, found the word `{word}`"),
                    Some(&help),
                ));
            }
            _ => {
                let help = "write a number, or a text in quotes";
                return Err(self.error_here("expected a value", Some(help)));
            }
        };
        self.advance();
        Ok(Value::new(text))
    }

    /// `[1, "a"]`, a comma at the end allowed.
    fn list(&mut self) -> Result<Vec<Value>, ExpressionError> {
        if !self.eats(Kind::OpenList) {
            return Err(self.error_here(
                "expected a list",
                Some("write it in brackets: in [502, 503]"),
            ));
        }
        if self.peek() == Kind::CloseList {
            return Err(self.error_here(
                "the list is empty",
                Some("nothing is in it: leave the comparison out"),
            ));
        }
        let mut values = vec![self.value()?];
        loop {
            if self.eats(Kind::CloseList) {
                return Ok(values);
            }
            if !self.eats(Kind::Comma) {
                return Err(
                    self.error_here("expected `,` or `]`", Some("write `status in [502, 504]`"))
                );
            }
            if self.peek() != Kind::CloseList {
                values.push(self.value()?);
            }
        }
    }

    fn pattern(&mut self) -> Result<Pattern, ExpressionError> {
        let Kind::Quoted(text) = self.peek() else {
            return Err(
                self.error_here("expected a pattern", Some("write it in quotes: ~ '^/api/'"))
            );
        };
        let start = self.span().start + 1;
        let pattern = Pattern::new(text, Case::Sensitive).map_err(|problem| {
            let span = start + problem.span.start..start + problem.span.end;
            error(problem.message, problem.help.as_deref(), span)
        })?;
        self.advance();
        Ok(pattern)
    }

    /// What is wrong with a word behind a whole condition.
    fn trailing(&self) -> ExpressionError {
        match self.peek() {
            Kind::Word(word) if is_shouted(word) => self.shouted(word),
            Kind::End => self.error_here("a `(` is never closed", Some("close it with )")),
            Kind::Close => self.error_here(
                "this `)` closes nothing",
                Some("leave it out, or open it: `(`"),
            ),
            Kind::Compare(_) | Kind::Tilde => {
                let help = "compare once, then go on with `and` or `or`";
                self.error_here("a second comparison", Some(help))
            }
            _ => self.error_here(
                "expected `and` or `or`",
                Some("join two conditions with `and` or `or`"),
            ),
        }
    }

    fn shouted(&self, word: &str) -> ExpressionError {
        let small = word.to_ascii_lowercase();
        let help = format!("write `{small}`; a field of that name stands in backticks");
        self.error_here(format!("`{word}` is not known here"), Some(&help))
    }
}

fn one_or(mut nodes: Vec<Node>, many: impl FnOnce(Vec<Node>) -> Node) -> Node {
    match nodes.pop() {
        Some(only) if nodes.is_empty() => only,
        Some(last) => {
            nodes.push(last);
            many(nodes)
        }
        None => many(nodes),
    }
}

/// A keyword, but for its case.
fn is_shouted(word: &str) -> bool {
    let is_keyword = KEYWORDS
        .iter()
        .any(|keyword| keyword.eq_ignore_ascii_case(word));
    is_keyword && !KEYWORDS.contains(&word)
}

fn is_plain_name(text: &str) -> bool {
    let is_inner =
        |character: char| character.is_alphanumeric() || matches!(character, '_' | '.' | '-' | '@');
    !text.is_empty() && text.chars().all(is_inner) && Number::read(text.as_bytes()).is_none()
}

/// What a quoted text means.
fn unescape(text: &str) -> Result<Vec<u8>, ExpressionError> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, behind)) = rest.split_once('\\') {
        out.extend_from_slice(plain.as_bytes());
        let (byte, len) = match behind.as_bytes() {
            [b'n', ..] => (b'\n', 1),
            [b'r', ..] => (b'\r', 1),
            [b't', ..] => (b'\t', 1),
            [byte @ (b'\\' | b'"' | b'\''), ..] => (*byte, 1),
            [b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digits = behind.get(1..3).unwrap_or_default();
                (
                    u8::from_str_radix(digits, 16).map_err(|_| bad_escape(text, behind))?,
                    3,
                )
            }
            _ => return Err(bad_escape(text, behind)),
        };
        out.push(byte);
        rest = behind.get(len..).unwrap_or_default();
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}

/// `behind` is what stands behind the backslash in `text`.
fn bad_escape(text: &str, behind: &str) -> ExpressionError {
    let start = text.len() - behind.len() - 1;
    let next = behind.chars().next().map_or(0, char::len_utf8);
    let help = r#"write \\ for a backslash; known are \\ \" \' \n \r \t \xHH"#;
    error(
        "this escape is not known",
        Some(help),
        start..start + 1 + next,
    )
}
