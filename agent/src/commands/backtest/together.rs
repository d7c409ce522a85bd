//! One log, searched by all cores: each thread reads the next block and searches it while it lies in
//! that core's cache. The caller's thread does so too, and makes hits of what all of them found, in
//! the order of the log.
//!
//! Of a plain file several threads read at once; what is unpacked, and what is near the end, is read by
//! one after the other. Bounded: so many blocks are under way for each thread.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use lapwing_rules::fields::Format;
use lapwing_rules::model::Batch;
use lapwing_rules::scanner::{Scanner, Searched};

use crate::commands::logs::{Fresh, Log, Size};
use crate::error::AgentError;
use crate::threads;

/// Blocks for each thread that were given out to be read and are not yet taken.
const AHEAD: usize = 3;

/// A block of the log that was searched.
struct Piece {
    batch: Batch,
    size: Size,
    searched: Searched,
}

/// What a thread has done.
enum Done {
    Piece(Piece),
    /// There was nothing more to read; or why it could not be read.
    End(Result<(), AgentError>),
}

/// What the threads share.
struct Team<'l> {
    reader: Mutex<Reader<'l>>,
    board: Mutex<Board>,
    /// Something else is on the board.
    changed: Condvar,
    /// How the lines are probably written.
    format: Arc<Format>,
    /// Blocks that may be under way.
    most: usize,
}

struct Reader<'l> {
    log: &'l mut Log,
    /// The number of the next block.
    number: usize,
}

#[derive(Default)]
struct Board {
    /// By their numbers.
    done: BTreeMap<usize, Done>,
    /// How many blocks somebody was told to read, and how many were taken.
    given: usize,
    taken: usize,
    /// Batches that are of no more use.
    spares: Vec<Batch>,
    /// Nothing more is to be read.
    is_over: bool,
    /// A thread has panicked.
    is_lost: bool,
    /// Threads that wait for something else to be on the board.
    waiting: usize,
}

/// What there is to do for whoever makes hits.
enum Task {
    /// To make hits of what was found in the next block.
    Take(Done),
    /// To read and search another one; with a batch that is of no more use.
    Search(Option<Batch>),
}

/// Calls `each` for every block of `log`, in order, with what was found in it by `scanner` or by a
/// fork of it; so many threads in all, the caller's among them.
///
/// # Errors
///
/// When the log cannot be read to its end, a thread cannot be started, or `each` fails.
pub(super) fn search(
    log: &mut Log,
    (scanner, format): (&mut Scanner, Arc<Format>),
    size: usize,
    each: &mut dyn FnMut(&mut Scanner, &Batch, &Searched) -> Result<(), AgentError>,
) -> Result<(), AgentError> {
    log.share();
    let mut sum = Size::default();
    let reader = Reader { log, number: 0 };
    let team = Team {
        reader: Mutex::new(reader),
        board: Mutex::default(),
        changed: Condvar::new(),
        format,
        most: AHEAD * size,
    };
    let outcome = threads::scope(|scope| {
        // However this one ends, the others do.
        let end = End(&team);
        let mut others = Vec::new();
        for _ in 1..size {
            let (team, mut scanner) = (&team, scanner.fork());
            let other = threads::start_in(scope, "scan", move || team.help(&mut scanner));
            others.push(other.map_err(AgentError::io("cannot start a thread to scan"))?);
        }
        let outcome = team.lead(scanner, &mut sum, each);
        drop(end);
        // One that has panicked is on the board.
        for other in others {
            drop(other.join());
        }
        outcome
    });
    log.add(sum);
    outcome
}

impl Team<'_> {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed<'b>(&self, mut board: MutexGuard<'b, Board>) -> MutexGuard<'b, Board> {
        board.waiting += 1;
        let changed = self.changed.wait(board);
        let mut board = changed.unwrap_or_else(PoisonError::into_inner);
        board.waiting -= 1;
        board
    }

    /// Wakes those who wait, if there are any: it is a call to the system.
    fn tell(&self, board: MutexGuard<'_, Board>) {
        let has_listeners = board.waiting > 0;
        drop(board);
        if has_listeners {
            self.changed.notify_all();
        }
    }

    /// Takes each block when it is its turn, and searches others meanwhile.
    fn lead(
        &self,
        scanner: &mut Scanner,
        sum: &mut Size,
        each: &mut dyn FnMut(&mut Scanner, &Batch, &Searched) -> Result<(), AgentError>,
    ) -> Result<(), AgentError> {
        loop {
            match self.next_task()? {
                Task::Search(spare) => self.search_next(scanner, spare),
                Task::Take(Done::Piece(piece)) => {
                    sum.add(piece.size);
                    each(scanner, &piece.batch, &piece.searched)?;
                    self.board().spares.push(piece.batch);
                }
                Task::Take(Done::End(outcome)) => return outcome,
            }
        }
    }

    fn next_task(&self) -> Result<Task, AgentError> {
        let mut board = self.board();
        loop {
            let next = board.taken;
            if let Some(done) = board.done.remove(&next) {
                board.taken += 1;
                // There is room for another one.
                self.tell(board);
                return Ok(Task::Take(done));
            }
            if board.is_lost {
                return Err(AgentError::Dead("a thread that scans has ended".to_owned()));
            }
            if let Some(spare) = self.may_search(&mut board) {
                return Ok(Task::Search(spare));
            }
            board = self.changed(board);
        }
    }

    /// Searches blocks until there are no more.
    fn help(&self, scanner: &mut Scanner) {
        let _end = End(self);
        let mut board = self.board();
        while !board.is_over {
            let Some(spare) = self.may_search(&mut board) else {
                board = self.changed(board);
                continue;
            };
            drop(board);
            self.search_next(scanner, spare);
            board = self.board();
        }
    }

    /// Whether another block may be searched, with what is there to read it into.
    #[expect(clippy::option_option, reason = "with a spare batch or without one")]
    fn may_search(&self, board: &mut Board) -> Option<Option<Batch>> {
        let has_room = board.given < board.taken + self.most;
        (has_room && !board.is_over).then(|| {
            board.given += 1;
            board.spares.pop()
        })
    }

    fn search_next(&self, scanner: &mut Scanner, spare: Option<Batch>) {
        let (number, read) = self.read(spare);
        let done = match read {
            Ok(Some(block)) => Done::Piece(Piece {
                size: block.size(),
                searched: scanner.search(&block.batch, &self.format),
                batch: block.batch,
            }),
            Ok(None) => Done::End(Ok(())),
            Err(error) => Done::End(Err(error)),
        };
        let mut board = self.board();
        board.is_over |= matches!(done, Done::End(_));
        board.done.insert(number, done);
        self.tell(board);
    }

    /// The next block, and its number.
    fn read(&self, spare: Option<Batch>) -> (usize, Result<Option<Fresh>, AgentError>) {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let number = reader.number;
        reader.number += 1;
        if let Some(place) = reader.log.next_place() {
            drop(reader);
            let spare = spare.map_or_else(Vec::new, |batch| batch.bytes);
            return (number, place.read(spare).map(Some));
        }
        if let Some(spare) = spare {
            reader.log.recycle(spare);
        }
        (number, reader.log.next_block())
    }
}

/// Tells the other threads that this one has ended.
struct End<'t, 'l>(&'t Team<'l>);

impl Drop for End<'_, '_> {
    fn drop(&mut self) {
        let mut board = self.0.board();
        board.is_over = true;
        board.is_lost |= threads::panicking();
        self.0.tell(board);
    }
}
