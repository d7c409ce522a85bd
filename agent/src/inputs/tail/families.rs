//! Files that have or had one name, one after the other: the older is read before the younger, and
//! those that had the name only while nobody looked are found.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lapwing_rules::model::Timestamp;

use super::departed::family_of;
use super::file::{Place, Tailed, Twin};
use super::identity::FileId;
use super::opened::Look;
use super::pattern::{bases, is_rotation_of, rotation_order};
use super::poller::Tailer;
use super::reconcile::Sighting;
use super::table::FileNo;
use crate::packing::unpacked_name;

/// The clock of a file system may lag behind by a tick of the kernel, 10 ms at most.
pub(super) const TICK: Duration = Duration::from_millis(20);

/// A file among those that have or had one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Member<T> {
    is_live: bool,
    written_at: Timestamp,
    /// See [`rotation_order`].
    number: i32,
    which: T,
}

/// Oldest first. The live file is the youngest whatever the times say: nobody may have written to it
/// yet, while somebody still writes to its predecessor.
fn oldest_first<T: Ord>(members: &mut [Member<T>]) {
    members.sort_unstable();
    let mut rotated = members.iter().filter(|member| !member.is_live);
    if rotated.all(|member| member.number < 0) {
        // Numbers tell better than times: compressing may have changed those.
        members.sort_by_key(|member| (member.is_live, member.number));
    }
}

impl Tailer<'_> {
    /// Of the files that are followed now, and have or had one name, the older is read before the
    /// younger.
    pub(super) fn chain(&mut self) {
        let mut families: HashMap<(usize, PathBuf), Vec<Member<FileNo>>> = HashMap::new();
        for (no, file) in self.table.iter() {
            let base = match file.place {
                Place::Here if file.twin == Twin::No => self.base_of(file.input, &file.door),
                Place::Here => None,
                Place::Moved | Place::Gone => Some(
                    self.base_of(file.input, &file.origin)
                        .unwrap_or_else(|| file.origin.clone()),
                ),
            };
            let base = base.unwrap_or_else(|| file.door.clone());
            let written = file
                .metadata()
                .map(|metadata| Look::of(&metadata).modified_at());
            let name = file.door.file_name().unwrap_or_default();
            let member = Member {
                is_live: base == file.door,
                written_at: written.unwrap_or_default(),
                number: rotation_order(name),
                which: no,
            };
            families.entry((file.input, base)).or_default().push(member);
        }
        for (family, mut members) in families {
            oldest_first(&mut members);
            if let Some(youngest) = members.last() {
                self.families.insert(family, youngest.which);
            }
            let oldest = members.first().map(|oldest| oldest.which);
            if let Some(file) = oldest.and_then(|no| self.table.get_mut(no)) {
                file.after = None; // it may have been taken for the youngest
            }
            for pair in members.windows(2) {
                if let [older, younger] = pair
                    && let Some(file) = self.table.get_mut(younger.which)
                {
                    file.after = Some(older.which);
                }
            }
        }
    }

    /// Oldest first: by the last write, and new files within a family as [`oldest_first`] says.
    pub(super) fn in_order(&self, mut sightings: Vec<Sighting>) -> Vec<Sighting> {
        sightings.sort_by_cached_key(Sighting::age);
        let is_new = |s: &Sighting| self.table.find(s.input, FileId::of(&s.metadata)).is_none();
        let new = || sightings.iter().enumerate().filter(|(_, s)| is_new(s));
        let doors: HashSet<(usize, &PathBuf)> = new().map(|(_, s)| (s.input, &s.door)).collect();
        let mut families: HashMap<(usize, PathBuf), Vec<Member<usize>>> = HashMap::new();
        for (place, sighting) in new() {
            let (input, door) = (sighting.input, &sighting.door);
            let seen = || {
                let mut bases = rotated_from(door).into_iter();
                bases.find(|base| doors.contains(&(input, base)))
            };
            let base = sighting
                .origin
                .clone()
                .or_else(|| self.base_of(input, door));
            let base = base.or_else(seen).unwrap_or_else(|| door.clone());
            let member = Member {
                is_live: base == *door,
                written_at: Look::of(&sighting.metadata).modified_at(),
                number: rotation_order(door.file_name().unwrap_or_default()),
                which: place,
            };
            families.entry((input, base)).or_default().push(member);
        }
        families.retain(|_, members| members.len() > 1);
        if families.is_empty() {
            return sightings;
        }
        // Each family keeps its places among the others.
        let mut order: Vec<usize> = (0..sightings.len()).collect();
        for members in families.values_mut() {
            let places: Vec<usize> = members.iter().map(|member| member.which).collect();
            oldest_first(members);
            for (place, member) in places.into_iter().zip(members) {
                if let Some(at) = order.get_mut(place) {
                    *at = member.which;
                }
            }
        }
        let mut sightings: Vec<Option<Sighting>> = sightings.into_iter().map(Some).collect();
        let taken = order.into_iter();
        let taken = taken.filter_map(|at| sightings.get_mut(at).and_then(Option::take));
        taken.collect()
    }

    /// A new file is read after the one of its family that was found before it.
    pub(super) fn follow_on(&mut self, no: FileNo) {
        let Some(file) = self.table.get(no) else {
            return;
        };
        let base = self
            .base_of(file.input, &file.origin)
            .unwrap_or_else(|| file.origin.clone());
        let before = self.families.insert((file.input, base), no);
        let before = before.filter(|before| *before < no && self.table.get(*before).is_some());
        if let Some(file) = self.table.get_mut(no) {
            file.after = before;
        }
        if let Some(before) = before {
            self.enqueue(before);
        }
    }

    /// Drops what is known of families none of whose files is followed.
    pub(super) fn prune_families(&mut self) {
        let table = &self.table;
        self.families
            .retain(|_, youngest| table.get(*youngest).is_some());
    }

    /// The door of a followed file of which the name at `door` looks like a rotation.
    pub(super) fn base_of(&self, input: usize, door: &Path) -> Option<PathBuf> {
        let followed = |base: &PathBuf| {
            let of = |no: &FileNo| {
                self.table.get(*no).is_some_and(|file| {
                    file.input == input && (file.door == *base || file.origin == *base)
                })
            };
            self.table.paths.at(base).iter().any(of)
        };
        rotated_from(door).into_iter().find(followed)
    }

    /// A path that its input does not mean, but whose file may have had a name that it means for so
    /// short a time that nobody saw it there.
    pub(super) fn unseen_rotation_at(
        &self,
        input: usize,
        door: &Path,
        since: Timestamp,
    ) -> Option<Sighting> {
        let metadata = fs::symlink_metadata(door)
            .ok()
            .filter(fs::Metadata::is_file)?;
        if Look::of(&metadata).modified_at() <= since.minus(TICK) {
            return None;
        }
        let id = FileId::of(&metadata);
        let saved =
            |key: &crate::inputs::PositionKey| (key.device, key.inode) == (id.device, id.inode);
        let known = self.table.find(input, id).is_some()
            || self
                .homeless
                .get(input)?
                .iter()
                .any(|position| saved(&position.key));
        if known {
            return None;
        }
        let origin = self.meant_bases(input, door).next();
        let path = self.folders.aliases(door).into_iter().next()?;
        Some(Sighting {
            input,
            path,
            door: door.to_owned(),
            metadata,
            origin,
        })
    }

    /// Those doors that an input means and of which the name at `door` looks like a rotation.
    pub(super) fn meant_bases(&self, input: usize, door: &Path) -> impl Iterator<Item = PathBuf> {
        let config = self.configs.get(input);
        let means = move |base: &PathBuf| {
            let mut paths = self.folders.aliases(base).into_iter();
            config.is_some_and(|config| paths.any(|path| config.means(&path)))
        };
        rotated_from(door).into_iter().filter(means)
    }

    /// Files that had the name at `door` for a while since then, and were rotated away unseen.
    pub(super) fn unseen_rotations(
        &mut self,
        input: usize,
        door: &Path,
        since: Timestamp,
    ) -> Vec<Sighting> {
        let rotated = self.listings.rotations_of(door);
        let mut found: Vec<Sighting> = rotated
            .iter()
            .filter_map(|path| self.unseen_rotation_at(input, path, since))
            .collect();
        for sighting in &mut found {
            let means = self
                .configs
                .get(input)
                .is_some_and(|config| config.means(&sighting.path));
            // One that its input means anyway is followed under its own name.
            sighting.origin = (!means).then(|| door.to_owned());
        }
        found
    }
}

/// Where it cannot be told whether names stand still, they are taken to do so after so many scans.
const MOST_SCANS: u32 = 4;

impl Tailer<'_> {
    /// When a file is said to have been seen: what its family got after that is unknown to the next
    /// start, which will look for it. So this is no later than when everything was known to be found; as
    /// long as this start may have overlooked something that was rotated away before, it is when an
    /// earlier run saw the family. Too early costs nothing: whatever was found has a position.
    pub(super) fn seen_at(&self, no: FileNo) -> Timestamp {
        let Some(file) = self.table.get(no).filter(|_| self.unsettled.is_some()) else {
            return self.settled_at;
        };
        let since = |door: PathBuf| self.family_since.get(&(file.input, door)).copied();
        let bases = rotated_from(&file.origin);
        let doors = [file.origin.clone()].into_iter().chain(bases);
        let since = doors.filter_map(since).min();
        since.unwrap_or(self.started_at)
    }

    /// Names may change while a start looks at them, and hide a file from it: as long as that may be so,
    /// what had been rotated away since the earlier run is looked for again.
    pub(super) fn overlooked_by_start(&mut self) -> Vec<Sighting> {
        if self.unsettled.is_none() {
            return Vec::new();
        }
        let since = self.family_since.iter();
        let since: Vec<_> = since
            .map(|(family, since)| (family.clone(), *since))
            .collect();
        let unseen = |((input, door), since): ((usize, PathBuf), Timestamp)| {
            self.unseen_rotations(input, &door, since)
        };
        since.into_iter().flat_map(unseen).collect()
    }

    /// After a scan that was begun at `began` and took in `new` files: whether everything is found by now.
    pub(super) fn settle(&mut self, began: Timestamp, new: usize) {
        let open = self.table.iter().any(|(_, file)| file.is_unsure());
        let open = open || !(self.bereft.is_empty() && self.claimed.is_empty());
        let scans = self.unsettled.unwrap_or(0);
        let still = scans >= MOST_SCANS || self.folders.stand_still();
        if new == 0 && !open && still {
            self.unsettled = None;
            self.settled_at = began;
        } else if self.unsettled.is_some() {
            if new > 0 {
                self.chain(); // they may be older than what was found before them
            }
            self.unsettled = Some(scans.saturating_add(1));
            self.scan_soon = scans < 10 * MOST_SCANS;
        }
    }

    /// What compressed files may turn out to be that are not looked into yet: by input and door.
    pub(super) fn families_in_doubt(&self) -> HashSet<(usize, PathBuf)> {
        let unsure = |(_, file): &(FileNo, &Tailed)| file.packed.is_some() && file.is_unsure();
        let files = self.table.iter().filter(unsure);
        files
            .flat_map(|(_, file)| {
                let doors = family_of(&file.door).into_iter();
                doors.map(|door| (file.input, door))
            })
            .collect()
    }
}

/// The doors of which the name at `door` looks like a rotation.
pub(super) fn rotated_from(door: &Path) -> Vec<PathBuf> {
    let Some(name) = door.file_name() else {
        return Vec::new();
    };
    let plain = unpacked_name(name).unwrap_or(name);
    let bases = bases(plain)
        .into_iter()
        .filter(|base| is_rotation_of(plain, base));
    // `a.log.gz` is a rotation of `a.log`, too.
    let itself = (plain != name).then(|| plain.to_owned());
    bases
        .chain(itself)
        .map(|base| door.with_file_name(base))
        .collect()
}
