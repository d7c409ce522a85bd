//! Whole lines of a plain file by their place in it: found by one thread after the other, which looks
//! at a few bytes only, and read by all of them at once.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use lapwing_rules::model::{Batch, Segment, Source, Timestamp};
use memchr::memchr;

use super::blocks::are_short;
use super::{Counted, Fresh};
use crate::error::AgentError;
use crate::inputs::framer::{Encoding, Framed, Framer};

/// Bytes of a place, about: a quarter of a second cache of 1 MiB, so that a batch is searched and
/// counted where it was copied to, and the next one beside it.
const PLACE_BYTES: u64 = 256 * 1024;
/// Looked at for the end of a line.
const PROBE_BYTES: usize = 4 * 1024;

/// Where some whole lines are that nobody has read yet.
pub(in crate::commands) struct Place {
    pub(super) file: Counted,
    pub(super) source: Arc<Source>,
    pub(super) modified: Timestamp,
    /// From the first byte of a line to behind a LF.
    pub(super) bytes: Range<u64>,
    /// So many of them were read, and counted, before.
    pub(super) known: u64,
}

/// Where the lines that begin at `start` end, some of them; `None` where they are better read one after
/// the other: near the end of the file, and where a line is longer than `max`.
pub(super) fn end_of_lines(file: &File, start: u64, max: usize) -> io::Result<Option<u64>> {
    let mut probe = [0; PROBE_BYTES];
    let mut at = start + PLACE_BYTES;
    while at - start <= PLACE_BYTES + max as u64 {
        let count = file.read_at(&mut probe, at)?;
        let read = probe.get(..count).unwrap_or_default();
        if let Some(lf) = memchr(b'\n', read) {
            return Ok(Some(at + lf as u64 + 1));
        }
        if count == 0 {
            break;
        }
        at += count as u64;
    }
    Ok(None)
}

impl Place {
    /// Reads them; less, where the file has been cut meanwhile. `spare` is a buffer that is of no more
    /// use, or an empty one.
    ///
    /// # Errors
    ///
    /// When reading fails.
    pub(in crate::commands) fn read(self, spare: Vec<u8>) -> Result<Fresh, AgentError> {
        let failed = AgentError::io(format!("cannot read {}", self.source.name));
        self.read_lines(spare).map_err(failed)
    }

    fn read_lines(self, spare: Vec<u8>) -> io::Result<Fresh> {
        let Range { start, end } = self.bytes;
        let length = usize::try_from(end - start).unwrap_or(usize::MAX);
        let mut bytes = spare;
        if bytes.capacity() < length {
            // With room for longer last lines.
            bytes = Vec::with_capacity(length + PROBE_BYTES);
        }
        // A buffer that was used before is nearly as long: hardly a byte has to be zeroed.
        bytes.resize(length, 0);
        let mut filled = 0;
        while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
            match self.file.file.read_at(room, start + filled as u64) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(0) => break,
                Ok(count) => filled += count,
            }
        }
        bytes.truncate(filled);
        let read = (filled as u64).saturating_sub(self.known);
        self.file.read.fetch_add(read, Ordering::Relaxed);
        let framed = self.framed(bytes);
        Ok(Fresh {
            read,
            joined: None,
            batch: Batch {
                source: self.source,
                bytes: framed.bytes,
                segments: framed.segments,
                cut: framed.cut,
                records: framed.records,
                arrival: self.modified,
            },
        })
    }

    /// Whole lines, as the framer would give them.
    fn framed(&self, bytes: Vec<u8>) -> Framed {
        let framing = &self.file.framing;
        let offset = self.bytes.start;
        if are_short(&bytes, framing.max_line_bytes) {
            return Framed {
                bytes,
                segments: vec![Segment { at: 0, offset }],
                cut: Vec::new(),
                records: Vec::new(),
                dropped: 0,
            };
        }
        let mut framed = Framed::default();
        let mut framer = Framer::at(framing, offset, Encoding::Bytes);
        framer.push(&bytes, &mut framed);
        if framer.has_partial() {
            framer.finish(&mut framed);
        }
        framed
    }
}
