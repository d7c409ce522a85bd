//! The screen of `lapwing top`: what was seen of the agent → cells of a terminal. Asks for nothing.

use std::time::Duration;

use lapwing_rules::model::{Notification, Severity, Timestamp};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Row, Table};

use super::seen::{Alert, Seen};
use super::view::{Focus, View};
use crate::commands::status::size;
use crate::operate::status::{InputStatus, OutputStatus, RuleStatus};
use crate::outputs::render::span;
use crate::outputs::safe::{short, visible};

/// Rows of alerts that are seen at once; more are scrolled to.
const MOST_ALERTS: usize = 8;

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, seen: &Seen, view: &mut View, now: Timestamp) {
    let rows = |count: usize| u16::try_from(count + 1).unwrap_or(8).min(8);
    let firing = match seen.alerts.len() {
        0 => 0,
        alerts => u16::try_from(alerts.min(MOST_ALERTS) + 1).unwrap_or(0),
    };
    let [head, inputs, outputs, alerts, rules, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(rows(seen.status.inputs.len())),
        Constraint::Length(rows(seen.status.outputs.len())),
        Constraint::Length(firing),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(header(seen), head);
    draw_inputs(frame, inputs, seen);
    draw_outputs(frame, outputs, seen, now);
    draw_alerts(frame, alerts, seen, view, now);
    draw_rules(frame, rules, seen, view);
    frame.render_widget(footer(view), foot);
}

/// What is asked, what came of the last order, or which keys there are.
fn footer(view: &View) -> Line<'static> {
    if let Some(prompt) = &view.prompt {
        let (question, text) = (prompt.question(), visible(&prompt.text).into_owned());
        let question = Span::from(visible(&question).into_owned()).bold();
        return Line::from(vec![question, Span::from(format!(" {text}_"))]);
    }
    match &view.said {
        Some(said) => Line::from(visible(said).into_owned()).bold(),
        None => Line::from(
            "q ends  ↑↓ move  Tab alerts/rules  a acknowledges  s silences  o orders (busy, hits, name)",
        )
        .dim(),
    }
}

fn header(seen: &Seen) -> Line<'static> {
    let status = &seen.status;
    let firing: u64 = status.rules.values().map(|rule| rule.firing).sum();
    let up = span(Duration::from_secs(status.uptime_s));
    let mut spans = vec![
        Span::from(format!("lapwing {} ", status.version)).bold(),
        Span::from(format!("{}  up {up}  ", visible(&status.host))),
    ];
    spans.push(match firing {
        0 => Span::from("all quiet").green(),
        n => Span::from(format!("{n} firing")).red().bold(),
    });
    if !status.ready {
        spans.push(Span::from("  not ready yet").red());
    }
    if let Some(seconds) = status.canary.seconds {
        let millis = seconds * 1_000.0;
        spans.push(Span::from(format!("  disk to alert {millis:.0} ms")).dim());
    }
    if status.canary.lost > 0 && status.canary.seconds.is_none() {
        spans.push(Span::from("  its own lines do not come through").red());
    }
    for wrong in [&seen.error, &status.state.error].into_iter().flatten() {
        spans.push(Span::from(format!("  {}", visible(wrong))).red());
    }
    Line::from(spans)
}

fn table<'a>(title: [&'static str; 4], widths: [u16; 3], rows: Vec<Row<'a>>) -> Table<'a> {
    let [a, b, c] = widths;
    let widths = [
        Constraint::Length(a),
        Constraint::Length(b),
        Constraint::Length(c),
        Constraint::Min(8),
    ];
    let head = Row::new(title).style(
        Style::new()
            .fg(Color::Gray)
            .add_modifier(Modifier::UNDERLINED),
    );
    Table::new(rows, widths).header(head).block(Block::new())
}

fn draw_inputs(frame: &mut Frame<'_>, area: Rect, seen: &Seen) {
    let row = |(name, input): (&String, &InputStatus)| {
        let each_second = seen.bytes.get(name).copied().unwrap_or(0) / 1024;
        let wrong = input.unreadable.iter().find(|it| !it.passed_over);
        let wrong = wrong.map(|it| format!("{}: {}", visible(&it.path), visible(&it.error)));
        let is_bad = wrong.is_some();
        let row = Row::new([
            visible(name).into_owned(),
            format!("{} lines", input.lines),
            format!("{each_second} KiB/s"),
            wrong.unwrap_or_else(|| how_far(input)),
        ]);
        if is_bad { row.red() } else { row }
    };
    let rows = seen.status.inputs.iter().map(row).collect();
    frame.render_widget(
        table(["input", "lines", "reads", "state"], [24, 16, 12], rows),
        area,
    );
}

/// What an input that can be read has read.
fn how_far(input: &InputStatus) -> String {
    let behind = match input.lag_bytes {
        0 => "all read".to_owned(),
        bytes => format!("{} behind", size(bytes)),
    };
    match (input.kind.as_str(), input.files) {
        ("file", 1) => format!("1 file, {behind}"),
        ("file", files) => format!("{files} files, {behind}"),
        _ => String::new(),
    }
}

fn draw_outputs(frame: &mut Frame<'_>, area: Rect, seen: &Seen, now: Timestamp) {
    let row = |(name, output): (&String, &OutputStatus)| {
        let last = output
            .delivered_at
            .map(|at| format!("last {} ago", span(now.since(at))));
        let error = output
            .last_error
            .as_ref()
            .map(|error| visible(error).into_owned());
        let is_bad = error.is_some();
        let row = Row::new([
            visible(name).into_owned(),
            format!("{} delivered", output.delivered),
            format!("{} waiting", output.waiting.unwrap_or(0)),
            error.or(last).unwrap_or_default(),
        ]);
        if is_bad { row.red() } else { row }
    };
    let rows = seen.status.outputs.iter().map(row).collect();
    frame.render_widget(
        table(["output", "took", "queue", "state"], [24, 16, 12], rows),
        area,
    );
}

fn draw_alerts(frame: &mut Frame<'_>, area: Rect, seen: &Seen, view: &mut View, now: Timestamp) {
    view.alerts.stand(&seen.ids());
    let row = |alert: &Alert| {
        let told = &alert.notification;
        let acked = told.acked.as_ref();
        let acked = acked.map(|ack| format!("{} is at it: {}", ack.by, ack.note));
        let state = acked.or_else(|| alert.muted.clone()).unwrap_or_default();
        let is_seen_to = !state.is_empty();
        let row = Row::new([
            visible(&told.rule).into_owned(),
            format!("{} times", told.count),
            format!("for {}", span(now.since(told.started_at))),
            format!("{}  {}", what(told), short(&state, 200)),
        ]);
        if is_seen_to {
            row.dim()
        } else {
            row.fg(colour(told.severity))
        }
    };
    let rows = seen.alerts.iter().map(row).collect();
    let table = table(["alert", "lines", "fires", "what"], [32, 14, 22], rows)
        .row_highlight_style(highlight(view.focus == Focus::Alerts));
    frame.render_stateful_widget(table, area, &mut view.alerts.table);
}

fn colour(severity: Severity) -> Color {
    match severity {
        Severity::Critical => Color::Red,
        Severity::Warning => Color::Yellow,
        Severity::Info => Color::Blue,
    }
}

/// Which group it is about, unless the summary says so, and the summary.
fn what(told: &Notification) -> String {
    let group = told.group.values();
    let group = group.filter(|value| !value.is_empty() && !told.summary.contains(*value));
    let group = group.map(|value| short(value, 60));
    let parts: Vec<_> = group.chain([short(&told.summary, 200)]).collect();
    parts.join("  ")
}

fn draw_rules(frame: &mut Frame<'_>, area: Rect, seen: &Seen, view: &mut View) {
    let rules = seen.rules(view.order);
    view.rules.stand(&seen.names(view.order));
    let row = |(name, rule): &(&String, &RuleStatus)| {
        let mode = if rule.mode == "live" {
            String::new()
        } else {
            format!("  {}", rule.mode)
        };
        let state = match rule.firing {
            0 => format!("{} alerts{mode}", rule.alerts),
            n => format!("{} alerts, {n} firing{mode}", rule.alerts),
        };
        let row = Row::new([
            (*name).clone(),
            format!("{} hits", rule.hits),
            seen.graph(name),
            state,
        ]);
        if rule.firing > 0 { row.red() } else { row }
    };
    let rows = rules.iter().map(row).collect();
    let table = table(["rule", "hits", "lately", "state"], [32, 14, 22], rows)
        .row_highlight_style(highlight(view.focus == Focus::Rules));
    frame.render_stateful_widget(table, area, &mut view.rules.table);
}

/// Only the table in which the keys move shows what is chosen.
fn highlight(is_focused: bool) -> Style {
    if is_focused {
        Style::new().add_modifier(Modifier::REVERSED)
    } else {
        Style::new()
    }
}
