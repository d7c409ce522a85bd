//! Time as the tail thread was there to look. What is let go because nothing came for a while must not be
//! let go because this thread was held up meanwhile: then whoever would have written was held up, too, and
//! what came was not seen. It decides nothing.

use std::time::{Duration, Instant};

use crate::clock;

/// A round of work counts for no more than this, however long it took: so whatever waits is looked at
/// several times before its waiting is over.
pub(super) const MOST_A_ROUND: Duration = Duration::from_secs(1);
/// A sleep that takes so much longer than it was meant to was one of the whole process or host. Notices of
/// what came meanwhile may be on their way.
const OVERSLEPT: Duration = Duration::from_millis(500);

/// A clock that stands still while nobody looks. Its times are held against others of its own only.
#[derive(Debug)]
pub(super) struct Attention {
    /// What it said at `at`.
    said: Instant,
    at: Instant,
    /// Of what was written before, notices were taken, and it was read since.
    heard_at: Instant,
    /// When notices were taken last, or would have been if there had been any.
    hears_at: Instant,
}

impl Attention {
    pub(super) fn new() -> Self {
        let now = clock::monotonic();
        Self {
            said: now,
            at: now,
            heard_at: now,
            hears_at: now,
        }
    }

    /// Its time, within a round of work.
    pub(super) fn now(&self) -> Instant {
        self.said_at(clock::monotonic())
    }

    fn said_at(&self, now: Instant) -> Instant {
        self.said + now.saturating_duration_since(self.at).min(MOST_A_ROUND)
    }

    /// A round of work is over.
    pub(super) fn worked(&mut self) {
        self.worked_until(clock::monotonic());
    }

    fn worked_until(&mut self, now: Instant) {
        self.said = self.said_at(now);
        self.at = now;
    }

    /// A sleep is over that was meant to take so long at most.
    pub(super) fn slept(&mut self, planned: Duration) {
        self.slept_until(clock::monotonic(), planned);
    }

    fn slept_until(&mut self, now: Instant, planned: Duration) {
        let took = now.saturating_duration_since(self.at);
        if took <= planned.saturating_add(OVERSLEPT) {
            self.said += took;
            self.hears_at = now;
        }
        self.at = now;
    }

    /// Notices are taken.
    pub(super) fn hears(&mut self) {
        self.heard_at = std::mem::replace(&mut self.hears_at, clock::monotonic());
    }

    /// Whether what is written to a file may have stood there for more than a second by now, unread.
    pub(super) fn is_behind(&self) -> bool {
        clock::monotonic().saturating_duration_since(self.heard_at) > MOST_A_ROUND
    }

    /// As if this time had been spent looking.
    #[cfg(test)]
    pub(super) fn pass(&mut self, span: Duration) {
        self.said += span;
    }

    /// As if this time had passed in the middle of a round.
    #[cfg(test)]
    pub(super) fn miss(&mut self, span: Duration) {
        self.at = self
            .at
            .checked_sub(span)
            .expect("the clock has run for longer");
        self.heard_at = self
            .heard_at
            .checked_sub(span)
            .expect("the clock has run for longer");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn time_in_which_nobody_looked_counts_for_nothing() {
        let mut attention = Attention::new();
        let (began, mut now) = (attention.said, attention.at);
        let mut sleep = |attention: &mut Attention, took, planned| {
            now += took;
            attention.slept_until(now, planned);
            attention.said - began
        };
        // Woken before its time, in time, and a little late.
        assert_eq!(sleep(&mut attention, SECOND, 10 * SECOND), SECOND);
        assert_eq!(sleep(&mut attention, SECOND, SECOND), 2 * SECOND);
        let late = SECOND + OVERSLEPT;
        assert_eq!(sleep(&mut attention, late, SECOND), 2 * SECOND + late);
        // Stopped in its sleep.
        assert_eq!(
            sleep(&mut attention, 60 * SECOND, SECOND),
            2 * SECOND + late
        );
        // A round that took a minute.
        attention.worked_until(now + 60 * SECOND);
        assert_eq!(attention.said - began, 3 * SECOND + late);
        assert_eq!(attention.at, now + 60 * SECOND);
    }
}
