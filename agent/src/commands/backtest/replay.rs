//! Old logs through the very scanner and engine that run live, merged by line time.
//!
//! Each log gives its hits in its own order; the one whose next hit is the oldest goes first, and
//! of equal ones the log that begins first. Only hits are merged: the lines between them matter
//! to nothing but the clock's end.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use lapwing_rules::engine::{Engine, RuleCounts, Told};
use lapwing_rules::fields::{Assume, Format};
use lapwing_rules::language::rule::RuleSet;
use lapwing_rules::model::{Batch, Notification, Timestamp, line::line_about};
use lapwing_rules::scanner::{Detector, Hit, InputSpec, Listening, Scanner, SourceState};

use crate::clock;
use crate::commands::logs::Log;
use crate::config::{self, MAX_CLOCK_SKEW};
use crate::error::AgentError;

/// Which lines count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Inclusive.
    pub(super) since: Timestamp,
    /// Exclusive; the clock runs on to it.
    pub(super) until: Option<Timestamp>,
}

/// What was read, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) lines: u64,
    pub(super) bytes: u64,
    pub(super) skewed: u64,
    /// By rule id.
    pub(super) rules: Vec<RuleCounts>,
    /// Line times of the first and the last line that bear one.
    pub(super) span: Option<(Timestamp, Timestamp)>,
}

/// A run over some logs.
pub(super) struct Replay {
    streams: Vec<Stream>,
    engine: Engine,
    bounds: Bounds,
    /// No line is later than this: the time of the call and a little.
    latest: Timestamp,
}

struct Stream {
    log: Log,
    scanner: Scanner,
    state: SourceState,
    /// Read ahead to find out where the log begins.
    first: Option<Batch>,
    begins: Timestamp,
    hits: VecDeque<Hit>,
    ends: Option<Timestamp>,
}

impl Replay {
    /// Over `logs`; `now` is the time of the call.
    pub(super) fn new(
        rules: &Arc<RuleSet>,
        format: Option<&Arc<Format>>,
        logs: Vec<Log>,
        bounds: Bounds,
        now: Timestamp,
    ) -> Self {
        let name: Arc<str> = "backtest".into();
        let input = InputSpec {
            name: Arc::clone(&name),
            format: format.cloned(),
        };
        let scanner = Scanner::new(rules, &[input], Listening::ToEverything);
        let engine = Engine::new(Arc::clone(rules), config::host_name(), Arc::new([name]));
        let streams = logs
            .into_iter()
            .map(|log| Stream::new(log, scanner.fork()))
            .collect();
        let mut replay = Self {
            streams,
            engine,
            bounds,
            latest: now.plus(MAX_CLOCK_SKEW),
        };
        for stream in &mut replay.streams {
            stream.find_beginning(Detector::new(format.cloned()));
        }
        replay
    }

    /// Runs to the end; `each` gets every notification in order.
    pub(super) fn run(
        &mut self,
        each: &mut dyn FnMut(Notification) -> Result<(), AgentError>,
    ) -> Result<Totals, AgentError> {
        self.streams.sort_by_key(|stream| stream.begins);
        let mut told: Vec<Told> = Vec::new();
        let mut next: BinaryHeap<Reverse<(Timestamp, usize)>> = BinaryHeap::new();
        for index in 0..self.streams.len() {
            self.queue(index, &mut next)?;
        }
        while let Some(Reverse((_, index))) = next.pop() {
            let Some(hit) = self
                .streams
                .get_mut(index)
                .and_then(|stream| stream.hits.pop_front())
            else {
                continue;
            };
            self.engine.advance(hit.time, &mut told);
            self.engine.observe(&hit, &mut told);
            for told in told.drain(..) {
                each(told.notification)?;
            }
            self.queue(index, &mut next)?;
        }
        if let Some(end) = self.end() {
            self.engine.advance(end, &mut told);
            for told in told.drain(..) {
                each(told.notification)?;
            }
        }
        Ok(self.totals())
    }

    /// Puts the next hit of a stream in its place among those of the others.
    fn queue(
        &mut self,
        index: usize,
        next: &mut BinaryHeap<Reverse<(Timestamp, usize)>>,
    ) -> Result<(), AgentError> {
        let Some(stream) = self.streams.get_mut(index) else {
            return Ok(());
        };
        stream.fill(self.bounds, self.latest)?;
        if let Some(hit) = stream.hits.front() {
            next.push(Reverse((hit.time, index)));
        }
        Ok(())
    }

    /// Where the clock stops.
    fn end(&self) -> Option<Timestamp> {
        self.bounds
            .until
            .or_else(|| self.streams.iter().filter_map(|stream| stream.ends).max())
    }

    fn totals(&self) -> Totals {
        let begins = self.streams.iter().map(|stream| stream.begins).min();
        let ends = self.streams.iter().filter_map(|stream| stream.ends).max();
        Totals {
            lines: self.streams.iter().map(|stream| stream.log.lines).sum(),
            bytes: self.streams.iter().map(|stream| stream.log.bytes).sum(),
            skewed: self.streams.iter().map(|stream| stream.state.skewed).sum(),
            rules: self.engine.counts().to_vec(),
            span: begins.zip(ends),
        }
    }
}

impl Stream {
    fn new(log: Log, scanner: Scanner) -> Self {
        Self {
            log,
            scanner,
            state: SourceState::default(),
            first: None,
            begins: Timestamp::MAX,
            hits: VecDeque::new(),
            ends: None,
        }
    }

    /// Looks for the first line with a time. Lines before it take that time: they have none of
    /// their own and no line before them.
    fn find_beginning(&mut self, mut detector: Detector) {
        // What cannot be read is told when it is asked for.
        let Ok(Some(batch)) = self.log.next_batch() else {
            return;
        };
        let format = detector.format_of(&batch.bytes);
        self.begins = batch.arrival;
        let zone = clock::zone(batch.arrival);
        self.scanner.assume_zone(zone);
        let mut at = 0;
        while format.has_time() && at < batch.bytes.len() {
            let line = line_about(&batch.bytes, at);
            let text = batch.bytes.get(line.clone()).unwrap_or_default();
            let near = Some(batch.arrival);
            if let Some(time) = format.time_assuming(text, Assume { near, zone }) {
                self.begins = time;
                self.state = SourceState::after(time);
                break;
            }
            let behind = batch.bytes.get(line.end..).unwrap_or_default();
            at = memchr::memchr(b'\n', behind).map_or(batch.bytes.len(), |lf| line.end + lf + 1);
        }
        self.first = Some(batch);
    }

    /// Reads on until there is a hit, or to the end.
    fn fill(&mut self, bounds: Bounds, latest: Timestamp) -> Result<(), AgentError> {
        while self.hits.is_empty() {
            let batch = match self.first.take() {
                Some(batch) => batch,
                None => match self.log.next_batch()? {
                    Some(batch) => batch,
                    None => return Ok(()),
                },
            };
            let hits = &mut self.hits;
            let is_within =
                |time| time >= bounds.since && bounds.until.is_none_or(|until| time < until);
            self.scanner
                .scan(&batch, &mut self.state, latest, &mut |hit| {
                    if is_within(hit.time) {
                        // A line of the past arrived when it was written.
                        hits.push_back(Hit {
                            arrival: hit.time,
                            ..hit.clone()
                        });
                    }
                });
            let last = self.state.last_time().unwrap_or(batch.arrival);
            if is_within(last) {
                self.ends = Some(self.ends.map_or(last, |ends| ends.max(last)));
            }
        }
        Ok(())
    }
}
