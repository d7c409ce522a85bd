//! Files that are gone: which compressed ones they may have become, what is forgotten when that has
//! turned out, and what is lost when nothing has. What is inside of those is looked at in `archives`.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use lapwing_rules::model::Timestamp;

use super::Closed;
use super::families::TICK;
use super::file::{Place, Tailed};
use super::identity::{self, FileId};
use super::losses::LossKind;
use super::opened::{self, Look};
use super::packed::{Holder, Kind, Mark, Stage, begins_like, peek, sniff};
use super::pattern::bases;
use super::poller::{LINGER, Tailer};
use super::reconcile::Sighting;
use super::table::FileNo;
use crate::clock;
use crate::inputs::framer::Framed;
use crate::inputs::{Event, Position, PositionKey};
use crate::packing::unpacked_name;

/// Positions of deleted files that are kept, in case their compressed files appear after them.
const MOST_DEPARTED: usize = 256;

/// The position of a file that is gone, and the compressed files that may have become of it.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) input: usize,
    pub(super) position: Position,
    pub(super) by: BTreeSet<FileNo>,
}

/// A file that was closed when it lost its last name.
#[derive(Debug)]
pub(super) struct Bereft {
    file: Tailed,
    /// When that was noticed, by `Tailer::attention`.
    since: Instant,
    /// The same by the clock of the listings: those that were begun before say nothing.
    gone_at: Instant,
}

/// Whether another file has the key of one that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reused {
    Yes,
    No,
}

impl Tailer<'_> {
    /// Finds the compressed files that may hold the text of a file that is gone, to be read on from
    /// `position` if they do; gives the likeliest, if there is any. If the file's key is `reused` by
    /// another one, its position would be gone with the next commit: then that one takes it over at
    /// once.
    /// `gone_at`: it had been gone by then.
    pub(super) fn claim(
        &mut self,
        input: usize,
        position: &Position,
        door: &Path,
        reused: Reused,
        gone_at: Instant,
    ) -> Option<FileNo> {
        let mark = Mark::of(position);
        if mark.head.len == 0 {
            return None; // anything may have become of it
        }
        let mut by = BTreeSet::new();
        for path in self.listings.packed_kin_of(door, gone_at) {
            if text_begins_like(&path, mark) {
                by.extend(self.take_in_archive(input, &path, door));
            }
        }
        let likeliest = self.likeliest(&by, position.seen_at)?;
        match reused {
            Reused::No => self.claimed.push(Claimed {
                input,
                position: position.clone(),
                by,
            }),
            Reused::Yes => {
                let since = self.attention.now();
                let file = self.table.get_mut(likeliest)?;
                let packed = file.packed.as_mut()?;
                packed.held = Some(mark);
                packed.stage = Stage::Waiting {
                    size: 0,
                    since,
                    cut: None,
                };
                self.taken_over.push((input, position.clone()));
            }
        }
        Some(likeliest)
    }

    /// Which of several that begin alike was written last when `seen_at` had passed.
    pub(super) fn likeliest(&self, among: &BTreeSet<FileNo>, seen_at: Timestamp) -> Option<FileNo> {
        let written = |no: &FileNo| {
            let metadata = fs::metadata(&self.table.get(*no)?.real).ok()?;
            Some((Look::of(&metadata).modified_at(), *no))
        };
        let mut all: Vec<_> = among.iter().filter_map(written).collect();
        all.sort_unstable();
        let later = all.iter().find(|(at, _)| *at >= seen_at.minus(TICK));
        later.or(all.last()).map(|(_, no)| *no)
    }

    /// Takes in a compressed file beside a followed one, or finds it if it is followed by now.
    pub(super) fn take_in_archive(
        &mut self,
        input: usize,
        path: &Path,
        origin: &Path,
    ) -> Option<FileNo> {
        let metadata = fs::symlink_metadata(path)
            .ok()
            .filter(fs::Metadata::is_file)?;
        self.expose(input, FileId::of(&metadata), path);
        if let Some(no) = self.table.find(input, FileId::of(&metadata)) {
            let file = self.table.get(no)?;
            // One that is read already has a text of its own.
            let packed = file.packed.as_ref()?;
            return (packed.is_at_rest() || packed.is_unsure()).then_some(no);
        }
        let sighting = Sighting {
            input,
            path: self.folders.aliases(path).into_iter().next()?,
            door: path.to_owned(),
            metadata,
            origin: None,
        };
        let no = self.take_in(&sighting)?;
        let base = self.live_door(input, origin);
        if !self.configs.get(input)?.means(&sighting.path) {
            self.has_moved_from(no, base);
        }
        Some(no)
    }

    /// The door of the live file of which the one at `door` is or was a rotation.
    pub(super) fn live_door(&self, input: usize, door: &Path) -> PathBuf {
        let base = self.meant_bases(input, door).next();
        base.unwrap_or_else(|| door.to_owned())
    }

    /// What is lost by a truncation may be in a compressed copy, or the file is another one with the
    /// same inode, and the one that was read is compressed by now.
    pub(super) fn find_packed_copy(
        &mut self,
        input: usize,
        position: &Position,
        door: &Path,
    ) -> Result<Option<FileNo>, Closed> {
        let found = self.claim(input, position, door, Reused::Yes, clock::monotonic());
        self.taken_over.clear();
        if let Some(no) = found {
            self.look_into(no)?;
            self.tell(no)?;
        }
        Ok(found)
    }

    /// What is followed under this identity may be dead, and the one at `path` have its inode.
    pub(super) fn expose(&mut self, input: usize, id: FileId, path: &Path) {
        if let Some(no) = self.table.find(input, id)
            && let Some(file) = self.table.get(no)
            && !file.is_open()
            && !(file.place != Place::Gone && (file.door == path || file.is_at(&file.door)))
            && !file.is_at(path)
        {
            self.bereave(no);
        }
    }

    /// What the file of `no` is known by passes to a compressed one.
    pub(super) fn take_over_from(&mut self, no: FileNo) -> Result<(), Closed> {
        self.displaced.remove(&no);
        match self.table.remove(no) {
            Some(file) => (self.send)(Event::Forget(file.key())),
            None => Ok(()),
        }
    }

    /// Those that nobody followed up yet, and of which the compressed file at `door` may have become:
    /// if it is none of theirs, they are lost.
    pub(super) fn claim_for_bereft(&mut self, no: FileNo, door: &Path) {
        if self.bereft.is_empty() {
            return;
        }
        let family = family_of(door);
        let kin = |bereft: &mut Bereft| {
            let file = &bereft.file;
            let position = file.position(file.named_at);
            (family.contains(&file.door) || family.contains(&file.origin))
                && text_begins_like(door, Mark::of(&position))
        };
        for Bereft { file, .. } in self.bereft.extract_if(.., kin) {
            self.claimed.push(Claimed {
                input: file.input,
                position: file.position(clock::now()),
                by: BTreeSet::from([no]),
            });
        }
    }

    /// A file without a name has said all: it is forgotten where it cannot come back. Elsewhere it is
    /// remembered, so that it is not read twice then.
    pub(super) fn let_go_of_nameless(&mut self, no: FileNo) -> Result<(), Closed> {
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        file.done = file.is_all_read();
        let Some(file) = self.table.get(no) else {
            return Ok(());
        };
        let folder = file.real.parent();
        let is_listable = folder.is_some_and(|folder| self.listings.can(folder));
        let is_dead = if file.is_open() {
            file.is_deleted()
        } else {
            is_listable
        };
        let position = file.position(clock::now());
        let (input, is_packed) = (file.input, file.packed.is_some());
        let (origin, unread) = (file.origin.clone(), file.unread());
        self.table.remove(no);
        if is_dead && !is_packed && unread > 0 {
            self.lose(input, &position.path, LossKind::Vanished, Some(unread));
        }
        if is_dead {
            let key = position.key.clone();
            if !is_packed {
                self.depart(input, position, origin);
            }
            return (self.send)(Event::Forget(key));
        }
        (self.send)(Event::Moved(position.clone()))?;
        let key = position.key.clone();
        if let Some(homeless) = self.homeless.get_mut(input) {
            homeless.push(position);
        }
        if is_listable {
            self.note_elsewhere(input, key)?;
        }
        Ok(())
    }

    /// A file was moved into a folder that nobody looks into: of as many as rotate there in years only the
    /// last ones are remembered.
    fn note_elsewhere(&mut self, input: usize, key: PositionKey) -> Result<(), Closed> {
        self.elsewhere.push_back((input, key));
        if self.elsewhere.len() <= MOST_DEPARTED {
            return Ok(());
        }
        let oldest = self.elsewhere.pop_front();
        let Some((homeless, key)) =
            oldest.and_then(|(input, key)| Some((self.homeless.get_mut(input)?, key)))
        else {
            return Ok(());
        };
        let before = homeless.len();
        homeless.retain(|position| position.key != key);
        if homeless.len() < before {
            (self.send)(Event::Forget(key))?;
        }
        Ok(())
    }

    /// A file that was closed when it lost its last name is not followed any more.
    pub(super) fn bereave(&mut self, no: FileNo) {
        self.displaced.remove(&no);
        if let Some(file) = self.table.remove(no) {
            self.bereft.push(Bereft {
                file,
                since: self.attention.now(),
                gone_at: clock::monotonic(),
            });
        }
    }

    /// Such a file may live on as a compressed one: then what it is known by passes to that. Otherwise
    /// its unread rest is lost: when it has been looked for long enough, and once more after that.
    pub(super) fn settle_bereft(&mut self) -> Result<(), Closed> {
        if self.bereft.is_empty() {
            return Ok(());
        }
        let (attentive, now) = (self.attention.now(), clock::monotonic());
        for bereft in std::mem::take(&mut self.bereft) {
            let Bereft { file, .. } = &bereft;
            let (input, door) = (file.input, file.origin.clone());
            let mut position = file.position(clock::now());
            position.done = !self.is_short_of(file);
            let is_last_look = attentive >= bereft.since + LINGER;
            let listed_since = if is_last_look { now } else { bereft.gone_at };
            if self
                .claim(input, &position, &door, Reused::No, listed_since)
                .is_none()
            {
                if is_last_look {
                    self.bury(bereft.file)?;
                } else {
                    self.bereft.push(bereft); // it may be there the next time
                }
                continue;
            }
            let by = self.claimed.last().map(|claimed| claimed.by.clone());
            for archive in by.unwrap_or_default() {
                self.look_into(archive)?;
            }
        }
        Ok(())
    }

    /// What was under way in it is a line; the rest is lost.
    fn bury(&mut self, mut file: Tailed) -> Result<(), Closed> {
        let is_lost = self.is_short_of(&file);
        let lost = Some(file.unread()).filter(|lost| *lost > 0);
        let mut framed = Framed::default();
        file.finish(&mut framed);
        if !framed.bytes.is_empty() {
            let now = clock::now();
            let event = file.lines(framed, now, now);
            (self.send)(event)?;
        }
        let (input, position) = (file.input, file.position(clock::now()));
        if is_lost {
            self.lose(input, &file.path, LossKind::Vanished, lost);
        }
        let folder = file.real.parent();
        if folder.is_some_and(|folder| self.listings.can(folder)) {
            return self.forget_unless_followed(input, &position);
        }
        // It may come back with its folder: then it is not read twice.
        if let Some(homeless) = self.homeless.get_mut(input) {
            homeless.push(position);
        }
        Ok(())
    }

    /// Whether a file that is gone had more than was read of it, as far as anybody can know: what is
    /// written where no notices come from is known once it is looked at.
    fn is_short_of(&self, file: &Tailed) -> bool {
        let folder = file.real.parent();
        let is_seen = folder.is_some_and(|folder| self.folders.sees(folder));
        file.unread() > 0 || file.noticed || !(is_seen || file.done)
    }

    /// The claims on `no` are judged, and `holder` was right. What is taken over is forgotten where it
    /// was; what nobody holds any more is lost.
    pub(super) fn resolve(&mut self, no: FileNo, holder: Option<&Holder>) -> Result<(), Closed> {
        match holder {
            Some(Holder::Lost(key)) => {
                if let Some(at) = self.claimed.iter().position(|it| it.position.key == *key) {
                    let claimed = self.claimed.swap_remove(at);
                    self.forget_unless_followed(claimed.input, &claimed.position)?;
                }
            }
            // What is followed goes on to be.
            Some(Holder::Own | Holder::Past | Holder::Live(_)) | None => {}
        }
        let mut lost = Vec::new();
        self.claimed.retain_mut(|claimed| {
            let was_last = claimed.by.remove(&no) && claimed.by.is_empty();
            if was_last {
                lost.push((claimed.input, claimed.position.clone()));
            }
            !was_last
        });
        for (input, position) in lost {
            if !position.done {
                self.counters.files_lost.add(1);
                self.lose(input, &position.path, LossKind::Vanished, None);
            }
            self.forget_unless_followed(input, &position)?;
        }
        Ok(())
    }

    /// A position is of no use any more; another file may have its inode by now. One that has no position
    /// of its own yet must not be found by this one.
    pub(super) fn forget_unless_followed(
        &mut self,
        input: usize,
        position: &Position,
    ) -> Result<(), Closed> {
        let id = FileId {
            device: position.key.device,
            inode: position.key.inode,
        };
        let no = self.table.find(input, id);
        match no.and_then(|no| self.table.get(no)) {
            Some(file) if !file.is_unsure() => Ok(()),
            _ => (self.send)(Event::Forget(position.key.clone())),
        }
    }

    /// Files whose folder was gone for a while, and that were rotated away meanwhile: no pattern leads
    /// to them, and their rest is to be read all the same.
    pub(super) fn returned(&mut self) -> Vec<Sighting> {
        let homeless = self.homeless.iter().enumerate();
        let positions: Vec<(usize, Position)> = homeless
            .flat_map(|(input, of)| of.iter().map(move |position| (input, position.clone())))
            .collect();
        let mut found = Vec::new();
        for (input, position) in positions {
            let Some(sighting) = self.locate(input, &position) else {
                continue;
            };
            let is_meant = |path: &Path| self.configs.get(input).is_some_and(|it| it.means(path));
            let is_it = holds(&sighting.door, &position);
            if !is_meant(&sighting.path) && is_it.as_ref().is_ok_and(|is_it| !is_it) {
                // Another file has its inode: that one is not to be taken for known.
                if let Some(homeless) = self.homeless.get_mut(input) {
                    homeless.retain(|other| other.key != position.key);
                }
                let unseen = self.unseen_rotation_at(input, &sighting.door, position.seen_at);
                found.extend(unseen.filter(|unseen| unseen.origin.is_some()));
                continue;
            }
            if !is_meant(&sighting.path) && is_it.unwrap_or(false) {
                let door = self.folders.door(&position.path);
                let origin = if is_meant(&position.path) {
                    door
                } else {
                    self.live_door(input, &door)
                };
                let origin = Some(origin);
                found.push(Sighting { origin, ..sighting });
            }
        }
        found
    }

    /// Remembers the position of a file that is no more.
    pub(super) fn depart(&mut self, input: usize, position: Position, origin: PathBuf) {
        if self.departed.len() >= MOST_DEPARTED {
            self.departed.pop_front();
        }
        self.departed.push_back((input, position, origin));
    }
}

/// Whether what was not read of it can still be.
pub(super) fn is_readable(file: &Tailed) -> bool {
    file.is_open() || file.is_at_its_name()
}

/// Whether the file at `path` is the one of which `position` speaks.
fn holds(path: &Path, position: &Position) -> io::Result<bool> {
    let (file, _) = opened::open(path)?;
    Ok(
        identity::holds(&file, position.head, position.head.len.into())?
            && identity::holds(&file, position.tail, position.offset)?,
    )
}

/// The names that a compressed file may have had before, itself without its extension included.
pub(super) fn family_of(door: &Path) -> HashSet<PathBuf> {
    let name = door.file_name().unwrap_or_default();
    let plain = unpacked_name(name).unwrap_or(name);
    bases(plain)
        .into_iter()
        .chain([plain.to_owned()])
        .map(|base| door.with_file_name(base))
        .collect()
}

fn text_begins_like(path: &Path, mark: Mark) -> bool {
    let head = || {
        let (file, _) = opened::open(path).ok()?;
        match sniff(&file).ok()? {
            Kind::Packed(packing) => peek(&file, packing).ok(),
            Kind::Text | Kind::Foreign(_) | Kind::Short => None,
        }
    };
    head().is_some_and(|head| begins_like(&head, mark.head))
}
