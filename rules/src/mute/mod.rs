//! When nothing is said: an alert's labels and a time → whether it is muted, by what, and until when
//! that is worth no second look. Pure values, made by `language/check` (intervals, inhibition) or by
//! an operator (silences); the engine asks, and decides what comes of it.
//!
//! | file | owns |
//! | --- | --- |
//! | `labels` | what of an alert can be matched |
//! | `matcher` | `name="value"` and its like, as in Alertmanager |
//! | `interval` | times of the week, month and year, with time zones |
//! | `inhibit` | one alert that mutes others |
//! | `silence` | what an operator has muted |

mod inhibit;
mod interval;
mod labels;
mod matcher;
mod silence;

pub use inhibit::InhibitRule;
pub use interval::{Span, TimeInterval, Times};
pub use labels::Labels;
pub use matcher::{Matcher, MatcherError, all_match, parse, parse_one};
pub use silence::Silence;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// Why nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// An operator's silence.
    Silenced,
    /// Another alert that fires.
    Inhibited,
    /// `mute_time_intervals`, or outside of `active_time_intervals`.
    Interval,
    /// More groups than `fold_groups`: one message speaks for all.
    Folded,
}

impl Why {
    /// As commands and JSON have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Silenced => "silenced",
            Self::Inhibited => "inhibited",
            Self::Interval => "interval",
            Self::Folded => "folded",
        }
    }
}

/// An alert is muted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Muted {
    /// By what.
    pub why: Why,
    /// Line time before which nothing changes unless something new happens.
    pub until: Timestamp,
}

/// Whether a rule speaks at `at`: within one of `active` (where there are any) and in none of
/// `mutes`.
pub fn by_time(active: &[Times], mutes: &[Times], at: Timestamp) -> Option<Muted> {
    let speaks = active.is_empty() || active.iter().any(|interval| interval.holds(at));
    if speaks && !mutes.iter().any(|interval| interval.holds(at)) {
        return None;
    }
    let changes = active.iter().chain(mutes);
    let until = changes.map(|interval| interval.next_change(at)).min()?;
    Some(Muted {
        why: Why::Interval,
        until,
    })
}

/// Whether one of `silences` mutes what would be said at `arrival` (wall clock); gives the latest
/// end of those that do.
pub fn by_silence(
    silences: &[Silence],
    labels: &Labels<'_>,
    arrival: Timestamp,
) -> Option<Timestamp> {
    let mutes = |silence: &&Silence| silence.ends_at > arrival && silence.matches(labels);
    silences
        .iter()
        .filter(mutes)
        .map(|silence| silence.ends_at)
        .max()
}
