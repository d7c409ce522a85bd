//! The wiring: the one room that knows all the others, and the one that starts those that the agent lives by.
//!
//! | thread | does | may block on |
//! | --- | --- | --- |
//! | `tail` | discovers, reads, frames | disk, a full inbox |
//! | `stdin` | reads, frames | standard input, a full inbox |
//! | `network` | receives, frames; outlives a reload | a full inbox |
//! | `engine` | matches, keeps windows and alerts | its inbox |
//! | `store` | commits | disk |
//! | main | outputs and signals, a current-thread tokio runtime | nothing |
//!
//! Shutdown follows the data: inputs stop, the engine drains and commits, the outputs get a grace
//! time, the store ends. What is not delivered by then stays in the store.

mod canary;
mod engine;
mod heartbeat;
mod inputs;
mod troubles;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lapwing_rules::language::rule::RuleSet;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::canary::Canary;
use crate::config::{Config, Input};
use crate::error::AgentError;
use crate::inputs::syslog::Network;
use crate::inputs::tail;
use crate::operate::status::Reloads;
use crate::operate::{LastReload, Sight};
use crate::outputs::{self, Outputs, Palette};
use crate::pump;
use crate::pump::self_watch::{Growth, Kind};
use crate::store::{Health, Store, StoreMessage, run as run_store};
use crate::threads::{self, JoinHandle};

/// Batches that may wait for the engine; each is at most some 256 KiB.
const INBOX: usize = 8;

/// What a running agent says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// Every input is ready, and that is durable.
    Ready,
    /// All inputs have ended; only standard input does.
    AllEnded,
    /// The state turned out to be damaged while in use: to be stopped and started again, which
    /// sets it aside.
    StateDamaged,
    /// A thread that the agent cannot live without has ended.
    Died(String),
}

/// What outlives a reload.
#[derive(Clone, Debug)]
pub struct Life {
    /// When the process was started.
    pub started_at: Instant,
    /// Set by whoever hears [`Happening::Ready`].
    pub ready: Arc<AtomicBool>,
    /// What came of the last SIGHUP.
    pub last_reload: Option<LastReload>,
    /// All of them.
    pub reloads: Reloads,
}

/// What stays open while one agent takes the place of another.
#[derive(Debug, Default)]
pub struct Kept {
    files: Vec<tail::Kept>,
    network: Option<Arc<Network>>,
    /// What was lost is to be seen until the process ends.
    counters: Arc<tail::Counters>,
    /// How much of that was told.
    growth: Arc<Mutex<Growth>>,
}

impl Kept {
    /// For an agent that listens; also for one that does not any more, to close what is open.
    fn network(&mut self, is_wanted: bool) -> Result<Option<Arc<Network>>, AgentError> {
        if self.network.is_none() && is_wanted {
            let network = Network::start();
            let network = network.map_err(AgentError::io("cannot start the thread `network`"))?;
            self.network = Some(Arc::new(network));
        }
        Ok(self.network.as_ref().map(Arc::clone))
    }
}

/// Whether another agent comes after this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It does, with the same connections.
    Agent,
    /// It does not.
    Nothing,
}

/// A running agent.
pub struct App {
    journal_threads: Vec<inputs::JournalThread>,
    network: Option<Arc<Network>>,
    happenings: UnboundedReceiver<Happening>,
    stopping: Arc<AtomicBool>,
    tail: tail::Handle,
    counters: Arc<tail::Counters>,
    growth: Arc<Mutex<Growth>>,
    canary: Arc<Canary>,
    inbox: SyncSender<pump::Input>,
    store: Sender<StoreMessage>,
    outputs: Outputs,
    health: Arc<Health>,
    /// Ended with it.
    tasks: Vec<tokio::task::JoinHandle<()>>,
    /// Standard input cannot be told to stop: its thread ends with its input or the process.
    tail_thread: JoinHandle<Vec<tail::Kept>>,
    engine_thread: JoinHandle<()>,
    store_thread: JoinHandle<()>,
}

/// Starts everything. Must be called inside a tokio runtime. `kept`: what the agent before this one,
/// in this process, gave when it made room ([`App::make_room`]); left
/// alone where this fails.
///
/// # Errors
///
/// When the state folder cannot be used or no thread can be started.
#[expect(clippy::too_many_lines, reason = "the wiring, a line each")]
pub fn start(
    config: &Config,
    rules: &Arc<RuleSet>,
    palette: Palette,
    kept: &mut Kept,
) -> Result<App, AgentError> {
    let (store, saved) = Store::open(&config.state_dir)?;
    if let Some(why) = &saved.unusable {
        tracing::error!(%why, "nothing can be saved: lines are watched and alerts told from memory, and it is tried again");
    }
    let health = store.health();
    let (happen, happenings) = unbounded_channel();
    let stopping = Arc::new(AtomicBool::new(false));
    let threads = Threads {
        happen: happen.clone(),
        stopping: Arc::clone(&stopping),
    };
    let (to_store, store_inbox) = mpsc::channel();
    let limits = |spec: &outputs::Spec| (spec.name.clone(), spec.queue_max_bytes);
    // The store thread lives for as long as `to_store` does: its inbox takes this.
    to_store
        .send(StoreMessage::Outputs(
            config.outputs.iter().map(limits).collect(),
        ))
        .ok();
    let reader = store.reader();
    let own_rules = Kind::ALL.into_iter().map(Kind::rule);
    let own_rules = own_rules.chain([pump::OWN_RULE]);
    let open_own_alerts = own_rules.flat_map(|rule| reader.open_of(rule).unwrap_or_default());
    let open_own_alerts = open_own_alerts.collect();
    let outputs = outputs::start(config.outputs.clone(), &reader, &to_store, palette);
    let handle = outputs.handle();
    let told = happen.clone();
    let keep = move || keep(store, &store_inbox, &handle, &told);
    let store_thread = threads.start("store", keep)?;
    let (inbox, engine_inbox) = mpsc::sync_channel(INBOX);
    let (tail_handle, control) = tail::control();
    let counters = Arc::clone(&kept.counters);
    counters.forget_unreadable();
    let canary = Arc::new(Canary::new(&config.state_dir));
    let (came_back, coming_back) = unbounded_channel();
    let ends = engine::Ends {
        store: to_store.clone(),
        inbox: inbox.clone(),
        tail: tail_handle.clone(),
        happen,
        stopping: Arc::clone(&stopping),
        counters: Arc::clone(&counters),
        open_own_alerts,
        canary: came_back,
    };
    let pump = engine::pump(config, rules, &saved, outputs.feed(), ends);
    let engine_thread = threads.start("engine", move || pump.run(&engine_inbox))?;
    let journals = inputs::journals(config, &saved, &counters);
    let files = std::mem::take(&mut kept.files);
    let setup = inputs::tail_setup(config, saved, Arc::clone(&counters), files, &canary);
    let to_engine = inbox.clone();
    let tail_thread = threads.start("tail", move || tail::run(setup, &control, &to_engine))?;
    let (network, journal_threads) =
        inputs::start_others(config, journals, kept, &threads, &inbox)?;
    let beat = config.heartbeat.clone();
    let beat = beat.map(|beat| heartbeat::start(beat, inbox.clone(), Arc::clone(&health)));
    let received = network.as_ref().map(|network| network.counters());
    let looker = troubles::Looker::new(kept, received, outputs.handle(), &health, &canary);
    let looker = troubles::start(looker, inbox.clone());
    let singing = canary::start(Arc::clone(&canary), coming_back);
    Ok(App {
        tasks: beat.into_iter().chain([looker, singing]).collect(),
        canary,
        journal_threads,
        network,
        happenings,
        stopping,
        tail: tail_handle,
        counters,
        growth: Arc::clone(&kept.growth),
        inbox,
        store: to_store,
        outputs,
        health,
        tail_thread,
        engine_thread,
        store_thread,
    })
}

/// The store thread's body.
fn keep(
    store: Store,
    inbox: &Receiver<StoreMessage>,
    outputs: &outputs::Handle,
    happen: &UnboundedSender<Happening>,
) {
    if let Err(error) = run_store(store, inbox, |report| outputs.committed(report)) {
        tracing::error!(%error, "the state cannot be kept any longer");
        happen.send(Happening::StateDamaged).ok();
    }
}

struct Threads {
    happen: UnboundedSender<Happening>,
    stopping: Arc<AtomicBool>,
}

impl Threads {
    /// Tells, when it is dropped before everything stops, that a thread has ended.
    fn last_word(&self, name: &'static str) -> LastWord {
        LastWord {
            name,
            happen: self.happen.clone(),
            stopping: Arc::clone(&self.stopping),
        }
    }

    /// A thread whose end, before everything stops, is told. A panic ends it like anything else.
    fn start<T: Send + 'static>(
        &self,
        name: &'static str,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JoinHandle<T>, AgentError> {
        let last_word = self.last_word(name);
        let guarded = move || {
            // Told on the way out, however that is.
            let _last_word = last_word;
            body()
        };
        threads::start(name, guarded)
            .map_err(AgentError::io(format!("cannot start the thread `{name}`")))
    }
}

struct LastWord {
    name: &'static str,
    happen: UnboundedSender<Happening>,
    stopping: Arc<AtomicBool>,
}

impl Drop for LastWord {
    fn drop(&mut self) {
        if !self.stopping.load(Ordering::SeqCst) {
            self.happen
                .send(Happening::Died(format!(
                    "the thread `{}` has ended",
                    self.name
                )))
                .ok();
        }
    }
}

impl App {
    /// The next thing that happens; pending until then.
    pub async fn next(&mut self) -> Happening {
        // All senders gone means that all threads are.
        self.happenings
            .recv()
            .await
            .unwrap_or_else(|| Happening::Died("every thread has ended".to_owned()))
    }

    /// What looks at this agent until it stops.
    pub fn sight(&self, config: &Config, rules: &Arc<RuleSet>, life: &Life) -> Sight {
        let name = |input: &Input| (Arc::clone(&input.name), input.kind.name());
        Sight {
            host: Arc::clone(&config.host),
            started_at: life.started_at,
            ready: Arc::clone(&life.ready),
            inputs: config.inputs.iter().map(name).collect(),
            counters: Arc::clone(&self.counters),
            canary: Arc::clone(&self.canary),
            received: self.network.as_ref().map(|network| network.counters()),
            rules: Arc::clone(rules),
            outputs: self.outputs.handle(),
            specs: config.outputs.clone(),
            store: self.store.clone(),
            inbox: self.inbox.clone(),
            state_dir: config.state_dir.clone(),
            last_reload: life.last_reload.clone(),
            reloads: life.reloads,
            health: Arc::clone(&self.health),
        }
    }

    /// How its state fares.
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    /// Stops everything in the order of the data. Outputs go on for at most `grace`.
    pub async fn stop(self, grace: Duration) {
        self.wind_up(grace, Next::Nothing).await;
    }

    /// Stops likewise, for an agent that is to start in this process at once: gives what only that one
    /// can go on with.
    pub async fn make_room(self, grace: Duration) -> Kept {
        self.wind_up(grace, Next::Agent).await
    }

    async fn wind_up(self, grace: Duration, next: Next) -> Kept {
        self.stopping.store(true, Ordering::SeqCst);
        let Self {
            journal_threads,
            network,
            tail,
            inbox,
            store,
            outputs,
            tail_thread,
            engine_thread,
            store_thread,
            tasks,
            counters,
            growth,
            ..
        } = self;
        for task in tasks {
            task.abort();
        }
        let on_network = async |order: fn(&Network)| {
            if let Some(network) = network.as_ref().map(Arc::clone) {
                let ordered = move || order(&network);
                tokio::task::spawn_blocking(ordered).await.ok();
            }
        };
        match next {
            Next::Agent => {
                on_network(Network::pause).await;
                tail.stop();
            }
            Next::Nothing => {
                on_network(Network::drain).await;
                tail.end();
            }
        }
        for (handle, thread) in journal_threads {
            let stop = move || handle.stop();
            tokio::task::spawn_blocking(stop).await.ok();
            join(thread).await;
        }
        let files = join(tail_thread).await.unwrap_or_default();
        let stop = move || inbox.send(pump::Input::Stop).ok();
        tokio::task::spawn_blocking(stop).await.ok();
        join(engine_thread).await;
        if next == Next::Nothing {
            // What the last commit held is acknowledged.
            on_network(Network::end).await;
        }
        outputs.shutdown(grace).await;
        store.send(StoreMessage::Stop).ok();
        join(store_thread).await;
        Kept {
            files,
            network,
            counters,
            growth,
        }
    }
}

/// Waits for a thread without keeping the runtime from its work; `None` when it panicked.
async fn join<T: Send + 'static>(thread: JoinHandle<T>) -> Option<T> {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    let joined = tokio::task::spawn_blocking(move || thread.join()).await;
    if let Ok(Ok(given)) = joined {
        return Some(given);
    }
    tracing::error!(name, "the thread ended with a panic");
    None
}
