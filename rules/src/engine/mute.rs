//! What is in the way of speaking: the engine's side of the room `mute`. Keeps which running alerts
//! mute others, and what operators have muted; takes acknowledgements.
//!
//! Intervals and inhibition go by line time, so that the same lines give the same messages whenever
//! they are read. A silence is of those who read messages: it goes by arrival time.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::group::Group;
use super::groups::Slot;
use super::telling::Occasion;
use super::{Engine, HeldBack};
use crate::language::rule::Rule;
use crate::model::{Ack, Mode, Notification, Reason, RuleId, Severity, Timestamp};
use crate::mute::{self, Labels, Muted, Silence, Why};

/// Running alerts that mute others by one inhibit rule, by what they must have in common with those.
pub(super) type Sources = HashMap<Vec<String>, BTreeSet<(RuleId, Slot)>>;

/// Groups whose alerts mute the same others, when those that do not fire are let go of.
const MOST_ENDED: usize = 256;

/// Nothing is looked at twice at the same time.
const TICK: Duration = Duration::from_nanos(1);

/// A running alert for those who ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Running {
    /// As it would be told now.
    pub notification: Notification,
    /// What keeps it from being told.
    pub muted: Option<Why>,
}

/// Why an alert could not be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// It may have ended.
    #[error("no alert with this id is firing")]
    NotFiring,
    /// Part of an id that several alerts have.
    #[error("several alerts that are firing have an id like this")]
    Ambiguous,
}

fn severity(rule: &Rule) -> &'static str {
    match rule.severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

impl Engine {
    /// Whether something keeps a group's alert from being told at line time `at`.
    pub(super) fn muted(&self, (id, slot): (RuleId, Slot), at: Timestamp) -> Option<Muted> {
        let rule = self.rules.get(id);
        let (_, group) = self.groups[id.0 as usize].get(slot)?;
        if let Some(muted) = mute::by_time(&rule.active_times, &rule.mute_times, at) {
            return Some(muted);
        }
        if self.silences.is_empty() && self.sources.is_empty() && rule.fold_groups.is_none() {
            return None;
        }
        let muted = self.with_labels(rule, group, |labels| {
            let arrival = group.arrival_of(at);
            if let Some(end) = mute::by_silence(&self.silences, labels, arrival) {
                let until = at.plus(end.since(arrival));
                return Some((Why::Silenced, until));
            }
            let inhibited = self.inhibited_until((id, slot), labels, at);
            inhibited.map(|until| (Why::Inhibited, until))
        });
        let folded = || Some((Why::Folded, self.folded_until((id, slot), at)?));
        let (why, until) = muted.or_else(folded)?;
        Some(Muted {
            why,
            until: until.max(at.plus(TICK)),
        })
    }

    fn with_labels<T>(&self, rule: &Rule, group: &Group, ask: impl FnOnce(&Labels<'_>) -> T) -> T {
        ask(&Labels {
            rule: &rule.name,
            rule_type: rule.condition.name(),
            severity: severity(rule),
            host: &self.host,
            labels: &rule.labels,
            group: &group.named(rule),
        })
    }

    /// When the first alert ends that mutes this one at line time `at`: by then another one may.
    fn inhibited_until(
        &self,
        target: (RuleId, Slot),
        labels: &Labels<'_>,
        at: Timestamp,
    ) -> Option<Timestamp> {
        let is_live = self.rules.get(target.0).mode == Mode::Live;
        for (inhibit, sources) in self.rules.inhibit_rules().iter().zip(&self.sources) {
            if sources.is_empty() || !inhibit.is_target(labels) {
                continue;
            }
            // As in Alertmanager: what is both does not mute what is both, itself least of all.
            let is_both = inhibit.is_source(labels);
            let Some(alike) = sources.get(&inhibit.common(labels)) else {
                continue;
            };
            for &(id, slot) in alike {
                let rule = self.rules.get(id);
                // A shadow changes nothing of what people are told.
                if (id, slot) == target || is_live && rule.mode != Mode::Live {
                    continue;
                }
                let Some((_, group)) = self.groups[id.0 as usize].get(slot) else {
                    continue;
                };
                let Some(until) = group.fires_until(rule, at) else {
                    continue;
                };
                let is_target = |labels: &Labels<'_>| inhibit.is_target(labels);
                if !is_both || !self.with_labels(rule, group, is_target) {
                    return Some(until);
                }
            }
        }
        None
    }

    /// A group's alert has started.
    pub(super) fn note_start(&mut self, id: RuleId, slot: Slot) {
        self.firing[id.0 as usize].insert(slot);
        self.groups[id.0 as usize].fires(slot);
        self.note_source(id, slot);
    }

    /// A group's alert fires, or did: it may have muted others.
    pub(super) fn note_source(&mut self, id: RuleId, slot: Slot) {
        for (index, common) in self.mutes(id, slot) {
            let alike = self.sources[index].entry(common).or_default();
            alike.insert((id, slot));
            if alike.len() > MOST_ENDED {
                let fires = |(id, slot): &(RuleId, Slot)| self.firing[id.0 as usize].contains(slot);
                alike.retain(fires);
            }
        }
    }

    /// A group's alert is over. It stays where it is found by what it muted: in lines that are read
    /// late, somebody may ask for a time when it was firing.
    pub(super) fn note_end(&mut self, id: RuleId, slot: Slot) {
        self.firing[id.0 as usize].remove(&slot);
        self.groups[id.0 as usize].has_ended(slot);
    }

    /// A group is going.
    pub(super) fn forget_source(&mut self, id: RuleId, slot: Slot) {
        for (index, common) in self.mutes(id, slot) {
            let sources = &mut self.sources[index];
            if let Some(alike) = sources.get_mut(&common) {
                alike.remove(&(id, slot));
                if alike.is_empty() {
                    sources.remove(&common);
                }
            }
        }
    }

    /// The inhibit rules by which a group's alert mutes others, and what those have in common.
    fn mutes(&self, id: RuleId, slot: Slot) -> Vec<(usize, Vec<String>)> {
        let rules = self.rules.inhibit_rules();
        let Some((_, group)) = self.groups[id.0 as usize]
            .get(slot)
            .filter(|_| !rules.is_empty())
        else {
            return Vec::new();
        };
        self.with_labels(self.rules.get(id), group, |labels| {
            let all = rules.iter().enumerate();
            let sources = all.filter(|(_, rule)| rule.is_source(labels));
            sources
                .map(|(index, rule)| (index, rule.common(labels)))
                .collect()
        })
    }

    pub(super) fn count_held_back(&mut self, id: RuleId, why: Why) {
        let HeldBack {
            silenced,
            inhibited,
            interval,
            folded,
            ..
        } = &mut self.counts[id.0 as usize].held_back;
        *match why {
            Why::Silenced => silenced,
            Why::Inhibited => inhibited,
            Why::Interval => interval,
            Why::Folded => folded,
        } += 1;
    }

    /// These silences hold from `now` (wall clock) on. What they no longer mute is told by the next
    /// [`Engine::advance`].
    pub fn set_silences(&mut self, silences: Vec<Silence>, now: Timestamp) {
        self.silences = silences;
        for index in 0..self.rules.len() {
            let id = RuleId(u32::try_from(index).unwrap_or(u32::MAX));
            let slots: Vec<Slot> = self.groups[index].iter().map(|(slot, _)| slot).collect();
            for slot in slots {
                self.look_again((id, slot), now);
            }
        }
    }

    /// An alert that had no end in sight ends at line time `end`: what others have held back because
    /// of it is looked at then.
    pub(super) fn wake_muted(&mut self, (id, slot): (RuleId, Slot), end: Timestamp) {
        let rules = Arc::clone(&self.rules);
        for (index, common) in self.mutes(id, slot) {
            let inhibit = &rules.inhibit_rules()[index];
            for (target, rule) in rules.iter() {
                let is_muted = |group: &Group| {
                    self.with_labels(rule, group, |labels| {
                        inhibit.is_target(labels) && inhibit.common(labels) == common
                    })
                };
                let groups = self.groups[target.0 as usize].iter();
                let muted = groups.filter(|(_, group)| group.waits() && is_muted(group));
                let muted: Vec<Slot> = muted.map(|(slot, _)| slot).collect();
                for slot in muted {
                    self.look_at((target, slot), end);
                }
            }
        }
    }

    /// What was held back is looked at as soon as time goes on.
    fn look_again(&mut self, (id, slot): (RuleId, Slot), now: Timestamp) {
        if let Some((_, group)) = self.groups[id.0 as usize].get(slot) {
            let line_now = group.line_of(now);
            self.look_at((id, slot), line_now);
        }
    }

    /// What was held back is looked at by line time `at`.
    fn look_at(&mut self, (id, slot): (RuleId, Slot), at: Timestamp) {
        let Some(group) = self.groups[id.0 as usize].get_mut(slot) else {
            return;
        };
        let alert = group.alert.as_mut().map(|firing| &mut firing.alert);
        let looks = alert.into_iter().flat_map(|alert| {
            let held_back = alert.held_back.as_mut();
            let held_back = held_back.map(|held_back| &mut held_back.look_at);
            held_back.into_iter().chain(&mut alert.escalate_look_at)
        });
        let looks = looks.chain(group.owed.as_mut().map(|owed| &mut owed.look_at));
        let mut waits = false;
        for look_at in looks {
            *look_at = (*look_at).min(at);
            waits = true;
        }
        if waits {
            self.mark(id, slot);
            self.arm(id, slot);
        }
    }

    /// What operators have muted.
    pub fn silences(&self) -> &[Silence] {
        &self.silences
    }

    /// Somebody is at an alert: the one with this id, or the only one whose id ends like this.
    ///
    /// # Errors
    ///
    /// When there is no such alert.
    pub fn acknowledge(&mut self, id: &str, ack: Ack) -> Result<Notification, AckError> {
        let mut found = None;
        for (rule, _) in self.rules.iter() {
            for slot in &self.firing[rule.0 as usize] {
                let group = self.groups[rule.0 as usize].get(*slot);
                let alert = group.and_then(|(_, group)| group.alert.as_ref());
                let Some(name) = alert.map(|firing| firing.alert.id.as_str()) else {
                    continue;
                };
                if name == id {
                    found = Some((rule, *slot));
                    break;
                }
                // Four signs are the least that anybody can mean.
                if id.len() >= 4 && name.ends_with(id) && found.replace((rule, *slot)).is_some() {
                    return Err(AckError::Ambiguous);
                }
            }
        }
        let (rule, slot) = found.ok_or(AckError::NotFiring)?;
        if let Some(alert) = self.alert_mut(rule, slot) {
            alert.acked = Some(ack);
        }
        self.mark(rule, slot);
        self.arm(rule, slot);
        self.as_it_stands((rule, slot)).ok_or(AckError::NotFiring)
    }

    /// Up to `most` running alerts, as they stand.
    pub fn running(&self, most: usize) -> Vec<Running> {
        let slots = |id: RuleId| self.firing[id.0 as usize].iter();
        let all = self
            .rules
            .iter()
            .flat_map(|(id, _)| slots(id).map(move |slot| (id, *slot)));
        let view = |place: (RuleId, Slot)| {
            let (_, group) = self.groups[place.0.0 as usize].get(place.1)?;
            Some(Running {
                notification: self.as_it_stands(place)?,
                muted: self.muted(place, group.latest).map(|muted| muted.why),
            })
        };
        all.filter_map(view).take(most).collect()
    }

    fn as_it_stands(&self, (id, slot): (RuleId, Slot)) -> Option<Notification> {
        let (_, group) = self.groups[id.0 as usize].get(slot)?;
        let alert = &group.alert.as_ref()?.alert;
        let reason = if alert.seq > 1 {
            Reason::Repeat
        } else {
            Reason::First
        };
        let at = group.latest.max(alert.told_at);
        let notification = self.notification(
            (id, slot),
            Occasion {
                reason,
                at,
                ended_at: None,
                suppressed: alert.untold(),
            },
        )?;
        Some(Notification {
            sent_at: alert.told_at,
            ..notification
        })
    }
}
