//! What a person sees of a backtest in the terminal: what would have been said, when, by which rule,
//! how much of it at night, which groups are the noisiest, and what is different from other rules.
//! Pure: values in, text out.

use std::fmt::Write as _;
use std::time::Duration;

use lapwing_rules::engine::HeldBack;
use lapwing_rules::language::quantity::duration_text;
use lapwing_rules::language::rule::RuleSet;
use lapwing_rules::model::{Mode, Notification, Reason, RuleId};

use super::against::{Change, Comparison};
use super::replay::Totals;
use super::tally::Tally;
use crate::commands::status::held_back;
use crate::commands::terminal::counted;
use crate::outputs::console::{DIM, Palette, style_of};
use crate::outputs::render::{self, sparkline};
use crate::outputs::safe;

/// Characters of the timeline.
const COLUMNS: usize = 48;
/// Messages listed one by one; more are counted.
const LISTED: u64 = 100;
/// Changes listed one by one.
const CHANGES: usize = 50;
/// Groups named.
const GROUPS: usize = 5;

/// The first messages, a line each.
#[derive(Debug)]
pub(super) struct Listing {
    palette: Palette,
    text: String,
    messages: u64,
}

/// What a report is about.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) rules: &'a RuleSet,
    pub(super) tally: &'a Tally,
    pub(super) totals: &'a Totals,
    pub(super) took: Duration,
    pub(super) against: Option<&'a Comparison<'a>>,
    /// What the host's time zone is called.
    pub(super) zone: &'a str,
}

impl Listing {
    /// Nothing has been told yet.
    pub(super) fn new(palette: Palette) -> Self {
        Self {
            palette,
            text: String::new(),
            messages: 0,
        }
    }

    /// Notes what is told.
    pub(super) fn add(&mut self, notification: &Notification) {
        if self.messages < LISTED {
            self.text.push_str(&message(notification, self.palette));
        }
        self.messages += 1;
    }

    /// The whole report, each line with its LF.
    pub(super) fn report(self, run: Run<'_>) -> String {
        let mut text = self.text;
        if self.messages > LISTED {
            let more = self.messages - LISTED;
            // Writing to a String cannot fail.
            writeln!(text, "… and {more} more; --json prints them all").ok();
        }
        if self.messages > 0 {
            text.push('\n');
        }
        timelines(&mut text, run, self.palette);
        noisiest(&mut text, run);
        if let Some(comparison) = run.against {
            changes(&mut text, comparison, run.tally, self.palette);
        }
        text.push_str(&summary(run));
        text
    }
}

/// `firing`, `repeat` …
pub(super) fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::First => "firing",
        Reason::Repeat => "repeat",
        Reason::Digest => "digest",
        Reason::Escalated => "escalated",
        Reason::Resolved => "resolved",
        Reason::Drill => "drill",
    }
}

fn message(n: &Notification, palette: Palette) -> String {
    let shadow = if n.mode == Mode::Shadow {
        " (shadow)"
    } else {
        ""
    };
    let reason = palette.paint(style_of(n), &format!("{:8}", word(n.reason)));
    let when = palette.paint(DIM, &render::moment(n.sent_at));
    format!(
        "{when}  {reason}  {}{shadow}\n",
        safe::short(&n.summary, 160)
    )
}

/// A line a rule: messages over the time of the logs.
fn timelines(text: &mut String, run: Run<'_>, palette: Palette) {
    let Some((begin, end)) = run.totals.span else {
        return;
    };
    let counts_of = |id: RuleId| run.totals.rules.get(id.0 as usize);
    let active: Vec<(RuleId, &str)> = run
        .rules
        .iter()
        .filter(|(id, _)| counts_of(*id).is_some_and(|counts| counts.hits + counts.alerts > 0))
        .map(|(id, rule)| (id, rule.name.as_str()))
        .collect();
    let width = active
        .iter()
        .map(|(_, name)| name.len())
        .max()
        .unwrap_or(0)
        .min(40);
    if !active.is_empty() {
        let from = render::moment(begin);
        let gap = COLUMNS.saturating_sub(from.len());
        let axis = format!("{from}{:>gap$}", render::moment(end));
        // Writing to a String cannot fail.
        writeln!(text, "{:width$}  {}", "", palette.paint(DIM, &axis)).ok();
    }
    for (id, name) in active {
        let (Some(counts), Some(of_rule)) = (counts_of(id), run.tally.rules.get(id.0 as usize))
        else {
            continue;
        };
        let columns = of_rule.told.columns(begin, end, COLUMNS);
        let line = match sparkline(&columns, COLUMNS) {
            line if line.is_empty() => " ".repeat(COLUMNS),
            line => line,
        };
        writeln!(
            text,
            "{name:width$}  {line}  {}, {}, {}{}",
            counted(counts.hits, "hit"),
            counted(counts.alerts, "alert"),
            counted(counts.notifications, "message"),
            at_night(of_rule.at_night)
        )
        .ok();
    }
    text.push('\n');
}

fn at_night(count: u64) -> String {
    if count == 0 {
        String::new()
    } else {
        format!(", {count} at night")
    }
}

fn noisiest(text: &mut String, run: Run<'_>) {
    let groups = run.tally.noisiest(GROUPS);
    if groups.is_empty() {
        return;
    }
    text.push_str("Noisiest groups:\n");
    for (rule, group, count) in groups {
        // Writing to a String cannot fail.
        writeln!(
            text,
            "{count:>6}  {}  {}",
            run.rules.get(rule).name,
            safe::short(group, 100)
        )
        .ok();
    }
    text.push('\n');
}

fn changes(text: &mut String, comparison: &Comparison<'_>, tally: &Tally, palette: Palette) {
    // Writing to a String cannot fail.
    writeln!(
        text,
        "Against the other rules: {} the same, {} appear, {} vanish, {} move; {} messages before, {} now.",
        comparison.same,
        comparison.count("appears"),
        comparison.count("vanishes"),
        comparison.count("moves"),
        comparison.old_messages,
        tally.messages
    )
    .ok();
    for change in comparison.changes.iter().take(CHANGES) {
        let episode = change.episode();
        let (mark, style) = match change {
            Change::Appears(_) => ("+", "31"),
            Change::Vanishes(_) => ("-", "32"),
            Change::Moves { .. } => ("~", "33"),
        };
        let before = change
            .was_started_at()
            .map(|at| format!(", was {}", render::moment(at)));
        writeln!(
            text,
            "{} {}  {}  {}{}",
            palette.paint(style, mark),
            palette.paint(DIM, &render::moment(episode.started_at)),
            episode.rule,
            safe::short(&episode.summary, 120),
            before.unwrap_or_default()
        )
        .ok();
    }
    if comparison.changes.len() > CHANGES {
        let more = comparison.changes.len() - CHANGES;
        writeln!(text, "… and {more} more; --json prints them all").ok();
    }
    if comparison.not_compared > 0 {
        let many = comparison.not_compared;
        writeln!(text, "{many} alerts were too many to be compared.").ok();
    }
    text.push('\n');
}

fn summary(run: Run<'_>) -> String {
    let (tally, totals) = (run.tally, run.totals);
    let alerts: u64 = totals.rules.iter().map(|counts| counts.alerts).sum();
    let messages = counted(tally.messages, "message");
    let mut text = format!("{messages} about {}", counted(alerts, "alert"));
    // Writing to a String cannot fail.
    if tally.at_night > 0 {
        let many = tally.at_night;
        write!(text, ", {many} at night (22–7 {})", run.zone).ok();
    }
    if tally.shadow > 0 {
        write!(text, ", {} of them by shadow rules", tally.shadow).ok();
    }
    writeln!(text, ".").ok();
    text.push_str(&not_sent(totals));
    let hours: Vec<u32> = tally
        .hours
        .iter()
        .map(|count| u32::try_from(*count).unwrap_or(u32::MAX))
        .collect();
    if tally.messages > 1 {
        let line = sparkline(&hours, hours.len());
        writeln!(text, "By hour, 0 to 23: {line}").ok();
    }
    let dropped: u64 = totals
        .rules
        .iter()
        .map(|counts| counts.dropped_groups)
        .sum();
    if dropped > 0 {
        writeln!(
            text,
            "{dropped} times a group was let go of because there were more than `max_groups`."
        )
        .ok();
    }
    write!(text, "{}", read(totals, run.took)).ok();
    if totals.skewed > 0 {
        writeln!(
            text,
            "{} lines bear times in the future: their arrival counted instead.",
            totals.skewed
        )
        .ok();
    }
    text
}

/// What was kept back, and why.
fn not_sent(totals: &Totals) -> String {
    let mut all = HeldBack::default();
    for counts in &totals.rules {
        let held_back = counts.held_back;
        all.silenced += held_back.silenced;
        all.inhibited += held_back.inhibited;
        all.interval += held_back.interval;
        all.folded += held_back.folded;
        all.shadow += held_back.shadow;
        all.unrouted += held_back.unrouted;
    }
    match held_back(&all).as_str() {
        "" => String::new(),
        reasons => format!("Not sent: {reasons}.\n"),
    }
}

/// `126 lines, 0.0 MB in 3ms (2 MB/s); 13m53s of log.`
pub(super) fn read(totals: &Totals, took: Duration) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for show")]
    let megabytes = totals.bytes as f64 / 1e6;
    let rate = megabytes / took.as_secs_f64().max(1e-9);
    let lines = counted(totals.lines, "line");
    let took = duration_text(took);
    let mut text = format!("{lines}, {megabytes:.1} MB in {took} ({rate:.0} MB/s)");
    if let Some((begin, end)) = totals.span {
        // Writing to a String cannot fail.
        write!(text, "; {} of log", duration_text(end.since(begin))).ok();
    }
    text.push_str(".\n");
    text
}
