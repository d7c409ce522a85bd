//! What was learnt → rules, each with tests of its own, as text. Pure.
//!
//! A threshold lies above what nearly every window had: what is proposed is quiet on days like
//! these. Text of the logs is quoted so that it can be nothing but text.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use lapwing_rules::language::quantity::duration_text;

use super::learn::{Kind, LEVELS, Learnt, TROUBLE, What};
use crate::outputs::safe;

/// Rules for kinds of trouble.
const MOST_BURSTS: usize = 15;
/// Rules for what should go on.
const MOST_SILENCES: usize = 3;
/// Bytes of a text that is looked for.
const LONGEST_TEXT: usize = 60;
const SHORTEST_TEXT: usize = 8;
const DAY: Duration = Duration::from_hours(24);

/// A rule as YAML, an item of a list that begins in column 2.
pub(super) struct Proposal {
    pub(super) name: String,
    pub(super) text: String,
}

/// Everything that is worth proposing, the commonest first.
pub(super) fn propose(learnt: &Learnt) -> Vec<Proposal> {
    let kinds = learnt.kinds();
    let mut names = BTreeSet::new();
    let mut proposals = Vec::new();
    let of = |what: What| kinds.iter().copied().filter(move |kind| kind.what == what);
    for errors in of(What::ServerErrors) {
        proposals.push(server_errors(errors));
        let all = of(What::Requests).find(|all| all.format == errors.format);
        proposals.extend(all.map(|all| share_of_errors(all, errors)));
    }
    let trouble = || {
        let mut all = kinds.iter().copied();
        std::iter::from_fn(move || all.find(|kind| kind.is_trouble && !kind.sample.is_empty()))
    };
    let bursts = trouble().filter_map(|kind| burst(kind, learnt));
    proposals.extend(bursts.take(MOST_BURSTS));
    let formats: BTreeSet<&str> = trouble()
        .filter(|kind| matches!(kind.what, What::Shape(_)))
        .map(|kind| kind.format)
        .collect();
    proposals.extend(formats.into_iter().filter_map(|format| {
        let of_format = trouble().filter(|kind| kind.format == format);
        new_trouble(format, &of_format.collect::<Vec<_>>())
    }));
    let steady = kinds.iter().filter_map(|kind| silence(kind, learnt));
    proposals.extend(steady.take(MOST_SILENCES));
    for proposal in &mut proposals {
        let wanted = proposal.name.clone();
        let mut n = 1;
        while !names.insert(proposal.name.clone()) {
            n += 1;
            proposal.name = format!("{wanted}-{n}");
        }
        proposal.text = format!("  - name: {}\n{}", proposal.name, proposal.text);
    }
    proposals
}

/// More of one kind of trouble than nearly ever.
fn burst(kind: &Kind, learnt: &Learnt) -> Option<Proposal> {
    let What::Shape(shape) = &kind.what else {
        return None;
    };
    // What is as rare as that is told when it is new.
    let days = learnt.length().as_secs() / DAY.as_secs();
    if kind.count < 5.max(days) {
        return None;
    }
    let looked_for = literal(shape, &kind.sample)?;
    let num_events = (2 * kind.usual_most()).clamp(5, 50_000);
    let mut text = String::new();
    // Writing to a String cannot fail.
    write!(
        text,
        "    match: {{contains: [{}]}}\n    type: frequency\n    num_events: {num_events}\n    timeframe: 5m\n",
        quoted(looked_for)
    )
    .ok();
    text.push_str(&tests_of_a_burst(kind, num_events));
    Some(Proposal {
        name: slug(looked_for),
        text,
    })
}

fn server_errors(kind: &Kind) -> Proposal {
    let num_events = (2 * kind.usual_most()).clamp(10, 50_000);
    let mut text = format!(
        "    summary: '{{{{ count }}}} requests in {{{{ timeframe }}}} ended with 5xx on {{{{ host }}}}: {{{{ top.path | top }}}}'\n    \
         severity: critical\n    match: {{where: 'status >= 500'}}\n    type: frequency\n    num_events: {num_events}\n    \
         timeframe: 5m\n    top_count_keys: [path, status]\n"
    );
    text.push_str(&tests_of_a_burst(kind, num_events));
    Proposal {
        name: "http-server-errors".to_owned(),
        text,
    }
}

fn tests_of_a_burst(kind: &Kind, num_events: u64) -> String {
    let line = quoted(&kind.sample);
    let every = (240_000 / num_events).max(1);
    let few = num_events - 1;
    format!(
        "    tests:\n      - name: as many as that\n        format: {format}\n        \
         lines: [{{at: 0s, every: {every}ms, repeat: {num_events}, line: {line}}}]\n        \
         expect: [{{at: 5m, alerts: 1}}]\n      - name: one less\n        format: {format}\n        \
         lines: [{{at: 0s, every: {every}ms, repeat: {few}, line: {line}}}]\n        \
         expect: [{{at: 10m, alerts: 0}}]\n",
        format = kind.format
    )
}

fn share_of_errors(all: &Kind, errors: &Kind) -> Proposal {
    // Three times what it was, and no less than 5 %.
    let percent = (errors.count * 100).div_ceil(all.count.max(1));
    let most = (percent * 3).clamp(5, 90);
    Proposal {
        name: "http-share-of-server-errors".to_owned(),
        text: format!(
            "    summary: '{{{{ value | round(1) }}}} % of requests in {{{{ timeframe }}}} ended with 5xx on {{{{ host }}}}'\n    \
             match: {{where: 'exists(status)'}}\n    type: percentage_match\n    match_bucket: {{where: 'status >= 500'}}\n    \
             max_percentage: {most}\n    min_denominator: 50\n    timeframe: 5m\n    tests:\n      - name: nothing but errors\n        \
             format: {}\n        lines: [{{at: 0s, every: 1s, repeat: 50, line: {}}}]\n        expect: [{{at: 5m, alerts: 1}}]\n",
            errors.format,
            quoted(&errors.sample)
        ),
    }
}

/// Trouble of a kind that was never seen.
fn new_trouble(format: &str, kinds: &[&Kind]) -> Option<Proposal> {
    let first = kinds.first()?;
    let levels = LEVELS.iter().map(|word| format!("\"{word}\""));
    let levels: Vec<String> = levels.collect();
    let is_leveled = matches!(format, "json" | "logfmt" | "nginx_error");
    let matching = if is_leveled {
        format!(
            "{{where: {}}}",
            quoted(&format!("level in [{}]", levels.join(", ")))
        )
    } else {
        format!("{{regex: [{}]}}", quoted(TROUBLE))
    };
    let line = quoted(&first.sample);
    Some(Proposal {
        name: format!("new-trouble-{}", format.replace('_', "-")),
        text: format!(
            "    summary: 'a kind of trouble that was never seen before on {{{{ host }}}}'\n    match: {matching}\n    \
             type: new_pattern\n    learn_for: 1d\n    also_when: [returned]\n    tests:\n      - name: what is known is no news\n        \
             format: {format}\n        lines: [{{at: 0s, line: {line}}}, {{at: 2d, line: {line}}}]\n        \
             expect: [{{at: 3d, alerts: 0}}]\n",
        ),
    })
}

/// Something that comes all the time does not come any more.
fn silence(kind: &Kind, learnt: &Learnt) -> Option<Proposal> {
    let length = learnt.length();
    let covered = kind.last.since(kind.first);
    let gap = kind.longest_gap;
    let hour = Duration::from_hours(1);
    let steady =
        kind.count >= 100 && covered * 10 >= length * 9 && gap <= hour && gap * 50 <= length;
    if !steady || kind.is_trouble || kind.sample.is_empty() || gap.is_zero() {
        return None;
    }
    let minutes = (gap.as_secs() * 3).div_ceil(60).max(1);
    let timeframe = duration_text(Duration::from_secs(minutes * 60));
    let (matching, name) = match &kind.what {
        What::Requests => (
            "{where: 'exists(status)'}".to_owned(),
            "no-requests".to_owned(),
        ),
        What::ServerErrors => return None,
        What::Shape(shape) => {
            let looked_for = literal(shape, &kind.sample)?;
            let matching = format!("{{contains: [{}]}}", quoted(looked_for));
            (matching, format!("no-{}", slug(looked_for)))
        }
    };
    let after = duration_text(Duration::from_secs(minutes * 60 + 60));
    Some(Proposal {
        name,
        text: format!(
            "    match: {matching}\n    type: flatline\n    timeframe: {timeframe}   # the longest pause was {}\n    tests:\n      \
             - name: nothing for so long\n        format: {}\n        lines: [{{at: 0s, line: {}}}]\n        \
             expect: [{{at: {after}, alerts: 1}}]\n",
            duration_text(gap),
            kind.format,
            quoted(&kind.sample)
        ),
    })
}

/// The longest text between two things that vary, as far as it stands in the line as it is.
fn literal<'s>(shape: &'s str, line: &str) -> Option<&'s str> {
    let mut parts: Vec<&str> = vec![shape];
    for mask in [
        "<number>", "<ip>", "<uuid>", "<hex>", "<path>", "<email>", "<time>",
    ] {
        parts = parts
            .into_iter()
            .flat_map(|part| part.split(mask))
            .collect();
    }
    let parts = parts.into_iter().map(|part| {
        let end = part.floor_char_boundary(LONGEST_TEXT);
        part.get(..end).unwrap_or(part).trim()
    });
    let usable = parts.filter(|part| {
        part.len() >= SHORTEST_TEXT
            && part.chars().any(char::is_alphabetic)
            && safe::visible(part) == *part
            && line.contains(part)
    });
    usable.max_by_key(|part| part.len())
}

/// `payment failed at`: `payment-failed-at`.
fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let mut slug = String::new();
    for word in words.filter(|word| !word.is_empty()) {
        if slug.len() + word.len() > 40 {
            break;
        }
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.push_str(&word.to_ascii_lowercase());
    }
    if slug.is_empty() {
        "burst".to_owned()
    } else {
        slug
    }
}

/// As YAML text on one line, whatever it holds.
fn quoted(text: &str) -> String {
    if safe::visible(text) == text {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        let number = u32::from(c);
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => {
                // Writing to a String cannot fail.
                write!(out, "\\U{number:08x}").ok();
            }
        }
    }
    out.push('"');
    out
}
