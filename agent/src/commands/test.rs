//! `lapwing test`: the rules' own tests, and for each that fails what was expected, what came out
//! and which lines counted.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use lapwing_rules::fields::Format;
use lapwing_rules::language::quantity::duration_text;
use lapwing_rules::language::rule::{Rule, RuleSet, RuleTest};
use lapwing_rules::trial::{self, Outcome};
use serde_json::json;

use super::terminal::{Terminal, print, say};
use super::{FOUND, problems};
use crate::cli::{Check, DEFAULT_CONFIG};
use crate::clock;
use crate::config::{self, Config, Findings};
use crate::error::AgentError;
use crate::outputs::safe;

/// Exit code 0 when all pass, 1 when some fail, 78 when the rules have errors.
pub(super) fn run(args: &Check, terminal: Terminal) -> Result<ExitCode, AgentError> {
    let (formats, findings) = load(args)?;
    if findings.has_errors() {
        problems::print(&findings, terminal);
        return Err(AgentError::Configuration(
            "rules with errors cannot be tested".to_owned(),
        ));
    }
    let began = clock::monotonic();
    let rules = findings.into_rule_set();
    let (mut passed, mut failed) = (0u64, 0u64);
    for (id, rule) in rules.iter() {
        for test in &rule.tests {
            let outcome = trial::run(&rules, id, test, format_of(rule, &formats));
            if outcome.mismatches.is_empty() {
                passed += 1;
            } else {
                failed += 1;
            }
            report(rule, test, &outcome, args.json)?;
        }
    }
    if !args.json {
        summary(&rules, passed, failed, began.elapsed());
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

fn report(rule: &Rule, test: &RuleTest, outcome: &Outcome, json: bool) -> Result<(), AgentError> {
    if json {
        let mismatches: Vec<_> = outcome.mismatches.iter().map(|mismatch| {
            let at = test.expect.get(mismatch.expectation).map(|expect| duration_text(expect.at));
            json!({"at": at, "what": mismatch.what, "expected": mismatch.expected, "got": mismatch.got})
        }).collect();
        let object = json!({
            "rule": rule.name, "test": test.name, "passed": mismatches.is_empty(),
            "file": &*test.place.file, "line": test.place.line, "mismatches": mismatches,
        });
        return print(&format!("{object}\n"));
    }
    if outcome.mismatches.is_empty() {
        Ok(())
    } else {
        print(&failure(rule, test, outcome))
    }
}

fn failure(rule: &Rule, test: &RuleTest, outcome: &Outcome) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    writeln!(text, "FAIL {} / {}", rule.name, safe::visible(&test.name)).ok();
    for mismatch in &outcome.mismatches {
        let Some(expect) = test.expect.get(mismatch.expectation) else {
            continue;
        };
        let place = format!(
            "{}:{}:{}",
            expect.place.file, expect.place.line, expect.place.column
        );
        writeln!(text, "  at {} ({place})", duration_text(expect.at)).ok();
        writeln!(
            text,
            "    {:10} expected {}",
            mismatch.what,
            safe::visible(&mismatch.expected)
        )
        .ok();
        writeln!(
            text,
            "    {:10} got      {}",
            "",
            safe::visible(&mismatch.got)
        )
        .ok();
    }
    writeln!(
        text,
        "  {} of {} lines counted{}",
        outcome.hits,
        outcome.lines,
        if outcome.hits == 0 { "" } else { ":" }
    )
    .ok();
    if outcome.hits > outcome.counted.len() as u64 {
        writeln!(
            text,
            "    … {} before these",
            outcome.hits - outcome.counted.len() as u64
        )
        .ok();
    }
    for (ms, line) in &outcome.counted {
        writeln!(
            text,
            "    {:>8}  {}",
            duration_text(Duration::from_millis(*ms)),
            safe::short(line, 120)
        )
        .ok();
    }
    text
}

fn summary(rules: &RuleSet, passed: u64, failed: u64, took: Duration) {
    let untested: Vec<&str> = rules
        .iter()
        .filter(|(_, rule)| rule.tests.is_empty())
        .map(|(_, rule)| rule.name.as_str())
        .collect();
    if !untested.is_empty() {
        say(&format!("without a test: {}\n", untested.join(", ")));
    }
    say(&format!(
        "{passed} passed, {failed} failed in {}\n",
        duration_text(took)
    ));
}
