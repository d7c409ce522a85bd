//! When lines came at all, hits or not: what tells a rule that hears nothing from an input that
//! says nothing.
//!
//! Only few lines are looked at: where the first and the last line of a piece lie closer together
//! than matters, so do those between; else the piece is halved.

use std::ops::Range;

use crate::language::rule::{ConditionSpec, RuleSet};
use crate::model::{Timestamp, line::line_about};
use std::time::Duration;

/// Lines came from the first time to the last, none of them further from the next than matters.
pub type Span = (Timestamp, Timestamp);

/// How far apart two lines may lie to count as lines that go on: less than the shortest window that
/// asks for them. `None`: nobody asks.
pub fn tolerance(rules: &RuleSet) -> Option<Duration> {
    let windows = rules.iter().filter_map(|(_, rule)| match rule.condition {
        ConditionSpec::Flatline { timeframe, .. } => Some(timeframe),
        _ => None,
    });
    let shortest = windows.min()?;
    Some(shortest.saturating_sub(Duration::from_nanos(1)))
}

/// Where lines came in `bytes`, oldest first as far as their times go up. `time` is a line's own
/// time; lines without one are passed over.
pub(super) fn spans(
    bytes: &[u8],
    tolerance: Duration,
    time: &dyn Fn(Range<usize>) -> Option<Timestamp>,
) -> Vec<Span> {
    let first = first_after(bytes, 0, bytes.len(), time);
    let last = last_before(bytes, bytes.len(), time);
    let (Some(first), Some(last)) = (first, last) else {
        return Vec::new();
    };
    let mut spans = vec![(first.1, first.1)];
    // Pieces to be looked at, the next one last: each begins with the line that was seen last.
    let mut pieces = vec![(first, last)];
    while let Some((from, to)) = pieces.pop() {
        let is_near = to.1.since(from.1) <= tolerance;
        let middle = (!is_near)
            .then(|| between(bytes, from.0, to.0, time))
            .flatten();
        match (is_near, middle) {
            (false, Some(middle)) => {
                pieces.push((middle, to));
                pieces.push((from, middle));
            }
            (true, _) => {
                if let Some(span) = spans.last_mut() {
                    span.1 = span.1.max(to.1);
                }
            }
            (false, None) => spans.push((to.1, to.1)),
        }
    }
    spans
}

/// A line's start and its time.
type Seen = (usize, Timestamp);

/// The first line that bears a time, of those that start in `from..to`.
fn first_after(
    bytes: &[u8],
    from: usize,
    to: usize,
    time: &dyn Fn(Range<usize>) -> Option<Timestamp>,
) -> Option<Seen> {
    let mut at = from;
    while at < to {
        let line = line_about(bytes, at);
        if let Some(time) = time(line.clone()) {
            return Some((line.start, time));
        }
        let behind = bytes.get(line.end..)?;
        at = line.end + memchr::memchr(b'\n', behind)? + 1;
    }
    None
}

/// The last line before `end` that bears a time.
fn last_before(
    bytes: &[u8],
    end: usize,
    time: &dyn Fn(Range<usize>) -> Option<Timestamp>,
) -> Option<Seen> {
    let mut at = end;
    while at > 0 {
        let line = line_about(bytes, at - 1);
        if let Some(time) = time(line.clone()) {
            return Some((line.start, time));
        }
        at = line.start;
    }
    None
}

/// A line between those that start at `from` and `to`, near the middle where there is one.
fn between(
    bytes: &[u8],
    from: usize,
    to: usize,
    time: &dyn Fn(Range<usize>) -> Option<Timestamp>,
) -> Option<Seen> {
    let middle = line_about(bytes, from + (to - from) / 2).start;
    let second = line_about(bytes, from).end;
    let second = second + memchr::memchr(b'\n', bytes.get(second..to)?)? + 1;
    first_after(bytes, middle.max(second), to, time)
        .or_else(|| first_after(bytes, second, middle, time))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines that are their own seconds; `x` bears no time.
    fn check(text: &str, tolerance_s: u64, expected: &[(i64, i64)]) {
        let bytes = text.replace(' ', "\n").into_bytes();
        let time = |line: Range<usize>| {
            let text = std::str::from_utf8(&bytes[line]).ok()?;
            text.parse().ok().map(Timestamp::from_secs)
        };
        let got = spans(&bytes, Duration::from_secs(tolerance_s), &time);
        let got: Vec<(i64, i64)> = got
            .iter()
            .map(|(from, to)| (from.as_secs(), to.as_secs()))
            .collect();
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn lines_that_go_on_are_one_span_and_a_gap_makes_two() {
        check("", 10, &[]);
        check("x x", 10, &[]);
        check("5", 10, &[(5, 5)]);
        check("1 5 9 14 20 30", 10, &[(1, 30)]);
        check("1 5 9 20 30 31 50", 10, &[(1, 9), (20, 31), (50, 50)]);
        check("x 1 x x 40 x 41 x", 10, &[(1, 1), (40, 41)]);
        check("0 100", 10, &[(0, 0), (100, 100)]);
        check("0 1 2 3 4 5 6 7 8 9 100 101", 1, &[(0, 9), (100, 101)]);
    }
}
