//! One durable transaction: positions, groups, notifications, outcomes, and the house-keeping
//! that keeps the file bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lapwing_rules::model::Timestamp;
use redb::{Database, ReadableTable, ReadableTableMetadata, Table, WriteTransaction};

use super::adrift::Adrift;
use super::record::{
    self, DeliveryRecord, Identity, NewNotification, NotificationHead, NotificationRecord,
    OutboxRecord, OutcomeRecord, PositionRecord,
};
use super::steady::Moment;
use super::tables::{
    BEGUN, Bytes, COMMITTED_AT, COMMITTED_BEFORE, DELIVERIES, FORMAT, FORMAT_KEY, GROUPS, META,
    NEXT, NOTES, NOTIFICATIONS, OUTBOX, POSITIONS, QUEUES, SAID, SETTLED, SETTLED_BYTES, STEADY_AT,
    WINDOWS,
};
use super::{Commit, Report, Routed, Settlement, Store};

/// How long a settled notification stays.
const HISTORY_AGE: Duration = Duration::from_hours(30 * 24);
/// How many settled notifications stay.
const HISTORY_ROWS: u64 = 10_000;
/// How many bytes of settled notifications stay: one may hold five samples of 8 KiB with as many
/// lines of context.
const HISTORY_BYTES: u64 = 64 * 1024 * 1024;
/// How many old notifications one transaction clears away at most, so that none takes long.
const PRUNE_AT_ONCE: usize = 256;

type Done<T = ()> = Result<T, redb::Error>;

/// Creates every table; for a database that has just been made.
pub(super) fn initialise(database: &Database, begun: u64) -> Done {
    let transaction = database.begin_write()?;
    {
        let mut tables = Tables::open(&transaction)?;
        tables.meta.insert(FORMAT_KEY, FORMAT)?;
        tables.meta.insert(BEGUN, begun)?;
        tables.meta.insert(NEXT, 1)?;
    }
    transaction.commit()?;
    Ok(())
}

/// What one transaction is to make durable; see [`Store::apply`].
pub(super) struct Work<'w> {
    pub(super) adrift: &'w Adrift,
    pub(super) commits: &'w [&'w Commit],
    pub(super) settlements: &'w [Settlement],
    pub(super) limits: &'w BTreeMap<String, u64>,
    pub(super) now: Moment,
    /// When the last commit was that is known to have succeeded.
    pub(super) last: Option<Timestamp>,
}

impl Work<'_> {
    /// Gives also the key of each notification that stood in memory: there, and here.
    pub(super) fn apply(&self, database: &Database) -> Done<(Report, Vec<(u64, u64)>)> {
        let transaction = database.begin_write()?;
        let mut keys = Vec::new();
        let report = {
            let mut writer = Writer {
                tables: Tables::open(&transaction)?,
                now: self.now,
                queued: BTreeSet::new(),
                report: Report::default(),
            };
            if writer.tables.number(BEGUN)? != 1 {
                writer.tables.meta.insert(BEGUN, 1)?;
            }
            let nanos = |at: Timestamp| u64::try_from(at.as_nanos()).unwrap_or(0);
            let meta = &mut writer.tables.meta;
            meta.insert(COMMITTED_AT, nanos(self.now.wall))?;
            meta.insert(COMMITTED_BEFORE, self.last.map_or(0, nanos))?;
            meta.insert(STEADY_AT, nanos(self.now.steady))?;
            for (here, entry) in self.adrift.entries() {
                let key = writer.notification(&entry.routed, entry.queued)?;
                for word in entry.words.values() {
                    let word = word.clone();
                    writer.settle(&Settlement { key, ..word })?;
                }
                keys.push((here, key));
            }
            for commit in self.commits {
                writer.positions(commit)?;
                writer.groups(commit)?;
                for (name, note) in &commit.notes {
                    writer.tables.notes.insert(name.as_str(), note.as_slice())?;
                }
                for routed in &commit.notifications {
                    writer.notification(routed, self.now)?;
                }
            }
            for kept in self.adrift.outcomes() {
                let key = match &kept.about {
                    Some((id, seq)) => writer.tables.said(id, *seq)?,
                    None => Some(kept.word.key),
                };
                if let Some(key) = key {
                    let word = kept.word.clone();
                    writer.settle(&Settlement { key, ..word })?;
                }
            }
            for settlement in self.settlements {
                writer.settle(settlement)?;
            }
            writer.bound_queues(self.limits)?;
            writer.prune()?;
            writer.report.queued = writer.queued.into_iter().collect();
            writer.report
        };
        transaction.commit()?;
        Ok((report, keys))
    }
}

/// See [`Store::resend`].
pub(super) fn resend(
    database: &Database,
    output: Option<&str>,
    id: Option<&str>,
    now: Moment,
) -> Done<Report> {
    const AT_ONCE: usize = 1000;
    let transaction = database.begin_write()?;
    let report = {
        let mut writer = Writer {
            tables: Tables::open(&transaction)?,
            now,
            queued: BTreeSet::new(),
            report: Report::default(),
        };
        let mut lost = Vec::new();
        for row in writer.tables.deliveries.iter()?.rev() {
            let (row, json) = row?;
            let (key, name) = row.value();
            let record: DeliveryRecord =
                serde_json::from_slice(json.value()).map_err(|error| record::damaged(&error))?;
            let is_lost = matches!(
                record.outcome,
                OutcomeRecord::Rejected | OutcomeRecord::Expired
            );
            if is_lost && output.is_none_or(|output| output == name) {
                lost.push((key, name.to_owned()));
            }
            if lost.len() >= AT_ONCE {
                break;
            }
        }
        for (key, name) in lost {
            writer.queue_again(key, &name, id)?;
        }
        writer.report.queued = writer.queued.into_iter().collect();
        writer.report
    };
    transaction.commit()?;
    Ok(report)
}

struct Tables<'t> {
    meta: Table<'t, &'static str, u64>,
    positions: Table<'t, (&'static str, u64, u64), Bytes>,
    groups: Table<'t, (&'static str, &'static str), Bytes>,
    windows: Table<'t, (&'static str, &'static str, u64), Bytes>,
    notes: Table<'t, &'static str, Bytes>,
    notifications: Table<'t, u64, Bytes>,
    said: Table<'t, (&'static str, u32), u64>,
    outbox: Table<'t, (&'static str, u64), Bytes>,
    deliveries: Table<'t, (u64, &'static str), Bytes>,
    queues: Table<'t, &'static str, (u64, u64)>,
    settled: Table<'t, u64, (i64, u64)>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Done<Self> {
        Ok(Self {
            meta: transaction.open_table(META)?,
            positions: transaction.open_table(POSITIONS)?,
            groups: transaction.open_table(GROUPS)?,
            windows: transaction.open_table(WINDOWS)?,
            notes: transaction.open_table(NOTES)?,
            notifications: transaction.open_table(NOTIFICATIONS)?,
            said: transaction.open_table(SAID)?,
            outbox: transaction.open_table(OUTBOX)?,
            deliveries: transaction.open_table(DELIVERIES)?,
            queues: transaction.open_table(QUEUES)?,
            settled: transaction.open_table(SETTLED)?,
        })
    }

    /// The key of a notification.
    fn said(&self, id: &str, seq: u32) -> Done<Option<u64>> {
        Ok(self.said.get((id, seq))?.map(|key| key.value()))
    }

    fn number(&self, name: &str) -> Done<u64> {
        Ok(self.meta.get(name)?.map_or(0, |value| value.value()))
    }
}

struct Writer<'t> {
    tables: Tables<'t>,
    now: Moment,
    queued: BTreeSet<String>,
    report: Report,
}

impl Writer<'_> {
    fn positions(&mut self, commit: &Commit) -> Done {
        for position in &commit.positions {
            let key = (
                position.key.input.as_str(),
                position.key.device,
                position.key.inode,
            );
            let json = record::encode(&PositionRecord::of(position))?;
            self.tables.positions.insert(key, json.as_slice())?;
        }
        for key in &commit.forgotten {
            self.tables
                .positions
                .remove((key.input.as_str(), key.device, key.inode))?;
        }
        Ok(())
    }

    fn groups(&mut self, commit: &Commit) -> Done {
        for group in &commit.groups {
            let key = (group.rule.as_str(), group.group.as_str());
            match &group.state {
                Some(state) => self.tables.groups.insert(key, state.as_slice())?,
                None => self.tables.groups.remove(key)?,
            };
            let gone = group.state.as_ref().map_or(u64::MAX, |_| group.first_part);
            if gone > 0 {
                let gone = (key.0, key.1, 0)..(key.0, key.1, gone);
                self.tables.windows.retain_in(gone, |_, _| false)?;
            }
            for (number, part) in &group.parts {
                self.tables
                    .windows
                    .insert((key.0, key.1, *number), part.as_slice())?;
            }
        }
        Ok(())
    }

    /// Gives its key, also when it was said before.
    fn notification(&mut self, routed: &Routed, queued: Moment) -> Done<u64> {
        let identity = (routed.notification.id.as_str(), routed.notification.seq);
        if let Some(key) = self.tables.said(identity.0, identity.1)? {
            self.report.repeated += 1;
            return Ok(key);
        }
        let key = self.tables.number(NEXT)?.max(1);
        self.tables.meta.insert(NEXT, key + 1)?;
        self.tables.said.insert(identity, key)?;
        let mut outputs = routed.outputs.clone();
        outputs.sort_unstable();
        outputs.dedup();
        let json = record::encode(&NewNotification::of(&routed.notification, &outputs, queued))?;
        let bytes = json.len() as u64;
        self.tables.notifications.insert(key, json.as_slice())?;
        for output in &outputs {
            let row = record::encode(&OutboxRecord::new(bytes))?;
            self.tables
                .outbox
                .insert((output.as_str(), key), row.as_slice())?;
            let (rows, sum) = self.queue(output)?;
            self.tables
                .queues
                .insert(output.as_str(), (rows + 1, sum + bytes))?;
        }
        if outputs.is_empty() {
            self.keep_as_history(key, queued.wall, bytes)?;
        }
        self.queued.extend(outputs);
        Ok(key)
    }

    fn queue(&self, output: &str) -> Done<(u64, u64)> {
        Ok(self
            .tables
            .queues
            .get(output)?
            .map_or((0, 0), |value| value.value()))
    }

    fn settle(&mut self, settlement: &Settlement) -> Done {
        let row = (settlement.output.as_str(), settlement.key);
        let Some(mut waiting) = self.waiting(row)? else {
            // Said twice, or dropped meanwhile: the first word counts.
            return Ok(());
        };
        let Some(outcome) = OutcomeRecord::of(settlement.outcome) else {
            waiting.attempts = settlement.attempts;
            waiting.last_error.clone_from(&settlement.last_error);
            let json = record::encode(&waiting)?;
            self.tables.outbox.insert(row, json.as_slice())?;
            return Ok(());
        };
        self.tables.outbox.remove(row)?;
        let (rows, bytes) = self.queue(&settlement.output)?;
        let left = (rows.saturating_sub(1), bytes.saturating_sub(waiting.bytes));
        if left.0 == 0 {
            self.tables.queues.remove(settlement.output.as_str())?;
        } else {
            self.tables
                .queues
                .insert(settlement.output.as_str(), left)?;
        }
        let delivery = DeliveryRecord::of(settlement, outcome, self.now.wall);
        let json = record::encode(&delivery)?;
        self.tables.deliveries.insert(
            (settlement.key, settlement.output.as_str()),
            json.as_slice(),
        )?;
        if let (super::Outcome::Fallback, Some(to)) = (settlement.outcome, &settlement.to) {
            self.pass_on(settlement.key, &settlement.output, to)?;
        }
        self.close_if_settled(settlement.key)
    }

    /// Puts what was given up back into an output's queue, as if it had come now.
    fn queue_again(&mut self, key: u64, output: &str, id: Option<&str>) -> Done {
        let record: NotificationRecord = {
            let Some(value) = self.tables.notifications.get(key)? else {
                return Ok(());
            };
            serde_json::from_slice(value.value()).map_err(|error| record::damaged(&error))?
        };
        if id.is_some_and(|id| id != record.notification.id) {
            return Ok(());
        }
        let json = record::encode(&NewNotification::of(
            &record.notification,
            &record.outputs,
            self.now,
        ))?;
        let bytes = json.len() as u64;
        self.tables.notifications.insert(key, json.as_slice())?;
        self.tables.deliveries.remove((key, output))?;
        let settled = self.tables.settled.remove(key)?.map(|value| value.value());
        if let Some((_, was)) = settled {
            let sum = self.tables.number(SETTLED_BYTES)?.saturating_sub(was);
            self.tables.meta.insert(SETTLED_BYTES, sum)?;
        }
        let row = record::encode(&OutboxRecord::new(bytes))?;
        self.tables.outbox.insert((output, key), row.as_slice())?;
        let (rows, sum) = self.queue(output)?;
        self.tables.queues.insert(output, (rows + 1, sum + bytes))?;
        self.queued.insert(output.to_owned());
        self.report.repeated += 1;
        Ok(())
    }

    /// Queues a notification for `to`, unless that is told of it anyway.
    fn pass_on(&mut self, key: u64, from: &str, to: &str) -> Done {
        let mut record: NotificationRecord = {
            let Some(value) = self.tables.notifications.get(key)? else {
                return Ok(());
            };
            serde_json::from_slice(value.value()).map_err(|error| record::damaged(&error))?
        };
        if record.outputs.iter().any(|output| output == to) {
            return Ok(());
        }
        record.outputs.push(to.to_owned());
        let json = record::encode(&NewNotification::of(
            &record.notification,
            &record.outputs,
            record.queued(),
        ))?;
        self.tables.notifications.insert(key, json.as_slice())?;
        let bytes = json.len() as u64;
        let row = record::encode(&OutboxRecord::instead_of(from, bytes))?;
        self.tables.outbox.insert((to, key), row.as_slice())?;
        let (rows, sum) = self.queue(to)?;
        self.tables.queues.insert(to, (rows + 1, sum + bytes))?;
        self.queued.insert(to.to_owned());
        Ok(())
    }

    fn waiting(&self, row: (&str, u64)) -> Done<Option<OutboxRecord>> {
        let Some(value) = self.tables.outbox.get(row)? else {
            return Ok(None);
        };
        serde_json::from_slice(value.value())
            .map(Some)
            .map_err(|error| record::damaged(&error))
    }

    /// Makes history of a notification that no output waits for any more.
    fn close_if_settled(&mut self, key: u64) -> Done {
        let (head, bytes) = {
            let Some(value) = self.tables.notifications.get(key)? else {
                return Ok(());
            };
            let json = value.value();
            let head: Result<NotificationHead, _> = serde_json::from_slice(json);
            (
                head.map_err(|error| record::damaged(&error))?,
                json.len() as u64,
            )
        };
        for output in &head.outputs {
            if self.tables.outbox.get((output.as_str(), key))?.is_some() {
                return Ok(());
            }
        }
        self.keep_as_history(key, head.queued_at, bytes)
    }

    fn keep_as_history(&mut self, key: u64, queued_at: Timestamp, bytes: u64) -> Done {
        self.tables
            .settled
            .insert(key, (queued_at.as_secs(), bytes))?;
        let sum = self.tables.number(SETTLED_BYTES)?.saturating_add(bytes);
        self.tables.meta.insert(SETTLED_BYTES, sum)?;
        Ok(())
    }

    /// Drops the oldest of each queue that grew too long in this transaction. The very first row
    /// stays: its output may be sending it right now, and then it would be both dropped and
    /// delivered.
    fn bound_queues(&mut self, limits: &BTreeMap<String, u64>) -> Done {
        for output in self.queued.clone() {
            let limit = limits
                .get(&output)
                .copied()
                .unwrap_or(Store::DEFAULT_QUEUE_BYTES);
            while self.queue(&output)?.1 > limit {
                let second = self
                    .tables
                    .outbox
                    .range((output.as_str(), 0)..=(output.as_str(), u64::MAX))?
                    .nth(1)
                    .transpose()?
                    .map(|(key, _)| key.value().1);
                let Some(key) = second else { break };
                let attempts = self.waiting((&output, key))?.map_or(0, |row| row.attempts);
                let why = format!("dropped: more than {limit} bytes waited for this output");
                let outcome = super::Outcome::Rejected;
                self.settle(&Settlement::new(&output, key, outcome, attempts, Some(why)))?;
                *self.report.dropped.entry(output.clone()).or_default() += 1;
            }
        }
        Ok(())
    }

    fn prune(&mut self) -> Done {
        let oldest_kept = self.now.wall.minus(HISTORY_AGE).as_secs();
        for _ in 0..PRUNE_AT_ONCE {
            let first = self
                .tables
                .settled
                .first()?
                .map(|(key, value)| (key.value(), value.value()));
            let Some((key, (queued_at, bytes))) = first else {
                break;
            };
            let sum = self.tables.number(SETTLED_BYTES)?;
            let too_many = self.tables.settled.len()? > HISTORY_ROWS || sum > HISTORY_BYTES;
            if !too_many && queued_at >= oldest_kept {
                break;
            }
            self.tables.settled.remove(key)?;
            self.tables
                .meta
                .insert(SETTLED_BYTES, sum.saturating_sub(bytes))?;
            self.forget(key)?;
        }
        Ok(())
    }

    fn forget(&mut self, key: u64) -> Done {
        let identity: Option<Identity> = match self.tables.notifications.remove(key)? {
            Some(value) => serde_json::from_slice(value.value()).ok(),
            None => None,
        };
        if let Some(identity) = identity {
            let identity = identity.notification;
            self.tables
                .said
                .remove((identity.id.as_str(), identity.seq))?;
        }
        let of_key = (key, "")..(key.saturating_add(1), "");
        let outputs: Vec<String> = self
            .tables
            .deliveries
            .range(of_key)?
            .map(|row| row.map(|(key, _)| key.value().1.to_owned()))
            .collect::<Result<_, _>>()?;
        for output in outputs {
            self.tables.deliveries.remove((key, output.as_str()))?;
        }
        Ok(())
    }
}
