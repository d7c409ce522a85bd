//! The one command for all comparisons: engines × rule sets × logs in turns, whole programs, and
//! what a start costs; prints tables and, with `--record`, keeps them.
//!
//! Arguments in, tables and files out; what is measured is in the library.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use lapwing_benches::contest;
use lapwing_benches::corpora;
use lapwing_benches::engines::hyperscan::Hyperscan;
use lapwing_benches::engines::{self, SLOW_BYTES, whole_lines};
use lapwing_benches::machine;
use lapwing_benches::record::{self, Record, Row};
use lapwing_benches::rule_sets::{self, RuleSet};
use lapwing_benches::{building, process};

/// Compares lapwing's matcher with others over the same bytes in the same run
#[derive(Debug, Parser)]
struct Args {
    /// Logs to use instead of the made-up ones
    #[arg(long, value_name = "FILE")]
    corpus: Vec<PathBuf>,
    /// Files of patterns, one a line, to use instead of the made-up ones
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// Rounds, in turns; medians are shown
    #[arg(long, default_value_t = 7, value_parser = at_least_one)]
    runs: usize,
    /// How much of each log, in MiB, up to 1023; slow engines get 4, whole
    /// programs four times as much
    #[arg(long, default_value_t = 64, value_parser = at_least_one)]
    size: usize,
    /// Whole programs: lapwing backtest, ripgrep, the least program around Hyperscan
    #[arg(long)]
    process: bool,
    /// Time and memory of compiling 500 to 10,000 rules
    #[arg(long)]
    build: bool,
    /// All three parts; writes benches/record and the README's table
    #[arg(long)]
    record: bool,
    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// A built lapwing [default: built now]
    #[arg(long, value_name = "FILE")]
    lapwing: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What this program does when it starts itself.
#[derive(Debug, Subcommand)]
enum Part {
    /// Reads a log through, with Hyperscan where there are rules
    #[command(hide = true)]
    Read {
        log: PathBuf,
        #[arg(long)]
        rules: Option<PathBuf>,
    },
    /// Builds one engine and tells the cost
    #[command(hide = true)]
    Build {
        engine: String,
        #[arg(long)]
        rules: PathBuf,
    },
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=1023) => Ok(number),
        _ => Err("a number from 1 to 1023 is expected".to_owned()),
    }
}

/// A whole program is given the log so many times over, so that its start weighs less.
const PROCESS_TIMES: usize = 4;

/// Of the hard logs: a `RegexSet` of 2,000 rules does 2 MB/s there.
const HARD_BYTES: usize = 8 * 1024 * 1024;

/// This program, also when a newer one has been built in its place meanwhile.
const MYSELF: &str = "/proc/self/exe";

/// A log.
struct Corpus {
    name: String,
    log: Vec<u8>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    match &args.part {
        Some(Part::Read { log, rules }) => {
            let patterns = match rules {
                Some(rules) => Some(rules_in(rules)?.patterns),
                None => None,
            };
            let (hits, preparing) = process::read_through(log, patterns.as_deref())?;
            say(&format!("hits {hits} preparing {}", preparing.as_nanos()))
        }
        Some(Part::Build { engine, rules }) => {
            let cost = building::build_here(engine, &rules_in(rules)?.patterns)?;
            say(&format!("{} {} {}", cost.ms, cost.peak_mb, cost.kept_mb))
        }
        None => compare(&args),
    }
}

fn compare(args: &Args) -> anyhow::Result<()> {
    // Before pinning: the compiler may use all processors.
    let lapwing = match &args.lapwing {
        Some(lapwing) => Some(lapwing.clone()),
        None if args.process || args.record => Some(built_lapwing()?),
        None => None,
    };
    let hyperscan = Hyperscan::open();
    let cpu = machine::pin()?;
    let setting = setting(args, hyperscan.as_deref().ok());
    say(&format!(
        "{}; processor {cpu}; {setting}",
        machine::processor()
    ))?;
    if let Err(error) = &hyperscan {
        say(&format!(
            "WITHOUT HYPERSCAN ({error:#}): apt-get install libhyperscan5"
        ))?;
    }
    let folder = tempfile::tempdir()?;
    let mut rows = Vec::new();
    if args.record || !(args.process || args.build) {
        rows.extend(scans(args, hyperscan.as_ref().ok())?);
    }
    if let Some(lapwing) = &lapwing
        && (args.process || args.record)
    {
        rows.extend(processes(args, lapwing, folder.path())?);
    }
    if args.build || args.record {
        rows.extend(builds(args, folder.path())?);
    }
    let record = Record {
        day: machine::today(),
        processor: machine::processor(),
        setting,
        rows,
    };
    if let Some(out) = &args.out {
        fs::write(out, record.csv()).with_context(|| out.display().to_string())?;
    }
    if args.record {
        keep(&record)?;
    }
    Ok(())
}

fn setting(args: &Args, hyperscan: Option<&Hyperscan>) -> String {
    let absent = || "absent".to_owned();
    format!(
        "Hyperscan {}, ripgrep {}, {} MiB a log, medians of {} runs in turns",
        hyperscan.map_or_else(absent, Hyperscan::version),
        process::ripgrep_version().unwrap_or_else(absent),
        args.size,
        args.runs
    )
}

/// Engines in this process.
fn scans(args: &Args, hyperscan: Option<&Rc<Hyperscan>>) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let ordinary = ordinary_corpora(args)?;
    for set in rule_sets_of(args)? {
        let hard = if args.corpus.is_empty() {
            hard_corpora(&set)
        } else {
            Vec::new()
        };
        let patterns = &set.patterns;
        for (index, corpus) in ordinary.iter().chain(&hard).enumerate() {
            let other = &ordinary[(index + 1) % ordinary.len()];
            let other: &[u8] = if other.name == corpus.name {
                &[]
            } else {
                &other.log
            };
            // What finds other pairs has no speed to speak of.
            let head = whole_lines(&corpus.log, SLOW_BYTES);
            let pairs = engines::pairs(patterns, head, &corpus.log, other)?;
            let truth = engines::line_pairs(patterns, head)?;
            ensure!(
                pairs == truth,
                "{} × {}: other pairs than RegexSet",
                corpus.name,
                set.name
            );
            let mut engines = engines::all(patterns, &corpus.log, other, hyperscan)?;
            let outcomes = contest::run(&mut engines, &corpus.log, args.runs);
            let found = record::rows("scan", &corpus.name, &set.name, &outcomes);
            show(&found)?;
            rows.extend(found);
        }
    }
    Ok(rows)
}

/// Whole programs.
fn processes(args: &Args, lapwing: &Path, folder: &Path) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for corpus in ordinary_corpora(args)? {
        let log = folder.join("log");
        fs::write(&log, corpus.log.repeat(PROCESS_TIMES))?;
        for set in rule_sets_of(args)? {
            let setup = process::Setup {
                lapwing,
                reader: Path::new(MYSELF),
                folder,
                log: &log,
                patterns: &set.patterns,
            };
            let outcomes = process::run(&setup, args.runs.min(5))?;
            let found = record::rows("process", &corpus.name, &set.name, &outcomes);
            show(&found)?;
            rows.extend(found);
        }
    }
    Ok(rows)
}

/// What a start costs.
fn builds(args: &Args, folder: &Path) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let sets = if args.rules.is_empty() {
        vec![
            rule_sets::r500(),
            rule_sets::r2000(),
            rule_sets::r2000d(),
            rule_sets::sharing("r10000", 10_000),
            rule_sets::diverse("r10000d", 10_000),
        ]
    } else {
        rule_sets_of(args)?
    };
    for set in sets {
        let rules = folder.join("rules");
        fs::write(&rules, set.patterns.join("\n"))?;
        let found = building::run(Path::new(MYSELF), &set.name, &rules, args.runs.min(3))?;
        show(&found)?;
        rows.extend(found);
    }
    Ok(rows)
}

fn ordinary_corpora(args: &Args) -> anyhow::Result<Vec<Corpus>> {
    let size = args.size * 1024 * 1024;
    if args.corpus.is_empty() {
        let (nginx, mixed) = (corpora::nginx(size), corpora::mixed(size));
        return Ok(vec![corpus("nginx", nginx), corpus("mixed", mixed)]);
    }
    let logs = args.corpus.iter().map(|path| {
        let mut log = fs::read(path).with_context(|| path.display().to_string())?;
        log.truncate(whole_lines(&log, size).len());
        Ok(corpus(&stem(path), log))
    });
    logs.collect()
}

/// What a search by literals finds hard about `set`.
fn hard_corpora(set: &RuleSet) -> Vec<Corpus> {
    vec![
        corpus(
            "near misses",
            corpora::near_misses(HARD_BYTES, &set.patterns),
        ),
        corpus(
            "tenth matching",
            corpora::tenth_matching(HARD_BYTES, &set.patterns),
        ),
    ]
}

fn corpus(name: &str, log: Vec<u8>) -> Corpus {
    Corpus {
        name: name.to_owned(),
        log,
    }
}

fn rule_sets_of(args: &Args) -> anyhow::Result<Vec<RuleSet>> {
    if args.rules.is_empty() {
        return Ok(rule_sets::all().into());
    }
    args.rules.iter().map(|path| rules_in(path)).collect()
}

fn rules_in(path: &Path) -> anyhow::Result<RuleSet> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let patterns = text.lines().filter(|line| !line.is_empty());
    Ok(RuleSet {
        name: stem(path),
        patterns: patterns.map(str::to_owned).collect(),
    })
}

/// The file's name; without what a line of a record cannot hold.
fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.replace(',', " ")
}

/// Lapwing as it is released.
fn built_lapwing() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--package", "lapwing"]);
    let status = command.current_dir(record::workspace()).status()?;
    ensure!(status.success(), "lapwing could not be built");
    // `cargo run` puts this program where it puts that one.
    let lapwing = std::env::current_exe()?.with_file_name("lapwing");
    ensure!(
        lapwing.exists(),
        "{}: build this with --release",
        lapwing.display()
    );
    Ok(lapwing)
}

/// One contest as a table.
fn show(rows: &[Row]) -> anyhow::Result<()> {
    let mut head = "";
    for row in rows {
        if row.part != head {
            head = &row.part;
            let title = format!("{head} × {} × {}", row.rules, row.corpus);
            say(&format!(
                "\n{}\n  {:18} {:>12}  {:>8}  {:>15}  {:>10}",
                title.trim_end_matches(" × "),
                "",
                "noisy",
                "lapwing",
                "least-most",
                "hits"
            ))?;
        }
        let (figure, times) = (row.figure, row.times);
        say(&format!(
            "  {:18} {:>7.0} {:4}  {:>6.2} x  {:>6.2} - {:>6.2}  {:>10}",
            row.engine, figure.median, row.unit, times.median, times.least, times.most, row.hits
        ))?;
    }
    Ok(())
}

fn keep(record: &Record) -> anyhow::Result<()> {
    let root = record::workspace();
    let file = root.join("benches/record").join(record.file_name());
    fs::create_dir_all(root.join("benches/record"))?;
    fs::write(&file, record.csv())?;
    // Made from the file, whose figures are rounded, as whoever makes it anew will.
    let record = Record::parse(&record.csv())?;
    let path = root.join("README.md");
    let readme = fs::read_to_string(&path)?;
    fs::write(&path, record::with_table(&readme, &record)?)?;
    say(&format!("\n{}\n{}", file.display(), path.display()))
}

fn say(line: &str) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{line}").context("standard output")
}
