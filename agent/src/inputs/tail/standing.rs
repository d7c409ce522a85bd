//! Where reading of one file stands: it goes on from a position, begins at an offset or anew, passes over
//! what is known, and ends what is under way. The reading itself is in `reading`.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use super::file::Tailed;
use super::identity::{self, Before, HEAD_BYTES, TAIL_BYTES};
use super::packed::{Claim, Holder, Mark, Stage, begins_like, peek};
use crate::inputs::framer::{Encoding, Framed, Framer};
use crate::inputs::{Check, Position};

impl Tailed {
    /// Goes on where `position` says, if the file is still the one that it speaks of; says whether.
    /// Inside of a compressed file that is certain only when its text has been unpacked so far.
    ///
    /// # Errors
    ///
    /// That of reading.
    pub(super) fn resume(&mut self, position: &Position) -> io::Result<bool> {
        let file = self.file()?;
        let size = file.metadata()?.size();
        let same = size >= position.offset
            && identity::holds(file, position.head, position.head.len.into())?
            && identity::holds(file, position.tail, position.offset)?;
        let is_packed = self.packed.is_some();
        if same && !(is_packed && position.offset == 0) {
            self.start_at(position.offset)?;
            self.head = position.head;
            self.done = position.done;
            if let Some(packed) = &mut self.packed {
                packed.stage = Stage::Done;
            }
            return Ok(true);
        }
        if !is_packed {
            return Ok(same);
        }
        self.resume_within(position)
    }

    fn resume_within(&mut self, position: &Position) -> io::Result<bool> {
        let Some(packing) = self.packed.as_ref().and_then(|packed| packed.packing) else {
            return Ok(false);
        };
        let head = peek(self.file()?, packing)?;
        let mark = Mark::of(position);
        let same = begins_like(&head, mark.head);
        if let Some(packed) = self.packed.as_mut().filter(|_| same) {
            packed.held = Some(mark);
            packed.compare(vec![Claim {
                mark,
                holder: Holder::Own,
                total: None,
            }]);
        }
        Ok(same)
    }

    /// Reads the text of a compressed file on from `mark`.
    pub(super) fn read_from(&mut self, mark: Mark) {
        let Some(packed) = &mut self.packed else {
            return;
        };
        if packed.stands_at(mark.offset) {
            self.before = packed.end().0;
        } else {
            packed.drop_decoder();
            self.before = Before::NONE;
        }
        packed.stage = Stage::Reading;
        packed.reading = true;
        if packed.from == 0 {
            packed.held = None;
        }
        let framing = self.framer.framing();
        self.framer = match self
            .packed
            .as_ref()
            .map(|packed| Encoding::of(packed.head()))
        {
            Some(encoding) if mark.offset > 0 => Framer::at(&framing, mark.offset, encoding),
            _ => Framer::new(&framing),
        };
        (self.head, self.tail, self.line_tail) = (mark.head, mark.tail, mark.tail);
        self.skip_nuls = false; // a text has no holes
    }

    /// Reads the text of a compressed file from its beginning. Its position says from now on whose that
    /// is: a start before any line of it is durable must know it again.
    pub(super) fn read_text(&mut self) {
        let packing = self.packed.as_ref().and_then(|packed| packed.packing);
        let head = packing.and_then(|packing| peek(self.file().ok()?, packing).ok());
        let head = head.filter(|head| !head.is_empty());
        self.read_from(Mark {
            head: head.map_or_else(Check::default, |head| Check::of(&head)),
            ..Mark::default()
        });
    }

    /// All that a compressed file holds counts as read: `size` compressed bytes.
    ///
    /// # Errors
    ///
    /// That of reading.
    pub(super) fn pass_over(&mut self, size: u64) -> io::Result<()> {
        if let Some(packed) = &mut self.packed {
            packed.drop_decoder();
            packed.held = None;
            packed.stage = Stage::Done;
            packed.reading = false;
        }
        self.start_at(size)
    }

    /// How long the record under way waits for more lines, and where it begins; `None` where whole
    /// lines do not wait.
    pub(super) fn record_under_way(&self) -> Option<(Duration, u64)> {
        let multiline = self
            .framer
            .multiline()
            .filter(|_| self.framer.holds_record())?;
        Some((multiline.timeout(), self.framer.record_start()))
    }

    /// The record under way is complete: nothing came for it for a while.
    pub(super) fn complete_record(&mut self, out: &mut Framed) {
        self.framer.complete(out);
        self.tail = self.line_tail;
    }

    /// The next byte read is that at `offset`, which begins a record; what is before it counts as
    /// read. The head is taken anew.
    ///
    /// # Errors
    ///
    /// That of reading.
    pub(super) fn start_at(&mut self, offset: u64) -> io::Result<()> {
        let mut bytes = [0; HEAD_BYTES];
        let file = self.file()?;
        let cap = |most: usize| usize::try_from(offset).unwrap_or(usize::MAX).min(most);
        let head = bytes.get_mut(..cap(HEAD_BYTES)).unwrap_or_default();
        let filled = identity::read_at(file, head, 0)?;
        let head = head.get(..filled).unwrap_or_default();
        let (head, encoding) = (Check::of(head), Encoding::of(head));
        let tail = bytes.get_mut(..cap(TAIL_BYTES)).unwrap_or_default();
        let filled = identity::read_at(file, tail, offset - tail.len() as u64)?;
        self.before = Before::of(tail.get(..filled).unwrap_or_default());
        self.head = if head.len == 0 {
            Check::default()
        } else {
            head
        };
        self.tail = self.tail_now();
        self.line_tail = self.tail;
        self.skip_nuls = offset == 0;
        let framing = self.framer.framing();
        self.framer = if offset == 0 {
            Framer::new(&framing)
        } else {
            Framer::at(&framing, offset, encoding)
        };
        Ok(())
    }

    /// Reads it again from its beginning. What was under way is dropped.
    pub(super) fn restart(&mut self) {
        self.framer = Framer::new(&self.framer.framing());
        self.seen_size = 0;
        self.whole_size = 0;
        self.done = false;
        self.before = Before::NONE;
        self.head = Check::default();
        self.tail = Check::default();
        self.line_tail = Check::default();
        self.skip_nuls = true;
    }

    /// What is under way becomes a line.
    pub(super) fn finish(&mut self, out: &mut Framed) {
        self.framer.finish(out);
        self.tail = self.tail_now();
        self.line_tail = self.tail;
    }

    pub(super) fn tail_now(&self) -> Check {
        match self.before.get() {
            [] => Check::default(),
            bytes => Check::of(bytes),
        }
    }
}
