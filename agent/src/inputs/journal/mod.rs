//! The journal of systemd, as `journalctl` reads it: a child process, restarted when it ends.
//!
//! The position is the cursor of the last entry that was handed over, committed with all else. It
//! stands in the position's `path`, because a journal has no file of its own and the form on disk
//! stays as it is; device and inode are 0.

mod entry;

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapwing_rules::model::{Batch, InputId, Source};
use lapwing_rules::scanner::Memory;

use self::entry::Entry;
use super::framer::Framed;
use super::syslog::frame::append;
use super::tail::StartAt;
use super::{Check, Event, Position, PositionKey};
use crate::clock;
use crate::threads;

/// What is handed over at once, at most about.
const BATCH_BYTES: usize = 128 * 1024;
/// An entry whose JSON is longer than so many times the longest line is passed over: a byte that is no
/// text takes four.
const MOST_TIMES: usize = 8;
/// Pause before the child is started again: doubled up to the second one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// How often a pause looks whether the agent ends.
const LOOK: Duration = Duration::from_millis(100);

/// Which entries are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Of these units; empty: all.
    pub units: Vec<String>,
    /// A folder with journal files; `None`: the host's own journal.
    pub directory: Option<PathBuf>,
    /// Where reading begins at the very first start.
    pub start_at: StartAt,
}

/// One input of type `journald`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name.
    pub input: Arc<str>,
    /// Its index, as in batches.
    pub id: InputId,
    /// What it reads.
    pub spec: Spec,
    /// Longer messages are cut.
    pub max_line_bytes: usize,
    /// The saved position, if there is one.
    pub saved: Option<Position>,
}

/// Ends a reader.
#[derive(Clone, Debug, Default)]
pub struct Handle(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    child: Mutex<Option<Child>>,
    is_over: AtomicBool,
}

impl Handle {
    /// Ends the child process; what it has written is still handed over.
    pub fn stop(&self) {
        self.0.is_over.store(true, Ordering::SeqCst);
        self.end_child();
    }

    fn is_over(&self) -> bool {
        self.0.is_over.load(Ordering::SeqCst)
    }

    fn end_child(&self) {
        let mut child = self.0.child.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut child) = child.take() {
            // It may have ended by itself.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Reads until [`Handle::stop`], or until nobody holds the other end of the inbox.
pub fn run<T: From<Event>>(config: Config, handle: &Handle, inbox: &SyncSender<T>) {
    let mut reader = Reader {
        source: Arc::new(Source {
            input: config.id,
            name: "journald".into(),
        }),
        cursor: config.saved.as_ref().map(cursor_of),
        config,
    };
    if inbox.send(Event::Ready(reader.config.id).into()).is_err() {
        return;
    }
    let mut pause = PAUSES.0;
    while !handle.is_over() {
        let before = reader.cursor.clone();
        match reader.follow(handle, inbox) {
            Ok(()) if handle.is_over() => break,
            Err(Ended::Closed) => break,
            outcome => {
                let why = match outcome {
                    Err(Ended::Failed(error)) => error.to_string(),
                    _ => "it ended".to_owned(),
                };
                let input = &reader.config.input;
                tracing::warn!(%input, "journalctl has to be started again: {why}");
            }
        }
        if reader.cursor != before {
            pause = PAUSES.0;
        }
        let until = clock::monotonic() + pause;
        while clock::monotonic() < until && !handle.is_over() {
            threads::pause(LOOK);
        }
        pause = (pause * 2).min(PAUSES.1);
    }
    handle.end_child();
}

fn cursor_of(position: &Position) -> String {
    position.path.to_string_lossy().into_owned()
}

enum Ended {
    /// Nobody takes lines any more.
    Closed,
    Failed(io::Error),
}

struct Reader {
    config: Config,
    source: Arc<Source>,
    /// Of the last entry that was handed over.
    cursor: Option<String>,
}

impl Reader {
    fn command(&self) -> Command {
        let mut command = Command::new("journalctl");
        command.args(["--output=json", "--follow", "--all", "--quiet"]);
        command.arg(format!("--output-fields={}", entry::FIELDS));
        match (&self.cursor, self.config.spec.start_at) {
            (Some(cursor), _) => {
                command.arg("--no-tail");
                command.arg(format!("--after-cursor={cursor}"))
            }
            (None, StartAt::Beginning) => command.arg("--no-tail"),
            (None, StartAt::End) => command.arg("--lines=0"),
        };
        if let Some(directory) = &self.config.spec.directory {
            command.arg("--directory").arg(directory);
        }
        for unit in &self.config.spec.units {
            command.arg(format!("--unit={unit}"));
        }
        command
    }

    /// Reads one child to its end.
    fn follow<T: From<Event>>(
        &mut self,
        handle: &Handle,
        inbox: &SyncSender<T>,
    ) -> Result<(), Ended> {
        let mut command = self.command();
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(Ended::Failed)?;
        let output = child.stdout.take();
        {
            let mut place = handle
                .0
                .child
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *place = Some(child);
        }
        if handle.is_over() {
            handle.end_child();
        }
        let result = match output {
            Some(output) => self.read(BufReader::with_capacity(BATCH_BYTES, output), inbox),
            None => Ok(()),
        };
        handle.end_child();
        result
    }

    fn read<T: From<Event>>(
        &mut self,
        mut output: BufReader<ChildStdout>,
        inbox: &SyncSender<T>,
    ) -> Result<(), Ended> {
        let most = self.config.max_line_bytes.saturating_mul(MOST_TIMES);
        let most = most.max(1 << 20) as u64;
        let (mut json, mut text) = (Vec::new(), Vec::new());
        let mut framed = Framed::default();
        loop {
            json.clear();
            let limited = &mut (&mut output).take(most);
            let count = limited
                .read_until(b'\n', &mut json)
                .map_err(Ended::Failed)?;
            if count == 0 {
                return Ok(());
            }
            if json.last() != Some(&b'\n') {
                if count as u64 == most {
                    tracing::warn!("an entry of the journal is far too long: it is passed over");
                    output.skip_until(b'\n').map_err(Ended::Failed)?;
                    continue;
                }
                // The child was ended in the middle of an entry: it is read again.
                return Ok(());
            }
            self.take(&json, &mut text, &mut framed);
            let has_more = memchr::memchr(b'\n', output.buffer()).is_some();
            if !has_more || framed.bytes.len() >= BATCH_BYTES {
                self.hand_over(&mut framed, inbox)?;
            }
        }
    }

    fn take(&mut self, json: &[u8], text: &mut Vec<u8>, framed: &mut Framed) {
        match serde_json::from_slice::<Entry>(json) {
            Ok(entry) => {
                if !entry.is_of(std::process::id()) {
                    text.clear();
                    entry.write(text);
                    let max = self.config.max_line_bytes;
                    append(text, text.len() as u64, max, framed);
                }
                self.cursor = Some(entry.cursor);
            }
            Err(error) => {
                let input = &self.config.input;
                tracing::warn!(%input, %error, "an entry of the journal cannot be read");
            }
        }
    }

    fn hand_over<T: From<Event>>(
        &self,
        framed: &mut Framed,
        inbox: &SyncSender<T>,
    ) -> Result<(), Ended> {
        let Some(cursor) = &self.cursor else {
            return Ok(());
        };
        let framed = std::mem::take(framed);
        let arrival = clock::now();
        let position = Position {
            key: key(&self.config.input),
            path: cursor.into(),
            offset: 0,
            head: Check::default(),
            tail: Check::default(),
            seen_at: arrival,
            memory: Memory::default(),
        };
        let batch = Batch {
            source: Arc::clone(&self.source),
            bytes: framed.bytes,
            segments: framed.segments,
            cut: framed.cut,
            records: framed.records,
            arrival,
        };
        let event = Event::Lines {
            batch,
            position: Some(position),
        };
        inbox.send(event.into()).map_err(|_| Ended::Closed)
    }
}

/// Under which an input's cursor is saved.
pub fn key(input: &str) -> PositionKey {
    PositionKey {
        input: input.to_owned(),
        device: 0,
        inode: 0,
    }
}
