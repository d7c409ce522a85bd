//! `lapwing drill`: a made-up alert down the real way of the running agent.

use std::process::ExitCode;

use super::FOUND;
use super::asking::ask;
use super::terminal::{Terminal, print};
use crate::cli;
use crate::error::AgentError;
use crate::operate::client::AskError;
use crate::operate::drill::Told;
use crate::operate::protocol::Request;
use crate::outputs::safe::visible;

/// Exit code 1 when an output did not take it.
pub(super) fn run(args: &cli::Drill, terminal: Terminal) -> Result<ExitCode, AgentError> {
    let request = Request::Drill {
        rule: args.rule.clone(),
    };
    let mut is_fine = true;
    for row in ask(&args.agent, &request)? {
        if args.json {
            is_fine &= row["outcome"] == "delivered";
            print(&format!("{row}\n"))?;
            continue;
        }
        let told: Told = serde_json::from_value(row)
            .map_err(|error| AgentError::Agent(AskError::Broken(error.into())))?;
        let is_delivered = told.outcome == "delivered";
        is_fine &= is_delivered;
        let style = if is_delivered { "32" } else { "31" };
        let why = told
            .last_error
            .map_or_else(String::new, |error| format!("  {}", visible(&error)));
        let line = format!(
            "{}  {} ({}){why}\n",
            terminal.out.paint(style, &told.outcome),
            visible(&told.output),
            told.kind
        );
        print(&line)?;
    }
    Ok(if is_fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FOUND)
    })
}
