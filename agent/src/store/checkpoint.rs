//! The second copy of the positions: the file `positions` beside the database, whole in itself, in
//! plain text. When the database cannot be read, files are read on from here, and not from their
//! beginnings or ends.
//!
//! The first line is `lapwing-positions 1 <SHA-256 of the rest>`, the rest is one JSON object
//! `{at, positions: [{input, device, inode, …}]}`, where `…` is what stands in the database. It is
//! replaced at a slow rate (see `run`), so a few lines may be read twice; their alerts have the
//! ids that they had.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, IntoInnerError, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt};
use std::path::{Path, PathBuf};

use lapwing_rules::model::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::StoreError;
use super::folder::{self, io};
use super::record::PositionRecord;
use crate::inputs::{Position, PositionKey};

const NAME: &str = "positions";
const HEAD: &str = "lapwing-positions 1 ";
/// Of a SHA-256, in hexadecimal.
const HASH_CHARS: usize = 64;

/// What was saved, and when.
#[derive(Debug, PartialEq)]
pub(super) struct Checkpoint {
    /// Wall clock.
    pub(super) at: Timestamp,
    pub(super) positions: Vec<Position>,
}

#[derive(Serialize, Deserialize)]
struct Body {
    at: Timestamp,
    positions: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    #[serde(flatten)]
    key: PositionKey,
    #[serde(flatten)]
    record: PositionRecord,
}

/// A checkpoint in the making: of ten thousand files it is some megabytes, which never stand in memory.
pub(super) struct Writer {
    dir: PathBuf,
    file: BufWriter<File>,
    /// Of the body so far.
    hash: Sha256,
    bytes: u64,
    rows: u64,
}

impl Writer {
    /// Begins one in `dir`, as of `at`. What is there stays until [`Writer::finish`].
    pub(super) fn begin(dir: &Path, at: Timestamp) -> Result<Self, StoreError> {
        let unfinished = unfinished(dir);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&unfinished)
            .map_err(io("cannot make", &unfinished))?;
        let mut writer = Self {
            dir: dir.to_owned(),
            file: BufWriter::new(file),
            hash: Sha256::new(),
            bytes: 0,
            rows: 0,
        };
        // The hash is known at the end, and its place is kept for it.
        writer.put(head(&"0".repeat(HASH_CHARS)).as_bytes())?;
        writer.body(b"{\"at\":")?;
        writer.json(&at)?;
        writer.body(b",\"positions\":[")?;
        Ok(writer)
    }

    /// One more.
    pub(super) fn add(&mut self, position: Position) -> Result<(), StoreError> {
        if self.rows > 0 {
            self.body(b",")?;
        }
        self.rows += 1;
        let record = PositionRecord::of(&position);
        self.json(&Row {
            key: position.key,
            record,
        })
    }

    /// Replaces the one that is there, durably; gives its size in bytes.
    pub(super) fn finish(mut self) -> Result<u64, StoreError> {
        self.body(b"]}")?;
        self.put(b"\n")?;
        let (path, unfinished) = (self.dir.join(NAME), unfinished(&self.dir));
        let head = head(&text(self.hash));
        let file = self.file.into_inner().map_err(IntoInnerError::into_error);
        file.and_then(|file| {
            file.write_all_at(head.as_bytes(), 0)?;
            file.sync_all()
        })
        .map_err(io("cannot write", &unfinished))?;
        std::fs::rename(&unfinished, &path).map_err(io("cannot replace", &path))?;
        folder::sync(&self.dir)?;
        Ok(self.bytes)
    }

    fn json(&mut self, value: &impl Serialize) -> Result<(), StoreError> {
        let json = serde_json::to_vec(value)
            .map_err(|error| StoreError::Database(format!("the checkpoint: {error}")))?;
        self.body(&json)
    }

    fn body(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.hash.update(bytes);
        self.put(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.bytes += bytes.len() as u64;
        let written = self.file.write_all(bytes);
        written.map_err(io("cannot write", &unfinished(&self.dir)))
    }
}

fn unfinished(dir: &Path) -> PathBuf {
    dir.join(format!("{NAME}.new"))
}

fn head(hash: &str) -> String {
    format!("{HEAD}{hash}\n")
}

/// The checkpoint in `dir`; `None`: there is none that is whole.
pub(super) fn read(dir: &Path) -> Option<Checkpoint> {
    let path = dir.join(NAME);
    let bytes = std::fs::read(&path).ok()?;
    let checkpoint = parse(&bytes);
    if checkpoint.is_none() {
        tracing::error!(file = %path.display(), "the second copy of the positions is damaged, too");
    }
    checkpoint
}

/// Whether there is anything of its name in `dir`, whole or not.
pub(super) fn is_there(dir: &Path) -> bool {
    !folder::is_absent(&dir.join(NAME))
}

fn parse(bytes: &[u8]) -> Option<Checkpoint> {
    let lf = memchr::memchr(b'\n', bytes)?;
    let (head, json) = bytes.split_at(lf);
    let json = json.get(1..)?.strip_suffix(b"\n")?;
    let hash = head.strip_prefix(HEAD.as_bytes())?;
    if hash != text(Sha256::new_with_prefix(json)).as_bytes() {
        return None;
    }
    let body: Body = serde_json::from_slice(json).ok()?;
    Some(Checkpoint {
        at: body.at,
        positions: body
            .positions
            .into_iter()
            .map(|row| row.record.into_position(row.key))
            .collect(),
    })
}

fn text(hash: Sha256) -> String {
    let mut text = String::with_capacity(HASH_CHARS);
    for byte in hash.finalize() {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text
}
