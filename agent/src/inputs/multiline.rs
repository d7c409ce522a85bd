//! Lines in, records out: which lines belong together, and the record that is under way.
//!
//! [`Multiline`] is what the operator wrote; the [`Joiner`] holds one record at most, and of that no
//! more than `max_line_bytes`. Lines come from the [`Framer`](super::framer::Framer), one by one and
//! whole; it reads nothing and knows no time: who reads says when a record has waited long enough.

use std::sync::Arc;
use std::time::Duration;

use lapwing_rules::language::pattern::Pattern;
use lapwing_rules::model::Segment;

use super::framer::{Framed, KEEP_BYTES};

/// How an operator tells which lines belong together.
#[derive(Debug)]
pub struct Multiline {
    /// A line that matches begins a record.
    start: Option<Pattern>,
    /// A line that matches belongs to the record before it.
    continues: Option<Pattern>,
    /// A record that nothing came for in this time is complete.
    timeout: Duration,
}

/// What a line is to the record before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Begins,
    Continues,
    /// A record by itself.
    Alone,
}

/// A whole line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// Its first bytes: all of them, or `max_line_bytes`. No terminator.
    pub(super) text: &'a [u8],
    /// How many bytes of it are missing in `text`.
    pub(super) dropped: u64,
    /// Where it stood in the source.
    pub(super) offset: u64,
}

/// Joins the lines of one source.
#[derive(Debug)]
pub(super) struct Joiner {
    multiline: Arc<Multiline>,
    max_bytes: usize,
    /// The record under way.
    held: Option<Held>,
    /// Memory for the next one.
    spare: Vec<u8>,
    /// The offset that the next byte appended to the current `Framed` would have if it followed its
    /// last segment without a gap.
    follows: Option<u64>,
    /// Lines taken so far.
    lines: u64,
}

#[derive(Debug)]
struct Held {
    /// Where its first byte stood.
    offset: u64,
    /// Its lines, with a LF between two: at most `max_line_bytes`.
    text: Vec<u8>,
    /// Where `text` does not go on in the source as before: ascending, never at 0.
    gaps: Vec<Segment>,
    /// Where the byte behind `text` would have stood.
    next: u64,
    has_lines: bool,
    /// Something was left out: then nothing is appended any more.
    is_cut: bool,
}

impl Multiline {
    /// With neither pattern, `None`: every line is a record. With both, a line that matches
    /// `start` begins a record, one that matches only `continues` goes on with it, and any other is
    /// a record by itself.
    pub fn new(
        start: Option<Pattern>,
        continues: Option<Pattern>,
        timeout: Duration,
    ) -> Option<Self> {
        (start.is_some() || continues.is_some()).then_some(Self {
            start,
            continues,
            timeout,
        })
    }

    /// A record that nothing came for in this time is complete.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    fn kind(&self, line: &[u8]) -> Kind {
        match (&self.start, &self.continues) {
            (Some(start), _) if start.is_match(line) => Kind::Begins,
            (_, Some(continues)) if continues.is_match(line) => Kind::Continues,
            (Some(_), Some(_)) => Kind::Alone,
            (Some(_), None) => Kind::Continues,
            (None, _) => Kind::Begins,
        }
    }
}

impl Joiner {
    pub(super) fn new(multiline: Arc<Multiline>, max_bytes: usize) -> Self {
        Self {
            multiline,
            max_bytes,
            held: None,
            spare: Vec::new(),
            follows: None,
            lines: 0,
        }
    }

    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    pub(super) fn multiline(&self) -> &Arc<Multiline> {
        &self.multiline
    }

    /// Whether the record under way has no room for more.
    pub(super) fn is_full(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.is_cut)
    }

    /// Where the record under way begins.
    pub(super) fn start(&self) -> Option<u64> {
        self.held.as_ref().map(|held| held.offset)
    }

    /// The next line; records that it completes are appended to `out`.
    pub(super) fn take(&mut self, line: Line<'_>, out: &mut Framed) {
        self.lines += 1;
        match (self.multiline.kind(line.text), &mut self.held) {
            (Kind::Continues, Some(held)) => out.dropped += held.append(line, self.max_bytes),
            (Kind::Begins, _) => {
                self.complete(out);
                self.begin(line, out);
            }
            // What there is nothing before to belong to is a record, too.
            (Kind::Continues, None) | (Kind::Alone, _) => {
                self.complete(out);
                self.begin(line, out);
                self.complete(out);
            }
        }
    }

    /// Nothing more belongs to the record under way: it is appended to `out`.
    pub(super) fn complete(&mut self, out: &mut Framed) {
        let Some(held) = self.held.take() else {
            return;
        };
        let start = out.bytes.len();
        out.place(held.offset, self.follows);
        let gaps = held.gaps.iter().map(|gap| Segment {
            at: start + gap.at,
            offset: gap.offset,
        });
        out.segments.extend(gaps);
        out.bytes.extend_from_slice(&held.text);
        // A CR that stood inside the record must not be taken for a part of the terminator.
        let ends_in_cr = held.text.last() == Some(&b'\r');
        out.bytes
            .extend_from_slice(if ends_in_cr { b"\r\n" } else { b"\n" });
        if held.has_lines {
            out.records.push(start..out.bytes.len());
        }
        if held.is_cut {
            out.cut.push(start);
        }
        let is_whole = !held.is_cut && !ends_in_cr;
        self.follows = is_whole.then_some(held.next + 1);
        if held.text.capacity() <= KEEP_BYTES {
            self.spare = held.text;
        }
    }

    fn begin(&mut self, line: Line<'_>, out: &mut Framed) {
        out.dropped += line.dropped;
        let mut text = std::mem::take(&mut self.spare);
        text.clear();
        text.extend_from_slice(line.text);
        self.held = Some(Held {
            offset: line.offset,
            next: line.offset + text.len() as u64,
            text,
            gaps: Vec::new(),
            has_lines: false,
            is_cut: line.dropped > 0,
        });
    }
}

impl Held {
    /// Gives how many bytes had no room: they are told at once, for the record may go on for long.
    fn append(&mut self, line: Line<'_>, max_bytes: usize) -> u64 {
        let room = max_bytes.saturating_sub(self.text.len());
        let Some(room) = room.checked_sub(1).filter(|_| !self.is_cut) else {
            self.is_cut = true;
            return 1 + line.text.len() as u64 + line.dropped;
        };
        self.text.push(b'\n');
        self.next += 1;
        self.has_lines = true;
        if self.next != line.offset {
            self.next = line.offset;
            self.gaps.push(Segment {
                at: self.text.len(),
                offset: line.offset,
            });
        }
        let kept = line.text.get(..room).unwrap_or(line.text);
        self.text.extend_from_slice(kept);
        self.next += kept.len() as u64;
        let dropped = (line.text.len() - kept.len()) as u64 + line.dropped;
        self.is_cut = dropped > 0;
        dropped
    }
}

#[cfg(test)]
mod tests;
