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
use super::cursor::{BEGINNING, Missing, Place, missing};
use super::entry::{self, Entry};
use super::{Config, aside, command};
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

/// While files are read in its stead, a look is had this often at the journal, once they have not been
/// written to for as long as an entry may be missing in them.
const LOOK_FOR_MISSED: Duration = Duration::from_mins(10);

/// Why no more is read.
pub(super) enum Ended {
    /// Nobody takes lines any more.
    Closed,
    /// A file is written to that holds the same.
    Aside,
    /// The child, or what it says.
    Failed(io::Error),
}

/// Shows one entry, the last one, without what it says.
const LAST: [&str; 2] = ["--lines=1", "--output-fields=PRIORITY"];

/// One input, between two starts of its child.
pub(super) struct Reader {
    config: Config,
    source: Arc<Source>,
    place: Place,
    /// Whether it is said to be unreadable.
    is_troubled: bool,
    /// Whether it is said that files are read in its stead.
    is_aside_said: bool,
    /// Since when it is read, wall clock: a file that was written to later holds the same.
    read_since: Timestamp,
    /// When a look is had at the journal, while others are.
    look_for_missed_at: Instant,
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
            place: saved.map_or(Place::Unknown, |position| {
                Place::parse(&position.path.to_string_lossy())
            }),
            is_troubled: false,
            is_aside_said: false,
            read_since: clock::now(),
            look_for_missed_at: clock::monotonic(),
            config,
        }
    }

    /// Where reading goes on.
    pub(super) fn place(&self) -> &Place {
        &self.place
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
        let mut command = self.last_entry();
        match &self.place {
            // By itself: what it was of may be configured no more.
            Place::At(cursor) if cursor != BEGINNING => {
                command = super::command(&self.config.spec);
                command.args(LAST).arg(format!("--cursor={cursor}"));
            }
            // What was written since is in none of those files.
            Place::Aside(until) => {
                command.arg("--reverse").arg(aside::up_to(*until));
            }
            Place::At(_) | Place::Unknown => {}
        }
        let found = Self::ask(handle, &mut command)?.map(|entry| entry.cursor);
        if let Place::At(last) = &self.place {
            self.say_missing(missing(last, found.as_deref()));
            return Ok(());
        }
        let was_aside = matches!(self.place, Place::Aside(_));
        let at_end = found.filter(|_| was_aside || self.config.spec.start_at == StartAt::End);
        self.place = Place::At(at_end.unwrap_or_else(|| BEGINNING.to_owned()));
        self.read_since = clock::now();
        if std::mem::take(&mut self.is_aside_said) {
            tracing::info!(input = %self.config.input, "the journal is read: nobody writes what it holds into a file");
            self.say_unreadable(None);
        }
        self.save(inbox)
    }

    /// What shows the last entry of all that are meant.
    fn last_entry(&self) -> Command {
        let mut command = command(&self.config.spec);
        command.args(LAST);
        self.add_units(&mut command);
        command
    }

    /// The first entry that it shows.
    fn ask(handle: &Handle, command: &mut Command) -> Result<Option<Entry>, Ended> {
        let answer = handle.answer(command).map_err(Ended::Failed)?;
        match answer.split(|byte| *byte == b'\n').next() {
            None | Some([]) => Ok(None),
            Some(found) => {
                let entry = serde_json::from_slice(found);
                entry.map(Some).map_err(|error| Ended::Failed(error.into()))
            }
        }
    }

    /// Whether files are read in its stead; says so when that begins, and has it saved up to where they
    /// hold the same. That ends when an entry stays missing in them.
    pub(super) fn stands_aside<T: From<Event>>(
        &mut self,
        handle: &Handle,
        inbox: &SyncSender<T>,
    ) -> Result<bool, Ended> {
        let now = clock::now();
        let written = aside::last_written(&self.config.spec.unless_files, now);
        let until = match (&self.place, written) {
            (Place::Unknown, Some(at)) if aside::is_fresh(at, now) => at,
            (Place::At(_), Some(at)) if at > self.read_since => now,
            (Place::Unknown | Place::At(_), _) => return Ok(false),
            (Place::Aside(until), written) => (*until).max(written.unwrap_or(*until)),
        };
        if !self.is_aside_said {
            self.say_aside(now);
        }
        if self.place != Place::Aside(until) {
            self.place = Place::Aside(until);
            self.save(inbox)?;
        }
        Ok(!self.has_missed(until, now, handle)?)
    }

    /// Whether there has long been an entry that those files do not hold, which were written to last at
    /// `until`.
    fn has_missed(
        &mut self,
        until: Timestamp,
        now: Timestamp,
        handle: &Handle,
    ) -> Result<bool, Ended> {
        if self.config.spec.unless_files.is_empty() {
            return Ok(true);
        }
        let old_enough = now.minus(aside::MISSING);
        if until >= old_enough || clock::monotonic() < self.look_for_missed_at {
            return Ok(false);
        }
        self.look_for_missed_at = clock::monotonic() + LOOK_FOR_MISSED;
        let mut command = self.last_entry();
        // Backwards, since otherwise the last entry is taken first and then found to be too young.
        command.arg("--reverse").arg(aside::up_to(old_enough));
        let found = Self::ask(handle, &mut command)?;
        Ok(found.is_some_and(|entry| entry.written_at() > aside::held_by(until)))
    }

    fn say_aside(&mut self, now: Timestamp) {
        self.is_aside_said = true;
        self.is_troubled = false;
        let input = &self.config.input;
        let files = aside::names(&self.config.spec.unless_files);
        tracing::info!(%input, "the journal is not read while {files} is written: it holds the same");
        let why = format!("not read while {files} is written, which holds the same");
        let counters = &self.config.counters;
        counters.set_passed_over(input, NAME.into(), why, now);
    }

    fn save<T: From<Event>>(&self, inbox: &SyncSender<T>) -> Result<(), Ended> {
        hand(Event::Moved(self.position(clock::now())), inbox)
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
        if let Place::At(cursor) = &self.place
            && cursor != BEGINNING
        {
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
        let output = BufReader::with_capacity(BATCH_BYTES, output);
        let read = self.read(output, handle, inbox);
        if read.is_err() {
            handle.end();
        }
        read.map(|()| handle.wait())
    }

    fn read<T: From<Event>>(
        &mut self,
        mut output: BufReader<ChildStdout>,
        handle: &Handle,
        inbox: &SyncSender<T>,
    ) -> Result<(), Ended> {
        let most = self.config.max_line_bytes.saturating_mul(MOST_TIMES);
        let most = most.max(1 << 20) as u64;
        let (mut json, mut text) = (Vec::new(), Vec::new());
        let mut framed = Framed::default();
        // It comes again.
        let mut last = match &self.place {
            Place::At(cursor) => Some(cursor.clone()),
            Place::Unknown | Place::Aside(_) => None,
        };
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
                if self.stands_aside(handle, inbox)? {
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
                self.place = Place::At(entry.cursor);
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
        hand(event, inbox)
    }

    /// Behind what was handed over last.
    fn position(&self, now: Timestamp) -> Position {
        Position {
            key: PositionKey::of_input(&self.config.input),
            path: self.place.text().into(),
            offset: 0,
            head: Check::default(),
            tail: Check::default(),
            seen_at: now,
            done: false,
            memory: Memory::default(),
        }
    }
}

/// Hands it over.
pub(super) fn hand<T: From<Event>>(event: Event, inbox: &SyncSender<T>) -> Result<(), Ended> {
    inbox.send(event.into()).map_err(|_| Ended::Closed)
}
