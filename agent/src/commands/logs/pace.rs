//! Who reads a log that is only copied from the page cache: whoever scans it, or a thread ahead of
//! it. What a second core saves, it may lose again by carrying each byte from one core's cache to the
//! other's: from one hour to the next a copy can take three times as long. So both ways are tried,
//! again and again, and the quicker one is kept. Time comes from outside.

use std::time::{Duration, Instant};

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// Whoever asks for blocks.
    Asker,
    /// A thread of its own.
    Thread,
}

/// Blocks that are measured together: 8 MiB, some milliseconds.
const ROUND: u32 = 16;
/// Rounds for each way. The best one counts: others were interrupted, or had to start a thread.
const TRIES: u32 = 3;
/// Rounds in the quicker way, before both are tried again.
const KEPT: u32 = 90;

/// The trial of both.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When this round began.
    began: Option<Instant>,
    /// Blocks of this round, so far.
    blocks: u32,
    /// Rounds before this one.
    rounds: u32,
    asker: Option<Duration>,
    thread: Option<Duration>,
}

impl Pace {
    /// Another block is asked for at `now`: who is to read it.
    pub(super) fn next(&mut self, now: Instant) -> Reader {
        let began = *self.began.get_or_insert(now);
        if self.blocks == ROUND {
            self.end_round(now.saturating_duration_since(began));
            self.began = Some(now);
        }
        self.blocks += 1;
        self.reader()
    }

    fn reader(&self) -> Reader {
        if self.rounds < TRIES {
            Reader::Asker
        } else if self.rounds < 2 * TRIES || self.thread < self.asker {
            Reader::Thread
        } else {
            Reader::Asker
        }
    }

    fn end_round(&mut self, took: Duration) {
        let best = if self.rounds < TRIES {
            Some(&mut self.asker)
        } else if self.rounds < 2 * TRIES {
            Some(&mut self.thread)
        } else {
            None
        };
        if let Some(best) = best {
            *best = Some(best.map_or(took, |best| best.min(took)));
        }
        self.blocks = 0;
        self.rounds += 1;
        if self.rounds == 2 * TRIES + KEPT {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    /// Who reads each of so many blocks, when one takes this long.
    fn readers(blocks: u32, asker: Duration, thread: Duration) -> Vec<Reader> {
        let (mut pace, mut now) = (Pace::default(), clock::monotonic());
        let mut next = || {
            let reader = pace.next(now);
            now += match reader {
                Reader::Asker => asker,
                Reader::Thread => thread,
            };
            reader
        };
        (0..blocks).map(|_| next()).collect()
    }

    #[test]
    fn both_ways_are_tried_and_the_quicker_one_is_kept() {
        let (short, long) = (Duration::from_micros(100), Duration::from_micros(101));
        let tried = (ROUND * TRIES) as usize;
        for (asker, thread, quicker) in
            [(short, long, Reader::Asker), (long, short, Reader::Thread)]
        {
            let readers = readers(ROUND * (2 * TRIES + KEPT + 1), asker, thread);
            let (trial, kept) = readers.split_at(2 * tried);
            assert_eq!(trial[..tried], vec![Reader::Asker; tried]);
            assert_eq!(trial[tried..], vec![Reader::Thread; tried]);
            let (kept, again) = kept.split_at((ROUND * KEPT) as usize);
            assert!(kept.iter().all(|reader| *reader == quicker), "{quicker:?}");
            assert_eq!(again, vec![Reader::Asker; ROUND as usize], "{quicker:?}");
        }
    }

    #[test]
    fn a_round_that_was_interrupted_does_not_count() {
        let (mut pace, start) = (Pace::default(), clock::monotonic());
        let millis = |count| start + Duration::from_millis(count);
        let mut now = 0;
        let mut last = Reader::Asker;
        for block in 0..=ROUND * 2 * TRIES {
            last = pace.next(millis(now));
            // One of the thread's rounds takes a second, the others half as long as the asker's.
            now += match last {
                Reader::Asker => 2,
                Reader::Thread if block == ROUND * TRIES + 3 => 1_000,
                Reader::Thread => 1,
            };
        }
        assert_eq!(last, Reader::Thread);
    }
}
