//! `type: discord`: an embed, within Discord's limits. Pure.
//!
//! Nobody is pinged, whatever the text holds: `allowed_mentions` says so, and what would be read
//! as markdown is escaped.

use lapwing_rules::model::{Severity, Status};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::http::Call;
use super::message::Message;
use super::safe::{Place, fit};
use super::text::{self, Markup, units};
use crate::config::secret::Secret;

/// Discord's limit for an embed's title.
const TITLE: usize = 256;
/// Discord's limit for an embed's description.
const DESCRIPTION: usize = 4096;
/// Where an embed fails as a whole.
const ALL: usize = 6000;

/// The body of the POST to the webhook.
pub(super) fn payload(message: &Message) -> Value {
    let title = format!(
        "{} {}",
        message.mark,
        fit(&message.title, Place::Discord, TITLE - 8)
    );
    let render = |room| text::body(message, Markup::Discord, room);
    let fits = |body: &String| units(body) <= DESCRIPTION.min(ALL - TITLE - 200);
    json!({
        "content": "",
        "embeds": [{
            "title": title,
            "description": text::shrink(render, fits),
            "color": colour(message),
            "footer": {"text": fit(&message.key, Place::Plain, 150)},
        }],
        "allowed_mentions": {"parse": []},
    })
}

fn colour(message: &Message) -> u32 {
    match (message.status, message.severity) {
        (Status::Resolved, _) => 0x2e_a0_43,
        (_, Severity::Critical) => 0xd0_2f_2f,
        (_, Severity::Warning) => 0xe0_8a_1e,
        (_, Severity::Info) => 0x2f_6f_d0,
    }
}

/// The same with a picture below it.
pub(super) fn with_picture(url: Secret, mut payload: Value, png: &[u8]) -> Call {
    payload["embeds"][0]["image"] = json!({"url": "attachment://rate.png"});
    let json = payload.to_string().into_bytes();
    let (content_type, body) = multipart(&[
        ("payload_json", None, "application/json", &json),
        ("files[0]", Some("rate.png"), "image/png", png),
    ]);
    Call {
        method: Method::POST,
        url,
        content_type: content_type.into(),
        headers: Vec::new(),
        body,
    }
}

/// A form's parts: name, file name, content type, bytes. Gives its content type and body.
pub(super) fn multipart(parts: &[(&str, Option<&str>, &str, &[u8])]) -> (String, Vec<u8>) {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.3);
    }
    // The text cannot hold its own hash.
    let boundary = super::render::hex(&hash.finalize());
    let mut body = Vec::new();
    for (name, file, content_type, bytes) in parts {
        let file = file.map_or_else(String::new, |file| format!("; filename=\"{file}\""));
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\nContent-Type: {content_type}\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}
