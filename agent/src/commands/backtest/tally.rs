//! What is kept of a run's notifications: counts, timelines and episodes, in bounded memory however
//! many there are. Pure: it takes notifications and gives figures; `report` and `page` draw them.

use std::collections::HashMap;

use lapwing_rules::language::rule::RuleSet;
use lapwing_rules::model::{Mode, Notification, Reason, RuleId, Sample, Severity, Timestamp};

use super::timeline::Timeline;

/// Alerts that are kept one by one; more are counted.
pub(super) const MOST_EPISODES: usize = 20_000;
/// Alerts whose samples are kept.
const MOST_SAMPLED: usize = 200;
/// Groups whose messages are counted; beyond, those with the fewest go.
const MOST_GROUPS: usize = 10_000;

/// Everything that a report may want to know.
#[derive(Debug)]
pub(in crate::commands) struct Tally {
    /// By rule id.
    pub(in crate::commands) rules: Vec<OfRule>,
    /// Messages in each hour of the day.
    pub(in crate::commands) hours: [u64; 24],
    pub(in crate::commands) messages: u64,
    pub(in crate::commands) at_night: u64,
    /// Messages of shadow rules.
    pub(in crate::commands) shadow: u64,
    pub(super) episodes: Vec<Episode>,
    /// Alerts that started after there were [`MOST_EPISODES`].
    pub(in crate::commands) not_kept: u64,
    running: HashMap<String, usize>,
    groups: HashMap<(RuleId, String), u64>,
}

/// Of one rule.
#[derive(Clone, Debug, Default)]
pub(in crate::commands) struct OfRule {
    pub(in crate::commands) messages: u64,
    pub(in crate::commands) at_night: u64,
    pub(super) told: Timeline,
    pub(super) hits: Timeline,
}

/// One alert from its beginning to its end.
#[derive(Clone, Debug)]
pub(super) struct Episode {
    pub(super) id: String,
    pub(super) rule: String,
    pub(super) group: String,
    pub(super) severity: Severity,
    pub(super) mode: Mode,
    /// Of its first message.
    pub(super) summary: String,
    pub(super) started_at: Timestamp,
    /// `None`: the logs ended before it did.
    pub(super) ended_at: Option<Timestamp>,
    pub(super) count: u64,
    pub(super) messages: u64,
    /// Of its first message.
    pub(super) samples: Vec<Sample>,
}

/// Whether a person would be woken by a message.
pub(super) fn is_night(hour: usize) -> bool {
    !(7..22).contains(&hour)
}

/// `upstream=10.2.0.7 host=a`; empty without a group.
pub(super) fn group_text(notification: &Notification) -> String {
    let parts = notification.group.iter();
    let parts: Vec<String> = parts
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    parts.join(" ")
}

impl Tally {
    /// Nothing has been told yet.
    pub(super) fn new(rules: &RuleSet) -> Self {
        Self {
            rules: vec![OfRule::default(); rules.len()],
            hours: [0; 24],
            messages: 0,
            at_night: 0,
            shadow: 0,
            episodes: Vec::new(),
            not_kept: 0,
            running: HashMap::new(),
            groups: HashMap::new(),
        }
    }

    /// Notes what is told; `hour` is that of the host's clocks.
    pub(super) fn add(&mut self, rules: &RuleSet, notification: &Notification, hour: usize) {
        self.messages += 1;
        let night = u64::from(is_night(hour));
        self.at_night += night;
        self.shadow += u64::from(notification.mode == Mode::Shadow);
        if let Some(count) = self.hours.get_mut(hour) {
            *count += 1;
        }
        if let Some((id, _)) = rules.by_name(&notification.rule) {
            if let Some(of_rule) = self.rules.get_mut(id.0 as usize) {
                of_rule.messages += 1;
                of_rule.at_night += night;
                of_rule.told.add(notification.sent_at);
            }
            self.count_group(id, notification);
        }
        self.follow(notification);
    }

    fn count_group(&mut self, rule: RuleId, notification: &Notification) {
        let group = group_text(notification);
        if group.is_empty() {
            return;
        }
        if self.groups.len() >= MOST_GROUPS {
            let mut counts: Vec<u64> = self.groups.values().copied().collect();
            counts.sort_unstable();
            let middle = counts.get(counts.len() / 2).copied().unwrap_or(0);
            self.groups.retain(|_, count| *count > middle);
        }
        *self.groups.entry((rule, group)).or_default() += 1;
    }

    fn follow(&mut self, notification: &Notification) {
        if let Some(episode) = self.running.get(&notification.id).copied() {
            if let Some(episode) = self.episodes.get_mut(episode) {
                episode.messages += 1;
                episode.count = notification.count;
                episode.ended_at = notification.ended_at;
            }
        } else if self.episodes.len() < MOST_EPISODES {
            let samples = if self.episodes.len() < MOST_SAMPLED {
                notification.samples.clone()
            } else {
                Vec::new()
            };
            self.running
                .insert(notification.id.clone(), self.episodes.len());
            self.episodes.push(Episode {
                id: notification.id.clone(),
                rule: notification.rule.clone(),
                group: group_text(notification),
                severity: notification.severity,
                mode: notification.mode,
                summary: notification.summary.clone(),
                started_at: notification.started_at,
                ended_at: notification.ended_at,
                count: notification.count,
                messages: 1,
                samples,
            });
        } else if notification.reason == Reason::First {
            self.not_kept += 1;
        }
        if notification.reason == Reason::Resolved {
            self.running.remove(&notification.id);
        }
    }

    /// The groups with the most messages, most first, ties by name; those with one are no noise.
    pub(super) fn noisiest(&self, most: usize) -> Vec<(RuleId, &str, u64)> {
        let mut groups: Vec<(RuleId, &str, u64)> = self
            .groups
            .iter()
            .filter(|(_, count)| **count > 2)
            .map(|((rule, group), count)| (*rule, group.as_str(), *count))
            .collect();
        groups.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| (a.0, a.1).cmp(&(b.0, b.1))));
        groups.truncate(most);
        groups
    }
}
