//! `type: teams`: an Adaptive Card for a Workflow's webhook. Pure.
//!
//! A `TextBlock` reads markdown, which has no reliable escape there. Runs of text in a
//! `RichTextBlock` do not, so everything that is not our own word stands in those.

use lapwing_rules::model::{Severity, Status};
use serde_json::{Value, json};

use super::message::Message;
use super::safe::{self, Place, fit, fit_lines};
use super::text::{Room, shrink};

/// Teams refuses a message of more than 28 KB; some of that is its own.
const BYTES: usize = 24_000;

/// The body of the POST to the Workflow.
pub(super) fn payload(message: &Message) -> Value {
    shrink(
        |room| {
            json!({
                "type": "message",
                "attachments": [{
                    "contentType": "application/vnd.microsoft.card.adaptive",
                    "contentUrl": null,
                    "content": card(message, room),
                }],
            })
        },
        |body: &Value| body.to_string().len() <= BYTES,
    )
}

fn run(text: &str, max: usize) -> Value {
    // An empty run is refused.
    let text = if text.is_empty() { " " } else { text };
    json!({"type": "TextRun", "text": fit(text, Place::Card, max)})
}

fn paragraph(runs: &[Value]) -> Value {
    json!({"type": "RichTextBlock", "inlines": runs, "spacing": "Small"})
}

fn card(message: &Message, room: Room) -> Value {
    let mut title = run(&format!("{} {}", message.mark, message.title), 300);
    title["weight"] = json!("Bolder");
    title["size"] = json!("Large");
    title["color"] = json!(colour(message));
    let mut body = vec![
        paragraph(&[title]),
        paragraph(&[run(&message.summary, room.summary)]),
    ];
    for (label, value) in message.facts.iter().take(room.facts) {
        let mut label = run(&format!("{label}  "), 120);
        label["weight"] = json!("Bolder");
        body.push(paragraph(&[label, run(value, room.fact)]));
    }
    let first = message.samples.len().saturating_sub(room.samples);
    for sample in message.samples.iter().skip(first) {
        let cut = if sample.is_cut { " … (cut)" } else { "" };
        let text = fit_lines(&sample.text, Place::Card, room.sample);
        body.push(paragraph(&[json!({
            "type": "TextRun",
            "text": format!("{text}{cut} "),
            "fontType": "Monospace",
            "size": "Small",
        })]));
    }
    for hint in &message.hints {
        let mut hint = run(hint, room.fact);
        hint["fontType"] = json!("Monospace");
        body.push(paragraph(&[hint]));
    }
    if !message.notes.is_empty() {
        let mut notes = run(&message.notes.join(" · "), room.fact);
        notes["isSubtle"] = json!(true);
        body.push(paragraph(&[notes]));
    }
    let links = message.links.iter();
    let actions: Vec<Value> = links
        .filter_map(|(label, url)| {
            let url = safe::link(url)?;
            Some(json!({"type": "Action.OpenUrl", "title": label, "url": url}))
        })
        .collect();
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "msteams": {"width": "Full"},
    });
    if !actions.is_empty() {
        card["actions"] = json!(actions);
    }
    card
}

fn colour(message: &Message) -> &'static str {
    match (message.status, message.severity) {
        (Status::Resolved, _) => "Good",
        (_, Severity::Critical) => "Attention",
        (_, Severity::Warning) => "Warning",
        (_, Severity::Info) => "Accent",
    }
}
