//! The real rsyslog and syslog-ng forward to the agent what a writer appends to a log.
//!
//! `forward`: 100,000 lines over each transport, all of them, in order. `relp-kill`: over RELP, while the
//! agent is killed. What was taken and could not be acknowledged any more is sent again, under new numbers:
//! those lines are counted twice and never told under a second id, for an alert's id is made of the times
//! that its lines bear. Heeds `rate`, `kills`, `seed`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use tempfile::TempDir;

use super::{Progress, conclude, only_writer, written_by};
use crate::agent::{Agent, SOON};
use crate::clock;
use crate::random::Random;
use crate::receiving::unpacked_syslog_ng;
use crate::rig::Rig;
use crate::settings::Settings;
use crate::verdict::{Expected, Marks, Verdict};
use crate::writer::{Pace, Writer};

/// Lines over each transport.
const LINES: u64 = 100_000;
/// Lines a second: an output that shows every line drops some of many more.
const MOST_RATE: u64 = 5_000;
/// The longest life of an agent.
const LIFE: Duration = Duration::from_millis(2_500);
/// Lines that may be on their way unacknowledged: as many as librelp sends ahead.
const WINDOW: u64 = 128;

pub(super) fn killed(settings: &Settings) -> anyhow::Result<Verdict> {
    let mut rig = Rig::new(settings, &[])?;
    let port = free_port()?;
    rig.receive(&format!("relp://127.0.0.1:{port}"))?;
    let mut random = Random::new(settings.seed);
    let log = rig.path("logs/app.log");
    let mut writer = only_writer(&rig, settings, &log)?;
    rig.start()?;
    let _daemon = Daemon::rsyslog(settings, &rig.path("."), "relp", port)?;
    let mut progress = Progress::new(settings);
    let mut pace = Pace::new(settings.rate);
    let mut kills = 0;
    let mut started = clock::monotonic();
    let mut life = random.span_below(LIFE);
    while kills < settings.kills {
        writer.write(pace.due())?;
        clock::pass(Duration::from_millis(5));
        if started.elapsed() >= life {
            rig.kill9()?;
            kills += 1;
            rig.start_unready()?;
            started = clock::monotonic();
            life = random.span_below(LIFE);
        }
        progress.say(&mut rig, || {
            format!("{kills} kills, {} lines", writer.written())
        });
    }
    let written = written_by([&writer]);
    let expected = Expected {
        kills,
        most_read_twice: u64::from(kills) * WINDOW,
        marks: Marks::Unknown,
        ..Expected::default()
    };
    let mut verdict = conclude(rig, settings, &written, &log, expected)?;
    verdict.fact("kills", kills);
    Ok(verdict)
}

/// How each daemon sends.
const WAYS: [(&str, &str); 7] = [
    ("rsyslog", "tcp"),
    ("rsyslog", "tls"),
    ("rsyslog", "relp"),
    ("rsyslog", "relp+tls"),
    ("syslog-ng", "tcp"),
    ("syslog-ng", "tls"),
    ("syslog-ng", "udp"),
];

pub(super) fn all(settings: &Settings) -> anyhow::Result<Verdict> {
    let mut verdict = Verdict::new("", settings, Duration::ZERO);
    for (daemon, scheme) in WAYS {
        let came = forward(settings, daemon, scheme)?;
        let way = format!("{daemon} over {scheme}");
        let mut none =
            |oracle, what: &str, count| verdict.none(oracle, &format!("{way}: {what}"), count);
        none('L', "lines lost", LINES.saturating_sub(came.received));
        none('D', "lines too many", came.received.saturating_sub(LINES));
        none('D', "lines out of order", came.out_of_order);
        // A file that takes less than comes is behind, and says so.
        let told = came.told + came.dropped;
        none(
            'A',
            "lines neither told nor counted as dropped",
            came.received.abs_diff(told),
        );
        let millis = u64::try_from(came.took.as_millis()).unwrap_or(u64::MAX);
        verdict.fact(&format!("{daemon}_{scheme}_ms"), millis);
        verdict.fact(&format!("{daemon}_{scheme}_not_shown"), came.dropped);
    }
    Ok(verdict)
}

/// What came of the lines that a daemon forwarded.
struct Came {
    /// By the agent's own count.
    received: u64,
    /// Lines in the output.
    told: u64,
    /// Those that it says its output dropped.
    dropped: u64,
    /// Of the lines in the output those whose number is not higher than that before.
    out_of_order: u64,
    took: Duration,
}

fn forward(settings: &Settings, daemon: &str, scheme: &str) -> anyhow::Result<Came> {
    let folder = TempDir::new()?;
    let at = |name: &str| folder.path().join(name);
    certificates(folder.path())?;
    let port = free_port()?;
    let config = format!(
        "state_dir: state\nrules: [rules.yaml]\ncontrol: control.sock\n\
         inputs:\n  net: {{type: syslog, listen: ['{scheme}://127.0.0.1:{port}'], tls: {{cert: cert.pem, key: key.pem}}}}\n\
         outputs:\n  lines: {{type: file, path: lines.jsonl, send: lines}}\n"
    );
    fs::write(at("lapwing.yaml"), config)?;
    let rules = "version: 1\nrules:\n  - {name: all, match: {contains: [' end=1']}, type: any, realert: 1h}\n";
    fs::write(at("rules.yaml"), rules)?;
    let mut command = Command::new(&settings.lapwing);
    command
        .args(["run", "-c", "lapwing.yaml"])
        .current_dir(folder.path());
    let mut agent = Agent::start(&mut command, at("agent.log"))?;
    agent.wait_ready()?;
    fs::create_dir(at("logs"))?;
    let mut writer = Writer::open(0, &at("logs/app.log"), None)?;
    let _daemon = match (daemon, scheme) {
        ("rsyslog", "relp+tls") => Daemon::rsyslog(settings, folder.path(), "relp-tls", port)?,
        ("rsyslog", _) => Daemon::rsyslog(settings, folder.path(), scheme, port)?,
        _ => Daemon::syslog_ng(settings, folder.path(), scheme, port)?,
    };
    let began = clock::monotonic();
    let mut pace = Pace::new(settings.rate.min(MOST_RATE));
    while writer.written() < LINES {
        writer.write(pace.due().min(LINES - writer.written()))?;
        clock::pass(Duration::from_millis(2));
    }
    let mut before = (0, clock::monotonic());
    // As long as there is progress.
    while before.0 < LINES && before.1.elapsed() < SOON {
        clock::pass(Duration::from_millis(200));
        let (received, _) = status(settings, folder.path())?;
        if received > before.0 {
            before = (received, clock::monotonic());
        }
    }
    let took = began.elapsed();
    // What should not come.
    clock::pass(Duration::from_secs(2));
    let (received, dropped) = status(settings, folder.path())?;
    agent.stop()?;
    let (told, out_of_order) = count(&at("lines.jsonl"))?;
    Ok(Came {
        received,
        told,
        dropped,
        out_of_order,
        took,
    })
}

/// Messages that came, and lines that the output dropped, as the agent says.
fn status(settings: &Settings, folder: &Path) -> anyhow::Result<(u64, u64)> {
    let mut command = Command::new(&settings.lapwing);
    command.args(["status", "--json", "-c", "lapwing.yaml"]);
    let said = command.current_dir(folder).output()?;
    let said: serde_json::Value = serde_json::from_slice(&said.stdout).context("its status")?;
    let figure = |path: &str| said.pointer(path).and_then(serde_json::Value::as_u64);
    let received = figure("/inputs/net/received/messages").context("how many came")?;
    Ok((received, figure("/outputs/lines/dropped").unwrap_or(0)))
}

/// Lines that were told, and those whose number is not higher than that of the line before.
fn count(path: &Path) -> anyhow::Result<(u64, u64)> {
    let Ok(file) = fs::File::open(path) else {
        return Ok((0, 0));
    };
    let (mut next, mut seen, mut out_of_order) = (0, 0, 0);
    for line in BufReader::new(file).split(b'\n') {
        let line = line?;
        let text = String::from_utf8_lossy(&line);
        let number = text
            .split(" n=")
            .nth(1)
            .and_then(|it| it.split(' ').next()?.parse::<u64>().ok());
        // The last one may be half written.
        let Some(number) = number.filter(|_| text.ends_with('}')) else {
            continue;
        };
        seen += 1;
        out_of_order += u64::from(number < next);
        next = number + 1;
    }
    Ok((seen, out_of_order))
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A certificate for 127.0.0.1 that is its own authority.
fn certificates(folder: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("openssl");
    command.args([
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
    ]);
    command.args([
        "-subj",
        "/CN=127.0.0.1",
        "-addext",
        "subjectAltName=IP:127.0.0.1,DNS:127.0.0.1",
    ]);
    command.args(["-keyout", "key.pem", "-out", "cert.pem"]);
    let done = command.current_dir(folder).output().context("openssl")?;
    ensure!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}

/// A daemon that reads `app.log`; ended when it is dropped.
struct Daemon(Child);

impl Daemon {
    /// Forwards `logs/app.log` by what `lapwing setup rsyslog` prints.
    fn rsyslog(
        settings: &Settings,
        folder: &Path,
        transport: &str,
        port: u16,
    ) -> anyhow::Result<Self> {
        let at = |name: &str| folder.join(name).display().to_string();
        let (to, cert, key) = (format!("127.0.0.1:{port}"), at("cert.pem"), at("key.pem"));
        let mut command = Command::new(&settings.lapwing);
        command.args(["setup", "rsyslog", "--transport", transport, "--to", &to]);
        command.args(["--ca", &cert, "--cert", &cert, "--key", &key]);
        let printed = command.output().context("lapwing setup")?;
        ensure!(
            printed.status.success(),
            "{}",
            String::from_utf8_lossy(&printed.stderr)
        );
        let logs = at("logs");
        let config = format!(
            "global(workDirectory=\"{logs}\")\nmodule(load=\"imfile\")\n\
             input(type=\"imfile\" File=\"{logs}/app.log\" Tag=\"shop\" freshStartTail=\"off\")\n{}",
            String::from_utf8(printed.stdout)?
        );
        let file = format!("{logs}/rsyslog.conf");
        fs::write(&file, config)?;
        let mut command = Command::new("/usr/sbin/rsyslogd");
        command.args(["-n", "-f", &file, "-i", &format!("{logs}/pid")]);
        Self::start(&mut command)
    }

    /// The same of `lapwing setup syslog-ng`.
    fn syslog_ng(
        settings: &Settings,
        folder: &Path,
        scheme: &str,
        port: u16,
    ) -> anyhow::Result<Self> {
        let root = settings
            .syslog_ng
            .as_deref()
            .context("where is syslog-ng")?;
        let ca = folder.join("cert.pem");
        let tls = match scheme {
            "tls" => format!(
                "tls(ca-file(\"{}\") peer-verify(required-trusted))",
                ca.display()
            ),
            _ => String::new(),
        };
        let log = folder.join("logs/app.log");
        let config = format!(
            "@version: 3.38\n\
             source s_src {{ file(\"{}\" flags(no-parse) follow-freq(0.1) program-override(\"shop\")); }};\n\
             destination d_lapwing {{ syslog(\"127.0.0.1\" port({port}) transport(\"{scheme}\") {tls} log-fifo-size(100000)); }};\n\
             log {{ source(s_src); destination(d_lapwing); flags(flow-control); }};\n",
            log.display()
        );
        fs::write(folder.join("peer.conf"), config)?;
        Self::start(unpacked_syslog_ng(root).current_dir(folder))
    }

    fn start(command: &mut Command) -> anyhow::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let name = command.get_program().display().to_string();
        Ok(Self(command.spawn().context(name)?))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
