//! One file that is followed: where reading stands, how to know it again, what it is called. Its bytes
//! are read in `reading`; what follows from that is decided elsewhere.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use lapwing_rules::model::{Batch, Source, Timestamp};
use lapwing_rules::scanner::Memory;

use super::identity::{self, Before, FileId};
use super::opened::{Look, OpenFiles, Opened, open};
use super::packed::{Mark, Packed, Stage};
use super::table::FileNo;
use crate::inputs::framer::{Framed, Framer, Framing};
use crate::inputs::{Check, Event, Position, PositionKey};

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
    /// It was said to be written to, and could not be read since.
    pub(super) noticed: bool,
    /// When it was displaced, or read anything last.
    pub(super) quiet_since: Instant,
    /// Since when what belongs to the record under way is dropped, where that is so: by the same clock.
    pub(super) full_since: Option<Instant>,
    /// Displaced, and done with for now.
    pub(super) let_go: bool,
    /// Whether it was truncated before: then copies of it come, also of what is not read yet.
    pub(super) was_cut: bool,
    /// See [`Position::done`].
    pub(super) done: bool,
    /// When its content was last known to be what was read: wall clock.
    pub(super) whole_at: Timestamp,
    /// Since when it was not found at its name, where that is not settled.
    pub(super) missed_at: Option<Instant>,
    /// When it was last known to have its name: wall clock.
    pub(super) named_at: Timestamp,
    pub(super) look: Look,
    /// When what was read last had been written, at the latest: wall clock.
    pub(super) written_at: Timestamp,
    /// The most bytes that were ever seen in it since it was last read from its beginning.
    pub(super) seen_size: u64,
    /// The same while it held what was read: not of another one that has its name and inode.
    pub(super) whole_size: u64,
    pub(super) failing: bool,
    /// Bytes of a hole that were stepped over since this was last taken.
    pub(super) hole_bytes: u64,
    /// Whether it came and was rotated away while nobody looked: where it stands among the others is
    /// known by its name alone.
    pub(super) unseen: bool,
    /// What is inside, where it is compressed.
    pub(super) packed: Option<Box<Packed>>,
    pub(super) source: Arc<Source>,
    input_name: Arc<str>,
    handle: Option<Opened>,
    open: OpenFiles,
    used: bool,
    pub(super) framer: Framer,
    pub(super) head: Check,
    /// Of the bytes before `framer.record_start()`.
    pub(super) tail: Check,
    /// Of the bytes before `framer.line_start()`.
    pub(super) line_tail: Check,
    pub(super) before: Before,
    /// NULs at the start are a hole, left by a writer that does not append.
    pub(super) skip_nuls: bool,
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
            noticed: false,
            quiet_since: found.now,
            full_since: None,
            let_go: false,
            was_cut: false,
            done: false,
            whole_at: Timestamp::MIN,
            missed_at: None,
            named_at: found.named_at,
            look: Look::default(),
            written_at: Timestamp::MAX,
            seen_size: 0,
            whole_size: 0,
            failing: false,
            hole_bytes: 0,
            unseen: false,
            packed: None,
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
        let Mark { offset, head, tail } = self.mark();
        Position {
            key: self.key(),
            path: self.path.clone(),
            offset,
            head,
            tail,
            seen_at: now,
            done: self.done,
            memory: Memory::default(),
        }
    }

    /// Where reading stands, as its position says it.
    pub(super) fn mark(&self) -> Mark {
        let held = self.packed.as_ref().and_then(|packed| packed.held);
        held.unwrap_or_else(|| self.line_mark())
    }

    /// Lines of it as they are handed over, with the position behind them, of which `seen_at` is said.
    pub(super) fn lines(&mut self, framed: Framed, now: Timestamp, seen_at: Timestamp) -> Event {
        self.twin = Twin::No;
        let Framed {
            bytes,
            segments,
            cut,
            records,
            ..
        } = framed;
        let batch = Batch {
            source: Arc::clone(&self.source),
            bytes,
            segments,
            cut,
            records,
            arrival: now.min(self.written_at),
        };
        Event::Lines {
            batch,
            position: Some(self.position(seen_at)),
        }
    }

    /// Where the record under way begins.
    pub(super) fn line_mark(&self) -> Mark {
        Mark {
            offset: self.framer.record_start(),
            head: self.head,
            tail: self.tail,
        }
    }

    /// Where the next byte is read.
    pub(super) fn read_position(&self) -> u64 {
        self.framer.position()
    }

    /// Bytes that were seen in it and not read.
    pub(super) fn unread(&self) -> u64 {
        let read = match self.packed.as_deref() {
            Some(packed) if packed.is_at_rest() => return 0,
            Some(packed) => packed.packed_at(),
            None => self.framer.position(),
        };
        self.seen_size.saturating_sub(read)
    }

    /// Whether nothing of it is left to read or to tell.
    pub(super) fn is_all_read(&self) -> bool {
        let framer = &self.framer;
        self.unread() == 0
            && self.is_at_rest()
            && !(self.failing || self.is_unsure())
            && (self.packed.is_some() || framer.record_start() == framer.position())
    }

    /// It was seen with so many bytes.
    pub(super) fn seen(&mut self, size: u64) {
        self.seen_size = self.seen_size.max(size);
    }

    pub(super) fn is_open(&self) -> bool {
        self.handle.is_some()
    }

    /// What the system says of it, by whatever name it has.
    ///
    /// # Errors
    ///
    /// That of the system.
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        match &self.handle {
            Some(opened) => opened.file.metadata(),
            None => fs::metadata(&self.real),
        }
    }

    /// Its descriptor for somebody else, if it is open; it is closed here.
    pub(super) fn hand_on(&mut self) -> Option<File> {
        self.handle.take().map(|opened| opened.file)
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

    /// Whether the file at `path` is this one. While nobody had it open its inode may have become
    /// that of another: then its content decides.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        if self.is_open() {
            return fs::metadata(path).is_ok_and(|metadata| FileId::of(&metadata) == self.id);
        }
        let (file, metadata) = match open(path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
            // What cannot be read now is taken for what it was.
            Err(_) => {
                return fs::metadata(path).is_ok_and(|metadata| FileId::of(&metadata) == self.id);
            }
        };
        let mark = match self.packed.as_ref().map(|packed| &packed.stage) {
            None | Some(Stage::Done) => self.mark(),
            Some(_) => Mark::default(),
        };
        let holds = |check, end| identity::holds(&file, check, end).unwrap_or(false);
        FileId::of(&metadata) == self.id
            && holds(mark.head, mark.head.len.into())
            && holds(mark.tail, mark.offset)
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

    /// Whether it has no position yet: what it is will turn out.
    pub(super) fn is_unsure(&self) -> bool {
        let packed = self.packed.as_ref();
        self.twin.is_suspect() || packed.is_some_and(|packed| packed.is_unsure())
    }

    /// Whether it may be let go: nothing is to be expected of it but what is written to it.
    pub(super) fn is_at_rest(&self) -> bool {
        self.packed
            .as_ref()
            .is_none_or(|packed| packed.is_at_rest())
    }
}
