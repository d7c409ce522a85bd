//! `lapwing top`: the running agent on a screen, until `q`. It asks for the status and the alerts once a
//! second, and draws; what a person orders here goes the way of `lapwing ack` and `lapwing silence`.
//!
//! | file | owns |
//! | --- | --- |
//! | `seen` | what was seen of the agent |
//! | `view` | what a person has chosen to see and orders: keys |
//! | `screen` | drawing both |

mod screen;
mod seen;
#[cfg(test)]
mod tests;
mod view;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use super::asking::{ask, read};
use crate::cli;
use crate::clock;
use crate::error::AgentError;
use crate::operate::protocol::Request;
use seen::{Look, Seen};
use view::{Act, View};

/// Between two looks at the agent.
const EVERY: Duration = Duration::from_secs(1);

/// Exit code 0 when a person ends it; 69 when there is no agent to begin with.
pub(super) fn run(args: &cli::Top) -> Result<ExitCode, AgentError> {
    if !io::stdout().is_terminal() {
        let why = "`top` draws on a terminal; `lapwing status` prints";
        return Err(AgentError::Usage(why.to_owned()));
    }
    // An agent that is not there is an error; one that goes away later is shown as gone.
    let first = look(args)?;
    let mut terminal =
        ratatui::try_init().map_err(AgentError::io("cannot draw on this terminal"))?;
    let outcome = watch(args, &mut terminal, first);
    ratatui::restore();
    outcome.map_err(AgentError::io("cannot draw on this terminal"))?;
    Ok(ExitCode::SUCCESS)
}

fn look(args: &cli::Top) -> Result<Look, AgentError> {
    let status = ask(&args.agent, &Request::Status {})?.pop();
    let alerts = ask(&args.agent, &Request::Alerts {})?;
    let alerts: Result<_, _> = alerts.into_iter().map(read).collect();
    Ok((read(status.unwrap_or_default())?, alerts?))
}

fn watch(args: &cli::Top, terminal: &mut DefaultTerminal, first: Look) -> io::Result<()> {
    let mut seen = Seen::new(first, clock::monotonic());
    let mut view = View::default();
    let mut looked_at = clock::monotonic();
    loop {
        terminal.draw(|frame| screen::draw(frame, &seen, &mut view, clock::now()))?;
        let mut is_due = true;
        if event::poll(left(looked_at, clock::monotonic()))? {
            let act = match event::read()? {
                Event::Key(key) if key.kind == KeyEventKind::Press => view.key(key, &seen),
                _ => Act::Nothing,
            };
            match act {
                Act::Nothing => is_due = false,
                Act::End => return Ok(()),
                Act::Refuse(why) => view.said = Some(why),
                Act::Order(request) => view.said = Some(order(args, &request)),
            }
        }
        if is_due {
            looked_at = clock::monotonic();
            match look(args) {
                Ok(look) => seen.take(look, looked_at),
                Err(error) => seen.fail(&error.to_string()),
            }
        }
    }
}

/// Has it done; says what came of it.
fn order(args: &cli::Top, request: &Request) -> String {
    match ask(&args.agent, request) {
        Err(error) => error.to_string(),
        Ok(_) if matches!(request, Request::Ack { .. }) => "acknowledged".to_owned(),
        Ok(_) => {
            "silenced; `lapwing silence list` shows it, `lapwing silence expire` ends it".to_owned()
        }
    }
}

/// Until the next look is due.
fn left(looked_at: Instant, now: Instant) -> Duration {
    EVERY.saturating_sub(now.saturating_duration_since(looked_at))
}
