//! What each output did since the start: plain numbers for a status page and for metrics.

use std::sync::{Mutex, MutexGuard, PoisonError};

use lapwing_rules::model::Timestamp;

/// Counted since the worker started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Notifications that the other side took.
    pub delivered: u64,
    /// Tries that failed and are made again.
    pub failed: u64,
    /// Notifications that the other side will never take.
    pub rejected: u64,
    /// Notifications that another output was told of instead.
    pub fallback: u64,
    /// Notifications that grew too old.
    pub expired: u64,
    /// Notifications that a full queue lost.
    pub dropped: u64,
    /// When something was last delivered, wall clock.
    pub delivered_at: Option<Timestamp>,
    /// Why the last try failed; `None` when it did not. Harmless text without secrets.
    pub last_error: Option<String>,
    /// When the last failure was, wall clock.
    pub failed_at: Option<Timestamp>,
    /// After a failure nothing is tried before, wall clock; `None`: it may be tried at any time.
    pub next_try_at: Option<Timestamp>,
    /// Notifications that it fails at while it takes others, and those of the same alerts behind them.
    pub aside: u64,
}

/// Shared between a worker and those who look.
#[derive(Debug, Default)]
pub(super) struct Stats(Mutex<Counts>);

impl Stats {
    /// Held for a few assignments only.
    pub(super) fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
