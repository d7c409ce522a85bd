//! A host for one scenario: a folder with logs, state, configuration and rules, a receiver, and the
//! agent on it. Scenarios say what happens; here stands how an agent is set up, waited for and judged.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::agent::{Agent, SOON};
use crate::book::{Accounts, Book, Written};
use crate::clock;
use crate::lines;
use crate::own_log::Quiet;
use crate::process::Usage;
use crate::receiver::Receiver;
use crate::settings::Settings;

/// Stands in the configuration, signs bodies, must never be printed.
const SECRET: &str = "hunter2-is-nobodys-business";

/// How long nothing may come before what is missing is given up: the slow scan comes every ten seconds.
const PATIENCE: Duration = Duration::from_secs(25);

/// See the module.
#[derive(Debug)]
pub struct Rig {
    folder: TempDir,
    receiver: Receiver,
    lapwing: PathBuf,
    state: PathBuf,
    starts: u32,
    agent: Option<Agent>,
    environment: Vec<(String, String)>,
    first_usage: Option<Usage>,
    last_usage: Usage,
    peak_kib: u64,
    slowest_stop: Duration,
    freshes: u64,
    rss: Vec<u64>,
}

impl Rig {
    /// A rig whose agent tails `globs`, which are relative to the folder.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn new(settings: &Settings, globs: &[&str]) -> anyhow::Result<Self> {
        let folder = match &settings.folder {
            Some(folder) => TempDir::new_in(folder),
            None => TempDir::new(),
        };
        let folder = folder.context("a temporary folder")?;
        let mut rig = Self {
            receiver: Receiver::start()?,
            lapwing: settings.lapwing.clone(),
            state: folder.path().join("state"),
            folder,
            starts: 0,
            agent: None,
            environment: Vec::new(),
            first_usage: None,
            last_usage: Usage::default(),
            peak_kib: 0,
            slowest_stop: Duration::ZERO,
            freshes: 0,
            rss: Vec::new(),
        };
        fs::create_dir(rig.path("logs"))?;
        rig.configure(globs)?;
        Ok(rig)
    }

    /// Writes the configuration anew.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn configure(&mut self, globs: &[&str]) -> anyhow::Result<()> {
        self.set_rules(include_str!("rules.yaml"))?;
        let globs: Vec<String> = globs.iter().map(|glob| format!("'{glob}'")).collect();
        let globs = globs.join(", ");
        self.write_config(&format!(
            "app: {{type: file, path: [{globs}], format: logfmt, start_at: beginning}}"
        ))
    }

    fn write_config(&self, input: &str) -> anyhow::Result<()> {
        let config = format!(
            "state_dir: {}\n\
             rules: [rules.yaml]\n\
             inputs:\n  {input}\n\
             outputs:\n  hook: {{type: webhook, url: '{}', secret: '{SECRET}', send_resolved: false}}\n",
            self.state.display(),
            self.receiver.url(),
        );
        fs::write(self.path("lapwing.yaml"), config)?;
        Ok(())
    }

    /// From now on the agent listens at `address` instead of tailing files.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn receive(&mut self, address: &str) -> anyhow::Result<()> {
        let rules = include_str!("receiving.yaml").replace("NAMED", &lines::named_pattern());
        let whole = lines::pattern();
        // Behind a header.
        let whole = whole.strip_prefix('^').unwrap_or(&whole);
        fs::write(self.path("rules.yaml"), rules.replace("WHOLE", whole))?;
        let input = format!("net: {{type: syslog, listen: ['{address}']}}");
        self.write_config(&input)
    }

    /// Only counts all lines and tells of one: for measuring how fast a backlog is read. `rows` and `tens`
    /// of a million lines are thousands of notifications, each delivered and marked before the next.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn count_only(&self) -> anyhow::Result<()> {
        self.set_rules(include_str!("backlog.yaml"))
    }

    /// Tells of every single line, too, of writers that name each.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn tell_each(&self) -> anyhow::Result<()> {
        let each = include_str!("each.yaml").replace("NAMES", &lines::names().join(", "));
        self.set_rules(&(include_str!("rules.yaml").to_owned() + &each))
    }

    fn set_rules(&self, rules: &str) -> anyhow::Result<()> {
        let rules = rules.replace("WHOLE", &lines::pattern());
        Ok(fs::write(self.path("rules.yaml"), rules)?)
    }

    /// The state lies there instead; before the first start, and before `configure`.
    pub fn keep_state_in(&mut self, state: PathBuf) {
        self.state = state;
    }

    /// Sets a variable for all starts to come.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What came.
    pub fn book(&self) -> &Book {
        self.receiver.book()
    }

    /// The same, for closures that outlive a borrow of the rig.
    pub fn book_handle(&self) -> Arc<Book> {
        self.receiver.book_handle()
    }

    /// The receiver.
    pub fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    /// The agent, which runs.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn agent(&mut self) -> anyhow::Result<&mut Agent> {
        self.agent.as_mut().context("no agent runs")
    }

    /// How often it was started.
    pub fn starts(&self) -> u32 {
        self.starts
    }

    /// The command that starts the agent.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.lapwing);
        command.args(["run", "-c", "lapwing.yaml"]);
        self.dress(&mut command);
        command
    }

    /// Folder and environment of whatever runs the agent.
    pub fn dress(&self, command: &mut Command) {
        command.current_dir(self.folder.path());
        for name in [
            "NO_COLOR",
            "JOURNAL_STREAM",
            "http_proxy",
            "HTTP_PROXY",
            "all_proxy",
            "ALL_PROXY",
        ] {
            command.env_remove(name);
        }
        for (name, value) in &self.environment {
            command.env(name, value);
        }
    }

    /// Starts the agent and does not wait.
    ///
    /// # Errors
    ///
    /// Those of starting it.
    pub fn start_unready(&mut self) -> anyhow::Result<()> {
        let mut command = self.command();
        self.start_with(&mut command)
    }

    /// The same with another command around it.
    ///
    /// # Errors
    ///
    /// Those of starting it.
    pub fn start_with(&mut self, command: &mut Command) -> anyhow::Result<()> {
        ensure!(self.agent.is_none(), "one agent at a time");
        let log = self.path(&format!("agent-{}.log", self.starts));
        self.starts += 1;
        self.agent = Some(Agent::start(command, log)?);
        Ok(())
    }

    /// Starts the agent and waits until it is ready.
    ///
    /// # Errors
    ///
    /// It does not get ready.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.start_unready()?;
        let agent = self.agent()?;
        agent.wait_ready()?;
        let usage = agent.usage();
        self.first_usage.get_or_insert(usage);
        Ok(())
    }

    /// SIGKILL.
    ///
    /// # Errors
    ///
    /// It had ended by itself.
    pub fn kill9(&mut self) -> anyhow::Result<()> {
        self.look();
        self.agent.take().context("no agent runs")?.kill9()
    }

    /// SIGTERM; it must end with 0.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.look();
        let took = self.agent.take().context("no agent runs")?.stop()?;
        self.slowest_stop = self.slowest_stop.max(took);
        Ok(())
    }

    /// Forgets an agent that is known to be dead.
    pub fn bury(&mut self) {
        self.agent = None;
    }

    /// Notes what it uses.
    pub fn look(&mut self) {
        if let Some(agent) = &self.agent {
            let usage = agent.usage();
            if usage.rss_kib > 0 {
                self.last_usage = usage;
                self.peak_kib = self.peak_kib.max(usage.peak_kib);
                self.rss.push(usage.rss_kib);
            }
        }
    }

    /// Waits until every line was told of, for as long as there is progress, and then a little longer for
    /// what should not come.
    ///
    /// # Errors
    ///
    /// The agent ended.
    pub fn drain(&mut self, lines: u64) -> anyhow::Result<()> {
        let mut best = (0, clock::monotonic());
        loop {
            let (seen, totalled) = (self.book().seen(), self.book().totalled());
            if seen.min(totalled) >= lines {
                break;
            }
            let sum = seen + totalled + self.book().requests();
            if sum > best.0 {
                best = (sum, clock::monotonic());
            }
            if best.1.elapsed() > PATIENCE {
                break;
            }
            if let Some(status) = self.agent()?.ended()? {
                anyhow::bail!("the agent ended: {status}\n{}", self.agent()?.said());
            }
            clock::pass(Duration::from_millis(50));
        }
        // Digests come a second after the first hit, and what was read twice must be told as well.
        clock::pass(Duration::from_millis(2_500));
        let mut requests = 0;
        let calm = || {
            let before = std::mem::replace(&mut requests, self.receiver.book().requests());
            clock::pass(Duration::from_millis(500));
            before == requests
        };
        clock::until(SOON, calm);
        self.look();
        Ok(())
    }

    /// The oracle P: how long a fresh line in a file that is tailed takes to the receiver.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn fresh(&mut self, log: &Path) -> anyhow::Result<Option<Duration>> {
        use std::io::Write as _;
        self.freshes += 1;
        let number = self.freshes;
        let before = self.book().alerts("fresh").len();
        let began = clock::monotonic();
        let mut file = fs::OpenOptions::new().append(true).create(true).open(log)?;
        file.write_all(format!("fresh line fresh={number}\n").as_bytes())?;
        let came = clock::until(SOON, || self.book().alerts("fresh").len() > before);
        Ok(came.then(|| began.elapsed()))
    }

    /// Where writers put every line once more, for [`Rig::backtest`].
    pub fn ledger(&self) -> PathBuf {
        self.path("ledger")
    }

    /// The oracle E: alerts, or counts of alerts, that differ from what `lapwing backtest` says of the ledger. The rules `torn` and `fresh` are left out.
    ///
    /// # Errors
    ///
    /// It cannot be run.
    pub fn backtest(&self) -> anyhow::Result<Vec<Differing>> {
        let mut command = Command::new(&self.lapwing);
        // Long after the last line, so that everything is told.
        command.args([
            "backtest",
            "--rules",
            "rules.yaml",
            "--format",
            "logfmt",
            "--json",
        ]);
        command.args(["--until", "2100-01-01T00:00:00Z", "ledger"]);
        self.dress(&mut command);
        let done = command.output().context("backtest")?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "backtest: {}\n{said}", done.status);
        let expected = Book::default();
        for line in done.stdout.split(|byte| *byte == b'\n') {
            if line.starts_with(b"{\"version\"") {
                expected.take_quietly(line);
            }
        }
        let mut differing = Vec::new();
        for rule in ["rows", "total", "tens", "marks"] {
            let (expected, found) = (expected.alerts(rule), self.book().alerts(rule));
            let ids: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
            for id in ids {
                let (expected, found) = (expected.get(id), found.get(id));
                if expected != found {
                    differing.push((id.clone(), expected.copied(), found.copied()));
                }
            }
        }
        Ok(differing)
    }

    /// Everything that can be said when all is over; the agent has stopped.
    pub fn outcome(&self, written: &Written) -> Outcome {
        let mut quiet = Quiet::default();
        for start in 0..self.starts {
            let log = self.path(&format!("agent-{start}.log"));
            let bytes = fs::read(log).unwrap_or_default();
            quiet.read(&String::from_utf8_lossy(&bytes), SECRET);
        }
        Outcome {
            accounts: self.book().judge(written),
            is_single: !written.destroyed.is_empty(),
            quiet,
            starts: self.starts,
            first_usage: self.first_usage.unwrap_or_default(),
            last_usage: self.last_usage,
            peak_kib: self.peak_kib,
            rss_kib_halfway: self.rss.get(self.rss.len() / 2).copied().unwrap_or(0),
            slowest_stop: self.slowest_stop,
            refused: self.book().refusals(),
        }
    }

    /// Leaves the folder where it is, for whoever wants to look; gives its path.
    pub fn keep(mut self) -> PathBuf {
        self.agent = None;
        self.folder.disable_cleanup(true);
        self.folder.path().to_owned()
    }
}

/// An alert's id, its count in `backtest`, and the count that was told; `None` where it is not known.
pub type Differing = (String, Option<u64>, Option<u64>);

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The lines.
    pub accounts: Accounts,
    /// Whether each line was looked for by itself.
    pub is_single: bool,
    /// The agent's own log.
    pub quiet: Quiet,
    /// Starts of the agent.
    pub starts: u32,
    /// When it was ready for the first time.
    pub first_usage: Usage,
    /// Just before it was stopped.
    pub last_usage: Usage,
    /// The most that was resident, KiB.
    pub peak_kib: u64,
    /// At the middle one of all looks.
    pub rss_kib_halfway: u64,
    /// From SIGTERM to the end.
    pub slowest_stop: Duration,
    /// Requests that the receiver refused.
    pub refused: u64,
}
