//! `lapwing status`: how the running agent is.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use lapwing_rules::engine::HeldBack;
use lapwing_rules::model::Timestamp;

use super::asking::ask;
use super::terminal::{Terminal, counted, print};
use crate::cli;
use crate::clock;
use crate::error::AgentError;
use crate::operate::client::AskError;
use crate::operate::protocol::Request;
use crate::operate::status::{
    CanaryStatus, DroppedStatus, InputStatus, Loss, OutputStatus, ReceivedStatus, RuleStatus,
    StateStatus, Status,
};
use crate::outputs::Palette;
use crate::outputs::render::{moment, span};
use crate::outputs::safe::visible;

/// What is well, what wants to be looked at, what is only said by the way.
const GOOD: &str = "32";
const BAD: &str = "31";
const FAINT: &str = "2";
/// Rules without a hit are only counted when there are more than this.
const FEW_RULES: usize = 20;

/// Exit code 0 whatever the agent says of itself.
pub(super) fn run(args: &cli::Status, terminal: Terminal) -> Result<ExitCode, AgentError> {
    for row in ask(&args.agent, &Request::Status {})? {
        if args.json {
            print(&format!("{row}\n"))?;
        } else {
            let status = serde_json::from_value(row)
                .map_err(|error| AgentError::Agent(AskError::Broken(error.into())))?;
            print(&draw(&status, terminal.out, clock::now()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn draw(status: &Status, palette: Palette, now: Timestamp) -> String {
    let mut out = String::new();
    let ready = if status.ready {
        palette.paint(GOOD, "ready")
    } else {
        palette.paint(BAD, "not ready yet")
    };
    let up = span(Duration::from_secs(status.uptime_s));
    let host = visible(&status.host);
    line(
        &mut out,
        format_args!("lapwing {} on {host}, up {up}, {ready}", status.version),
    );
    if let Some(reload) = &status.last_reload {
        let verdict = if reload.ok { "taken" } else { "refused" };
        let problems = reload.problems.iter().map(|problem| visible(problem));
        let problems: Vec<_> = problems.collect();
        let at = moment(reload.at);
        line(
            &mut out,
            format_args!("last reload {at}, {verdict} {}", problems.join("; ")),
        );
    }
    state(&mut out, &status.state, palette, now);
    canary(&mut out, &status.canary, palette);
    line(&mut out, format_args!("inputs"));
    for (name, input) in &status.inputs {
        self::input(&mut out, name, input, palette);
    }
    line(&mut out, format_args!("rules"));
    rules(&mut out, status, palette);
    line(&mut out, format_args!("outputs"));
    for (name, output) in &status.outputs {
        self::output(&mut out, name, output, palette);
    }
    out
}

fn canary(out: &mut String, canary: &CanaryStatus, palette: Palette) {
    if let Some(seconds) = canary.seconds {
        let millis = seconds * 1_000.0;
        line(
            out,
            format_args!("canary  from a line on disk to a durable alert {millis:.1} ms"),
        );
    }
    if canary.lost > 0 {
        let text = format!("{} of its own lines did not come through", canary.lost);
        line(out, format_args!("  {}", palette.paint(BAD, &text)));
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("writing to a String cannot fail");
}

fn state(out: &mut String, state: &StateStatus, palette: Palette, now: Timestamp) {
    let size = size(state.bytes);
    let saved = state.committed_at.map_or_else(String::new, |at| {
        format!("  saved {} ago", span(now.since(at)))
    });
    line(
        out,
        format_args!("state  {}  {size}{saved}", visible(&state.path)),
    );
    if let Some(since) = state.failing_since {
        let why = state.error.as_deref().unwrap_or("for an unknown reason");
        let text = format!("cannot be saved since {}: {}", moment(since), visible(why));
        line(out, format_args!("  {}", palette.paint(BAD, &text)));
    }
    if state.start != "ok" {
        let text = format!("at the start {}", visible(&state.start));
        line(out, format_args!("  {}", palette.paint(BAD, &text)));
    }
    let DroppedStatus {
        queue_full,
        orphaned,
        unrecorded,
    } = state.dropped;
    for (count, what) in [
        (state.in_memory, "stand in memory only"),
        (queue_full, "were dropped: a queue was full"),
        (orphaned, "were dropped: their output is configured no more"),
        (unrecorded, "were told and are in no history"),
    ] {
        if count > 0 {
            let text = format!("{} {what}", counted(count, "notification"));
            line(out, format_args!("  {}", palette.paint(BAD, &text)));
        }
    }
}

fn input(out: &mut String, name: &str, input: &InputStatus, palette: Palette) {
    let InputStatus {
        kind,
        files,
        lines,
        bytes,
        lag_bytes,
        skewed,
        ..
    } = input;
    let text = if let Some(received) = &input.received {
        let messages = counted(received.messages, "message");
        let connections = counted(received.connections, "connection");
        format!("{messages}, {} received, {connections}", size(*bytes))
    } else if kind != "file" {
        format!("{}, {} read", counted(*lines, "line"), size(*bytes))
    } else {
        let (read, behind) = (size(*bytes), size(*lag_bytes));
        format!("{}, {read} read, {behind} behind", counted(*files, "file"))
    };
    line(
        out,
        format_args!("  {:<20} {kind:<8} {text}", visible(name)),
    );
    for text in input.received.iter().flat_map(troubles) {
        line(out, format_args!("    {}", palette.paint(BAD, &text)));
    }
    if *skewed > 0 {
        let text = format!("{} bore times in the future", counted(*skewed, "line"));
        line(out, format_args!("    {}", palette.paint(BAD, &text)));
    }
    for unreadable in &input.unreadable {
        let text = format!(
            "{}: {}",
            visible(&unreadable.path),
            visible(&unreadable.error)
        );
        if unreadable.passed_over {
            line(out, format_args!("    {text}"));
        } else {
            line(out, format_args!("    {}", palette.paint(BAD, &text)));
        }
    }
    let more = input
        .unreadable_total
        .saturating_sub(input.unreadable.len() as u64);
    if more > 0 {
        let text = format!("and {more} more that cannot be read");
        line(out, format_args!("    {}", palette.paint(BAD, &text)));
    }
    for loss in &input.losses {
        let text = self::loss(loss);
        line(out, format_args!("    {}", palette.paint(BAD, &text)));
    }
}

/// What went wrong between senders and this input.
pub(super) fn troubles(received: &ReceivedStatus) -> Vec<String> {
    let deaf = received.deaf.iter();
    let deaf = deaf.map(|(at, why)| format!("cannot listen at {}: {}", visible(at), visible(why)));
    let counts = [
        (
            received.datagrams_dropped,
            "datagram",
            "dropped by the system: they came faster than they were read",
        ),
        (received.cut, "message", "cut at `max_line_bytes`"),
        (
            received.refused,
            "connection",
            "refused: `max_connections` were open",
        ),
        (
            received.broken,
            "connection",
            "closed for what came over it",
        ),
        (
            received.timed_out,
            "connection",
            "closed because it took too long",
        ),
        (received.handshakes_failed, "TLS handshake", "failed"),
        (received.own, "own message", "came back, and were dropped"),
    ];
    let counts = counts.into_iter().filter(|(count, ..)| *count > 0);
    let counts = counts.map(|(count, what, how)| format!("{}: {how}", counted(count, what)));
    deaf.chain(counts).collect()
}

/// What was lost of one file: `app.log was truncated … (5.0 KiB, 2 times, last …)`.
pub(super) fn loss(loss: &Loss) -> String {
    let Loss {
        path,
        why,
        bytes,
        times,
        last_at,
        ..
    } = loss;
    let path = path
        .as_deref()
        .map_or(Cow::Borrowed("other files:"), visible);
    let bytes = bytes.map_or_else(|| "nobody knows how much".to_owned(), size);
    let times = if *times == 1 {
        String::new()
    } else {
        format!(", {times} times")
    };
    format!(
        "{path} {} ({bytes}{times}, last {})",
        visible(why),
        moment(*last_at)
    )
}

fn rules(out: &mut String, status: &Status, palette: Palette) {
    if status.engine != "ok" {
        line(
            out,
            format_args!("  {}", palette.paint(BAD, &status.engine)),
        );
    }
    let is_quiet = |rule: &RuleStatus| rule.hits == 0 && rule.firing == 0;
    let folds = status.rules.len() > FEW_RULES;
    for (name, rule) in &status.rules {
        if folds && is_quiet(rule) {
            continue;
        }
        let RuleStatus {
            kind,
            hits,
            alerts,
            firing,
            ..
        } = rule;
        let mode = if rule.mode == "live" {
            String::new()
        } else {
            format!(", {}", rule.mode)
        };
        let (hits, alerts) = (counted(*hits, "hit"), counted(*alerts, "alert"));
        let firing = match firing {
            0 => String::new(),
            n => format!(", {}", palette.paint(BAD, &format!("{n} firing"))),
        };
        line(
            out,
            format_args!("  {name:<32} {kind:<10} {hits}, {alerts}{firing}{mode}"),
        );
        let held_back = held_back(&rule.held_back);
        if !held_back.is_empty() {
            let text = format!("not sent: {held_back}");
            line(out, format_args!("    {}", palette.paint(FAINT, &text)));
        }
    }
    if status.silences > 0 {
        let text = format!(
            "{} now: lapwing silence list",
            counted(status.silences, "silence")
        );
        line(out, format_args!("  {}", palette.paint(FAINT, &text)));
    }
    let quiet = status.rules.values().filter(|rule| is_quiet(rule)).count();
    if folds && quiet > 0 {
        let text = format!("{} without a hit", counted(quiet as u64, "rule"));
        line(out, format_args!("  {}", palette.paint(FAINT, &text)));
    }
}

/// `3 silenced, 1 inhibited`; empty where nothing was kept back.
pub(super) fn held_back(counts: &HeldBack) -> String {
    let counts = counts
        .by_reason()
        .into_iter()
        .filter(|(_, count)| *count > 0);
    let texts: Vec<String> = counts
        .map(|(why, count)| format!("{count} {why}"))
        .collect();
    texts.join(", ")
}

fn output(out: &mut String, name: &str, output: &OutputStatus, palette: Palette) {
    let OutputStatus {
        kind,
        delivered,
        rejected,
        expired,
        dropped,
        ..
    } = output;
    let waiting = output.waiting.map_or_else(
        || "an unknown number waiting".to_owned(),
        |waiting| format!("{waiting} waiting"),
    );
    line(
        out,
        format_args!(
            "  {:<20} {kind:<10} {delivered} delivered, {waiting}",
            visible(name)
        ),
    );
    for (count, what) in [
        (rejected, "rejected"),
        (expired, "too old"),
        (dropped, "dropped: the queue was full"),
    ] {
        if *count > 0 {
            line(
                out,
                format_args!("    {}", palette.paint(BAD, &format!("{count} {what}"))),
            );
        }
    }
    if let Some(error) = &output.last_error {
        let at = output.failed_at.map(moment).unwrap_or_default();
        let text = format!("{at} {}", visible(error));
        line(out, format_args!("    {}", palette.paint(BAD, &text)));
    }
    if let Some(at) = output.next_try_at {
        let text = format!("nothing is sent before {}", moment(at));
        line(out, format_args!("    {}", palette.paint(BAD, &text)));
    }
    if output.aside > 0 {
        let text = format!(
            "{} stand aside: it fails at them and takes others",
            output.aside
        );
        line(out, format_args!("    {}", palette.paint(BAD, &text)));
    }
}

/// `1.2 MiB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
    ];
    for (unit, one) in UNITS {
        if bytes >= one {
            let tenths = bytes / (one / 10).max(1);
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_without_files_counts_lines() {
        let shown = |kind: &str| {
            let status = InputStatus {
                kind: kind.to_owned(),
                lines: 3,
                bytes: 1536,
                ..InputStatus::default()
            };
            let mut out = String::new();
            input(&mut out, "a", &status, Palette::Plain);
            out
        };
        assert!(shown("journald").ends_with(" 3 lines, 1.5 KiB read\n"));
        assert!(shown("file").ends_with(" 0 files, 1.5 KiB read, 0 B behind\n"));
    }

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (5 << 20, "5.0 MiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
