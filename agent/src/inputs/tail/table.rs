//! The files that are followed, found by number, identity or path, with a bound on how many are
//! open. It opens none by itself.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::path::PathBuf;

use super::file::{Place, Tailed};
use super::identity::FileId;
use super::opened::OpenFiles;
use super::packed::Decoders;
use super::wake::Shared;

/// A file's number: never used again, ascending in the order of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FileNo(u64);

/// All files of all inputs.
#[derive(Debug)]
pub(super) struct Table {
    /// Boxed: numbers ascend, which leaves half of every node empty.
    files: BTreeMap<FileNo, Box<Tailed>>,
    by_id: HashMap<(usize, FileId), FileNo>,
    next: u64,
    /// Paths, shared with the callback of the watcher.
    pub(super) paths: Shared,
    /// Shared with every file.
    pub(super) open: OpenFiles,
    /// Likewise.
    pub(super) decoders: Decoders,
    max_open: usize,
    /// With more than so many open, some are closed.
    close_above: usize,
}

impl Table {
    pub(super) fn new(max_open: usize) -> Self {
        Self {
            files: BTreeMap::new(),
            by_id: HashMap::new(),
            next: 0,
            paths: Shared::default(),
            open: OpenFiles::default(),
            decoders: Decoders::default(),
            max_open,
            close_above: max_open,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    pub(super) fn get(&self, no: FileNo) -> Option<&Tailed> {
        self.files.get(&no).map(Box::as_ref)
    }

    /// To do something with a file, which may open it: at most one more than allowed is open then.
    pub(super) fn get_mut(&mut self, no: FileNo) -> Option<&mut Tailed> {
        self.close_some();
        self.files.get_mut(&no).map(Box::as_mut)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (FileNo, &Tailed)> {
        self.files.iter().map(|(no, file)| (*no, &**file))
    }

    /// To note something of all; not to open any.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (FileNo, &mut Tailed)> {
        self.files.iter_mut().map(|(no, file)| (*no, &mut **file))
    }

    pub(super) fn numbers(&self) -> Vec<FileNo> {
        self.files.keys().copied().collect()
    }

    /// Up to `count` of those behind `after`, in order.
    pub(super) fn some_behind(&self, after: Option<FileNo>, count: usize) -> Vec<FileNo> {
        let behind = after.map_or(Bound::Unbounded, Bound::Excluded);
        let files = self.files.range((behind, Bound::Unbounded));
        files.map(|(no, _)| *no).take(count).collect()
    }

    pub(super) fn find(&self, input: usize, id: FileId) -> Option<FileNo> {
        self.by_id.get(&(input, id)).copied()
    }

    /// From here on, writes to its paths concern it.
    pub(super) fn insert(&mut self, file: Tailed) -> FileNo {
        self.close_some();
        let no = FileNo(self.next);
        self.next += 1;
        self.by_id.insert((file.input, file.id), no);
        for path in file.paths() {
            self.paths.link(path, no);
        }
        self.files.insert(no, Box::new(file));
        no
    }

    pub(super) fn remove(&mut self, no: FileNo) -> Option<Tailed> {
        let file = self.files.remove(&no)?;
        self.by_id.remove(&(file.input, file.id));
        for path in file.paths() {
            self.paths.unlink(path, no);
        }
        Some(*file)
    }

    /// Changes the paths of a file through `change`, and everything that depends on them.
    pub(super) fn relocate(&mut self, no: FileNo, change: impl FnOnce(&mut Tailed)) {
        let Some(file) = self.files.get_mut(&no) else {
            return;
        };
        let before: Vec<PathBuf> = file.paths().map(PathBuf::from).collect();
        change(file);
        for path in &before {
            self.paths.unlink(path, no);
        }
        for path in file.paths() {
            self.paths.link(path, no);
        }
    }

    /// Closes files that can be opened again when too many are open: those first that nobody used
    /// since this was last necessary, and those last that have lost the name by which they are known.
    /// Leaves some room, so that it is not necessary at once again; where there is nothing to close,
    /// that is not found out with each file anew.
    fn close_some(&mut self) {
        if self.open.count() <= self.close_above {
            return;
        }
        let enough = self.max_open - self.max_open / 4;
        for (place, sparing) in [
            (Place::Here, true),
            (Place::Here, false),
            (Place::Moved, false),
        ] {
            let mut open = self.files.values_mut().filter(|file| file.is_open());
            while self.open.count() > enough
                && let Some(file) = open.next()
            {
                let used = file.used_since_last_asked();
                if file.place == place && !(sparing && used) {
                    file.close();
                }
            }
        }
        self.close_above = self.max_open.max(self.open.count() + self.max_open / 4);
    }

    /// How many are open.
    pub(super) fn open_count(&self) -> usize {
        self.open.count()
    }
}
