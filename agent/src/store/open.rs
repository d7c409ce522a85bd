//! What an agent begins with: the state, what is left of it, or nothing; and, where the folder
//! takes nothing, memory. Never silently from the beginning of a file or from its end.
//!
//! | in the folder | files begin | windows, alerts, what waits |
//! | --- | --- | --- |
//! | a sound database | where they were left | are there |
//! | a later version's database | it is refused: nothing is touched | |
//! | a damaged or foreign one | at the checkpoint; without one, at their ends | begin anew |
//! | none, but a checkpoint or a damaged one | the same | begin anew |
//! | nothing | as `start_at` says | begin |
//!
//! What cannot be used is set aside, never overwritten, and said. A folder that exists and takes
//! nothing (read-only, of another owner, full) does not keep the agent from watching: it reads what
//! it can, keeps everything in memory, and goes on trying.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lapwing_rules::model::Timestamp;
use redb::Database;

use super::checkpoint;
use super::database;
use super::{Health, Opener, Saved, Shared, Start, Store, StoreError, View, folder};
use crate::clock;

/// Of a database that was there.
pub(super) const GONE: &str = "the state file is gone";

impl Store {
    /// Opens the state in `dir`, which is made when it is missing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] when another agent has it, [`StoreError::Newer`] when a later
    /// version wrote it, [`StoreError::Io`] when there is no folder and none can be made.
    pub fn open(dir: &Path) -> Result<(Self, Saved), StoreError> {
        folder::make(dir)?;
        let mut lock = None;
        let opened = folder::lock(dir).and_then(|locked| {
            lock = Some(locked);
            open_on_disk(dir)
        });
        let (view, mut saved) = match opened {
            Ok((database, saved)) => (View::Open(database), saved),
            Err(error @ (StoreError::Locked { .. } | StoreError::Newer { .. })) => {
                return Err(error);
            }
            Err(error) => open_in_memory(dir, &error)?,
        };
        saved.unsaved_after = lock
            .as_ref()
            .and_then(|lock| unsaved_after(lock, &view, saved.committed_at));
        let grip = match (&view, &lock) {
            (View::Open(_), _) => Grip::Database,
            (_, Some(_)) => Grip::Lock,
            (_, None) => Grip::Nothing,
        };
        let shared = Arc::new(Shared::new(view));
        let health = Arc::new(Health::default());
        health.change(|view| view.start.clone_from(&saved.start));
        let begun = u64::from(saved.start != Start::Fresh);
        let store = Self {
            shared,
            health,
            reopen: opener(dir.to_owned(), grip, begun),
            limits: std::collections::BTreeMap::new(),
            folder: Some(dir.to_owned()),
            committed_at: saved.committed_at,
            lock,
        };
        Ok((store, saved))
    }

    /// A store that forgets everything at its end, for commands that leave nothing behind.
    ///
    /// # Errors
    ///
    /// Only when memory runs out.
    pub fn volatile() -> Result<Self, StoreError> {
        let database = database::in_memory()?;
        Ok(Self::assemble(database, Box::new(database::in_memory)))
    }

    pub(super) fn assemble(database: Database, reopen: Opener) -> Self {
        let shared = Arc::new(Shared::new(View::Open(database)));
        Self {
            shared,
            health: Arc::default(),
            reopen,
            limits: std::collections::BTreeMap::new(),
            folder: None,
            committed_at: None,
            lock: None,
        }
    }
}

/// What an earlier run noted of what it could not save, if that is about the commit that was its last: what
/// stands in the database is that one, or a later one which it took for failed.
fn unsaved_after(
    lock: &std::fs::File,
    view: &View,
    committed_at: Option<Timestamp>,
) -> Option<Timestamp> {
    let before = match view {
        View::Open(database) => database::committed_before(database).ok().flatten(),
        View::Copy(copy) => database::committed_before(copy).ok().flatten(),
        View::Closed => None,
    };
    let noted = |last: Timestamp| folder::unsaved_after(lock, last);
    committed_at
        .and_then(noted)
        .or_else(|| before.and_then(noted))
}

/// What a process has had of the folder so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grip {
    Nothing,
    Lock,
    /// What stood in it cannot be made anew: where there is none any more, somebody has taken it away.
    Database,
}

/// How the database is opened again: the folder may have become usable only now.
fn opener(dir: PathBuf, mut grip: Grip, begun: u64) -> Opener {
    let mut lock = None;
    Box::new(move || {
        if grip == Grip::Nothing && lock.is_none() {
            folder::make(&dir)?;
            lock = Some(folder::lock(&dir)?);
        }
        let path = folder::state_file(&dir);
        let database = if !folder::is_absent(&path) {
            database::open_again(&path)?
        } else if grip == Grip::Database {
            return Err(StoreError::Damaged(GONE.to_owned()));
        } else {
            database::make(&dir, begun)?
        };
        grip = Grip::Database;
        Ok(database)
    })
}

fn open_on_disk(dir: &Path) -> Result<(Database, Saved), StoreError> {
    let path = folder::state_file(dir);
    let why = match path.symlink_metadata() {
        Ok(_) => match database::load(&path) {
            Err(StoreError::Damaged(why)) => why,
            other => return other,
        },
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return begin_without_file(dir);
        }
        Err(error) => return Err(folder::io("cannot look at", &path)(error)),
    };
    let last_known = modified_at(&path);
    let aside = folder::set_aside(dir)?;
    tracing::error!(file = %aside.display(), %why, "the state file cannot be used: it is set aside, and a new one begun");
    let saved = without_state(dir, Some(aside), why, last_known);
    Ok((database::make(dir, 1)?, saved))
}

/// The very first start, or one after something was taken away.
fn begin_without_file(dir: &Path) -> Result<(Database, Saved), StoreError> {
    let aside = folder::last_set_aside(dir);
    // One that cannot be read says all the same that there was something.
    if aside.is_none() && !checkpoint::is_there(dir) {
        return Ok((database::make(dir, 0)?, Saved::default()));
    }
    let last_known = aside.as_deref().and_then(modified_at);
    let saved = without_state(dir, aside, GONE.to_owned(), last_known);
    Ok((database::make(dir, 1)?, saved))
}

/// What a start has without a database: the checkpoint, or the knowledge that something is lost.
fn without_state(
    dir: &Path,
    aside: Option<PathBuf>,
    why: String,
    last_known: Option<Timestamp>,
) -> Saved {
    let checkpoint = checkpoint::read(dir);
    let start = match &checkpoint {
        Some(checkpoint) => Start::Recovered {
            aside,
            why,
            as_of: checkpoint.at,
        },
        None => Start::Lost {
            aside,
            why,
            last_known,
        },
    };
    let positions = checkpoint.map_or(Vec::new(), |checkpoint| checkpoint.positions);
    Saved {
        positions,
        start,
        ..Saved::default()
    }
}

/// The folder takes nothing: what it gives is read, and kept in memory.
fn open_in_memory(dir: &Path, error: &StoreError) -> Result<(View, Saved), StoreError> {
    let path = folder::state_file(dir);
    let (view, saved) = match database::load_copy(&path) {
        Ok((copy, saved)) => (View::Copy(copy), saved),
        Err(newer @ StoreError::Newer { .. }) => return Err(newer),
        Err(_) if folder::is_absent(&path) && !checkpoint::is_there(dir) => {
            (View::Closed, Saved::default())
        }
        Err(unreadable) => {
            let last_known = modified_at(&path);
            let saved = without_state(dir, None, unreadable.to_string(), last_known);
            (View::Closed, saved)
        }
    };
    let unusable = Some(error.to_string());
    Ok((view, Saved { unusable, ..saved }))
}

fn modified_at(path: &Path) -> Option<Timestamp> {
    let modified = path.symlink_metadata().ok()?.modified().ok()?;
    Some(clock::from_system(modified))
}
