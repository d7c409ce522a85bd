//! What every output must stand, asked of all in the same way: each kind of answer and none, hostile text,
//! secrets (`http`; `streams` for those that speak something else). Then whole workers with a store: order,
//! restarts, one dead output beside a living one, the stop (`pipeline`, `stops`).

mod follows;
mod http;
mod pipeline;
mod server;
mod stops;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use lapwing_rules::model::Notification;

use server::{Reply, Server, answer};

use super::http::Http;
use super::kind::{Chat, Collector};
use super::message::Way;
use super::outgoing::Outgoing;
use super::retry::Verdict;
use super::sample::notification;
use super::sender::Sender;
use super::{Kind, Palette, Spec, WebhookFormat};
use crate::config::secret::Secret;

/// Stands in every URL and as the signing key; must stand nowhere else.
const TOKEN: &str = "t0ken-that-nobody-may-see";

/// Every output that speaks HTTP, aimed at `address`.
#[expect(clippy::too_many_lines, reason = "a list")]
fn outputs(address: &str) -> Vec<Spec> {
    let url = || Secret::new(format!("http://{address}/services/{TOKEN}?key={TOKEN}"));
    let base = || Secret::new(format!("http://me:{TOKEN}@{address}/services"));
    let token = || Secret::new(TOKEN);
    let webhook = |format| Kind::Webhook {
        url: url(),
        format,
        secret: Some(token()),
    };
    let room = |chat| Kind::Room {
        chat,
        webhook_url: url(),
    };
    let collector = |collector| Kind::Collector {
        collector,
        url: base(),
    };
    let kinds = [
        ("lapwing", webhook(WebhookFormat::Lapwing)),
        ("papertrail", webhook(WebhookFormat::Papertrail)),
        ("slack", Kind::Slack { webhook_url: url() }),
        ("am-webhook", webhook(WebhookFormat::Alertmanager)),
        (
            "slack-bot",
            Kind::SlackBot {
                api_url: base(),
                token: token(),
                channel: "#ops".to_owned(),
            },
        ),
        ("discord", room(Chat::Discord)),
        ("teams", room(Chat::Teams)),
        ("mattermost", room(Chat::Mattermost)),
        ("googlechat", room(Chat::GoogleChat)),
        (
            "telegram",
            Kind::Telegram {
                api_url: base(),
                token: token(),
                chat_id: "-100123".to_owned(),
            },
        ),
        (
            "matrix",
            Kind::Matrix {
                url: base(),
                token: token(),
                room: "!ops:example.com".to_owned(),
            },
        ),
        (
            "pagerduty",
            Kind::PagerDuty {
                api_url: base(),
                routing_key: token(),
            },
        ),
        (
            "opsgenie",
            Kind::Opsgenie {
                api_url: base(),
                api_key: token(),
            },
        ),
        ("alertmanager", Kind::Alertmanager { url: base() }),
        ("loki", collector(Collector::Loki)),
        ("otlp", collector(Collector::Otlp)),
        (
            "elasticsearch",
            collector(Collector::Elasticsearch {
                index: "lapwing".to_owned(),
            }),
        ),
    ];
    let spec = |(name, kind)| Spec {
        timeout: Duration::from_secs(5),
        ..Spec::new(name, kind)
    };
    kinds.into_iter().map(spec).collect()
}

/// What the service says when all is well, where the status is not enough.
fn well(name: &str) -> &'static str {
    match name {
        "slack-bot" => r#"{"ok":true,"channel":"C1","ts":"1.2"}"#,
        "elasticsearch" => r#"{"errors":false}"#,
        _ => "ok",
    }
}

async fn try_with(http: &Arc<Http>, spec: &Spec, notification: Notification) -> Verdict {
    let outgoing = Outgoing::one(Arc::new(notification), Way::default());
    let mut sender = Sender::new(
        spec.kind.clone(),
        spec.timeout,
        Palette::Plain,
        Arc::clone(http),
    );
    sender.send(1, &outgoing).await.verdict
}

async fn try_once(http: &Arc<Http>, spec: &Spec) -> Verdict {
    try_with(http, spec, notification()).await
}

/// The class of a verdict and the wait that was asked for; no verdict's text may show a secret.
fn class(spec: &Spec, verdict: &Verdict) -> (&'static str, Option<u64>) {
    let shown = format!("{verdict:?} {spec:?}");
    assert!(!shown.contains(TOKEN), "{shown}");
    match verdict {
        Verdict::Delivered => ("delivered", None),
        Verdict::Retry { after, .. } => ("retry", after.map(|after| after.as_secs())),
        Verdict::Refused { .. } => ("refused", None),
        Verdict::Rejected { .. } => ("rejected", None),
    }
}
