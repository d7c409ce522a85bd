//! The place in the journal, and what is read from there: where reading begins, what has become of the
//! entries before, and entries → batches. When it is tried again is the business of `journal`.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use lapwing_rules::model::{Batch, Source, Timestamp};
use lapwing_rules::scanner::Memory;

use super::child::{self, Handle};
use super::cursor::{BEGINNING, Missing, missing};
use super::entry::{self, Entry};
use super::{ASIDE, Config, aside, command};
use crate::clock;
use crate::inputs::framer::Framed;
use crate::inputs::stdin;
use crate::inputs::syslog::frame::append;
use crate::inputs::tail::{LossKind, StartAt};
use crate::inputs::{Check, Event, Position, PositionKey};

/// What is handed over at once, at most about.
const BATCH_BYTES: usize = 128 * 1024;
/// An entry whose JSON is longer than so many times the longest line is passed over: a byte that is no
/// text takes four.
const MOST_TIMES: usize = 8;
/// A child that ended again and again, and now goes on for so long, is well.
const STEADY: Duration = Duration::from_secs(30);
/// What is said to be unreadable, or to have lost something.
const NAME: &str = "the journal";

/// Why no more is read.
pub(super) enum Ended {
    /// Nobody takes lines any more.
    Closed,
    /// A file is written to that holds the same.
    Aside,
    /// The child, or what it says.
    Failed(io::Error),
}

/// One input, between two starts of its child.
pub(super) struct Reader {
    config: Config,
    source: Arc<Source>,
    /// Of the last entry that was handed over; `None` before the first look.
    cursor: Option<String>,
    /// Whether it is said to be unreadable.
    is_troubled: bool,
    /// Whether files are read in its stead.
    is_aside: bool,
    /// When a look is had at those files again.
    look_aside_at: Instant,
}

impl Reader {
    pub(super) fn new(config: Config) -> Self {
        let source = Source {
            input: config.id,
            name: "journald".into(),
        };
        let saved = config.saved.as_ref();
        Self {
            source: Arc::new(source),
            cursor: saved.map(|position| position.path.to_string_lossy().into_owned()),
            is_troubled: false,
            is_aside: false,
            look_aside_at: clock::monotonic(),
            config,
        }
    }

    /// Of the last entry that was handed over, if there is one.
    pub(super) fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    fn add_units(&self, command: &mut Command) {
        let units = self.config.spec.units.iter();
        command.args(units.map(|unit| format!("--unit={unit}")));
    }

    /// Looks whether it can be read and what has become of the place where reading goes on. At the very
    /// first start finds that place, and has it saved: what is written from now on is read, whenever
    /// that is.
    pub(super) fn look<T: From<Event>>(
        &mut self,
        handle: &Handle,
        inbox: &SyncSender<T>,
    ) -> Result<(), Ended> {
        let mut command = command(&self.config.spec);
        command.args(["--lines=1", "--output-fields=PRIORITY"]);
        match self.cursor.as_deref() {
            // By itself: what it was of may be configured no more.
            Some(cursor) if cursor != BEGINNING => {
                command.arg(format!("--cursor={cursor}"));
            }
            _ => self.add_units(&mut command),
        }
        if let Some(at) = self.stood_aside_until() {
            // What was written since is in none of those files. Backwards, since otherwise the last line
            // is taken first and then found to be too young.
            let until = format!("--until=@{}.{:06}", at.as_secs(), micros(at));
            command.arg("--reverse").arg(until);
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
        let is_read_on = self.config.spec.start_at == StartAt::End || self.is_aside;
        let at_end = found.filter(|_| is_read_on);
        self.cursor = Some(at_end.unwrap_or_else(|| BEGINNING.to_owned()));
        if std::mem::take(&mut self.is_aside) {
            tracing::info!(input = %self.config.input, "the journal is read");
            self.say_unreadable(None);
        }
        self.hand(Event::Moved(self.position(clock::now())), inbox)
    }

    /// Whether other files are read in its stead; says so when that begins.
    pub(super) fn stands_aside(&mut self) -> bool {
        self.look_aside_at = clock::monotonic() + ASIDE;
        let Some(file) = aside::fresh(&self.config.spec.unless_files) else {
            return false;
        };
        if !std::mem::replace(&mut self.is_aside, true) {
            let (input, file) = (&self.config.input, file.display());
            tracing::info!(%input, "the journal is not read while {file} is written: it holds the same");
            let why = format!("not read while {file} is written, which holds the same");
            let counters = &self.config.counters;
            counters.set_passed_over(input, NAME.into(), why, clock::now());
            self.is_troubled = false;
        }
        true
    }

    /// When the files that were read in its stead were written to last.
    fn stood_aside_until(&self) -> Option<Timestamp> {
        let files = self.is_aside.then_some(&self.config.spec.unless_files)?;
        aside::last_written(files).map(|(_, at)| at)
    }

    /// Has the place forgotten where reading would go on: what is written from now on is read elsewhere.
    pub(super) fn forget<T: From<Event>>(&mut self, inbox: &SyncSender<T>) -> Result<(), Ended> {
        match self.cursor.take() {
            Some(_) => self.hand(
                Event::Forget(PositionKey::of_input(&self.config.input)),
                inbox,
            ),
            None => Ok(()),
        }
    }

    #[expect(clippy::unused_self, reason = "reads as its doing")]
    pub(super) fn hand<T: From<Event>>(
        &self,
        event: Event,
        inbox: &SyncSender<T>,
    ) -> Result<(), Ended> {
        inbox.send(event.into()).map_err(|_| Ended::Closed)
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

    pub(super) fn be_troubled(&mut self, why: String) {
        self.is_troubled = true;
        self.say_unreadable(Some(why));
    }

    fn be_well(&mut self) {
        if std::mem::take(&mut self.is_troubled) {
            self.say_unreadable(None);
        }
    }

    fn say_unreadable(&self, why: Option<String>) {
        let (input, now) = (&self.config.input, clock::now());
        let counters = &self.config.counters;
        counters.set_unreadable(input, why.map(|why| (NAME.into(), why)), now);
    }

    /// Reads what there is and then what comes; says why no more comes.
    pub(super) fn follow<T: From<Event>>(
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
        let mut command = command(&self.config.spec);
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
                if clock::monotonic() >= self.look_aside_at && self.stands_aside() {
                    return Err(Ended::Aside);
                }
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
        self.hand(event, inbox)
    }

    /// Behind what was handed over last.
    fn position(&self, now: Timestamp) -> Position {
        Position {
            key: PositionKey::of_input(&self.config.input),
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

/// The part of a second.
fn micros(at: Timestamp) -> i64 {
    at.as_nanos().rem_euclid(1_000_000_000) / 1_000
}
