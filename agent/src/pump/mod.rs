//! The engine thread's body: batches in, commits out. It alone owns windows and alerts.
//!
//! One inbox, so that lines, ticks and the end come in one order. It never waits on disk or
//! network: what is to be durable goes to the store thread, one commit at a time, and lines go on
//! being read meanwhile. Only when no more notifications can be kept in memory because the disk
//! takes none and outputs take none either, it stands still, and with it its inputs: the lines
//! are safe where they are.
//!
//! | file | owns |
//! | --- | --- |
//! | `commits` | sending commits, taking answers, what a failing disk means |
//! | `orders` | what operators ask for: silences, acknowledgements |
//! | `pending` | what the next commit will hold |
//! | `pace` | when to commit (pure) |
//! | `own_alert` | the agent's alert on its state (pure) |
//! | `self_watch` | its alerts on its inputs and outputs (pure) |
//! | `habits` | what is usual of inputs (pure) |
//! | `own_lines` | hits in what the agent wrote itself |
//! | `tap` | what somebody watches live |

mod commits;
mod habits;
mod orders;
mod own_alert;
mod own_lines;
mod pace;
mod pending;
pub mod self_watch;
pub mod tap;

use std::collections::BTreeMap;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::time::{Duration, Instant};

use lapwing_rules::engine::{Engine, Told};
use lapwing_rules::language::rule::RuleSet;
use lapwing_rules::model::{Batch, InputId, Mode, Notification, Status, Timestamp};
use lapwing_rules::mute::Matcher;
use lapwing_rules::scanner::{Memory, Replan, Replanned, Scanner, SourceState};

use crate::canary;
use crate::clock;
use crate::inputs::{Event, Position, PositionKey, journal, tail};
use crate::operate::systemd::Watchdog;
use crate::outputs::{self, Feed, Spec};
use crate::store::{GroupRecord, Routed, Start, StoreMessage};
use commits::{Disk, Reply, Wait};
use own_alert::OwnAlert;
use own_lines::OwnLines;
use pending::Pending;
use self_watch::{Kind, SelfWatch, Trouble};
use tap::{Tap, Taps};

pub use habits::{Figures, HABITS, Habits};
pub use orders::{Command, Done as OrderDone, Order, SILENCES};
pub use own_alert::RULE as OWN_RULE;

/// Sources remembered; what is remembered of one can be found again.
const MOST_SOURCES: usize = 20_000;
/// The inputs are asked at most this often whether they have read everything.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// What the engine thread is told.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are events")]
pub enum Input {
    /// From an input.
    Event(Event),
    /// Look whether a commit has come back.
    Wake,
    /// What was planned anew.
    Planned(Replanned),
    /// Somebody wants to know how things stand.
    Ask(Question),
    /// What is wrong with inputs and outputs now.
    Troubles(Vec<Trouble>),
    /// Somebody wants to watch.
    Tap(Arc<Tap>),
    /// Somebody wants something done.
    Do(Command),
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
    /// Shown every hit.
    pub feed: Arc<Feed>,
    /// By id.
    pub input_names: Vec<Arc<str>>,
    /// How many inputs there are.
    pub inputs: usize,
    /// What was saved with the positions.
    pub memories: HashMap<PositionKey, Memory>,
    /// Saved groups that nothing can be done with: taken out of the store with the first commit.
    pub stale: Vec<GroupRecord>,
    /// What the start found, to be told.
    pub start: Start,
    /// Finds the lines that the agent wrote for itself.
    pub canary: canary::Reader,
    /// The alerts on the agent itself that earlier runs left open.
    pub open_own_alerts: Vec<Notification>,
    /// What is usual of inputs, as saved.
    pub habits: Habits,
    /// When that was committed after which an earlier run told what it could not save.
    pub unsaved_after: Option<Timestamp>,
    /// What the agent calls its host.
    pub host: Arc<str>,
    /// Set when everything is about to stop.
    pub stopping: Arc<AtomicBool>,
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
    /// The inputs of which something cannot be read now; must not block.
    pub unreadable: Box<dyn Fn() -> Vec<InputId> + Send>,
    /// Fed between two inputs.
    pub watchdog: Option<Watchdog>,
    /// Told what happens; must not block.
    pub notice: Box<dyn FnMut(Notice) + Send>,
}

/// Whether a silence with these matchers could ever mute what the agent tells of itself.
pub(crate) fn may_mean_own_alert(matchers: &[Matcher]) -> bool {
    let mut kinds = Kind::ALL.into_iter();
    own_alert::may_be_meant(matchers) || kinds.any(|kind| kind.may_be_meant(matchers))
}

/// The engine thread's state.
pub struct Pump {
    setup: Setup,
    sources: HashMap<(InputId, Arc<str>), SourceState>,
    /// Of each input.
    figures: HashMap<InputId, Figures>,
    habits: Habits,
    habits_saved_at: Instant,
    /// Of each file, as of its last line.
    memories: HashMap<PositionKey, Memory>,
    /// The inputs were asked whether they have read everything, and have not answered.
    is_asking: bool,
    asked_at: Option<Instant>,
    waiting_for: HashSet<InputId>,
    ended: HashSet<InputId>,
    is_ready: bool,
    /// Files that begin at their ends because positions are lost; until it is told.
    begin_at_end: Vec<PathBuf>,
    told: Vec<Told>,
    taps: Taps,
    own_lines: OwnLines,
    self_watch: SelfWatch,
    pending: Pending,
    disk: Disk,
    replies: (Sender<Reply>, Receiver<Reply>),
}

impl Pump {
    /// A pump that has taken nothing yet.
    pub fn new(mut setup: Setup) -> Self {
        let memories = std::mem::take(&mut setup.memories);
        let mut habits = std::mem::take(&mut setup.habits);
        habits.retain(&setup.input_names);
        let mut pending = Pending::default();
        pending.stale = std::mem::take(&mut setup.stale);
        let open = std::mem::take(&mut setup.open_own_alerts).into_iter();
        // An operator's rule may have any name.
        let open = open.filter(|alert| alert.rule_type == "internal");
        let (open, troubles) = open.partition(|alert| alert.rule == OWN_RULE);
        let self_watch = SelfWatch::new(Arc::clone(&setup.host), troubles, clock::monotonic());
        let disk = Disk::new(OwnAlert::new(Arc::clone(&setup.host), open));
        let waiting_for = (0..setup.inputs)
            .filter_map(|n| u32::try_from(n).ok())
            .map(InputId)
            .collect();
        let own_lines = OwnLines::new(&setup.host);
        let mut pump = Self {
            setup,
            sources: HashMap::new(),
            figures: HashMap::new(),
            habits,
            habits_saved_at: clock::monotonic(),
            memories,
            is_asking: false,
            asked_at: None,
            waiting_for,
            ended: HashSet::new(),
            is_ready: false,
            begin_at_end: Vec::new(),
            told: Vec::new(),
            taps: Taps::default(),
            own_lines,
            self_watch,
            pending,
            disk,
            replies: mpsc::channel(),
        };
        pump.say_unsaved();
        if !matches!(pump.setup.start, Start::Lost { .. }) {
            pump.say_start();
        }
        pump
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
                Ok(Input::Troubles(troubles)) => self.look_at_itself(troubles),
                Ok(Input::Tap(tap)) => self.taps.add(tap),
                Ok(Input::Do(command)) => self.obey(command),
                Ok(Input::Wake) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Input::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
            self.collect(Wait::No);
            self.ask_if_due(clock::monotonic());
            self.commit_if_due(clock::monotonic());
            self.wait_for_room();
            self.say_alive(clock::monotonic());
        }
        self.finish();
    }

    /// Only this thread says so: when it hangs, the service manager gets to know.
    fn say_alive(&mut self, now: Instant) {
        if let Some(watchdog) = &mut self.setup.watchdog {
            watchdog.feed(now);
        }
    }

    /// Windows and alerts, to be looked at.
    pub fn engine(&self) -> &Engine {
        &self.setup.engine
    }

    /// What every input has had that has had anything, by its index.
    pub fn figures(&self) -> BTreeMap<usize, Figures> {
        let by_index = |(input, figures): (&InputId, &Figures)| (input.0 as usize, *figures);
        self.figures.iter().map(by_index).collect()
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Lines {
                batch,
                mut position,
            } => {
                if self.setup.canary.owns(batch.source.input) {
                    self.canary_came(&batch);
                } else {
                    self.scan(&batch, position.as_mut());
                }
                self.setup.tail.give_back(batch);
                if let Some(position) = position {
                    self.pending.moved(position);
                }
            }
            Event::Moved(mut position) => {
                if position.key.is_of_input() && journal::is_aside(&position.path) {
                    self.habits.forget(&position.key.input);
                }
                let is_own = position.key.input == canary::INPUT;
                if matches!(self.setup.start, Start::Lost { .. }) && !is_own {
                    self.begin_at_end.push(position.path.clone());
                }
                position.memory = self
                    .memories
                    .get(&position.key)
                    .cloned()
                    .unwrap_or_default();
                self.pending.moved(position);
            }
            Event::Current(at) => self.let_time_pass(at),
            Event::Awaited(receipt) => self.await_commit(receipt),
            Event::Forget(key) => {
                self.memories.remove(&key);
                self.pending.forget(key);
            }
            Event::Ready(input) => {
                self.waiting_for.remove(&input);
                if self.waiting_for.is_empty() {
                    self.say_start();
                    self.pending.is_urgent = true;
                }
                self.pending.touch();
            }
            Event::Ended(input) => {
                self.ended.insert(input);
                self.pending.is_urgent = true;
                self.pending.touch();
            }
        }
    }

    /// What the agent wrote for itself is held against a rule of its own, and an answer is due as soon as
    /// an alert would be durable.
    fn canary_came(&mut self, batch: &Batch) {
        if let Some(receipt) = self.setup.canary.scan(batch) {
            self.pending.receipts.push(receipt);
            self.pending.is_urgent = true;
            self.pending.touch();
        }
    }

    fn scan(&mut self, batch: &Batch, position: Option<&mut Position>) {
        let latest = clock::now().plus(self.setup.max_clock_skew);
        if self.sources.len() >= MOST_SOURCES {
            self.sources.clear();
        }
        let lines = memchr::memchr_iter(b'\n', &batch.bytes).count();
        let figures = self.figures.entry(batch.source.input).or_default();
        figures.lines += lines as u64;
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
        let (feed, rules, host) = (&self.setup.feed, &self.setup.rules, &self.setup.host);
        let inputs = &self.setup.input_names;
        let input = inputs
            .get(batch.source.input.0 as usize)
            .map_or("", AsRef::as_ref);
        self.taps.batch(batch, input);
        let (taps, own) = (&self.taps, &mut self.own_lines);
        self.setup.scanner.scan(batch, state, latest, &mut |hit| {
            if own.has(hit, input) {
                return;
            }
            let rule = rules.get(hit.rule);
            feed.hit(rule, host, input, hit);
            taps.hit(rule, input, hit);
            engine.observe(hit, told);
        });
        figures.fit += std::mem::take(&mut state.fit);
        figures.skewed += state.skewed - skewed;
        engine.heard(batch.source.input, &state.take_heard());
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
        let unreadable = (self.setup.unreadable)();
        self.setup.engine.set_unreadable(&unreadable);
        self.setup.engine.advance(at, &mut self.told);
        self.route();
    }

    fn route(&mut self) {
        for told in self.told.drain(..) {
            let rule = self.setup.rules.get(told.rule);
            let notify = orders::audience(rule, told.to);
            let outputs =
                outputs::route(&told.notification, notify.as_deref(), &self.setup.outputs);
            let Notification { mode, status, .. } = &told.notification;
            // An end that no output asks for is none that somebody misses.
            if outputs.is_empty() && (*mode, *status) == (Mode::Live, Status::Firing) {
                self.setup.engine.note_unrouted(told.rule);
            }
            self.pending.tell(Routed {
                notification: told.notification,
                outputs,
            });
        }
        if self.setup.engine.has_changes() {
            self.pending.touch();
        }
    }

    /// How long nothing needs to be done if nothing comes; `None`: for ever.
    fn deadline(&self, now: Instant) -> Option<Duration> {
        let commit = self
            .commit_due()
            .map(|due| due.saturating_duration_since(now));
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
        let watchdog = self.setup.watchdog.as_ref();
        let watchdog = watchdog.map(|watchdog| watchdog.wait(now));
        commit.into_iter().chain(due).chain(watchdog).min()
    }
}
