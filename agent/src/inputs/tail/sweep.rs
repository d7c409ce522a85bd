//! The slow scan: how much of everything is looked at every 10 s although nobody said so. What is
//! found is judged in `reconcile`.
//!
//! Listing every folder and looking at every file is the truth, and costs 10 to 100 ms with 10,000
//! files. While the system tells of each change and each folder is as it was when it was last listed,
//! no name can have come or gone; what remains are changes within files that bring no notice here (a
//! write through another name, a link further up that leads elsewhere). So then the folders are looked
//! at, and a share of the files.

use std::time::{Duration, Instant};

use super::Closed;
use super::file::{Place, Tailed};
use super::losses::Unread;
use super::poller::{LINGER, SCAN_EVERY, Tailer};
use super::table::FileNo;
use crate::clock;

/// Everything is listed within this time, whatever the system tells.
const LIST_EVERY: Duration = Duration::from_mins(10);
/// One part in so many of the time is spent on that, if it may be so little.
const LISTS_ARE: u32 = 10_000;
/// Each file is looked at with one in so many scans: within a minute.
const SHARES: usize = 6;

/// What was looked at last.
#[derive(Debug)]
pub(super) struct Sweep {
    /// Not before this need everything be listed.
    list_at: Instant,
    /// The last file that was looked at.
    behind: Option<FileNo>,
    /// Links that led nowhere when everything was listed last.
    pub(super) dangling: usize,
}

impl Sweep {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            list_at: now,
            behind: None,
            dangling: 0,
        }
    }
}

impl Tailer<'_> {
    /// Looks at everything, or at as much of it as is needed.
    pub(super) fn sweep(&mut self, now: Instant) -> Result<(), Closed> {
        let began = clock::now();
        let share = self.next_share();
        self.note_done(&share)?;
        if !self.must_list(now) {
            for no in share {
                self.look_at(no);
            }
            if !self.scan_now {
                // What is looked into is in the queue, or waits.
                let waits = !(self.archives.is_empty() && self.suspects.is_empty());
                if self.queue.is_empty() && !waits && self.unsettled.is_none() {
                    self.settled_at = began;
                }
                return Ok(());
            }
        }
        self.scan_now = false;
        self.scan()?;
        let done = clock::monotonic();
        let price = done.saturating_duration_since(now);
        let pause = price.saturating_mul(LISTS_ARE);
        self.sweep.list_at = done + pause.clamp(SCAN_EVERY, LIST_EVERY);
        Ok(())
    }

    fn must_list(&self, now: Instant) -> bool {
        self.scan_now
            || now >= self.sweep.list_at
            || self.sweep.dangling > 0
            || self.complained.values().any(|why| *why == Unread::Failing)
            || !self.folders.stand_still()
    }

    /// The files that are looked at this time, those behind the last ones.
    fn next_share(&mut self) -> Vec<FileNo> {
        let share = self.table.len().div_ceil(SHARES);
        let mut files = self.table.some_behind(self.sweep.behind, share);
        if files.len() < share {
            files.extend(self.table.some_behind(None, share - files.len()));
        }
        self.sweep.behind = files.last().copied();
        files
    }

    /// Rotated files that are meant by their input under the names that they have now are never let go; but
    /// that they are done with is to be known, so that nobody misses anything when they are deleted.
    fn note_done(&mut self, files: &[FileNo]) -> Result<(), Closed> {
        let now = self.attention.now();
        for &no in files {
            let rests = |file: &&Tailed| {
                file.place == Place::Here
                    && !(file.done || file.queued)
                    && now >= file.quiet_since + LINGER
                    && file.is_all_read()
            };
            let Some(file) = self.table.get(no).filter(rests) else {
                continue;
            };
            let is_rotated =
                file.packed.is_some() || self.base_of(file.input, &file.door).is_some();
            if let Some(file) = self.table.get_mut(no).filter(|_| is_rotated) {
                file.done = true;
                self.tell(no)?;
            }
        }
        Ok(())
    }
}
