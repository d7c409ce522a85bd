//! From bytes to notifications: the same however the bytes are cut into batches.

mod neighbours;
mod records;

use proptest::prelude::*;

use super::*;
use crate::engine::{Engine, Told};
use crate::language::check::{Checked, Defaults, Known, SourceFile, check};
use crate::language::pattern::{Case, Pattern};
use crate::model::Source;

const RULES: &str = r"
rules:
  - name: burst
    match: {contains: ['oops'], where: 'status >= 500'}
    type: frequency
    num_events: 3
    timeframe: 20s
    group_by: [path]
    top_count_keys: [remote_addr, token]
    realert: 30s
    resolve_after: 10s
    redact: [ip, 'token=(?P<secret>\S+)']
  - name: each
    summary: '{{ fields.path }} {{ group.status }} {{ status }}'
    match: {regex: ['oo(?P<what>p+)s']}
    type: any
    group_by: [status, what]
    realert: 15s
    resolve_after: 10s
";

/// Of the other types, behind those.
const MORE_RULES: &str = r"
  - name: pair
    type: pair
    start: {contains: ['oops']}
    finish: {regex: ['oo(?P<what>p+)s oops', 'fine']}
    within: 20s
    resolve_after: 10s
  - name: sequence
    match: {where: 'status > 0'}
    type: sequence
    steps: [{contains: ['oops'], num_events: 2}, {where: 'status == 502'}]
    within: 50s
    group_by: [path]
  - name: share
    match: {where: 'status > 0'}
    type: percentage_match
    match_bucket: {where: 'status == 502'}
    max_percentage: 40
    min_denominator: 3
    timeframe: 30s
  - name: values
    type: cardinality
    cardinality_field: path
    max_cardinality: 2
    timeframe: 30s
  - name: term
    type: new_term
    fields: [path, [path, status]]
    learn_for: 10s
  - name: pattern
    type: new_pattern
    mask: [number]
    learn_for: 10s
    group_by: [status]
";

fn rules() -> Arc<RuleSet> {
    read(RULES)
}

fn rules_of_all_types() -> Arc<RuleSet> {
    read(&[RULES.trim_end(), MORE_RULES].concat())
}

fn read(text: &str) -> Arc<RuleSet> {
    let file = SourceFile {
        name: "test".into(),
        text: text.into(),
    };
    let Checked {
        rules, problems, ..
    } = check(&[file], &Defaults::default(), Known::default());
    assert_eq!(problems, []);
    Arc::new(RuleSet::new(rules))
}

fn batch(bytes: &[u8], offset: u64) -> Batch {
    Batch {
        source: Arc::new(Source {
            input: InputId(0),
            name: "log".into(),
        }),
        bytes: bytes.to_vec(),
        segments: vec![crate::model::Segment { at: 0, offset }],
        cut: Vec::new(),
        records: Vec::new(),
        arrival: Timestamp::from_secs(5_000),
    }
}

/// What is told of these batches, and how many lines were skewed.
fn run(batches: &[Batch]) -> (Vec<Told>, u64) {
    run_with(rules(), batches)
}

fn run_with(rules: Arc<RuleSet>, batches: &[Batch]) -> (Vec<Told>, u64) {
    let name: Arc<str> = "in".into();
    let input = InputSpec {
        name: Arc::clone(&name),
        format: Some(Arc::new(Format::Nginx)),
    };
    let mut scanner = Scanner::new(&rules, &[input], Listening::AsConfigured);
    let mut engine = Engine::new(rules, "host".into(), Arc::new([name]));
    let mut state = SourceState::default();
    let mut told = Vec::new();
    for batch in batches {
        let latest = Timestamp::from_secs(6_000);
        scanner.scan(batch, &mut state, latest, &mut |hit| {
            engine.observe(hit, &mut told);
        });
    }
    engine.advance(Timestamp::from_secs(100_000), &mut told);
    (told, state.skewed)
}

/// A line at a second of 1 January 1970, or one without a time.
fn line() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("fine"),
        Just("oops"),
        Just("ooppps"),
        Just("oops oops")
    ];
    let status = prop_oneof![Just(200), Just(502), Just(504)];
    (0u32..200, word, status, 0u8..8).prop_map(|(second, word, status, kind)| match kind {
        0 => format!("   at {word} without a time"),
        1 => String::new(),
        // Further in the future than is believed.
        2 => format!(r#"10.0.0.{status} - - [01/Jan/1970:05:00:00 +0000] "GET /{second} HTTP/1.1" {status} 1 "-" "{word}""#),
        _ => {
            let (minute, second) = (second / 60, second % 60);
            format!(
                r#"10.0.0.7 - - [01/Jan/1970:00:{minute:02}:{second:02} +0000] "GET /{} HTTP/1.1" {status} 1 "-" "{word}""#,
                second % 3
            )
        }
    })
}

proptest! {
    #[test]
    fn the_same_is_told_however_the_lines_are_cut_into_batches(
        lines in prop::collection::vec(line(), 1..60),
        cuts in prop::collection::vec(any::<bool>(), 60),
    ) {
        let whole: String = lines.iter().map(|line| line.clone() + "\n").collect();
        let mut parts = Vec::new();
        let (mut start, mut at) = (0, 0);
        for (line, cut) in lines.iter().zip(&cuts) {
            at += line.len() + 1;
            if *cut {
                parts.push(batch(&whole.as_bytes()[start..at], start as u64));
                start = at;
            }
        }
        parts.push(batch(&whole.as_bytes()[start..], start as u64));
        let rules = rules_of_all_types();
        let expected = run_with(Arc::clone(&rules), &[batch(whole.as_bytes(), 0)]);
        prop_assert_eq!(run_with(rules, &parts), expected);
    }
}

#[test]
fn a_line_without_a_time_takes_that_of_the_line_before_it() {
    let text =
        b"1.1.1.1 - - [01/Jan/1970:00:00:07 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"\n  oops\n";
    let at = |batches: &[Batch]| run(batches).0[0].notification.started_at;
    assert_eq!(at(&[batch(text, 0)]), Timestamp::from_secs(7));
    let split = text.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let parts = [
        batch(&text[..split], 0),
        batch(&text[split..], split as u64),
    ];
    assert_eq!(at(&parts), Timestamp::from_secs(7));
    // Without a line before it, its arrival counts.
    assert_eq!(at(&[batch(b"oops\n", 0)]), Timestamp::from_secs(5_000));
}

#[test]
fn nothing_that_is_redacted_is_told_not_even_as_a_field() {
    let line = r#"10.9.8.7 - - [01/Jan/1970:00:00:07 +0000] "GET /a HTTP/1.1" 502 1 "-" "oops" token=hunter2"#;
    let (told, _) = run(&[batch(format!("{line}\n{line}\n{line}\n").as_bytes(), 0)]);
    let burst = told
        .iter()
        .find(|told| told.notification.rule == "burst")
        .unwrap();
    let text = serde_json::to_string(&burst.notification).unwrap();
    assert!(
        text.contains("[ip]") && text.contains("token=[redacted]"),
        "{text}"
    );
    assert!(
        !text.contains("10.9.8.7") && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn a_time_without_a_year_is_of_the_year_that_the_line_arrived_in() {
    let pattern = Pattern::new(r"^(?P<time>\w+ \d+ [\d:]+) ", Case::Sensitive).unwrap();
    let format = Format::Pattern {
        pattern: Box::new(pattern),
        time_format: Some("%b %d %H:%M:%S".to_owned()),
    };
    let rules = rules();
    let name: Arc<str> = "in".into();
    let input = InputSpec {
        name,
        format: Some(Arc::new(format)),
    };
    let mut scanner = Scanner::new(&rules, &[input], Listening::AsConfigured);
    let mut times = Vec::new();
    let batch = batch(b"Jan 01 00:00:07 oops\nDec 31 23:59:59 oops\n", 0);
    let mut state = SourceState::default();
    scanner.scan(
        &batch,
        &mut state,
        Timestamp::from_secs(6_000),
        &mut |hit| {
            times.push(hit.time.to_string());
        },
    );
    assert_eq!(times, ["1970-01-01T00:00:07Z", "1969-12-31T23:59:59Z"]);
}

#[test]
fn inputs_with_patterns_of_their_own_do_not_take_each_others_plans() {
    let file = SourceFile {
        name: "test".into(),
        text: r#"
rules:
  - {name: code, type: any, match: {where: 'code == 502'}}
  - {name: level, type: any, match: {where: 'level == "error"'}}
"#
        .into(),
    };
    let Checked {
        rules, problems, ..
    } = check(&[file], &Defaults::default(), Known::default());
    assert_eq!(problems, []);
    let rules = Arc::new(RuleSet::new(rules));
    let input = |pattern: &str| InputSpec {
        name: "in".into(),
        format: Some(Arc::new(Format::Pattern {
            pattern: Box::new(Pattern::new(pattern, Case::Sensitive).unwrap()),
            time_format: None,
        })),
    };
    let inputs = [input(r"^A (?P<code>\d+)$"), input(r"^B (?P<level>\w+)$")];
    let mut scanner = Scanner::new(&rules, &inputs, Listening::ToEverything);
    let hits = |scanner: &mut Scanner| {
        let mut hits = Vec::new();
        for (input, lines) in [(0, "A 502\n"), (1, "B error\n"), (0, "A 502\n")] {
            let mut batch = batch(lines.as_bytes(), 0);
            let source = Source {
                input: InputId(input),
                name: "log".into(),
            };
            batch.source = Arc::new(source);
            let mut state = SourceState::default();
            scanner.scan(&batch, &mut state, Timestamp::MAX, &mut |hit| {
                hits.push((hit.input.0, hit.rule.0));
            });
        }
        hits
    };
    let expected = [(0, 0), (1, 1), (0, 0)];
    assert_eq!(hits(&mut scanner), expected);
    scanner.prepare();
    assert_eq!(hits(&mut scanner), expected);
    // Enough of other lines that new plans are due.
    let other = "C nothing of note in this line\n".repeat(40_000);
    let mut state = SourceState::default();
    scanner.scan(
        &batch(other.as_bytes(), 0),
        &mut state,
        Timestamp::MAX,
        &mut |_| {},
    );
    let replan = scanner.replan().expect("a megabyte went by");
    assert!(scanner.replan().is_none());
    scanner.adopt(replan.run());
    assert_eq!(hits(&mut scanner), expected);
}

#[test]
fn a_line_that_meets_several_parts_of_a_rule_is_one_hit() {
    let rules = rules_of_all_types();
    let input = InputSpec {
        name: "in".into(),
        format: Some(Arc::new(Format::Nginx)),
    };
    let mut scanner = Scanner::new(&rules, &[input], Listening::AsConfigured);
    let line = |word: &str, status: u16| {
        format!(
            "1.1.1.1 - - [01/Jan/1970:00:00:07 +0000] \"GET /a HTTP/1.1\" {status} 1 \"-\" \"{word}\"\n"
        )
    };
    let text = [
        line("oops", 200),
        line("oops", 502),
        line("no", 502),
        line("no", 200),
        "oops without fields\n".to_owned(),
        line("oops oops", 200),
    ];
    let mut hits: Vec<(String, u32, u64)> = Vec::new();
    let mut state = SourceState::default();
    let batch = batch(text.concat().as_bytes(), 0);
    scanner.scan(
        &batch,
        &mut state,
        Timestamp::from_secs(6_000),
        &mut |hit| {
            let rule = rules.get(hit.rule);
            if !rule.parts.is_empty() {
                hits.push((rule.name.clone(), hit.parts.bits(), hit.sample.offset));
            }
        },
    );
    let told: Vec<String> = hits
        .iter()
        .map(|(rule, parts, at)| {
            let before = &batch.bytes[..usize::try_from(*at).unwrap()];
            let line = memchr::memchr_iter(b'\n', before).count();
            format!("{line} {rule} {parts:b}")
        })
        .collect();
    assert_eq!(
        told,
        [
            "0 pair 10",
            "0 sequence 11",
            "0 share 1",
            "1 pair 10",
            "1 sequence 111",
            "1 share 11",
            "2 sequence 101",
            "2 share 11",
            "3 share 1",
            "4 pair 10",
            "5 pair 110",
            "5 sequence 11",
            "5 share 1",
        ]
    );
}
