//! Where lines come from. An input knows the inbox of the pump and nothing beyond it: it hands
//! over [`Event`]s through a bounded channel, and a full channel makes it wait.

pub mod count;
pub mod framer;
pub mod journal;
pub mod multiline;
pub mod stdin;
pub mod syslog;
pub mod tail;
pub mod utf16;

use std::path::PathBuf;

use lapwing_rules::model::{Batch, InputId, Timestamp};
use lapwing_rules::scanner::Memory;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedSender;

/// What an input tells the pump.
#[derive(Debug)]
pub enum Event {
    /// Lines.
    Lines {
        /// Whole lines of one source.
        batch: Batch,
        /// Durable together with everything that `batch` causes; `None` where there is nothing to
        /// return to (standard input).
        position: Option<Position>,
    },
    /// A position changed without lines: a file was found, renamed, truncated or has only grown
    /// by a part of a line.
    Moved(Position),
    /// A file is gone for good: its position is of no more use.
    Forget(PositionKey),
    /// Every file that exists has its starting position: the input is ready.
    Ready(InputId),
    /// The answer to [`tail::Handle::look`]: every line that stood in a file at this time, wall
    /// clock, has been handed over. Only then can silence be told from lines not read yet.
    Current(Timestamp),
    /// Somebody waits to hear that everything before this is durable.
    Awaited(Receipt),
    /// The input has ended (standard input closed) and will say nothing more.
    Ended(InputId),
}

/// Tells an input that what it handed over, up to a certain place, is durable with all that it caused;
/// or, where it is dropped before that is so, that nobody will ever tell.
#[derive(Debug)]
pub struct Receipt {
    number: u64,
    /// `None` once it has told.
    back: Option<UnboundedSender<Settled>>,
}

/// What became of a [`Receipt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// What came before the one with this number is durable.
    Durable(u64),
    /// Whoever had one is gone: what came before it may be durable, or not.
    Lost,
}

impl Receipt {
    /// `number` goes to `back` once it is so.
    pub fn new(number: u64, back: UnboundedSender<Settled>) -> Self {
        Self {
            number,
            back: Some(back),
        }
    }

    /// It is durable. Never waits.
    pub fn confirm(mut self) {
        self.tell(Settled::Durable(self.number));
    }

    fn tell(&mut self, settled: Settled) {
        if let Some(back) = self.back.take() {
            // Whoever has gone will send it again.
            back.send(settled).ok();
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.tell(Settled::Lost);
    }
}

/// What a file is known by, whatever its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PositionKey {
    /// The name of the input.
    pub input: String,
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
}

impl PositionKey {
    /// That of an input with one position and no file, such as a journal.
    pub fn of_input(name: &str) -> Self {
        Self {
            input: name.to_owned(),
            device: 0,
            inode: 0,
        }
    }

    /// Whether it is the whole input's.
    pub fn is_of_input(&self) -> bool {
        (self.device, self.inode) == (0, 0)
    }
}

/// How far a file has been read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Which file.
    pub key: PositionKey,
    /// The name under which it was last seen.
    pub path: PathBuf,
    /// Every line before this byte has been handed over.
    pub offset: u64,
    /// A check of the first bytes: tells a new file from an old one with the same inode.
    pub head: Check,
    /// A check of the last bytes before `offset`: tells a file that was truncated and refilled.
    pub tail: Check,
    /// When it was last seen and nothing was open about what had been rotated away before, wall clock: the
    /// next start looks for what its family got after that.
    pub seen_at: Timestamp,
    /// It had been rotated away, all of it was read, and for a while nothing came: when it is gone, nothing
    /// is lost.
    pub done: bool,
    /// What the lines before `offset` said of those behind it. The input leaves it empty and the
    /// pump fills it in.
    pub memory: Memory,
}

/// A hash over a few bytes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// How many bytes.
    pub len: u32,
    /// Their hash: the first 8 bytes of SHA-256, big endian.
    pub hash: u64,
}
