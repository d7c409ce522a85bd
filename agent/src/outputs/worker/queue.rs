//! What waits in the store for this output: the oldest that is worth trying, and those that become one
//! message with it.

use super::{Taken, Worker};
use crate::clock;
use crate::outputs::quiet::Cause;
use crate::store::{Outcome, Pending, Reader, Settlement, Waiting};

/// How many that grew too old are settled at once.
const EXPIRED_AT_ONCE: usize = 256;
/// When more than so many wait, people are told of all of them in one message.
const FOLD_ABOVE: u64 = 10;
/// No message is of more.
const FOLD_AT_MOST: usize = 500;

impl Worker {
    /// The oldest that is worth trying. What grew too old on the way is settled.
    pub(super) async fn take(&mut self) -> Taken {
        if !self.unsettled.is_empty() && !self.tell_store().await {
            return Taken::StoreFailed;
        }
        if self.aside.is_empty() {
            // All that was decided is durable: what stands in the queue is new, or queued again.
            self.after = None;
        }
        let mut expired = 0;
        let taken = loop {
            let next = match self.read().await {
                Ok(Some(next)) => next,
                Ok(None) => break Taken::Nothing,
                Err(why) => {
                    if self.quiet.may_speak(Cause::Store, clock::monotonic()) {
                        tracing::error!(output = %self.spec.name, %why, "the store cannot be read: asked again");
                    }
                    break Taken::StoreFailed;
                }
            };
            match next {
                Waiting::Pending(pending) if !self.too_old(&pending) => {
                    break Taken::Next(pending);
                }
                Waiting::Pending(pending) => {
                    expired += 1;
                    self.decide_expired(&pending);
                }
                Waiting::Unreadable { key, why } => {
                    self.complain(Cause::Rejected, &format!("a record cannot be read: {why}"));
                    self.count(|counts| counts.rejected += 1);
                    let name = &self.spec.name;
                    self.decide(Settlement::new(name, key, Outcome::Rejected, 0, Some(why)));
                }
            }
            if self.unsettled.len() >= EXPIRED_AT_ONCE && !self.tell_store().await {
                break Taken::StoreFailed;
            }
        };
        if expired > 0 {
            self.count(|counts| counts.expired += expired);
            self.complain(
                Cause::Expired,
                &format!("{expired} grew too old and are not sent any more"),
            );
            self.tell_store().await;
        }
        taken
    }

    pub(super) fn too_old(&self, pending: &Pending) -> bool {
        self.room.reader.waited(pending) >= self.spec.max_age
    }

    /// Off this thread: the disk may be slow, and the runtime serves others too.
    pub(super) async fn read(&self) -> Result<Option<Waiting>, String> {
        let reader = self.room.reader.clone();
        let name = self.spec.name.clone();
        let after = self.after;
        match tokio::task::spawn_blocking(move || reader.next_pending(&name, after)).await {
            Ok(read) => read.map_err(|error| error.to_string()),
            Err(_) => Err("reading it failed".to_owned()),
        }
    }

    /// Many that wait become one for people: gives those that come after `first`, oldest first.
    pub(super) async fn fold(&self, first: &Pending) -> Vec<Pending> {
        let mut folded: Vec<Pending> = Vec::new();
        if !self.spec.kind.is_for_people() || !Reader::is_on_disk(first.key) {
            return folded;
        }
        let reader = self.room.reader.clone();
        let (name, from) = (self.spec.name.clone(), first.key);
        let look = move || {
            if reader
                .queue(&name)
                .is_ok_and(|queue| queue.rows > FOLD_ABOVE)
            {
                reader.pending_after(&name, from, FOLD_AT_MOST)
            } else {
                Ok(Vec::new())
            }
        };
        if let Ok(Ok(more)) = tokio::task::spawn_blocking(look).await {
            folded = more;
        }
        let is_fine = |pending: &Pending| {
            !self.too_old(pending) && !self.aside.holds(&pending.notification.id)
        };
        // What is folded must follow without a gap: the place in the queue is one number.
        let end = folded.iter().position(|pending| !is_fine(pending));
        folded.truncate(end.unwrap_or(folded.len()));
        folded
    }
}
