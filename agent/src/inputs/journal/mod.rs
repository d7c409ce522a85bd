//! The journal of systemd, as `journalctl` reads it: a child process, restarted when it ends.
//!
//! The position is the cursor of the last entry that was handed over, committed with all else. It
//! stands in the position's `path`, because a journal has no file of its own and the form on disk
//! stays as it is; device and inode are 0. Before each start another child looks: whether the journal
//! can be read, where reading begins, and whether the entry of the cursor is still there.

mod child;
mod cursor;
mod entry;

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use lapwing_rules::model::{Batch, InputId, Source, Timestamp};
use lapwing_rules::scanner::Memory;

pub use self::child::Handle;
use self::cursor::{BEGINNING, Missing, missing};
use self::entry::Entry;
use super::framer::Framed;
use super::stdin;
use super::syslog::frame::append;
use super::tail::{self, LossKind, StartAt};
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
/// A child that ended again and again, and now goes on for so long, is well.
const STEADY: Duration = Duration::from_secs(30);
/// What is said to be unreadable, or to have lost something.
const NAME: &str = "the journal";

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
    /// Told when the journal cannot be read, and when entries are lost.
    pub counters: Arc<tail::Counters>,
}

/// Reads until [`Handle::stop`], or until nobody holds the other end of the inbox.
pub fn run<T: From<Event>>(config: Config, handle: &Handle, inbox: &SyncSender<T>) {
    let mut reader = Reader {
        source: Arc::new(Source {
            input: config.id,
            name: "journald".into(),
        }),
        cursor: config.saved.as_ref().map(cursor_of),
        is_troubled: false,
        config,
    };
    let (mut is_ready, mut pause, mut failures) = (false, PAUSES.0, 0);
    while !handle.is_over() {
        let before = reader.cursor.clone();
        let looked = reader.look(handle, inbox);
        // Where there is nothing to be read nobody is kept waiting for it.
        if !is_ready && inbox.send(Event::Ready(reader.config.id).into()).is_err() {
            break;
        }
        is_ready = true;
        let has_looked = looked.is_ok();
        let why = match looked.and_then(|()| reader.follow(handle, inbox)) {
            _ if handle.is_over() => break,
            Err(Ended::Closed) => break,
            Err(Ended::Failed(error)) => error.to_string(),
            Ok(why) => why,
        };
        let input = &reader.config.input;
        tracing::warn!(%input, "journalctl has to be started again: {why}");
        failures += 1;
        if reader.cursor != before {
            (pause, failures) = (PAUSES.0, 0);
        }
        // A child that somebody killed says nothing of the next one.
        if !has_looked || failures > 1 {
            reader.be_troubled(why);
        }
        let until = clock::monotonic() + pause;
        while clock::monotonic() < until && !handle.is_over() {
            threads::pause(LOOK);
        }
        pause = (pause * 2).min(PAUSES.1);
    }
    handle.end();
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
    /// Of the last entry that was handed over; `None` before the first look.
    cursor: Option<String>,
    /// Whether it is said to be unreadable.
    is_troubled: bool,
}

impl Reader {
    fn command(&self) -> Command {
        let mut command = Command::new("journalctl");
        command.args(["--output=json", "--quiet"]);
        if let Some(directory) = &self.config.spec.directory {
            command.arg("--directory").arg(directory);
        }
        command
    }

    fn add_units(&self, command: &mut Command) {
        let units = self.config.spec.units.iter();
        command.args(units.map(|unit| format!("--unit={unit}")));
    }

    /// Looks whether it can be read and what has become of the place where reading goes on. At the very
    /// first start finds that place, and has it saved: what is written from now on is read, whenever
    /// that is.
    fn look<T: From<Event>>(
        &mut self,
        handle: &Handle,
        inbox: &SyncSender<T>,
    ) -> Result<(), Ended> {
        let mut command = self.command();
        command.args(["--lines=1", "--output-fields=PRIORITY"]);
        match self.cursor.as_deref() {
            // By itself: what it was of may be configured no more.
            Some(cursor) if cursor != BEGINNING => {
                command.arg(format!("--cursor={cursor}"));
            }
            _ => self.add_units(&mut command),
        }
        let answer = handle.answer(&mut command).map_err(Ended::Failed)?;
        let found = answer
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let found = match found {
            [] => None,
            found => {
                let entry: Entry =
                    serde_json::from_slice(found).map_err(|error| Ended::Failed(error.into()))?;
                Some(entry.cursor)
            }
        };
        if let Some(last) = self.cursor.as_deref() {
            self.say_missing(missing(last, found.as_deref()));
            return Ok(());
        }
        let at_end = found.filter(|_| self.config.spec.start_at == StartAt::End);
        self.cursor = Some(at_end.unwrap_or_else(|| BEGINNING.to_owned()));
        let moved = Event::Moved(self.position(clock::now()));
        inbox.send(moved.into()).map_err(|_| Ended::Closed)
    }

    fn say_missing(&self, missing: Missing) {
        let input = &self.config.input;
        match missing {
            Missing::Nothing => {}
            Missing::Entries(entries) => {
                tracing::warn!(%input, entries, "entries of the journal were removed before they were read");
                self.lose(LossKind::Vanished);
            }
            Missing::Unknown => {
                tracing::warn!(%input, "the journal does not hold the entry any more that was read last: what was written after it may be missing");
            }
        }
    }

    fn lose(&self, kind: LossKind) {
        let counters = &self.config.counters;
        counters.lose(&self.config.input, Path::new(NAME), kind, clock::now());
    }

    fn be_troubled(&mut self, why: String) {
        self.is_troubled = true;
        let (input, now) = (&self.config.input, clock::now());
        let counters = &self.config.counters;
        counters.set_unreadable(input, Some((NAME.into(), why)), now);
    }

    fn be_well(&mut self) {
        if std::mem::take(&mut self.is_troubled) {
            let (input, now) = (&self.config.input, clock::now());
            self.config.counters.set_unreadable(input, None, now);
        }
    }

    /// Reads what there is and then what comes; says why no more comes.
    fn follow<T: From<Event>>(
        &mut self,
        handle: &Handle,
        inbox: &SyncSender<T>,
    ) -> Result<String, Ended> {
        // `--follow` shows nothing of before this boot.
        let status = self.read_child(self.entries(), handle, inbox)?;
        if handle.is_over() || !status.is_some_and(|status| status.success()) {
            return Ok(child::ended(status));
        }
        let mut command = self.entries();
        command.args(["--follow", "--no-tail"]);
        if self.config.spec.directory.is_some() {
            // Its files are of any boots, of any hosts.
            command.arg("--merge");
        }
        let status = self.read_child(command, handle, inbox)?;
        Ok(child::ended(status))
    }

    /// What shows all entries from here on, the one that was read last among them.
    fn entries(&self) -> Command {
        let mut command = self.command();
        command.arg("--all");
        command.arg(format!("--output-fields={}", entry::FIELDS));
        self.add_units(&mut command);
        // With `--after-cursor` an entry is passed over also where that of the cursor is gone.
        if let Some(cursor) = self.cursor.as_deref().filter(|it| *it != BEGINNING) {
            command.arg(format!("--cursor={cursor}"));
        }
        command
    }

    /// Reads one child to its end, and gives how it ended.
    fn read_child<T: From<Event>>(
        &mut self,
        mut command: Command,
        handle: &Handle,
        inbox: &SyncSender<T>,
    ) -> Result<Option<ExitStatus>, Ended> {
        let started = handle.start(&mut command, Stdio::inherit());
        let (output, _) = started.map_err(Ended::Failed)?;
        let read = self.read(BufReader::with_capacity(BATCH_BYTES, output), inbox);
        if read.is_err() {
            handle.end();
        }
        read.map(|()| handle.wait())
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
        // It comes again.
        let mut last = self.cursor.clone();
        if self.is_troubled && matches!(stdin::has_more(output.get_ref(), STEADY), Ok(false)) {
            self.be_well();
        }
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
                    self.lose(LossKind::Oversize);
                    output.skip_until(b'\n').map_err(Ended::Failed)?;
                    continue;
                }
                // The child was ended in the middle of an entry: it is read again.
                return Ok(());
            }
            self.be_well();
            self.take(&json, last.take().as_deref(), &mut text, &mut framed);
            let has_more = memchr::memchr(b'\n', output.buffer()).is_some();
            if !has_more || framed.bytes.len() >= BATCH_BYTES {
                self.hand_over(&mut framed, inbox)?;
            }
        }
    }

    /// Appends the line of an entry, unless it is the `last` one that was read before.
    fn take(&mut self, json: &[u8], last: Option<&str>, text: &mut Vec<u8>, framed: &mut Framed) {
        match serde_json::from_slice::<Entry>(json) {
            Ok(entry) => {
                if last != Some(&*entry.cursor) && !entry.is_of(std::process::id()) {
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
        let framed = std::mem::take(framed);
        let arrival = clock::now();
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
            position: Some(self.position(arrival)),
        };
        inbox.send(event.into()).map_err(|_| Ended::Closed)
    }

    /// Behind what was handed over last.
    fn position(&self, now: Timestamp) -> Position {
        Position {
            key: key(&self.config.input),
            path: self.cursor.as_deref().unwrap_or(BEGINNING).into(),
            offset: 0,
            head: Check::default(),
            tail: Check::default(),
            seen_at: now,
            done: false,
            memory: Memory::default(),
        }
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
