//! Records of several lines, from the file to the message: stack traces live, over old logs and
//! after a kill.

use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use serde_json::Value;

use crate::host::{Host, json_lines, wait_until};
use crate::random::Random;
use crate::receiver::Receiver;
use crate::same_everywhere::{firing, same};

const RECORDS: usize = 6_000;
/// 20 November 2025, 00:00 UTC: over for long.
const BEGIN: i64 = 1_763_596_800;

const RULES: &str = r"
version: 1
rules:
  - name: timeouts
    # Words of different lines of a trace.
    match: {contains: ['ERROR'], regex: ['Caused by: (?P<cause>\S+Timeout)'], not: {contains: ['at org.example.Health']}}
    type: frequency
    num_events: 3
    timeframe: 1m
    group_by: [cause, logger]
    realert: 1m
  - name: first-line
    match: {regex: ['^\S+ \S+ ERROR .*payment']}
    type: frequency
    num_events: 3
    timeframe: 2m
    realert: 5m
  - name: last
    match: {contains: ['the end']}
    type: any
    tests:
      - name: a line that holds line feeds is a record
        lines:
          - at: 0s
            line: |
              2025-11-20 00:00:00 INFO Main nothing
                at the end
        expect: [{at: 0s, alerts: 1}]
";

const INPUT: &str = r"
inputs:
  other: {type: file, path: other.log, format: plain, start_at: beginning}
  shop:
    type: file
    path: shop.log
    pattern: '^(?P<time>\S+ \S+) (?P<level>[A-Z]+) (?P<logger>\S+) (?P<message>.*)$'
    time_format: '%Y-%m-%d %H:%M:%S'
    start_at: beginning
    multiline: {start: '^\d{4}-\d\d-\d\d ', timeout: 500ms}
";

/// What a Java program writes.
fn log() -> String {
    let mut random = Random::new(4_711);
    let mut text = String::new();
    let mut second = BEGIN;
    for n in 0..RECORDS {
        second += i64::from(random.below(3) == 0);
        let time = jiff::Timestamp::from_second(second).unwrap();
        let time = time.strftime("%Y-%m-%d %H:%M:%S");
        let logger = random.one_of(&["Cart", "Payment"]);
        if n + 1 == RECORDS {
            writeln!(text, "{time} ERROR {logger} failed\n  at the end").unwrap();
        } else if random.below(8) > 0 {
            writeln!(
                text,
                "{time} INFO {logger} done in {} ms",
                random.below(900)
            )
            .unwrap();
        } else {
            trace(&mut text, &mut random, &format!("{time} ERROR {logger}"));
        }
    }
    text
}

fn trace(text: &mut String, random: &mut Random, begin: &str) {
    let what = random.one_of(&["order", "payment", "cart"]);
    writeln!(text, "{begin} {what} failed").unwrap();
    writeln!(text, "java.lang.RuntimeException: {what}").unwrap();
    for frame in 0..random.below(20) {
        let class = if random.below(40) == 0 {
            "Health"
        } else {
            "Shop"
        };
        writeln!(text, "\tat org.example.{class}.run({class}.java:{frame})\r").unwrap();
    }
    writeln!(text).unwrap();
    let cause = random.one_of(&["SocketTimeout", "PoolTimeout", "NullPointer"]);
    writeln!(text, "Caused by: {cause}: ERROR in {what}").unwrap();
    writeln!(text, "\t... {} more", random.below(9)).unwrap();
}

fn host(receiver: &Receiver) -> Host {
    let host = Host::with(INPUT, RULES);
    let hook = format!(
        "outputs: {{hook: {{type: webhook, url: '{}'}}}}\n",
        receiver.url("/")
    );
    host.append("lapwing.yaml", hook);
    host
}

/// `backtest -c` with these arguments.
fn backtest(host: &Host, args: &[&str]) -> (Vec<Value>, Value) {
    let mut all = vec!["backtest", "--json", "-c", "lapwing.yaml"];
    all.extend(args);
    let done = host.command(&all);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let mut told = json_lines(&done.stdout);
    let summary = told.pop().expect("a summary")["summary"].take();
    (told, summary)
}

#[test]
fn stack_traces_give_the_same_live_and_over_old_logs_and_with_a_kill_between() {
    let receiver = Receiver::start();
    let host = host(&receiver);
    let log = log();
    let mut rest = log.as_str();
    host.write("shop.log", "");
    // Killed in mid-record more often than not.
    for part in 1..=4 {
        let agent = host.run();
        while rest.len() > (4 - part) * log.len() / 4 {
            let (piece, behind) = rest.split_at(rest.len().min(9_999));
            host.append("shop.log", piece);
            rest = behind;
        }
        if part < 4 {
            let before = receiver.received().len();
            wait_until("something told", || receiver.received().len() > before);
            agent.kill9();
        } else {
            receiver.wait_for(1, |request| request.is("last", "firing"));
            agent.stop();
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    let received = receiver.received();
    let live = received.iter().filter(|request| seen.insert(request.key()));
    let live = firing(live.map(|request| request.json.clone()).collect());

    let (old, summary) = backtest(&host, &["shop.log"]);
    assert_eq!(summary["lines"], log.lines().count());
    let old = firing(old);
    same(&live, &old);
    // By its old name, by a packed copy's, and by the name of the input.
    host.write(
        "shop.log.1.zst",
        zstd::encode_all(log.as_bytes(), 1).unwrap(),
    );
    host.write("elsewhere", &log);
    for args in [&["shop.log.1.zst"][..], &["--input", "shop", "elsewhere"]] {
        same(&firing(backtest(&host, args).0), &old);
    }
    let told = |rule: &str| old.iter().filter(|json| json["rule"] == rule).count();
    assert!(told("timeouts") > 5 && told("first-line") > 5, "{old:#?}");
    let sample = old
        .iter()
        .find(|json| json["rule"] == "timeouts")
        .expect("one");
    let line = sample["samples"][0]["line"].as_str().expect("a line");
    assert!(
        line.contains("failed\njava.lang") && line.contains("\n\t... "),
        "{line}"
    );
    assert!(!line.contains('\r') && !line.ends_with('\n'), "{line}");
    assert!(sample["group"]["logger"] != "", "{sample}");
    // As lines they give something else.
    let (lines, _) = backtest(&host, &["--input", "other", "shop.log"]);
    let timeouts = lines.iter().filter(|json| json["rule"] == "timeouts");
    for told in timeouts {
        assert_eq!(told["group"]["logger"], "", "its line stands elsewhere");
    }
}

#[test]
fn whole_records_are_printed_by_match() {
    let host = Host::with(INPUT, RULES);
    let records =
        ["a", "b"].map(|what| format!("2025-11-20 00:00:00 ERROR X {what}\n  at the end\n"));
    let noise = "2025-11-20 00:00:00 INFO X fine\n  at all\n";
    host.write("shop.log", [&records[0], noise, &records[1]].concat());
    let done = host.command(&["match", "-c", "lapwing.yaml", "--rule", "last", "shop.log"]);
    assert_eq!(
        (done.code, done.stdout),
        (0, records.concat()),
        "{}",
        done.stderr
    );
    let done = host.command(&[
        "match",
        "-c",
        "lapwing.yaml",
        "--rule",
        "last",
        "rules.yaml",
    ]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("--input NAME"), "{}", done.stderr);
    let args = [
        "match",
        "-c",
        "lapwing.yaml",
        "--input",
        "shpo",
        "--rule",
        "last",
        "shop.log",
    ];
    let done = host.command(&args);
    assert_eq!(done.code, 2);
    assert!(
        done.stderr.contains("did you mean `shop`?"),
        "{}",
        done.stderr
    );
}

#[test]
fn a_test_of_a_rule_may_hold_a_record() {
    let host = Host::with(INPUT, RULES);
    let done = host.command(&["test", "-c", "lapwing.yaml"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
}

#[test]
fn a_record_on_standard_input_is_told_when_nothing_came_for_it_for_a_while() {
    let config = "inputs: {piped: {type: stdin, multiline: {continue: '^ ', timeout: 100ms}}}\n\
                  outputs: {screen: {type: console}}\n";
    let host = Host::with(config, RULES);
    let mut command = host.lapwing(&["run", "-c", "lapwing.yaml"]);
    let mut agent = crate::host::Agent::start(command.stdin(std::process::Stdio::piped()));
    agent.stderr.wait_for("ready");
    agent.write("ERROR\n  at the end\n");
    agent.stdout.wait_for("at the end");
    agent.write("ERROR\n");
    agent.stop();
}

#[test]
fn a_line_of_a_gibibyte_costs_no_memory() {
    const GIB: u64 = 1024 * 1024 * 1024;
    let receiver = Receiver::start();
    let host = host(&receiver);
    let file = File::create(host.path("other.log")).unwrap();
    file.write_all_at(b"begins", 0).unwrap();
    file.write_all_at(b"\nthe end\n", GIB).unwrap();
    let agent = host.run();
    let told = receiver.wait_for(1, |request| request.is("last", "firing"));
    let sample = &told[0].json["samples"][0];
    assert_eq!(
        (&sample["line"], &sample["offset"]),
        (&"the end".into(), &(GIB + 1).into())
    );
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", agent.pid().as_raw_nonzero())).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("a peak");
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 128 * 1024, "{kib} KiB");
    agent.stop();
}

#[test]
fn mistakes_in_multiline_are_told_with_their_places() {
    let config = r"
inputs:
  one: {type: file, path: a.log, multiline: {start: '^(?P<x\S+)'}}
  two: {type: file, path: a.log, multiline: {timeout: 1s}}
  three: {type: file, path: a.log, multiline: {start: '^a', timeout: 2h}}
  four: {type: file, path: a.log, multiline: {strat: '^a', continue: 'a\nb'}}
  five: {type: file, path: a.log, multiline: {start: ''}}
";
    let host = Host::with(config, "version: 1\nrules: []\n");
    let done = host.command(&["check", "-c", "lapwing.yaml", "--json"]);
    assert_eq!(done.code, 78);
    let problems = json_lines(&done.stdout);
    let said: Vec<(&str, u64, u64)> = problems
        .iter()
        .map(|problem| {
            let number = |key: &str| problem[key].as_u64().expect("a number");
            (
                problem["code"].as_str().expect("a code"),
                number("line"),
                number("column"),
            )
        })
        .collect();
    let expected = [
        ("bad-regex", 6, 60),
        ("missing-key", 7, 45),
        ("out-of-range", 8, 70),
        ("unknown-key", 9, 47),
        ("bad-regex", 9, 72),
        ("every-line", 10, 54),
    ];
    assert_eq!(said, expected, "{problems:#?}");
}
