//! Old logs through the very scanner and engine that run live, merged by line time.
//!
//! Only hits are merged: the lines between them matter to nothing but the clock's end. The engine
//! runs on the caller's thread (`clockwork`); who scans is `merge`'s business.

use std::sync::Arc;

use lapwing_rules::engine::{Engine, RuleCounts};
use lapwing_rules::fields::Format;
use lapwing_rules::language::rule::RuleSet;
use lapwing_rules::model::{Notification, RuleId, Timestamp};
use lapwing_rules::mute::Silence;
use lapwing_rules::scanner::{Detector, Hit, Scanner};

use super::clockwork::Clockwork;
use super::merge::{Merge, Width};
use super::stream::{Bounds, Going, Stream, Terms};
use super::together;
use crate::commands::logs::{Log, Way, Ways};
use crate::error::AgentError;
use crate::threads;

/// What was read, and what came of it.
#[derive(Debug, Default)]
pub(in crate::commands) struct Totals {
    pub(in crate::commands) lines: u64,
    pub(in crate::commands) bytes: u64,
    pub(in crate::commands) skewed: u64,
    /// By rule id.
    pub(in crate::commands) rules: Vec<RuleCounts>,
    /// Line times of the first and the last line that bear one.
    pub(in crate::commands) span: Option<(Timestamp, Timestamp)>,
}

/// Who follows a run.
pub(super) struct Audience<'a> {
    /// Gets every notification in order; its error ends the run.
    pub(super) told: &'a mut dyn FnMut(Notification) -> Result<(), AgentError>,
    /// Gets the rule and the line time of every hit.
    pub(super) hit: &'a mut dyn FnMut(RuleId, Timestamp),
    /// Is called now and then, for a progress bar.
    pub(super) goes_on: &'a dyn Fn(),
}

/// A run over some logs.
pub(super) struct Replay {
    streams: Vec<Stream>,
    scanner: Scanner,
    clockwork: Clockwork,
    terms: Terms,
    width: Width,
}

/// Takes some of a log's lines, so that the search for the rules suits them.
fn take_sample(stream: &Stream, samples: &mut Vec<(Arc<Format>, Vec<u8>)>) {
    /// Of one log, and of all logs that are written alike.
    const MOST_OF_ONE: usize = 256 * 1024;
    const MOST: usize = 1024 * 1024;
    let Some((format, lines)) = stream.first_lines() else {
        return;
    };
    let known = samples
        .iter()
        .position(|(of, _)| of.name() == format.name());
    let index = known.unwrap_or(samples.len());
    if known.is_none() {
        samples.push((Arc::clone(format), Vec::new()));
    }
    if let Some((_, sample)) = samples.get_mut(index)
        && sample.len() < MOST
    {
        sample.extend_from_slice(lines.get(..MOST_OF_ONE).unwrap_or(lines));
    }
}

impl Replay {
    /// Over `logs`, while `silences` hold; `now` is the time of the call.
    ///
    /// # Errors
    ///
    /// When a log that could be opened cannot be read from its beginning a second time.
    pub(super) fn new(
        rules: &Arc<RuleSet>,
        ways: &Ways,
        logs: Vec<(Log, Way)>,
        (bounds, silences): (Bounds, Vec<Silence>),
        now: Timestamp,
        width: Width,
    ) -> Result<Self, AgentError> {
        let inputs = ways.inputs();
        let mut scanner = Scanner::new(rules, &inputs, ways.listening());
        let names = inputs.into_iter().map(|input| input.name).collect();
        let mut engine = Engine::new(Arc::clone(rules), ways.host(), names);
        let keeps_first = logs.len() <= width.most_open;
        let mut streams = Vec::new();
        let mut samples: Vec<(Arc<Format>, Vec<u8>)> = Vec::new();
        for (log, way) in logs {
            let mut stream = Stream::new(log);
            stream.find_beginning(Detector::new(ways.format(&way).cloned()));
            take_sample(&stream, &mut samples);
            if !keeps_first {
                stream.rest()?;
            }
            streams.push(stream);
        }
        for (format, sample) in &samples {
            scanner.prepare_for(format, sample, &|tasks| threads::all(tasks, width.cores));
        }
        if let Some(begins) = streams.iter().map(|stream| stream.begins).min() {
            engine.watch(begins.max(bounds.since));
        }
        Ok(Self {
            streams,
            scanner,
            clockwork: Clockwork::new(engine, silences),
            terms: Terms {
                bounds,
                latest: now.plus(ways.max_clock_skew()),
            },
            width,
        })
    }

    /// Runs to the end.
    ///
    /// # Errors
    ///
    /// When a log cannot be read to its end, or the audience has enough.
    pub(super) fn run(mut self, audience: &mut Audience<'_>) -> Result<Totals, AgentError> {
        match <[Stream; 1]>::try_from(std::mem::take(&mut self.streams)) {
            Ok([stream]) => self.run_one(stream, audience),
            Err(streams) => self.run_merged(streams, audience),
        }
    }

    fn run_one(
        mut self,
        mut stream: Stream,
        audience: &mut Audience<'_>,
    ) -> Result<Totals, AgentError> {
        let read = self.observe_one(&mut stream, audience);
        let bounds = self.terms.bounds;
        finish(read, self.clockwork, (&[&stream], bounds), audience)
    }

    /// With one log there is nothing to merge: a hit goes to the engine as it is found.
    fn observe_one(
        &mut self,
        stream: &mut Stream,
        audience: &mut Audience<'_>,
    ) -> Result<(), AgentError> {
        if self.width.cores > 1
            && stream.log.suits_many()
            && let Some((format, _)) = stream.first_lines()
        {
            let format = Arc::clone(format);
            return self.observe_together(stream, format, audience);
        }
        if self.width.cores > 1 {
            stream.log.read_ahead()?;
        }
        while self.observe_batch(stream, audience)? == Going::On {}
        Ok(())
    }

    fn observe_batch(
        &mut self,
        stream: &mut Stream,
        audience: &mut Audience<'_>,
    ) -> Result<Going, AgentError> {
        let (scanner, terms) = (&mut self.scanner, self.terms);
        let scan = |each: &mut dyn FnMut(&Hit)| stream.scan_batch(scanner, terms, each);
        let going = self.clockwork.observe_each(audience, scan)??;
        (audience.goes_on)();
        Ok(going)
    }

    /// The same, searched by all cores. Its lines are probably of this `format`.
    fn observe_together(
        &mut self,
        stream: &mut Stream,
        format: Arc<Format>,
        audience: &mut Audience<'_>,
    ) -> Result<(), AgentError> {
        // What was read to find the beginning comes first.
        self.observe_batch(stream, audience)?;
        let (terms, clockwork) = (self.terms, &mut self.clockwork);
        let (log, mut place) = stream.split();
        let who = (&mut self.scanner, format);
        together::search(
            log,
            who,
            self.width.cores,
            &mut |scanner, batch, searched| {
                let scan = |each: &mut dyn FnMut(&Hit)| {
                    place.scan(batch, Some(searched), scanner, terms, each);
                };
                clockwork.observe_each(audience, scan)?;
                (audience.goes_on)();
                Ok(())
            },
        )
    }

    fn run_merged(
        self,
        streams: Vec<Stream>,
        audience: &mut Audience<'_>,
    ) -> Result<Totals, AgentError> {
        let mut clockwork = self.clockwork;
        let mut merge = Merge::new(streams, self.scanner, self.terms, self.width)?;
        let mut observe = || {
            while let Some(hit) = merge.next(audience.goes_on)? {
                clockwork.observe(&hit, audience)?;
            }
            Ok(())
        };
        let read = observe();
        let streams: Vec<&Stream> = merge.streams().collect();
        finish(read, clockwork, (&streams, self.terms.bounds), audience)
    }
}

/// All that was read has been observed.
fn finish(
    read: Result<(), AgentError>,
    mut clockwork: Clockwork,
    (streams, bounds): (&[&Stream], Bounds),
    audience: &mut Audience<'_>,
) -> Result<Totals, AgentError> {
    let begins = streams.iter().map(|stream| stream.begins).min();
    let ends = streams.iter().filter_map(|stream| stream.ends).max();
    let heard = streams.iter().map(|stream| stream.heard());
    // Behind a log that breaks off, time stands still.
    let end = bounds.until.or(ends).filter(|_| read.is_ok());
    let told = clockwork.finish(heard, end, audience);
    read?;
    Ok(Totals {
        lines: streams.iter().map(|stream| stream.log.lines).sum(),
        bytes: streams.iter().map(|stream| stream.log.bytes).sum(),
        skewed: streams.iter().map(|stream| stream.skewed()).sum(),
        rules: told?.counts().to_vec(),
        span: begins.zip(ends),
    })
}

#[cfg(test)]
mod tests;
