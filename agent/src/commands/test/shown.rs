//! How a test went, in words for a person and as JSON. Pure: values in, text out.

use std::fmt::Write as _;
use std::time::Duration;

use lapwing_rules::language::quantity::written;
use lapwing_rules::model::Number;
use lapwing_rules::trial::{Mismatch, Said};
use serde_json::{Value, json};

use super::Ran;
use crate::outputs::safe;

/// One object a test.
pub(super) fn json(ran: &Ran<'_>) -> Value {
    let mismatches: Vec<Value> = ran
        .outcome
        .mismatches
        .iter()
        .map(|mismatch| {
            let expect = ran.test.expect.get(mismatch.expectation);
            json!({
                "at": expect.map(|expect| written(expect.at)),
                "line": expect.map(|expect| expect.place.line),
                "column": expect.map(|expect| expect.place.column),
                "what": mismatch.what, "expected": mismatch.expected, "got": mismatch.got,
            })
        })
        .collect();
    let told: Vec<Value> = ran
        .outcome
        .said
        .iter()
        .map(|said| {
            json!({"at": ms(said.at_ms), "reason": said.reason, "count": said.count,
                "value": Number(said.value), "group": said.group})
        })
        .collect();
    let counted = ran.outcome.counted.iter();
    let counted: Vec<Value> = counted
        .map(|(at, line)| json!({"at": ms(*at), "line": line}))
        .collect();
    json!({
        "rule": ran.rule.name, "test": ran.test.name, "passed": ran.passed(),
        "file": &*ran.test.place.file, "line": ran.test.place.line,
        "seconds": ran.took.as_secs_f64(), "mismatches": mismatches,
        "lines": ran.outcome.lines, "hits": ran.outcome.hits, "counted": counted, "told": told,
    })
}

/// All there is to say about one that failed, each line with its LF.
pub(super) fn failure(ran: &Ran<'_>) -> String {
    let (test, outcome) = (ran.test, &ran.outcome);
    let mut text = String::new();
    // Writing to a String cannot fail.
    writeln!(
        text,
        "FAIL {} / {}",
        ran.rule.name,
        safe::visible(&test.name)
    )
    .ok();
    for mismatch in &outcome.mismatches {
        writeln!(text, "  at {}", reason(ran, mismatch)).ok();
    }
    if outcome.said.is_empty() {
        writeln!(text, "  nothing was told").ok();
    } else {
        writeln!(text, "  told:").ok();
    }
    for said in &outcome.said {
        writeln!(text, "    {:>8}  {}", ms(said.at_ms), told(said)).ok();
    }
    writeln!(
        text,
        "  {} of {} lines counted{}",
        outcome.hits,
        outcome.lines,
        if outcome.hits == 0 { "" } else { ":" }
    )
    .ok();
    if outcome.hits > outcome.counted.len() as u64 {
        let before = outcome.hits - outcome.counted.len() as u64;
        writeln!(text, "    … {before} before these").ok();
    }
    for (at, line) in &outcome.counted {
        writeln!(text, "    {:>8}  {}", ms(*at), safe::short(line, 120)).ok();
    }
    text
}

/// `45s (nginx.yaml:17:13): alerts: expected 2, got 1`
pub(super) fn reason(ran: &Ran<'_>, mismatch: &Mismatch) -> String {
    let Some(expect) = ran.test.expect.get(mismatch.expectation) else {
        return mismatch.what.to_owned();
    };
    let place = &expect.place;
    format!(
        "{} ({}:{}:{}): {}: expected {}, got {}",
        written(expect.at),
        place.file,
        place.line,
        place.column,
        mismatch.what,
        safe::visible(&mismatch.expected),
        safe::visible(&mismatch.got)
    )
}

fn told(said: &Said) -> String {
    let reason = serde_json::to_value(said.reason).unwrap_or_default();
    let mut text = format!(
        "{:8}  count {}, value {}",
        reason.as_str().unwrap_or_default(),
        said.count,
        said.value
    );
    for (name, value) in &said.group {
        // Writing to a String cannot fail.
        write!(text, ", {name}={}", safe::short(value, 60)).ok();
    }
    text
}

fn ms(at: u64) -> String {
    written(Duration::from_millis(at))
}
