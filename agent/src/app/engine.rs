//! The engine's thread made ready: rules, saved windows and alerts, and what it is connected with.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Sender, SyncSender};
use std::time::Duration;

use lapwing_rules::engine::{Engine, SavedGroup};
use lapwing_rules::language::rule::RuleSet;
use lapwing_rules::model::{InputId, Notification};
use lapwing_rules::mute::Silence;
use lapwing_rules::scanner::{InputSpec, Replan, Scanner};
use tokio::sync::mpsc::UnboundedSender;

use super::inputs::canary_id;
use super::{Happening, troubles};
use crate::canary;
use crate::clock;
use crate::config::{Config, Input};
use crate::inputs::{Settled, tail};
use crate::operate::systemd::Watchdog;
use crate::outputs;
use crate::pump::{self, Habits, Notice, Pump};
use crate::store::{GroupRecord, Saved, StoreMessage};
use crate::threads;

/// A log's times are often whole seconds: a line that bears one may come until the next.
const WAIT_FOR_LINES: Duration = Duration::from_secs(1);

/// What the pump is connected with.
pub(super) struct Ends {
    pub(super) store: Sender<StoreMessage>,
    pub(super) inbox: SyncSender<pump::Input>,
    pub(super) tail: tail::Handle,
    pub(super) happen: UnboundedSender<Happening>,
    pub(super) stopping: Arc<AtomicBool>,
    pub(super) counters: Arc<tail::Counters>,
    /// What the last run said last of itself.
    pub(super) open_own_alerts: Vec<Notification>,
    /// Told what the canary's lines came to.
    pub(super) canary: UnboundedSender<Settled>,
}

#[expect(clippy::too_many_lines, reason = "the wiring, a line each")]
pub(super) fn pump(
    config: &Config,
    rules: &Arc<RuleSet>,
    saved: &Saved,
    feed: Arc<outputs::Feed>,
    ends: Ends,
) -> Pump {
    let Ends {
        store,
        inbox,
        tail,
        happen,
        stopping,
        counters,
        open_own_alerts,
        canary,
    } = ends;
    let names: Vec<Arc<str>> = config
        .inputs
        .iter()
        .map(|input| Arc::clone(&input.name))
        .collect();
    let mut engine = Engine::new(
        Arc::clone(rules),
        Arc::clone(&config.host),
        names.clone().into(),
    );
    let stale = restore(&mut engine, saved);
    engine.wait_for_lines(WAIT_FOR_LINES);
    engine.set_silences(silences(saved), clock::now());
    engine.watch(clock::now());
    for position in &saved.positions {
        let mut inputs = (0..).map(InputId).zip(&config.inputs);
        let input = inputs.find(|(_, input)| *input.name == *position.key.input);
        if let Some((id, _)) = input {
            engine.heard(id, &position.memory.heard());
        }
    }
    let memories = saved
        .positions
        .iter()
        .map(|position| (position.key.clone(), position.memory.clone()));
    Pump::new(pump::Setup {
        scanner: scanner(config, rules),
        planner: Box::new(planner(inbox.clone())),
        rules: Arc::clone(rules),
        engine,
        outputs: config.outputs.clone(),
        feed,
        input_names: names,
        inputs: config.inputs.len(),
        memories: memories.collect(),
        stale,
        start: saved.start.clone(),
        canary: canary::Reader::new(canary_id(config), canary),
        open_own_alerts,
        habits: habits(saved),
        unsaved_after: saved.unsaved_after,
        host: Arc::clone(&config.host),
        stopping,
        max_clock_skew: config.max_clock_skew,
        store,
        inbox,
        tail,
        unreadable: Box::new(troubles::unreadable(config, counters)),
        watchdog: Watchdog::wanted(),
        notice: Box::new(move |notice| {
            let happening = match notice {
                Notice::Ready => Happening::Ready,
                Notice::AllEnded => Happening::AllEnded,
            };
            happen.send(happening).ok();
        }),
    })
}

fn scanner(config: &Config, rules: &Arc<RuleSet>) -> Scanner {
    let spec = |input: &Input| InputSpec {
        name: Arc::clone(&input.name),
        format: input.format.clone(),
    };
    let specs: Vec<InputSpec> = config.inputs.iter().map(spec).collect();
    let mut scanner = Scanner::new(rules, &specs, config.listening);
    scanner.prepare();
    scanner
}

/// Plans on a thread of its own: the lines do not wait for it, and other plans find the same.
fn planner(inbox: SyncSender<pump::Input>) -> impl FnMut(Replan) + Send {
    move |replan| {
        let inbox = inbox.clone();
        let plan = move || inbox.send(pump::Input::Planned(replan.run())).ok();
        if let Err(error) = threads::start("planner", plan) {
            tracing::debug!(%error, "the plans stay as they are");
        }
    }
}

/// Puts the saved groups back; gives those that are of no more use, to be taken out of the store.
fn restore(engine: &mut Engine, saved: &Saved) -> Vec<GroupRecord> {
    let groups: Vec<SavedGroup> = saved
        .groups
        .iter()
        .map(|group| SavedGroup {
            rule: group.rule.clone(),
            key: group.group.clone(),
            state: group.state.clone(),
            parts: group.parts.clone(),
            first_part: group.first_part,
        })
        .collect();
    let gone = |group: &SavedGroup| GroupRecord {
        rule: group.rule.clone(),
        group: group.key.clone(),
        ..GroupRecord::default()
    };
    let stale: Vec<GroupRecord> = engine.restore(&groups).into_iter().map(gone).collect();
    if !stale.is_empty() {
        tracing::info!(
            groups = stale.len(),
            "windows of rules that are gone or group otherwise now are forgotten"
        );
    }
    stale
}

/// What was usual of the inputs.
fn habits(saved: &Saved) -> Habits {
    let Some(note) = saved.notes.get(pump::HABITS) else {
        return Habits::default();
    };
    serde_json::from_slice(note).unwrap_or_else(|error| {
        tracing::warn!(%error, "what was usual of inputs cannot be read, and is learnt anew");
        Habits::default()
    })
}

/// What operators had muted.
fn silences(saved: &Saved) -> Vec<Silence> {
    let Some(note) = saved.notes.get(pump::SILENCES) else {
        return Vec::new();
    };
    serde_json::from_slice(note).unwrap_or_else(|error| {
        tracing::error!(%error, "the silences cannot be read, and hold no longer");
        Vec::new()
    })
}
