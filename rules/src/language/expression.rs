//! `where`: a condition over a line's fields, such as
//! `status in [502, 503] and path != "/healthz"`.
//!
//! - `== != < <= > >=`, `in [..]`, `not in [..]`, `~ 'regex'`, `exists(x)`, `not`, `and`, `or`,
//!   parentheses; `not` binds closest, then `and`, then `or`.
//! - A field stands on the left, by its name: letters, digits and `_ . - @`; any other name stands
//!   between backticks.
//! - A value is a number (`-1.5e3`) or a text in single or double quotes with the escapes
//!   `\\ \' \" \n \r \t \xHH`. The text behind `~` is a pattern as it stands: its backslashes are
//!   the pattern's.
//! - A comparison with a missing field is false, `!=` and `not in` too; `not (a == 1)` holds then.
//! - Where both sides look like numbers they compare as numbers, in quotes or not. Else `==` and
//!   `!=` compare bytes, and the others do so when neither side is a number; a number is neither
//!   less nor more than a text.
//!
//! `lexer` cuts the text into words, `parser` checks them, `value` compares; here the outcome is
//! applied to lines, and `part` shows it to those who ask what a line must hold.

mod lexer;
mod parser;
mod part;
mod value;

use std::ops::Range;

use self::value::Operator;
use super::pattern::Pattern;
use crate::fields::Fields;

pub(crate) use self::part::{Part, Shape};
pub(crate) use self::value::Value;

/// A checked condition.
#[derive(Debug)]
pub struct Expression {
    text: String,
    names: Vec<Name>,
    root: Node,
}

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// The bytes of the text that are meant.
    pub span: Range<usize>,
}

/// A field that the condition asks for, and where it does so first.
#[derive(Debug)]
struct Name {
    name: String,
    span: Range<usize>,
}

/// A field, as the index of its [`Name`].
#[derive(Clone, Copy, Debug)]
struct Field(usize);

/// Nested no deeper than the text is, which is at most [`Expression::MAX_DEPTH`] levels.
#[derive(Debug)]
enum Node {
    Or(Vec<Node>),
    And(Vec<Node>),
    Not(Box<Node>),
    Exists(Field),
    Compare(Field, Operator, Value),
    In(Field, Vec<Value>),
    NotIn(Field, Vec<Value>),
    Matches(Field, Box<Pattern>),
}

impl Expression {
    /// Parentheses and `not` within each other.
    pub const MAX_DEPTH: usize = 64;
    /// Bytes of the text.
    pub const MAX_LEN: usize = 64 * 1024;

    /// Checks `text`. Nested at most [`Self::MAX_DEPTH`] deep, at most [`Self::MAX_LEN`] bytes.
    ///
    /// # Errors
    ///
    /// The first thing in `text` that is not of this language.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        parser::parse(text)
    }

    /// As the operator wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it holds for these fields. O(expression), patterns linear in the value.
    pub fn holds(&self, fields: &Fields) -> bool {
        self.node_holds(&self.root, fields)
    }

    /// The names of the fields that it asks for, each once, with their place in the text.
    pub fn names(&self) -> Vec<(&str, Range<usize>)> {
        self.names
            .iter()
            .map(|field| (field.name.as_str(), field.span.clone()))
            .collect()
    }

    fn node_holds(&self, node: &Node, fields: &Fields) -> bool {
        let found = |field: &Field| {
            self.names
                .get(field.0)
                .and_then(|field| fields.get(&field.name))
        };
        match node {
            Node::Or(nodes) => nodes.iter().any(|node| self.node_holds(node, fields)),
            Node::And(nodes) => nodes.iter().all(|node| self.node_holds(node, fields)),
            Node::Not(node) => !self.node_holds(node, fields),
            Node::Exists(field) => found(field).is_some(),
            Node::Compare(field, operator, value) => {
                found(field).is_some_and(|text| value.accepts(*operator, text))
            }
            Node::In(field, values) => found(field).is_some_and(|text| is_one_of(text, values)),
            Node::NotIn(field, values) => found(field).is_some_and(|text| !is_one_of(text, values)),
            Node::Matches(field, pattern) => {
                found(field).is_some_and(|text| pattern.is_match(text))
            }
        }
    }
}

fn is_one_of(text: &[u8], values: &[Value]) -> bool {
    values
        .iter()
        .any(|value| value.accepts(Operator::Equal, text))
}

#[cfg(test)]
mod tests;
