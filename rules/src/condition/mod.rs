//! When the hits of one group count as trouble: a pure state machine for each rule type, one file
//! each. Times come in with the hits, in any order.

mod any;
mod frequency;
mod window;

pub use frequency::Frequency;
pub use window::{Entry, Extent, Full, Saved, Window};

use crate::language::rule::ConditionSpec;
use crate::model::Timestamp;

/// The values of a hit's `top_count_keys`, in the rule's order; `None` where a field is missing.
pub type TopValues = Box<[Option<Box<str>>]>;

/// The state of one group.
#[derive(Clone, Debug)]
pub enum Condition {
    /// Every hit is trouble: there is nothing to remember.
    Any,
    /// So many hits in a sliding window.
    Frequency(Frequency),
}

/// The condition holds, and this is what there is to say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Line time at which it came to hold.
    pub at: Timestamp,
    /// Line time up to which it goes on to hold if nothing more comes.
    pub until: Timestamp,
    /// Line time of the oldest hit that it counts.
    pub first: Timestamp,
    /// Hits that it counts.
    pub count: u64,
}

impl Condition {
    /// Nothing has happened yet.
    pub fn new(spec: &ConditionSpec) -> Self {
        match *spec {
            ConditionSpec::Any => Self::Any,
            ConditionSpec::Frequency {
                num_events,
                timeframe,
            } => Self::Frequency(Frequency::new(num_events, timeframe)),
        }
    }

    /// Takes a hit; says whether the condition holds with it. `top` is kept as long as the hit
    /// counts. Amortized O(1) for hits in order.
    pub fn observe(&mut self, time: Timestamp, top: Option<TopValues>) -> Option<Held> {
        match self {
            Self::Any => Some(any::held(time)),
            Self::Frequency(frequency) => frequency.observe(time, top),
        }
    }

    /// The hits that may still count, oldest first; empty for types that keep none.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        match self {
            Self::Any => None,
            Self::Frequency(frequency) => Some(frequency.window().iter()),
        }
        .into_iter()
        .flatten()
    }

    /// The window, where the type keeps one.
    pub fn window(&self) -> Option<&Window> {
        match self {
            Self::Any => None,
            Self::Frequency(frequency) => Some(frequency.window()),
        }
    }

    /// The same, for what saves and restores it.
    pub fn window_mut(&mut self) -> Option<&mut Window> {
        match self {
            Self::Any => None,
            Self::Frequency(frequency) => Some(frequency.window_mut()),
        }
    }
}
