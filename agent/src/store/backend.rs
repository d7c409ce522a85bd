//! The database's file, with one thing added to what redb does with it: room that the file is to
//! have is taken from the disk at once.
//!
//! redb makes its file longer by a step that leaves a hole. On a full disk a write into such a hole
//! fails, also when it is about the smallest position. With the room taken when the file grows,
//! the growth fails, early and whole, and everything that fits into the file goes on.

use std::fs::File;
use std::io;
use std::ops::Bound;

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// See the file's head.
#[derive(Debug)]
pub(super) struct Roomy {
    inner: FileBackend,
    file: File,
}

impl Roomy {
    /// Over a file that is open for reading and writing.
    pub(super) fn new(file: File) -> Result<Self, redb::Error> {
        let inner = FileBackend::new(file.try_clone()?)?;
        Ok(Self { inner, file })
    }

    fn take_room(&self, len: u64) -> io::Result<()> {
        let has = self.file.metadata()?.len();
        let Some(more) = len.checked_sub(has).filter(|more| *more > 0) else {
            return Ok(());
        };
        loop {
            return match fallocate(&self.file, FallocateFlags::empty(), has, more) {
                Err(Errno::INTR) => continue,
                // A file system that cannot do it: the hole will have to do.
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
                Err(error) => Err(error.into()),
            };
        }
    }
}

impl StorageBackend for Roomy {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.take_room(len)?;
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}
