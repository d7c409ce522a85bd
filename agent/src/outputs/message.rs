//! What every message to a person holds, whatever the place: one model, made from a notification,
//! which the outputs fit into what their service allows. Pure.
//!
//! All of it is plain text that is *not* yet harmless: whoever writes it somewhere passes it
//! through [`super::safe`].

use std::collections::BTreeMap;
use std::time::Duration;

use lapwing_rules::model::{Notification, Reason, Severity, Status};
use sha2::{Digest as _, Sha256};

use super::render as words;

/// The widest sparkline.
const SPARKLINE_CHARS: usize = 30;
/// Fields of `top_count_keys` that are shown: as many as anyone reads.
const TOP_FIELDS: usize = 5;
/// Lines of the log that are shown.
const SAMPLES: usize = 5;
/// A message that comes so much later than it was due says so.
const LATE: Duration = Duration::from_mins(1);
/// Messages named in a digest of many.
pub const DIGEST_LINES: usize = 30;

/// How a message came to be sent, besides what it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// How long it has waited for this output.
    pub waited: Duration,
}

/// A message to people.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// A coloured dot.
    pub mark: &'static str,
    /// `CRITICAL · web-1 · nginx-502-burst`.
    pub title: String,
    /// A sentence.
    pub summary: String,
    /// Labels and values, the most telling first.
    pub facts: Vec<(String, String)>,
    /// Lines of the log, oldest first.
    pub samples: Vec<Sample>,
    /// Labels and addresses.
    pub links: Vec<(&'static str, String)>,
    /// What to type, to acknowledge and to silence.
    pub hints: Vec<String>,
    /// Small print: history, lateness.
    pub notes: Vec<String>,
    /// What it is of.
    pub severity: Severity,
    /// Whether it goes on.
    pub status: Status,
    /// The same for all messages about one alert.
    pub alert_id: String,
    /// `<id>/<seq>`.
    pub key: String,
}

/// One line of a log, or one record of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The text, any.
    pub text: String,
    /// Whether it is longer than what stands here.
    pub is_cut: bool,
}

impl Message {
    /// About one notification.
    pub fn of(notification: &Notification, way: &Way) -> Self {
        Self {
            mark: mark(notification),
            title: title(notification),
            summary: notification.summary.clone(),
            facts: facts(notification),
            samples: samples(notification),
            links: [
                ("Runbook", notification.runbook_url.clone()),
                ("Dashboard", notification.dashboard_url.clone()),
            ]
            .into_iter()
            .filter_map(|(label, url)| Some((label, url?)))
            .collect(),
            hints: hints(notification),
            notes: notes(notification, way),
            severity: notification.severity,
            status: notification.status,
            alert_id: notification.id.clone(),
            key: words::key(notification),
        }
    }

    /// Many in one: a line each, newest last. `notifications` must not be empty; the least
    /// pressing make way when there are more than [`DIGEST_LINES`].
    pub fn digest(notifications: &[&Notification], way: &Way) -> Self {
        let worst = notifications.iter().map(|one| one.severity).max();
        let firing = |one: &&&Notification| one.status == Status::Firing;
        let is_firing = notifications.iter().any(|one| firing(&one));
        let status = if is_firing {
            Status::Firing
        } else {
            Status::Resolved
        };
        let severity = worst.unwrap_or(Severity::Info);
        let host = notifications.first().map_or("", |one| one.host.as_str());
        let count = notifications.len();
        let starts = notifications.iter().filter(firing).count();
        let mut shown: Vec<(usize, &Notification)> =
            (0..).zip(notifications.iter().copied()).collect();
        if count > DIGEST_LINES {
            shown.sort_by_key(|(at, one)| {
                let rank = (one.status == Status::Firing, one.severity);
                (std::cmp::Reverse(rank), std::cmp::Reverse(*at))
            });
            shown.truncate(DIGEST_LINES);
            shown.sort_by_key(|(at, _)| *at);
        }
        let mut facts: Vec<_> = shown.into_iter().map(|(_, one)| digest_line(one)).collect();
        if count > DIGEST_LINES {
            let more = format!("{} milder ones are not named here", count - DIGEST_LINES);
            facts.push(("…".to_owned(), more));
        }
        let mut notes = vec!["lapwing history has each of them".to_owned()];
        notes.extend(lateness(None, way.waited));
        Self {
            mark: dot(status, severity),
            title: format!(
                "{} · {host} · {count} messages in one",
                words::severity(severity).to_uppercase()
            ),
            summary: format!(
                "{starts} about alerts that fire, {} about alerts that ended",
                count - starts
            ),
            facts,
            samples: Vec::new(),
            links: Vec::new(),
            hints: Vec::new(),
            notes,
            severity,
            status,
            alert_id: String::new(),
            key: notifications
                .last()
                .map_or_else(String::new, |one| words::key(one)),
        }
    }

    /// Title and summary, for a banner or a subject.
    pub fn headline(&self) -> String {
        format!("{} {}: {}", self.mark, self.title, self.summary)
    }
}

fn digest_line(notification: &Notification) -> (String, String) {
    let label = format!(
        "{} {} {}",
        words::clock_time(notification.sent_at),
        mark(notification),
        notification.rule
    );
    let group = words::group(notification);
    let state = match notification.status {
        Status::Resolved => "resolved: ",
        Status::Firing => "",
    };
    let group = if group.is_empty() {
        String::new()
    } else {
        format!(" ({group})")
    };
    (label, format!("{state}{}{group}", notification.summary))
}

fn dot(status: Status, severity: Severity) -> &'static str {
    match (status, severity) {
        (Status::Resolved, _) => "✅",
        (_, Severity::Critical) => "🔴",
        (_, Severity::Warning) => "🟠",
        (_, Severity::Info) => "🔵",
    }
}

/// A coloured dot.
pub fn mark(notification: &Notification) -> &'static str {
    dot(notification.status, notification.severity)
}

/// `CRITICAL · web-1 · nginx-502-burst`.
pub fn title(notification: &Notification) -> String {
    let drill = match notification.reason {
        Reason::Drill => "[DRILL] ",
        _ => "",
    };
    let severity = words::severity(notification.severity).to_uppercase();
    let state = match notification.status {
        Status::Firing => "",
        Status::Resolved => " resolved",
    };
    format!(
        "{drill}{severity}{state} · {} · {}",
        notification.host, notification.rule
    )
}

/// Sixteen hex digits that are the same for the same labels.
pub fn fingerprint(labels: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    for (name, value) in labels {
        for part in [name, value] {
            hash.update(part.as_bytes());
            hash.update([0xff]);
        }
    }
    let digest = hash.finalize();
    words::hex(digest.get(..8).unwrap_or_default())
}

fn facts(notification: &Notification) -> Vec<(String, String)> {
    let mut count = words::measure(notification);
    let rate = words::graph(notification, SPARKLINE_CHARS);
    if !rate.is_empty() {
        count = format!("{count}  {rate}");
    }
    let mut rows = vec![("Count".to_owned(), count)];
    rows.extend(words::reason(notification).map(|reason| ("Now".to_owned(), reason)));
    let group = words::group(notification);
    if !group.is_empty() {
        rows.push(("Group".to_owned(), group));
    }
    rows.push(("Since".to_owned(), words::moment(notification.started_at)));
    for (field, values) in notification.top.iter().take(TOP_FIELDS) {
        rows.push((format!("Top {field}"), words::top(values)));
    }
    rows.extend(
        notification
            .pattern
            .iter()
            .map(|pattern| ("Shape".to_owned(), pattern.clone())),
    );
    let source = notification
        .samples
        .last()
        .map(|sample| sample.source.clone());
    rows.extend(source.map(|source| ("From".to_owned(), source)));
    rows
}

fn samples(notification: &Notification) -> Vec<Sample> {
    let first = notification.samples.len().saturating_sub(SAMPLES);
    let shown = notification.samples.iter().skip(first);
    shown
        .map(|sample| Sample {
            text: words::line(sample).into_owned(),
            is_cut: sample.cut,
        })
        .collect()
}

/// A name of a rule or host is put on a command line only when a shell reads it as one plain word.
fn word(text: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (!text.is_empty() && text.len() <= 100 && text.chars().all(plain)).then_some(text)
}

fn hints(notification: &Notification) -> Vec<String> {
    if notification.status == Status::Resolved || notification.reason == Reason::Drill {
        return Vec::new();
    }
    let ack = word(&notification.id).map(|id| format!("lapwing ack {id}"));
    let silence = word(&notification.rule)
        .zip(word(&notification.host))
        .map(|(rule, host)| format!("lapwing silence add rule={rule} host={host} --for 2h"));
    ack.into_iter().chain(silence).collect()
}

fn notes(notification: &Notification, way: &Way) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(lateness(words::late(notification), way.waited));
    notes.extend(words::acked(notification));
    notes.extend(words::history(notification));
    notes
}

fn lateness(found: Option<String>, waited: Duration) -> Vec<String> {
    let sent = (waited > LATE).then(|| format!("{} late", words::rough(waited)));
    found.into_iter().chain(sent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outputs::sample::notification;

    fn minutes(minutes: u64) -> Way {
        Way {
            waited: Duration::from_mins(minutes),
        }
    }

    #[test]
    fn a_message_says_what_where_how_much_since_when_and_what_to_do() {
        let message = Message::of(&notification(), &Way::default());
        assert_eq!(message.title, "CRITICAL · web-1 · nginx-502-burst");
        let labels: Vec<_> = message
            .facts
            .iter()
            .map(|(label, _)| label.as_str())
            .collect();
        assert_eq!(labels, ["Count", "Group", "Since", "Top path", "From"]);
        assert_eq!(message.facts[0].1, "10 hits in 1m, fires at 10  ▁▁▄▄▆▄▆█");
        assert_eq!(
            message.hints,
            [
                "lapwing ack nginx-502-burst-7f3a9c2e51b04d68",
                "lapwing silence add rule=nginx-502-burst host=web-1 --for 2h"
            ]
        );
        assert_eq!(
            message.notes,
            ["5th time in 30 days, last 3 days ago for 4 min"]
        );
    }

    #[test]
    fn a_late_message_says_how_late() {
        let message = Message::of(&notification(), &minutes(14));
        assert_eq!(message.notes[0], "14 min late");
        assert_eq!(Message::of(&notification(), &minutes(1)).notes.len(), 1);
    }

    #[test]
    fn a_name_that_a_shell_would_take_apart_is_on_no_command_line() {
        let mut odd = notification();
        odd.host = "web-1; rm -rf /".to_owned();
        assert_eq!(Message::of(&odd, &Way::default()).hints.len(), 1);
    }

    #[test]
    fn a_storm_is_one_message_that_names_the_worst() {
        let mut many: Vec<Notification> = Vec::new();
        for n in 0..100 {
            let mut one = notification();
            one.seq = n + 1;
            one.severity = if n == 50 {
                Severity::Critical
            } else {
                Severity::Warning
            };
            one.summary = format!("number {n}");
            many.push(one);
        }
        let all: Vec<&Notification> = many.iter().collect();
        let digest = Message::digest(&all, &minutes(3));
        assert_eq!(digest.title, "CRITICAL · web-1 · 100 messages in one");
        assert_eq!(digest.facts.len(), DIGEST_LINES + 1);
        assert!(
            digest
                .facts
                .iter()
                .any(|(_, text)| text.starts_with("number 50"))
        );
        assert_eq!(
            digest.facts[DIGEST_LINES].1,
            "70 milder ones are not named here"
        );
        assert_eq!(digest.notes[1], "3 min late");
        assert_eq!(Message::digest(&all[..2], &Way::default()).facts.len(), 2);
    }
}
