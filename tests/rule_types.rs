//! Every rule type by the real program: the same lines say the same in `backtest`, in `test` and to the
//! running agent, which is reloaded, restarted and killed in mid-window; and what fires by silence
//! alone does so by the clock.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lapwing_rules::language::quantity;
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::host::{Agent, Host, json_lines, wait_until};
use crate::random::Random;
use crate::receiver::Receiver;
use crate::same_everywhere::essence;

/// Each type, and each way of those that have several.
const TYPES: [&str; 12] = [
    "any",
    "cardinality",
    "flatline",
    "frequency",
    "new-pattern",
    "new-term",
    "pair-completed",
    "pair-missing",
    "percentage",
    "sequence",
    "spike",
    "spike-before",
];
const RULES: &str = "
version: 1
defaults: {realert: 2d, resolve_after: 1d, samples: 2}
rules:
  - {name: any, group_by: [g], type: any, match: {contains: [kind=err]}}
  - {name: frequency, group_by: [g], type: frequency, match: {contains: [kind=err]}, num_events: 3, timeframe: 1d}
  - {name: spike, group_by: [g], type: spike, spike_type: both, spike_height: 2, timeframe: 1d, threshold_ref: 2, threshold_cur: 2}
  - {name: spike-before, group_by: [g], type: spike, spike_type: up, spike_height: 2, timeframe: 1d, threshold_ref: 2, threshold_cur: 2, reference: {same_time: 5d}}
  - {name: flatline, group_by: [g], type: flatline, match: {contains: [kind=beat, kind=info]}, threshold: 1, timeframe: 2d}
  - {name: new-term, group_by: [g], type: new_term, fields: [x, [x, kind]], terms_window_size: 5d, learn_for: 8h}
  - {name: cardinality, group_by: [g], type: cardinality, cardinality_field: x, min_cardinality: 2, max_cardinality: 3, timeframe: 1d}
  - {name: percentage, group_by: [g], type: percentage_match, match_bucket: {contains: [kind=err]}, min_percentage: 10, max_percentage: 40, min_denominator: 3, timeframe: 1d}
  - {name: pair-missing, group_by: [g], type: pair, start: {contains: [kind=begin]}, finish: {contains: [kind=end]}, within: 16h}
  - {name: pair-completed, group_by: [g], type: pair, start: {contains: [kind=begin]}, finish: {contains: [kind=end]}, within: 16h, fire_on: completed}
  - {name: sequence, group_by: [g], type: sequence, steps: [{contains: [kind=err], num_events: 2}, {contains: [kind=end]}], within: 1d}
  - {name: new-pattern, group_by: [g], type: new_pattern, learn_for: 8h, also_when: [returned], returned_after: 5d}
  - {name: mark, match: {contains: [kind=mark]}, group_by: [x], type: frequency, num_events: 1, timeframe: 1s}
";

const KINDS: [&str; 5] = ["err", "beat", "begin", "end", "info"];
const VALUES: u64 = 5;
const LINES: usize = 300;
/// 23 August 2024, 00:00 UTC: over for long, and a hundred times five days before the day on which the clock
/// of a test begins. `new_term` and `new_pattern` know when something was seen to a 256th of
/// their window, on the absolute clock.
const BEGIN: i64 = 1_724_371_200;
/// All times are multiples of this, but for what comes late: so nothing is due in the minutes that an
/// agent needs to be stopped and started, on however slow a machine. The sixtieth part of a day, in
/// which windows of a day move.
const STEP: u64 = 24 * 60;
/// Lines come less than so many seconds late.
const MOST_LATE: u64 = 50;
/// Between them the agent is reloaded, restarted and killed in turn.
const PIECES: usize = 7;

/// Lines with their seconds from [`BEGIN`], in the order in which they are written.
struct Log(Vec<(i64, String)>);

impl Log {
    /// Bursts and silences in two groups. It begins and ends with every line that there may be, at one
    /// time, so that whoever reads it knows from when on to watch, and how all ends.
    fn generate(seed: u64, most_late: u64) -> Self {
        let mut random = Random::new(seed);
        let mut log = Self(Vec::new());
        log.all_at(0);
        let mut step = 1;
        for n in 0..LINES {
            step += match random.below(12) {
                0 => 20 + random.below(200),
                _ => random.below(9),
            };
            let late = if n % 3 == 2 && most_late > 0 {
                random.below(most_late)
            } else {
                0
            };
            let kind = random.one_of(&KINDS);
            let group = random.one_of(&["a", "b"]);
            // Now and then something that was not there for long.
            let value = random.below(if step % 900 < 500 { 3 } else { VALUES });
            log.line(step * STEP - late, group, kind, value);
        }
        log.all_at((step + 1_000) * STEP);
        log
    }

    fn line(&mut self, second: u64, group: &str, kind: &str, value: u64) {
        let second = i64::try_from(second).unwrap();
        let time = jiff::Timestamp::from_second(BEGIN + second).unwrap();
        let word = ["disk", "net", "cpu", "fan", "psu"][usize::try_from(value).unwrap()];
        let line =
            format!("time={time} g={group} kind={kind} x={value} msg=\"{word} says {kind}\"");
        self.0.push((second, line));
    }

    fn all_at(&mut self, second: u64) {
        for group in ["a", "b"] {
            for kind in KINDS {
                for value in 0..VALUES {
                    self.line(second, group, kind, value);
                }
            }
        }
    }

    fn end(&self) -> i64 {
        self.0.last().expect("not empty").0
    }

    /// In pieces, each of them later than the one before: what is due by its end may be told then.
    fn pieces(&self) -> Vec<&[(i64, String)]> {
        let mut pieces = Vec::new();
        let mut rest = self.0.as_slice();
        for left in (2..=PIECES).rev() {
            let is_cut = |at: &usize| {
                let (before, behind) = rest.split_at(*at);
                let latest = before.iter().map(|line| line.0).max();
                latest < behind.iter().map(|line| line.0).min()
            };
            let at = (rest.len() / left..rest.len()).find(is_cut);
            let (piece, behind) = rest.split_at(at.expect("times go on"));
            pieces.push(piece);
            rest = behind;
        }
        pieces.push(rest);
        pieces
    }

    fn text(lines: &[(i64, String)]) -> String {
        let with_end = |(_, line): &(i64, String)| format!("{line}\n");
        let lines: Vec<String> = lines.iter().map(with_end).collect();
        lines.concat()
    }
}

type Told = BTreeMap<(String, u64), Value>;

/// By alert and number; what a crash made to be said again must be the same.
fn by_alert(all: Vec<Value>) -> Told {
    let mut told = Told::new();
    // Marks have no group, whatever the types make of that.
    let is_mark = |one: &Value| one["rule"] == "mark" || one["group"]["g"] == "";
    for one in all.into_iter().filter(|one| !is_mark(one)) {
        let key = (
            one["id"].as_str().unwrap().to_owned(),
            one["seq"].as_u64().unwrap(),
        );
        let mut one = essence(one);
        forget_long_ago(&mut one);
        if let Some(before) = told.insert(key, one.clone()) {
            assert_eq!(before, one);
        }
    }
    told
}

/// A group that had nothing for 30 days may be forgotten, and need not.
fn forget_long_ago(told: &mut Value) {
    let history = told["history"].as_object_mut().expect("an object");
    if history["fired_30d"] == 0 {
        history.remove("last_started_at");
        history.remove("last_duration_s");
    }
}

/// What `backtest` says before the last lines, and all that there is to say of the log.
fn backtest(host: &Host, log: &Log) -> (Vec<Value>, Told) {
    host.write("whole.log", Log::text(&log.0));
    let until = jiff::Timestamp::from_second(BEGIN + log.end() + 86_400).unwrap();
    let until = until.to_string();
    let args = [
        "backtest",
        "--json",
        "--rules",
        "rules.yaml",
        "--until",
        &until,
        "whole.log",
    ];
    let done = host.command(&args);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let mut all = json_lines(&done.stdout);
    all.pop().expect("a summary");
    let end = jiff::Timestamp::from_second(BEGIN + log.end()).unwrap();
    let is_before = |one: &&Value| seconds_of(one) < log.end();
    let before = all.iter().filter(is_before).cloned().collect();
    assert!(
        all.is_sorted_by_key(seconds_of),
        "oldest first, until {end}"
    );
    (before, by_alert(all))
}

fn seconds_of(told: &Value) -> i64 {
    let at: jiff::Timestamp = told["sent_at"].as_str().unwrap().parse().unwrap();
    at.as_second() - BEGIN
}

fn wait_for_mark(host: &Host, n: usize) {
    let mark = format!("\"group\":{{\"x\":\"{n}\"}}");
    wait_until("a piece to be read", || {
        host.path("told.jsonl").exists() && host.read("told.jsonl").contains(&mark)
    });
}

/// The agent reads the log piece by piece, and is interrupted between them.
fn live(host: &Host, log: &Log) -> Told {
    let config = "state_dir: state\nrules: [rules.yaml]\ncontrol: run/control.sock\n\
        inputs: {app: {type: file, path: app.log, format: logfmt, start_at: beginning}}\n\
        outputs: {told: {type: file, path: told.jsonl, send_resolved: true}}\n";
    host.write("lapwing.yaml", config);
    let mut agent = host.run();
    for (n, piece) in log.pieces().into_iter().enumerate() {
        host.append("app.log", Log::text(piece));
        let (second, _) = piece.last().unwrap();
        let time = jiff::Timestamp::from_second(BEGIN + second).unwrap();
        host.append("app.log", format!("time={time} kind=mark x={n}\n"));
        wait_for_mark(host, n);
        agent = match n % 3 {
            0 => reloaded(agent),
            1 => {
                agent.stop();
                host.run()
            }
            _ => {
                agent.kill9();
                host.run()
            }
        };
    }
    agent.stop();
    by_alert(json_lines(&host.read("told.jsonl")))
}

fn reloaded(agent: Agent) -> Agent {
    kill_process(agent.pid(), Signal::HUP).unwrap();
    agent.stderr.wait_for("INFO reloaded");
    agent
}

/// Everything that was to be said before the last lines was, and nothing else but of their time.
fn same(live: &Told, before: &[Value], all: &Told) {
    for one in before {
        let key = (
            one["id"].as_str().unwrap().to_owned(),
            one["seq"].as_u64().unwrap(),
        );
        let told = live
            .get(&key)
            .unwrap_or_else(|| panic!("live lacks {one:#}"));
        let mut one = essence(one.clone());
        forget_long_ago(&mut one);
        assert_eq!(*told, one);
    }
    for (key, told) in live {
        assert_eq!(all.get(key), Some(told), "backtest lacks it");
    }
}

/// A comparison of nothing with nothing proves nothing.
fn speaks_for_itself(before: &[Value]) {
    for rule in TYPES {
        let of = |reason: &str| {
            let mine = before
                .iter()
                .filter(|one| one["rule"] == rule && one["reason"] == reason);
            mine.count()
        };
        let (first, resolved) = (of("first"), of("resolved"));
        assert!(first >= 3, "{rule}: {first} alerts");
        // A rule of type any says no more when nothing comes, and `backtest` says that it is over.
        assert!(resolved >= 2, "{rule}: {resolved} ends");
    }
}

#[test]
fn every_type_says_the_same_live_and_in_backtest_over_reloads_restarts_and_kills() {
    for (seed, most_late) in [(1, 0), (2, MOST_LATE)] {
        let host = Host::new();
        host.write("rules.yaml", RULES);
        let log = Log::generate(seed, most_late);
        let (before, all) = backtest(&host, &log);
        speaks_for_itself(&before);
        same(&live(&host, &log), &before, &all);
    }
}

/// A file with one test for each type, which has all lines and asks for the alerts there are.
fn test_file(log: &Log, before: &[Value]) -> String {
    let mut text = "rule_files: [rules.yaml]\ntests:\n".to_owned();
    for rule in TYPES {
        let firsts = before
            .iter()
            .filter(|one| one["rule"] == *rule && one["reason"] == "first");
        writeln!(
            text,
            "  - rule: {rule}\n    name: as in backtest\n    format: logfmt\n    lines:"
        )
        .unwrap();
        for (second, line) in &log.0 {
            writeln!(text, "      - {{at: {second}s, line: '{line}'}}").unwrap();
        }
        let last = log.end() - 1;
        writeln!(
            text,
            "    expect: [{{at: {last}s, alerts: {}}}]",
            firsts.count()
        )
        .unwrap();
    }
    text
}

#[test]
fn every_type_says_the_same_in_a_test_and_in_backtest() {
    let host = Host::new();
    host.write("rules.yaml", RULES);
    let log = Log::generate(3, 0);
    let (before, _) = backtest(&host, &log);
    speaks_for_itself(&before);
    host.write("tests.yaml", test_file(&log, &before));
    let done = host.command(&["test", "--json", "tests.yaml"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let tests = json_lines(&done.stdout);
    assert_eq!(tests.len(), TYPES.len());
    for test in tests {
        let rule = &test["rule"];
        let told = test["told"].as_array().expect("a list").iter();
        let told: Vec<_> = told
            .map(|one| (seconds(one["at"].as_str().unwrap()), what_matters(one)))
            .collect();
        let mine = before.iter().filter(|one| one["rule"] == *rule);
        let mine: Vec<_> = mine
            .map(|one| (seconds_of(one), what_matters(one)))
            .collect();
        // Of one time, groups may stand in any order; and of many a test shows the first only.
        let until = told.last().map_or(0, |(at, _)| *at);
        let [told, mine] = [told, mine].map(|all| {
            let first = all.into_iter().filter(|(at, _)| *at < until);
            let mut texts: Vec<_> = first
                .map(|(at, what)| format!("{at:>9} {what:?}"))
                .collect();
            texts.sort();
            texts
        });
        assert!(told.len() >= 5, "{rule}: {}", told.len());
        assert_eq!(told, mine, "{rule}");
    }
}

/// `90s` and `2m` in seconds.
fn seconds(text: &str) -> i64 {
    let span = quantity::duration(text).expect("a duration");
    i64::try_from(span.as_secs()).unwrap()
}

/// What both say of a notification.
fn what_matters(one: &Value) -> [&Value; 4] {
    ["reason", "count", "value", "group"].map(|key| &one[key])
}

const SILENT: &str = "
version: 1
rules:
  - {name: no-heartbeat, inputs: [spoken], type: flatline, timeframe: 10s, match: {contains: heartbeat}}
  - {name: nothing, inputs: [silent], type: flatline, timeframe: 10s}
  - name: job-hangs
    inputs: [spoken]
    type: pair
    start: {contains: ['job begins']}
    finish: {contains: ['job ends']}
    within: 8s
";

#[test]
fn silence_is_told_without_a_line_once_over_a_restart_and_a_reload_and_says_whether_the_input_is_silent()
 {
    let receiver = Receiver::start();
    let host = Host::new();
    host.write("rules.yaml", SILENT);
    let config = format!(
        "state_dir: state\nrules: [rules.yaml]\n\
         inputs:\n  spoken: {{type: file, path: a.log, format: plain}}\n  \
         silent: {{type: file, path: b.log, format: plain}}\n\
         outputs: {{hook: {{type: webhook, url: '{}'}}}}\n",
        receiver.url("/")
    );
    host.write("lapwing.yaml", config);
    host.write("a.log", "");
    host.write("b.log", "");
    let agent = host.run();
    host.append("a.log", "job begins\nsomething else\n");
    agent.stop();
    let agent = reloaded(host.run());
    // Not so long ago that a slow machine takes the input for silent, too.
    host.append("a.log", "something else\n");
    for (rule, state) in [
        ("no-heartbeat", Some("ok")),
        ("nothing", Some("silent")),
        ("job-hangs", None),
    ] {
        let told = receiver.wait_for(1, |request| request.is(rule, "firing"));
        assert_eq!(told.len(), 1, "{rule}");
        assert_eq!(told[0].json["input_state"].as_str(), state, "{rule}");
    }
    agent.stop();
}
