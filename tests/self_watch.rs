//! The agent's eyes on itself: the line that it writes and waits for, and inputs that do what they never
//! do. Minutes pass on a clock that runs sixty times as fast.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::host::{Host, json_lines, wait_until};
use crate::storms::run_on_a_fast_clock;

const CONFIG: &str = "
inputs:
  app: {type: file, path: ['*.log']}
outputs:
  archive: {type: file, path: alerts.jsonl}
";
const RULES: &str = "
version: 1
rules:
  - {name: boom, match: {where: 'level == \"fatal\"'}, type: any}
";

fn status(host: &Host) -> Value {
    let done = host.command(&["status", "-c", "lapwing.yaml", "--json"]);
    json_lines(&done.stdout).remove(0)
}

/// What was told under the name of this rule.
fn told(host: &Host, rule: &str) -> Vec<Value> {
    let text = fs::read_to_string(host.path("alerts.jsonl")).unwrap_or_default();
    let mut told = json_lines(&text);
    told.retain(|told| told["rule"] == rule);
    told
}

fn statuses(told: &[Value]) -> Vec<&str> {
    told.iter()
        .filter_map(|told| told["status"].as_str())
        .collect()
}

#[test]
fn a_line_of_its_own_goes_the_whole_way_and_is_timed() {
    let host = Host::with(CONFIG, RULES);
    host.write("app.log", "");
    let agent = host.run();
    wait_until("the canary", || status(&host)["canary"]["arrived"] == 1);
    let status = status(&host);
    let seconds = status["canary"]["seconds"].as_f64().unwrap();
    assert!(seconds > 0.0, "{seconds}");
    assert_eq!(status["canary"]["lost"], 0);
    // Nobody's rules, figures and alerts know of it.
    assert_eq!(status["inputs"].as_object().unwrap().len(), 1);
    assert_eq!(status["inputs"]["app"]["lines"], 0);
    assert_eq!(fs::read_to_string(host.path("alerts.jsonl")).ok(), None);
    agent.stop();
}

#[test]
fn an_agent_that_its_own_lines_do_not_reach_says_that_it_is_blind_and_when_it_sees_again() {
    let host = Host::with(CONFIG, RULES);
    host.write("app.log", "");
    let agent = run_on_a_fast_clock(&host);
    wait_until("the canary", || status(&host)["canary"]["arrived"] != 0);
    let line = host.path("state").join("canary/canary.log");
    let nowhere = host.path("nowhere");
    symlink("/dev/null", &nowhere).unwrap();
    fs::rename(&nowhere, &line).unwrap();
    wait_until("the alert", || !told(&host, "lapwing-blind").is_empty());
    assert!(status(&host)["canary"]["lost"].as_u64() > Some(0));
    fs::remove_file(&line).unwrap();
    wait_until("its end", || told(&host, "lapwing-blind").len() > 1);
    agent.stop();
    let told = told(&host, "lapwing-blind");
    assert_eq!(statuses(&told[..2]), ["firing", "resolved"]);
    assert_eq!(told[0]["id"], told[1]["id"]);
    assert_eq!(told[0]["severity"], "critical");
    let summary = told[0]["summary"].as_str().unwrap();
    assert!(summary.contains("has come through for"), "{summary}");
}

#[test]
fn a_log_that_is_written_otherwise_since_a_release_is_told_of() {
    let host = Host::with(CONFIG, RULES);
    host.write("app.log", "");
    let agent = run_on_a_fast_clock(&host);
    // One at a time, so that each is looked at.
    let lines = |line: &str| {
        for _ in 0..45 {
            let before = status(&host)["inputs"]["app"]["lines"].as_u64();
            host.append("app.log", line);
            wait_until("the line", || {
                status(&host)["inputs"]["app"]["lines"].as_u64() > before
            });
        }
    };
    lines("{\"time\": \"2026-11-22T06:00:00Z\", \"level\": \"info\", \"message\": \"ok\"}\n");
    lines("06:11:00 INFO ok\n");
    wait_until("the alert", || {
        !told(&host, "lapwing-lines-unparsed").is_empty()
    });
    agent.stop();
    let told = told(&host, "lapwing-lines-unparsed");
    assert_eq!(told[0]["severity"], "warning");
    assert_eq!(told[0]["group"]["input"], "app");
}

#[test]
fn what_the_agent_prints_and_rsyslog_puts_into_a_tailed_file_causes_no_alert() {
    let host = Host::with(
        "inputs:\n  syslog: {type: file, path: [syslog], format: syslog}\noutputs:\n  file: {type: file, path: alerts.jsonl}\n",
        "version: 1\nrules:\n  - {name: boom, match: {contains: [boom]}, type: any, group_by: [appname], realert: 0s}\n",
    );
    host.write("syslog", "");
    let agent = host.run();
    // web-1 is what this host is called; the process is of before a restart.
    host.append(
        "syslog",
        "Nov 22 10:00:00 web-1 lapwing[4711]: boom: 1 hit\n",
    );
    host.append(
        "syslog",
        "Nov 22 10:00:01 web-1 lapwing[4712]:   10:00:00  shop: boom\n",
    );
    host.append("syslog", "Nov 22 10:00:02 web-2 lapwing[4711]: boom\n");
    host.append("syslog", "Nov 22 10:00:03 web-1 shop[7]: boom of lapwing\n");
    wait_until("two alerts", || told(&host).len() >= 2);
    assert_eq!(told(&host), ["lapwing", "shop"]);
    agent.stop();

    fn told(host: &Host) -> Vec<String> {
        let text = fs::read_to_string(host.path("alerts.jsonl")).unwrap_or_default();
        let alerts = json_lines(&text);
        let one = |alert: &Value| (alert["group"]["appname"].clone(), alert["count"].clone());
        let each = alerts.iter().map(one).map(|(name, count)| {
            assert_eq!(count, 1);
            name.as_str().unwrap_or_default().to_owned()
        });
        each.collect()
    }
}
