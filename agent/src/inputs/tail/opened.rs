//! One descriptor: how a file is opened, how many are, and what the system says of one. It reads
//! nothing.

use std::cell::Cell;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::rc::Rc;

use lapwing_rules::model::Timestamp;
use rustix::fs::{Mode, OFlags};

/// What changes when a file is written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) size: u64,
    modified: (i64, i64),
}

impl Look {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }

    /// When it was last written to, wall clock.
    pub(super) fn modified_at(self) -> Timestamp {
        let (seconds, nanos) = self.modified;
        Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
    }
}

/// Counts the files that are open.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenFiles(Rc<Cell<usize>>);

impl OpenFiles {
    pub(super) fn count(&self) -> usize {
        self.0.get()
    }
}

/// An open file, counted for as long as it lives.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    _counted: Counted,
}

#[derive(Debug)]
struct Counted(OpenFiles);

impl Opened {
    pub(super) fn new(file: File, open: &OpenFiles) -> Self {
        let open = open.clone();
        open.0.set(open.count() + 1);
        Self {
            file,
            _counted: Counted(open),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Self(open) = self;
        open.0.set(open.count() - 1);
    }
}

/// Opens a regular file for reading, waiting for nothing.
///
/// # Errors
///
/// That of the system; [`io::ErrorKind::Unsupported`] for what is no regular file.
pub(super) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if metadata.is_file() {
        Ok((file, metadata))
    } else {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "not a regular file",
        ))
    }
}
