//! The redb file: opening it, checking it, making a new one, reading all that a start needs.

use std::convert::Infallible;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use lapwing_rules::model::Timestamp;
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend, TableError};

use super::backend::Roomy;
use super::folder::{self, io};
use super::record::PositionRecord;
use super::steady::Moment;
use super::tables::{
    BEGUN, COMMITTED_AT, COMMITTED_BEFORE, FORMAT, FORMAT_KEY, GROUPS, META, NOTES, POSITIONS,
    STEADY_AT, WINDOWS,
};
use super::{GroupRecord, Saved, Start, StoreError, write};
use crate::inputs::{Position, PositionKey};

/// redb's page cache. The whole agent is to idle in 10 MB, and what it reads is small.
const CACHE_BYTES: usize = 1024 * 1024;

/// What every redb file begins with. redb itself takes an empty file, and one that lost its
/// first page, for a new database; here that is damage.
const MAGIC: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";

/// A larger file is not read into memory.
const MOST_COPIED: u64 = 64 * 1024 * 1024;

/// What [`open_file`] expects.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Existing {
    Old,
    New,
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Opens and reads a database that should be there.
pub(super) fn load(path: &Path) -> Result<(Database, Saved), StoreError> {
    if path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
        return Err(StoreError::Damaged("it is not a regular file".to_owned()));
    }
    load_with(path, || open_file(path, Existing::Old))
}

/// The same out of a copy in memory, for a file that can be read and not written.
pub(super) fn load_copy(path: &Path) -> Result<(Database, Saved), StoreError> {
    let size = path.metadata().map_err(io("cannot read", path))?.len();
    if size > MOST_COPIED {
        let why = format!("{} is too large to be read into memory", path.display());
        return Err(StoreError::Database(why));
    }
    let bytes = std::fs::read(path).map_err(io("cannot read", path))?;
    if !bytes.starts_with(&MAGIC) {
        return Err(StoreError::Damaged("it is not a state file".to_owned()));
    }
    load_with(path, || {
        let memory = InMemoryBackend::new();
        let filled = memory.set_len(bytes.len() as u64);
        filled
            .and_then(|()| memory.write(0, &bytes))
            .map_err(io("cannot copy", path))?;
        builder()
            .set_check_integrity_on_open(true)
            .create_with_backend(memory)
            .map_err(StoreError::from_database)
    })
}

fn load_with(
    path: &Path,
    open: impl FnOnce() -> Result<Database, StoreError>,
) -> Result<(Database, Saved), StoreError> {
    // On a damaged file redb may panic instead of giving an error. Nothing outlives the closure.
    let read = AssertUnwindSafe(|| {
        let database = open()?;
        check_format(&database, path)?;
        let saved = read_saved(&database).map_err(StoreError::from_database)?;
        Ok((database, saved))
    });
    catch_unwind(read).unwrap_or_else(|_| Err(StoreError::Damaged("reading it failed".to_owned())))
}

/// Opens a file that holds a database, or makes one that holds nothing yet.
pub(super) fn open_file(path: &Path, existing: Existing) -> Result<Database, StoreError> {
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
    let backend = Roomy::new(file).map_err(StoreError::from_database)?;
    // Every page is checked against its checksum: a flipped bit is found now and not by an
    // operator next week. It reads the file once, which the bounds on queues and history keep small.
    let mut builder = builder();
    builder.set_check_integrity_on_open(existing == Existing::Old);
    builder
        .create_with_backend(backend)
        .map_err(StoreError::from_database)
}

/// Opened again after a failure, when redb may panic on what it finds.
pub(super) fn open_again(path: &Path) -> Result<Database, StoreError> {
    let open = AssertUnwindSafe(|| {
        let database = open_file(path, Existing::Old)?;
        check_format(&database, path)?;
        Ok(database)
    });
    catch_unwind(open).unwrap_or_else(|_| Err(StoreError::Damaged("opening it failed".to_owned())))
}

/// A database in memory, for commands that leave nothing behind.
pub(super) fn in_memory() -> Result<Database, StoreError> {
    let database = builder().create_with_backend(InMemoryBackend::new());
    let database = database.map_err(StoreError::from_database)?;
    write::initialise(&database, 0).map_err(StoreError::from_database)?;
    Ok(database)
}

/// Makes a new database. `begun` = 1: this is no first start, now or after a crash.
pub(super) fn make(dir: &Path, begun: u64) -> Result<Database, StoreError> {
    let unfinished = folder::unfinished_file(dir);
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(io("cannot remove", &unfinished)(error));
        }
        _ => {}
    }
    let database = open_file(&unfinished, Existing::New)?;
    write::initialise(&database, begun).map_err(StoreError::from_database)?;
    let path = folder::state_file(dir);
    std::fs::rename(&unfinished, &path).map_err(io("cannot rename to", &path))?;
    folder::sync(dir)?;
    Ok(database)
}

fn check_format(database: &Database, path: &Path) -> Result<(), StoreError> {
    match format(database).map_err(StoreError::from_database)? {
        Some(FORMAT) => Ok(()),
        Some(found) if found > FORMAT => Err(StoreError::Newer {
            file: path.display().to_string(),
            found,
            known: FORMAT,
        }),
        _ => Err(StoreError::Damaged("it is not lapwing's".to_owned())),
    }
}

/// `None`: it has none.
fn format(database: &Database) -> Result<Option<u64>, redb::Error> {
    let meta = match database.begin_read()?.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(meta.get(FORMAT_KEY)?.map(|value| value.value()))
}

fn read_saved(database: &Database) -> Result<Saved, redb::Error> {
    let transaction = database.begin_read()?;
    let meta = transaction.open_table(META)?;
    let begun = meta.get(BEGUN)?.is_some_and(|value| value.value() == 1);
    let mut saved = Saved {
        positions: positions(database)?,
        committed_at: committed_at(database)?,
        start: if begun { Start::Resumed } else { Start::Fresh },
        ..Saved::default()
    };
    for row in transaction.open_table(GROUPS)?.iter()? {
        let (key, state) = row?;
        let (rule, group) = key.value();
        saved.groups.push(GroupRecord {
            rule: rule.to_owned(),
            group: group.to_owned(),
            state: Some(state.value().to_vec()),
            ..GroupRecord::default()
        });
    }
    // Both tables are in the order of their keys.
    let mut groups = saved.groups.iter_mut().peekable();
    match transaction.open_table(WINDOWS) {
        Ok(windows) => {
            for row in windows.iter()? {
                let (key, part) = row?;
                let (rule, group, number) = key.value();
                let is_before = |record: &GroupRecord| {
                    (record.rule.as_str(), record.group.as_str()) < (rule, group)
                };
                while groups.next_if(|record| is_before(record)).is_some() {}
                if let Some(record) = groups
                    .peek_mut()
                    .filter(|record| record.rule == rule && record.group == group)
                {
                    record.parts.insert(number, part.value().to_vec());
                }
            }
        }
        // An earlier version of the same format made it.
        Err(TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(error.into()),
    }
    match transaction.open_table(NOTES) {
        Ok(notes) => {
            for row in notes.iter()? {
                let (name, note) = row?;
                let (name, note) = (name.value().to_owned(), note.value().to_vec());
                saved.notes.insert(name, note);
            }
        }
        // An earlier version of the same format made it.
        Err(TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(saved)
}

/// When anything was last committed.
pub(super) fn committed_at(database: &Database) -> Result<Option<Timestamp>, redb::Error> {
    moment(database, COMMITTED_AT)
}

/// The same of the commit before that.
pub(super) fn committed_before(database: &Database) -> Result<Option<Timestamp>, redb::Error> {
    moment(database, COMMITTED_BEFORE)
}

fn moment(database: &Database, name: &str) -> Result<Option<Timestamp>, redb::Error> {
    let meta = database.begin_read()?.open_table(META)?;
    let nanos = meta.get(name)?.map(|value| value.value());
    let nanos = nanos.and_then(|nanos| i64::try_from(nanos).ok());
    Ok(nanos.map(Timestamp::from_nanos))
}

/// The same by both clocks; `None`: never, or an earlier version of the same format wrote it.
pub(super) fn last_moment(database: &Database) -> Result<Option<Moment>, redb::Error> {
    let (wall, steady) = (committed_at(database)?, moment(database, STEADY_AT)?);
    Ok(wall
        .zip(steady)
        .map(|(wall, steady)| Moment { wall, steady }))
}

/// Every position.
fn positions(database: &Database) -> Result<Vec<Position>, redb::Error> {
    let mut positions = Vec::new();
    let all = each_position::<Infallible>(database, |position| {
        positions.push(position);
        Ok(())
    })?;
    match all {
        Ok(()) => Ok(positions),
    }
}

/// Shows `see` each position, one after the other, until it fails.
pub(super) fn each_position<E>(
    database: &Database,
    mut see: impl FnMut(Position) -> Result<(), E>,
) -> Result<Result<(), E>, redb::Error> {
    for row in database.begin_read()?.open_table(POSITIONS)?.iter()? {
        let (key, json) = row?;
        let (input, device, inode) = key.value();
        let key = PositionKey {
            input: input.to_owned(),
            device,
            inode,
        };
        if let Err(error) = see(PositionRecord::read(key, json.value())?) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}
