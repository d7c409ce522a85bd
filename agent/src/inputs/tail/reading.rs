//! A turn of one file: its next bytes are read, or unpacked, and framed. Holds what was read before
//! against what stands there now; what follows from that is decided in `turns` and `archives`.

use std::io;

use super::file::Tailed;
use super::identity::{self, Before, HEAD_BYTES, TAIL_BYTES};
use super::opened::Look;
use super::packed::{Claim, End, Holder, Kind, News, Packed, Stage, kind_of};
use crate::inputs::Check;
use crate::inputs::framer::Framed;

/// Bytes read in one turn, so that a busy file does not starve the others.
pub(super) const TURN_BYTES: usize = 256 * 1024;
/// A buffer for one turn: the bytes that are read again to be compared, and the new ones.
pub(super) const SCRATCH_BYTES: usize = TAIL_BYTES + TURN_BYTES;

/// What a turn found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing new.
    Quiet,
    /// New bytes.
    Grown {
        /// There are more.
        more: bool,
        /// The position differs from that of the turn before, with or without lines.
        moved: bool,
    },
    /// It is not what was read before, or not any more.
    Truncated,
    /// It is compressed, and this happened.
    Packed(News),
}

/// Whether bytes at the beginning of a file are those of a compressed one.
fn is_packed(head: &[u8]) -> bool {
    matches!(kind_of(head), Kind::Packed(_) | Kind::Foreign(_))
}

impl Tailed {
    /// Reads the next bytes. `scratch` has [`SCRATCH_BYTES`]; whole lines are appended to `out`.
    ///
    /// # Errors
    ///
    /// That of the system; nothing was taken then.
    pub(super) fn turn(&mut self, scratch: &mut [u8], out: &mut Framed) -> io::Result<Turn> {
        let metadata = self.file()?.metadata()?;
        let look = Look::of(&metadata);
        if self.packed.is_some() {
            return self.turn_packed(look, scratch, out);
        }
        if self.skip_nuls && self.framer.position() == 0 {
            self.skip_hole()?;
        }
        let position = self.framer.position();
        let overlap = self.before.get().len();
        let base = position - overlap as u64;
        let filled = identity::read_at(self.file()?, scratch, base)?;
        let read = scratch.get(..filled).unwrap_or_default();
        let Some((again, new)) = read.split_at_checked(overlap) else {
            return Ok(Turn::Truncated);
        };
        if again != self.before.get() {
            return Ok(Turn::Truncated);
        }
        if position == 0 && is_packed(new) {
            return Ok(Turn::Packed(News::Found));
        }
        // What was written between the look and the reading is younger than the look says; and who looks
        // next must see that it has changed since.
        let written = if base + filled as u64 > look.size {
            Look::of(&self.file()?.metadata()?)
        } else {
            look
        };
        self.written_at = written.modified_at();
        self.look = look;
        self.seen(look.size);
        self.whole_size = self.whole_size.max(look.size);
        let Some(moved) = self.take(read, overlap, None, out)? else {
            return Ok(Turn::Quiet);
        };
        // Full, and not by chance to the last byte: there is more.
        let more = filled == scratch.len() && self.framer.position() != look.size;
        Ok(Turn::Grown { more, moved })
    }

    /// The same inside of a compressed file.
    fn turn_packed(
        &mut self,
        look: Look,
        scratch: &mut [u8],
        out: &mut Framed,
    ) -> io::Result<Turn> {
        let position = self.framer.position();
        let Some(mut packed) = self.packed.take() else {
            return Ok(Turn::Quiet);
        };
        let outcome = match packed.stage {
            Stage::Done if look.size == position => Ok(Turn::Quiet),
            Stage::Stuck { size } if look.size == size => Ok(Turn::Quiet),
            Stage::Done | Stage::Stuck { .. } => Ok(Turn::Packed(News::Changed)),
            Stage::Waiting { .. } => Ok(Turn::Quiet),
            Stage::Comparing { .. } => self.file().and_then(|file| {
                let news = packed.compare_piece(file, scratch)?;
                let more = Turn::Grown {
                    more: true,
                    moved: false,
                };
                Ok(news.map_or(more, Turn::Packed))
            }),
            Stage::Reading if !packed.stands_at(position) => {
                // Its decoder is gone: first it has to be unpacked again.
                let mark = self.line_mark();
                if packed.from == 0 {
                    packed.held = Some(mark);
                }
                packed.compare(vec![Claim {
                    mark,
                    holder: Holder::Own,
                    total: None,
                }]);
                Ok(Turn::Grown {
                    more: true,
                    moved: false,
                })
            }
            Stage::Reading => self.read_packed(&mut packed, scratch, out),
        };
        self.packed = Some(packed);
        self.look = look;
        self.written_at = look.modified_at();
        self.seen(look.size);
        outcome
    }

    fn read_packed(
        &mut self,
        packed: &mut Packed,
        scratch: &mut [u8],
        out: &mut Framed,
    ) -> io::Result<Turn> {
        let before = self.before;
        let overlap = before.get().len();
        let Some((again, new)) = scratch.split_at_mut_checked(overlap) else {
            return Ok(Turn::Quiet);
        };
        again.copy_from_slice(before.get());
        let (count, end) = packed.next_piece(self.file()?, new)?;
        let read = scratch.get(..overlap + count).unwrap_or_default();
        let moved = self.take(read, overlap, Some(packed.head()), out)?;
        let moved = moved.unwrap_or(false);
        match end {
            // What came with the end is handed over with the news of it.
            End::Complete => Ok(Turn::Packed(News::Complete)),
            End::Failed(news) => Ok(Turn::Packed(news)),
            End::Open => Ok(Turn::Grown { more: true, moved }),
        }
    }

    /// Frames what was read behind `overlap` bytes that were known; `None` when nothing came of it.
    /// Says whether the position has moved. `head`: the first bytes of all, where the file itself
    /// does not have them.
    fn take(
        &mut self,
        read: &[u8],
        overlap: usize,
        head: Option<&[u8]>,
        out: &mut Framed,
    ) -> io::Result<Option<bool>> {
        let base = self.framer.position() - overlap as u64;
        let new = read.get(overlap..).unwrap_or_default();
        if new.is_empty() {
            return Ok(None);
        }
        let hole = self.rest_of_hole(new);
        let line_before = self.framer.line_start();
        let record_before = self.framer.record_start();
        if hole > 0 {
            self.framer.skip(hole as u64);
        }
        self.framer.push(new.get(hole..).unwrap_or_default(), out);
        self.before = Before::of(read);
        let moved = self.framer.record_start() != record_before;
        self.retake_tails(read, base, line_before);
        let grown = self.grow_head(read, base, head)?;
        Ok(Some(moved || grown))
    }

    /// Checks of what now stands before the record and the line under way; `read` stood at `base`,
    /// and the line under way began at `line_before` until now.
    fn retake_tails(&mut self, read: &[u8], base: u64, line_before: u64) {
        let (record, line) = (self.framer.record_start(), self.framer.line_start());
        if line == line_before {
            return;
        }
        let before = |offset: u64| {
            let end = usize::try_from(offset - base).unwrap_or(usize::MAX);
            Check::of(Before::of(read.get(..end).unwrap_or(read)).get())
        };
        // A record begins with a line that ends in `read`: the first one of them began before it.
        if record == line_before {
            self.tail = self.line_tail;
        } else if record > line_before {
            self.tail = before(record);
        }
        self.line_tail = if record == line {
            self.tail
        } else {
            before(line)
        };
    }

    /// The head covers more as the file grows, up to [`HEAD_BYTES`]; says whether it did.
    fn grow_head(&mut self, read: &[u8], base: u64, whole: Option<&[u8]>) -> io::Result<bool> {
        let known = self.head.length();
        let wanted = usize::try_from(self.framer.position())
            .unwrap_or(usize::MAX)
            .min(HEAD_BYTES);
        if wanted <= known {
            return Ok(false);
        }
        let mut buffer = [0; HEAD_BYTES];
        let head = if base == 0 {
            read.get(..wanted).unwrap_or(read)
        } else if let Some(whole) = whole {
            whole.get(..wanted).unwrap_or(whole)
        } else {
            let buffer = buffer.get_mut(..wanted).unwrap_or_default();
            let filled = identity::read_at(self.file()?, buffer, 0)?;
            &*buffer.get_mut(..filled).unwrap_or_default()
        };
        let same = known == 0
            || head
                .get(..known)
                .is_some_and(|old| Check::of(old) == self.head);
        // Otherwise it was truncated this instant: the next turn finds that out.
        if same && head.len() > known {
            self.head = Check::of(head);
        }
        Ok(same)
    }

    /// Steps over a hole at the start without reading it.
    fn skip_hole(&mut self) -> io::Result<()> {
        let file = self.file()?;
        // An error says that there is no data, or that this file system knows no holes.
        let data = rustix::fs::seek(file, rustix::fs::SeekFrom::Data(0)).unwrap_or(0);
        if data > 0 {
            self.framer.skip(data);
            self.hole_bytes += data;
            self.before = Before::of(&[0; TAIL_BYTES]);
        }
        Ok(())
    }

    /// How many of the next bytes are the rest of a hole.
    fn rest_of_hole(&mut self, new: &[u8]) -> usize {
        if !self.skip_nuls {
            return 0;
        }
        let count = new.iter().take_while(|&&byte| byte == 0).count();
        self.skip_nuls = count == new.len();
        self.hole_bytes += count as u64;
        count
    }
}
