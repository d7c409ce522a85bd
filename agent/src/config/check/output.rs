//! One of `outputs:` → [`outputs::Spec`].

mod kinds;

pub(super) use kinds::TYPES;

use std::path::Path;
use std::time::Duration;

use lapwing_rules::language::check::SEVERITIES;
use lapwing_rules::language::quantity;
use lapwing_rules::language::reader::{Keys, Reader, Section};
use lapwing_rules::language::yaml::{Node, Value};

use super::{kind, only};
use crate::config::secret::Secret;
use crate::outputs::{self, Fallback, RateLimit, Send};

pub(super) const KEYS: Keys = Keys {
    of: "an output",
    known: &[
        "type",
        "path",
        "url",
        "webhook_url",
        "format",
        "secret",
        "api_url",
        "token",
        "channel",
        "chat_id",
        "room",
        "server",
        "tls",
        "nick",
        "sasl",
        "smtp_url",
        "from",
        "to",
        "routing_key",
        "api_key",
        "index",
        "address",
        "prefix",
        "command",
        "send",
        "min_severity",
        "send_resolved",
        "timeout",
        "max_age",
        "queue",
        "rate_limit",
        "fallback",
    ],
};
const FALLBACK_KEYS: Keys = Keys {
    of: "`fallback`",
    known: &["to", "after"],
};
pub(super) const QUEUE_KEYS: Keys = Keys {
    of: "`queue`",
    known: &["max_bytes"],
};
const HEARTBEAT_KEYS: Keys = Keys {
    of: "`heartbeat`",
    known: &["url", "every"],
};
const HEARTBEAT_EVERY: Duration = Duration::from_mins(1);
/// An output that fails for so long has its fallback told.
const FALLBACK_AFTER: Duration = Duration::from_mins(2);
/// The words after `send:`.
const SENDS: &[(&str, Send)] = &[
    ("notifications", Send::Notifications),
    ("lines", Send::Lines),
    ("counts", Send::Counts),
];

/// Reads one; `None` when something that it cannot be without is missing or wrong.
pub(super) fn read(
    reader: &mut Reader,
    name: &str,
    node: &Node,
    folder: &Path,
) -> Option<outputs::Spec> {
    let section = reader.section(node, KEYS)?;
    let word = kind(reader, &section, "an output", TYPES)?;
    own_keys(reader, &section, word, kinds::own_keys(word));
    let kind = kinds::read(reader, &section, word, folder)?;
    let mut spec = outputs::Spec::new(name, kind);
    spec.min_severity = section
        .get("min_severity")
        .and_then(|node| reader.choice(node, "min_severity", SEVERITIES));
    spec.send_resolved = section
        .get("send_resolved")
        .and_then(|node| reader.boolean(node, "send_resolved"));
    let timeout = section.get("timeout");
    let timeout = timeout.and_then(|node| {
        reader.duration(
            node,
            "timeout",
            Duration::from_millis(10)..=Duration::from_mins(10),
        )
    });
    let max_age = section.get("max_age");
    let max_age = max_age.and_then(|node| {
        reader.duration(
            node,
            "max_age",
            Duration::from_secs(1)..=Duration::from_hours(24 * 31),
        )
    });
    spec.timeout = timeout.unwrap_or(spec.timeout);
    spec.max_age = max_age.unwrap_or(spec.max_age);
    if let Some(queue) = section
        .get("queue")
        .and_then(|node| reader.section(node, QUEUE_KEYS))
        && let Some(node) = queue.get("max_bytes")
    {
        spec.queue_max_bytes = reader
            .size(node, "max_bytes", 64 << 10..=1 << 40)
            .unwrap_or(spec.queue_max_bytes);
    }
    send(reader, &section, &mut spec);
    spec.rate_limit = section
        .get("rate_limit")
        .and_then(|node| rate_limit(reader, node));
    spec.fallback = section
        .get("fallback")
        .and_then(|node| fallback(reader, node));
    Some(spec)
}

/// Keys that all types have.
const SHARED: &[&str] = &[
    "type",
    "send",
    "min_severity",
    "send_resolved",
    "timeout",
    "max_age",
    "queue",
    "rate_limit",
    "fallback",
];

fn own_keys(reader: &mut Reader, section: &Section<'_>, of: &str, own: &[&str]) {
    let known: Vec<&str> = SHARED.iter().chain(own).copied().collect();
    let of = format!("an output of type `{of}`");
    only(reader, section, KEYS, &of, &known);
}

fn send(reader: &mut Reader, section: &Section<'_>, spec: &mut outputs::Spec) {
    let Some(node) = section.get("send") else {
        return;
    };
    let Some(wanted) = reader.choice(node, "send", SENDS) else {
        return;
    };
    let able = spec.kind.sends();
    if able.contains(&wanted) {
        spec.send = wanted;
        return;
    }
    let words = SENDS
        .iter()
        .filter(|(_, send)| able.contains(send))
        .map(|(word, _)| *word);
    let help = format!("it takes {}", words.collect::<Vec<_>>().join(", "));
    let message = format!(
        "an output of type `{}` does not take this",
        spec.kind.name()
    );
    reader.error("bad-value", &node.place, message, Some(help));
}

/// `20/1m`.
fn rate_limit(reader: &mut Reader, node: &Node) -> Option<RateLimit> {
    let text = reader.text(node, "rate_limit")?;
    let parsed = text.split_once('/').and_then(|(messages, per)| {
        let messages = messages
            .trim()
            .parse()
            .ok()
            .filter(|many| (1..=10_000).contains(many))?;
        let per = quantity::duration(per.trim())?;
        let sound = Duration::from_millis(100)..=Duration::from_hours(24);
        sound.contains(&per).then_some(RateLimit { messages, per })
    });
    if parsed.is_none() {
        let help = "write `20/1m`: at most 20 messages in any minute".to_owned();
        let message = "`rate_limit` is a number of messages and a duration";
        reader.error("bad-value", &node.place, message, Some(help));
    }
    parsed
}

fn fallback(reader: &mut Reader, node: &Node) -> Option<Fallback> {
    let section = reader.section(node, FALLBACK_KEYS)?;
    let bounds = Duration::ZERO..=Duration::from_hours(24 * 31);
    let after = section
        .get("after")
        .and_then(|node| reader.duration(node, "after", bounds));
    Some(Fallback {
        to: required(reader, &section, "to")?.to_owned(),
        after: after.unwrap_or(FALLBACK_AFTER),
    })
}

/// Says of a fallback that leads nowhere, back, or to one that takes no notifications.
pub(super) fn check_fallbacks(
    reader: &mut Reader,
    top: &Section<'_>,
    outputs: &[outputs::Spec],
    names: &[String],
) {
    for output in outputs {
        let Some(fallback) = &output.fallback else {
            continue;
        };
        let Some(node) = fallback_node(top, &output.name) else {
            continue;
        };
        if !names.contains(&fallback.to) {
            let message = format!("there is no output `{}`", fallback.to);
            reader.error("unknown-output", &node.place, message, None);
            continue;
        }
        let find = |name: &str| outputs.iter().find(|other| other.name == name);
        if find(&fallback.to).is_some_and(|other| other.send != Send::Notifications) {
            let message = format!("the output `{}` takes no notifications", fallback.to);
            reader.error("bad-value", &node.place, message, None);
        }
        // As many steps as there are outputs lead round every circle.
        let mut at = Some(output);
        for _ in 0..outputs.len() {
            at = at.and_then(|at| find(&at.fallback.as_ref()?.to));
            if at.is_some_and(|at| at.name == output.name) {
                let message = "these fallbacks lead round in a circle";
                reader.error("bad-value", &node.place, message, None);
                break;
            }
        }
    }
}

fn fallback_node<'t>(top: &Section<'t>, output: &str) -> Option<&'t Node> {
    let entry = |node: &'t Node, key: &str| match &node.value {
        Value::Map(entries) => entries
            .iter()
            .find(|(name, _)| name.text == key)
            .map(|(_, node)| node),
        _ => None,
    };
    entry(entry(top.get("outputs")?, output)?, "fallback")
}

/// `heartbeat: {url, every}`.
pub(super) fn heartbeat(reader: &mut Reader, node: &Node) -> Option<outputs::Heartbeat> {
    let section = reader.section(node, HEARTBEAT_KEYS)?;
    let bounds = Duration::from_secs(1)..=Duration::from_hours(24);
    let every = section
        .get("every")
        .and_then(|node| reader.duration(node, "every", bounds));
    Some(outputs::Heartbeat {
        url: url(reader, &section, "url")?,
        every: every.unwrap_or(HEARTBEAT_EVERY),
    })
}

fn required<'n>(reader: &mut Reader, section: &Section<'n>, key: &str) -> Option<&'n str> {
    let Some(node) = section.get(key) else {
        reader.error(
            "missing-key",
            section.place,
            format!("this type of output needs `{key}`"),
            None,
        );
        return None;
    };
    reader.text(node, key)
}

/// An http or https URL. It may hold a secret, so no message shows it.
fn url(reader: &mut Reader, section: &Section<'_>, key: &str) -> Option<Secret> {
    let text = required(reader, section, key)?;
    let node = section.get(key)?;
    let parsed = reqwest::Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"));
    if parsed.is_none_or(|url| !url.has_host()) {
        let help = Some("write `https://host/path`".to_owned());
        let message = format!("`{key}` is no http or https URL");
        reader.error("bad-url", &node.place, message, help);
        return None;
    }
    Some(Secret::new(text))
}
