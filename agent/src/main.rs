//! The binary `lapwing`: reads the command line, does what it says, and gives the exit code.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use lapwing::cli::Cli;
use lapwing::{commands, resident};

fn main() -> ExitCode {
    resident::bound_allocator();
    match commands::dispatch(Cli::parse()) {
        Ok(code) => code,
        // Whoever read our output has seen enough.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            let message = error.to_string();
            if !message.is_empty() {
                // Nobody is left to be told when standard error is closed.
                writeln!(std::io::stderr(), "lapwing: {message}").ok();
                if let Some(hint) = commands::hint(&error) {
                    writeln!(std::io::stderr(), "{hint}").ok();
                }
            }
            error.exit_code()
        }
    }
}
