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
use crate::app::{self, App, Happening, Kept};
use crate::cli::Run;
use crate::config::{self, Config, InputKind};
use crate::error::AgentError;
use crate::operate::systemd;
use crate::telemetry::{self, Turn};
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
    user_1: Signal,
    user_2: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Stop,
    Reload,
    /// To log more, or less.
    Turn(Turn),
}

impl Signals {
    /// Must be called inside a tokio runtime.
    pub(super) fn new() -> Result<Self, AgentError> {
        let on = |kind| signal(kind).map_err(AgentError::io("cannot listen for signals"));
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hang_up: on(SignalKind::hangup())?,
            user_1: on(SignalKind::user_defined1())?,
            user_2: on(SignalKind::user_defined2())?,
        })
    }

    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.hang_up.recv() => Asked::Reload,
            _ = self.user_1.recv() => Asked::Turn(Turn::Up),
            _ = self.user_2.recv() => Asked::Turn(Turn::Down),
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
    config: Config,
    rules: Arc<RuleSet>,
) -> Result<ExitCode, AgentError> {
    let mut signals = Signals::new()?;
    let mut app = begin(&config, &rules, terminal, &mut Kept::default())?;
    let mut shown = Shown::new();
    shown.show(&app, &config, &rules);
    let mut service = Service {
        args,
        terminal,
        config,
        rules,
        shown,
    };
    loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Stop => {
                    systemd::stopping();
                    app.stop(GRACE).await;
                    tracing::info!("stopped");
                    return Ok(ExitCode::SUCCESS);
                }
                Asked::Turn(turn) => {
                    if let Some(level) = telemetry::turn(turn) {
                        tracing::error!(%level, "what is logged is changed by a signal; this is no error");
                    }
                }
                Asked::Reload => app = service.reload(app).await?,
            },
            happening = app.next() => match happening {
                Happening::Ready => service.ready(),
                Happening::AllEnded => {
                    systemd::stopping();
                    app.stop(GRACE_AT_END).await;
                    return Ok(ExitCode::SUCCESS);
                }
                Happening::StateDamaged => app = service.begin_again(app).await?,
                Happening::Died(what) => {
                    app.stop(GRACE).await;
                    return Err(AgentError::Dead(what));
                }
            },
        }
    }
}

/// What stays when one agent makes room for the next.
struct Service<'a> {
    args: &'a Run,
    terminal: Terminal,
    config: Config,
    rules: Arc<RuleSet>,
    shown: Shown,
}

impl Service<'_> {
    /// Every input is ready.
    fn ready(&mut self) {
        self.shown.ready();
        systemd::ready(&self.shown.in_words(&self.config, &self.rules));
        tracing::info!("ready");
    }

    /// The agent with the configuration as it is now, or the one that is running.
    async fn reload(&mut self, app: App) -> Result<App, AgentError> {
        systemd::reloading();
        let (app, outcome) = match reloaded(self.args, self.terminal, &self.config) {
            Ok((config, rules)) => self.exchange(app, config, rules).await?,
            Err(error) => (app, Err(error)),
        };
        self.shown.reloaded(&outcome);
        // One that is begun anew says so itself.
        if self.shown.is_ready() {
            systemd::ready(&self.shown.in_words(&self.config, &self.rules));
        }
        self.shown.show(&app, &self.config, &self.rules);
        Ok(app)
    }

    /// Everything is in the store, so a new agent goes on where the old one was. One that cannot be
    /// begun leaves the old configuration.
    async fn exchange(
        &mut self,
        app: App,
        config: Config,
        rules: Arc<RuleSet>,
    ) -> Result<(App, Result<(), AgentError>), AgentError> {
        self.shown.hide();
        let mut kept = app.make_room(GRACE).await;
        match begin(&config, &rules, self.terminal, &mut kept) {
            Ok(app) => {
                (self.config, self.rules) = (config, rules);
                Ok((app, Ok(())))
            }
            Err(error) => {
                let old = begin(&self.config, &self.rules, self.terminal, &mut kept)?;
                Ok((old, Err(error)))
            }
        }
    }

    /// After the state turned out to be damaged.
    async fn begin_again(&mut self, app: App) -> Result<App, AgentError> {
        self.shown.hide();
        let mut kept = app.make_room(GRACE).await;
        if !can_begin_again(&self.config) {
            return Err(AgentError::Dead("the state is damaged".to_owned()));
        }
        let app = begin(&self.config, &self.rules, self.terminal, &mut kept)?;
        self.shown.show(&app, &self.config, &self.rules);
        Ok(app)
    }
}

/// Standard input cannot be opened again.
fn can_begin_again(config: &Config) -> bool {
    let reads_stdin = |input: &config::Input| matches!(input.kind, InputKind::Stdin);
    !config.inputs.iter().any(reads_stdin)
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

fn begin(
    config: &Config,
    rules: &Arc<RuleSet>,
    terminal: Terminal,
    kept: &mut Kept,
) -> Result<App, AgentError> {
    tracing::info!(
        host = %config.host,
        rules = rules.len(),
        inputs = config.inputs.len(),
        outputs = config.outputs.len(),
        "starting"
    );
    app::start(config, rules, terminal.out, kept)
}
