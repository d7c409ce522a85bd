//! Hits and the passing of time → what there is to say, and what changed.
//!
//! The engine alone owns windows and alerts. It is told every time there is: a hit bears its line
//! time and the time it arrived; [`Engine::advance`] says how far time has come where no line says
//! so. The live agent passes wall time when nothing is left to read; `backtest` and `test` pass
//! line time and say that a line arrived when it was written. The same hits in the same order
//! give the same notifications, however they were cut into batches.

mod alert;
mod group;
mod groups;
mod names;
mod past;
mod rate;
mod snapshot;
mod telling;
mod timers;
mod top;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use snapshot::SavedGroup;

use crate::condition::Held;
use crate::language::rule::{Rule, RuleSet};
use crate::model::{InputId, Mode, Notification, Reason, RuleId, Sample, Timestamp};
use crate::scanner::Hit;
use alert::{Alert, Due};
use group::{Firing, Group};
use groups::{Groups, Slot};
use telling::Occasion;
use timers::Timers;

/// When all samples together take more than this, in bytes, new ones are kept short.
const SAMPLE_BUDGET: usize = 16 << 20;
/// Bytes of a sample that is kept short.
const SHORT_SAMPLE: usize = 200;

/// What the engine gives: a notification and the rule that it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The rule.
    pub rule: RuleId,
    /// What there is to say.
    pub notification: Notification,
}

/// What happened to a rule since the engine was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleCounts {
    /// Lines that its `match` accepted.
    pub hits: u64,
    /// Alerts that started.
    pub alerts: u64,
    /// Notifications.
    pub notifications: u64,
    /// Groups that went because there were more than `max_groups`.
    pub dropped_groups: u64,
}

/// A running alert, as it stands between two notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertView {
    /// As in its notifications.
    pub id: String,
    /// Hits since the first of the window that fired.
    pub count: u64,
    /// Hits since the latest notification.
    pub suppressed: u64,
    /// Line time of its start.
    pub started_at: Timestamp,
    /// The values of the rule's `group_by` fields.
    pub group: Vec<String>,
}

/// Windows and alerts of all rules.
#[derive(Debug)]
pub struct Engine {
    rules: Arc<RuleSet>,
    host: Arc<str>,
    inputs: Arc<[Arc<str>]>,
    /// By rule id.
    groups: Vec<Groups>,
    counts: Vec<RuleCounts>,
    /// When to look at a group again, in arrival time.
    timers: Timers,
    /// Groups that are marked as changed, each once, and slots of some that are gone.
    changed: Vec<(RuleId, Slot)>,
    /// Bytes of all samples that are kept.
    sample_bytes: usize,
    /// Groups that were saved and are gone.
    removed: BTreeSet<(RuleId, Box<str>)>,
    key: String,
}

impl Engine {
    /// An engine that has seen nothing. `host` is the agent's; `inputs` are the names that
    /// [`InputId`]s stand for.
    pub fn new(rules: Arc<RuleSet>, host: Arc<str>, inputs: Arc<[Arc<str>]>) -> Self {
        let len = rules.len();
        Self {
            rules,
            host,
            inputs,
            groups: std::iter::repeat_with(Groups::default).take(len).collect(),
            counts: vec![RuleCounts::default(); len],
            timers: Timers::new(len),
            changed: Vec::new(),
            sample_bytes: 0,
            removed: BTreeSet::new(),
            key: String::new(),
        }
    }

    /// Puts back groups that [`Engine::take_changes`] gave, in the order of their last hits. Gives
    /// those that could not be: of rules that are gone, or that group otherwise now, or too many.
    pub fn restore<'s>(&mut self, saved: &'s [SavedGroup]) -> Vec<&'s SavedGroup> {
        let (mut groups, mut left_out) = (Vec::new(), Vec::new());
        for saved in saved {
            match self.read(saved) {
                Some((id, group)) => groups.push((group.latest, saved, id, group)),
                None => left_out.push(saved),
            }
        }
        // Of too many groups, those that are idle longest are left out.
        groups.sort_by(|a, b| (b.0, &b.1.key).cmp(&(a.0, &a.1.key)));
        let mut kept = Vec::new();
        let mut room: Vec<usize> = self.rules.iter().map(|(_, rule)| rule.max_groups).collect();
        for (latest, saved, id, group) in groups {
            match room.get_mut(id.0 as usize) {
                Some(room) if *room > 0 => {
                    *room -= 1;
                    kept.push((latest, saved, id, group));
                }
                _ => left_out.push(saved),
            }
        }
        for (_, saved, id, group) in kept.into_iter().rev() {
            self.sample_bytes += group.sample_bytes();
            let slot = self.groups[id.0 as usize].insert(&saved.key, group);
            self.arm(id, slot);
        }
        left_out
    }

    fn read(&self, saved: &SavedGroup) -> Option<(RuleId, Group)> {
        let (id, rule) = self.rules.by_name(&saved.rule)?;
        let input = |name: &str| {
            let position = self.inputs.iter().position(|input| &**input == name);
            InputId(u32::try_from(position.unwrap_or(0)).unwrap_or(0))
        };
        snapshot::restore(saved, rule, input).map(|group| (id, group))
    }

    /// Takes a hit; appends to `out` what there is to say, what was due before it included.
    pub fn observe(&mut self, hit: &Hit, out: &mut Vec<Told>) {
        let rules = Arc::clone(&self.rules);
        let rule = rules.get(hit.rule);
        if rule.mode == Mode::Off {
            return;
        }
        self.counts[hit.rule.0 as usize].hits += 1;
        let slot = self.group_of(hit, rule, out);
        // What the group's own line time has passed comes before the hit, whatever the clock of
        // `advance` says: a backlog is read faster than it was written.
        self.settle(hit.rule, slot, out, |group, due| {
            group.latest.max(hit.time) >= due
        });
        self.mark(hit.rule, slot);
        let groups = &mut self.groups[hit.rule.0 as usize];
        groups.touch(slot);
        let Some(group) = groups.get_mut(slot) else {
            return;
        };
        let most_bytes = if self.sample_bytes > SAMPLE_BUDGET {
            SHORT_SAMPLE
        } else {
            Sample::MAX_BYTES
        };
        let before = group.sample_bytes();
        let held = group.note(hit, rule, most_bytes);
        self.sample_bytes = self.sample_bytes + group.sample_bytes() - before;
        match group.alert.as_mut() {
            Some(firing) => {
                firing.count_values(hit.top.iter().map(Option::as_deref));
                let before = firing.alert.untold();
                if let Some(reason) = firing.alert.hit(hit.time, held, rule) {
                    let occasion = Occasion {
                        reason,
                        at: hit.time,
                        ended_at: None,
                        suppressed: before + 1,
                    };
                    self.tell(hit.rule, slot, occasion, out);
                }
            }
            None => {
                if let Some(held) = held.filter(|held| !group.past.covers(held.at)) {
                    self.start(hit, slot, held, out);
                }
            }
        }
        self.arm(hit.rule, slot);
        self.tidy(hit.rule, hit.time);
    }

    /// Time has come to `now` (arrival time): settles everything that is due by then, in order.
    pub fn advance(&mut self, now: Timestamp, out: &mut Vec<Told>) {
        while let Some((rule, slot)) = self.timers.pop_due(now) {
            self.settle(rule, slot, out, |group, due| group.arrival_of(due) <= now);
            self.arm(rule, slot);
        }
    }

    /// When [`Engine::advance`] may next have something to do, in arrival time.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// The groups that changed since the last call, each once.
    pub fn take_changes(&mut self) -> Vec<SavedGroup> {
        let mut changes: Vec<SavedGroup> = Vec::new();
        for (id, key) in std::mem::take(&mut self.removed) {
            changes.push(SavedGroup {
                rule: self.rules.get(id).name.clone(),
                key: key.into(),
                state: None,
                parts: BTreeMap::new(),
                first_part: 0,
            });
        }
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        for (id, slot) in changed {
            let rule = self.rules.get(id);
            let Some((key, group)) = self.groups[id.0 as usize].get_with_key(slot) else {
                continue;
            };
            if !std::mem::take(&mut group.is_changed) {
                continue;
            }
            group.is_saved = true;
            let input = self.inputs.get(group.input.0 as usize);
            let input = input.map_or("", |name| name);
            changes.push(snapshot::save(rule, key, group, input));
        }
        changes
    }

    /// What [`Engine::take_changes`] gave of this group could not be saved: it is given again, all
    /// of it. Gives `false` when there is no such rule any more.
    pub fn save_again(&mut self, rule: &str, key: &str) -> bool {
        let Some((id, _)) = self.rules.by_name(rule) else {
            return false;
        };
        let groups = &mut self.groups[id.0 as usize];
        let Some(slot) = groups.find(key) else {
            self.removed.insert((id, key.into()));
            return true;
        };
        if let Some(window) = groups
            .get_mut(slot)
            .and_then(|group| group.condition.window_mut())
        {
            window.forget_saved();
        }
        self.mark(id, slot);
        true
    }

    /// Whether [`Engine::take_changes`] has something to give.
    pub fn has_changes(&self) -> bool {
        !self.changed.is_empty() || !self.removed.is_empty()
    }

    /// What happened to each rule, by rule id.
    pub fn counts(&self) -> &[RuleCounts] {
        &self.counts
    }

    /// The running alerts of a rule.
    pub fn alerts(&self, rule: RuleId) -> impl Iterator<Item = AlertView> {
        self.groups[rule.0 as usize]
            .iter()
            .filter_map(|(_, group)| {
                let alert = &group.alert.as_ref()?.alert;
                Some(AlertView {
                    id: alert.id.clone(),
                    count: alert.count,
                    suppressed: alert.untold(),
                    started_at: alert.started_at,
                    group: group.values.to_vec(),
                })
            })
    }

    /// The group of a hit, made where there is none, at the cost of the longest idle one.
    fn group_of(&mut self, hit: &Hit, rule: &Rule, out: &mut Vec<Told>) -> Slot {
        let mut key = std::mem::take(&mut self.key);
        names::write_key(&mut key, &hit.group);
        let groups = &mut self.groups[hit.rule.0 as usize];
        let slot = if let Some(slot) = groups.find(&key) {
            slot
        } else {
            if groups.len() >= rule.max_groups
                && let Some(oldest) = groups.oldest()
            {
                self.counts[hit.rule.0 as usize].dropped_groups += 1;
                // An alert that nobody can follow any more is over for those who were told.
                self.end(hit.rule, oldest, hit.time, out);
                self.drop_group(hit.rule, oldest);
            }
            let mut group = Group::new(rule, hit);
            group.is_saved =
                !self.removed.is_empty() && self.removed.remove(&(hit.rule, key.as_str().into()));
            self.groups[hit.rule.0 as usize].insert(&key, group)
        };
        self.key = key;
        slot
    }

    fn start(&mut self, hit: &Hit, slot: Slot, held: Held, out: &mut Vec<Told>) {
        let rules = Arc::clone(&self.rules);
        let rule = rules.get(hit.rule);
        let id = names::alert_id(&self.host, &rule.name, &hit.group, held.at);
        let Some(group) = self.groups[hit.rule.0 as usize].get_mut(slot) else {
            return;
        };
        group.alert = Some(Firing::start(
            Alert::start(id, held, rule),
            held,
            group,
            hit,
        ));
        self.counts[hit.rule.0 as usize].alerts += 1;
        let occasion = Occasion {
            reason: Reason::First,
            at: held.at,
            ended_at: None,
            suppressed: 0,
        };
        self.tell(hit.rule, slot, occasion, out);
    }

    /// Settles what is due for a group, one thing after the other; `reached` says whether a line
    /// time has come.
    fn settle(
        &mut self,
        id: RuleId,
        slot: Slot,
        out: &mut Vec<Told>,
        reached: impl Fn(&Group, Timestamp) -> bool,
    ) {
        let rules = Arc::clone(&self.rules);
        let rule = rules.get(id);
        loop {
            let Some(group) = self.groups[id.0 as usize].get_mut(slot) else {
                return;
            };
            let Some(firing) = group.alert.as_ref() else {
                return;
            };
            let (due, what) = firing.alert.due(rule);
            if !reached(group, due) {
                return;
            }
            match what {
                Due::Digest => self.digest(id, slot, due, out),
                Due::End => self.end(id, slot, due, out),
            }
        }
    }

    fn digest(&mut self, id: RuleId, slot: Slot, at: Timestamp, out: &mut Vec<Told>) {
        let rules = Arc::clone(&self.rules);
        let Some(group) = self.groups[id.0 as usize].get_mut(slot) else {
            return;
        };
        let Some(firing) = group.alert.as_mut() else {
            return;
        };
        let suppressed = firing.alert.untold();
        firing.alert.tell(at, rules.get(id));
        self.tell(
            id,
            slot,
            Occasion {
                reason: Reason::Digest,
                at,
                ended_at: None,
                suppressed,
            },
            out,
        );
    }

    /// Ends a group's alert, if it has one, and says so at line time `at`.
    fn end(&mut self, id: RuleId, slot: Slot, at: Timestamp, out: &mut Vec<Told>) {
        let rules = Arc::clone(&self.rules);
        let rule = rules.get(id);
        let Some(group) = self.groups[id.0 as usize].get_mut(slot) else {
            return;
        };
        let Some(firing) = group.alert.as_ref() else {
            return;
        };
        let alert = &firing.alert;
        let (ended_at, started_at) = (alert.held_until.min(at), alert.started_at);
        if alert.wants_digest(rule) {
            self.digest(id, slot, at, out);
        }
        let Some(group) = self.groups[id.0 as usize].get_mut(slot) else {
            return;
        };
        let Some(firing) = group.alert.as_mut() else {
            return;
        };
        let suppressed = firing.alert.untold();
        firing.alert.tell(at, rule);
        self.tell(
            id,
            slot,
            Occasion {
                reason: Reason::Resolved,
                at,
                ended_at: Some(ended_at),
                suppressed,
            },
            out,
        );
        if let Some(group) = self.groups[id.0 as usize].get_mut(slot) {
            group.alert = None;
            group.past.add(started_at, ended_at);
        }
    }

    /// Appends the notification. The alert's `seq` is that of this occasion already.
    fn tell(&mut self, id: RuleId, slot: Slot, occasion: Occasion, out: &mut Vec<Told>) {
        let rules = Arc::clone(&self.rules);
        let Some((_, group)) = self.groups[id.0 as usize].get(slot) else {
            return;
        };
        let Some(firing) = group.alert.as_ref() else {
            return;
        };
        let input = self.input_name(group.input);
        let notification =
            telling::notification(rules.get(id), group, firing, occasion, &self.host, input);
        out.push(Told {
            rule: id,
            notification,
        });
        self.counts[id.0 as usize].notifications += 1;
        self.mark(id, slot);
        if let Some(group) = self.groups[id.0 as usize].get_mut(slot)
            && let Some(firing) = group.alert.as_mut()
        {
            firing.alert.told_count = firing.alert.count;
        }
    }

    /// Sees to it that the group is looked at when something is due.
    fn arm(&mut self, id: RuleId, slot: Slot) {
        if let Some((_, group)) = self.groups[id.0 as usize].get(slot)
            && let Some(firing) = group.alert.as_ref()
        {
            let due = group.arrival_of(firing.alert.due(self.rules.get(id)).0);
            self.timers.arm(id, slot, due);
        }
    }

    /// Lets go of groups that cannot matter any more: at most two for each hit, so that no hit
    /// pays for many.
    fn tidy(&mut self, id: RuleId, now: Timestamp) {
        let rules = Arc::clone(&self.rules);
        let rule = rules.get(id);
        for _ in 0..2 {
            let groups = &mut self.groups[id.0 as usize];
            let Some(oldest) = groups.oldest_active() else {
                return;
            };
            let Some((_, group)) = groups.get(oldest) else {
                return;
            };
            if !group.is_spent(now, rule) {
                return;
            }
            if group.past.matters(now) {
                groups.park(oldest);
            } else {
                self.drop_group(id, oldest);
            }
        }
    }

    /// The group is to be saved.
    fn mark(&mut self, id: RuleId, slot: Slot) {
        if let Some(group) = self.groups[id.0 as usize].get_mut(slot)
            && !std::mem::replace(&mut group.is_changed, true)
        {
            self.changed.push((id, slot));
        }
    }

    fn drop_group(&mut self, id: RuleId, slot: Slot) {
        self.timers.disarm(id, slot);
        if let Some((key, group)) = self.groups[id.0 as usize].remove(slot) {
            self.sample_bytes -= group.sample_bytes();
            if group.is_saved {
                self.removed.insert((id, key));
            }
        }
    }

    fn input_name(&self, id: InputId) -> &str {
        self.inputs.get(id.0 as usize).map_or("", |name| name)
    }
}

#[cfg(test)]
mod tests;
