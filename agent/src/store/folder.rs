//! The state folder: who may use it, and the names in it.

use std::fs::{DirBuilder, File, FileTimes, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use lapwing_rules::model::Timestamp;

use super::StoreError;
use crate::clock;

const FILE: &str = "state.redb";
const UNFINISHED: &str = "state.redb.new";
const ASIDE: &str = "state.redb.damaged-";

/// The database.
pub(super) fn state_file(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// A database that is being made: a crash in the middle leaves nothing behind that looks like a
/// damaged one.
pub(super) fn unfinished_file(dir: &Path) -> PathBuf {
    dir.join(UNFINISHED)
}

/// Whether there is certainly nothing of this name.
pub(super) fn is_absent(path: &Path) -> bool {
    matches!(path.symlink_metadata(), Err(error) if error.kind() == ErrorKind::NotFound)
}

/// Wraps an error of the system; for `map_err`.
pub(super) fn io(what: &str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let what = format!("{what} {}", path.display());
    move |source| StoreError::Io { what, source }
}

/// Makes it where there is none.
pub(super) fn make(dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(dir)
        .map_err(io("cannot make", dir))
}

/// One agent a folder. The lock is apart from the database: it also covers the moments in which
/// the file is made or set aside.
pub(super) fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let made = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path);
    // Where nothing can be written, an old one can be locked all the same.
    let file = made
        .or_else(|error| File::open(&path).map_err(|_| error))
        .map_err(io("cannot open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked {
            dir: dir.display().to_string(),
        }),
        // A file system without locks: redb's own lock has the last word.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(io("cannot lock", &path)(error)),
    }
}

/// Notes that there is something to tell that could not be saved, `last` being the time of what was
/// committed last, and `first` the same when that began. The lock's own times are the note: a disk that
/// is full has room for no other.
pub(super) fn note_unsaved(lock: &File, last: Timestamp, first: Timestamp) {
    if let (Some(last), Some(first)) = (system_time(last), system_time(first)) {
        let times = FileTimes::new().set_modified(last).set_accessed(first);
        // On a file system that cannot keep it, the next agent does not know; that is all.
        lock.set_times(times).ok();
    }
}

/// `first`, if that was noted of what was committed last.
pub(super) fn unsaved_after(lock: &File, last: Timestamp) -> Option<Timestamp> {
    let noted = lock.metadata().ok()?;
    let is_noted = noted.modified().ok()? == system_time(last)?;
    let first = noted.accessed().ok().filter(|_| is_noted)?;
    Some(clock::from_system(first))
}

fn system_time(at: Timestamp) -> Option<SystemTime> {
    let nanos = u64::try_from(at.as_nanos()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(nanos))
}

/// Gives what stands in the database's place another name; gives that name.
pub(super) fn set_aside(dir: &Path) -> Result<PathBuf, StoreError> {
    let seconds = clock::now().as_secs();
    let names = (0..1000).map(|n: u32| match n {
        0 => format!("{ASIDE}{seconds}"),
        n => format!("{ASIDE}{seconds}-{n}"),
    });
    let free = names
        .map(|name| dir.join(name))
        .find(|aside| aside.symlink_metadata().is_err());
    let aside = free.ok_or_else(|| {
        StoreError::Database("too many damaged files in the state folder".to_owned())
    })?;
    let path = state_file(dir);
    std::fs::rename(&path, &aside).map_err(io("cannot set aside", &path))?;
    sync(dir)?;
    Ok(aside)
}

/// A crash between setting aside and beginning anew must not turn the next start into the first.
pub(super) fn last_set_aside(dir: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(dir).ok()?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(ASIDE))
        })
        .max()
}

/// Makes new names in it durable.
pub(super) fn sync(dir: &Path) -> Result<(), StoreError> {
    let folder = File::open(dir).map_err(io("cannot open", dir))?;
    // Some file systems cannot sync a folder; they then keep it in order by themselves.
    match folder.sync_all() {
        Err(error)
            if !matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::Unsupported
            ) =>
        {
            Err(io("cannot sync", dir)(error))
        }
        _ => Ok(()),
    }
}
