//! When the next message may go out, so that no stretch of time sees more than was agreed. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use lapwing_rules::model::Timestamp;
use serde::{Deserialize, Serialize};

use super::kind::RateLimit;

/// So many sends, or groups of them, are kept for the next agent.
const MOST_KEPT: usize = 64;
/// No service is left alone for longer, whatever an earlier agent wrote.
const LONGEST_CLOSED: Duration = Duration::from_hours(2);

/// The past of a [`Limiter`], as the next agent reads it.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Past {
    /// When and how many, oldest first, in steady time.
    sent: Vec<(Timestamp, u32)>,
    /// When the service may be asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closed_until: Option<Timestamp>,
}

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

    /// Whether the service has asked to be left alone until later.
    pub(super) fn is_closed(&self, now: Instant) -> bool {
        self.closed_until.is_some_and(|until| until > now)
    }

    /// One goes out at `now`.
    pub(super) fn sent(&mut self, now: Instant) {
        let Some(limit) = self.limit else { return };
        self.sent.push_back(now);
        while self.sent.len() > usize::try_from(limit.messages).unwrap_or(usize::MAX) {
            self.sent.pop_front();
        }
    }

    /// The last `messages` that were [`sent`](Self::sent) really went out at `now`, no earlier than then.
    pub(super) fn went_out(&mut self, messages: u32, now: Instant) {
        let many = usize::try_from(messages).unwrap_or(usize::MAX);
        for at in self.sent.iter_mut().rev().take(many) {
            *at = now;
        }
    }

    /// The service lets nothing in for `span`.
    pub(super) fn close(&mut self, now: Instant, span: Duration) {
        self.closed_until = self.closed_until.max(Some(now + span));
    }

    /// What the next agent must know. `steady`: a time that goes on over restarts, now.
    pub(super) fn past(&self, steady: Timestamp, now: Instant) -> Past {
        let age = |at: Instant| steady.minus(now.saturating_duration_since(at));
        // What stands together counts as if all of it went out with its last.
        let together = self.sent.len().div_ceil(MOST_KEPT).max(1);
        let sent: Vec<Instant> = self.sent.iter().copied().collect();
        let kept = sent.chunks(together).filter_map(|some| {
            let many = u32::try_from(some.len()).ok()?;
            Some((age(*some.last()?), many))
        });
        let closed = self.closed_until.filter(|until| *until > now);
        Past {
            sent: kept.collect(),
            closed_until: closed.map(|until| steady.plus(until.saturating_duration_since(now))),
        }
    }

    /// Goes on from what the agent before did.
    pub(super) fn resume(&mut self, past: &Past, steady: Timestamp, now: Instant) {
        for (at, many) in &past.sent {
            let at = now.checked_sub(steady.since(*at)).unwrap_or(now);
            for _ in 0..*many {
                self.sent(at);
            }
        }
        let closed = past.closed_until.map(|until| until.since(steady));
        if let Some(span) = closed.filter(|span| !span.is_zero()) {
            self.close(now, span.min(LONGEST_CLOSED));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock;

    proptest! {
        #[test]
        fn no_stretch_sees_more_than_was_agreed_whenever_the_agent_begins_anew(
            messages in 1_u32..200,
            restart in 1_usize..20,
            per in 1_u64..5_000,
            pauses in prop::collection::vec(0_u64..3_000, 1..400),
        ) {
            let per = Duration::from_millis(per);
            let mut limiter = Limiter::new(Some(RateLimit { messages, per }));
            let began = clock::monotonic();
            let mut now = began;
            let mut times = Vec::new();
            for (index, pause) in pauses.into_iter().enumerate() {
                if index % restart == 0 {
                    let steady = Timestamp::from_secs(1000).plus(now - began);
                    let past = limiter.past(steady, now);
                    limiter = Limiter::new(Some(RateLimit { messages, per }));
                    limiter.resume(&past, steady, now);
                }
                now += Duration::from_millis(pause);
                now += limiter.wait(now);
                prop_assert_eq!(limiter.wait(now), Duration::ZERO);
                limiter.sent(now);
                // A disk that takes its time makes it later.
                now += Duration::from_millis(pause / 3);
                limiter.went_out(1, now);
                times.push(now);
            }
            for (index, time) in times.iter().enumerate() {
                let within = times[index..].iter().take_while(|later| **later < *time + per);
                prop_assert!(within.count() <= messages as usize);
            }
        }
    }

    #[test]
    fn many_sends_are_kept_in_a_few_words() {
        let limit = RateLimit {
            messages: 10_000,
            per: Duration::from_hours(24),
        };
        let (now, steady) = (clock::monotonic(), Timestamp::from_secs(1000));
        let mut limiter = Limiter::new(Some(limit));
        for _ in 0..10_000 {
            limiter.sent(now);
        }
        let past = limiter.past(steady, now);
        assert!(past.sent.len() <= MOST_KEPT, "{}", past.sent.len());
        let mut next = Limiter::new(Some(limit));
        next.resume(&past, steady, now);
        assert_eq!(next.wait(now), limit.per);
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
        let (steady, mut next) = (Timestamp::from_secs(1000), Limiter::new(None));
        let past = limiter.past(steady, now);
        let second = Duration::from_secs(1);
        next.resume(&past, steady.plus(second), now + second);
        assert_eq!(
            next.wait(now + second),
            2 * second,
            "by the next agent, too"
        );
    }
}
