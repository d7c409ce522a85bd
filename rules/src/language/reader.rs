//! Typed reading of a tree: each reader gives a value or adds a problem with its place, and never
//! stops the rest. Rule files and `lapwing.yaml` are read with the same ones.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Level, Place, nearest};
use super::quantity;
use super::yaml::{Key, Node, Value};

/// The keys that a map may have.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// What the map is, for messages: `a rule`.
    pub of: &'static str,
    /// Those that it may have.
    pub known: &'static [&'static str],
}

/// A map whose keys have been checked.
#[derive(Clone, Copy, Debug)]
pub struct Section<'n> {
    entries: &'n [(Key, Node)],
    /// Where it stands.
    pub place: &'n Place,
}

impl<'n> Section<'n> {
    /// The value of a key; a key without a value (`key:`) counts as absent.
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key)
            .map(|(_, value)| value)
            .filter(|node| !matches!(node.value, Value::Null))
    }

    /// A key with its value, whatever that is.
    pub fn entry(&self, key: &str) -> Option<&'n (Key, Node)> {
        self.entries.iter().find(|(name, _)| name.text == key)
    }

    /// All keys and values.
    pub fn entries(&self) -> &'n [(Key, Node)] {
        self.entries
    }
}

/// Reads nodes and gathers what is wrong with them.
#[derive(Debug, Default)]
pub struct Reader {
    /// Everything that was wrong so far.
    pub problems: Vec<Diagnostic>,
    /// Bytes that the large patterns of all rules so far take when compiled.
    pub large_patterns: usize,
}

impl Reader {
    /// Adds an error.
    pub fn error(
        &mut self,
        code: &'static str,
        place: &Place,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let (level, place, message) = (Level::Error, place.clone(), message.into());
        self.problems.push(Diagnostic {
            code,
            level,
            place,
            message,
            help,
        });
    }

    /// Adds a warning.
    pub fn warning(
        &mut self,
        code: &'static str,
        place: &Place,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let (level, place, message) = (Level::Warning, place.clone(), message.into());
        self.problems.push(Diagnostic {
            code,
            level,
            place,
            message,
            help,
        });
    }

    /// A map with these keys; a key that is not among them is an error with the nearest known one.
    pub fn section<'n>(&mut self, node: &'n Node, keys: Keys) -> Option<Section<'n>> {
        let section = self.any_keys(node, keys.of)?;
        for (key, _) in section.entries {
            self.known(&key.text, &key.place, keys);
        }
        Some(section)
    }

    /// A map whose keys are up to the operator (labels, names of inputs).
    pub fn any_keys<'n>(&mut self, node: &'n Node, of: &str) -> Option<Section<'n>> {
        match &node.value {
            Value::Map(entries) => Some(Section {
                entries,
                place: &node.place,
            }),
            Value::Null => Some(Section {
                entries: &[],
                place: &node.place,
            }),
            _ => {
                self.wrong_type(
                    node,
                    &format!("{of} is written as keys and values"),
                    "write `key: value`",
                );
                None
            }
        }
    }

    fn known(&mut self, key: &str, place: &Place, keys: Keys) {
        if !keys.known.contains(&key) {
            let message = format!("unknown key `{key}` in {}", keys.of);
            let help = meant(key, keys.known.iter().copied()).or_else(|| Some(all_keys(keys)));
            self.error("unknown-key", place, message, help);
        }
    }

    /// Adds an error about a value of the wrong kind.
    pub fn wrong_type(&mut self, node: &Node, message: &str, help: &str) {
        self.error("wrong-type", &node.place, message, Some(help.to_owned()));
    }

    /// One word or text, numbers included.
    pub fn text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        if let Value::Scalar(scalar) = &node.value {
            return Some(&scalar.text);
        }
        self.wrong_type(
            node,
            &format!("`{what}` takes one text"),
            "write one value; put it in quotes if it has `: ` or ` #` in it",
        );
        None
    }

    /// A list of texts; one text stands for a list of one.
    pub fn texts(&mut self, node: &Node, what: &str) -> Vec<String> {
        self.text_nodes(node, what)
            .into_iter()
            .map(|(text, _)| text.to_owned())
            .collect()
    }

    /// A list of texts with their nodes; one text stands for a list of one.
    pub fn text_nodes<'n>(&mut self, node: &'n Node, what: &str) -> Vec<(&'n str, &'n Node)> {
        match &node.value {
            Value::List(items) => items
                .iter()
                .filter_map(|item| Some((self.text(item, what)?, item)))
                .collect(),
            _ => self
                .text(node, what)
                .map(|text| (text, node))
                .into_iter()
                .collect(),
        }
    }

    /// A list; anything else is an error.
    pub fn list<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.value {
            Value::List(items) => items,
            Value::Null => &[],
            _ => {
                self.wrong_type(
                    node,
                    &format!("`{what}` takes a list"),
                    "begin each item with `- `",
                );
                &[]
            }
        }
    }

    /// Keys and values, both texts.
    pub fn text_map(&mut self, node: &Node, what: &str) -> BTreeMap<String, String> {
        let Some(section) = self.any_keys(node, &format!("`{what}`")) else {
            return BTreeMap::new();
        };
        let mut map = BTreeMap::new();
        for (key, value) in section.entries {
            if let Some(text) = self.text(value, &key.text) {
                map.insert(key.text.clone(), text.to_owned());
            }
        }
        map
    }

    /// A duration within `bounds`.
    pub fn duration(
        &mut self,
        node: &Node,
        what: &str,
        bounds: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let span = self.parsed(
            node,
            what,
            "a duration",
            quantity::DURATION_HELP,
            quantity::duration,
        )?;
        if bounds.contains(&span) {
            return Some(span);
        }
        let [least, most] = [*bounds.start(), *bounds.end()].map(quantity::duration_text);
        self.error(
            "out-of-range",
            &node.place,
            format!("`{what}` must be from {least} to {most}"),
            Some(format!(
                "write `{what}: {nearest}`",
                nearest = if span < *bounds.start() {
                    &least
                } else {
                    &most
                }
            )),
        );
        None
    }

    /// A number of bytes within `bounds`.
    pub fn size(&mut self, node: &Node, what: &str, bounds: RangeInclusive<u64>) -> Option<u64> {
        let bytes = self.parsed(node, what, "a size", quantity::SIZE_HELP, quantity::size)?;
        self.bounded(node, what, bytes, bounds)
    }

    /// A whole number within `bounds`.
    pub fn integer<T>(&mut self, node: &Node, what: &str, bounds: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        let help = format!(
            "write a whole number from {} to {}",
            bounds.start(),
            bounds.end()
        );
        // A number too large for `T` is a number all the same: say what its bounds are.
        let is_number = |text: &str| text.parse::<i128>().ok();
        self.parsed(node, what, "a whole number", &help, is_number)?;
        let Value::Scalar(scalar) = &node.value else {
            return None;
        };
        if let Ok(number) = scalar.text.parse::<T>() {
            self.bounded(node, what, number, bounds)
        } else {
            self.out_of_range(node, what, &bounds);
            None
        }
    }

    /// Any finite number.
    pub fn number(&mut self, node: &Node, what: &str) -> Option<f64> {
        let finite = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
        self.parsed(node, what, "a number", "write a number", finite)
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        let truth = |text: &str| text.parse::<bool>().ok();
        self.parsed(
            node,
            what,
            "true or false",
            "write `true` or `false`",
            truth,
        )
    }

    /// One of these words.
    pub fn choice<T: Copy>(&mut self, node: &Node, what: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, what)?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let words = || choices.iter().map(|(word, _)| *word);
        let help = meant(text, words())
            .unwrap_or_else(|| format!("one of {}", words().collect::<Vec<_>>().join(", ")));
        let message = format!("`{what}` cannot be `{}`", shown(node));
        self.error("bad-value", &node.place, message, Some(help));
        None
    }

    fn parsed<T>(
        &mut self,
        node: &Node,
        what: &str,
        kind: &str,
        help: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(node, what)?;
        let value = parse(text);
        if value.is_none() {
            let message = format!("`{what}` takes {kind}, and `{}` is none", shown(node));
            self.error("bad-value", &node.place, message, Some(help.to_owned()));
        }
        value
    }

    fn bounded<T: PartialOrd + Display>(
        &mut self,
        node: &Node,
        what: &str,
        value: T,
        bounds: RangeInclusive<T>,
    ) -> Option<T> {
        if bounds.contains(&value) {
            return Some(value);
        }
        self.out_of_range(node, what, &bounds);
        None
    }

    fn out_of_range<T: Display>(&mut self, node: &Node, what: &str, bounds: &RangeInclusive<T>) {
        let message = format!(
            "`{what}` must be from {} to {}",
            bounds.start(),
            bounds.end()
        );
        let is_below = matches!(&node.value, Value::Scalar(scalar) if scalar.text.starts_with('-') || scalar.text == "0");
        let help = if is_below {
            format!("the least is `{what}: {}`", bounds.start())
        } else {
            format!("the most is `{what}: {}`", bounds.end())
        };
        self.error("out-of-range", &node.place, message, Some(help));
    }
}

/// The keys of a map, where they are few enough to be read.
fn all_keys(keys: Keys) -> String {
    if keys.known.len() <= 12 {
        format!("the keys of {} are {}", keys.of, keys.known.join(", "))
    } else {
        "leave it out; `lapwing schema` and rules/LANGUAGE.md have all keys".to_owned()
    }
}

/// `did you mean …?`, when a known word is near.
pub fn meant<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, known).map(|name| format!("did you mean `{name}`?"))
}

/// A scalar as it may be shown in a message, cut to a sensible length.
pub fn shown(node: &Node) -> String {
    const MOST: usize = 60;
    let Value::Scalar(scalar) = &node.value else {
        return "…".to_owned();
    };
    let text = scalar.shown();
    if text.chars().count() <= MOST {
        text.to_owned()
    } else {
        text.chars().take(MOST).chain(['…']).collect()
    }
}
