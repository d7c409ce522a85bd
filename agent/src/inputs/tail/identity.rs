//! Which file is this? Device and inode, a check of its first bytes, a check of the bytes before
//! the place where reading stopped. Reads only what it needs for that, from files that are open.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use sha2::{Digest, Sha256};

use crate::inputs::Check;
use crate::inputs::utf16::{Encoding, Order};

/// The most that [`Position::head`](crate::inputs::Position::head) covers.
pub(super) const HEAD_BYTES: usize = 1024;
/// The most that [`Position::tail`](crate::inputs::Position::tail) covers.
pub(super) const TAIL_BYTES: usize = 64;

/// What the system knows a file by. Used again for another file once the first one is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FileId {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl FileId {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

impl Check {
    /// The check of these bytes, at most 4 GiB.
    pub fn of(bytes: &[u8]) -> Self {
        let digest = Sha256::digest(bytes);
        let hash = digest
            .iter()
            .take(8)
            .fold(0, |hash, &byte| (hash << 8) | u64::from(byte));
        Self {
            len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            hash,
        }
    }

    /// How many bytes.
    pub(super) fn length(self) -> usize {
        usize::try_from(self.len).unwrap_or(usize::MAX)
    }
}

/// The bytes before the read position.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    bytes: [u8; TAIL_BYTES],
    length: usize,
}

impl Before {
    /// Nothing.
    pub(super) const NONE: Self = Self {
        bytes: [0; TAIL_BYTES],
        length: 0,
    };

    /// The last of these.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let bytes = bytes
            .last_chunk::<TAIL_BYTES>()
            .map_or(bytes, <[u8; TAIL_BYTES]>::as_slice);
        let mut before = Self::NONE;
        for (slot, byte) in before.bytes.iter_mut().zip(bytes) {
            *slot = *byte;
        }
        before.length = bytes.len();
        before
    }

    /// Those that stand before the place behind `more`.
    pub(super) fn then(&self, more: &[u8]) -> Self {
        if more.len() >= TAIL_BYTES {
            return Self::of(more);
        }
        Self::of(&[self.get(), more].concat())
    }

    /// Whether these are the bytes of `check`. An empty check is that of any.
    pub(super) fn ends_like(&self, check: Check) -> bool {
        let bytes = self.get();
        let from = bytes.len().checked_sub(check.length());
        from.and_then(|from| bytes.get(from..))
            .is_some_and(|bytes| bytes.is_empty() || Check::of(bytes) == check)
    }

    pub(super) fn get(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// Reads from `offset` until `buffer` is full or the file ends; the number of bytes read.
///
/// # Errors
///
/// That of the system; an interrupted call is tried again.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Whether the bytes that end at `end` are those of `check`. An empty check holds everywhere.
///
/// # Errors
///
/// That of reading.
pub(super) fn holds(file: &File, check: Check, end: u64) -> io::Result<bool> {
    let mut buffer = [0; HEAD_BYTES];
    let Some(bytes) = buffer.get_mut(..check.length()) else {
        return Ok(false); // no check of ours is longer
    };
    let Some(start) = end.checked_sub(u64::from(check.len)) else {
        return Ok(false);
    };
    Ok(read_at(file, bytes, start)? == bytes.len()
        && (bytes.is_empty() || Check::of(bytes) == check))
}

/// Whether two files hold the same bytes before `end`: up to [`TAIL_BYTES`] of them, and up to
/// [`HEAD_BYTES`] at their beginnings.
///
/// # Errors
///
/// That of reading either.
pub(super) fn agree_up_to(one: &File, other: &File, end: u64) -> io::Result<bool> {
    let (mut left, mut right) = ([0; HEAD_BYTES], [0; HEAD_BYTES]);
    let cap = |most: usize| usize::try_from(end).unwrap_or(usize::MAX).min(most);
    for (start, length) in [
        (0, cap(HEAD_BYTES)),
        (end - cap(TAIL_BYTES) as u64, cap(TAIL_BYTES)),
    ] {
        let (Some(left), Some(right)) = (left.get_mut(..length), right.get_mut(..length)) else {
            return Ok(false);
        };
        if read_at(one, left, start)? != length || read_at(other, right, start)? != length {
            return Ok(false);
        }
        if left != right {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The offset after the last LF before `end`, 0 where there is none. O(length of the last line).
/// `scratch` has an even number of bytes.
///
/// # Errors
///
/// That of reading.
pub(super) fn last_line_start(
    file: &File,
    end: u64,
    encoding: Encoding,
    scratch: &mut [u8],
) -> io::Result<u64> {
    let unit = match encoding {
        Encoding::Bytes => 1,
        Encoding::Utf16(_) => 2,
    };
    let mut end = end - end % unit;
    while end > 0 {
        let length = usize::try_from(end)
            .unwrap_or(usize::MAX)
            .min(scratch.len());
        let start = end - length as u64;
        let Some(bytes) = scratch.get_mut(..length) else {
            break;
        };
        let filled = read_at(file, bytes, start)?;
        let bytes = bytes.get(..filled).unwrap_or_default();
        if let Some(behind) = behind_last_lf(bytes, encoding) {
            return Ok(start + behind as u64);
        }
        end = start;
    }
    Ok(0)
}

/// The place behind the last LF in `bytes`, which begin with a whole unit.
fn behind_last_lf(bytes: &[u8], encoding: Encoding) -> Option<usize> {
    let lf = match encoding {
        Encoding::Bytes => return memchr::memrchr(b'\n', bytes).map(|lf| lf + 1),
        Encoding::Utf16(Order::Little) => [b'\n', 0],
        Encoding::Utf16(Order::Big) => [0, b'\n'],
    };
    let unit = bytes.chunks_exact(2).rposition(|unit| *unit == lf)?;
    Some(2 * unit + 2)
}
