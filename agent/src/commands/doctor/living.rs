//! The running agent: what it says of itself, where one runs.

use std::collections::BTreeMap;
use std::path::Path;

use super::listening::{IN_USE, NEEDS_RIGHT};
use super::{Findings, Level};
use crate::config::{CONTROL, Config};
use crate::operate::client::{AskError, ask};
use crate::operate::protocol::Request;
use crate::operate::status::{InputStatus, OutputStatus, ReceivedStatus, Status};
use crate::outputs::render::moment;

/// Losses that are shown, at most, for one input.
const MOST_LOSSES: usize = 20;

/// Whether one runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agent {
    Runs,
    None,
}

pub(super) fn look(config: &Config, found: &mut Findings) -> Agent {
    let socket = config.control.as_deref().unwrap_or(Path::new(CONTROL));
    let status: Status = match ask(socket, &Request::Status {}) {
        Ok(rows) => {
            let row = rows.into_iter().next().unwrap_or_default();
            if let Ok(status) = serde_json::from_value(row) {
                status
            } else {
                let message = "the running agent's answer cannot be read";
                let fix = "is it of another version? restart it";
                found.add(Level::Error, "agent", message, fix);
                return Agent::Runs;
            }
        }
        Err(AskError::NoAgent { .. }) => {
            let fix = "systemctl start lapwing";
            found.add(Level::Warning, "agent", "no agent is running", fix);
            return Agent::None;
        }
        Err(error) => {
            found.add(Level::Error, "agent", error.to_string(), "");
            return Agent::Runs;
        }
    };
    well(&status, found);
    for (name, input) in &status.inputs {
        input_of(&format!("input {name}"), input, found);
    }
    for (name, output) in &status.outputs {
        output_of(&format!("output {name}"), output, found);
    }
    Agent::Runs
}

/// The agent as a whole.
fn well(status: &Status, found: &mut Findings) {
    if status.ready {
        found.ok("agent", format!("{} is running and ready", status.version));
    } else {
        let message = "it is running, but some file has no starting position yet";
        found.add(Level::Warning, "agent", message, "");
    }
    if let Some(since) = status.state.failing_since {
        let why = status.state.error.as_deref().unwrap_or("unknown");
        let message = format!("nothing can be saved since {}: {why}", moment(since));
        let fix = "make room, or mend the disk: alerts are told, but a restart would repeat them";
        found.add(Level::Error, "agent", message, fix);
    }
    if status.state.start != "ok" {
        let message = format!("at its start {}", status.state.start);
        found.add(
            Level::Warning,
            "agent",
            message,
            "look at the logs of that time by hand: `lapwing backtest --since`",
        );
    }
    if status.engine != "ok" {
        found.add(Level::Error, "agent", status.engine.clone(), "");
    }
    canary(status, found);
}

/// Whether it gets the lines that it writes for itself.
fn canary(status: &Status, found: &mut Findings) {
    if status.canary.lost > 0 && status.canary.seconds.is_none() {
        let message = format!(
            "it does not get the lines that it writes for itself: {} were lost",
            status.canary.lost
        );
        let fix = "is the disk slow, the folder `canary` of the state writable? `journalctl -u lapwing` may tell";
        found.add(Level::Error, "agent", message, fix);
    }
}

fn input_of(about: &str, input: &InputStatus, found: &mut Findings) {
    for unreadable in &input.unreadable {
        if unreadable.passed_over {
            found.ok(about, format!("{}: {}", unreadable.path, unreadable.error));
            continue;
        }
        let message = format!(
            "the agent cannot read {}: {}",
            unreadable.path, unreadable.error
        );
        found.add(Level::Error, about, message, "");
    }
    for loss in input.losses.iter().take(MOST_LOSSES) {
        let message = crate::commands::status::loss(loss);
        found.add(Level::Warning, about, message, "");
    }
    if let Some(received) = &input.received {
        for (at, why) in &received.deaf {
            let message = format!("the agent cannot listen at {at}: {why}");
            let fix = format!("{IN_USE}; below 1024: {NEEDS_RIGHT}");
            found.add(Level::Error, about, message, fix);
        }
        let others = ReceivedStatus {
            deaf: BTreeMap::new(),
            ..received.clone()
        };
        for message in crate::commands::status::troubles(&others) {
            let fix = if message.contains("datagram") {
                "sysctl net.core.rmem_max=33554432, or send over TCP or RELP"
            } else {
                ""
            };
            found.add(Level::Warning, about, message, fix);
        }
    }
    if input.skewed > 0 {
        let message = format!("{} lines bore times in the future", input.skewed);
        found.add(
            Level::Warning,
            about,
            message,
            "check that program's clock and time zone",
        );
    }
}

fn output_of(about: &str, output: &OutputStatus, found: &mut Findings) {
    if let Some(error) = &output.last_error {
        let waiting = output.waiting.unwrap_or_default();
        let message = format!("the last try failed: {error}; {waiting} notifications wait");
        found.add(Level::Error, about, message, "");
    }
    for (count, what) in [
        (output.dropped, "were dropped: the queue was full"),
        (output.expired, "grew too old"),
        (output.rejected, "were refused for good"),
    ] {
        if count > 0 {
            let message = format!("{count} notifications {what}");
            found.add(Level::Warning, about, message, "");
        }
    }
}
