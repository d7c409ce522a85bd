//! The one place that starts threads, and knows how many can run at once.
//!
//! Every thread has a name. Who waits for it, and what its end means, is its starter's business:
//! `app` for those that the agent lives by, `commands` for those that read and scan old logs.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Builder, Scope, ScopedJoinHandle, available_parallelism};
use std::time::Duration;

pub use std::thread::{JoinHandle, panicking, scope};

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

/// The same, for a thread that borrows from its starter.
///
/// # Errors
///
/// When the system has no room for another one.
pub fn start_in<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    body: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, body)
}

/// Does all tasks, on so many threads at the most, this one among them, and waits for them. Where the
/// system has no room for another thread, those that are there do its part.
pub fn all(tasks: Vec<Box<dyn FnOnce() + Send + '_>>, most: usize) {
    let size = most.min(tasks.len());
    let tasks = Mutex::new(tasks.into_iter());
    let next = || {
        let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.next()
    };
    let work = || {
        while let Some(task) = next() {
            task();
        }
    };
    scope(|scope| {
        for _ in 1..size {
            start_in(scope, "plan", work).ok();
        }
        work();
    });
}

/// Stops this thread for a while. Only for what nothing can give notice of.
pub fn pause(span: Duration) {
    thread::sleep(span);
}

/// How many threads can run at the same time: the cores that this process may use, as far as the
/// system says; at least one.
pub fn cores() -> usize {
    available_parallelism().map_or(1, std::num::NonZero::get)
}
