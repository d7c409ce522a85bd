//! One message that a service fails at must not keep the others from it. Notifications that fail
//! while others are taken stand aside here, and with them what comes later of the same alert: the
//! order within an alert is kept. Bounded. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::store::Pending;

/// No more stand aside; then all others wait, as they would without this.
const MOST: usize = 64;

/// See the file's head.
#[derive(Debug, Default)]
pub(super) struct Aside {
    waiting: VecDeque<Standing>,
}

/// A notification that stands aside.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) pending: Pending,
    /// Failures in a row.
    pub(super) failures: u32,
    pub(super) retry_at: Instant,
}

/// When one that comes next in the queue is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Now.
    Now,
    /// After what stands here of the same alert, and here until then.
    Aside,
    /// The same, but there is no room here: it stays in the queue, and all behind it.
    Later,
}

impl Aside {
    /// When the next message of this alert is tried.
    pub(super) fn turn_of(&self, alert: &str) -> Turn {
        if !self.holds(alert) {
            Turn::Now
        } else if self.has_room() {
            Turn::Aside
        } else {
            Turn::Later
        }
    }

    /// Whether something of this alert stands here.
    pub(super) fn holds(&self, alert: &str) -> bool {
        self.waiting
            .iter()
            .any(|one| one.pending.notification.id == alert)
    }

    /// Whether nothing stands here.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many stand here.
    pub(super) fn len(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// Whether there is room for one more.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MOST
    }

    /// Takes one; within an alert, the oldest first.
    pub(super) fn put(&mut self, standing: Standing) {
        let after = self
            .waiting
            .partition_point(|one| one.pending.key < standing.pending.key);
        self.waiting.insert(after, standing);
    }

    /// The first whose time has come, and which is its alert's oldest.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Standing> {
        let (at, _) = self.firsts().find(|(_, one)| one.retry_at <= now)?;
        self.waiting.remove(at)
    }

    /// Each alert's oldest, and its place here. What stands behind it waits for it alone.
    fn firsts(&self) -> impl Iterator<Item = (usize, &Standing)> {
        let is_first = |at: usize, one: &Standing| {
            let alert = &one.pending.notification.id;
            let mut before = self.waiting.iter().take(at);
            before.all(|other| other.pending.notification.id != *alert)
        };
        let all = self.waiting.iter().enumerate();
        all.filter(move |(at, one)| is_first(*at, one))
    }

    /// How long until one is due; `None`: nothing stands here.
    pub(super) fn due_in(&self, now: Instant) -> Option<Duration> {
        let wait = |one: &Standing| one.retry_at.saturating_duration_since(now);
        self.firsts().map(|(_, one)| wait(one)).min()
    }
}

#[cfg(test)]
mod tests {
    use lapwing_rules::model::Timestamp;

    use super::*;
    use crate::clock;
    use crate::outputs::sample::notification;

    fn standing(key: u64, alert: &str, retry_at: Instant) -> Standing {
        let mut notification = notification();
        alert.clone_into(&mut notification.id);
        Standing {
            pending: Pending {
                key,
                notification,
                attempts: 3,
                queued_at: Timestamp::default(),
                waiting_since: Timestamp::default(),
                last_error: None,
                instead_of: None,
            },
            failures: 3,
            retry_at,
        }
    }

    #[test]
    fn an_alerts_second_message_waits_for_its_first_also_when_there_is_no_room_aside() {
        let now = clock::monotonic();
        let mut aside = Aside::default();
        aside.put(standing(0, "a", now));
        assert_eq!(aside.turn_of("a"), Turn::Aside);
        for key in 1..MOST as u64 {
            aside.put(standing(key, &key.to_string(), now));
        }
        assert_eq!(
            (aside.turn_of("a"), aside.turn_of("new")),
            (Turn::Later, Turn::Now)
        );
        aside.take_due(now).unwrap();
        assert_eq!(
            (aside.turn_of("a"), aside.turn_of("1")),
            (Turn::Now, Turn::Aside)
        );
    }

    #[test]
    fn an_alerts_second_message_never_overtakes_its_first() {
        let now = clock::monotonic();
        let later = now + Duration::from_mins(1);
        let mut aside = Aside::default();
        aside.put(standing(1, "a", later));
        aside.put(standing(5, "a", now));
        aside.put(standing(3, "b", now));
        assert!(aside.holds("a") && !aside.holds("c"));
        assert_eq!(aside.take_due(now).unwrap().pending.key, 3);
        assert!(aside.take_due(now).is_none(), "5 waits for 1");
        assert_eq!(
            aside.due_in(now),
            Some(later - now),
            "and wakes nobody before"
        );
        assert_eq!(aside.take_due(later).unwrap().pending.key, 1);
        assert_eq!(aside.take_due(later).unwrap().pending.key, 5);
        assert_eq!(aside.due_in(now), None);
    }
}
