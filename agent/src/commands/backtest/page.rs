//! `--html`: the run as one page that stands by itself: no script, no request, light or dark as the
//! reader's system is. Pure: values in, text out. The graphs are drawn by `page/graph.rs`.
//!
//! What a log line holds comes in through [`text`] only, which makes it harmless.

mod graph;

use std::borrow::Cow;
use std::fmt::Write as _;

use lapwing_rules::language::quantity::duration_text;
use lapwing_rules::model::{Mode, RuleId, Severity};

use super::against::Comparison;
use super::report::{Run, read};
use super::tally::Episode;
use crate::outputs::render;
use crate::outputs::safe;

const STYLE: &str = include_str!("page.css");
/// Alerts shown one by one.
const ALERTS: usize = 500;
/// Changes shown one by one.
const CHANGES: usize = 500;
/// Groups shown.
const GROUPS: usize = 20;
/// Characters of a sample line.
const LINE: usize = 2_000;

/// The whole page.
pub(super) fn page(run: Run<'_>) -> String {
    // The policy holds even if something got through: nothing is loaded, nothing runs.
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>lapwing backtest</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
    );
    head(&mut page, run);
    when(&mut page, run);
    rules(&mut page, run);
    groups(&mut page, run);
    if let Some(comparison) = run.against {
        changes(&mut page, comparison);
    }
    alerts(&mut page, run);
    page.push_str("</body>\n</html>\n");
    page
}

/// Text of a log, a rule or a file as HTML text or attribute, with nothing in it that acts.
fn text(raw: &str) -> String {
    let clean: Cow<'_, str> = safe::visible(raw);
    let mut out = String::with_capacity(clean.len());
    for c in clean.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn head(page: &mut String, run: Run<'_>) {
    let span = run.totals.span.map_or_else(String::new, |(begin, end)| {
        format!("{} to {} · ", render::moment(begin), render::moment(end))
    });
    // Writing to a String cannot fail.
    write!(
        page,
        "<h1>Backtest</h1>\n<p class=\"sub\">{span}{}</p>\n<div class=\"tiles\">\n",
        read(run.totals, run.took).trim_end()
    )
    .ok();
    let alerts: u64 = run.totals.rules.iter().map(|counts| counts.alerts).sum();
    let fired = run.totals.rules.iter().filter(|of| of.alerts > 0).count();
    let night = format!("at night (22–7 {})", text(run.zone));
    let of_rules = format!("of {} rules fired", run.rules.len());
    let mut tiles = vec![
        (run.tally.messages, "messages"),
        (run.tally.at_night, night.as_str()),
        (alerts, "alerts"),
        (fired as u64, of_rules.as_str()),
    ];
    if run.tally.shadow > 0 {
        tiles.push((run.tally.shadow, "held back: shadow rules"));
    }
    for (number, what) in tiles {
        writeln!(page, "<div class=\"tile\"><b>{number}</b>{what}</div>").ok();
    }
    page.push_str("</div>\n");
}

fn when(page: &mut String, run: Run<'_>) {
    let Some(span) = run.totals.span else { return };
    page.push_str("<h2>Messages over time</h2>\n<div class=\"card\">\n");
    page.push_str(&graph::messages(run, span));
    page.push_str("</div>\n<h2>Messages by hour of the day</h2>\n<div class=\"card\">\n");
    page.push_str(&graph::hours(&run.tally.hours));
    page.push_str("</div>\n");
}

fn rules(page: &mut String, run: Run<'_>) {
    let Some(span) = run.totals.span else { return };
    let counts_of = |id: RuleId| run.totals.rules.get(id.0 as usize);
    let mut active: Vec<_> = run
        .rules
        .iter()
        .filter_map(|(id, rule)| Some((id, rule, counts_of(id)?)))
        .filter(|(_, _, counts)| counts.hits + counts.alerts > 0)
        .collect();
    active.sort_by_key(|(_, _, counts)| std::cmp::Reverse((counts.notifications, counts.hits)));
    page.push_str(
        "<h2>By rule</h2>\n<div class=\"card\"><table>\n<tr><th>rule</th><th>hits, and alerts behind them</th>\
         <th class=\"n\">hits</th><th class=\"n\">alerts</th><th class=\"n\">messages</th><th class=\"n\">at night</th></tr>\n",
    );
    for (id, rule, counts) in active {
        let Some(of_rule) = run.tally.rules.get(id.0 as usize) else {
            continue;
        };
        let mine = run.tally.episodes.iter().filter(|of| of.rule == rule.name);
        // Writing to a String cannot fail.
        writeln!(
            page,
            "<tr><td><span class=\"dot {0}\"></span>{1}{2}</td><td class=\"draw\">{3}</td>\
             <td class=\"n\">{4}</td><td class=\"n\">{5}</td><td class=\"n\">{6}</td><td class=\"n\">{7}</td></tr>",
            render::severity(rule.severity),
            text(&rule.name),
            shadow(rule.mode),
            graph::rule(of_rule, mine, rule.severity, span),
            counts.hits,
            counts.alerts,
            counts.notifications,
            of_rule.at_night
        )
        .ok();
    }
    page.push_str("</table></div>\n");
}

fn shadow(mode: Mode) -> &'static str {
    if mode == Mode::Shadow {
        " <span class=\"tag\">shadow</span>"
    } else {
        ""
    }
}

fn groups(page: &mut String, run: Run<'_>) {
    let groups = run.tally.noisiest(GROUPS);
    let Some(most) = groups.first().map(|(_, _, count)| *count) else {
        return;
    };
    page.push_str("<h2>Noisiest groups</h2>\n<div class=\"card\"><table>\n");
    for (rule, group, count) in groups {
        // Writing to a String cannot fail.
        writeln!(
            page,
            "<tr><td class=\"n\">{count}</td><td style=\"width:30%\"><div class=\"bar\" style=\"width:{}%\"></div></td>\
             <td>{}</td><td class=\"dim\">{}</td></tr>",
            count * 100 / most.max(1),
            text(&safe::short(group, 200)),
            text(&run.rules.get(rule).name)
        )
        .ok();
    }
    page.push_str("</table></div>\n");
}

fn changes(page: &mut String, comparison: &Comparison<'_>) {
    // Writing to a String cannot fail.
    writeln!(
        page,
        "<h2>Against the other rules</h2>\n<div class=\"card\">\n<p>{} alerts are the same, \
         <b class=\"appears\">{} appear</b>, <b class=\"vanishes\">{} vanish</b>, <b class=\"moves\">{} move</b>; \
         the other rules sent {} messages.</p>\n<table>",
        comparison.same,
        comparison.count("appears"),
        comparison.count("vanishes"),
        comparison.count("moves"),
        comparison.old_messages
    )
    .ok();
    for change in comparison.changes.iter().take(CHANGES) {
        let episode = change.episode();
        let before = change
            .was_started_at()
            .map(|at| format!(" <span class=\"dim\">was {}</span>", render::moment(at)));
        writeln!(
            page,
            "<tr><td class=\"{0}\">{0}</td><td class=\"when\">{1}{2}</td><td>{3}</td><td class=\"dim\">{4}</td></tr>",
            change.kind(),
            render::moment(episode.started_at),
            before.unwrap_or_default(),
            text(&safe::short(&episode.summary, 300)),
            text(&episode.rule)
        )
        .ok();
    }
    page.push_str("</table>\n");
    more(
        page,
        comparison.changes.len().saturating_sub(CHANGES) as u64,
    );
    page.push_str("</div>\n");
}

fn more(page: &mut String, many: u64) {
    if many > 0 {
        // Writing to a String cannot fail.
        writeln!(
            page,
            "<p class=\"dim\">… and {many} more; --json prints them all.</p>"
        )
        .ok();
    }
}

fn alerts(page: &mut String, run: Run<'_>) {
    let episodes = &run.tally.episodes;
    if episodes.is_empty() {
        page.push_str("<h2 class=\"good\">Nothing would have fired.</h2>\n");
        return;
    }
    page.push_str("<h2>Alerts</h2>\n<div class=\"card\">\n");
    for episode in episodes.iter().take(ALERTS) {
        alert(page, episode);
    }
    let hidden = episodes.len().saturating_sub(ALERTS) as u64 + run.tally.not_kept;
    more(page, hidden);
    page.push_str("</div>\n");
}

fn alert(page: &mut String, episode: &Episode) {
    let lasted = episode.ended_at.map_or_else(
        || "to the end of the logs".to_owned(),
        |end| match end.since(episode.started_at) {
            span if span.is_zero() => "a moment".to_owned(),
            span => duration_text(span),
        },
    );
    // Writing to a String cannot fail.
    writeln!(
        page,
        "<details><summary><span class=\"dot {}\" title=\"{}\"></span><span class=\"dim\">{}</span>\
         <span class=\"what\">{}{}</span><span class=\"dim\">{lasted}</span></summary>",
        severity(episode.severity),
        severity(episode.severity),
        render::moment(episode.started_at),
        text(&safe::short(&episode.summary, 300)),
        shadow(episode.mode),
    )
    .ok();
    writeln!(
        page,
        "<p class=\"dim\">{} · {} hits · {} messages{}</p>",
        text(&episode.rule),
        episode.count,
        episode.messages,
        if episode.group.is_empty() {
            String::new()
        } else {
            format!(" · {}", text(&safe::short(&episode.group, 300)))
        }
    )
    .ok();
    if !episode.samples.is_empty() {
        page.push_str("<pre>");
        for sample in &episode.samples {
            let line = safe::short(&sample.line, LINE);
            writeln!(page, "{}  {}", render::clock_time(sample.at), text(&line)).ok();
        }
        page.push_str("</pre>\n");
    }
    page.push_str("</details>\n");
}

fn severity(severity: Severity) -> &'static str {
    render::severity(severity)
}
