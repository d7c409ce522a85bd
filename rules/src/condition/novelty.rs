//! `type: new_term` and `type: new_pattern`: something that was never seen before, or not for long.
//!
//! A term is one value, or some together, of an item of `fields`; a pattern is the shape of a line.
//! Each is held against what was seen in the same group. While it learns (`learn_for` from the first
//! hit on) it takes note and says nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::distinct::hash;
use super::known::Known;
use super::verdict::{Cause, Held};
use crate::model::Timestamp;

/// The state of one group.
#[derive(Clone, Debug)]
pub struct Novelty {
    /// What is looked at: what was learnt of something else says nothing.
    about: Box<str>,
    /// How many values make each item.
    items: Box<[usize]>,
    learn_for: Duration,
    since: Option<Timestamp>,
    known: Known,
}

/// As it is saved, beside the parts.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    about: String,
    since: Option<i64>,
    step: i64,
}

impl Novelty {
    /// What all groups of a rule may remember together, as far as that leaves each of them
    /// [`Novelty::LEAST`].
    pub const OF_RULE: usize = 1_000_000;
    /// What a group may always remember.
    pub const LEAST: usize = 1_000;
    /// What no group remembers more of.
    pub const MOST: usize = 100_000;

    /// Nothing was seen. `about`: the fields or masks; `items`: how many values make each; `max_groups` of the rule, 1 where it
    /// does not group.
    pub fn new(
        about: &str,
        items: &[usize],
        learn_for: Duration,
        forgets_after: Option<Duration>,
        max_groups: usize,
    ) -> Self {
        let most = (Self::OF_RULE / max_groups.max(1)).clamp(Self::LEAST, Self::MOST);
        Self {
            about: about.into(),
            items: items.into(),
            learn_for,
            since: None,
            known: Known::new(most, forgets_after),
        }
    }

    /// Takes a hit's values, those of one item behind those of the one before; gives the indexes of
    /// the items that are new. An item of which a value is missing is none.
    pub fn observe(&mut self, time: Timestamp, values: &[Option<String>]) -> Vec<usize> {
        let since = *self.since.get_or_insert(time);
        let learns = time < since.plus(self.learn_for);
        let mut new = Vec::new();
        let mut rest = values;
        for (index, len) in self.items.iter().enumerate() {
            let (own, behind) = rest.split_at(rest.len().min(*len));
            rest = behind;
            let Some(term) = text(index, own) else {
                continue;
            };
            if self.known.is_new(hash(&term), time) && !learns {
                new.push(index);
            }
        }
        new
    }

    /// What there is to say of one that is new.
    pub fn held(time: Timestamp) -> Held {
        Held {
            at: time,
            until: time,
            first: time,
            count: 1,
            value: 1.0,
            threshold: 1.0,
            by: Cause::Hits,
        }
    }

    pub(super) fn save(&self) -> Saved {
        Saved {
            about: self.about.to_string(),
            since: self.since.map(Timestamp::as_nanos),
            step: self.known.step(),
        }
    }

    pub(super) fn take_parts(&mut self) -> BTreeMap<u64, Vec<u8>> {
        self.known.take_unsaved()
    }

    pub(super) fn forget_saved(&mut self) {
        self.known.forget_saved();
    }

    /// Goes on from what was saved, if it is about the same. Gives `false` when it is damaged.
    pub(super) fn restore(&mut self, saved: &Saved, parts: &BTreeMap<u64, Vec<u8>>) -> bool {
        if *saved.about != *self.about {
            // Nothing of the old parts must stay.
            self.known.forget_saved();
            return true;
        }
        self.since = saved.since.map(Timestamp::from_nanos);
        self.known.restore(parts, saved.step)
    }
}

/// An item's values as one text: no two lists of values, and no two items, give the same.
fn text(index: usize, values: &[Option<String>]) -> Option<String> {
    let mut text = index.to_string();
    for value in values {
        let value = value.as_deref()?;
        text.push_str(&format_args!(" {}:{value}", value.len()).to_string());
    }
    (!values.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_secs(second)
    }

    fn values(texts: &[&str]) -> Vec<Option<String>> {
        let value = |text: &&str| (*text != "-").then(|| (*text).to_owned());
        texts.iter().map(value).collect()
    }

    #[test]
    fn what_was_never_seen_is_new_once() {
        let mut terms = Novelty::new("x", &[1], Duration::ZERO, Some(HOUR), 1);
        for (second, user, new) in [
            (0, "bob", true),
            (1, "bob", false),
            (2, "eve", true),
            (3, "-", false),
            (4, "", true),
            (3_000, "bob", false),
            (6_500, "bob", false),
            (6_501, "eve", true),
            (2, "eve", false),
        ] {
            let items = terms.observe(at(second), &values(&[user]));
            assert_eq!(!items.is_empty(), new, "{user} at {second}");
        }
    }

    #[test]
    fn while_it_learns_nothing_is_said() {
        let mut terms = Novelty::new("x", &[1], HOUR, Some(24 * HOUR), 1);
        let mut new = |second, user| terms.observe(at(second), &values(&[user])).len();
        assert_eq!((new(0, "bob"), new(3_599, "eve")), (0, 0));
        assert_eq!((new(3_600, "bob"), new(3_600, "mallory")), (0, 1));
    }

    #[test]
    fn some_values_together_are_a_term_of_their_own() {
        let mut terms = Novelty::new("x", &[1, 2], Duration::ZERO, Some(HOUR), 1);
        let mut new = |user, host| terms.observe(at(0), &values(&[user, user, host]));
        assert_eq!(new("bob", "a"), [0, 1]);
        assert_eq!(new("bob", "b"), [1]);
        assert_eq!(new("bob", "a"), [] as [usize; 0]);
        assert_eq!(new("bo", "ba"), [0, 1]);
        assert_eq!(new("bob", "-"), [] as [usize; 0]);
    }

    #[test]
    fn a_million_terms_take_bounded_memory_and_the_longest_unseen_goes_first() {
        let mut terms = Novelty::new("x", &[1], Duration::ZERO, None, 1_000);
        let hour = |n: i64| at(n * 3_600);
        for n in 0..20_000 {
            terms.observe(hour(n), &values(&[&n.to_string()]));
            terms.observe(hour(n), &values(&["hot"]));
        }
        assert_eq!(terms.known.len(), Novelty::LEAST);
        assert_eq!(
            terms.observe(hour(20_000), &values(&["hot"])),
            [] as [usize; 0]
        );
        assert_eq!(terms.observe(hour(20_000), &values(&["0"])), [0]);
    }

    #[test]
    fn what_was_learnt_of_other_fields_is_forgotten_and_learnt_anew() {
        let of = |about| Novelty::new(about, &[1], HOUR, None, 1);
        let mut users = of("user");
        users.observe(at(0), &values(&["bob"]));
        let parts = users.take_parts();
        let (mut same, mut other) = (of("user"), of("host"));
        assert!(same.restore(&users.save(), &parts) && other.restore(&users.save(), &parts));
        let new = |terms: &mut Novelty| terms.observe(at(7_200), &values(&["eve"])).len();
        assert_eq!((new(&mut same), new(&mut other)), (1, 0));
    }

    proptest! {
        /// Against a list of all sights, on unordered and late times, saved and restored in parts.
        #[test]
        fn a_term_is_new_when_it_was_not_seen_for_so_long(
            hits in prop::collection::vec((0i64..400, 0i64..300, 0u8..8), 1..80),
            learn_for in 0u64..500,
        ) {
            // Steps of one second.
            let window = Duration::from_secs(256);
            let make = || Novelty::new("x", &[1], Duration::from_secs(learn_for), Some(window), 1);
            let (mut terms, mut now, mut stored) = (make(), 0, BTreeMap::new());
            let mut seen: Vec<(i64, u8)> = Vec::new();
            for (ahead, late, term) in hits {
                now += ahead;
                let time = if term % 2 == 0 { now } else { now - late };
                let last = seen.iter().filter(|(_, other)| *other == term).map(|(at, _)| *at).max();
                let is_new = last.is_none_or(|last| time > last + 1 + 256);
                let start = seen.first().map_or(time, |(at, _)| *at);
                let is_told = is_new && time >= start + i64::try_from(learn_for).unwrap();
                seen.push((time, term));
                let got = terms.observe(at(time), &values(&[&term.to_string()]));
                prop_assert_eq!(!got.is_empty(), is_told);
                stored.extend(terms.take_parts());
                let saved = serde_json::to_vec(&terms.save()).unwrap();
                terms = make();
                prop_assert!(terms.restore(&serde_json::from_slice(&saved).unwrap(), &stored));
            }
        }
    }
}
