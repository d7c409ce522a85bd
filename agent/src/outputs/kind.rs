//! What kinds of outputs there are and what each needs to know: plain, checked data.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use crate::config::secret::Secret;

/// Where an output delivers to.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Standard output.
    Console,
    /// JSON lines.
    File {
        /// Its folder must exist.
        path: PathBuf,
    },
    /// A POST to anyone's server.
    Webhook {
        /// `http://` or `https://`; may hold a token.
        url: Secret,
        /// What is posted.
        format: WebhookFormat,
        /// Signs the body.
        secret: Option<Secret>,
    },
    /// Slack's incoming webhook.
    Slack {
        /// Whoever knows it can post.
        webhook_url: Secret,
    },
    /// Slack's API with a bot's token: threads by alert, edits in place, pictures.
    SlackBot {
        /// `https://slack.com/api` where the configuration does not say otherwise.
        api_url: Secret,
        /// `xoxb-…`
        token: Secret,
        /// Its id or `#name`.
        channel: String,
    },
    /// A chat room's incoming webhook: whoever knows the URL can post.
    Room {
        /// Whose.
        chat: Chat,
        /// The URL.
        webhook_url: Secret,
    },
    /// Telegram's bot API.
    Telegram {
        /// `https://api.telegram.org` where the configuration does not say otherwise.
        api_url: Secret,
        /// The bot's.
        token: Secret,
        /// A number or `@channel`.
        chat_id: String,
    },
    /// A room on a Matrix server.
    Matrix {
        /// The home server.
        url: Secret,
        /// Of the account that speaks.
        token: Secret,
        /// `!id:server`.
        room: String,
    },
    /// A channel on an IRC server.
    Irc(Irc),
    /// A mail to one or many.
    Email(Email),
    /// An incident at `PagerDuty`.
    PagerDuty {
        /// `https://events.pagerduty.com` where the configuration does not say otherwise.
        api_url: Secret,
        /// Of the integration.
        routing_key: Secret,
    },
    /// An alert at Opsgenie or Jira Service Management.
    Opsgenie {
        /// `https://api.opsgenie.com` where the configuration does not say otherwise.
        api_url: Secret,
        /// Of the integration.
        api_key: Secret,
    },
    /// An Alertmanager, told again and again while an alert is firing.
    Alertmanager {
        /// Its base, without `/api`.
        url: Secret,
    },
    /// A collector with an HTTP interface of its own.
    Collector {
        /// Which one.
        collector: Collector,
        /// Its base.
        url: Secret,
    },
    /// RFC 5424.
    Syslog(Syslog),
    /// Counts by UDP, `name:1|c`.
    Statsd(Meter),
    /// Counts by TCP, `path value time`.
    Graphite(Meter),
    /// A program that reads the notification from its standard input.
    Exec {
        /// The program and its arguments; no shell.
        command: Vec<String>,
        /// What was filled into them.
        secrets: Vec<Secret>,
    },
}

/// Chats with incoming webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chat {
    /// Discord.
    Discord,
    /// Microsoft Teams, by a Workflow.
    Teams,
    /// Mattermost.
    Mattermost,
    /// Google Chat.
    GoogleChat,
}

/// Collectors that take JSON by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Collector {
    /// Loki, or what takes its format.
    Loki,
    /// OTLP over HTTP.
    Otlp,
    /// Elasticsearch or `OpenSearch`.
    Elasticsearch {
        /// Where documents go.
        index: String,
    },
}

/// A channel on an IRC server.
#[derive(Clone, Debug)]
pub struct Irc {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether TLS is spoken.
    pub tls: Tls,
    /// Who speaks.
    pub nick: String,
    /// Where.
    pub channel: String,
    /// Name and password for SASL PLAIN.
    pub sasl: Option<(String, Secret)>,
}

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// From the first byte.
    Yes,
    /// Not at all.
    No,
}

/// A mail to one or many.
#[derive(Clone, Debug)]
pub struct Email {
    /// `smtps://user:password@host` or `smtp://host`, which takes STARTTLS where it is offered.
    pub smtp_url: Secret,
    /// Who sends.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
}

/// Where counts go.
#[derive(Clone, Debug)]
pub struct Meter {
    /// `host:port`.
    pub address: String,
    /// Before each name.
    pub prefix: String,
}

/// A syslog collector.
#[derive(Clone, Debug)]
pub struct Syslog {
    /// How it is reached.
    pub transport: SyslogTransport,
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Stands as an element of its own in the structured data, `KEY@NUMBER`: hosted collectors know their
    /// customers by it.
    pub token: Option<Secret>,
}

/// How a syslog collector is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyslogTransport {
    /// TCP with TLS, octet-counted.
    Tls,
    /// TCP, octet-counted.
    Tcp,
    /// A datagram each.
    Udp,
}

/// How the other side is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams: nobody need answer.
    Udp,
    /// TCP; a mail server may be asked for TLS on the way.
    Tcp,
    /// TLS from the first byte.
    Tls,
}

/// What a webhook is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookFormat {
    /// Section 6 of the contract.
    Lapwing,
    /// Papertrail's own.
    Papertrail,
    /// Alertmanager's webhook, version 4.
    Alertmanager,
}

/// What goes to an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Send {
    /// Notifications.
    #[default]
    Notifications,
    /// Every line that a rule accepts.
    Lines,
    /// How many lines each rule accepted, every few seconds.
    Counts,
}

/// At most so many messages in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// At least 1.
    pub messages: u32,
    /// In any stretch of this length.
    pub per: Duration,
}

/// Where a notification goes that an output cannot deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// The other output's name.
    pub to: String,
    /// After it has waited for so long.
    pub after: Duration,
}

impl Kind {
    /// The word of the configuration's `type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::File { .. } => "file",
            Self::Webhook { .. } => "webhook",
            Self::Slack { .. } | Self::SlackBot { .. } => "slack",
            Self::Room { chat, .. } => match chat {
                Chat::Discord => "discord",
                Chat::Teams => "teams",
                Chat::Mattermost => "mattermost",
                Chat::GoogleChat => "googlechat",
            },
            Self::Telegram { .. } => "telegram",
            Self::Matrix { .. } => "matrix",
            Self::Irc(_) => "irc",
            Self::Email(_) => "email",
            Self::PagerDuty { .. } => "pagerduty",
            Self::Opsgenie { .. } => "opsgenie",
            Self::Alertmanager { .. } => "alertmanager",
            Self::Collector { collector, .. } => match collector {
                Collector::Loki => "loki",
                Collector::Otlp => "otlp",
                Collector::Elasticsearch { .. } => "elasticsearch",
            },
            Self::Syslog { .. } => "syslog",
            Self::Statsd(_) => "statsd",
            Self::Graphite(_) => "graphite",
            Self::Exec { .. } => "exec",
        }
    }

    /// What the service itself allows, kept beforehand: refused messages count against the sender
    /// at most of them. `None`: it sets no limit of its own.
    pub fn rate_limit(&self) -> Option<RateLimit> {
        let limit = |messages, seconds| {
            Some(RateLimit {
                messages,
                per: Duration::from_secs(seconds),
            })
        };
        match self {
            // One message a second for a channel.
            Self::Slack { .. } | Self::SlackBot { .. } => limit(1, 1),
            Self::Room { chat, .. } => match chat {
                // 30 a minute for a webhook, five in two seconds.
                Chat::Discord => limit(4, 8),
                Chat::Teams => limit(3, 3),
                Chat::Mattermost => limit(5, 1),
                Chat::GoogleChat => limit(1, 1),
            },
            // Twenty a minute to a group, one a second to a person.
            Self::Telegram { .. } => limit(1, 3),
            Self::Matrix { .. } => limit(2, 2),
            Self::Email(_) => limit(30, 60),
            Self::PagerDuty { .. } => limit(100, 60),
            Self::Opsgenie { .. } => limit(60, 60),
            _ => None,
        }
    }

    /// Whether people read it: a storm of messages becomes one there.
    pub fn is_for_people(&self) -> bool {
        matches!(
            self,
            Self::Slack { .. }
                | Self::SlackBot { .. }
                | Self::Room { .. }
                | Self::Telegram { .. }
                | Self::Matrix { .. }
                | Self::Irc(_)
                | Self::Email(_)
        )
    }

    /// Whether it keeps an incident open until it is told of the end.
    pub fn keeps_incidents(&self) -> bool {
        matches!(
            self,
            Self::PagerDuty { .. } | Self::Opsgenie { .. } | Self::Alertmanager { .. }
        )
    }

    /// What may be sent there; the first is sent where the configuration does not say.
    pub fn sends(&self) -> &'static [Send] {
        match self {
            Self::Statsd(_) | Self::Graphite(_) => &[Send::Counts],
            Self::Collector { .. } | Self::Syslog(_) | Self::File { .. } => {
                &[Send::Notifications, Send::Lines, Send::Counts]
            }
            _ => &[Send::Notifications],
        }
    }

    /// The host and port that it is reached at, which are no secret; `None` where there are none.
    pub fn peer(&self) -> Option<(String, u16)> {
        let of_url = |url: Url| {
            let usual = match url.scheme() {
                "smtp" if url.username().is_empty() => Some(25),
                "smtp" => Some(587),
                "smtps" => Some(465),
                _ => None,
            };
            let port = url.port_or_known_default().or(usual)?;
            Some((url.host_str()?.to_owned(), port))
        };
        match self {
            Self::Syslog(server) => Some((server.host.clone(), server.port)),
            Self::Irc(irc) => Some((irc.host.clone(), irc.port)),
            Self::Statsd(meter) | Self::Graphite(meter) => super::host_and_port(&meter.address),
            other => of_url(other.url()?),
        }
    }

    /// Of those that are reached at a URL.
    pub(super) fn url(&self) -> Option<Url> {
        match self {
            Self::Console
            | Self::File { .. }
            | Self::Irc(_)
            | Self::Syslog(_)
            | Self::Statsd(_)
            | Self::Graphite(_)
            | Self::Exec { .. } => None,
            other => Url::parse(other.secrets().first()?.expose()).ok(),
        }
    }

    /// How what [`Kind::peer`] names is spoken to.
    pub fn transport(&self) -> Transport {
        let of = |tls: bool| if tls { Transport::Tls } else { Transport::Tcp };
        match self {
            Self::Statsd(_) => Transport::Udp,
            Self::Syslog(server) => match server.transport {
                SyslogTransport::Udp => Transport::Udp,
                SyslogTransport::Tcp => Transport::Tcp,
                SyslogTransport::Tls => Transport::Tls,
            },
            Self::Irc(irc) => of(irc.tls == Tls::Yes),
            other => {
                let is_tls = |url: Url| matches!(url.scheme(), "https" | "smtps");
                of(other.url().is_some_and(is_tls))
            }
        }
    }

    /// Every secret that must not stand in what the other side answered.
    pub fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::Webhook { url, secret, .. } => std::iter::once(url).chain(secret).collect(),
            Self::Slack { webhook_url } | Self::Room { webhook_url, .. } => vec![webhook_url],
            Self::SlackBot { api_url, token, .. }
            | Self::Telegram { api_url, token, .. }
            | Self::Matrix {
                url: api_url,
                token,
                ..
            } => vec![api_url, token],
            Self::PagerDuty {
                api_url,
                routing_key: key,
            }
            | Self::Opsgenie {
                api_url,
                api_key: key,
            } => vec![api_url, key],
            Self::Alertmanager { url } | Self::Collector { url, .. } => vec![url],
            Self::Irc(irc) => irc.sasl.iter().map(|(_, password)| password).collect(),
            Self::Email(email) => vec![&email.smtp_url],
            Self::Syslog(server) => server.token.iter().collect(),
            Self::Exec { secrets, .. } => secrets.iter().collect(),
            Self::Console | Self::File { .. } | Self::Statsd(_) | Self::Graphite(_) => Vec::new(),
        }
    }
}
