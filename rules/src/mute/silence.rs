//! What an operator has muted, until when, and why.

use serde::{Deserialize, Serialize};

use super::{Labels, Matcher, all_match};
use crate::model::Timestamp;

/// One silence. The engine asks for `matchers` and `ends_at` only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// What `silence expire` takes.
    pub id: String,
    /// All must match; at least one that asks for something.
    pub matchers: Vec<Matcher>,
    /// Who made it.
    pub author: String,
    /// Why; may be empty.
    pub note: String,
    /// When it was made, wall clock.
    pub starts_at: Timestamp,
    /// When it ends, wall clock.
    pub ends_at: Timestamp,
}

impl Silence {
    /// How many there may be at once, ended ones that are still shown included.
    pub const MOST: usize = 1_000;
    /// Longest note, in bytes.
    pub const MOST_NOTE: usize = 1_024;
    /// Matchers of one.
    pub const MOST_MATCHERS: usize = 16;

    /// Whether an alert is meant.
    pub fn matches(&self, labels: &Labels<'_>) -> bool {
        all_match(&self.matchers, labels)
    }
}
