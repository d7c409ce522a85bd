//! The tables of the database; what stands in them is told in `mod.rs`.

use redb::TableDefinition;

pub(super) type Bytes = &'static [u8];

pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(super) const POSITIONS: TableDefinition<'_, (&str, u64, u64), Bytes> =
    TableDefinition::new("positions");
pub(super) const GROUPS: TableDefinition<'_, (&str, &str), Bytes> = TableDefinition::new("groups");
pub(super) const WINDOWS: TableDefinition<'_, (&str, &str, u64), Bytes> =
    TableDefinition::new("windows");
pub(super) const NOTES: TableDefinition<'_, &str, Bytes> = TableDefinition::new("notes");
pub(super) const NOTIFICATIONS: TableDefinition<'_, u64, Bytes> =
    TableDefinition::new("notifications");
pub(super) const SAID: TableDefinition<'_, (&str, u32), u64> = TableDefinition::new("said");
pub(super) const OUTBOX: TableDefinition<'_, (&str, u64), Bytes> = TableDefinition::new("outbox");
pub(super) const DELIVERIES: TableDefinition<'_, (u64, &str), Bytes> =
    TableDefinition::new("deliveries");
pub(super) const QUEUES: TableDefinition<'_, &str, (u64, u64)> = TableDefinition::new("queues");
pub(super) const SETTLED: TableDefinition<'_, u64, (i64, u64)> = TableDefinition::new("settled");

/// The version of the disk format, under [`FORMAT_KEY`].
pub(super) const FORMAT: u64 = 1;

pub(super) const FORMAT_KEY: &str = "format";
pub(super) const BEGUN: &str = "begun";
pub(super) const COMMITTED_AT: &str = "committed_at";
pub(super) const COMMITTED_BEFORE: &str = "committed_before";
pub(super) const STEADY_AT: &str = "steady_at";
pub(super) const NEXT: &str = "next";
pub(super) const SETTLED_BYTES: &str = "settled_bytes";
