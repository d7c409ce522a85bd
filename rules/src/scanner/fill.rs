//! A line that was found → what a hit holds of it: group, values, sample, each redacted. Nothing
//! behind this ever sees the line as it was.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::Hit;
use crate::language::redact::Redactor;
use crate::language::rule::{ConditionSpec, Rule};
use crate::matcher::Found;
use crate::model::{Batch, Sample};

/// Longest value of a field that is kept, in bytes; longer ones are cut. A window keeps one for
/// each hit and key.
const MAX_VALUE_BYTES: usize = 256;
/// Fields kept for templates.
const MAX_FIELDS: usize = 64;
/// Where formats have what a line says, without when and by whom.
const MESSAGES: [&str; 2] = ["message", "msg"];

/// Whether a hit of the rule holds anything of the line's fields.
pub(super) fn needs_fields(rule: &Rule) -> bool {
    !rule.group_by.is_empty()
        || !rule.top_count_keys.is_empty()
        || !rule.condition.values().is_empty()
        || matches!(rule.condition, ConditionSpec::NewPattern { .. })
        || wants_all_fields(rule)
}

fn wants_all_fields(rule: &Rule) -> bool {
    let templates = [
        Some(&rule.summary),
        Some(&rule.description),
        rule.runbook_url.as_ref(),
        rule.dashboard_url.as_ref(),
    ];
    templates
        .into_iter()
        .flatten()
        .any(crate::language::template::Template::wants_fields)
}

/// Fills in what a rule wants of a line that one of its parts was found in.
pub(super) fn fill(
    hit: &mut Hit,
    found: &Found<'_>,
    rule: &Rule,
    batch: &Batch,
    redacted: &mut Vec<u8>,
) {
    let mut clean = Clean::of(found, rule, batch, redacted);
    hit.group.resize(rule.group_by.len(), String::new());
    for (name, value) in rule.group_by.iter().zip(&mut hit.group) {
        clean.name_into(found.fields.get(name).unwrap_or_default(), value);
    }
    hit.values.clear();
    fill_values(hit, found, &mut clean);
    hit.top.clear();
    hit.top.extend(
        rule.top_count_keys
            .iter()
            .map(|name| found.fields.get(name).map(|raw| clean.value(raw))),
    );
    hit.fields.clear();
    if wants_all_fields(rule) {
        let fields = found.fields.iter().take(MAX_FIELDS);
        hit.fields
            .extend(fields.map(|(name, raw)| (name.to_owned(), clean.value(raw))));
    }
    hit.times = 1;
    hit.sample.at = hit.time;
    hit.sample.source.clear();
    hit.sample.source.push_str(&batch.source.name);
    hit.sample.offset = batch.offset_of(found.line.start);
    let whole = decode(clean.line(), Sample::MAX_BYTES, &mut hit.sample.line);
    hit.sample.cut = !whole || batch.is_cut(found.line.start);
}

/// The values that the type asks for; for `new_pattern` the line's shape.
fn fill_values(hit: &mut Hit, found: &Found<'_>, clean: &mut Clean<'_>) {
    match &clean.rule.condition {
        ConditionSpec::NewPattern { masks, .. } => {
            // The line around its message says when and who.
            let message = MESSAGES.iter().find_map(|name| found.fields.get(name));
            let text = match message {
                Some(raw) => clean.bytes(raw),
                None => clean.line(),
            };
            hit.values.push(Some(masks.shape(text)));
        }
        condition => {
            let names = condition.values().into_iter();
            hit.values.extend(names.map(|name| {
                let raw = found.fields.get(name)?;
                let mut value = String::new();
                clean.name_into(raw, &mut value);
                Some(value)
            }));
        }
    }
}

/// The same line meets a further part, which may give what the parts before did not.
pub(super) fn fill_gaps(
    hit: &mut Hit,
    found: &Found<'_>,
    rule: &Rule,
    batch: &Batch,
    redacted: &mut Vec<u8>,
) {
    let mut clean = Clean::of(found, rule, batch, redacted);
    for (name, value) in rule.group_by.iter().zip(&mut hit.group) {
        if value.is_empty() {
            clean.name_into(found.fields.get(name).unwrap_or_default(), value);
        }
    }
    for (name, value) in rule.top_count_keys.iter().zip(&mut hit.top) {
        if value.is_none() {
            *value = found.fields.get(name).map(|raw| clean.value(raw));
        }
    }
    if wants_all_fields(rule) {
        for (name, raw) in found.fields.iter().take(MAX_FIELDS) {
            if !hit.fields.contains_key(name) {
                hit.fields.insert(name.to_owned(), clean.value(raw));
            }
        }
    }
}

/// What of a line may be seen.
struct Clean<'a> {
    rule: &'a Rule,
    line: &'a [u8],
    redacted: &'a mut Vec<u8>,
}

impl<'a> Clean<'a> {
    fn of(found: &Found<'_>, rule: &'a Rule, batch: &'a Batch, redacted: &'a mut Vec<u8>) -> Self {
        Self {
            rule,
            line: batch.bytes.get(found.line.clone()).unwrap_or_default(),
            redacted,
        }
    }

    /// A value of the line.
    fn bytes<'s>(&'s mut self, raw: &'s [u8]) -> &'s [u8] {
        if self.rule.redact.is_empty() {
            return raw;
        }
        self.redacted.clear();
        self.rule.redact.redact_value(raw, self.line, self.redacted);
        self.redacted
    }

    /// The line itself.
    fn line(&mut self) -> &[u8] {
        if self.rule.redact.is_empty() {
            return self.line;
        }
        self.redacted.clear();
        self.rule.redact.redact(self.line, self.redacted);
        self.redacted
    }

    fn value(&mut self, raw: &[u8]) -> String {
        let mut value = String::new();
        decode(self.bytes(raw), MAX_VALUE_BYTES, &mut value);
        value
    }

    /// A value by which things are told apart.
    fn name_into(&mut self, raw: &[u8], value: &mut String) {
        decode(self.bytes(raw), MAX_VALUE_BYTES, value);
        tell_apart(raw, value, &self.rule.redact);
    }
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
pub(super) fn decode(raw: &[u8], most: usize, out: &mut String) -> bool {
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
