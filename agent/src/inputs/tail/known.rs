//! Files that turn up beside a tailed one, named like rotations of it, and hold what was read under another
//! name: somebody's copy of a rotated log, or one that was unpacked again. They are read on, not anew.
//!
//! Copies of what is still written to are judged in `twins`, compressed files in `archives`.

use std::cmp::Reverse;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::families::rotated_from;
use super::file::Tailed;
use super::identity;
use super::packed::Mark;
use super::poller::Tailer;
use super::table::FileNo;
use crate::inputs::Position;

/// Files that agree in fewer bytes may do so by chance: a program may say the same each time that it starts.
const CERTAIN_BYTES: u64 = 1024;

/// What a new file holds of what was read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing.
    Nothing,
    /// It begins like a file that was read, and is shorter: it may be a copy in the making.
    Part,
    /// All of a file that was read: what comes behind it is new.
    All(Mark),
}

impl Tailer<'_> {
    /// What the file of `no`, which is named like a rotation of the one at `base`, holds of the files that
    /// were.
    ///
    /// # Errors
    ///
    /// That of reading it.
    pub(super) fn known_of(&mut self, no: FileNo, base: &Path) -> io::Result<Known> {
        let at = self
            .table
            .get(no)
            .map(|file| (file.input, file.door.clone()));
        let Some((input, name)) = at else {
            return Ok(Known::Nothing);
        };
        let mut marks = self.marks_of_family(no, input, base);
        marks.retain(|(mark, _)| mark.offset >= CERTAIN_BYTES);
        marks.sort_by_key(|(mark, _)| Reverse(mark.offset));
        let Some(file) = self.table.get_mut(no) else {
            return Ok(Known::Nothing);
        };
        let file = file.file()?;
        let size = file.metadata()?.size();
        let mut known = Known::Nothing;
        for (mark, door) in marks {
            if !identity::holds(file, mark.head, mark.head.len.into())? {
                continue;
            }
            if size >= mark.offset && identity::holds(file, mark.tail, mark.offset)? {
                return Ok(Known::All(mark));
            }
            // Written anew by an editor, with other bytes in between: `sed -i`, to take out what should
            // not stand there.
            if door == name && identity::holds(file, mark.tail, size)? {
                return Ok(Known::All(Mark {
                    offset: size,
                    ..mark
                }));
            }
            if size < mark.offset {
                known = Known::Part;
            }
        }
        Ok(known)
    }

    /// Where reading of those ended that had the name at `base` before the file that has it now, and at
    /// which doors they were last.
    fn marks_of_family(&self, no: FileNo, input: usize, base: &Path) -> Vec<(Mark, PathBuf)> {
        let is_kin = |door: &Path| door == base || rotated_from(door).iter().any(|it| it == base);
        let is_read = |file: &Tailed| {
            file.input == input
                && file.door != base
                && file.packed.is_none()
                && file.is_all_read()
                && (file.origin == base || is_kin(&file.door))
        };
        let followed = self.table.iter();
        let followed = followed.filter(|(other, file)| *other != no && is_read(file));
        let absent = self.homeless.get(input).into_iter().flatten();
        let absent = absent.filter(|position| is_kin(&self.folders.door(&position.path)));
        let departed = self.departed.iter();
        let departed = departed.filter(|(of, _, origin)| *of == input && is_kin(origin));
        let departed = departed.map(|(_, position, _)| position);
        let of = |position: &Position| (Mark::of(position), self.folders.door(&position.path));
        followed
            .map(|(_, file)| (file.line_mark(), file.door.clone()))
            .chain(absent.chain(departed).map(of))
            .collect()
    }

    /// Whether the file of `no` holds all of one that was read before, and is read on behind that.
    pub(super) fn goes_on(&mut self, no: FileNo, base: &Path) -> bool {
        match self.known_of(no, base) {
            Ok(Known::All(mark)) => self.read_on_behind(no, mark).is_ok(),
            Ok(Known::Part | Known::Nothing) | Err(_) => false,
        }
    }

    /// Reads a file on from there, for what is before it was read elsewhere.
    ///
    /// # Errors
    ///
    /// That of reading it.
    pub(super) fn read_on_behind(&mut self, no: FileNo, mark: Mark) -> io::Result<()> {
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        file.unseen = false;
        file.start_at(mark.offset)?;
        tracing::info!(
            file = %file.path.display(), offset = mark.offset,
            "this file holds what was read under another name: it is read on behind that",
        );
        Ok(())
    }
}
