//! What survives a restart: one redb database, one transaction for all that belongs together.
//!
//! Takes [`Commit`]s from the pump and [`Settlement`]s from the outputs, gives what was saved at
//! the start and what waits for an output. Knows nothing of rules, lines or HTTP.
//!
//! # The disk format, version 1
//!
//! In the state folder (0750) lie `lock` (held with flock for as long as the agent lives, empty)
//! and `state.redb` (0600). A database that cannot be read becomes
//! `state.redb.damaged-<unix seconds>`; `state.redb.new` is one that was not finished.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `meta` | name | number: `format` = 1; `begun` = 1 once anything was committed; `next` = the next notification's key; `settled_bytes` = sum over `settled` |
//! | `positions` | input, device, inode | JSON: `v`, `path` (or `path_bytes` where it is not UTF-8), `offset`, `head`, `tail`, `seen_at`, `memory` |
//! | `groups` | rule, group | the engine's own JSON, opaque here |
//! | `notifications` | key, counting up from 1, never used again | JSON: `v`, `queued_at`, `outputs`, `notification` |
//! | `said` | alert id, seq | the notification's key: what makes a repeated commit harmless |
//! | `outbox` | output, notification | JSON: `v`, `bytes`, `attempts`, `last_error`: it waits |
//! | `deliveries` | notification, output | JSON: `v`, `outcome`, `attempts`, `last_error`, `at`: it is settled |
//! | `queues` | output | rows and bytes in `outbox` |
//! | `settled` | notification | `queued_at` in unix seconds, bytes: no output waits for it any more, it is history |
//!
//! JSON records bear a version `v`; fields may be added without a new one, readers ignore what
//! they do not know. A change that old readers would misread raises `format`.

mod open;
mod read;
mod record;
mod run;
mod tables;
mod write;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use lapwing_rules::model::{Notification, Timestamp};
use redb::Database;

use crate::inputs::{Position, PositionKey};

pub use read::{Delivery, Pending, QueueSize, Reader, Recorded, Waiting};
pub use run::{Reply, StoreMessage, run};

/// Everything that one stretch of lines caused; durable as a whole or not at all.
#[derive(Debug, Default)]
pub struct Commit {
    /// New positions, one a key.
    pub positions: Vec<Position>,
    /// Positions of no more use.
    pub forgotten: Vec<PositionKey>,
    /// Groups whose window or alert changed.
    pub groups: Vec<GroupRecord>,
    /// What there is to tell.
    pub notifications: Vec<Routed>,
}

/// The saved state of one rule's group: opaque to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    /// The rule's name.
    pub rule: String,
    /// The group's key, any text.
    pub group: String,
    /// JSON; `None`: the group is gone.
    pub state: Option<Vec<u8>>,
}

/// A notification and the outputs that it goes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Routed {
    /// What to say.
    pub notification: Notification,
    /// Names of outputs; empty: recorded only.
    pub outputs: Vec<String>,
}

/// What was found in the state folder.
#[derive(Debug, Default)]
pub struct Saved {
    /// How far each file was read.
    pub positions: Vec<Position>,
    /// Every group with a state.
    pub groups: Vec<GroupRecord>,
    /// Nothing was ever committed here: the very first start. An agent that has come up commits
    /// at once, with an empty [`Commit`] where there is nothing to say, so that the next start is
    /// not taken for the first.
    pub first_start: bool,
    /// Where the old database lies, when it could not be read. To be said loudly.
    pub set_aside: Option<PathBuf>,
}

/// What became of one notification at one output, or of one more try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The output's name.
    pub output: String,
    /// [`Pending::key`].
    pub key: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// Tries so far, over all restarts.
    pub attempts: u32,
    /// Why the last try failed; harmless text without secrets.
    pub last_error: Option<String>,
}

/// What became of a notification at an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The other side has it.
    Delivered,
    /// The other side does not want it, or the queue was full: never tried again.
    Rejected,
    /// It grew too old.
    Expired,
    /// Not yet: it stays, and the next try comes later.
    Waiting,
}

/// What a durable transaction changed for the outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Outputs that have something new to deliver, in order, each once.
    pub queued: Vec<String>,
    /// Notifications that stood there already and were not queued again.
    pub repeated: u64,
    /// How many notifications a full queue lost, by output.
    pub dropped: BTreeMap<String, u64>,
}

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The lock on the folder is held.
    #[error("another lapwing uses this state folder")]
    Locked,
    /// The disk, or permissions.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, with the path.
        what: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// What is on disk makes no sense.
    #[error("the state file is damaged: {0}")]
    Damaged(String),
    /// Anything else that the database says.
    #[error("the state database: {0}")]
    Database(String),
}

impl StoreError {
    pub(super) fn from_database(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::Locked,
            redb::Error::Io(source) => match source.kind() {
                // That is how a file that ends too early, or holds nonsense, shows itself.
                std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof => {
                    Self::Damaged(source.to_string())
                }
                _ => Self::Io {
                    what: "the state file".to_owned(),
                    source,
                },
            },
            redb::Error::Corrupted(what) => Self::Damaged(what),
            error @ (redb::Error::UpgradeRequired(_)
            | redb::Error::TableDoesNotExist(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. }) => Self::Damaged(error.to_string()),
            other => Self::Database(other.to_string()),
        }
    }
}

/// The database that the one writer and all readers share. `None` after a failure, until it
/// could be opened again: redb refuses all work after an I/O error, also when the disk is well.
struct Shared {
    database: RwLock<Option<Database>>,
}

impl Shared {
    fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let guard = self.database.read().unwrap_or_else(PoisonError::into_inner);
        match guard.as_ref() {
            Some(database) => work(database).map_err(StoreError::from_database),
            None => Err(StoreError::Database("closed after a failure".to_owned())),
        }
    }
}

/// How the database is opened again after a failure.
type Opener = Box<dyn Fn() -> Result<Database, StoreError> + Send>;

/// The one writer.
pub struct Store {
    shared: Arc<Shared>,
    reopen: Opener,
    /// Bytes that may wait for an output, by its name.
    limits: BTreeMap<String, u64>,
    /// Held until the store is dropped.
    _lock: Option<std::fs::File>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Readers may live on; the file is closed in order all the same, and free for the next agent.
impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

impl Store {
    /// What may wait for an output that [`Store::set_queue_limits`] does not name, in bytes of
    /// JSON.
    pub const DEFAULT_QUEUE_BYTES: u64 = 64 * 1024 * 1024;

    /// How many bytes may wait for each output. When there are more, the oldest is dropped (but
    /// not the very first, which may be on its way), counted and recorded as rejected.
    pub fn set_queue_limits(&mut self, limits: BTreeMap<String, u64>) {
        self.limits = limits;
    }

    /// A cheap handle for those who read.
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.shared))
    }

    /// Makes `commit` durable. A notification whose id and seq stand there already is not queued
    /// again. `now`: wall clock, becomes `queued_at`.
    ///
    /// # Errors
    ///
    /// Nothing of it may be taken as done; the same commit can be tried again.
    pub fn commit(&mut self, commit: &Commit, now: Timestamp) -> Result<Report, StoreError> {
        self.apply(&[commit], &[], now)
    }

    /// Makes outcomes durable. One for a row that does not wait any more changes nothing.
    ///
    /// # Errors
    ///
    /// As for [`Store::commit`].
    pub fn settle(
        &mut self,
        settlements: &[Settlement],
        now: Timestamp,
    ) -> Result<Report, StoreError> {
        self.apply(&[], settlements, now)
    }

    /// Both, any number of each, in one durable transaction; commits first, in order.
    ///
    /// # Errors
    ///
    /// As for [`Store::commit`].
    pub fn apply(
        &mut self,
        commits: &[&Commit],
        settlements: &[Settlement],
        now: Timestamp,
    ) -> Result<Report, StoreError> {
        self.ensure_open()?;
        let limits = &self.limits;
        let result = self
            .shared
            .with(|database| write::apply(database, commits, settlements, limits, now));
        if result.is_err() {
            self.close();
        }
        result
    }

    /// Gives up, 1,000 at a time, what has waited since before `before` for outputs that are not in `known`: nobody
    /// will ever take it.
    ///
    /// # Errors
    ///
    /// As for [`Store::commit`].
    pub fn retire(
        &mut self,
        known: &[String],
        before: Timestamp,
        now: Timestamp,
    ) -> Result<Report, StoreError> {
        let orphans = self
            .shared
            .with(|database| read::orphans(database, known, before))?;
        if orphans.is_empty() {
            Ok(Report::default())
        } else {
            self.settle(&orphans, now)
        }
    }

    /// After a failure nothing that redb holds in memory can be trusted.
    fn close(&self) {
        let mut guard = self
            .shared
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *guard = None;
    }

    fn ensure_open(&self) -> Result<(), StoreError> {
        if self
            .shared
            .database
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
        {
            return Ok(());
        }
        let mut guard = self
            .shared
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if guard.is_none() {
            *guard = Some((self.reopen)()?);
        }
        Ok(())
    }
}
