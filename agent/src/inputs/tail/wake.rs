//! What wakes the tail thread: notices of the system about folders, and [`Handle::stop`]. A notice
//! is a hint to look, never the truth: what is lost here is found by the slow scan.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lapwing_rules::model::Batch;
use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::identity::FileId;
use super::table::FileNo;

/// Where the notices come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notices {
    /// From inotify, and by looking every 250 ms at files in folders where that cannot be had.
    System,
    /// Nowhere: everything by looking.
    Off,
}

#[derive(Debug)]
pub(super) enum Signal {
    Changed,
    /// Look at everything, read it to its end, and say so.
    Look,
    /// Return: a successor goes on.
    Stop,
    /// Return: nobody does.
    End,
}

/// The ends that others hold of a running tail thread.
#[derive(Clone, Debug)]
pub struct Handle {
    signals: Sender<Signal>,
    spares: SyncSender<Batch>,
}

/// The tail thread's own ends.
#[derive(Debug)]
pub struct Control {
    pub(super) signals: Receiver<Signal>,
    pub(super) spares: Receiver<Batch>,
    notices: Sender<Signal>,
}

/// Used batches that wait to be filled again, at most.
const SPARES: usize = 4;
/// A larger buffer is freed when it is given back.
const SPARE_BYTES: usize = 512 * 1024;

/// Both ends: [`Control`] is for [`run`](super::run), [`Handle`] for everybody else.
pub fn control() -> (Handle, Control) {
    let (sender, signals) = channel();
    let (give, spares) = sync_channel(SPARES);
    let handle = Handle {
        signals: sender.clone(),
        spares: give,
    };
    (
        handle,
        Control {
            signals,
            spares,
            notices: sender,
        },
    )
}

impl Handle {
    /// Makes `run` return for good, once what nobody can open again has been read to its end.
    pub fn end(&self) {
        // An error says that it has returned already.
        self.signals.send(Signal::End).ok();
    }

    /// Makes `run` return, once the event under way has found room in the inbox.
    pub fn stop(&self) {
        // An error says that it has returned already.
        self.signals.send(Signal::Stop).ok();
    }

    /// Asks for one [`Event::Current`](crate::inputs::Event::Current). Never waits.
    pub fn look(&self) {
        // An error says that nobody reads any more: then nothing is current either.
        self.signals.send(Signal::Look).ok();
    }

    /// Hands a batch back so that its memory is used again. Never waits.
    pub fn give_back(&self, batch: Batch) {
        if batch.bytes.capacity() <= SPARE_BYTES {
            // Full or gone: then it is freed.
            self.spares.try_send(batch).ok();
        }
    }
}

/// What was noticed since it was last taken.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Files that were written to.
    pub(super) written: BTreeSet<FileNo>,
    /// Paths that came, went, or changed otherwise.
    pub(super) touched: HashSet<PathBuf>,
    /// Notices were lost: look at all.
    pub(super) everything: bool,
}

/// With more touched paths than this, looking at everything is cheaper.
const MAX_TOUCHED: usize = 10_000;

/// What the tail thread and the callback of `notify` share.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// The files that a write to this path may concern.
    by_path: HashMap<PathBuf, Vec<FileNo>>,
    changes: Changes,
    /// A signal is under way.
    told: bool,
}

impl Board {
    fn note(&mut self, event: notify::Result<notify::Event>) -> bool {
        let Ok(event) = event else {
            self.changes.everything = true;
            return true;
        };
        if event.need_rescan() {
            self.changes.everything = true;
            return true;
        }
        let mut noted = false;
        match event.kind {
            EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any | ModifyKind::Other) => {
                for file in event
                    .paths
                    .iter()
                    .filter_map(|path| self.by_path.get(path))
                    .flatten()
                {
                    self.changes.written.insert(*file);
                    noted = true;
                }
            }
            EventKind::Create(_)
            | EventKind::Remove(_)
            | EventKind::Modify(ModifyKind::Name(_) | ModifyKind::Metadata(_)) => {
                noted = !event.paths.is_empty();
                self.changes.touched.extend(event.paths);
                if self.changes.touched.len() > MAX_TOUCHED {
                    self.changes.touched = HashSet::new();
                    self.changes.everything = true;
                }
            }
            // Reading and opening files, our own included.
            EventKind::Access(_) | EventKind::Any | EventKind::Other => {}
        }
        noted
    }
}

/// The board, for the thread that reads it.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared(Arc<Mutex<Board>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was noticed; the next notice signals again.
    pub(super) fn take(&self) -> Changes {
        let mut board = self.lock();
        board.told = false;
        std::mem::take(&mut board.changes)
    }

    /// From now on a write to `path` concerns `file`.
    pub(super) fn link(&self, path: &Path, file: FileNo) {
        let mut board = self.lock();
        let files = board.by_path.entry(path.to_owned()).or_default();
        if !files.contains(&file) {
            files.push(file);
        }
    }

    /// Undoes [`Self::link`].
    pub(super) fn unlink(&self, path: &Path, file: FileNo) {
        let mut board = self.lock();
        if let Some(files) = board.by_path.get_mut(path) {
            files.retain(|other| *other != file);
            if files.is_empty() {
                board.by_path.remove(path);
            }
        }
    }

    /// The files linked to `path`, the one linked first first.
    pub(super) fn at(&self, path: &Path) -> Vec<FileNo> {
        self.lock().by_path.get(path).cloned().unwrap_or_default()
    }

    #[cfg(test)]
    pub(super) fn callback_for(
        &self,
        control: &Control,
    ) -> impl FnMut(notify::Result<notify::Event>) + use<> {
        self.callback(control.notices.clone())
    }

    fn callback(
        &self,
        sender: Sender<Signal>,
    ) -> impl FnMut(notify::Result<notify::Event>) + use<> {
        let shared = self.clone();
        move |event| {
            let mut board = shared.lock();
            if board.note(event) && !board.told {
                board.told = true;
                // An error says that the tail thread is gone, and the watcher soon with it.
                sender.send(Signal::Changed).ok();
            }
        }
    }
}

/// A folder whose changes are noticed.
#[derive(Debug)]
struct Folder {
    id: FileId,
    /// The names by which patterns reach it.
    aliases: Vec<PathBuf>,
    watched: bool,
    /// What is done to its files elsewhere (another host, another layer) brings no notice here.
    is_local: bool,
    /// When its entries were last changed, as of the last full scan.
    changed_at: (i64, i64),
}

/// File systems to which only this host writes, and through the names that are watched: ext2 to ext4,
/// XFS, Btrfs, tmpfs, F2FS, ZFS (statfs(2)).
const LOCAL: [u64; 6] = [
    0xEF53,
    0x5846_5342,
    0x9123_683E,
    0x0102_1994,
    0xF2F5_2010,
    0x2FC1_2FC1,
];

fn is_local(folder: &Path) -> bool {
    let kind = rustix::fs::statfs(folder).map(|about| u64::try_from(about.f_type));
    matches!(kind, Ok(Ok(kind)) if LOCAL.contains(&kind))
}

/// The folders that are watched.
#[derive(Debug)]
pub(super) struct Folders {
    /// `None` where the system gives none, or none yet.
    watcher: Option<RecommendedWatcher>,
    /// How to get one; `None` where none is wanted.
    wanted: Option<(Shared, Sender<Signal>)>,
    /// By their true paths, free of links.
    by_path: HashMap<PathBuf, Folder>,
    /// The true path of a name.
    truth: HashMap<PathBuf, PathBuf>,
    /// It was said that notices are missing, and not yet that they are back.
    warned: bool,
}

impl Folders {
    pub(super) fn new(notices: Notices, shared: &Shared, control: &Control) -> Self {
        let wanted = match notices {
            Notices::Off => None,
            Notices::System => Some((shared.clone(), control.notices.clone())),
        };
        Self {
            watcher: None,
            wanted,
            by_path: HashMap::new(),
            truth: HashMap::new(),
            warned: false,
        }
    }

    /// Asks the system for notices where it gave none so far.
    fn wish(&mut self) {
        let Some((shared, sender)) = self.wanted.as_ref().filter(|_| self.watcher.is_none()) else {
            return;
        };
        match notify::recommended_watcher(shared.callback(sender.clone())) {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => self.warn(None, &error),
        }
    }

    /// Says once that there are no notices, and what would help.
    fn warn(&mut self, folder: Option<&Path>, error: &notify::Error) {
        if std::mem::replace(&mut self.warned, true) {
            return;
        }
        let help = match (folder, &error.kind) {
            (_, notify::ErrorKind::MaxFilesWatch) => {
                "; raise the sysctl fs.inotify.max_user_watches"
            }
            (None, _) => "; raise the sysctl fs.inotify.max_user_instances",
            (Some(_), _) => "",
        };
        let folder = folder.unwrap_or(Path::new("any folder")).display();
        tracing::warn!(
            %error,
            "no notices of file changes in {folder}: looking every 250 ms, and for new files every 10 s, until there are{help}",
        );
    }

    /// Watches these folders, and no others any more. Some may not exist. Says whether notices come
    /// from any of them only since now, so that it has to be listed again.
    pub(super) fn watch(&mut self, names: HashSet<PathBuf>) -> bool {
        self.truth.clear();
        let mut wanted: HashMap<PathBuf, Folder> = HashMap::new();
        for name in names {
            let Ok(path) = fs::canonicalize(&name) else {
                continue;
            };
            let Ok(metadata) = fs::metadata(&path) else {
                continue;
            };
            let folder = Folder {
                id: FileId::of(&metadata),
                aliases: Vec::new(),
                watched: false,
                is_local: is_local(&path),
                changed_at: (metadata.mtime(), metadata.mtime_nsec()),
            };
            wanted
                .entry(path.clone())
                .or_insert(folder)
                .aliases
                .push(name.clone());
            self.truth.insert(name, path);
        }
        for (path, old) in std::mem::take(&mut self.by_path) {
            match wanted.get_mut(&path) {
                Some(folder) if folder.id == old.id => folder.watched = old.watched,
                _ if old.watched => self.unwatch(&path),
                _ => {}
            }
        }
        self.wish();
        let mut news = false;
        for (path, folder) in &mut wanted {
            if !folder.watched {
                folder.watched = self.start_watching(path);
                news |= folder.watched;
            }
        }
        self.by_path = wanted;
        if self.warned && self.watcher.is_some() && self.sees_all() {
            self.warned = false;
            tracing::info!("notices of file changes come again from every folder");
        }
        news
    }

    /// Whether this true path is that of a folder whose changes matter.
    pub(super) fn knows(&self, folder: &Path) -> bool {
        self.by_path.contains_key(folder)
    }

    fn unwatch(&mut self, path: &Path) {
        if let Some(watcher) = &mut self.watcher {
            // An error says that the system has dropped it together with the folder.
            watcher.unwatch(path).ok();
        }
    }

    fn start_watching(&mut self, path: &Path) -> bool {
        let Some(watcher) = &mut self.watcher else {
            return false;
        };
        match watcher.watch(path, RecursiveMode::NonRecursive) {
            Ok(()) => true,
            Err(error) => {
                self.warn(Some(path), &error);
                false
            }
        }
    }

    /// Whether notices come from the folder with this true path.
    pub(super) fn sees(&self, folder: &Path) -> bool {
        self.by_path
            .get(folder)
            .is_some_and(|folder| folder.watched)
    }

    /// From how many folders no notices come.
    pub(super) fn unseen(&self) -> u64 {
        let unseen = self.by_path.values().filter(|folder| !folder.watched);
        unseen.count() as u64
    }

    /// Whether notices come from every folder.
    pub(super) fn sees_all(&self) -> bool {
        self.by_path.values().all(|folder| folder.watched)
    }

    /// Whether nothing can have happened in any folder since the last full scan that was not noticed:
    /// each is watched, on a file system of this host, the same one, and has the same entries.
    pub(super) fn stand_still(&self) -> bool {
        self.by_path.iter().all(|(path, folder)| {
            folder.watched
                && folder.is_local
                && fs::metadata(path).is_ok_and(|now| {
                    FileId::of(&now) == folder.id
                        && (now.mtime(), now.mtime_nsec()) == folder.changed_at
                })
        })
    }

    /// `path` with its folder's true path; itself where that folder is not known.
    pub(super) fn door(&self, path: &Path) -> PathBuf {
        match (
            path.parent().and_then(|folder| self.truth.get(folder)),
            path.file_name(),
        ) {
            (Some(folder), Some(name)) => folder.join(name),
            _ => path.to_owned(),
        }
    }

    /// The paths by which a pattern may reach `door`.
    pub(super) fn aliases(&self, door: &Path) -> Vec<PathBuf> {
        let (Some(folder), Some(name)) = (door.parent(), door.file_name()) else {
            return vec![door.to_owned()];
        };
        match self.by_path.get(folder) {
            Some(folder) => folder
                .aliases
                .iter()
                .map(|alias| alias.join(name))
                .collect(),
            None => vec![door.to_owned()],
        }
    }
}
