//! The screen of `lapwing top`: what was seen of the agent → cells of a terminal. Asks for nothing.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use lapwing_rules::model::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Row, Table, TableState};

use crate::operate::status::{RuleStatus, Status};
use crate::outputs::render::span;
use crate::outputs::safe::visible;

/// Looks of which a rule's graph is drawn.
const LOOKS: usize = 20;
/// Bars from nothing to the most.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What was seen of the agent until now.
pub(super) struct Seen {
    status: Status,
    at: Instant,
    /// Why the last look failed.
    error: Option<String>,
    /// By rule: hits between two looks, oldest first, and how long apart those were.
    rates: BTreeMap<String, VecDeque<u64>>,
    /// Bytes of each input between the last two looks, by second.
    bytes: BTreeMap<String, u64>,
}

impl Seen {
    pub(super) fn new(status: Status, at: Instant) -> Self {
        Self {
            status,
            at,
            error: None,
            rates: BTreeMap::new(),
            bytes: BTreeMap::new(),
        }
    }

    /// Takes a newer look.
    pub(super) fn take(&mut self, status: Status, at: Instant) {
        let apart = at.saturating_duration_since(self.at);
        for (name, rule) in &status.rules {
            let before = self.status.rules.get(name).map_or(0, |rule| rule.hits);
            // A count that is lower began anew with a reload.
            let more = rule.hits.checked_sub(before).unwrap_or(rule.hits);
            let steps = self.rates.entry(name.clone()).or_default();
            if steps.len() == LOOKS {
                steps.pop_front();
            }
            steps.push_back(more);
        }
        self.rates.retain(|name, _| status.rules.contains_key(name));
        let millis = u64::try_from(apart.as_millis()).unwrap_or(u64::MAX).max(1);
        for (name, input) in &status.inputs {
            let before = self.status.inputs.get(name).map_or(0, |input| input.bytes);
            let more = input.bytes.checked_sub(before).unwrap_or(input.bytes);
            let each_second = more.saturating_mul(1000) / millis;
            self.bytes.insert(name.clone(), each_second);
        }
        (self.status, self.at, self.error) = (status, at, None);
    }

    /// The agent did not answer.
    pub(super) fn fail(&mut self, why: &str) {
        self.error = Some(visible(why).into_owned());
    }

    fn recent(&self, rule: &str) -> u64 {
        self.rates.get(rule).map_or(0, |steps| steps.iter().sum())
    }

    fn graph(&self, rule: &str) -> String {
        let Some(steps) = self.rates.get(rule) else {
            return String::new();
        };
        let most = steps.iter().copied().max().unwrap_or(0).max(1);
        let bar = |hits: &u64| {
            let at = usize::try_from(hits.saturating_mul(7).div_ceil(most)).unwrap_or(0);
            BARS.get(at).copied().unwrap_or('█')
        };
        steps.iter().map(bar).collect()
    }
}

/// How the rules are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    /// Firing first, then those that hit most lately.
    #[default]
    Busy,
    Hits,
    Name,
}

/// What a person has chosen to see.
#[derive(Default)]
pub(super) struct View {
    order: Order,
    table: TableState,
}

impl View {
    /// Moves by so many rules.
    pub(super) fn scroll(&mut self, by: i16) {
        let at = self.table.selected().unwrap_or(0);
        let by_lines = usize::from(by.unsigned_abs());
        let at = if by < 0 {
            at.saturating_sub(by_lines)
        } else {
            at.saturating_add(by_lines)
        };
        self.table.select(Some(at));
    }

    pub(super) fn top(&mut self) {
        self.table.select(Some(0));
    }

    pub(super) fn next_order(&mut self) {
        self.order = match self.order {
            Order::Busy => Order::Hits,
            Order::Hits => Order::Name,
            Order::Name => Order::Busy,
        };
    }
}

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, seen: &Seen, view: &mut View, now: Timestamp) {
    let rows = |count: usize| u16::try_from(count + 1).unwrap_or(8).min(8);
    let [head, inputs, outputs, rules, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(rows(seen.status.inputs.len())),
        Constraint::Length(rows(seen.status.outputs.len())),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(header(seen), head);
    draw_inputs(frame, inputs, seen);
    draw_outputs(frame, outputs, seen, now);
    draw_rules(frame, rules, seen, view);
    let keys = "q ends  ↑↓ scroll  s sorts (busy, hits, name)";
    frame.render_widget(Line::from(keys).dim(), foot);
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
    let row = |(name, input): (&String, &crate::operate::status::InputStatus)| {
        let each_second = seen.bytes.get(name).copied().unwrap_or(0) / 1024;
        let wrong = input.unreadable.first();
        let wrong = wrong.map(|it| format!("{}: {}", visible(&it.path), visible(&it.error)));
        let is_bad = wrong.is_some();
        let row = Row::new([
            visible(name).into_owned(),
            format!("{} lines", input.lines),
            format!("{each_second} KiB/s"),
            wrong.unwrap_or_else(|| {
                format!(
                    "{} files, {} KiB behind",
                    input.files,
                    input.lag_bytes / 1024
                )
            }),
        ]);
        if is_bad { row.red() } else { row }
    };
    let rows = seen.status.inputs.iter().map(row).collect();
    frame.render_widget(
        table(["input", "lines", "reads", "state"], [24, 16, 12], rows),
        area,
    );
}

fn draw_outputs(frame: &mut Frame<'_>, area: Rect, seen: &Seen, now: Timestamp) {
    let row = |(name, output): (&String, &crate::operate::status::OutputStatus)| {
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

fn draw_rules(frame: &mut Frame<'_>, area: Rect, seen: &Seen, view: &mut View) {
    let mut rules: Vec<(&String, &RuleStatus)> = seen.status.rules.iter().collect();
    match view.order {
        Order::Busy => rules.sort_by_key(|(name, rule)| {
            std::cmp::Reverse((rule.firing, seen.recent(name), rule.hits))
        }),
        Order::Hits => rules.sort_by_key(|(_, rule)| std::cmp::Reverse(rule.hits)),
        Order::Name => {}
    }
    if let Some(at) = view.table.selected() {
        view.table
            .select(Some(at.min(rules.len().saturating_sub(1))));
    }
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
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    frame.render_stateful_widget(table, area, &mut view.table);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;

    use super::*;
    use crate::clock;

    fn status(hits: u64, firing: u64) -> Status {
        let rule = |hits, firing| {
            json!({"type": "frequency", "mode": "live", "hits": hits, "alerts": firing,
                   "notifications": 0, "firing": firing, "dropped_groups": 0})
        };
        serde_json::from_value(json!({
            "version": "0.1.0", "host": "web-1\u{1b}[31m", "pid": 1, "uptime_s": 120, "ready": true,
            "inputs": {"nginx": {"type": "file", "files": 2, "lines": 7, "bytes": hits * 2048, "lag_bytes": 0, "skewed": 0,
                "unreadable": [], "unreadable_total": 0, "losses": []}},
            "rules": {"a-quiet-one": rule(0, 0), "bad-gateways": rule(hits, firing)},
            "outputs": {},
            "state": {"path": "/x", "bytes": 1, "committed_at": null, "commit_ms": 1, "failing_since": null, "error": null,
                "in_memory": 0, "dropped": {"queue_full": 0, "orphaned": 0, "unrecorded": 0}, "start": "ok"},
            "engine": "ok", "last_reload": null
        }))
        .unwrap()
    }

    fn drawn(seen: &Seen, view: &mut View) -> String {
        let mut terminal = Terminal::new(TestBackend::new(100, 12)).unwrap();
        terminal
            .draw(|frame| draw(frame, seen, view, Timestamp::from_secs(0)))
            .unwrap();
        let buffer = terminal.backend().buffer().clone();
        let cells = buffer.content().chunks(100);
        let lines = cells.map(|row| {
            row.iter()
                .map(ratatui::buffer::Cell::symbol)
                .collect::<String>()
        });
        lines
            .map(|line| line.trim_end().to_owned() + "\n")
            .collect::<Vec<_>>()
            .concat()
    }

    #[test]
    fn what_fires_stands_first_with_its_rate_and_nothing_acts() {
        let began = clock::monotonic();
        let mut seen = Seen::new(status(0, 0), began);
        for (second, hits) in [(1, 2), (2, 2), (3, 9)] {
            seen.take(status(hits, 1), began + Duration::from_secs(second));
        }
        let screen = drawn(&seen, &mut View::default());
        assert!(
            screen.starts_with("lapwing 0.1.0 web-1\\x1b[31m  up 2m  1 firing\n"),
            "{screen}"
        );
        assert!(screen.contains("14 KiB/s"), "{screen}");
        assert!(screen.contains("9 hits         ▃▁█"), "{screen}");
        let firing = screen.find("bad-gateways").unwrap();
        assert!(firing < screen.find("a-quiet-one").unwrap(), "{screen}");
        let mut by_name = View::default();
        by_name.next_order();
        by_name.next_order();
        by_name.scroll(-3);
        by_name.scroll(100);
        let screen = drawn(&seen, &mut by_name);
        let firing = screen.find("bad-gateways").unwrap();
        assert!(firing > screen.find("a-quiet-one").unwrap(), "{screen}");
        seen.fail("no agent listens");
        assert!(drawn(&seen, &mut by_name).contains("no agent listens"));
    }
}
