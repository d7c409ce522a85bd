//! A file's turn: its next lines go to the inbox, or it turns out to be another file than before.
//! Also the end of a file that was displaced: its last words, and forgetting it.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Instant;

use lapwing_rules::model::Batch;

use super::Closed;
use super::file::{Place, Tailed};
use super::losses::LossKind;
use super::poller::{LINGER, Tailer};
use super::reading::Turn;
use super::table::FileNo;
use super::voice::Cause;
use crate::clock;
use crate::inputs::Event;
use crate::inputs::framer::Framed;

/// A longer chain of predecessors than logrotate ever makes; a bound all the same.
const MAX_CHAIN: usize = 1000;

/// What a turn left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    More,
    AtEnd,
    Failed,
}

impl Tailer<'_> {
    /// Gives `no` a turn, or the file that has to be read before it.
    pub(super) fn give_turn(&mut self, no: FileNo) -> Result<(), Closed> {
        let (first, successor) = self.first_before(no);
        let is_suspect = |tailer: &Self| {
            tailer
                .table
                .get(first)
                .is_some_and(|file| file.twin.is_suspect())
        };
        if is_suspect(self) {
            self.judge(first)?;
            if let Some(no) = successor.filter(|_| is_suspect(self)) {
                if let Some(file) = self.table.get_mut(no) {
                    file.after = None; // nobody knows for how long
                }
                self.enqueue(no);
            } else if first != no {
                self.enqueue(no);
            }
            return Ok(());
        }
        let after = self.read(first)?;
        if after == After::More {
            self.enqueue(first);
        } else if self.is_in_doubt(first) && successor.is_some_and(|no| self.is_in_doubt(no)) {
            self.wait_for_older_archive(no);
            return Ok(());
        } else if let Some(successor) = successor.and_then(|no| self.table.get_mut(no)) {
            successor.after = None;
        }
        if first != no {
            self.enqueue(no);
        }
        Ok(())
    }

    /// Whether it is not known yet whose text this compressed file holds.
    fn is_in_doubt(&self, no: FileNo) -> bool {
        let file = self.table.get(no);
        file.is_some_and(|file| file.packed.is_some() && file.is_unsure())
    }

    /// An older compressed file than `no` waits, and one between them may not go first: what is older
    /// than one with a position counts as read. What is not compressed does not wait for that.
    fn wait_for_older_archive(&mut self, no: FileNo) {
        if self.is_in_doubt(no) {
            return self.wait_for_archive(no, None);
        }
        let mut oldest = no;
        for _ in 0..MAX_CHAIN {
            match self.table.get(oldest).and_then(|file| file.after) {
                Some(before) if !self.is_in_doubt(before) => oldest = before,
                Some(_) | None => break,
            }
        }
        if let Some(file) = self.table.get_mut(oldest) {
            file.after = None;
        }
        self.enqueue(no);
    }

    /// The file that is to be read first, and the one that waits for it.
    fn first_before(&mut self, no: FileNo) -> (FileNo, Option<FileNo>) {
        let (mut first, mut successor) = (no, None);
        for _ in 0..MAX_CHAIN {
            let Some(before) = self.table.get(first).and_then(|file| file.after) else {
                break;
            };
            if self.table.get(before).is_some() {
                (first, successor) = (before, Some(first));
            } else if let Some(file) = self.table.get_mut(first) {
                file.after = None;
            }
        }
        (first, successor)
    }

    pub(super) fn read(&mut self, no: FileNo) -> Result<After, Closed> {
        let mut framed = self.empty_framed();
        let Some(file) = self.table.get_mut(no) else {
            return Ok(After::Failed);
        };
        let before = file.read_position();
        let outcome = file.turn(&mut self.scratch, &mut framed);
        let now = self.attention.now();
        let (bytes, input) = (file.read_position().saturating_sub(before), file.input);
        if outcome.is_ok() {
            self.works_again(no);
        }
        let Some(file) = self.table.get_mut(no) else {
            return Ok(After::Failed);
        };
        file.noticed &= outcome.is_err();
        match outcome {
            Ok(Turn::Quiet) => {
                file.whole_at = clock::now();
                self.spare = framed;
                Ok(After::AtEnd)
            }
            Ok(Turn::Grown { more, moved }) => {
                file.whole_at = clock::now();
                file.quiet_since = now;
                file.done = false;
                if file.place != Place::Here {
                    file.let_go = false;
                    self.displaced.insert(no);
                }
                self.counters
                    .ledger
                    .figures(input, |figures| figures.bytes_read += bytes);
                self.hand_over(no, framed, moved)?;
                Ok(if more { After::More } else { After::AtEnd })
            }
            Ok(Turn::Packed(news)) => {
                file.quiet_since = now;
                self.counters
                    .ledger
                    .figures(input, |figures| figures.bytes_read += bytes);
                self.unpacked(no, news, framed)
            }
            Ok(Turn::Truncated) => {
                self.truncated(no)?;
                Ok(After::More)
            }
            Err(error) => {
                self.spare = framed;
                self.failed(no, &error);
                Ok(After::Failed)
            }
        }
    }

    /// An empty one, with memory that was used before where there is some.
    pub(super) fn empty_framed(&mut self) -> Framed {
        let mut framed = std::mem::take(&mut self.spare);
        if framed.bytes.capacity() == 0
            && let Ok(Batch {
                bytes,
                segments,
                cut,
                records,
                ..
            }) = self.control.spares.try_recv()
        {
            framed = Framed {
                bytes,
                segments,
                cut,
                records,
                dropped: 0,
            };
        }
        framed.clear();
        framed
    }

    /// It could be read.
    fn works_again(&mut self, no: FileNo) {
        let Some(file) = self.table.get_mut(no).filter(|file| file.failing) else {
            return;
        };
        file.failing = false;
        let (input, path) = (file.input, file.path.clone());
        self.no_complaint(input, &path);
    }

    fn failed(&mut self, no: FileNo, error: &io::Error) {
        let Some(file) = self.table.get_mut(no) else {
            return;
        };
        file.close_if_named();
        if error.kind() == io::ErrorKind::NotFound {
            // Renamed or deleted while it was closed.
            self.scan_now |= !file.failing;
            file.failing = true;
            return;
        }
        file.failing = true;
        let (input, path) = (file.input, file.path.clone());
        self.complain(input, &path, error);
    }

    /// Sends lines with the position behind them, or the position alone.
    pub(super) fn hand_over(
        &mut self,
        no: FileNo,
        framed: Framed,
        moved: bool,
    ) -> Result<(), Closed> {
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        let now = self.attention.now();
        let full_since = file.full_since.take().unwrap_or(now);
        file.full_since = file.framer.is_full().then_some(full_since);
        if let Some((timeout, offset)) = file.record_under_way() {
            let due = file.full_since.unwrap_or(now) + timeout;
            self.records.note(no, offset, due);
        }
        let hole = std::mem::take(&mut file.hole_bytes);
        self.count_what_is_missing(no, &framed, hole);
        let now = clock::now();
        let seen_at = self.seen_at(no);
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        if framed.bytes.is_empty() {
            self.spare = framed;
            if moved {
                (self.send)(Event::Moved(file.position(seen_at)))?;
            }
            return Ok(());
        }
        let event = file.lines(framed, now, seen_at);
        (self.send)(event)
    }

    fn count_what_is_missing(&mut self, no: FileNo, framed: &Framed, hole: u64) {
        self.counters.lines_cut.add(framed.cut.len() as u64);
        self.counters.bytes_dropped.add(framed.dropped);
        self.counters.hole_bytes.add(hole);
        let Some(file) = self.table.get(no).filter(|_| framed.dropped + hole > 0) else {
            return;
        };
        let (input, path) = (file.input, file.path.clone());
        for (kind, bytes) in [(LossKind::Cut, framed.dropped), (LossKind::Hole, hole)] {
            if bytes > 0 {
                self.lose(input, &path, kind, Some(bytes));
            }
        }
    }

    /// The file is shorter than what was read, or other bytes stand where reading had stopped.
    pub(super) fn truncated(&mut self, no: FileNo) -> Result<(), Closed> {
        self.counters.truncations.add(1);
        let Some(file) = self.table.get(no) else {
            return Ok(());
        };
        let (input, position, since) = (file.input, file.position(clock::now()), file.whole_at);
        let (door, path) = (file.door.clone(), file.path.clone());
        let mut copy = self.find_copy(input, &position, &door, since, Some(no))?;
        if copy.is_none() {
            copy = self.find_packed_copy(input, &position, &door)?;
        }
        self.log_truncation(&path, position.offset);
        let mut framed = self.empty_framed();
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        if copy.is_none() {
            // Its end is gone with the rest; what there is of it is a line.
            file.finish(&mut framed);
            self.lose_rest(no);
        }
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        file.restart();
        file.was_cut = true;
        file.after = copy;
        // First: a copy must have its position when the one that was read is gone.
        self.settle_suspects_of(no, &position)?;
        self.hand_over(no, framed, true)?;
        self.enqueue(no);
        Ok(())
    }

    fn log_truncation(&mut self, path: &Path, offset: u64) {
        if let Some(others) = self.voice.may_say(Cause::Truncated, clock::monotonic()) {
            tracing::info!(
                file = %path.display(), offset, others,
                "a file was truncated: reading it from its beginning",
            );
        }
    }

    /// Displaced files to which nothing was written for a while have said all.
    pub(super) fn let_go_of_quiet(&mut self, now: Instant) -> Result<(), Closed> {
        let in_doubt = if self.displaced.is_empty() {
            HashSet::new()
        } else {
            self.families_in_doubt()
        };
        for no in self.displaced.clone() {
            let Some(file) = self.table.get(no) else {
                self.displaced.remove(&no);
                continue;
            };
            if file.place == Place::Here {
                self.displaced.remove(&no);
                continue;
            }
            // What it is known by is needed to know it again in a compressed file; and nothing was read yet
            // of what may turn out to be a copy.
            if !file.is_at_rest()
                || file.is_unsure()
                || in_doubt.contains(&(file.input, file.door.clone()))
            {
                continue;
            }
            let taken = file.place == Place::Gone || fs::symlink_metadata(&file.origin).is_ok();
            if taken && !file.queued && now >= file.quiet_since + LINGER {
                // A last look: notices may have been lost. What it finds makes it wait again.
                let after = self.read(no)?;
                if after == After::More {
                    self.enqueue(no);
                }
                // One that cannot be looked at has not said all: it may have lost its name.
                let is_over = |file: &Tailed| {
                    now >= file.quiet_since + LINGER
                        && (after == After::AtEnd || file.place == Place::Gone)
                };
                if self.table.get(no).is_some_and(is_over) {
                    self.let_go(no)?;
                }
            }
        }
        self.settle_bereft()
    }

    /// Its last line counts without LF; it is closed, and forgotten where it cannot come back.
    pub(super) fn let_go(&mut self, no: FileNo) -> Result<(), Closed> {
        self.displaced.remove(&no);
        let dead =
            |file: &Tailed| file.place == Place::Gone && !file.is_open() && file.packed.is_none();
        if self.table.get(no).is_some_and(dead) {
            self.bereave(no);
            return Ok(());
        }
        let mut framed = self.empty_framed();
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        file.finish(&mut framed);
        self.hand_over(no, framed, false)?;
        let Some(file) = self.table.get(no) else {
            return Ok(());
        };
        if file.place != Place::Gone {
            let done = file.is_all_read();
            let is_news = done != file.done;
            self.table.relocate(no, |file| {
                file.let_go = true;
                file.done = done;
                file.close();
            });
            return if is_news { self.tell(no) } else { Ok(()) };
        }
        self.let_go_of_nameless(no)
    }
}
