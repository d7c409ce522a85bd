//! Chats that take one text: Mattermost, Google Chat, Telegram, Matrix. Pure.

use serde_json::{Value, json};

use super::message::Message;
use super::text::{self, Markup, units};

/// Mattermost takes 16,383; nobody reads that much.
const MATTERMOST: usize = 8000;
/// Google Chat takes 4,096, in bytes to be safe.
const GOOGLE_CHAT: usize = 4000;
/// Telegram counts 4,096 after it has read the markup.
const TELEGRAM: usize = 4000;
/// A Matrix event is at most 65,536 bytes of JSON, with much in it that is not ours.
const MATRIX: usize = 20_000;

/// For Mattermost's incoming webhook.
pub(super) fn mattermost(message: &Message) -> Value {
    json!({"text": text::whole(message, Markup::Mattermost, MATTERMOST, units)})
}

/// For Google Chat's incoming webhook: all messages of one alert in one thread.
pub(super) fn google_chat(message: &Message) -> Value {
    let mut body = json!({
        "text": text::whole(message, Markup::GoogleChat, GOOGLE_CHAT, str::len),
    });
    if !message.alert_id.is_empty() {
        body["thread"] = json!({"threadKey": message.alert_id});
    }
    body
}

/// For Telegram's `sendMessage`.
pub(super) fn telegram(message: &Message, chat_id: &str) -> Value {
    json!({
        "chat_id": chat_id,
        "text": text::whole(message, Markup::Telegram, TELEGRAM, units),
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": true},
    })
}

/// An event for a Matrix room: a notice, which bots do not answer, and which mentions nobody.
pub(super) fn matrix(message: &Message) -> Value {
    let json_length = |text: &str| Value::from(text).to_string().len();
    json!({
        "msgtype": "m.notice",
        "body": text::whole(message, Markup::Plain, MATRIX, json_length),
        "format": "org.matrix.custom.html",
        "formatted_body": text::whole(message, Markup::Html, MATRIX, json_length),
        "m.mentions": {},
    })
}
