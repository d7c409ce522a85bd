//! The one place that asks the system for the time.

#![expect(clippy::disallowed_methods, reason = "this is the place")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use lapwing_rules::fields::Zone;
use lapwing_rules::model::Timestamp;

/// Wall clock, now.
pub fn now() -> Timestamp {
    from_system(SystemTime::now())
}

/// The host's time zone as it was at `at`: what programs here write when they name no zone.
pub fn zone(at: Timestamp) -> Zone {
    let at = jiff::Timestamp::from_second(at.as_secs()).unwrap_or_default();
    Zone::east(TimeZone::system().to_offset(at).seconds()).unwrap_or_default()
}

/// A clock that never goes back, for time-outs and rates.
pub fn monotonic() -> Instant {
    Instant::now()
}

/// A wall clock time as the file system gives it.
pub fn from_system(time: SystemTime) -> Timestamp {
    let nanos = |span: std::time::Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => Timestamp::from_nanos(nanos(after)),
        Err(before) => Timestamp::from_nanos(-nanos(before.duration())),
    }
}
