//! What the service manager is told: ready, reloading, stopping, one line of status, and that the
//! engine turns. Nothing happens where no manager listens (`NOTIFY_SOCKET`).

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::clock;
use crate::outputs::safe::short;

/// A status is one line; systemd shows no more than a few hundred characters of it.
const LONGEST_STATUS: usize = 300;

/// Everything is watched, and `status` says what that is.
pub fn ready(status: &str) {
    let status = one_line(status);
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// The configuration is read again; [`ready`] must follow, whatever comes of it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The end has begun.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// Text from outside must not become an assignment of its own.
fn one_line(text: &str) -> String {
    short(text, LONGEST_STATUS).into_owned()
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}

/// Says at intervals that whoever holds it is alive. The engine's thread holds it: when that hangs,
/// nothing is said any more, and the manager starts the agent again.
#[derive(Debug)]
pub struct Watchdog {
    every: Duration,
    next: Instant,
}

impl Watchdog {
    /// As the manager wants it; `None` when it does not.
    pub fn wanted() -> Option<Self> {
        sd_notify::watchdog_enabled().map(|patience| Self::new(patience, clock::monotonic()))
    }

    /// Three times within the manager's `patience`, the first at once.
    fn new(patience: Duration, now: Instant) -> Self {
        Self {
            every: patience / 3,
            next: now,
        }
    }

    /// Says it where it is time.
    pub fn feed(&mut self, now: Instant) {
        if self.is_due(now) {
            tell(&[NotifyState::Watchdog]);
        }
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + self.every;
        }
        due
    }

    /// How long nothing needs to be said.
    pub fn wait(&self, now: Instant) -> Duration {
        self.next.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_fed_three_times_within_its_patience() {
        let began = clock::monotonic();
        let mut watchdog = Watchdog::new(Duration::from_secs(30), began);
        let at = |seconds| began + Duration::from_secs(seconds);
        let fed: Vec<u64> = (0..=60).filter(|&s| watchdog.is_due(at(s))).collect();
        assert_eq!(fed, [0, 10, 20, 30, 40, 50, 60]);
        assert_eq!(watchdog.wait(at(65)), Duration::from_secs(5));
    }

    #[test]
    fn a_status_cannot_hold_an_assignment() {
        let status = one_line("bad.yaml\nREADY=1\u{1b}[2J");
        assert_eq!(status, "bad.yaml\\nREADY=1\\x1b[2J");
    }
}
