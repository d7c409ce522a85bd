//! The one place of this crate that asks for the time or waits for it to pass.

#![expect(clippy::disallowed_methods, reason = "this is the place")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall clock, microseconds since the epoch.
pub fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}

/// A clock that never goes back.
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Lets `span` pass.
pub fn pass(span: Duration) {
    std::thread::sleep(span);
}

/// Looks every few milliseconds until `done` says so; whether it did within `most`.
pub fn until(most: Duration, mut done: impl FnMut() -> bool) -> bool {
    let began = monotonic();
    loop {
        if done() {
            return true;
        }
        if began.elapsed() >= most {
            return false;
        }
        pass(Duration::from_millis(2));
    }
}
