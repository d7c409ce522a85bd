//! What `lapwing run` shows of itself at its control socket, over all its reloads.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lapwing_rules::language::rule::RuleSet;

use super::super::terminal::counted;
use crate::app::{App, Life};
use crate::clock;
use crate::config::{CONTROL, Config};
use crate::error::AgentError;
use crate::operate::LastReload;
use crate::operate::control::Control;
use crate::resident;

/// So long after it is ready, an agent has done all that belongs to its start.
const SETTLED: Duration = Duration::from_secs(2);

/// What the agent shows of itself at its control socket.
pub(super) struct Shown {
    life: Life,
    control: Option<Control>,
    /// Where it could not listen; said once.
    refused: Option<PathBuf>,
}

impl Shown {
    pub(super) fn new() -> Self {
        let life = Life {
            started_at: clock::monotonic(),
            ready: Arc::default(),
            last_reload: None,
        };
        Self {
            life,
            control: None,
            refused: None,
        }
    }

    /// Whoever asks waits for the next agent.
    pub(super) fn hide(&mut self) {
        self.life.ready.store(false, Ordering::Relaxed);
        if let Some(control) = &self.control {
            control.show(None);
        }
    }

    /// Whether the agent that runs now is.
    pub(super) fn is_ready(&self) -> bool {
        self.life.ready.load(Ordering::Relaxed)
    }

    /// What is watched, and what came of the last reload, for the service manager.
    pub(super) fn in_words(&self, config: &Config, rules: &RuleSet) -> String {
        let refused = self.life.last_reload.as_ref().filter(|reload| !reload.ok);
        let refused = refused.map_or_else(String::new, |reload| {
            format!(
                "; not reloaded at {}: {}",
                reload.at,
                reload.problems.join("; ")
            )
        });
        format!(
            "watching {} with {} for {}{refused}",
            counted(config.inputs.len() as u64, "input"),
            counted(rules.len() as u64, "rule"),
            counted(config.outputs.len() as u64, "output"),
        )
    }

    /// Must be called inside a tokio runtime.
    pub(super) fn ready(&mut self) {
        self.life.ready.store(true, Ordering::Relaxed);
        tokio::spawn(async {
            tokio::time::sleep(SETTLED).await;
            let bytes = resident::give_back();
            tracing::debug!(bytes, "what only the start needed is given back");
        });
    }

    /// Says what came of a SIGHUP, here and in the log.
    pub(super) fn reloaded(&mut self, outcome: &Result<(), AgentError>) {
        match outcome {
            Ok(()) => tracing::info!("reloaded"),
            Err(error) => tracing::error!(%error, "not reloaded: the old configuration stays"),
        }
        self.life.last_reload = Some(LastReload {
            at: clock::now(),
            ok: outcome.is_ok(),
            problems: outcome
                .as_ref()
                .err()
                .map(ToString::to_string)
                .into_iter()
                .collect(),
        });
    }

    /// Listens where `config` says, and answers from `app`. An agent that cannot listen watches all
    /// the same.
    pub(super) fn show(&mut self, app: &App, config: &Config, rules: &Arc<RuleSet>) {
        let path = config.control.as_deref().unwrap_or(Path::new(CONTROL));
        if self
            .control
            .as_ref()
            .is_some_and(|control| control.path() != path)
        {
            self.control = None;
        }
        if self.control.is_none() {
            match Control::listen(path) {
                Ok(control) => (self.control, self.refused) = (Some(control), None),
                Err(_) if self.refused.as_deref() == Some(path) => {}
                Err(error) => {
                    self.refused = Some(path.to_owned());
                    cannot_listen(config, path, &error);
                }
            }
        }
        if let Some(control) = &self.control {
            control.show(Some(Arc::new(app.sight(config, rules, &self.life))));
        }
    }
}

/// Somebody who asked for the socket must hear of it; one who runs an agent by hand, without the
/// right to the service's folder, did not.
fn cannot_listen(config: &Config, path: &Path, error: &std::io::Error) {
    let path = path.display();
    if config.control.is_some() {
        tracing::error!(%path, %error, "cannot listen for `lapwing status` and its like");
    } else {
        tracing::info!(%path, %error, "nobody can ask for this agent's status: `control` in the configuration can name another socket");
    }
}
