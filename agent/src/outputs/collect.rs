//! What a collector is handed: notifications, matched lines and counts as entries of a log, in the
//! words of Loki, OTLP, Elasticsearch and syslog. Pure.

use std::collections::BTreeMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use lapwing_rules::model::{Notification, Severity, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::http::Call;
use super::render as words;
use super::safe::{Place, fit, fit_bytes};
use super::{message, webhook};
use crate::config::secret::Secret;

/// A smaller body is not worth compressing.
const WORTH_COMPRESSING: usize = 1024;

/// One entry.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// The same when it is handed over again.
    pub(super) id: String,
    /// When it happened.
    pub(super) at: Timestamp,
    /// `notification`, `line` or `count`.
    pub(super) kind: &'static str,
    /// The agent's host.
    pub(super) host: String,
    /// The rule.
    pub(super) rule: String,
    /// The rule's.
    pub(super) severity: Severity,
    /// What a person reads: for a line, the line itself.
    pub(super) text: String,
    /// More of it, as an object.
    pub(super) fields: Value,
}

impl Entry {
    /// Bytes that it takes, about.
    pub(super) fn bytes(&self) -> usize {
        self.text.len() + 500
    }
}

/// A notification as an entry; its fields are those of section 6 of the contract.
///
/// # Errors
///
/// None in practice.
pub(super) fn of_notification(notification: &Notification) -> Result<Entry, serde_json::Error> {
    Ok(Entry {
        id: words::key(notification),
        at: notification.ended_at.unwrap_or(notification.started_at),
        kind: "notification",
        host: notification.host.clone(),
        rule: notification.rule.clone(),
        severity: notification.severity,
        text: format!(
            "{}: {} ({})",
            message::title(notification),
            notification.summary,
            words::measure(notification)
        ),
        fields: serde_json::from_slice(&webhook::lapwing_json(notification)?)?,
    })
}

/// A hash of `parts` as sixteen hex digits and more: the same parts, the same text.
pub(super) fn id_of(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    words::hex(hash.finalize().get(..12).unwrap_or_default())
}

/// Gzips a body that is worth it.
pub(super) fn compressed(mut call: Call) -> Call {
    if call.body.len() < WORTH_COMPRESSING {
        return call;
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    if gzip.write_all(&call.body).is_ok()
        && let Ok(body) = gzip.finish()
    {
        call.body = body;
        call.headers.push(("Content-Encoding", "gzip".to_owned()));
    }
    call
}

/// For Loki's push: one stream for each rule, ordered by time within.
pub(super) fn loki(entries: &[Entry]) -> Value {
    let mut streams: BTreeMap<BTreeMap<&str, &str>, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        let labels = BTreeMap::from([
            ("job", "lapwing"),
            ("kind", entry.kind),
            ("host", entry.host.as_str()),
            ("rule", entry.rule.as_str()),
            ("severity", words::severity(entry.severity)),
        ]);
        streams.entry(labels).or_default().push(entry);
    }
    let stream = |(labels, mut entries): (BTreeMap<&str, &str>, Vec<&Entry>)| {
        entries.sort_by_key(|entry| entry.at);
        let value = |entry: &&Entry| json!([entry.at.as_nanos().to_string(), entry.text]);
        let values: Vec<Value> = entries.iter().map(value).collect();
        json!({"stream": labels, "values": values})
    };
    let streams: Vec<Value> = streams.into_iter().map(stream).collect();
    json!({"streams": streams})
}

/// For OTLP over HTTP as JSON, where 64-bit numbers are texts. `now`: wall clock.
pub(super) fn otlp(entries: &[Entry], now: Timestamp) -> Value {
    let mut hosts: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for entry in entries {
        let (number, text) = match entry.severity {
            Severity::Info => (9, "INFO"),
            Severity::Warning => (13, "WARN"),
            Severity::Critical => (18, "ERROR2"),
        };
        let mut attributes = vec![
            attribute("lapwing.kind", entry.kind),
            attribute("lapwing.rule", &entry.rule),
            attribute("lapwing.id", &entry.id),
        ];
        if let Value::Object(fields) = &entry.fields {
            for (name, value) in fields {
                if let Value::String(value) = value
                    && !["rule", "id", "summary", "host"].contains(&name.as_str())
                {
                    attributes.push(attribute(&format!("lapwing.{name}"), value));
                }
            }
        }
        hosts.entry(&entry.host).or_default().push(json!({
            "timeUnixNano": entry.at.as_nanos().to_string(),
            "observedTimeUnixNano": now.as_nanos().to_string(),
            "severityNumber": number,
            "severityText": text,
            "body": {"stringValue": entry.text},
            "attributes": attributes,
        }));
    }
    let resource = |(host, records): (&str, Vec<Value>)| {
        json!({
            "resource": {"attributes": [
                attribute("service.name", "lapwing"),
                attribute("host.name", host),
            ]},
            "scopeLogs": [{
                "scope": {"name": "lapwing", "version": env!("CARGO_PKG_VERSION")},
                "logRecords": records,
            }],
        })
    };
    let resources: Vec<Value> = hosts.into_iter().map(resource).collect();
    json!({"resourceLogs": resources})
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// For Elasticsearch's `_bulk`: `create`, so that what is handed over again is there once.
pub(super) fn elasticsearch(entries: &[Entry], index: &str) -> String {
    let mut body = String::new();
    for entry in entries {
        let action = json!({"create": {"_index": index, "_id": entry.id}});
        let document = json!({
            "@timestamp": entry.at.to_string(),
            "message": entry.text,
            "log": {"level": words::severity(entry.severity)},
            "host": {"name": entry.host},
            "event": {"kind": entry.kind, "dataset": "lapwing"},
            "rule": {"name": entry.rule},
            "lapwing": entry.fields,
        });
        body.push_str(&action.to_string());
        body.push('\n');
        body.push_str(&document.to_string());
        body.push('\n');
    }
    body
}

/// RFC 5424, at most `max` bytes, without a frame. Facility user. `token`: an element of its own.
pub(super) fn syslog(entry: &Entry, token: Option<&Secret>, max: usize) -> Vec<u8> {
    let severity = match entry.severity {
        Severity::Info => 6,
        Severity::Warning => 4,
        Severity::Critical => 2,
    };
    let host = header(&entry.host, 255);
    // The number is the one that RFC 5612 sets aside for examples; this project has none.
    let token = token.map_or_else(String::new, |token| format!("[{}]", token.expose()));
    let head = format!(
        "<{}>1 {} {host} lapwing - {} {token}[lapwing@32473 rule=\"{}\" kind=\"{}\" id=\"{}\"] ",
        8 + severity,
        micros(entry.at),
        entry.kind,
        value(&entry.rule),
        entry.kind,
        value(&entry.id),
    );
    let mut out = head.into_bytes();
    let room = max.saturating_sub(out.len() + 3).max(160);
    let text = fit_bytes(&entry.text, Place::Plain, room);
    // Says that the text is UTF-8.
    out.extend_from_slice("\u{feff}".as_bytes());
    out.extend_from_slice(text.as_bytes());
    out
}

/// RFC 5424 knows no more than microseconds.
fn micros(at: Timestamp) -> String {
    let text = at.to_string();
    match text.split_once('.') {
        Some((seconds, fraction)) => {
            let fraction = fraction.trim_end_matches('Z');
            let fraction: String = fraction.chars().take(6).collect();
            format!("{seconds}.{fraction}Z")
        }
        None => text,
    }
}

fn header(text: &str, max: usize) -> String {
    let clean: String = text
        .chars()
        .filter(char::is_ascii_graphic)
        .take(max)
        .collect();
    if clean.is_empty() {
        "-".to_owned()
    } else {
        clean
    }
}

fn value(text: &str) -> String {
    let clean = fit(text, Place::Plain, 300);
    clean
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace(']', "\\]")
}

/// A JSON line: the notification itself, or what else an entry holds.
pub(super) fn json_line(entry: &Entry) -> Vec<u8> {
    entry.fields.to_string().into_bytes()
}

#[cfg(test)]
mod tests;
