//! The agent's own log: to standard error, for people and journald.

use std::io;

use tracing::level_filters::LevelFilter;

/// Starts logging. Under journald, which stamps lines itself, without times.
pub fn start(level: LevelFilter) {
    let lines = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(false)
        .with_max_level(level);
    // A second start (two agents in one process, in tests) keeps the first.
    let outcome = if std::env::var_os("JOURNAL_STREAM").is_some() {
        lines.without_time().try_init()
    } else {
        lines.try_init()
    };
    outcome.ok();
}
