//! The format that an operator's own pattern describes: its named groups are the fields, and the
//! group `time` is the time.

use super::Fields;
use super::timestamp::{self, Assume};
use crate::language::pattern::Pattern;
use crate::model::Timestamp;

/// The group that holds the time.
pub(super) const TIME: &str = "time";

/// Appends the named groups of the leftmost match; a group that took no part in it is absent.
pub(super) fn read(pattern: &Pattern, line: &[u8], out: &mut Fields) {
    pattern.captures(line, &mut |name, range| {
        out.push(name, line.get(range).unwrap_or_default());
    });
}

/// The time in the group `time`.
pub(super) fn time(
    pattern: &Pattern,
    time_format: Option<&str>,
    line: &[u8],
    assume: Assume,
) -> Option<Timestamp> {
    let mut text = None;
    pattern.captures(line, &mut |name, range| {
        if name == TIME {
            text = line.get(range);
        }
    });
    match time_format {
        Some(format) => timestamp::by_format(format, text?, assume),
        None => timestamp::any_shape(text?, assume),
    }
}
