//! When to commit. Pure: times come in.
//!
//! What was read is durable within a second, and the disk decides how often it is asked within
//! that: a commit may take one part in twenty of the time, as long as the second allows it. What
//! there is to tell goes out at once, unless the disk has been at work for all of the time before.

use std::time::{Duration, Instant};

/// No more often than this, however quick the disk: a log that grows steadily is two and a half
/// syncs a second.
const SHORTEST: Duration = Duration::from_millis(400);
/// No less often than this, together with the time that the commit takes.
const LONGEST: Duration = Duration::from_millis(800);
/// A commit may take one part in so many of the time.
const SHARE: u32 = 20;

/// How the disk does.
#[derive(Debug, Default)]
pub(super) struct Pace {
    took: Duration,
    ended: Option<Instant>,
}

/// Whether somebody is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Positions and windows only.
    Plain,
    /// An alert, or the word that the agent is ready.
    Urgent,
}

impl Pace {
    /// A commit that was sent at `began` became durable at `ended`.
    pub(super) fn committed(&mut self, began: Instant, ended: Instant) {
        self.took = ended.saturating_duration_since(began);
        self.ended = Some(ended);
    }

    /// When something that first changed at `since` is to be committed.
    pub(super) fn due(&self, since: Instant, urgency: Urgency) -> Instant {
        match urgency {
            Urgency::Urgent => self
                .ended
                .map_or(since, |ended| since.max(ended + self.took)),
            Urgency::Plain => {
                let longest = LONGEST.saturating_sub(self.took).max(SHORTEST);
                since + (self.took * SHARE).clamp(SHORTEST, longest)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// After a commit that took `took`: how long a plain change waits, and an urgent one that comes
    /// `after` its end.
    fn waits(took: u64, after: u64) -> (Duration, Duration) {
        let mut pace = Pace::default();
        let began = crate::clock::monotonic();
        pace.committed(began, began + ms(took));
        let since = began + ms(took + after);
        let wait = |urgency| pace.due(since, urgency) - since;
        (wait(Urgency::Plain), wait(Urgency::Urgent))
    }

    #[test]
    fn a_slow_disk_is_asked_less_often_and_never_too_late() {
        assert_eq!(waits(1, 1_000), (ms(400), ms(0)));
        assert_eq!(waits(30, 1_000), (ms(600), ms(0)));
        assert_eq!(waits(100, 1_000), (ms(700), ms(0)));
        assert_eq!(waits(5_000, 9_000), (ms(400), ms(0)));
    }

    #[test]
    fn alerts_in_a_row_leave_the_disk_half_of_the_time() {
        assert_eq!(waits(20, 0).1, ms(20));
        assert_eq!(waits(20, 15).1, ms(5));
        assert_eq!(waits(20, 20).1, ms(0));
        let now = crate::clock::monotonic();
        assert_eq!(Pace::default().due(now, Urgency::Urgent), now);
    }
}
