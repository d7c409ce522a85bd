//! Files that nobody can open again: deleted, or moved out of sight, and still open here. When this
//! thread ends for a successor in the same process (a reload), that one is given all descriptors, and
//! goes on with those that it needs; when it ends for good, such files are read to their ends first.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use lapwing_rules::model::Source;

use super::Closed;
use super::file::{self, Place, Tailed};
use super::identity::FileId;
use super::poller::Tailer;
use super::table::FileNo;
use super::turns::After;
use crate::clock;
use crate::inputs::Position;

/// The whole end has to fit into 5 s; a writer that goes on and on must not take all of them.
const FAREWELL: Duration = Duration::from_millis(1_500);

/// A file that was open when a tail thread ended, for the next one.
#[derive(Debug)]
pub struct Kept {
    input: String,
    id: FileId,
    file: File,
    /// How long nothing had come: it is not kept for longer because agents follow each other quickly.
    quiet: Duration,
}

impl Tailer<'_> {
    /// All that is open: any of it may be deleted before the successor has opened it.
    pub(super) fn keep(&mut self) -> Vec<Kept> {
        let now = self.attention.now();
        let files = self.table.iter_mut();
        let plain = files.filter(|(_, file)| file.packed.is_none());
        plain
            .filter_map(|(_, file)| {
                Some(Kept {
                    file: file.hand_on()?,
                    input: file.key().input,
                    id: file.id,
                    quiet: now.saturating_duration_since(file.quiet_since),
                })
            })
            .collect()
    }

    /// The descriptor of the file of an input that is known to have this id, if the thread before this one
    /// has left it open: then there need not be two.
    pub(super) fn take_kept(&mut self, input: usize, id: FileId) -> Option<File> {
        let name = self.names.get(input)?;
        let is_it = |kept: &Kept| kept.id == id && *kept.input == **name;
        let at = self.kept.iter().position(is_it)?;
        Some(self.kept.swap_remove(at).file)
    }

    /// The last words of those that will be gone with this process.
    pub(super) fn read_out_of_reach(&mut self) -> Result<(), Closed> {
        let until = clock::monotonic() + FAREWELL;
        for no in self.table.numbers() {
            if !self.table.get(no).is_some_and(is_out_of_reach) {
                continue;
            }
            while clock::monotonic() < until {
                if self.read(no)? != After::More {
                    // Nobody will ever see what is written to it from here on.
                    if self.table.get(no).is_some_and(Tailed::is_deleted) {
                        self.table.relocate(no, |file| file.place = Place::Gone);
                        self.let_go(no)?;
                    }
                    break;
                }
            }
        }
        Ok(())
    }

    /// Goes on with the file of `position`, if the thread before this one has left it open.
    pub(super) fn inherit(&mut self, input: usize, position: &Position) -> Option<FileNo> {
        let id = FileId {
            device: position.key.device,
            inode: position.key.inode,
        };
        let is_it = |kept: &Kept| kept.input == position.key.input && kept.id == id;
        let at = self.kept.iter().position(is_it)?;
        let Kept { file, quiet, .. } = self.kept.swap_remove(at);
        let now = self.attention.now();
        let door = self.folders.door(&position.path);
        let config = self.configs.get(input)?;
        let mut file = Tailed::new(file::Found {
            input,
            input_name: Arc::clone(self.names.get(input)?),
            source: Arc::new(Source {
                input: config.id,
                name: position.path.to_string_lossy().into(),
            }),
            path: position.path.clone(),
            door: door.clone(),
            real: door,
            metadata: file.metadata().ok()?,
            file,
            open: self.table.open.clone(),
            framing: config.framing.clone(),
            now: now.checked_sub(quiet).unwrap_or(now),
            named_at: position.seen_at,
        });
        if !file.resume(position).unwrap_or(false) {
            return None;
        }
        file.place = Place::Gone;
        let no = self.table.insert(file);
        self.displaced.insert(no);
        Some(no)
    }
}

/// Open, and not to be opened again. A compressed file is written elsewhere first and whole when it
/// gets its name: what is deleted of those was not wanted.
fn is_out_of_reach(file: &Tailed) -> bool {
    file.is_open() && file.packed.is_none() && !file.is_at_its_name()
}
