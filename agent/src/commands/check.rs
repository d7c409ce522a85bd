//! `lapwing check`: all that is wrong, with its place.

use std::path::PathBuf;
use std::process::ExitCode;

use super::problems;
use super::terminal::{Terminal, counted, say};
use crate::cli::{Check, DEFAULT_CONFIG};
use crate::config::{self, Findings};
use crate::error::AgentError;

/// Exit code 0 when there is no error, else 78. Warnings alone are fine.
pub(super) fn run(args: &Check, terminal: Terminal) -> Result<ExitCode, AgentError> {
    let findings = find(args)?;
    if args.json {
        problems::print_json(&findings)?;
    } else {
        problems::print(&findings, terminal);
    }
    let errors = findings.has_errors();
    if !args.json {
        let count = findings.problems.len() as u64;
        let problems = counted(count, "problem");
        let rules = counted(findings.rules.len() as u64, "rule");
        let verdict = match (errors, count) {
            (true, _) => format!("{problems}\n"),
            (false, 0) => format!("{rules}, nothing wrong\n"),
            (false, _) => format!("{rules}, no error, {}\n", counted(count, "warning")),
        };
        say(&verdict);
    }
    if errors {
        Err(AgentError::Configuration(String::new()))
    } else {
        Ok(ExitCode::SUCCESS)
    }
}

/// What came of reading the files that the arguments name.
pub(super) fn find(args: &Check) -> Result<Findings, AgentError> {
    if !args.rules.is_empty() {
        return Ok(config::load_rules(&args.rules)?);
    }
    let path = args
        .config
        .clone()
        .unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG));
    let (_, findings) = config::load(&path, &|name| std::env::var(name).ok())?;
    Ok(findings)
}
