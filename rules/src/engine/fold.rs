//! Very many groups of one rule at once: one alert that speaks for all of them and names the top
//! ones. It is an alert of a group of its own, which holds while one of those that it speaks for
//! does; so it is repeated, escalated, muted and saved like any other.

use std::sync::Arc;

use super::alert::{Alert, With};
use super::group::{Firing, Group, Subject};
use super::groups::Slot;
use super::top::Top;
use super::{Engine, Told, names};
use crate::condition::{Condition, Held, Verdict};
use crate::language::rule::Rule;
use crate::model::{Reason, RuleId, Timestamp};
use crate::scanner::Hit;

/// The key of the group that speaks for all: no list of values gives it.
const KEY: &str = "*";

/// What has come of a group that another alert speaks for.
#[derive(Clone, Copy)]
struct Happened {
    of: Slot,
    verdict: Verdict,
    /// Line time.
    time: Timestamp,
    /// Hits.
    times: u64,
    /// It has just begun to speak for it.
    is_new: bool,
}

/// The subject of that group.
fn subject() -> Subject {
    Subject {
        item: Subject::ALL,
        values: Box::new([KEY.to_owned()]),
    }
}

/// What the fields of groups are called, and what one group is called, in the message.
pub(super) fn title(rule: &Rule) -> String {
    if rule.group_by.is_empty() {
        "new".to_owned()
    } else {
        rule.group_by.join(" ")
    }
}

fn label(group: &Group) -> String {
    let values: Vec<&str> = group.all_values().collect();
    values.join(" ")
}

impl Engine {
    /// When the alert ends that speaks for this one at line time `at`.
    pub(super) fn folded_until(
        &self,
        (id, slot): (RuleId, Slot),
        at: Timestamp,
    ) -> Option<Timestamp> {
        let groups = &self.groups[id.0 as usize];
        let (_, group) = groups.get(slot)?;
        group
            .alert
            .as_ref()
            .filter(|firing| firing.alert.is_folded)?;
        let (_, all) = groups.get(groups.find(KEY)?)?;
        all.fires_until(self.rules.get(id), at)
    }

    /// An alert has started: where there are too many of its rule, another one speaks for it.
    pub(super) fn fold_if_many(
        &mut self,
        (id, slot): (RuleId, Slot),
        hit: Option<&Hit>,
        held: Held,
        out: &mut Vec<Told>,
    ) {
        let rules = Arc::clone(&self.rules);
        let rule = rules.get(id);
        let Some(most) = rule.fold_groups else { return };
        let groups = &self.groups[id.0 as usize];
        let all = groups.find(KEY);
        let goes_on = all.filter(|all| {
            let group = groups.get(*all).map(|(_, group)| group);
            group.is_some_and(|group| group.fires_until(rule, held.at).is_some())
        });
        if let Some(all) = goes_on {
            self.join(id, slot);
            let what = Happened {
                of: slot,
                verdict: Verdict::Holds(held),
                time: held.at,
                times: held.count,
                is_new: true,
            };
            self.speak_for((id, all), what, hit, out);
            return;
        }
        // In lines that were read late, what has ended may not have been settled yet.
        let fires = |other: &&Slot| {
            let group = groups.get(**other).map(|(_, group)| group);
            Some(**other) != all
                && group.is_some_and(|group| group.fires_until(rule, held.at).is_some())
        };
        let firing = &self.firing[id.0 as usize];
        if firing.len() <= most {
            return;
        }
        let members: Vec<Slot> = firing.iter().filter(fires).copied().collect();
        if members.len() > most {
            self.begin_fold((id, slot), &members, (held, hit), out);
        }
    }

    fn begin_fold(
        &mut self,
        (id, last): (RuleId, Slot),
        members: &[Slot],
        (held, hit): (Held, Option<&Hit>),
        out: &mut Vec<Told>,
    ) {
        let rules = Arc::clone(&self.rules);
        let rule = rules.get(id);
        let groups = &mut self.groups[id.0 as usize];
        if let Some(old) = groups.find(KEY) {
            // One that has ended, and was not settled yet.
            self.settle(id, old, out, |_, due, _| due <= held.at);
        }
        let (tops, all) = self.sum_up((id, members), held);
        let groups = &mut self.groups[id.0 as usize];
        let Some((latest, latest_arrival, input, fields)) = groups.get(last).map(|(_, group)| {
            let fields = group.alert.as_ref().map(|firing| firing.fields.clone());
            (
                group.latest,
                group.latest_arrival,
                group.input,
                fields.unwrap_or_default(),
            )
        }) else {
            return;
        };
        let slot = groups.find(KEY).unwrap_or_else(|| {
            let mut group = Group::unheard(rule, latest, latest_arrival);
            group.condition = Condition::Told;
            group.subject = Some(subject());
            groups.insert(KEY, group)
        });
        let all_groups: (&[String], _) = (&[], Some(&subject()));
        let name = names::alert_id(&self.host, (&rule.name, rule.mode), all_groups, held.at);
        if let Some(group) = groups.get_mut(slot) {
            (group.latest, group.latest_arrival, group.input) = (latest, latest_arrival, input);
            group.is_unheard = false;
            group.alert = Some(Box::new(Firing {
                alert: Alert::start(name, all, rule),
                top: tops,
                fields,
            }));
        }
        for member in members {
            self.join(id, *member);
        }
        self.counts[id.0 as usize].alerts += 1;
        self.note_start(id, slot);
        if let Some(hit) = hit {
            self.keep_line(hit, slot);
        }
        self.say((id, slot), (Reason::First, held.at), out);
        self.arm(id, slot);
    }

    /// What is to be said of all of them together.
    fn sum_up(&self, (id, members): (RuleId, &[Slot]), held: Held) -> (Vec<Top>, Held) {
        let rule = self.rules.get(id);
        let groups = &self.groups[id.0 as usize];
        let mut tops = vec![Top::default(); rule.top_count_keys.len() + 1];
        let mut all = Held {
            count: 0,
            first: held.at,
            value: crate::condition::number(members.len() as u64),
            threshold: crate::condition::number(rule.fold_groups.unwrap_or_default() as u64),
            ..held
        };
        for (_, group) in members.iter().filter_map(|slot| groups.get(*slot)) {
            let Some(firing) = group.alert.as_ref() else {
                continue;
            };
            all.count += firing.alert.count;
            all.first = all.first.min(firing.alert.first_hit_at);
            all.until = all.until.max(firing.alert.held_until);
            for (top, own) in tops.iter_mut().zip(&firing.top) {
                top.merge(own);
            }
            if let Some(top) = tops.last_mut() {
                top.add(&label(group), firing.alert.count);
            }
        }
        (tops, all)
    }

    fn join(&mut self, id: RuleId, slot: Slot) {
        if let Some(alert) = self.alert_mut(id, slot) {
            alert.is_folded = true;
            self.mark(id, slot);
        }
    }

    fn count_label(&mut self, (id, slot): (RuleId, Slot), all: Slot, times: u64) {
        let groups = &mut self.groups[id.0 as usize];
        let Some(label) = groups.get(slot).map(|(_, group)| label(group)) else {
            return;
        };
        let firing = groups.get_mut(all).and_then(|group| group.alert.as_mut());
        if let Some(top) = firing
            .and_then(|firing| firing.top.last_mut())
            .filter(|_| times > 0)
        {
            top.add(&label, times);
        }
    }

    /// Something has come of a group that another alert speaks for.
    pub(super) fn fold_goes_on(
        &mut self,
        (id, slot): (RuleId, Slot),
        verdict: Verdict,
        (time, hit): (Timestamp, Option<&Hit>),
        out: &mut Vec<Told>,
    ) {
        let groups = &self.groups[id.0 as usize];
        let Some(all) = groups.find(KEY) else { return };
        let verdict = match verdict {
            Verdict::Ceased(_) => self.latest_end(id, all),
            verdict => verdict,
        };
        let what = Happened {
            of: slot,
            verdict,
            time,
            times: hit.map_or(0, |hit| hit.times),
            is_new: false,
        };
        self.speak_for((id, all), what, hit, out);
    }

    /// One of those that it speaks for has ceased to hold: the others may go on.
    fn latest_end(&self, id: RuleId, all: Slot) -> Verdict {
        let groups = &self.groups[id.0 as usize];
        let members = self.firing[id.0 as usize]
            .iter()
            .filter(|slot| **slot != all);
        let firing = members.filter_map(|slot| groups.get(*slot)?.1.alert.as_ref());
        let folded = firing.filter(|firing| firing.alert.is_folded);
        let until = folded.map(|firing| firing.alert.held_until).max();
        until.map_or(Verdict::Nothing, Verdict::Ceased)
    }

    fn speak_for(
        &mut self,
        (id, all): (RuleId, Slot),
        what: Happened,
        hit: Option<&Hit>,
        out: &mut Vec<Told>,
    ) {
        let Happened {
            verdict,
            time,
            times,
            ..
        } = what;
        if let Some(hit) = hit {
            self.settle_before(hit, all, out);
        }
        self.count_label((id, what.of), all, times);
        let Some(group) = self.groups[id.0 as usize].get_mut(all) else {
            return;
        };
        if let Some(hit) = hit {
            group.hear(hit);
        }
        let Some(firing) = group.alert.as_mut() else {
            return;
        };
        if what.is_new {
            firing.alert.value += 1.0;
        }
        let (value, threshold) = (firing.alert.value, firing.alert.threshold);
        let verdict = match verdict {
            Verdict::Holds(held) => Verdict::Holds(Held {
                value,
                threshold,
                ..held
            }),
            verdict => verdict,
        };
        let with = match hit {
            Some(hit) => {
                firing.count_values(hit.top.iter().map(Option::as_deref), hit.times);
                With::Hit(times)
            }
            None => With::Time,
        };
        let reason = self.take((id, all), verdict, (time, with));
        self.groups[id.0 as usize].touch(all);
        if let Some(hit) = hit {
            self.keep_line(hit, all);
        }
        self.mark(id, all);
        if let Some(reason) = reason {
            self.say((id, all), (reason, time), out);
        }
        self.arm(id, all);
    }
}
