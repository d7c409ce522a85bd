//! `format: papertrail`: a form post whose field `payload` holds what Papertrail itself posts
//! for a saved search, so that receivers made for it keep working. Pure.
//!
//! True to the original in kind as well as in name: `id` of an event and of the search, and
//! `source_id`, are numbers; `min_id` and `max_id` are strings; `frequency` is text. Papertrail
//! has no notion of an end: a resolved alert is one event that says so.

use std::collections::BTreeSet;

use jiff::fmt::strtime;
use lapwing_rules::model::{Notification, Severity, Status, Timestamp};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::render as words;

#[derive(Serialize)]
struct Payload<'a> {
    events: Vec<Event<'a>>,
    saved_search: SavedSearch<'a>,
    min_id: String,
    max_id: String,
    frequency: String,
    reached_record_limit: bool,
}

#[derive(Serialize)]
struct Event<'a> {
    id: u64,
    source_ip: &'a str,
    source_id: u64,
    source_name: &'a str,
    hostname: &'a str,
    program: &'a str,
    facility: &'static str,
    severity: &'static str,
    message: String,
    received_at: String,
    display_received_at: String,
}

#[derive(Serialize)]
struct SavedSearch<'a> {
    id: u64,
    name: &'a str,
    query: String,
    html_edit_url: &'a str,
    html_search_url: &'a str,
}

/// The form's body: `payload=…`.
pub(super) fn form(notification: &Notification) -> Result<Vec<u8>, serde_json::Error> {
    let json = serde_json::to_string(&payload(notification))?;
    Ok(form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", &json)
        .finish()
        .into_bytes())
}

fn payload(notification: &Notification) -> Payload<'_> {
    let mut used = BTreeSet::new();
    let firing = notification.status == Status::Firing;
    let events: Vec<Event<'_>> = if firing && !notification.samples.is_empty() {
        let of_sample = |sample: &'_ lapwing_rules::model::Sample| {
            (sample.at, sample.line.clone(), sample.offset)
        };
        let sources = notification
            .samples
            .iter()
            .map(|sample| sample.source.as_str());
        let parts = notification.samples.iter().map(of_sample);
        parts
            .zip(sources)
            .map(|(part, source)| event(notification, part, source, &mut used))
            .collect()
    } else {
        let at = notification.ended_at.unwrap_or(notification.started_at);
        let text = format!(
            "{}: {}",
            words::status(notification.status),
            notification.summary
        );
        vec![event(
            notification,
            (at, text, u64::from(notification.seq)),
            "",
            &mut used,
        )]
    };
    let shown = u64::try_from(events.len()).unwrap_or(u64::MAX);
    let first = |ids: Option<&u64>| ids.copied().unwrap_or(0).to_string();
    Payload {
        events,
        saved_search: saved_search(notification),
        min_id: first(used.first()),
        max_id: first(used.last()),
        frequency: frequency(notification),
        reached_record_limit: firing && notification.count > shown,
    }
}

fn event<'a>(
    notification: &'a Notification,
    (at, message, place): (Timestamp, String, u64),
    source: &'a str,
    used: &mut BTreeSet<u64>,
) -> Event<'a> {
    let mut id = event_id(at, source, place);
    while !used.insert(id) {
        id += 1;
    }
    Event {
        id,
        source_ip: peer(source),
        source_id: hash(&[notification.host.as_bytes()]) >> 33,
        source_name: &notification.host,
        hostname: &notification.host,
        program: &notification.input,
        facility: "User",
        severity: match (notification.status, notification.severity) {
            (Status::Resolved, _) | (_, Severity::Info) => "Info",
            (_, Severity::Warning) => "Warning",
            (_, Severity::Critical) => "Critical",
        },
        message,
        received_at: formatted("%Y-%m-%dT%H:%M:%S+00:00", at),
        display_received_at: formatted("%b %d %H:%M:%S", at),
    }
}

/// Ascends with time like Papertrail's own, is the same for the same line, and stays under 2^53,
/// which is all that a JavaScript receiver can count to.
fn event_id(at: Timestamp, source: &str, place: u64) -> u64 {
    const MILLIS: u64 = (1 << 41) - 1;
    let millis = u64::try_from(at.as_millis()).unwrap_or(0) & MILLIS;
    (millis << 12) | (hash(&[source.as_bytes(), &place.to_be_bytes()]) >> 52)
}

fn hash(parts: &[&[u8]]) -> u64 {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    digest
        .iter()
        .take(8)
        .fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// The address that a line came from; our own files come from here.
fn peer(source: &str) -> &str {
    let Some(peer) = source.strip_prefix("syslog://") else {
        return "127.0.0.1";
    };
    let host = match peer.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(':') =>
        {
            host
        }
        _ => peer,
    };
    host.trim_start_matches('[').trim_end_matches(']')
}

fn saved_search(notification: &Notification) -> SavedSearch<'_> {
    let runbook = notification.runbook_url.as_deref().unwrap_or_default();
    let dashboard = notification.dashboard_url.as_deref().unwrap_or_default();
    let group = words::group(notification);
    SavedSearch {
        id: hash(&[notification.rule.as_bytes()]) >> 33,
        name: &notification.rule,
        query: if group.is_empty() {
            notification.rule.clone()
        } else {
            format!("{} {group}", notification.rule)
        },
        html_edit_url: if runbook.is_empty() {
            dashboard
        } else {
            runbook
        },
        html_search_url: if dashboard.is_empty() {
            runbook
        } else {
            dashboard
        },
    }
}

/// `1 minute`, `10 minutes`, `1 hour`: how Papertrail writes how often it looks.
fn frequency(notification: &Notification) -> String {
    let seconds = notification
        .timeframe_s
        .map_or(60.0, |seconds| seconds.0)
        .clamp(1.0, 1e9)
        .round();
    for (unit, length) in [
        ("day", 86_400.0),
        ("hour", 3_600.0),
        ("minute", 60.0),
        ("second", 1.0),
    ] {
        if seconds % length == 0.0 {
            let many = seconds / length;
            return format!("{many} {unit}{}", if many > 1.0 { "s" } else { "" });
        }
    }
    "1 minute".to_owned()
}

fn formatted(format: &str, at: Timestamp) -> String {
    jiff::Timestamp::from_second(at.as_secs())
        .and_then(|time| strtime::format(format, time))
        .unwrap_or_else(|_| at.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::outputs::sample::notification;

    fn sent(notification: &Notification) -> Value {
        let body = form(notification).unwrap();
        let fields: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
        assert_eq!(fields.len(), 1);
        assert_eq!(fields[0].0, "payload");
        serde_json::from_str(&fields[0].1).unwrap()
    }

    #[test]
    fn has_the_kinds_that_papertrails_receivers_expect() {
        let json = sent(&notification());
        assert_eq!(json.as_object().unwrap().len(), 6);
        let event = &json["events"][1];
        assert_eq!(event.as_object().unwrap().len(), 11);
        assert!(event["id"].as_i64().unwrap() < 1 << 53);
        assert!(event["source_id"].as_i64().unwrap() < i64::from(i32::MAX));
        assert_eq!(event["received_at"], "2026-11-21T09:00:45+00:00");
        assert_eq!(event["display_received_at"], "Nov 21 09:00:45");
        assert_eq!(event["severity"], "Critical");
        assert_eq!(event["source_ip"], "127.0.0.1");
        assert_eq!(json["saved_search"].as_object().unwrap().len(), 5);
        assert!(json["saved_search"]["id"].is_u64());
        assert_eq!(json["frequency"], "1 minute");
        assert_eq!(json["reached_record_limit"], true);
        assert_eq!(json["min_id"], json["events"][0]["id"].to_string());
        assert_eq!(json["max_id"], event["id"].to_string());
    }

    #[test]
    fn equal_lines_have_their_own_ids_and_a_retry_the_same() {
        let mut alert = notification();
        alert.samples[1] = alert.samples[0].clone();
        let (one, two) = (sent(&alert), sent(&alert));
        assert_ne!(one["events"][0]["id"], one["events"][1]["id"]);
        assert_eq!(one, two);
    }

    #[test]
    fn an_end_is_one_event_that_says_so() {
        let mut over = notification();
        over.status = Status::Resolved;
        let json = sent(&over);
        assert_eq!(json["events"].as_array().unwrap().len(), 1);
        assert_eq!(
            json["events"][0]["message"],
            "resolved: 10 bad gateways in 1m on web-1"
        );
        assert_eq!(json["reached_record_limit"], false);
    }

    #[test]
    fn a_peer_is_an_address() {
        for (source, ip) in [
            ("syslog://10.1.2.3:514", "10.1.2.3"),
            ("syslog://10.1.2.3", "10.1.2.3"),
            ("syslog://[fe80::1]:514", "fe80::1"),
            ("/var/log/x", "127.0.0.1"),
        ] {
            assert_eq!(peer(source), ip);
        }
    }
}
