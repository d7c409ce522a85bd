//! One output's task: takes the oldest notification that waits, tries until it is delivered,
//! rejected or too old, settles it, and goes on. Order is kept; at most one is on its way.
//!
//! Sleeps without polling: a wake-up, a retry's time or the stop signal ends each sleep.

mod known;
mod outcome;
mod queue;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::mpsc::Sender as StdSender;
use std::time::{Duration, Instant};

use lapwing_rules::model::{Notification, Timestamp};
use tokio::sync::watch;
use tokio::time::sleep;

use super::aside::{Aside, Standing, Turn};
use super::http::Http;
use super::message::Way;
use super::outgoing::Outgoing;
use super::pace::Pace;
use super::quiet::{Cause, Quiet};
use super::retry::{self, Verdict};
use super::sender::{Sender, Tried};
use super::stats::Counts;
use super::{Handle, Output, Palette, Spec, render};
use crate::clock;
use crate::store::{Pending, Reader, Settlement, StoreMessage};

/// How long after the store failed it is asked again.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// After so many failures another message is tried, to see whether it is this one alone.
const SUSPECT_AFTER: u32 = 3;
/// While one waits for its next try, the queue is looked at so often.
const LOOK_AROUND: Duration = Duration::from_secs(5);

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

    /// Sleeps for `span`, for the sake of a service's pace: the stop signal does not cut it, or what
    /// comes after it would be sooner than agreed. Who stops is ended in the midst of it.
    pub(super) async fn pace(&self, span: Duration) {
        if !span.is_zero() {
            sleep(span).await;
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
    let http = Arc::clone(&room.http);
    let pace = Pace::resume(&spec, &room).await;
    let mut worker = Worker {
        sender: Sender::new(spec.kind.clone(), spec.timeout, room.palette, http),
        // That it could not be reached is known from before: a fallback need not wait for another failure.
        failures: u32::from(pace.is_closed()),
        pace,
        spec,
        room,
        after: None,
        unsettled: Vec::new(),
        quiet: Quiet::default(),
        probed: None,
        retry_at: None,
        aside: Aside::default(),
        firing: BTreeMap::new(),
        told_at: None,
    };
    worker.remember().await;
    loop {
        if let Some(standing) = worker.aside.take_due(clock::monotonic()) {
            let aside = worker.aside.len();
            worker.count(|counts| counts.aside = aside);
            if worker.deliver(standing).await == Flow::Stop {
                return;
            }
            continue;
        }
        match worker.take().await {
            Taken::Next(pending) => {
                let standing = Worker::fresh(*pending);
                match worker.aside.turn_of(&standing.pending.notification.id) {
                    Turn::Now => {
                        if worker.deliver(standing).await == Flow::Stop {
                            return;
                        }
                    }
                    Turn::Aside => {
                        worker.pass_over(&standing.pending);
                        worker.put_aside(standing);
                    }
                    Turn::Later if worker.stopping() => return,
                    Turn::Later => worker.wait_for_work().await,
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
    pace: Pace,
    /// Everything up to here is decided, durably or in `unsettled`, or stands aside.
    after: Option<u64>,
    /// Decided, but the store could not be told: must not be sent again.
    unsettled: Vec<Settlement>,
    quiet: Quiet,
    /// Failures in a row, whatever of.
    failures: u32,
    /// The last that was tried for another's sake, and how often that had failed by then.
    probed: Option<(u64, u32)>,
    /// Nothing is tried before.
    retry_at: Option<Instant>,
    aside: Aside,
    /// For an Alertmanager: what is firing, by alert, and when it was last heard of, in steady time.
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

    fn put_aside(&mut self, standing: Standing) {
        self.aside.put(standing);
        let aside = self.aside.len();
        self.count(|counts| counts.aside = aside);
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

    /// Tries it until it is decided, or stands aside.
    async fn deliver(&mut self, mut standing: Standing) -> Flow {
        let mut folded = self.fold(&standing.pending).await;
        let mut failed = None;
        loop {
            if self.too_old(&standing.pending) {
                // The next look at the queue finds the others so, and says it.
                self.expire(&standing.pending).await;
                return Flow::On;
            }
            // What is due to be tried is tried first.
            if !self.wait_before_trying(&standing).is_zero()
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
                if self.waits_aside(wait, &standing, failed.as_ref()).await {
                    self.put_aside(standing);
                    return Flow::On;
                }
                continue;
            }
            let outgoing = self.outgoing(&standing.pending, &folded);
            let tried = self.attempt(standing.pending.key, &outgoing).await;
            let verdict = tried.verdict;
            standing.pending.attempts = standing.pending.attempts.saturating_add(1);
            match verdict {
                Verdict::Delivered => {
                    self.delivered(&standing.pending, &folded, tried.place)
                        .await;
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
            if standing.failures >= SUSPECT_AFTER {
                // One of them may be what is not taken: from here on the first goes alone.
                folded.clear();
            }
            if folded.is_empty() {
                if self.stands_aside(&standing, &verdict).await {
                    self.put_aside(standing);
                    return Flow::On;
                }
                failed = Some(verdict);
            }
        }
    }

    fn outgoing(&self, pending: &Pending, folded: &[Pending]) -> Outgoing {
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
            waited: self.room.reader.waited(pending),
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
        let wait = paused.max(self.pace.wait());
        if wait.is_zero() {
            return wait;
        }
        let waited = self.room.reader.waited(&standing.pending);
        let left = |span: Duration| span.saturating_sub(waited).max(Duration::from_millis(1));
        let fallback = self.spec.fallback.as_ref().filter(|_| self.failures > 0);
        let until_fallback = fallback.map(|fallback| left(fallback.after));
        wait.min(left(self.spec.max_age))
            .min(until_fallback.unwrap_or(wait))
    }

    async fn attempt(&mut self, key: u64, outgoing: &Outgoing) -> Tried {
        self.pace.begin(1, &self.room).await;
        let tried = self.sender.send(key, outgoing).await;
        let more = tried.messages.saturating_sub(1);
        self.pace.begin(more, &self.room).await;
        self.pace.answered(tried.messages.max(1));
        let asked = match tried.verdict {
            Verdict::Retry { after, .. } => after,
            _ => None,
        };
        if let Some(span) = tried.closed_for.max(asked) {
            self.pace.close(span, &self.room).await;
        }
        tried
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
        self.count(|counts| counts.next_try_at = Some(clock::now().plus(pause)));
        standing.retry_at = until;
        self.failed(cause, &why, &standing.pending.notification);
        standing.pending.last_error = Some(why.clone());
        self.note_try(standing.pending.key, standing.pending.attempts, why)
            .await;
    }

    /// Waits for its turn, or a part of that time. What has come meanwhile may show that the fault is this
    /// one's alone: whether it waits apart from now on.
    async fn waits_aside(
        &mut self,
        wait: Duration,
        standing: &Standing,
        failed: Option<&Verdict>,
    ) -> bool {
        let wait = wait.min(LOOK_AROUND);
        if self.stopping() {
            self.room.pace(wait).await;
        } else {
            self.rest(wait).await;
        }
        match failed {
            Some(verdict) => self.stands_aside(standing, verdict).await,
            None => false,
        }
    }

    /// Whether it waits apart from now on, and what comes after it goes before it.
    async fn stands_aside(&mut self, standing: &Standing, verdict: &Verdict) -> bool {
        let is_alone = self.is_alone_in_failing(standing, verdict).await;
        if is_alone {
            self.pass_over(&standing.pending);
        }
        is_alone
    }

    /// After some failures in a row the next alert's message is tried: if it arrives, the fault
    /// lies with the first one, which stands aside from then on.
    async fn is_alone_in_failing(&mut self, standing: &Standing, verdict: &Verdict) -> bool {
        let key = standing.pending.key;
        let is_suspect = match verdict {
            // One that is let in is no proof while the service asks for time.
            Verdict::Retry { after, .. } => after.is_none() && standing.failures >= SUSPECT_AFTER,
            Verdict::Refused { .. } => true,
            Verdict::Delivered | Verdict::Rejected { .. } => false,
        };
        if !is_suspect || !self.aside.has_room() || !Reader::is_on_disk(key) {
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
        let probe = (next.key, standing.failures);
        if next.notification.id == alert
            || self.aside.holds(&next.notification.id)
            || self.probed == Some(probe)
        {
            return false;
        }
        // Each is asked of once a failure.
        self.probed = Some(probe);
        self.rest(self.pace.wait()).await;
        if self.stopping() {
            return false;
        }
        let outgoing = self.outgoing(&next, &[]);
        let tried = self.attempt(next.key, &outgoing).await;
        if tried.verdict != Verdict::Delivered {
            return false;
        }
        self.delivered(&next, &[], tried.place).await;
        true
    }

    /// The output that is told instead, once that is due.
    fn fallback_for(&self, pending: &Pending) -> Option<String> {
        let fallback = self.spec.fallback.as_ref()?;
        let waited = self.room.reader.waited(pending);
        (self.failures > 0 && waited >= fallback.after).then(|| fallback.to.clone())
    }
}

/// A number in 0..1 that differs from one agent and one try to the next. Nothing depends on how
/// random it is.
pub(super) fn luck() -> f64 {
    let bits = RandomState::new().hash_one(0_u8) >> 32;
    f64::from(u32::try_from(bits).unwrap_or(0)) / f64::from(u32::MAX)
}
