//! The engine thread's body: batches in, commits out. It alone owns windows and alerts.
//!
//! One inbox, so that lines, ticks and the end come in one order. It never waits on disk or
//! network: what is to be durable goes to the store thread, one commit at a time, and lines go on
//! being read meanwhile. Only when [`MOST_UNTOLD`] notifications wait because the disk takes
//! none, it stands still, and with it its inputs: the lines are safe where they are.
//!
//! A commit goes out at once when there is something to tell, else [`COMMIT_EVERY`] after the
//! first change, so that what was read is durable within a second.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::time::{Duration, Instant};

use lapwing_rules::engine::{Engine, Told};
use lapwing_rules::language::rule::RuleSet;
use lapwing_rules::model::{Batch, InputId, Timestamp};
use lapwing_rules::scanner::{Memory, Replan, Replanned, Scanner, SourceState};

use crate::clock;
use crate::inputs::{Event, Position, PositionKey, tail};
use crate::outputs::{self, Spec};
use crate::store::{Commit, GroupRecord, Routed, StoreError, StoreMessage};

/// How long a change may stay in memory only.
const COMMIT_EVERY: Duration = Duration::from_millis(400);
/// A commit that failed is tried again after this.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// Notifications that may wait in memory for a disk that takes none.
const MOST_UNTOLD: usize = 10_000;
/// Sources remembered; what is remembered of one can be found again.
const MOST_SOURCES: usize = 20_000;
/// The inputs are asked at most this often whether they have read everything.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// What the engine thread is told.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all of them are the large one, and the inbox is short"
)]
pub enum Input {
    /// From an input.
    Event(Event),
    /// Look whether a commit has come back.
    Wake,
    /// What was planned anew.
    Planned(Replanned),
    /// Somebody wants to know how things stand.
    Ask(Question),
    /// Commit what there is and end.
    Stop,
}

/// Asked of the pump between two batches. It must be quick: lines wait meanwhile.
pub struct Question(Box<dyn FnOnce(&Pump) + Send>);

impl Question {
    /// `ask` looks and sends what it saw to whoever wants it.
    pub fn new(ask: impl FnOnce(&Pump) + Send + 'static) -> Self {
        Self(Box::new(ask))
    }
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Question")
    }
}

impl From<Event> for Input {
    fn from(event: Event) -> Self {
        Self::Event(event)
    }
}

/// What the engine thread says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Every input is ready, and that is durable.
    Ready,
    /// Every input has ended, and what they said is durable.
    AllEnded,
}

/// Everything that a pump is made of.
pub struct Setup {
    /// All rules.
    pub rules: Arc<RuleSet>,
    /// Over `rules` and the inputs.
    pub scanner: Scanner,
    /// Restored.
    pub engine: Engine,
    /// All outputs.
    pub outputs: Vec<Spec>,
    /// How many inputs there are.
    pub inputs: usize,
    /// What was saved with the positions.
    pub memories: HashMap<PositionKey, Memory>,
    /// Saved groups that nothing can be done with: taken out of the store with the first commit.
    pub stale: Vec<GroupRecord>,
    /// See the configuration's `max_clock_skew`.
    pub max_clock_skew: Duration,
    /// To the store thread.
    pub store: Sender<StoreMessage>,
    /// To this thread's own inbox.
    pub inbox: SyncSender<Input>,
    /// Where used batches go.
    pub tail: tail::Handle,
    /// Plans elsewhere; what comes of it goes to the inbox. Must not block.
    pub planner: Box<dyn FnMut(Replan) + Send>,
    /// Told what happens; must not block.
    pub notice: Box<dyn FnMut(Notice) + Send>,
}

/// The engine thread's state.
pub struct Pump {
    setup: Setup,
    sources: HashMap<(InputId, Arc<str>), SourceState>,
    /// Of each file, as of its last line.
    memories: HashMap<PositionKey, Memory>,
    /// The inputs were asked whether they have read everything, and have not answered.
    is_asking: bool,
    asked_at: Option<Instant>,
    waiting_for: HashSet<InputId>,
    ended: HashSet<InputId>,
    is_ready: bool,
    /// The commit under way holds the starting positions of all inputs.
    starts_in_flight: bool,
    told: Vec<Told>,
    pending: Pending,
    in_flight: Option<Arc<Commit>>,
    replies: (Sender<Reply>, Receiver<Reply>),
    retry_at: Option<Instant>,
}

type Reply = Result<(), Arc<StoreError>>;

/// What will be in the next commit.
#[derive(Default)]
struct Pending {
    positions: HashMap<PositionKey, Position>,
    forgotten: HashSet<PositionKey>,
    /// Of commits that failed.
    groups: BTreeMap<(String, String), Option<Vec<u8>>>,
    notifications: Vec<Routed>,
    since: Option<Instant>,
    is_urgent: bool,
}

impl Pump {
    /// A pump that has taken nothing yet.
    pub fn new(mut setup: Setup) -> Self {
        let memories = std::mem::take(&mut setup.memories);
        let stale = std::mem::take(&mut setup.stale).into_iter();
        let pending = Pending {
            groups: stale
                .map(|group| ((group.rule, group.group), None))
                .collect(),
            ..Pending::default()
        };
        let waiting_for = (0..setup.inputs)
            .filter_map(|n| u32::try_from(n).ok())
            .map(InputId)
            .collect();
        Self {
            setup,
            sources: HashMap::new(),
            memories,
            is_asking: false,
            asked_at: None,
            waiting_for,
            ended: HashSet::new(),
            is_ready: false,
            starts_in_flight: false,
            told: Vec::new(),
            pending,
            in_flight: None,
            replies: mpsc::channel(),
            retry_at: None,
        }
    }

    /// Serves `inbox` until [`Input::Stop`] or until nobody can write to it any more; what was
    /// taken before is committed by then, unless the store is gone or fails for good.
    pub fn run(mut self, inbox: &Receiver<Input>) {
        loop {
            let input = match self.deadline(clock::monotonic()) {
                Some(wait) => inbox.recv_timeout(wait),
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match input {
                Ok(Input::Event(event)) => self.take(event),
                Ok(Input::Planned(replanned)) => self.setup.scanner.adopt(replanned),
                Ok(Input::Ask(question)) => (question.0)(&self),
                Ok(Input::Wake) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Input::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
            self.collect(Wait::No);
            self.ask_if_due(clock::monotonic());
            self.commit_if_due(clock::monotonic());
            while self.pending.notifications.len() > MOST_UNTOLD && self.in_flight.is_some() {
                self.collect(Wait::Yes);
                self.commit_if_due(clock::monotonic());
            }
        }
        self.finish();
    }

    /// Windows and alerts, to be looked at.
    pub fn engine(&self) -> &Engine {
        &self.setup.engine
    }

    /// Lines whose own time was too far in the future, by the index of their input.
    pub fn skewed(&self) -> BTreeMap<usize, u64> {
        let mut sums = BTreeMap::new();
        for ((input, _), state) in &self.sources {
            *sums.entry(input.0 as usize).or_default() += state.skewed;
        }
        sums
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Lines {
                batch,
                mut position,
            } => {
                self.scan(&batch, position.as_mut());
                self.setup.tail.give_back(batch);
                if let Some(position) = position {
                    self.pending.moved(position);
                }
            }
            Event::Moved(mut position) => {
                position.memory = self
                    .memories
                    .get(&position.key)
                    .cloned()
                    .unwrap_or_default();
                self.pending.moved(position);
            }
            Event::Current(at) => self.let_time_pass(at),
            Event::Forget(key) => {
                self.memories.remove(&key);
                self.pending.positions.remove(&key);
                self.pending.forgotten.insert(key);
                self.pending.touch();
            }
            Event::Ready(input) => {
                self.waiting_for.remove(&input);
                self.pending.is_urgent |= self.waiting_for.is_empty();
                self.pending.touch();
            }
            Event::Ended(input) => {
                self.ended.insert(input);
                self.pending.is_urgent = true;
                self.pending.touch();
            }
        }
    }

    fn scan(&mut self, batch: &Batch, position: Option<&mut Position>) {
        let latest = clock::now().plus(self.setup.max_clock_skew);
        if self.sources.len() >= MOST_SOURCES {
            self.sources.clear();
        }
        let key = (batch.source.input, Arc::clone(&batch.source.name));
        let saved = position
            .as_ref()
            .and_then(|position| self.memories.get(&position.key));
        let state = self
            .sources
            .entry(key)
            .or_insert_with(|| saved.map(SourceState::remembered).unwrap_or_default());
        let skewed = state.skewed;
        self.setup.scanner.assume_zone(clock::zone(batch.arrival));
        let (engine, told) = (&mut self.setup.engine, &mut self.told);
        self.setup
            .scanner
            .scan(batch, state, latest, &mut |hit| engine.observe(hit, told));
        if let Some(replan) = self.setup.scanner.replan() {
            (self.setup.planner)(replan);
        }
        if let Some(position) = position {
            position.memory = state.memory();
            self.memories
                .insert(position.key.clone(), position.memory.clone());
        }
        if skewed == 0 && state.skewed > 0 {
            tracing::warn!(
                source = %batch.source.name,
                "lines bear times in the future: the time of their arrival counts instead"
            );
        }
        self.route();
    }

    /// When an alert may have ended by silence, asks whether it is silence: lines that were
    /// written and not read yet (a backlog, a suspended machine) must come first.
    fn ask_if_due(&mut self, now: Instant) {
        if self.is_asking || !self.is_ready || self.asked_at.is_some_and(|at| at + ASK_EVERY > now)
        {
            return;
        }
        if self
            .setup
            .engine
            .next_due()
            .is_some_and(|due| due <= clock::now())
        {
            self.is_asking = true;
            self.asked_at = Some(now);
            self.setup.tail.look();
        }
    }

    /// Everything that was written before `at` has been read.
    fn let_time_pass(&mut self, at: Timestamp) {
        self.is_asking = false;
        self.setup.engine.advance(at, &mut self.told);
        self.route();
    }

    fn route(&mut self) {
        for told in self.told.drain(..) {
            let rule = self.setup.rules.get(told.rule);
            let outputs = outputs::route(
                &told.notification,
                rule.notify.as_deref(),
                &self.setup.outputs,
            );
            self.pending.notifications.push(Routed {
                notification: told.notification,
                outputs,
            });
            self.pending.is_urgent = true;
        }
        if self.setup.engine.has_changes() || self.pending.is_urgent {
            self.pending.touch();
        }
    }

    /// How long nothing needs to be done if nothing comes; `None`: for ever.
    fn deadline(&self, now: Instant) -> Option<Duration> {
        let commit = match (self.in_flight.is_some(), self.retry_at, self.pending.since) {
            (true, ..) | (false, None, None) => None,
            (false, Some(retry), _) => Some(retry.saturating_duration_since(now)),
            (false, None, Some(_)) if self.pending.is_urgent => Some(Duration::ZERO),
            (false, None, Some(since)) => {
                Some((since + COMMIT_EVERY).saturating_duration_since(now))
            }
        };
        let may_ask = self.is_ready && !self.is_asking;
        let due = may_ask
            .then(|| self.setup.engine.next_due())
            .flatten()
            .map(|due| {
                let again = self
                    .asked_at
                    .map(|at| (at + ASK_EVERY).saturating_duration_since(now));
                due.since(clock::now()).max(again.unwrap_or_default())
            });
        commit.into_iter().chain(due).min()
    }

    fn commit_if_due(&mut self, now: Instant) {
        if self.in_flight.is_some() || self.retry_at.is_some_and(|at| at > now) {
            return;
        }
        let Some(since) = self.pending.since else {
            return;
        };
        if self.pending.is_urgent || now.duration_since(since) >= COMMIT_EVERY {
            self.commit();
        }
    }

    fn commit(&mut self) {
        let mut groups = std::mem::take(&mut self.pending.groups);
        for change in self.setup.engine.take_changes() {
            groups.insert((change.rule, change.key), change.state);
        }
        let pending = std::mem::take(&mut self.pending);
        let commit = Arc::new(Commit {
            positions: pending.positions.into_values().collect(),
            forgotten: pending.forgotten.into_iter().collect(),
            groups: groups
                .into_iter()
                .map(|((rule, group), state)| GroupRecord { rule, group, state })
                .collect(),
            notifications: pending.notifications,
        });
        let (replies, inbox) = (self.replies.0.clone(), self.setup.inbox.clone());
        let reply = Box::new(move |result| {
            // Whoever is gone needs no answer; a full inbox is awake without this.
            replies.send(result).ok();
            inbox.try_send(Input::Wake).ok();
        });
        self.retry_at = None;
        if self
            .setup
            .store
            .send(StoreMessage::Commit(Arc::clone(&commit), reply))
            .is_ok()
        {
            self.in_flight = Some(commit);
            self.starts_in_flight = self.waiting_for.is_empty();
        }
    }

    /// Takes the answer to the commit that is under way, if there is one.
    fn collect(&mut self, wait: Wait) {
        if self.in_flight.is_none() {
            return;
        }
        let reply = match wait {
            Wait::Yes => self.replies.1.recv().ok(),
            Wait::No => self.replies.1.try_recv().ok(),
        };
        let Some(reply) = reply else { return };
        let Some(commit) = self.in_flight.take() else {
            return;
        };
        if reply.is_err() {
            self.pending.take_back(&commit);
            self.retry_at = Some(clock::monotonic() + RETRY_EVERY);
            return;
        }
        // A commit that was under way before the last input was ready does not count.
        if !self.is_ready && self.starts_in_flight {
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

    /// The last commit, tried twice.
    fn finish(&mut self) {
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Yes,
    No,
}

impl Pending {
    fn touch(&mut self) {
        self.since.get_or_insert_with(clock::monotonic);
    }

    fn moved(&mut self, position: Position) {
        self.forgotten.remove(&position.key);
        self.positions.insert(position.key.clone(), position);
        self.touch();
    }

    /// Puts back what could not be committed, below what has come since.
    fn take_back(&mut self, commit: &Commit) {
        for position in &commit.positions {
            if !self.forgotten.contains(&position.key) {
                self.positions
                    .entry(position.key.clone())
                    .or_insert_with(|| position.clone());
            }
        }
        for key in &commit.forgotten {
            if !self.positions.contains_key(key) {
                self.forgotten.insert(key.clone());
            }
        }
        for group in &commit.groups {
            let key = (group.rule.clone(), group.group.clone());
            self.groups
                .entry(key)
                .or_insert_with(|| group.state.clone());
        }
        self.is_urgent |= !commit.notifications.is_empty();
        self.notifications
            .splice(0..0, commit.notifications.iter().cloned());
        self.touch();
    }
}
