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

/// The hour, 0 to 23, that the host's clocks showed at `at`.
pub fn local_hour(at: Timestamp) -> usize {
    let at = jiff::Timestamp::from_second(at.as_secs()).unwrap_or_default();
    usize::try_from(at.to_zoned(TimeZone::system()).hour()).unwrap_or(0)
}

/// What the host's time zone is called: `Europe/Berlin`, `UTC`.
pub fn zone_name() -> String {
    let zone = TimeZone::system();
    let name = zone.iana_name().unwrap_or("local time");
    name.strip_prefix("Etc/").unwrap_or(name).to_owned()
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
