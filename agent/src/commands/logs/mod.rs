//! Log files as commands read them: plain, gzip, zstd or standard input, cut into whole lines.
//!
//! `blocks` cuts what is read into lines, the room `packing` knows what a log is packed in, `ahead`
//! does both on a thread of its own, where `pace` finds that quicker; `places` are for threads that read
//! one log at once. What the lines mean is not known here.

mod ahead;
mod blocks;
mod pace;
mod places;
mod ways;

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lapwing_rules::model::{Batch, Source, Timestamp};

use crate::clock;
use crate::error::AgentError;
use crate::inputs::framer::Framing;
use crate::packing::{Packing, Window};
use ahead::{Ahead, Next};
use blocks::{Block, Blocks, Cutting, Filling};
use pace::{Pace, Reader};

pub(super) use places::Place;
pub(super) use ways::{Way, Ways};

/// Bytes read for one batch: half of a second cache of 1 MiB, so that it is counted where it lies; less
/// wakes the two threads so often that it shows.
const BLOCK_BYTES: usize = 512 * 1024;
/// A file of at most so many bytes is not worth a thread, packed or not.
const SHORT_BYTES: u64 = 32 * 1024;
/// As [`BLOCK_BYTES`] where lines are handed out as they come: what a pipe holds.
const PROMPT_BYTES: usize = 64 * 1024;

/// One log, read from its beginning to its end.
pub(super) struct Log {
    source: Arc<Source>,
    file: Counted,
    reading: Reading,
    /// Who is to read, while that is tried out.
    pace: Option<Pace>,
    /// Its lines can be read by their place.
    has_places: bool,
    /// Where the line behind the last place begins, until the file stands there.
    behind: Option<u64>,
    /// What lines without any time of their own bear.
    modified: Timestamp,
    /// Lines handed out so far.
    pub(super) lines: u64,
    /// Bytes read so far, after decompression; of those read ahead only what was handed out.
    pub(super) bytes: u64,
}

/// How much there is of something, unpacked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    pub(super) lines: u64,
    pub(super) bytes: u64,
}

impl Size {
    pub(super) fn add(&mut self, other: Self) {
        self.lines += other.lines;
        self.bytes += other.bytes;
    }
}

/// A batch that was just read.
pub(super) struct Fresh {
    pub(super) batch: Batch,
    /// Bytes read since the one before.
    read: u64,
    /// As of [`Block`].
    joined: Option<u64>,
}

impl Fresh {
    /// Counts its lines.
    pub(super) fn size(&self) -> Size {
        Size {
            lines: blocks::count_lines(&self.batch.bytes, self.joined),
            bytes: self.read,
        }
    }
}

/// Who reads.
enum Reading {
    /// Whoever asks; with a buffer that was used before.
    Here(Box<Blocks>, Vec<u8>),
    /// A thread.
    Ahead(Ahead),
    /// Nobody any more.
    Ended,
}

impl Log {
    /// Opens `path`; `-` is standard input. `read` counts the bytes that are taken from the disk.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub(super) fn open(path: &Path, way: &Way, read: &Arc<AtomicU64>) -> Result<Self, AgentError> {
        let name = path.to_string_lossy();
        let failed = || format!("cannot read {name}");
        let opened = if path == Path::new("-") {
            let stdin = io::stdin().as_fd().try_clone_to_owned();
            stdin.and_then(|stdin| Self::of("stdin", way, Origin::Stdin, stdin.into(), read))
        } else {
            File::open(path).and_then(|file| Self::of(&name, way, Origin::Named, file, read))
        };
        opened.map_err(AgentError::io(failed()))
    }

    fn of(
        name: &str,
        way: &Way,
        origin: Origin,
        file: File,
        read: &Arc<AtomicU64>,
    ) -> io::Result<Self> {
        let about = file.metadata()?;
        if about.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let modified = match origin {
            Origin::Stdin => clock::now(),
            Origin::Named => about
                .modified()
                .map_or_else(|_| clock::now(), clock::from_system),
        };
        let file = Counted {
            file: Arc::new(file),
            origin,
            is_regular: about.is_file(),
            is_short: about.is_file() && about.len() <= SHORT_BYTES,
            framing: way.framing.clone(),
            read: Arc::clone(read),
        };
        Ok(Self {
            source: Arc::new(Source {
                input: way.input,
                name: name.into(),
            }),
            reading: Reading::Here(Box::new(file.blocks()?), Vec::new()),
            pace: None,
            has_places: false,
            behind: None,
            file,
            modified,
            lines: 0,
            bytes: 0,
        })
    }

    /// Goes back to where it was opened and lets go of all memory, where the log can be read
    /// again; else it stays as it is and gives false.
    ///
    /// # Errors
    ///
    /// When its beginning cannot be read a second time.
    pub(super) fn rewind(&mut self) -> Result<bool, AgentError> {
        let can = self.file.is_regular && self.file.origin == Origin::Named;
        if can {
            let name = &self.source.name;
            let blocks = self.file.rewind().and_then(|()| self.file.blocks());
            let blocks = blocks.map_err(AgentError::io(format!("cannot read {name}")))?;
            self.reading = Reading::Here(Box::new(blocks), Vec::new());
            (self.lines, self.bytes) = (0, 0);
            (self.has_places, self.behind) = (false, None);
        }
        Ok(can)
    }

    /// Whether several threads may as well read it in turns: no line waits for the next one to be
    /// written, and there is more than one batch.
    pub(super) fn suits_many(&self) -> bool {
        self.file.is_regular && !self.file.is_short
    }

    /// From now on several threads read it.
    pub(super) fn share(&mut self) {
        self.has_places = self.file.is_only_copied().unwrap_or(false);
    }

    /// Where the next lines are, if whoever asks can read them without keeping others from asking;
    /// else they come by [`Log::next_block`].
    pub(super) fn next_place(&mut self) -> Option<Place> {
        let Reading::Here(blocks, _) = &mut self.reading else {
            return None;
        };
        let max = self.file.framing.max_line_bytes;
        let (start, known) = blocks.place().filter(|_| self.has_places)?;
        // What cannot be read here is told by who reads on from here.
        let end = places::end_of_lines(&self.file.file, start, max).ok()??;
        blocks.go_to(end);
        self.behind = Some(end);
        Some(Place {
            file: self.file.clone(),
            source: Arc::clone(&self.source),
            modified: self.modified,
            bytes: start..end,
            known,
        })
    }

    /// From now on a thread may read ahead of whoever asks: where there is more than one batch, and
    /// where it is quicker. It is where anything is unpacked or waited for.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub(super) fn read_ahead(&mut self) -> Result<(), AgentError> {
        if self.file.is_short {
            return Ok(());
        }
        if self.file.is_only_copied().unwrap_or(false) {
            self.pace = Some(Pace::default());
            return Ok(());
        }
        self.start_reader()
    }

    fn start_reader(&mut self) -> Result<(), AgentError> {
        self.reading = match std::mem::replace(&mut self.reading, Reading::Ended) {
            Reading::Here(blocks, _) => Reading::Ahead(
                Ahead::start(blocks).map_err(AgentError::io("cannot start a thread to read"))?,
            ),
            other => other,
        };
        Ok(())
    }

    /// The next lines; `None` at the end. A last line without LF counts.
    ///
    /// # Errors
    ///
    /// When reading or decompressing fails; what came before has been handed out. When no thread can
    /// be started.
    pub(super) fn next_batch(&mut self) -> Result<Option<Batch>, AgentError> {
        let Some(fresh) = self.next_block()? else {
            return Ok(None);
        };
        self.add(fresh.size());
        Ok(Some(fresh.batch))
    }

    /// The same; its size is for the caller to [`Log::add`].
    ///
    /// # Errors
    ///
    /// As of [`Log::next_batch`].
    pub(super) fn next_block(&mut self) -> Result<Option<Fresh>, AgentError> {
        let reader = self.pace.as_mut().map(|pace| pace.next(clock::monotonic()));
        match (reader, &self.reading) {
            (Some(Reader::Thread), Reading::Here(..)) => self.start_reader()?,
            (Some(Reader::Asker), Reading::Ahead(ahead)) => ahead.stop(),
            _ => {}
        }
        if let Some(offset) = self.behind.take() {
            let moved = (&*self.file.file).seek(SeekFrom::Start(offset));
            moved.map_err(AgentError::io(format!("cannot read {}", self.source.name)))?;
        }
        let next = match &mut self.reading {
            Reading::Here(blocks, spare) => blocks.next(std::mem::take(spare)),
            Reading::Ahead(ahead) => match ahead.next() {
                Next::Block(next) => next,
                Next::Rest(mut blocks) => {
                    let next = blocks.next(Vec::new());
                    self.reading = Reading::Here(blocks, Vec::new());
                    next
                }
            },
            Reading::Ended => Ok(None),
        };
        let name = &self.source.name;
        match next.map_err(AgentError::io(format!("cannot read {name}"))) {
            Ok(Some(block)) => Ok(Some(self.hand_out(block))),
            last => {
                self.reading = Reading::Ended;
                last.map(|_| None)
            }
        }
    }

    fn hand_out(&self, block: Block) -> Fresh {
        Fresh {
            read: block.read,
            joined: block.joined,
            batch: Batch {
                source: Arc::clone(&self.source),
                bytes: block.framed.bytes,
                segments: block.framed.segments,
                cut: block.framed.cut,
                records: block.framed.records,
                arrival: self.modified,
            },
        }
    }

    /// So much was handed out.
    pub(super) fn add(&mut self, size: Size) {
        self.lines += size.lines;
        self.bytes += size.bytes;
    }

    /// Takes back a batch that is of no more use, for its memory.
    pub(super) fn recycle(&mut self, batch: Batch) {
        match &mut self.reading {
            Reading::Here(_, spare) => *spare = batch.bytes,
            Reading::Ahead(ahead) => ahead.recycle(batch.bytes),
            Reading::Ended => {}
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Stdin,
    Named,
}

/// A file whose reads are counted.
#[derive(Clone)]
struct Counted {
    file: Arc<File>,
    origin: Origin,
    is_regular: bool,
    /// Even unpacked it is hardly more than a batch.
    is_short: bool,
    framing: Framing,
    read: Arc<AtomicU64>,
}

impl Counted {
    /// Its lines, from where it stands. Standard input is taken as it is; a file may be packed.
    fn blocks(&self) -> io::Result<Blocks> {
        let (block_bytes, filling) = if self.is_regular {
            (BLOCK_BYTES, Filling::Full)
        } else {
            (PROMPT_BYTES, Filling::Prompt)
        };
        let cutting = Cutting {
            block_bytes,
            framing: self.framing.clone(),
            filling,
        };
        if self.origin == Origin::Stdin {
            return Ok(Blocks::new(Box::new(self.clone()), cutting));
        }
        let mut magic = [0; Packing::HEAD_BYTES];
        let got = read_up_to(&mut self.clone(), &mut magic)?;
        let head = magic.get(..got).unwrap_or_default();
        let packing = Packing::of(head);
        let input = if self.is_regular {
            // From the first byte on: the kernel copies whole pages fastest.
            self.rewind()?;
            packing.unpack(self.clone(), Window::Usual)
        } else {
            packing.unpack(
                io::Cursor::new(head.to_vec()).chain(self.clone()),
                Window::Usual,
            )
        };
        Ok(Blocks::new(input?, cutting))
    }

    /// Whether reading is nothing but copying.
    fn is_only_copied(&self) -> io::Result<bool> {
        let mut magic = [0; Packing::HEAD_BYTES];
        let got = self.file.read_at(&mut magic, 0)?;
        let head = magic.get(..got).unwrap_or_default();
        Ok(self.is_regular && self.origin == Origin::Named && Packing::of(head) == Packing::Plain)
    }

    /// Back to the first byte, as if nothing had been read.
    fn rewind(&self) -> io::Result<()> {
        let stood = (&*self.file).stream_position()?;
        (&*self.file).rewind()?;
        self.read.fetch_sub(stood, Ordering::Relaxed);
        Ok(())
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&*self.file).read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}
