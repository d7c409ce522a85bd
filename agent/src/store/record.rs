//! What stands in the database, as JSON with a version: apart from what is used, so that either
//! can change. Reads every version that was ever written; there is one.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use lapwing_rules::model::{Notification, Timestamp};
use lapwing_rules::scanner::Memory;
use serde::{Deserialize, Serialize};

use super::steady::Moment;
use super::{Outcome, Settlement};
use crate::inputs::{Check, Position, PositionKey};

const VERSION: u32 = 1;

/// A record that makes no sense. The database's checksums hold, so a program wrote it so.
pub(super) fn damaged(error: &serde_json::Error) -> redb::Error {
    redb::Error::Corrupted(format!("a record: {error}"))
}

/// JSON. Writing plain structs into memory cannot fail but for maps with odd keys: there are none.
pub(super) fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>, redb::Error> {
    serde_json::to_vec(record).map_err(|error| damaged(&error))
}

#[derive(Serialize, Deserialize)]
pub(super) struct PositionRecord {
    v: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_bytes: Option<Vec<u8>>,
    offset: u64,
    head: Check,
    tail: Check,
    seen_at: Timestamp,
    /// Earlier versions did not say.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    done: bool,
    #[serde(default)]
    memory: Memory,
}

impl PositionRecord {
    pub(super) fn of(position: &Position) -> Self {
        // A path is any bytes, JSON is not.
        let path = position.path.to_str().map(str::to_owned);
        let path_bytes = path
            .is_none()
            .then(|| position.path.as_os_str().as_bytes().to_vec());
        Self {
            v: VERSION,
            path,
            path_bytes,
            offset: position.offset,
            head: position.head,
            tail: position.tail,
            seen_at: position.seen_at,
            done: position.done,
            memory: position.memory.clone(),
        }
    }

    pub(super) fn read(key: PositionKey, json: &[u8]) -> Result<Position, redb::Error> {
        let record: Self = serde_json::from_slice(json).map_err(|error| damaged(&error))?;
        Ok(record.into_position(key))
    }

    pub(super) fn into_position(self, key: PositionKey) -> Position {
        let path = match (self.path, self.path_bytes) {
            (Some(path), _) => PathBuf::from(path),
            (None, bytes) => PathBuf::from(OsString::from_vec(bytes.unwrap_or_default())),
        };
        Position {
            key,
            path,
            offset: self.offset,
            head: self.head,
            tail: self.tail,
            seen_at: self.seen_at,
            done: self.done,
            memory: self.memory,
        }
    }
}

/// What is written for a notification.
#[derive(Serialize)]
pub(super) struct NewNotification<'a> {
    v: u32,
    queued_at: Timestamp,
    steady_at: Timestamp,
    outputs: &'a [String],
    notification: &'a Notification,
}

impl<'a> NewNotification<'a> {
    pub(super) fn of(
        notification: &'a Notification,
        outputs: &'a [String],
        queued: Moment,
    ) -> Self {
        Self {
            v: VERSION,
            queued_at: queued.wall,
            steady_at: queued.steady,
            outputs,
            notification,
        }
    }
}

/// What is read of a notification.
#[derive(Deserialize)]
pub(super) struct NotificationRecord {
    pub(super) queued_at: Timestamp,
    /// Earlier versions knew none: there the two are the same.
    #[serde(default)]
    steady_at: Option<Timestamp>,
    pub(super) outputs: Vec<String>,
    pub(super) notification: Notification,
}

impl NotificationRecord {
    /// When it was queued.
    pub(super) fn queued(&self) -> Moment {
        Moment {
            wall: self.queued_at,
            steady: self.steady_at.unwrap_or(self.queued_at),
        }
    }
}

/// The same without the notification itself: enough to know who waits for it.
#[derive(Deserialize)]
pub(super) struct NotificationHead {
    pub(super) queued_at: Timestamp,
    pub(super) outputs: Vec<String>,
}

/// What identifies a notification.
#[derive(Deserialize)]
pub(super) struct Identity {
    pub(super) notification: IdentityOf,
}

/// The part of [`Identity`] inside the notification.
#[derive(Deserialize)]
pub(super) struct IdentityOf {
    pub(super) id: String,
    pub(super) seq: u32,
}

#[derive(Serialize, Deserialize)]
pub(super) struct OutboxRecord {
    v: u32,
    /// The size of the notification's record.
    pub(super) bytes: u64,
    pub(super) attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_error: Option<String>,
    /// The output that could not be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) instead_of: Option<String>,
}

impl OutboxRecord {
    pub(super) fn new(bytes: u64) -> Self {
        Self {
            v: VERSION,
            bytes,
            attempts: 0,
            last_error: None,
            instead_of: None,
        }
    }

    /// Of what another output could not deliver.
    pub(super) fn instead_of(output: &str, bytes: u64) -> Self {
        Self {
            instead_of: Some(output.to_owned()),
            ..Self::new(bytes)
        }
    }
}

/// The words of [`Outcome`] on disk.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OutcomeRecord {
    Delivered,
    Rejected,
    Expired,
    Fallback,
}

impl OutcomeRecord {
    /// `None`: it still waits.
    pub(super) fn of(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::Delivered => Some(Self::Delivered),
            Outcome::Rejected => Some(Self::Rejected),
            Outcome::Expired => Some(Self::Expired),
            Outcome::Fallback => Some(Self::Fallback),
            Outcome::Waiting => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct DeliveryRecord {
    v: u32,
    pub(super) outcome: OutcomeRecord,
    pub(super) attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) place: Option<String>,
    pub(super) at: Timestamp,
}

impl DeliveryRecord {
    pub(super) fn of(settlement: &Settlement, outcome: OutcomeRecord, at: Timestamp) -> Self {
        Self {
            v: VERSION,
            outcome,
            attempts: settlement.attempts,
            last_error: settlement.last_error.clone(),
            place: settlement.place.clone(),
            at,
        }
    }
}
