//! The inside of one compressed file that is followed: its text is unpacked piece by piece and held
//! against the places where reading of a file may have stopped that has become this one. What follows
//! from that is decided in `archives`; lines are made in `file`.
//!
//! Offsets are those of the text. A file that counts as read has none of that any more: its position
//! is that of its compressed bytes, so that the next start need not unpack it to know it again.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use super::identity::{self, Before, HEAD_BYTES, TAIL_BYTES};
use super::table::FileNo;
use crate::inputs::{Check, Position, PositionKey};
use crate::packing::{Packing, Unpacked, Window};

/// Files that are unpacked at the same time: each decoder may hold a window of 32 MiB.
const MOST_DECODERS: usize = 2;
/// Text beyond this is believed only at a ratio below [`MOST_RATIO`]: repetitive logs reach hundreds.
const BELIEVED_BYTES: u64 = 1 << 30;
const MOST_RATIO: u64 = 10_000;

/// Where reading of a text stood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) offset: u64,
    pub(super) head: Check,
    pub(super) tail: Check,
}

impl Mark {
    pub(super) fn of(position: &Position) -> Self {
        Self {
            offset: position.offset,
            head: position.head,
            tail: position.tail,
        }
    }
}

/// Whose text this may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// Its own: it was being read.
    Own,
    /// That of a file of an earlier run that is gone.
    Lost(PositionKey),
    /// That of a file that is followed.
    Live(FileNo),
    /// That of a file that was deleted when it had been read.
    Past,
}

/// One of the places where reading may go on.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) mark: Mark,
    pub(super) holder: Holder,
    /// How long that text is, where nothing will be added to it.
    pub(super) total: Option<u64>,
}

/// How far things have come.
#[derive(Debug)]
pub(super) enum Stage {
    /// Perhaps it is still being written: looked into when its size has stood still.
    Waiting {
        size: u64,
        since: Instant,
        /// Its size when it turned out to be cut off, after all that there was had been read.
        cut: Option<u64>,
    },
    /// Its text is held against the claims, ascending by offset.
    Comparing {
        claims: Vec<Claim>,
        next: usize,
        best: Option<usize>,
    },
    /// Lines are handed over.
    Reading,
    /// All that it holds counts as read.
    Done,
    /// What is left cannot be read. Looked into again when its size is another.
    Stuck { size: u64 },
}

/// What a turn of a compressed file found beyond lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It is compressed: nobody knew.
    Found,
    /// Too many are being unpacked.
    Busy,
    /// The claims have been judged.
    Compared,
    /// Its text has ended.
    Complete,
    /// It ends in the middle.
    CutOff,
    /// It makes no sense from here on.
    Damaged,
    /// It counted as read, and is not what it was.
    Changed,
}

/// Counts the decoders that are at work.
#[derive(Clone, Debug, Default)]
pub(super) struct Decoders(Rc<Cell<usize>>);

impl Decoders {
    /// Leave to have one; `None` when there are enough.
    fn enter(&self) -> Option<Permit> {
        if self.0.get() >= MOST_DECODERS {
            return None;
        }
        self.0.set(self.0.get() + 1);
        Some(Permit(self.clone()))
    }
}

#[derive(Debug)]
struct Permit(Decoders);

impl Drop for Permit {
    fn drop(&mut self) {
        let count = &self.0.0;
        count.set(count.get() - 1);
    }
}

/// Reads compressed bytes and says how far it got, and whether it was the disk that failed.
struct Source {
    file: File,
    report: Arc<Report>,
}

#[derive(Debug, Default)]
struct Report {
    /// Compressed offset behind what was read.
    at: AtomicU64,
    failed: AtomicBool,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = self.report.at.load(Ordering::Relaxed);
        self.file.seek(SeekFrom::Start(at))?;
        match self.file.read(buffer) {
            Ok(count) => {
                self.report.at.store(at + count as u64, Ordering::Relaxed);
                Ok(count)
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::Interrupted {
                    self.report.failed.store(true, Ordering::Relaxed);
                }
                Err(error)
            }
        }
    }
}

struct Decoder {
    text: Unpacked,
    report: Arc<Report>,
    /// Offset in the text of the next byte.
    at: u64,
    _permit: Option<Permit>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Decoder")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl Decoder {
    fn new(file: &File, packing: Packing, from: u64, permit: Option<Permit>) -> io::Result<Self> {
        let report = Arc::new(Report::default());
        report.at.store(from, Ordering::Relaxed);
        let source = Source {
            file: file.try_clone()?,
            report: Arc::clone(&report),
        };
        Ok(Self {
            text: packing.unpack(source, Window::Small)?,
            report,
            at: from,
            _permit: permit,
        })
    }

    /// Fills `buffer`; fewer bytes come only at the end or before an error. Says how many, and what
    /// stopped it.
    fn read(&mut self, buffer: &mut [u8]) -> (usize, Option<io::Result<()>>) {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.text.read(rest) {
                Ok(0) => return (filled, Some(Ok(()))),
                Ok(count) => {
                    filled += count;
                    self.at += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (filled, Some(Err(error))),
            }
            let packed = self.report.at.load(Ordering::Relaxed);
            if self.at > BELIEVED_BYTES && self.at / MOST_RATIO > packed {
                let bomb = io::Error::new(io::ErrorKind::InvalidData, "it unpacks without end");
                return (filled, Some(Err(bomb)));
            }
        }
        (filled, None)
    }
}

/// How a piece of text ended.
#[derive(Debug)]
pub(super) enum End {
    /// There is more.
    Open,
    /// The text has ended here.
    Complete,
    /// Nothing comes any more for this reason.
    Failed(News),
}

/// The inside of a compressed file.
#[derive(Debug)]
pub(super) struct Packed {
    /// `None`: not known yet, or of a kind that is not unpacked.
    pub(super) packing: Option<Packing>,
    pub(super) stage: Stage,
    /// What its position says until a better one is known.
    pub(super) held: Option<Mark>,
    /// Compressed offset at which the text begins that is read; its first byte has that offset, too.
    pub(super) from: u64,
    /// Whether lines of it have been handed over, or would be: it only has to be unpacked again up to
    /// where that was.
    pub(super) reading: bool,
    decoders: Decoders,
    decoder: Option<Decoder>,
    /// The first bytes of the text, at most [`HEAD_BYTES`].
    head: Vec<u8>,
    /// The last ones that were unpacked.
    before: Before,
}

impl Packed {
    pub(super) fn new(packing: Option<Packing>, decoders: &Decoders, stage: Stage) -> Self {
        Self {
            packing,
            stage,
            held: None,
            from: 0,
            reading: false,
            decoders: decoders.clone(),
            decoder: None,
            head: Vec::new(),
            before: Before::NONE,
        }
    }

    /// Whether nobody knows yet what it is: then it has no position either.
    pub(super) fn is_unsure(&self) -> bool {
        self.held.is_none() && matches!(self.stage, Stage::Waiting { .. } | Stage::Comparing { .. })
    }

    /// Whether it is to be looked into when its size has stood still.
    pub(super) fn waits(&self) -> bool {
        matches!(self.stage, Stage::Waiting { .. })
    }

    /// Whether nothing is to be expected of it for now.
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self.stage, Stage::Done | Stage::Stuck { .. })
    }

    /// Compressed bytes that were read.
    pub(super) fn packed_at(&self) -> u64 {
        let at = |decoder: &Decoder| decoder.report.at.load(Ordering::Relaxed);
        self.decoder.as_ref().map_or(self.from, at)
    }

    /// The first bytes of the text, as far as they were unpacked.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// The last bytes that were unpacked, and the offset behind them.
    pub(super) fn end(&self) -> (Before, u64) {
        let at = self
            .decoder
            .as_ref()
            .map_or(self.from, |decoder| decoder.at);
        (self.before, at)
    }

    /// Frees what unpacking needs; the next piece begins at the beginning again.
    pub(super) fn drop_decoder(&mut self) {
        self.decoder = None;
        self.before = Before::NONE;
    }

    /// Holds the text against these places from its beginning.
    pub(super) fn compare(&mut self, mut claims: Vec<Claim>) {
        claims.sort_by_key(|claim| claim.mark.offset);
        self.stage = Stage::Comparing {
            claims,
            next: 0,
            best: None,
        };
        if self.end().1 > self.from {
            self.drop_decoder();
        }
    }

    /// Whether the text may be read on from `offset` without beginning anew.
    pub(super) fn stands_at(&self, offset: u64) -> bool {
        self.decoder
            .as_ref()
            .map_or(self.from, |decoder| decoder.at)
            == offset
    }

    /// Unpacks the next piece into `buffer`.
    pub(super) fn next_piece(
        &mut self,
        file: &File,
        buffer: &mut [u8],
    ) -> io::Result<(usize, End)> {
        if self.decoder.is_none() {
            let Some(packing) = self.packing else {
                return Ok((0, End::Failed(News::Damaged)));
            };
            let Some(permit) = self.decoders.enter() else {
                return Ok((0, End::Failed(News::Busy)));
            };
            self.head.clear();
            self.before = Before::NONE;
            self.decoder = Some(Decoder::new(file, packing, self.from, Some(permit))?);
        }
        let Some(decoder) = &mut self.decoder else {
            return Ok((0, End::Open));
        };
        let (count, stopped) = decoder.read(buffer);
        let text = buffer.get(..count).unwrap_or_default();
        let room = HEAD_BYTES.saturating_sub(self.head.len());
        self.head.extend(text.iter().take(room));
        self.before = self.before.then(text);
        let end = match stopped {
            None => End::Open,
            Some(Ok(())) => End::Complete,
            Some(Err(error)) if decoder.report.failed.load(Ordering::Relaxed) => {
                self.drop_decoder();
                return Err(error);
            }
            Some(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                End::Failed(News::CutOff)
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "a compressed file");
                End::Failed(News::Damaged)
            }
        };
        Ok((count, end))
    }

    /// Holds the next piece of text against the claims.
    pub(super) fn compare_piece(
        &mut self,
        file: &File,
        scratch: &mut [u8],
    ) -> io::Result<Option<News>> {
        let Stage::Comparing { claims, next, .. } = &self.stage else {
            return Ok(Some(News::Compared));
        };
        let Some(offset) = claims.get(*next).map(|claim| claim.mark.offset) else {
            return Ok(Some(News::Compared));
        };
        let left = offset.saturating_sub(self.end().1);
        let length = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(scratch.len());
        let mut ended = false;
        if length > 0 {
            let (_, end) = self.next_piece(file, scratch.get_mut(..length).unwrap_or_default())?;
            match end {
                End::Open => {}
                End::Complete => ended = true,
                End::Failed(news) => return Ok(Some(news)),
            }
        }
        let (before, at) = self.end();
        let Stage::Comparing { claims, next, best } = &mut self.stage else {
            return Ok(Some(News::Compared));
        };
        while let Some(claim) = claims.get(*next).filter(|claim| claim.mark.offset <= at) {
            if claim.mark.offset == at && before.ends_like(claim.mark.tail) {
                *best = Some(*next);
            }
            *next += 1;
        }
        let all = ended || *next == claims.len();
        Ok(all.then_some(News::Compared))
    }
}

/// The first bytes of the text in a file, at most [`HEAD_BYTES`]; as many as there are before it is
/// damaged.
///
/// # Errors
///
/// When there is no memory for a decoder.
pub(super) fn peek(file: &File, packing: Packing) -> io::Result<Vec<u8>> {
    let mut head = vec![0; HEAD_BYTES];
    let (count, _) = Decoder::new(file, packing, 0, None)?.read(&mut head);
    head.truncate(count);
    Ok(head)
}

/// Whether a text with this beginning may be the one with that check of its own.
pub(super) fn begins_like(head: &[u8], check: Check) -> bool {
    check.len > 0
        && head
            .get(..check.length())
            .is_some_and(|head| Check::of(head) == check)
}

/// How long the text in a gzip file of one member is, modulo 2^32: it stands at its end.
pub(super) fn claimed_length(file: &File, size: u64) -> Option<u32> {
    let mut bytes = [0; 4];
    let filled = identity::read_at(file, &mut bytes, size.checked_sub(4)?).ok()?;
    (filled == bytes.len()).then(|| u32::from_le_bytes(bytes))
}

/// What the first bytes of a file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Packed(Packing),
    Foreign(&'static str),
    /// Too few to say.
    Short,
}

/// Looks at the first bytes.
///
/// # Errors
///
/// That of reading.
pub(super) fn sniff(file: &File) -> io::Result<Kind> {
    let mut head = [0; Packing::FOREIGN_BYTES];
    let filled = identity::read_at(file, &mut head, 0)?;
    Ok(kind_of(head.get(..filled).unwrap_or_default()))
}

/// What a file begins with says what it is.
pub(super) fn kind_of(head: &[u8]) -> Kind {
    match (Packing::of(head), Packing::foreign(head)) {
        (Packing::Plain, Some(name)) => Kind::Foreign(name),
        (Packing::Plain, None) if head.len() < Packing::HEAD_BYTES => Kind::Short,
        (Packing::Plain, None) => Kind::Text,
        (packing, _) => Kind::Packed(packing),
    }
}

const _: () = assert!(TAIL_BYTES <= HEAD_BYTES, "a tail fits where a head does");
