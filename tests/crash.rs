//! SIGKILL: what was committed is kept, what was not is done again, under the same names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::host::{Host, wait_until};
use crate::random::Random;
use crate::receiver::{Received, Receiver};

/// `marker` fires for every line that asks for `/marker-…`: its notification is in the same
/// transaction as all lines up to there, so once it has come they are committed.
const RULES: &str = r#"
version: 1
rules:
  - name: burst
    match: {contains: ['" 502 ']}
    type: frequency
    num_events: 10
    timeframe: 1m
  - name: marker
    match: {contains: ['GET /marker-']}
    type: any
    realert: 0s
"#;

fn host(receiver: &Receiver) -> Host {
    let config = format!(
        "inputs: {{access: {{type: file, path: access.log, format: nginx, start_at: beginning}}}}\n\
         outputs: {{hook: {{type: webhook, url: '{}'}}}}\n",
        receiver.url("/")
    );
    Host::with(&config, RULES)
}

/// A line of an access log, `second` seconds after 09:00 on a day that is over.
fn line(second: u32, path: &str, status: u16) -> String {
    let (hour, minute, second) = (9 + second / 3600, second / 60 % 60, second % 60);
    format!(
        "203.0.113.9 - - [21/Nov/2025:{hour:02}:{minute:02}:{second:02} +0000] \
         \"GET {path} HTTP/1.1\" {status} 157 \"-\" \"curl/8\"\n"
    )
}

fn of_rule(receiver: &Receiver, rule: &str) -> Vec<Value> {
    let all = receiver.received();
    let all = all.iter().map(|request| request.json.clone());
    all.filter(|json| json["rule"] == rule).collect()
}

/// Waits until the line that asks for `path` is committed. By the path: what a kill makes the agent
/// say again is no other line.
fn wait_for_marker(receiver: &Receiver, path: &str) {
    let is_it = |request: &Received| request.is("marker", "firing") && request.body.contains(path);
    receiver.wait_for(1, is_it);
}

#[test]
fn ten_lines_with_two_kills_between_them_are_still_one_alert_of_ten() {
    let receiver = Receiver::start();
    let host = host(&receiver);
    let agent = host.run();
    for second in 0..4 {
        host.append("access.log", line(second, "/", 502));
    }
    host.append("access.log", line(4, "/marker-1", 502));
    wait_for_marker(&receiver, "/marker-1");
    agent.kill9();

    // While it is dead, the log grows.
    for second in 5..8 {
        host.append("access.log", line(second, "/", 502));
    }
    let agent = host.run();
    host.append("access.log", line(8, "/marker-2", 502));
    wait_for_marker(&receiver, "/marker-2");
    assert_eq!(
        of_rule(&receiver, "burst"),
        [] as [Value; 0],
        "nine are none"
    );
    agent.kill9();

    let agent = host.run();
    host.append("access.log", line(9, "/", 502));
    receiver.wait_for(1, |request| request.is("burst", "firing"));
    host.append("access.log", line(10, "/marker-3", 200));
    wait_for_marker(&receiver, "/marker-3");
    agent.stop();
    let bursts = of_rule(&receiver, "burst");
    assert_eq!(bursts.len(), 1, "{bursts:#?}");
    assert_eq!(bursts[0]["count"], 10);
    assert_eq!(bursts[0]["seq"], 1);
    assert_eq!(bursts[0]["first_hit_at"], "2025-11-21T09:00:00Z");
    assert_eq!(bursts[0]["started_at"], "2025-11-21T09:00:09Z");
    let markers: BTreeSet<String> = keys(&receiver, "marker").into_iter().collect();
    assert_eq!(markers.len(), 3, "no line was read twice");
}

fn keys(receiver: &Receiver, rule: &str) -> Vec<String> {
    let all = receiver.received();
    let mine = all.iter().filter(|request| request.json["rule"] == rule);
    mine.map(Received::key).collect()
}

#[test]
fn a_backlog_of_lines_a_minute_apart_read_at_once_is_no_burst() {
    let receiver = Receiver::start();
    let host = host(&receiver);
    let hours: String = (0..300).map(|minute| line(minute * 60, "/", 502)).collect();
    host.write("access.log", hours);
    host.append("access.log", line(300 * 60, "/marker-1", 200));
    let agent = host.run();
    wait_for_marker(&receiver, "/marker-1");
    assert_eq!(of_rule(&receiver, "burst"), [] as [Value; 0]);

    // The very same rule fires for nine more in the minute of the last one.
    for second in 1..10 {
        host.append("access.log", line(299 * 60 + second, "/", 502));
    }
    let bursts = receiver.wait_for(1, |request| request.is("burst", "firing"));
    assert_eq!(bursts[0].json["count"], 10);
    assert_eq!(bursts[0].json["started_at"], "2025-11-21T13:59:09Z");
    agent.stop();
}

#[test]
fn a_kill_before_the_delivery_is_marked_sends_the_same_notification_again() {
    let receiver = Receiver::start();
    let host = host(&receiver);
    let agent = host.run();
    let pid = agent.pid();
    receiver.before_next_answer(move || kill_process(pid, Signal::KILL).unwrap());
    let burst: String = (0..10).map(|second| line(second, "/", 502)).collect();
    host.append("access.log", burst);
    receiver.wait_for(1, |_| true);
    agent.kill9();

    let agent = host.run();
    let both = receiver.wait_for(2, |_| true);
    agent.stop();
    assert_eq!(receiver.received().len(), 2);
    assert_eq!(both[0].key(), both[1].key());
    let (mut first, mut second) = (both[0].json.clone(), both[1].json.clone());
    assert_eq!(first["id"], second["id"]);
    assert_eq!(first["seq"], second["seq"]);
    // Both say how late they are: the lines are of last year.
    for json in [&mut first, &mut second] {
        json.as_object_mut().expect("an object").remove("sent_at");
        json.as_object_mut().expect("an object").remove("late_s");
    }
    assert_eq!(first, second);
}

/// Lines of the torture.
const LINES: usize = 2_000;

const NUMBERED: &str = r"
version: 1
rules:
  - name: numbered
    summary: 'number {{ n }}'
    match: {regex: ['^line (?P<n>[0-9]+) ']}
    type: any
    group_by: [n]
    realert: 0s
    samples: 1
";

#[test]
fn under_kills_at_random_moments_every_line_of_a_rotated_log_is_told_once() {
    let receiver = Receiver::start();
    let host = Host::with(
        &format!(
            "inputs: {{app: {{type: file, path: app.log*, format: plain, start_at: beginning}}}}\n\
             outputs: {{hook: {{type: webhook, url: '{}'}}}}\n",
            receiver.url("/")
        ),
        NUMBERED,
    );
    let mut random = Random::new(0x1a9_2169);
    let (mut written, mut rotations, mut kills) = (0, 0, 0);
    let mut agent = host.run();
    while written < LINES {
        let until = LINES.min(written + usize::try_from(1 + random.below(40)).unwrap());
        let lines = (written..until).map(|n| format!("line {n} of the torture\n"));
        let lines = lines.collect::<Vec<_>>().concat();
        host.append("app.log", lines);
        written = until;
        if random.below(6) == 0 {
            rotations += 1;
            fs::rename(
                host.path("app.log"),
                host.path(&format!("app.log.{rotations}")),
            )
            .unwrap();
        }
        if random.below(4) == 0 {
            // Not to wait for something: to strike at another point of its work each time.
            std::thread::sleep(Duration::from_micros(random.below(30_000)));
            agent.kill9();
            kills += 1;
            agent = host.run_unready();
        }
    }
    let told = || -> BTreeMap<String, BTreeSet<String>> {
        let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for request in receiver.received() {
            let number = request.json["group"]["n"].as_str().expect("n").to_owned();
            keys.entry(number).or_default().insert(request.key());
        }
        keys
    };
    wait_until("every number to be told", || told().len() == LINES);
    agent.stop();
    assert!(kills > 10 && rotations > 5, "{kills} {rotations}");
    let twice: Vec<_> = told()
        .into_iter()
        .filter(|(_, keys)| keys.len() > 1)
        .collect();
    assert!(twice.is_empty(), "told under two names: {twice:#?}");
    let repeats = receiver.received().len() - LINES;
    assert!(repeats <= kills, "{repeats} repeats by {kills} kills");
}

// Case 21.
#[test]
fn half_a_line_before_a_sigkill_and_its_rest_after_it_are_one_line() {
    let receiver = Receiver::start();
    let config = format!(
        "inputs: {{app: {{type: file, path: app.log, format: plain, start_at: beginning}}}}\n\
         outputs: {{hook: {{type: webhook, url: '{}'}}}}\n",
        receiver.url("/")
    );
    let host = Host::with(&config, NUMBERED);
    let is = |number: u32| {
        move |request: &Received| {
            let line = &request.json["samples"][0]["line"];
            request.is("numbered", "firing") && *line == format!("line {number} of two halves")
        }
    };
    host.append("app.log", "line 1 of two halves\nline 2 of t");
    for number in 1..5 {
        let agent = host.run();
        receiver.wait_for(1, is(number));
        agent.kill9();
        let next = number + 2;
        host.append("app.log", format!("wo halves\nline {next} of t"));
    }
    let agent = host.run();
    receiver.wait_for(1, is(5));
    agent.stop();
    let numbers: BTreeSet<String> = keys(&receiver, "numbered").into_iter().collect();
    assert_eq!(numbers.len(), 5, "no other line was seen");
}

/// A line without a time takes that of the line before it, also when that one was read by an agent
/// that is gone.
#[test]
fn a_restart_does_not_forget_the_time_of_the_last_line() {
    let receiver = Receiver::start();
    let host = host(&receiver);
    let agent = host.run();
    host.append("access.log", line(100, "/marker-1", 200));
    wait_for_marker(&receiver, "/marker-1");
    agent.kill9();
    host.append("access.log", "  at \" 502 without a time\n".repeat(10));
    let agent = host.run();
    let told = receiver.wait_for(1, |request| request.is("burst", "firing"));
    assert_eq!(told[0].json["started_at"], "2025-11-21T09:01:40Z");
    agent.stop();
}
