//! One log on its way through a scanner: batch by batch, its hits in its own order.

use std::sync::Arc;

use lapwing_rules::fields::{Assume, Format, Zone};
use lapwing_rules::model::{Batch, Timestamp};
use lapwing_rules::scanner::{Detector, Hit, Scanner, Searched, SourceState, Span};

use crate::clock;
use crate::commands::logs::Log;
use crate::error::AgentError;

/// Which lines count.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct Bounds {
    /// Inclusive.
    pub(in crate::commands) since: Timestamp,
    /// Exclusive; the clock runs on to it.
    pub(in crate::commands) until: Option<Timestamp>,
}

impl Bounds {
    fn hold(self, time: Timestamp) -> bool {
        time >= self.since && self.until.is_none_or(|until| time < until)
    }
}

/// What holds for all logs of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) bounds: Bounds,
    /// No line is later than this: the time of the call and a little.
    pub(super) latest: Timestamp,
}

/// Whether there may be more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Going {
    On,
    Ended,
}

/// How far hits have been made of a log's lines.
pub(super) struct Place<'s> {
    state: &'s mut SourceState,
    zone: Zone,
    ends: &'s mut Option<Timestamp>,
}

/// A log, and how far it has been scanned.
pub(super) struct Stream {
    pub(super) log: Log,
    state: SourceState,
    zone: Zone,
    /// As its first lines are written.
    format: Option<Arc<Format>>,
    /// Read ahead to find out where the log begins; or why that failed, told when it is asked for.
    first: Option<Result<Batch, AgentError>>,
    /// The time of its first line that bears one.
    pub(super) begins: Timestamp,
    /// The latest time that a batch within the bounds ended with.
    pub(super) ends: Option<Timestamp>,
}

impl Stream {
    pub(super) fn new(log: Log) -> Self {
        Self {
            log,
            state: SourceState::default(),
            zone: Zone::UTC,
            format: None,
            first: None,
            begins: Timestamp::MAX,
            ends: None,
        }
    }

    /// Its first lines, and how they are written.
    pub(super) fn first_lines(&self) -> Option<(&Arc<Format>, &[u8])> {
        let batch = self.first.as_ref()?.as_ref().ok()?;
        Some((self.format.as_ref()?, &batch.bytes))
    }

    /// Where lines came that no hit has told of.
    pub(super) fn heard(&self) -> &[Span] {
        self.state.heard()
    }

    /// Lines whose own time was too far in the future.
    pub(super) fn skewed(&self) -> u64 {
        self.state.skewed
    }

    /// Looks for the first line with a time. Lines before it take that time: they have none of
    /// their own and no line before them.
    pub(super) fn find_beginning(&mut self, mut detector: Detector) {
        let batch = match self.log.next_batch() {
            Ok(Some(batch)) => batch,
            Ok(None) => return,
            Err(error) => {
                self.first = Some(Err(error));
                return;
            }
        };
        let format = detector.format_of(batch.text());
        self.format = Some(Arc::clone(&format));
        self.begins = batch.arrival;
        self.zone = clock::zone(batch.arrival);
        let zone = self.zone;
        let mut at = 0;
        while format.has_time() && at < batch.bytes.len() {
            let record = batch.bytes.get(batch.text().about(at));
            let near = Some(batch.arrival);
            let assume = Assume { near, zone };
            if let Some(time) = format.time_of_record(record.unwrap_or_default(), assume) {
                self.begins = time;
                self.state = SourceState::after(time);
                break;
            }
            at = batch.text().behind(at);
        }
        self.first = Some(Ok(batch));
    }

    /// Lets go of what was read ahead, where it can be read again.
    ///
    /// # Errors
    ///
    /// When it cannot after all.
    pub(super) fn rest(&mut self) -> Result<(), AgentError> {
        if matches!(self.first, Some(Ok(_))) && self.log.rewind()? {
            self.first = None;
        }
        Ok(())
    }

    /// Scans the next batch. `each` gets the hits within the bounds; each has arrived when it was
    /// written.
    ///
    /// # Errors
    ///
    /// When the log cannot be read any further.
    pub(super) fn scan_batch(
        &mut self,
        scanner: &mut Scanner,
        terms: Terms,
        each: &mut dyn FnMut(&Hit),
    ) -> Result<Going, AgentError> {
        let batch = match self.first.take() {
            Some(batch) => batch?,
            None => match self.log.next_batch()? {
                Some(batch) => batch,
                None => return Ok(Going::Ended),
            },
        };
        self.split().1.scan(&batch, None, scanner, terms, each);
        self.log.recycle(batch);
        Ok(Going::On)
    }

    /// The log, to be read by others, and who makes hits of its lines.
    pub(super) fn split(&mut self) -> (&mut Log, Place<'_>) {
        let place = Place {
            state: &mut self.state,
            zone: self.zone,
            ends: &mut self.ends,
        };
        (&mut self.log, place)
    }
}

impl Place<'_> {
    /// Scans the next batch: `searched`, where somebody has done so. `each` gets the hits within
    /// the bounds; each has arrived when it was written.
    pub(super) fn scan(
        &mut self,
        batch: &Batch,
        searched: Option<&Searched>,
        scanner: &mut Scanner,
        terms: Terms,
        each: &mut dyn FnMut(&Hit),
    ) {
        scanner.assume_zone(self.zone);
        let each = &mut |hit: &mut Hit| {
            if terms.bounds.hold(hit.time) {
                // A line of the past arrived when it was written.
                hit.arrival = hit.time;
                each(hit);
            }
        };
        scanner.scan_searched(batch, searched, self.state, terms.latest, each);
        let last = self.state.last_time().unwrap_or(batch.arrival);
        if terms.bounds.hold(last) {
            *self.ends = Some(self.ends.map_or(last, |ends| ends.max(last)));
        }
    }
}
