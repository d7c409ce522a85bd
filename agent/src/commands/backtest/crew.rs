//! The threads that scan many logs at once: each takes a log, scans some of it, and gives it back
//! with its hits. Which log is next is not decided here.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use lapwing_rules::scanner::{Hit, Scanner};

use super::stream::{Going, Stream, Terms};
use crate::error::AgentError;
use crate::threads;

/// A log is given back after so many bytes without enough hits.
const SOME_BYTES: u64 = 16 * 1024 * 1024;
/// A log is given back with so many hits, and those of the batch that they end in.
const SOME_HITS: usize = 512;

/// Some work on one log.
pub(super) struct Job {
    /// Which log.
    pub(super) index: usize,
    pub(super) stream: Box<Stream>,
    pub(super) reading: Reads,
    /// What was found.
    pub(super) hits: Vec<Hit>,
    /// How it went.
    pub(super) outcome: Result<Going, AgentError>,
}

/// Who reads the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    /// Whoever scans it.
    Here,
    /// A thread of its own, from now on: there is a core for it.
    Ahead,
}

impl Job {
    pub(super) fn new(index: usize, stream: Box<Stream>, reading: Reads) -> Self {
        Self {
            index,
            stream,
            reading,
            hits: Vec::new(),
            outcome: Ok(Going::On),
        }
    }

    /// Scans until there is something to give back.
    pub(super) fn work(&mut self, scanner: &mut Scanner, terms: Terms) {
        let hits = &mut self.hits;
        let until = self.stream.log.bytes + SOME_BYTES;
        if self.reading == Reads::Ahead {
            self.outcome = self.stream.log.read_ahead().map(|()| Going::On);
        }
        while matches!(self.outcome, Ok(Going::On))
            && hits.len() < SOME_HITS
            && self.stream.log.bytes < until
        {
            let each = &mut |hit: &Hit| hits.push(hit.clone());
            self.outcome = self.stream.scan_batch(scanner, terms, each);
        }
    }
}

/// Some threads that work. They end when the crew is dropped.
pub(super) struct Crew {
    jobs: Sender<Job>,
    /// `None` is a thread's last word.
    done: Receiver<Option<Job>>,
    /// Jobs that were given and have not come back.
    out: usize,
    most_out: usize,
}

impl Crew {
    /// So many threads; each works with its own fork of `scanner`.
    ///
    /// # Errors
    ///
    /// When a thread cannot be started.
    pub(super) fn start(size: usize, scanner: &Scanner, terms: Terms) -> Result<Self, AgentError> {
        let (jobs, waiting) = channel::<Job>();
        let (give_back, done) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..size {
            let (waiting, give_back) = (Arc::clone(&waiting), give_back.clone());
            let mut scanner = scanner.fork();
            let body = move || {
                // Said on the way out, by a panic too.
                let give_back = LastWord(give_back);
                while let Some(mut job) = next(&waiting) {
                    job.work(&mut scanner, terms);
                    if give_back.0.send(Some(job)).is_err() {
                        return;
                    }
                }
            };
            threads::start("scan", body)
                .map_err(AgentError::io("cannot start a thread to scan"))?;
        }
        Ok(Self {
            jobs,
            done,
            out: 0,
            // One waits for each thread, so that none waits for the next one.
            most_out: 2 * size,
        })
    }

    /// Whether another job can be given.
    pub(super) fn has_room(&self) -> bool {
        self.out < self.most_out
    }

    pub(super) fn give(&mut self, job: Job) -> Result<(), AgentError> {
        self.out += 1;
        self.jobs.send(job).map_err(|_| lost())
    }

    /// Waits for a job to be done; `None` when none was given.
    ///
    /// # Errors
    ///
    /// When a thread has panicked, and what it worked on is lost.
    pub(super) fn take(&mut self) -> Result<Option<Job>, AgentError> {
        if self.out == 0 {
            return Ok(None);
        }
        // The jobs are still there to be done: a thread that has ended has panicked.
        let job = self.done.recv().ok().flatten().ok_or_else(lost)?;
        self.out -= 1;
        Ok(Some(job))
    }
}

struct LastWord(Sender<Option<Job>>);

impl Drop for LastWord {
    fn drop(&mut self) {
        self.0.send(None).ok();
    }
}

fn next(waiting: &Mutex<Receiver<Job>>) -> Option<Job> {
    let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    waiting.recv().ok()
}

fn lost() -> AgentError {
    AgentError::Dead("a thread that scans has ended".to_owned())
}
