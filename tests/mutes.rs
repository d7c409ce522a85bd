//! What is not sent, and why: silences, escalation, shadow rules, with a real agent and what it keeps
//! over a restart.

use serde_json::Value;

use crate::host::{Host, json_lines, wait_until};

const CONFIG: &str = "
inputs:
  app: {type: file, path: ['*.log'], format: plain}
outputs:
  chat: {type: file, path: chat.jsonl}
  pager: {type: file, path: pager.jsonl}
defaults: {notify: [chat]}
";
const RULES: &str = "
version: 1
rules:
  - {name: boom, match: {contains: [boom]}, type: any, resolve_after: 1h, escalate: {after: 2s, unless: acked, notify: [pager]}}
  - {name: bang, match: {contains: [bang]}, type: any, resolve_after: 1h, mode: shadow}
  - {name: crash, match: {contains: [crash]}, type: any, resolve_after: 1h}
";

fn rows(host: &Host, args: &[&str]) -> Vec<Value> {
    let mut all = args.to_vec();
    all.extend(["--json", "-c", "lapwing.yaml"]);
    let done = host.command(&all);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{args:?}");
    json_lines(&done.stdout)
}

fn sent(host: &Host, output: &str) -> Vec<String> {
    if !host.path(output).exists() {
        return Vec::new();
    }
    let line = |n: Value| {
        format!(
            "{} {}",
            n["rule"].as_str().unwrap(),
            n["reason"].as_str().unwrap()
        )
    };
    json_lines(&host.read(output))
        .into_iter()
        .map(line)
        .collect()
}

#[test]
fn a_silence_outlives_a_restart_and_its_end_tells_what_still_fires() {
    let host = Host::with(CONFIG, RULES);
    host.write("app.log", "");
    let agent = host.run();
    let made = rows(
        &host,
        &[
            "silence",
            "add",
            "rule=~cra.*",
            "host=web-1",
            "--for",
            "2h",
            "-m",
            "a drill",
        ],
    );
    let id = made[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&made[0]["note"], &made[0]["state"]),
        (&"a drill".into(), &"active".into())
    );
    host.append("app.log", "crash one\n");
    wait_until("the alert", || {
        let alerts = rows(&host, &["alerts"]);
        alerts.len() == 1 && alerts[0]["muted"] == "silenced" && alerts[0]["acked"].is_null()
    });
    agent.stop();
    let agent = host.run();
    let listed = rows(&host, &["silence", "list"]);
    assert_eq!((listed.len(), &listed[0]["id"]), (1, &id.as_str().into()));
    assert!(
        listed[0]["author"]
            .as_str()
            .is_some_and(|author| !author.is_empty())
    );
    assert_eq!(sent(&host, "chat.jsonl"), [] as [&str; 0]);
    rows(&host, &["silence", "expire", &id]);
    wait_until("the message", || {
        sent(&host, "chat.jsonl") == ["crash first"]
    });
    assert!(rows(&host, &["silence", "list"]).is_empty());
    assert_eq!(
        rows(&host, &["silence", "list", "--all"])[0]["state"],
        "expired"
    );
    agent.stop();
}

#[test]
fn what_is_no_silence_is_refused() {
    let host = Host::with(CONFIG, RULES);
    let agent = host.run();
    let again = host.command(&["silence", "expire", "00000000", "-c", "lapwing.yaml"]);
    assert_eq!(again.code, 1, "{}", again.stderr);
    let wrong = host.command(&[
        "silence",
        "add",
        "rule~x",
        "--for",
        "2h",
        "-c",
        "lapwing.yaml",
    ]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    let all = host.command(&[
        "silence",
        "add",
        "rule=~.*",
        "--for",
        "2h",
        "-c",
        "lapwing.yaml",
    ]);
    assert_eq!(all.code, 1, "{}", all.stderr);
    agent.stop();
}

#[test]
fn a_silence_that_no_rule_can_meet_is_made_and_warned_of() {
    let host = Host::with(CONFIG, RULES);
    let agent = host.run();
    let add = |matcher: &str| {
        host.command(&[
            "silence",
            "add",
            matcher,
            "--for",
            "2h",
            "-c",
            "lapwing.yaml",
        ])
    };
    for (matcher, warned) in [
        ("rule=nothing-of-the-kind", true),
        ("taem=web", true),
        ("rule=lapwing-state", false),
        ("severity=~info|warning|critical", false),
    ] {
        let done = add(matcher);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(
            done.stderr.contains("no alert of any rule"),
            warned,
            "{matcher}: {}",
            done.stderr
        );
    }
    agent.stop();
}

#[test]
fn what_nobody_acknowledges_goes_to_the_pager_and_what_somebody_does_stays() {
    let host = Host::with(CONFIG, RULES);
    host.write("app.log", "");
    let agent = host.run();
    host.append("app.log", "boom one\n");
    wait_until("the escalation", || {
        sent(&host, "pager.jsonl") == ["boom escalated"]
    });
    assert_eq!(sent(&host, "chat.jsonl"), ["boom first"]);
    let id = rows(&host, &["alerts"])[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let acked = rows(&host, &["ack", &id, "-m", "restarting it"]);
    assert_eq!(acked[0]["acked"]["note"], "restarting it");
    agent.stop();
    let agent = host.run();
    let alerts = rows(&host, &["alerts"]);
    assert_eq!(alerts[0]["acked"], acked[0]["acked"]);
    assert_eq!(
        host.command(&["ack", "boom-0000", "-c", "lapwing.yaml"])
            .code,
        1
    );
    agent.stop();
}

#[test]
fn history_has_what_was_sent_and_what_a_shadow_rule_would_have() {
    let host = Host::with(CONFIG, RULES);
    host.write("app.log", "");
    let agent = host.run();
    host.append("app.log", "crash\nbang\n");
    wait_until("the delivery", || {
        let told = rows(&host, &["history"]);
        told.len() == 1 && told[0]["deliveries"][0]["outcome"] == "delivered"
    });
    let told = rows(&host, &["history"]);
    assert_eq!(
        (&told[0]["rule"], &told[0]["deliveries"][0]["output"]),
        (&"crash".into(), &"chat".into())
    );
    assert_eq!(told[0]["deliveries"][0]["attempts"], 1);
    let shadow = rows(&host, &["history", "--shadow"]);
    assert_eq!((shadow.len(), &shadow[0]["mode"]), (1, &"shadow".into()));
    assert_eq!(shadow[0]["deliveries"], Value::Array(Vec::new()));
    assert!(rows(&host, &["history", "--undelivered"]).is_empty());
    assert_eq!(rows(&host, &["history", "--since", "1h"]).len(), 1);
    assert!(rows(&host, &["history", "--since", "2999-01-01T00:00:00Z"]).is_empty());
    let status = rows(&host, &["status"]);
    assert_eq!(status[0]["rules"]["bang"]["held_back"]["shadow"], 1);
    for (command, shown) in [
        ("alerts", "crash"),
        ("history", "crash"),
        ("status", "1 shadow"),
    ] {
        let done = host.command(&[command, "-c", "lapwing.yaml"]);
        assert!(done.stdout.contains(shown), "{command}: {}", done.stdout);
    }
    agent.stop();
}

#[test]
fn what_no_output_takes_is_counted_with_the_rule() {
    let rules = "version: 1\nrules:\n  \
        - {name: nobody, match: {contains: [boom]}, type: any, notify: []}\n  \
        - {name: somebody, match: {contains: [boom]}, type: any}\n";
    let host = Host::with(CONFIG, rules);
    host.write("app.log", "");
    let agent = host.run();
    host.append("app.log", "boom\n");
    wait_until("the message", || {
        sent(&host, "chat.jsonl") == ["somebody first"]
    });
    let status = rows(&host, &["status"]);
    let unrouted = |rule: &str| status[0]["rules"][rule]["held_back"]["unrouted"].clone();
    assert_eq!(
        (unrouted("nobody"), unrouted("somebody")),
        (1.into(), 0.into())
    );
    let shown = host.command(&["status", "-c", "lapwing.yaml"]).stdout;
    assert!(shown.contains("not sent: 1 unrouted"), "{shown}");
    agent.stop();
}
