//! `type: slack` with a `token`: the messages of one alert stand in one thread, its first message
//! is edited in place when it ends, and a picture of its rate is uploaded.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

use lapwing_rules::model::Status;
use reqwest::Method;
use serde_json::{Value, json};

use super::calls::below;
use super::http::{Answer, Call, Failure, Http};
use super::outgoing::Outgoing;
use super::retry::{self, Verdict};
use super::{safe, slack};
use crate::clock;
use crate::config::secret::Secret;

/// Alerts whose first message is remembered; older ones get a message of their own again.
const REMEMBERED: usize = 1000;

/// Where the first messages stand.
#[derive(Debug, Default)]
pub(super) struct Threads(VecDeque<Thread>);

#[derive(Clone, Debug)]
struct Thread {
    alert: String,
    /// Slack's id of the channel, which editing asks for.
    channel: String,
    ts: String,
}

/// The bot and its channel.
pub(super) struct Bot<'b> {
    pub(super) http: &'b Http,
    pub(super) api_url: &'b Secret,
    pub(super) token: &'b Secret,
    pub(super) channel: &'b str,
    pub(super) timeout: Duration,
}

impl Thread {
    /// As it is kept in the store.
    fn place(&self) -> String {
        format!("{}/{}", self.channel, self.ts)
    }
}

impl Threads {
    /// One that an earlier process began; `place` is what it kept of it.
    pub(super) fn remember(&mut self, alert: &str, place: &str) {
        let Some((channel, ts)) = place.split_once('/') else {
            return;
        };
        // Said newest first: before what is newer.
        if self.of(alert).is_none() && self.0.len() < REMEMBERED {
            self.0.push_front(Thread {
                alert: alert.to_owned(),
                channel: channel.to_owned(),
                ts: ts.to_owned(),
            });
        }
    }

    fn of(&self, alert: &str) -> Option<Thread> {
        self.0.iter().find(|thread| thread.alert == alert).cloned()
    }

    fn keep(&mut self, thread: Thread) {
        if self.0.len() >= REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(thread);
    }

    fn forget(&mut self, alert: &str) {
        self.0.retain(|thread| thread.alert != alert);
    }
}

impl Bot<'_> {
    /// One try. Gives where the alert's thread is, too, once Slack has it.
    pub(super) async fn send(
        &self,
        threads: &mut Threads,
        outgoing: &Outgoing,
    ) -> (Verdict, Option<String>) {
        let message = outgoing.message();
        let mut payload = slack::payload(&message);
        payload["channel"] = json!(self.channel);
        let thread = threads.of(&message.alert_id);
        if let Some(thread) = &thread {
            payload["thread_ts"] = json!(thread.ts);
        }
        let said = match self.ask("chat.postMessage", &payload).await {
            Ok(said) => said,
            Err(verdict) => return (verdict, None),
        };
        let text = |key: &str| said[key].as_str().unwrap_or_default().to_owned();
        let posted = Thread {
            alert: message.alert_id.clone(),
            channel: text("channel"),
            ts: text("ts"),
        };
        let is_over = message.status == Status::Resolved && !outgoing.is_digest();
        match thread {
            Some(first) if is_over => {
                threads.forget(&first.alert);
                let mut edited = slack::payload(&message);
                edited["channel"] = json!(first.channel);
                edited["ts"] = json!(first.ts);
                // Everybody has been told already: nothing is lost when this fails.
                self.by_the_way("chat.update", &edited).await;
            }
            None if !is_over && !message.alert_id.is_empty() && !posted.ts.is_empty() => {
                threads.keep(posted.clone());
            }
            _ => {}
        }
        if let Some(png) = outgoing.picture() {
            self.upload(png, &posted).await;
        }
        let place = threads.of(&message.alert_id).map(|thread| thread.place());
        (Verdict::Delivered, place)
    }

    fn headers(&self, call: Call) -> Call {
        call.with("Authorization", format!("Bearer {}", self.token.expose()))
    }

    /// Slack answers 200 for nearly everything; `ok` says whether it is.
    async fn ask(&self, method: &str, body: &Value) -> Result<Value, Verdict> {
        let call = self.headers(Call::json(below(self.api_url, method), body));
        self.judged(call).await
    }

    async fn judged(&self, call: Call) -> Result<Value, Verdict> {
        let secrets = [self.token, self.api_url];
        match self.http.send(call, self.timeout).await {
            Ok(answer) => judge(&answer, &secrets),
            Err(Failure::BadUrl(why)) => Err(Verdict::Refused { why }),
            Err(Failure::NoAnswer(why)) => Err(Verdict::Retry { why, after: None }),
        }
    }

    async fn by_the_way(&self, method: &str, body: &Value) {
        if let Err(verdict) = self.ask(method, body).await {
            tracing::debug!(?verdict, method, "Slack did not do it");
        }
    }

    /// Three calls: where to, the bytes, whom to show them to.
    async fn upload(&self, png: Vec<u8>, posted: &Thread) {
        let length = png.len().to_string();
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("filename", "rate.png")
            .append_pair("length", &length)
            .finish();
        let asked = self.headers(Call {
            method: Method::POST,
            url: below(self.api_url, "files.getUploadURLExternal"),
            content_type: Cow::Borrowed("application/x-www-form-urlencoded"),
            headers: Vec::new(),
            body: form.into_bytes(),
        });
        let place = match self.judged(asked).await {
            Ok(place) => place,
            Err(verdict) => {
                tracing::debug!(?verdict, "Slack takes no picture");
                return;
            }
        };
        let (Some(url), Some(file)) = (place["upload_url"].as_str(), place["file_id"].as_str())
        else {
            return;
        };
        let sent = Call {
            method: Method::POST,
            url: Secret::new(url),
            content_type: Cow::Borrowed("image/png"),
            headers: Vec::new(),
            body: png,
        };
        if !self
            .http
            .send(sent, self.timeout)
            .await
            .is_ok_and(|answer| answer.is_success())
        {
            return;
        }
        let shown = json!({
            "files": [{"id": file, "title": "Rate"}],
            "channel_id": posted.channel,
            "thread_ts": posted.ts,
        });
        self.by_the_way("files.completeUploadExternal", &shown)
            .await;
    }
}

fn judge(answer: &Answer, secrets: &[&Secret]) -> Result<Value, Verdict> {
    let detail = answer.detail(secrets);
    let by_status = retry::judge(
        answer.status,
        answer.retry_after.as_deref(),
        &detail,
        clock::now(),
    );
    if by_status != Verdict::Delivered {
        return Err(by_status);
    }
    let json = answer.json();
    if json["ok"] == Value::Bool(true) {
        return Ok(json);
    }
    let error = json["error"].as_str().unwrap_or_default();
    let why = if error.is_empty() {
        format!("HTTP {}, not Slack's words: {detail}", answer.status)
    } else {
        format!("Slack says {}", safe::short(error, 100))
    };
    Err(match error {
        ""
        | "ratelimited"
        | "rate_limited"
        | "internal_error"
        | "fatal_error"
        | "request_timeout"
        | "service_unavailable"
        | "team_added_to_org" => Verdict::Retry { why, after: None },
        "msg_too_long"
        | "no_text"
        | "invalid_blocks"
        | "invalid_blocks_format"
        | "msg_blocks_too_long"
        | "too_many_attachments"
        | "invalid_arguments" => Verdict::Rejected { why },
        // Tokens, scopes, channels: someone must mend them.
        _ => Verdict::Refused { why },
    })
}
