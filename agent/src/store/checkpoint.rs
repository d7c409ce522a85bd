//! The second copy of the positions: the file `positions` beside the database, whole in itself, in
//! plain text. When the database cannot be read, files are read on from here, and not from their
//! beginnings or ends.
//!
//! The first line is `lapwing-positions 1 <SHA-256 of the rest>`, the rest is one JSON object
//! `{at, positions: [{input, device, inode, …}]}`, where `…` is what stands in the database. It is
//! replaced at a slow rate (see `run`), so a few lines may be read twice; their alerts have the
//! ids that they had.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use lapwing_rules::model::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::StoreError;
use super::folder::{self, io};
use super::record::PositionRecord;
use crate::inputs::{Position, PositionKey};

const NAME: &str = "positions";
const HEAD: &str = "lapwing-positions 1 ";

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

/// Replaces the checkpoint in `dir`, durably; gives its size in bytes.
pub(super) fn write(dir: &Path, checkpoint: &Checkpoint) -> Result<u64, StoreError> {
    let rows = checkpoint.positions.iter().map(|position| Row {
        key: position.key.clone(),
        record: PositionRecord::of(position),
    });
    let body = Body {
        at: checkpoint.at,
        positions: rows.collect(),
    };
    let json = serde_json::to_vec(&body)
        .map_err(|error| StoreError::Database(format!("the checkpoint: {error}")))?;
    let mut text = format!("{HEAD}{}\n", digest(&json)).into_bytes();
    text.extend_from_slice(&json);
    text.push(b'\n');
    let (path, unfinished) = (dir.join(NAME), dir.join(format!("{NAME}.new")));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(&unfinished)
        .map_err(io("cannot make", &unfinished))?;
    file.write_all(&text)
        .and_then(|()| file.sync_all())
        .map_err(io("cannot write", &unfinished))?;
    std::fs::rename(&unfinished, &path).map_err(io("cannot replace", &path))?;
    folder::sync(dir)?;
    Ok(text.len() as u64)
}

/// The checkpoint in `dir`; `None`: there is none that is whole.
pub(super) fn read(dir: &Path) -> Option<Checkpoint> {
    let path = dir.join(NAME);
    let text = std::fs::read(&path).ok()?;
    let checkpoint = parse(&text);
    if checkpoint.is_none() {
        tracing::error!(file = %path.display(), "the second copy of the positions is damaged, too");
    }
    checkpoint
}

fn parse(text: &[u8]) -> Option<Checkpoint> {
    let lf = memchr::memchr(b'\n', text)?;
    let (head, json) = text.split_at(lf);
    let json = json.get(1..)?.strip_suffix(b"\n")?;
    let hash = head.strip_prefix(HEAD.as_bytes())?;
    if hash != digest(json).as_bytes() {
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

fn digest(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text
}
