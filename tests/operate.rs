//! Looking at a running agent, and at what may keep it from running well.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::host::{Host, json_lines, wait_until};

const CONFIG: &str = "
inputs:
  app: {type: file, path: ['*.log'], format: plain}
outputs:
  archive: {type: file, path: alerts.jsonl}
";
const RULES: &str = "
version: 1
rules:
  - {name: boom, match: {contains: [boom]}, type: any}
  - {name: bang, match: {contains: [bang]}, type: frequency, num_events: 3, timeframe: 1m, mode: shadow}
";

fn status(host: &Host) -> Value {
    let done = host.command(&["status", "-c", "lapwing.yaml", "--json"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    json_lines(&done.stdout).remove(0)
}

#[test]
fn status_shows_inputs_rules_outputs_and_the_state() {
    let host = Host::with(CONFIG, RULES);
    host.write("app.log", "");
    let agent = host.run();
    host.append("app.log", "boom one\nnothing\nbang\n");
    wait_until("the delivery", || {
        status(&host)["outputs"]["archive"]["delivered"] == 1
    });
    let status = status(&host);
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        (&status["host"], &status["ready"]),
        (&"web-1".into(), &true.into())
    );
    assert!(status["uptime_s"].is_u64());
    assert_eq!(status["last_reload"], Value::Null);
    assert_eq!(status["inputs"]["app"]["type"], "file");
    assert_eq!(status["rules"]["boom"]["hits"], 1);
    assert_eq!(status["rules"]["boom"]["firing"], 1);
    assert_eq!(status["rules"]["bang"]["hits"], 1);
    assert_eq!(status["rules"]["bang"]["mode"], "shadow");
    assert_eq!(status["outputs"]["archive"]["waiting"], 0);
    let text = host.command(&["status", "--control", "run/control.sock"]);
    assert_eq!(text.code, 0);
    for part in [
        "on web-1",
        "ready",
        "boom",
        "1 firing",
        "archive",
        "1 delivered",
    ] {
        assert!(text.stdout.contains(part), "{part}: {}", text.stdout);
    }
    agent.stop();
    assert!(!host.path("run/control.sock").exists());
}

#[test]
fn what_was_not_read_is_shown_by_file() {
    let host = Host::with(
        &CONFIG.replace("format: plain", "format: plain, max_line_bytes: 64"),
        RULES,
    );
    let agent = host.run();
    host.append("app.log", format!("{}\n", "x".repeat(100)));
    let losses = || status(&host)["inputs"]["app"]["losses"].clone();
    wait_until("the loss", || {
        losses().as_array().is_some_and(|losses| !losses.is_empty())
    });
    let losses = losses();
    assert_eq!(
        (&losses[0]["kind"], &losses[0]["bytes"]),
        (&"cut".into(), &36.into())
    );
    assert!(losses[0]["path"].as_str().unwrap().ends_with("app.log"));
    // Nor does a reload forget it.
    kill_process(agent.pid(), Signal::HUP).unwrap();
    agent.stderr.wait_for("INFO reloaded");
    assert_eq!(status(&host)["inputs"]["app"]["losses"], losses);
    for command in ["status", "doctor"] {
        let done = host.command(&[command, "-c", "lapwing.yaml"]);
        assert!(
            done.stdout.contains("longer than `max_line_bytes`"),
            "{}",
            done.stdout
        );
    }
    agent.stop();
}

#[test]
fn the_status_tells_of_the_last_reload() {
    let host = Host::with(CONFIG, RULES);
    let agent = host.run();
    host.write("rules.yaml", "rules: 5");
    kill_process(agent.pid(), Signal::HUP).unwrap();
    agent.stderr.wait_for("not reloaded");
    wait_until("the refusal", || {
        status(&host)["last_reload"]["ok"] == false
    });
    assert!(status(&host)["last_reload"]["problems"][0].is_string());
    host.write("rules.yaml", RULES);
    kill_process(agent.pid(), Signal::HUP).unwrap();
    wait_until("the reload", || status(&host)["last_reload"]["ok"] == true);
    wait_until("the new agent", || status(&host)["ready"] == true);
    agent.stop();
}

#[test]
fn without_an_agent_the_exit_code_is_69() {
    let host = Host::with(CONFIG, RULES);
    let done = host.command(&["status", "-c", "lapwing.yaml"]);
    assert_eq!(done.code, 69);
    assert!(done.stderr.contains("no agent listens"), "{}", done.stderr);
    let done = host.command(&["status", "-c", "absent.yaml"]);
    assert_eq!(done.code, 74);
}

#[test]
fn a_socket_that_a_killed_agent_left_is_taken_over() {
    let host = Host::with(CONFIG, RULES);
    host.run().kill9();
    assert!(host.path("run/control.sock").exists());
    let agent = host.run();
    assert_eq!(status(&host)["ready"], true);
    let mode = host
        .path("run/control.sock")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
    agent.stop();
}

#[test]
fn a_socket_of_somebody_else_is_left_alone_and_the_agent_watches() {
    let host = Host::with(CONFIG, RULES);
    std::fs::create_dir(host.path("run")).unwrap();
    let _somebody = UnixListener::bind(host.path("run/control.sock")).unwrap();
    let agent = host.run();
    host.append("app.log", "boom\n");
    wait_until("the alert", || host.path("alerts.jsonl").exists());
    let stderr = agent.stop();
    assert!(
        stderr.contains("cannot listen for `lapwing status`"),
        "{stderr}"
    );
    assert!(host.path("run/control.sock").exists());
}

#[test]
fn nonsense_at_the_socket_is_answered_and_harms_nobody() {
    let host = Host::with(CONFIG, RULES);
    let agent = host.run();
    let socket = host.path("run/control.sock");
    let long = vec![b'x'; 200_000];
    for nonsense in [&b"\n"[..], b"{}\n", b"\xff\xfe\n", &long] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        // The agent reads no more than a request may have, and closes.
        stream.write_all(nonsense).ok();
        let mut answer = String::new();
        if stream.read_to_string(&mut answer).is_ok() {
            assert!(answer.contains("that is no request"), "{answer}");
        }
    }
    // Those who connect and say nothing keep nobody else from asking.
    let _silent: Vec<UnixStream> = (0..8)
        .map(|_| UnixStream::connect(&socket).unwrap())
        .collect();
    assert_eq!(status(&host)["ready"], true);
    agent.stop();
}
