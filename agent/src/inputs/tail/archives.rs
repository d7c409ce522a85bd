//! Compressed files. Most are what became of a rotated log: what of it was read is not read again, and
//! what was not is read here, from the place in the text where reading had stopped.
//!
//! A compressed file is held against the files of its family by the first bytes of its text, and then
//! by those before each place where reading stands or stood. One that is nobody's is read whole like
//! any new file, unless its name or its age says that it is older than what was read of its family.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Closed;
use super::departed::{family_of, is_readable};
use super::families::{TICK, rotated_from};
use super::file::{Place, Tailed};
use super::identity::{self, TAIL_BYTES};
use super::losses::LossKind;
use super::opened::Look;
use super::packed::{
    Claim, Holder, Kind, Mark, News, Packed, Stage, begins_like, claimed_length, peek, sniff,
};
use super::pattern::is_older;
use super::poller::{LINGER, Tailer};
use super::table::FileNo;
use super::turns::After;
use super::voice::Cause;
use crate::clock;
use crate::inputs::framer::Framed;
use crate::packing::{Packing, unpacked_name};

/// A compressed file is looked into when it has not grown for so long, where it may be in the making.
const SETTLES_AFTER: Duration = Duration::from_secs(1);

impl Tailer<'_> {
    /// Finds out what a file that was just taken in is packed in. A short one may be named like a
    /// compressed one that is only beginning.
    pub(super) fn unwrap(&mut self, no: FileNo) {
        let decoders = self.table.decoders.clone();
        let Some(file) = self.table.get_mut(no) else {
            return;
        };
        let named = file.path.file_name().and_then(unpacked_name).is_some();
        let kind = file.file().and_then(sniff);
        let stage = Stage::Waiting {
            size: 0,
            since: clock::monotonic(),
            cut: None,
        };
        let packing = match kind {
            Ok(Kind::Packed(packing)) => Some(packing),
            Ok(Kind::Foreign(_)) => None,
            Ok(Kind::Short) if named => None,
            Ok(Kind::Short | Kind::Text) | Err(_) => return,
        };
        file.packed = Some(Box::new(Packed::new(packing, &decoders, stage)));
    }

    /// Decides what becomes of a compressed file without a position of its own: at once, or when it
    /// stands still if somebody may be writing it.
    pub(super) fn examine(&mut self, no: FileNo) -> Result<(), Closed> {
        let Some(file) = self.table.get(no) else {
            return Ok(());
        };
        let being_made = file
            .door
            .file_name()
            .and_then(unpacked_name)
            .is_some_and(|plain| file.door.with_file_name(plain).exists());
        if being_made {
            self.wait_for_archive(no, None);
            Ok(())
        } else {
            self.look_into(no)
        }
    }

    fn wait_for_archive(&mut self, no: FileNo, cut: Option<u64>) {
        let Some(file) = self.table.get_mut(no) else {
            return;
        };
        let size = size_of(file);
        if let Some(packed) = &mut file.packed {
            packed.drop_decoder();
            packed.stage = Stage::Waiting {
                size,
                since: clock::monotonic(),
                cut,
            };
            self.archives.insert(no);
        }
    }

    /// Looks into those that have stood still.
    pub(super) fn judge_archives(&mut self, now: Instant) -> Result<(), Closed> {
        for no in self.archives.clone() {
            let Some(file) = self.table.get_mut(no) else {
                self.archives.remove(&no);
                continue;
            };
            let seen = size_of(file);
            let Some(Stage::Waiting { size, since, cut }) =
                file.packed.as_mut().map(|packed| &mut packed.stage)
            else {
                self.archives.remove(&no);
                continue;
            };
            if seen != *size {
                (*size, *since) = (seen, now);
                continue;
            }
            let stood = now.saturating_duration_since(*since);
            let enough = if *cut == Some(seen) || seen == 0 {
                LINGER
            } else {
                SETTLES_AFTER
            };
            if stood >= enough {
                let is_cut = *cut == Some(seen);
                self.archives.remove(&no);
                if is_cut {
                    self.give_up(no)?;
                } else {
                    self.look_into(no)?;
                }
            }
        }
        Ok(())
    }

    /// Nothing more can be read of it.
    fn give_up(&mut self, no: FileNo) -> Result<(), Closed> {
        self.resolve(no, None)?;
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        let size = size_of(file);
        if let Some(packed) = &mut file.packed {
            packed.drop_decoder();
            packed.stage = Stage::Stuck { size };
        }
        let (input, path) = (file.input, file.path.clone());
        if size > 0 {
            self.lose(input, &path, LossKind::Archive, None);
        }
        self.tell(no)
    }

    /// Holds its text against what it may be.
    pub(super) fn look_into(&mut self, no: FileNo) -> Result<(), Closed> {
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        let size = size_of(file);
        let kind = file.file().and_then(sniff);
        let packing = match kind {
            Ok(Kind::Packed(packing)) => packing,
            Ok(Kind::Foreign(name)) => return self.pass_over_foreign(no, name, size),
            Ok(Kind::Text) => return self.turns_out_plain(no),
            Ok(Kind::Short) => return self.give_up(no),
            Err(error) => {
                self.look_into_later(no, &error);
                return Ok(());
            }
        };
        let held = file.packed.as_mut().and_then(|packed| {
            packed.packing = Some(packing);
            packed.held
        });
        if let Some(packed) = file.packed.as_mut().filter(|packed| packed.reading) {
            packed.stage = Stage::Reading; // it was cut off, and goes on now
            self.enqueue(no);
            return Ok(());
        }
        let claims = match held {
            Some(mark) => vec![Claim {
                mark,
                holder: Holder::Own,
                total: None,
            }],
            None => match self.claims_on(no, packing) {
                Ok(claims) => claims,
                Err(error) => {
                    self.look_into_later(no, &error);
                    return Ok(());
                }
            },
        };
        if let [claim] = &claims[..]
            && let Some(total) = claim.total
            && packing == Packing::Gzip
            && let Some(file) = self.table.get_mut(no)
            && let Ok(file) = file.file()
            && claimed_length(file, size).map(u64::from) == Some(total & u64::from(u32::MAX))
            && self.is_all_read(claim, total)
        {
            // No need to unpack it all: it is the only one that begins so, and as long.
            return self.settled(no, &claim.holder);
        }
        if let Some(packed) = self.table.get_mut(no).and_then(|file| file.packed.as_mut()) {
            packed.compare(claims);
        }
        self.enqueue(no);
        Ok(())
    }

    /// It could not be read just now.
    fn look_into_later(&mut self, no: FileNo, error: &io::Error) {
        if let Some(file) = self.table.get_mut(no) {
            file.failing = true;
            let (input, path) = (file.input, file.path.clone());
            self.complain(input, &path, error);
        }
        self.wait_for_archive(no, None);
    }

    /// Whether all of a text was read, or will be, without its compressed file.
    fn is_all_read(&self, claim: &Claim, total: u64) -> bool {
        match &claim.holder {
            Holder::Own => false,
            Holder::Lost(_) | Holder::Past => claim.mark.offset == total,
            Holder::Live(other) => self.table.get(*other).is_some_and(is_readable),
        }
    }

    /// The places where reading of a text that begins like this one stands or stood.
    fn claims_on(&mut self, no: FileNo, packing: Packing) -> io::Result<Vec<Claim>> {
        let door = self.table.get(no).map(|file| file.door.clone());
        self.claim_for_bereft(no, &door.unwrap_or_default());
        let Some(file) = self.table.get_mut(no) else {
            return Ok(Vec::new());
        };
        let head = peek(file.file()?, packing)?;
        let Some(file) = self.table.get(no) else {
            return Ok(Vec::new());
        };
        let mut claims = Vec::new();
        let fits = |mark: &Mark| begins_like(&head, mark.head);
        for claimed in &self.claimed {
            let mark = Mark::of(&claimed.position);
            if claimed.by.contains(&no) && fits(&mark) {
                claims.push(Claim {
                    mark,
                    holder: Holder::Lost(claimed.position.key.clone()),
                    total: Some(mark.offset),
                });
            }
        }
        let family = family_of(&file.door);
        let kin: HashSet<FileNo> = family
            .iter()
            .flat_map(|door| self.table.paths.at(door))
            .collect();
        for (other_no, other) in kin
            .iter()
            .filter_map(|no| Some((*no, self.table.get(*no)?)))
        {
            let mark = other.mark();
            let mine = other.input == file.input && other_no != no && other.packed.is_none();
            if mine && fits(&mark) {
                claims.push(Claim {
                    mark,
                    holder: Holder::Live(other_no),
                    total: (other.place != Place::Here).then_some(other.look.size),
                });
            }
        }
        for (input, position, origin) in &self.departed {
            let mark = Mark::of(position);
            let kin =
                || family.contains(origin) || family.contains(&self.folders.door(&position.path));
            if *input == file.input && kin() && fits(&mark) {
                claims.push(Claim {
                    mark,
                    holder: Holder::Past,
                    total: Some(mark.offset),
                });
            }
        }
        Ok(claims)
    }

    /// What a turn of a compressed file found. `framed` holds the lines that came with it.
    pub(super) fn unpacked(
        &mut self,
        no: FileNo,
        news: News,
        framed: Framed,
    ) -> Result<After, Closed> {
        if news == News::Complete || !framed.bytes.is_empty() {
            self.hand_over(no, framed, true)?;
        } else {
            self.spare = framed;
        }
        match news {
            News::Busy => return Ok(After::More),
            News::Found => {
                self.unwrap(no);
                self.examine(no)?;
            }
            News::Compared => self.compared(no)?,
            News::Complete => {
                self.complete(no)?;
                return Ok(After::AtEnd);
            }
            News::CutOff => {
                self.cut_off(no);
                return Ok(After::AtEnd);
            }
            News::Damaged => {
                self.give_up(no)?;
                return Ok(After::AtEnd);
            }
            News::Changed => self.changed(no)?,
        }
        let reads = |file: &Tailed| file.packed.as_ref().is_some_and(|packed| !packed.waits());
        Ok(match self.table.get(no) {
            Some(file) if reads(file) && !file.is_at_rest() => After::More,
            _ => After::AtEnd,
        })
    }

    /// Its text has ended: what is under way is a line, and from now on it counts as read.
    fn complete(&mut self, no: FileNo) -> Result<(), Closed> {
        let mut framed = self.empty_framed();
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        file.finish(&mut framed);
        self.hand_over(no, framed, true)?;
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        let size = file.packed.as_ref().map_or(0, |packed| packed.packed_at());
        self.count_as_read(no, size)
    }

    /// It ends in the middle: it may be in the making.
    fn cut_off(&mut self, no: FileNo) {
        let Some(file) = self.table.get_mut(no) else {
            return;
        };
        let size = size_of(file);
        self.wait_for_archive(no, Some(size));
    }

    /// It counted as read, or was given up, and is another now: members may have been appended to it.
    fn changed(&mut self, no: FileNo) -> Result<(), Closed> {
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        let (size, read) = (size_of(file), file.read_position());
        let position = file.position(clock::now());
        let mut head = [0; Packing::HEAD_BYTES];
        let Some(packed) = &mut file.packed else {
            return Ok(());
        };
        if matches!(packed.stage, Stage::Stuck { .. }) {
            self.wait_for_archive(no, None);
            return Ok(());
        }
        let grown = size > read
            && file.file().is_ok_and(|file| {
                identity::holds(file, position.tail, read).unwrap_or(false)
                    && identity::read_at(file, &mut head, read).is_ok()
            });
        if !grown {
            // Another file was written over it.
            if let Some(packed) = &mut file.packed {
                packed.from = 0;
            }
            self.wait_for_archive(no, None);
            return Ok(());
        }
        let Some(packed) = file
            .packed
            .as_mut()
            .filter(|_| Packing::of(&head) != Packing::Plain)
        else {
            // It was passed over while it was being written.
            return self.count_as_read(no, size);
        };
        packed.from = read;
        packed.held = Some(Mark::of(&position));
        file.read_from(Mark {
            offset: read,
            ..Mark::default()
        });
        self.enqueue(no);
        Ok(())
    }

    fn count_as_read(&mut self, no: FileNo, size: u64) -> Result<(), Closed> {
        self.archives.remove(&no);
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        if let Some(packed) = &mut file.packed {
            packed.from = 0;
        }
        if let Err(error) = file.pass_over(size) {
            let (input, path) = (file.input, file.path.clone());
            self.complain(input, &path, &error);
        }
        self.tell(no)
    }

    /// All claims on it have been judged.
    fn compared(&mut self, no: FileNo) -> Result<(), Closed> {
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
        self.resolve(no, Some(&holder))?;
        if let Holder::Live(other) = holder {
            self.take_over_from(other)?;
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
        self.tell(no)
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
    fn settled(&mut self, no: FileNo, holder: &Holder) -> Result<(), Closed> {
        self.resolve(no, Some(holder))?;
        let size = self.table.get_mut(no).map_or(0, size_of);
        self.count_as_read(no, size)
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
            file.read_from(Mark::default());
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

    fn pass_over_foreign(&mut self, no: FileNo, kind: &str, size: u64) -> Result<(), Closed> {
        if let Some(file) = self.table.get(no)
            && let Some(others) = self.voice.may_say(Cause::PassedOver, clock::monotonic())
        {
            tracing::warn!(
                file = %file.path.display(), others,
                "this is packed as {kind}, which is not unpacked: passed over; `exclude` its name to say so",
            );
        }
        self.resolve(no, None)?;
        self.count_as_read(no, size)
    }

    /// Only its name was that of a compressed file.
    fn turns_out_plain(&mut self, no: FileNo) -> Result<(), Closed> {
        self.resolve(no, None)?;
        if let Some(file) = self.table.get_mut(no) {
            file.packed = None;
        }
        self.suspect(no);
        self.enqueue(no);
        self.tell(no)
    }

    /// Everything that was claimed at the start is looked into.
    pub(super) fn examine_claimed(&mut self) -> Result<(), Closed> {
        let claimed: HashSet<FileNo> = self
            .claimed
            .iter()
            .flat_map(|claimed| claimed.by.iter().copied())
            .collect();
        let unsure = |file: &Tailed| file.packed.as_ref().is_some_and(|packed| packed.waits());
        for no in self.table.numbers() {
            if claimed.contains(&no) {
                self.look_into(no)?;
            } else if self.table.get(no).is_some_and(unsure) {
                self.examine(no)?;
            }
        }
        Ok(())
    }
}

fn size_of(file: &mut Tailed) -> u64 {
    file.file()
        .and_then(fs::File::metadata)
        .map_or(0, |metadata| metadata.size())
}
