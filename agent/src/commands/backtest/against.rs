//! Two rule sets over the same logs: which alerts appear, vanish or move. Pure.
//!
//! An alert is the same when rule, group and start are. One that starts at another time is taken to
//! have moved where an old one of the same rule and group went on at that time, or began within
//! [`NEAR`] of it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use lapwing_rules::model::Timestamp;
use serde_json::{Value, json};

use super::tally::{Episode, Tally};

/// How far an alert may move and be the same one.
const NEAR: Duration = Duration::from_mins(15);

/// What became of one alert.
#[derive(Clone, Debug)]
pub(super) enum Change<'a> {
    /// The old rules did not raise it.
    Appears(&'a Episode),
    /// The new rules do not raise it.
    Vanishes(&'a Episode),
    /// It starts at another time.
    Moves { old: &'a Episode, new: &'a Episode },
}

/// All that is different, in the order of time.
#[derive(Debug, Default)]
pub(super) struct Comparison<'a> {
    pub(super) changes: Vec<Change<'a>>,
    /// Alerts that are the same.
    pub(super) same: usize,
    /// Messages of the old rules.
    pub(super) old_messages: u64,
    /// Alerts on either side that were too many to be compared.
    pub(super) not_compared: u64,
}

impl Change<'_> {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Appears(_) => "appears",
            Self::Vanishes(_) => "vanishes",
            Self::Moves { .. } => "moves",
        }
    }

    /// The alert: as the new rules have it, where they do.
    pub(super) fn episode(&self) -> &Episode {
        match self {
            Self::Appears(episode) | Self::Vanishes(episode) => episode,
            Self::Moves { new, .. } => new,
        }
    }

    /// When it started before.
    pub(super) fn was_started_at(&self) -> Option<Timestamp> {
        match self {
            Self::Moves { old, .. } => Some(old.started_at),
            _ => None,
        }
    }

    /// One object.
    pub(super) fn json(&self) -> Value {
        let episode = self.episode();
        json!({"change": {
            "kind": self.kind(), "rule": episode.rule, "group": episode.group, "id": episode.id,
            "summary": episode.summary, "started_at": episode.started_at,
            "ended_at": episode.ended_at, "was_started_at": self.was_started_at(),
        }})
    }
}

impl<'a> Comparison<'a> {
    /// Holds the alerts of two runs against each other.
    pub(super) fn new(old: &'a Tally, new: &'a Tally) -> Self {
        let ids: HashSet<&str> = new.episodes.iter().map(|of| of.id.as_str()).collect();
        let mut comparison = Self {
            old_messages: old.messages,
            not_compared: old.not_kept + new.not_kept,
            ..Self::default()
        };
        // What is not the same, by rule and group, oldest first.
        let mut left: HashMap<(&str, &str), Vec<&Episode>> = HashMap::new();
        let mut known = HashSet::new();
        for episode in &old.episodes {
            if ids.contains(episode.id.as_str()) {
                known.insert(episode.id.as_str());
            } else {
                let key = (episode.rule.as_str(), episode.group.as_str());
                left.entry(key).or_default().push(episode);
            }
        }
        for episode in &new.episodes {
            if known.contains(episode.id.as_str()) {
                comparison.same += 1;
                continue;
            }
            let candidates = left.entry((&episode.rule, &episode.group)).or_default();
            let near = candidates.iter().position(|old| is_near(old, episode));
            comparison.changes.push(match near {
                Some(at) => Change::Moves {
                    old: candidates.remove(at),
                    new: episode,
                },
                None => Change::Appears(episode),
            });
        }
        let vanished = left.into_values().flatten().map(Change::Vanishes);
        comparison.changes.extend(vanished);
        comparison.changes.sort_by(|a, b| {
            let (a, b) = (a.episode(), b.episode());
            (a.started_at, &a.id).cmp(&(b.started_at, &b.id))
        });
        comparison
    }

    /// How many changes are of this kind.
    pub(super) fn count(&self, kind: &str) -> usize {
        self.changes
            .iter()
            .filter(|change| change.kind() == kind)
            .count()
    }

    /// For the summary.
    pub(super) fn json(&self) -> Value {
        json!({
            "same": self.same, "appear": self.count("appears"), "vanish": self.count("vanishes"),
            "move": self.count("moves"), "notifications": self.old_messages,
            "not_compared": self.not_compared,
        })
    }
}

fn is_near(old: &Episode, new: &Episode) -> bool {
    let goes_on = |episode: &Episode, at: Timestamp| {
        at >= episode.started_at && episode.ended_at.is_none_or(|end| at <= end)
    };
    let apart = old
        .started_at
        .since(new.started_at)
        .max(new.started_at.since(old.started_at));
    apart <= NEAR || goes_on(old, new.started_at) || goes_on(new, old.started_at)
}
