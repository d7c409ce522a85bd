//! The same lines give the same notifications: live, over old logs, however the logs are cut,
//! packed and named.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use lapwing_rules::model::Timestamp;
use serde_json::Value;

use crate::host::{Host, json_lines};
use crate::random::Random;
use crate::receiver::Receiver;

const LINES: usize = 100_000;
const PIECES: usize = 5;
/// Silences of ten seconds in the log.
const PAUSES: usize = 50;
/// 20 November 2025, 00:00 UTC: over for long.
const BEGIN: i64 = 1_763_596_800;

const RULES: &str = r#"
version: 1
rules:
  - name: bad-gateways
    summary: '{{ count }} from {{ upstream }}'
    match: {contains: ['" 502 ']}
    type: frequency
    num_events: 10
    timeframe: 1m
    group_by: [upstream]
    top_count_keys: [path]
    realert: 1m
    resolve_after: 3m
  - name: errors
    match: {where: 'status >= 500'}
    type: frequency
    num_events: 60
    timeframe: 5m
    realert: 1m
    exponential_realert: 8m
    redact: [ip]
  - name: scanners
    match: {regex: ['" 404 '], not: {contains: ['favicon']}}
    type: frequency
    num_events: 8
    timeframe: 90s
    group_by: [remote_addr]
    resolve_after: 30s
  - name: rush
    type: spike
    spike_height: 2
    timeframe: 1m
    resolve_after: 10s
  - name: share
    type: percentage_match
    match_bucket: {contains: ['" 502 ']}
    max_percentage: 40
    timeframe: 30s
    resolve_after: 10s
  - name: many-at-one-path
    type: cardinality
    cardinality_field: remote_addr
    max_cardinality: 10
    timeframe: 10s
    resolve_after: 10s
  - name: after-an-error
    type: sequence
    steps: [{contains: ['" 500 '], num_events: 3}, {contains: ['" 502 '], num_events: 3}]
    within: 20s
    group_by: [upstream]
    resolve_after: 10s
  - name: new-upstream
    type: new_term
    fields: [[upstream, status]]
    learn_for: 10s
  - name: new-line
    type: new_pattern
    learn_for: 2s
  - name: last
    match: {contains: ['GET /the-end ']}
    type: any
"#;

/// A log with what logs have: bursts, noise, many lines of one second, some a little late.
struct Log {
    text: String,
    /// Where it can be cut so that no line is older than one before the cut.
    cuts: Vec<usize>,
}

impl Log {
    fn generate() -> Self {
        let mut random = Random::new(20_251_120);
        let (mut text, mut cuts) = (String::new(), Vec::new());
        let mut second = BEGIN;
        let mut burst: Option<(u64, u64)> = None;
        for n in 0..LINES {
            burst = match burst {
                Some((upstream, left)) if left > 0 => Some((upstream, left - 1)),
                _ if random.below(1_500) == 0 => Some((random.below(4), 20 + random.below(800))),
                _ => None,
            };
            // Half a second apart in the mean, three in one second where it burns.
            second += i64::from(random.below(if burst.is_some() { 6 } else { 2 }) == 0);
            let late = if random.below(20) == 0 {
                i64::try_from(random.below(4)).unwrap()
            } else {
                0
            };
            if n > 0 && n % (LINES / PAUSES) == 0 {
                // A pause: what comes behind it is later than all before.
                second += 10;
                cuts.push(text.len());
            }
            let path = if n + 1 == LINES {
                "/the-end"
            } else {
                random.one_of(&["/", "/cart", "/api/v1", "/favicon.ico"])
            };
            line(
                &mut text,
                &mut random,
                second - late.min(second - BEGIN),
                path,
                burst.map(|(upstream, _)| upstream),
            );
        }
        Self { text, cuts }
    }

    /// The parts between the pauses, dealt out to so many logs: each is in order, and what happened
    /// is only known when they are merged by time.
    fn dealt(&self) -> Vec<String> {
        let mut logs = vec![String::new(); PIECES];
        let mut from = 0;
        for (n, cut) in self
            .cuts
            .iter()
            .copied()
            .chain([self.text.len()])
            .enumerate()
        {
            logs[n % PIECES].push_str(self.text.get(from..cut).expect("between lines"));
            from = cut;
        }
        logs
    }

    /// In equal parts, more or less, one after the other.
    fn pieces(&self) -> Vec<&str> {
        let inner = self.cuts.iter().copied().skip(PAUSES / PIECES - 1);
        let inner = inner.step_by(PAUSES / PIECES).take(PIECES - 1);
        let ends = inner.chain([self.text.len()]);
        let mut from = 0;
        let piece = |end| self.text.get(std::mem::replace(&mut from, end)..end);
        let pieces = ends.map(piece);
        pieces.collect::<Option<_>>().expect("between lines")
    }
}

fn line(text: &mut String, random: &mut Random, second: i64, path: &str, burst: Option<u64>) {
    let (status, upstream) = match burst {
        Some(upstream) if random.below(3) > 0 => (502, upstream),
        _ => (
            random.one_of(&[200, 200, 200, 200, 200, 304, 404, 500, 502]),
            random.below(4),
        ),
    };
    let status = if status >= 500 && burst.is_none() && random.below(20) > 0 {
        200
    } else {
        status
    };
    let time = jiff::Timestamp::from_second(second).unwrap();
    let time = time.strftime("%d/%b/%Y:%H:%M:%S +0000");
    // Three of the clients look for what is not there.
    let clients = if random.below(8) == 0 { 3 } else { 200 };
    let client = random.below(clients);
    let status = if client < 3 && status < 500 {
        404
    } else {
        status
    };
    writeln!(
        text,
        "198.51.100.{client} - - [{time}] \"GET {path} HTTP/1.1\" {status} 157 \"-\" \"curl/8\" upstream=10.2.0.{upstream}:80"
    )
    .unwrap();
}

/// What of a notification must be the same wherever its lines came from: all but the name of the
/// input, the places in the files, and when it was sent.
pub(crate) fn essence(mut notification: Value) -> Value {
    let object = notification.as_object_mut().expect("an object");
    for key in ["input", "sent_at", "late_s"] {
        object.remove(key);
    }
    for sample in object["samples"].as_array_mut().expect("samples") {
        let sample = sample.as_object_mut().expect("a sample");
        sample.remove("source");
        sample.remove("offset");
    }
    notification
}

/// What says that something goes on, by alert. Ends come by silence: live, wall time brings them. And what a
/// line that comes late brings about is told live when it comes, in `backtest` in the order of the times.
pub(crate) fn firing(all: Vec<Value>) -> Vec<Value> {
    let firing = all.into_iter().filter(|json| json["status"] == "firing");
    let mut firing: Vec<Value> = firing.map(essence).collect();
    firing.sort_by_cached_key(|json| (json["id"].to_string(), json["seq"].as_u64()));
    firing
}

/// Runs `backtest`; gives what it says, and the counts of its summary.
fn backtest(host: &Host, files: &[&str]) -> (Vec<Value>, Value) {
    let mut args = vec!["backtest", "--json", "--rules", "rules.yaml"];
    args.extend(files);
    let done = host.command(&args);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let mut all = json_lines(&done.stdout);
    let mut summary = all.pop().expect("a summary")["summary"].take();
    assert_eq!(summary["lines"], LINES);
    summary
        .as_object_mut()
        .expect("an object")
        .remove("seconds");
    (all, summary)
}

/// Runs the agent over a file that holds the first piece and gets the others while it runs.
fn live(host: &Host, pieces: &[&str], receiver: &Receiver) -> Vec<Value> {
    host.write("live.log", pieces[0]);
    let agent = host.run();
    for piece in &pieces[1..] {
        host.append("live.log", piece);
    }
    receiver.wait_for(1, |request| request.is("last", "firing"));
    agent.stop();
    receiver
        .received()
        .iter()
        .map(|request| request.json.clone())
        .collect()
}

fn gzip(host: &Host, name: &str, text: &str) {
    let file = File::create(host.path(name)).unwrap();
    let mut encoder = GzEncoder::new(file, Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap();
}

fn zstd(host: &Host, name: &str, text: &str) {
    host.write(name, zstd::encode_all(text.as_bytes(), 1).unwrap());
}

#[test]
fn a_hundred_thousand_lines_give_the_same_live_and_over_old_logs_however_they_are_cut() {
    let receiver = Receiver::start();
    let host = Host::new();
    host.write("rules.yaml", RULES);
    // Without `host`: what the machine is called is in every id, and `backtest` has no other name.
    let config = format!(
        "state_dir: state\nrules: [rules.yaml]\n\
         inputs: {{access: {{type: file, path: live.log, format: nginx, start_at: beginning}}}}\n\
         outputs: {{hook: {{type: webhook, url: '{}'}}}}\n",
        receiver.url("/")
    );
    host.write("lapwing.yaml", config);
    let log = Log::generate();
    let pieces = log.pieces();
    assert_eq!(pieces.len(), PIECES);
    host.write("whole.log", &log.text);
    gzip(&host, "whole.log.gz", &log.text);
    zstd(&host, "whole.log.zst", &log.text);
    for (n, piece) in pieces.iter().enumerate() {
        host.write(&format!("piece-{n}.log"), piece);
    }
    // Under its own name: what is packed is told by its content.
    gzip(&host, "piece-2.log", pieces[2]);
    zstd(&host, "piece-3.log", pieces[3]);
    for (n, dealt) in log.dealt().into_iter().enumerate() {
        host.write(&format!("dealt-{n}.log"), dealt);
    }

    let (whole, counts) = backtest(&host, &["whole.log"]);
    let named = |what: &str, order: [usize; PIECES]| {
        let names = order.map(|n| format!("{what}-{n}.log"));
        let names = names.iter().map(String::as_str).collect::<Vec<_>>();
        backtest(&host, &names)
    };
    let others = [
        backtest(&host, &["whole.log.gz"]),
        backtest(&host, &["whole.log.zst"]),
        named("piece", [0, 1, 2, 3, 4]),
        named("piece", [3, 0, 4, 2, 1]),
        named("dealt", [1, 4, 0, 3, 2]),
    ];
    let expected: Vec<Value> = whole.iter().cloned().map(essence).collect();
    for (other, its_counts) in others {
        assert_eq!(its_counts, counts);
        let other: Vec<Value> = other.into_iter().map(essence).collect();
        same(&other, &expected);
    }
    let begun = live(&host, &pieces, &receiver);
    let (live, old) = (firing(begun), firing(whole));
    same(&live, &old);
    speaks_for_itself(&old, &counts);
}

/// As one assertion would, but with the first difference only.
pub(crate) fn same(one: &[Value], other: &[Value]) {
    for (one, other) in one.iter().zip(other) {
        assert_eq!(one, other);
    }
    assert_eq!(one.len(), other.len());
}

/// A comparison of nothing with nothing proves nothing.
fn speaks_for_itself(firing: &[Value], counts: &Value) {
    let told = |rule: &str, reason: &str| {
        let mine = firing
            .iter()
            .filter(|json| json["rule"] == rule && json["reason"] == reason);
        mine.count()
    };
    for rule in [
        "rush",
        "share",
        "many-at-one-path",
        "after-an-error",
        "new-upstream",
    ] {
        assert!(told(rule, "first") >= 1, "{rule}");
    }
    for rule in ["bad-gateways", "errors", "scanners"] {
        assert!(told(rule, "first") >= 5, "{rule}: {}", told(rule, "first"));
    }
    assert!(told("bad-gateways", "repeat") >= 5 && told("errors", "repeat") >= 3);
    assert_eq!(told("last", "first"), 1);
    assert_eq!(counts["skewed"], 0);
    let first = firing.iter().find(|json| json["rule"] == "bad-gateways");
    let started: Timestamp = first.expect("one")["started_at"]
        .as_str()
        .expect("a time")
        .parse()
        .unwrap();
    assert!(started.as_secs() > BEGIN);
}
