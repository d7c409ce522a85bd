//! What each type of output needs to know → [`Kind`].

use std::path::Path;

use lapwing_rules::language::reader::{Keys, Reader, Section};
use lapwing_rules::language::yaml::{Node, Value};

use super::{required, url};
use crate::config::secret::Secret;
use crate::outputs::kind::{Chat, Collector, Email, Irc, Meter, Syslog, SyslogTransport, Tls};
use crate::outputs::{Kind, WebhookFormat, host_and_port};

/// The words after `type:`.
pub(in crate::config::check) const TYPES: &[&str] = &[
    "console",
    "file",
    "webhook",
    "slack",
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
const SASL_KEYS: Keys = Keys {
    of: "`sasl`",
    known: &["user", "password"],
};
const FORMATS: &[(&str, WebhookFormat)] = &[
    ("lapwing", WebhookFormat::Lapwing),
    ("papertrail", WebhookFormat::Papertrail),
    ("alertmanager", WebhookFormat::Alertmanager),
];

/// The keys that only this type has, or a few.
pub(super) fn own_keys(word: &str) -> &'static [&'static str] {
    match word {
        "file" => &["path"],
        "webhook" => &["url", "secret", "format"],
        "slack" => &["webhook_url", "token", "channel", "api_url"],
        "discord" | "teams" | "mattermost" | "googlechat" => &["webhook_url"],
        "telegram" => &["token", "chat_id", "api_url"],
        "matrix" => &["url", "token", "room"],
        "irc" => &["server", "tls", "nick", "channel", "sasl"],
        "email" => &["smtp_url", "from", "to"],
        "pagerduty" => &["routing_key", "api_url"],
        "opsgenie" => &["api_key", "api_url"],
        "alertmanager" | "loki" | "otlp" => &["url"],
        "syslog" => &["url", "token"],
        "elasticsearch" => &["url", "index"],
        "statsd" | "graphite" => &["address", "prefix"],
        "exec" => &["command"],
        _ => &[],
    }
}

/// `word` is one of [`TYPES`]. `None`: something is missing or wrong, which has been said.
pub(super) fn read(
    reader: &mut Reader,
    section: &Section<'_>,
    word: &str,
    folder: &Path,
) -> Option<Kind> {
    let room = |chat, reader: &mut Reader| {
        let webhook_url = url(reader, section, "webhook_url")?;
        Some(Kind::Room { chat, webhook_url })
    };
    Some(match word {
        "console" => Kind::Console,
        "file" => Kind::File {
            path: folder.join(required(reader, section, "path")?),
        },
        "webhook" => webhook(reader, section)?,
        "slack" => slack(reader, section)?,
        "discord" => room(Chat::Discord, reader)?,
        "teams" => room(Chat::Teams, reader)?,
        "mattermost" => room(Chat::Mattermost, reader)?,
        "googlechat" => room(Chat::GoogleChat, reader)?,
        "telegram" => Kind::Telegram {
            api_url: api_url(reader, section, "https://api.telegram.org")?,
            token: secret(reader, section, "token")?,
            chat_id: word_of(reader, section, "chat_id")?,
        },
        "matrix" => Kind::Matrix {
            url: url(reader, section, "url")?,
            token: secret(reader, section, "token")?,
            room: word_of(reader, section, "room")?,
        },
        "irc" => irc(reader, section)?,
        "email" => email(reader, section)?,
        "pagerduty" => Kind::PagerDuty {
            api_url: api_url(reader, section, "https://events.pagerduty.com")?,
            routing_key: secret(reader, section, "routing_key")?,
        },
        "opsgenie" => Kind::Opsgenie {
            api_url: api_url(reader, section, "https://api.opsgenie.com")?,
            api_key: secret(reader, section, "api_key")?,
        },
        "alertmanager" => Kind::Alertmanager {
            url: url(reader, section, "url")?,
        },
        "loki" => collector(reader, section, Collector::Loki)?,
        "otlp" => collector(reader, section, Collector::Otlp)?,
        "elasticsearch" => {
            let index = word_of(reader, section, "index")?;
            collector(reader, section, Collector::Elasticsearch { index })?
        }
        "syslog" => syslog(reader, section)?,
        "statsd" => Kind::Statsd(meter(reader, section, 8125)?),
        "graphite" => Kind::Graphite(meter(reader, section, 2003)?),
        _ => exec(reader, section)?,
    })
}

fn webhook(reader: &mut Reader, section: &Section<'_>) -> Option<Kind> {
    let format = match section.get("format") {
        Some(node) => reader.choice(node, "format", FORMATS),
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

fn slack(reader: &mut Reader, section: &Section<'_>) -> Option<Kind> {
    if section.get("token").is_none() {
        for key in ["channel", "api_url"] {
            if let Some(node) = section.get(key) {
                let message = format!("`{key}` means nothing without a bot's `token`");
                reader.error("foreign-key", &node.place, message, None);
            }
        }
        return Some(Kind::Slack {
            webhook_url: url(reader, section, "webhook_url")?,
        });
    }
    if let Some(node) = section.get("webhook_url") {
        let message = "a bot with a `token` needs no `webhook_url`";
        reader.error("foreign-key", &node.place, message, None);
    }
    Some(Kind::SlackBot {
        api_url: api_url(reader, section, "https://slack.com/api")?,
        token: secret(reader, section, "token")?,
        channel: word_of(reader, section, "channel")?,
    })
}

fn api_url(reader: &mut Reader, section: &Section<'_>, usual: &str) -> Option<Secret> {
    match section.get("api_url") {
        Some(_) => url(reader, section, "api_url"),
        None => Some(Secret::new(usual)),
    }
}

/// Goes into a header or a path: one that is empty or holds a line end is a mistake in a file.
fn secret(reader: &mut Reader, section: &Section<'_>, key: &str) -> Option<Secret> {
    let text = required(reader, section, key)?;
    let node = section.get(key)?;
    if text.is_empty() || text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        let message = format!("`{key}` is empty, or holds spaces or line ends");
        reader.error("bad-value", &node.place, message, None);
        return None;
    }
    Some(Secret::new(text))
}

/// A name without spaces and control characters.
fn word_of(reader: &mut Reader, section: &Section<'_>, key: &str) -> Option<String> {
    let text = required(reader, section, key)?;
    let node = section.get(key)?;
    checked_word(reader, node, key, text)
}

fn checked_word(reader: &mut Reader, node: &Node, key: &str, text: &str) -> Option<String> {
    if text.is_empty()
        || text.len() > 500
        || text.contains(|c: char| c.is_control() || c.is_whitespace())
    {
        let message = format!("`{key}` is one word without spaces");
        reader.error("bad-value", &node.place, message, None);
        return None;
    }
    Some(text.to_owned())
}

fn collector(reader: &mut Reader, section: &Section<'_>, collector: Collector) -> Option<Kind> {
    let url = url(reader, section, "url")?;
    Some(Kind::Collector { collector, url })
}

/// A host with or without its port.
fn address(reader: &mut Reader, node: &Node, key: &str, usual: u16) -> Option<(String, u16)> {
    let text = reader.text(node, key)?;
    let text = checked_word(reader, node, key, text)?;
    let is_bare = !text.contains(':') || text.ends_with(']');
    let address = if text.contains('/') {
        None
    } else if is_bare {
        Some((text.trim_matches(['[', ']']).to_owned(), usual))
    } else {
        host_and_port(&text)
    };
    if address.is_none() {
        let help = Some(format!("write `host:{usual}`"));
        reader.error(
            "bad-value",
            &node.place,
            format!("`{key}` is no host and port"),
            help,
        );
    }
    address
}

fn irc(reader: &mut Reader, section: &Section<'_>) -> Option<Kind> {
    let is_tls = section
        .get("tls")
        .and_then(|node| reader.boolean(node, "tls"));
    let tls = if is_tls.unwrap_or(true) {
        Tls::Yes
    } else {
        Tls::No
    };
    required(reader, section, "server")?;
    let usual = if tls == Tls::Yes { 6697 } else { 6667 };
    let (host, port) = address(reader, section.get("server")?, "server", usual)?;
    let nick = match section.get("nick") {
        Some(_) => word_of(reader, section, "nick")?,
        None => "lapwing".to_owned(),
    };
    let channel = word_of(reader, section, "channel")?;
    if !channel.starts_with(['#', '&', '+', '!']) || channel.contains(',') {
        let node = section.get("channel")?;
        let help = Some("write `'#ops'`: without quotes, YAML takes it for a comment".to_owned());
        reader.error("bad-value", &node.place, "`channel` begins with `#`", help);
        return None;
    }
    let sasl = match section.get("sasl") {
        None => None,
        Some(node) => {
            let section = reader.section(node, SASL_KEYS)?;
            if tls == Tls::No {
                let help = Some("leave `tls: false` away".to_owned());
                let message = "this password goes over the network for everybody to read";
                reader.warning("clear-secret", &node.place, message, help);
            }
            let user = word_of(reader, &section, "user")?;
            Some((user, secret(reader, &section, "password")?))
        }
    };
    Some(Kind::Irc(Irc {
        host,
        port,
        tls,
        nick,
        channel,
        sasl,
    }))
}

fn email(reader: &mut Reader, section: &Section<'_>) -> Option<Kind> {
    let text = required(reader, section, "smtp_url")?;
    let node = section.get("smtp_url")?;
    let parsed = reqwest::Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "smtp" | "smtps") && url.has_host());
    if parsed.is_none() {
        let help = Some("write `smtps://user:password@host` or `smtp://host`".to_owned());
        reader.error(
            "bad-url",
            &node.place,
            "`smtp_url` is no smtp or smtps URL",
            help,
        );
        return None;
    }
    let from = required(reader, section, "from")?;
    let from_node = section.get("from")?;
    let Some(to_node) = section.get("to") else {
        required(reader, section, "to");
        return None;
    };
    let to = reader.texts(to_node, "to");
    for (node, address) in
        std::iter::once((from_node, from)).chain(to.iter().map(|to| (to_node, to.as_str())))
    {
        if address.parse::<lettre::message::Mailbox>().is_err() {
            let help = Some("write `ops@example.com` or `Ops <ops@example.com>`".to_owned());
            reader.error("bad-value", &node.place, "this is no mail address", help);
        }
    }
    (!to.is_empty()).then(|| {
        Kind::Email(Email {
            smtp_url: Secret::new(text),
            from: from.to_owned(),
            to,
        })
    })
}

fn syslog(reader: &mut Reader, section: &Section<'_>) -> Option<Kind> {
    let text = required(reader, section, "url")?;
    let node = section.get("url")?;
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let (transport, usual) = match scheme {
        "tls" => (SyslogTransport::Tls, 6514),
        "tcp" => (SyslogTransport::Tcp, 514),
        "udp" => (SyslogTransport::Udp, 514),
        _ => {
            let help =
                Some("write `tls://host:6514`, `tcp://host:514` or `udp://host:514`".to_owned());
            reader.error(
                "bad-url",
                &node.place,
                "`url` is no tls, tcp or udp URL",
                help,
            );
            return None;
        }
    };
    let rest = rest.trim_end_matches('/');
    let has_port = rest
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.contains(']'));
    let parts = if has_port {
        host_and_port(rest)
    } else {
        Some((rest.trim_matches(['[', ']']).to_owned(), usual))
    };
    let Some((host, port)) = parts.filter(|(host, _)| !host.is_empty()) else {
        reader.error(
            "bad-url",
            &node.place,
            "`url` has no host, or no port that is one",
            None,
        );
        return None;
    };
    let token = match section.get("token") {
        Some(_) => Some(syslog_token(reader, section, transport)?),
        None => None,
    };
    Some(Kind::Syslog(Syslog {
        transport,
        host,
        port,
        token,
    }))
}

/// `KEY` or `KEY@NUMBER`, the name of an element of structured data.
fn syslog_token(
    reader: &mut Reader,
    section: &Section<'_>,
    transport: SyslogTransport,
) -> Option<Secret> {
    let token = secret(reader, section, "token")?;
    let node = section.get("token")?;
    let text = token.expose();
    if !text.chars().all(|c| c.is_ascii_graphic()) || text.contains(['=', ']', '"', '[']) {
        let message = "`token` holds letters, digits and signs, but no `=`, `[`, `]` and `\"`";
        reader.error("bad-value", &node.place, message, None);
        return None;
    }
    if transport != SyslogTransport::Tls {
        let help = Some("write `tls://` in `url`".to_owned());
        let message = "this token goes over the network for everybody to read";
        reader.warning("clear-secret", &node.place, message, help);
    }
    // The number under which hosted collectors look for it where their papers name no other.
    let has_number = text.contains('@');
    Some(if has_number {
        token
    } else {
        Secret::new(format!("{text}@41058"))
    })
}

fn meter(reader: &mut Reader, section: &Section<'_>, usual: u16) -> Option<Meter> {
    required(reader, section, "address")?;
    let (host, port) = address(reader, section.get("address")?, "address", usual)?;
    let prefix = match section.get("prefix") {
        Some(node) => {
            let text = reader.text(node, "prefix")?;
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if !text.chars().all(plain) {
                let message = "`prefix` holds letters, digits, `-`, `_` and `.`";
                reader.error("bad-value", &node.place, message, None);
                return None;
            }
            text.to_owned()
        }
        None => "lapwing".to_owned(),
    };
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host
    };
    Some(Meter {
        address: format!("{host}:{port}"),
        prefix,
    })
}

fn exec(reader: &mut Reader, section: &Section<'_>) -> Option<Kind> {
    let Some(node) = section.get("command") else {
        required(reader, section, "command");
        return None;
    };
    let command = reader.texts(node, "command");
    let program = command.first().map_or("", String::as_str);
    if !program.starts_with('/') {
        let help =
            Some("write `command: [/usr/local/bin/page, --now]`; there is no shell".to_owned());
        reader.error(
            "bad-value",
            &node.place,
            "`command` begins with the whole path of a program",
            help,
        );
        return None;
    }
    let secrets = filled_in(node);
    Some(Kind::Exec { command, secrets })
}

/// What `${…}` in a list of texts became.
fn filled_in(node: &Node) -> Vec<Secret> {
    let Value::List(items) = &node.value else {
        return Vec::new();
    };
    let part = |item: &Node| {
        let Value::Scalar(scalar) = &item.value else {
            return None;
        };
        let written = scalar.shown.as_deref()?;
        let (before, rest) = written.split_once("${")?;
        let (_, after) = rest.rsplit_once('}')?;
        let filled = scalar.text.strip_prefix(before)?.strip_suffix(after)?;
        Some(Secret::new(filled))
    };
    items.iter().filter_map(part).collect()
}
