//! How the store fares: plain values for a status page, `doctor` and metrics. Written by the
//! store's thread, read by anybody; never waits for a disk.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lapwing_rules::model::Timestamp;

use super::QueueSize;

/// Shared between the store and those who look. See [`Health::view`].
#[derive(Debug, Default)]
pub struct Health(Mutex<HealthView>);

/// How the store fares at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthView {
    /// When something last became durable, wall clock; `None`: nothing has since the start.
    pub committed_at: Option<Timestamp>,
    /// How long that took, the sync included.
    pub took: Duration,
    /// Durable transactions since the start.
    pub commits: u64,
    /// Set while nothing can be saved.
    pub failing: Option<Failing>,
    /// Size of the database's file.
    pub state_bytes: u64,
    /// Notifications that stand in memory only, because the disk takes none.
    pub in_memory: QueueSize,
    /// What was lost, counted since the start.
    pub dropped: Dropped,
    /// What the start found.
    pub start: Start,
}

/// Nothing can be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Wall clock.
    pub since: Timestamp,
    /// Of the last try; names what was tried.
    pub error: String,
}

/// Notifications that were lost, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// More bytes waited for an output than its queue may hold. One for each output.
    pub queue_full: u64,
    /// Waited for a day for an output that is not configured any more.
    pub orphaned: u64,
    /// Delivered from memory, but too many to be kept there until they can be recorded: history
    /// lacks them.
    pub unrecorded: u64,
}

/// What the start found in the state folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// Nothing was ever committed there.
    #[default]
    Fresh,
    /// The state, whole.
    Resumed,
    /// A state file that cannot be used, and positions from the checkpoint beside it. Windows and
    /// running alerts begin anew; lines since `as_of` are read again.
    Recovered {
        /// Where the old file lies now; `None` where there was none, or it could not be moved.
        aside: Option<PathBuf>,
        /// What is wrong with it.
        why: String,
        /// Wall clock.
        as_of: Timestamp,
    },
    /// A state file that cannot be used, and no positions: files begin at their ends.
    Lost {
        /// As for [`Start::Recovered`].
        aside: Option<PathBuf>,
        /// What is wrong with it.
        why: String,
        /// When the old file was last written to, wall clock: lines from then on were not checked.
        last_known: Option<Timestamp>,
    },
}

impl Health {
    /// How it fares now.
    pub fn view(&self) -> HealthView {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Held for a few assignments only.
    pub(super) fn change(&self, change: impl FnOnce(&mut HealthView)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
