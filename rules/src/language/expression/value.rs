//! Values of a condition, and how the bytes of a field compare with them.

use std::cmp::Ordering;

/// A value as the operator wrote it.
#[derive(Debug)]
pub(crate) struct Value {
    text: Vec<u8>,
    number: Option<Number>,
}

/// How a field is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    /// Whether it holds between two sides that are ordered so.
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

impl Value {
    pub(super) fn new(text: Vec<u8>) -> Self {
        let number = Number::read(&text);
        Self { text, number }
    }

    /// Its bytes, escapes undone.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The double that it compares as where it looks like a number. Finite.
    pub(crate) fn number(&self) -> Option<f64> {
        self.number.map(|number| number.decimal)
    }

    /// Whether `found operator self` holds.
    pub(super) fn accepts(&self, operator: Operator, found: &[u8]) -> bool {
        match (self.number, Number::read(found)) {
            (Some(value), Some(found)) => found
                .compare(value)
                .is_some_and(|order| operator.holds(order)),
            (None, None) => operator.holds(found.cmp(&self.text)),
            _ => operator == Operator::NotEqual,
        }
    }
}

/// What looks like a number: `-12`, `0.5`, `1e6`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    /// Identifiers of 64 bits and more must not be taken for their neighbours.
    integer: Option<i128>,
    /// Finite.
    decimal: f64,
}

impl Number {
    /// Longer texts are not numbers: nobody writes them, and reading one takes time.
    const MAX_BYTES: usize = 64;

    /// `-?digits[.digits][e[+-]digits]`, nothing else, and not too large for a double.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let unsigned = text.strip_prefix(b"-").unwrap_or(text);
        let starts_like_one = unsigned.first().is_some_and(u8::is_ascii_digit);
        if !starts_like_one || text.len() > Self::MAX_BYTES {
            return None;
        }
        let rest = skip_digits(unsigned)?;
        let is_integer = rest.is_empty();
        let rest = match rest.strip_prefix(b".") {
            Some(rest) => skip_digits(rest)?,
            None => rest,
        };
        let rest = match rest {
            [b'e' | b'E', b'+' | b'-', rest @ ..] | [b'e' | b'E', rest @ ..] => skip_digits(rest)?,
            rest => rest,
        };
        if !rest.is_empty() {
            return None;
        }
        let text = str::from_utf8(text).ok()?;
        let decimal: f64 = text.parse().ok()?;
        let integer = if is_integer { text.parse().ok() } else { None };
        decimal.is_finite().then_some(Self { integer, decimal })
    }

    /// As integers where both are, else as doubles.
    fn compare(self, other: Self) -> Option<Ordering> {
        match (self.integer, other.integer) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => self.decimal.partial_cmp(&other.decimal),
        }
    }
}

/// What is behind the digits at the start of `text`; at least one must be there.
fn skip_digits(text: &[u8]) -> Option<&[u8]> {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    (end > 0).then(|| &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_looks_like_a_number() {
        for text in [
            "0",
            "-1",
            "007",
            "1.50",
            "1e6",
            "1E-3",
            "2e+9",
            "340282366920938463463374607431768211456",
        ] {
            assert!(Number::read(text.as_bytes()).is_some(), "{text}");
        }
        let long = "1".repeat(65);
        for text in [
            "", "-", "+1", ".5", "1.", "1e", "1e+", "e1", "0x10", "1_000", " 1", "1 ", "--1",
            "inf", "nan", "1e999", "10.0.0.1", &long,
        ] {
            assert!(Number::read(text.as_bytes()).is_none(), "{text}");
        }
    }
}
