//! A file's turn: its next lines go to the inbox, or it turns out to be another file than before.
//! Also the end of a file that was displaced: its last words, and forgetting it.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lapwing_rules::model::Batch;

use super::Closed;
use super::file::{Place, Turn, Twin};
use super::poller::{LINGER, Tailer};
use super::table::FileNo;
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
        } else if let Some(successor) = successor.and_then(|no| self.table.get_mut(no)) {
            successor.after = None;
        }
        if first != no {
            self.enqueue(no);
        }
        Ok(())
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
        let outcome = file.turn(&mut self.scratch, &mut framed);
        let Some(file) = self.table.get_mut(no) else {
            return Ok(After::Failed);
        };
        match outcome {
            Ok(Turn::Quiet) => {
                file.whole_at = clock::now();
                file.failing = false;
                self.spare = framed;
                Ok(After::AtEnd)
            }
            Ok(Turn::Grown { more, moved }) => {
                file.whole_at = clock::now();
                file.quiet_since = clock::monotonic();
                file.failing = false;
                if file.place != Place::Here {
                    file.let_go = false;
                    self.displaced.insert(no);
                }
                self.hand_over(no, framed, moved)?;
                Ok(if more { After::More } else { After::AtEnd })
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

    fn failed(&mut self, no: FileNo, error: &io::Error) {
        let Some(file) = self.table.get_mut(no) else {
            return;
        };
        file.close_if_named();
        if error.kind() == io::ErrorKind::NotFound {
            // Renamed or deleted while it was closed.
            self.scan_now = !file.failing;
            file.failing = true;
            return;
        }
        file.failing = true;
        let path = file.path.clone();
        self.complain(&path, error);
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
        if let Some((timeout, offset)) = file.record_under_way() {
            let due = clock::monotonic() + timeout;
            self.records.note(no, offset, due);
        }
        self.counters.lines_cut.add(framed.cut.len() as u64);
        self.counters.bytes_dropped.add(framed.dropped);
        self.counters
            .hole_bytes
            .add(std::mem::take(&mut file.hole_bytes));
        let now = clock::now();
        if framed.bytes.is_empty() {
            self.spare = framed;
            if moved {
                (self.send)(Event::Moved(file.position(now)))?;
            }
            return Ok(());
        }
        let Framed {
            bytes,
            segments,
            cut,
            records,
            ..
        } = framed;
        let batch = Batch {
            source: Arc::clone(&file.source),
            bytes,
            segments,
            cut,
            records,
            arrival: now.min(file.look.modified_at()),
        };
        file.twin = Twin::No;
        (self.send)(Event::Lines {
            batch,
            position: Some(file.position(now)),
        })
    }

    /// The file is shorter than what was read, or other bytes stand where reading had stopped.
    pub(super) fn truncated(&mut self, no: FileNo) -> Result<(), Closed> {
        self.counters.truncations.add(1);
        let Some(file) = self.table.get(no) else {
            return Ok(());
        };
        let (input, position, since) = (file.input, file.position(clock::now()), file.whole_at);
        let (door, path) = (file.door.clone(), file.path.clone());
        let copy = self.find_copy(input, &position, &door, since, Some(no))?;
        self.log_truncation(&path, position.offset);
        let mut framed = self.empty_framed();
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        if copy.is_none() {
            // Its end is gone with the rest; what there is of it is a line.
            file.finish(&mut framed);
        }
        file.restart();
        file.after = copy;
        self.hand_over(no, framed, true)?;
        self.settle_suspects_of(no, &position)?;
        self.enqueue(no);
        Ok(())
    }

    fn log_truncation(&mut self, path: &Path, offset: u64) {
        let now = clock::monotonic();
        let recent = |at: Instant| now.saturating_duration_since(at) < Duration::from_secs(1);
        if !self.truncation_logged_at.is_some_and(recent) {
            self.truncation_logged_at = Some(now);
            tracing::info!(
                file = %path.display(), offset, truncations = self.counters.truncations.get(),
                "a file was truncated: reading it from its beginning",
            );
        }
    }

    /// Displaced files to which nothing was written for a while have said all.
    pub(super) fn let_go_of_quiet(&mut self, now: Instant) -> Result<(), Closed> {
        for no in self.displaced.clone() {
            let Some(file) = self.table.get(no) else {
                self.displaced.remove(&no);
                continue;
            };
            if file.place == Place::Here {
                self.displaced.remove(&no);
                continue;
            }
            let taken = file.place == Place::Gone || fs::symlink_metadata(&file.origin).is_ok();
            if taken && !file.queued && now >= file.quiet_since + LINGER {
                // A last look: notices may have been lost. What it finds makes it wait again.
                if self.read(no)? == After::More {
                    self.enqueue(no);
                }
                if self
                    .table
                    .get(no)
                    .is_some_and(|file| now >= file.quiet_since + LINGER)
                {
                    self.let_go(no)?;
                }
            }
        }
        self.gauge();
        Ok(())
    }

    /// Its last line counts without LF; it is closed, and forgotten where it cannot come back.
    pub(super) fn let_go(&mut self, no: FileNo) -> Result<(), Closed> {
        self.displaced.remove(&no);
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
            self.table.relocate(no, |file| {
                file.let_go = true;
                file.close();
            });
            return Ok(());
        }
        let listable = || {
            file.real
                .parent()
                .is_some_and(|folder| fs::read_dir(folder).is_ok())
        };
        let forget = if file.is_open() {
            file.is_deleted()
        } else {
            listable()
        };
        let (key, position) = (file.key(), file.position(clock::now()));
        let input = file.input;
        self.table.remove(no);
        if forget {
            return (self.send)(Event::Forget(key));
        }
        // It exists somewhere, or may: should it come back, it is not read twice.
        if let Some(homeless) = self.homeless.get_mut(input) {
            homeless.push(position);
        }
        Ok(())
    }
}
