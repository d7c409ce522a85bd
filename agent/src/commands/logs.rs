//! Log files as commands read them: plain, gzip or standard input, cut into whole lines.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use lapwing_rules::fields::Format;
use lapwing_rules::model::{Batch, InputId, Source, Timestamp};

use crate::clock;
use crate::config::MAX_LINE_BYTES;
use crate::error::AgentError;
use crate::inputs::framer::{Framed, Framer};

/// Bytes asked for in one read.
const CHUNK_BYTES: usize = 256 * 1024;

/// One log, read from its beginning to its end.
pub(super) struct Log {
    source: Arc<Source>,
    reader: Box<dyn Read>,
    framer: Framer,
    chunk: Vec<u8>,
    /// What lines without any time of their own bear.
    modified: Timestamp,
    is_done: bool,
    /// Lines handed out so far.
    pub(super) lines: u64,
    /// Bytes read so far, after decompression.
    pub(super) bytes: u64,
}

impl Log {
    /// Opens `path`; `-` is standard input. `read` counts the bytes that are taken from the disk.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or is compressed in a way that is not known.
    pub(super) fn open(path: &Path, read: &Arc<AtomicU64>) -> Result<Self, AgentError> {
        let name = path.to_string_lossy();
        if path == Path::new("-") {
            return Ok(Self::new("stdin", Box::new(io::stdin()), clock::now()));
        }
        let failed = || format!("cannot read {name}");
        let file = File::open(path).map_err(AgentError::io(failed()))?;
        let about = file.metadata().map_err(AgentError::io(failed()))?;
        if about.is_dir() {
            return Err(AgentError::io(failed())(io::ErrorKind::IsADirectory.into()));
        }
        let modified = about
            .modified()
            .map_or_else(|_| clock::now(), clock::from_system);
        let mut counted = Counted {
            file,
            read: Arc::clone(read),
        };
        let mut magic = [0; 4];
        let got = read_up_to(&mut counted, &mut magic).map_err(AgentError::io(failed()))?;
        let head = magic.get(..got).unwrap_or_default().to_vec();
        let whole = io::Cursor::new(head.clone()).chain(counted);
        let reader: Box<dyn Read> = match head.as_slice() {
            [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(BufReader::with_capacity(
                CHUNK_BYTES,
                whole,
            ))),
            [0x28, 0xb5, 0x2f, 0xfd] => {
                return Err(AgentError::Usage(format!(
                    "{name} is compressed with zstd, which is not yet known to this version"
                )));
            }
            _ => Box::new(whole),
        };
        Ok(Self::new(&name, reader, modified))
    }

    fn new(name: &str, reader: Box<dyn Read>, modified: Timestamp) -> Self {
        Self {
            source: Arc::new(Source {
                input: InputId(0),
                name: name.into(),
            }),
            reader,
            framer: Framer::new(MAX_LINE_BYTES, 0),
            chunk: vec![0; CHUNK_BYTES],
            modified,
            is_done: false,
            lines: 0,
            bytes: 0,
        }
    }

    /// The next lines; `None` at the end. A last line without LF counts.
    ///
    /// # Errors
    ///
    /// When reading or decompressing fails; what came before has been handed out.
    pub(super) fn next_batch(&mut self) -> Result<Option<Batch>, AgentError> {
        let mut framed = Framed::default();
        while !self.is_done && framed.bytes.is_empty() {
            let name = &self.source.name;
            let count = match self.reader.read(&mut self.chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result.map_err(AgentError::io(format!("cannot read {name}")))?,
            };
            self.bytes += count as u64;
            if count == 0 {
                self.is_done = true;
                self.framer.finish(&mut framed);
            } else {
                self.framer
                    .push(self.chunk.get(..count).unwrap_or_default(), &mut framed);
            }
        }
        if framed.bytes.is_empty() {
            return Ok(None);
        }
        let ends = memchr::memchr_iter(b'\n', &framed.bytes).count() as u64;
        self.lines += ends + u64::from(framed.bytes.last() != Some(&b'\n'));
        Ok(Some(Batch {
            source: Arc::clone(&self.source),
            bytes: framed.bytes,
            segments: framed.segments,
            cut: framed.cut,
            arrival: self.modified,
        }))
    }
}

/// The format that `--format` names.
///
/// # Errors
///
/// When there is none of that name, or it needs more than a name.
pub(super) fn format(name: Option<&str>) -> Result<Option<Arc<Format>>, AgentError> {
    match name {
        None | Some("auto") => Ok(None),
        Some(name) => {
            if let Some(format) = Format::named(name) {
                Ok(Some(Arc::new(format)))
            } else {
                let named = Format::NAMES
                    .iter()
                    .filter(|name| **name != "pattern")
                    .copied();
                let names: Vec<&str> = named.collect();
                Err(AgentError::Usage(format!(
                    "there is no format `{name}`: one of auto, {}",
                    names.join(", ")
                )))
            }
        }
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

struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
