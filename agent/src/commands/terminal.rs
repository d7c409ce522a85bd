//! What the two output streams can show.

use std::io::{self, IsTerminal, Write};

use crate::cli::Colour;
use crate::error::AgentError;
use crate::outputs::console::Palette;

/// Colours and widths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terminal {
    /// For standard output.
    pub(super) out: Palette,
    /// For standard error.
    pub(super) err: Palette,
    /// Whether a person looks at standard error while it is written.
    pub(super) shows_progress: bool,
}

impl Terminal {
    /// By `--color`, `NO_COLOR` and what the streams are.
    pub(super) fn new(colour: Colour) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let able = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let palette = |is_terminal: bool| match colour {
            Colour::Always => Palette::Colour,
            Colour::Auto if is_terminal && wanted && able => Palette::Colour,
            Colour::Auto | Colour::Never => Palette::Plain,
        };
        Self {
            out: palette(io::stdout().is_terminal()),
            err: palette(io::stderr().is_terminal()),
            shows_progress: io::stderr().is_terminal(),
        }
    }
}

/// `1 alert`, `2 alerts`.
pub(super) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Writes to standard output.
///
/// # Errors
///
/// When it is closed or full.
pub(super) fn print(text: &str) -> Result<(), AgentError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(AgentError::io("cannot write to standard output"))
}

/// Writes to standard error; when that is closed, nobody wants to know.
pub(super) fn say(text: &str) {
    io::stderr().lock().write_all(text.as_bytes()).ok();
}
