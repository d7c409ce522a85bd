//! When each group is to be looked at again: one timer a group at the most.

use std::collections::BTreeSet;

use super::groups::Slot;
use crate::model::{RuleId, Timestamp};

/// Timers of all groups, in arrival time. One may be early, never late: most alerts get many hits
/// before one of their timers comes, and moving it each time would cost more than looking in vain.
#[derive(Debug)]
pub(super) struct Timers {
    queue: BTreeSet<(Timestamp, RuleId, Slot)>,
    /// By rule and slot.
    armed: Vec<Vec<Option<Timestamp>>>,
}

impl Timers {
    /// None armed, for so many rules.
    pub(super) fn new(rules: usize) -> Self {
        Self {
            queue: BTreeSet::new(),
            armed: vec![Vec::new(); rules],
        }
    }

    /// Looks at the group at `due` or before. O(log timers).
    pub(super) fn arm(&mut self, rule: RuleId, slot: Slot, due: Timestamp) {
        let armed = &mut self.armed[rule.0 as usize];
        if armed.len() <= slot.index() {
            armed.resize(slot.index() + 1, None);
        }
        let armed = &mut armed[slot.index()];
        if armed.is_some_and(|at| at <= due) {
            return;
        }
        if let Some(later) = armed.replace(due) {
            self.queue.remove(&(later, rule, slot));
        }
        self.queue.insert((due, rule, slot));
    }

    /// The group is gone.
    pub(super) fn disarm(&mut self, rule: RuleId, slot: Slot) {
        if let Some(armed) = self.armed[rule.0 as usize].get_mut(slot.index())
            && let Some(at) = armed.take()
        {
            self.queue.remove(&(at, rule, slot));
        }
    }

    /// The next group whose time has come by `now`, and when; its timer is gone.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, RuleId, Slot)> {
        let (at, rule, slot) = self
            .queue
            .first()
            .copied()
            .filter(|(due, _, _)| *due <= now)?;
        self.queue.pop_first();
        self.armed[rule.0 as usize][slot.index()] = None;
        Some((at, rule, slot))
    }

    /// The earliest timer.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.queue.first().map(|(due, _, _)| *due)
    }
}
