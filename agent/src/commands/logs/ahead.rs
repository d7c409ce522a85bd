//! Reading ahead: a thread that reads and decompresses one log while somebody scans what it read.
//!
//! Bounded: so many blocks wait, one is being read and one is being scanned. Buffers that were
//! scanned come back to be read into.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::blocks::{Block, Blocks};
use crate::threads;

/// Blocks that wait to be scanned.
const WAITING: usize = 4;

/// A log that is being read on a thread of its own. The thread ends with the log, when it is told to
/// stop, or when nobody takes its blocks any more.
pub(super) struct Ahead {
    read: Receiver<Next>,
    spares: SyncSender<Vec<u8>>,
    is_told_to_stop: Arc<AtomicBool>,
}

/// What comes from the thread.
pub(super) enum Next {
    /// As of [`Blocks::next`].
    Block(io::Result<Option<Block>>),
    /// It has stopped: the rest of the log.
    Rest(Box<Blocks>),
}

impl Ahead {
    /// # Errors
    ///
    /// When no thread can be started.
    pub(super) fn start(mut from: Box<Blocks>) -> io::Result<Self> {
        let (give, read) = sync_channel(WAITING);
        let (spares, used) = sync_channel::<Vec<u8>>(WAITING);
        let is_told_to_stop = Arc::new(AtomicBool::new(false));
        let must_stop = Arc::clone(&is_told_to_stop);
        threads::start("read", move || {
            while !must_stop.load(Ordering::Relaxed) {
                let next = from.next(used.try_recv().unwrap_or_default());
                let is_last = !matches!(next, Ok(Some(_)));
                if give.send(Next::Block(next)).is_err() || is_last {
                    return;
                }
            }
            give.send(Next::Rest(from)).ok();
        })?;
        Ok(Self {
            read,
            spares,
            is_told_to_stop,
        })
    }

    /// The thread is to stop: some blocks more, then the rest of the log, or its end.
    pub(super) fn stop(&self) {
        self.is_told_to_stop.store(true, Ordering::Relaxed);
    }

    /// To be asked until the log's end, an error, or its rest.
    pub(super) fn next(&mut self) -> Next {
        // Its last word is an end or an error: without one it has panicked.
        let lost = |_| Next::Block(Err(io::Error::other("the thread that reads it has ended")));
        self.read.recv().unwrap_or_else(lost)
    }

    /// A buffer to read into.
    pub(super) fn recycle(&self, buffer: Vec<u8>) {
        // There are enough of them, or the thread has ended.
        self.spares.try_send(buffer).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::super::blocks::{Cutting, Filling};
    use super::*;
    use crate::inputs::framer::Framing;

    fn blocks_of(log: &str) -> Box<Blocks> {
        let cutting = Cutting {
            block_bytes: 64,
            framing: Framing::lines(1024),
            filling: Filling::Full,
        };
        let input = io::Cursor::new(log.as_bytes().to_vec());
        Box::new(Blocks::new(Box::new(input), cutting))
    }

    #[test]
    fn a_thread_that_is_stopped_gives_the_rest_back_and_no_line_is_lost() {
        let log = "some line\nanother one\n".repeat(500);
        for taken in [0, 1, 20] {
            let mut ahead = Ahead::start(blocks_of(&log)).unwrap();
            let mut read = Vec::new();
            let mut blocks = loop {
                if read.len() >= taken {
                    ahead.stop();
                }
                match ahead.next() {
                    Next::Block(block) => {
                        read.push(block.unwrap().expect("a log that has not ended"));
                    }
                    Next::Rest(blocks) => break blocks,
                }
            };
            assert!(read.len() <= taken + WAITING + 2, "{}", read.len());
            while let Some(block) = blocks.next(Vec::new()).unwrap() {
                read.push(block);
            }
            let bytes: Vec<u8> = read
                .into_iter()
                .flat_map(|block| block.framed.bytes)
                .collect();
            assert_eq!(bytes, log.as_bytes());
        }
    }

    #[test]
    fn a_log_that_ends_before_the_thread_hears_of_it_has_ended() {
        let mut ahead = Ahead::start(blocks_of("one line\n")).unwrap();
        let Next::Block(Ok(Some(block))) = ahead.next() else {
            panic!("a line");
        };
        assert_eq!(block.framed.bytes, b"one line\n");
        ahead.stop();
        match ahead.next() {
            Next::Block(Ok(None)) => {}
            Next::Rest(mut blocks) => assert!(blocks.next(Vec::new()).unwrap().is_none()),
            Next::Block(_) => panic!("an end"),
        }
    }
}
