//! `lapwing suggest`: reads logs twice, once to learn what they are like and once to see what the
//! proposed rules would have done, and prints those as a rule file.

mod learn;
mod propose;

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use lapwing_rules::fields::Assume;
use lapwing_rules::language::check::{Defaults, Known, SourceFile, check};
use lapwing_rules::language::quantity::duration_text;
use lapwing_rules::language::rule::{Rule, RuleSet};
use lapwing_rules::model::Timestamp;
use lapwing_rules::scanner::Detector;
use lapwing_rules::trial;

use super::FOUND;
use super::backtest::{Bounds, Pass, Progress};
use super::logs::{Log, Ways};
use super::terminal::{Terminal, counted, print, say};
use crate::cli::Suggest;
use crate::clock;
use crate::config;
use crate::error::AgentError;
use crate::outputs::render;
use learn::Learnt;
use propose::{Proposal, propose};

/// Exit code 0 with proposals, 1 without any.
pub(super) fn run(args: &Suggest, terminal: Terminal) -> Result<ExitCode, AgentError> {
    if args.files.iter().any(|path| path == Path::new("-")) {
        let message = "logs are read twice, and standard input can be read once";
        return Err(AgentError::Usage(message.to_owned()));
    }
    let config = match &args.logs.config {
        Some(path) => config::load(path, &|name| std::env::var(name).ok())?.0,
        None => None,
    };
    let ways = Ways::new(&args.logs, config, "suggest")?;
    let progress = Progress::new(&args.files, 2, terminal);
    let mut learnt = Learnt::new();
    for path in &args.files {
        learn(path, &ways, &progress, &mut learnt)?;
    }
    let mut proposals = propose(&learnt);
    proposals.retain(is_proven);
    let all: String = proposals.iter().map(|of| of.text.as_str()).collect();
    let rules = Arc::new(RuleSet::new(read(&all).unwrap_or_default()));
    let pass = Pass {
        files: &args.files,
        ways: &ways,
        bounds: Bounds {
            since: Timestamp::MIN,
            until: None,
        },
        silences: Vec::new(),
        now: clock::now(),
        progress,
    };
    let (totals, tally) = pass.over(&rules, &mut |_| Ok(()))?;
    pass.progress.finish();
    let mut text = head(&learnt, proposals.len());
    let done = totals.rules.iter().zip(&tally.rules);
    for (proposal, (counts, of_rule)) in proposals.iter().zip(done) {
        let did = if counts.alerts == 0 {
            "would not have fired".to_owned()
        } else {
            format!(
                "would have fired: {}, {}, {} at night",
                counted(counts.alerts, "alert"),
                counted(counts.notifications, "message"),
                of_rule.at_night
            )
        };
        let hits = counted(counts.hits, "line");
        let length = duration_text(learnt.length());
        // Writing to a String cannot fail.
        writeln!(text, "  # {did}; {hits} in {length}").ok();
        text.push_str(&proposal.text);
    }
    if proposals.is_empty() {
        say("nothing in these logs asks for a rule\n");
        return Ok(ExitCode::from(FOUND));
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn head(learnt: &Learnt, count: usize) -> String {
    let span = learnt.span.map_or_else(String::new, |(begin, end)| {
        format!(", {} to {}", render::moment(begin), render::moment(end))
    });
    let forgotten = match learnt.forgotten {
        0 => String::new(),
        many => format!("# {many} rare kinds of line were let go of: there were too many kinds.\n"),
    };
    format!(
        "# {} from {}{span}.\n\
         # Each says what it would have done with these logs. Read them, give them a severity and a\n\
         # description, and look through the lines in their tests: they are lines of these logs.\n{forgotten}\
         version: 1\nrules:\n",
        counted(count as u64, "rule"),
        counted(learnt.lines, "line")
    )
}

/// Reads a log and takes note of its lines.
fn learn(
    path: &Path,
    ways: &Ways,
    progress: &Progress,
    learnt: &mut Learnt,
) -> Result<(), AgentError> {
    let way = ways.of(path)?;
    let mut log = Log::open(path, &way, &progress.read)?;
    let mut detector = Detector::new(ways.format(&way).cloned());
    let mut last = None;
    while let Some(batch) = log.next_batch()? {
        let format = detector.format_of(batch.text());
        let assume = Assume {
            near: Some(batch.arrival),
            zone: clock::zone(batch.arrival),
        };
        let mut at = 0;
        while at < batch.bytes.len() {
            let place = batch.text().about(at);
            let record = batch.bytes.get(place).unwrap_or_default();
            let time = format.time_of_record(record, assume).or(last);
            last = time;
            learnt.line(&format, record, time.unwrap_or(batch.arrival));
            at = batch.text().behind(at);
        }
        log.recycle(batch);
        progress.tick();
    }
    Ok(())
}

/// Whether a rule is right and its tests pass: text of a log may be of a kind that nobody thought
/// of.
fn is_proven(proposal: &Proposal) -> bool {
    let Some(rules) = read(&proposal.text) else {
        return false;
    };
    let rules = Arc::new(RuleSet::new(rules));
    rules.iter().all(|(id, rule)| {
        let mut tests = rule.tests.iter();
        tests.all(|test| trial::run(&rules, id, test, None).mismatches.is_empty())
    })
}

/// The rules of a list of them, where nothing is wrong with it.
fn read(items: &str) -> Option<Vec<Rule>> {
    let file = SourceFile {
        name: "suggested".into(),
        text: format!("rules:\n{items}").into(),
    };
    let checked = check(&[file], &Defaults::default(), Known::default());
    checked.problems.is_empty().then_some(checked.rules)
}
