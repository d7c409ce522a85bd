//! The commonest values of a field, in bounded memory.

use std::collections::HashMap;

use serde::{Serialize, Serializer};

/// Distinct values counted at the same time. When there are more, the rarest one gives its place,
/// and its count, to the new one (Metwally, Agrawal, El Abbadi: "Efficient computation of frequent
/// and top-k elements in data streams", 2005): counts are exact until then and too high by at most
/// the least count afterwards.
const MOST_VALUES: usize = 256;

/// Values that a message names.
const NAMED: usize = 5;

/// Counts by value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Top {
    counts: HashMap<Box<str>, u64>,
}

/// As pairs of value and count, in no order.
impl Serialize for Top {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.counts)
    }
}

impl Top {
    /// Counts a value so many times.
    pub(super) fn add(&mut self, value: &str, times: u64) {
        if let Some(count) = self.counts.get_mut(value) {
            *count += times;
            return;
        }
        let mut inherited = 0;
        if self.counts.len() >= MOST_VALUES {
            let rarest = self
                .counts
                .iter()
                .min_by(|a, b| (a.1, a.0).cmp(&(b.1, b.0)));
            if let Some((value, count)) = rarest.map(|(value, count)| (value.clone(), *count)) {
                self.counts.remove(&value);
                inherited = count;
            }
        }
        self.counts.insert(value.into(), inherited + times);
    }

    /// Adds what another one counted, the commonest first.
    pub(super) fn merge(&mut self, other: &Self) {
        let mut all: Vec<(&str, u64)> = other
            .counts
            .iter()
            .map(|(value, count)| (&**value, *count))
            .collect();
        all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        for (value, count) in all {
            self.add(value, count);
        }
    }

    /// Puts back what was serialized.
    pub(super) fn restore(saved: Vec<(String, u64)>) -> Self {
        Self {
            counts: saved
                .into_iter()
                .take(MOST_VALUES)
                .map(|(value, count)| (value.into(), count))
                .collect(),
        }
    }

    /// The five commonest, most first, ties by value.
    pub(super) fn most(&self) -> Vec<(String, u64)> {
        let mut all: Vec<(&str, u64)> = self
            .counts
            .iter()
            .map(|(value, count)| (&**value, *count))
            .collect();
        all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        all.into_iter()
            .take(NAMED)
            .map(|(value, count)| (value.to_owned(), count))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_five_commonest_with_ties_by_value() {
        let mut top = Top::default();
        for value in ["b", "a", "c", "a", "f", "e", "d"] {
            top.add(value, 1);
        }
        let named: Vec<String> = top
            .most()
            .into_iter()
            .map(|(value, count)| format!("{value}{count}"))
            .collect();
        assert_eq!(named, ["a2", "b1", "c1", "d1", "e1"]);
    }

    #[test]
    fn a_million_values_take_bounded_memory_and_the_hot_one_stays_first() {
        let mut top = Top::default();
        for n in 0..100_000u32 {
            top.add(&n.to_string(), 1);
            top.add("hot", 1);
        }
        assert!(top.counts.len() <= MOST_VALUES);
        assert_eq!(top.most()[0], ("hot".to_owned(), 100_000));
    }
}
