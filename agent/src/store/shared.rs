//! What the one writer and all readers share: the open database, and what stands in memory only.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use lapwing_rules::model::Timestamp;
use redb::Database;

use super::adrift::Adrift;
use super::steady::Steady;
use super::{StoreError, database};
use crate::clock;

/// The database that the one writer and all readers share, and what stands in memory only.
pub(super) struct Shared {
    pub(super) view: RwLock<View>,
    pub(super) adrift: RwLock<Adrift>,
    steady: Steady,
}

/// What there is to read from.
pub(super) enum View {
    /// The database itself.
    Open(Database),
    /// What was read of it when it could not be written to: for readers only.
    Copy(Database),
    /// Nothing, until it could be opened again: redb refuses all work after an I/O error, also
    /// when the disk is well.
    Closed,
}

impl Shared {
    /// Nothing stands in memory yet.
    pub(super) fn new(view: View) -> Self {
        let last = match &view {
            View::Open(database) | View::Copy(database) => database::last_moment(database).ok(),
            View::Closed => None,
        };
        Self {
            view: RwLock::new(view),
            adrift: RwLock::default(),
            steady: Steady::resume(last.flatten(), clock::now(), clock::monotonic()),
        }
    }

    /// Steady time, now.
    pub(super) fn steady_now(&self) -> Timestamp {
        self.steady.at(clock::monotonic())
    }

    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let guard = self.view.read().unwrap_or_else(PoisonError::into_inner);
        match &*guard {
            View::Open(database) | View::Copy(database) => {
                work(database).map_err(StoreError::from_database)
            }
            View::Closed => Err(StoreError::Database("closed after a failure".to_owned())),
        }
    }

    pub(super) fn set(&self, view: View) {
        let mut guard = self.view.write().unwrap_or_else(PoisonError::into_inner);
        *guard = view;
    }

    pub(super) fn adrift(&self) -> RwLockReadGuard<'_, Adrift> {
        self.adrift.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only the store's thread asks for this.
    pub(super) fn adrift_mut(&self) -> RwLockWriteGuard<'_, Adrift> {
        self.adrift.write().unwrap_or_else(PoisonError::into_inner)
    }
}
