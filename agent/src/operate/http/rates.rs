//! How often each rule hit in each of the last minutes: what the page draws. Kept only for rules that
//! hit at all.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::operate::sight::Sight;
use crate::operate::status::RuleStatus;

/// How long a step is.
pub(super) const STEP: Duration = Duration::from_secs(30);
/// An hour of them.
pub(super) const STEPS: usize = 120;

/// Steps of all rules.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<Steps>);

#[derive(Debug, Default)]
struct Steps {
    rules: HashMap<String, Rule>,
}

#[derive(Debug, Default)]
struct Rule {
    /// Hits at the last look.
    seen: u64,
    /// Oldest first.
    steps: VecDeque<u32>,
}

impl Rates {
    /// Takes what was counted until now; a count that is lower began anew.
    fn take(&self, rules: &BTreeMap<String, RuleStatus>) {
        let mut all = self.lock();
        all.rules.retain(|name, _| rules.contains_key(name));
        for (name, status) in rules {
            if status.hits == 0 && !all.rules.contains_key(name) {
                continue;
            }
            let rule = all.rules.entry(name.clone()).or_default();
            let more = status.hits.checked_sub(rule.seen).unwrap_or(status.hits);
            rule.seen = status.hits;
            if rule.steps.len() == STEPS {
                rule.steps.pop_front();
            }
            rule.steps
                .push_back(u32::try_from(more).unwrap_or(u32::MAX));
        }
    }

    /// Hits of each step, oldest first; no rule that never hit.
    pub(super) fn of(&self, rule: &str) -> Vec<u32> {
        let all = self.lock();
        let steps = all.rules.get(rule).map(|rule| &rule.steps);
        steps.map_or_else(Vec::new, |steps| steps.iter().copied().collect())
    }

    fn lock(&self) -> MutexGuard<'_, Steps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at the engine's counts once a step, for as long as there is an agent to look at.
pub(super) async fn sample(sight: watch::Receiver<Option<Arc<Sight>>>, rates: Arc<Rates>) {
    let mut ticks = tokio::time::interval(STEP);
    loop {
        ticks.tick().await;
        let now = sight.borrow().clone();
        if let Some(now) = now
            && let Ok(said) = now.ask_engine().await
        {
            rates.take(&said.rules);
        }
        if sight.has_changed().is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(hits: u64) -> RuleStatus {
        RuleStatus {
            kind: "any".to_owned(),
            mode: "live".to_owned(),
            hits,
            alerts: 0,
            notifications: 0,
            firing: 0,
            held_back: lapwing_rules::engine::HeldBack::default(),
            dropped_groups: 0,
        }
    }

    #[test]
    fn steps_are_what_came_since_the_last_look_also_after_a_reload() {
        let rates = Rates::default();
        for hits in [0, 5, 5, 12, 3, 4] {
            rates.take(&BTreeMap::from([
                ("a".to_owned(), status(hits)),
                ("b".to_owned(), status(0)),
            ]));
        }
        assert_eq!(rates.of("a"), [5, 0, 7, 3, 1]);
        assert!(rates.of("b").is_empty());
        for _ in 0..2 * STEPS {
            rates.take(&BTreeMap::from([("a".to_owned(), status(4))]));
        }
        assert_eq!(rates.of("a"), vec![0; STEPS]);
        rates.take(&BTreeMap::new());
        assert!(rates.of("a").is_empty());
    }
}
