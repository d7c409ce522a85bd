//! Where the figures of a running agent are found: counters that anyone may read, and the engine,
//! which is asked through its inbox so that nothing of it is shared.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, SyncSender, TrySendError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use lapwing_rules::engine::AlertView;
use lapwing_rules::language::rule::RuleSet;
use lapwing_rules::model::{Mode, Timestamp};
use lapwing_rules::mute::Silence;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::status::{
    CanaryStatus, DroppedStatus, InputStatus, Loss, OutputStatus, ReceivedStatus, Reloads,
    RuleStatus, StateStatus, Status, Unreadable,
};
use crate::canary::Canary;
use crate::clock;
use crate::inputs::{syslog, tail};
use crate::outputs;
use crate::pump::{self, Question};
use crate::store::{Health, HealthView, Start, StoreMessage};

/// An engine that does not answer in this time has too much to do.
const PATIENCE: Duration = Duration::from_secs(2);
/// Firing alerts that are shown one by one.
const MOST_FIRING: usize = 200;
/// Between two tries to get a question into a full inbox.
const PAUSE: Duration = Duration::from_millis(10);

/// What came of the last SIGHUP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastReload {
    /// When it came, wall clock.
    pub at: Timestamp,
    /// Whether the new configuration is used.
    pub ok: bool,
    /// Why not; with `ok`, its warnings.
    pub problems: Vec<String>,
}

/// Looks at one running agent. What it shows ends with that agent.
#[derive(Debug)]
pub struct Sight {
    /// What the agent calls its host.
    pub host: Arc<str>,
    /// When the process was started.
    pub started_at: Instant,
    /// Set once every input has its starting position.
    pub ready: Arc<AtomicBool>,
    /// Name and `type` of each input, by id.
    pub inputs: Vec<(Arc<str>, &'static str)>,
    /// What the file inputs count.
    pub counters: Arc<tail::Counters>,
    /// The lines that the agent writes for itself.
    pub canary: Arc<Canary>,
    /// What the inputs count that others send to.
    pub received: Option<syslog::counters::All>,
    /// By id.
    pub rules: Arc<RuleSet>,
    /// The workers.
    pub outputs: outputs::Handle,
    /// As configured.
    pub specs: Vec<outputs::Spec>,
    /// To the store's thread.
    pub store: Sender<StoreMessage>,
    /// The engine's inbox.
    pub inbox: SyncSender<pump::Input>,
    /// The state folder.
    pub state_dir: PathBuf,
    /// The last SIGHUP.
    pub last_reload: Option<LastReload>,
    /// All of them.
    pub reloads: Reloads,
    /// How the state fares.
    pub health: Arc<Health>,
}

/// What the engine says of itself.
#[derive(Debug, Default)]
pub(super) struct EngineSays {
    pub(super) rules: BTreeMap<String, RuleStatus>,
    /// Of each input, by its id.
    figures: BTreeMap<usize, pump::Figures>,
    /// Alerts that are firing, with their rules' names, by the order of the rules.
    pub(super) firing: Vec<(String, AlertView)>,
    silences: u64,
}

impl Sight {
    /// How everything stands now.
    pub async fn status(&self) -> Status {
        let (engine, said) = match self.ask_engine().await {
            Ok(said) => ("ok".to_owned(), said),
            Err(why) => (why.to_owned(), EngineSays::default()),
        };
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: self.host.to_string(),
            pid: std::process::id(),
            uptime_s: clock::monotonic()
                .saturating_duration_since(self.started_at)
                .as_secs(),
            ready: self.is_ready(),
            inputs: self.input_statuses(&said),
            rules: said.rules,
            silences: said.silences,
            outputs: self.output_statuses().await,
            state: self.state(),
            canary: self.canary(),
            engine,
            last_reload: self.last_reload.clone(),
            reloads: self.reloads,
        }
    }

    fn canary(&self) -> CanaryStatus {
        let figures = self.canary.figures();
        CanaryStatus {
            seconds: figures.took.map(|took| took.as_secs_f64()),
            arrived: figures.arrived,
            lost: figures.lost,
        }
    }

    fn input_statuses(&self, said: &EngineSays) -> BTreeMap<String, InputStatus> {
        let one = |(id, (name, kind)): (usize, &(Arc<str>, &str))| {
            let figures = said.figures.get(&id).copied().unwrap_or_default();
            let status = InputStatus {
                kind: (*kind).to_owned(),
                skewed: figures.skewed,
                lines: figures.lines,
                ..InputStatus::default()
            };
            (name.to_string(), status)
        };
        let mut inputs: BTreeMap<String, InputStatus> = (0..).zip(&self.inputs).map(one).collect();
        for figures in self.counters.inputs() {
            let Some(input) = inputs.get_mut(&*figures.input) else {
                continue;
            };
            input.files = figures.files;
            input.bytes = figures.bytes_read;
            input.lag_bytes = figures.lag_bytes;
            input.unreadable_total = figures.unreadable_total;
            input.passed_over = figures.passed_over;
            let unreadable = figures.unreadable.into_iter().map(|file| Unreadable {
                path: file.path.display().to_string(),
                passed_over: file.why == tail::Unread::PassedOver,
                error: file.error,
                since: file.since,
            });
            input.unreadable = unreadable.collect();
        }
        if let Some(received) = &self.received {
            let all = received.lock().unwrap_or_else(PoisonError::into_inner);
            for (name, counters) in &*all {
                if let Some(input) = inputs.get_mut(&**name).filter(|it| it.kind == "syslog") {
                    input.bytes = counters.bytes.get();
                    input.received = Some(received_status(counters));
                }
            }
        }
        for loss in self.counters.losses() {
            if let Some(input) = inputs.get_mut(&*loss.input) {
                input.losses.push(Loss {
                    path: loss.path.map(|path| path.display().to_string()),
                    kind: loss.kind.name().to_owned(),
                    why: loss.kind.says().to_owned(),
                    bytes: loss.bytes,
                    times: loss.times,
                    last_at: loss.last_at,
                });
            }
        }
        inputs
    }

    /// The queues are read from disk.
    async fn output_statuses(&self) -> BTreeMap<String, OutputStatus> {
        let handle = self.outputs.clone();
        let look = tokio::task::spawn_blocking(move || handle.snapshot());
        let snapshots = look.await.unwrap_or_default();
        let one = |snapshot: outputs::Snapshot| {
            let counts = snapshot.counts;
            let status = OutputStatus {
                kind: snapshot.kind.to_owned(),
                waiting: snapshot.queue.map(|queue| queue.rows),
                waiting_bytes: snapshot.queue.map(|queue| queue.bytes),
                delivered: counts.delivered,
                failed: counts.failed,
                rejected: counts.rejected,
                expired: counts.expired,
                dropped: counts.dropped,
                delivered_at: counts.delivered_at,
                last_error: counts.last_error,
                failed_at: counts.failed_at,
                next_try_at: counts.next_try_at,
                aside: counts.aside,
            };
            (snapshot.name, status)
        };
        snapshots.into_iter().map(one).collect()
    }

    fn state(&self) -> StateStatus {
        let HealthView {
            committed_at,
            took,
            failing,
            state_bytes,
            in_memory,
            dropped,
            start,
            ..
        } = self.health.view();
        StateStatus {
            path: self.state_dir.display().to_string(),
            bytes: state_bytes,
            committed_at,
            commit_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            failing_since: failing.as_ref().map(|failing| failing.since),
            error: failing.map(|failing| failing.error),
            in_memory: in_memory.rows,
            dropped: DroppedStatus {
                queue_full: dropped.queue_full,
                orphaned: dropped.orphaned,
                unrecorded: dropped.unrecorded,
            },
            start: start_words(&start),
        }
    }

    /// Whether every input has its starting position.
    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    pub(super) async fn ask_engine(&self) -> Result<EngineSays, &'static str> {
        let rules = Arc::clone(&self.rules);
        self.ask(move |pump| look_at(pump, &rules)).await
    }

    /// Has `look` look at the engine, between two batches.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        look: impl FnOnce(&pump::Pump) -> T + Send + 'static,
    ) -> Result<T, &'static str> {
        let (reply, answer) = oneshot::channel();
        let question = Question::new(move |pump| {
            // Whoever asked may have given up.
            reply.send(look(pump)).ok();
        });
        let asked = async {
            self.send(pump::Input::Ask(question)).await?;
            answer.await.map_err(|_| "the engine has ended")
        };
        tokio::time::timeout(PATIENCE, asked)
            .await
            .unwrap_or(Err("the engine has too much to do to answer"))
    }

    /// Puts `input` into the engine's inbox as soon as there is room.
    pub(super) async fn send(&self, mut input: pump::Input) -> Result<(), &'static str> {
        loop {
            match self.inbox.try_send(input) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err("the engine has ended"),
                Err(TrySendError::Full(back)) => input = back,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn received_status(counters: &syslog::Counters) -> ReceivedStatus {
    ReceivedStatus {
        messages: counters.messages.get(),
        connections: counters.connections.get(),
        accepted: counters.accepted.get(),
        refused: counters.refused.get(),
        broken: counters.broken.get(),
        timed_out: counters.timed_out.get(),
        handshakes_failed: counters.handshakes_failed.get(),
        cut: counters.cut.get(),
        datagrams_dropped: counters.datagrams_dropped.get(),
        own: counters.own.get(),
        deaf: counters.deaf(),
    }
}

/// What was found in the state folder at the start.
fn start_words(start: &Start) -> String {
    match start {
        Start::Fresh | Start::Resumed => "ok".to_owned(),
        Start::Recovered { why, as_of, .. } => format!(
            "the database was damaged ({why}): positions are those of {as_of}, windows began anew"
        ),
        Start::Lost {
            why, last_known, ..
        } => {
            let since =
                last_known.map_or_else(|| "an unknown time".to_owned(), |known| known.to_string());
            format!("positions were lost ({why}): what was written since {since} was not checked")
        }
    }
}

/// On the engine's thread: copies a few numbers a rule.
fn look_at(pump: &pump::Pump, rules: &RuleSet) -> EngineSays {
    let engine = pump.engine();
    let status = |(id, rule): (_, &lapwing_rules::language::rule::Rule)| {
        let counts = engine.counts_of(id);
        let status = RuleStatus {
            kind: rule.condition.name().to_owned(),
            mode: mode(rule.mode).to_owned(),
            hits: counts.hits,
            alerts: counts.alerts,
            notifications: counts.notifications,
            firing: engine.firing(id) as u64,
            held_back: counts.held_back,
            dropped_groups: counts.dropped_groups,
        };
        (rule.name.clone(), status)
    };
    let firing = rules.iter().flat_map(|(id, rule)| {
        let alerts = engine.alerts(id).take(MOST_FIRING);
        alerts.map(|alert| (rule.name.clone(), alert))
    });
    EngineSays {
        rules: rules.iter().map(status).collect(),
        figures: pump.figures(),
        firing: firing.take(MOST_FIRING).collect(),
        silences: active(engine.silences()),
    }
}

fn active(silences: &[Silence]) -> u64 {
    let now = clock::now();
    let active = silences.iter().filter(|silence| silence.ends_at > now);
    active.count() as u64
}

/// The word of the rule's `mode`.
fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Live => "live",
        Mode::Shadow => "shadow",
        Mode::Off => "off",
    }
}
