//! What `lapwing run` shows of itself at its control socket, over all its reloads.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lapwing_rules::language::rule::RuleSet;
use tokio::task::JoinHandle;

use super::super::terminal::counted;
use crate::app::{App, Life};
use crate::clock;
use crate::config::{CONTROL, Config};
use crate::error::AgentError;
use crate::operate::LastReload;
use crate::operate::control::Control;
use crate::operate::http::Http;
use crate::operate::status::Reloads;
use crate::resident;

/// So long after it is ready, an agent has done all that belongs to its start.
const SETTLED: Duration = Duration::from_secs(2);

/// So often it is looked whether there is something to give back that only the last alert, commit or
/// answer needed.
const TIDIED_EVERY: Duration = Duration::from_secs(10);
/// So long afterwards, what is in use has come back from the page cache.
const IN_USE_AGAIN: Duration = Duration::from_secs(1);

/// What the agent shows of itself at its control socket.
pub(super) struct Shown {
    life: Life,
    control: Option<Control>,
    http: Option<Http>,
    /// Where it could not listen; said once.
    refused: Option<PathBuf>,
    /// Keeps the agent small, from when it is ready.
    tidying: Option<JoinHandle<()>>,
}

impl Shown {
    pub(super) fn new() -> Self {
        let life = Life {
            started_at: clock::monotonic(),
            ready: Arc::default(),
            last_reload: None,
            reloads: Reloads::default(),
        };
        Self {
            life,
            control: None,
            http: None,
            refused: None,
            tidying: None,
        }
    }

    /// Whoever asks waits for the next agent.
    pub(super) fn hide(&mut self) {
        self.life.ready.store(false, Ordering::Relaxed);
        if let Some(control) = &self.control {
            control.show(None);
        }
        if let Some(http) = &self.http {
            http.show(None);
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
        if let Some(tidying) = self.tidying.take() {
            tidying.abort();
        }
        self.tidying = Some(tokio::spawn(keep_small()));
    }

    /// Says what came of a SIGHUP, here and in the log.
    pub(super) fn reloaded(&mut self, outcome: &Result<(), AgentError>) {
        match outcome {
            Ok(()) => tracing::info!("reloaded"),
            Err(error) => tracing::error!(%error, "not reloaded: the old configuration stays"),
        }
        match outcome {
            Ok(()) => self.life.reloads.ok += 1,
            Err(_) => self.life.reloads.refused += 1,
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
        self.listen_for_browsers(config);
        let sight = Arc::new(app.sight(config, rules, &self.life));
        if let Some(http) = &self.http {
            http.show(Some(Arc::clone(&sight)));
        }
        if let Some(control) = &self.control {
            control.show(Some(sight));
        }
    }

    /// One that listens where `config` says goes on; another one makes room first.
    fn listen_for_browsers(&mut self, config: &Config) {
        if self.http.as_ref().map(Http::spec) == config.http.as_ref() {
            return;
        }
        self.http = None;
        let Some(spec) = &config.http else { return };
        match Http::listen(spec) {
            Ok(http) => {
                let address = http.address();
                tracing::info!("the status page is at http://{address}/");
                if !address.ip().is_loopback() {
                    tracing::warn!(%address, "whoever can reach this address can read the status page and the log lines on it");
                }
                self.http = Some(http);
            }
            Err(error) => {
                let address = spec.listen;
                tracing::error!(%address, %error, "cannot listen for the status page and for metrics");
            }
        }
    }
}

/// Gives back what is not in use any more, for ever.
async fn keep_small() {
    let mut upkeep = resident::Upkeep::default();
    tokio::time::sleep(SETTLED).await;
    loop {
        if upkeep.is_worth(resident::resident()) {
            let bytes = resident::give_back();
            tracing::trace!(bytes, "what is not in use is given back");
            tokio::time::sleep(IN_USE_AGAIN).await;
            upkeep.was_done(resident::resident());
        }
        tokio::time::sleep(TIDIED_EVERY).await;
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
