//! Hits and the passing of time → what there is to say, and what changed.
//!
//! The engine alone owns windows and alerts. It is told every time there is: a hit bears its line
//! time and the time it arrived; [`Engine::advance`] says how far time has come where no line says
//! so. The live agent passes wall time when nothing is left to read; `backtest` and `test` pass
//! line time and say that a line arrived when it was written. The same hits in the same order
//! give the same notifications, however they were cut into batches.

mod alert;
mod fold;
mod gone;
mod group;
mod groups;
mod inputs;
mod life;
mod mute;
mod names;
mod novel;
mod past;
mod rate;
mod room;
mod snapshot;
mod telling;
mod timers;
mod told;
mod top;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub use mute::{AckError, Running};
pub use snapshot::SavedGroup;
pub use told::{AlertView, HeldBack, RuleCounts, To, Told};

use crate::language::rule::{ConditionSpec, Rule, RuleSet};
use crate::model::{InputId, InputState, Mode, RuleId, Sample, Timestamp};
use crate::mute::Silence;
use crate::scanner::{self, Hit, Span};
use group::Group;
use groups::{Groups, Slot};
use inputs::Inputs;
use timers::Timers;

/// When all samples together take more than this, in bytes, new ones are kept short.
const SAMPLE_BUDGET: usize = 16 << 20;
/// Bytes of a sample that is kept short.
const SHORT_SAMPLE: usize = 200;

/// Windows and alerts of all rules.
#[derive(Debug)]
pub struct Engine {
    rules: Arc<RuleSet>,
    host: Arc<str>,
    inputs: Arc<[Arc<str>]>,
    heard: Inputs,
    /// By rule id.
    groups: Vec<Groups>,
    /// The groups with a running alert, by rule id.
    firing: Vec<BTreeSet<Slot>>,
    /// Of those, the ones that mute others; one for each inhibit rule.
    sources: Vec<mute::Sources>,
    silences: Vec<Silence>,
    /// The alert of each rule that ended last.
    ended: Vec<Option<AlertView>>,
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
    /// See [`Engine::wait_for_lines`].
    patience: Duration,
}

/// What a due time is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// The condition: lines that bear the very time may still come.
    Condition,
    /// The alert.
    Alert,
    /// The alert, while its condition waits that is due no later.
    AlertFirst,
}

impl Engine {
    /// An engine that has seen nothing. `host` is the agent's; `inputs` are the names that
    /// [`InputId`]s stand for.
    pub fn new(rules: Arc<RuleSet>, host: Arc<str>, inputs: Arc<[Arc<str>]>) -> Self {
        let len = rules.len();
        let tolerance = scanner::tolerance(&rules).unwrap_or_default();
        Self {
            heard: Inputs::new(inputs.len(), tolerance),
            host,
            inputs,
            groups: std::iter::repeat_with(Groups::default).take(len).collect(),
            firing: vec![BTreeSet::new(); len],
            sources: vec![mute::Sources::default(); rules.inhibit_rules().len()],
            silences: Vec::new(),
            ended: vec![None; len],
            counts: vec![RuleCounts::default(); len],
            timers: Timers::new(len),
            changed: Vec::new(),
            sample_bytes: 0,
            removed: BTreeSet::new(),
            key: String::new(),
            patience: Duration::ZERO,
            rules,
        }
    }

    /// A line that bears a time may arrive so much after it: only then what would have to come by
    /// that time is taken for missing by [`Engine::advance`].
    pub fn wait_for_lines(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Lines came from an input, hits or not, that no hit tells of ([`Hit::heard`]).
    pub fn heard(&mut self, input: InputId, spans: &[Span]) {
        for span in spans {
            self.heard.heard(input, *span);
        }
    }

    /// What was told of a rule goes to nobody.
    pub fn note_unrouted(&mut self, rule: RuleId) {
        if let Some(counts) = self.counts.get_mut(rule.0 as usize) {
            counts.held_back.unrouted += 1;
        }
    }

    /// Something of these inputs cannot be read now; all of the others can.
    pub fn set_unreadable(&mut self, inputs: &[InputId]) {
        self.heard.set_unreadable(inputs);
    }

    /// From `now` on rules that fire by silence and do not group are watched, hit or not; those
    /// that were before go on.
    pub fn watch(&mut self, now: Timestamp) {
        let rules = Arc::clone(&self.rules);
        for (id, rule) in rules.iter() {
            let watches = rule.group_by.is_empty() && rule.condition.watches_for_silence();
            if !watches || rule.mode == Mode::Off {
                continue;
            }
            let mut key = String::new();
            names::write_key(&mut key, &[]);
            let groups = &mut self.groups[id.0 as usize];
            if groups.find(&key).is_none() {
                let mut group = Group::unheard(rule, now, now);
                group.condition.begin(now);
                let slot = groups.insert(&key, group);
                self.mark(id, slot);
                self.arm(id, slot);
            }
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
            let fires = group.alert.is_some();
            let slot = self.groups[id.0 as usize].insert(&saved.key, group);
            if fires {
                self.note_start(id, slot);
            } else {
                self.note_source(id, slot);
            }
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
        for span in &hit.heard {
            self.heard.heard(hit.input, *span);
        }
        if rule.mode == Mode::Off {
            return;
        }
        self.counts[hit.rule.0 as usize].hits += hit.times;
        let slot = self.group_of(hit, rule, None, out);
        if let Some(group) = self.groups[hit.rule.0 as usize].get_mut(slot) {
            group.begin_earlier(hit);
        }
        self.settle_before(hit, slot, out);
        self.mark(hit.rule, slot);
        let Some(group) = self.groups[hit.rule.0 as usize].get_mut(slot) else {
            return;
        };
        group.hear(hit);
        if rule.condition.finds_new() {
            self.observe_new(hit, slot, out);
        } else {
            let verdict = group.observe_all(hit, rule);
            self.keep_line(hit, slot);
            self.judge((hit.rule, slot), verdict, (hit.time, Some(hit)), out);
            self.arm(hit.rule, slot);
        }
        self.tidy(hit.rule, hit.time);
    }

    /// What the group's own line time has passed comes before the hit, whatever the clock of
    /// `advance` says: a backlog is read faster than it was written.
    fn settle_before(&mut self, hit: &Hit, slot: Slot, out: &mut Vec<Told>) {
        self.settle(hit.rule, slot, out, |group, due, of| {
            let now = group.latest.max(hit.time);
            // A hit at the very time is in time.
            due < now || (due == now && of != Of::Condition)
        });
    }

    fn keep_line(&mut self, hit: &Hit, slot: Slot) {
        let rules = Arc::clone(&self.rules);
        let Some(group) = self.groups[hit.rule.0 as usize].get_mut(slot) else {
            return;
        };
        let most_bytes = if self.sample_bytes > SAMPLE_BUDGET {
            SHORT_SAMPLE
        } else {
            Sample::MAX_BYTES
        };
        let before = group.sample_bytes();
        group.keep_line(hit, rules.get(hit.rule), most_bytes);
        self.sample_bytes = self.sample_bytes + group.sample_bytes() - before;
    }

    /// Time has come to `now` (arrival time), and every hit up to it has been observed: settles
    /// everything that is due by then, in order.
    pub fn advance(&mut self, now: Timestamp, out: &mut Vec<Told>) {
        let patience = self.patience;
        // One thing after the other over all groups: what is said of one may depend on another.
        while let Some((at, rule, slot)) = self.timers.pop_due(now) {
            self.settle(rule, slot, out, |group, due, of| match of {
                Of::Condition => group.arrival_of(due).plus(patience) <= at,
                Of::Alert => group.arrival_of(due) <= at,
                Of::AlertFirst => false,
            });
            self.arm(rule, slot);
        }
    }

    /// A hit that arrived at `now` is about to be observed, and there may be more of them: settles
    /// what is due before that.
    pub fn advance_before(&mut self, now: Timestamp, out: &mut Vec<Told>) {
        self.advance(now.minus(Duration::from_nanos(1)), out);
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
        if let Some(group) = groups.get_mut(slot) {
            group.condition.forget_saved();
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

    /// What happened to one rule.
    ///
    /// # Panics
    ///
    /// When `id` is not of the engine's rules.
    pub fn counts_of(&self, id: RuleId) -> RuleCounts {
        self.counts[id.0 as usize]
    }

    /// The running alerts of a rule.
    pub fn alerts(&self, rule: RuleId) -> impl Iterator<Item = AlertView> {
        let groups = &self.groups[rule.0 as usize];
        let of_rule = self.rules.get(rule);
        self.firing[rule.0 as usize]
            .iter()
            .filter_map(move |slot| groups.get(*slot)?.1.view(of_rule))
    }

    /// How many alerts of a rule are running.
    pub fn firing(&self, rule: RuleId) -> usize {
        self.firing[rule.0 as usize].len()
    }

    /// The alert of a rule that ended last, as it was then.
    pub fn ended(&self, rule: RuleId) -> Option<&AlertView> {
        self.ended[rule.0 as usize].as_ref()
    }

    /// Sees to it that the group is looked at when something is due.
    fn arm(&mut self, id: RuleId, slot: Slot) {
        let Some((_, group)) = self.groups[id.0 as usize].get(slot) else {
            return;
        };
        let rule = self.rules.get(id);
        let alert = group.due(rule).map(|(due, _)| due);
        // As in `settle`: the alert waits for a condition that is due before it.
        let due = match (group.condition.due(), alert) {
            (Some(due), alert) if alert.is_none_or(|other| due <= other) => {
                group.arrival_of(due).plus(self.patience)
            }
            (_, Some(due)) => group.arrival_of(due),
            (_, None) => return,
        };
        self.timers.arm(id, slot, due);
    }

    /// How the inputs were that a flatline listens to, in the window that ends at `at`.
    fn input_state(&self, rule: &Rule, at: Timestamp) -> Option<InputState> {
        let ConditionSpec::Flatline { timeframe, .. } = rule.condition else {
            return None;
        };
        let ids = || (0..).map(InputId).zip(self.inputs.iter());
        let listens = |name: &str| scanner::listens_to(rule, name);
        // Where there is no configuration, the names of inputs mean nothing.
        let has_names = ids().any(|(_, name)| listens(name));
        let inputs = ids().filter(|(_, name)| !has_names || listens(name));
        let inputs = inputs.map(|(id, _)| id);
        Some(self.heard.state(inputs, at.minus(timeframe), at))
    }

    fn input_name(&self, id: InputId) -> &str {
        self.inputs.get(id.0 as usize).map_or("", |name| name)
    }
}

#[cfg(test)]
mod tests;
