//! The words and small drawings that more than one output uses: how much, how often, since when.
//! Pure; takes a notification, gives plain text that is *not* yet harmless: each output passes
//! it through [`super::safe`] as it needs.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use lapwing_rules::model::{
    Attachment, Notification, Number, Reason, Sample, Severity, Status, Timestamp,
};

/// An alert that became durable so much later than it was due was found late: while the agent
/// was stopped, or in old lines.
const LATE: Duration = Duration::from_mins(1);

/// The notification as it goes out. `queued_at`: when it became durable, wall clock. That is
/// also its `sent_at`, although a try may come later: so every try sends the same bytes, and the
/// receiver can tell a repeat.
/// `instead_of`: the output that could not be reached, where this one is its fallback.
pub fn for_sending(
    mut notification: Notification,
    queued_at: Timestamp,
    instead_of: Option<&str>,
) -> Notification {
    if let Some(output) = instead_of {
        notification.summary = format!("could not reach {output}: {}", notification.summary);
    }
    let late = queued_at.since(notification.sent_at);
    if late > LATE && notification.late_s.is_none() {
        notification.late_s = Some(late.as_secs());
    }
    notification.sent_at = queued_at;
    notification
}

/// The same for every try, also after a restart.
pub fn key(notification: &Notification) -> String {
    format!("{}/{}", notification.id, notification.seq)
}

/// Two digits a byte.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
    }
    text
}

/// `info`, `warning`, `critical`.
pub fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

/// `firing`, `resolved`.
pub fn status(status: Status) -> &'static str {
    match status {
        Status::Firing => "firing",
        Status::Resolved => "resolved",
    }
}

/// `10`, `2.5`: no more than two digits after the point.
pub fn number(number: Number) -> String {
    let text = format!("{:.2}", number.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A span as a rule would have it: `500ms`, `45s`, `1m30s`, `2h`, `3d4h`; the two largest units.
pub fn span(span: Duration) -> String {
    if span < Duration::from_secs(1) && !span.is_zero() {
        return format!("{}ms", span.as_millis());
    }
    let mut left = span.as_secs();
    let mut text = String::new();
    let mut units = 0;
    for (unit, seconds) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        let many = left / seconds;
        left %= seconds;
        if many > 0 {
            write!(text, "{many}{unit}").expect("writing to a String cannot fail");
        }
        units += u8::from(many > 0 || units > 0);
        if units == 2 {
            break;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

fn window(notification: &Notification) -> String {
    let seconds = notification.timeframe_s.map_or(0.0, |seconds| seconds.0);
    Duration::try_from_secs_f64(seconds).map_or_else(|_| "?".to_owned(), span)
}

/// How much of what, against which threshold: `10 hits in 1m, fires at 10`.
pub fn measure(notification: &Notification) -> String {
    let value = number(notification.value);
    let limit = number(notification.threshold);
    let window = window(notification);
    let hits = match notification.count {
        1 => "1 hit".to_owned(),
        count => format!("{count} hits"),
    };
    match notification.rule_type.as_str() {
        "frequency" if notification.status == Status::Resolved => format!("{hits} in all"),
        "frequency" if notification.reason == Reason::First => {
            format!("{hits} in {window}, fires at {limit}")
        }
        "frequency" => format!("{hits} in all, {value} in {window}, fires at {limit}"),
        "spike" => format!("{value} times the usual in {window}, fires at {limit}"),
        "flatline" => format!("{value} in {window}, expected at least {limit}"),
        "cardinality" => format!("{value} distinct values in {window}, limit {limit}"),
        "percentage_match" => format!("{value} % in {window}, limit {limit} %"),
        "pair" => format!("{value} s, limit {limit} s"),
        _ => hits,
    }
}

/// What this message is, where it is not the first one: `still going on, 47 hits since the last
/// message`, `over after 5m`.
pub fn reason(notification: &Notification) -> Option<String> {
    let since = match notification.suppressed {
        0 => String::new(),
        1 => ", 1 hit since the last message".to_owned(),
        many => format!(", {many} hits since the last message"),
    };
    Some(match notification.reason {
        Reason::First => return None,
        Reason::Repeat => format!("still going on{since}"),
        Reason::Digest => format!("more of the same{since}"),
        Reason::Escalated => format!("nobody has acknowledged it{since}"),
        Reason::Resolved => match notification.ended_at {
            Some(end) => format!(
                "over after {}{since}",
                span(end.since(notification.started_at))
            ),
            None => format!("over{since}"),
        },
        Reason::Drill => "this is a drill".to_owned(),
    })
}

/// `5th time in 30 days, last 3 days ago for 4 min`; `None` where nothing is known.
pub fn history(notification: &Notification) -> Option<String> {
    let history = &notification.history;
    if !notification.attach.contains(&Attachment::History) {
        return None;
    }
    if history.fired_30d == 0 && history.last_started_at.is_none() {
        return None;
    }
    let mut text = format!(
        "{} time in 30 days",
        ordinal(history.fired_30d.saturating_add(1))
    );
    if let Some(last) = history.last_started_at {
        let ago = notification.started_at.since(last);
        write!(text, ", last {} ago", rough(ago)).expect("writing to a String cannot fail");
        if let Some(seconds) = history.last_duration_s {
            write!(text, " for {}", rough(Duration::from_secs(seconds)))
                .expect("writing to a String cannot fail");
        }
    }
    let trend = sparkline(&history.per_day, 30);
    if !trend.is_empty() {
        write!(text, "  {trend}").expect("writing to a String cannot fail");
    }
    if let Some(ack) = &history.last_ack {
        let note = if ack.note.is_empty() { "" } else { ": " };
        write!(text, "; {} was at it{note}{}", ack.by, ack.note)
            .expect("writing to a String cannot fail");
    }
    Some(text)
}

/// `alice is at it since 09:05:00: restarting the pool`; `None` where nobody is.
pub fn acked(notification: &Notification) -> Option<String> {
    let ack = notification.acked.as_ref()?;
    let note = if ack.note.is_empty() { "" } else { ": " };
    Some(format!(
        "{} is at it since {}{note}{}",
        ack.by,
        clock_time(ack.at),
        ack.note
    ))
}

/// A sample's line, with `×3` before it where it stands for three.
pub fn line(sample: &Sample) -> Cow<'_, str> {
    if sample.times > 1 {
        format!("×{} {}", sample.times, sample.line).into()
    } else {
        sample.line.as_str().into()
    }
}

/// Hits over time, where they are to be shown; as [`sparkline`].
pub fn graph(notification: &Notification, width: usize) -> String {
    if notification.attach.contains(&Attachment::Graph) {
        sparkline(&notification.rate.counts, width)
    } else {
        String::new()
    }
}

fn ordinal(n: u64) -> String {
    let ending = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{ending}")
}

/// `3 days`, `14 min`: one unit is enough for a person.
pub fn rough(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        86_400..172_800 => "1 day".to_owned(),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// `found 3 h late`.
pub fn late(notification: &Notification) -> Option<String> {
    notification
        .late_s
        .map(|seconds| format!("found {} late", rough(Duration::from_secs(seconds))))
}

/// `upstream=10.2.0.7:8080`; empty without groups.
pub fn group(notification: &Notification) -> String {
    let pairs = notification
        .group
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join(" ")
}

/// `/a 9 · /b 1`.
pub fn top(values: &[(String, u64)]) -> String {
    let pairs = values
        .iter()
        .map(|(value, count)| format!("{value} {count}"));
    pairs.collect::<Vec<_>>().join(" · ")
}

/// `2026-11-21 09:00:45Z`.
pub fn moment(at: Timestamp) -> String {
    Timestamp::from_secs(at.as_secs())
        .to_string()
        .replacen('T', " ", 1)
}

/// `09:00:45`, UTC.
pub fn clock_time(at: Timestamp) -> String {
    let text = moment(at);
    text.get(11..19).map_or_else(|| text.clone(), str::to_owned)
}

/// Hits over time in at most `width` characters, oldest first: `▁▁▂▃▅█`. Empty where nothing
/// was counted. Several buckets share a character when there are more of them than room.
pub fn sparkline(counts: &[u32], width: usize) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let merge = counts.len().div_ceil(width.max(1)).max(1);
    // From the back, so that the newest character always covers as many buckets as the others.
    let mut sums: Vec<u64> = counts
        .rchunks(merge)
        .map(|chunk| chunk.iter().map(|count| u64::from(*count)).sum())
        .collect();
    sums.reverse();
    let most = sums.iter().copied().max().unwrap_or(0);
    if most == 0 {
        return String::new();
    }
    let level = |sum: u64| {
        // Rounded up: one hit must not look like none.
        let index = usize::try_from((sum * 7).div_ceil(most)).unwrap_or(7);
        LEVELS.get(index).copied().unwrap_or('█')
    };
    sums.into_iter().map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outputs::sample::{at, notification};

    #[test]
    fn spans_have_two_units_at_most() {
        for (millis, text) in [
            (0, "0s"),
            (250, "250ms"),
            (45_000, "45s"),
            (60_000, "1m"),
            (90_000, "1m30s"),
            (3_600_000, "1h"),
            (3_605_000, "1h"),
            (90_061_000, "1d1h"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn a_sparkline_shows_the_shape_and_never_hides_a_hit() {
        assert_eq!(sparkline(&[0, 1, 50, 100], 40), "▁▂▅█");
        assert_eq!(sparkline(&[1, 1, 1, 1, 4, 4], 3), "▃▃█");
        assert_eq!(
            sparkline(&[1, 1, 1, 1, 1], 3),
            "▅██",
            "the oldest covers less"
        );
        assert_eq!(sparkline(&[0, 0], 40), "");
        assert_eq!(sparkline(&[], 40), "");
        assert_eq!(sparkline(&[u32::MAX; 100], 10).chars().count(), 10);
    }

    #[test]
    fn history_reads_as_a_sentence() {
        let mut alert = notification();
        assert_eq!(
            history(&alert).unwrap(),
            "5th time in 30 days, last 3 days ago for 4 min"
        );
        alert.history.fired_30d = 10;
        alert.history.last_started_at = None;
        assert_eq!(history(&alert).unwrap(), "11th time in 30 days");
        alert.history.fired_30d = 0;
        assert_eq!(history(&alert), None);
    }

    #[test]
    fn only_what_was_found_late_says_so() {
        let prompt = for_sending(notification(), at("2026-11-21T09:00:46Z"), None);
        assert_eq!(
            (prompt.late_s, prompt.sent_at),
            (None, at("2026-11-21T09:00:46Z"))
        );
        let late = for_sending(notification(), at("2026-11-21T12:00:45Z"), Some("pager"));
        assert_eq!(late.late_s, Some(10_800));
        assert!(late.summary.starts_with("could not reach pager: "));
    }

    #[test]
    fn each_type_says_what_it_measured() {
        let mut alert = notification();
        assert_eq!(measure(&alert), "10 hits in 1m, fires at 10");
        alert.reason = Reason::Repeat;
        alert.count = 57;
        alert.value = Number(12.0);
        assert_eq!(measure(&alert), "57 hits in all, 12 in 1m, fires at 10");
        alert.rule_type = "percentage_match".to_owned();
        alert.value = Number(12.345);
        assert_eq!(measure(&alert), "12.35 % in 1m, limit 10 %");
        alert.rule_type = "any".to_owned();
        alert.count = 1;
        assert_eq!(measure(&alert), "1 hit");
    }
}
