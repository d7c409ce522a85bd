//! Records under way in the files that are followed: lines that were read and wait for the lines that
//! belong to them. One that nothing came for in its input's time is complete and handed over; so is one
//! that had no room for what came in that time, or nobody would be told of a record whose lines never
//! pause. How lines are joined is the framer's affair; what a position is, `file`'s.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Closed;
use super::file::Tailed;
use super::poller::Tailer;
use super::table::FileNo;
use super::turns::After;

/// Records of many files are looked at together, this often at the most.
const SWEEP_EVERY: Duration = Duration::from_millis(20);
/// Whoever asks for silence waits no longer than this for records that do not come to an end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Files with a record under way, and when to look at them.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Where it begins. May hold some that have ended meanwhile.
    under_way: BTreeMap<FileNo, u64>,
    /// None is due before.
    due: Option<Instant>,
    /// Those that were under way when everything had been read that somebody asked for, and when
    /// that was.
    asked: Option<(Instant, BTreeMap<FileNo, u64>)>,
}

impl Records {
    /// The record that begins at `offset` is under way, and due then.
    pub(super) fn note(&mut self, no: FileNo, offset: u64, due: Instant) {
        self.under_way.insert(no, offset);
        self.due = Some(self.due.map_or(due, |known| known.min(due)));
    }

    /// When to look at them.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }
}

impl Tailer<'_> {
    /// Hands over the records that nothing came for in their time.
    pub(super) fn complete_quiet_records(&mut self, now: Instant) -> Result<(), Closed> {
        if self.records.due.is_none_or(|due| now < due) {
            return Ok(());
        }
        self.records.due = None;
        let mut next: Option<Instant> = None;
        for no in self.records.under_way.keys().copied().collect::<Vec<_>>() {
            let mut due = self.record_due(no);
            if due.is_some_and(|due| due <= now) {
                due = self.complete_if_quiet(no)?;
            }
            match due {
                Some(due) => next = Some(next.map_or(due, |next| next.min(due))),
                None => drop(self.records.under_way.remove(&no)),
            }
        }
        let soonest = self.attention.now() + SWEEP_EVERY;
        self.records.due = next.map(|next| next.max(soonest));
        Ok(())
    }

    /// When its record under way is complete if nothing comes; `None` where there is none.
    fn record_due(&self, no: FileNo) -> Option<Instant> {
        let file = self.table.get(no)?;
        let (timeout, _) = file.record_under_way()?;
        Some(file.full_since.unwrap_or(file.quiet_since) + timeout)
    }

    /// A last look: its lines may have waited for this thread. What it finds makes it wait again.
    /// Gives when it is due then.
    fn complete_if_quiet(&mut self, no: FileNo) -> Result<Option<Instant>, Closed> {
        if self.read(no)? == After::More {
            self.enqueue(no);
        }
        let due = self.record_due(no);
        if due.is_none_or(|due| due > self.attention.now()) {
            return Ok(due);
        }
        let mut framed = self.empty_framed();
        if let Some(file) = self.table.get_mut(no) {
            file.complete_record(&mut framed);
        }
        self.hand_over(no, framed, true)?;
        Ok(None)
    }

    /// Whether lines that had been read when everything had been are still waiting. Asked when
    /// everything has been read.
    pub(super) fn waits_for_records(&mut self, now: Instant) -> bool {
        let Records {
            under_way, asked, ..
        } = &mut self.records;
        let (since, records) = asked.get_or_insert_with(|| (now, under_way.clone()));
        records.retain(|no, offset| {
            let file = self.table.get(*no);
            let under_way = file.and_then(Tailed::record_under_way);
            under_way.is_some_and(|(_, start)| start == *offset)
        });
        let waits = !records.is_empty() && now < *since + PATIENCE;
        if !waits {
            *asked = None;
        }
        waits
    }
}
