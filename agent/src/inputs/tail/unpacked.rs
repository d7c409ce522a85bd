//! What the turns of a compressed file find: text, its end, damage, or that it is another file by now. Its
//! bytes are unpacked in `packed`; whose text it is, is decided in `compared`.

use super::Closed;
use super::archives::size_of;
use super::file::Tailed;
use super::identity;
use super::packed::{Mark, News, Stage};
use super::poller::Tailer;
use super::table::FileNo;
use super::turns::After;
use crate::clock;
use crate::inputs::framer::Framed;
use crate::packing::Packing;

impl Tailer<'_> {
    /// What a turn of a compressed file found. `framed` holds the lines that came with it.
    pub(super) fn unpacked(
        &mut self,
        no: FileNo,
        news: News,
        framed: Framed,
    ) -> Result<After, Closed> {
        if news == News::Complete || !framed.bytes.is_empty() {
            self.hand_over(no, framed, true)?;
        } else {
            self.spare = framed;
        }
        match news {
            News::Busy => return Ok(After::More),
            News::Found => {
                self.unwrap(no);
                self.examine(no)?;
            }
            News::Compared => self.compared(no)?,
            News::Complete => {
                self.complete(no)?;
                return Ok(After::AtEnd);
            }
            News::CutOff => {
                self.cut_off(no);
                return Ok(After::AtEnd);
            }
            News::Damaged => {
                self.give_up(no)?;
                return Ok(After::AtEnd);
            }
            News::Changed => self.changed(no)?,
        }
        let reads = |file: &Tailed| file.packed.as_ref().is_some_and(|packed| !packed.waits());
        Ok(match self.table.get(no) {
            Some(file) if reads(file) && !file.is_at_rest() => After::More,
            _ => After::AtEnd,
        })
    }

    /// Its text has ended: what is under way is a line, and from now on it counts as read.
    fn complete(&mut self, no: FileNo) -> Result<(), Closed> {
        let mut framed = self.empty_framed();
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        file.finish(&mut framed);
        self.hand_over(no, framed, true)?;
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        let size = file.packed.as_ref().map_or(0, |packed| packed.packed_at());
        self.count_as_read(no, size)
    }

    /// It ends in the middle: it may be in the making.
    fn cut_off(&mut self, no: FileNo) {
        let Some(file) = self.table.get_mut(no) else {
            return;
        };
        let size = size_of(file);
        self.wait_for_archive(no, Some(size));
    }

    /// It counted as read, or was given up, and is another now: members may have been appended to it.
    fn changed(&mut self, no: FileNo) -> Result<(), Closed> {
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        let (size, read) = (size_of(file), file.read_position());
        let position = file.position(clock::now());
        let mut head = [0; Packing::HEAD_BYTES];
        let Some(packed) = &mut file.packed else {
            return Ok(());
        };
        if matches!(packed.stage, Stage::Stuck { .. }) {
            self.wait_for_archive(no, None);
            return Ok(());
        }
        let grown = size > read
            && file.file().is_ok_and(|file| {
                identity::holds(file, position.tail, read).unwrap_or(false)
                    && identity::read_at(file, &mut head, read).is_ok()
            });
        if !grown {
            // Another file was written over it.
            if let Some(packed) = &mut file.packed {
                packed.from = 0;
            }
            self.wait_for_archive(no, None);
            return Ok(());
        }
        let Some(packed) = file
            .packed
            .as_mut()
            .filter(|_| Packing::of(&head) != Packing::Plain)
        else {
            // It was passed over while it was being written.
            return self.count_as_read(no, size);
        };
        packed.from = read;
        packed.held = Some(Mark::of(&position));
        file.read_from(Mark {
            offset: read,
            ..Mark::default()
        });
        self.enqueue(no);
        Ok(())
    }

    pub(super) fn count_as_read(&mut self, no: FileNo, size: u64) -> Result<(), Closed> {
        self.archives.remove(&no);
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        if let Some(packed) = &mut file.packed {
            packed.from = 0;
        }
        if let Err(error) = file.pass_over(size) {
            let (input, path) = (file.input, file.path.clone());
            self.complain(input, &path, &error);
        }
        self.tell(no)
    }
}
