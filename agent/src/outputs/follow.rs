//! The picture that follows a message where the service takes it in a call of its own: Matrix and
//! Telegram. The message has arrived by then: what fails here loses nothing, and is not tried again.

use std::borrow::Cow;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::calls::{below, judge, matrix_event};
use super::discord::multipart;
use super::http::{Answer, Call, Http};
use super::kind::Kind;
use super::outgoing::Outgoing;
use super::picture;
use super::retry::Verdict;
use crate::clock;
use crate::config::secret::Secret;

/// Shows the picture of `outgoing` below its message, which `answer` is about. Gives whether it counts as
/// one more message there. `timeout`: for one call.
pub(super) async fn picture(
    kind: &Kind,
    http: &Http,
    outgoing: &Outgoing,
    answer: &Answer,
    timeout: Duration,
) -> bool {
    if !matches!(kind, Kind::Matrix { .. } | Kind::Telegram { .. }) {
        return false;
    }
    let Some(png) = outgoing.picture() else {
        return false;
    };
    let ask = async |call: Call| -> Option<Answer> {
        let answer = http.send(call, timeout).await.ok()?;
        match judge(kind, &answer, clock::now()) {
            Verdict::Delivered => Some(answer),
            verdict => {
                tracing::debug!(?verdict, "the service takes no picture");
                None
            }
        }
    };
    match kind {
        Kind::Matrix { url, token, room } => {
            let size = png.len();
            let Some(stored) = ask(matrix_upload(url, token, png)).await else {
                return false;
            };
            let place = stored.json()["content_uri"].as_str().map(str::to_owned);
            let Some(place) = place.filter(|place| place.starts_with("mxc://")) else {
                return false;
            };
            let (width, height) = picture::SIZE;
            let event = json!({
                "msgtype": "m.image",
                "body": "rate.png",
                "url": place,
                "info": {"mimetype": "image/png", "size": size, "w": width, "h": height},
                "m.mentions": {},
            });
            let name = format!("{}/picture", outgoing.key());
            ask(matrix_event(url, token, room, &name, &event)).await;
        }
        Kind::Telegram {
            api_url,
            token,
            chat_id,
        } => {
            let message = &answer.json()["result"]["message_id"];
            ask(telegram_photo(
                api_url,
                token,
                chat_id,
                message.as_i64(),
                &png,
            ))
            .await;
        }
        _ => return false,
    }
    true
}

fn matrix_upload(url: &Secret, token: &Secret, png: Vec<u8>) -> Call {
    Call {
        method: Method::POST,
        url: below(url, "_matrix/media/v3/upload?filename=rate.png"),
        content_type: Cow::Borrowed("image/png"),
        headers: Vec::new(),
        body: png,
    }
    .with("Authorization", format!("Bearer {}", token.expose()))
}

/// `message`: the one that it answers.
fn telegram_photo(
    api_url: &Secret,
    token: &Secret,
    chat_id: &str,
    message: Option<i64>,
    png: &[u8],
) -> Call {
    let reply = message.map(|id| json!({"message_id": id}).to_string());
    let mut parts: Vec<(&str, Option<&str>, &str, &[u8])> = vec![
        ("chat_id", None, "text/plain", chat_id.as_bytes()),
        ("disable_notification", None, "text/plain", b"true"),
        ("photo", Some("rate.png"), "image/png", png),
    ];
    if let Some(reply) = &reply {
        parts.push((
            "reply_parameters",
            None,
            "application/json",
            reply.as_bytes(),
        ));
    }
    let (content_type, body) = multipart(&parts);
    Call {
        method: Method::POST,
        url: below(api_url, &format!("bot{}/sendPhoto", token.expose())),
        content_type: content_type.into(),
        headers: Vec::new(),
        body,
    }
}
