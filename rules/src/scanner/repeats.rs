//! Lines that stand for several: syslog daemons write `message repeated 40 times: [ … ]`, or `last
//! message repeated 40 times` for the line before. Only rules with `expand_repeats` ask.

use memchr::memmem;

use super::Hit;
use super::clock::Clock;
use crate::language::rule::{Repeats, RuleSet};
use crate::model::Batch;

/// A line does not count for more than this, whatever it says: anybody may write one.
const MOST: u64 = 10_000;
const REPEATED: &[u8] = b"message repeated ";

/// How many lines this one says that it stands for; of the line itself or of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// Nothing of the sort.
    Nothing,
    /// The message in it came so often.
    Itself(u64),
    /// The line before it came so many times more.
    LineBefore(u64),
}

pub(super) fn says(line: &[u8]) -> Says {
    let Some(at) = memmem::find(line, REPEATED) else {
        return Says::Nothing;
    };
    let (before, behind) = line.split_at(at);
    let behind = behind.get(REPEATED.len()..).unwrap_or_default();
    let digits = behind
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (number, behind) = behind.split_at(digits);
    let number = std::str::from_utf8(number).ok();
    let Some(times) = number.filter(|_| behind.starts_with(b" time")) else {
        return Says::Nothing;
    };
    // More digits than a number has are more than enough.
    let times = times
        .parse()
        .unwrap_or(if digits == 0 { 0 } else { MOST })
        .min(MOST);
    match times {
        0 => Says::Nothing,
        times if before.ends_with(b"last ") => Says::LineBefore(times),
        times => Says::Itself(times),
    }
}

/// Hits of a source's latest line, which the next line may say came more often.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeatable {
    hits: Vec<Hit>,
    /// Where their line begins in the batch that is being scanned; `None`: in one before.
    at: Option<usize>,
}

impl Repeatable {
    /// Gives on a hit at `start` of the batch, with how many lines it stands for.
    pub(super) fn give(
        &mut self,
        hit: &mut Hit,
        start: usize,
        (rules, batch): (&RuleSet, &Batch),
        each: &mut dyn FnMut(&mut Hit),
    ) {
        self.note(hit, start, rules, batch);
        each(hit);
        hit.heard.clear();
    }

    fn note(&mut self, hit: &mut Hit, start: usize, rules: &RuleSet, batch: &Batch) {
        if rules.get(hit.rule).repeats == Repeats::AsOne {
            return;
        }
        let line = batch
            .bytes
            .get(batch.text().about(start))
            .unwrap_or_default();
        if let Says::Itself(times) = says(line) {
            hit.times = times;
        }
        if self.at != Some(start) {
            self.hits.clear();
            self.at = Some(start);
        }
        let mut kept = hit.clone();
        kept.heard.clear();
        self.hits.push(kept);
    }

    /// Before a hit at `until` of the batch, or at its end: the lines behind the kept hits are looked
    /// at, as far as they are there.
    pub(super) fn settle(
        &mut self,
        until: usize,
        batch: &Batch,
        clock: &mut Clock<'_>,
        each: &mut dyn FnMut(&mut Hit),
    ) {
        let text = batch.text();
        while !self.hits.is_empty() {
            let next = self.at.map_or(0, |at| text.behind(at));
            if next > until || next >= batch.bytes.len() {
                return;
            }
            let line = text.about(next);
            let Says::LineBefore(times) = says(batch.bytes.get(line.clone()).unwrap_or_default())
            else {
                self.hits.clear();
                return;
            };
            let time = clock.time_of(&line);
            for hit in &mut self.hits {
                (hit.times, hit.time, hit.arrival) = (times, time, batch.arrival);
                hit.sample.at = time;
                hit.sample.offset = batch.offset_of(line.start);
                each(hit);
            }
            self.at = Some(next);
        }
    }

    /// The batch is over.
    pub(super) fn batch_ended(&mut self, batch: &Batch) {
        if self.hits.is_empty() {
            return;
        }
        let len = batch.bytes.len();
        let is_last = self.at.is_none_or(|at| batch.text().behind(at) >= len);
        if !is_last {
            self.hits.clear();
        }
        self.at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_daemons_say_of_repeated_lines_is_understood() {
        for (line, expected) in [
            (
                "sshd[1]: message repeated 40 times: [ Failed password ]",
                Says::Itself(40),
            ),
            ("last message repeated 3 times", Says::LineBefore(3)),
            ("--- last message repeated 1 time ---", Says::LineBefore(1)),
            (
                "message repeated 99999999999999999999999 times",
                Says::Itself(MOST),
            ),
            ("message repeated many times", Says::Nothing),
            ("message repeated 0 times", Says::Nothing),
            ("message repeated 4 tomes", Says::Nothing),
            ("", Says::Nothing),
        ] {
            assert_eq!(says(line.as_bytes()), expected, "{line}");
        }
    }
}
