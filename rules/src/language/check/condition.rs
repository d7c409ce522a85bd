//! A rule's `type` and the keys that belong to it → [`ConditionSpec`] and the rule's parts.

use std::sync::Arc;
use std::time::Duration;

use super::matching;
use crate::language::mask::Masks;
use crate::language::quantity::duration_text;
use crate::language::reader::{Keys, Reader, Section, meant, shown};
use crate::language::rule::{ConditionSpec, FireOn, Match, Reference, SpikeSpec, SpikeType};
use crate::language::yaml::{Node, Value};
use crate::model::Part;

pub(super) const TYPES: &[&str] = &[
    "any",
    "frequency",
    "spike",
    "flatline",
    "new_term",
    "cardinality",
    "percentage_match",
    "pair",
    "sequence",
    "new_pattern",
];

/// Keys that belong to some types only.
pub(super) const OWN_KEYS: &[(&str, &[&str])] = &[
    ("num_events", &["frequency"]),
    (
        "timeframe",
        &[
            "frequency",
            "spike",
            "flatline",
            "cardinality",
            "percentage_match",
        ],
    ),
    ("spike_type", &["spike"]),
    ("spike_height", &["spike"]),
    ("threshold_ref", &["spike"]),
    ("threshold_cur", &["spike"]),
    ("reference", &["spike"]),
    ("threshold", &["flatline"]),
    ("fields", &["new_term"]),
    ("terms_window_size", &["new_term"]),
    ("learn_for", &["new_term", "new_pattern"]),
    ("cardinality_field", &["cardinality"]),
    ("max_cardinality", &["cardinality"]),
    ("min_cardinality", &["cardinality"]),
    ("match_bucket", &["percentage_match"]),
    ("min_denominator", &["percentage_match"]),
    ("min_percentage", &["percentage_match"]),
    ("max_percentage", &["percentage_match"]),
    ("start", &["pair"]),
    ("finish", &["pair"]),
    ("within", &["pair", "sequence"]),
    ("fire_on", &["pair"]),
    ("steps", &["sequence"]),
    ("mask", &["new_pattern"]),
    ("also_when", &["new_pattern"]),
    ("returned_after", &["new_pattern"]),
];

pub(super) const REFERENCE_KEYS: Keys = Keys {
    of: "`reference`",
    known: &["same_time"],
};

/// What a key that is missing may look like.
const EXAMPLES: &[(&str, &str)] = &[
    ("num_events", "10"),
    ("timeframe", "5m"),
    ("within", "5m"),
    ("spike_height", "3"),
    ("fields", "[user]"),
    ("cardinality_field", "remote_addr"),
    ("max_cardinality", "100"),
    ("max_percentage", "20"),
    ("match_bucket", "{where: 'status >= 500'}"),
    ("start", "{contains: ['started']}"),
    ("finish", "{contains: ['finished']}"),
    (
        "steps",
        "[{contains: ['failed'], num_events: 5}, {contains: ['accepted']}]",
    ),
];

const MOMENT: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_hours(24);
const MONTH: Duration = Duration::from_hours(30 * 24);
const YEAR: Duration = Duration::from_hours(366 * 24);
/// Counts that an operator writes.
const MOST: u64 = 1_000_000_000;

/// Reads the type and its keys; `None` when one of them is wrong or missing.
pub(super) fn read(
    reader: &mut Reader,
    section: &Section<'_>,
) -> Option<(ConditionSpec, Vec<Match>)> {
    let Some(node) = section.get("type") else {
        let help = format!("one of {}", TYPES.join(", "));
        reader.error(
            "missing-key",
            section.place,
            "a rule needs a `type`",
            Some(help),
        );
        return None;
    };
    let name = reader.text(node, "type")?;
    if !TYPES.contains(&name) {
        let help = meant(name, TYPES.iter().copied());
        let help = help.unwrap_or_else(|| format!("one of {}", TYPES.join(", ")));
        let message = format!("there is no type `{}`", shown(node));
        reader.error("unknown-type", &node.place, message, Some(help));
        return None;
    }
    foreign_keys(reader, section, name);
    let mut keys = OfType { reader, section };
    let without_parts = match name {
        "frequency" => keys.frequency(),
        "spike" => keys.spike(),
        "flatline" => keys.flatline(),
        "new_term" => keys.new_term(),
        "cardinality" => keys.cardinality(),
        "new_pattern" => keys.new_pattern(),
        "percentage_match" => return keys.percentage_match(),
        "pair" => return keys.pair(),
        "sequence" => return keys.sequence(),
        _ => Some(ConditionSpec::Any),
    };
    without_parts.map(|spec| (spec, Vec::new()))
}

fn foreign_keys(reader: &mut Reader, section: &Section<'_>, of: &str) {
    for (key, _) in section.entries() {
        let Some((_, types)) = OWN_KEYS.iter().find(|(name, _)| *name == key.text) else {
            continue;
        };
        if types.contains(&of) {
            continue;
        }
        let message = format!("`{}` means nothing to a rule of type `{of}`", key.text);
        let help = format!("it belongs to `type: {}`", types.join("`, `type: "));
        reader.error("foreign-key", &key.place, message, Some(help));
    }
}

/// A value is wrong, and that was said.
struct Wrong;

/// The keys of one rule.
struct OfType<'r, 's> {
    reader: &'r mut Reader,
    section: &'s Section<'s>,
}

impl<'s> OfType<'_, 's> {
    fn required(&mut self, key: &str) -> Option<&'s Node> {
        let node = self.section.get(key);
        if node.is_none() {
            let message = format!("this type of rule needs `{key}`");
            let example = EXAMPLES.iter().find(|(name, _)| *name == key);
            let help = example.map(|(key, value)| format!("add it, such as `{key}: {value}`"));
            self.reader
                .error("missing-key", self.section.place, message, help);
        }
        node
    }

    fn timeframe(&mut self) -> Option<Duration> {
        let node = self.required("timeframe")?;
        self.reader.duration(node, "timeframe", MOMENT..=YEAR)
    }

    fn within(&mut self) -> Option<Duration> {
        let node = self.required("within")?;
        self.reader.duration(node, "within", MOMENT..=YEAR)
    }

    /// A duration with a default; `None` when it is wrong.
    fn span(&mut self, key: &str, default: Duration, least: Duration) -> Option<Duration> {
        match self.section.get(key) {
            Some(node) => self.reader.duration(node, key, least..=YEAR),
            None => Some(default),
        }
    }

    /// A count with a default; `None` when it is wrong.
    fn count(&mut self, key: &str, default: u64, least: u64) -> Option<u64> {
        match self.section.get(key) {
            Some(node) => self.reader.integer(node, key, least..=MOST),
            None => Some(default),
        }
    }

    /// A bound that may be left out.
    fn bound(&mut self, key: &str) -> Result<Option<u64>, Wrong> {
        let Some(node) = self.section.get(key) else {
            return Ok(None);
        };
        let number = self.reader.integer(node, key, 1..=MOST);
        number.ok_or(Wrong).map(Some)
    }

    fn percentage(&mut self, key: &str) -> Result<Option<f64>, Wrong> {
        let Some(node) = self.section.get(key) else {
            return Ok(None);
        };
        let number = self.reader.number(node, key).ok_or(Wrong)?;
        if (0.0..=100.0).contains(&number) {
            return Ok(Some(number));
        }
        let message = format!("`{key}` must be from 0 to 100");
        let help = Some(format!("it is a share in percent: `{key}: 20`"));
        self.reader
            .error("out-of-range", &node.place, message, help);
        Err(Wrong)
    }

    /// Says that one of two keys is needed, or that they contradict each other.
    fn bounds<T: PartialOrd>(
        &mut self,
        keys: [&str; 2],
        least: Option<T>,
        most: Option<T>,
    ) -> Option<()> {
        let [low, high] = keys;
        match (least, most) {
            (None, None) => {
                let message = format!("this type of rule needs `{high}` or `{low}`");
                let example = EXAMPLES.iter().find(|(name, _)| *name == high);
                let help = example.map(|(key, value)| format!("add it, such as `{key}: {value}`"));
                self.reader
                    .error("missing-key", self.section.place, message, help);
                None
            }
            (Some(least), Some(most)) if least > most => {
                let place = self
                    .section
                    .get(low)
                    .map_or(self.section.place, |node| &node.place);
                let message = format!("`{low}` is more than `{high}`");
                let help =
                    Some("it fires outside of the two: put the smaller number here".to_owned());
                self.reader.error("out-of-range", place, message, help);
                None
            }
            _ => Some(()),
        }
    }

    fn frequency(&mut self) -> Option<ConditionSpec> {
        let num_events = self.required("num_events").and_then(|node| {
            self.reader
                .integer(node, "num_events", 1..=ConditionSpec::MAX_EVENTS)
        });
        let timeframe = self.timeframe();
        Some(ConditionSpec::Frequency {
            num_events: num_events?,
            timeframe: timeframe?,
        })
    }

    fn spike(&mut self) -> Option<ConditionSpec> {
        const DIRECTIONS: &[(&str, SpikeType)] = &[
            ("up", SpikeType::Up),
            ("down", SpikeType::Down),
            ("both", SpikeType::Both),
        ];
        let direction = match self.section.get("spike_type") {
            Some(node) => self.reader.choice(node, "spike_type", DIRECTIONS),
            None => Some(SpikeType::Up),
        };
        let height = self.required("spike_height").and_then(|node| {
            let height = self.reader.number(node, "spike_height")?;
            if height > 1.0 && height <= 1e6 {
                return Some(height);
            }
            let message = "`spike_height` must be more than 1, and at most 1000000";
            let help = "3 means three times as many hits as before".to_owned();
            self.reader
                .error("out-of-range", &node.place, message, Some(help));
            None
        });
        let timeframe = self.timeframe();
        let threshold_ref = self.count("threshold_ref", 10, 0);
        let threshold_cur = self.count("threshold_cur", 10, 0);
        let reference = self.reference(timeframe);
        Some(ConditionSpec::Spike(SpikeSpec {
            direction: direction?,
            height: height?,
            timeframe: timeframe?,
            threshold_ref: threshold_ref?,
            threshold_cur: threshold_cur?,
            reference: reference?,
        }))
    }

    fn reference(&mut self, timeframe: Option<Duration>) -> Option<Reference> {
        let Some(node) = self.section.get("reference") else {
            return Some(Reference::Previous);
        };
        if !matches!(node.value, Value::Map(_)) {
            let words = &[("previous", Reference::Previous)];
            return self.reader.choice(node, "reference", words);
        }
        let section = self.reader.section(node, REFERENCE_KEYS)?;
        let Some(node) = section.get("same_time") else {
            let help = Some("write `reference: {same_time: 7d}`".to_owned());
            let message = "`reference` needs `same_time`";
            self.reader
                .error("missing-key", section.place, message, help);
            return None;
        };
        let least = timeframe.unwrap_or(MOMENT);
        let most = least
            .saturating_mul(ConditionSpec::MOST_WINDOWS_BACK)
            .min(MONTH * 3);
        let span = self.reader.duration(node, "same_time", MOMENT..=YEAR)?;
        if (least..=most).contains(&span) {
            return Some(Reference::SameTime(span));
        }
        let message = format!(
            "with this `timeframe`, `same_time` must be from {} to {}",
            duration_text(least),
            duration_text(most)
        );
        let help = Some("`same_time: 7d` is the same time a week ago".to_owned());
        self.reader
            .error("out-of-range", &node.place, message, help);
        None
    }

    fn flatline(&mut self) -> Option<ConditionSpec> {
        let threshold = match self.section.get("threshold") {
            Some(node) => self
                .reader
                .integer(node, "threshold", 1..=ConditionSpec::MAX_EVENTS),
            None => Some(1),
        };
        let timeframe = self.timeframe();
        Some(ConditionSpec::Flatline {
            threshold: threshold?,
            timeframe: timeframe?,
        })
    }

    fn new_term(&mut self) -> Option<ConditionSpec> {
        let fields = self.required("fields").and_then(|node| self.fields(node));
        let terms_window_size = self.span("terms_window_size", MONTH, MOMENT);
        let learn_for = self.span("learn_for", DAY, Duration::ZERO);
        Some(ConditionSpec::NewTerm {
            fields: fields?,
            terms_window_size: terms_window_size?,
            learn_for: learn_for?,
        })
    }

    /// Each item is a field, or a list of fields.
    fn fields(&mut self, node: &Node) -> Option<Vec<Vec<String>>> {
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let fields: Vec<Vec<String>> = items
            .iter()
            .map(|item| self.reader.texts(item, "fields"))
            .collect();
        let is_empty = fields.is_empty() || fields.iter().any(Vec::is_empty);
        if is_empty || fields.len() > ConditionSpec::MAX_TERMS {
            let message = format!(
                "`fields` takes 1 to {} fields, or lists of fields",
                ConditionSpec::MAX_TERMS
            );
            let help = "write `fields: [user, [user, remote_addr]]`".to_owned();
            self.reader
                .error("bad-value", &node.place, message, Some(help));
            return None;
        }
        for (n, (item, of_item)) in items.iter().zip(&fields).enumerate() {
            let message = if of_item.iter().any(|name| name.trim().is_empty()) {
                "`fields` names a field without a name".to_owned()
            } else if fields.iter().take(n).any(|before| before == of_item) {
                format!("`fields` names `{}` twice", of_item.join(", "))
            } else {
                continue;
            };
            let help = "write `fields: [user, [user, remote_addr]]`".to_owned();
            self.reader
                .error("bad-value", &item.place, message, Some(help));
        }
        Some(fields)
    }

    fn cardinality(&mut self) -> Option<ConditionSpec> {
        let field = self
            .required("cardinality_field")
            .and_then(|node| Some((self.reader.text(node, "cardinality_field")?, node)));
        if let Some((_, node)) = field.filter(|(name, _)| name.trim().is_empty()) {
            let message = "`cardinality_field` is a field without a name";
            let help = "write `cardinality_field: remote_addr`".to_owned();
            self.reader
                .error("bad-value", &node.place, message, Some(help));
        }
        let (min, max) = (self.bound("min_cardinality"), self.bound("max_cardinality"));
        let timeframe = self.timeframe();
        let (min, max) = (min.ok()?, max.ok()?);
        self.bounds(["min_cardinality", "max_cardinality"], min, max)?;
        Some(ConditionSpec::Cardinality {
            field: field?.0.to_owned(),
            min,
            max,
            timeframe: timeframe?,
        })
    }

    fn percentage_match(&mut self) -> Option<(ConditionSpec, Vec<Match>)> {
        let bucket = self
            .required("match_bucket")
            .map(|node| matching::read(self.reader, node));
        let min = self.percentage("min_percentage");
        let max = self.percentage("max_percentage");
        let min_denominator = self.count("min_denominator", 10, 1);
        let timeframe = self.timeframe();
        let (min, max) = (min.ok()?, max.ok()?);
        self.bounds(["min_percentage", "max_percentage"], min, max)?;
        let spec = ConditionSpec::PercentageMatch {
            min,
            max,
            min_denominator: min_denominator?,
            timeframe: timeframe?,
        };
        Some((spec, vec![bucket?]))
    }

    fn pair(&mut self) -> Option<(ConditionSpec, Vec<Match>)> {
        const WORDS: &[(&str, FireOn)] = &[
            ("missing", FireOn::Missing),
            ("completed", FireOn::Completed),
        ];
        let part = |keys: &mut Self, key: &str| {
            let node = keys.required(key)?;
            Some(matching::read(keys.reader, node))
        };
        let (start, finish) = (part(self, "start"), part(self, "finish"));
        let within = self.within();
        let fire_on = match self.section.get("fire_on") {
            Some(node) => self.reader.choice(node, "fire_on", WORDS),
            None => Some(FireOn::Missing),
        };
        let spec = ConditionSpec::Pair {
            within: within?,
            fire_on: fire_on?,
        };
        Some((spec, vec![start?, finish?]))
    }

    fn sequence(&mut self) -> Option<(ConditionSpec, Vec<Match>)> {
        let within = self.within();
        let node = self.required("steps")?;
        let nodes = self.reader.list(node, "steps");
        let (mut matches, mut num_events) = (Vec::new(), Vec::new());
        for node in nodes {
            let (matching, count) =
                matching::read_step(self.reader, node, ConditionSpec::MAX_STEP_EVENTS);
            matches.push(matching);
            num_events.push(count);
        }
        if !(1..=Part::MAX_STEPS).contains(&nodes.len()) {
            let message = format!("a sequence has 1 to {} `steps`", Part::MAX_STEPS);
            let help = Some(
                "write `steps: [{contains: ['failed']}, {contains: ['accepted']}]`".to_owned(),
            );
            self.reader.error("bad-value", &node.place, message, help);
            return None;
        }
        if num_events.iter().sum::<u32>() > ConditionSpec::MAX_STEP_EVENTS {
            let message = format!(
                "all steps together take at most {} lines",
                ConditionSpec::MAX_STEP_EVENTS
            );
            let help = Some("let the first steps need fewer: `num_events: 100`".to_owned());
            self.reader
                .error("out-of-range", &node.place, message, help);
            return None;
        }
        let spec = ConditionSpec::Sequence {
            num_events,
            within: within?,
        };
        Some((spec, matches))
    }

    fn new_pattern(&mut self) -> Option<ConditionSpec> {
        let learn_for = self.span("learn_for", DAY, Duration::ZERO);
        let masks = match self.section.get("mask") {
            Some(node) => self.masks(node),
            None => Some(Masks::all()),
        };
        let returns = match self.section.get("also_when") {
            Some(node) => self.also_when(node),
            None => Some(false),
        };
        let returned_after = self.span("returned_after", MONTH, MOMENT);
        let returns = returns?;
        if let Some(node) = self.section.get("returned_after")
            && !returns
        {
            let help = Some("add `also_when: [returned]`".to_owned());
            let message = "`returned_after` means nothing without `also_when`";
            self.reader.error("foreign-key", &node.place, message, help);
            return None;
        }
        Some(ConditionSpec::NewPattern {
            learn_for: learn_for?,
            masks: Arc::new(masks?),
            returned_after: returned_after.filter(|_| returns),
        })
    }

    fn masks(&mut self, node: &Node) -> Option<Masks> {
        let items = self.reader.text_nodes(node, "mask");
        let texts: Vec<&str> = items.iter().map(|(text, _)| *text).collect();
        match Masks::new(&texts) {
            Ok(masks) => Some(masks),
            Err(errors) => {
                for (index, error) in errors {
                    let place = items.get(index).map_or(node.place.clone(), |(_, node)| {
                        node.place_within(&error.span)
                    });
                    self.reader
                        .error("bad-regex", &place, error.message, error.help);
                }
                None
            }
        }
    }

    /// Whether what was not seen for long is told again.
    fn also_when(&mut self, node: &Node) -> Option<bool> {
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut returns = false;
        for item in items {
            returns |= self
                .reader
                .choice(item, "also_when", &[("returned", true)])?;
        }
        Some(returns)
    }
}
