//! Which groups there are: made with their first hit, let go of when they cannot matter any more or
//! when there is no room.

use std::sync::Arc;

use super::group::{Group, Subject};
use super::groups::Slot;
use super::{Engine, Of, Told, names};
use crate::language::rule::Rule;
use crate::model::{RuleId, Timestamp};
use crate::scanner::Hit;

impl Engine {
    /// The group of a hit, made where there is none, where need be at the cost of another one.
    pub(super) fn group_of(
        &mut self,
        hit: &Hit,
        rule: &Rule,
        subject: Option<Subject>,
        out: &mut Vec<Told>,
    ) -> Slot {
        let mut key = std::mem::take(&mut self.key);
        names::write_key(&mut key, &hit.group);
        if let Some(subject) = &subject {
            names::write_subject(&mut key, subject);
        }
        let index = hit.rule.0 as usize;
        let slot = if let Some(slot) = self.groups[index].find(&key) {
            self.groups[index].touch(slot);
            slot
        } else {
            self.make_room(hit, rule, out);
            let knows = subject.is_none() && rule.condition.finds_new();
            let mut group = Group::new(rule, hit, subject);
            group.is_saved =
                !self.removed.is_empty() && self.removed.remove(&(hit.rule, key.as_str().into()));
            let slot = self.groups[index].insert(&key, group);
            if knows {
                self.groups[index].touch(slot);
            }
            slot
        };
        self.key = key;
        slot
    }

    /// Lets go of the group that matters least, where there is no room for another one.
    fn make_room(&mut self, hit: &Hit, rule: &Rule, out: &mut Vec<Told>) {
        let index = hit.rule.0 as usize;
        let least = if rule.condition.finds_new() { 2 } else { 1 };
        let most = rule.max_groups.max(least);
        if self.groups[index].len() < most {
            return;
        }
        // In a backlog an alert may have ended that was not settled yet.
        let is_over = |_: &Group, due: Timestamp, _: Of| due < hit.time;
        if let Some(oldest) = self.groups[index].oldest_firing() {
            self.settle(hit.rule, oldest, out, is_over);
            self.tidy(hit.rule, hit.time);
            if self.groups[index].len() < most {
                return;
            }
        }
        // What is new must not take the place of what knows that it is.
        let known = usize::from(rule.condition.finds_new());
        let Some(slot) = self.groups[index].least(most, known) else {
            return;
        };
        self.settle(hit.rule, slot, out, is_over);
        self.counts[index].dropped_groups += 1;
        // An alert that nobody can follow any more is over for those who were told.
        self.end(hit.rule, slot, hit.time, out);
        self.groups[index].note_gone(slot, most);
        self.drop_group(hit.rule, slot);
    }

    /// Lets go of groups that cannot matter any more: at most two for each hit, so that no hit
    /// pays for many.
    pub(super) fn tidy(&mut self, id: RuleId, now: Timestamp) {
        let rules = Arc::clone(&self.rules);
        let rule = rules.get(id);
        let groups = &mut self.groups[id.0 as usize];
        for oldest in groups.idle().into_iter().flatten() {
            let groups = &mut self.groups[id.0 as usize];
            let Some((_, group)) = groups.get(oldest) else {
                continue;
            };
            if !group.is_spent(now, rule) {
                continue;
            }
            if group.past.matters(now) {
                groups.park(oldest);
            } else {
                self.drop_group(id, oldest);
            }
        }
    }

    /// The group is to be saved.
    pub(super) fn mark(&mut self, id: RuleId, slot: Slot) {
        if let Some(group) = self.groups[id.0 as usize].get_mut(slot)
            && !std::mem::replace(&mut group.is_changed, true)
        {
            self.changed.push((id, slot));
        }
    }

    pub(super) fn drop_group(&mut self, id: RuleId, slot: Slot) {
        self.timers.disarm(id, slot);
        self.note_end(id, slot);
        self.forget_source(id, slot);
        if let Some((key, group)) = self.groups[id.0 as usize].remove(slot) {
            self.sample_bytes -= group.sample_bytes();
            if group.is_saved {
                self.removed.insert((id, (*key).into()));
            }
        }
    }
}
