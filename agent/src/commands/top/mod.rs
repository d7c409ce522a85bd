//! `lapwing top`: the running agent on a screen, until `q`. It asks for the status once a second, and
//! draws; the agent is asked nothing that it would not tell `lapwing status`.

mod screen;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::asking::ask;
use crate::cli;
use crate::clock;
use crate::error::AgentError;
use crate::operate::client::AskError;
use crate::operate::protocol::Request;
use crate::operate::status::Status;
use screen::{Seen, View};

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

fn look(args: &cli::Top) -> Result<Status, AgentError> {
    let row = ask(&args.agent, &Request::Status {})?.pop();
    serde_json::from_value(row.unwrap_or_default())
        .map_err(|error| AgentError::Agent(AskError::Broken(error.into())))
}

fn watch(args: &cli::Top, terminal: &mut DefaultTerminal, first: Status) -> io::Result<()> {
    let mut seen = Seen::new(first, clock::monotonic());
    let mut view = View::default();
    let mut looked_at = clock::monotonic();
    loop {
        terminal.draw(|frame| screen::draw(frame, &seen, &mut view, clock::now()))?;
        if event::poll(left(looked_at, clock::monotonic()))? {
            if let Event::Key(key) = event::read()?
                && key.kind == KeyEventKind::Press
                && is_end(key, &mut view)
            {
                return Ok(());
            }
        } else {
            looked_at = clock::monotonic();
            match look(args) {
                Ok(status) => seen.take(status, looked_at),
                Err(error) => seen.fail(&error.to_string()),
            }
        }
    }
}

/// Until the next look is due.
fn left(looked_at: Instant, now: Instant) -> Duration {
    EVERY.saturating_sub(now.saturating_duration_since(looked_at))
}

/// Takes a key; says whether it ends the screen.
fn is_end(key: KeyEvent, view: &mut View) -> bool {
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return true,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return true,
        KeyCode::Down | KeyCode::Char('j') => view.scroll(1),
        KeyCode::Up | KeyCode::Char('k') => view.scroll(-1),
        KeyCode::PageDown | KeyCode::Char(' ') => view.scroll(10),
        KeyCode::PageUp => view.scroll(-10),
        KeyCode::Home | KeyCode::Char('g') => view.top(),
        KeyCode::Char('s') => view.next_order(),
        _ => {}
    }
    false
}
