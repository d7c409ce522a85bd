//! The one place that starts threads, and knows how many can run at once.
//!
//! Every thread has a name. Who waits for it, and what its end means, is its starter's business:
//! `app` for those that the agent lives by, `commands` for those that read and scan old logs.

use std::io;
use std::thread::{Builder, available_parallelism};
use std::time::Duration;

pub use std::thread::JoinHandle;

/// Starts `body` on a thread of this name.
///
/// # Errors
///
/// When the system has no room for another one.
pub fn start<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).spawn(body)
}

/// Stops this thread for a while. Only for what nothing can give notice of.
pub fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// How many threads can run at the same time: the cores that this process may use, as far as the
/// system says; at least one.
pub fn cores() -> usize {
    available_parallelism().map_or(1, std::num::NonZero::get)
}
