//! How often the tail thread may say something: of one cause, one line a second. Pure; what was not
//! said is counted and said with the next line.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::losses::LossKind;

/// No more than one line in this time for one cause.
const QUIET: Duration = Duration::from_secs(1);

/// Why something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cause {
    /// Something was lost.
    Lost(LossKind),
    /// Something was truncated and read again.
    Truncated,
    /// Something cannot be read now.
    Unreadable,
    /// Notices were lost.
    Overflow,
    /// Something is not read, by choice.
    PassedOver,
}

/// Who spoke when.
#[derive(Debug, Default)]
pub(super) struct Voice {
    said: HashMap<Cause, (Instant, u64)>,
}

impl Voice {
    /// Whether it may be said now; then how often it was not since it was last said.
    pub(super) fn may_say(&mut self, cause: Cause, now: Instant) -> Option<u64> {
        match self.said.get_mut(&cause) {
            Some((at, held)) if now.saturating_duration_since(*at) < QUIET => {
                *held += 1;
                None
            }
            Some((at, held)) => {
                *at = now;
                Some(std::mem::take(held))
            }
            None => {
                self.said.insert(cause, (now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn one_line_a_second_for_a_cause_and_what_was_held_back_is_counted() {
        let mut voice = Voice::default();
        let start = clock::monotonic();
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(voice.may_say(Cause::Truncated, at(0)), Some(0));
        assert_eq!(voice.may_say(Cause::Unreadable, at(1)), Some(0));
        assert_eq!(voice.may_say(Cause::Truncated, at(2)), None);
        assert_eq!(voice.may_say(Cause::Truncated, at(999)), None);
        assert_eq!(voice.may_say(Cause::Truncated, at(1000)), Some(2));
        assert_eq!(voice.may_say(Cause::Truncated, at(2000)), Some(0));
    }
}
