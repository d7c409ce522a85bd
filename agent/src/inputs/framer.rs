//! Bytes in, whole lines out. Pure: it reads nothing and knows no file.
//!
//! However the bytes of a source are cut into reads, the lines that come out, their offsets and
//! their cut marks are the same. Between reads only the part of a line without its LF is held, and
//! never more than `max_line_bytes` and one byte of it.

use lapwing_rules::model::Segment;
use memchr::{memchr, memrchr};

/// Whole lines, ready to become a `Batch`; see there for what each field promises.
#[derive(Debug, Default)]
pub struct Framed {
    /// The lines, each with its LF but for a last one without.
    pub bytes: Vec<u8>,
    /// How `bytes` lies in the source.
    pub segments: Vec<Segment>,
    /// Starts of the lines that were cut, ascending.
    pub cut: Vec<usize>,
    /// Bytes of the source that were dropped from the ends of these lines.
    pub dropped: u64,
}

impl Framed {
    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.segments.clear();
        self.cut.clear();
        self.dropped = 0;
    }
}

/// Splits one source into lines.
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
}

/// An emptied buffer for the line under way keeps its memory up to here: 1,000 idle files must
/// stay small.
const KEEP_BYTES: usize = 4 * 1024;

impl Framer {
    /// A framer whose first byte stands at `offset` of its source, at the start of a line.
    /// `max_line_bytes` is the most that a line may have without its terminator.
    pub fn new(max_line_bytes: usize, offset: u64) -> Self {
        Self {
            max_line_bytes,
            position: offset,
            line_start: offset,
            held: Vec::new(),
            follows: None,
        }
    }

    /// Offset of the next byte to be pushed.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Offset of the first byte that has not come out as part of a line.
    pub fn line_start(&self) -> u64 {
        self.line_start
    }

    /// The most that a line may have.
    pub fn max_line_bytes(&self) -> usize {
        self.max_line_bytes
    }

    /// Whether a line without its LF is under way.
    pub fn has_partial(&self) -> bool {
        self.position > self.line_start
    }

    /// Steps over `count` bytes that belong to no line (a byte order mark). Only between lines.
    pub fn skip(&mut self, count: u64) {
        debug_assert!(!self.has_partial(), "only between lines");
        self.position += count;
        self.line_start = self.position;
    }

    /// Takes the next bytes of the source and appends the lines that they complete to `out`, which
    /// the caller has emptied before the first push whose lines it takes.
    pub fn push(&mut self, bytes: &[u8], out: &mut Framed) {
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

    /// The source has ended for good: what is under way comes out as a line without LF.
    pub fn finish(&mut self, out: &mut Framed) {
        if !self.has_partial() {
            return;
        }
        self.start_segment(out);
        let start = out.bytes.len();
        let kept = self.held.len().min(self.max_line_bytes);
        out.bytes.extend(self.held.iter().take(kept));
        let length = self.position - self.line_start;
        if length > kept as u64 {
            out.cut.push(start);
            out.dropped += length - kept as u64;
        }
        self.end_line(0);
        self.follows = None;
    }

    /// Keeps what may still come out of a line that goes on after `bytes`, which hold no LF.
    fn hold(&mut self, bytes: &[u8]) {
        let room = (self.max_line_bytes + 1).saturating_sub(self.held.len());
        self.held.extend(bytes.iter().take(room));
        self.position += bytes.len() as u64;
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
            self.start_segment(out);
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
    /// `max_line_bytes + 1`; `length` is how many there are in the source.
    fn emit(&mut self, text: &[u8], length: u64, out: &mut Framed) {
        self.start_segment(out);
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

    /// Begins a segment where the line under way does not follow what is in `out` already.
    fn start_segment(&mut self, out: &mut Framed) {
        if out.bytes.is_empty() || self.follows != Some(self.line_start) {
            out.segments.push(Segment {
                at: out.bytes.len(),
                offset: self.line_start,
            });
        }
    }

    /// The line under way is out; `terminator` bytes of it were not pushed through `position` yet.
    fn end_line(&mut self, terminator: u64) {
        self.position += terminator;
        self.line_start = self.position;
        self.held.clear();
        if self.held.capacity() > KEEP_BYTES {
            self.held = Vec::new();
        }
    }

    /// `length` bytes of whole lines are out as they stood.
    fn end_run(&mut self, length: u64) {
        self.position += length;
        self.line_start = self.position;
        self.follows = Some(self.position);
    }
}

#[cfg(test)]
mod tests;
