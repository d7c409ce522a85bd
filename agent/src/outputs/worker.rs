//! One output's task: takes the oldest notification that waits, tries until it is delivered,
//! rejected or too old, settles it, and goes on. Order is kept; at most one is on its way.
//!
//! Sleeps without polling: a wake-up, a retry's time or the stop signal ends each sleep.

mod firing;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::mpsc::Sender as StdSender;
use std::time::{Duration, Instant};

use lapwing_rules::model::{Notification, Timestamp};
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use super::aside::{Aside, Standing};
use super::http::Http;
use super::limit::Limiter;
use super::message::Way;
use super::outgoing::Outgoing;
use super::quiet::{Cause, Quiet};
use super::retry::{self, Verdict};
use super::sender::Sender;
use super::stats::Counts;
use super::{Handle, Output, Palette, Spec, render};
use crate::clock;
use crate::store::{Done, Outcome, Pending, Reader, Settlement, StoreMessage, Waiting};

/// How long after the store failed it is asked again.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How many that grew too old are settled at once.
const EXPIRED_AT_ONCE: usize = 256;
/// When more than so many wait, people are told of all of them in one message.
const FOLD_ABOVE: u64 = 10;
/// No message is of more.
const FOLD_AT_MOST: usize = 500;
/// After so many failures another message is tried, to see whether it is this one alone.
const SUSPECT_AFTER: u32 = 3;

/// What a worker needs besides its own configuration.
pub(super) struct Room {
    pub(super) handle: Handle,
    pub(super) reader: Reader,
    pub(super) store: StdSender<StoreMessage>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) http: Arc<Http>,
    pub(super) palette: Palette,
}

impl Room {
    pub(super) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Sleeps for `span`, or until the stop signal.
    pub(super) async fn rest(&self, span: Duration) {
        if span.is_zero() {
            return;
        }
        let mut stop = self.stop.clone();
        tokio::select! {
            () = sleep(span) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    /// Changes what the output `name` counts.
    pub(super) fn count(&self, name: &str, change: impl FnOnce(&mut Counts)) {
        if let Some(output) = self.handle.outputs.get(name) {
            change(&mut output.stats.lock());
        }
    }
}

/// Runs until the stop signal, and then until nothing waits or a try fails.
pub(super) async fn run(spec: Spec, room: Room) {
    let limit = spec.rate_limit.or_else(|| spec.kind.rate_limit());
    let http = Arc::clone(&room.http);
    let mut worker = Worker {
        sender: Sender::new(spec.kind.clone(), spec.timeout, room.palette, http),
        limiter: Limiter::new(limit),
        spec,
        room,
        after: None,
        unsettled: Vec::new(),
        quiet: Quiet::default(),
        failures: 0,
        retry_at: None,
        aside: Aside::default(),
        firing: BTreeMap::new(),
        told_at: None,
    };
    worker.remember_firing().await;
    loop {
        if let Some(standing) = worker.aside.take_due(clock::monotonic()) {
            if worker.deliver(standing).await == Flow::Stop {
                return;
            }
            continue;
        }
        match worker.take().await {
            Taken::Next(pending) => {
                let standing = Worker::fresh(*pending);
                if worker.aside.holds(&standing.pending.notification.id) && worker.aside.has_room()
                {
                    worker.pass_over(&standing.pending);
                    worker.aside.put(standing);
                } else if worker.deliver(standing).await == Flow::Stop {
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
    sender: Sender,
    limiter: Limiter,
    /// Everything up to here is decided, durably or in `unsettled`, or stands aside.
    after: Option<u64>,
    /// Decided, but the store could not be told: must not be sent again.
    unsettled: Vec<Settlement>,
    quiet: Quiet,
    /// Failures in a row, whatever of.
    failures: u32,
    /// Nothing is tried before.
    retry_at: Option<Instant>,
    aside: Aside,
    /// For an Alertmanager: what is firing, by alert, and when it was last heard of.
    firing: BTreeMap<String, (Arc<Notification>, Timestamp)>,
    /// When the Alertmanager was last told again.
    told_at: Option<Instant>,
}

impl Worker {
    fn stopping(&self) -> bool {
        self.room.is_stopping()
    }

    fn fresh(pending: Pending) -> Standing {
        Standing {
            pending,
            failures: 0,
            retry_at: clock::monotonic(),
        }
    }

    /// What comes after it is taken next.
    fn pass_over(&mut self, pending: &Pending) {
        if Reader::is_on_disk(pending.key) {
            self.after = self.after.max(Some(pending.key));
        }
    }

    fn output(&self) -> Option<&Output> {
        self.room.handle.outputs.get(&self.spec.name)
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        self.room.count(&self.spec.name, change);
    }

    async fn wait_for_work(&mut self) {
        let now = clock::monotonic();
        let again = self.told_again_in(now);
        if again.is_some_and(|wait| wait.is_zero()) {
            self.tell_again().await;
            return;
        }
        // Something is left to be settled, stands aside, or is to be told again.
        let unsettled = (!self.unsettled.is_empty()).then_some(STORE_PAUSE);
        let wake = [unsettled, self.aside.due_in(now), again]
            .into_iter()
            .flatten()
            .min();
        let mut stop = self.room.stop.clone();
        let Some(output) = self.output() else { return };
        let again = async {
            match wake {
                Some(wait) => sleep(wait).await,
                None => std::future::pending().await,
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
        self.room.rest(span).await;
    }

    /// The oldest that is worth trying. What grew too old on the way is settled.
    async fn take(&mut self) -> Taken {
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

    /// Tries it until it is decided, or stands aside.
    async fn deliver(&mut self, mut standing: Standing) -> Flow {
        let folded = self.fold(&standing.pending).await;
        loop {
            let queued_at = standing.pending.queued_at;
            if self.too_old(queued_at) {
                // The next look at the queue finds the others so, and says it.
                self.expire(&standing.pending).await;
                return Flow::On;
            }
            // What is due to be tried is tried first.
            if self.is_paused()
                && let Some(to) = self.fallback_for(&standing.pending)
            {
                self.fall_back(&standing.pending, &folded, to).await;
                return Flow::On;
            }
            let wait = self.wait_before_trying(&standing);
            if !wait.is_zero() {
                if self.stopping() && self.failures > 0 {
                    return Flow::Stop;
                }
                self.rest(wait).await;
                continue;
            }
            let outgoing = Self::outgoing(&standing.pending, &folded);
            let verdict = self.attempt(standing.pending.key, &outgoing).await;
            standing.pending.attempts = standing.pending.attempts.saturating_add(1);
            match verdict {
                Verdict::Delivered => {
                    self.delivered(&standing.pending, &folded).await;
                    return Flow::On;
                }
                Verdict::Rejected { why } => {
                    self.reject(&standing.pending, &folded, why).await;
                    return Flow::On;
                }
                Verdict::Refused { .. } | Verdict::Retry { .. } => {
                    self.note_failure(&mut standing, &verdict).await;
                }
            }
            if self.stopping() {
                return Flow::Stop;
            }
            if folded.is_empty() && self.is_alone_in_failing(&standing, &verdict).await {
                self.pass_over(&standing.pending);
                self.aside.put(standing);
                return Flow::On;
            }
        }
    }

    /// Many that wait become one for people: gives those that come after `first`, oldest first.
    async fn fold(&self, first: &Pending) -> Vec<Pending> {
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
            !self.too_old(pending.queued_at) && !self.aside.holds(&pending.notification.id)
        };
        // What is folded must follow without a gap: the place in the queue is one number.
        let end = folded.iter().position(|pending| !is_fine(pending));
        folded.truncate(end.unwrap_or(folded.len()));
        folded
    }

    fn outgoing(pending: &Pending, folded: &[Pending]) -> Outgoing {
        let sendable = |pending: &Pending| {
            let notification = pending.notification.clone();
            let instead_of = pending.instead_of.as_deref();
            Arc::new(render::for_sending(
                notification,
                pending.queued_at,
                instead_of,
            ))
        };
        let way = Way {
            waited: clock::now().since(pending.queued_at),
        };
        let first = sendable(pending);
        if folded.is_empty() {
            return Outgoing::one(first, way);
        }
        let mut all = vec![Arc::clone(&first)];
        all.extend(folded.iter().map(sendable));
        Outgoing::many(all, way.clone()).unwrap_or_else(|| Outgoing::one(first, way))
    }

    /// What keeps from trying now: the pause after a failure, the service's pace; cut where
    /// something is to be decided before.
    fn wait_before_trying(&self, standing: &Standing) -> Duration {
        let now = clock::monotonic();
        let paused = self
            .retry_at
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        let wait = paused.max(self.limiter.wait(now));
        if wait.is_zero() {
            return wait;
        }
        let waited = clock::now().since(standing.pending.queued_at);
        let left = |span: Duration| span.saturating_sub(waited).max(Duration::from_millis(1));
        let fallback = self.spec.fallback.as_ref().filter(|_| self.failures > 0);
        let until_fallback = fallback.map(|fallback| left(fallback.after));
        wait.min(left(self.spec.max_age))
            .min(until_fallback.unwrap_or(wait))
    }

    async fn attempt(&mut self, key: u64, outgoing: &Outgoing) -> Verdict {
        self.limiter.sent(clock::monotonic());
        let tried = self.sender.send(key, outgoing).await;
        for _ in 1..tried.messages {
            self.limiter.sent(clock::monotonic());
        }
        if let Some(span) = tried.closed_for {
            self.limiter.close(clock::monotonic(), span);
        }
        tried.verdict
    }

    async fn note_failure(&mut self, standing: &mut Standing, verdict: &Verdict) {
        let (cause, why) = match verdict {
            Verdict::Refused { why } => (Cause::Refused, why.clone()),
            Verdict::Retry { why, .. } | Verdict::Rejected { why } => (Cause::Retry, why.clone()),
            Verdict::Delivered => return,
        };
        self.failures = self.failures.saturating_add(1);
        standing.failures = standing.failures.saturating_add(1);
        let pause = retry::wait(verdict, self.failures, luck());
        let until = clock::monotonic() + pause;
        self.retry_at = Some(until);
        standing.retry_at = until;
        self.failed(cause, &why, &standing.pending.notification);
        self.note_try(standing.pending.key, standing.pending.attempts, why)
            .await;
    }

    /// After some failures in a row the next alert's message is tried: if it arrives, the fault
    /// lies with the first one, which stands aside from then on.
    async fn is_alone_in_failing(&mut self, standing: &Standing, verdict: &Verdict) -> bool {
        let may_be =
            matches!(verdict, Verdict::Retry { after: None, why } if why.starts_with("HTTP 5"));
        let key = standing.pending.key;
        if !may_be
            || standing.failures < SUSPECT_AFTER
            || !self.aside.has_room()
            || !Reader::is_on_disk(key)
        {
            return false;
        }
        let reader = self.room.reader.clone();
        let (name, alert) = (
            self.spec.name.clone(),
            standing.pending.notification.id.clone(),
        );
        let from = self.after.unwrap_or(0).max(key);
        let look = move || reader.pending_after(&name, from, 1);
        let Ok(Ok(next)) = tokio::task::spawn_blocking(look).await else {
            return false;
        };
        // Only what comes next is taken: the place in the queue is one number.
        let Some(next) = next.into_iter().next() else {
            return false;
        };
        if next.notification.id == alert || self.aside.holds(&next.notification.id) {
            return false;
        }
        self.rest(self.limiter.wait(clock::monotonic())).await;
        let outgoing = Self::outgoing(&next, &[]);
        if self.attempt(next.key, &outgoing).await != Verdict::Delivered {
            return false;
        }
        self.delivered(&next, &[]).await;
        true
    }

    fn is_paused(&self) -> bool {
        self.retry_at.is_some_and(|at| at > clock::monotonic())
    }

    /// The output that is told instead, once that is due.
    fn fallback_for(&self, pending: &Pending) -> Option<String> {
        let fallback = self.spec.fallback.as_ref()?;
        let waited = clock::now().since(pending.queued_at);
        (self.failures > 0 && waited >= fallback.after).then(|| fallback.to.clone())
    }

    async fn fall_back(&mut self, pending: &Pending, folded: &[Pending], to: String) {
        let error = self
            .output()
            .and_then(|output| output.stats.lock().last_error.clone());
        let after = self
            .spec
            .fallback
            .as_ref()
            .map_or(Duration::MAX, |fallback| fallback.after);
        let is_due = |one: &&Pending| clock::now().since(one.queued_at) >= after;
        // Those of a digest whose time has not come stay.
        let due = std::iter::once(pending).chain(folded.iter().take_while(is_due));
        for one in due {
            self.complain(
                Cause::FellBack,
                &format!("told {to} instead ({})", render::key(&one.notification)),
            );
            self.count(|counts| counts.fallback += 1);
            self.push(one, Outcome::Fallback, error.clone(), Some(to.clone()));
        }
        self.tell_store().await;
    }

    async fn reject(&mut self, pending: &Pending, folded: &[Pending], why: String) {
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
        for one in std::iter::once(pending).chain(folded) {
            self.count(|counts| counts.rejected += 1);
            self.push(one, outcome, Some(why.clone()), fallback.clone());
        }
        self.tell_store().await;
    }

    async fn expire(&mut self, pending: &Pending) {
        self.count(|counts| counts.expired += 1);
        self.complain(Cause::Expired, "1 grew too old and is not sent any more");
        self.push(pending, Outcome::Expired, None, None);
        self.tell_store().await;
    }

    async fn delivered(&mut self, pending: &Pending, folded: &[Pending]) {
        let failures = std::mem::take(&mut self.failures);
        self.retry_at = None;
        let many = 1 + folded.len() as u64;
        self.count(|counts| {
            counts.delivered += many;
            counts.delivered_at = Some(clock::now());
            counts.last_error = None;
        });
        if failures > 0 && self.quiet.may_speak(Cause::Recovered, clock::monotonic()) {
            tracing::info!(output = %self.spec.name, failures, "delivers again");
        }
        for one in std::iter::once(pending).chain(folded) {
            self.note_firing(one);
            self.push(one, Outcome::Delivered, None, None);
        }
        self.tell_store().await;
    }

    /// Notes what became of it, for the store.
    fn push(
        &mut self,
        pending: &Pending,
        outcome: Outcome,
        error: Option<String>,
        to: Option<String>,
    ) {
        let attempts = pending
            .attempts
            .max(u32::from(outcome == Outcome::Delivered));
        self.decide(pending.key, outcome, attempts, error);
        if let Some(last) = self.unsettled.last_mut() {
            last.to = to;
        }
    }

    fn failed(&mut self, cause: Cause, why: &str, notification: &Notification) {
        self.count(|counts| {
            counts.failed += u64::from(cause != Cause::Rejected);
            counts.last_error = Some(why.to_owned());
            counts.failed_at = Some(clock::now());
        });
        self.complain(cause, &format!("{why} ({})", render::key(notification)));
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
            Cause::FellBack => tracing::error!(%output, "cannot be reached: {text}"),
            Cause::Expired | Cause::Dropped => tracing::error!(%output, "{text}"),
            Cause::Store | Cause::Recovered => tracing::info!(%output, "{text}"),
        }
    }

    fn decide(&mut self, key: u64, outcome: Outcome, attempts: u32, last_error: Option<String>) {
        // What stands in memory is no longer offered once the store has heard of it.
        if Reader::is_on_disk(key) {
            self.after = self.after.max(Some(key));
        }
        let output = self.spec.name.clone();
        self.unsettled.push(Settlement {
            output,
            key,
            outcome,
            attempts,
            last_error,
            to: None,
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
            to: None,
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
pub(super) fn luck() -> f64 {
    let bits = RandomState::new().hash_one(0_u8) >> 32;
    f64::from(u32::try_from(bits).unwrap_or(0)) / f64::from(u32::MAX)
}
