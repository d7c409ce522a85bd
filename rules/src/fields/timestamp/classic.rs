//! The stamp that syslog has written since the 1980s, `Nov 21 09:00:00`, and what became of it: a
//! year before or behind it, a fraction, one digit for the day.

use super::{Assume, Cursor, days, in_a_year, instant};
use crate::model::Timestamp;

/// A stamp as it is written; there may be no such day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fields) struct Classic {
    year: Option<i64>,
    month: i64,
    day: i64,
    /// Since midnight.
    seconds: i64,
    nanos: i64,
}

impl Classic {
    /// Cuts a stamp off the start of `text`; gives it and what is behind.
    pub(in crate::fields) fn cut(text: &[u8]) -> Option<(Self, &[u8])> {
        let mut cursor = Cursor { rest: text };
        let before = year_before(&mut cursor);
        let month = cursor.month()?;
        cursor.skip(b" ")?;
        let day = day(&mut cursor)?;
        cursor.skip(b" ")?;
        let between = year_before(&mut cursor);
        let seconds = cursor.time_of_day()?;
        let nanos = match cursor.rest {
            [b'.', digit, ..] if digit.is_ascii_digit() => cursor.fraction()?,
            _ => 0,
        };
        let year = before.or(between).or_else(|| year_behind(&mut cursor));
        let stamp = Self {
            year,
            month,
            day,
            seconds,
            nanos,
        };
        Some((stamp, cursor.rest))
    }

    /// The time that it means. Without a year and without [`Assume::near`] it means none, nor does
    /// a day that the year does not have.
    pub(in crate::fields) fn time(&self, assume: Assume) -> Option<Timestamp> {
        let in_year = |year: i64| {
            let days = days(year, self.month, self.day)?;
            instant(year, days, self.seconds, self.nanos, assume.zone)
        };
        match self.year {
            Some(year) => in_year(year),
            None => in_a_year(assume.near?, in_year),
        }
    }
}

/// `2026 `.
fn year_before(cursor: &mut Cursor<'_>) -> Option<i64> {
    let (digits, rest) = cursor.rest.split_first_chunk::<5>()?;
    let [year @ .., b' '] = digits else {
        return None;
    };
    let year = super::decimal(year)?;
    cursor.rest = rest;
    Some(year)
}

/// ` 2026`, as in `Nov 21 09:00:00 2026 host app: text`. What is a word of another kind stays.
fn year_behind(cursor: &mut Cursor<'_>) -> Option<i64> {
    let (digits, rest) = cursor.rest.split_first_chunk::<5>()?;
    let [b' ', year @ ..] = digits else {
        return None;
    };
    let year = super::decimal(year).filter(|year| (1970..2262).contains(year))?;
    // `2001:db8::1` is a host.
    if !matches!(rest, [] | [b' ', ..] | [b':', b' ', ..]) {
        return None;
    }
    cursor.rest = rest;
    Some(year)
}

/// `21`, `01`, ` 1` or `1`.
fn day(cursor: &mut Cursor<'_>) -> Option<i64> {
    let padded = cursor.skip(b" ").is_some();
    match cursor.rest {
        [_, second, ..] if second.is_ascii_digit() && !padded => cursor.digits(2),
        _ => cursor.digits(1),
    }
}
