//! `lapwing history`: what was told, and what became of it at each output.

use std::fmt::Write as _;
use std::process::ExitCode;

use lapwing_rules::model::{Notification, Reason, Status};
use serde::Deserialize;
use serde_json::Value;

use super::asking::{ask, moment, read};
use super::terminal::{Terminal, print};
use crate::cli::History;
use crate::clock;
use crate::error::AgentError;
use crate::operate::protocol::{HistoryQuery, Request};
use crate::outputs::console::{DIM, Palette, style_of};
use crate::outputs::{render, safe};

/// A notification and where it went.
#[derive(Deserialize)]
struct Row {
    #[serde(flatten)]
    notification: Notification,
    deliveries: Vec<Delivery>,
}

#[derive(Deserialize)]
struct Delivery {
    output: String,
    outcome: String,
    attempts: u32,
    last_error: Option<String>,
}

/// Exit code 0 whether or not there is any.
pub(super) fn run(args: &History, terminal: Terminal) -> Result<ExitCode, AgentError> {
    let since = moment(args.since.as_deref(), clock::now())?;
    let query = HistoryQuery {
        shadow: args.shadow,
        undelivered: args.undelivered,
        since,
        limit: args.limit,
    };
    for row in ask(&args.agent, &Request::History(query))? {
        let text = if args.json {
            format!("{row}\n")
        } else {
            draw(row, terminal.out)?
        };
        print(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn draw(row: Value, palette: Palette) -> Result<String, AgentError> {
    let Row {
        notification: n,
        deliveries,
    } = read(row)?;
    let what = match (n.reason, n.status) {
        (Reason::Escalated, _) => "escalated",
        (Reason::Repeat, _) => "repeat",
        (Reason::Digest, _) => "digest",
        (Reason::Drill, _) => "drill",
        (_, Status::Resolved) => "resolved",
        _ => "firing",
    };
    let mut text = format!(
        "{}  {}  {}  {}\n",
        palette.paint(DIM, &render::moment(n.sent_at)),
        palette.paint(style_of(&n), &format!("{what:9}")),
        safe::short(&n.summary, 160),
        palette.paint(DIM, &n.id),
    );
    for delivery in deliveries
        .iter()
        .filter(|delivery| delivery.outcome != "delivered")
    {
        let why = delivery
            .last_error
            .as_deref()
            .map_or_else(String::new, |why| format!(": {}", safe::short(why, 200)));
        // Writing to a String cannot fail.
        writeln!(
            text,
            "    {} {} after {} tries{why}",
            safe::visible(&delivery.output),
            delivery.outcome,
            delivery.attempts
        )
        .ok();
    }
    Ok(text)
}
