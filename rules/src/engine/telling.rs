//! What there is to say about a group's alert at one moment → [`Notification`].

use std::collections::BTreeMap;

use super::alert::Alert;
use super::fold;
use super::group::{Firing, Group};
use super::rate;
use super::top::Top;
use crate::language::rule::{ConditionSpec, Rule};
use crate::language::template::Template;
use crate::model::{InputState, Notification, Number, Reason, Sample, Status, Timestamp};

/// Why and when something is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occasion {
    pub(super) reason: Reason,
    /// Line time.
    pub(super) at: Timestamp,
    /// Set when the alert has ended.
    pub(super) ended_at: Option<Timestamp>,
    /// Hits since the notification before.
    pub(super) suppressed: u64,
}

/// What the group does not know of where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'a> {
    pub(super) host: &'a str,
    /// Of the latest hit.
    pub(super) input: &'a str,
    pub(super) input_state: Option<InputState>,
}

/// Puts the message together.
pub(super) fn notification(
    rule: &Rule,
    group: &Group,
    firing: &Firing,
    occasion: Occasion,
    names: Names<'_>,
) -> Notification {
    let mut notification = Notification {
        host: names.host.to_owned(),
        input: names.input.to_owned(),
        input_state: names.input_state,
        ..facts(rule, group, firing, occasion)
    };
    let fields = &firing.fields;
    let fill = |template: &Template, about: &Notification| fill_in(template, about, fields);
    notification.runbook_url = rule
        .runbook_url
        .as_ref()
        .map(|url| fill(url, &notification));
    notification.dashboard_url = rule
        .dashboard_url
        .as_ref()
        .map(|url| fill(url, &notification));
    notification.description = fill(&rule.description, &notification);
    notification.summary = match notification.folded_groups {
        Some(groups) => distributed(rule, &notification, groups),
        None => fill(&rule.summary, &notification),
    };
    notification
}

/// One line about an alert that speaks for all groups; the rule's own `summary` is of one group.
fn distributed(rule: &Rule, notification: &Notification, groups: u64) -> String {
    let title = fold::title(rule);
    let top = notification.top.get(&title).into_iter().flatten();
    let top: Vec<String> = top
        .map(|(value, count)| format!("{value} ({count})"))
        .collect();
    format!(
        "{}: {groups} groups of {title} at once on {}, most: {}",
        rule.name,
        notification.host,
        top.join(", ")
    )
}

/// All of it but names and templates.
fn facts(rule: &Rule, group: &Group, firing: &Firing, occasion: Occasion) -> Notification {
    let alert = &firing.alert;
    let timeframe = rule.condition.timeframe();
    let counted = |sample: &&Sample| sample.at >= alert.first_hit_at;
    Notification {
        version: 1,
        id: alert.id.clone(),
        seq: alert.seq,
        status: if occasion.ended_at.is_some() {
            Status::Resolved
        } else {
            Status::Firing
        },
        reason: occasion.reason,
        rule: rule.name.clone(),
        rule_type: rule.condition.name().to_owned(),
        severity: rule.severity,
        mode: rule.mode,
        host: String::new(),
        input: String::new(),
        group: group.named(rule),
        pattern: group.pattern(rule),
        input_state: None,
        summary: String::new(),
        description: String::new(),
        labels: rule.labels.clone(),
        count: alert.count,
        suppressed: occasion.suppressed,
        timeframe_s: timeframe.map(|span| Number(span.as_secs_f64())),
        value: Number(measured(rule, group, alert, occasion.at)),
        threshold: Number(if group.is_fold() {
            alert.threshold
        } else {
            threshold(&rule.condition, alert)
        }),
        started_at: alert.started_at,
        first_hit_at: alert.first_hit_at,
        ended_at: occasion.ended_at,
        sent_at: occasion.at,
        samples: group.samples.iter().filter(counted).cloned().collect(),
        top: {
            let names = rule.top_count_keys.iter().cloned();
            let names = names.chain(group.is_fold().then(|| fold::title(rule)));
            names.zip(firing.top.iter().map(Top::most)).collect()
        },
        folded_groups: folded_groups(group, alert),
        acked: alert.acked.clone(),
        history: group.past.seen_from(alert.started_at),
        attach: rule.attach.clone(),
        rate: group
            .rate
            .at(occasion.at.max(group.latest), rate::step(timeframe)),
        runbook_url: None,
        dashboard_url: None,
        late_s: None,
    }
}

fn folded_groups(group: &Group, alert: &Alert) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of groups"
    )]
    let groups = alert.value as u64;
    group.is_fold().then_some(groups)
}

/// A template that fails must not keep anybody from hearing of the alert.
fn fill_in(template: &Template, about: &Notification, fields: &BTreeMap<String, String>) -> String {
    template
        .render(about, fields)
        .unwrap_or_else(|why| format!("{} (the template failed: {why})", about.rule))
}

/// What the type measures. A frequency's window keeps a little more than twice `num_events` hits:
/// more are told as so many.
fn measured(rule: &Rule, group: &Group, alert: &Alert, at: Timestamp) -> f64 {
    if group.is_fold() {
        return alert.value;
    }
    let hits = match rule.condition {
        ConditionSpec::Any => alert.count,
        ConditionSpec::Frequency { timeframe, .. } => {
            let horizon = at.minus(timeframe);
            group
                .condition
                .entries()
                .filter(|entry| entry.time > horizon && entry.time <= at)
                .count() as u64
        }
        _ => return group.condition.value(at).unwrap_or(alert.value),
    };
    #[expect(clippy::cast_precision_loss, reason = "a count of hits is below 2^53")]
    let value = hits as f64;
    value
}

fn threshold(condition: &ConditionSpec, alert: &Alert) -> f64 {
    match condition {
        ConditionSpec::Any => 1.0,
        ConditionSpec::Frequency { num_events, .. } => f64::from(*num_events),
        _ => alert.threshold,
    }
}
