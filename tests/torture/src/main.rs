//! The one command: scenarios by name, figures on standard output, exit code 1 on any violation.
//!
//! Arguments in, tables out; what happens is in the library.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Parser;
use lapwing_torture::peers::{EVERYBODY, Kind, Programs, contest};
use lapwing_torture::receiving;
use lapwing_torture::record;
use lapwing_torture::scenario::{self, Scenario};
use lapwing_torture::settings::Settings;

/// Tortures lapwing with rotations, kills and full disks, and accounts for every line
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
struct Args {
    /// Scenarios to run, or `all`; without any, they are listed
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    scenario: Vec<String>,
    /// Run lapwing, rsyslog, syslog-ng, mtail and Fluent Bit, one after the other, and print a table
    #[arg(long)]
    peers: bool,
    /// Send syslog to lapwing, rsyslog and syslog-ng, with 50 patterns each, and print a table
    #[arg(long)]
    receivers: bool,
    /// Only these of them
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    who: Vec<String>,
    /// Where install-peers unpacked syslog-ng [default: peers/syslog-ng beside the build]
    #[arg(long, value_name = "FOLDER")]
    syslog_ng: Option<PathBuf>,
    /// A Fluent Bit binary
    #[arg(long, value_name = "FILE")]
    fluent_bit: Option<PathBuf>,
    /// A built lapwing [default: built now, in release]
    #[arg(long, value_name = "FILE")]
    lapwing: Option<PathBuf>,
    /// Where temporary folders are made
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Decides everything that is random
    #[arg(long)]
    seed: Option<u64>,
    /// Lines a second
    #[arg(long)]
    rate: Option<u64>,
    /// Seconds, where nothing is counted
    #[arg(long, value_name = "SECONDS")]
    duration: Option<u64>,
    /// Rotations
    #[arg(long)]
    rotations: Option<u32>,
    /// SIGKILLs
    #[arg(long)]
    kills: Option<u32>,
    /// Of the system calls at which to kill, only one of so many
    #[arg(long)]
    step: Option<u32>,
    /// Files that nobody writes to
    #[arg(long)]
    idle: Option<u32>,
    /// Files that are written to
    #[arg(long)]
    busy: Option<u32>,
    /// Milliseconds for which a file is idle before it is truncated
    #[arg(long, value_name = "MS")]
    rest: Option<u64>,
    /// Milliseconds for which logrotate is held between its copy and its cut
    #[arg(long, value_name = "MS")]
    stall: Option<u64>,
    /// Compare with `lapwing backtest` of the same lines, where a scenario can
    #[arg(long)]
    backtest: bool,
    /// Append what was found to this file, too, as CSV
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// One object a scenario instead of a table
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if args.scenario.is_empty() && !args.peers && !args.receivers {
        return list();
    }
    let settings = settings(&args)?;
    if args.receivers {
        return receivers(&args, &settings);
    }
    if args.peers {
        return beside_peers(&args, &settings);
    }
    let mut holds = true;
    for scenario in scenarios(&args.scenario)? {
        let verdict = scenario.run(&settings).context(scenario.name)?;
        holds &= verdict.holds();
        if let Some(path) = &args.record {
            record::append(path, &verdict)?;
        }
        let text = if args.json {
            format!("{}\n", verdict.json())
        } else {
            verdict.table() + "\n"
        };
        say(&text)?;
    }
    Ok(if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn list() -> anyhow::Result<ExitCode> {
    for scenario in scenario::ALL {
        say(&format!("{:28}{}\n", scenario.name, scenario.what))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Who takes part; nobody named: an empty list.
fn named(names: &[String]) -> anyhow::Result<Vec<Kind>> {
    let named = |name: &String| Kind::named(name).with_context(|| format!("who is `{name}`?"));
    names.iter().map(named).collect()
}

/// What syslog-ng was unpacked into: as told, or where install-peers puts it.
fn syslog_ng(args: &Args) -> anyhow::Result<Option<PathBuf>> {
    let beside = std::env::current_exe()?;
    let beside = beside.parent().and_then(Path::parent);
    let usual = beside.map(|beside| beside.join("peers/syslog-ng"));
    Ok(args.syslog_ng.clone().or(usual))
}

fn receivers(args: &Args, settings: &Settings) -> anyhow::Result<ExitCode> {
    let who = named(&args.who)?;
    let all = [Kind::Lapwing, Kind::Rsyslog, Kind::SyslogNg];
    let who = if who.is_empty() { &all[..] } else { &who };
    say(receiving::contest::HEAD)?;
    for is_udp in [false, true] {
        for kind in who {
            let row = receiving::contest::run(*kind, is_udp, settings)?;
            say(&row.text())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn beside_peers(args: &Args, settings: &Settings) -> anyhow::Result<ExitCode> {
    let programs = Programs {
        syslog_ng: syslog_ng(args)?,
        fluent_bit: args.fluent_bit.clone(),
    };
    let who = named(&args.who)?;
    let who = if who.is_empty() { &EVERYBODY[..] } else { &who };
    let table = contest::run(who, &programs, settings, |text| {
        // Nobody depends on it.
        drop(writeln!(io::stderr(), "{text}"));
    });
    if let Some(path) = &args.record {
        record::append_cells(path, settings.seed, &table.json())?;
    }
    if args.json {
        for cell in table.json() {
            say(&format!("{cell}\n"))?;
        }
    } else {
        say(&table.text())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn say(text: &str) -> io::Result<()> {
    io::stdout().write_all(text.as_bytes())
}

fn scenarios(names: &[String]) -> anyhow::Result<Vec<Scenario>> {
    if names.iter().any(|name| name == "all") {
        return Ok(scenario::ALL.to_vec());
    }
    let named = |name: &String| {
        Scenario::named(name).with_context(|| format!("there is no scenario `{name}`"))
    };
    names.iter().map(named).collect()
}

fn settings(args: &Args) -> anyhow::Result<Settings> {
    let lapwing = match &args.lapwing {
        Some(lapwing) => lapwing.clone(),
        None => built_lapwing()?,
    };
    let lapwing = lapwing
        .canonicalize()
        .with_context(|| lapwing.display().to_string())?;
    let mut settings = Settings::new(lapwing);
    settings.folder.clone_from(&args.folder);
    settings.seed = args.seed.unwrap_or(settings.seed);
    settings.rate = args.rate.unwrap_or(settings.rate);
    settings.duration = args.duration.map_or(settings.duration, Duration::from_secs);
    settings.rotations = args.rotations.unwrap_or(settings.rotations);
    settings.kills = args.kills.unwrap_or(settings.kills);
    settings.step = args.step.unwrap_or(settings.step).max(1);
    settings.idle = args.idle.unwrap_or(settings.idle);
    settings.busy = args.busy.unwrap_or(settings.busy);
    settings.rest = args.rest.map_or(settings.rest, Duration::from_millis);
    settings.stall = args.stall.map_or(settings.stall, Duration::from_millis);
    settings.backtest = args.backtest;
    settings.syslog_ng = syslog_ng(args)?;
    settings.progress = true;
    ensure!(
        (1..=1_000_000).contains(&settings.rate),
        "a rate from 1 to 1,000,000"
    );
    Ok(settings)
}

/// Beside this program, once cargo has built it.
fn built_lapwing() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "-p", "lapwing"]);
    if !command.status().context("cargo")?.success() {
        bail!("lapwing cannot be built");
    }
    let mut path = std::env::current_exe()?;
    path.pop();
    Ok(path.with_file_name("release").join("lapwing"))
}
