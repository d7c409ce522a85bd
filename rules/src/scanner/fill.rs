//! A record that a rule accepted → a hit: its group, its counted values, its sample, each of them
//! redacted and of bounded length.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::language::redact::Redactor;
use crate::language::rule::Rule;
use crate::matcher::Found;
use crate::model::{Batch, Sample};

use super::{Hit, wants_all_fields};

/// Longest value of a field that is kept, in bytes; longer ones are cut. A window keeps one for
/// each hit and key.
const MAX_VALUE_BYTES: usize = 256;
/// Fields kept for templates.
const MAX_FIELDS: usize = 64;

/// Makes `hit` that of `found`, but for its input and its times.
pub(super) fn fill(
    hit: &mut Hit,
    found: &Found<'_>,
    rule: &Rule,
    batch: &Batch,
    redacted: &mut Vec<u8>,
) {
    let line = batch.bytes.get(found.line.clone()).unwrap_or_default();
    let mut value_of = |raw: &[u8], value: &mut String| {
        redacted.clear();
        if !rule.redact.is_empty() {
            rule.redact.redact_value(raw, line, redacted);
        }
        let clean = if rule.redact.is_empty() {
            raw
        } else {
            redacted.as_slice()
        };
        decode(clean, MAX_VALUE_BYTES, value);
    };
    hit.rule = found.rule;
    hit.group.resize(rule.group_by.len(), String::new());
    for (name, value) in rule.group_by.iter().zip(&mut hit.group) {
        let raw = found.fields.get(name).unwrap_or_default();
        value_of(raw, value);
        tell_apart(raw, value, &rule.redact);
    }
    let mut owned = |raw: &[u8]| {
        let mut value = String::new();
        value_of(raw, &mut value);
        value
    };
    hit.top.clear();
    hit.top.extend(
        rule.top_count_keys
            .iter()
            .map(|name| found.fields.get(name).map(&mut owned)),
    );
    hit.fields.clear();
    if wants_all_fields(rule) {
        let fields = found.fields.iter().take(MAX_FIELDS);
        hit.fields
            .extend(fields.map(|(name, raw)| (name.to_owned(), owned(raw))));
    }
    hit.sample.at = hit.time;
    hit.sample.source.clear();
    hit.sample.source.push_str(&batch.source.name);
    hit.sample.offset = batch.offset_of(found.line.start);
    redacted.clear();
    if !rule.redact.is_empty() {
        rule.redact.redact(line, redacted);
    }
    let clean = if rule.redact.is_empty() {
        line
    } else {
        redacted.as_slice()
    };
    let whole = decode(clean, Sample::MAX_BYTES, &mut hit.sample.line);
    hit.sample.cut = !whole || batch.is_cut(found.line.start);
}

/// Two values that differ only behind the cut, or in bytes that are no UTF-8, are two groups all
/// the same: such a value ends in a hash of itself.
fn tell_apart(raw: &[u8], value: &mut String, redact: &Redactor) {
    if redact.is_empty() && value.as_bytes() != raw {
        // Writing to a String cannot fail.
        let hash = Sha256::digest(raw);
        write!(
            value,
            "#{:02x}{:02x}{:02x}{:02x}",
            hash[0], hash[1], hash[2], hash[3]
        )
        .unwrap_or_default();
    }
}

/// Writes `raw` to `out` as UTF-8, at most `most` bytes. Gives whether that is all of it.
fn decode(raw: &[u8], most: usize, out: &mut String) -> bool {
    out.clear();
    // Nearly every line: looked at at once, and copied at once.
    if raw.len() <= most
        && let Ok(text) = std::str::from_utf8(raw)
    {
        out.push_str(text);
        return true;
    }
    for chunk in raw.utf8_chunks() {
        out.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
        if out.len() > most {
            out.truncate(out.floor_char_boundary(most));
            return false;
        }
    }
    true
}
