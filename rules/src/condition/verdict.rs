//! What a condition is told, and what it says.

use super::TopValues;
use crate::model::{Parts, Timestamp};

/// A line that a rule accepts, as a condition wants it.
#[derive(Clone, Debug)]
pub struct Observation<'a> {
    /// The line's time. May be before that of the observation before it.
    pub time: Timestamp,
    /// Which parts of the rule it meets.
    pub parts: Parts,
    /// The values that the type asks for ([`ConditionSpec::values`]); `None`: a field is missing.
    ///
    /// [`ConditionSpec::values`]: crate::language::rule::ConditionSpec::values
    pub values: &'a [Option<String>],
    /// Kept as long as the hit counts, where the type keeps hits.
    pub top: Option<TopValues>,
}

/// What has come of a line, or of the passing of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Nothing is to be said.
    Nothing,
    /// The condition holds.
    Holds(Held),
    /// It held, without an end in sight, and does not hold any more since this line time.
    Ceased(Timestamp),
}

impl Verdict {
    /// What holds.
    pub fn held(self) -> Option<Held> {
        match self {
            Self::Holds(held) => Some(held),
            Self::Nothing | Self::Ceased(_) => None,
        }
    }
}

/// The condition holds, and this is what there is to say about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Held {
    /// Line time at which it came to hold.
    pub at: Timestamp,
    /// Line time up to which it goes on to hold if nothing more comes; [`Timestamp::MAX`]: the
    /// condition will say when it ceases.
    pub until: Timestamp,
    /// Line time of the oldest hit that it counts.
    pub first: Timestamp,
    /// Hits that it counts.
    pub count: u64,
    /// What the type measures: hits, distinct values, percent, ratio, seconds.
    pub value: f64,
    /// What `value` is held against.
    pub threshold: f64,
    /// What made it hold.
    pub by: Cause,
}

/// What makes a condition hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Lines that came.
    Hits,
    /// Lines that did not come.
    Silence,
}

/// A count as a value: exact up to 2^53, and nothing counts further.
pub(crate) fn number(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a count of hits is below 2^53")]
    let value = count as f64;
    value
}
