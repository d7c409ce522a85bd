//! How commits leave the pump and what comes back: when to send one, what to do when the disk
//! takes none, when the agent may call itself ready.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use lapwing_rules::engine::SavedGroup;
use lapwing_rules::model::{InputId, Notification, Status, Timestamp};

use super::habits::{HABITS, SAVE_EVERY};
use super::orders::Answer;
use super::own_alert::{self, OwnAlert};
use super::pace::Pace;
use super::self_watch::Trouble;
use super::{Input, Notice, Pump};
use crate::clock;
use crate::inputs::Receipt;
use crate::outputs;
use crate::store::{Commit, Done, GroupRecord, Routed, Start, StoreError, StoreMessage};

/// Positions and groups that the disk did not take are sent again after this.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// The same once alerts are told from memory: every group that changed is written out for it.
const RETRY_RARELY: Duration = Duration::from_secs(5);

/// The answer to a commit.
pub(super) type Reply = Result<Done, Arc<StoreError>>;

/// How the pump stands with the disk.
pub(super) struct Disk {
    pace: Pace,
    in_flight: Option<InFlight>,
    retry_at: Option<Instant>,
    /// Nothing is saved: what there is to tell goes out by itself, because the store's thread
    /// takes it into memory.
    in_memory: bool,
    failing_since: Option<Timestamp>,
    own: OwnAlert,
    /// It fires, and a silence keeps it from being told.
    is_unsaid: bool,
}

struct InFlight {
    commit: Arc<Commit>,
    answers: Vec<Answer>,
    sent_at: Instant,
    /// It holds the starting positions of all inputs.
    has_starts: bool,
    /// Who waits for it.
    receipts: Vec<Receipt>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    Yes,
    No,
}

impl Disk {
    pub(super) fn new(own: OwnAlert) -> Self {
        Self {
            pace: Pace::default(),
            in_flight: None,
            retry_at: None,
            in_memory: false,
            failing_since: None,
            own,
            is_unsaid: false,
        }
    }
}

impl Pump {
    /// When the next commit is to be sent; `None`: when something has changed or come back.
    pub(super) fn commit_due(&self) -> Option<Instant> {
        let disk = &self.disk;
        let since = self.pending.since?;
        if disk.in_flight.is_some() {
            return None;
        }
        match disk.retry_at {
            Some(_) if disk.in_memory && self.pending.has_news() => Some(since),
            Some(retry) => Some(retry),
            None => Some(disk.pace.due(since, self.pending.urgency())),
        }
    }

    pub(super) fn commit_if_due(&mut self, now: Instant) {
        if self.commit_due().is_some_and(|due| due <= now) {
            let is_retry = self.disk.retry_at.is_none_or(|retry| retry <= now);
            if is_retry {
                self.commit();
            } else {
                let news = self.pending.take_news();
                self.send(news, Vec::new(), Vec::new());
            }
        }
    }

    fn commit(&mut self) {
        self.disk.retry_at = None;
        let changes = self.setup.engine.take_changes().into_iter();
        let answers = std::mem::take(&mut self.pending.answers);
        let receipts = std::mem::take(&mut self.pending.receipts);
        let commit = self.pending.take(changes.map(record));
        self.send(commit, answers, receipts);
    }

    /// Somebody waits for what came before to be durable: at once where there is nothing that is not.
    pub(super) fn await_commit(&mut self, receipt: Receipt) {
        if self.pending.since.is_none() && self.disk.in_flight.is_none() {
            receipt.confirm();
            return;
        }
        self.pending.receipts.push(receipt);
        self.pending.is_urgent = true;
        self.pending.touch();
    }

    fn send(&mut self, commit: Commit, answers: Vec<Answer>, receipts: Vec<Receipt>) {
        let commit = Arc::new(commit);
        let (replies, inbox) = (self.replies.0.clone(), self.setup.inbox.clone());
        let reply = Box::new(move |result| {
            // Whoever is gone needs no answer; a full inbox is awake without this.
            replies.send(result).ok();
            inbox.try_send(Input::Wake).ok();
        });
        let message = StoreMessage::Commit(Arc::clone(&commit), reply);
        if self.setup.store.send(message).is_ok() {
            self.disk.in_flight = Some(InFlight {
                commit,
                answers,
                sent_at: clock::monotonic(),
                has_starts: self.waiting_for.is_empty(),
                receipts,
            });
        }
    }

    /// Takes the answer to the commit that is under way, if there is one.
    pub(super) fn collect(&mut self, wait: Wait) {
        if self.disk.in_flight.is_none() {
            return;
        }
        let reply = match wait {
            Wait::Yes => self.replies.1.recv().ok(),
            Wait::No => self.replies.1.try_recv().ok(),
        };
        let Some(reply) = reply else { return };
        let Some(mut sent) = self.disk.in_flight.take() else {
            return;
        };
        let trouble = match &reply {
            Ok(Done::Durable) => None,
            Ok(Done::InMemory { error, .. }) | Err(error) => Some(error.to_string()),
        };
        for answer in sent.answers.drain(..) {
            answer.give(trouble.as_deref());
        }
        match reply {
            Ok(Done::Durable) => self.has_committed(sent),
            Ok(Done::InMemory {
                error,
                unsaved_after,
            }) => {
                self.disk.in_memory = true;
                self.has_failed(&mut sent);
                self.say_failing(&error, unsaved_after);
            }
            Err(_) => {
                // There may be no room in memory either: what comes back waits for its turn.
                self.disk.in_memory = false;
                self.has_failed(&mut sent);
                self.pending.take_back_news(&sent.commit);
            }
        }
    }

    fn has_committed(&mut self, sent: InFlight) {
        sent.receipts.into_iter().for_each(Receipt::confirm);
        let disk = &mut self.disk;
        disk.pace.committed(sent.sent_at, clock::monotonic());
        (disk.in_memory, disk.failing_since) = (false, None);
        // What failed before goes out now, not when its pause is over.
        if disk.retry_at.take().is_some() {
            self.pending.is_urgent = true;
        }
        for end in disk.own.resolve(clock::now()) {
            self.tell_of_ourselves(end);
        }
        // A commit that was under way before the last input was ready does not count.
        if !self.is_ready && sent.has_starts {
            self.is_ready = true;
            (self.setup.notice)(Notice::Ready);
        }
        if self.setup.inputs > 0
            && self.ended.len() == self.setup.inputs
            && self.pending.since.is_none()
        {
            (self.setup.notice)(Notice::AllEnded);
        }
    }

    fn has_failed(&mut self, sent: &mut InFlight) {
        let commit = &sent.commit;
        self.pending.receipts.splice(0..0, sent.receipts.drain(..));
        self.pending.take_back(commit);
        for group in &commit.groups {
            if !self.setup.engine.save_again(&group.rule, &group.group) {
                self.pending.stale.push(GroupRecord {
                    rule: group.rule.clone(),
                    group: group.group.clone(),
                    ..GroupRecord::default()
                });
            }
        }
        self.tell_what_was_silenced();
        let disk = &mut self.disk;
        disk.failing_since.get_or_insert_with(clock::now);
        let pause = if disk.in_memory {
            RETRY_RARELY
        } else {
            RETRY_EVERY
        };
        disk.retry_at
            .get_or_insert_with(|| clock::monotonic() + pause);
        // An agent whose disk takes nothing watches all the same.
        if !self.is_ready && self.disk.in_memory && self.waiting_for.is_empty() {
            self.is_ready = true;
            (self.setup.notice)(Notice::Ready);
        }
    }

    fn say_failing(&mut self, error: &StoreError, unsaved_after: Option<Timestamp>) {
        let since = self.disk.failing_since.unwrap_or_else(clock::now);
        let what = own_alert::cannot_save(&self.setup.host, since, &error.to_string());
        if let Some(notification) = self.disk.own.fire(what, since, unsaved_after).cloned() {
            self.tell_of_ourselves(notification);
        }
    }

    /// Goes on with the alert of an earlier run that could not save it: its first commit holds it, so
    /// that whatever happens somebody knows that it has to end.
    pub(super) fn say_unsaved(&mut self) {
        let Some(at) = self.setup.unsaved_after else {
            return;
        };
        let what = own_alert::could_not_save(&self.setup.host, at);
        if let Some(notification) = self.disk.own.go_on(what, at).cloned() {
            self.tell_of_ourselves(notification);
        }
    }

    /// Says what the start found; when positions are lost, only once it is known of which files.
    pub(super) fn say_start(&mut self) {
        let start = std::mem::take(&mut self.setup.start);
        let now = clock::now();
        let files = std::mem::take(&mut self.begin_at_end);
        let Some(what) = own_alert::about_start(&self.setup.host, &start, now, &files) else {
            return;
        };
        if matches!(start, Start::Lost { .. }) {
            tracing::error!("{what}");
        }
        if let Some(notification) = self.disk.own.fire(what, now, None).cloned() {
            self.tell_of_ourselves(notification);
        }
    }

    /// What is wrong with its inputs and outputs is told.
    pub(super) fn look_at_itself(&mut self, mut troubles: Vec<Trouble>) {
        let figures = self.figures();
        let (now, at) = (clock::monotonic(), clock::now());
        let names = &self.setup.input_names;
        troubles.extend(self.self_watch.skew(&figures, names, now));
        troubles.extend(self.unusual(now));
        let (silences, specs) = (self.setup.engine.silences(), &self.setup.outputs);
        let route = |alert: &Notification| {
            let is_silenced = own_alert::is_silenced(silences, alert, at);
            let outputs = (!is_silenced).then(|| outputs::route(alert, None, specs));
            outputs.unwrap_or_default()
        };
        for routed in self.self_watch.look(troubles, (now, at), &route) {
            self.pending.tell(routed);
        }
    }

    /// What inputs do that they never do.
    fn unusual(&mut self, now: Instant) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        for (id, name) in (0..).map(InputId).zip(&self.setup.input_names) {
            let figures = self.figures.get(&id).copied().unwrap_or_default();
            let unusual = self.habits.look(name, figures, now);
            if !self.ended.contains(&id) {
                troubles.extend(unusual);
            }
        }
        if now.saturating_duration_since(self.habits_saved_at) >= SAVE_EVERY {
            self.habits_saved_at = now;
            self.save_habits();
            self.pending.touch();
        }
        troubles
    }

    /// With the next commit, which need not come for it.
    fn save_habits(&mut self) {
        self.pending
            .notes
            .insert(HABITS.to_owned(), self.habits.save());
    }

    /// What a silence kept back is told when it is over, and nothing can be saved yet.
    fn tell_what_was_silenced(&mut self) {
        if !self.disk.is_unsaid {
            return;
        }
        let now = clock::now();
        let running = self.disk.own.running().cloned();
        let silences = self.setup.engine.silences();
        let unsaid = running.filter(|alert| !own_alert::is_silenced(silences, alert, now));
        if let Some(alert) = unsaid {
            self.tell_of_ourselves(alert);
        }
    }

    fn tell_of_ourselves(&mut self, notification: Notification) {
        let silences = self.setup.engine.silences();
        let silenced = own_alert::is_silenced(silences, &notification, clock::now());
        let firing = notification.status == Status::Firing;
        // The end of what nobody has heard of is no news.
        let nobody = silenced || !firing && self.disk.is_unsaid;
        self.disk.is_unsaid = firing && silenced;
        let outputs = if nobody {
            Vec::new()
        } else {
            outputs::route(&notification, None, &self.setup.outputs)
        };
        self.pending.tell(Routed {
            notification,
            outputs,
        });
    }

    /// While no more can be kept in memory nothing more is read: lines are safe where they are.
    pub(super) fn wait_for_room(&mut self) {
        while self.pending.is_full() && !self.setup.stopping.load(Ordering::SeqCst) {
            let now = clock::monotonic();
            self.say_alive(now);
            self.commit_if_due(now);
            let until = self
                .commit_due()
                .map_or(now + RETRY_EVERY, |due| due.max(now));
            let wait = until.saturating_duration_since(now).min(RETRY_EVERY);
            if self.disk.in_flight.is_some() {
                self.collect(Wait::Yes);
            } else if matches!(
                self.replies.1.recv_timeout(wait),
                Err(RecvTimeoutError::Disconnected)
            ) {
                return;
            }
        }
    }

    /// The last commit, tried twice.
    pub(super) fn finish(&mut self) {
        self.save_habits();
        self.pending.touch();
        for _ in 0..2 {
            self.collect(Wait::Yes);
            if self.pending.since.is_none() && !self.setup.engine.has_changes() {
                return;
            }
            self.commit();
        }
        self.collect(Wait::Yes);
        if self.pending.since.is_some() {
            tracing::error!(
                "the last commit failed: lines read in the last second will be read again"
            );
        }
    }
}

fn record(change: SavedGroup) -> GroupRecord {
    GroupRecord {
        rule: change.rule,
        group: change.key,
        state: change.state,
        parts: change.parts,
        first_part: change.first_part,
    }
}
