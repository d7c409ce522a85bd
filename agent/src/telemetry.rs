//! The agent's own log: to standard error, for people and journald. How much it says can be changed
//! while it runs.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::OnceLock;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload::{Handle, Layer};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::outputs::safe::visible;

/// The level, to be changed; there is one log in a process.
static LEVEL: OnceLock<Handle<LevelFilter, Registry>> = OnceLock::new();

/// From the quietest to the loudest. There is no quieter one: errors are always said.
const LEVELS: [LevelFilter; 5] = [
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

/// Starts logging. Under journald, which stamps lines itself, with its priorities and without times.
pub fn start(level: LevelFilter) {
    let (filter, handle) = Layer::new(level);
    let to = if is_journal() {
        To::Journal(
            Format::default()
                .with_target(false)
                .with_ansi(false)
                .without_time(),
        )
    } else {
        To::Stderr(Format::default().with_target(false).with_ansi(false))
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false)
        .event_format(Lines(to));
    // A second start (two agents in one process, in tests) keeps the first.
    if tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .is_ok()
    {
        LEVEL.set(handle).ok();
    }
}

/// Which way the level goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Says more.
    Up,
    /// Says less.
    Down,
}

/// Turns the level one step up or down; gives the new one. `None`: nothing is logged at all.
pub fn turn(turn: Turn) -> Option<LevelFilter> {
    let handle = LEVEL.get()?;
    let old = handle.clone_current()?;
    let new = turned(old, turn);
    handle.reload(new).ok()?;
    Some(new)
}

fn turned(old: LevelFilter, turn: Turn) -> LevelFilter {
    let at = LEVELS.iter().position(|level| *level == old).unwrap_or(2);
    let at = match turn {
        Turn::Up => at + 1,
        Turn::Down => at.saturating_sub(1),
    };
    LEVELS.get(at).copied().unwrap_or(LevelFilter::TRACE)
}

/// Whether standard error is the journal's own stream: `JOURNAL_STREAM` is handed on to programs
/// whose standard error is something else.
fn is_journal() -> bool {
    let stderr = || {
        let metadata = std::fs::metadata("/proc/self/fd/2").ok()?;
        Some(format!("{}:{}", metadata.dev(), metadata.ino()))
    };
    std::env::var("JOURNAL_STREAM").is_ok_and(|stream| stderr().is_some_and(|own| own == stream))
}

enum To {
    Stderr(Format<Full, SystemTime>),
    Journal(Format<Full, ()>),
}

/// One line an event, whatever text from outside stands in it: none of it acts, and none of it can
/// look like a line of its own.
struct Lines(To);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match &self.0 {
            To::Stderr(format) => one_line(format, context, &mut writer, event),
            To::Journal(format) => {
                write!(writer, "<{}>", priority(*event.metadata().level()))?;
                one_line(format, context, &mut writer, event)
            }
        }
    }
}

fn one_line<S, N, T>(
    format: &Format<Full, T>,
    context: &FmtContext<'_, S, N>,
    writer: &mut Writer<'_>,
    event: &Event<'_>,
) -> fmt::Result
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    T: FormatTime,
{
    let mut text = String::new();
    format.format_event(context, Writer::new(&mut text), event)?;
    writeln!(writer, "{}", visible(text.trim_end_matches('\n')))
}

/// Syslog's number, as sd-daemon(3) has it.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_goes_by_steps_and_never_below_errors() {
        let all = |turn| LEVELS.map(|level| turned(level, turn));
        let [error, warn, info, debug, trace] = LEVELS;
        assert_eq!(all(Turn::Up), [warn, info, debug, trace, trace]);
        assert_eq!(all(Turn::Down), [error, error, warn, info, debug]);
    }
}
