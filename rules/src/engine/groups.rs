//! The groups of one rule: found by key, bounded in number, and known which of them has to go when
//! there is no room.

use std::collections::HashMap;
use std::sync::Arc;

use super::gone::Gone;
use super::group::Group;

/// A group's place among its rule's groups; free again when the group is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot(u32);

impl Slot {
    /// Its number, for tables beside the groups.
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// How much would be lost with a group. Within a rank the longest idle goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rank {
    /// It is kept for its past only.
    Parked,
    /// One hit, as far as anybody remembers: most values of a flood never come again.
    Young,
    /// It has come again.
    Known,
    /// Its alert is running.
    Firing,
}

const RANKS: usize = 4;

/// Groups by key, in the order of their last touch within each rank. All operations are O(1).
#[derive(Debug, Default)]
pub(super) struct Groups {
    by_key: HashMap<Arc<str>, Slot>,
    slots: Vec<Option<Box<Held>>>,
    free: Vec<Slot>,
    /// By rank: lists threaded through the slots.
    lists: [List; RANKS],
    /// What had to go; not there before anything did.
    gone: Option<Gone>,
}

#[derive(Debug)]
struct Held {
    key: Arc<str>,
    group: Group,
    before: Option<Slot>,
    after: Option<Slot>,
    rank: Rank,
}

#[derive(Clone, Copy, Debug, Default)]
struct List {
    oldest: Option<Slot>,
    newest: Option<Slot>,
    len: usize,
}

impl Groups {
    /// The group with this key.
    pub(super) fn find(&self, key: &str) -> Option<Slot> {
        self.by_key.get(key).copied()
    }

    /// The group in a slot that `find` or `insert` gave.
    pub(super) fn get(&self, slot: Slot) -> Option<(&str, &Group)> {
        self.held(slot).map(|held| (&*held.key, &held.group))
    }

    /// The group in a slot that `find` or `insert` gave.
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Group> {
        self.held_mut(slot).map(|held| &mut held.group)
    }

    /// The group in a slot that `find` or `insert` gave, with its key.
    pub(super) fn get_with_key(&mut self, slot: Slot) -> Option<(&str, &mut Group)> {
        self.held_mut(slot)
            .map(|held| (&*held.key, &mut held.group))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// All of them, in no order that means anything but the same one for the same history.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Group)> {
        let slots = (0u32..).map(Slot).zip(&self.slots);
        slots.filter_map(|(slot, held)| Some((slot, &held.as_ref()?.group)))
    }

    /// Adds a group as the one touched last. One that had to go lately is no stranger.
    pub(super) fn insert(&mut self, key: &str, group: Group) -> Slot {
        let came_before = self.gone.as_ref().is_some_and(|gone| gone.may_hold(key));
        let rank = if came_before || group.has_come_again() {
            Rank::Known
        } else {
            Rank::Young
        };
        let held = Held {
            key: key.into(),
            group,
            before: None,
            after: None,
            rank,
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Slot(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
        });
        self.by_key.insert(Arc::clone(&held.key), slot);
        self.slots[slot.index()] = Some(Box::new(held));
        self.append(slot, rank);
        slot
    }

    /// A group that was there has come again.
    pub(super) fn touch(&mut self, slot: Slot) {
        let rank = match self.held(slot).map(|held| held.rank) {
            Some(Rank::Firing) => Rank::Firing,
            _ => Rank::Known,
        };
        self.put(slot, rank);
    }

    /// A group's alert has started.
    pub(super) fn fires(&mut self, slot: Slot) {
        self.put(slot, Rank::Firing);
    }

    /// A group's alert is over.
    pub(super) fn has_ended(&mut self, slot: Slot) {
        if self
            .held(slot)
            .is_some_and(|held| held.rank == Rank::Firing)
        {
            self.put(slot, Rank::Known);
        }
    }

    /// Moves a group to those that are kept for their past only.
    pub(super) fn park(&mut self, slot: Slot) {
        self.put(slot, Rank::Parked);
    }

    /// Drops a group.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<(Arc<str>, Group)> {
        self.unlink(slot);
        let held = self.slots.get_mut(slot.index())?.take()?;
        self.by_key.remove(&held.key);
        self.free.push(slot);
        let Held { key, group, .. } = *held;
        Some((key, group))
    }

    /// Those that are idle longest, of those that may still matter and do not fire.
    pub(super) fn idle(&self) -> [Option<Slot>; 2] {
        [Rank::Young, Rank::Known].map(|rank| self.list(rank).oldest)
    }

    /// Of those that fire, the one that is idle longest.
    pub(super) fn oldest_firing(&self) -> Option<Slot> {
        self.list(Rank::Firing).oldest
    }

    /// The group that has to go where there is room for `most`: parked ones first, then those that
    /// came once, then those that came again, then those that fire. An eighth of the room is kept
    /// for each of the middle ones, so that neither a flood of alerts nor one of values that come
    /// twice leaves a newcomer no time to come again; and of those that came again at least `known`.
    pub(super) fn least(&self, most: usize, known: usize) -> Option<Slot> {
        let share = most / 8;
        let oldest = |rank: Rank| self.list(rank).oldest;
        let above = |rank: Rank, share: usize| oldest(rank).filter(|_| self.list(rank).len > share);
        oldest(Rank::Parked)
            .or_else(|| above(Rank::Young, share))
            .or_else(|| above(Rank::Known, share.max(known)))
            .or_else(|| oldest(Rank::Firing))
            .or_else(|| oldest(Rank::Known))
            .or_else(|| oldest(Rank::Young))
    }

    /// A group is about to go because there is room for `most` only.
    pub(super) fn note_gone(&mut self, slot: Slot, most: usize) {
        let Some(key) = self.held(slot).map(|held| Arc::clone(&held.key)) else {
            return;
        };
        self.gone.get_or_insert_with(|| Gone::new(most)).add(&key);
    }

    fn held(&self, slot: Slot) -> Option<&Held> {
        self.slots.get(slot.index())?.as_deref()
    }

    fn held_mut(&mut self, slot: Slot) -> Option<&mut Held> {
        self.slots.get_mut(slot.index())?.as_deref_mut()
    }

    fn list(&self, rank: Rank) -> &List {
        &self.lists[rank as usize]
    }

    fn list_mut(&mut self, rank: Rank) -> &mut List {
        &mut self.lists[rank as usize]
    }

    fn put(&mut self, slot: Slot, rank: Rank) {
        if self.held(slot).is_some() {
            self.unlink(slot);
            self.append(slot, rank);
        }
    }

    fn unlink(&mut self, slot: Slot) {
        let Some(held) = self.held(slot) else { return };
        let (before, after, rank) = (held.before, held.after, held.rank);
        self.list_mut(rank).len -= 1;
        match before {
            Some(before) => {
                if let Some(held) = self.held_mut(before) {
                    held.after = after;
                }
            }
            None => self.list_mut(rank).oldest = after,
        }
        match after {
            Some(after) => {
                if let Some(held) = self.held_mut(after) {
                    held.before = before;
                }
            }
            None => self.list_mut(rank).newest = before,
        }
    }

    fn append(&mut self, slot: Slot, rank: Rank) {
        let list = self.list_mut(rank);
        list.len += 1;
        let newest = list.newest.replace(slot);
        match newest {
            Some(newest) => {
                if let Some(held) = self.held_mut(newest) {
                    held.after = Some(slot);
                }
            }
            None => self.list_mut(rank).oldest = Some(slot),
        }
        if let Some(held) = self.held_mut(slot) {
            (held.before, held.after, held.rank) = (newest, None, rank);
        }
    }
}
