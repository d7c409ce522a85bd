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
use std::time::{Duration, Instant};

use super::Closed;
use super::departed::{family_of, is_readable};
use super::file::{Place, Tailed};
use super::losses::LossKind;
use super::packed::{
    Claim, Holder, Kind, Mark, Packed, Stage, begins_like, claimed_length, peek, sniff,
};
use super::poller::{LINGER, Tailer};
use super::table::FileNo;
use super::voice::Cause;
use crate::clock;
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
            since: self.attention.now(),
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

    pub(super) fn wait_for_archive(&mut self, no: FileNo, cut: Option<u64>) {
        let Some(file) = self.table.get_mut(no) else {
            return;
        };
        let (size, since) = (size_of(file), self.attention.now());
        if let Some(packed) = &mut file.packed {
            packed.drop_decoder();
            packed.stage = Stage::Waiting { size, since, cut };
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
    pub(super) fn give_up(&mut self, no: FileNo) -> Result<(), Closed> {
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

pub(super) fn size_of(file: &mut Tailed) -> u64 {
    file.file()
        .and_then(fs::File::metadata)
        .map_or(0, |metadata| metadata.size())
}
