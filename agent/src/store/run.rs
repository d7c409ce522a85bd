//! The store thread's body: takes everything that waits in its inbox and makes it durable in one
//! transaction, so that the price of a sync is paid once for many. Started elsewhere.
//!
//! While the disk takes nothing it goes on: after two seconds notifications are told from memory
//! (`adrift`) and outcomes kept there, and the disk is asked again from time to time.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use lapwing_rules::model::Timestamp;

use super::checkpoint;
use super::failing::Stretch;
use super::health::Failing;
use super::open::GONE;
use super::steady::Moment;
use super::{Commit, Report, Settlement, Store, StoreError, database, folder, read};
use crate::clock;

/// What became of what was sent.
#[derive(Clone, Debug)]
pub enum Done {
    /// All of it is durable.
    Durable,
    /// The disk does not take it. Notifications and outcomes stand in memory: they are delivered
    /// from there, and recorded by the next transaction that succeeds. Positions and groups are to
    /// be sent again.
    InMemory {
        /// Why.
        error: Arc<StoreError>,
        /// When anything had become durable before this began; `None`: nothing ever had, as far as is
        /// known.
        unsaved_after: Option<Timestamp>,
    },
}

/// Called once, on the store thread, when the transaction is durable or has failed. Must not
/// block. An error: nothing of it may be taken as done. Never called: the store is gone.
pub type Reply = Box<dyn FnOnce(Result<Done, Arc<StoreError>>) + Send>;

/// What the store thread is told.
pub enum StoreMessage {
    /// From the pump.
    Commit(Arc<Commit>, Reply),
    /// From the outputs.
    Settle(Vec<Settlement>, Reply),
    /// These outputs exist now, with the bytes that may wait for each. What has waited for
    /// another one for a day is given up.
    Outputs(BTreeMap<String, u64>),
    /// Queue again what was rejected, grew too old or was dropped, newest first, up to a number; of
    /// one output and one alert only, where they are named. Called with how many.
    Resend {
        /// Its name.
        output: Option<String>,
        /// Its id.
        id: Option<String>,
        /// Must not block.
        reply: Box<dyn FnOnce(Result<u64, StoreError>) + Send>,
    },
    /// Do what came before, then end.
    Stop,
}

impl fmt::Debug for StoreMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit(commit, _) => f.debug_tuple("Commit").field(commit).finish(),
            Self::Settle(settlements, _) => f.debug_tuple("Settle").field(settlements).finish(),
            Self::Outputs(limits) => f.debug_tuple("Outputs").field(limits).finish(),
            Self::Resend { output, id, .. } => f
                .debug_struct("Resend")
                .field("output", output)
                .field("id", id)
                .finish_non_exhaustive(),
            Self::Stop => f.write_str("Stop"),
        }
    }
}

/// How many messages one transaction takes at most.
const AT_ONCE: usize = 256;

/// What waits for an output that is not configured any more is kept for so long: the name may
/// have gone by mistake.
const ORPHANS_STAY: Duration = Duration::from_hours(24);

/// The checkpoint is replaced at most this often.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);
/// One for very many files is replaced less often: so many bytes a second.
const CHECKPOINT_BYTES_A_SECOND: u64 = 100_000;

/// Serves `inbox` until [`StoreMessage::Stop`] or until nobody can write to it any more. `after`
/// is told what became durable, or is to be told from memory, before the replies are called: it
/// wakes the outputs.
///
/// # Errors
///
/// [`StoreError::Damaged`]: the file turned out to be damaged while in use, or is gone. The agent
/// must begin anew; its next start sets the file aside.
pub fn run(
    store: Store,
    inbox: &Receiver<StoreMessage>,
    after: impl FnMut(&Report),
) -> Result<(), StoreError> {
    let mut thread = Thread {
        store,
        after,
        stretch: None,
        unsaved_after: None,
        complaint: Complaint::default(),
        checkpoint_due: None,
        checkpoint_pause: CHECKPOINT_EVERY,
    };
    loop {
        let first = match thread.deadline() {
            Some(at) => inbox.recv_timeout(at.saturating_duration_since(clock::monotonic())),
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let mut batch = Batch::default();
        match first {
            Ok(first) => batch.take(first),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => batch.stop = true,
        }
        while !batch.stop && batch.replies.len() < AT_ONCE {
            let Ok(message) = inbox.try_recv() else { break };
            batch.take(message);
        }
        let stop = batch.stop;
        thread.serve(batch)?;
        thread.checkpoint_if_due(stop)?;
        if stop {
            return Ok(());
        }
    }
}

#[derive(Default)]
struct Batch {
    commits: Vec<Arc<Commit>>,
    settlements: Vec<Settlement>,
    replies: Vec<Reply>,
    outputs: Option<BTreeMap<String, u64>>,
    resend: Vec<Resend>,
    stop: bool,
}

type Resend = (
    Option<String>,
    Option<String>,
    Box<dyn FnOnce(Result<u64, StoreError>) + Send>,
);

impl Batch {
    fn take(&mut self, message: StoreMessage) {
        match message {
            StoreMessage::Commit(commit, reply) => {
                self.commits.push(commit);
                self.replies.push(reply);
            }
            StoreMessage::Settle(settlements, reply) => {
                self.settlements.extend(settlements);
                self.replies.push(reply);
            }
            StoreMessage::Outputs(limits) => self.outputs = Some(limits),
            StoreMessage::Resend { output, id, reply } => self.resend.push((output, id, reply)),
            StoreMessage::Stop => self.stop = true,
        }
    }
}

struct Thread<A> {
    store: Store,
    after: A,
    /// Set while the disk takes nothing.
    stretch: Option<Stretch>,
    /// When something had been committed as what is told from memory began to be.
    unsaved_after: Option<Timestamp>,
    complaint: Complaint,
    /// Set when something changed since the last one.
    checkpoint_due: Option<Instant>,
    checkpoint_pause: Duration,
}

impl<A: FnMut(&Report)> Thread<A> {
    /// When there is something to do although nobody sends anything.
    fn deadline(&self) -> Option<Instant> {
        let again = self
            .stretch
            .filter(|_| !self.store.shared.adrift().is_empty())
            .map(|stretch| stretch.next_try());
        again.into_iter().chain(self.checkpoint_due).min()
    }

    fn serve(&mut self, mut batch: Batch) -> Result<(), StoreError> {
        if let Some(limits) = batch.outputs.take() {
            self.retire(limits);
        }
        for (output, id, reply) in batch.resend.drain(..) {
            let queued = self
                .store
                .resend(output.as_deref(), id.as_deref(), clock::now());
            reply(queued.map(|report| {
                (self.after)(&report);
                report.repeated
            }));
        }
        {
            // A word on what stands in memory needs no disk to be heard.
            let mut adrift = self.store.shared.adrift_mut();
            let heard = batch.settlements.iter();
            batch.settlements = heard.filter_map(|word| adrift.hear(word)).collect();
        }
        let now = clock::monotonic();
        let is_due = self.stretch.is_none_or(|stretch| stretch.may_try(now)) || batch.stop;
        let is_work = !batch.replies.is_empty()
            || self.stretch.is_some() && !self.store.shared.adrift().is_empty();
        if !is_work {
            return Ok(());
        }
        let failure = if is_due {
            self.attempt(&batch)
        } else {
            self.complaint.last_error.clone()
        };
        let answer = match failure {
            None => Ok(Done::Durable),
            Some(error) => self.go_on_in_memory(&batch, &error),
        };
        for reply in batch.replies {
            reply(answer.clone());
        }
        match answer {
            Err(error) | Ok(Done::InMemory { error, .. }) => match &*error {
                StoreError::Damaged(why) => Err(StoreError::Damaged(why.clone())),
                _ => Ok(()),
            },
            Ok(Done::Durable) => Ok(()),
        }
    }

    /// One transaction; gives why it failed.
    fn attempt(&mut self, batch: &Batch) -> Option<Arc<StoreError>> {
        let began = clock::monotonic();
        let commits: Vec<&Commit> = batch.commits.iter().map(|commit| &**commit).collect();
        let wall = clock::now();
        match self.store.apply(&commits, &batch.settlements, wall) {
            Ok(report) => {
                self.unsaved_after = None;
                if self.stretch.take().is_some() {
                    tracing::info!("the state is saved again");
                }
                let moves = |commit: &&Commit| commit.positions.len() + commit.forgotten.len() > 0;
                if commits.iter().any(moves) {
                    let due = clock::monotonic() + self.checkpoint_pause;
                    self.checkpoint_due.get_or_insert(due);
                }
                (self.after)(&report);
                None
            }
            Err(error) => {
                let now = clock::monotonic();
                match &mut self.stretch {
                    Some(stretch) => stretch.failed_again(now, now - began),
                    None => self.stretch = Some(Stretch::begin(now)),
                }
                self.store.health.change(|view| {
                    let failing = view.failing.get_or_insert_with(|| Failing {
                        since: wall,
                        error: String::new(),
                    });
                    failing.error = error.to_string();
                });
                Some(self.complaint.say(error))
            }
        }
    }

    /// What is to be told is told all the same, once patience has run out.
    fn go_on_in_memory(
        &mut self,
        batch: &Batch,
        error: &Arc<StoreError>,
    ) -> Result<Done, Arc<StoreError>> {
        let is_patient = self
            .stretch
            .is_none_or(|stretch| !stretch.is_out_of_patience(clock::monotonic()));
        if is_patient || matches!(**error, StoreError::Damaged(_)) {
            return Err(Arc::clone(error));
        }
        let last = self.store.committed_at;
        let first = self.unsaved_after.or(last);
        self.unsaved_after = first;
        if let (Some(lock), Some(last), Some(first)) = (&self.store.lock, last, first) {
            folder::note_unsaved(lock, last, first);
        }
        let now = Moment {
            wall: clock::now(),
            steady: self.store.shared.steady_now(),
        };
        let mut report = Report::default();
        let mut made_way = 0;
        let mut outcome = Ok(Done::InMemory {
            error: Arc::clone(error),
            unsaved_after: first,
        });
        let identity = |key| {
            let read = |database: &_| read::identity(database, key);
            self.store.shared.read(read).ok().flatten()
        };
        let words: Vec<_> = batch.settlements.iter().collect();
        let about: Vec<_> = words.iter().map(|word| identity(word.key)).collect();
        let size = {
            let mut adrift = self.store.shared.adrift_mut();
            for (word, about) in words.into_iter().zip(about) {
                adrift.keep_outcome(word, about);
            }
            for routed in batch
                .commits
                .iter()
                .flat_map(|commit| &commit.notifications)
            {
                match adrift.take(routed, now) {
                    Ok(settled) => made_way += settled,
                    // Those that were taken are known when they come again.
                    Err(_) => outcome = Err(Arc::clone(error)),
                }
                report.queued.extend(routed.outputs.iter().cloned());
            }
            adrift.size()
        };
        report.queued.sort_unstable();
        report.queued.dedup();
        self.store.health.change(|view| {
            view.in_memory = size;
            view.dropped.unrecorded += made_way;
        });
        (self.after)(&report);
        outcome
    }

    fn retire(&mut self, limits: BTreeMap<String, u64>) {
        let known: Vec<String> = limits.keys().cloned().collect();
        self.store.set_queue_limits(limits);
        let now = clock::now();
        if let Err(error) = self.store.retire(&known, now.minus(ORPHANS_STAY), now) {
            tracing::debug!(%error, "what waits for outputs that are gone stays");
        }
    }

    /// An error: the database's file has no name any more, and what is written to it would be gone
    /// with this process. The checkpoint is where the next start goes on.
    fn checkpoint_if_due(&mut self, stop: bool) -> Result<(), StoreError> {
        let now = clock::monotonic();
        if self.checkpoint_due.is_none_or(|due| due > now && !stop) {
            return Ok(());
        }
        self.checkpoint_due = None;
        let Some(dir) = self.store.folder.clone() else {
            return Ok(());
        };
        let is_gone = self.store.is_open() && folder::is_absent(&folder::state_file(&dir));
        if is_gone {
            folder::make(&dir)?;
        }
        let written = self.store.write_checkpoint(&dir);
        match written {
            Ok(bytes) => {
                let pause = Duration::from_secs(bytes / CHECKPOINT_BYTES_A_SECOND);
                self.checkpoint_pause = pause.max(CHECKPOINT_EVERY);
            }
            // It is the second copy; the first one complains for itself.
            Err(error) => tracing::debug!(%error, "the checkpoint stays as it was"),
        }
        if is_gone && !stop {
            return Err(StoreError::Damaged(GONE.to_owned()));
        }
        Ok(())
    }
}

impl Store {
    /// Gives its size in bytes.
    fn write_checkpoint(&self, dir: &Path) -> Result<u64, StoreError> {
        let mut writer = checkpoint::Writer::begin(dir, clock::now())?;
        let all = |database: &_| database::each_position(database, |position| writer.add(position));
        self.shared.read(all)??;
        writer.finish()
    }
}

/// At most one line a second for one cause, however often it fails.
#[derive(Default)]
struct Complaint {
    last: Option<Instant>,
    last_error: Option<Arc<StoreError>>,
}

impl Complaint {
    fn say(&mut self, error: StoreError) -> Arc<StoreError> {
        let now = clock::monotonic();
        if self
            .last
            .is_none_or(|last| now.duration_since(last) >= Duration::from_secs(1))
        {
            self.last = Some(now);
            tracing::error!(%error, "the state cannot be saved: it is tried again");
        }
        let error = Arc::new(error);
        self.last_error = Some(Arc::clone(&error));
        error
    }
}
