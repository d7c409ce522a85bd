//! What an output would be sent, as text for a person: nothing is sent. Pure.

use std::sync::Arc;

use lapwing_rules::model::{Notification, Timestamp};
use serde_json::Value;

use super::kind::Kind;
use super::message::Way;
use super::outgoing::Outgoing;
use super::{Palette, calls, collect, console, email, irc, safe, slack, webhook};

/// The lines that `kind` would send for `notification`, without secrets. `now`: wall clock.
pub fn show(kind: &Kind, notification: &Notification, now: Timestamp) -> String {
    let mut plain = notification.clone();
    if matches!(kind, Kind::Room { .. }) {
        // With a picture, the words would stand in a form.
        plain.attach.clear();
    }
    let outgoing = Outgoing::one(Arc::new(plain), Way::default());
    let text = match kind {
        Kind::Console => console::render(notification, Palette::Plain),
        Kind::Irc(settings) => {
            let said = irc::lines(&outgoing.message());
            let line = |line: &String| format!("PRIVMSG {} :{line}", settings.channel);
            said.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        Kind::Email(settings) => email::text(settings, &outgoing),
        Kind::SlackBot { .. } => format!(
            "POST chat.postMessage\n{}",
            pretty(&slack::payload(&outgoing.message()))
        ),
        Kind::File { .. } | Kind::Exec { .. } => match webhook::lapwing_json(notification) {
            Ok(json) => body(&json),
            Err(error) => error.to_string(),
        },
        Kind::Syslog(server) => match collect::of_notification(notification) {
            Ok(entry) => {
                let text = collect::syslog(&entry, server.token.as_ref(), 8192);
                String::from_utf8_lossy(&text).into_owned()
            }
            Err(error) => error.to_string(),
        },
        Kind::Statsd(meter) | Kind::Graphite(meter) => {
            format!(
                "counts only, as {}.rule.{}.hits",
                meter.prefix, notification.rule
            )
        }
        _ => request(kind, &outgoing, now),
    };
    let mut text = text;
    for secret in kind.secrets() {
        text = secret.scrub(&text);
    }
    let mut clean = String::new();
    for line in text.lines() {
        clean.push_str(&safe::visible(line));
        clean.push('\n');
    }
    clean
}

fn request(kind: &Kind, outgoing: &Outgoing, now: Timestamp) -> String {
    let call = match calls::call(kind, outgoing, now) {
        Ok(Some(call)) => call,
        Ok(None) => return String::new(),
        Err(error) => return error.to_string(),
    };
    let place = super::http::place(&call.url);
    let packed = call
        .headers
        .iter()
        .any(|(name, _)| *name == "Content-Encoding");
    let text = if packed {
        let mut text = String::new();
        let read = std::io::Read::read_to_string(
            &mut flate2::read::GzDecoder::new(&call.body[..]),
            &mut text,
        );
        if read.is_ok() {
            lines_of_json(&text)
        } else {
            "(packed)".to_owned()
        }
    } else if call.content_type.starts_with("multipart/") {
        "(a form with the message and a picture)".to_owned()
    } else {
        body(&call.body)
    };
    format!("{} {place}\n{text}", call.method)
}

fn body(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    lines_of_json(&text)
}

fn lines_of_json(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(json) => pretty(&json),
        // Several objects, one a line; or a form.
        Err(_) => text
            .lines()
            .map(|line| {
                serde_json::from_str::<Value>(line)
                    .map_or_else(|_| line.to_owned(), |json| pretty(&json))
            })
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

fn pretty(json: &Value) -> String {
    serde_json::to_string_pretty(json).unwrap_or_default()
}
