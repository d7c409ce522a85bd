//! What survives a restart: one redb database, one transaction for all that belongs together.
//!
//! Takes [`Commit`]s from the pump and [`Settlement`]s from the outputs, gives what was saved at
//! the start and what waits for an output. Knows nothing of rules, lines or HTTP.
//!
//! | file | owns |
//! | --- | --- |
//! | `open`, `folder`, `database` | what to begin with; the folder's lock and names; the redb file |
//! | `write`, `read`, `record`, `tables` | the transaction, its readers, the format |
//! | `run`, `failing` | the thread; what it does while the disk takes nothing |
//! | `adrift` | what is told from memory meanwhile |
//! | `checkpoint` | the second copy of the positions |
//! | `backend` | room for the file, taken before it is needed |
//! | `health`, `error` | how it all fares, for those who look; what can be wrong |
//! | `shared`, `steady` | what the writer and the readers share; by which clock what waits grows old |
//!
//! # The disk format, version 1
//!
//! In the state folder (0750) lie `lock` (held with flock for as long as the agent lives, empty; its time of change is `committed_at` or `committed_before` if anything was told that could not be saved after that, and its time of access then is that of when this began),
//! `state.redb` (0600) and `positions` (0600, see `checkpoint`). A database that cannot be read
//! becomes `state.redb.damaged-<unix seconds>`; `state.redb.new` is one that was not finished.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `meta` | name | number: `format` = 1; `begun` = 1 once anything was committed; `committed_at` = when something was last, unix nanoseconds; `committed_before` = the same of the commit before, for one that is said to have failed may stand there all the same; `steady_at` = when that was in steady time (`steady`), as nanoseconds; `next` = the next notification's key; `settled_bytes` = sum over `settled` |
//! | `positions` | input, device, inode | JSON: `v`, `path` (or `path_bytes` where it is not UTF-8), `offset`, `head`, `tail`, `seen_at`, `done`, `memory` |
//! | `groups` | rule, group | the engine's own JSON, opaque here |
//! | `windows` | rule, group, number | a part of a large window, the engine's own, opaque here |
//! | `notes` | name | a small record, opaque here: `silences`, `habits`, `digests`, `pace OUTPUT` |
//! | `notifications` | key, counting up from 1, never used again | JSON: `v`, `queued_at`, `steady_at`, `outputs`, `notification` |
//! | `said` | alert id, seq | the notification's key: what makes a repeated commit harmless |
//! | `outbox` | output, notification | JSON: `v`, `bytes`, `attempts`, `last_error`: it waits |
//! | `deliveries` | notification, output | JSON: `v`, `outcome`, `attempts`, `last_error`, `place`, `at`: it is settled |
//! | `queues` | output | rows and bytes in `outbox` |
//! | `settled` | notification | `queued_at` in unix seconds, bytes: no output waits for it any more, it is history |
//!
//! JSON records bear a version `v`; fields may be added without a new one, readers ignore what
//! they do not know. A change that old readers would misread raises `format`.

mod adrift;
mod backend;
mod checkpoint;
mod database;
mod error;
mod failing;
mod folder;
mod health;
mod open;
mod read;
mod record;
mod run;
mod shared;
mod steady;
mod tables;
mod write;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use lapwing_rules::model::{Notification, Timestamp};
use redb::Database;

use crate::clock;
use crate::inputs::{Position, PositionKey};
use shared::{Shared, View};
use steady::Moment;

pub use error::StoreError;
pub use health::{Dropped, Failing, Health, HealthView, Start};
pub use read::{Delivery, Pending, QueueSize, Reader, Recorded, Waiting};
pub use run::{Done, Reply, StoreMessage, run};

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
    /// Small records by name, opaque to the store.
    pub notes: BTreeMap<String, Vec<u8>>,
}

/// The saved state of one rule's group: opaque to the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupRecord {
    /// The rule's name.
    pub rule: String,
    /// The group's key, any text.
    pub group: String,
    /// JSON; `None`: the group is gone, with all parts of its window.
    pub state: Option<Vec<u8>>,
    /// Parts of its window, by number. In a commit: those that are new or changed. In what was
    /// saved: all.
    pub parts: BTreeMap<u64, Vec<u8>>,
    /// Parts of a lower number are gone.
    pub first_part: u64,
}

/// A notification and the outputs that it goes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Routed {
    /// What to say.
    pub notification: Notification,
    /// Names of outputs; empty: recorded only.
    pub outputs: Vec<String>,
}

impl Routed {
    /// About as many bytes as it takes in memory: samples and their neighbours are nearly all.
    pub fn bytes(&self) -> u64 {
        const THE_REST: usize = 1024;
        let lines = self.notification.samples.iter().map(|sample| {
            let neighbours = sample.before.iter().chain(&sample.after).map(String::len);
            sample.line.len() + sample.source.len() + neighbours.sum::<usize>()
        });
        (THE_REST + lines.sum::<usize>()) as u64
    }
}

/// What was found in the state folder.
#[derive(Debug, Default)]
pub struct Saved {
    /// How far each file was read.
    pub positions: Vec<Position>,
    /// Every group with a state.
    pub groups: Vec<GroupRecord>,
    /// Small records by name.
    pub notes: BTreeMap<String, Vec<u8>>,
    /// What there was to begin with. An agent that has come up commits at once, with an empty
    /// [`Commit`] where there is nothing to say, so that the next start is not taken for the first.
    pub start: Start,
    /// When anything was last committed, wall clock; `None`: never, or nobody knows.
    pub committed_at: Option<Timestamp>,
    /// Set when the last agent told what it could not save: when anything had been committed, as it
    /// found that out.
    pub unsaved_after: Option<Timestamp>,
    /// Why nothing can be saved now: the agent works in memory. To be said loudly.
    pub unusable: Option<String>,
}

impl Saved {
    /// Where the old database lies, when it could not be used.
    pub fn set_aside(&self) -> Option<&Path> {
        match &self.start {
            Start::Recovered { aside, .. } | Start::Lost { aside, .. } => aside.as_deref(),
            Start::Fresh | Start::Resumed => None,
        }
    }
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
    /// With [`Outcome::Fallback`]: the output that it goes to instead.
    pub to: Option<String>,
    /// With [`Outcome::Delivered`]: what the service needs to be told to say more about it.
    pub place: Option<String>,
}

impl Settlement {
    /// One that goes nowhere else, and has no place.
    pub fn new(
        output: &str,
        key: u64,
        outcome: Outcome,
        attempts: u32,
        last_error: Option<String>,
    ) -> Self {
        Self {
            output: output.to_owned(),
            key,
            outcome,
            attempts,
            last_error,
            to: None,
            place: None,
        }
    }
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
    /// Another output is told instead.
    Fallback,
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

/// How the database is opened again after a failure.
type Opener = Box<dyn FnMut() -> Result<Database, StoreError> + Send>;

/// The one writer.
pub struct Store {
    shared: Arc<Shared>,
    health: Arc<Health>,
    reopen: Opener,
    /// Bytes that may wait for an output, by its name.
    limits: BTreeMap<String, u64>,
    /// Where the checkpoint goes; `None`: nowhere.
    folder: Option<PathBuf>,
    /// When the transaction became durable that the next one builds on.
    committed_at: Option<Timestamp>,
    /// Held until the store is dropped.
    lock: Option<std::fs::File>,
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
        self.shared.set(View::Closed);
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

    /// How it fares, for those who look.
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
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

    /// Both, any number of each, in one durable transaction; what stands in memory only comes
    /// first, then commits, in order.
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
        let began = clock::monotonic();
        self.ensure_open()?;
        let result = {
            let view = self
                .shared
                .view
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            let View::Open(database) = &*view else {
                return Err(StoreError::Database("closed".to_owned()));
            };
            let work = write::Work {
                adrift: &self.shared.adrift(),
                commits,
                settlements,
                limits: &self.limits,
                now: Moment {
                    wall: now,
                    steady: self.shared.steady_now(),
                },
                last: self.committed_at,
            };
            work.apply(database).map_err(StoreError::from_database)
        };
        match result {
            Ok((report, keys)) => {
                self.shared.adrift_mut().recorded(keys);
                self.committed_at = Some(now);
                self.note_success(&report, now, clock::monotonic() - began);
                Ok(report)
            }
            Err(error) => {
                // Nothing that redb holds in memory can be trusted, and a failed sync is never
                // taken for a good one: the file is opened and checked anew, for readers at once.
                self.shared.set(View::Closed);
                if !matches!(error, StoreError::Damaged(_)) && self.ensure_open().is_err() {
                    self.read_from_copy();
                }
                Err(error)
            }
        }
    }

    /// What waits on a disk that takes nothing can be delivered all the same.
    fn read_from_copy(&self) {
        if let Some(dir) = &self.folder
            && let Ok((copy, _)) = database::load_copy(&folder::state_file(dir))
        {
            self.shared.set(View::Copy(copy));
        }
    }

    fn note_success(&self, report: &Report, now: Timestamp, took: Duration) {
        let file = self.folder.as_deref().map(folder::state_file);
        let size = file.and_then(|file| file.metadata().ok());
        let dropped: u64 = report.dropped.values().sum();
        let in_memory = self.shared.adrift().size();
        self.health.change(|view| {
            view.committed_at = Some(now);
            view.took = took;
            view.commits += 1;
            view.failing = None;
            view.in_memory = in_memory;
            view.dropped.queue_full += dropped;
            view.state_bytes = size.map_or(view.state_bytes, |size| size.len());
        });
    }

    /// Queues again, up to 1,000 at a time, newest first, what was rejected, dropped or grew too
    /// old; see [`StoreMessage::Resend`]. `repeated` of the report says how many.
    ///
    /// # Errors
    ///
    /// As for [`Store::commit`].
    pub fn resend(
        &mut self,
        output: Option<&str>,
        id: Option<&str>,
        now: Timestamp,
    ) -> Result<Report, StoreError> {
        self.ensure_open()?;
        let now = Moment {
            wall: now,
            steady: self.shared.steady_now(),
        };
        self.shared
            .read(|database| write::resend(database, output, id, now))
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
            .read(|database| read::orphans(database, known, before))?;
        if orphans.is_empty() {
            return Ok(Report::default());
        }
        let report = self.settle(&orphans, now)?;
        self.health
            .change(|view| view.dropped.orphaned += orphans.len() as u64);
        Ok(report)
    }

    /// Whether the database itself is open.
    fn is_open(&self) -> bool {
        let view = self.shared.view.read();
        matches!(
            &*view.unwrap_or_else(PoisonError::into_inner),
            View::Open(_)
        )
    }

    fn ensure_open(&mut self) -> Result<(), StoreError> {
        if !self.is_open() {
            let database = (self.reopen)()?;
            // A transaction that failed may be there all the same.
            self.committed_at = database::committed_at(&database).unwrap_or(self.committed_at);
            self.shared.set(View::Open(database));
        }
        Ok(())
    }
}
