//! What is known of a source from batch to batch and over a restart: how its lines are written, and
//! the time of the last one that bore one. Asked and told by the scanner; nothing is read here.

use std::iter::Sum;
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fields::{Fields, Format};
use crate::model::{Batch, Text, Timestamp};

use super::clock::Clock;
use super::context::Latest;
use super::heard::Span;
use super::repeats::Repeatable;

/// Records of a source looked at to find out a format; after so many it is taken for plain.
const DETECT_RECORDS: usize = 2_000;

/// Times at which lines came that wait for a hit to tell of them.
const MOST_HEARD: usize = 256;
/// Of those, the latest that are saved: mostly it is one, which goes on.
const MOST_KNOWN: usize = 16;

/// What is remembered of a source over a restart: a line without a time of its own takes that of
/// the line before it, wherever the reading was interrupted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The time of the last line that had one.
    pub last_time: Option<Timestamp>,
    /// The name of the format that was found.
    pub format: Option<String>,
    /// Where lines came, where a rule asks for that.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub heard: Box<[Span]>,
    /// The latest lines, where a rule asks for lines before its samples; blanked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latest: Vec<String>,
}

/// What is remembered of a source from batch to batch.
#[derive(Clone, Debug, Default)]
pub struct SourceState {
    pub(super) detector: Option<Detector>,
    pub(super) last_time: Option<Timestamp>,
    /// Where lines came that no hit has told of yet.
    pub(super) heard: Vec<Span>,
    /// The same, told or not, to be saved.
    known: Vec<Span>,
    /// The latest lines, where a rule asks for them, and the same as they may be saved.
    pub(super) latest: Latest,
    pub(super) saved_latest: Vec<String>,
    /// Hits of the latest line, where a rule counts repeats.
    pub(super) repeatable: Repeatable,
    /// Lines whose own time was too far in the future.
    pub skewed: u64,
    /// The last records of its batches, as far as there is a format to hold them against.
    pub fit: Fit,
}

/// Records that were looked at, one a batch: whether they are written as the format says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// They gave fields.
    pub fits: u64,
    /// They gave none.
    pub misfits: u64,
}

impl AddAssign for Fit {
    fn add_assign(&mut self, other: Self) {
        self.fits += other.fits;
        self.misfits += other.misfits;
    }
}

impl Sum for Fit {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let mut sum = Self::default();
        all.for_each(|one| sum += one);
        sum
    }
}

impl Fit {
    /// Holds the last record of a batch against the format: a log that is written otherwise since the
    /// last release makes rules blind that speak of its fields. Of syslog anything is a message, and
    /// plain has no fields.
    fn add(&mut self, format: &Format, batch: &Batch, fields: &mut Fields) {
        if matches!(format, Format::Syslog | Format::Plain) || batch.bytes.is_empty() {
            return;
        }
        let record = batch.text().about(batch.bytes.len() - 1);
        fields.clear();
        format.read(batch.bytes.get(record).unwrap_or_default(), fields);
        if fields.is_empty() {
            self.misfits += 1;
        } else {
            self.fits += 1;
        }
    }
}

impl Memory {
    /// When lines came, as far as is known.
    pub fn heard(&self) -> Vec<Span> {
        let last = self.last_time.map(|time| (time, time));
        self.heard.iter().copied().chain(last).collect()
    }
}

impl SourceState {
    /// Of a source whose line before the first one bore `time`.
    pub fn after(time: Timestamp) -> Self {
        Self {
            last_time: Some(time),
            ..Self::default()
        }
    }

    /// Of a source that was read before: what [`SourceState::memory`] gave. A format that is no
    /// longer known is found out anew.
    pub fn remembered(memory: &Memory) -> Self {
        let format = memory
            .format
            .as_deref()
            .and_then(Format::named)
            .map(Arc::new);
        Self {
            detector: format.map(|format| Detector::new(Some(format))),
            last_time: memory.last_time,
            heard: memory.heard(),
            known: memory.heard.to_vec(),
            latest: Latest::restored(&memory.latest),
            saved_latest: memory.latest.clone(),
            ..Self::default()
        }
    }

    /// What must not be forgotten over a restart.
    pub fn memory(&self) -> Memory {
        let format = self
            .detector
            .as_ref()
            .and_then(|detector| detector.known.as_ref());
        Memory {
            last_time: self.last_time,
            format: format.map(|format| format.name().to_owned()),
            heard: self.known.as_slice().into(),
            latest: self.saved_latest.clone(),
        }
    }

    /// Where lines came that no hit has told of.
    pub fn heard(&self) -> &[Span] {
        &self.heard
    }

    /// The same; from now on they are told.
    pub fn take_heard(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.heard)
    }

    /// The format of its lines: `given`, or found by looking.
    pub(super) fn format_of(&mut self, text: Text<'_>, given: Option<&Arc<Format>>) -> Arc<Format> {
        let detector = self.detector.get_or_insert_with(|| Detector::new(None));
        if let Some(format) = given {
            detector.known = Some(Arc::clone(format));
        }
        detector.format_of(text)
    }

    /// What `batch` says of those that come after it. `fields`: to be used again.
    pub(super) fn batch_ended(
        &mut self,
        format: &Format,
        batch: &Batch,
        clock: &mut Clock<'_>,
        fields: &mut Fields,
    ) {
        if format.has_time() && batch.source.peer().is_none() {
            self.last_time = clock.last_of_batch().or(self.last_time);
        }
        self.skewed += clock.skewed();
        self.fit.add(format, batch, fields);
    }

    /// Lines came.
    pub(super) fn hear(&mut self, spans: Vec<Span>, tolerance: Duration) {
        for span in spans {
            go_on(&mut self.heard, span, tolerance, MOST_HEARD);
            go_on(&mut self.known, span, tolerance, MOST_KNOWN);
        }
    }

    /// The time of the last line that had one.
    pub fn last_time(&self) -> Option<Timestamp> {
        self.last_time
    }
}

/// Lines came from `from` to `to`: the latest span goes on, or another one begins.
fn go_on(spans: &mut Vec<Span>, (from, to): Span, tolerance: Duration, most: usize) {
    match spans.last_mut() {
        Some(last) if from >= last.0 && from <= last.1.plus(tolerance) => {
            last.1 = last.1.max(to);
        }
        _ => spans.push((from, to)),
    }
    let too_many = spans.len().saturating_sub(most);
    spans.drain(..too_many);
}

/// Finds out how the lines of one source are written.
#[derive(Clone, Debug)]
pub struct Detector {
    pub(super) known: Option<Arc<Format>>,
    plain: Arc<Format>,
    records_left: usize,
}

impl Detector {
    /// `given` ends the search before it begins.
    pub fn new(given: Option<Arc<Format>>) -> Self {
        Self {
            known: given,
            plain: Arc::new(Format::Plain),
            records_left: DETECT_RECORDS,
        }
    }

    /// The format of `text`: given, known from before, or found by looking. Plain until a record
    /// shows more: a header does not hide what comes after it.
    pub fn format_of(&mut self, text: Text<'_>) -> Arc<Format> {
        let mut at = 0;
        while self.known.is_none() && self.records_left > 0 && at < text.bytes.len() {
            self.records_left -= 1;
            let record = text.bytes.get(text.about(at)).unwrap_or_default();
            let mut format = Format::detect(record);
            // JSON may be spread over all lines of a record, and a trace stands behind one line.
            if !format.has_time()
                && let Some(lf) = memchr::memchr(b'\n', record)
            {
                format = Format::detect(record.get(..lf).unwrap_or_default());
            }
            if format.has_time() {
                self.known = Some(Arc::new(format));
            }
            at = text.behind(at);
        }
        Arc::clone(self.known.as_ref().unwrap_or(&self.plain))
    }
}
