//! One rule's map → [`Rule`].

use std::sync::Arc;
use std::time::Duration;

use super::defaults::{self, Defaults, check_realert, shared_key};
use super::speaking::{self, HasGroups};
use super::{Known, Names, condition, inline_test, matching, summary, unknown_name};
use crate::language::reader::{Keys, Reader, Section, shown};
use crate::language::redact::Redactor;
use crate::language::rule::{ConditionSpec, Rule, RuleTest};
use crate::language::template::{OfRule, Template};
use crate::language::yaml::{Key, Node, Value};
use crate::model::{Attachment, Mode, Severity};

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
        "group_by",
        "max_groups",
        "top_count_keys",
        "samples",
        "redact",
        "realert",
        "exponential_realert",
        "resolve_after",
        "notify",
        "escalate",
        "active_time_intervals",
        "mute_time_intervals",
        "fold_groups",
        "expand_repeats",
        "context",
        "dedupe",
        "attach",
        "tests",
        // Those of the types: see `condition::OWN_KEYS`.
        "num_events",
        "timeframe",
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

/// Reads one rule: its name, where it has one, and the rule, where it has no error.
pub(super) fn read(
    reader: &mut Reader,
    node: &Node,
    defaults: &Defaults,
    names: &Names<'_>,
) -> Option<(Key, Option<Rule>)> {
    let before = reader.problems.len();
    let section = reader.section(node, RULE_KEYS)?;
    let name = name(reader, &section);
    let rule = rule(reader, &section, defaults, names, name.as_ref());
    let clean = reader
        .problems
        .iter()
        .skip(before)
        .all(|p| p.level != crate::language::diagnostic::Level::Error);
    name.map(|name| (name, rule.filter(|_| clean)))
}

fn name(reader: &mut Reader, section: &Section<'_>) -> Option<Key> {
    let Some(node) = section.get("name") else {
        let help = Some("add `name: what-it-tells`: lower-case letters, digits and `-`".to_owned());
        reader.error("missing-key", section.place, "a rule needs a `name`", help);
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
    all: &Names<'_>,
    name: Option<&Key>,
) -> Option<Rule> {
    let known = all.known;
    let (shared, realert) = shared_keys(reader, section, defaults, known);
    let spec = condition::read(reader, section);
    let group_by = fields(reader, section, "group_by");
    let matching = section
        .get("match")
        .map(|node| matching::read(reader, node))
        .unwrap_or_default();
    let redact = shared.redact.as_ref();
    let redact = redact
        .map(|node| redactor(reader, node))
        .unwrap_or_default();
    let mut names = group_by.clone();
    if let Some((ConditionSpec::NewTerm { fields, .. }, _)) = &spec {
        names.extend(fields.iter().flatten().cloned());
    }
    let top_count_keys = fields(reader, section, "top_count_keys");
    let messages = messages(reader, section, &names, &top_count_keys, &shared);
    let (inputs, tests) = (inputs(reader, section, known), tests(reader, section));
    let has_groups = HasGroups::of(&group_by, spec.as_ref().map(|(spec, _)| spec));
    let speaking = speaking::read(reader, section, all, has_groups);
    let (name, (condition, parts)) = (name?, spec?);
    Some(Rule {
        name: name.text.clone(),
        place: name.place.clone(),
        summary: messages
            .summary
            .or_else(|| summary::default_of(&condition))?,
        description: messages.description.unwrap_or_default(),
        severity: shared.severity.unwrap_or(Severity::Warning),
        labels: shared.labels.unwrap_or_default(),
        runbook_url: messages.runbook_url,
        dashboard_url: messages.dashboard_url,
        inputs,
        mode: shared.mode.unwrap_or(Mode::Live),
        matching: Arc::new(matching),
        top_count_keys,
        max_groups: shared.max_groups.unwrap_or(defaults::MAX_GROUPS),
        samples: shared.samples.unwrap_or(defaults::SAMPLES),
        redact,
        realert,
        exponential_realert: shared.exponential_realert,
        resolve_after: shared.resolve_after.unwrap_or(defaults::RESOLVE_AFTER),
        notify: shared.notify,
        active_times: speaking.active_times,
        mute_times: speaking.mute_times,
        escalate: shared.escalate,
        fold_groups: speaking.fold_groups,
        repeats: speaking.repeats,
        context: shared.context.unwrap_or_default(),
        dedupe: speaking.dedupe,
        attach: shared.attach.unwrap_or_else(Attachment::all),
        tests,
        group_by,
        parts: parts.into_iter().map(Arc::new).collect(),
        condition,
    })
}

/// What it has in common with `defaults`, and its `realert`.
fn shared_keys(
    reader: &mut Reader,
    section: &Section<'_>,
    defaults: &Defaults,
    known: Known<'_>,
) -> (Defaults, Duration) {
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
    (shared, realert)
}

/// What is said, as templates.
struct Messages {
    summary: Option<Template>,
    description: Option<Template>,
    runbook_url: Option<Template>,
    dashboard_url: Option<Template>,
}

fn messages(
    reader: &mut Reader,
    section: &Section<'_>,
    group_by: &[String],
    top: &[String],
    shared: &Defaults,
) -> Messages {
    let labels = shared.labels.as_ref();
    let labels: Vec<String> = labels
        .into_iter()
        .flat_map(|all| all.keys().cloned())
        .collect();
    let of_rule = OfRule {
        group_by,
        labels: Some(&labels),
        top,
    };
    let mut template = |key| template(reader, section, key, of_rule);
    Messages {
        summary: template("summary"),
        description: template("description"),
        runbook_url: template("runbook_url"),
        dashboard_url: template("dashboard_url"),
    }
}

fn tests(reader: &mut Reader, section: &Section<'_>) -> Vec<RuleTest> {
    let node = section.get("tests");
    node.map(|node| inline_test::read(reader, node))
        .unwrap_or_default()
}

/// Names of fields, each once.
fn fields(reader: &mut Reader, section: &Section<'_>, key: &str) -> Vec<String> {
    let nodes = section.get(key).map(|node| reader.text_nodes(node, key));
    let mut names: Vec<String> = Vec::new();
    for (name, node) in nodes.into_iter().flatten() {
        if name.trim().is_empty() {
            let help = format!("write `{key}: [remote_addr]`, or leave `{key}` out");
            let message = format!("`{key}` names a field without a name");
            reader.error("bad-value", &node.place, message, Some(help));
        } else if names.iter().any(|other| other == name) {
            let message = format!("`{key}` names `{name}` twice");
            reader.error(
                "bad-value",
                &node.place,
                message,
                Some("once is enough".into()),
            );
        }
        names.push(name.to_owned());
    }
    names
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
                    Some("`*` is any text, `[ab]` one of these, `\\[` the sign itself".to_owned()),
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
    of_rule: OfRule<'_>,
) -> Option<Template> {
    let node = section.get(key)?;
    match Template::new(reader.text(node, key)?, of_rule) {
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
