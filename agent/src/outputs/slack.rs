//! `type: slack` with a `webhook_url`: one message of blocks, within Slack's limits whatever the
//! log holds. [`message`] is pure.
//!
//! Nothing from a log goes into `mrkdwn`, where stars and backticks would act: it stands in
//! plain text and rich text. `&`, `<` and `>` are escaped there too, else `<!here>` pings.

use lapwing_rules::model::{Notification, Sample, Severity, Status};
use serde_json::{Value, json};

use super::http::{Failure, Http, Post};
use super::retry::Verdict;
use super::{Spec, render as words, safe, webhook};
use crate::config::secret::Secret;

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
/// Nor are there more.
const SAMPLES: usize = 5;
/// The widest sparkline.
const SPARKLINE_CHARS: usize = 30;

/// One try.
pub(super) async fn deliver(
    http: &Http,
    spec: &Spec,
    url: &Secret,
    notification: &Notification,
) -> Verdict {
    let body = message(notification).to_string().into_bytes();
    let post = Post {
        url,
        content_type: "application/json",
        headers: Vec::new(),
        body,
        timeout: spec.timeout,
    };
    let answer = http.post(post).await;
    // Slack says "ok", services that are like it say other things, or nothing. A page for people is
    // something else that answers at that address.
    if let Ok(answer) = &answer
        && (200..300).contains(&answer.status)
        && answer.body.trim() != "ok"
        && (!answer.whole || answer.body.trim_start().starts_with('<'))
    {
        let why = if answer.whole {
            format!(
                "HTTP {} with a page: {}",
                answer.status,
                answer.detail(&[url])
            )
        } else {
            format!("HTTP {}, and the answer broke off", answer.status)
        };
        return Verdict::Retry { why, after: None };
    }
    match answer {
        // What Slack says about a hook that was removed; it will not come back by itself, but
        // people put them back.
        Ok(answer) if answer.status == 410 => Verdict::Refused {
            why: format!("HTTP 410: {}", answer.detail(&[url])),
        },
        Err(failure @ Failure::BadUrl(_)) => webhook::judge(Err(failure), &[url]),
        other => webhook::judge(other, &[url]),
    }
}

/// The message: `text` for the banner, `blocks` for the channel.
pub(super) fn message(notification: &Notification) -> Value {
    let mut sample_chars = SAMPLE_CHARS;
    loop {
        let blocks = blocks(notification, sample_chars);
        // Escapes and JSON's own count too; halving is coarse, and a tenth of a sample is enough.
        if blocks.to_string().len() <= BLOCKS_BYTES || sample_chars < 2 * safe::SLACK_MIN {
            return json!({
                "text": safe::slack(&fallback(notification), SECTION_CHARS),
                "blocks": blocks,
                "unfurl_links": false,
                "unfurl_media": false,
            });
        }
        sample_chars /= 2;
    }
}

fn mark(notification: &Notification) -> &'static str {
    match (notification.status, notification.severity) {
        (Status::Resolved, _) => "✅",
        (_, Severity::Critical) => "🔴",
        (_, Severity::Warning) => "🟠",
        (_, Severity::Info) => "🔵",
    }
}

fn title(notification: &Notification) -> String {
    let severity = words::severity(notification.severity).to_uppercase();
    let state = match notification.status {
        Status::Firing => String::new(),
        Status::Resolved => " resolved".to_owned(),
    };
    format!(
        "{} {severity}{state} · {} · {}",
        mark(notification),
        notification.host,
        notification.rule
    )
}

fn fallback(notification: &Notification) -> String {
    format!("{}: {}", title(notification), notification.summary)
}

fn blocks(notification: &Notification, sample_chars: usize) -> Value {
    let mut blocks = vec![
        json!({"type": "header", "text": plain(&title(notification), HEADER_CHARS)}),
        json!({"type": "section", "text": plain(&notification.summary, SUMMARY_CHARS)}),
        json!({"type": "rich_text", "elements": [facts(notification)]}),
    ];
    let samples = samples(&notification.samples, sample_chars);
    if !samples.is_empty() {
        blocks.push(json!({"type": "rich_text", "elements": samples}));
    }
    let links = links(notification);
    if !links.is_empty() {
        let section = json!({"type": "rich_text_section", "elements": links});
        blocks.push(json!({"type": "rich_text", "elements": [section]}));
    }
    let footer = [
        words::acked(notification),
        words::history(notification),
        words::late(notification),
        Some(webhook::idempotency_key(notification)),
    ];
    let footer = footer.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    blocks.push(json!({"type": "context", "elements": [plain(&footer, FACT_CHARS)]}));
    Value::Array(blocks)
}

/// Slack refuses an empty text.
fn plain(text: &str, max: usize) -> Value {
    let text = if text.trim().is_empty() { "–" } else { text };
    json!({"type": "plain_text", "text": safe::slack(text, max), "emoji": false})
}

fn rich(text: &str, max: usize) -> Value {
    let text = if text.is_empty() { " " } else { text };
    json!({"type": "text", "text": safe::slack(text, max)})
}

/// Lines of `Label value`, the labels bold.
fn facts(notification: &Notification) -> Value {
    let rate = words::graph(notification, SPARKLINE_CHARS);
    let mut rows = vec![("Count".to_owned(), words::measure(notification))];
    rows.extend(words::reason(notification).map(|reason| ("Now".to_owned(), reason)));
    if !rate.is_empty() {
        rows.push(("Rate".to_owned(), rate));
    }
    let group = words::group(notification);
    if !group.is_empty() {
        rows.push(("Group".to_owned(), group));
    }
    rows.push(("Since".to_owned(), words::moment(notification.started_at)));
    // The number of `top_count_keys` is the operator's; five are as many as anyone reads.
    for (field, values) in notification.top.iter().take(5) {
        rows.push((format!("Top {field}"), words::top(values)));
    }
    let mut elements = Vec::new();
    for (index, (label, value)) in rows.iter().enumerate() {
        let mut bold = rich(label, 100);
        bold["style"] = json!({"bold": true});
        elements.push(bold);
        elements.push(json!({"type": "text", "text": "  "}));
        elements.push(rich(value, FACT_CHARS));
        if index + 1 < rows.len() {
            elements.push(json!({"type": "text", "text": "\n"}));
        }
    }
    json!({"type": "rich_text_section", "elements": elements})
}

/// The latest ones, oldest first.
fn samples(samples: &[Sample], chars: usize) -> Vec<Value> {
    let first = samples.len().saturating_sub(SAMPLES);
    let shown = samples.iter().skip(first);
    shown
        .map(|sample| {
            let mut line = rich(&words::line(sample), chars);
            if sample.cut
                && let Some(text) = line["text"].as_str()
            {
                line["text"] = json!(format!("{text} … (cut)"));
            }
            json!({"type": "rich_text_preformatted", "elements": [line]})
        })
        .collect()
}

fn links(notification: &Notification) -> Vec<Value> {
    let links = [
        ("Runbook", &notification.runbook_url),
        ("Dashboard", &notification.dashboard_url),
    ];
    let mut elements = Vec::new();
    for (label, url) in links {
        let Some(url) = url else { continue };
        if !elements.is_empty() {
            elements.push(json!({"type": "text", "text": "  "}));
        }
        // A template may have put text from a log into the address: only what is plainly an
        // address becomes a link.
        let sound = (url.starts_with("https://") || url.starts_with("http://"))
            && url.len() <= SECTION_CHARS
            && !url.contains(|c: char| c.is_whitespace() || "<>|\"\\".contains(c))
            && matches!(safe::visible(url), std::borrow::Cow::Borrowed(_));
        elements.push(if sound {
            json!({"type": "link", "url": url, "text": label})
        } else {
            rich(&format!("{label}: {url}"), FACT_CHARS)
        });
    }
    elements
}

#[cfg(test)]
mod tests;
