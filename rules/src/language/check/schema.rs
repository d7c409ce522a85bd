//! The JSON Schema of rule files and of test files, from the keys that are checked and the values
//! that they take.

use serde_json::{Value, json};

use super::condition::{OWN_KEYS, REFERENCE_KEYS, TYPES};
use super::inline_test::{EXPECT_KEYS, LINE_KEYS, NAMED_TEST_KEYS, TEST_KEYS};
use super::matching::{MATCH_KEYS, NOT_KEYS, STEP_KEYS};
use super::{FILE_KEYS, defaults, rule, test_file};
use crate::fields::Format;
use crate::language::reader::Keys;
use crate::language::rule::ConditionSpec;
use crate::language::schema::{
    Row, boolean, choice, duration, integer, list, list_or_one, map, number, reference, text,
    text_map, texts,
};

/// What each type cannot be without.
const REQUIRED: &[(&str, &[&str])] = &[
    ("any", &[]),
    ("frequency", &["num_events", "timeframe"]),
    ("spike", &["spike_height", "timeframe"]),
    ("flatline", &["timeframe"]),
    ("new_term", &["fields"]),
    ("cardinality", &["cardinality_field", "timeframe"]),
    ("percentage_match", &["match_bucket", "timeframe"]),
    ("pair", &["start", "finish", "within"]),
    ("sequence", &["steps", "within"]),
    ("new_pattern", &[]),
];

/// What stands under `$defs`, and the names of the two kinds of file in it: `rule_file` and
/// `test_file`.
pub fn definitions() -> Value {
    json!({
        "defaults": map(defaults::KEYS, &shared(), &[]),
        "match": map(MATCH_KEYS, &matching(), &[]),
        "not": map(NOT_KEYS, &matching(), &[]),
        "step": map(STEP_KEYS, &matching(), &[]),
        "rule": rule_schema(),
        "test": test(TEST_KEYS, &["lines", "expect"]),
        "named_test": test(NAMED_TEST_KEYS, &["rule", "lines", "expect"]),
        "rule_file": map(FILE_KEYS, &[
            ("version", integer(1, 1), "Of the language: 1"),
            ("defaults", reference("defaults"), "What a rule that does not say otherwise has"),
            ("rules", list(&reference("rule")), "The rules; names are unique over all files"),
            ("inhibit_rules", list(&json!({"type": "object"})), "While one alert fires, others are kept quiet"),
            ("time_intervals", list(&json!({"type": "object"})), "Named times, for active_time_intervals and mute_time_intervals"),
        ], &[]),
        "test_file": map(test_file::TEST_FILE_KEYS, &[
            ("version", integer(1, 1), "Of the language: 1"),
            ("rule_files", texts(), "Files, globs or pack:NAME that hold the tested rules, relative to this file"),
            ("tests", list(&reference("named_test")), "What must come of which lines"),
        ], &["tests"]),
    })
}

/// A test file where it looks like one, else a rule file. Refers to [`definitions`].
pub fn any_rule_file() -> Value {
    json!({
        "if": {"anyOf": [{"required": ["rule_files"]}, {"required": ["tests"]}], "not": {"required": ["rules"]}},
        "then": reference("test_file"),
        "else": reference("rule_file"),
    })
}

fn rule_schema() -> Value {
    let mut rows = shared();
    rows.extend(common());
    rows.extend(of_types());
    let mut schema = map(rule::RULE_KEYS, &rows, &["name", "type"]);
    let by_type: Vec<Value> = TYPES.iter().map(|name| of_type(name)).collect();
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("allOf".to_owned(), by_type.into());
    }
    schema
}

/// Of one type: what it needs, and the keys that mean nothing to it.
fn of_type(name: &str) -> Value {
    let required = REQUIRED.iter().find(|(of, _)| *of == name);
    let required = required.map_or(&[][..], |(_, keys)| keys);
    let foreign = OWN_KEYS.iter().filter(|(_, types)| !types.contains(&name));
    let foreign: serde_json::Map<String, Value> = foreign
        .map(|(key, _)| ((*key).to_owned(), Value::Bool(false)))
        .collect();
    json!({
        "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
        "then": {"required": required, "properties": foreign},
    })
}

/// Keys that rules and `defaults` have in common.
#[expect(clippy::too_many_lines, reason = "a table")]
fn shared() -> Vec<Row> {
    let severities: Vec<&str> = defaults::SEVERITIES.iter().map(|(word, _)| *word).collect();
    let modes: Vec<&str> = defaults::MODES.iter().map(|(word, _)| *word).collect();
    vec![
        ("severity", choice(&severities), "How bad it is [warning]"),
        (
            "mode",
            choice(&modes),
            "live; shadow does all but notify; off does nothing [live]",
        ),
        (
            "realert",
            duration(),
            "Quiet time between notifications of an alert [10m]",
        ),
        (
            "exponential_realert",
            duration(),
            "realert doubles with each further one, up to this",
        ),
        (
            "resolve_after",
            duration(),
            "It ends when the condition has not held for so long [5m]",
        ),
        ("samples", integer(0, 100), "Lines kept for the message [5]"),
        (
            "max_groups",
            integer(1, 1_000_000),
            "Beyond, the group idle longest goes first [10000]",
        ),
        (
            "notify",
            texts(),
            "Names of outputs [every output]; []: nobody",
        ),
        ("labels", text_map(), "Copied to each notification"),
        (
            "redact",
            texts(),
            "email, ip or a pattern: blanked before anything is stored or sent",
        ),
        (
            "context",
            json!({"type": "object"}),
            "Neighbouring lines of the samples: {before: 3, after: 3}",
        ),
        ("attach", texts(), "graph, history"),
        (
            "escalate",
            json!({"type": "object"}),
            "{after: 10m, unless: acked, notify: [pager]}",
        ),
        (
            "fold_groups",
            json!({"type": ["integer", "object"]}),
            "More groups than this are told as one alert",
        ),
        (
            "dedupe",
            choice(&["none", "template"]),
            "template: samples that differ in numbers only are shown once",
        ),
        (
            "expand_repeats",
            boolean(),
            "`message repeated 40 times` counts 40",
        ),
        (
            "active_time_intervals",
            texts(),
            "Notifies in these time intervals only",
        ),
        (
            "mute_time_intervals",
            texts(),
            "Notifies outside of these time intervals only",
        ),
    ]
}

/// Keys of all rules.
fn common() -> Vec<Row> {
    vec![
        (
            "name",
            json!({"type": "string", "pattern": "^[a-z0-9-]{1,200}$"}),
            "Unique over all files",
        ),
        (
            "summary",
            text(),
            "A template: {{ count }} of {{ group.path }}",
        ),
        (
            "description",
            text(),
            "What it means and what to do first; a template",
        ),
        ("runbook_url", text(), "What to do about it; a template"),
        ("dashboard_url", text(), "Where to look; a template"),
        ("inputs", texts(), "Names or globs of inputs [every input]"),
        (
            "match",
            reference("match"),
            "Which lines count; every key given must hold",
        ),
        ("type", choice(TYPES), "When it counts as trouble"),
        (
            "group_by",
            texts(),
            "Each set of values of these fields has an alert of its own",
        ),
        (
            "top_count_keys",
            texts(),
            "Fields whose five commonest values the message holds",
        ),
        (
            "tests",
            list(&reference("test")),
            "Lines, and what must come of them",
        ),
    ]
}

/// Keys of some types.
#[expect(clippy::too_many_lines, reason = "a table")]
fn of_types() -> Vec<Row> {
    let many = || integer(0, 1_000_000_000);
    let percent = || json!({"type": "number", "minimum": 0, "maximum": 100});
    let events = || integer(1, u64::from(ConditionSpec::MAX_EVENTS));
    let same_time: &[Row] = &[("same_time", duration(), "The window that ended so long ago")];
    let reference_shape =
        json!({"anyOf": [{"const": "previous"}, map(REFERENCE_KEYS, same_time, &["same_time"])]});
    vec![
        ("num_events", events(), "So many hits fire; inclusive"),
        ("timeframe", duration(), "The sliding window"),
        ("spike_type", choice(&["up", "down", "both"]), "[up]"),
        (
            "spike_height",
            json!({"type": "number", "exclusiveMinimum": 1, "maximum": 1e6}),
            "How many times more, or fewer",
        ),
        (
            "threshold_ref",
            many(),
            "With fewer hits in the reference nothing is judged [10]",
        ),
        (
            "threshold_cur",
            many(),
            "With fewer hits there is no spike up [10]",
        ),
        ("reference", reference_shape, "previous, or {same_time: 7d}"),
        (
            "threshold",
            events(),
            "Fewer hits than this in timeframe fire [1]",
        ),
        (
            "fields",
            list_or_one(&texts()),
            "Each item is a field, or a list of fields",
        ),
        (
            "terms_window_size",
            duration(),
            "A term not seen for so long is new again [30d]",
        ),
        (
            "learn_for",
            duration(),
            "From the first hit on nothing is said for so long [1d]",
        ),
        (
            "cardinality_field",
            text(),
            "The field whose distinct values count",
        ),
        ("max_cardinality", many(), "More values fire"),
        ("min_cardinality", many(), "Fewer values fire"),
        (
            "match_bucket",
            reference("match"),
            "The hits whose share is measured",
        ),
        (
            "min_denominator",
            many(),
            "With fewer hits nothing is judged [10]",
        ),
        ("min_percentage", percent(), "A smaller share fires"),
        ("max_percentage", percent(), "A larger share fires"),
        ("start", reference("match"), "Where a pair begins"),
        ("finish", reference("match"), "Where a pair ends"),
        ("within", duration(), "How long it may take"),
        ("fire_on", choice(&["missing", "completed"]), "[missing]"),
        ("steps", list(&reference("step")), "In order, 1 to 16"),
        (
            "mask",
            texts(),
            "number ip uuid hex path email, or a pattern: what varies in a shape",
        ),
        (
            "also_when",
            list_or_one(&choice(&["returned"])),
            "Also tell shapes that are back",
        ),
        ("returned_after", duration(), "Of so long a silence [30d]"),
    ]
}

fn matching() -> Vec<Row> {
    let most = u64::from(ConditionSpec::MAX_STEP_EVENTS);
    vec![
        ("contains", texts(), "Any of these texts, byte for byte"),
        (
            "regex",
            texts(),
            "Any of these patterns; named groups become fields",
        ),
        (
            "ignore_case",
            boolean(),
            "For contains, regex and not [false]",
        ),
        ("where", text(), "status >= 500 and path != \"/healthz\""),
        ("not", reference("not"), "None of these"),
        ("num_events", integer(1, most), "Lines of this step [1]"),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn test(keys: Keys, required: &[&str]) -> Value {
    let names: Vec<&str> = Format::NAMES
        .iter()
        .copied()
        .filter(|name| *name != "pattern")
        .chain(["auto"])
        .collect();
    let line = map(
        LINE_KEYS,
        &[
            (
                "at",
                duration(),
                "When it comes, from the test's start [0s]",
            ),
            ("every", duration(), "Between one and the next"),
            ("repeat", integer(1, 1_000_000), "How often [1]"),
            (
                "line",
                text(),
                "The line; one that holds line feeds is a record",
            ),
        ],
        &["line"],
    );
    let count = || integer(0, u64::MAX);
    let expect = map(
        EXPECT_KEYS,
        &[
            (
                "at",
                duration(),
                "After everything up to and including this time",
            ),
            ("alerts", count(), "Alerts that started so far"),
            ("resolved", count(), "Alerts that ended so far"),
            (
                "notifications",
                count(),
                "Notifications so far that nothing kept back",
            ),
            ("count", count(), "Of the latest alert"),
            ("suppressed", count(), "Of the latest alert"),
            ("value", number(), "Of the latest alert"),
            (
                "group",
                text_map(),
                "Of the latest alert; the keys given must be equal",
            ),
        ],
        &["at"],
    );
    map(
        keys,
        &[
            ("rule", text(), "The rule that is tested"),
            ("name", text(), "What it proves"),
            (
                "format",
                choice(&names),
                "How the lines are written [as the rule's input, or by looking]",
            ),
            ("lines", list(&line), "What comes"),
            ("expect", list(&expect), "What must have come of it"),
        ],
        required,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every place that may be anything, by its path.
    fn unsaid(schema: &Value, path: &str, found: &mut Vec<String>) {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            for (key, shape) in properties {
                if shape.as_object().is_some_and(serde_json::Map::is_empty) {
                    found.push(format!("{path}.{key}"));
                }
            }
        }
        for (key, inner) in schema.as_object().into_iter().flatten() {
            unsaid(inner, &format!("{path}.{key}"), found);
        }
    }

    #[test]
    fn the_schema_says_of_every_key_what_it_takes() {
        let mut found = Vec::new();
        unsaid(&definitions(), "", &mut found);
        assert_eq!(found, [""; 0], "give each a row in this file");
    }

    #[test]
    fn every_type_says_what_it_needs() {
        let named: Vec<&str> = REQUIRED.iter().map(|(name, _)| *name).collect();
        assert_eq!(named, TYPES);
    }
}
