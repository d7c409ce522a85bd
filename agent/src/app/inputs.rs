//! What each input is given of the configuration and of the saved state, and how those are started that
//! are no files.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use lapwing_rules::model::InputId;

use super::{Kept, LastWord, Threads};
use crate::canary::Canary;
use crate::config::{Config, Input, InputKind};
use crate::error::AgentError;
use crate::inputs::syslog::{self, Network};
use crate::inputs::{PositionKey, journal, stdin, tail};
use crate::outputs;
use crate::pump;
use crate::store::{Saved, Start};
use crate::threads::{self, JoinHandle};

/// A reader of the journal, and how it is ended.
pub(super) type JournalThread = (journal::Handle, JoinHandle<()>);

/// Starts the inputs that are no files.
pub(super) fn start_others(
    config: &Config,
    journals: Vec<journal::Config>,
    kept: &mut Kept,
    threads: &Threads,
    inbox: &SyncSender<pump::Input>,
) -> Result<(Option<Arc<Network>>, Vec<JournalThread>), AgentError> {
    let network = kept.network(config.inputs.iter().any(is_received))?;
    if let Some(network) = &network {
        network.adopt(network_setup(
            config,
            inbox.clone(),
            threads.last_word("network"),
        ));
    }
    for (id, input) in (0u32..).map(InputId).zip(&config.inputs) {
        if matches!(input.kind, InputKind::Stdin) {
            start_stdin(id, input, inbox.clone())?;
        }
    }
    let mut journal_threads = Vec::new();
    for journal in journals {
        let (handle, to_engine) = (journal::Handle::default(), inbox.clone());
        let theirs = handle.clone();
        let body = move || journal::run(journal, &theirs, &to_engine);
        journal_threads.push((handle, threads.start("journal", body)?));
    }
    Ok((network, journal_threads))
}

pub(super) fn tail_setup(
    config: &Config,
    saved: Saved,
    counters: Arc<tail::Counters>,
    kept: Vec<tail::Kept>,
    canary: &Canary,
) -> tail::Setup {
    let configs = (0u32..)
        .map(InputId)
        .zip(&config.inputs)
        .filter_map(|(id, input)| match &input.kind {
            InputKind::File {
                paths,
                exclude,
                start_at,
            } => Some(tail::Config {
                input: input.name.to_string(),
                id,
                paths: paths.clone(),
                exclude: exclude.clone(),
                start_at: *start_at,
                framing: input.framing.clone(),
            }),
            InputKind::Syslog(_) | InputKind::Journal(_) | InputKind::Stdin => None,
        });
    tail::Setup {
        configs: configs
            .chain([canary.tail_config(canary_id(config))])
            .collect(),
        saved: saved.positions,
        first_start: match saved.start {
            Start::Fresh => tail::FirstStart::Yes,
            Start::Resumed | Start::Recovered { .. } => tail::FirstStart::No,
            Start::Lost { .. } => tail::FirstStart::Lost,
        },
        kept,
        own: own_files(config),
        notices: tail::Notices::System,
        counters,
    }
}

/// Behind the configured inputs, whose figures and readiness it has no part in.
pub(super) fn canary_id(config: &Config) -> InputId {
    InputId(u32::try_from(config.inputs.len()).unwrap_or(u32::MAX))
}

/// What the agent writes where an input may find it.
fn own_files(config: &Config) -> Vec<tail::Own> {
    let alerts = |spec: &outputs::Spec| {
        let at = match &spec.kind {
            outputs::Kind::Console => tail::OwnAt::Stdout,
            outputs::Kind::File { path } => tail::OwnAt::Path(path.clone()),
            _ => return None,
        };
        let what = format!("the alerts of output `{}`", spec.name);
        Some(tail::Own { what, at })
    };
    let log = tail::Own {
        what: "the agent's own log".to_owned(),
        at: tail::OwnAt::Stderr,
    };
    let alerts = config.outputs.iter().filter_map(alerts);
    alerts.chain([log]).collect()
}

pub(super) fn journals(
    config: &Config,
    saved: &Saved,
    counters: &Arc<tail::Counters>,
) -> Vec<journal::Config> {
    let inputs = (0u32..).map(InputId).zip(&config.inputs);
    let journals = inputs.filter_map(|(id, input)| match &input.kind {
        InputKind::Journal(spec) => {
            let key = PositionKey::of_input(&input.name);
            let mut positions = saved.positions.iter();
            Some(journal::Config {
                input: Arc::clone(&input.name),
                id,
                spec: spec.clone(),
                max_line_bytes: input.framing.max_line_bytes,
                saved: positions.find(|position| position.key == key).cloned(),
                counters: Arc::clone(counters),
            })
        }
        InputKind::File { .. } | InputKind::Syslog(_) | InputKind::Stdin => None,
    });
    journals.collect()
}

fn is_received(input: &Input) -> bool {
    matches!(input.kind, InputKind::Syslog(_))
}

fn network_setup(
    config: &Config,
    inbox: SyncSender<pump::Input>,
    guard: LastWord,
) -> syslog::Setup {
    let inputs = (0u32..).map(InputId).zip(&config.inputs);
    let configs = inputs.filter_map(|(id, input)| match &input.kind {
        InputKind::Syslog(spec) => Some(syslog::Config {
            input: Arc::clone(&input.name),
            id,
            spec: spec.clone(),
            max_line_bytes: input.framing.max_line_bytes,
            host: Arc::clone(&config.host),
        }),
        InputKind::File { .. } | InputKind::Journal(_) | InputKind::Stdin => None,
    });
    syslog::Setup {
        configs: configs.collect(),
        hand: Box::new(move |event| inbox.send(event.into()).map_err(|_| syslog::Closed)),
        guard: Box::new(guard),
    }
}

fn start_stdin(
    id: InputId,
    input: &Input,
    inbox: SyncSender<pump::Input>,
) -> Result<(), AgentError> {
    let framing = input.framing.clone();
    let body = move || {
        let stdin = std::io::stdin();
        let waits = |span| stdin::has_more(&stdin, span);
        if let Err(error) = stdin::run(id, &framing, stdin.lock(), waits, &inbox) {
            tracing::error!(%error, "standard input cannot be read any further");
        }
    };
    threads::start("stdin", body)
        .map(drop)
        .map_err(AgentError::io("cannot start the thread `stdin`"))
}
