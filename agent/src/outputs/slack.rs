//! `type: slack` with a `webhook_url`: one message of blocks, within Slack's limits whatever the
//! log holds. [`message`] is pure.
//!
//! Nothing from a log goes into `mrkdwn`, where stars and backticks would act: it stands in
//! plain text and rich text. `&`, `<` and `>` are escaped there too, else `<!here>` pings.

use serde_json::{Value, json};

use super::calls::not_a_page;
use super::http::Answer;
use super::message::{Message, Sample};
use super::retry::Verdict;
use super::safe::{self, Place};

/// Slack's limit for a header.
const HEADER_CHARS: usize = 150;
/// Slack's limit for the text of a section.
const SECTION_CHARS: usize = 3000;
/// A summary is a sentence or two.
const SUMMARY_CHARS: usize = 1000;
/// For everything that is not a sample and has no limit of its own.
const FACT_CHARS: usize = 200;
/// All blocks together fail (`msg_blocks_too_long`) at some 13,000 characters, a figure that
/// Slack does not document: stay clear of it.
const BLOCKS_BYTES: usize = 11_000;
/// No sample is longer, also where there is room.
const SAMPLE_CHARS: usize = 2000;
/// What an answer to the incoming webhook means beside its status.
pub(super) fn judge(answer: &Answer, detail: &str) -> Option<Verdict> {
    // What Slack says about a hook that was removed; it will not come back by itself, but people
    // put them back.
    if answer.status == 410 {
        return Some(Verdict::Refused {
            why: format!("HTTP 410: {detail}"),
        });
    }
    // Slack says "ok", services that are like it say other things, or nothing.
    if !answer.is_success() || answer.body.trim() == "ok" {
        return None;
    }
    if !answer.whole {
        let why = format!("HTTP {}, and the answer broke off", answer.status);
        return Some(Verdict::Retry { why, after: None });
    }
    not_a_page(answer, detail)
}

/// The message: `text` for the banner, `blocks` for the channel.
pub(super) fn payload(message: &Message) -> Value {
    let mut sample_chars = SAMPLE_CHARS;
    loop {
        let blocks = blocks(message, sample_chars);
        // Escapes and JSON's own count too; halving is coarse, and a tenth of a sample is enough.
        if blocks.to_string().len() <= BLOCKS_BYTES || sample_chars < 2 * safe::LEAST {
            return json!({
                "text": safe::fit(&message.headline(), Place::Slack, SECTION_CHARS),
                "blocks": blocks,
                "unfurl_links": false,
                "unfurl_media": false,
            });
        }
        sample_chars /= 2;
    }
}

fn blocks(message: &Message, sample_chars: usize) -> Value {
    let title = format!("{} {}", message.mark, message.title);
    let mut blocks = vec![
        json!({"type": "header", "text": plain(&title, HEADER_CHARS)}),
        json!({"type": "section", "text": plain(&message.summary, SUMMARY_CHARS)}),
        json!({"type": "rich_text", "elements": [facts(message)]}),
    ];
    let samples = samples(&message.samples, sample_chars);
    if !samples.is_empty() {
        blocks.push(json!({"type": "rich_text", "elements": samples}));
    }
    let mut last = links(message);
    for hint in &message.hints {
        if !last.is_empty() {
            last.push(json!({"type": "text", "text": "\n"}));
        }
        let mut hint = rich(hint, FACT_CHARS);
        hint["style"] = json!({"code": true});
        last.push(hint);
    }
    if !last.is_empty() {
        let section = json!({"type": "rich_text_section", "elements": last});
        blocks.push(json!({"type": "rich_text", "elements": [section]}));
    }
    let footer: Vec<&str> = message
        .notes
        .iter()
        .chain([&message.key])
        .map(String::as_str)
        .collect();
    blocks.push(json!({"type": "context", "elements": [plain(&footer.join(" · "), FACT_CHARS)]}));
    Value::Array(blocks)
}

/// Slack refuses an empty text.
fn plain(text: &str, max: usize) -> Value {
    let text = if text.trim().is_empty() { "–" } else { text };
    json!({"type": "plain_text", "text": safe::fit(text, Place::Slack, max), "emoji": false})
}

fn rich(text: &str, max: usize) -> Value {
    let text = if text.is_empty() { " " } else { text };
    json!({"type": "text", "text": safe::fit(text, Place::Slack, max)})
}

/// Lines of `Label value`, the labels bold.
fn facts(message: &Message) -> Value {
    let mut elements = Vec::new();
    for (index, (label, value)) in message.facts.iter().enumerate() {
        let mut bold = rich(label, 100);
        bold["style"] = json!({"bold": true});
        elements.push(bold);
        elements.push(json!({"type": "text", "text": "  "}));
        elements.push(rich(value, FACT_CHARS));
        if index + 1 < message.facts.len() {
            elements.push(json!({"type": "text", "text": "\n"}));
        }
    }
    json!({"type": "rich_text_section", "elements": elements})
}

/// The latest ones, oldest first.
fn samples(samples: &[Sample], chars: usize) -> Vec<Value> {
    let one = |sample: &Sample| {
        let text = safe::fit_lines(&sample.text, Place::Slack, chars.max(3 * safe::LEAST));
        let text = if text.is_empty() {
            " ".to_owned()
        } else {
            text
        };
        let cut = if sample.is_cut { " … (cut)" } else { "" };
        let line = json!({"type": "text", "text": format!("{text}{cut}")});
        json!({"type": "rich_text_preformatted", "elements": [line]})
    };
    samples.iter().map(one).collect()
}

fn links(message: &Message) -> Vec<Value> {
    let mut elements = Vec::new();
    for (label, url) in &message.links {
        if !elements.is_empty() {
            elements.push(json!({"type": "text", "text": "  "}));
        }
        elements.push(match safe::link(url) {
            Some(url) => json!({"type": "link", "url": url, "text": label}),
            None => rich(&format!("{label}: {url}"), FACT_CHARS),
        });
    }
    elements
}

#[cfg(test)]
mod tests;
