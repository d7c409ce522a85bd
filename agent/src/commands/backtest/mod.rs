//! `lapwing backtest`: the alerts that rules would have raised over old logs.

mod against;
mod clockwork;
mod crew;
mod merge;
mod page;
mod replay;
mod report;
mod stream;
mod tally;
mod timeline;
mod together;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use lapwing_rules::language::rule::RuleSet;
use lapwing_rules::model::{Mode, Notification, Timestamp};
use lapwing_rules::mute::{self, Silence};
use serde_json::json;

use super::asking::moment;
use super::logs::{Log, Ways};
use super::terminal::{Terminal, print};
use super::{configured, rules_of};
use crate::cli::{self, Backtest};
use crate::clock;
use crate::error::AgentError;
use against::Comparison;
use merge::Width;
use replay::{Audience, Replay, Totals};
use report::{Listing, Run};
pub(super) use stream::Bounds;
use tally::Tally;
use timeline::Timeline;

/// Exit code 0 whether or not something fired.
pub(super) fn run(args: &Backtest, terminal: Terminal) -> Result<ExitCode, AgentError> {
    let now = clock::now();
    let bounds = Bounds {
        since: moment(args.since.as_deref(), now)?.unwrap_or(Timestamp::MIN),
        until: moment(args.until.as_deref(), now)?,
    };
    if !args.against.is_empty() && args.files.iter().any(|path| path == Path::new("-")) {
        return Err(AgentError::Usage(
            "`--against` reads the logs twice, and standard input can be read once".to_owned(),
        ));
    }
    let (config, rules) = configured(&args.logs, &args.rules, terminal)?;
    let other = other_rules(args, terminal)?;
    let ways = Ways::new(&args.logs, config, "backtest")?;
    let pass = Pass {
        files: &args.files,
        ways: &ways,
        bounds,
        silences: silences(&args.silence)?,
        now,
        progress: Progress::new(&args.files, 1 + u64::from(other.is_some()), terminal),
    };
    let old = match &other {
        Some(other) => Some(pass.over(other, &mut |_| Ok(()))?.1),
        None => None,
    };
    let began = clock::monotonic();
    let mut listing = Listing::new(terminal.out);
    let (totals, tally) = pass.over(&rules, &mut |notification| {
        if args.json {
            return print_json(notification);
        }
        listing.add(notification);
        Ok(())
    })?;
    pass.progress.finish();
    let comparison = old.as_ref().map(|old| Comparison::new(old, &tally));
    let zone = clock::zone_name();
    let run = Run {
        rules: &rules,
        tally: &tally,
        totals: &totals,
        took: began.elapsed(),
        against: comparison.as_ref(),
        zone: &zone,
    };
    if let Some(path) = &args.html {
        std::fs::write(path, page::page(run))
            .map_err(AgentError::io(format!("cannot write {}", path.display())))?;
    }
    if args.json {
        for change in comparison.iter().flat_map(|of| &of.changes) {
            print(&format!("{}\n", change.json()))?;
        }
        print(&format!("{}\n", summary(run)))?;
    } else {
        print(&listing.report(run))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The rules of `--against`.
fn other_rules(args: &Backtest, terminal: Terminal) -> Result<Option<Arc<RuleSet>>, AgentError> {
    if args.against.is_empty() {
        return Ok(None);
    }
    let rule_files = args.against.clone();
    rules_of(&cli::Rules { rule_files }, terminal).map(Some)
}

/// What `--silence` mutes, from the first line to the last.
fn silences(texts: &[String]) -> Result<Vec<Silence>, AgentError> {
    let silence = |text: &String| {
        let matchers = mute::parse(text).map_err(|error| AgentError::Usage(error.to_string()))?;
        Ok(Silence {
            id: String::new(),
            matchers,
            author: String::new(),
            note: String::new(),
            starts_at: Timestamp::MIN,
            ends_at: Timestamp::MAX,
        })
    };
    texts.iter().map(silence).collect()
}

/// What holds for each pass over the logs.
pub(super) struct Pass<'a> {
    pub(super) files: &'a [PathBuf],
    pub(super) ways: &'a Ways,
    pub(super) bounds: Bounds,
    /// What is muted.
    pub(super) silences: Vec<Silence>,
    /// The time of the call.
    pub(super) now: Timestamp,
    pub(super) progress: Progress,
}

impl Pass<'_> {
    /// All logs against these rules; `told` gets each notification.
    ///
    /// # Errors
    ///
    /// When a log cannot be read, or `told` has enough.
    pub(super) fn over(
        &self,
        rules: &Arc<RuleSet>,
        told: &mut dyn FnMut(&Notification) -> Result<(), AgentError>,
    ) -> Result<(Totals, Tally), AgentError> {
        let mut open = Vec::new();
        for path in self.files {
            let way = self.ways.of(path)?;
            open.push((Log::open(path, &way, &self.progress.read)?, way));
        }
        let mut tally = Tally::new(rules);
        let mut hits = vec![Timeline::default(); rules.len()];
        let mut audience = Audience {
            told: &mut |notification| {
                let hour = clock::local_hour(notification.sent_at);
                tally.add(rules, &notification, hour);
                told(&notification)
            },
            hit: &mut |rule, at| {
                if let Some(timeline) = hits.get_mut(rule.0 as usize) {
                    timeline.add(at);
                }
            },
            goes_on: &|| self.progress.tick(),
        };
        let width = Width::of_host();
        let terms = (self.bounds, self.silences.clone());
        let replay = Replay::new(rules, self.ways, open, terms, self.now, width)?;
        let totals = replay.run(&mut audience)?;
        for (of_rule, counted) in tally.rules.iter_mut().zip(hits) {
            of_rule.hits = counted;
        }
        Ok((totals, tally))
    }
}

fn print_json(notification: &Notification) -> Result<(), AgentError> {
    let text = serde_json::to_string(notification)
        .map_err(|error| AgentError::io("cannot write JSON")(error.into()))?;
    print(&format!("{text}\n"))
}

fn summary(run: Run<'_>) -> serde_json::Value {
    let mut by_rule = serde_json::Map::new();
    let (mut nights, mut dropped) = (serde_json::Map::new(), serde_json::Map::new());
    let rules = run.rules.iter().zip(&run.totals.rules);
    for (((_, rule), counts), of_rule) in rules.zip(&run.tally.rules) {
        if rule.mode != Mode::Off {
            let mut row = json!({"hits": counts.hits, "alerts": counts.alerts, "notifications": counts.notifications});
            let held_back = counts.held_back.by_reason().into_iter();
            let held_back: BTreeMap<_, _> = held_back.filter(|(_, count)| *count > 0).collect();
            if !held_back.is_empty() {
                row["held_back"] = json!(held_back);
            }
            by_rule.insert(rule.name.clone(), row);
        }
        if of_rule.at_night > 0 {
            nights.insert(rule.name.clone(), of_rule.at_night.into());
        }
        if counts.dropped_groups > 0 {
            dropped.insert(rule.name.clone(), counts.dropped_groups.into());
        }
    }
    let noisiest: Vec<_> = run
        .tally
        .noisiest(20)
        .into_iter()
        .map(|(rule, group, messages)| {
            json!({"rule": run.rules.get(rule).name, "group": group, "notifications": messages})
        })
        .collect();
    let mut details = json!({
        "notifications": run.tally.messages, "at_night": run.tally.at_night,
        "at_night_by_rule": nights, "shadow": run.tally.shadow, "hours": run.tally.hours,
        "noisiest": noisiest, "dropped_groups": dropped,
    });
    if let (Some(comparison), Some(object)) = (run.against, details.as_object_mut()) {
        object.insert("against".to_owned(), comparison.json());
    }
    json!({
        "summary": {
            "lines": run.totals.lines, "bytes": run.totals.bytes,
            "seconds": run.took.as_secs_f64(), "skewed": run.totals.skewed, "rules": by_rule,
        },
        "details": details,
    })
}

/// A bar on standard error, where a person looks at it. Where bytes cannot be counted beforehand
/// (standard input) it only shows that something goes on.
pub(super) struct Progress {
    bar: ProgressBar,
    /// Bytes taken from the disk.
    pub(super) read: Arc<AtomicU64>,
}

impl Progress {
    /// Of so many passes over the files.
    pub(super) fn new(files: &[PathBuf], passes: u64, terminal: Terminal) -> Self {
        let bar = if terminal.shows_progress {
            let size: u64 = files
                .iter()
                .filter_map(|path| path.metadata().ok())
                .map(|about| about.len())
                .sum();
            let style = ProgressStyle::with_template(
                "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            );
            let bar = ProgressBar::new(size * passes);
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        } else {
            ProgressBar::hidden()
        };
        let read = Arc::new(AtomicU64::new(0));
        Self { bar, read }
    }

    pub(super) fn tick(&self) {
        self.bar.set_position(self.read.load(Ordering::Relaxed));
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
