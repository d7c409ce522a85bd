//! Whether the matchers of inhibit rules can match an alert of any rule. What cannot is a warning:
//! such a rule is in order, but it mutes nothing, or other alerts than meant, and nobody would see.
//!
//! What an alert's host and the values of its group are is not known here: any will do.

use std::collections::BTreeSet;

use super::SEVERITIES;
use super::inhibition::{Side, Written};
use crate::language::diagnostic::{Place, nearest};
use crate::language::reader::Reader;
use crate::language::rule::{ConditionSpec, Rule};
use crate::mute::Matcher;

/// Labels that every alert has.
const OF_ALL: [&str; 4] = ["rule", "type", "severity", "host"];

/// Values that a help names.
const MOST_NAMED: usize = 8;

/// What is known of a label of a rule's alerts.
enum Label<'r> {
    Is(&'r str),
    Any,
    Absent,
}

/// Adds a warning for each label that no rule has, and for each side that matches no rule.
pub(super) fn check(reader: &mut Reader, written: &[Written], rules: &[Rule]) {
    for inhibit in written {
        for side in &inhibit.sides {
            check_side(reader, side, rules);
        }
        for (name, place) in &inhibit.equal {
            check_name(reader, name, place, rules);
        }
    }
}

fn check_side(reader: &mut Reader, side: &Side, rules: &[Rule]) {
    let mut is_told = false;
    for (matcher, place) in &side.matchers {
        if !check_name(reader, matcher.name(), place, rules) {
            is_told = true;
        } else if !rules.iter().any(|rule| may_match(matcher, rule)) {
            is_told = true;
            let name = matcher.name();
            let message = format!("no rule's `{name}` is matched by `{matcher}`");
            reader.warning("no-match", place, message, Some(meant(matcher, rules)));
        }
    }
    let all = || side.matchers.iter().map(|(matcher, _)| matcher);
    if !is_told && !rules.iter().any(|rule| may_all_match(all(), rule)) {
        let message = format!("no rule is matched by all of `{}`", side.key);
        let help = "all matchers of the list must match the same alert".to_owned();
        reader.warning("no-match", &side.place, message, Some(help));
    }
}

/// Whether some rule's alerts have such a label; says so where none has.
fn check_name(reader: &mut Reader, name: &str, place: &Place, rules: &[Rule]) -> bool {
    if rules
        .iter()
        .any(|rule| !matches!(label(rule, name), Label::Absent))
    {
        return true;
    }
    let own = rules
        .iter()
        .flat_map(|rule| group_fields(rule).chain(rule.labels.keys().map(String::as_str)));
    let help = match nearest(name, OF_ALL.into_iter().chain(own)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "an alert has rule, type, severity, host, the fields of `group_by` and its rule's `labels`".to_owned(),
    };
    let message = format!("no rule has a label or a group field `{name}`");
    reader.warning("no-match", place, message, Some(help));
    false
}

/// Whether an alert of this rule could be matched by all of them.
pub fn may_all_match<'m>(mut matchers: impl Iterator<Item = &'m Matcher>, rule: &Rule) -> bool {
    matchers.all(|matcher| may_match(matcher, rule))
}

fn may_match(matcher: &Matcher, rule: &Rule) -> bool {
    match label(rule, matcher.name()) {
        Label::Is(value) => matcher.takes(value),
        Label::Any => true,
        Label::Absent => matcher.takes_nothing(),
    }
}

/// In the order in which [`crate::mute::Labels::get`] looks.
fn label<'r>(rule: &'r Rule, name: &str) -> Label<'r> {
    let is_group = |name: &str| group_fields(rule).any(|field| field == name);
    let own = |name: &str| rule.labels.get(name).map(|value| Label::Is(value));
    let below = |prefix: &str| name.strip_prefix(prefix);
    match name {
        "rule" => Label::Is(&rule.name),
        "type" => Label::Is(rule.condition.name()),
        "severity" => SEVERITIES
            .iter()
            .find(|(_, severity)| *severity == rule.severity)
            .map_or(Label::Any, |(name, _)| Label::Is(name)),
        "host" => Label::Any,
        _ if is_group(name) => Label::Any,
        _ => own(name)
            .or_else(|| {
                below("group.")
                    .filter(|name| is_group(name))
                    .map(|_| Label::Any)
            })
            .or_else(|| own(below("labels.")?))
            .unwrap_or(Label::Absent),
    }
}

fn group_fields(rule: &Rule) -> impl Iterator<Item = &str> {
    let new = match &rule.condition {
        ConditionSpec::NewTerm { fields, .. } => fields.as_slice(),
        _ => &[],
    };
    let all = rule.group_by.iter().chain(new.iter().flatten());
    all.map(String::as_str)
}

/// The value that was meant, or those that there are.
fn meant(matcher: &Matcher, rules: &[Rule]) -> String {
    let values = rules
        .iter()
        .filter_map(|rule| match label(rule, matcher.name()) {
            Label::Is(value) => Some(value),
            Label::Any | Label::Absent => None,
        });
    let values: BTreeSet<&str> = values.collect();
    if let Some(value) = nearest(matcher.value(), values.iter().copied()) {
        return format!("did you mean `{value}`?");
    }
    let most: Vec<&str> = values.into_iter().take(MOST_NAMED).collect();
    format!("there are: {}", most.join(", "))
}
