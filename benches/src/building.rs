//! What it costs to get ready: time and memory of compiling many patterns.
//!
//! Each engine is built in a process of its own (see [`build_here`]), because memory that another
//! one has given back would be used again. Memory is what the process has resident, code not counted
//! twice: what it had before is taken off.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::contest::Figure;
use crate::engines::hyperscan::Hyperscan;
use crate::engines::{matcher_of, regex_set_of};
use crate::machine::cpu_timed;
use crate::record::Row;

/// Who is built.
pub const ENGINES: [&str; 3] = ["lapwing", "hyperscan", "regexset"];

/// What building took.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Milliseconds of the processor.
    pub ms: f64,
    /// 10^6 bytes more than before, at the peak.
    pub peak_mb: f64,
    /// 10^6 bytes more than before, once built.
    pub kept_mb: f64,
}

/// Builds `engine` for `patterns` in this process, which should do nothing else.
///
/// # Errors
///
/// When there is no such engine, it does not take the patterns, or this is not Linux.
pub fn build_here(engine: &str, patterns: &[String]) -> anyhow::Result<Cost> {
    let before = status_mb("VmRSS:")?;
    let (took, built): (_, anyhow::Result<Box<dyn std::any::Any>>) = match engine {
        "lapwing" => cpu_timed(|| Ok(Box::new(matcher_of(patterns)?) as _)),
        "regexset" => cpu_timed(|| Ok(Box::new(regex_set_of(patterns)?) as _)),
        "hyperscan" => {
            let hyperscan = Hyperscan::open()?;
            cpu_timed(|| Ok(Box::new(hyperscan.compile(patterns)?) as _))
        }
        other => anyhow::bail!("{other} is not known here"),
    };
    let built = black_box(built?);
    let cost = Cost {
        ms: took.as_secs_f64() * 1e3,
        peak_mb: status_mb("VmHWM:")? - before,
        kept_mb: status_mb("VmRSS:")? - before,
    };
    drop(built);
    Ok(cost)
}

/// A figure of `/proc/self/status`, which is in kB.
fn status_mb(name: &str) -> anyhow::Result<f64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let figure = text.lines().find_map(|line| line.strip_prefix(name));
    let kib: f64 = figure
        .and_then(|figure| figure.trim().strip_suffix(" kB"))
        .with_context(|| name.to_owned())?
        .parse()?;
    Ok(kib * 1024.0 / 1e6)
}

/// Builds every engine that this machine has for the patterns in the file `rules` (called `name`),
/// in turns, `rounds` (at least 1) times. `builder`: this program, whose `build` is [`build_here`].
///
/// # Errors
///
/// When an engine does not take the patterns.
pub fn run(builder: &Path, name: &str, rules: &Path, rounds: usize) -> anyhow::Result<Vec<Row>> {
    let there = |engine: &&&str| **engine != "hyperscan" || Hyperscan::open().is_ok();
    let engines: Vec<&str> = ENGINES.iter().filter(there).copied().collect();
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); engines.len()];
    for _ in 0..rounds {
        for (engine, costs) in engines.iter().zip(&mut costs) {
            let mut command = Command::new(builder);
            command.args(["build", engine, "--rules"]).arg(rules);
            let output = command.output()?;
            let problem = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "{engine}: {problem}");
            costs.push(cost(&String::from_utf8(output.stdout)?)?);
        }
    }
    let mut rows = Vec::new();
    type Part = fn(&Cost) -> f64;
    let parts: [(&str, &str, Part); 3] = [
        ("build time", "ms", |cost| cost.ms),
        ("build peak", "MB", |cost| cost.peak_mb),
        ("build kept", "MB", |cost| cost.kept_mb),
    ];
    for (part, unit, of) in parts {
        for (engine, theirs) in engines.iter().zip(&costs) {
            let rounds = costs[0].iter().zip(theirs);
            rows.push(Row {
                part: part.to_owned(),
                corpus: String::new(),
                rules: name.to_owned(),
                engine: (*engine).to_owned(),
                unit: unit.to_owned(),
                figure: Figure::of(theirs.iter().map(of).collect()),
                times: Figure::of(rounds.map(|(ours, theirs)| of(theirs) / of(ours)).collect()),
                hits: 0,
            });
        }
    }
    Ok(rows)
}

/// Reads what `build` prints: three numbers.
fn cost(said: &str) -> anyhow::Result<Cost> {
    let numbers: Result<Vec<f64>, _> = said.split_whitespace().map(str::parse).collect();
    let [ms, peak_mb, kept_mb] = numbers?[..] else {
        anyhow::bail!("three numbers were expected: {said}");
    };
    Ok(Cost {
        ms,
        peak_mb,
        kept_mb,
    })
}
