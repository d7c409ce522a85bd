//! One file a subcommand, and the little that they share. A command prints data on standard
//! output and messages on standard error, and gives its exit code.

mod asking;
mod backtest;
mod check;
mod completion;
mod demo;
mod doctor;
mod explain;
mod find;
mod logs;
mod problems;
mod run;
mod status;
mod terminal;
mod test;
mod watch;

use std::process::ExitCode;
use std::sync::Arc;

use lapwing_rules::language::packs;
use lapwing_rules::language::rule::RuleSet;

use crate::cli::{Cli, Command, Rules};
use crate::config;
use crate::error::AgentError;
use terminal::Terminal;

/// Does what was asked for.
///
/// # Errors
///
/// Whatever kept it from being done; nothing has been printed about it yet.
pub fn dispatch(cli: Cli) -> Result<ExitCode, AgentError> {
    let terminal = Terminal::new(cli.color);
    match cli.command {
        Command::Run(args) => run::run(&args, terminal),
        Command::Watch(args) => watch::run(&args, terminal),
        Command::Demo(args) => demo::run(&args, terminal),
        Command::Check(args) => check::run(&args, terminal),
        Command::Test(args) => test::run(&args, terminal),
        Command::Backtest(args) => backtest::run(&args, terminal),
        Command::Match(args) => find::run(&args, terminal),
        Command::Explain(args) => explain::run(&args, terminal),
        Command::Status(args) => status::run(&args, terminal),
        Command::Doctor(args) => doctor::run(&args, terminal),
        Command::Completion(args) => completion::run(&args),
    }
}

/// Something was found, or failed.
const FOUND: u8 = 1;

/// The rules that `--rules` names, or all embedded packs. What is wrong with them goes to standard
/// error; with an error there are none.
fn rules_of(args: &Rules, terminal: Terminal) -> Result<Arc<RuleSet>, AgentError> {
    let packs = || {
        packs::names()
            .map(|name| format!("{}{name}", packs::PREFIX))
            .collect()
    };
    let patterns = if args.rule_files.is_empty() {
        packs()
    } else {
        args.rule_files.clone()
    };
    let findings = config::load_rules(&patterns)?;
    problems::print(&findings, terminal);
    if findings.has_errors() {
        return Err(AgentError::Configuration(
            "these rules cannot be used".to_owned(),
        ));
    }
    Ok(findings.into_rule_set())
}
