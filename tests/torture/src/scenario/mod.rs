//! What can happen to an agent, by name. Each scenario sets up a [`Rig`](crate::rig::Rig), does what its
//! name says, waits until nothing comes any more, and lets the oracles judge.

mod crowding;
mod filling;
mod forwarding;
mod killing;
mod pausing;
mod reloading;
mod renaming;
mod truncating;

use std::time::Instant;

use serde_json::json;

use crate::book::Written;
use crate::clock;
use crate::rig::Rig;
use crate::settings::Settings;
use crate::verdict::{Expected, Marks, Verdict};
use crate::writer::Writer;

/// A scenario.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What happens, in a few words.
    pub what: &'static str,
    run: fn(&Settings) -> anyhow::Result<Verdict>,
}

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "rename",
        what: "rename + create, quickly, the glob names the log alone",
        run: renaming::quickly,
    },
    Scenario {
        name: "rename-logrotate",
        what: "the same by the real logrotate, rotated ones inside the glob",
        run: renaming::by_logrotate,
    },
    Scenario {
        name: "rename-gz",
        what: "rename + create, compressed at once, inside the glob",
        run: renaming::packed_at_once,
    },
    Scenario {
        name: "copytruncate-idle",
        what: "files copied and truncated when nobody has written for --rest",
        run: truncating::idle,
    },
    Scenario {
        name: "copytruncate-load",
        what: "the real logrotate copytruncates under the writer, the copy inside the glob",
        run: truncating::under_load_inside,
    },
    Scenario {
        name: "copytruncate-load-outside",
        what: "the same, the copy outside the glob",
        run: truncating::under_load_outside,
    },
    Scenario {
        name: "kill",
        what: "SIGKILL at random moments while the log rotates",
        run: killing::at_random,
    },
    Scenario {
        name: "kill-commit",
        what: "SIGKILL at every system call of a commit and of a start",
        run: killing::at_each_call,
    },
    Scenario {
        name: "full-state",
        what: "the disk of the state is full and free again",
        run: filling::state,
    },
    Scenario {
        name: "full-state-kill",
        what: "the same, and SIGKILL while it is full",
        run: filling::state_and_kill,
    },
    Scenario {
        name: "full-log",
        what: "the disk of the log is full in the middle of lines",
        run: filling::log,
    },
    Scenario {
        name: "clock",
        what: "the wall clock jumps by hours and years",
        run: pausing::clock_jumps,
    },
    Scenario {
        name: "sigstop",
        what: "SIGSTOP for --duration while the log rotates",
        run: pausing::frozen,
    },
    Scenario {
        name: "reload",
        what: "SIGHUP after SIGHUP under the writer",
        run: reloading::reloads,
    },
    Scenario {
        name: "term",
        what: "SIGTERM and a start, again and again, under the writer",
        run: reloading::stops,
    },
    Scenario {
        name: "stopped",
        what: "rotated one to six times while stopped",
        run: pausing::stopped,
    },
    Scenario {
        name: "stopped-gz",
        what: "the same with compress and delaycompress",
        run: pausing::packed_while_stopped,
    },
    Scenario {
        name: "stopped-gz-inside",
        what: "the same with compress, inside the glob",
        run: pausing::packed_inside_while_stopped,
    },
    Scenario {
        name: "forward",
        what: "rsyslog and syslog-ng forward 100,000 lines over each transport, in order",
        run: forwarding::all,
    },
    Scenario {
        name: "relp-kill",
        what: "SIGKILL at random moments while rsyslog forwards over RELP",
        run: forwarding::killed,
    },
    Scenario {
        name: "many",
        what: "--idle files that rest and --busy ones",
        run: crowding::many,
    },
    Scenario {
        name: "idle",
        what: "ten idle files",
        run: crowding::idle,
    },
];

impl Scenario {
    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().copied().find(|scenario| scenario.name == name)
    }

    /// Runs it.
    ///
    /// # Errors
    ///
    /// What kept it from being run to its end; what the agent did wrong stands in the verdict.
    pub fn run(self, settings: &Settings) -> anyhow::Result<Verdict> {
        let began = clock::monotonic();
        let mut verdict = (self.run)(settings)?;
        verdict.took = began.elapsed();
        self.name.clone_into(&mut verdict.scenario);
        Ok(verdict)
    }
}

/// Waits, asks for a fresh line, stops the agent, judges.
fn conclude(
    mut rig: Rig,
    settings: &Settings,
    written: &Written,
    log: &std::path::Path,
    expected: Expected,
) -> anyhow::Result<Verdict> {
    rig.drain(written.readable())?;
    let fresh = rig.fresh(log)?;
    rig.stop()?;
    let mut verdict = Verdict::new("", settings, std::time::Duration::ZERO);
    let outcome = rig.outcome(written);
    verdict.judge(&outcome, expected);
    if rig.ledger().exists() && expected.marks == Marks::Counted && written.destroyed.is_empty() {
        let differing = rig.backtest()?;
        let count = u64::try_from(differing.len())?;
        verdict.none('E', "alerts other than in backtest", count);
        if count > 0 {
            let some: Vec<_> = differing.iter().take(6).collect();
            verdict.fact("alert_in_backtest_and_told", json!(some));
        }
    }
    verdict.judge_fresh(fresh);
    if !verdict.holds() && settings.progress {
        verdict.fact("kept", rig.keep().display().to_string());
    }
    Ok(verdict)
}

/// The writer of the only log; it keeps a ledger where that is wanted.
fn only_writer(rig: &Rig, settings: &Settings, log: &std::path::Path) -> anyhow::Result<Writer> {
    let ledger = settings.backtest.then(|| rig.ledger());
    Ok(Writer::open(0, log, ledger.as_deref())?)
}

/// What writers wrote.
fn written_by<'w>(writers: impl IntoIterator<Item = &'w Writer>) -> Written {
    let lines = (0..)
        .zip(writers)
        .map(|(number, writer)| (number, writer.written()));
    Written {
        lines: lines.collect(),
        ..Written::default()
    }
}

/// Says how it goes, once in ten seconds.
#[derive(Debug)]
struct Progress {
    last: Instant,
    wanted: bool,
}

impl Progress {
    fn new(settings: &Settings) -> Self {
        Self {
            last: clock::monotonic(),
            wanted: settings.progress,
        }
    }

    /// `rig`: looked at as often.
    fn say(&mut self, rig: &mut Rig, text: impl FnOnce() -> String) {
        use std::io::Write as _;
        if self.last.elapsed().as_secs() < 10 {
            return;
        }
        self.last = clock::monotonic();
        rig.look();
        if self.wanted {
            // Nobody depends on it.
            drop(writeln!(std::io::stderr(), "  {}", text()));
        }
    }
}
