//! What was seen before, and when last: a bounded memory that is saved in parts.
//!
//! Of each thing a hash of 64 bits and the time it was last seen are kept; the time in steps of
//! 1/256 of what it is held against, rounded up, so that a thing that is seen all the time need not
//! be saved all the time. When there are too many, the one that was not seen for longest is let go.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use crate::model::Timestamp;

/// Hashes with the step of their last sight.
#[derive(Clone, Debug)]
pub(super) struct Known {
    most: usize,
    /// Nanoseconds.
    step: i64,
    /// A thing that was not seen for longer is new again.
    forgets_after: Option<Duration>,
    last: HashMap<u64, i64>,
    order: BTreeSet<(i64, u64)>,
    /// Parts that are not as they were saved, a bit for each.
    unsaved: u64,
}

/// Parts that a memory is saved in, by the first bits of the hashes.
const PARTS: u64 = 64;

impl Known {
    /// Nothing was seen. At most `most` things are remembered.
    pub(super) fn new(most: usize, forgets_after: Option<Duration>) -> Self {
        /// Where the time matters only for which one goes first.
        const COARSE: Duration = Duration::from_hours(1);
        let step = forgets_after.map_or(COARSE, |span| span / 256);
        Self {
            most,
            step: i64::try_from(step.as_nanos()).unwrap_or(i64::MAX).max(1),
            forgets_after,
            last: HashMap::new(),
            order: BTreeSet::new(),
            unsaved: 0,
        }
    }

    /// A thing is seen at `time`; gives whether it is new. O(log n).
    pub(super) fn is_new(&mut self, hash: u64, time: Timestamp) -> bool {
        let step = time.as_nanos().div_euclid(self.step).saturating_add(1);
        let Some(last) = self.last.get(&hash).copied() else {
            self.put(hash, None, step);
            while self.last.len() > self.most
                && let Some((_, oldest)) = self.order.pop_first()
            {
                self.last.remove(&oldest);
                self.touch(oldest);
            }
            return true;
        };
        if step > last {
            self.put(hash, Some(last), step);
        }
        let seen_until = Timestamp::from_nanos(last.saturating_mul(self.step));
        self.forgets_after
            .is_some_and(|span| time > seen_until.plus(span))
    }

    fn put(&mut self, hash: u64, last: Option<i64>, step: i64) {
        if let Some(last) = last {
            self.order.remove(&(last, hash));
        }
        self.last.insert(hash, step);
        self.order.insert((step, hash));
        self.touch(hash);
    }

    fn touch(&mut self, hash: u64) {
        self.unsaved |= 1 << part_of(hash);
    }

    /// The parts that are not as they were saved, as JSON; from now on they are.
    pub(super) fn take_unsaved(&mut self) -> BTreeMap<u64, Vec<u8>> {
        let unsaved = std::mem::take(&mut self.unsaved);
        let mut parts: BTreeMap<u64, Vec<(u64, i64)>> = (0..PARTS)
            .filter(|part| unsaved & 1 << part != 0)
            .map(|part| (part, Vec::new()))
            .collect();
        for (hash, step) in &self.last {
            if let Some(part) = parts.get_mut(&part_of(*hash)) {
                part.push((*hash, *step));
            }
        }
        let json = |mut seen: Vec<(u64, i64)>| {
            seen.sort_unstable();
            serde_json::to_vec(&seen).unwrap_or_default()
        };
        let parts = parts.into_iter();
        parts.map(|(part, seen)| (part, json(seen))).collect()
    }

    /// Nothing counts as saved any more.
    pub(super) fn forget_saved(&mut self) {
        self.unsaved = u64::MAX;
    }

    /// The width of a step, which saved parts go by.
    pub(super) fn step(&self) -> i64 {
        self.step
    }

    /// Goes on from saved parts, whose steps were `step` wide. Gives `false` when one is damaged.
    pub(super) fn restore(&mut self, parts: &BTreeMap<u64, Vec<u8>>, step: i64) -> bool {
        for part in parts.values() {
            let Ok(seen) = serde_json::from_slice::<Vec<(u64, i64)>>(part) else {
                return false;
            };
            for (hash, last) in seen {
                let time = Timestamp::from_nanos(last.saturating_mul(step).saturating_sub(1));
                self.is_new(hash, time);
            }
        }
        self.unsaved = if step == self.step { 0 } else { u64::MAX };
        true
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.last.len()
    }
}

/// The last bits, since the first ones decide nothing else.
fn part_of(hash: u64) -> u64 {
    hash % PARTS
}
