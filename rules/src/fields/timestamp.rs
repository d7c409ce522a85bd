//! Written times → [`Timestamp`]s: the shapes that logs use, without allocation and without
//! reading anything else. Never asks for the clock: what a time leaves out is told ([`Assume`]).
//!
//! A second 60 reads as 59. A year after 2262 reads as [`Timestamp::MAX`], so that it counts as a
//! time in the future; a year before 1678 is no time (Go writes year 1 for "unset").

use std::time::Duration;

use jiff::fmt::strtime::BrokenDownTime;

use crate::model::Timestamp;

mod classic;

pub(super) use classic::Classic;

/// A fixed distance from UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// Seconds east of UTC, within [`Zone::MAX_SECONDS`] to either side.
    east: i32,
}

impl Zone {
    /// No distance.
    pub const UTC: Self = Self { east: 0 };
    /// The farthest that a zone may be: a day less a second.
    pub const MAX_SECONDS: i32 = 24 * 60 * 60 - 1;

    /// `seconds` east of UTC; `None` when that is a day or more.
    pub fn east(seconds: i32) -> Option<Self> {
        (seconds.unsigned_abs() <= Self::MAX_SECONDS.unsigned_abs())
            .then_some(Self { east: seconds })
    }
}

/// What a time that leaves something out is taken to mean. The default: UTC, and a time without
/// a year is no time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Assume {
    /// For times without a zone, such as those of nginx's error log.
    pub zone: Zone,
    /// For times without a year: the time by which they were written, give or take a day. It is
    /// the latest year that does not bring them later than that.
    pub near: Option<Timestamp>,
}

/// A time in any shape that [`iso`], [`epoch`] or [`access`] reads.
pub(super) fn any_shape(text: &[u8], assume: Assume) -> Option<Timestamp> {
    iso(text, assume.zone)
        .or_else(|| epoch(text))
        .or_else(|| access(text))
}

/// `21/Nov/2026:09:00:00 +0000`, as access logs write it between brackets.
pub(super) fn access(text: &[u8]) -> Option<Timestamp> {
    let mut cursor = Cursor { rest: text };
    let day = cursor.digits(2)?;
    cursor.skip(b"/")?;
    let month = cursor.month()?;
    cursor.skip(b"/")?;
    let year = cursor.digits(4)?;
    cursor.skip(b":")?;
    let seconds = cursor.time_of_day()?;
    cursor.skip(b" ")?;
    let zone = cursor.offset()?;
    let days = days(year, month, day)?;
    cursor
        .rest
        .is_empty()
        .then(|| instant(year, days, seconds, 0, zone))?
}

/// RFC 3339 and what is commonly taken for it: `T` or a space between date and time, `-` or `/`
/// in the date, a fraction after `.` or `,`, a space before the offset, an offset with or without
/// colon, `Z`, `UTC`, or none of them, which means `zone`.
pub(super) fn iso(text: &[u8], zone: Zone) -> Option<Timestamp> {
    let mut cursor = Cursor { rest: text };
    let year = cursor.digits(4)?;
    let separator: &[u8] = if cursor.rest.first() == Some(&b'/') {
        b"/"
    } else {
        b"-"
    };
    cursor.skip(separator)?;
    let month = cursor.digits(2)?;
    cursor.skip(separator)?;
    let day = cursor.digits(2)?;
    cursor
        .skip(b"T")
        .or_else(|| cursor.skip(b" "))
        .or_else(|| cursor.skip(b"t"))?;
    let seconds = cursor.time_of_day()?;
    let nanos = cursor.fraction()?;
    let zone = cursor.zone(zone)?;
    let days = days(year, month, day)?;
    cursor
        .rest
        .is_empty()
        .then(|| instant(year, days, seconds, nanos, zone))?
}

/// Time since the epoch, with or without a fraction: seconds, milliseconds, microseconds or
/// nanoseconds, told apart by how large it is. What would be before March 1973 in seconds is a
/// duration or a counter, not a time.
pub(super) fn epoch(text: &[u8]) -> Option<Timestamp> {
    let dot = memchr::memchr(b'.', text).unwrap_or(text.len());
    let (whole, fraction) = text.split_at(dot);
    if whole.len() > 19 {
        return None;
    }
    let whole = decimal(whole)?;
    let fraction = match fraction {
        [] => 0,
        [_, digits @ ..] => billionths(digits)?,
    };
    let unit: i64 = match whole {
        100_000_000..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        100_000_000_000_000_000.. => 1,
        _ => return None,
    };
    let part = fraction * unit / 1_000_000_000;
    Some(Timestamp::from_nanos(
        whole.saturating_mul(unit).saturating_add(part),
    ))
}

/// `text` as `format` (strftime-like) says. A date alone is its midnight, a time of day alone is
/// no time.
pub(super) fn by_format(format: &str, text: &[u8], assume: Assume) -> Option<Timestamp> {
    let mut parts = BrokenDownTime::parse(format, text).ok()?;
    if let Some(time) = parts.timestamp() {
        let nanos = parts
            .subsec_nanosecond()
            .and_then(|nanos| u32::try_from(nanos).ok());
        return Some(from_jiff(time)?.plus(Duration::new(0, nanos.unwrap_or(0))));
    }
    let zone = match parts.offset() {
        Some(offset) => Zone::east(offset.seconds())?,
        None => assume.zone,
    };
    if parts.year().is_some() || parts.iso_week_year().is_some() {
        return from_parts(&parts, zone);
    }
    in_a_year(assume.near?, |year| {
        parts.set_year(Some(i16::try_from(year).ok()?)).ok()?;
        from_parts(&parts, zone)
    })
}

/// A time without a year, in the latest year that does not bring it more than a day after `near`:
/// what a file holds was written before it is read, but for clocks and zones that differ a little.
/// `None` when neither that year nor those about it have such a day.
fn in_a_year(
    near: Timestamp,
    mut in_year: impl FnMut(i64) -> Option<Timestamp>,
) -> Option<Timestamp> {
    let latest = near.plus(Duration::from_hours(24));
    let this_year = jiff::Timestamp::from_nanosecond(near.as_nanos().into())
        .ok()?
        .to_zoned(jiff::tz::TimeZone::UTC)
        .year();
    (i64::from(this_year) - 1..=i64::from(this_year) + 1)
        .rev()
        .find_map(|year| in_year(year).filter(|time| *time <= latest))
}

/// Whether times can be read with `format`: one that is written with it has to come back.
///
/// # Errors
///
/// What is wrong with the format, in words for an operator.
pub fn check_time_format(format: &str) -> Result<(), String> {
    // A day above 12 and an hour above 12: nothing in it can be taken for something else.
    let written = jiff::civil::date(2026, 11, 21)
        .at(21, 43, 56, 0)
        .to_zoned(jiff::tz::TimeZone::UTC);
    let written = written.map_err(|problem| problem.to_string())?;
    let text =
        jiff::fmt::strtime::format(format, &written).map_err(|problem| problem.to_string())?;
    BrokenDownTime::parse(format, &text).map_err(|problem| problem.to_string())?;
    let assume = Assume {
        zone: Zone::UTC,
        near: from_jiff(written.timestamp()),
    };
    match by_format(format, text.as_bytes(), assume) {
        Some(_) => Ok(()),
        None => Err("it gives no day: a time needs at least %m and %d, or %s".to_owned()),
    }
}

fn from_parts(parts: &BrokenDownTime, zone: Zone) -> Option<Timestamp> {
    let offset = jiff::tz::Offset::from_seconds(zone.east).ok()?;
    from_jiff(offset.to_timestamp(parts.to_datetime().ok()?).ok()?)
}

fn from_jiff(time: jiff::Timestamp) -> Option<Timestamp> {
    let nanos = time.as_nanosecond();
    if nanos < i64::MIN.into() {
        return None;
    }
    Some(i64::try_from(nanos).map_or(Timestamp::MAX, Timestamp::from_nanos))
}

/// The point in time that is `seconds` and `nanos` into the day `days` after the epoch, in `zone`.
fn instant(year: i64, days: i64, seconds: i64, nanos: i64, zone: Zone) -> Option<Timestamp> {
    if year < 1678 {
        return None;
    }
    let seconds = days * 86_400 + seconds - i64::from(zone.east);
    let nanos = seconds
        .checked_mul(1_000_000_000)
        .and_then(|whole| whole.checked_add(nanos));
    Some(nanos.map_or(Timestamp::MAX, Timestamp::from_nanos))
}

/// Days from 1970-01-01 to this one of the Gregorian calendar; `None` when there is no such day.
///
/// The year is made to begin in March, so that the leap day is its last one and the months before
/// it need no table.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// All of `digits` as a number; `None` when empty, not digits, or too large.
fn decimal(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0i64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then_some(())?;
        value.checked_mul(10)?.checked_add(i64::from(digit))
    })
}

/// The digits behind a decimal point, in billionths; more than nine are cut.
fn billionths(digits: &[u8]) -> Option<i64> {
    let kept = digits.get(..9).unwrap_or(digits);
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let missing = u32::try_from(9 - kept.len()).ok()?;
    Some(decimal(kept)? * 10i64.pow(missing))
}

/// What is left to read of a time.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.rest.split_at_checked(count)?;
        let value = decimal(digits)?;
        self.rest = rest;
        Some(value)
    }

    fn skip(&mut self, word: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    /// `Jan` to `Dec`, as a number from 1.
    fn month(&mut self) -> Option<i64> {
        let (name, rest) = self.rest.split_first_chunk::<3>()?;
        self.rest = rest;
        Some(match name {
            b"Jan" => 1,
            b"Feb" => 2,
            b"Mar" => 3,
            b"Apr" => 4,
            b"May" => 5,
            b"Jun" => 6,
            b"Jul" => 7,
            b"Aug" => 8,
            b"Sep" => 9,
            b"Oct" => 10,
            b"Nov" => 11,
            b"Dec" => 12,
            _ => return None,
        })
    }

    /// `09:00:00`, in seconds since midnight.
    fn time_of_day(&mut self) -> Option<i64> {
        let hour = self.digits(2)?;
        self.skip(b":")?;
        let minute = self.digits(2)?;
        self.skip(b":")?;
        let second = self.digits(2)?;
        let is_valid = hour < 24 && minute < 60 && second <= 60;
        is_valid.then_some(hour * 3600 + minute * 60 + second.min(59))
    }

    /// `.25` or `,25`, in nanoseconds; 0 when there is none.
    fn fraction(&mut self) -> Option<i64> {
        let Some((b'.' | b',', rest)) = self.rest.split_first() else {
            return Some(0);
        };
        let end = rest
            .iter()
            .position(|byte| !byte.is_ascii_digit())
            .unwrap_or(rest.len());
        let (digits, rest) = rest.split_at(end);
        self.rest = rest;
        billionths(digits)
    }

    /// `Z`, `UTC`, an offset, an offset and then `UTC` (as Go prints it), or nothing: `absent`.
    fn zone(&mut self, absent: Zone) -> Option<Zone> {
        let has_space = self.skip(b" ").is_some();
        let zone = match self.rest {
            [] if !has_space => return Some(absent),
            b"Z" | b"z" | b"UTC" | b"GMT" => {
                self.rest = &[];
                return Some(Zone::UTC);
            }
            _ => self.offset()?,
        };
        if self.rest == b" UTC" && zone == Zone::UTC {
            self.rest = &[];
        }
        Some(zone)
    }

    /// `+0100`, `+01:00` or `+01`.
    fn offset(&mut self) -> Option<Zone> {
        let is_west = match self.rest.split_first()? {
            (b'+', rest) => {
                self.rest = rest;
                false
            }
            (b'-', rest) => {
                self.rest = rest;
                true
            }
            _ => return None,
        };
        let hours = self.digits(2)?;
        let has_colon = self.skip(b":").is_some();
        let minutes = if has_colon || self.rest.first().is_some_and(u8::is_ascii_digit) {
            self.digits(2)?
        } else {
            0
        };
        let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
        let zone = Zone::east(if is_west { -seconds } else { seconds })?;
        (minutes < 60).then_some(zone)
    }
}

#[cfg(test)]
mod tests;
