//! What pagers and an Alertmanager are sent: one incident an alert, opened and closed under the
//! alert's id. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use lapwing_rules::model::{Notification, Reason, Severity, Status, Timestamp};
use serde_json::{Value, json};

use super::message::{self, Message};
use super::render as words;
use super::safe::{self, Place, fit, fit_lines};
use super::text::{self, Markup, units};

/// `PagerDuty`'s limit for a summary.
const PAGERDUTY_SUMMARY: usize = 1024;
/// `PagerDuty` takes 512,000 bytes; an incident is read on a phone.
const PAGERDUTY_DETAILS: usize = 20_000;
/// Opsgenie's limit for a message.
const OPSGENIE_MESSAGE: usize = 130;
/// Opsgenie's limit for a description.
const OPSGENIE_DESCRIPTION: usize = 15_000;
/// No label or annotation for an Alertmanager is longer.
const VALUE: usize = 2000;
/// An Alertmanager is told of a firing alert again after so long.
pub(super) const TOLD_AGAIN: Duration = Duration::from_mins(1);
/// Without another word an alert ends there after so long: if this agent dies, so does its alert.
const VALID_FOR: Duration = Duration::from_mins(4);

/// For `/v2/enqueue`.
pub(super) fn pagerduty(notification: &Notification, message: &Message, key: &str) -> Value {
    let action = match notification.status {
        Status::Firing => "trigger",
        Status::Resolved => "resolve",
    };
    let mut event = json!({
        "routing_key": key,
        "event_action": action,
        "dedup_key": fit(&notification.id, Place::Plain, 255),
        "client": "lapwing",
    });
    if notification.status == Status::Firing {
        let drill = if notification.reason == Reason::Drill {
            "[DRILL] "
        } else {
            ""
        };
        let summary = format!("{drill}{}: {}", notification.rule, notification.summary);
        let details = text::shrink(
            |room| {
                let mut details = serde_json::Map::new();
                for (label, value) in message.facts.iter().take(room.facts) {
                    details.insert(
                        fit(label, Place::Plain, 100),
                        json!(fit(value, Place::Plain, room.fact)),
                    );
                }
                let samples = message.samples.iter();
                let samples: Vec<_> = samples
                    .map(|sample| fit_lines(&sample.text, Place::Plain, room.sample))
                    .collect();
                details.insert("Lines".to_owned(), json!(samples.join("\n")));
                details.insert("Hints".to_owned(), json!(message.hints.join("\n")));
                details.insert("Notes".to_owned(), json!(message.notes.join(" · ")));
                Value::Object(details)
            },
            |details: &Value| details.to_string().len() <= PAGERDUTY_DETAILS,
        );
        event["payload"] = json!({
            "summary": fit(&summary, Place::Plain, PAGERDUTY_SUMMARY),
            "source": fit(or_dash(&notification.host), Place::Plain, 255),
            "severity": words::severity(notification.severity),
            "timestamp": notification.started_at.to_string(),
            "component": fit(&notification.rule, Place::Plain, 255),
            "group": fit(&words::group(notification), Place::Plain, 255),
            "class": notification.rule_type,
            "custom_details": details,
        });
        let links = message.links.iter();
        let links: Vec<Value> = links
            .filter_map(|(label, url)| Some(json!({"href": safe::link(url)?, "text": label})))
            .collect();
        event["links"] = json!(links);
    }
    event
}

fn or_dash(text: &str) -> &str {
    if text.trim().is_empty() { "–" } else { text }
}

/// The path below the base, and the body: an alert is created and closed by its alias.
pub(super) fn opsgenie(notification: &Notification, message: &Message) -> (String, Value) {
    let alias = fit(&notification.id, Place::Plain, 512);
    if notification.status == Status::Resolved {
        let path = format!("/{}/close?identifierType=alias", percent(&alias));
        let note = fit(&notification.summary, Place::Plain, 1000);
        return (path, json!({"source": "lapwing", "note": note}));
    }
    let render = |room| text::body(message, Markup::Plain, room);
    let description = text::shrink(render, |text: &String| units(text) <= OPSGENIE_DESCRIPTION);
    let body = json!({
        "message": fit(&format!("{}: {}", message.title, notification.summary), Place::Plain, OPSGENIE_MESSAGE),
        "alias": alias,
        "description": description,
        "tags": [words::severity(notification.severity), "lapwing"],
        "entity": fit(&notification.host, Place::Plain, 512),
        "source": "lapwing",
        "priority": match notification.severity {
            Severity::Critical => "P1",
            Severity::Warning => "P3",
            Severity::Info => "P5",
        },
        "details": details(notification),
    });
    (String::new(), body)
}

/// `text` as one part of a URL's path.
pub(super) fn percent(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("writing to a String cannot fail");
        }
    }
    out
}

fn details(notification: &Notification) -> BTreeMap<String, String> {
    let clean = |(name, value): (&String, &String)| {
        (fit(name, Place::Plain, 100), fit(value, Place::Plain, 300))
    };
    let mut details: BTreeMap<String, String> =
        notification.labels.iter().map(clean).take(20).collect();
    details.extend(notification.group.iter().map(clean).take(20));
    details.insert("rule".to_owned(), notification.rule.clone());
    details.insert("count".to_owned(), notification.count.to_string());
    details
}

/// One alert as Alertmanager's API and its webhook both have it. `now`: wall clock.
fn alert(notification: &Notification) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let mut labels = BTreeMap::new();
    for (name, value) in notification.labels.iter().chain(&notification.group) {
        let value = fit(value, Place::Plain, VALUE);
        // An empty label is none.
        if !value.is_empty() {
            labels.insert(label_name(name), value);
        }
    }
    labels.insert("alertname".to_owned(), notification.rule.clone());
    labels.insert(
        "severity".to_owned(),
        words::severity(notification.severity).to_owned(),
    );
    labels.insert(
        "host".to_owned(),
        fit(or_dash(&notification.host), Place::Plain, 255),
    );
    labels.insert(
        "lapwing_id".to_owned(),
        fit(&notification.id, Place::Plain, 255),
    );
    if notification.reason == Reason::Drill {
        labels.insert("drill".to_owned(), "true".to_owned());
    }
    let drill = if notification.reason == Reason::Drill {
        "[DRILL] "
    } else {
        ""
    };
    let summary = format!("{drill}{}", notification.summary);
    let mut annotations = BTreeMap::from([
        ("summary".to_owned(), fit(&summary, Place::Plain, VALUE)),
        (
            "description".to_owned(),
            fit(&notification.description, Place::Plain, VALUE),
        ),
        (
            "measure".to_owned(),
            fit(&words::measure(notification), Place::Plain, VALUE),
        ),
    ]);
    for (name, url) in [
        ("runbook_url", &notification.runbook_url),
        ("dashboard_url", &notification.dashboard_url),
    ] {
        annotations.extend(
            url.as_ref()
                .map(|url| (name.to_owned(), fit(url, Place::Plain, VALUE))),
        );
    }
    let latest = notification.samples.last();
    annotations
        .extend(latest.map(|sample| ("sample".to_owned(), fit(&sample.line, Place::Plain, VALUE))));
    annotations.retain(|_, value| !value.is_empty());
    (labels, annotations)
}

/// A name as Prometheus allows it.
fn label_name(name: &str) -> String {
    let mut clean: String = name
        .chars()
        .take(100)
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    if clean.is_empty() || clean.starts_with(|c: char| c.is_ascii_digit()) {
        clean.insert(0, '_');
    }
    clean
}

fn generator(notification: &Notification) -> String {
    let url = notification
        .dashboard_url
        .as_deref()
        .or(notification.runbook_url.as_deref());
    url.and_then(safe::link).unwrap_or_default().to_owned()
}

/// For `/api/v2/alerts`. `now`: wall clock.
pub(super) fn alertmanager(notifications: &[&Notification], now: Timestamp) -> Value {
    let one = |notification: &&Notification| {
        let (labels, annotations) = alert(notification);
        let ends_at = match notification.status {
            Status::Firing => now.plus(VALID_FOR),
            Status::Resolved => now,
        };
        // One that ends before it starts is refused.
        let starts_at = notification.started_at.min(ends_at);
        let mut alert = json!({
            "labels": labels,
            "annotations": annotations,
            "startsAt": starts_at.to_string(),
            "endsAt": ends_at.to_string(),
        });
        let generator = generator(notification);
        if !generator.is_empty() {
            alert["generatorURL"] = json!(generator);
        }
        alert
    };
    Value::Array(notifications.iter().map(one).collect())
}

/// `format: alertmanager`: what Alertmanager's own webhook sends, version 4.
pub(super) fn alertmanager_webhook(notification: &Notification) -> Value {
    let (labels, annotations) = alert(notification);
    let status = words::status(notification.status);
    let never = "0001-01-01T00:00:00Z".to_owned();
    let ends_at = notification
        .ended_at
        .filter(|_| notification.status == Status::Resolved);
    let group = BTreeMap::from([("alertname", &notification.rule)]);
    json!({
        "version": "4",
        "groupKey": format!("{{}}:{{alertname=\"{}\"}}", notification.rule),
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "lapwing",
        "groupLabels": group,
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "",
        "alerts": [{
            "status": status,
            "labels": labels,
            "annotations": annotations,
            "startsAt": notification.started_at.to_string(),
            "endsAt": ends_at.map_or(never, |at| at.to_string()),
            "generatorURL": generator(notification),
            "fingerprint": message::fingerprint(&labels),
        }],
    })
}
