//! When the next message may go out, so that no stretch of time sees more than was agreed. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::kind::RateLimit;

/// The last sends of one output.
#[derive(Debug)]
pub(super) struct Limiter {
    limit: Option<RateLimit>,
    sent: VecDeque<Instant>,
    /// The service asked to be left alone until then.
    closed_until: Option<Instant>,
}

impl Limiter {
    /// `None`: no limit.
    pub(super) fn new(limit: Option<RateLimit>) -> Self {
        Self {
            limit,
            sent: VecDeque::new(),
            closed_until: None,
        }
    }

    /// How long to wait before the next one.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let closed = self
            .closed_until
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let full = self.limit.and_then(|limit| {
            let most = usize::try_from(limit.messages).unwrap_or(usize::MAX);
            let oldest = self.sent.len().checked_sub(most)?;
            let free_at = *self.sent.get(oldest)? + limit.per;
            Some(free_at.saturating_duration_since(now))
        });
        closed.max(full.unwrap_or_default())
    }

    /// One goes out at `now`.
    pub(super) fn sent(&mut self, now: Instant) {
        let Some(limit) = self.limit else { return };
        self.sent.push_back(now);
        while self.sent.len() > usize::try_from(limit.messages).unwrap_or(usize::MAX) {
            self.sent.pop_front();
        }
    }

    /// The service lets nothing in for `span`.
    pub(super) fn close(&mut self, now: Instant, span: Duration) {
        self.closed_until = Some(now + span);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock;

    proptest! {
        #[test]
        fn no_stretch_sees_more_than_was_agreed(
            messages in 1_u32..6,
            per in 1_u64..5_000,
            pauses in prop::collection::vec(0_u64..3_000, 1..60),
        ) {
            let per = Duration::from_millis(per);
            let mut limiter = Limiter::new(Some(RateLimit { messages, per }));
            let mut now = clock::monotonic();
            let mut times = Vec::new();
            for pause in pauses {
                now += Duration::from_millis(pause);
                now += limiter.wait(now);
                prop_assert_eq!(limiter.wait(now), Duration::ZERO);
                limiter.sent(now);
                times.push(now);
            }
            for (index, time) in times.iter().enumerate() {
                let within = times[index..].iter().take_while(|later| **later < *time + per);
                prop_assert!(within.count() <= messages as usize);
            }
        }
    }

    #[test]
    fn what_the_service_asks_for_is_kept() {
        let now = clock::monotonic();
        let mut limiter = Limiter::new(None);
        assert_eq!(limiter.wait(now), Duration::ZERO);
        limiter.close(now, Duration::from_secs(3));
        assert_eq!(
            limiter.wait(now + Duration::from_secs(1)),
            Duration::from_secs(2)
        );
    }
}
