//! What is told although the disk takes nothing: notifications and outcomes that stand in memory
//! only, until a transaction can record them. Bounded; the store's thread alone writes here.
//!
//! An alert must not wait for a disk. What stands here is delivered like anything else and is
//! recorded, outcomes included, by the first transaction that succeeds. When the agent dies
//! before that, its lines are read again and the same notifications come of them, under the same
//! ids: at least once, which is what is promised.

use std::collections::{BTreeMap, HashMap};

use super::read::{Pending, QueueSize};
use super::steady::Moment;
use super::{Outcome, Routed, Settlement};

/// Keys of notifications that have none on disk yet: above all of those.
const FIRST_KEY: u64 = 1 << 63;
/// Notifications that may stand here.
const MOST_ROWS: usize = 10_000;
/// Bytes of their text that may stand here.
const MOST_BYTES: u64 = 32 * 1024 * 1024;
/// Keys remembered of notifications that were recorded while an output was sending them.
const MOST_MOVED: usize = 2 * MOST_ROWS;

/// Everything that stands in memory only.
#[derive(Debug, Default)]
pub(super) struct Adrift {
    given: u64,
    entries: BTreeMap<u64, Entry>,
    by_identity: HashMap<Identity, u64>,
    bytes: u64,
    /// The last word on notifications that are on disk, by output and key.
    outcomes: BTreeMap<(String, u64), Kept>,
    /// Where on disk those are that an output may still know by their key here.
    moved: BTreeMap<u64, u64>,
}

/// An alert's id and the notification's `seq`.
pub(super) type Identity = (String, u32);

/// An outcome that the disk did not take.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) word: Settlement,
    /// What it is about, where that could be read. A transaction whose sync failed may be there or
    /// not when the file is opened again, and with it a key: what is recorded goes by this.
    pub(super) about: Option<Identity>,
}

/// One notification that stands in memory only.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) routed: Routed,
    pub(super) queued: Moment,
    bytes: u64,
    /// The last word of each output that has said one, under this entry's key.
    pub(super) words: BTreeMap<String, Settlement>,
}

/// There is no room for it, and nothing that could make room.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Entry {
    fn waits_for(&self, output: &str) -> bool {
        self.routed.outputs.iter().any(|name| name == output)
            && self
                .words
                .get(output)
                .is_none_or(|word| word.outcome == Outcome::Waiting)
    }

    fn is_settled(&self) -> bool {
        !self
            .routed
            .outputs
            .iter()
            .any(|output| self.waits_for(output))
    }
}

impl Adrift {
    /// Whether a key is one of those that are given here.
    pub(super) fn is_here(key: u64) -> bool {
        key >= FIRST_KEY
    }

    /// Takes a notification. One that stands here already is not taken again. When there is no
    /// room, those that every output has done with make way, the oldest first; gives how many.
    pub(super) fn take(&mut self, routed: &Routed, now: Moment) -> Result<u64, Full> {
        let notification = &routed.notification;
        let identity = (notification.id.clone(), notification.seq);
        if self.by_identity.contains_key(&identity) {
            return Ok(0);
        }
        let bytes = routed.bytes();
        let mut made_way = 0;
        while self.entries.len() >= MOST_ROWS || self.bytes + bytes > MOST_BYTES {
            let settled = self.entries.iter().find(|(_, entry)| entry.is_settled());
            let Some(key) = settled.map(|(key, _)| *key) else {
                return Err(Full);
            };
            self.remove(key);
            made_way += 1;
        }
        let key = FIRST_KEY + self.given;
        self.given += 1;
        self.bytes += bytes;
        let known = self.outcomes.values();
        let words = known
            .filter(|kept| kept.about.as_ref() == Some(&identity))
            .map(|kept| (kept.word.output.clone(), kept.word.clone()))
            .collect();
        self.by_identity.insert(identity, key);
        self.entries.insert(
            key,
            Entry {
                routed: routed.clone(),
                queued: now,
                bytes,
                words,
            },
        );
        Ok(made_way)
    }

    fn remove(&mut self, key: u64) -> Option<Entry> {
        let entry = self.entries.remove(&key)?;
        self.bytes -= entry.bytes;
        let notification = &entry.routed.notification;
        self.by_identity
            .remove(&(notification.id.clone(), notification.seq));
        Some(entry)
    }

    /// Takes an output's word on a notification that stands here; gives it back, under its key on
    /// disk, where the notification is there.
    pub(super) fn hear(&mut self, settlement: &Settlement) -> Option<Settlement> {
        if !Self::is_here(settlement.key) {
            return Some(settlement.clone());
        }
        if let Some(entry) = self.entries.get_mut(&settlement.key) {
            entry
                .words
                .insert(settlement.output.clone(), settlement.clone());
            return None;
        }
        let key = *self.moved.get(&settlement.key)?;
        Some(Settlement {
            key,
            ..settlement.clone()
        })
    }

    /// Keeps an outcome that the disk does not take: what is decided is not offered again. `about`:
    /// what it is about, where that can be read.
    pub(super) fn keep_outcome(&mut self, word: &Settlement, about: Option<Identity>) {
        let here = about.as_ref().and_then(|about| self.by_identity.get(about));
        if let Some(entry) = here.and_then(|key| self.entries.get_mut(key)) {
            entry.words.insert(word.output.clone(), word.clone());
        }
        let row = (word.output.clone(), word.key);
        let word = word.clone();
        self.outcomes.insert(row, Kept { word, about });
    }

    /// Whether a notification is offered from here, also when one that looks the same is on disk.
    pub(super) fn holds(&self, id: &str, seq: u32) -> bool {
        !self.by_identity.is_empty() && self.by_identity.contains_key(&(id.to_owned(), seq))
    }

    /// Whether an output has done with a notification that waits for it on disk.
    pub(super) fn is_decided(&self, output: &str, key: u64) -> bool {
        // A tuple of a borrowed text cannot be looked up in a map of owned ones; it is short.
        !self.outcomes.is_empty()
            && self
                .outcomes
                .get(&(output.to_owned(), key))
                .is_some_and(|kept| kept.word.outcome != Outcome::Waiting)
    }

    /// The oldest that waits for `output`.
    pub(super) fn next_pending(&self, output: &str) -> Option<Pending> {
        let (key, entry) = self
            .entries
            .iter()
            .find(|(_, entry)| entry.waits_for(output))?;
        let word = entry.words.get(output);
        Some(Pending {
            key: *key,
            notification: entry.routed.notification.clone(),
            attempts: word.map_or(0, |word| word.attempts),
            last_error: word.and_then(|word| word.last_error.clone()),
            queued_at: entry.queued.wall,
            waiting_since: entry.queued.steady,
            instead_of: None,
        })
    }

    /// What waits here for `output`.
    pub(super) fn queue(&self, output: &str) -> QueueSize {
        let waiting = self
            .entries
            .values()
            .filter(|entry| entry.waits_for(output));
        waiting.fold(QueueSize::default(), |sum, entry| QueueSize {
            rows: sum.rows + 1,
            bytes: sum.bytes + entry.bytes,
        })
    }

    /// Everything that stands here.
    pub(super) fn size(&self) -> QueueSize {
        QueueSize {
            rows: self.entries.len() as u64,
            bytes: self.bytes,
        }
    }

    /// Whether nothing is to be recorded.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.outcomes.is_empty()
    }

    /// All notifications, in the order of taking, with their keys here.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.entries.iter().map(|(key, entry)| (*key, entry))
    }

    /// All outcomes of what is on disk.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = &Kept> {
        self.outcomes.values()
    }

    /// Everything is on disk; `keys` says under which key each notification is.
    pub(super) fn recorded(&mut self, keys: Vec<(u64, u64)>) {
        for (here, on_disk) in keys {
            if self.remove(here).is_some_and(|entry| !entry.is_settled()) {
                self.moved.insert(here, on_disk);
            }
        }
        self.outcomes.clear();
        while self.moved.len() > MOST_MOVED {
            self.moved.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outputs::sample::{at, notification};

    fn routed(seq: u32, line: usize) -> Routed {
        let mut notification = notification();
        notification.seq = seq;
        for sample in &mut notification.samples {
            sample.line = "x".repeat(line);
        }
        Routed {
            notification,
            outputs: vec!["chat".to_owned(), "hook".to_owned()],
        }
    }

    fn word(output: &str, key: u64, outcome: Outcome) -> Settlement {
        Settlement::new(output, key, outcome, 2, None)
    }

    fn now() -> Moment {
        let at = at("2026-11-21T09:00:46Z");
        Moment {
            wall: at,
            steady: at,
        }
    }

    #[test]
    fn each_output_takes_its_own_in_order_and_what_is_said_again_is_not_taken_again() {
        let mut adrift = Adrift::default();
        for seq in [1, 2, 1] {
            assert_eq!(adrift.take(&routed(seq, 10), now()), Ok(0));
        }
        assert_eq!(adrift.size().rows, 2);
        let first = adrift.next_pending("chat").unwrap();
        assert_eq!(first.notification.seq, 1);
        assert_eq!(
            adrift.hear(&word("chat", first.key, Outcome::Waiting)),
            None
        );
        assert_eq!(adrift.next_pending("chat").unwrap().attempts, 2);
        adrift.hear(&word("chat", first.key, Outcome::Delivered));
        assert_eq!(adrift.next_pending("chat").unwrap().notification.seq, 2);
        assert_eq!(adrift.next_pending("hook").unwrap().notification.seq, 1);
        assert_eq!(adrift.queue("chat").rows, 1);
        assert!(adrift.next_pending("gone").is_none());
    }

    #[test]
    fn a_word_about_one_that_was_recorded_meanwhile_is_about_its_key_on_disk() {
        let mut adrift = Adrift::default();
        adrift.take(&routed(1, 10), now()).unwrap();
        let here = adrift.next_pending("chat").unwrap().key;
        adrift.recorded(vec![(here, 7)]);
        assert!(adrift.is_empty());
        let heard = adrift.hear(&word("chat", here, Outcome::Delivered));
        assert_eq!(heard, Some(word("chat", 7, Outcome::Delivered)));
    }

    #[test]
    fn what_is_decided_and_not_recorded_is_not_offered_again() {
        let mut adrift = Adrift::default();
        adrift.keep_outcome(&word("chat", 1, Outcome::Delivered), None);
        adrift.keep_outcome(&word("chat", 2, Outcome::Waiting), None);
        assert!(adrift.is_decided("chat", 1) && !adrift.is_decided("hook", 1));
        assert!(!adrift.is_decided("chat", 2), "it is tried again");
        assert!(!adrift.is_empty());
        adrift.recorded(Vec::new());
        assert!(adrift.is_empty() && !adrift.is_decided("chat", 1));
    }

    /// Its transaction was written, its sync failed, and it was delivered from what stood there.
    #[test]
    fn what_was_delivered_out_of_a_failed_transaction_is_not_offered_again() {
        let mut adrift = Adrift::default();
        let (first, second) = (routed(1, 10), routed(2, 10));
        let about = |routed: &Routed| {
            let notification = &routed.notification;
            Some((notification.id.clone(), notification.seq))
        };
        adrift.keep_outcome(&word("chat", 7, Outcome::Delivered), about(&first));
        for routed in [&first, &second] {
            adrift.take(routed, now()).unwrap();
        }
        adrift.keep_outcome(&word("hook", 8, Outcome::Delivered), about(&second));
        let seq = |output| adrift.next_pending(output).unwrap().notification.seq;
        assert_eq!((seq("chat"), seq("hook")), (2, 1));
        assert!(adrift.holds(&first.notification.id, 1));
        assert!(!adrift.holds(&first.notification.id, 3));
    }

    #[test]
    fn what_everybody_has_makes_way_and_what_waits_does_not() {
        let mut adrift = Adrift::default();
        let big = 1024 * 1024;
        let mut seq = 0;
        while adrift.take(&routed(seq, big), now()) == Ok(0) {
            seq += 1;
        }
        assert!(adrift.size().bytes <= MOST_BYTES);
        assert_eq!(adrift.take(&routed(seq, big), now()), Err(Full));
        let oldest = adrift.next_pending("chat").unwrap().key;
        adrift.hear(&word("chat", oldest, Outcome::Delivered));
        assert_eq!(adrift.take(&routed(seq, big), now()), Err(Full));
        adrift.hear(&word("hook", oldest, Outcome::Rejected));
        assert_eq!(adrift.take(&routed(seq, big), now()), Ok(1));
        assert_eq!(adrift.next_pending("chat").unwrap().notification.seq, 1);
    }
}
