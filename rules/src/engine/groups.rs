//! The groups of one rule: found by key, bounded in number, the longest idle known.

use std::collections::HashMap;

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

/// Groups by key, in the order of their last touch. All operations are O(1).
///
/// The order is two lists threaded through the slots: groups that may still matter, and parked
/// ones, which are kept for their past only.
#[derive(Debug, Default)]
pub(super) struct Groups {
    by_key: HashMap<Box<str>, Slot>,
    slots: Vec<Option<Held>>,
    free: Vec<Slot>,
    active: List,
    parked: List,
}

#[derive(Debug)]
struct Held {
    key: Box<str>,
    group: Group,
    before: Option<Slot>,
    after: Option<Slot>,
    parked: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct List {
    oldest: Option<Slot>,
    newest: Option<Slot>,
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

    /// Adds a group as the one touched last.
    pub(super) fn insert(&mut self, key: &str, group: Group) -> Slot {
        let held = Held {
            key: key.into(),
            group,
            before: None,
            after: None,
            parked: false,
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            Slot(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
        });
        self.by_key.insert(held.key.clone(), slot);
        self.slots[slot.0 as usize] = Some(held);
        self.append(slot, false);
        slot
    }

    /// Makes a group the one touched last.
    pub(super) fn touch(&mut self, slot: Slot) {
        self.unlink(slot);
        self.append(slot, false);
    }

    /// Moves a group to those that are kept for their past only.
    pub(super) fn park(&mut self, slot: Slot) {
        self.unlink(slot);
        self.append(slot, true);
    }

    /// Drops a group.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<(Box<str>, Group)> {
        self.unlink(slot);
        let held = self.slots.get_mut(slot.0 as usize)?.take()?;
        self.by_key.remove(&held.key);
        self.free.push(slot);
        Some((held.key, held.group))
    }

    /// The longest idle of those that may still matter.
    pub(super) fn oldest_active(&self) -> Option<Slot> {
        self.active.oldest
    }

    /// The longest idle of all.
    pub(super) fn oldest(&self) -> Option<Slot> {
        self.parked.oldest.or(self.active.oldest)
    }

    fn held(&self, slot: Slot) -> Option<&Held> {
        self.slots.get(slot.0 as usize)?.as_ref()
    }

    fn held_mut(&mut self, slot: Slot) -> Option<&mut Held> {
        self.slots.get_mut(slot.0 as usize)?.as_mut()
    }

    fn list(&mut self, parked: bool) -> &mut List {
        if parked {
            &mut self.parked
        } else {
            &mut self.active
        }
    }

    fn unlink(&mut self, slot: Slot) {
        let Some(held) = self.held(slot) else { return };
        let (before, after, parked) = (held.before, held.after, held.parked);
        match before {
            Some(before) => {
                if let Some(held) = self.held_mut(before) {
                    held.after = after;
                }
            }
            None => self.list(parked).oldest = after,
        }
        match after {
            Some(after) => {
                if let Some(held) = self.held_mut(after) {
                    held.before = before;
                }
            }
            None => self.list(parked).newest = before,
        }
    }

    fn append(&mut self, slot: Slot, parked: bool) {
        let newest = self.list(parked).newest.replace(slot);
        match newest {
            Some(newest) => {
                if let Some(held) = self.held_mut(newest) {
                    held.after = Some(slot);
                }
            }
            None => self.list(parked).oldest = Some(slot),
        }
        if let Some(held) = self.held_mut(slot) {
            (held.before, held.after, held.parked) = (newest, None, parked);
        }
    }
}
