//! A time that only passes, by which what waits grows old: a wall clock that is set makes nothing too old
//! and nothing young. It goes on over restarts; how long the agent was not there, only the wall clock knows.

use std::time::Instant;

use lapwing_rules::model::Timestamp;

/// Steady time: the wall clock as it was when the state was begun, from then on by its own pace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steady {
    base: Timestamp,
    began: Instant,
}

/// A moment by both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    /// Wall clock, for people.
    pub(super) wall: Timestamp,
    /// Steady time, for what waits.
    pub(super) steady: Timestamp,
}

impl Steady {
    /// Goes on from the last moment that is known. `now`, by both clocks: a monotonic one, and the wall.
    pub(super) fn resume(last: Option<Moment>, wall: Timestamp, now: Instant) -> Self {
        let base = last.map_or(wall, |last| last.steady.plus(wall.since(last.wall)));
        Self { base, began: now }
    }

    /// What it shows at `now`.
    pub(super) fn at(self, now: Instant) -> Timestamp {
        self.base.plus(now.saturating_duration_since(self.began))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;
    use crate::outputs::sample::at;

    #[test]
    fn it_passes_whatever_becomes_of_the_wall_clock_and_goes_on_after_a_restart() {
        let began = clock::monotonic();
        let first = Steady::resume(None, at("2026-11-21T09:00:00Z"), began);
        let steady = first.at(began + Duration::from_mins(5));
        assert_eq!(steady, at("2026-11-21T09:05:00Z"));
        // The clock was set back by years meanwhile, and the agent is away for a minute.
        let last = Moment {
            wall: at("2020-01-01T00:00:00Z"),
            steady,
        };
        let next = Steady::resume(Some(last), at("2020-01-01T00:01:00Z"), began);
        assert_eq!(next.at(began), at("2026-11-21T09:06:00Z"));
        // Set back while the agent is away: no time has passed, as far as anybody knows.
        let back = Steady::resume(Some(last), at("2019-01-01T00:00:00Z"), began);
        assert_eq!(back.at(began), steady);
    }
}
