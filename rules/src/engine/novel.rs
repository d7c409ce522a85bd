//! Rules that find what is new: a group knows what was seen, and what is new gets a group of its
//! own, with an alert of its own.

use std::sync::Arc;

use super::group::Subject;
use super::groups::Slot;
use super::{Engine, Told, names};
use crate::condition::{Novelty, Verdict};
use crate::language::rule::ConditionSpec;
use crate::scanner::Hit;

/// The items of a hit's values that are there whole: its terms, or its pattern.
fn subjects(condition: &ConditionSpec, values: &[Option<String>]) -> Vec<Subject> {
    let lengths: Vec<usize> = match condition {
        ConditionSpec::NewTerm { fields, .. } => fields.iter().map(Vec::len).collect(),
        _ => vec![1],
    };
    let mut rest = values;
    let mut subjects = Vec::new();
    for (item, len) in lengths.into_iter().enumerate() {
        let (own, behind) = rest.split_at(rest.len().min(len));
        rest = behind;
        let values: Option<Box<[String]>> = own.iter().cloned().collect();
        if let Some(values) = values.filter(|values| !values.is_empty()) {
            subjects.push(Subject { item, values });
        }
    }
    subjects
}

impl Engine {
    /// Takes a hit whose group, in `slot`, has heard of it.
    pub(super) fn observe_new(&mut self, hit: &Hit, slot: Slot, out: &mut Vec<Told>) {
        let rules = Arc::clone(&self.rules);
        let rule = rules.get(hit.rule);
        let groups = &mut self.groups[hit.rule.0 as usize];
        let Some(group) = groups.get_mut(slot) else {
            return;
        };
        let new = group.condition.novelties(hit.time, &hit.values);
        // Nearly always nothing is new, and no alert is on.
        if new.is_empty() && groups.len() == 1 {
            return;
        }
        for subject in subjects(&rule.condition, &hit.values) {
            let is_new = new.contains(&subject.item);
            let own = if is_new {
                Some(self.group_of(hit, rule, Some(subject), out))
            } else {
                self.find_subject(hit, &subject)
            };
            let Some(own) = own else { continue };
            self.settle_before(hit, own, out);
            let group = self.groups[hit.rule.0 as usize].get_mut(own);
            let Some(group) = group.filter(|group| is_new || group.alert.is_some()) else {
                continue;
            };
            group.hear(hit);
            self.mark(hit.rule, own);
            self.keep_line(hit, own);
            let verdict = if is_new {
                Verdict::Holds(Novelty::held(hit.time))
            } else {
                Verdict::Nothing
            };
            self.judge((hit.rule, own), verdict, (hit.time, Some(hit)), out);
            self.arm(hit.rule, own);
        }
    }

    fn find_subject(&mut self, hit: &Hit, subject: &Subject) -> Option<Slot> {
        let mut key = std::mem::take(&mut self.key);
        names::write_key(&mut key, &hit.group);
        names::write_subject(&mut key, subject);
        let groups = &mut self.groups[hit.rule.0 as usize];
        let slot = groups.find(&key);
        if let Some(slot) = slot {
            groups.touch(slot);
        }
        self.key = key;
        slot
    }
}
