//! Where the agent looks for what is wrong with itself: the figures of its inputs and outputs. What of
//! it is told, and when, is the pump's `self_watch`'s to say.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lapwing_rules::model::InputId;
use tokio::task::JoinHandle;

use super::Kept;
use crate::canary::{self, Canary};
use crate::clock;
use crate::config::Config;
use crate::inputs::syslog;
use crate::inputs::tail::{self, LossKind};
use crate::outputs::render::span;
use crate::outputs::{self, safe};
use crate::pump;
use crate::pump::self_watch::{EVERY, Growth, Kind, Trouble};
use crate::store::Health;

/// Between two tries to get a look into a full inbox.
const PAUSE: Duration = Duration::from_millis(10);

/// Finds the inputs of which something cannot be read.
pub(super) fn unreadable(
    config: &Config,
    counters: Arc<tail::Counters>,
) -> impl Fn() -> Vec<InputId> + Send + use<> {
    let names = (0..).map(InputId).zip(&config.inputs);
    let ids: HashMap<Arc<str>, InputId> = names
        .map(|(id, input)| (Arc::clone(&input.name), id))
        .collect();
    move || {
        let figures = counters.inputs().into_iter();
        let unreadable = figures.filter(|figures| figures.failing() > 0);
        unreadable
            .filter_map(|figures| ids.get(&figures.input).copied())
            .collect()
    }
}

/// Looks until the task is aborted or the engine has ended.
pub(super) fn start(mut looker: Looker, inbox: SyncSender<pump::Input>) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(EVERY).await;
            // Queues are read from disk.
            let look = tokio::task::spawn_blocking(move || {
                let troubles = looker.look(clock::monotonic());
                (looker, troubles)
            });
            let Ok((back, troubles)) = look.await else {
                return;
            };
            looker = back;
            // Just an engine that has too much to do is to hear of what is wrong.
            let mut troubles = pump::Input::Troubles(troubles);
            loop {
                troubles = match inbox.try_send(troubles) {
                    Ok(()) => break,
                    Err(TrySendError::Full(back)) => back,
                    Err(TrySendError::Disconnected(_)) => return,
                };
                tokio::time::sleep(PAUSE).await;
            }
        }
    })
}

/// Looks at figures, and remembers those of the look before.
pub(super) struct Looker {
    counters: Arc<tail::Counters>,
    received: Option<syslog::counters::All>,
    outputs: outputs::Handle,
    health: Arc<Health>,
    canary: Arc<Canary>,
    /// Shared with the agents before and after this one in the process: so are the figures that grow.
    growth: Arc<Mutex<Growth>>,
}

impl Looker {
    /// Has not looked yet.
    pub(super) fn new(
        kept: &Kept,
        received: Option<syslog::counters::All>,
        outputs: outputs::Handle,
        health: &Arc<Health>,
        canary: &Arc<Canary>,
    ) -> Self {
        Self {
            counters: Arc::clone(&kept.counters),
            received,
            outputs,
            health: Arc::clone(health),
            canary: Arc::clone(canary),
            growth: Arc::clone(&kept.growth),
        }
    }

    fn has_grown(&self, kind: Kind, about: &str, count: u64, now: Instant) -> bool {
        let mut growth = self.growth.lock().unwrap_or_else(PoisonError::into_inner);
        growth.is(kind, about, count, now)
    }

    fn look(&self, now: Instant) -> Vec<Trouble> {
        let mut troubles = self.unreadable();
        troubles.extend(self.lost(now));
        troubles.extend(self.received(now));
        troubles.extend(self.outputs(now));
        troubles.extend(self.blind(now));
        troubles
    }

    /// A line of its own does not come through. That nothing can be saved is told anyway.
    fn blind(&self, now: Instant) -> Option<Trouble> {
        if self.health.view().failing.is_some() {
            return None;
        }
        let (late, error) = self.canary.under_way(now)?;
        if late < canary::PATIENCE {
            return None;
        }
        let late = span(late);
        let why = error
            .map(|error| format!(", because it cannot be written ({})", safe::visible(&error)));
        let why = why.unwrap_or_default();
        Some(Trouble {
            kind: Kind::Blind,
            about: canary::INPUT.to_owned(),
            what: format!(
                "no line that it writes for itself has come through for {late}{why}: what is logged now is \
                 told late, or not at all"
            ),
        })
    }

    fn unreadable(&self) -> Vec<Trouble> {
        let figures = self.counters.inputs().into_iter();
        let figures = figures.filter(|figures| *figures.input != *canary::INPUT);
        let trouble = |figures: tail::InputFigures| {
            let mut listed = figures.unreadable.iter();
            let first = listed.find(|it| it.why == tail::Unread::Failing)?;
            let path = first.path.display().to_string();
            let what = format!(
                "{} of the input {} cannot be read, such as {}: {}",
                counted(figures.failing(), "file"),
                figures.input,
                safe::visible(&path),
                safe::visible(&first.error)
            );
            Some(Trouble {
                kind: Kind::Unreadable,
                about: figures.input.to_string(),
                what,
            })
        };
        figures.filter_map(trouble).collect()
    }

    fn lost(&self, now: Instant) -> Vec<Trouble> {
        let mut lost: BTreeMap<String, (u64, String)> = BTreeMap::new();
        for loss in self.counters.losses() {
            let is_lost = match loss.kind {
                LossKind::Truncated
                | LossKind::Vanished
                | LossKind::Archive
                | LossKind::Oversize => true,
                LossKind::Unreadable | LossKind::Cut | LossKind::Hole => false,
            };
            if is_lost && *loss.input != *canary::INPUT {
                let path = loss.path.map_or_else(
                    || "a file".to_owned(),
                    |path| safe::visible(&path.display().to_string()).into_owned(),
                );
                // The latest stands first.
                let (times, _) = lost.entry(loss.input.to_string()).or_insert_with(|| {
                    let what = format!("lines were lost: {path} {}", loss.kind.says());
                    (0, what)
                });
                *times += loss.times;
            }
        }
        let mut troubles = Vec::new();
        for (about, (times, what)) in lost {
            if self.has_grown(Kind::Lost, &about, times, now) {
                troubles.push(Trouble {
                    kind: Kind::Lost,
                    about,
                    what,
                });
            }
        }
        troubles
    }

    /// Of what others send.
    fn received(&self, now: Instant) -> Vec<Trouble> {
        let all = self.received.iter();
        let all = all.map(|all| all.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let mut troubles = Vec::new();
        for (name, counters) in all.flatten() {
            if let Some((at, why)) = counters.deaf().into_iter().next() {
                let (at, why) = (safe::visible(&at), safe::visible(&why));
                troubles.push(Trouble {
                    kind: Kind::Unreadable,
                    about: name.to_string(),
                    what: format!("the input {name} cannot listen at {at}: {why}"),
                });
            }
            let dropped = counters.datagrams_dropped.get();
            if self.has_grown(Kind::Lost, &name, dropped, now) {
                let dropped = counted(dropped, "datagram");
                troubles.push(Trouble {
                    kind: Kind::Lost,
                    about: name.to_string(),
                    what: format!(
                        "the system dropped {dropped} of the input {name}, which came too fast"
                    ),
                });
            }
        }
        troubles
    }

    fn outputs(&self, now: Instant) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        for output in self.outputs.snapshot() {
            let (about, counts) = (output.name, output.counts);
            // What is refused alone and tried again later says nothing of the others.
            let waits = output.queue.is_none_or(|queue| queue.rows > counts.aside);
            if let Some(error) = counts.last_error.filter(|_| waits) {
                troubles.push(Trouble {
                    kind: Kind::Dead,
                    what: format!(
                        "the output {about} takes nothing: {}",
                        safe::visible(&error)
                    ),
                    about: about.clone(),
                });
            }
            if self.has_grown(Kind::Overflown, &about, counts.dropped, now) {
                let lost = counted(counts.dropped, "notification");
                troubles.push(Trouble {
                    kind: Kind::Overflown,
                    what: format!("the queue of the output {about} was full: {lost} lost"),
                    about,
                });
            }
        }
        troubles
    }
}

fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
