//! One of `outputs:` → [`outputs::Spec`].

use std::path::Path;
use std::time::Duration;

use lapwing_rules::language::check::SEVERITIES;
use lapwing_rules::language::reader::{Keys, Reader, Section};
use lapwing_rules::language::yaml::Node;

use super::{kind, only};
use crate::config::secret::Secret;
use crate::outputs::{self, Kind, WebhookFormat};

pub(super) const KEYS: Keys = Keys {
    of: "an output",
    known: &[
        "type",
        "path",
        "url",
        "webhook_url",
        "format",
        "secret",
        "min_severity",
        "send_resolved",
        "timeout",
        "max_age",
        "queue",
    ],
    not_yet: &[
        "fallback",
        "rate_limit",
        "send",
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
    ],
};
pub(super) const QUEUE_KEYS: Keys = Keys {
    of: "`queue`",
    known: &["max_bytes"],
    not_yet: &[],
};
pub(super) const TYPES: &[&str] = &["console", "file", "webhook", "slack"];
const TYPES_NOT_YET: &[&str] = &[
    "discord",
    "teams",
    "mattermost",
    "googlechat",
    "telegram",
    "matrix",
    "irc",
    "email",
    "pagerduty",
    "opsgenie",
    "alertmanager",
    "loki",
    "otlp",
    "elasticsearch",
    "syslog",
    "statsd",
    "graphite",
    "exec",
];
/// Reads one; `None` when something that it cannot be without is missing or wrong.
pub(super) fn read(
    reader: &mut Reader,
    name: &str,
    node: &Node,
    folder: &Path,
) -> Option<outputs::Spec> {
    let section = reader.section(node, KEYS)?;
    let kind = match kind(reader, &section, "an output", TYPES, TYPES_NOT_YET)? {
        "console" => {
            own_keys(reader, &section, "console", &[]);
            Kind::Console
        }
        "file" => {
            own_keys(reader, &section, "file", &["path"]);
            Kind::File {
                path: folder.join(required(reader, &section, "path")?),
            }
        }
        "webhook" => {
            own_keys(reader, &section, "webhook", &["url", "secret", "format"]);
            webhook(reader, &section)?
        }
        _ => {
            own_keys(reader, &section, "slack", &["webhook_url"]);
            Kind::Slack {
                webhook_url: url(reader, &section, "webhook_url")?,
            }
        }
    };
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
    Some(spec)
}

/// Keys that all types have.
const SHARED: &[&str] = &[
    "type",
    "min_severity",
    "send_resolved",
    "timeout",
    "max_age",
    "queue",
];

fn own_keys(reader: &mut Reader, section: &Section<'_>, of: &str, own: &[&str]) {
    let known: Vec<&str> = SHARED.iter().chain(own).copied().collect();
    only(
        reader,
        section,
        KEYS,
        &format!("an output of type `{of}`"),
        &known,
    );
}

fn webhook(reader: &mut Reader, section: &Section<'_>) -> Option<Kind> {
    let format = match section.get("format") {
        Some(node) if matches!(reader.text(node, "format"), Some("alertmanager")) => {
            reader.not_yet(&node.place, "the format `alertmanager`");
            None
        }
        Some(node) => reader.choice(
            node,
            "format",
            &[
                ("lapwing", WebhookFormat::Lapwing),
                ("papertrail", WebhookFormat::Papertrail),
            ],
        ),
        None => Some(WebhookFormat::Lapwing),
    };
    let secret = section
        .get("secret")
        .and_then(|node| reader.text(node, "secret"))
        .map(Secret::new);
    Some(Kind::Webhook {
        url: url(reader, section, "url")?,
        format: format?,
        secret,
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
        reader.error(
            "bad-url",
            &node.place,
            format!("`{key}` is no http or https URL"),
            help,
        );
        return None;
    }
    Some(Secret::new(text))
}
