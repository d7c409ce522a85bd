//! One file that is followed: where reading stands, how to know it again, what it is called. Reads
//! its next bytes and frames them; what follows from that is decided elsewhere.

use std::cell::Cell;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lapwing_rules::model::{Source, Timestamp};
use lapwing_rules::scanner::Memory;
use rustix::fs::{Mode, OFlags};

use super::identity::{self, FileId, HEAD_BYTES, TAIL_BYTES};
use super::table::FileNo;
use crate::inputs::framer::{Encoding, Framed, Framer, Framing};
use crate::inputs::{Check, Position, PositionKey};

/// Bytes read in one turn, so that a busy file does not starve the others.
pub(super) const TURN_BYTES: usize = 256 * 1024;
/// A buffer for one turn: the bytes that are read again to be compared, and the new ones.
pub(super) const SCRATCH_BYTES: usize = TAIL_BYTES + TURN_BYTES;

/// Where a file is, compared to where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Under the name that its input means.
    Here,
    /// Renamed, or its link leads elsewhere; `real` still leads to it.
    Moved,
    /// No name is known for it.
    Gone,
}

/// Whether a file that begins like another is its copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twin {
    /// It is a file of its own.
    No,
    /// Not known yet; nothing is read. `size` was last seen `since`.
    Suspect {
        of: FileNo,
        size: u64,
        since: Instant,
    },
    /// It is; what it holds was or will be read there. Nothing of its own was read so far.
    Copy { of: FileNo },
}

impl Twin {
    pub(super) fn is_suspect(self) -> bool {
        matches!(self, Self::Suspect { .. })
    }
}

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
struct Opened {
    file: File,
    open: OpenFiles,
}

impl Opened {
    fn new(file: File, open: &OpenFiles) -> Self {
        let open = open.clone();
        open.0.set(open.count() + 1);
        Self { file, open }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.open.0.set(self.open.count() - 1);
    }
}

/// A followed file. `path`, `door` and `real` differ only where links are in play.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and all sixteen ways occur"
)]
pub(super) struct Tailed {
    /// Index of its input.
    pub(super) input: usize,
    pub(super) id: FileId,
    /// As its input's pattern reaches it, or as it was last called.
    pub(super) path: PathBuf,
    /// `path` with the true path of its folder; it may itself be a link.
    pub(super) door: PathBuf,
    /// The true path of the file, free of links.
    pub(super) real: PathBuf,
    /// The door at which it was found first: whose name a new file takes in a rotation.
    pub(super) origin: PathBuf,
    pub(super) place: Place,
    pub(super) twin: Twin,
    /// Read this one to its end first.
    pub(super) after: Option<FileNo>,
    pub(super) queued: bool,
    /// When it was displaced, or read anything last.
    pub(super) quiet_since: Instant,
    /// Displaced, and done with for now.
    pub(super) let_go: bool,
    /// When its content was last known to be what was read: wall clock.
    pub(super) whole_at: Timestamp,
    /// When it was last known to have its name: wall clock.
    pub(super) named_at: Timestamp,
    pub(super) look: Look,
    pub(super) failing: bool,
    /// Bytes of a hole that were stepped over since this was last taken.
    pub(super) hole_bytes: u64,
    pub(super) source: Arc<Source>,
    input_name: Arc<str>,
    handle: Option<Opened>,
    open: OpenFiles,
    used: bool,
    framer: Framer,
    head: Check,
    /// Of the bytes before `framer.record_start()`.
    tail: Check,
    /// Of the bytes before `framer.line_start()`.
    line_tail: Check,
    before: Before,
    /// NULs at the start are a hole, left by a writer that does not append.
    skip_nuls: bool,
}

/// The bytes before the read position.
#[derive(Clone, Copy, Debug)]
struct Before {
    bytes: [u8; TAIL_BYTES],
    length: usize,
}

impl Before {
    const NONE: Self = Self {
        bytes: [0; TAIL_BYTES],
        length: 0,
    };

    fn of(bytes: &[u8]) -> Self {
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

    fn get(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
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

/// What a new [`Tailed`] is made from.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) input: usize,
    pub(super) input_name: Arc<str>,
    pub(super) source: Arc<Source>,
    pub(super) path: PathBuf,
    pub(super) door: PathBuf,
    pub(super) real: PathBuf,
    pub(super) file: File,
    pub(super) open: OpenFiles,
    pub(super) metadata: Metadata,
    pub(super) framing: Framing,
    pub(super) now: Instant,
    pub(super) named_at: Timestamp,
}

impl Tailed {
    /// A file that is read from its beginning until told otherwise.
    pub(super) fn new(found: Found) -> Self {
        Self {
            input: found.input,
            id: FileId::of(&found.metadata),
            path: found.path,
            origin: found.door.clone(),
            door: found.door,
            real: found.real,
            place: Place::Here,
            twin: Twin::No,
            after: None,
            queued: false,
            quiet_since: found.now,
            let_go: false,
            whole_at: Timestamp::MIN,
            named_at: found.named_at,
            look: Look::default(),
            failing: false,
            hole_bytes: 0,
            source: found.source,
            input_name: found.input_name,
            handle: Some(Opened::new(found.file, &found.open)),
            open: found.open,
            used: true,
            framer: Framer::new(&found.framing),
            head: Check::default(),
            tail: Check::default(),
            line_tail: Check::default(),
            before: Before::NONE,
            skip_nuls: true,
        }
    }

    /// The paths at which a write or a change concerns it.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        let origin = (!self.let_go).then_some(self.origin.as_path());
        [self.door.as_path(), self.real.as_path()]
            .into_iter()
            .chain(origin)
    }

    pub(super) fn key(&self) -> PositionKey {
        PositionKey {
            input: self.input_name.as_ref().to_owned(),
            device: self.id.device,
            inode: self.id.inode,
        }
    }

    pub(super) fn position(&self, now: Timestamp) -> Position {
        Position {
            key: self.key(),
            path: self.path.clone(),
            offset: self.framer.record_start(),
            head: self.head,
            tail: self.tail,
            seen_at: now,
            memory: Memory::default(),
        }
    }

    /// Where the next byte is read.
    pub(super) fn read_position(&self) -> u64 {
        self.framer.position()
    }

    pub(super) fn is_open(&self) -> bool {
        self.handle.is_some()
    }

    /// Whether nothing is lost by closing it: it can be opened again by its name.
    pub(super) fn may_close(&self) -> bool {
        self.place == Place::Here
    }

    pub(super) fn close(&mut self) {
        self.handle = None;
    }

    /// Closes it where it can be opened again.
    pub(super) fn close_if_named(&mut self) {
        if self.place == Place::Here {
            self.close();
        }
    }

    pub(super) fn used_since_last_asked(&mut self) -> bool {
        std::mem::take(&mut self.used)
    }

    /// Whether nobody but those who have it open can reach it.
    pub(super) fn is_deleted(&self) -> bool {
        let metadata = self
            .handle
            .as_ref()
            .and_then(|opened| opened.file.metadata().ok());
        metadata.is_some_and(|metadata| metadata.nlink() == 0)
    }

    /// Whether the name by which it is known still leads to it.
    pub(super) fn is_at_its_name(&self) -> bool {
        let name = match self.place {
            Place::Here => &self.door,
            Place::Moved => &self.real,
            Place::Gone => return false,
        };
        fs::metadata(name).is_ok_and(|metadata| FileId::of(&metadata) == self.id)
    }

    /// Its descriptor, opened now if need be.
    ///
    /// # Errors
    ///
    /// That of opening; [`io::ErrorKind::NotFound`] when another file has its name.
    pub(super) fn file(&mut self) -> io::Result<&File> {
        self.used = true;
        if self.handle.is_none() {
            let (file, metadata) = open(&self.real)?;
            if FileId::of(&metadata) != self.id {
                return Err(io::ErrorKind::NotFound.into());
            }
            self.handle = Some(Opened::new(file, &self.open));
        }
        self.handle
            .as_ref()
            .map(|opened| &opened.file)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Goes on where `position` says, if the file is still the one that it speaks of; says whether.
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
        if same {
            self.start_at(position.offset)?;
            self.head = position.head;
        }
        Ok(same)
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

    fn tail_now(&self) -> Check {
        match self.before.get() {
            [] => Check::default(),
            bytes => Check::of(bytes),
        }
    }

    /// Reads the next bytes. `scratch` has [`SCRATCH_BYTES`]; whole lines are appended to `out`.
    ///
    /// # Errors
    ///
    /// That of the system; nothing was taken then.
    pub(super) fn turn(&mut self, scratch: &mut [u8], out: &mut Framed) -> io::Result<Turn> {
        let metadata = self.file()?.metadata()?;
        let look = Look::of(&metadata);
        if self.skip_nuls && self.framer.position() == 0 {
            self.skip_hole()?;
        }
        let position = self.framer.position();
        let overlap = self.before.length;
        let base = position - overlap as u64;
        let filled = identity::read_at(self.file()?, scratch, base)?;
        let read = scratch.get(..filled).unwrap_or_default();
        let Some((again, new)) = read.split_at_checked(overlap) else {
            return Ok(Turn::Truncated);
        };
        if again != self.before.get() {
            return Ok(Turn::Truncated);
        }
        self.look = look;
        if new.is_empty() {
            return Ok(Turn::Quiet);
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
        let grown = self.grow_head(read, base)?;
        // Full, and not by chance to the last byte: there is more.
        let more = filled == scratch.len() && self.framer.position() != look.size;
        Ok(Turn::Grown {
            more,
            moved: moved || grown,
        })
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
    fn grow_head(&mut self, read: &[u8], base: u64) -> io::Result<bool> {
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
            self.before = Before {
                bytes: [0; TAIL_BYTES],
                length: TAIL_BYTES,
            };
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
