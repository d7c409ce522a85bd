//! Copies. copytruncate copies a log aside and then empties it: the copy holds what was not read in
//! time, and must not be read twice when an input means it, too.
//!
//! A new file named after a followed one, beginning with the same bytes, is suspected and not read
//! until that is truncated, they differ, or it has not grown for a second.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use lapwing_rules::model::Timestamp;

use super::Closed;
use super::file::{Place, Twin};
use super::identity::{self, FileId};
use super::known::Known;
use super::opened;
use super::pattern::bases;
use super::poller::Tailer;
use super::reconcile::Sighting;
use super::table::FileNo;
use crate::clock;
use crate::inputs::Position;

/// A suspect that does not grow for so long is complete.
const SETTLES_AFTER: Duration = Duration::from_secs(1);
/// A copy's inode was changed after the original was last read, give or take this.
const SLACK: Duration = Duration::from_secs(10);

/// What is to become of a suspect.
enum Verdict {
    Own,
    Copy,
    Wait { size: u64, since: Instant },
}

impl Tailer<'_> {
    /// Suspects a new file where there is one of which it may be the copy.
    pub(super) fn suspect(&mut self, no: FileNo) {
        let Some(file) = self.table.get(no) else {
            return;
        };
        let (Some(folder), Some(name)) = (file.door.parent(), file.door.file_name()) else {
            return;
        };
        let original = |other: &FileNo| {
            *other != no
                && self.table.get(*other).is_some_and(|other| {
                    other.place == Place::Here
                        && other.input == file.input
                        && (other.read_position() > 0 || other.was_cut)
                })
        };
        let named = bases(name)
            .into_iter()
            .flat_map(|base| self.table.paths.at(&folder.join(base)));
        let Some(of) = named.into_iter().find(original) else {
            return;
        };
        let since = self.attention.now();
        if let Some(file) = self.table.get_mut(no) {
            file.twin = Twin::Suspect { of, size: 0, since };
            self.suspects.insert(no);
        }
    }

    /// Judges all.
    pub(super) fn judge_suspects(&mut self) -> Result<(), Closed> {
        for no in self.suspects.clone() {
            self.judge(no)?;
        }
        Ok(())
    }

    /// Judges a suspect by what it holds now.
    pub(super) fn judge(&mut self, no: FileNo) -> Result<(), Closed> {
        let Some(Twin::Suspect { of, .. }) = self.table.get(no).map(|file| file.twin) else {
            self.suspects.remove(&no);
            return Ok(());
        };
        match self.compare(no).unwrap_or(Verdict::Own) {
            Verdict::Wait { size, since } => {
                if let Some(file) = self.table.get_mut(no) {
                    file.twin = Twin::Suspect { of, size, since };
                }
                Ok(())
            }
            Verdict::Copy => self.pass_over(no, Twin::Copy { of }),
            Verdict::Own => {
                // They differ also when the original has been truncated: that comes first, and may
                // clear the suspect.
                if self.is_truncated(of) {
                    return self.truncated(of);
                }
                self.judge_by_what_was_read(no)
            }
        }
    }

    /// A suspect that is no copy of what is written to may be one of what was.
    fn judge_by_what_was_read(&mut self, no: FileNo) -> Result<(), Closed> {
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        let Twin::Suspect {
            of,
            size: last,
            since,
        } = file.twin
        else {
            return Ok(());
        };
        let size = file.file().and_then(fs::File::metadata);
        let size = size.map_or(last, |metadata| metadata.size());
        let (input, door) = (file.input, file.door.clone());
        let base = self.live_door(input, &door);
        match self.known_of(no, &base).unwrap_or(Known::Nothing) {
            Known::All(mark) if self.read_on_behind(no, mark).is_ok() => {
                self.acquit(no);
                return self.tell(no);
            }
            Known::Part => {
                let now = self.attention.now();
                let since = if size == last { since } else { now };
                if now.saturating_duration_since(since) < SETTLES_AFTER {
                    if let Some(file) = self.table.get_mut(no) {
                        file.twin = Twin::Suspect { of, size, since };
                    }
                    return Ok(());
                }
            }
            Known::All(_) | Known::Nothing => {}
        }
        self.acquit(no);
        Ok(())
    }

    /// Whether the file of `no` does not hold any more what was read of it.
    fn is_truncated(&mut self, no: FileNo) -> bool {
        let Some(file) = self
            .table
            .get_mut(no)
            .filter(|file| file.place == Place::Here)
        else {
            return false;
        };
        let position = file.position(clock::now());
        let holds = file
            .file()
            .and_then(|file| identity::holds(file, position.tail, position.offset));
        matches!(holds, Ok(false))
    }

    fn compare(&mut self, no: FileNo) -> std::io::Result<Verdict> {
        let Some(Twin::Suspect {
            of,
            size: last,
            since,
        }) = self.table.get(no).map(|file| file.twin)
        else {
            return Ok(Verdict::Own);
        };
        let Some(original) = self.table.get_mut(of) else {
            return Ok(Verdict::Own);
        };
        let is_read_to = if original.failing {
            u64::MAX // nobody knows for how long
        } else {
            original.read_position()
        };
        // A clone, for both files are needed at once.
        let original = original.file()?.try_clone()?;
        let Some(copy) = self.table.get_mut(no) else {
            return Ok(Verdict::Own);
        };
        let copy = copy.file()?;
        let size = copy.metadata()?.size();
        let now = self.attention.now();
        if size > original.metadata()?.size() || !identity::agree_up_to(copy, &original, size)? {
            return Ok(Verdict::Own);
        }
        if size != last {
            return Ok(Verdict::Wait { size, since: now });
        }
        // What was not read yet of the original may be gone before it is.
        if now.saturating_duration_since(since) < SETTLES_AFTER || is_read_to < size {
            return Ok(Verdict::Wait { size, since });
        }
        Ok(if size == 0 {
            Verdict::Own
        } else {
            Verdict::Copy
        })
    }

    /// It is read from its beginning, like any new file.
    fn acquit(&mut self, no: FileNo) {
        self.suspects.remove(&no);
        if let Some(file) = self.table.get_mut(no) {
            file.twin = Twin::No;
        }
        self.enqueue(no);
    }

    /// What it holds is not read: it was, or will be, in the original.
    fn pass_over(&mut self, no: FileNo, twin: Twin) -> Result<(), Closed> {
        self.suspects.remove(&no);
        let Some(file) = self.table.get_mut(no) else {
            return Ok(());
        };
        file.twin = twin;
        let size = file
            .file()
            .and_then(fs::File::metadata)
            .map_or(0, |metadata| metadata.size());
        if let Err(error) = file.start_at(size) {
            let (input, path) = (file.input, file.path.clone());
            self.complain(input, &path, &error);
            return Ok(());
        }
        self.tell(no)
    }

    /// The original of some suspects was truncated; `position` is where reading had stopped. The
    /// one that holds more has been taken already: the others hold nothing new, or are no copies.
    pub(super) fn settle_suspects_of(
        &mut self,
        original: FileNo,
        position: &Position,
    ) -> Result<(), Closed> {
        for no in self.suspects.clone() {
            let Some(file) = self.table.get_mut(no) else {
                continue;
            };
            if !matches!(file.twin, Twin::Suspect { of, .. } if of == original) {
                continue;
            }
            let nothing_new = file.file().and_then(|file| {
                let size = file.metadata()?.size();
                let begins = identity::holds(file, position.head, position.head.len.into())?;
                Ok(begins && size > 0 && size <= position.offset)
            });
            if nothing_new.unwrap_or(false) {
                self.pass_over(no, Twin::No)?;
            } else {
                // It may be a copy of what the original was refilled with.
                let (size, since) = (0, self.attention.now());
                if let Some(file) = self.table.get_mut(no) {
                    let of = original;
                    file.twin = Twin::Suspect { of, size, since };
                }
                self.enqueue(no);
            }
        }
        Ok(())
    }

    /// Looks beside `door` for a copy of the file that stood there and was read up to `position`,
    /// made after `since`, and follows it from there. `original` is that file's number, if it is
    /// followed: its copy may have been found, and have no name any more.
    pub(super) fn find_copy(
        &mut self,
        input: usize,
        position: &Position,
        door: &Path,
        since: Timestamp,
        original: Option<FileNo>,
    ) -> Result<Option<FileNo>, Closed> {
        if position.offset == 0 || position.head.len == 0 {
            return Ok(None);
        }
        if let Some(no) = original.and_then(|original| self.suspect_behind(original, position)) {
            return self.go_on_in_copy(no, position);
        }
        let own = FileId {
            device: position.key.device,
            inode: position.key.inode,
        };
        for path in self.listings.copies_of(door) {
            let Ok((file, metadata)) = opened::open(&path) else {
                continue;
            };
            let id = FileId::of(&metadata);
            let changed = Timestamp::from_secs(metadata.ctime()).plus(SLACK);
            let known = self.table.find(input, id);
            if id == own || changed < since || !self.may_be_copy(input, id, known, original) {
                continue;
            }
            if goes_on_behind(&file, position).unwrap_or(false) {
                let sighting = Sighting {
                    input,
                    door: path.clone(),
                    path,
                    metadata,
                    origin: Some(door.to_owned()),
                };
                let taken = known.or_else(|| self.take_in_copy(&sighting, door));
                return taken.map_or(Ok(None), |no| self.go_on_in_copy(no, position));
            }
        }
        Ok(None)
    }

    /// The suspect that holds what `original` held up to `position`. It may be deleted by now, and nobody
    /// would find it in its folder.
    fn suspect_behind(&mut self, original: FileNo, position: &Position) -> Option<FileNo> {
        let suspects = self.suspects.clone().into_iter();
        let mut suspects = suspects.filter(|no| {
            let file = self.table.get_mut(*no);
            file.is_some_and(|file| {
                matches!(file.twin, Twin::Suspect { of, .. } if of == original)
                    && file
                        .file()
                        .and_then(|file| goes_on_behind(file, position))
                        .unwrap_or(false)
            })
        });
        suspects.next()
    }

    /// Whether nothing of that file was read for its own sake.
    fn may_be_copy(
        &self,
        input: usize,
        id: FileId,
        known: Option<FileNo>,
        original: Option<FileNo>,
    ) -> bool {
        if let Some(file) = known.and_then(|no| self.table.get(no)) {
            return match file.twin {
                Twin::No => false,
                Twin::Suspect { of, .. } | Twin::Copy { of } => Some(of) == original,
            };
        }
        let saved = |position: &Position| {
            (position.key.device, position.key.inode) == (id.device, id.inode)
        };
        !self
            .homeless
            .get(input)
            .is_some_and(|positions| positions.iter().any(saved))
    }

    fn take_in_copy(&mut self, sighting: &Sighting, origin: &Path) -> Option<FileNo> {
        let no = self.take_in(sighting)?;
        // Like a renamed file: read to its end, then let go.
        self.has_moved_from(no, origin.to_owned());
        Some(no)
    }

    fn go_on_in_copy(&mut self, no: FileNo, position: &Position) -> Result<Option<FileNo>, Closed> {
        self.suspects.remove(&no);
        let Some(file) = self.table.get_mut(no) else {
            return Ok(None);
        };
        file.twin = Twin::No;
        file.after = None; // the original comes after it now
        if file.start_at(position.offset).is_err() {
            return Ok(None);
        }
        self.counters.copies_found.add(1);
        self.tell(no)?;
        self.enqueue(no);
        Ok(Some(no))
    }
}

/// Whether a file holds what was read up to `position`, so that it can be read on from there.
fn goes_on_behind(file: &fs::File, position: &Position) -> std::io::Result<bool> {
    Ok(
        identity::holds(file, position.head, position.head.len.into())?
            && identity::holds(file, position.tail, position.offset)?,
    )
}
