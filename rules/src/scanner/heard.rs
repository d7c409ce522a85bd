//! When lines came at all, hits or not: what tells a rule that hears nothing from an input that
//! says nothing.
//!
//! Only few lines are looked at: where the first and the last line of a piece lie closer together
//! than matters, so do those between; else the piece is halved.

use std::ops::Range;
use std::time::Duration;

use crate::language::rule::{ConditionSpec, RuleSet};
use crate::model::{Text, Timestamp};

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

/// Where lines came in `text`, oldest first as far as their times go up. `time` is a record's own
/// time; records without one are passed over.
pub(super) fn spans(
    text: Text<'_>,
    tolerance: Duration,
    time: &dyn Fn(Range<usize>) -> Option<Timestamp>,
) -> Vec<Span> {
    let search = Search { text, time };
    let len = text.bytes.len();
    let (Some(first), Some(last)) = (search.first(0, len), search.last_before(len)) else {
        return Vec::new();
    };
    let mut spans = vec![(first.1, first.1)];
    // Pieces to be looked at, the next one last: each begins with the record that was seen last.
    let mut pieces = vec![(first, last)];
    while let Some((from, to)) = pieces.pop() {
        if to.1.since(from.1) <= tolerance {
            if let Some(span) = spans.last_mut() {
                span.1 = span.1.max(to.1);
            }
        } else if let Some(middle) = search.between(from.0, to.0) {
            pieces.push((middle, to));
            pieces.push((from, middle));
        } else {
            spans.push((to.1, to.1));
        }
    }
    spans
}

/// A record's start and its time.
type Seen = (usize, Timestamp);

struct Search<'a> {
    text: Text<'a>,
    time: &'a dyn Fn(Range<usize>) -> Option<Timestamp>,
}

impl Search<'_> {
    /// The first record that bears a time, of those from the one that `from` is in to before `to`.
    fn first(&self, from: usize, to: usize) -> Option<Seen> {
        let mut at = from;
        while at < to {
            let record = self.text.about(at);
            if let Some(time) = (self.time)(record.clone()) {
                return Some((record.start, time));
            }
            at = self.text.behind(at);
        }
        None
    }

    /// The last record before `end` that bears a time.
    fn last_before(&self, end: usize) -> Option<Seen> {
        let mut at = end;
        while at > 0 {
            let record = self.text.about(at - 1);
            if let Some(time) = (self.time)(record.clone()) {
                return Some((record.start, time));
            }
            at = record.start;
        }
        None
    }

    /// A record between those that start at `from` and `to`, near the middle where there is one.
    fn between(&self, from: usize, to: usize) -> Option<Seen> {
        let second = self.text.behind(from);
        let middle = self.text.about(from + (to - from) / 2).start.max(second);
        self.first(middle, to)
            .or_else(|| self.first(second, middle))
    }
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
        let got = spans(
            bytes.as_slice().into(),
            Duration::from_secs(tolerance_s),
            &time,
        );
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
