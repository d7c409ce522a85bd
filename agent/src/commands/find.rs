//! `lapwing match`: the lines that a rule accepts, as grep would print them.

use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use lapwing_rules::fields::Format;
use lapwing_rules::language::reader::meant;
use lapwing_rules::language::rule::RuleSet;
use lapwing_rules::matcher::{FieldUse, Matcher, Scratch, Setup};
use lapwing_rules::model::{Parts, RuleId};
use lapwing_rules::scanner::{Detector, parts};

use super::logs::{Log, Ways};
use super::terminal::{Terminal, say};
use super::{FOUND, configured};
use crate::cli::Match;
use crate::error::AgentError;
use crate::outputs::safe;
use crate::threads;

/// Exit code 0 when a line was found, 1 when none was, 74 when a file could not be read.
pub(super) fn run(args: &Match, terminal: Terminal) -> Result<ExitCode, AgentError> {
    let (config, rules) = configured(&args.logs, &args.rules, terminal)?;
    let Some((id, _)) = rules.by_name(&args.rule) else {
        let names = rules.iter().map(|(_, rule)| rule.name.as_str());
        let help = meant(&args.rule, names)
            .map(|help| format!(": {help}"))
            .unwrap_or_default();
        return Err(AgentError::Usage(format!(
            "there is no rule `{}`{help}",
            args.rule
        )));
    };
    let ways = Ways::new(&args.logs, config, "match")?;
    let mut printer = Printer::new(args.files.len() > 1);
    let mut failed = None;
    for path in &args.files {
        let way = ways.of(path)?;
        let searched = Log::open(path, &way, &Arc::new(AtomicU64::new(0))).and_then(|log| {
            search(
                log,
                (&rules, id),
                ways.format(&way),
                &path.to_string_lossy(),
                &mut printer,
            )
        });
        match searched {
            Ok(()) => {}
            Err(error) if error.is_broken_pipe() => return Err(error),
            Err(error) => {
                say(&format!("lapwing: {error}\n"));
                failed = Some(error);
            }
        }
    }
    printer
        .out
        .flush()
        .map_err(AgentError::io("cannot write to standard output"))?;
    match failed {
        Some(error) => Ok(error.exit_code()),
        None if printer.found => Ok(ExitCode::SUCCESS),
        None => Ok(ExitCode::from(FOUND)),
    }
}

fn search(
    mut log: Log,
    (rules, id): (&RuleSet, RuleId),
    given: Option<&Arc<Format>>,
    name: &str,
    printer: &mut Printer,
) -> Result<(), AgentError> {
    let mut detector = Detector::new(given.map(Arc::clone));
    if threads::cores() > 1 {
        log.read_ahead()?;
    }
    let mut scratch = Scratch::default();
    // What is searched for depends on how the lines are written.
    let mut planned: Option<(&'static str, Matcher)> = None;
    while let Some(batch) = log.next_batch()? {
        let format = detector.format_of(batch.text());
        let matcher = match &mut planned {
            Some((of, matcher)) if *of == format.name() => matcher,
            other => {
                let setup = Setup {
                    format: Some(&format),
                    sample: &batch.bytes,
                    ..Setup::default()
                };
                let wanted = parts::wanted(rules, &[id], &|_| FieldUse::Unwanted);
                let matcher = Matcher::with(wanted, &setup);
                &mut other.insert((format.name(), matcher)).1
            }
        };
        let mut outcome = Ok(());
        let mut print = |line: &Range<usize>, met: Parts| {
            if outcome.is_ok() && rules.get(id).accepts(met) {
                outcome = printer.line(name, batch.bytes.get(line.clone()).unwrap_or_default());
            }
        };
        // A line that meets several parts of the rule is found by each of them.
        let mut last: Option<(Range<usize>, Parts)> = None;
        matcher.scan_records(batch.text(), &format, &mut scratch, &mut |found| {
            let part = parts::split(found.rule).1;
            match &mut last {
                Some((line, met)) if line.start == found.line.start => *met = met.and(part),
                _ => {
                    if let Some((line, met)) = last.replace((found.line, Parts::of(part))) {
                        print(&line, met);
                    }
                }
            }
        });
        if let Some((line, met)) = last {
            print(&line, met);
        }
        outcome.map_err(AgentError::io("cannot write to standard output"))?;
        log.recycle(batch);
    }
    Ok(())
}

/// Standard output: the bytes as they are into a pipe or a file, made harmless on a terminal.
struct Printer {
    out: BufWriter<io::StdoutLock<'static>>,
    to_terminal: bool,
    with_names: bool,
    found: bool,
}

impl Printer {
    fn new(with_names: bool) -> Self {
        let out = BufWriter::new(io::stdout().lock());
        Self {
            out,
            to_terminal: io::stdout().is_terminal(),
            with_names,
            found: false,
        }
    }

    fn line(&mut self, name: &str, line: &[u8]) -> io::Result<()> {
        self.found = true;
        if self.with_names {
            write!(self.out, "{}:", safe::visible(name))?;
        }
        if self.to_terminal {
            writeln!(
                self.out,
                "{}",
                safe::visible(&String::from_utf8_lossy(line))
            )
        } else {
            self.out.write_all(line)?;
            self.out.write_all(b"\n")
        }
    }
}
