//! What became of a message: counted, said in the agent's log, and made durable in the store. What the
//! store cannot take now is kept and told again; until then it is not sent again.

use std::time::Duration;

use lapwing_rules::model::Notification;
use tokio::sync::oneshot;

use super::Worker;
use crate::clock;
use crate::outputs::quiet::Cause;
use crate::outputs::{render, safe};
use crate::store::{Done, Outcome, Pending, Reader, Settlement, StoreMessage};

impl Worker {
    pub(super) async fn fall_back(&mut self, pending: &Pending, folded: &[Pending], to: String) {
        let error = self
            .output()
            .and_then(|output| output.stats.lock().last_error.clone());
        let after = self
            .spec
            .fallback
            .as_ref()
            .map_or(Duration::MAX, |fallback| fallback.after);
        let reader = self.room.reader.clone();
        let is_due = |one: &&Pending| reader.waited(one) >= after;
        // Those of a digest whose time has not come stay.
        let due = std::iter::once(pending).chain(folded.iter().take_while(is_due));
        for one in due {
            self.complain(
                Cause::FellBack,
                &format!("told {to} instead ({})", render::key(&one.notification)),
            );
            self.count(|counts| counts.fallback += 1);
            let fallen = self.outcome(one, Outcome::Fallback);
            self.decide(Settlement {
                last_error: error.clone(),
                to: Some(to.clone()),
                ..fallen
            });
        }
        self.tell_store().await;
    }

    pub(super) async fn reject(&mut self, pending: &Pending, folded: &[Pending], why: String) {
        self.failed(Cause::Rejected, &why, &pending.notification);
        let fallback = self
            .spec
            .fallback
            .as_ref()
            .map(|fallback| fallback.to.clone());
        let outcome = if fallback.is_some() {
            Outcome::Fallback
        } else {
            Outcome::Rejected
        };
        self.count(|counts| counts.next_try_at = None);
        for one in std::iter::once(pending).chain(folded) {
            self.count(|counts| counts.rejected += 1);
            self.note_given_up(one);
            let given_up = self.outcome(one, outcome);
            self.decide(Settlement {
                last_error: Some(why.clone()),
                to: fallback.clone(),
                ..given_up
            });
        }
        self.tell_store().await;
    }

    pub(super) async fn expire(&mut self, pending: &Pending) {
        self.count(|counts| counts.expired += 1);
        self.complain(Cause::Expired, "1 grew too old and is not sent any more");
        self.note_given_up(pending);
        self.decide_expired(pending);
        self.tell_store().await;
    }

    pub(super) async fn delivered(
        &mut self,
        pending: &Pending,
        folded: &[Pending],
        place: Option<String>,
    ) {
        let failures = std::mem::take(&mut self.failures);
        self.retry_at = None;
        let many = 1 + folded.len() as u64;
        self.count(|counts| {
            counts.delivered += many;
            counts.delivered_at = Some(clock::now());
            counts.last_error = None;
            counts.next_try_at = None;
        });
        if failures > 0 && self.quiet.may_speak(Cause::Recovered, clock::monotonic()) {
            tracing::info!(output = %self.spec.name, failures, "delivers again");
        }
        for one in std::iter::once(pending).chain(folded) {
            self.note_firing(one);
            let delivered = self.outcome(one, Outcome::Delivered);
            self.decide(Settlement {
                place: place.clone(),
                ..delivered
            });
        }
        self.tell_store().await;
    }

    /// What became of `pending`, which was tried once where it was delivered by a try for many.
    fn outcome(&self, pending: &Pending, outcome: Outcome) -> Settlement {
        let attempts = pending
            .attempts
            .max(u32::from(outcome == Outcome::Delivered));
        Settlement::new(&self.spec.name, pending.key, outcome, attempts, None)
    }

    pub(super) fn failed(&mut self, cause: Cause, why: &str, notification: &Notification) {
        self.count(|counts| {
            counts.failed += u64::from(cause != Cause::Rejected);
            counts.last_error = Some(why.to_owned());
            counts.failed_at = Some(clock::now());
        });
        self.complain(cause, &format!("{why} ({})", render::key(notification)));
    }

    /// One line a second for one cause.
    pub(super) fn complain(&mut self, cause: Cause, text: &str) {
        if !self.quiet.may_speak(cause, clock::monotonic()) {
            return;
        }
        let output = &self.spec.name;
        let text = safe::short(text, 400);
        match cause {
            Cause::Retry => tracing::warn!(%output, "not delivered, tried again later: {text}"),
            Cause::Refused => {
                tracing::error!(%output, "refused, kept and tried again slowly: {text}");
            }
            Cause::Rejected => tracing::error!(%output, "rejected for good: {text}"),
            Cause::FellBack => tracing::error!(%output, "cannot be reached: {text}"),
            Cause::Expired | Cause::Dropped => tracing::error!(%output, "{text}"),
            Cause::Store | Cause::Recovered => tracing::info!(%output, "{text}"),
        }
    }

    /// Notes what became of one, for the store.
    pub(super) fn decide(&mut self, settlement: Settlement) {
        // What stands in memory is no longer offered once the store has heard of it.
        if Reader::is_on_disk(settlement.key) {
            self.after = self.after.max(Some(settlement.key));
        }
        self.unsettled.push(settlement);
    }

    /// It grew too old; why it could not be delivered until then is kept.
    pub(super) fn decide_expired(&mut self, pending: &Pending) {
        let expired = self.outcome(pending, Outcome::Expired);
        self.decide(Settlement {
            last_error: pending.last_error.clone(),
            ..expired
        });
    }

    /// Records a failed try. If that fails too, the next one is recorded.
    pub(super) async fn note_try(&self, key: u64, attempts: u32, why: String) {
        let tried = Settlement::new(&self.spec.name, key, Outcome::Waiting, attempts, Some(why));
        self.settle(vec![tried]).await;
    }

    /// Makes what is decided durable. `false`: not now; it stays in `unsettled`.
    pub(super) async fn tell_store(&mut self) -> bool {
        if self.unsettled.is_empty() {
            return true;
        }
        let done = self.settle(self.unsettled.clone()).await;
        if done {
            self.unsettled.clear();
        }
        done
    }

    pub(super) async fn settle(&self, settlements: Vec<Settlement>) -> bool {
        let (tell, told) = oneshot::channel();
        let reply = Box::new(move |result: Result<Done, _>| {
            // Nobody listens any more when this worker was stopped meanwhile.
            tell.send(result.is_ok()).unwrap_or_default();
        });
        if self
            .room
            .store
            .send(StoreMessage::Settle(settlements, reply))
            .is_err()
        {
            return false;
        }
        told.await.unwrap_or(false)
    }
}
