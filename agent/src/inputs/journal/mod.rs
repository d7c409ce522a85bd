//! The journal of systemd, as `journalctl` reads it: a child process, restarted when it ends.
//!
//! The position is the cursor of the last entry that was handed over, committed with all else. It
//! stands in the position's `path`, because a journal has no file of its own and the form on disk
//! stays as it is; device and inode are 0. Before each start another child looks: whether the journal
//! can be read, where reading begins, and whether the entry of the cursor is still there.
//!
//! | file | owns |
//! | --- | --- |
//! | `reader` | the place in the journal, and what is read from there |
//! | `child` | the child process |
//! | `cursor` | whether an entry is missing (pure) |
//! | `entry` | an entry as a line (pure) |
//! | `aside` | whether somebody writes the same into a file |
//!
//! While a file of `unless_files` is written to, the journal is not read: it holds the same. The position
//! is then the time up to which the file holds it, and reading goes on from there once an entry has been
//! missing in it for an hour: nothing is passed over, and little is told twice.

mod aside;
mod child;
mod cursor;
mod entry;
mod reader;

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use lapwing_rules::model::InputId;

pub use self::child::Handle;
pub use self::cursor::is_aside;
use self::reader::{Ended, Reader, hand};
use super::tail::{self, StartAt};
use super::{Event, Position};
use crate::clock;

/// Pause before the child is started again: doubled up to the second one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// How often a look is had at the files that are read in the journal's stead.
const ASIDE: Duration = Duration::from_secs(10);
/// Which entries are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Of these units; empty: all.
    pub units: Vec<String>,
    /// A folder with journal files; `None`: the host's own journal.
    pub directory: Option<PathBuf>,
    /// While one of these is written to it is not read: they hold the same.
    pub unless_files: Vec<PathBuf>,
    /// Where reading begins at the very first start.
    pub start_at: StartAt,
}

/// One input of type `journald`.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name.
    pub input: Arc<str>,
    /// Its index, as in batches.
    pub id: InputId,
    /// What it reads.
    pub spec: Spec,
    /// Longer messages are cut.
    pub max_line_bytes: usize,
    /// The saved position, if there is one.
    pub saved: Option<Position>,
    /// Told when the journal cannot be read, and when entries are lost.
    pub counters: Arc<tail::Counters>,
}

/// Reads until [`Handle::stop`], or until nobody holds the other end of the inbox.
pub fn run<T: From<Event>>(config: Config, handle: &Handle, inbox: &SyncSender<T>) {
    let (id, input) = (config.id, Arc::clone(&config.input));
    let mut reader = Reader::new(config);
    let (mut is_ready, mut pause, mut failures) = (false, PAUSES.0, 0);
    while !handle.is_over() {
        let aside = reader.stands_aside(handle, inbox);
        if let Ok(true) = aside {
            if !is_ready && hand(Event::Ready(id), inbox).is_err() {
                break;
            }
            is_ready = true;
            handle.pause(ASIDE);
            continue;
        }
        let before = reader.place().clone();
        let looked = aside.and_then(|_| reader.look(handle, inbox));
        // Where there is nothing to be read nobody is kept waiting for it.
        if !is_ready && hand(Event::Ready(id), inbox).is_err() {
            break;
        }
        is_ready = true;
        let has_looked = looked.is_ok();
        let why = match looked.and_then(|()| reader.follow(handle, inbox)) {
            _ if handle.is_over() => break,
            Err(Ended::Closed) => break,
            Err(Ended::Aside) => continue,
            Err(Ended::Failed(error)) => error.to_string(),
            Ok(why) => why,
        };
        tracing::warn!(%input, "journalctl has to be started again: {why}");
        failures += 1;
        if *reader.place() != before {
            (pause, failures) = (PAUSES.0, 0);
        }
        // A child that somebody killed says nothing of the next one.
        if !has_looked || failures > 1 {
            reader.be_troubled(why);
        }
        handle.pause(pause);
        pause = (pause * 2).min(PAUSES.1);
    }
    handle.end();
}

/// Whether it can be read, and is; in words.
///
/// # Errors
///
/// Why `journalctl` cannot read it.
pub fn look(spec: &Spec) -> io::Result<String> {
    let now = clock::now();
    let written = aside::last_written(&spec.unless_files, now);
    if written.is_some_and(|at| aside::is_fresh(at, now)) {
        let files = aside::names(&spec.unless_files);
        return Ok(format!(
            "not read while {files} is written, which holds the same"
        ));
    }
    let mut command = command(spec);
    command.args(["--lines=1", "--output-fields=PRIORITY"]);
    Handle::default().answer(&mut command)?;
    Ok("the journal can be read".to_owned())
}

/// What reads entries.
fn command(spec: &Spec) -> Command {
    let mut command = Command::new("journalctl");
    command.args(["--output=json", "--quiet"]);
    if let Some(directory) = &spec.directory {
        command.arg("--directory").arg(directory);
    }
    command
}
