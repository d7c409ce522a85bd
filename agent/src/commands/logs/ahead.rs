//! Reading ahead: a thread that reads and decompresses one log while somebody scans what it read.
//!
//! Bounded: so many blocks wait, one is being read and one is being scanned. Buffers that were
//! scanned come back to be read into.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::blocks::{Block, Blocks};
use crate::threads;

/// Blocks that wait to be scanned.
const WAITING: usize = 4;

/// A log that is being read on a thread of its own. The thread ends with the log, or when nobody
/// takes its blocks any more.
pub(super) struct Ahead {
    blocks: Receiver<io::Result<Option<Block>>>,
    spares: SyncSender<Vec<u8>>,
}

impl Ahead {
    /// # Errors
    ///
    /// When no thread can be started.
    pub(super) fn start(mut from: Blocks) -> io::Result<Self> {
        let (give, blocks) = sync_channel(WAITING);
        let (spares, used) = sync_channel::<Vec<u8>>(WAITING);
        threads::start("read", move || {
            loop {
                let next = from.next(used.try_recv().unwrap_or_default());
                let is_last = !matches!(next, Ok(Some(_)));
                if give.send(next).is_err() || is_last {
                    return;
                }
            }
        })?;
        Ok(Self { blocks, spares })
    }

    /// As [`Blocks::next`], once to the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Block>> {
        // Its last word is an end or an error: without one it has panicked.
        let lost = |_| Err(io::Error::other("the thread that reads it has ended"));
        self.blocks.recv().unwrap_or_else(lost)
    }

    /// A buffer to read into.
    pub(super) fn recycle(&self, buffer: Vec<u8>) {
        // There are enough of them, or the thread has ended.
        self.spares.try_send(buffer).ok();
    }
}
