//! One output's task: takes the oldest notification that waits, tries until it is delivered,
//! rejected or too old, settles it, and goes on. Order is kept; at most one is on its way.
//!
//! Sleeps without polling: a wake-up, a retry's time or the stop signal ends each sleep.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use lapwing_rules::model::{Notification, Timestamp};
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use super::blocking::Serial;
use super::http::Http;
use super::quiet::{Cause, Quiet};
use super::retry::{self, Verdict};
use super::stats::Counts;
use super::{Handle, Kind, Output, Palette, Spec, console, file, render, slack, webhook};
use crate::clock;
use crate::store::{Done, Outcome, Pending, Reader, Settlement, StoreMessage, Waiting};

/// How long after the store failed it is asked again.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How many that grew too old are settled at once.
const EXPIRED_AT_ONCE: usize = 256;
/// Slack takes one message a second.
const SLACK_GAP: Duration = Duration::from_secs(1);

/// What a worker needs besides its own configuration.
pub(super) struct Room {
    pub(super) handle: Handle,
    pub(super) reader: Reader,
    pub(super) store: Sender<StoreMessage>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) http: Arc<Http>,
    pub(super) palette: Palette,
}

/// Runs until the stop signal, and then until nothing waits or a try fails.
pub(super) async fn run(spec: Spec, room: Room) {
    let quiet = Quiet::default();
    let mut worker = Worker {
        spec,
        room,
        after: None,
        unsettled: Vec::new(),
        serial: Serial::default(),
        last_sent: None,
        quiet,
    };
    loop {
        match worker.take().await {
            Taken::Next(pending) => {
                if worker.deliver(*pending).await == Flow::Stop {
                    return;
                }
            }
            Taken::Nothing | Taken::StoreFailed if worker.stopping() => return,
            Taken::Nothing => worker.wait_for_work().await,
            Taken::StoreFailed => worker.rest(STORE_PAUSE).await,
        }
    }
}

enum Taken {
    Next(Box<Pending>),
    Nothing,
    StoreFailed,
}

#[derive(PartialEq)]
enum Flow {
    On,
    Stop,
}

struct Worker {
    spec: Spec,
    room: Room,
    /// Everything up to here is decided, durably or in `unsettled`.
    after: Option<u64>,
    /// Decided, but the store could not be told: must not be sent again.
    unsettled: Vec<Settlement>,
    serial: Serial,
    last_sent: Option<Instant>,
    quiet: Quiet,
}

impl Worker {
    fn stopping(&self) -> bool {
        *self.room.stop.borrow()
    }

    fn output(&self) -> Option<&Output> {
        self.room.handle.outputs.get(&self.spec.name)
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        if let Some(output) = self.output() {
            change(&mut output.stats.lock());
        }
    }

    async fn wait_for_work(&self) {
        let mut stop = self.room.stop.clone();
        let Some(output) = self.output() else { return };
        let again = async {
            // Only when something is left to be settled is there a reason to wake by ourselves.
            if self.unsettled.is_empty() {
                std::future::pending::<()>().await;
            } else {
                sleep(STORE_PAUSE).await;
            }
        };
        tokio::select! {
            () = output.wake.notified() => {}
            _ = stop.wait_for(|stop| *stop) => {}
            () = again => {}
        }
    }

    /// Sleeps for `span`, or until the stop signal.
    async fn rest(&self, span: Duration) {
        let mut stop = self.room.stop.clone();
        tokio::select! {
            () = sleep(span) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    /// The oldest that is worth trying. What grew too old on the way is settled.
    async fn take(&mut self) -> Taken {
        if !self.unsettled.is_empty() && !self.tell_store().await {
            return Taken::StoreFailed;
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
                Waiting::Pending(pending) if !self.too_old(pending.queued_at) => {
                    break Taken::Next(pending);
                }
                Waiting::Pending(pending) => {
                    expired += 1;
                    self.decide(pending.key, Outcome::Expired, pending.attempts, None);
                }
                Waiting::Unreadable { key, why } => {
                    self.complain(Cause::Rejected, &format!("a record cannot be read: {why}"));
                    self.count(|counts| counts.rejected += 1);
                    self.decide(key, Outcome::Rejected, 0, Some(why));
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

    fn too_old(&self, queued_at: Timestamp) -> bool {
        clock::now().since(queued_at) >= self.spec.max_age
    }

    /// Off this thread: the disk may be slow, and the runtime serves others too.
    async fn read(&self) -> Result<Option<Waiting>, String> {
        let reader = self.room.reader.clone();
        let name = self.spec.name.clone();
        let after = self.after;
        match tokio::task::spawn_blocking(move || reader.next_pending(&name, after)).await {
            Ok(read) => read.map_err(|error| error.to_string()),
            Err(_) => Err("reading it failed".to_owned()),
        }
    }

    /// Tries `pending` until it is decided.
    async fn deliver(&mut self, pending: Pending) -> Flow {
        let Pending {
            key,
            notification,
            mut attempts,
            queued_at,
        } = pending;
        let notification = Arc::new(render::for_sending(notification, queued_at));
        let mut failures = 0;
        loop {
            if self.too_old(queued_at) {
                // The next look at the queue finds it so, and says it.
                return Flow::On;
            }
            self.pace().await;
            let verdict = self.attempt(key, &notification).await;
            attempts = attempts.saturating_add(1);
            failures += 1;
            let cause = match &verdict {
                Verdict::Delivered => {
                    self.delivered(key, attempts).await;
                    return Flow::On;
                }
                Verdict::Rejected { why } => {
                    self.failed(Cause::Rejected, why, &notification);
                    self.count(|counts| counts.rejected += 1);
                    self.decide(key, Outcome::Rejected, attempts, Some(why.clone()));
                    self.tell_store().await;
                    return Flow::On;
                }
                Verdict::Refused { why } => (Cause::Refused, why.clone()),
                Verdict::Retry { why, .. } => (Cause::Retry, why.clone()),
            };
            let (cause, why) = cause;
            self.failed(cause, &why, &notification);
            self.note_try(key, attempts, why).await;
            if self.stopping() {
                return Flow::Stop;
            }
            let left = self
                .spec
                .max_age
                .saturating_sub(clock::now().since(queued_at));
            self.rest(retry::wait(&verdict, failures, luck()).min(left))
                .await;
            if self.stopping() {
                return Flow::Stop;
            }
        }
    }

    async fn attempt(&mut self, key: u64, notification: &Arc<Notification>) -> Verdict {
        let Spec { kind, timeout, .. } = &self.spec;
        let http = &self.room.http;
        match kind {
            Kind::Console => {
                let (notification, palette) = (Arc::clone(notification), self.room.palette);
                let work = move || console::print(&console::render(&notification, palette));
                self.serial.run(key, *timeout, work).await
            }
            Kind::File { path } => {
                let (notification, path) = (Arc::clone(notification), path.clone());
                let work = move || file::append(&path, &webhook::lapwing_json(&notification)?);
                self.serial.run(key, *timeout, work).await
            }
            Kind::Webhook {
                url,
                format,
                secret,
            } => {
                webhook::deliver(
                    http,
                    &self.spec,
                    (url, *format, secret.as_ref()),
                    notification,
                )
                .await
            }
            Kind::Slack { webhook_url } => {
                slack::deliver(http, &self.spec, webhook_url, notification).await
            }
        }
    }

    /// Keeps the distance that the service asks for.
    async fn pace(&mut self) {
        if let (Kind::Slack { .. }, Some(last)) = (&self.spec.kind, self.last_sent) {
            let since = clock::monotonic().saturating_duration_since(last);
            self.rest(SLACK_GAP.saturating_sub(since)).await;
        }
        self.last_sent = Some(clock::monotonic());
    }

    async fn delivered(&mut self, key: u64, attempts: u32) {
        self.count(|counts| {
            counts.delivered += 1;
            counts.delivered_at = Some(clock::now());
            counts.last_error = None;
        });
        if attempts > 1 && self.quiet.may_speak(Cause::Recovered, clock::monotonic()) {
            tracing::info!(output = %self.spec.name, attempts, "delivers again");
        }
        self.decide(key, Outcome::Delivered, attempts, None);
        self.tell_store().await;
    }

    fn failed(&mut self, cause: Cause, why: &str, notification: &Notification) {
        self.count(|counts| {
            counts.failed += u64::from(cause != Cause::Rejected);
            counts.last_error = Some(why.to_owned());
            counts.failed_at = Some(clock::now());
        });
        self.complain(
            cause,
            &format!("{why} ({})", webhook::idempotency_key(notification)),
        );
    }

    /// One line a second for one cause.
    fn complain(&mut self, cause: Cause, text: &str) {
        if !self.quiet.may_speak(cause, clock::monotonic()) {
            return;
        }
        let output = &self.spec.name;
        let text = super::safe::short(text, 400);
        match cause {
            Cause::Retry => tracing::warn!(%output, "not delivered, tried again later: {text}"),
            Cause::Refused => {
                tracing::error!(%output, "refused, kept and tried again slowly: {text}");
            }
            Cause::Rejected => tracing::error!(%output, "rejected for good: {text}"),
            Cause::Expired | Cause::Dropped => tracing::error!(%output, "{text}"),
            Cause::Store | Cause::Recovered => tracing::info!(%output, "{text}"),
        }
    }

    fn decide(&mut self, key: u64, outcome: Outcome, attempts: u32, last_error: Option<String>) {
        // What stands in memory is no longer offered once the store has heard of it.
        if Reader::is_on_disk(key) {
            self.after = Some(key);
        }
        let output = self.spec.name.clone();
        self.unsettled.push(Settlement {
            output,
            key,
            outcome,
            attempts,
            last_error,
        });
    }

    /// Records a failed try. If that fails too, the next one is recorded.
    async fn note_try(&self, key: u64, attempts: u32, why: String) {
        let output = self.spec.name.clone();
        let outcome = Outcome::Waiting;
        self.settle(vec![Settlement {
            output,
            key,
            outcome,
            attempts,
            last_error: Some(why),
        }])
        .await;
    }

    /// Makes what is decided durable. `false`: not now; it stays in `unsettled`.
    async fn tell_store(&mut self) -> bool {
        if self.unsettled.is_empty() {
            return true;
        }
        let done = self.settle(self.unsettled.clone()).await;
        if done {
            self.unsettled.clear();
        }
        done
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> bool {
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

/// A number in 0..1 that differs from one agent and one try to the next. Nothing depends on how
/// random it is.
fn luck() -> f64 {
    let bits = RandomState::new().hash_one(0_u8) >> 32;
    f64::from(u32::try_from(bits).unwrap_or(0)) / f64::from(u32::MAX)
}
