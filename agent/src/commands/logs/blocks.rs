//! A stream of bytes → blocks of whole lines, in the very buffers that they were read into.
//!
//! Of each block only the beginning of the line that it cuts is copied, to the head of the next
//! one. Lines that are too long go through the [`Framer`], which says what is left of them, and so do
//! those that belong together or are written in UTF-16: what comes out is what it would give, whatever
//! the reads.

use std::io::{self, Read};

use lapwing_rules::model::Segment;
use memchr::{memchr, memchr_iter, memrchr};

use crate::inputs::framer::{Encoding, Framed, Framer, Framing};
use crate::inputs::utf16::Mark;

/// Where bytes come from.
pub(super) type Input = Box<dyn Read + Send>;

/// When a block is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filling {
    /// When it is full, or the input has ended.
    Full,
    /// As soon as there is a line: somebody may be writing it just now.
    Prompt,
}

/// How a stream is cut.
#[derive(Clone, Debug)]
pub(super) struct Cutting {
    /// Bytes read for one block.
    pub(super) block_bytes: usize,
    /// Which lines belong together, and how long they may be.
    pub(super) framing: Framing,
    pub(super) filling: Filling,
}

/// Some whole lines.
#[derive(Debug)]
pub(super) struct Block {
    /// Never without a line.
    pub(super) framed: Framed,
    /// How many lines these were joined from; `None` where they are as they were.
    pub(super) joined: Option<u64>,
    /// Bytes read since the block before.
    pub(super) read: u64,
}

/// Who finds the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// Not known before the first bytes are.
    Unknown,
    /// This file, in the buffer that was read into, but for lines that are too long.
    Blocks,
    /// The framer: lines belong together, or are not written in bytes.
    Framer,
}

/// Room for the line that the block before cut, at the head of a new buffer.
const HEAD_BYTES: usize = 4 * 1024;

/// Reads a stream to its end.
pub(super) struct Blocks {
    input: Input,
    cutting: Cutting,
    /// The beginning of a line whose end was not read yet: at most `max_line_bytes + 1`.
    carry: Vec<u8>,
    /// The place of the first byte of `carry`, or of the next byte to be read.
    offset: u64,
    /// There while a line is under way that has become too long to be carried; or always.
    framer: Option<Framer>,
    who: Who,
    /// What was read into, where it is copied from.
    raw: Vec<u8>,
    /// Lines that were handed out of those that the framer has joined.
    joined: u64,
    read: u64,
    end: Option<io::Result<()>>,
}

impl Blocks {
    pub(super) fn new(input: Input, cutting: Cutting) -> Self {
        Self {
            input,
            cutting,
            carry: Vec::new(),
            offset: 0,
            framer: None,
            who: Who::Unknown,
            raw: Vec::new(),
            joined: 0,
            read: 0,
            end: None,
        }
    }

    /// The next lines; `None` at the end. A last line without LF counts. `spare` is a buffer that
    /// is of no more use, or an empty one.
    ///
    /// # Errors
    ///
    /// When reading fails, once; the whole lines before that have been handed out.
    pub(super) fn next(&mut self, mut spare: Vec<u8>) -> io::Result<Option<Block>> {
        while self.end.is_none() {
            let framed = if self.who == Who::Framer {
                self.read_framed(spare)
            } else {
                self.prepare(&mut spare);
                let filled = self.fill(&mut spare);
                self.cut(spare, filled)
            };
            if !framed.bytes.is_empty() {
                return Ok(Some(Block {
                    framed,
                    joined: self.joined_lines(),
                    read: std::mem::take(&mut self.read),
                }));
            }
            spare = framed.bytes;
        }
        match self.end.replace(Ok(())) {
            Some(Err(error)) => Err(error),
            _ => Ok(None),
        }
    }

    /// Where the next line begins, and how much of it was read; `None` where lines cannot be read by
    /// their place: they are joined or written in UTF-16, one is too long, or the input has ended.
    pub(super) fn place(&self) -> Option<(u64, u64)> {
        let is_plain = self.who == Who::Blocks && self.framer.is_none() && self.end.is_none();
        is_plain.then_some((self.offset, self.carry.len() as u64))
    }

    /// From now on reads the input from `offset`, which is the first byte of a line: the input stands
    /// there.
    pub(super) fn go_to(&mut self, offset: u64) {
        self.carry.clear();
        self.offset = offset;
    }

    /// Makes `buffer` as long as it has to be, with the carried bytes at its head.
    fn prepare(&mut self, buffer: &mut Vec<u8>) {
        let length = self.carry.len() + self.cutting.block_bytes;
        if buffer.capacity() < length {
            *buffer = Vec::with_capacity(length.max(self.cutting.block_bytes + HEAD_BYTES));
        }
        // A buffer that was full is nearly as long: hardly a byte has to be zeroed.
        buffer.resize(length, 0);
        if let Some(head) = buffer.get_mut(..self.carry.len()) {
            head.copy_from_slice(&self.carry);
        }
    }

    /// Reads behind the carried bytes; gives where the bytes of the stream end.
    fn fill(&mut self, buffer: &mut [u8]) -> usize {
        let mut filled = self.carry.len();
        while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
            let count = match self.input.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.end = Some(Err(error));
                    break;
                }
                Ok(0) => {
                    self.end = Some(Ok(()));
                    break;
                }
                Ok(count) => count,
            };
            filled += count;
            self.read += count as u64;
            if self.cutting.filling == Filling::Prompt
                && memchr(b'\n', room.get(..count).unwrap_or_default()).is_some()
            {
                break;
            }
        }
        filled
    }

    /// What of `buffer[..filled]` is whole lines; the rest waits for its end.
    fn cut(&mut self, mut buffer: Vec<u8>, filled: usize) -> Framed {
        let max = self.cutting.framing.max_line_bytes;
        buffer.truncate(filled);
        if self.who == Who::Unknown {
            let has_mark = Mark::of(&buffer) != Mark::No;
            let joins = self.cutting.framing.multiline.is_some();
            self.who = if has_mark || joins {
                Who::Framer
            } else {
                Who::Blocks
            };
            if self.who == Who::Framer {
                self.raw = buffer;
                return self.frame(filled, Vec::new());
            }
        }
        let whole = match &self.end {
            Some(Ok(())) => filled,
            _ => memrchr(b'\n', &buffer).map_or(0, |lf| lf + 1),
        };
        let (lines, rest) = buffer.split_at(whole);
        if self.framer.is_some() || rest.len() > max + 1 || !are_short(lines, max) {
            return self.cut_long(lines, rest);
        }
        self.carry.clear();
        self.carry.extend_from_slice(rest);
        let segments = vec![Segment {
            at: 0,
            offset: self.offset,
        }];
        self.offset += whole as u64;
        buffer.truncate(whole);
        Framed {
            bytes: buffer,
            segments,
            cut: Vec::new(),
            records: Vec::new(),
            dropped: 0,
        }
    }

    /// The next bytes, through the framer. `spare`: memory for what comes out.
    fn read_framed(&mut self, spare: Vec<u8>) -> Framed {
        let mut raw = std::mem::take(&mut self.raw);
        raw.resize(self.cutting.block_bytes, 0);
        let filled = self.fill(&mut raw);
        self.raw = raw;
        self.frame(filled, spare)
    }

    /// What the framer makes of the first bytes of `raw`.
    fn frame(&mut self, filled: usize, mut spare: Vec<u8>) -> Framed {
        spare.clear();
        let mut framed = Framed {
            bytes: spare,
            ..Framed::default()
        };
        let framing = &self.cutting.framing;
        let framer = self.framer.get_or_insert_with(|| Framer::new(framing));
        framer.push(self.raw.get(..filled).unwrap_or_default(), &mut framed);
        match &self.end {
            Some(Ok(())) => framer.finish(&mut framed),
            Some(Err(_)) => framer.complete(&mut framed),
            None => {}
        }
        framed
    }

    /// How many lines the framer has joined since this was last asked, where it joins any.
    fn joined_lines(&mut self) -> Option<u64> {
        let lines = self.framer.as_ref().and_then(Framer::lines_joined)?;
        Some(lines - std::mem::replace(&mut self.joined, lines))
    }

    /// The same where a line is, or may be, too long.
    fn cut_long(&mut self, lines: &[u8], rest: &[u8]) -> Framed {
        let max = self.cutting.framing.max_line_bytes;
        let mut framed = Framed::default();
        let mut framer = self
            .framer
            .take()
            .unwrap_or_else(|| Framer::at(&self.cutting.framing, self.offset, Encoding::Bytes));
        framer.push(lines, &mut framed);
        if matches!(self.end, Some(Ok(()))) {
            framer.finish(&mut framed);
        }
        self.carry.clear();
        if framer.has_partial() || rest.len() > max + 1 {
            framer.push(rest, &mut framed);
        } else {
            self.carry.extend_from_slice(rest);
        }
        self.offset = framer.position();
        self.framer = framer.has_partial().then_some(framer);
        framed
    }
}

/// How many lines `bytes` were `joined` from; as many as they are, where they were not.
pub(super) fn count_lines(bytes: &[u8], joined: Option<u64>) -> u64 {
    joined.unwrap_or_else(|| {
        let ends = memchr_iter(b'\n', bytes).count() as u64;
        ends + u64::from(bytes.last().is_some_and(|last| *last != b'\n'))
    })
}

/// Whether no line is longer than `max`. May say no where one is just as long and ends in CR LF.
pub(super) fn are_short(lines: &[u8], max: usize) -> bool {
    let mut rest = lines;
    // As many lines at once as fit into the longest one and its LF.
    while let Some(window) = rest.get(..=max) {
        let Some(lf) = memrchr(b'\n', window) else {
            return false;
        };
        rest = rest.get(lf + 1..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests;
