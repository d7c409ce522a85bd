//! `lapwing alerts`: what is firing now.

use std::process::ExitCode;

use lapwing_rules::model::Notification;
use serde::Deserialize;
use serde_json::Value;

use super::asking::{ask, read};
use super::terminal::{Terminal, counted, print};
use crate::cli::Alerts;
use crate::error::AgentError;
use crate::operate::protocol::Request;
use crate::outputs::console::{DIM, Palette, render};

/// A running alert, as far as a person wants it beside the notification.
#[derive(Deserialize)]
struct Row {
    #[serde(flatten)]
    notification: Notification,
    muted: Option<String>,
}

/// Exit code 0 whether or not something is firing.
pub(super) fn run(args: &Alerts, terminal: Terminal) -> Result<ExitCode, AgentError> {
    let rows = ask(&args.agent, &Request::Alerts {})?;
    if !args.json && rows.is_empty() {
        print("nothing is firing\n")?;
    }
    for row in &rows {
        let text = if args.json {
            format!("{row}\n")
        } else {
            draw(row, terminal.out)?
        };
        print(&text)?;
    }
    if !args.json && rows.len() > 1 {
        print(&format!("{}\n", counted(rows.len() as u64, "alert")))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn draw(row: &Value, palette: Palette) -> Result<String, AgentError> {
    let Row {
        notification,
        muted,
    } = read(row.clone())?;
    let mut text = render(&notification, palette);
    let muted = muted.map_or_else(String::new, |why| format!("  {why}: nothing is sent now"));
    let id = format!("  id        {}{muted}", notification.id);
    text.push_str(&palette.paint(DIM, &id));
    text.push_str("\n\n");
    Ok(text)
}
