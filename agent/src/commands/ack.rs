//! `lapwing ack`: somebody is at an alert; whoever is told of it from now on sees that.

use std::process::ExitCode;

use lapwing_rules::model::Notification;

use super::asking::{ask, on_behalf_of, read};
use super::terminal::{Terminal, print};
use crate::cli::Ack;
use crate::error::AgentError;
use crate::operate::protocol::Request;
use crate::outputs::safe;

/// Exit code 1 when no such alert is firing.
pub(super) fn run(args: &Ack, _terminal: Terminal) -> Result<ExitCode, AgentError> {
    let request = Request::Ack {
        id: args.id.clone(),
        note: args.note.text.clone(),
        on_behalf_of: on_behalf_of(),
    };
    for row in ask(&args.agent, &request)? {
        if args.json {
            print(&format!("{row}\n"))?;
            continue;
        }
        let alert: Notification = read(row)?;
        let by = alert.acked.as_ref().map_or("", |ack| ack.by.as_str());
        let (summary, by) = (safe::short(&alert.summary, 160), safe::visible(by));
        print(&format!("{by} is at {}: {summary}\n", alert.id))?;
    }
    Ok(ExitCode::SUCCESS)
}
