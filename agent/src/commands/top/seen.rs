//! What `lapwing top` has seen of the agent: the last look, and what it needs of those before.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use lapwing_rules::model::Notification;
use serde::Deserialize;

use super::view::Order;
use crate::operate::status::{RuleStatus, Status};
use crate::outputs::safe::visible;

/// Looks of which a rule's graph is drawn.
const LOOKS: usize = 20;
/// Bars from nothing to the most.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One look at the agent.
pub(super) type Look = (Status, Vec<Alert>);

/// A running alert.
#[derive(Deserialize)]
pub(super) struct Alert {
    #[serde(flatten)]
    pub(super) notification: Notification,
    /// Why nothing is sent of it now.
    pub(super) muted: Option<String>,
}

/// What was seen of the agent until now.
pub(super) struct Seen {
    pub(super) status: Status,
    /// That are firing, the most severe first.
    pub(super) alerts: Vec<Alert>,
    at: Instant,
    /// Why the last look failed.
    pub(super) error: Option<String>,
    /// By rule: hits between two looks, oldest first, and how long apart those were.
    rates: BTreeMap<String, VecDeque<u64>>,
    /// Bytes of each input between the last two looks, by second.
    pub(super) bytes: BTreeMap<String, u64>,
}

impl Seen {
    pub(super) fn new((status, alerts): Look, at: Instant) -> Self {
        let mut seen = Self {
            status,
            alerts: Vec::new(),
            at,
            error: None,
            rates: BTreeMap::new(),
            bytes: BTreeMap::new(),
        };
        seen.set_alerts(alerts);
        seen
    }

    fn set_alerts(&mut self, mut alerts: Vec<Alert>) {
        alerts.sort_by_key(|alert| {
            let told = &alert.notification;
            (Reverse(told.severity), Reverse(told.started_at))
        });
        self.alerts = alerts;
    }

    /// Takes a newer look.
    pub(super) fn take(&mut self, (status, alerts): Look, at: Instant) {
        let apart = at.saturating_duration_since(self.at);
        for (name, rule) in &status.rules {
            let before = self.status.rules.get(name).map_or(0, |rule| rule.hits);
            // A count that is lower began anew with a reload.
            let more = rule.hits.checked_sub(before).unwrap_or(rule.hits);
            let steps = self.rates.entry(name.clone()).or_default();
            if steps.len() == LOOKS {
                steps.pop_front();
            }
            steps.push_back(more);
        }
        self.rates.retain(|name, _| status.rules.contains_key(name));
        let millis = u64::try_from(apart.as_millis()).unwrap_or(u64::MAX).max(1);
        for (name, input) in &status.inputs {
            let before = self.status.inputs.get(name).map_or(0, |input| input.bytes);
            let more = input.bytes.checked_sub(before).unwrap_or(input.bytes);
            let each_second = more.saturating_mul(1000) / millis;
            self.bytes.insert(name.clone(), each_second);
        }
        (self.status, self.at, self.error) = (status, at, None);
        self.set_alerts(alerts);
    }

    /// The agent did not answer.
    pub(super) fn fail(&mut self, why: &str) {
        self.error = Some(visible(why).into_owned());
    }

    /// The alerts' ids.
    pub(super) fn ids(&self) -> Vec<&str> {
        let ids = self.alerts.iter();
        ids.map(|alert| alert.notification.id.as_str()).collect()
    }

    /// The rules' names in this order.
    pub(super) fn names(&self, order: Order) -> Vec<&str> {
        let rules = self.rules(order).into_iter();
        rules.map(|(name, _)| name.as_str()).collect()
    }

    /// The rules in this order.
    pub(super) fn rules(&self, order: Order) -> Vec<(&String, &RuleStatus)> {
        let mut rules: Vec<_> = self.status.rules.iter().collect();
        match order {
            Order::Busy => {
                rules.sort_by_key(|(name, rule)| {
                    Reverse((rule.firing, self.recent(name), rule.hits))
                });
            }
            Order::Hits => rules.sort_by_key(|(_, rule)| Reverse(rule.hits)),
            Order::Name => {}
        }
        rules
    }

    /// Hits of the last looks.
    pub(super) fn recent(&self, rule: &str) -> u64 {
        self.rates.get(rule).map_or(0, |steps| steps.iter().sum())
    }

    /// A bar for each of the last looks, oldest first.
    pub(super) fn graph(&self, rule: &str) -> String {
        let Some(steps) = self.rates.get(rule) else {
            return String::new();
        };
        let most = steps.iter().copied().max().unwrap_or(0).max(1);
        let bar = |hits: &u64| {
            let at = usize::try_from(hits.saturating_mul(7).div_ceil(most)).unwrap_or(0);
            BARS.get(at).copied().unwrap_or('█')
        };
        steps.iter().map(bar).collect()
    }
}
