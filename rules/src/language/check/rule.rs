//! One rule's map → [`Rule`].

use std::time::Duration;

use super::defaults::{self, Defaults, check_realert, shared_key};
use super::{Known, inline_test, matching, unknown_name};
use crate::language::reader::{Keys, Reader, Section, meant, shown};
use crate::language::redact::Redactor;
use crate::language::rule::{ConditionSpec, Rule};
use crate::language::template::Template;
use crate::language::yaml::{Key, Node, Value};
use crate::model::{Mode, Severity};

pub(super) const RULE_KEYS: Keys = Keys {
    of: "a rule",
    known: &[
        "name",
        "summary",
        "description",
        "severity",
        "labels",
        "runbook_url",
        "dashboard_url",
        "inputs",
        "mode",
        "match",
        "type",
        "num_events",
        "timeframe",
        "group_by",
        "max_groups",
        "top_count_keys",
        "samples",
        "redact",
        "realert",
        "exponential_realert",
        "resolve_after",
        "notify",
        "tests",
    ],
    not_yet: &[
        "context",
        "escalate",
        "attach",
        "active_time_intervals",
        "mute_time_intervals",
        "fold_groups",
        "expand_repeats",
        // Keys of the types that are not there yet.
        "spike_type",
        "spike_height",
        "threshold_ref",
        "threshold_cur",
        "reference",
        "threshold",
        "fields",
        "terms_window_size",
        "learn_for",
        "cardinality_field",
        "max_cardinality",
        "min_cardinality",
        "match_bucket",
        "min_denominator",
        "min_percentage",
        "max_percentage",
        "start",
        "finish",
        "within",
        "fire_on",
        "steps",
        "mask",
        "also_when",
        "returned_after",
    ],
};
const TYPES: &[&str] = &["any", "frequency"];
const TYPES_NOT_YET: &[&str] = &[
    "spike",
    "flatline",
    "new_term",
    "cardinality",
    "percentage_match",
    "pair",
    "sequence",
    "new_pattern",
];
const YEAR: Duration = Duration::from_hours(366 * 24);

/// Reads one rule: its name, where it has one, and the rule, where it has no error.
pub(super) fn read(
    reader: &mut Reader,
    node: &Node,
    defaults: &Defaults,
    known: Known<'_>,
) -> Option<(Key, Option<Rule>)> {
    let before = reader.problems.len();
    let section = section(reader, node)?;
    let name = name(reader, &section);
    let rule = rule(reader, &section, defaults, known, name.as_ref());
    let clean = reader
        .problems
        .iter()
        .skip(before)
        .all(|p| p.level != crate::language::diagnostic::Level::Error);
    name.map(|name| (name, rule.filter(|_| clean)))
}

/// Checks the keys; those of a type that is not there yet are told by their type alone.
fn section<'n>(reader: &mut Reader, node: &'n Node) -> Option<Section<'n>> {
    let before = reader.problems.len();
    let section = reader.section(node, RULE_KEYS)?;
    let of_unknown_type = section.get("type").is_some_and(|node| {
        matches!(&node.value, Value::Scalar(scalar) if TYPES_NOT_YET.contains(&scalar.text.as_str()))
    });
    if of_unknown_type {
        let own = RULE_KEYS
            .not_yet
            .iter()
            .skip_while(|key| **key != "spike_type");
        let messages: Vec<String> = own.map(|key| format!("`{key}` is not yet known")).collect();
        let mut at = 0;
        reader.problems.retain(|problem| {
            at += 1;
            at <= before
                || !messages
                    .iter()
                    .any(|message| problem.message.starts_with(message))
        });
    }
    Some(section)
}

fn name(reader: &mut Reader, section: &Section<'_>) -> Option<Key> {
    let Some(node) = section.get("name") else {
        reader.error("missing-key", section.place, "a rule needs a `name`", None);
        return None;
    };
    let text = reader.text(node, "name")?;
    let fine = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if text.is_empty() || text.len() > 200 || !text.bytes().all(fine) {
        let help = "use lower-case letters, digits and `-`, at most 200".to_owned();
        reader.error(
            "bad-name",
            &node.place,
            format!("`{}` is no name for a rule", shown(node)),
            Some(help),
        );
    }
    Some(Key {
        text: text.to_owned(),
        place: node.place.clone(),
    })
}

fn rule(
    reader: &mut Reader,
    section: &Section<'_>,
    defaults: &Defaults,
    known: Known<'_>,
    name: Option<&Key>,
) -> Option<Rule> {
    let mut own = Defaults::default();
    for (key, value) in section.entries() {
        if !matches!(value.value, Value::Null) {
            shared_key(reader, &key.text, value, known, &mut own);
        }
    }
    let shared = own.over(defaults);
    let realert = shared.realert.unwrap_or(defaults::REALERT);
    if let (Some(node), Some(most)) = (
        section.get("exponential_realert"),
        shared.exponential_realert,
    ) {
        check_realert(reader, node, realert, most);
    }
    let condition = condition(reader, section);
    let group_by = texts(reader, section, "group_by");
    let matching = section
        .get("match")
        .map(|node| matching::read(reader, node))
        .unwrap_or_default();
    let redact = shared
        .redact
        .as_ref()
        .map(|node| redactor(reader, node))
        .unwrap_or_default();
    let summary = template(reader, section, "summary", &group_by);
    let condition_name = condition.as_ref().map_or("any", ConditionSpec::name);
    let name = name?;
    Some(Rule {
        name: name.text.clone(),
        place: name.place.clone(),
        summary: summary.or_else(|| default_summary(condition_name))?,
        description: optional_text(reader, section, "description").unwrap_or_default(),
        severity: shared.severity.unwrap_or(Severity::Warning),
        labels: shared.labels.unwrap_or_default(),
        runbook_url: template(reader, section, "runbook_url", &group_by),
        dashboard_url: template(reader, section, "dashboard_url", &group_by),
        inputs: inputs(reader, section, known),
        mode: shared.mode.unwrap_or(Mode::Live),
        matching: std::sync::Arc::new(matching),
        top_count_keys: texts(reader, section, "top_count_keys"),
        max_groups: shared.max_groups.unwrap_or(defaults::MAX_GROUPS),
        samples: shared.samples.unwrap_or(defaults::SAMPLES),
        redact,
        realert,
        exponential_realert: shared.exponential_realert,
        resolve_after: shared.resolve_after.unwrap_or(defaults::RESOLVE_AFTER),
        notify: shared.notify,
        tests: section
            .get("tests")
            .map(|node| inline_test::read(reader, node))
            .unwrap_or_default(),
        group_by,
        condition: condition?,
    })
}

fn condition(reader: &mut Reader, section: &Section<'_>) -> Option<ConditionSpec> {
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
    match reader.text(node, "type")? {
        "any" => {
            foreign_keys(reader, section, "any", &["num_events", "timeframe"]);
            Some(ConditionSpec::Any)
        }
        "frequency" => {
            let num_events = required(reader, section, "num_events", |reader, node| {
                reader.integer(node, "num_events", 1..=ConditionSpec::MAX_EVENTS)
            });
            let timeframe = required(reader, section, "timeframe", |reader, node| {
                reader.duration(node, "timeframe", Duration::from_millis(1)..=YEAR)
            });
            Some(ConditionSpec::Frequency {
                num_events: num_events?,
                timeframe: timeframe?,
            })
        }
        later if TYPES_NOT_YET.contains(&later) => {
            reader.not_yet(&node.place, &format!("the type `{later}`"));
            None
        }
        other => {
            let help = meant(other, TYPES.iter().chain(TYPES_NOT_YET).copied());
            let help = help.unwrap_or_else(|| format!("one of {}", TYPES.join(", ")));
            reader.error(
                "unknown-type",
                &node.place,
                format!("there is no type `{}`", shown(node)),
                Some(help),
            );
            None
        }
    }
}

fn required<T>(
    reader: &mut Reader,
    section: &Section<'_>,
    key: &str,
    read: impl Fn(&mut Reader, &Node) -> Option<T>,
) -> Option<T> {
    let Some(node) = section.get(key) else {
        reader.error(
            "missing-key",
            section.place,
            format!("this type of rule needs `{key}`"),
            None,
        );
        return None;
    };
    read(reader, node)
}

fn foreign_keys(reader: &mut Reader, section: &Section<'_>, of: &str, foreign: &[&str]) {
    for (key, _) in section
        .entries()
        .iter()
        .filter(|(key, _)| foreign.contains(&key.text.as_str()))
    {
        let message = format!("`{}` means nothing to a rule of type `{of}`", key.text);
        reader.error(
            "foreign-key",
            &key.place,
            message,
            Some("it belongs to `type: frequency`".to_owned()),
        );
    }
}

fn texts(reader: &mut Reader, section: &Section<'_>, key: &str) -> Vec<String> {
    section
        .get(key)
        .map(|node| reader.texts(node, key))
        .unwrap_or_default()
}

fn optional_text(reader: &mut Reader, section: &Section<'_>, key: &str) -> Option<String> {
    reader.text(section.get(key)?, key).map(str::to_owned)
}

fn inputs(reader: &mut Reader, section: &Section<'_>, known: Known<'_>) -> Vec<String> {
    let Some(node) = section.get("inputs") else {
        return Vec::new();
    };
    let names = reader.text_nodes(node, "inputs");
    for (name, node) in &names {
        let glob = match globset::Glob::new(name) {
            Ok(glob) => glob.compile_matcher(),
            Err(error) => {
                reader.error(
                    "bad-glob",
                    &node.place,
                    format!("bad glob: {}", error.kind()),
                    None,
                );
                continue;
            }
        };
        if let Some(inputs) = known.inputs
            && !inputs.iter().any(|input| glob.is_match(input))
        {
            unknown_name(reader, node, name, "input", inputs);
        }
    }
    names.into_iter().map(|(name, _)| name.to_owned()).collect()
}

fn redactor(reader: &mut Reader, node: &Node) -> Redactor {
    let items = reader.text_nodes(node, "redact");
    let texts: Vec<&str> = items.iter().map(|(text, _)| *text).collect();
    match Redactor::new(&texts) {
        Ok(redactor) => redactor,
        Err(errors) => {
            for (index, error) in errors {
                let place = items.get(index).map_or(node.place.clone(), |(_, node)| {
                    node.place_within(&error.span)
                });
                reader.error("bad-regex", &place, error.message, error.help);
            }
            Redactor::default()
        }
    }
}

fn template(
    reader: &mut Reader,
    section: &Section<'_>,
    key: &str,
    group_by: &[String],
) -> Option<Template> {
    let node = section.get(key)?;
    match Template::new(reader.text(node, key)?, group_by) {
        Ok(template) => Some(template),
        Err(error) => {
            let place = error
                .span
                .map_or(node.place.clone(), |span| node.place_within(&span));
            reader.error("bad-template", &place, error.message, error.help);
            None
        }
    }
}

fn default_summary(of_type: &str) -> Option<Template> {
    const OF: &str = "{% for name, value in group|items %}{{ ', ' if not loop.first else ' for ' }}{{ name }} {{ value }}{% endfor %}";
    let what = match of_type {
        "frequency" => {
            "{% if reason == 'first' %}{{ count }} hits in {{ timeframe }}{% else %}{{ count }} hits since {{ first_hit_at }}{% endif %}"
        }
        _ => "{{ count }} {{ 'hit' if count == 1 else 'hits' }}",
    };
    Template::new(
        &format!("{{{{ rule }}}}: {what}{OF} on {{{{ host }}}}"),
        &[],
    )
    .ok()
}
