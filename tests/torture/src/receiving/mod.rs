//! Who receives syslog how fast: lapwing, rsyslog and syslog-ng with the same 50 patterns, on the same
//! messages, each on two cores that it shares with the sender.
//!
//! A run lasts from the first byte sent until a message sent last of all has been found by a rule, so
//! nothing that waits in a queue counts as done. What a run found is counted in what each has written:
//! one message of a thousand is what a rule looks for. `send` is the sender, `contest` the table.

pub mod contest;
pub mod send;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::agent::SOON;
use crate::clock;
use crate::peers::Kind;
use crate::process;
use crate::settings::Settings;

/// The patterns, in what POSIX, PCRE and Rust have in common.
const PATTERNS: &str = include_str!("patterns.txt");
/// A message that ends a run.
const END: &str = "torture ends";

/// One who receives.
#[derive(Debug)]
pub struct Receiver {
    kind: Kind,
    folder: TempDir,
    lapwing: PathBuf,
    child: Child,
    /// It listens there, by TCP and UDP.
    pub port: u16,
}

impl Receiver {
    /// Configures and starts it, and waits until it listens.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn start(kind: Kind, settings: &Settings) -> anyhow::Result<Self> {
        let lapwing = &settings.lapwing;
        let syslog_ng = settings.syslog_ng.as_deref();
        let folder = TempDir::new()?;
        // Free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        configure(kind, folder.path(), port)?;
        let mut command = match kind {
            Kind::Lapwing => {
                let mut command = Command::new(lapwing);
                command.args(["run", "-c", "lapwing.yaml"]);
                command
            }
            Kind::SyslogNg => unpacked_syslog_ng(syslog_ng.context("where is syslog-ng")?),
            _ => {
                let mut command = Command::new("/usr/sbin/rsyslogd");
                command.args(["-n", "-f", "peer.conf", "-i", "pid"]);
                command
            }
        };
        let said = fs::File::create(folder.path().join("said"))?;
        command.current_dir(folder.path()).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(said);
        let child = command.spawn().with_context(|| kind.name())?;
        let receiver = Self {
            kind,
            folder,
            lapwing: lapwing.clone(),
            child,
            port,
        };
        let table = || fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        let mark = format!("0100007F:{port:04X} 00000000:0000 0A");
        let listens = clock::until(SOON, || table().contains(&mark));
        ensure!(
            listens,
            "{} does not listen\n{}",
            kind.name(),
            receiver.said()
        );
        Ok(receiver)
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("said")).unwrap_or_default()
    }

    fn out(&self) -> String {
        let name = if self.kind == Kind::Lapwing {
            "alerts.jsonl"
        } else {
            "out"
        };
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Whether the last message has been found.
    pub fn has_ended(&self) -> bool {
        self.out().contains(END)
    }

    /// Messages in which a rule found something, the last one not counted.
    ///
    /// # Errors
    ///
    /// lapwing does not answer.
    pub fn found(&self) -> anyhow::Result<u64> {
        if self.kind != Kind::Lapwing {
            let out = self.out();
            let is_hit = |line: &&str| !line.contains(END);
            return Ok(out.lines().filter(is_hit).count() as u64);
        }
        let status = self.status()?;
        let rules = status["rules"].as_object().context("a status has rules")?;
        let others = rules.iter().filter(|(name, _)| *name != "end");
        Ok(others.filter_map(|(_, rule)| rule["hits"].as_u64()).sum())
    }

    /// What lapwing says of itself.
    fn status(&self) -> anyhow::Result<Value> {
        let mut command = Command::new(&self.lapwing);
        command.args(["status", "--json", "-c", "lapwing.yaml"]);
        let done = command.current_dir(self.folder.path()).output()?;
        Ok(serde_json::from_slice(&done.stdout)?)
    }

    /// Datagrams that the kernel dropped, as lapwing counts them; `None` for the others.
    pub fn own_drops(&self) -> Option<u64> {
        if self.kind != Kind::Lapwing {
            return None;
        }
        let status = self.status().ok()?;
        status["inputs"]["net"]["received"]["datagrams_dropped"].as_u64()
    }

    /// Datagrams that the kernel dropped, as it says itself.
    pub fn drops(&self) -> u64 {
        let table = fs::read_to_string("/proc/net/udp").unwrap_or_default();
        let mark = format!("0100007F:{:04X}", self.port);
        let ours = table.lines().filter(|line| line.contains(&mark));
        let dropped = |line: &str| line.split_ascii_whitespace().last()?.parse::<u64>().ok();
        ours.filter_map(dropped).sum()
    }

    /// Time on a processor so far.
    pub fn cpu(&self) -> Duration {
        process::usage(self.child.id()).cpu
    }

    /// The most that was resident, KiB.
    pub fn peak_kib(&self) -> u64 {
        process::usage(self.child.id()).peak_kib
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap_or_default();
        let ended = clock::until(Duration::from_secs(10), || {
            self.child.try_wait().is_ok_and(|status| status.is_some())
        });
        if !ended {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

fn configure(kind: Kind, folder: &Path, port: u16) -> anyhow::Result<()> {
    let patterns = || PATTERNS.lines().chain([END]);
    if kind == Kind::Lapwing {
        let one = |(number, pattern): (usize, &str)| {
            let pattern = pattern.replace('\'', "''");
            format!(
                "  - {{name: r{number}, match: {{regex: ['{pattern}']}}, type: frequency, num_events: 100000, timeframe: 1h}}\n"
            )
        };
        let all: String = PATTERNS.lines().enumerate().map(one).collect();
        let end = format!("  - {{name: end, match: {{contains: ['{END}']}}, type: any}}\n");
        let rules = format!("version: 1\nrules:\n{all}{end}");
        fs::write(folder.join("rules.yaml"), rules)?;
        let config = format!(
            "state_dir: state\ncontrol: control.sock\nrules: [rules.yaml]\n\
             inputs:\n  net: {{type: syslog, listen: ['tcp://127.0.0.1:{port}', 'udp://127.0.0.1:{port}']}}\n\
             outputs:\n  file: {{type: file, path: alerts.jsonl}}\n"
        );
        return Ok(fs::write(folder.join("lapwing.yaml"), config)?);
    }
    let out = folder.join("out").display().to_string();
    let (text, rules) = if kind == Kind::SyslogNg {
        let one =
            |pattern: &str| format!("match('{}' value(\"MESSAGE\"))", pattern.replace('\'', "."));
        let all: Vec<String> = patterns().map(one).collect();
        let text = include_str!("../../peers/receive-syslog-ng.conf");
        (text, all.join("\n or ") + ";")
    } else {
        let one = |pattern: &str| {
            let pattern = pattern.replace('\'', ".").replace('"', "\\\"");
            format!(
                "if re_match($msg, \"{pattern}\") then {{ action(type=\"omfile\" file=\"{out}\" template=\"raw\") stop }}\n"
            )
        };
        let text = include_str!("../../peers/receive-rsyslog.conf");
        (text, patterns().map(one).collect())
    };
    let comments = |line: &&str| !line.starts_with('#');
    let text: Vec<&str> = text.lines().filter(comments).collect();
    let text = (text.join("\n") + "\n")
        .replace("WORK", &folder.display().to_string())
        .replace("PORT", &port.to_string())
        .replace("\"OUT\"", &format!("\"{out}\""))
        .replace("RULES", &rules);
    Ok(fs::write(folder.join("peer.conf"), text)?)
}

/// syslog-ng out of the folder that its package was unpacked into.
pub fn unpacked_syslog_ng(root: &Path) -> Command {
    let libraries = [
        "usr/lib/syslog-ng",
        "usr/lib/x86_64-linux-gnu",
        "lib/x86_64-linux-gnu",
    ];
    let libraries = libraries.map(|name| root.join(name).display().to_string());
    let mut command = Command::new(root.join("usr/sbin/syslog-ng"));
    command.env("LD_LIBRARY_PATH", libraries.join(":"));
    command.args([
        "-F",
        "--no-caps",
        "-f",
        "peer.conf",
        "-R",
        "persist",
        "-c",
        "control",
        "-p",
        "pid",
    ]);
    command
        .arg("--module-path")
        .arg(root.join("usr/lib/syslog-ng/3.38"));
    command
}
