//! The hits of many logs, merged by line time.
//!
//! Each log gives its hits in its own order; the one whose next hit is the oldest goes first, and
//! of equal ones the log that begins first. So before a hit can go, every log that is open must
//! have given one or have ended. The logs are scanned by a crew, each by one thread at a time, and
//! no further ahead than a bounded queue of hits. Of very many logs, those that begin later are not
//! opened before there is room, or their time has come.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use lapwing_rules::model::Timestamp;
use lapwing_rules::scanner::{Hit, Scanner};

use super::crew::{Crew, Job, Reads};
use super::stream::{Going, Stream, Terms};
use crate::error::AgentError;
use crate::threads;

/// Logs that are open at the same time where their times do not ask for more.
const MOST_OPEN: usize = 64;
/// A log with so many hits waiting is not scanned any further.
const MOST_HITS: usize = 1024;

/// Some logs, sorted by their beginnings.
pub(super) struct Merge {
    slots: Vec<Slot>,
    hands: Hands,
    terms: Terms,
    cores: usize,
    most_open: usize,
    /// `slots[..opened]` may be scanned.
    opened: usize,
    /// How many of these have not ended.
    open: usize,
    /// Logs that have not ended, opened or not.
    left: usize,
    /// `slots[..merged]` have their next hits in `next`.
    merged: usize,
    next: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// The log whose hit was given last: its next one has no place in `next` yet.
    last: Option<usize>,
}

/// Who scans.
enum Hands {
    /// Whoever asks for a hit.
    Own(Box<Scanner>),
    /// As many threads as there are cores.
    Crew(Crew),
}

struct Slot {
    /// Not there while a thread has it.
    stream: Option<Box<Stream>>,
    begins: Timestamp,
    hits: VecDeque<Hit>,
    is_done: bool,
    /// Why it ended early: told when its hits are used up.
    failure: Option<AgentError>,
}

/// How much is done at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Width {
    /// Threads that scan; one means none besides the caller's.
    pub(super) cores: usize,
    /// Logs open at the same time.
    pub(super) most_open: usize,
}

impl Width {
    /// All cores.
    pub(super) fn of_host() -> Self {
        Self {
            cores: threads::cores(),
            most_open: MOST_OPEN,
        }
    }
}

impl Merge {
    /// Over `streams`, which know their beginnings.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started.
    pub(super) fn new(
        mut streams: Vec<Stream>,
        scanner: Scanner,
        terms: Terms,
        width: Width,
    ) -> Result<Self, AgentError> {
        streams.sort_by_key(|stream| stream.begins);
        let threads = width.cores.min(streams.len());
        let hands = if threads > 1 {
            Hands::Crew(Crew::start(threads, &scanner, terms)?)
        } else {
            Hands::Own(Box::new(scanner))
        };
        let slots = streams.into_iter().map(|stream| Slot {
            begins: stream.begins,
            stream: Some(Box::new(stream)),
            hits: VecDeque::new(),
            is_done: false,
            failure: None,
        });
        let slots: Vec<Slot> = slots.collect();
        let mut merge = Self {
            left: slots.len(),
            slots,
            hands,
            terms,
            cores: width.cores,
            most_open: width.most_open,
            opened: 0,
            open: 0,
            merged: 0,
            next: BinaryHeap::new(),
            last: None,
        };
        merge.open_some();
        Ok(merge)
    }

    /// The next hit; `None` at the end of all logs. `goes_on` is called whenever it waited.
    ///
    /// # Errors
    ///
    /// When a log cannot be read any further and all its hits before that have been given.
    pub(super) fn next(&mut self, goes_on: &dyn Fn()) -> Result<Option<Hit>, AgentError> {
        if let Some(index) = self.last.take() {
            self.queue(index, goes_on)?;
        }
        while self.merged < self.opened || self.next_has_begun() {
            if self.merged == self.opened {
                self.open_one();
            }
            self.merged += 1;
            self.queue(self.merged - 1, goes_on)?;
        }
        let Some(Reverse((_, index))) = self.next.pop() else {
            return Ok(None);
        };
        self.last = Some(index);
        let slot = self.slots.get_mut(index);
        Ok(slot.and_then(|slot| slot.hits.pop_front()))
    }

    /// The logs, at the end of all of them.
    pub(super) fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.slots.iter().filter_map(|slot| slot.stream.as_deref())
    }

    /// Whether a log that is not open begins before the next hit, or there is no hit.
    fn next_has_begun(&self) -> bool {
        let next = self.next.peek().map(|Reverse((time, _))| *time);
        let begins = self.slots.get(self.opened).map(|slot| slot.begins);
        begins.is_some_and(|begins| next.is_none_or(|next| begins <= next))
    }

    fn open_one(&mut self) {
        self.opened += 1;
        self.open += 1;
    }

    fn open_some(&mut self) {
        while self.open < self.most_open && self.opened < self.slots.len() {
            self.open_one();
        }
    }

    /// Puts the next hit of a log in its place among those of the others, where there is one.
    fn queue(&mut self, index: usize, goes_on: &dyn Fn()) -> Result<(), AgentError> {
        while let Some(slot) = self.slots.get_mut(index) {
            if let Some(hit) = slot.hits.front() {
                self.next.push(Reverse((hit.time, index)));
                if slot.hits.len() == MOST_HITS / 2 {
                    // There is something to do meanwhile.
                    self.give_out(index)?;
                }
                return Ok(());
            }
            if let Some(failure) = slot.failure.take() {
                return Err(failure);
            }
            if slot.is_done {
                return Ok(());
            }
            let done = match &mut self.hands {
                Hands::Own(_) => self.scan_here(index),
                Hands::Crew(_) => {
                    self.give_out(index)?;
                    self.take_back()?
                }
            };
            if let Some(job) = done {
                self.put_back(job);
            }
            goes_on();
        }
        Ok(())
    }

    fn scan_here(&mut self, index: usize) -> Option<Job> {
        let reading = self.reading();
        let stream = self.slots.get_mut(index)?.stream.take()?;
        let mut job = Job::new(index, stream, reading);
        if let Hands::Own(scanner) = &mut self.hands {
            job.work(scanner, self.terms);
        }
        Some(job)
    }

    /// Gives the crew as much as it takes: the log that is waited for first, then those that are
    /// not far ahead.
    fn give_out(&mut self, first: usize) -> Result<(), AgentError> {
        let reading = self.reading();
        let Hands::Crew(crew) = &mut self.hands else {
            return Ok(());
        };
        for index in std::iter::once(first).chain(0..self.opened) {
            if !crew.has_room() {
                break;
            }
            if let Some(slot) = self.slots.get_mut(index)
                && !slot.is_done
                && slot.hits.len() < MOST_HITS
                && let Some(stream) = slot.stream.take()
            {
                crew.give(Job::new(index, stream, reading))?;
            }
        }
        Ok(())
    }

    fn take_back(&mut self) -> Result<Option<Job>, AgentError> {
        match &mut self.hands {
            Hands::Own(_) => Ok(None),
            Hands::Crew(crew) => crew.take(),
        }
    }

    /// A log gets a thread to read it where cores would have nothing to do otherwise.
    fn reading(&self) -> Reads {
        if self.left * 2 <= self.cores {
            Reads::Ahead
        } else {
            Reads::Here
        }
    }

    fn put_back(&mut self, job: Job) {
        let Some(slot) = self.slots.get_mut(job.index) else {
            return;
        };
        slot.stream = Some(job.stream);
        slot.hits.extend(job.hits);
        match job.outcome {
            Ok(Going::On) => return,
            Ok(Going::Ended) => {}
            Err(failure) => slot.failure = Some(failure),
        }
        slot.is_done = true;
        self.open -= 1;
        self.left -= 1;
        self.open_some();
    }
}
