//! What a scenario is told: how long, how fast, how often, with which binary.

use std::path::PathBuf;
use std::time::Duration;

/// See the module. Each scenario says in its own file which of these it heeds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The agent's binary.
    pub lapwing: PathBuf,
    /// Where temporary folders are made; the system's place for them by default.
    pub folder: Option<PathBuf>,
    /// Decides everything that is random.
    pub seed: u64,
    /// Lines a second, over all writers.
    pub rate: u64,
    /// How long to go on, where nothing is counted.
    pub duration: Duration,
    /// Rotations.
    pub rotations: u32,
    /// SIGKILLs.
    pub kills: u32,
    /// Of the system calls at which to kill, each one of so many.
    pub step: u32,
    /// Files that nobody writes to.
    pub idle: u32,
    /// Files that are written to.
    pub busy: u32,
    /// How long a copytruncated file was idle before.
    pub rest: Duration,
    /// How long logrotate is held between the end of its copy and its cut.
    pub stall: Duration,
    /// Keep every line once more and compare with `backtest`, where a scenario can.
    pub backtest: bool,
    /// What syslog-ng's package was unpacked into.
    pub syslog_ng: Option<PathBuf>,
    /// Say on standard error how it goes.
    pub progress: bool,
}

impl Settings {
    /// The defaults of the command line, small enough for a first look.
    pub fn new(lapwing: PathBuf) -> Self {
        Self {
            lapwing,
            folder: None,
            seed: 20_261_121,
            rate: 20_000,
            duration: Duration::from_secs(20),
            rotations: 200,
            kills: 30,
            step: 1,
            idle: 10_000,
            busy: 100,
            rest: Duration::from_secs(1),
            stall: Duration::from_millis(20),
            backtest: false,
            syslog_ng: None,
            progress: false,
        }
    }
}
