//! Whose text a compressed file holds, once it was held against all that it may be: that of a file that
//! is followed, of one that is gone, or nobody's, which is read whole or is too old to be news.

use std::fs;
use std::path::PathBuf;

use super::Closed;
use super::archives::size_of;
use super::departed::is_readable;
use super::families::{TICK, rotated_from};
use super::file::Tailed;
use super::identity::{self, TAIL_BYTES};
use super::losses::LossKind;
use super::opened::Look;
use super::packed::{Holder, Stage};
use super::pattern::is_older;
use super::poller::Tailer;
use super::table::FileNo;
use super::voice::Cause;
use crate::clock;

impl Tailer<'_> {
    /// All claims on it have been judged.
    pub(super) fn compared(&mut self, no: FileNo) -> Result<(), Closed> {
        let Some(packed) = self.table.get_mut(no).and_then(|file| file.packed.as_mut()) else {
            return Ok(());
        };
        let Stage::Comparing { claims, best, .. } = &packed.stage else {
            return Ok(());
        };
        let (claims, best) = (claims.clone(), *best);
        let Some(claim) = best.and_then(|best| claims.get(best)) else {
            let end = packed.end();
            let copy_of = claims.iter().find_map(|claim| match claim.holder {
                Holder::Live(other) => Some(other),
                _ => None,
            });
            let is_copy = copy_of.is_some_and(|other| self.holds_at(other, end.1, end.0.get()));
            self.resolve(no, None)?;
            return if is_copy {
                self.settled(no, &Holder::Past)
            } else {
                self.stranger(no)
            };
        };
        if !packed.stands_at(claim.mark.offset) {
            // A later one was looked for in vain: back to this one.
            let claim = claim.clone();
            packed.compare(vec![claim]);
            return Ok(());
        }
        let (mark, holder) = (claim.mark, claim.holder.clone());
        match &holder {
            Holder::Live(other) if self.table.get(*other).is_some_and(is_readable) => {
                return self.settled(no, &holder);
            }
            // It was read on meanwhile, or is not followed any more.
            Holder::Live(other) if self.table.get(*other).map(Tailed::mark) != Some(mark) => {
                return self.look_into(no);
            }
            Holder::Lost(key) if !self.claimed.iter().any(|it| it.position.key == *key) => {
                return self.settled(no, &holder); // another copy of it is read
            }
            Holder::Own | Holder::Lost(_) | Holder::Live(_) | Holder::Past => {}
        }
        if let Some(file) = self.table.get_mut(no) {
            if holder != Holder::Own {
                let path = file.path.display();
                tracing::info!(file = %path, offset = mark.offset, "a rotated file was compressed: reading on inside of it");
            }
            file.read_from(mark);
        }
        if holder != Holder::Own {
            self.counters.archives_found.add(1);
        }
        self.enqueue(no);
        // In this order: between the two a commit may fall, and the end of the process.
        self.tell(no)?;
        self.resolve(no, Some(&holder))?;
        match holder {
            Holder::Live(other) => self.take_over_from(other),
            Holder::Own | Holder::Lost(_) | Holder::Past => Ok(()),
        }
    }

    /// Whether `bytes` stand before `end` in a followed file.
    fn holds_at(&mut self, no: FileNo, end: u64, bytes: &[u8]) -> bool {
        let mut buffer = [0; TAIL_BYTES];
        let Some(buffer) = buffer.get_mut(..bytes.len()).filter(|_| end > 0) else {
            return false;
        };
        let start = end.saturating_sub(bytes.len() as u64);
        self.table
            .get_mut(no)
            .and_then(|file| identity::read_at(file.file().ok()?, buffer, start).ok())
            .is_some_and(|filled| buffer.get(..filled) == Some(bytes))
    }

    /// All that it holds was read, or will be, as the text of `holder`.
    pub(super) fn settled(&mut self, no: FileNo, holder: &Holder) -> Result<(), Closed> {
        let size = self.table.get_mut(no).map_or(0, size_of);
        self.count_as_read(no, size)?;
        self.resolve(no, Some(holder))
    }

    /// The text is nobody's: it is read whole, unless it is older than what was read.
    fn stranger(&mut self, no: FileNo) -> Result<(), Closed> {
        let Some(file) = self.table.get(no) else {
            return Ok(());
        };
        let path = file.path.clone();
        if self.is_old(no) {
            if let Some(others) = self.voice.may_say(Cause::PassedOver, clock::monotonic()) {
                tracing::info!(file = %path.display(), others, "a compressed file is older than what was read of its log: passed over");
            }
            return self.settled(no, &Holder::Past);
        }
        let replaced = self.table.get(no).is_some_and(|file| {
            file.packed
                .as_ref()
                .is_some_and(|packed| packed.held.is_some())
        });
        if replaced {
            let input = self.table.get(no).map_or(0, |file| file.input);
            self.lose(input, &path, LossKind::Truncated, None);
        }
        if let Some(file) = self.table.get_mut(no) {
            file.unseen = true;
            if let Some(packed) = &mut file.packed {
                packed.drop_decoder();
                packed.held = None;
            }
            file.read_text();
        }
        self.enqueue(no);
        self.tell(no)
    }

    /// Whether a compressed file's family is followed, and its name or its last write says that it
    /// had been rotated before.
    fn is_old(&mut self, no: FileNo) -> bool {
        let Some(file) = self.table.get(no) else {
            return false;
        };
        let doors = rotated_from(&file.door);
        let since = doors.iter().find_map(|door| {
            let saved = self.family_since.get(&(file.input, door.clone()));
            saved.copied().or_else(|| {
                let followed = self.table.paths.at(door);
                (!followed.is_empty()).then_some(self.started_at)
            })
        });
        let Some(since) = since else {
            return false;
        };
        let written = fs::metadata(&file.real).map(|metadata| Look::of(&metadata).modified_at());
        if written.is_ok_and(|at| at <= since.minus(TICK)) {
            return true;
        }
        // The only one that may be what an earlier run was reading is as good as known.
        let claimed = |no: &FileNo| {
            let mut sets = self.claimed.iter().map(|claimed| &claimed.by);
            sets.any(|by| by.len() == 1 && by.contains(no))
        };
        let (input, name) = (file.input, file.door.file_name().unwrap_or_default());
        let rotated: Vec<PathBuf> = doors
            .iter()
            .flat_map(|door| self.listings.rotations_of(door))
            .collect();
        let known = rotated
            .iter()
            .flat_map(|path| self.table.paths.at(path))
            .filter_map(|no| Some((no, self.table.get(no)?)))
            .filter(|(other_no, other)| {
                let sure = !other.unseen && (!other.is_unsure() || claimed(other_no));
                *other_no != no && other.input == input && sure
            });
        known
            .filter_map(|(_, other)| other.door.file_name())
            .any(|other| is_older(name, other))
    }
}
