//! Whole programs over a cached file, in turns: `lapwing backtest`, ripgrep, and the least program
//! around Hyperscan. Starting, compiling the rules and reading are in their times.
//!
//! What they do differs. `lapwing` counts every rule's lines and keeps its windows; ripgrep and the
//! reader around Hyperscan only say how many lines match, and Hyperscan's compilation, which is long,
//! is taken off its time. So this is what an operator waits for, not a comparison of engines.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::contest::{Outcome, rate};
use crate::engines::BATCH_BYTES;
use crate::engines::hyperscan::Hyperscan;
use crate::machine::timed;

/// A program and how its output is read.
struct Program {
    name: &'static str,
    command: Command,
    said: fn(&str) -> anyhow::Result<Said>,
}

/// What a program said of its run.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    hits: u64,
    /// To be taken off its time.
    preparing: Duration,
}

impl Said {
    fn hits(hits: u64) -> Self {
        Self {
            hits,
            preparing: Duration::ZERO,
        }
    }
}

/// What takes part: the files that it is given, which must stay while it runs.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The built `lapwing`.
    pub lapwing: &'a Path,
    /// This program, which is its own reader around Hyperscan: see [`read_through`].
    pub reader: &'a Path,
    /// Where rule files are written.
    pub folder: &'a Path,
    /// A log of whole lines, which has been read before.
    pub log: &'a Path,
    /// What is looked for.
    pub patterns: &'a [String],
}

/// Runs all programs that this machine has over the log: once to warm up, then in turns for
/// `rounds`. Lapwing's outcome comes first; hits are those of one run.
///
/// # Errors
///
/// When a program fails.
pub fn run(setup: &Setup<'_>, rounds: usize) -> anyhow::Result<Vec<Outcome>> {
    let bytes = usize::try_from(fs::metadata(setup.log)?.len())?;
    let mut programs = programs(setup)?;
    let mut outcomes = Vec::new();
    for program in &mut programs {
        let (_, hits) = program.run()?;
        outcomes.push(Outcome {
            name: program.name.to_owned(),
            bytes,
            hits,
            rates: Vec::new(),
        });
    }
    for _ in 0..rounds {
        for (program, outcome) in programs.iter_mut().zip(&mut outcomes) {
            let (took, hits) = program.run()?;
            ensure!(hits == outcome.hits, "{} counts anew", program.name);
            outcome.rates.push(rate(bytes, took));
        }
    }
    Ok(outcomes)
}

fn programs(setup: &Setup<'_>) -> anyhow::Result<Vec<Program>> {
    let yaml = setup.folder.join("rules.yaml");
    fs::write(&yaml, rule_file(setup.patterns))?;
    let plain = setup.folder.join("rules.txt");
    fs::write(&plain, setup.patterns.join("\n") + "\n")?;

    let mut lapwing = Command::new(setup.lapwing);
    lapwing
        .args(["backtest", "--json", "--rules"])
        .arg(&yaml)
        .arg(setup.log);
    let mut reader = Command::new(setup.reader);
    reader.arg("read").arg(setup.log);
    let mut programs = vec![
        Program {
            name: "lapwing",
            command: lapwing,
            said: |text| Ok(Said::hits(sum_after(text, "\"hits\":")?)),
        },
        Program {
            name: "read only",
            command: reader,
            said: |_| Ok(Said::default()),
        },
    ];
    if Hyperscan::open().is_ok() {
        let mut reader = Command::new(setup.reader);
        reader.arg("read").arg(setup.log).arg("--rules").arg(&plain);
        programs.push(Program {
            name: "hyperscan",
            command: reader,
            said: |text| {
                Ok(Said {
                    hits: sum_after(text, "hits ")?,
                    preparing: Duration::from_nanos(sum_after(text, "preparing ")?),
                })
            },
        });
    }
    if ripgrep_version().is_some() {
        programs.push(ripgrep(setup.log, &plain));
    }
    Ok(programs)
}

fn ripgrep(log: &Path, rules: &Path) -> Program {
    let mut command = Command::new("rg");
    // Its limits are for patterns from strangers.
    command.args(["--regex-size-limit=1G", "--dfa-size-limit=1G"]);
    command
        .args(["--no-config", "-j1", "-c", "-f"])
        .arg(rules)
        .arg(log);
    Program {
        name: "ripgrep",
        command,
        said: |text| {
            // It says nothing where nothing matches.
            let number = text.trim_end();
            let hits = if number.is_empty() {
                0
            } else {
                number.parse()?
            };
            Ok(Said::hits(hits))
        },
    }
}

impl Program {
    /// How long it ran, and its hits.
    fn run(&mut self) -> anyhow::Result<(Duration, u64)> {
        self.command.stdin(Stdio::null()).stderr(Stdio::inherit());
        let (took, output) = timed(|| self.command.output());
        let output = output.with_context(|| self.name)?;
        // ripgrep: 1 is no match.
        let failed = output.status.code().is_none_or(|code| code > 1);
        ensure!(!failed, "{}: {}", self.name, output.status);
        let text = String::from_utf8(output.stdout)?;
        let said = (self.said)(&text).with_context(|| self.name)?;
        Ok((took.saturating_sub(said.preparing), said.hits))
    }
}

/// The sum of the numbers that stand behind `mark` in `text`, of which there is at least one.
fn sum_after(text: &str, mark: &str) -> anyhow::Result<u64> {
    let mut numbers = Vec::new();
    for part in text.split(mark).skip(1) {
        let end = part
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(part.len());
        let (number, _) = part.split_at(end);
        numbers.push(number.parse::<u64>()?);
    }
    ensure!(!numbers.is_empty(), "no `{mark}` in what it said");
    Ok(numbers.iter().sum())
}

/// A rule a pattern, none of which ever fires: what is compared is looking, not telling.
fn rule_file(patterns: &[String]) -> String {
    let mut text = "version: 1\nrules:\n".to_owned();
    for (number, pattern) in patterns.iter().enumerate() {
        let quoted = pattern.replace('\'', "''");
        writeln!(
            text,
            "  - {{name: rule-{number}, type: frequency, num_events: 100000, timeframe: 10s, \
             match: {{regex: ['{quoted}']}}}}"
        )
        .expect("memory takes all");
    }
    text
}

/// As `13.0.0`, where there is one.
pub fn ripgrep_version() -> Option<String> {
    let output = Command::new("rg").arg("--version").output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    said.split_whitespace().nth(1).map(str::to_owned)
}

/// The least program around Hyperscan: reads `log` 256 KiB at a time and asks it about whole lines.
/// Without `patterns` it only reads. Gives the number of matching lines, and how long it took to
/// compile the patterns.
///
/// # Errors
///
/// When the file cannot be read, or there is no Hyperscan.
pub fn read_through(log: &Path, patterns: Option<&[String]>) -> anyhow::Result<(u64, Duration)> {
    let compile = |patterns| Hyperscan::open()?.compile(patterns);
    let (preparing, database) = timed(|| patterns.map(compile).transpose());
    let mut database = database?;
    let mut scan = |lines: &[u8]| {
        let database = database.as_mut();
        database.map_or(0, |database| database.matching_lines(lines))
    };
    let mut file = File::open(log)?;
    let (mut buffer, mut kept, mut hits) = (vec![0; 2 * BATCH_BYTES], 0, 0);
    loop {
        if buffer.len() < kept + BATCH_BYTES {
            buffer.resize(kept + BATCH_BYTES, 0);
        }
        let read = file.read(&mut buffer[kept..kept + BATCH_BYTES])?;
        let filled = kept + read;
        if read == 0 {
            return Ok((hits + scan(&buffer[..filled]), preparing));
        }
        let whole = memchr::memrchr(b'\n', &buffer[..filled]).map_or(0, |lf| lf + 1);
        hits += scan(&buffer[..whole]);
        buffer.copy_within(whole..filled, 0);
        kept = filled - whole;
    }
}
