//! Bytes in, whole records out. Pure: it reads nothing, knows no file and no time.
//!
//! However the bytes of a source are cut into reads, the records that come out, their offsets and
//! their cut marks are the same. A record is a line, or lines that [`Multiline`] joins. Between reads
//! only what is not complete is held: of a line without its LF never more than `max_line_bytes` and
//! one byte, of a record under way as many. A byte order mark at the very beginning is stepped over,
//! and what it says is UTF-16 comes out as UTF-8, at the offsets that it has in the source.

use std::ops::Range;
use std::sync::Arc;

use lapwing_rules::model::Segment;
use memchr::{memchr, memrchr};

use super::multiline::{Joiner, Line, Multiline};
use super::utf16::{Decoder, Mark};

pub use super::utf16::Encoding;

/// Whole lines, ready to become a `Batch`; see there for what each field promises.
#[derive(Debug, Default)]
pub struct Framed {
    /// The lines, each with its LF but for a last one without.
    pub bytes: Vec<u8>,
    /// How `bytes` lies in the source.
    pub segments: Vec<Segment>,
    /// Starts of the records that were cut, ascending.
    pub cut: Vec<usize>,
    /// Lines that form one record, ascending.
    pub records: Vec<Range<usize>>,
    /// Bytes of text that were dropped from the ends of these records.
    pub dropped: u64,
}

impl Framed {
    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.segments.clear();
        self.cut.clear();
        self.records.clear();
        self.dropped = 0;
    }

    /// What is appended next stood at `offset`; without a gap it would stand at `follows`.
    pub(super) fn place(&mut self, offset: u64, follows: Option<u64>) {
        if self.bytes.is_empty() || follows != Some(offset) {
            self.segments.push(Segment {
                at: self.bytes.len(),
                offset,
            });
        }
    }
}

/// How a source is cut into records.
#[derive(Clone, Debug)]
pub struct Framing {
    /// The most that a record may have without its terminator; at least 1.
    pub max_line_bytes: usize,
    /// Which lines belong together; `None`: every line is a record.
    pub multiline: Option<Arc<Multiline>>,
}

impl Framing {
    /// Every line is a record.
    pub fn lines(max_line_bytes: usize) -> Self {
        Self {
            max_line_bytes,
            multiline: None,
        }
    }
}

/// Splits one source into records.
#[derive(Debug)]
pub struct Framer {
    max_line_bytes: usize,
    /// Offset of the next byte to be pushed.
    position: u64,
    /// Offset of the first byte of the line under way.
    line_start: u64,
    /// The first bytes of the line under way, at most `max_line_bytes + 1`: the one more may be the
    /// CR of its terminator.
    held: Vec<u8>,
    /// The offset that the next byte appended to the current `Framed` would have if it followed
    /// its last segment without a gap; `None` when a segment has to be started.
    follows: Option<u64>,
    coding: Coding,
    joiner: Option<Joiner>,
}

/// What the bytes of the source are.
#[derive(Debug)]
enum Coding {
    /// Not known: the first bytes, which may become a mark, stand in `held`.
    Unknown,
    Bytes,
    /// Decoded; so many bytes of text has the line under way.
    Utf16(Decoder, u64),
}

/// An emptied buffer for the line under way keeps its memory up to here: 1,000 idle files must
/// stay small.
pub(super) const KEEP_BYTES: usize = 4 * 1024;

impl Framer {
    /// A framer whose first byte is the first one of its source.
    pub fn new(framing: &Framing) -> Self {
        let mut framer = Self::at(framing, 0, Encoding::Bytes);
        framer.coding = Coding::Unknown;
        framer
    }

    /// A framer whose first byte stands at `offset` of its source, at the start of a record.
    pub fn at(framing: &Framing, offset: u64, encoding: Encoding) -> Self {
        let max_line_bytes = framing.max_line_bytes;
        let multiline = framing.multiline.as_ref().map(Arc::clone);
        Self {
            max_line_bytes,
            position: offset,
            line_start: offset,
            held: Vec::new(),
            follows: None,
            coding: Coding::of(encoding),
            joiner: multiline.map(|multiline| Joiner::new(multiline, max_line_bytes)),
        }
    }

    /// How it cuts.
    pub fn framing(&self) -> Framing {
        Framing {
            max_line_bytes: self.max_line_bytes,
            multiline: self.multiline().map(Arc::clone),
        }
    }

    /// Which lines belong together.
    pub fn multiline(&self) -> Option<&Arc<Multiline>> {
        self.joiner.as_ref().map(Joiner::multiline)
    }

    /// What its source is written in, as far as is known.
    pub fn encoding(&self) -> Encoding {
        match &self.coding {
            Coding::Utf16(decoder, _) => Encoding::Utf16(decoder.order()),
            Coding::Unknown | Coding::Bytes => Encoding::Bytes,
        }
    }

    /// Offset of the next byte to be pushed.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Offset of the first byte that has not come out as part of a record: a framer that begins
    /// there gives what this one would give.
    pub fn record_start(&self) -> u64 {
        let joined = self.joiner.as_ref().and_then(Joiner::start);
        joined.unwrap_or(self.line_start)
    }

    /// Offset of the first byte of the line under way.
    pub fn line_start(&self) -> u64 {
        self.line_start
    }

    /// Whether a line without its LF is under way.
    pub fn has_partial(&self) -> bool {
        self.position > self.line_start
    }

    /// Whether a record of whole lines waits for more lines.
    pub fn holds_record(&self) -> bool {
        self.record_start() < self.line_start
    }

    /// Whether what belongs to the record under way is dropped by now: it has no room for it.
    pub fn is_full(&self) -> bool {
        self.joiner.as_ref().is_some_and(Joiner::is_full)
    }

    /// Steps over `count` bytes that belong to no line (a hole). Only between lines; what comes
    /// behind them is no beginning, and no mark is looked for.
    pub fn skip(&mut self, count: u64) {
        debug_assert!(!self.has_partial(), "only between lines");
        self.position += count;
        self.line_start = self.position;
        if matches!(self.coding, Coding::Unknown) {
            self.coding = Coding::Bytes;
        }
    }

    /// Lines that were joined so far, of records under way too; `None` where every line is a record.
    pub fn lines_joined(&self) -> Option<u64> {
        self.joiner.as_ref().map(Joiner::lines)
    }

    /// Takes the next bytes of the source and appends the records that they complete to `out`, which
    /// the caller has emptied before the first push whose records it takes.
    pub fn push(&mut self, bytes: &[u8], out: &mut Framed) {
        match (&self.coding, &self.joiner) {
            (Coding::Bytes, None) => self.push_lines(bytes, out),
            (Coding::Bytes, Some(_)) => self.push_joined(bytes, out),
            (Coding::Utf16(..), _) => self.push_utf16(bytes, out),
            (Coding::Unknown, _) => self.push_first(bytes, out),
        }
    }

    /// Nothing came for the record under way for a while: it comes out. What is under way of a line
    /// goes on.
    pub fn complete(&mut self, out: &mut Framed) {
        if let Some(joiner) = &mut self.joiner {
            joiner.complete(out);
        }
    }

    /// The source has ended for good: what is under way comes out, as a line without LF.
    pub fn finish(&mut self, out: &mut Framed) {
        if let Coding::Utf16(decoder, length) = &mut self.coding {
            decoder.finish(&mut |char| {
                *length += hold_char(&mut self.held, self.max_line_bytes, char);
            });
        }
        if self.has_partial() {
            let held = std::mem::take(&mut self.held);
            let length = self.text_length();
            if self.joiner.is_some() {
                self.join(&held, length, Ending::None, out);
            } else {
                out.place(self.line_start, self.follows);
                let kept = held.get(..self.max_line_bytes).unwrap_or(&held);
                if length > kept.len() as u64 {
                    out.cut.push(out.bytes.len());
                    out.dropped += length - kept.len() as u64;
                }
                out.bytes.extend_from_slice(kept);
                self.follows = None;
            }
            self.held = held;
            self.end_line(0);
        }
        self.complete(out);
    }

    /// The beginning of the source.
    fn push_first(&mut self, bytes: &[u8], out: &mut Framed) {
        let missing = Mark::MOST_BYTES.saturating_sub(self.held.len());
        let mut head = self.held.clone();
        head.extend(bytes.iter().take(missing));
        match Mark::of(&head) {
            Mark::Perhaps => {
                // So few that all of `bytes` are in it.
                self.position += bytes.len() as u64;
                self.held = head;
            }
            Mark::Is(encoding, length) => {
                let rest = bytes.get(length - self.held.len()..).unwrap_or_default();
                self.held.clear();
                self.position = self.line_start + length as u64;
                self.line_start = self.position;
                self.coding = Coding::of(encoding);
                self.push(rest, out);
            }
            Mark::No => {
                let first = std::mem::take(&mut self.held);
                self.position = self.line_start;
                self.coding = Coding::Bytes;
                self.push(&first, out);
                self.push(bytes, out);
            }
        }
    }

    /// Every line is a record, and its bytes come out as they are.
    fn push_lines(&mut self, bytes: &[u8], out: &mut Framed) {
        let mut rest = bytes;
        if self.has_partial() {
            let Some(lf) = memchr(b'\n', rest) else {
                self.hold(rest);
                return;
            };
            let (end, after) = rest.split_at(lf + 1);
            self.complete_held(end, out);
            rest = after;
        }
        if let Some(lf) = memrchr(b'\n', rest) {
            let (lines, after) = rest.split_at(lf + 1);
            self.take_lines(lines, out);
            rest = after;
        }
        self.hold(rest);
    }

    /// Line by line, for somebody else to join.
    fn push_joined(&mut self, bytes: &[u8], out: &mut Framed) {
        let mut rest = bytes;
        while let Some(lf) = memchr(b'\n', rest) {
            let (text, after) = rest.split_at(lf);
            rest = after.get(1..).unwrap_or_default();
            if self.has_partial() {
                self.hold(text);
                let held = std::mem::take(&mut self.held);
                self.join(&held, self.text_length(), Ending::LineFeed, out);
                self.held = held;
            } else {
                self.join(text, text.len() as u64, Ending::LineFeed, out);
                self.position += text.len() as u64;
            }
            self.end_line(1);
        }
        self.hold(rest);
    }

    /// Character by character.
    fn push_utf16(&mut self, bytes: &[u8], out: &mut Framed) {
        for &byte in bytes {
            self.position += 1;
            let Coding::Utf16(decoder, length) = &mut self.coding else {
                return;
            };
            let (held, max) = (&mut self.held, self.max_line_bytes);
            let mut ends = false;
            decoder.take(byte, &mut |char| {
                if char == '\n' {
                    ends = true;
                } else {
                    *length += hold_char(held, max, char);
                }
            });
            if ends {
                let held = std::mem::take(&mut self.held);
                let length = self.text_length();
                if self.joiner.is_some() {
                    self.join(&held, length, Ending::LineFeed, out);
                } else {
                    self.emit(&held, length, out);
                    self.follows = None;
                }
                self.held = held;
                self.end_line(0);
            }
        }
    }

    /// Keeps what may still come out of a line that goes on after `bytes`, which hold no LF.
    fn hold(&mut self, bytes: &[u8]) {
        let room = (self.max_line_bytes + 1).saturating_sub(self.held.len());
        self.held.extend(bytes.iter().take(room));
        self.position += bytes.len() as u64;
    }

    /// How many bytes of text the line under way has, its terminator not counted.
    fn text_length(&self) -> u64 {
        match &self.coding {
            Coding::Utf16(_, length) => *length,
            Coding::Unknown | Coding::Bytes => self.position - self.line_start,
        }
    }

    /// `end` holds the rest of the line under way, up to its LF and that included.
    fn complete_held(&mut self, end: &[u8], out: &mut Framed) {
        let text = end.get(..end.len() - 1).unwrap_or_default();
        self.hold(text);
        let length = self.position - self.line_start;
        let held = std::mem::take(&mut self.held);
        self.emit(&held, length, out);
        self.held = held;
        self.end_line(1);
    }

    /// Whole lines, the last byte an LF, none under way.
    fn take_lines(&mut self, lines: &[u8], out: &mut Framed) {
        if lines.len() <= self.max_line_bytes {
            out.place(self.line_start, self.follows);
            out.bytes.extend_from_slice(lines);
            self.end_run(lines.len() as u64);
            return;
        }
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            let text = line.get(..line.len() - 1).unwrap_or_default();
            self.position += text.len() as u64;
            self.emit(text, text.len() as u64, out);
            self.end_line(1);
        }
    }

    /// Appends one line. `text` is its first bytes without LF: all of them, or at least
    /// `max_line_bytes + 1`; `length` is how many there are.
    fn emit(&mut self, text: &[u8], length: u64, out: &mut Framed) {
        out.place(self.line_start, self.follows);
        let max = self.max_line_bytes as u64;
        let ends_in_cr = text.len() as u64 == length && text.last() == Some(&b'\r');
        if length <= max || (ends_in_cr && length == max + 1) {
            out.bytes.extend_from_slice(text);
            out.bytes.push(b'\n');
            self.follows = Some(self.line_start + length + 1);
            return;
        }
        let kept = text.get(..self.max_line_bytes).unwrap_or(text);
        out.cut.push(out.bytes.len());
        out.bytes.extend_from_slice(kept);
        // A CR that stood inside the line must not be taken for a part of the terminator.
        out.bytes.extend_from_slice(if kept.last() == Some(&b'\r') {
            b"\r\n"
        } else {
            b"\n"
        });
        out.dropped += length - kept.len() as u64;
        self.follows = None;
    }

    /// Gives one line to the joiner; `text` and `length` as for [`Framer::emit`].
    fn join(&mut self, text: &[u8], length: u64, ending: Ending, out: &mut Framed) {
        let Some(joiner) = &mut self.joiner else {
            return;
        };
        let is_whole = text.len() as u64 == length;
        let text = match text.strip_suffix(b"\r") {
            Some(text) if is_whole && ending == Ending::LineFeed => text,
            _ => text,
        };
        let kept = text.get(..self.max_line_bytes).unwrap_or(text);
        let length = if is_whole { text.len() as u64 } else { length };
        let line = Line {
            text: kept,
            dropped: length - kept.len() as u64,
            offset: self.line_start,
        };
        joiner.take(line, out);
    }

    /// The line under way is out; `terminator` bytes of it were not pushed through `position` yet.
    fn end_line(&mut self, terminator: u64) {
        self.position += terminator;
        self.line_start = self.position;
        self.held.clear();
        if self.held.capacity() > KEEP_BYTES {
            self.held = Vec::new();
        }
        if let Coding::Utf16(_, length) = &mut self.coding {
            *length = 0;
        }
    }

    /// `length` bytes of whole lines are out as they stood.
    fn end_run(&mut self, length: u64) {
        self.position += length;
        self.line_start = self.position;
        self.follows = Some(self.position);
    }
}

/// How a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    LineFeed,
    /// With its source.
    None,
}

impl Coding {
    fn of(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Bytes => Self::Bytes,
            Encoding::Utf16(order) => Self::Utf16(Decoder::new(order), 0),
        }
    }
}

/// Appends a character to the line under way, as far as there is room; gives its length.
fn hold_char(held: &mut Vec<u8>, max_line_bytes: usize, char: char) -> u64 {
    let mut buffer = [0; 4];
    let text = char.encode_utf8(&mut buffer).as_bytes();
    let room = (max_line_bytes + 1).saturating_sub(held.len());
    held.extend(text.iter().take(room));
    text.len() as u64
}

#[cfg(test)]
impl Framer {
    /// For the tests of what is joined.
    pub(super) fn joiner(&self) -> &Joiner {
        self.joiner.as_ref().expect("there is one")
    }
}

#[cfg(test)]
mod tests;
