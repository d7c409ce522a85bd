//! Others who follow files, in the same rig: how each is configured, started, ended, and what it has seen.
//!
//! Each gets the configuration that its documentation calls best for losing nothing; the files stand in
//! `tests/torture/peers`, with reasons. `contest` says what happens to them.

pub mod contest;
mod tally;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::agent::SOON;
use crate::book::Written;
use crate::clock;
use crate::process::{self, Usage};
use crate::rig::Rig;
use crate::settings::Settings;
use tally::{Scrape, Tally};

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// We.
    Lapwing,
    /// imfile → omfile.
    Rsyslog,
    /// `file()` → `file()`.
    SyslogNg,
    /// A counter for each block.
    Mtail,
    /// tail → file.
    FluentBit,
}

/// Everybody, in the order of the table.
pub const EVERYBODY: [Kind; 5] = [
    Kind::Lapwing,
    Kind::Rsyslog,
    Kind::SyslogNg,
    Kind::Mtail,
    Kind::FluentBit,
];

impl Kind {
    /// The one that the table calls so.
    pub fn named(name: &str) -> Option<Self> {
        EVERYBODY.into_iter().find(|kind| kind.name() == name)
    }

    /// As the table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lapwing => "lapwing",
            Self::Rsyslog => "rsyslog",
            Self::SyslogNg => "syslog-ng",
            Self::Mtail => "mtail",
            Self::FluentBit => "fluent-bit",
        }
    }
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// What `install-peers` unpacked syslog-ng into.
    pub syslog_ng: Option<PathBuf>,
    /// A binary.
    pub fluent_bit: Option<PathBuf>,
}

impl Programs {
    /// Why a peer cannot take part here; `None` when it can.
    pub fn lacks(&self, kind: Kind) -> Option<String> {
        let in_path = |name: &str| {
            let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
            path.split(':')
                .any(|folder| Path::new(folder).join(name).exists())
        };
        let installed = |name: &str| (!in_path(name)).then(|| format!("{name} is not installed"));
        match kind {
            Kind::Lapwing => None,
            Kind::Rsyslog => installed("rsyslogd"),
            Kind::Mtail => installed("mtail"),
            Kind::SyslogNg => match &self.syslog_ng {
                Some(folder) if folder.join("usr/sbin/syslog-ng").exists() => None,
                _ => Some("syslog-ng was not unpacked by install-peers".to_owned()),
            },
            Kind::FluentBit => match &self.fluent_bit {
                Some(binary) if binary.exists() => None,
                _ => Some("Debian has no Fluent Bit, and no --fluent-bit was given".to_owned()),
            },
        }
    }
}

/// One who follows `logs/app.log`.
#[derive(Debug)]
pub enum Subject {
    /// With its own rig.
    Lapwing(Box<Rig>),
    /// Anybody else.
    Peer(Box<Peer>),
}

/// See [`Subject`].
#[derive(Debug)]
pub struct Peer {
    kind: Kind,
    programs: Programs,
    folder: TempDir,
    port: u16,
    child: Option<Child>,
    tally: Tally,
    scrape: Scrape,
}

impl Subject {
    /// In a folder of its own.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn new(kind: Kind, programs: &Programs, settings: &Settings) -> anyhow::Result<Self> {
        if kind == Kind::Lapwing {
            let rig = Rig::new(settings, &["logs/app.log"])?;
            return Ok(Self::Lapwing(Box::new(rig)));
        }
        let folder = match &settings.folder {
            Some(folder) => TempDir::new_in(folder),
            None => TempDir::new(),
        }?;
        fs::create_dir(folder.path().join("logs"))?;
        fs::create_dir(folder.path().join("work"))?;
        let out = folder.path().join("out");
        let peer = Peer {
            kind,
            programs: programs.clone(),
            // Free a moment ago.
            port: TcpListener::bind("127.0.0.1:0")?.local_addr()?.port(),
            child: None,
            tally: Tally::new(out),
            scrape: Scrape::default(),
            folder,
        };
        peer.configure()?;
        Ok(Self::Peer(Box::new(peer)))
    }

    /// What it follows.
    pub fn log(&self) -> PathBuf {
        match self {
            Self::Lapwing(rig) => rig.path("logs/app.log"),
            Self::Peer(peer) => peer.path("logs/app.log"),
        }
    }

    /// Starts it and waits until it follows.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn start(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Lapwing(rig) => rig.start(),
            Self::Peer(peer) => peer.start(),
        }
    }

    /// SIGTERM, and waits.
    ///
    /// # Errors
    ///
    /// It does not end.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Lapwing(rig) => rig.stop(),
            Self::Peer(peer) => peer.end(Signal::TERM),
        }
    }

    /// SIGKILL.
    ///
    /// # Errors
    ///
    /// It had ended by itself.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Lapwing(rig) => rig.kill9(),
            Self::Peer(peer) => peer.end(Signal::KILL),
        }
    }

    /// Lines until now, repeated ones included.
    pub fn seen(&mut self) -> u64 {
        match self {
            Self::Lapwing(rig) => rig.book().seen(),
            Self::Peer(peer) => peer.seen(),
        }
    }

    /// Whether the line `n`, which is marked and the last, was seen; then all before it were looked at.
    pub fn has_come_to(&mut self, n: u64) -> bool {
        match self {
            Self::Lapwing(rig) => rig.book().has_mark(0, n),
            Self::Peer(peer) => peer.seen() > n,
        }
    }

    /// Lines lost, and lines too many.
    pub fn judge(&mut self, written: &Written) -> (u64, u64) {
        let lines = written.lines.values().sum();
        match self {
            Self::Lapwing(rig) => {
                let accounts = rig.book().judge(written);
                (accounts.lost, accounts.repeated + accounts.disagreeing)
            }
            Self::Peer(peer) if peer.kind == Kind::Mtail => peer.scrape.judge(written),
            Self::Peer(peer) => peer.tally.judge(lines),
        }
    }

    /// What it uses now.
    pub fn usage(&mut self) -> Usage {
        match self {
            Self::Lapwing(rig) => rig.agent().map_or(Usage::default(), |agent| agent.usage()),
            Self::Peer(peer) => {
                let id = peer.child.as_ref().map(Child::id);
                id.map(process::usage).unwrap_or_default()
            }
        }
    }
}

impl Peer {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self) -> anyhow::Result<()> {
        let text = match self.kind {
            Kind::Rsyslog => include_str!("../../peers/rsyslog.conf"),
            Kind::SyslogNg => include_str!("../../peers/syslog-ng.conf"),
            Kind::FluentBit => include_str!("../../peers/fluent-bit.conf"),
            Kind::Mtail => {
                fs::create_dir(self.path("progs"))?;
                let program = include_str!("../../peers/lines.mtail");
                return Ok(fs::write(self.path("progs/lines.mtail"), program)?);
            }
            Kind::Lapwing => bail!("its rig does that"),
        };
        let path = |name: &str| self.path(name).display().to_string();
        let text = text
            .lines()
            // Comments speak of the placeholders.
            .filter(|line| !line.starts_with('#'))
            .collect::<Vec<_>>()
            .join("\n")
            .replace("OUT_FOLDER", &path(""))
            .replace("OUT_NAME", "out")
            .replace("\"OUT\"", &format!("\"{}\"", path("out")))
            .replace("WORK", &path("work"))
            .replace("\"LOG\"", &format!("\"{}\"", path("logs/app.log")))
            .replace(" LOG\n", &format!(" {}\n", path("logs/app.log")));
        Ok(fs::write(self.path("peer.conf"), text + "\n")?)
    }

    fn command(&self) -> anyhow::Result<Command> {
        let path = |name: &str| self.path(name);
        let mut command = match self.kind {
            Kind::Rsyslog => {
                let mut command = Command::new("rsyslogd");
                command.arg("-n").arg("-f").arg(path("peer.conf"));
                command.arg("-i").arg(path("work/pid"));
                command
            }
            Kind::SyslogNg => self.syslog_ng()?,
            Kind::Mtail => {
                let mut command = Command::new("mtail");
                command.arg("--progs").arg(path("progs"));
                command.arg("--logs").arg(path("logs/app.log"));
                command.args(["--address", "127.0.0.1", "--logtostderr"]);
                command.args(["--port", &self.port.to_string()]);
                // Its default is 250 ms.
                command.args(["--poll_interval", "50ms"]);
                command
            }
            Kind::FluentBit => {
                let binary = self
                    .programs
                    .fluent_bit
                    .as_ref()
                    .context("where is fluent-bit")?;
                let mut command = Command::new(binary);
                command.arg("-c").arg(path("peer.conf"));
                command
            }
            Kind::Lapwing => bail!("its rig does that"),
        };
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
        command.current_dir(self.folder.path());
        Ok(command)
    }

    /// Out of the folder that its package was unpacked into.
    fn syslog_ng(&self) -> anyhow::Result<Command> {
        let path = |name: &str| self.path(name);
        let root = self
            .programs
            .syslog_ng
            .as_ref()
            .context("where is syslog-ng")?;
        let libraries = [
            "usr/lib/syslog-ng",
            "usr/lib/x86_64-linux-gnu",
            "lib/x86_64-linux-gnu",
        ];
        let libraries = libraries.map(|name| root.join(name).display().to_string());
        let mut command = Command::new(root.join("usr/sbin/syslog-ng"));
        command.env("LD_LIBRARY_PATH", libraries.join(":"));
        command
            .args(["-F", "--no-caps"])
            .arg("-f")
            .arg(path("peer.conf"));
        command.arg("-R").arg(path("work/persist"));
        command
            .arg("-c")
            .arg(path("work/control"))
            .arg("-p")
            .arg(path("work/pid"));
        command
            .arg("--module-path")
            .arg(root.join("usr/lib/syslog-ng/3.38"));
        Ok(command)
    }

    fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "one at a time");
        let said = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.path("said"))?;
        let mut command = self.command()?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said);
        let child = command.spawn().with_context(|| self.kind.name())?;
        let id = child.id();
        self.child = Some(child);
        let log = self.path("logs/app.log");
        let follows = || {
            let files = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten();
            let mut targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
            targets.any(|target| target == log)
        };
        // Not every one keeps it open all the time.
        clock::until(Duration::from_secs(10), follows);
        if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok()?) {
            bail!("{} ended: {status}\n{}", self.kind.name(), self.said());
        }
        Ok(())
    }

    fn said(&self) -> String {
        let bytes = fs::read(self.path("said")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn seen(&mut self) -> u64 {
        if self.kind == Kind::Mtail {
            if self.child.is_some() {
                self.scrape.ask(self.port);
            }
            self.scrape.seen()
        } else {
            self.tally.seen()
        }
    }

    fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        // Its counters end with it: this is the last moment.
        self.seen();
        let mut child = self.child.take().context("it does not run")?;
        kill_process(Pid::from_child(&child), signal)?;
        let ended = clock::until(SOON, || {
            child.try_wait().is_ok_and(|status| status.is_some())
        });
        if !ended {
            child.kill()?;
            child.wait()?;
            bail!("{} does not end", self.kind.name());
        }
        self.scrape.ended();
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
