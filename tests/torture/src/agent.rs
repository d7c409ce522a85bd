//! The agent under torture: the real binary as a child process, started, killed and stopped.
//!
//! What it writes on standard error goes to one file a start, in the rig's folder, and is read when all
//! is over (`own_log`).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::clock;
use crate::process::{self, Usage};

/// How long it may take to be ready, or to end. Machines that build and test are slow.
pub const SOON: Duration = Duration::from_mins(1);

/// A running `lapwing run`; killed when it is dropped.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    log: PathBuf,
}

impl Agent {
    /// Starts `command`, whose standard error goes to the file `log`.
    ///
    /// # Errors
    ///
    /// Those of starting it.
    pub fn start(command: &mut Command, log: PathBuf) -> anyhow::Result<Self> {
        let file = File::create(&log).with_context(|| format!("{}", log.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { child, log })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it said until now.
    pub fn said(&self) -> String {
        said(&self.log)
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    ///
    /// It ended, or took too long.
    pub fn wait_ready(&mut self) -> anyhow::Result<()> {
        let mut ended = None;
        let ready = clock::until(SOON, || {
            ended = self.child.try_wait().ok().flatten();
            ended.is_some() || self.said().contains("ready")
        });
        ensure!(
            ended.is_none(),
            "the agent ended: {ended:?}\n{}",
            self.said()
        );
        ensure!(
            ready,
            "the agent is not ready after {SOON:?}\n{}",
            self.said()
        );
        Ok(())
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// It is gone.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Its end, if it has ended.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// It had ended by itself.
    pub fn kill9(mut self) -> anyhow::Result<()> {
        if let Some(status) = self.ended()? {
            bail!("the agent ended by itself: {status}\n{}", self.said());
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and waits for exit code 0; how long it took.
    ///
    /// # Errors
    ///
    /// It ended before, otherwise, or not at all.
    pub fn stop(mut self) -> anyhow::Result<Duration> {
        let began = clock::monotonic();
        if let Some(status) = self.ended()? {
            bail!("the agent ended by itself: {status}\n{}", self.said());
        }
        self.signal(Signal::TERM)?;
        let mut status = None;
        clock::until(SOON, || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        });
        let status = status.with_context(|| format!("no end within {SOON:?}\n{}", self.said()))?;
        ensure!(status.success(), "{status}\n{}", self.said());
        Ok(began.elapsed())
    }

    /// What it uses now.
    pub fn usage(&self) -> Usage {
        process::usage(self.pid())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Most have ended by now.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn said(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
