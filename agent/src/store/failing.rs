//! When to try again while the disk takes nothing, and from when on alerts are told from memory.
//! Pure: times come in.

use std::time::{Duration, Instant};

/// So long a failure may last before alerts are told without having been recorded.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between the first tries.
const SHORTEST: Duration = Duration::from_millis(900);
/// Between tries in the long run.
const LONGEST: Duration = Duration::from_secs(15);
/// A try opens and checks the whole file: it may take one part in so many of the time.
const SHARE: u32 = 20;

/// A stretch of time in which nothing could be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    began: Instant,
    next_try: Instant,
    pause: Duration,
}

impl Stretch {
    /// The first try failed at `now`.
    pub(super) fn begin(now: Instant) -> Self {
        Self {
            began: now,
            next_try: now + SHORTEST,
            pause: SHORTEST,
        }
    }

    /// Another try, which took so long, failed at `now`.
    pub(super) fn failed_again(&mut self, now: Instant, took: Duration) {
        // Until alerts are told from memory, and a little longer, nobody is to wait.
        if now.saturating_duration_since(self.began) > 2 * PATIENCE {
            self.pause = (self.pause * 2).min(LONGEST);
        }
        self.next_try = now + self.pause.max(took * SHARE).min(4 * LONGEST);
    }

    /// Whether the disk is to be asked again.
    pub(super) fn may_try(&self, now: Instant) -> bool {
        now >= self.next_try
    }

    /// When it is.
    pub(super) fn next_try(&self) -> Instant {
        self.next_try
    }

    /// Whether it has lasted so long that alerts are told from memory.
    pub(super) fn is_out_of_patience(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.began) >= PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_come_every_second_at_first_and_rarely_later() {
        let began = crate::clock::monotonic();
        let mut stretch = Stretch::begin(began);
        assert!(!stretch.may_try(began) && !stretch.is_out_of_patience(began));
        let mut tries = Vec::new();
        while tries.len() < 12 {
            let now = stretch.next_try();
            tries.push((now - began).as_secs());
            stretch.failed_again(now, Duration::from_millis(1));
        }
        assert_eq!(tries[..5], [0, 1, 2, 3, 4]);
        assert_eq!(tries[11] - tries[10], LONGEST.as_secs());
        assert!(stretch.is_out_of_patience(began + PATIENCE));
    }

    #[test]
    fn a_try_that_takes_long_is_made_rarely() {
        let now = crate::clock::monotonic();
        let mut stretch = Stretch::begin(now);
        stretch.failed_again(now, Duration::from_secs(2));
        assert_eq!(stretch.next_try() - now, Duration::from_secs(40));
    }
}
