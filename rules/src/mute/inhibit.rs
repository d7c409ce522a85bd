//! One alert that mutes others while it fires.

use super::{Labels, Matcher, all_match};

/// While an alert fires that `source` matches, nothing is said of those that `target` matches and
/// that have the same values of `equal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InhibitRule {
    /// All must match the alert that mutes.
    pub source: Vec<Matcher>,
    /// All must match the alert that is muted.
    pub target: Vec<Matcher>,
    /// Labels whose values are the same in both; where both lack one, that is the same.
    pub equal: Vec<String>,
}

impl InhibitRule {
    /// Whether an alert mutes others.
    pub fn is_source(&self, labels: &Labels<'_>) -> bool {
        all_match(&self.source, labels)
    }

    /// Whether an alert may be muted.
    pub fn is_target(&self, labels: &Labels<'_>) -> bool {
        all_match(&self.target, labels)
    }

    /// What source and target must have in common.
    pub fn common(&self, labels: &Labels<'_>) -> Vec<String> {
        let value = |name: &String| labels.get(name).to_owned();
        self.equal.iter().map(value).collect()
    }
}
