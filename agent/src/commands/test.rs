//! `lapwing test`: the rules' own tests and those of test files, through the very scanner and engine
//! that run live. How a test went is put into words by `shown` and `junit`.

mod junit;
mod shown;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use lapwing_rules::fields::Format;
use lapwing_rules::language::quantity::duration_text;
use lapwing_rules::language::rule::{Rule, RuleTest};
use lapwing_rules::trial::{self, Outcome};

use super::terminal::{Terminal, print, say};
use super::{FOUND, problems};
use crate::cli::{self, Check, DEFAULT_CONFIG};
use crate::clock;
use crate::config::{self, Config, Findings};
use crate::error::AgentError;

/// A test that has run.
struct Ran<'a> {
    rule: &'a Rule,
    test: &'a RuleTest,
    outcome: Outcome,
    took: Duration,
}

impl Ran<'_> {
    fn passed(&self) -> bool {
        self.outcome.mismatches.is_empty()
    }
}

/// Exit code 0 when all pass, 1 when some fail, 78 when the rules have errors.
pub(super) fn run(args: &cli::Test, terminal: Terminal) -> Result<ExitCode, AgentError> {
    let (formats, findings) = load(&args.which)?;
    if findings.has_errors() {
        problems::print(&findings, terminal);
        return Err(AgentError::Configuration(
            "rules with errors cannot be tested".to_owned(),
        ));
    }
    let began = clock::monotonic();
    // Of the files that a test file names only the rules are wanted.
    let asked_for = findings.asked_for.clone();
    let rules = findings.into_rule_set();
    let (mut passed, mut failed) = (0u64, 0u64);
    let mut untested = Vec::new();
    let mut report = args.junit.as_ref().map(|_| junit::Report::default());
    for (id, rule) in rules.iter() {
        let tests = rule.tests.iter();
        for test in tests.filter(|test| asked_for.contains(&test.place.file)) {
            let before = clock::monotonic();
            let outcome = trial::run(&rules, id, test, format_of(rule, &formats));
            let ran = Ran {
                rule,
                test,
                outcome,
                took: before.elapsed(),
            };
            let count = if ran.passed() {
                &mut passed
            } else {
                &mut failed
            };
            *count += 1;
            if args.which.json {
                print(&format!("{}\n", shown::json(&ran)))?;
            } else if !ran.passed() {
                print(&shown::failure(&ran))?;
            }
            if let Some(report) = &mut report {
                report.add(&ran);
            }
        }
        if rule.tests.is_empty() && asked_for.contains(&rule.place.file) {
            untested.push(rule.name.as_str());
        }
    }
    if let (Some(path), Some(report)) = (&args.junit, report) {
        std::fs::write(path, report.finish())
            .map_err(AgentError::io(format!("cannot write {}", path.display())))?;
    }
    if !args.which.json {
        summary(&untested, passed, failed, began.elapsed());
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FOUND)
    })
}

type Formats = HashMap<Arc<str>, Option<Arc<Format>>>;

fn load(args: &Check) -> Result<(Formats, Findings), AgentError> {
    if !args.rules.is_empty() {
        return Ok((Formats::new(), config::load_rules(&args.rules)?));
    }
    let path = args
        .config
        .clone()
        .unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG));
    let (config, findings) = config::load(&path, &|name| std::env::var(name).ok())?;
    let inputs = config.into_iter().flat_map(|Config { inputs, .. }| inputs);
    Ok((
        inputs.map(|input| (input.name, input.format)).collect(),
        findings,
    ))
}

/// The format of the one input that the rule names, where it names one.
fn format_of(rule: &Rule, formats: &Formats) -> Option<Arc<Format>> {
    let [input] = rule.inputs.as_slice() else {
        return None;
    };
    formats.get(input.as_str()).cloned().flatten()
}

fn summary(untested: &[&str], passed: u64, failed: u64, took: Duration) {
    if !untested.is_empty() {
        say(&format!("without a test: {}\n", untested.join(", ")));
    }
    say(&format!(
        "{passed} passed, {failed} failed in {}\n",
        duration_text(took)
    ));
}
