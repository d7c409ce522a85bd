//! `lapwing tap`: hits of rules, or lines, as the running agent meets them.

use std::process::ExitCode;

use lapwing_rules::model::Mode;
use serde::Deserialize;
use serde_json::Value;

use super::asking::{listen, read};
use super::terminal::{Terminal, print, say};
use crate::cli::Tap;
use crate::error::AgentError;
use crate::operate::client::Flow;
use crate::operate::protocol::{Request, Skipped};
use crate::outputs::console::{DIM, Palette};
use crate::outputs::safe::visible;
use crate::pump::tap::{TapQuery, TapWhat, Tapped};

#[derive(Deserialize)]
#[serde(untagged)]
enum Row {
    Tapped(Tapped),
    Skipped(Skipped),
}

/// Until as many were shown as were asked for, the agent ends, or somebody ends it.
pub(super) fn run(args: &Tap, terminal: Terminal) -> Result<ExitCode, AgentError> {
    let query = TapQuery {
        what: if args.lines {
            TapWhat::Lines
        } else {
            TapWhat::Hits
        },
        rule: args.rule.clone(),
        input: args.input.clone(),
        contains: args.contains.clone(),
        rate: args.rate,
    };
    let mut left = args.number.unwrap_or(u64::MAX);
    let mut outcome = Ok(());
    listen(&args.agent, &Request::Tap(query), &mut |row| {
        outcome = show(row, args, terminal, &mut left);
        if outcome.is_ok() && left > 0 {
            Flow::Continue(())
        } else {
            Flow::Break(())
        }
    })?;
    outcome.map(|()| ExitCode::SUCCESS)
}

fn show(row: Value, args: &Tap, terminal: Terminal, left: &mut u64) -> Result<(), AgentError> {
    let text = row.to_string();
    let row = read(row)?;
    *left -= u64::from(matches!(row, Row::Tapped(_)));
    match row {
        _ if args.json => print(&format!("{text}\n")),
        Row::Tapped(tapped) => print(&draw(&tapped, terminal.out)),
        Row::Skipped(Skipped { skipped }) => {
            say(&format!(
                "{skipped} more came and are not shown; `--rate` shows more of them\n"
            ));
            Ok(())
        }
    }
}

fn draw(tapped: &Tapped, palette: Palette) -> String {
    let at = tapped.at;
    let head = match &tapped.hit {
        Some(hit) => {
            let group = hit.group.iter();
            let group =
                group.map(|(field, value)| format!(" {}={}", visible(field), visible(value)));
            let mode = match hit.mode {
                Mode::Shadow => " (shadow)",
                Mode::Live | Mode::Off => "",
            };
            format!(
                "{at} {}{}{mode}",
                visible(&hit.rule),
                group.collect::<String>()
            )
        }
        None => format!("{at} {}", visible(&tapped.source)),
    };
    format!("{}  {}\n", palette.paint(DIM, &head), visible(&tapped.line))
}
