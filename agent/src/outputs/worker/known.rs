//! What is known of the alerts that fire, from what was delivered and, after a restart, from the history:
//! an Alertmanager is told of each again and again, and at Slack what follows goes into its thread.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lapwing_rules::model::{Notification, Status};

use super::Worker;
use crate::clock;
use crate::outputs::http::Call;
use crate::outputs::kind::Kind;
use crate::outputs::quiet::Cause;
use crate::outputs::retry::Verdict;
use crate::outputs::{calls, paging, render};
use crate::store::{Outcome, Pending};

/// An Alertmanager is not told again of an alert of which nothing was heard for so long.
const TOLD_FOR: Duration = Duration::from_hours(24);

/// Notifications of the history that are looked at.
const REMEMBERED: usize = 2000;
/// Alerts that an Alertmanager is told again of; of more, those heard of last.
const MOST_FIRING: usize = 2000;
/// Alerts in one request.
const AT_ONCE: usize = 200;

impl Worker {
    /// An agent that begins knows from its history what is firing.
    pub(super) async fn remember(&mut self) {
        let is_alertmanager = matches!(self.spec.kind, Kind::Alertmanager { .. });
        if !is_alertmanager && !matches!(self.spec.kind, Kind::SlackBot { .. }) {
            return;
        }
        let reader = self.room.reader.clone();
        let look = move || reader.history(None, REMEMBERED);
        let Ok(Ok(history)) = tokio::task::spawn_blocking(look).await else {
            return;
        };
        let (wall, steady) = (clock::now(), self.room.reader.steady_now());
        // Newest first: the first word on an alert is the last.
        let mut known = BTreeSet::new();
        for recorded in history {
            let notification = recorded.notification;
            if notification.status == Status::Resolved {
                known.insert(notification.id);
                continue;
            }
            let ours = recorded.deliveries.into_iter().find(|delivery| {
                delivery.output == self.spec.name && delivery.outcome == Outcome::Delivered
            });
            // What went elsewhere, or still waits, says nothing of what this output knows.
            let Some(ours) = ours else { continue };
            if !known.insert(notification.id.clone()) {
                continue;
            }
            if let Some(place) = &ours.place {
                self.sender.remember(&notification.id, place);
            }
            if is_alertmanager && self.firing.len() < MOST_FIRING {
                let sendable = render::for_sending(notification, recorded.queued_at, None);
                let heard = steady.minus(wall.since(recorded.queued_at));
                self.firing
                    .insert(sendable.id.clone(), (Arc::new(sendable), heard));
            }
        }
    }

    pub(super) fn note_firing(&mut self, pending: &Pending) {
        // Of whose end it is not told would be told of for ever.
        let hears_of_ends = self.spec.send_resolved != Some(false);
        if !matches!(self.spec.kind, Kind::Alertmanager { .. }) || !hears_of_ends {
            return;
        }
        let notification = &pending.notification;
        if notification.status == Status::Resolved {
            self.firing.remove(&notification.id);
            return;
        }
        if self.firing.len() >= MOST_FIRING && !self.firing.contains_key(&notification.id) {
            let quietest = self.firing.iter().min_by_key(|(_, (_, heard))| *heard);
            if let Some(id) = quietest.map(|(id, _)| id.clone()) {
                self.firing.remove(&id);
            }
        }
        let sendable = render::for_sending(notification.clone(), pending.queued_at, None);
        let heard = self.room.reader.steady_now();
        self.firing
            .insert(notification.id.clone(), (Arc::new(sendable), heard));
    }

    /// An end that never arrives ends it all the same.
    pub(super) fn note_given_up(&mut self, pending: &Pending) {
        if pending.notification.status == Status::Resolved {
            self.firing.remove(&pending.notification.id);
        }
    }

    /// How long until an Alertmanager is told again of what fires; `None`: nothing does.
    pub(super) fn told_again_in(&mut self, now: Instant) -> Option<Duration> {
        let steady = self.room.reader.steady_now();
        self.firing
            .retain(|_, (_, heard)| steady.since(*heard) < TOLD_FOR);
        if self.firing.is_empty() {
            self.told_at = None;
            return None;
        }
        let told_at = *self.told_at.get_or_insert(now);
        Some((told_at + paging::TOLD_AGAIN).saturating_duration_since(now))
    }

    pub(super) async fn tell_again(&mut self) {
        self.told_at = Some(clock::monotonic());
        let Kind::Alertmanager { url } = &self.spec.kind else {
            return;
        };
        let firing: Vec<Arc<Notification>> = self
            .firing
            .values()
            .map(|(one, _)| Arc::clone(one))
            .collect();
        for some in firing.chunks(AT_ONCE) {
            let some: Vec<&Notification> = some.iter().map(|one| &**one).collect();
            let body = paging::alertmanager(&some, clock::now());
            let call = Call::json(calls::below(url, "api/v2/alerts"), &body);
            self.rest(self.pace.wait()).await;
            if self.stopping() {
                return;
            }
            self.pace.begin(1, &self.room).await;
            let tried = self.sender.ask(call).await;
            self.pace.answered(1);
            if let Verdict::Retry { why, .. }
            | Verdict::Refused { why }
            | Verdict::Rejected { why } = tried.verdict
            {
                self.complain(Cause::Retry, &why);
                return;
            }
        }
    }
}
