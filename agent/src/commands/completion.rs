//! `lapwing completion`: completions for a shell, on standard output.

use std::process::ExitCode;

use clap::CommandFactory as _;

use super::terminal::print;
use crate::cli::{Cli, Completion};
use crate::error::AgentError;

pub(super) fn run(args: &Completion) -> Result<ExitCode, AgentError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "lapwing", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
