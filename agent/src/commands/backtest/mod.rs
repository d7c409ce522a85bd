//! `lapwing backtest`: the alerts that rules would have raised over old logs.

mod crew;
mod merge;
mod replay;
mod report;
mod stream;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use lapwing_rules::language::rule::RuleSet;
use lapwing_rules::model::{Mode, Notification, Timestamp};
use serde_json::json;

use super::asking::moment;
use super::configured;
use super::logs::{Log, Ways};
use super::terminal::{Terminal, print};
use crate::cli::Backtest;
use crate::clock;
use crate::error::AgentError;
use merge::Width;
use replay::{Audience, Replay, Totals};
use report::Story;
use stream::Bounds;

/// Exit code 0 whether or not something fired.
pub(super) fn run(args: &Backtest, terminal: Terminal) -> Result<ExitCode, AgentError> {
    let now = clock::now();
    let bounds = Bounds {
        since: moment(args.since.as_deref(), now)?.unwrap_or(Timestamp::MIN),
        until: moment(args.until.as_deref(), now)?,
    };
    let (config, rules) = configured(&args.logs, &args.rules, terminal)?;
    let ways = Ways::new(&args.logs, config, "backtest")?;
    let read = Arc::new(AtomicU64::new(0));
    let progress = Progress::new(args, terminal, Arc::clone(&read));
    let began = clock::monotonic();
    let mut open = Vec::new();
    for path in &args.files {
        let way = ways.of(path)?;
        open.push((Log::open(path, &way, &read)?, way));
    }
    let mut story = Story::new(terminal.out);
    let mut audience = Audience {
        told: &mut |notification| {
            if args.json {
                print_json(&notification)
            } else {
                story.add(&rules, &notification);
                Ok(())
            }
        },
        goes_on: &|| progress.tick(),
    };
    let replay = Replay::new(&rules, &ways, open, bounds, now, Width::of_host())?;
    let totals = replay.run(&mut audience)?;
    progress.finish();
    let seconds = began.elapsed();
    if args.json {
        print(&format!("{}\n", summary(&rules, &totals, seconds)))?;
    } else {
        print(&story.report(&rules, &totals, seconds))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_json(notification: &Notification) -> Result<(), AgentError> {
    let text = serde_json::to_string(notification)
        .map_err(|error| AgentError::io("cannot write JSON")(error.into()))?;
    print(&format!("{text}\n"))
}

fn summary(rules: &RuleSet, totals: &Totals, took: Duration) -> serde_json::Value {
    let mut by_rule = serde_json::Map::new();
    for ((_, rule), counts) in rules.iter().zip(&totals.rules) {
        if rule.mode != Mode::Off {
            let mut row = json!({"hits": counts.hits, "alerts": counts.alerts, "notifications": counts.notifications});
            let held_back = counts.held_back.by_reason().into_iter();
            let held_back: BTreeMap<_, _> = held_back.filter(|(_, count)| *count > 0).collect();
            if !held_back.is_empty() {
                row["held_back"] = json!(held_back);
            }
            by_rule.insert(rule.name.clone(), row);
        }
    }
    json!({"summary": {
        "lines": totals.lines, "bytes": totals.bytes, "seconds": took.as_secs_f64(), "skewed": totals.skewed,
        "rules": by_rule,
    }})
}

/// A bar on standard error, where a person looks at it. Where bytes cannot be counted beforehand
/// (standard input) it only shows that something goes on.
struct Progress {
    bar: ProgressBar,
    read: Arc<AtomicU64>,
}

impl Progress {
    fn new(args: &Backtest, terminal: Terminal, read: Arc<AtomicU64>) -> Self {
        let bar = if terminal.shows_progress {
            let size: u64 = args
                .files
                .iter()
                .filter_map(|path| path.metadata().ok())
                .map(|about| about.len())
                .sum();
            let style = ProgressStyle::with_template(
                "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            );
            let bar = ProgressBar::new(size);
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        } else {
            ProgressBar::hidden()
        };
        Self { bar, read }
    }

    fn tick(&self) {
        self.bar.set_position(self.read.load(Ordering::Relaxed));
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
