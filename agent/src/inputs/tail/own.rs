//! Files that the agent writes itself: its alerts, its log. They are not followed, whatever they are
//! called, for each alert would cause the next. Known by device and inode, by the name under which the
//! agent writes, and by names that rotations of it have.

use std::collections::HashMap;
use std::fs;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use super::Closed;
use super::families::rotated_from;
use super::identity::FileId;
use super::losses::{Unread, Unreadable};
use super::poller::Tailer;
use super::reconcile::Sighting;
use crate::clock;
use crate::inputs::Event;

/// Something that the agent writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// What it holds, for people: "the alerts of output `archive`".
    pub what: String,
    /// Where it goes.
    pub at: OwnAt,
}

/// Where the agent writes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnAt {
    /// To the file at this absolute path, once there is one.
    Path(PathBuf),
    /// To standard output, which may be a file.
    Stdout,
    /// To standard error, which may be a file.
    Stderr,
}

impl OwnAt {
    /// The file, if it is one and is there, and its path with the true path of its folder.
    fn look(&self) -> (Option<FileId>, Option<PathBuf>) {
        let id = |stat: &rustix::fs::Stat| {
            let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
            kind.is_file().then_some(FileId {
                device: stat.st_dev,
                inode: stat.st_ino,
            })
        };
        // What a descriptor was opened as: where that is known, its rotations are, too.
        let opened = |number: u8| fs::read_link(format!("/proc/self/fd/{number}")).ok();
        match self {
            Self::Path(path) => {
                let folder = path.parent().and_then(|it| fs::canonicalize(it).ok());
                let door = folder.zip(path.file_name()).map(|(it, name)| it.join(name));
                let stat = rustix::fs::stat(path).ok();
                (stat.as_ref().and_then(id), door)
            }
            Self::Stdout => {
                let stat = rustix::fs::fstat(std::io::stdout().as_fd()).ok();
                let file = stat.as_ref().and_then(id);
                (file, opened(1).filter(|_| file.is_some()))
            }
            Self::Stderr => {
                let stat = rustix::fs::fstat(std::io::stderr().as_fd()).ok();
                let file = stat.as_ref().and_then(id);
                (file, opened(2).filter(|_| file.is_some()))
            }
        }
    }
}

/// What the agent writes, and where that was seen so far.
#[derive(Debug, Default)]
pub(super) struct Owns {
    all: Vec<Own>,
    /// All files that are such a one, by the last look at everything: after a rotation they still hold it,
    /// and another file may get the inode of one that is deleted.
    ids: HashMap<FileId, usize>,
    doors: HashMap<PathBuf, usize>,
}

impl Owns {
    pub(super) fn new(all: Vec<Own>) -> Self {
        Self {
            all,
            ..Self::default()
        }
    }

    /// Looks where the agent writes now.
    fn look(&mut self) {
        for (index, own) in self.all.iter().enumerate() {
            let (id, door) = own.at.look();
            self.ids.extend(id.map(|id| (id, index)));
            self.doors.extend(door.map(|door| (door, index)));
        }
    }

    /// What the file at `door` holds, if the agent wrote it.
    fn what(&mut self, id: FileId, door: &Path) -> Option<&str> {
        if self.all.is_empty() {
            return None;
        }
        self.look();
        let named = || rotated_from(door).iter().find_map(|of| self.doors.get(of));
        let index = self
            .ids
            .get(&id)
            .or_else(|| self.doors.get(door))
            .or_else(named)?;
        self.all.get(*index).map(|own| own.what.as_str())
    }
}

impl Tailer<'_> {
    /// Whether a file is written by the agent itself; then says so, once for each file.
    pub(super) fn is_own(&mut self, sighting: &Sighting) -> bool {
        let id = FileId::of(&sighting.metadata);
        let Some(what) = self.own.what(id, &sighting.door).map(str::to_owned) else {
            return false;
        };
        let (input, path) = (sighting.input, &sighting.path);
        if self.is_first_complaint(input, path, Unread::PassedOver) {
            let name = self.names.get(input).map_or("", |name| name);
            tracing::warn!(
                file = %path.display(), input = name,
                "this file holds {what}: it is not followed, for each alert would cause the next; `exclude` it from the input",
            );
            let unreadable = Unreadable {
                path: path.clone(),
                why: Unread::PassedOver,
                error: format!("not followed: it holds {what}"),
                since: clock::now(),
            };
            self.counters.ledger.unreadable(input, unreadable);
        }
        true
    }

    /// Finds all that the agent writes, and what was rotated away of it: that may have other names.
    pub(super) fn look_for_own(&mut self) {
        self.own.ids.clear();
        self.own.look();
        let doors: Vec<(PathBuf, usize)> = self.own.doors.clone().into_iter().collect();
        for (door, index) in doors {
            for rotation in self.listings.rotations_of(&door) {
                if let Ok(metadata) = fs::metadata(&rotation) {
                    self.own.ids.insert(FileId::of(&metadata), index);
                }
            }
        }
    }

    /// A followed file may have become one that the agent writes.
    pub(super) fn stop_following_own(&mut self) -> Result<(), Closed> {
        self.look_for_own();
        let ids: Vec<FileId> = self.own.ids.keys().copied().collect();
        for input in 0..self.configs.len() {
            for id in &ids {
                if let Some(no) = self.table.find(input, *id)
                    && let Some(file) = self.table.remove(no)
                {
                    self.displaced.remove(&no);
                    (self.send)(Event::Forget(file.key()))?;
                }
            }
        }
        Ok(())
    }
}
