//! What stands in a folder, listed once for all that is asked of it in one round: when logrotate has
//! renamed 10,000 files in a folder, it must not be listed 10,000 times. Younger changes bring notices,
//! and with them the next round.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::departed::family_of;
use super::families::{TICK, rotated_from};
use super::identity::FileId;
use super::opened::Look;
use super::pattern::bases;
use crate::clock;
use crate::packing::unpacked_name;

/// A folder is not listed again within this time for a file that is not found in it.
const LISTED_EVERY: Duration = Duration::from_millis(100);

/// The entries of a folder, by what is asked of them.
#[derive(Debug)]
struct Listing {
    /// When it was begun.
    made_at: Instant,
    /// When its entries had been changed last, by then; `None` where that may have been again since, within
    /// a tick of the file system's clock.
    changed_at: Option<(i64, i64)>,
    by_inode: HashMap<u64, OsString>,
    /// What looks like a rotation of a name.
    rotations: HashMap<PathBuf, Vec<PathBuf>>,
    /// What is named like a compressed file that may have had a name.
    packed: HashMap<PathBuf, Vec<PathBuf>>,
    /// What is named like a copy of a name.
    copies: HashMap<PathBuf, Vec<PathBuf>>,
}

impl Listing {
    fn of(folder: &Path) -> Option<Self> {
        let mut listing = Self {
            made_at: clock::monotonic(),
            changed_at: last_change(folder),
            by_inode: HashMap::new(),
            rotations: HashMap::new(),
            packed: HashMap::new(),
            copies: HashMap::new(),
        };
        for entry in fs::read_dir(folder).ok()?.flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            for base in rotated_from(&path) {
                listing
                    .rotations
                    .entry(base)
                    .or_default()
                    .push(path.clone());
            }
            if unpacked_name(&name).is_some() {
                for base in family_of(&path) {
                    listing.packed.entry(base).or_default().push(path.clone());
                }
            }
            for base in bases(&name) {
                let base = path.with_file_name(base);
                listing.copies.entry(base).or_default().push(path.clone());
            }
            listing.by_inode.insert(entry.ino(), name);
        }
        Some(listing)
    }

    /// Whether the folder has the same entries still.
    fn is_current(&self, folder: &Path) -> bool {
        self.changed_at.is_some() && self.changed_at == changed_at(folder)
    }
}

fn changed_at(folder: &Path) -> Option<(i64, i64)> {
    let metadata = fs::metadata(folder).ok()?;
    Some((metadata.mtime(), metadata.mtime_nsec()))
}

/// The same, unless it was just now.
fn last_change(folder: &Path) -> Option<(i64, i64)> {
    let now = clock::now();
    let metadata = fs::metadata(folder).ok()?;
    let is_settled = Look::of(&metadata).modified_at() < now.minus(TICK);
    is_settled.then_some((metadata.mtime(), metadata.mtime_nsec()))
}

/// The folders that were listed in this round.
#[derive(Debug, Default)]
pub(super) struct Listings(HashMap<PathBuf, Option<Rc<Listing>>>);

impl Listings {
    /// A new round begins.
    pub(super) fn forget(&mut self) {
        if !self.0.is_empty() {
            self.0 = HashMap::new();
        }
    }

    fn at(&mut self, folder: &Path) -> Option<Rc<Listing>> {
        if let Some(listing) = self.0.get(folder) {
            return listing.clone();
        }
        let listing = Listing::of(folder).map(Rc::new);
        self.0.insert(folder.to_owned(), listing.clone());
        listing
    }

    /// Whether the folder can be listed.
    pub(super) fn can(&mut self, folder: &Path) -> bool {
        self.at(folder).is_some()
    }

    /// What looks like a rotation of the name at `door`.
    pub(super) fn rotations_of(&mut self, door: &Path) -> Vec<PathBuf> {
        let listing = door.parent().and_then(|folder| self.at(folder));
        let rotations = listing.and_then(|listing| listing.rotations.get(door).cloned());
        rotations.unwrap_or_default()
    }

    /// What is named like a copy of the file at `door`, as it is now.
    pub(super) fn copies_of(&mut self, door: &Path) -> Vec<PathBuf> {
        self.drop_stale(door, clock::monotonic());
        let listing = door.parent().and_then(|folder| self.at(folder));
        let copies = listing.and_then(|listing| listing.copies.get(door).cloned());
        copies.unwrap_or_default()
    }

    /// The folder of `door` is listed again, unless it was at `since` or later, or has not changed.
    fn drop_stale(&mut self, door: &Path, since: Instant) {
        if let Some(folder) = door.parent()
            && let Some(Some(listing)) = self.0.get(folder)
            && listing.made_at < since
            && !listing.is_current(folder)
        {
            self.0.remove(folder);
        }
    }

    /// The compressed files that may have been the one at `door`, as they were at `since` or later.
    pub(super) fn packed_kin_of(&mut self, door: &Path, since: Instant) -> Vec<PathBuf> {
        self.drop_stale(door, since);
        let Some(listing) = door.parent().and_then(|folder| self.at(folder)) else {
            return Vec::new();
        };
        let mut bases = rotated_from(door);
        bases.push(door.to_owned());
        let kin: HashSet<&PathBuf> = bases
            .iter()
            .filter_map(|base| listing.packed.get(base))
            .flatten()
            .collect();
        kin.into_iter().cloned().collect()
    }

    /// The name of a file that was missed at its old name at `missed_at`; `is_it` says whether a path
    /// is still the file's.
    pub(super) fn find(
        &mut self,
        folder: &Path,
        id: FileId,
        missed_at: Instant,
        is_it: impl Fn(&Path) -> bool,
    ) -> Found {
        for _ in 0..2 {
            let Some(listing) = self.at(folder) else {
                return Found::Nowhere;
            };
            let path = listing
                .by_inode
                .get(&id.inode)
                .map(|name| folder.join(name));
            if let Some(path) = path.as_ref().filter(|path| is_it(path)) {
                return Found::At(path.clone());
            }
            if listing.made_at >= missed_at {
                let has_inode = |path: &PathBuf| {
                    fs::symlink_metadata(path).is_ok_and(|found| FileId::of(&found) == id)
                };
                return match path.filter(has_inode) {
                    Some(_) => Found::Reused,
                    None => Found::Nowhere,
                };
            }
            let age = clock::monotonic().saturating_duration_since(listing.made_at);
            if age < LISTED_EVERY {
                return Found::Later;
            }
            self.0.remove(folder);
        }
        Found::Later
    }
}

/// What was found of a file that has lost its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Its name now.
    At(PathBuf),
    /// Another file has its inode.
    Reused,
    /// It has no name in the folder.
    Nowhere,
    /// It may have got its new name since the folder was listed: to be asked again.
    Later,
}
