//! The page's graphs as SVG. Pure. Only numbers and times of our own come in, no text of a log.

use std::fmt::Write as _;

use lapwing_rules::model::{Severity, Timestamp};

use crate::commands::backtest::report::Run;
use crate::commands::backtest::tally::{Episode, OfRule, is_night};
use crate::outputs::render;

/// Width of all graphs, in units of their own.
const WIDTH: usize = 1000;
/// Bars of the graph over time.
const BARS: usize = 125;
/// Episodes drawn behind a rule's hits.
const BANDS: usize = 300;

/// First and last line time.
type Span = (Timestamp, Timestamp);

/// Messages over time, stacked by severity.
pub(super) fn messages(run: Run<'_>, (begin, end): Span) -> String {
    const HEIGHT: u64 = 120;
    let mut stacks = vec![[0u64; 3]; BARS];
    for ((_, rule), of_rule) in run.rules.iter().zip(&run.tally.rules) {
        let layer = layer(rule.severity);
        for (stack, count) in stacks
            .iter_mut()
            .zip(of_rule.told.columns(begin, end, BARS))
        {
            if let Some(sum) = stack.get_mut(layer) {
                *sum += u64::from(count);
            }
        }
    }
    let most = stacks.iter().map(|stack| stack.iter().sum::<u64>()).max();
    let most = most.unwrap_or(0).max(1);
    let mut svg = open(HEIGHT + 34, "messages over time");
    let step = WIDTH / BARS;
    for (n, stack) in stacks.iter().enumerate() {
        let mut floor = HEIGHT + 14;
        for (count, class) in stack.iter().zip(["critical", "warning", "info"]) {
            let height = (count * HEIGHT).div_ceil(most);
            if height == 0 {
                continue;
            }
            floor -= height;
            let at = render::moment(at_column((begin, end), n, BARS));
            // Writing to a String cannot fail.
            writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{}\" y=\"{floor}\" width=\"{}\" height=\"{height}\"><title>{count} {class} at {at}</title></rect>",
                n * step,
                step - 1
            )
            .ok();
        }
    }
    axis(&mut svg, HEIGHT + 14, most);
    let from = render::moment(begin);
    let to = render::moment(end);
    let y = HEIGHT + 29;
    writeln!(
        svg,
        "<text x=\"0\" y=\"{y}\">{from}</text><text x=\"{WIDTH}\" y=\"{y}\" text-anchor=\"end\">{to}</text></svg>"
    )
    .ok();
    svg
}

/// Messages in each hour of the day; the night is shaded.
pub(super) fn hours(hours: &[u64; 24]) -> String {
    const HEIGHT: u64 = 80;
    let most = hours.iter().copied().max().unwrap_or(0).max(1);
    let mut svg = open(HEIGHT + 34, "messages by hour");
    let step = WIDTH / 24;
    for (hour, count) in hours.iter().enumerate() {
        let x = hour * step;
        // Writing to a String cannot fail.
        if is_night(hour) {
            let height = HEIGHT + 14;
            writeln!(
                svg,
                "<rect class=\"night\" x=\"{x}\" y=\"0\" width=\"{step}\" height=\"{height}\"/>"
            )
            .ok();
        }
        let height = (count * HEIGHT).div_ceil(most);
        writeln!(
            svg,
            "<rect class=\"info\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{height}\"><title>{count} from {hour}:00 to {hour}:59</title></rect>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{hour}</text>",
            x + 4,
            HEIGHT + 14 - height,
            step - 8,
            x + step / 2,
            HEIGHT + 29
        )
        .ok();
    }
    axis(&mut svg, HEIGHT + 14, most);
    svg.push_str("</svg>\n");
    svg
}

/// One rule: its hits over time, its alerts as bands behind them.
pub(super) fn rule<'a>(
    of_rule: &OfRule,
    episodes: impl Iterator<Item = &'a Episode>,
    severity: Severity,
    span: Span,
) -> String {
    const HEIGHT: u64 = 60;
    const COLUMNS: usize = 250;
    let class = render::severity(severity);
    let mut svg = open(HEIGHT, "hits over time");
    for episode in episodes.take(BANDS) {
        let from = place(episode.started_at, span);
        let to = place(episode.ended_at.unwrap_or(span.1), span).max(from + 3);
        let at = render::moment(episode.started_at);
        // Writing to a String cannot fail.
        write!(
            svg,
            "<rect class=\"band {class}\" x=\"{from}\" y=\"0\" width=\"{}\" height=\"{HEIGHT}\"><title>{at}</title></rect>\
             <rect class=\"{class}\" x=\"{from}\" y=\"0\" width=\"3\" height=\"{HEIGHT}\"/>",
            to - from
        )
        .ok();
    }
    let counts = of_rule.hits.columns(span.0, span.1, COLUMNS);
    let most = u64::from(counts.iter().copied().max().unwrap_or(0).max(1));
    let step = WIDTH / COLUMNS;
    for (n, count) in counts.iter().enumerate() {
        let height = (u64::from(*count) * (HEIGHT - 4)).div_ceil(most);
        if height > 0 {
            let (x, y) = (n * step, HEIGHT - height);
            write!(
                svg,
                "<rect class=\"hits\" x=\"{x}\" y=\"{y}\" width=\"{step}\" height=\"{height}\"><title>{count}</title></rect>"
            )
            .ok();
        }
    }
    svg.push_str("</svg>");
    svg
}

fn open(height: u64, label: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{label}\">\n")
}

fn axis(svg: &mut String, y: u64, most: u64) {
    // Writing to a String cannot fail.
    write!(
        svg,
        "<line class=\"axis\" x1=\"0\" y1=\"{y}\" x2=\"{WIDTH}\" y2=\"{y}\"/><text x=\"0\" y=\"10\">{most}</text>"
    )
    .ok();
}

fn layer(severity: Severity) -> usize {
    match severity {
        Severity::Critical => 0,
        Severity::Warning => 1,
        Severity::Info => 2,
    }
}

/// Where a time lies from left to right.
fn place(at: Timestamp, (begin, end): Span) -> u128 {
    let whole = end.since(begin).as_nanos().max(1);
    at.since(begin).as_nanos().min(whole) * (WIDTH as u128 - 3) / whole
}

fn at_column((begin, end): Span, n: usize, of: usize) -> Timestamp {
    let share = u32::try_from(n).unwrap_or(0);
    let parts = u32::try_from(of.max(2) - 1).unwrap_or(1);
    begin.plus(end.since(begin) / parts * share)
}
