//! A condition seen from outside: its parts, for the matcher, which plans what to search for. What
//! the parts mean for a line is said by `holds`, here as for the whole.

use super::value::{Operator, Value};
use super::{Expression, Field, Node};
use crate::fields::Fields;
use crate::language::pattern::Pattern;

/// A condition, or one of the conditions that it is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'e> {
    expression: &'e Expression,
    node: &'e Node,
}

/// What a part asks for.
#[derive(Debug)]
pub(crate) enum Shape<'e> {
    /// One of these.
    Or(Vec<Part<'e>>),
    /// All of these.
    And(Vec<Part<'e>>),
    /// The opposite of another.
    Not,
    /// The field equals one of these.
    Equals(&'e str, &'e [Value]),
    /// The field is more than this, or equal to it.
    Above(&'e str, &'e Value),
    /// The pattern matches in the field's value.
    Matches(&'e str, &'e Pattern),
    /// The field is there; and perhaps more.
    Present(&'e str),
}

impl Expression {
    /// The whole condition.
    pub(crate) fn whole(&self) -> Part<'_> {
        Part {
            expression: self,
            node: &self.root,
        }
    }
}

impl<'e> Part<'e> {
    /// Whether it holds for these fields.
    pub(crate) fn holds(self, fields: &Fields) -> bool {
        self.expression.node_holds(self.node, fields)
    }

    pub(crate) fn shape(self) -> Shape<'e> {
        match self.node {
            Node::Or(nodes) => Shape::Or(self.of(nodes)),
            Node::And(nodes) => Shape::And(self.of(nodes)),
            Node::Not(_) => Shape::Not,
            Node::Compare(field, Operator::Equal, value) => {
                Shape::Equals(self.name(*field), std::slice::from_ref(value))
            }
            Node::In(field, values) => Shape::Equals(self.name(*field), values),
            Node::Compare(field, Operator::Greater | Operator::GreaterOrEqual, value) => {
                Shape::Above(self.name(*field), value)
            }
            Node::Matches(field, pattern) => Shape::Matches(self.name(*field), pattern),
            Node::Exists(field) | Node::Compare(field, ..) | Node::NotIn(field, _) => {
                Shape::Present(self.name(*field))
            }
        }
    }

    /// The one field that it asks for; `None` when there are several.
    pub(crate) fn only_field(self) -> Option<&'e str> {
        match self.node {
            Node::Or(nodes) | Node::And(nodes) => {
                let mut fields = nodes.iter().map(|node| Self { node, ..self }.only_field());
                let first = fields.next()??;
                fields.all(|field| field == Some(first)).then_some(first)
            }
            Node::Not(node) => Self { node, ..self }.only_field(),
            Node::Exists(field)
            | Node::Compare(field, ..)
            | Node::In(field, _)
            | Node::NotIn(field, _)
            | Node::Matches(field, _) => Some(self.name(*field)),
        }
    }

    fn of(self, nodes: &'e [Node]) -> Vec<Self> {
        nodes.iter().map(|node| Self { node, ..self }).collect()
    }

    fn name(self, field: Field) -> &'e str {
        let name = self.expression.names.get(field.0);
        name.map_or("", |name| name.name.as_str())
    }
}
