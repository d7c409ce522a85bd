//! What groups and alerts are called, the same in every run.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::group::Subject;
use crate::model::{Mode, Timestamp};

/// The rule's name and 16 hexadecimal digits (the first 8 bytes of a SHA-256) that depend on host,
/// rule, its mode, group, subject and start alone: when a crash makes the engine say it again, the id is
/// the same. What a shadow told nobody has another id than what its rule tells once it is live.
pub(super) fn alert_id(
    host: &str,
    (rule, mode): (&str, Mode),
    (group, subject): (&[String], Option<&Subject>),
    started_at: Timestamp,
) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    let group = group.iter().map(String::as_str);
    [host, rule].into_iter().chain(group).for_each(&mut add);
    if let Some(subject) = subject {
        // The same value may be new in two items of `fields` at once, or be what a fold is called.
        add(&subject.item.to_string());
        subject.values.iter().for_each(|value| add(value));
    }
    if mode == Mode::Shadow {
        add("shadow");
    }
    hash.update(started_at.as_nanos().to_be_bytes());
    let mut id = format!("{rule}-");
    for byte in hash.finalize().iter().take(8) {
        // Writing to a String cannot fail.
        write!(id, "{byte:02x}").unwrap_or_default();
    }
    id
}

/// A group's values as one text: each with its length before it, so that no two lists of values
/// give the same.
pub(super) fn write_key(key: &mut String, values: &[String]) {
    key.clear();
    for value in values {
        write!(key, "{}:{value}", value.len()).unwrap_or_default();
    }
}

/// Appends what is new to the key of the group in which it is: no other group has such a key.
pub(super) fn write_subject(key: &mut String, subject: &Subject) {
    write!(key, "|{}", subject.item).unwrap_or_default();
    for value in &subject.values {
        write!(key, ";{}:{value}", value.len()).unwrap_or_default();
    }
}
