//! Opening the state folder: the lock, the file, what to do with one that cannot be read.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Database, ReadableDatabase, ReadableTable};

use super::record::PositionRecord;
use super::tables::{BEGUN, FORMAT, FORMAT_KEY, GROUPS, META, POSITIONS};
use super::{GroupRecord, Opener, Saved, Shared, Store, StoreError, write};
use crate::clock;
use crate::inputs::PositionKey;

/// redb's page cache. The whole agent is to idle in 10 MB, and what it reads is small.
const CACHE_BYTES: usize = 1024 * 1024;

/// What every redb file begins with. redb itself takes an empty file, and one that lost its
/// first page, for a new database; here that is damage.
const MAGIC: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";

const FILE: &str = "state.redb";
const UNFINISHED: &str = "state.redb.new";
const ASIDE: &str = "state.redb.damaged-";

impl Store {
    /// Opens the state in `dir`, which is made when it is missing. A file that cannot be read is
    /// set aside, never overwritten.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] when another agent has it; [`StoreError::Io`] when the folder
    /// cannot be made or written to.
    pub fn open(dir: &Path) -> Result<(Self, Saved), StoreError> {
        make_folder(dir)?;
        let lock = lock(dir)?;
        let path = dir.join(FILE);
        let (database, saved) = if path.symlink_metadata().is_ok() {
            match load(&path) {
                Err(StoreError::Damaged(why)) => {
                    let aside = set_aside(dir, &path)?;
                    tracing::error!(file = %aside.display(), %why, "the state file cannot be read: it is set aside, and a new one begun");
                    begin_anew(dir, Some(aside))?
                }
                other => other?,
            }
        } else {
            begin_anew(dir, last_set_aside(dir))?
        };
        let reopen: Opener = Box::new(move || open_file(&path, Existing::Old));
        Ok((Self::assemble(database, reopen, Some(lock)), saved))
    }

    /// A store that forgets everything at its end, for commands that leave nothing behind and
    /// for an agent whose state folder cannot be used.
    ///
    /// # Errors
    ///
    /// Only when memory runs out.
    pub fn volatile() -> Result<Self, StoreError> {
        let make = || {
            let database = builder().create_with_backend(InMemoryBackend::new());
            let database = database.map_err(StoreError::from_database)?;
            write::initialise(&database, 0).map_err(StoreError::from_database)?;
            Ok(database)
        };
        Ok(Self::assemble(make()?, Box::new(make), None))
    }

    pub(super) fn assemble(database: Database, reopen: Opener, lock: Option<File>) -> Self {
        let shared = Arc::new(Shared {
            database: RwLock::new(Some(database)),
        });
        Self {
            shared,
            reopen,
            limits: std::collections::BTreeMap::new(),
            _lock: lock,
        }
    }
}

fn io(what: &str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let what = format!("{what} {}", path.display());
    move |source| StoreError::Io { what, source }
}

fn make_folder(dir: &Path) -> Result<(), StoreError> {
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
fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(io("cannot open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked),
        // A file system without locks: redb's own lock has the last word.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(io("cannot lock", &path)(error)),
    }
}

/// Opens and reads a database that should be there.
fn load(path: &Path) -> Result<(Database, Saved), StoreError> {
    // On a damaged file redb may panic instead of giving an error. Nothing outlives the closure.
    let read = AssertUnwindSafe(|| {
        let database = open_file(path, Existing::Old)?;
        let saved = read_saved(&database).map_err(StoreError::from_database)?;
        match saved {
            Some(saved) => Ok((database, saved)),
            None => Err(StoreError::Damaged(
                "its format is not one that this version knows".to_owned(),
            )),
        }
    });
    catch_unwind(read).unwrap_or_else(|_| Err(StoreError::Damaged("reading it failed".to_owned())))
}

/// What [`open_file`] expects.
#[derive(Clone, Copy, PartialEq)]
enum Existing {
    Old,
    New,
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn open_file(path: &Path, existing: Existing) -> Result<Database, StoreError> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(existing == Existing::New)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(io("cannot open", path))?;
    if existing == Existing::Old {
        let mut magic = [0; MAGIC.len()];
        match file.read_exact(&mut magic) {
            Ok(()) if magic == MAGIC => {}
            Ok(()) => return Err(StoreError::Damaged("it is not a state file".to_owned())),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(StoreError::Damaged("it is cut off".to_owned()));
            }
            Err(error) => return Err(io("cannot read", path)(error)),
        }
    }
    let backend = FileBackend::new(file).map_err(StoreError::from_database)?;
    // Every page is checked against its checksum: a flipped bit is found now and not by an
    // operator next week. It reads the file once, which the bounds on queues and history keep small.
    let mut builder = builder();
    builder.set_check_integrity_on_open(existing == Existing::Old);
    builder
        .create_with_backend(backend)
        .map_err(StoreError::from_database)
}

/// `None`: the format is another one.
fn read_saved(database: &Database) -> Result<Option<Saved>, redb::Error> {
    let transaction = database.begin_read()?;
    let meta = transaction.open_table(META)?;
    if meta.get(FORMAT_KEY)?.map(|value| value.value()) != Some(FORMAT) {
        return Ok(None);
    }
    let begun = meta.get(BEGUN)?.is_some_and(|value| value.value() == 1);
    let mut saved = Saved {
        first_start: !begun,
        ..Saved::default()
    };
    for row in transaction.open_table(POSITIONS)?.iter()? {
        let (key, json) = row?;
        let (input, device, inode) = key.value();
        let key = PositionKey {
            input: input.to_owned(),
            device,
            inode,
        };
        saved
            .positions
            .push(PositionRecord::read(key, json.value())?);
    }
    for row in transaction.open_table(GROUPS)?.iter()? {
        let (key, state) = row?;
        let (rule, group) = key.value();
        let state = Some(state.value().to_vec());
        saved.groups.push(GroupRecord {
            rule: rule.to_owned(),
            group: group.to_owned(),
            state,
        });
    }
    Ok(Some(saved))
}

/// Makes a database under another name first: a crash in the middle leaves nothing behind that
/// looks like a damaged one.
fn begin_anew(dir: &Path, set_aside: Option<PathBuf>) -> Result<(Database, Saved), StoreError> {
    let unfinished = dir.join(UNFINISHED);
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(io("cannot remove", &unfinished)(error));
        }
        _ => {}
    }
    let database = open_file(&unfinished, Existing::New)?;
    // With an old one set aside, this is no first start, now or after a crash.
    let begun = u64::from(set_aside.is_some());
    write::initialise(&database, begun).map_err(StoreError::from_database)?;
    let path = dir.join(FILE);
    std::fs::rename(&unfinished, &path).map_err(io("cannot rename to", &path))?;
    sync_folder(dir)?;
    Ok((
        database,
        Saved {
            first_start: set_aside.is_none(),
            set_aside,
            ..Saved::default()
        },
    ))
}

fn set_aside(dir: &Path, path: &Path) -> Result<PathBuf, StoreError> {
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
    std::fs::rename(path, &aside).map_err(io("cannot set aside", path))?;
    sync_folder(dir)?;
    Ok(aside)
}

/// A crash between setting aside and beginning anew must not turn the next start into the first.
fn last_set_aside(dir: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(dir).ok()?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(ASIDE))
        })
        .max()
}

fn sync_folder(dir: &Path) -> Result<(), StoreError> {
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
