//! What a person sees of a backtest: what would have been said, when, by which rule, and how much
//! of it at night. Pure: values in, text out.

use std::fmt::Write as _;
use std::time::Duration;

use lapwing_rules::engine::HeldBack;
use lapwing_rules::language::quantity::duration_text;
use lapwing_rules::language::rule::RuleSet;
use lapwing_rules::model::{Mode, Notification, Reason, RuleId, Timestamp};

use super::replay::Totals;
use crate::commands::status::held_back;
use crate::commands::terminal::counted;
use crate::outputs::console::{DIM, Palette, style_of};
use crate::outputs::render::{self, sparkline};
use crate::outputs::safe;

/// Characters of the timeline.
const COLUMNS: usize = 48;
/// Messages listed one by one; more are counted.
const LISTED: usize = 100;

/// What a report needs of the notifications: little of each, for there may be millions.
#[derive(Debug)]
pub(super) struct Story {
    palette: Palette,
    /// The first ones, a line each.
    listed: String,
    told: Vec<Moment>,
}

#[derive(Debug)]
struct Moment {
    rule: Option<RuleId>,
    at: Timestamp,
    mode: Mode,
}

impl Story {
    /// Nothing has been told yet.
    pub(super) fn new(palette: Palette) -> Self {
        Self {
            palette,
            listed: String::new(),
            told: Vec::new(),
        }
    }

    /// Notes what is told.
    pub(super) fn add(&mut self, rules: &RuleSet, notification: &Notification) {
        if self.told.len() < LISTED {
            self.listed.push_str(&message(notification, self.palette));
        }
        let rule = rules.by_name(&notification.rule).map(|(id, _)| id);
        self.told.push(Moment {
            rule,
            at: notification.sent_at,
            mode: notification.mode,
        });
    }

    /// The whole report, each line with its LF.
    pub(super) fn report(&self, rules: &RuleSet, totals: &Totals, took: Duration) -> String {
        let mut text = self.listed.clone();
        if self.told.len() > LISTED {
            let more = self.told.len() - LISTED;
            // Writing to a String cannot fail.
            writeln!(text, "… and {more} more; --json prints them all").ok();
        }
        if !self.told.is_empty() {
            text.push('\n');
        }
        if let Some(span) = totals.span {
            timelines(&mut text, rules, &self.told, totals, span, self.palette);
        }
        text.push_str(&summary(&self.told, totals, took));
        text
    }
}

fn message(n: &Notification, palette: Palette) -> String {
    let reason = match n.reason {
        Reason::First => "firing",
        Reason::Repeat => "repeat",
        Reason::Digest => "digest",
        Reason::Escalated => "escalated",
        Reason::Resolved => "resolved",
        Reason::Drill => "drill",
    };
    let shadow = if n.mode == Mode::Shadow {
        " (shadow)"
    } else {
        ""
    };
    let reason = palette.paint(style_of(n), &format!("{reason:8}"));
    let when = palette.paint(DIM, &render::moment(n.sent_at));
    format!(
        "{when}  {reason}  {}{shadow}\n",
        safe::short(&n.summary, 160)
    )
}

/// A line a rule: messages over the time of the logs.
fn timelines(
    text: &mut String,
    rules: &RuleSet,
    told: &[Moment],
    totals: &Totals,
    (begin, end): (Timestamp, Timestamp),
    palette: Palette,
) {
    let active: Vec<(RuleId, &str)> = rules
        .iter()
        .filter(|(id, _)| {
            totals
                .rules
                .get(id.0 as usize)
                .is_some_and(|counts| counts.hits > 0)
        })
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
        writeln!(text, "{:width$}  {}", "", palette.paint(DIM, &axis)).ok();
    }
    for (id, name) in active {
        let Some(counts) = totals.rules.get(id.0 as usize) else {
            continue;
        };
        let mine = told.iter().filter(|moment| moment.rule == Some(id));
        writeln!(
            text,
            "{name:width$}  {}  {}, {}, {}",
            timeline(mine, begin, end),
            counted(counts.hits, "hit"),
            counted(counts.alerts, "alert"),
            counted(counts.notifications, "message")
        )
        .ok();
    }
    text.push('\n');
}

fn timeline<'a>(
    told: impl Iterator<Item = &'a Moment>,
    begin: Timestamp,
    end: Timestamp,
) -> String {
    let mut counts = vec![0u32; COLUMNS];
    let whole = end.since(begin).as_nanos().max(1);
    for moment in told {
        let at = moment.at.since(begin).as_nanos().min(whole);
        let column = usize::try_from(at * (COLUMNS as u128 - 1) / whole).unwrap_or(COLUMNS - 1);
        if let Some(count) = counts.get_mut(column) {
            *count += 1;
        }
    }
    sparkline(&counts, COLUMNS)
}

fn summary(told: &[Moment], totals: &Totals, took: Duration) -> String {
    let at_night = told.iter().filter(|n| is_night(n.at)).count();
    let shadow = told.iter().filter(|n| n.mode == Mode::Shadow).count();
    let alerts: u64 = totals.rules.iter().map(|counts| counts.alerts).sum();
    let messages = counted(told.len() as u64, "message");
    let mut text = format!("{messages} about {}", counted(alerts, "alert"));
    if at_night > 0 {
        write!(text, ", {at_night} at night (22–7 UTC)").ok();
    }
    if shadow > 0 {
        write!(text, ", {shadow} of them by shadow rules").ok();
    }
    writeln!(text, ".").ok();
    text.push_str(&not_sent(totals));
    #[expect(clippy::cast_precision_loss, reason = "for show")]
    let rate = totals.bytes as f64 / took.as_secs_f64().max(1e-9) / 1e6;
    write!(
        text,
        "{}, {:.1} MB in {} ({rate:.0} MB/s)",
        counted(totals.lines, "line"),
        megabytes(totals.bytes),
        duration_text(took)
    )
    .ok();
    if let Some((begin, end)) = totals.span {
        write!(text, "; {} of log", duration_text(end.since(begin))).ok();
    }
    writeln!(text, ".").ok();
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
    }
    match held_back(&all).as_str() {
        "" => String::new(),
        reasons => format!("Not sent: {reasons}.\n"),
    }
}

fn megabytes(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "for show")]
    let bytes = bytes as f64;
    bytes / 1e6
}

fn is_night(at: Timestamp) -> bool {
    let hour = at.as_secs().rem_euclid(86_400) / 3_600;
    !(7..22).contains(&hour)
}
