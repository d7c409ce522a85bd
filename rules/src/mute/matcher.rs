//! Matchers as Alertmanager writes them: `name="value"`, `!=`, `=~`, `!~`; patterns are anchored at
//! both ends. Several may stand in one text, with commas between them, in braces or not.

use std::fmt;

use regex_automata::meta::Regex;
use regex_syntax::hir::{Hir, Look};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Labels;

/// How a value is held against a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Matches,
    MatchesNot,
}

/// Longest first: `=` begins `=~`.
const OPERATORS: [(&str, Operator); 4] = [
    ("=~", Operator::Matches),
    ("!~", Operator::MatchesNot),
    ("!=", Operator::NotEqual),
    ("=", Operator::Equal),
];

/// One condition on one label.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: String,
    operator: Operator,
    value: String,
    /// Of `value`, where it is one.
    pattern: Option<Regex>,
}

/// Why a text is no matcher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// It has no operator, or nothing before it.
    #[error("`{0}` is no matcher: write name=value, name!=value, name=~pattern or name!~pattern")]
    Form(String),
    /// The text in quotes does not end, or something follows it.
    #[error("`{0}` has a quote without its other half")]
    Quote(String),
    /// The pattern is wrong.
    #[error("bad pattern in `{text}`: {why}")]
    Pattern {
        /// The matcher.
        text: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Matcher {
    /// What this field is equal to.
    pub fn equal(name: &str, value: &str) -> Self {
        Self {
            name: name.to_owned(),
            operator: Operator::Equal,
            value: value.to_owned(),
            pattern: None,
        }
    }

    /// Whether an alert's label is as it asks.
    pub fn matches(&self, labels: &Labels<'_>) -> bool {
        self.takes(labels.get(&self.name))
    }

    /// The label that it asks for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text or the pattern that the label is held against.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label that is not there would do.
    pub fn takes_nothing(&self) -> bool {
        self.takes("")
    }

    /// Whether a label with this value would do.
    pub fn takes(&self, value: &str) -> bool {
        let fits = |pattern: &Option<Regex>| {
            pattern
                .as_ref()
                .is_some_and(|pattern| pattern.is_match(value))
        };
        match self.operator {
            Operator::Equal => value == self.value,
            Operator::NotEqual => value != self.value,
            Operator::Matches => fits(&self.pattern),
            Operator::MatchesNot => !fits(&self.pattern),
        }
    }
}

/// Whether all of them match.
pub fn all_match(matchers: &[Matcher], labels: &Labels<'_>) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels))
}

/// The same text means the same matcher.
impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.operator, &self.value) == (&other.name, other.operator, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = OPERATORS
            .iter()
            .find(|(_, operator)| *operator == self.operator);
        let operator = operator.map_or("=", |(text, _)| *text);
        write!(f, "{}{operator}\"", self.name)?;
        for c in self.value.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => write!(f, "\\n")?,
                _ => write!(f, "{c}")?,
            }
        }
        write!(f, "\"")
    }
}

/// As its text.
impl Serialize for Matcher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_one(&text).map_err(serde::de::Error::custom)
    }
}

/// Reads one or several matchers: `a="b"`, `a="b", c=~d`, `{a="b"}`.
///
/// # Errors
///
/// The first one that is wrong.
pub fn parse(text: &str) -> Result<Vec<Matcher>, MatcherError> {
    let inner = text.trim();
    let inner = inner
        .strip_prefix('{')
        .and_then(|inner| inner.strip_suffix('}'))
        .unwrap_or(inner);
    pieces(inner).into_iter().map(parse_one).collect()
}

/// Parts between those commas behind which another matcher begins: a comma in a pattern is none.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut begin = 0;
    let (mut in_quotes, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_quotes => escaped = true,
            '"' => in_quotes = !in_quotes,
            ',' if !in_quotes => {
                let rest = text.get(at + 1..).unwrap_or_default();
                if rest.trim().is_empty() || split(rest).is_some() {
                    pieces.push(text.get(begin..at).unwrap_or_default());
                    begin = at + 1;
                }
            }
            _ => {}
        }
    }
    let last = text.get(begin..).unwrap_or_default();
    if !last.trim().is_empty() || pieces.is_empty() {
        pieces.push(last);
    }
    pieces
}

/// Name, operator and the rest.
fn split(text: &str) -> Option<(&str, Operator, &str)> {
    let text = text.trim_start();
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | ':' | '-' | '@' | '/');
    let (name, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => text.split_at(text.find(|c| !is_name(c)).unwrap_or(text.len())),
    };
    let rest = rest.trim_start();
    let (symbol, operator) = OPERATORS
        .iter()
        .find(|(symbol, _)| rest.starts_with(symbol))?;
    let value = rest.get(symbol.len()..)?;
    (!name.is_empty()).then_some((name, *operator, value))
}

/// Reads one matcher; commas are part of its value.
///
/// # Errors
///
/// What is wrong with it.
pub fn parse_one(text: &str) -> Result<Matcher, MatcherError> {
    let text = text.trim();
    let (name, operator, value) = split(text).ok_or_else(|| MatcherError::Form(text.to_owned()))?;
    let value = unquoted(value.trim()).ok_or_else(|| MatcherError::Quote(text.to_owned()))?;
    let wants_pattern = matches!(operator, Operator::Matches | Operator::MatchesNot);
    let pattern = if wants_pattern {
        Some(compile(text, &value)?)
    } else {
        None
    };
    Ok(Matcher {
        name: name.to_owned(),
        operator,
        value,
        pattern,
    })
}

/// `text` is the whole matcher. The pattern is read by itself, and then anchored: nothing in it
/// gets past the anchors.
fn compile(text: &str, pattern: &str) -> Result<Regex, MatcherError> {
    let wrong = |why: String| MatcherError::Pattern {
        text: text.to_owned(),
        why,
    };
    let inner = regex_syntax::parse(pattern).map_err(|error| {
        wrong(match error {
            regex_syntax::Error::Parse(error) => error.kind().to_string(),
            regex_syntax::Error::Translate(error) => error.kind().to_string(),
            _ => "it cannot be read".to_owned(),
        })
    })?;
    let whole = Hir::concat(vec![Hir::look(Look::Start), inner, Hir::look(Look::End)]);
    let regex = Regex::builder().build_from_hir(&whole);
    regex.map_err(|error| wrong(error.to_string()))
}

fn unquoted(text: &str) -> Option<String> {
    let Some(inner) = text.strip_prefix('"') else {
        return (!text.ends_with('"')).then(|| text.to_owned());
    };
    let mut value = String::new();
    let mut chars = inner.chars();
    loop {
        match chars.next()? {
            '"' => return chars.as_str().is_empty().then_some(value),
            '\\' => match chars.next()? {
                'n' => value.push('\n'),
                c @ ('"' | '\\') => value.push(c),
                c => value.extend(['\\', c]),
            },
            c => value.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn matchers_are_read_and_written_as_alertmanager_does() {
        for (text, written) in [
            ("rule=x", vec![r#"rule="x""#]),
            ("host=~web.*", vec![r#"host=~"web.*""#]),
            (r#"{a="b",c!="d, e"}"#, vec![r#"a="b""#, r#"c!="d, e""#]),
            (r#" a = "b" , c !~ d|e "#, vec![r#"a="b""#, r#"c!~"d|e""#]),
            ("a=~x{1,3}", vec![r#"a=~"x{1,3}""#]),
            (r#"a="say \"hi\"\\""#, vec![r#"a="say \"hi\"\\""#]),
            ("a=", vec![r#"a="""#]),
            (r#"{a="b",}"#, vec![r#"a="b""#]),
            (r#"a=~"10\.2\..*""#, vec![r#"a=~"10\\.2\\..*""#]),
        ] {
            let read = parse(text).unwrap();
            let texts: Vec<String> = read.iter().map(Matcher::to_string).collect();
            assert_eq!(texts, written, "{text}");
            let again: Vec<Matcher> = texts.iter().map(|text| parse_one(text).unwrap()).collect();
            assert_eq!(again, read, "{text}");
        }
        for wrong in [
            "",
            "{}",
            "rule",
            "=x",
            r#"a="b"#,
            r#"a=b""#,
            "a=~(",
            // Pasted between anchors, it would be read.
            "a=~x)|(y",
            "a~b",
            r#"a="b"c"#,
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn patterns_are_anchored_and_what_is_absent_is_empty() {
        let labels = BTreeMap::from([("team".to_owned(), "web".to_owned())]);
        let group = BTreeMap::from([
            ("upstream".to_owned(), "10.2.0.7".to_owned()),
            ("host".to_owned(), "db-1".to_owned()),
        ]);
        let about = Labels {
            rule: "r",
            rule_type: "any",
            severity: "critical",
            host: "web-1",
            labels: &labels,
            group: &group,
        };
        for (text, matches) in [
            ("rule=r, severity=~critical|warning, team=web", true),
            ("upstream=~10", false),
            ("upstream=~10.*", true),
            ("upstream!~10", true),
            ("upstream=~10|0", false),
            ("upstream=~(?x)10.* # all", true),
            ("host=web-1", true),
            ("group.host=db-1", true),
            ("labels.team!=web", false),
            ("nothing=", true),
            ("nothing!=x", true),
            ("nothing=~.+", false),
            ("type=any", true),
        ] {
            let matchers = parse(text).unwrap();
            assert_eq!(all_match(&matchers, &about), matches, "{text}");
        }
    }
}
