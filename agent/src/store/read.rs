//! Reading while the one writer writes: what waits for an output, what was said before. Every
//! call is one short read transaction, so that no old page is kept for long.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lapwing_rules::model::{Notification, Status, Timestamp};
use redb::{Database, ReadableDatabase, ReadableTable, TableError};

use super::adrift::Adrift;
use super::record::{
    self, DeliveryRecord, NotificationHead, NotificationRecord, OutboxRecord, OutcomeRecord,
};
use super::tables::{DELIVERIES, NOTES, NOTIFICATIONS, OUTBOX, QUEUES, SAID};
use super::{Outcome, Settlement, Shared, StoreError};

/// Reads the store from any thread. Cheap to clone.
#[derive(Clone)]
pub struct Reader {
    shared: Arc<Shared>,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

/// The next thing for an output to deliver.
#[derive(Debug)]
pub enum Waiting {
    /// This one.
    Pending(Box<Pending>),
    /// A record that this version cannot read: to be settled as rejected.
    Unreadable {
        /// Its key.
        key: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// A notification that waits for an output.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// Ascends in the order of queueing, over all outputs; see [`Reader::is_on_disk`].
    pub key: u64,
    /// What to say, as the engine said it.
    pub notification: Notification,
    /// Tries so far, over all restarts.
    pub attempts: u32,
    /// When it became durable, wall clock.
    pub queued_at: Timestamp,
    /// The same in steady time, which [`Reader::waited`] goes by.
    pub waiting_since: Timestamp,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// The output that could not be reached, where this one is its fallback.
    pub instead_of: Option<String>,
}

/// What waits for an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueSize {
    /// Notifications.
    pub rows: u64,
    /// Bytes of their JSON.
    pub bytes: u64,
}

/// A notification as history has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Ascends in the order of queueing.
    pub key: u64,
    /// What was said.
    pub notification: Notification,
    /// When it became durable, wall clock.
    pub queued_at: Timestamp,
    /// One for each output that it was meant for.
    pub deliveries: Vec<Delivery>,
}

/// What became of a notification at one output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The output's name.
    pub output: String,
    /// Where it stands.
    pub outcome: Outcome,
    /// Tries so far.
    pub attempts: u32,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// [`Settlement::place`].
    pub place: Option<String>,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The oldest notification that waits for `output` and was queued after `after`; those on disk
    /// before those in memory. Reads two records, however many wait.
    ///
    /// # Errors
    ///
    /// The disk failed, or the database is closed after a failure: try again later.
    pub fn next_pending(
        &self,
        output: &str,
        after: Option<u64>,
    ) -> Result<Option<Waiting>, StoreError> {
        let on_disk = self.shared.read(|database| {
            let transaction = database.begin_read()?;
            let outbox = transaction.open_table(OUTBOX)?;
            let start = after.map_or(0, |key| key.saturating_add(1));
            for row in outbox.range((output, start)..=(output, u64::MAX))? {
                let row = row?;
                let key = row.0.value().1;
                if self.shared.adrift().is_decided(output, key) {
                    continue;
                }
                let notifications = transaction.open_table(NOTIFICATIONS)?;
                let record = notifications.get(key)?;
                let json = record.as_ref().map_or(&[][..], |record| record.value());
                let waiting = pending(key, row.1.value(), json);
                let is_held = |pending: &Pending| {
                    let notification = &pending.notification;
                    let adrift = self.shared.adrift();
                    adrift.holds(&notification.id, notification.seq)
                };
                if !matches!(&waiting, Waiting::Pending(pending) if is_held(pending)) {
                    return Ok(Some(waiting));
                }
            }
            Ok(None)
        });
        if let Ok(Some(_)) = on_disk {
            return on_disk;
        }
        match self.shared.adrift().next_pending(output) {
            Some(pending) => Ok(Some(Waiting::Pending(Box::new(pending)))),
            None => on_disk,
        }
    }

    /// Up to `limit` notifications that wait for `output` on disk after the one with the key
    /// `after`, oldest first, up to the first that cannot be read.
    ///
    /// # Errors
    ///
    /// As for [`Reader::next_pending`].
    pub fn pending_after(
        &self,
        output: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Pending>, StoreError> {
        let mut found = Vec::new();
        let mut last = after;
        while found.len() < limit {
            match self.next_pending(output, Some(last))? {
                Some(Waiting::Pending(next)) if Self::is_on_disk(next.key) => {
                    last = next.key;
                    found.push(*next);
                }
                _ => break,
            }
        }
        Ok(found)
    }

    /// Whether a notification with this key ([`Pending::key`]) stands on disk, where keys ascend
    /// in the order of queueing. One that stands in memory is passed over, once it is settled, by
    /// [`Reader::next_pending`] itself.
    pub fn is_on_disk(key: u64) -> bool {
        !Adrift::is_here(key)
    }

    /// How long it has waited, over restarts; a wall clock that is set meanwhile changes nothing.
    pub fn waited(&self, pending: &Pending) -> Duration {
        self.steady_now().since(pending.waiting_since)
    }

    /// A time that only passes, also over restarts.
    pub fn steady_now(&self) -> Timestamp {
        self.shared.steady_now()
    }

    /// A small record by its name, as the last [`Commit`](super::Commit) had it.
    ///
    /// # Errors
    ///
    /// As for [`Reader::next_pending`].
    pub fn note(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.shared.read(|database| {
            let notes = match database.begin_read()?.open_table(NOTES) {
                Ok(notes) => notes,
                // An earlier version of the same format made it.
                Err(TableError::TableDoesNotExist(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            Ok(notes.get(name)?.map(|note| note.value().to_vec()))
        })
    }

    /// How much waits for `output`.
    ///
    /// # Errors
    ///
    /// As for [`Reader::next_pending`].
    pub fn queue(&self, output: &str) -> Result<QueueSize, StoreError> {
        let in_memory = self.shared.adrift().queue(output);
        self.shared.read(|database| {
            let queues = database.begin_read()?.open_table(QUEUES)?;
            let size = queues.get(output)?.map_or((0, 0), |value| value.value());
            Ok(QueueSize {
                rows: size.0 + in_memory.rows,
                bytes: size.1 + in_memory.bytes,
            })
        })
    }

    /// The alerts of `rule`, whose ids begin with its name, that were not said to have ended: of each what
    /// was said last, the oldest alert first. An agent that is killed again and again may leave several.
    ///
    /// # Errors
    ///
    /// As for [`Reader::next_pending`].
    pub fn open_of(&self, rule: &str) -> Result<Vec<Notification>, StoreError> {
        // The character after `-`.
        let (from, to) = (format!("{rule}-"), format!("{rule}."));
        self.shared.read(|database| {
            let transaction = database.begin_read()?;
            let said = transaction.open_table(SAID)?;
            let mut last: BTreeMap<String, u64> = BTreeMap::new();
            for row in said.range((from.as_str(), 0)..(to.as_str(), 0))? {
                let (identity, key) = row?;
                // Ascending by number within an alert.
                last.insert(identity.value().0.to_owned(), key.value());
            }
            let notifications = transaction.open_table(NOTIFICATIONS)?;
            let mut open = Vec::new();
            for key in last.into_values() {
                let Some(json) = notifications.get(key)? else {
                    continue;
                };
                let record = serde_json::from_slice::<NotificationRecord>(json.value());
                if let Ok(NotificationRecord { notification, .. }) = record
                    && notification.rule == rule
                    && notification.status == Status::Firing
                {
                    open.push((key, notification));
                }
            }
            open.sort_unstable_by_key(|(key, _)| *key);
            Ok(open.into_iter().map(|(_, open)| open).collect())
        })
    }

    /// Up to `limit` notifications, newest first, that were queued before the one with the key
    /// `before` (`None`: from the newest on).
    ///
    /// # Errors
    ///
    /// As for [`Reader::next_pending`].
    pub fn history(&self, before: Option<u64>, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        self.shared.read(|database| {
            let transaction = database.begin_read()?;
            let notifications = transaction.open_table(NOTIFICATIONS)?;
            let outbox = transaction.open_table(OUTBOX)?;
            let deliveries = transaction.open_table(DELIVERIES)?;
            let mut found = Vec::new();
            for row in notifications.range(..before.unwrap_or(u64::MAX))?.rev() {
                if found.len() >= limit {
                    break;
                }
                let (key, json) = row?;
                let key = key.value();
                // One that cannot be read must not hide the others.
                let Ok(record) = serde_json::from_slice::<NotificationRecord>(json.value()) else {
                    continue;
                };
                let mut of_outputs = Vec::with_capacity(record.outputs.len());
                for output in record.outputs {
                    of_outputs.extend(delivery(output, key, &outbox, &deliveries)?);
                }
                found.push(Recorded {
                    key,
                    notification: record.notification,
                    queued_at: record.queued_at,
                    deliveries: of_outputs,
                });
            }
            Ok(found)
        })
    }
}

fn pending(key: u64, row: &[u8], json: &[u8]) -> Waiting {
    let row: Result<OutboxRecord, _> = serde_json::from_slice(row);
    let record: Result<NotificationRecord, _> = serde_json::from_slice(json);
    match (row, record) {
        (Ok(row), Ok(record)) => Waiting::Pending(Box::new(Pending {
            key,
            attempts: row.attempts,
            last_error: row.last_error,
            queued_at: record.queued_at,
            waiting_since: record.queued().steady,
            notification: record.notification,
            instead_of: row.instead_of,
        })),
        (Err(error), _) | (_, Err(error)) => Waiting::Unreadable {
            key,
            why: error.to_string(),
        },
    }
}

fn delivery(
    output: String,
    key: u64,
    outbox: &impl ReadableTable<(&'static str, u64), super::tables::Bytes>,
    deliveries: &impl ReadableTable<(u64, &'static str), super::tables::Bytes>,
) -> Result<Option<Delivery>, redb::Error> {
    if let Some(row) = outbox.get((output.as_str(), key))? {
        let row: OutboxRecord =
            serde_json::from_slice(row.value()).map_err(|error| record::damaged(&error))?;
        let (attempts, last_error) = (row.attempts, row.last_error);
        return Ok(Some(Delivery {
            output,
            outcome: Outcome::Waiting,
            attempts,
            last_error,
            place: None,
        }));
    }
    let Some(row) = deliveries.get((key, output.as_str()))? else {
        return Ok(None);
    };
    let row: DeliveryRecord =
        serde_json::from_slice(row.value()).map_err(|error| record::damaged(&error))?;
    let outcome = match row.outcome {
        OutcomeRecord::Delivered => Outcome::Delivered,
        OutcomeRecord::Rejected => Outcome::Rejected,
        OutcomeRecord::Expired => Outcome::Expired,
        OutcomeRecord::Fallback => Outcome::Fallback,
    };
    Ok(Some(Delivery {
        output,
        outcome,
        attempts: row.attempts,
        last_error: row.last_error,
        place: row.place,
    }))
}

/// What the notification with this key is; `None`: there is none, or it cannot be read.
pub(super) fn identity(
    database: &Database,
    key: u64,
) -> Result<Option<(String, u32)>, redb::Error> {
    let notifications = database.begin_read()?.open_table(NOTIFICATIONS)?;
    let record = notifications.get(key)?;
    let read = |json: &[u8]| serde_json::from_slice::<record::Identity>(json).ok();
    let identity = record.and_then(|record| read(record.value()));
    Ok(identity.map(|identity| (identity.notification.id, identity.notification.seq)))
}

/// Up to 1,000 settlements for what has waited since before `before` for outputs that are not in
/// `known`.
pub(super) fn orphans(
    database: &Database,
    known: &[String],
    before: Timestamp,
) -> Result<Vec<Settlement>, redb::Error> {
    const AT_ONCE: usize = 1000;
    let transaction = database.begin_read()?;
    let outbox = transaction.open_table(OUTBOX)?;
    let notifications = transaction.open_table(NOTIFICATIONS)?;
    let mut found = Vec::new();
    for queue in transaction.open_table(QUEUES)?.iter()? {
        let output = queue?.0.value().to_owned();
        if known.contains(&output) {
            continue;
        }
        for row in outbox.range((output.as_str(), 0)..=(output.as_str(), u64::MAX))? {
            let key = row?.0.value().1;
            let queued_at = notifications
                .get(key)?
                .and_then(|record| serde_json::from_slice::<NotificationHead>(record.value()).ok())
                .map_or(Timestamp::MIN, |head| head.queued_at);
            if queued_at >= before || found.len() >= AT_ONCE {
                break;
            }
            let why = "there is no such output any more".to_owned();
            found.push(Settlement::new(
                &output,
                key,
                Outcome::Expired,
                0,
                Some(why),
            ));
        }
    }
    Ok(found)
}
