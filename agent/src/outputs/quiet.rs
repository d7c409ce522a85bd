//! Keeps our own log short: one line a second for one cause, however often it happens. Pure.

use std::time::{Duration, Instant};

/// No cause is spoken of more often.
const PAUSE: Duration = Duration::from_secs(1);

/// What a log line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// A try failed and is made again.
    Retry,
    /// The other side does not let us in.
    Refused,
    /// Something is lost: the other side will not have it.
    Rejected,
    /// Another output is told instead.
    FellBack,
    /// Something is lost: it grew too old.
    Expired,
    /// Something is lost: too much waited.
    Dropped,
    /// The store cannot be read.
    Store,
    /// It works again.
    Recovered,
}

/// When each cause was last spoken of.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    spoken: Vec<(Cause, Instant)>,
}

impl Quiet {
    /// Whether `cause` may be spoken of at `now`; if so, it counts as done.
    pub(super) fn may_speak(&mut self, cause: Cause, now: Instant) -> bool {
        match self.spoken.iter_mut().find(|(spoken, _)| *spoken == cause) {
            Some((_, last)) if now.saturating_duration_since(*last) < PAUSE => false,
            Some((_, last)) => {
                *last = now;
                true
            }
            None => {
                self.spoken.push((cause, now));
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn one_line_a_second_for_one_cause() {
        let start = clock::monotonic();
        let mut quiet = Quiet::default();
        let spoken: Vec<bool> = [0, 1, 999, 1000, 1500, 2000]
            .map(|millis| quiet.may_speak(Cause::Retry, start + Duration::from_millis(millis)))
            .to_vec();
        assert_eq!(spoken, [true, false, false, true, false, true]);
        assert!(quiet.may_speak(Cause::Rejected, start + Duration::from_millis(2001)));
    }
}
