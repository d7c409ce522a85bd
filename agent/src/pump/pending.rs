//! What will be in the next commit, but for the groups, which the engine keeps.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use super::orders::Answer;
use super::pace::Urgency;
use crate::clock;
use crate::inputs::{Position, PositionKey, Receipt};
use crate::store::{Commit, GroupRecord, Routed};

/// Notifications that may wait in memory for a disk that takes none, when the store, too, has no
/// more room for them in memory.
const MOST_UNTOLD: usize = 10_000;
/// Bytes of them.
const MOST_UNTOLD_BYTES: u64 = 32 * 1024 * 1024;

/// See the file's head.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) positions: HashMap<PositionKey, Position>,
    pub(super) forgotten: HashSet<PositionKey>,
    /// Saved groups that the engine does not know.
    pub(super) stale: Vec<GroupRecord>,
    /// Records by name.
    pub(super) notes: BTreeMap<String, Vec<u8>>,
    /// Told when all of it is durable.
    pub(super) answers: Vec<Answer>,
    notifications: Vec<Routed>,
    bytes: u64,
    /// Who waits for this commit.
    pub(super) receipts: Vec<Receipt>,
    pub(super) since: Option<Instant>,
    pub(super) is_urgent: bool,
}

impl Pending {
    /// Something changed now.
    pub(super) fn touch(&mut self) {
        self.since.get_or_insert_with(clock::monotonic);
    }

    /// A file was read on.
    pub(super) fn moved(&mut self, position: Position) {
        self.forgotten.remove(&position.key);
        self.positions.insert(position.key.clone(), position);
        self.touch();
    }

    /// A file is gone.
    pub(super) fn forget(&mut self, key: PositionKey) {
        self.positions.remove(&key);
        self.forgotten.insert(key);
        self.touch();
    }

    /// There is something to tell.
    pub(super) fn tell(&mut self, routed: Routed) {
        self.bytes += routed.bytes();
        self.notifications.push(routed);
        self.is_urgent = true;
        self.touch();
    }

    /// Whether something waits to be told.
    pub(super) fn has_news(&self) -> bool {
        !self.notifications.is_empty()
    }

    /// Whether no more can be taken before some of it is gone.
    pub(super) fn is_full(&self) -> bool {
        self.notifications.len() > MOST_UNTOLD || self.bytes > MOST_UNTOLD_BYTES
    }

    pub(super) fn urgency(&self) -> Urgency {
        if self.is_urgent {
            Urgency::Urgent
        } else {
            Urgency::Plain
        }
    }

    /// A commit of all of it, and of `groups`; who waits for it is taken before.
    pub(super) fn take(&mut self, groups: impl Iterator<Item = GroupRecord>) -> Commit {
        let pending = std::mem::take(self);
        Commit {
            positions: pending.positions.into_values().collect(),
            forgotten: pending.forgotten.into_iter().collect(),
            groups: pending.stale.into_iter().chain(groups).collect(),
            notifications: pending.notifications,
            notes: pending.notes,
        }
    }

    /// A commit of the notifications alone.
    pub(super) fn take_news(&mut self) -> Commit {
        self.bytes = 0;
        Commit {
            notifications: std::mem::take(&mut self.notifications),
            ..Commit::default()
        }
    }

    /// Puts back the positions that could not be committed, below what has come since.
    pub(super) fn take_back(&mut self, commit: &Commit) {
        for position in &commit.positions {
            if !self.forgotten.contains(&position.key) {
                self.positions
                    .entry(position.key.clone())
                    .or_insert_with(|| position.clone());
            }
        }
        for (name, note) in &commit.notes {
            self.notes
                .entry(name.clone())
                .or_insert_with(|| note.clone());
        }
        for key in &commit.forgotten {
            if !self.positions.contains_key(key) {
                self.forgotten.insert(key.clone());
            }
        }
        self.touch();
    }

    /// Puts back the notifications that could not be committed, before those that have come since.
    pub(super) fn take_back_news(&mut self, commit: &Commit) {
        self.bytes += commit.notifications.iter().map(Routed::bytes).sum::<u64>();
        self.is_urgent |= !commit.notifications.is_empty();
        self.notifications
            .splice(0..0, commit.notifications.iter().cloned());
    }
}
