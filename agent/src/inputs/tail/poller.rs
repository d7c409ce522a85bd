//! The loop of the tail thread: take notices, let each file that has more have a turn, look at
//! everything from time to time, and otherwise sleep.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use lapwing_rules::model::Timestamp;

use super::attention::Attention;
use super::departed::{Bereft, Claimed};
use super::file::Place;
use super::identity::FileId;
use super::kept::Kept;
use super::listing::Listings;
use super::losses::Unread;
use super::opened::Look;
use super::own::Owns;
use super::reading::SCRATCH_BYTES;
use super::records::Records;
use super::sweep::Sweep;
use super::table::{FileNo, Table};
use super::voice::{Cause, Voice};
use super::wake::{Control, Folders, Notices, Signal};
use super::{Closed, Config, Counters, FirstStart, Setup};
use crate::clock;
use crate::inputs::framer::Framed;
use crate::inputs::{Event, Position, PositionKey};

/// At the worst, a change is found after this.
pub(super) const SCAN_EVERY: Duration = Duration::from_secs(10);
/// Files are looked at this often where no notices come.
const POLL_EVERY: Duration = Duration::from_millis(250);
/// What is held is summed up this often at most while anything happens, and with each scan.
const GAUGE_EVERY: Duration = Duration::from_secs(1);
/// A displaced file is kept open until nothing came for so long: a writer may hold on to it until
/// it is told to open the new one.
pub(super) const LINGER: Duration = Duration::from_secs(5);
/// Files open at once, at most; less where the limit of the process is low.
const MAX_OPEN: usize = 512;

/// All state of the tail thread.
pub(super) struct Tailer<'a> {
    pub(super) configs: Vec<Config>,
    /// The configs' names, shared by their files.
    pub(super) names: Vec<Arc<str>>,
    /// Positions whose files are not there now, by input.
    pub(super) homeless: Vec<Vec<Position>>,
    pub(super) first_start: FirstStart,
    pub(super) table: Table,
    pub(super) folders: Folders,
    /// Files that may have more.
    pub(super) queue: VecDeque<FileNo>,
    /// Files that are not where they were found, and not let go yet.
    pub(super) displaced: BTreeSet<FileNo>,
    /// Records that wait for more lines.
    pub(super) records: Records,
    /// Files that may be copies.
    pub(super) suspects: BTreeSet<FileNo>,
    /// Compressed files that may be in the making.
    pub(super) archives: BTreeSet<FileNo>,
    /// Files of an earlier run that may have become compressed ones.
    pub(super) claimed: Vec<Claimed>,
    pub(super) listings: Listings,
    pub(super) own: Owns,
    /// What the thread before this one has left open.
    pub(super) kept: Vec<Kept>,
    /// Files that lost their last name while they were closed: nobody followed them up yet.
    pub(super) bereft: Vec<Bereft>,
    /// Positions that compressed files have taken over at the start.
    pub(super) taken_over: Vec<(usize, Position)>,
    /// Files that were moved into folders that nobody looks into, those before the others first.
    pub(super) elsewhere: VecDeque<(usize, PositionKey)>,
    /// Positions of files that are no more, with their inputs and the doors at which they were first.
    pub(super) departed: VecDeque<(usize, Position, PathBuf)>,
    /// Until when an earlier run had looked at the files of a name. By input and door.
    pub(super) family_since: HashMap<(usize, PathBuf), Timestamp>,
    /// Of files that have or had one name, the one found last: the next one is read after it. By
    /// input and door.
    pub(super) families: HashMap<(usize, PathBuf), FileNo>,
    /// Files written to before this were rotated before it began.
    pub(super) started_at: Timestamp,
    /// What the start may have overlooked is looked for: so many times that was done, or, once
    /// everything is known to be found, `None`.
    pub(super) unsettled: Option<u32>,
    /// All that was rotated away before this is known, and has a position: wall clock. Where the start is
    /// unsettled, see [`Self::seen_at`].
    pub(super) settled_at: Timestamp,
    /// What was complained of, and has not worked since; by input.
    pub(super) complained: HashMap<(usize, PathBuf), Unread>,
    /// Look at everything now.
    pub(super) scan_now: bool,
    /// The same, with the next poll.
    pub(super) scan_soon: bool,
    pub(super) scratch: Vec<u8>,
    /// An empty one, with the memory of a batch that was given back.
    pub(super) spare: Framed,
    pub(super) counters: Arc<Counters>,
    pub(super) voice: Voice,
    pub(super) gauged_at: Instant,
    pub(super) send: &'a mut dyn FnMut(Event) -> Result<(), Closed>,
    pub(super) control: &'a Control,
    pub(super) scanned_at: Instant,
    pub(super) sweep: Sweep,
    /// What is waited for in vain is waited for by this clock.
    pub(super) attention: Attention,
    polled_at: Instant,
    /// The same, by `attention`.
    looked_at: Instant,
    /// Files without notices are not looked at again before this.
    blind_until: Instant,
    /// When somebody asked for everything to be read; answered once it is.
    asked_at: Option<Timestamp>,
}

/// The positions of an earlier run, by input; those of other inputs are left alone.
fn by_input(configs: &[Config], saved: Vec<Position>) -> Vec<Vec<Position>> {
    let mut homeless = vec![Vec::new(); configs.len()];
    for position in saved {
        let of = |config: &Config| config.input == position.key.input;
        let slot = configs.iter().position(of);
        if let Some(slot) = slot.and_then(|at| homeless.get_mut(at)) {
            slot.push(position);
        }
    }
    homeless
}

/// What the loop does next.
enum Next {
    Work,
    Stop,
    End,
}

impl<'a> Tailer<'a> {
    pub(super) fn new(
        setup: Setup,
        control: &'a Control,
        send: &'a mut dyn FnMut(Event) -> Result<(), Closed>,
    ) -> Self {
        let table = Table::new(max_open());
        let folders = Folders::new(setup.notices, &table.paths, control);
        if setup.notices == Notices::Off {
            tracing::debug!("file changes are found by looking only");
        }
        let homeless = by_input(&setup.configs, setup.saved);
        let now = clock::monotonic();
        let attention = Attention::new();
        let started_at = clock::now();
        let names: Vec<Arc<str>> = setup
            .configs
            .iter()
            .map(|config| config.input.as_str().into())
            .collect();
        setup.counters.ledger.begin(&names);
        Self {
            names,
            configs: setup.configs,
            homeless,
            first_start: setup.first_start,
            table,
            folders,
            queue: VecDeque::new(),
            displaced: BTreeSet::new(),
            suspects: BTreeSet::new(),
            archives: BTreeSet::new(),
            claimed: Vec::new(),
            listings: Listings::default(),
            own: Owns::new(setup.own),
            kept: setup.kept,
            bereft: Vec::new(),
            taken_over: Vec::new(),
            departed: VecDeque::new(),
            elsewhere: VecDeque::new(),
            family_since: HashMap::new(),
            records: Records::default(),
            families: HashMap::new(),
            started_at,
            settled_at: started_at,
            unsettled: (setup.first_start == FirstStart::No).then_some(0),
            complained: HashMap::new(),
            scan_now: false,
            scan_soon: false,
            scratch: vec![0; SCRATCH_BYTES],
            counters: setup.counters,
            spare: Framed::default(),
            voice: Voice::default(),
            gauged_at: now,
            send,
            control,
            scanned_at: now,
            sweep: Sweep::new(now),
            polled_at: now,
            looked_at: attention.now(),
            attention,
            blind_until: now,
            asked_at: None,
        }
    }

    /// Until stopped.
    pub(super) fn run(&mut self) -> Result<(), Closed> {
        self.start()?;
        loop {
            match self.wait() {
                Next::Stop => return Ok(()),
                Next::End => return self.read_out_of_reach(),
                Next::Work => self.work()?,
            }
            self.answer()?;
        }
    }

    /// Sleeps until there is something to do.
    fn wait(&mut self) -> Next {
        self.attention.worked();
        let signal = if self.queue.is_empty() && !self.scan_now {
            let span = self.next_look();
            let signal = self.control.signals.recv_timeout(span);
            self.attention.slept(span);
            signal
        } else {
            self.control
                .signals
                .try_recv()
                .map_err(|error| match error {
                    TryRecvError::Empty => RecvTimeoutError::Timeout,
                    TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
                })
        };
        match signal {
            Ok(Signal::Look) => {
                self.asked_at.get_or_insert_with(clock::now);
                self.scan_now = true;
                Next::Work
            }
            Ok(Signal::Changed) | Err(RecvTimeoutError::Timeout) => Next::Work,
            Ok(Signal::End) => Next::End,
            Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => Next::Stop,
        }
    }

    /// Says that everything was read as it stood when that was asked for, once it was.
    fn answer(&mut self) -> Result<(), Closed> {
        if self.queue.is_empty()
            && !self.scan_now
            && self.suspects.is_empty()
            && self.asked_at.is_some()
            && !self.waits_for_records(clock::monotonic())
            && let Some(asked_at) = self.asked_at.take()
        {
            (self.send)(Event::Current(asked_at))?;
        }
        Ok(())
    }

    /// After which time something has to be looked at although nobody said so.
    fn next_look(&self) -> Duration {
        let now = clock::monotonic();
        let mut next = self.scanned_at + SCAN_EVERY;
        let in_doubt = self.scan_soon
            || !(self.suspects.is_empty() && self.archives.is_empty() && self.bereft.is_empty());
        if !self.folders.sees_all() {
            next = next.min((self.polled_at + POLL_EVERY).max(self.blind_until));
        }
        if in_doubt {
            next = next.min(self.polled_at + POLL_EVERY);
        }
        let attentive = self.attention.now();
        let after = |due: Instant| now + due.saturating_duration_since(attentive);
        next = self.records.due().map_or(next, |due| next.min(after(due)));
        for file in self.displaced.iter().filter_map(|&no| self.table.get(no)) {
            // One whose name is not taken yet has nothing to wait for but a notice.
            let due = file.quiet_since + LINGER;
            if due > self.looked_at {
                next = next.min(after(due).max(self.polled_at + POLL_EVERY));
            }
        }
        next.saturating_duration_since(now)
    }

    /// One round.
    fn work(&mut self) -> Result<(), Closed> {
        self.listings.forget();
        self.attention.hears();
        let changes = self.table.paths.take();
        for no in changes.written {
            self.notice(no);
        }
        self.touched(&changes.touched)?;
        let now = clock::monotonic();
        if changes.everything {
            self.counters.overflows.add(1);
            if let Some(others) = self.voice.may_say(Cause::Overflow, now) {
                tracing::warn!(
                    others,
                    "the system dropped notices of file changes: looking at everything; raise the sysctl fs.inotify.max_queued_events",
                );
            }
            self.scan_now = true;
            let unseen = self.table.iter_mut().filter(|(_, file)| !file.is_open());
            unseen.for_each(|(_, file)| file.noticed = true);
        }
        if self.scan_now || now >= self.scanned_at + SCAN_EVERY {
            self.sweep(now)?;
            self.scanned_at = clock::monotonic();
        }
        self.round()?;
        self.complete_quiet_records(self.attention.now())?;
        if now >= self.polled_at + POLL_EVERY {
            self.polled_at = now;
            let attentive = self.attention.now();
            self.looked_at = attentive;
            self.scan_now |= std::mem::take(&mut self.scan_soon);
            self.poll_blind(now);
            self.judge_suspects()?;
            self.judge_archives(attentive)?;
            self.let_go_of_quiet(attentive)?;
            if now >= self.gauged_at + GAUGE_EVERY {
                self.gauge();
            }
        }
        Ok(())
    }

    /// A turn for each file that may have more.
    pub(super) fn round(&mut self) -> Result<(), Closed> {
        for _ in 0..self.queue.len() {
            let Some(no) = self.queue.pop_front() else {
                break;
            };
            if let Some(file) = self.table.get_mut(no) {
                file.queued = false;
                self.give_turn(no)?;
            }
        }
        Ok(())
    }

    /// Gives it a turn in the next round.
    pub(super) fn enqueue(&mut self, no: FileNo) {
        if let Some(file) = self.table.get_mut(no).filter(|file| !file.queued) {
            file.queued = true;
            self.queue.push_back(no);
        }
    }

    /// It was written to since it was last read.
    fn notice(&mut self, no: FileNo) {
        if let Some(file) = self.table.get_mut(no) {
            file.noticed = true;
        }
        self.enqueue(no);
    }

    /// It was looked at, and may not be as it was when it was last read.
    pub(super) fn compare_look(&mut self, no: FileNo, metadata: &Metadata) {
        let Some(file) = self.table.get_mut(no) else {
            return;
        };
        file.noticed = Look::of(metadata) != file.look;
        if file.noticed {
            file.seen(metadata.len());
            self.enqueue(no);
        }
    }

    /// Looks at files from whose folders no notices come.
    fn poll_blind(&mut self, now: Instant) {
        if self.folders.sees_all() || now < self.blind_until {
            return;
        }
        let blind = |real: &Path| {
            real.parent()
                .is_none_or(|folder| !self.folders.sees(folder))
        };
        let files: Vec<FileNo> = self
            .table
            .iter()
            .filter(|(_, file)| blind(&file.real))
            .map(|(no, _)| no)
            .collect();
        for no in files {
            self.look_at(no);
        }
        // Many files, or slow ones, are looked at less often: no more than 2 % of the time goes there.
        let spent = clock::monotonic().saturating_duration_since(now);
        self.blind_until = now + (spent * 50).min(SCAN_EVERY);
    }

    /// Enqueues a file that is not as it was when it was last read. One that has lost its name asks
    /// for a scan.
    pub(super) fn look_at(&mut self, no: FileNo) {
        let Some(file) = self.table.get(no) else {
            return;
        };
        if file.place == Place::Gone || file.is_open() && file.place == Place::Moved {
            self.enqueue(no);
        }
        let Some(file) = self.table.get(no).filter(|file| file.place != Place::Gone) else {
            return;
        };
        let name = if file.place == Place::Here {
            &file.door
        } else {
            &file.real
        };
        match std::fs::metadata(name) {
            Ok(metadata) if FileId::of(&metadata) == file.id => {
                self.compare_look(no, &metadata);
            }
            _ => self.scan_now = true,
        }
    }
}

/// Half of what the process may open, so that outputs and the store have the other half.
fn max_open() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let half = limit.map_or(MAX_OPEN, |limit| {
        usize::try_from(limit / 2).unwrap_or(MAX_OPEN)
    });
    half.clamp(1, MAX_OPEN)
}
