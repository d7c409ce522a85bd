//! A host in a temporary folder: configuration, rules, logs, state, and the agent that runs on it.
//!
//! Nothing here knows what a test wants to prove. Whatever waits has a deadline and says on its
//! way out what the agent wrote until then.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use lapwing::clock;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The binary under test.
pub(crate) const LAPWING: &str = env!("CARGO_BIN_EXE_lapwing");
/// For what takes milliseconds on an idle machine and must not fail on a busy one.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// What the contract gives the agent after SIGTERM, and the same again for a busy machine.
const TO_STOP: Duration = Duration::from_secs(5);

/// Waits until `is_true`, looking every few milliseconds; panics at the deadline.
pub(crate) fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let began = clock::monotonic();
    while !is_true() {
        assert!(began.elapsed() < SOON, "waited {SOON:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Rules of [`Host::telling_each_word`].
pub(crate) const EACH_WORD: &str = r"
version: 1
defaults: {realert: 0s, resolve_after: 500ms}
rules:
  - name: each
    summary: 'saw {{ word }}'
    severity: critical
    match: {regex: ['word=(?P<word>\S+)']}
    group_by: [word]
    type: frequency
    num_events: 1
    timeframe: 500ms
";

/// A folder with everything that an agent needs.
pub(crate) struct Host {
    dir: TempDir,
}

/// What a command that ran to its end gave.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Host {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("lapwing-test-").tempdir();
        Self { dir: dir.unwrap() }
    }

    /// A folder with `lapwing.yaml` (the state goes into `state`) and `rules.yaml`, which it names.
    pub(crate) fn with(config: &str, rules: &str) -> Self {
        let host = Self::new();
        host.configure(config);
        host.write("rules.yaml", rules);
        host
    }

    /// One that tells these outputs of each line of `app.log` with a new `word=…`, as an alert of its own that
    /// ends soon after.
    pub(crate) fn telling_each_word(outputs: &str) -> Self {
        let config = format!(
            "inputs: {{app: {{type: file, path: app.log, format: plain}}}}\noutputs:\n{outputs}"
        );
        Self::with(&config, EACH_WORD)
    }

    /// Writes `lapwing.yaml`: `config` below what all tests want, the control socket among it.
    pub(crate) fn configure(&self, config: &str) {
        let common = "host: web-1\nstate_dir: state\nrules: [rules.yaml]\n";
        // Last: tests name the lines of what they write.
        let control = "\ncontrol: run/control.sock\n";
        self.write("lapwing.yaml", format!("{common}{config}{control}"));
    }

    /// The path of `name` in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a whole file.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Reads a whole file.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Appends to a log, which it makes where there is none.
    pub(crate) fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).open(self.path(name));
        file.unwrap().write_all(text.as_ref()).unwrap();
    }

    /// `lapwing` with these arguments, in the folder, with nothing of this process's environment
    /// that could colour its output.
    pub(crate) fn lapwing(&self, args: &[&str]) -> Command {
        let mut command = Command::new(LAPWING);
        command.args(args).current_dir(self.dir.path());
        command.env_remove("NO_COLOR").env_remove("JOURNAL_STREAM");
        // Requests to 127.0.0.1 must not take a way round.
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command
                .env_remove(name)
                .env_remove(name.to_ascii_uppercase());
        }
        command
    }

    /// Runs a command to its end; killed and failed when that takes too long.
    pub(crate) fn command(&self, args: &[&str]) -> Done {
        self.command_with(args, "")
    }

    /// The same, with text on its standard input.
    pub(crate) fn command_with(&self, args: &[&str], stdin: &str) -> Done {
        let mut agent = Agent::start(self.lapwing(args).stdin(Stdio::piped()));
        let mut pipe = agent.child.stdin.take().unwrap();
        // A command that does not read all of it closes the pipe.
        pipe.write_all(stdin.as_bytes()).ok();
        drop(pipe);
        let code = agent.wait().code().expect("it ended by itself");
        let (stdout, stderr) = (agent.stdout.text(), agent.stderr.text());
        Done {
            code,
            stdout,
            stderr,
        }
    }

    /// Starts `lapwing run` and waits until it is ready.
    pub(crate) fn run(&self) -> Agent {
        let agent = self.run_unready();
        agent.stderr.wait_for("ready");
        agent
    }

    /// Starts `lapwing run`.
    pub(crate) fn run_unready(&self) -> Agent {
        Agent::start(&mut self.lapwing(&["run", "-c", "lapwing.yaml"]))
    }
}

/// A running `lapwing`; killed when it is dropped.
pub(crate) struct Agent {
    child: Child,
    readers: Vec<JoinHandle<()>>,
    pub(crate) stdout: Arc<Transcript>,
    pub(crate) stderr: Arc<Transcript>,
}

impl Agent {
    /// Starts `command` and keeps what it says.
    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, first) = Transcript::of(child.stdout.take().unwrap());
        let (stderr, second) = Transcript::of(child.stderr.take().unwrap());
        Self {
            child,
            readers: vec![first, second],
            stdout,
            stderr,
        }
    }

    /// Writes to its standard input, which must be a pipe.
    pub(crate) fn write(&mut self, text: &str) {
        let pipe = self.child.stdin.as_mut().expect("it is a pipe");
        pipe.write_all(text.as_bytes()).unwrap();
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Whether it has ended, or is about to: a zombie counts.
    pub(crate) fn is_gone(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let state = |stat: &str| {
            stat.rsplit_once(") ")
                .map(|(_, rest)| rest.starts_with('Z'))
        };
        stat.map_or(true, |stat| state(&stat).unwrap_or(true))
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill9(mut self) {
        // It may be gone already.
        kill_process(self.pid(), Signal::KILL).ok();
        self.wait();
    }

    /// SIGTERM; expects exit code 0 within the contract's 5 s. Gives all that it wrote on
    /// standard error.
    pub(crate) fn stop(self) -> String {
        self.end_by(Signal::TERM).stderr
    }

    /// A signal; expects exit code 0 within the contract's 5 s.
    pub(crate) fn end_by(mut self, signal: Signal) -> Done {
        let began = clock::monotonic();
        kill_process(self.pid(), signal).unwrap();
        let code = self.wait().code();
        let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
        assert_eq!(code, Some(0), "{stderr}");
        assert!(began.elapsed() < TO_STOP, "{:?}: {stderr}", began.elapsed());
        Done {
            code: 0,
            stdout,
            stderr,
        }
    }

    /// Waits for its end, and until all that it said has been read.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        let stderr = Arc::clone(&self.stderr);
        wait_until(&format!("the end of lapwing: {}", stderr.text()), || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        status.expect("just seen")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Most have ended by now.
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("lapwing said:\n{}", self.stderr.text());
        }
    }
}

/// What a process has written to one of its streams until now.
#[derive(Default)]
pub(crate) struct Transcript {
    bytes: Mutex<Vec<u8>>,
    grew: Condvar,
}

impl Transcript {
    fn of(stream: impl Read + Send + 'static) -> (Arc<Self>, JoinHandle<()>) {
        let transcript = Arc::new(Self::default());
        let ours = Arc::clone(&transcript);
        let read = move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream
                .read_until(b'\n', &mut line)
                .is_ok_and(|count| count > 0)
            {
                ours.bytes.lock().unwrap().append(&mut line);
                ours.grew.notify_all();
            }
        };
        let thread = Builder::new().name("transcript".to_owned()).spawn(read);
        (transcript, thread.unwrap())
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        // Asked for while a test fails, too, which may have poisoned it.
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until a text stands in it.
    pub(crate) fn wait_for(&self, text: &str) {
        let bytes = self.bytes.lock().unwrap();
        let lacks = |bytes: &mut Vec<u8>| !String::from_utf8_lossy(bytes).contains(text);
        let (bytes, outcome) = self.grew.wait_timeout_while(bytes, SOON, lacks).unwrap();
        let all = String::from_utf8_lossy(&bytes);
        assert!(
            !outcome.timed_out(),
            "waited {SOON:?} for `{text}` in:\n{all}"
        );
    }
}

/// The object on each whole line of a `.jsonl` text: the last one may be half written.
pub(crate) fn json_lines(text: &str) -> Vec<serde_json::Value> {
    let object =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(object).collect()
}

/// All files below a folder that end in `.ending`, sorted.
pub(crate) fn files_below(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path, ending));
        } else if path
            .extension()
            .is_some_and(|extension| extension == ending)
        {
            found.push(path);
        }
    }
    found.sort();
    found
}
