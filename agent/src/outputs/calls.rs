//! What is asked of each service that speaks HTTP, and what its answer means. Pure: a message in,
//! a request out; an answer in, a verdict out.

mod items;

use std::borrow::Cow;
use std::time::Duration;

use lapwing_rules::model::Timestamp;
use reqwest::Method;
use serde_json::Value;

use super::collect::{self, Entry};
use super::http::{Answer, Call};
use super::kind::{Chat, Collector, Kind};
use super::outgoing::Outgoing;
use super::retry::{self, Verdict};
use super::{discord, paging, render, rooms, slack, teams, webhook};
use crate::config::secret::Secret;

pub(super) use items::{Items, of as items_of};

/// The request that delivers `outgoing`; `None`: this kind speaks no HTTP, or needs more than one
/// request. `now`: wall clock, for what must not be replayed.
///
/// # Errors
///
/// It cannot be written as JSON.
pub(super) fn call(
    kind: &Kind,
    outgoing: &Outgoing,
    now: Timestamp,
) -> Result<Option<Call>, serde_json::Error> {
    let one = outgoing.latest();
    let message = || outgoing.message();
    Ok(Some(match kind {
        Kind::Webhook {
            url,
            format,
            secret,
        } => {
            let (content_type, body) = webhook::body(one, *format)?;
            signed(url, content_type, body, secret.as_ref(), now)
                .with("Idempotency-Key", render::key(one))
        }
        Kind::Slack { webhook_url } => Call::json(webhook_url.clone(), &slack::payload(&message())),
        Kind::Room { chat, webhook_url } => room(*chat, webhook_url, outgoing),
        Kind::Telegram {
            api_url,
            token,
            chat_id,
        } => {
            let path = format!("bot{}/sendMessage", token.expose());
            Call::json(below(api_url, &path), &rooms::telegram(&message(), chat_id))
        }
        Kind::Matrix { url, token, room } => matrix(url, token, room, outgoing),
        Kind::PagerDuty {
            api_url,
            routing_key,
        } => Call::json(
            below(api_url, "v2/enqueue"),
            &paging::pagerduty(one, &message(), routing_key.expose()),
        ),
        Kind::Opsgenie { api_url, api_key } => {
            let (path, body) = paging::opsgenie(one, &message());
            let base = if api_url.expose().contains("/jsm/") {
                "alerts"
            } else {
                "v2/alerts"
            };
            Call::json(below(api_url, &format!("{base}{path}")), &body)
                .with("Authorization", format!("GenieKey {}", api_key.expose()))
        }
        Kind::Alertmanager { url } => Call::json(
            below(url, "api/v2/alerts"),
            &paging::alertmanager(&[one], now),
        ),
        Kind::Collector { collector, url } => {
            collected(collector, url, &[collect::of_notification(one)?], now)
        }
        Kind::Console
        | Kind::File { .. }
        | Kind::SlackBot { .. }
        | Kind::Irc(_)
        | Kind::Email(_)
        | Kind::Syslog(_)
        | Kind::Statsd(_)
        | Kind::Graphite(_)
        | Kind::Exec { .. } => return Ok(None),
    }))
}

/// The request that hands `entries` to a collector.
pub(super) fn collected(
    collector: &Collector,
    url: &Secret,
    entries: &[Entry],
    now: Timestamp,
) -> Call {
    let (path, content_type, body) = match collector {
        Collector::Loki => (
            "loki/api/v1/push",
            "application/json",
            collect::loki(entries).to_string(),
        ),
        Collector::Otlp => (
            "v1/logs",
            "application/json",
            collect::otlp(entries, now).to_string(),
        ),
        Collector::Elasticsearch { index } => (
            "_bulk?filter_path=errors,items.*.status,items.*.error.type",
            "application/x-ndjson",
            collect::elasticsearch(entries, index),
        ),
    };
    let call = Call {
        method: Method::POST,
        url: below(url, path),
        content_type: Cow::Borrowed(content_type),
        headers: Vec::new(),
        body: body.into_bytes(),
    };
    collect::compressed(call)
}

fn signed(
    url: &Secret,
    content_type: &'static str,
    body: Vec<u8>,
    secret: Option<&Secret>,
    now: Timestamp,
) -> Call {
    let signature = secret.map(|secret| webhook::signature(secret, now, &body));
    let call = Call {
        method: Method::POST,
        url: url.clone(),
        content_type: Cow::Borrowed(content_type),
        headers: Vec::new(),
        body,
    };
    match signature {
        Some(signature) => call.with("X-Lapwing-Signature", signature),
        None => call,
    }
}

fn room(chat: Chat, url: &Secret, outgoing: &Outgoing) -> Call {
    let message = outgoing.message();
    match chat {
        Chat::Discord => {
            let url = with_query(url, "wait=true");
            let payload = discord::payload(&message);
            match outgoing.picture() {
                Some(picture) => discord::with_picture(url, payload, &picture),
                None => Call::json(url, &payload),
            }
        }
        Chat::Teams => Call::json(url.clone(), &teams::payload(&message)),
        Chat::Mattermost => Call::json(url.clone(), &rooms::mattermost(&message)),
        Chat::GoogleChat => Call::json(
            with_query(
                url,
                "messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD",
            ),
            &rooms::google_chat(&message),
        ),
    }
}

fn matrix(url: &Secret, token: &Secret, room: &str, outgoing: &Outgoing) -> Call {
    // The same for every try, so the server says it once however often it is asked.
    matrix_event(
        url,
        token,
        room,
        &outgoing.key(),
        &rooms::matrix(&outgoing.message()),
    )
}

/// The call that puts an event into a room. `name`: what the server knows a repeat by.
pub(super) fn matrix_event(
    url: &Secret,
    token: &Secret,
    room: &str,
    name: &str,
    event: &Value,
) -> Call {
    let path = format!(
        "_matrix/client/v3/rooms/{}/send/m.room.message/{}",
        paging::percent(room),
        paging::percent(name)
    );
    let mut call = Call::json(below(url, &path), event);
    call.method = Method::PUT;
    call.with("Authorization", format!("Bearer {}", token.expose()))
}

/// `path` below `base`, which may end in it already. A query of the base stays where it belongs.
pub(super) fn below(base: &Secret, path: &str) -> Secret {
    let (base, query) = base.expose().split_once('?').unwrap_or((base.expose(), ""));
    let base = base.trim_end_matches('/');
    let (path, own_query) = path.split_once('?').unwrap_or((path, ""));
    let mut url = if base.ends_with(&format!("/{path}")) {
        base.to_owned()
    } else {
        format!("{base}/{path}")
    };
    let queries: Vec<&str> = [query, own_query]
        .into_iter()
        .filter(|query| !query.is_empty())
        .collect();
    if !queries.is_empty() {
        url.push('?');
        url.push_str(&queries.join("&"));
    }
    Secret::new(url)
}

fn with_query(url: &Secret, query: &str) -> Secret {
    let text = url.expose();
    if text.contains(query) {
        return url.clone();
    }
    let joint = if text.contains('?') { '&' } else { '?' };
    Secret::new(format!("{text}{joint}{query}"))
}

/// What `answer` says about the delivery. `now`: wall clock.
pub(super) fn judge(kind: &Kind, answer: &Answer, now: Timestamp) -> Verdict {
    let detail = answer.detail(&kind.secrets());
    let by_status = retry::judge(answer.status, answer.retry_after.as_deref(), &detail, now);
    match kind {
        Kind::Slack { .. } => slack::judge(answer, &detail).unwrap_or(by_status),
        Kind::Room {
            chat: Chat::Discord,
            ..
        } => asked_for(by_status, answer.json()["retry_after"].as_f64()),
        Kind::Room { .. } => not_a_page(answer, &detail).unwrap_or(by_status),
        Kind::Telegram { .. } => {
            let json = answer.json();
            let description = json["description"].as_str().unwrap_or_default();
            // Not about this message: someone must mend the configuration.
            if answer.status == 400
                && (description.contains("chat not found") || description.contains("chat_id"))
            {
                return Verdict::Refused { why: detail };
            }
            asked_for(by_status, json["parameters"]["retry_after"].as_f64())
        }
        Kind::Matrix { .. } => asked_for(
            by_status,
            answer.json()["retry_after_ms"]
                .as_f64()
                .map(|millis| millis / 1000.0),
        ),
        Kind::Collector {
            collector: Collector::Otlp,
            ..
        } if answer.is_success() => items::otlp(answer).unwrap_or(by_status),
        Kind::Collector {
            collector: Collector::Elasticsearch { .. },
            ..
        } if answer.is_success() => items::elasticsearch(answer, &detail).unwrap_or(by_status),
        _ => by_status,
    }
}

/// A page for people is something else that answers at that address.
pub(super) fn not_a_page(answer: &Answer, detail: &str) -> Option<Verdict> {
    let is_page = answer.is_success() && answer.body.trim_start().starts_with('<');
    is_page.then(|| Verdict::Retry {
        why: format!("HTTP {} with a page: {detail}", answer.status),
        after: None,
    })
}

/// The longer of what the header and the body ask for, in seconds.
fn asked_for(verdict: Verdict, seconds: Option<f64>) -> Verdict {
    match verdict {
        Verdict::Retry { why, after } => {
            let asked = seconds.and_then(retry::asked_seconds);
            Verdict::Retry {
                why,
                after: after.max(asked),
            }
        }
        other => other,
    }
}

/// How long the service asked to be left alone after an answer that was fine otherwise.
pub(super) fn exhausted(answer: &Answer) -> Option<Duration> {
    answer.exhausted_for.and_then(retry::asked_seconds)
}

#[cfg(test)]
mod tests;
