//! What stands in a folder, listed once for all that is asked of it in one round: when logrotate has
//! renamed 10,000 files in a folder, it must not be listed 10,000 times. Younger changes bring notices,
//! and with them the next round.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::DirEntryExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::departed::family_of;
use super::families::rotated_from;
use super::identity::FileId;
use crate::packing::unpacked_name;

/// A folder is listed again this often at most in one round, for a file that is not found in it.
const MOST_TRIES: u32 = 4;

/// The entries of a folder, by what is asked of them.
#[derive(Debug, Default)]
struct Listing {
    by_inode: HashMap<u64, OsString>,
    /// What looks like a rotation of a name.
    rotations: HashMap<PathBuf, Vec<PathBuf>>,
    /// What is named like a compressed file that may have had a name.
    packed: HashMap<PathBuf, Vec<PathBuf>>,
}

impl Listing {
    fn of(folder: &Path) -> Option<Self> {
        let mut listing = Self::default();
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
            listing.by_inode.insert(entry.ino(), name);
        }
        Some(listing)
    }
}

/// The folders that were listed in this round.
#[derive(Debug, Default)]
pub(super) struct Listings(HashMap<PathBuf, (Option<Rc<Listing>>, u32)>);

impl Listings {
    /// A new round begins.
    pub(super) fn forget(&mut self) {
        if !self.0.is_empty() {
            self.0 = HashMap::new();
        }
    }

    fn at(&mut self, folder: &Path) -> Option<Rc<Listing>> {
        if let Some((listing, _)) = self.0.get(folder) {
            return listing.clone();
        }
        let listing = Listing::of(folder).map(Rc::new);
        self.0.insert(folder.to_owned(), (listing.clone(), 1));
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

    /// The compressed files that may have been the one at `door`.
    pub(super) fn packed_kin_of(&mut self, door: &Path) -> Vec<PathBuf> {
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

    /// The name of a file in `folder`, and whether it is the file's still, as `is_it` says.
    pub(super) fn find(
        &mut self,
        folder: &Path,
        id: FileId,
        is_it: impl Fn(&Path) -> bool,
    ) -> Option<(PathBuf, bool)> {
        loop {
            let listing = self.at(folder)?;
            let path = listing
                .by_inode
                .get(&id.inode)
                .map(|name| folder.join(name));
            let found = path.map(|path| (is_it(&path), path));
            if let Some((true, path)) = found {
                return Some((path, true));
            }
            let tries = self.0.get(folder).map_or(MOST_TRIES, |(_, tries)| *tries);
            if tries >= MOST_TRIES {
                return found.map(|(is_it, path)| (path, is_it));
            }
            // It may have got another name since.
            let listing = Listing::of(folder).map(Rc::new);
            self.0.insert(folder.to_owned(), (listing, tries + 1));
        }
    }
}
