//! `lapwing run`: the agent, until SIGTERM.

mod shown;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use lapwing_rules::language::rule::RuleSet;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::level_filters::LevelFilter;

use super::problems;
use super::terminal::Terminal;
use crate::app::{self, App, Happening};
use crate::cli::Run;
use crate::config::{self, Config, InputKind};
use crate::error::AgentError;
use crate::telemetry;
use shown::Shown;

/// What outputs get to deliver after SIGTERM: the whole end must fit into 5 s.
const GRACE: Duration = Duration::from_secs(2);
/// The same when the input has ended by itself and nobody waits.
const GRACE_AT_END: Duration = Duration::from_secs(15);

/// Exit code 0 after SIGTERM or SIGINT, or when standard input was the only input and has ended.
pub(super) fn run(args: &Run, terminal: Terminal) -> Result<ExitCode, AgentError> {
    telemetry::start(LevelFilter::INFO);
    let (config, rules) = load(args, terminal)?;
    block_on(serve(args, terminal, config, rules))
}

/// Runs `work` on this thread, with everything that waits on the network. What still blocks at its
/// end (a terminal that takes nothing) is left behind: it must not keep the process from ending.
pub(super) fn block_on<T>(
    work: impl Future<Output = Result<T, AgentError>>,
) -> Result<T, AgentError> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(AgentError::io("cannot start the runtime"))?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}

/// Ctrl-C and the service manager's way of asking a program to end.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Stop,
    Reload,
}

impl Signals {
    /// Must be called inside a tokio runtime.
    pub(super) fn new() -> Result<Self, AgentError> {
        let on = |kind| signal(kind).map_err(AgentError::io("cannot listen for signals"));
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hang_up: on(SignalKind::hangup())?,
        })
    }

    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }
}

fn load(args: &Run, terminal: Terminal) -> Result<(Config, Arc<RuleSet>), AgentError> {
    let (config, findings) = config::load(&args.config, &|name| std::env::var(name).ok())?;
    problems::print(&findings, terminal);
    match config {
        Some(config) if !findings.has_errors() => Ok((config, findings.into_rule_set())),
        _ => Err(AgentError::Configuration(format!(
            "{} cannot be used",
            args.config.display()
        ))),
    }
}

async fn serve(
    args: &Run,
    terminal: Terminal,
    mut config: Config,
    mut rules: Arc<RuleSet>,
) -> Result<ExitCode, AgentError> {
    let mut signals = Signals::new()?;
    let mut app = begin(&config, &rules, terminal)?;
    let mut shown = Shown::new();
    shown.show(&app, &config, &rules);
    loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Stop => {
                    app.stop(GRACE).await;
                    tracing::info!("stopped");
                    return Ok(ExitCode::SUCCESS);
                }
                Asked::Reload => {
                    let outcome = match reloaded(args, terminal, &config) {
                        // Everything is in the store, so a new agent goes on where the old one was.
                        Ok((new_config, new_rules)) => {
                            shown.hide();
                            app.stop(GRACE).await;
                            let begun = begin(&new_config, &new_rules, terminal);
                            if begun.is_ok() {
                                (config, rules) = (new_config, new_rules);
                            }
                            let (new_app, outcome) = or_begin_again(begun, || begin(&config, &rules, terminal))?;
                            app = new_app;
                            outcome
                        }
                        Err(error) => Err(error),
                    };
                    shown.reloaded(&outcome);
                    shown.show(&app, &config, &rules);
                },
            },
            happening = app.next() => match happening {
                Happening::Ready => {
                    shown.ready();
                    tracing::info!("ready");
                }
                Happening::AllEnded => {
                    app.stop(GRACE_AT_END).await;
                    return Ok(ExitCode::SUCCESS);
                }
                Happening::StateDamaged => {
                    shown.hide();
                    app.stop(GRACE).await;
                    if !can_begin_again(&config) {
                        return Err(AgentError::Dead("the state is damaged".to_owned()));
                    }
                    app = begin(&config, &rules, terminal)?;
                    shown.show(&app, &config, &rules);
                }
                Happening::Died(what) => {
                    app.stop(GRACE).await;
                    return Err(AgentError::Dead(what));
                }
            },
        }
    }
}

/// Standard input cannot be opened again.
fn can_begin_again(config: &Config) -> bool {
    let reads_stdin = |input: &config::Input| matches!(input.kind, InputKind::Stdin);
    !config.inputs.iter().any(reads_stdin)
}

/// The agent that could be begun, or another one after what `again` begins; and whether it was the first.
fn or_begin_again(
    begun: Result<App, AgentError>,
    again: impl FnOnce() -> Result<App, AgentError>,
) -> Result<(App, Result<(), AgentError>), AgentError> {
    match begun {
        Ok(app) => Ok((app, Ok(()))),
        Err(error) => Ok((again()?, Err(error))),
    }
}

/// The configuration read again. Standard input cannot be opened again: an agent that reads it
/// keeps what it has.
fn reloaded(
    args: &Run,
    terminal: Terminal,
    old: &Config,
) -> Result<(Config, Arc<RuleSet>), AgentError> {
    let (config, rules) = load(args, terminal)?;
    if !can_begin_again(old) || !can_begin_again(&config) {
        let why = "an agent that reads standard input must be started anew";
        return Err(AgentError::Configuration(why.to_owned()));
    }
    Ok((config, rules))
}

fn begin(config: &Config, rules: &Arc<RuleSet>, terminal: Terminal) -> Result<App, AgentError> {
    tracing::info!(
        host = %config.host,
        rules = rules.len(),
        inputs = config.inputs.len(),
        outputs = config.outputs.len(),
        "starting"
    );
    app::start(config, rules, terminal.out)
}
