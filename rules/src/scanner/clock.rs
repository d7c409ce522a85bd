//! The times of a batch's records: each its own, or that of the record before it. Reads only as many
//! lines as are asked for.

use std::ops::Range;
use std::time::Duration;

use crate::fields::{Assume, Format, Zone};
use crate::model::{Batch, Text, Timestamp};

use super::heard::{self, Span};

/// Records looked back over at a batch's end while the source has never shown a time.
const LOOK_BACK_RECORDS: usize = 100;

/// The times of a batch's records.
#[derive(Debug)]
pub(super) struct Clock<'a> {
    format: &'a Format,
    batch: &'a Batch,
    latest: Timestamp,
    skewed: u64,
    /// The start of the record asked for last and its time: several rules ask for one record.
    last: Option<(usize, Timestamp)>,
    zone: Zone,
    /// The time of the last record of the batches before.
    before: Option<Timestamp>,
    /// Up to here no further record has to be looked at, and what was found before it.
    searched: (usize, Option<Timestamp>),
}

impl<'a> Clock<'a> {
    /// Of `batch`, whose source's last record before it with a time bore `before`. A time after
    /// `latest` is not believed; one without a zone is of `zone`.
    pub(super) fn new(
        format: &'a Format,
        batch: &'a Batch,
        latest: Timestamp,
        zone: Zone,
        before: Option<Timestamp>,
    ) -> Self {
        Self {
            format,
            batch,
            latest,
            skewed: 0,
            last: None,
            zone,
            before,
            searched: (0, None),
        }
    }

    /// Where the batch's records lie in time; those nearer to each other than `tolerance` are one.
    pub(super) fn spans(&self, tolerance: Duration) -> Vec<Span> {
        let arrival = self.batch.arrival;
        if self.batch.bytes.is_empty() {
            return Vec::new();
        }
        if !self.format.has_time() {
            return vec![(arrival, arrival)];
        }
        let latest = self.latest;
        let is_sent = self.batch.source.peer().is_some();
        heard::spans(
            self.batch.text(),
            tolerance,
            &|record| match self.own_time(&record) {
                Some(own) if own <= latest => Some(own),
                None if !is_sent => None,
                _ => Some(arrival),
            },
        )
    }

    /// Records whose own time was too far in the future.
    pub(super) fn skewed(&self) -> u64 {
        self.skewed
    }

    /// The time that counts for the record at `place`.
    pub(super) fn time_of(&mut self, place: &Range<usize>) -> Timestamp {
        if let Some((start, time)) = self.last
            && start == place.start
        {
            return time;
        }
        let own = self.own_time(place);
        let time = match own {
            Some(time) if time > self.latest => {
                self.skewed += 1;
                self.batch.arrival
            }
            Some(time) => time,
            None if self.format.has_time() && self.batch.source.peer().is_none() => self
                .time_before(place.start, usize::MAX)
                .or(self.before)
                .unwrap_or(self.batch.arrival),
            None => self.batch.arrival,
        };
        self.last = Some((place.start, time));
        time
    }

    /// The time that a record itself bears; of one with several lines, that of the first line that
    /// has one. One without a year is of the latest in which it had not been written after its
    /// arrival.
    fn own_time(&self, place: &Range<usize>) -> Option<Timestamp> {
        let text = self.batch.bytes.get(place.clone()).unwrap_or_default();
        let assume = Assume {
            near: Some(self.batch.arrival),
            zone: self.zone,
        };
        if self.batch.records.is_empty() {
            return self.format.time_assuming(text, assume);
        }
        self.format.time_of_record(text, assume)
    }

    /// The time of the last record of the batch that has one.
    pub(super) fn last_of_batch(&mut self) -> Option<Timestamp> {
        // A source that has never shown a time is not searched in vain again and again.
        let unknown = self.before.is_none() && self.last.is_none();
        let most = if unknown {
            LOOK_BACK_RECORDS
        } else {
            usize::MAX
        };
        self.time_before(self.batch.bytes.len(), most)
    }

    /// The time of the nearest record before `end` that has one that can be believed, among the
    /// `most` nearest. No record is looked at twice in a batch: a row of hits without a time costs
    /// no more than its length.
    fn time_before(&mut self, end: usize, most: usize) -> Option<Timestamp> {
        let text: Text<'_> = self.batch.text();
        let (searched, known) = self.searched;
        let (mut at, mut left, mut found) = (end, most, None);
        while at > searched && left > 0 {
            left -= 1;
            let record = text.about(at - 1);
            found = self.own_time(&record).filter(|time| *time <= self.latest);
            if found.is_some() {
                break;
            }
            at = record.start;
        }
        let found = found.or(known);
        if end > searched {
            self.searched = (end, found);
        }
        found
    }
}
