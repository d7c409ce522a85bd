//! One file a subcommand, and the little that they share. A command prints data on standard
//! output and messages on standard error, and gives its exit code.

mod ack;
mod alerts;
mod asking;
mod backtest;
mod check;
mod completion;
mod demo;
mod doctor;
mod drill;
mod explain;
mod find;
mod history;
mod logs;
mod man;
mod notify;
mod problems;
mod run;
mod schema;
mod setup;
mod silence;
mod status;
mod suggest;
mod tap;
mod terminal;
mod test;
mod top;
mod watch;

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use lapwing_rules::language::packs;
use lapwing_rules::language::rule::RuleSet;

use crate::cli::{self, Cli, Command, DEFAULT_CONFIG, Rules};
use crate::config::{self, Config};
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
        Command::Suggest(args) => suggest::run(&args, terminal),
        Command::Status(args) => status::run(&args, terminal),
        Command::Alerts(args) => alerts::run(&args, terminal),
        Command::History(args) => history::run(&args, terminal),
        Command::Ack(args) => ack::run(&args, terminal),
        Command::Silence(args) => silence::run(&args, terminal),
        Command::Drill(args) => drill::run(&args, terminal),
        Command::Notify(args) => notify::run(&args, terminal),
        Command::Doctor(args) => doctor::run(&args, terminal),
        Command::Tap(args) => tap::run(&args, terminal),
        Command::Top(args) => top::run(&args),
        Command::Setup(args) => setup::run(&args),
        Command::Completion(args) => completion::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Schema(args) => schema::run(&args),
    }
}

/// What to try instead, for whoever has just met this error.
pub fn hint(error: &AgentError) -> Option<&'static str> {
    match error {
        AgentError::Unreadable(unreadable)
            if unreadable.path == Path::new(DEFAULT_CONFIG)
                && unreadable.source.kind() == io::ErrorKind::NotFound =>
        {
            Some(
                "-c names another configuration; without any, `lapwing demo` shows what it does, \
                 and `lapwing watch FILE` watches a log",
            )
        }
        _ => None,
    }
}

/// Something was found, or failed.
const FOUND: u8 = 1;

/// The configuration that `-c` names, and the rules that `--rules` names, or else its own; without
/// either, all embedded packs. What is wrong goes to standard error; with an error there are none.
fn configured(
    logs: &cli::Logs,
    rules: &Rules,
    terminal: Terminal,
) -> Result<(Option<Config>, Arc<RuleSet>), AgentError> {
    let Some(path) = &logs.config else {
        return Ok((None, rules_of(rules, terminal)?));
    };
    let (config, findings) = config::load(path, &|name| std::env::var(name).ok())?;
    let has_own = rules.rule_files.is_empty();
    if config.is_none() || has_own {
        problems::print(&findings, terminal);
    }
    if config.is_none() || has_own && findings.has_errors() {
        return Err(AgentError::Configuration(format!(
            "{} cannot be used",
            path.display()
        )));
    }
    let rules = if has_own {
        findings.into_rule_set()
    } else {
        rules_of(rules, terminal)?
    };
    Ok((config, rules))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_configuration_yet_hears_what_works_without() {
        let unreadable = |path: &str, kind: io::ErrorKind| {
            AgentError::Unreadable(config::Unreadable {
                path: path.into(),
                source: kind.into(),
            })
        };
        let first = hint(&unreadable(DEFAULT_CONFIG, io::ErrorKind::NotFound));
        assert!(first.unwrap().contains("lapwing demo"));
        assert_eq!(
            hint(&unreadable("mine.yaml", io::ErrorKind::NotFound)),
            None
        );
        let kind = io::ErrorKind::PermissionDenied;
        assert_eq!(hint(&unreadable(DEFAULT_CONFIG, kind)), None);
    }
}
