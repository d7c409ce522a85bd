//! One file that is followed: where reading stands, how to know it again, what it is called. Reads
//! its next bytes and frames them; what follows from that is decided elsewhere.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use lapwing_rules::model::{Source, Timestamp};
use lapwing_rules::scanner::Memory;

use super::identity::{self, Before, FileId, HEAD_BYTES, TAIL_BYTES};
use super::opened::{Look, OpenFiles, Opened, open};
use super::table::FileNo;
use crate::inputs::framer::{Framed, Framer};
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
    /// The most bytes that were ever seen in it since it was last read from its beginning.
    pub(super) seen_size: u64,
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
    /// Of the bytes before `framer.line_start()`.
    tail: Check,
    before: Before,
    /// NULs at the start are a hole, left by a writer that does not append.
    skip_nuls: bool,
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
    pub(super) max_line_bytes: usize,
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
            seen_size: 0,
            failing: false,
            hole_bytes: 0,
            source: found.source,
            input_name: found.input_name,
            handle: Some(Opened::new(found.file, &found.open)),
            open: found.open,
            used: true,
            framer: Framer::new(found.max_line_bytes, 0),
            head: Check::default(),
            tail: Check::default(),
            before: Before::NONE,
            skip_nuls: false,
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
            offset: self.framer.line_start(),
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

    /// Bytes that were seen in it and not read.
    pub(super) fn unread(&self) -> u64 {
        self.seen_size.saturating_sub(self.framer.position())
    }

    /// It was seen with so many bytes.
    pub(super) fn seen(&mut self, size: u64) {
        self.seen_size = self.seen_size.max(size);
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

    /// The next byte read is that at `offset`, which begins a line; what is before it counts as
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
        let head = Check::of(head.get(..filled).unwrap_or_default());
        let tail = bytes.get_mut(..cap(TAIL_BYTES)).unwrap_or_default();
        let filled = identity::read_at(file, tail, offset - tail.len() as u64)?;
        self.before = Before::of(tail.get(..filled).unwrap_or_default());
        self.head = if head.len == 0 {
            Check::default()
        } else {
            head
        };
        self.tail = self.tail_now();
        self.framer = Framer::new(self.framer.max_line_bytes(), offset);
        Ok(())
    }

    /// Reads it again from its beginning. What was under way is dropped.
    pub(super) fn restart(&mut self) {
        self.framer = Framer::new(self.framer.max_line_bytes(), 0);
        self.seen_size = 0;
        self.before = Before::NONE;
        self.head = Check::default();
        self.tail = Check::default();
        self.skip_nuls = true;
    }

    /// What is under way becomes a line.
    pub(super) fn finish(&mut self, out: &mut Framed) {
        self.framer.finish(out);
        self.tail = self.tail_now();
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
        self.look = look;
        self.seen(look.size);
        let skipped = self.not_of_a_line(new);
        let Some(text) = new
            .get(skipped.count..)
            .filter(|_| !skipped.wait && !new.is_empty())
        else {
            return Ok(Turn::Quiet);
        };
        let line_start = self.framer.line_start();
        if skipped.count > 0 {
            self.framer.skip(skipped.count as u64);
        }
        self.framer.push(text, out);
        self.before = Before::of(read);
        let moved = self.framer.line_start() != line_start;
        if moved {
            self.retake_tail(read, base);
        }
        let grown = self.grow_head(read, base)?;
        // Full, and not by chance to the last byte: there is more.
        let more = filled == scratch.len() && self.framer.position() != look.size;
        Ok(Turn::Grown {
            more,
            moved: moved || grown,
        })
    }

    /// A check of what now stands before the line under way; `read` stood at `base`.
    fn retake_tail(&mut self, read: &[u8], base: u64) {
        let end = usize::try_from(self.framer.line_start() - base).unwrap_or(usize::MAX);
        let before = read.get(..end).unwrap_or(read);
        self.tail = Check::of(
            before
                .last_chunk::<TAIL_BYTES>()
                .map_or(before, <[u8; TAIL_BYTES]>::as_slice),
        );
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
            self.before = Before::of(&[0; TAIL_BYTES]);
        }
        Ok(())
    }

    /// How many of the next bytes belong to no line: a byte order mark, the rest of a hole.
    fn not_of_a_line(&mut self, new: &[u8]) -> Skipped {
        const MARK: &[u8] = b"\xEF\xBB\xBF";
        if self.skip_nuls {
            let count = new.iter().take_while(|&&byte| byte == 0).count();
            self.skip_nuls = count == new.len();
            if count > 0 {
                self.hole_bytes += count as u64;
                return Skipped { count, wait: false };
            }
        }
        if self.framer.position() > 0 {
            return Skipped {
                count: 0,
                wait: false,
            };
        }
        if new.starts_with(b"\xFF\xFE") || new.starts_with(b"\xFE\xFF") {
            tracing::warn!(file = %self.path.display(), "UTF-16 is not decoded: lines are matched as bytes");
        }
        let mark = new.starts_with(MARK);
        Skipped {
            count: if mark { MARK.len() } else { 0 },
            wait: !mark && MARK.starts_with(new),
        }
    }
}

struct Skipped {
    count: usize,
    /// It may become a mark: wait for more.
    wait: bool,
}
