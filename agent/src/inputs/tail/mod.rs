//! Follows files through growth, rotation and truncation, on one thread for all file inputs.
//!
//! How it holds what the contract says of tailed files:
//! - *Notices are hints.* inotify says where to look at once; every 10 s everything is looked at
//!   anyway, so a lost notice costs time and no line.
//! - *A name is not a file.* A file is known by device and inode, by a check of its first bytes and
//!   by the bytes before the place where reading stopped. Those last ones are read again with each
//!   read, so that a truncated and refilled file is found out even when it is longer than before.
//! - *Renamed and deleted files stay open* and are read to their ends before their successors are,
//!   and until nothing came for 5 s in which this thread looked: time that it was held up counts for nothing.
//! - *A copy is not a new file.* What was copied aside to be truncated continues where reading of
//!   the original had stopped, in the glob or not.
//! - *A compressed file is its text.* It is held against what is known of the files that it may have
//!   been, and read on where that stopped; one that is nobody's is read like any new file.
//! - *What the agent writes is not read.* Each alert would cause the next.
//! - *What could not be read is booked*, by file ([`Counters::losses`]).
//! - *A full inbox is a wait.* What is not read waits on the disk.
//!
//! It hands over [`Event`]s and positions; making them durable is not its work. It starts no thread
//! but the one in which `notify` waits for the system.

mod account;
mod archives;
mod attention;
mod compared;
mod counters;
mod departed;
mod families;
mod file;
mod identity;
mod kept;
mod known;
mod listing;
mod losses;
mod opened;
mod own;
mod packed;
mod pattern;
mod poller;
mod reading;
mod reconcile;
mod records;
mod standing;
mod start;
mod sweep;
mod table;
mod turns;
mod twins;
mod unpacked;
mod voice;
mod wake;

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use lapwing_rules::model::InputId;

pub use counters::Counters;
pub use kept::Kept;
pub use losses::{InputFigures, Loss, LossKind, Unread, Unreadable};
pub use own::{Own, OwnAt};
pub use pattern::{Exclude, Pattern, PatternError, Walked, bases};
pub use wake::{Control, Handle, Notices, control};

use super::framer::Framing;
use super::{Event, Position};

/// One file input.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name, as in positions.
    pub input: String,
    /// Its index, as in batches.
    pub id: InputId,
    /// What it means.
    pub paths: Vec<Pattern>,
    /// What it does not mean although a path does.
    pub exclude: Vec<Exclude>,
    /// Where files that exist at the very first start are read from.
    pub start_at: StartAt,
    /// Which lines are one record, and where longer ones are cut.
    pub framing: Framing,
}

/// Where a file that was never seen before is read from, at the very first start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// Behind the last line that is there. A line under way is not there yet: its LF comes while
    /// the agent runs, and it is handed over whole, not from its middle.
    End,
    /// At its first byte.
    Beginning,
}

/// Whether there was any state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstStart {
    /// None at all: `start_at` decides.
    Yes,
    /// There was: files without a position appeared while nobody looked, and are read from their
    /// beginning.
    No,
    /// There was, and where files were read to is lost: those that exist begin at their ends,
    /// whatever `start_at` says, so that old lines are not told as news. Whoever says so must say
    /// it loudly.
    Lost,
}

/// Everything that [`run`] needs to know.
#[derive(Debug)]
pub struct Setup {
    /// All file inputs. Names and ids are unique.
    pub configs: Vec<Config>,
    /// Positions of an earlier run; those of other inputs are left alone.
    pub saved: Vec<Position>,
    /// Whether there was any state.
    pub first_start: FirstStart,
    /// What [`run`] gave when it was stopped for this one.
    pub kept: Vec<Kept>,
    /// What the agent writes itself: never followed.
    pub own: Vec<Own>,
    /// How changes are noticed.
    pub notices: Notices,
    /// Where to count.
    pub counters: Arc<Counters>,
}

/// Nobody holds the other end of the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Closed;

/// Follows the files of all inputs until [`Handle::stop`], or until the receiver of `inbox` is
/// gone. Blocks while `inbox` is full. Says [`Event::Ready`] once for each input, after the
/// [`Event::Moved`] of each of its files. Gives what a successor could not open again.
pub fn run<T: From<Event>>(setup: Setup, control: &Control, inbox: &SyncSender<T>) -> Vec<Kept> {
    let mut send = |event: Event| inbox.send(event.into()).map_err(|_| Closed);
    let mut tailer = poller::Tailer::new(setup, control, &mut send);
    if tailer.run() == Err(Closed) {
        tracing::debug!("nobody takes lines any more: files are not followed any further");
    }
    tailer.keep()
}

#[cfg(test)]
mod tests;
