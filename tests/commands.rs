//! The commands that a person types, as a shell sees them: output, messages, exit codes.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;
use std::sync::Arc;

use rustix::process::Signal;
use serde_json::json;

use crate::host::{Agent, Host, json_lines};
use crate::receiver::{Answer, DeadAddress, Receiver};

const RULES: &str = r#"
version: 1
rules:
  - name: bad-gateways
    summary: '{{ count }} bad gateways in {{ timeframe }}'
    severity: critical
    match: {contains: ['" 502 '], where: 'path != "/healthz"'}
    type: frequency
    num_events: 10
    timeframe: 1m
    tests:
      - name: ten are enough
        format: nginx
        lines:
          - {at: 0s, every: 1s, repeat: 10, line: '203.0.113.9 - - [21/Nov/2026:09:00:00 +0000] "GET /a HTTP/1.1" 502 157 "-" "curl/8"'}
        expect:
          - {at: 8s, alerts: 0}
          - {at: 9s, alerts: 1, count: 10}
  - name: scanners
    match: {contains: ['/wp-login.php']}
    type: any
"#;

fn line(minute: u32, second: u32, path: &str, status: u16) -> String {
    format!(
        "203.0.113.9 - - [21/Nov/2025:09:{minute:02}:{second:02} +0000] \
         \"GET {path} HTTP/1.1\" {status} 157 \"-\" \"curl/8\"\n"
    )
}

/// Ten 502s in each of the minutes.
fn bursts(minutes: impl IntoIterator<Item = u32>) -> String {
    let of_minute = |minute| (0..10).map(move |second| line(minute, second, "/a", 502));
    minutes.into_iter().flat_map(of_minute).collect()
}

fn host() -> Host {
    let host = Host::new();
    host.write("rules.yaml", RULES);
    host
}

#[test]
fn match_prints_lines_as_grep_would() {
    let host = host();
    let (bad, healthy, fine) = (
        line(0, 0, "/a", 502),
        line(0, 1, "/healthz", 502),
        line(0, 2, "/a", 200),
    );
    host.write("one.log", format!("{bad}{healthy}{fine}"));
    host.write("two.log", format!("{fine}{}", bad.trim_end()));
    host.write("none.log", &fine);
    let find = |files: &[&str]| {
        let mut args = vec!["match", "--rule", "bad-gateways", "--rules", "rules.yaml"];
        args.extend(files);
        host.command(&args)
    };
    let done = find(&["one.log"]);
    assert_eq!((done.code, &done.stdout), (0, &bad));
    let done = find(&["one.log", "none.log", "two.log"]);
    let expected = format!("one.log:{bad}two.log:{bad}");
    assert_eq!((done.code, done.stdout), (0, expected));
    let done = find(&["none.log"]);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    let done = find(&["one.log", "missing.log"]);
    assert_eq!((done.code, done.stdout), (74, format!("one.log:{bad}")));
    assert!(done.stderr.contains("missing.log"), "{}", done.stderr);

    let args = [
        "match",
        "--rule",
        "bad-gateways",
        "--rules",
        "rules.yaml",
        "-",
    ];
    let done = host.command_with(&args, &format!("{fine}{bad}"));
    assert_eq!((done.code, &done.stdout), (0, &bad));
    let done = host.command(&[
        "match",
        "--rule",
        "bad-gatewys",
        "--rules",
        "rules.yaml",
        "one.log",
    ]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("`bad-gateways`"), "{}", done.stderr);
}

#[test]
fn explain_says_what_each_rule_is_searched_by() {
    let host = host();
    let done = host.command(&["explain", "--rules", "rules.yaml"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for said in [
        "bad-gateways\n",
        "scanners\n",
        "at 10 hits in 1m",
        "/wp-login.php",
    ] {
        assert!(done.stdout.contains(said), "{said}: {}", done.stdout);
    }
    let done = host.command(&["explain", "--rules", "rules.yaml", "scanners"]);
    assert!(!done.stdout.contains("bad-gateways"), "{}", done.stdout);
    assert_eq!(
        host.command(&["explain", "--rules", "rules.yaml", "nobody"])
            .code,
        2
    );
}

#[test]
fn help_completions_and_the_version_are_data() {
    let host = Host::new();
    for args in [
        &["--help"][..],
        &["run", "--help"],
        &["completion", "bash"],
        &["--version"],
    ] {
        let done = host.command(args);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{args:?}");
        assert!(done.stdout.contains("lapwing"), "{args:?}");
        assert!(!done.stdout.contains('\u{1b}'), "{args:?}");
    }
    let done = host.command(&["completion", "bash"]);
    assert!(done.stdout.contains("backtest"), "{}", done.stdout);
    let done = host.command(&["--help"]);
    for command in [
        "run", "watch", "demo", "check", "test", "backtest", "match", "explain",
    ] {
        assert!(
            done.stdout.contains(&format!("\n  {command} ")),
            "{command}"
        );
    }
}

#[test]
fn a_failing_test_says_what_was_expected_and_what_came() {
    let host = host();
    let done = host.command(&["test", "rules.yaml"]);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (0, ""),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr.contains("1 passed, 0 failed"),
        "{}",
        done.stderr
    );

    host.write(
        "wrong.yaml",
        RULES.replace("at: 8s, alerts: 0", "at: 8s, alerts: 2"),
    );
    let done = host.command(&["test", "wrong.yaml"]);
    assert_eq!(done.code, 1);
    assert!(
        done.stdout.contains("FAIL bad-gateways / ten are enough"),
        "{}",
        done.stdout
    );
    assert!(done.stdout.contains("wrong.yaml:17:"), "{}", done.stdout);
    assert!(
        done.stdout.contains("alerts: expected 2, got 0\n"),
        "{}",
        done.stdout
    );

    let done = host.command(&["test", "--json", "wrong.yaml"]);
    assert_eq!(done.code, 1);
    let tests = json_lines(&done.stdout);
    assert_eq!(tests.len(), 1);
    assert_eq!(tests[0]["passed"], false);
    assert_eq!(tests[0]["mismatches"][0]["at"], "8s");
}

#[test]
fn the_shipped_packs_pass_their_own_tests() {
    let done = Host::new().command(&["test", "pack:nginx"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert!(done.stderr.contains(" 0 failed"), "{}", done.stderr);
    assert!(!done.stderr.contains("without a test"), "{}", done.stderr);
}

#[test]
fn backtest_ends_with_a_summary() {
    let host = host();
    let log = format!("{}{}", bursts([0, 20]), line(30, 0, "/wp-login.php", 404));
    host.write("access.log", &log);
    let done = host.command(&["backtest", "--json", "--rules", "rules.yaml", "access.log"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let mut objects = json_lines(&done.stdout);
    let summary = objects.pop().expect("a summary");
    assert!(summary["summary"]["seconds"].is_f64());
    let expected = json!({
        "lines": 21, "bytes": log.len(), "seconds": summary["summary"]["seconds"], "skewed": 0,
        "rules": {
            "bad-gateways": {"hits": 20, "alerts": 2, "notifications": 4},
            "scanners": {"hits": 1, "alerts": 1, "notifications": 1},
        },
    });
    assert_eq!(summary["summary"], expected);
    let told: Vec<(&str, &str)> = objects
        .iter()
        .map(|json| {
            (
                json["rule"].as_str().unwrap(),
                json["reason"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("bad-gateways", "first"),
        ("bad-gateways", "resolved"),
        ("bad-gateways", "first"),
        ("bad-gateways", "resolved"),
        ("scanners", "first"),
    ];
    assert_eq!(told, expected);

    let done = host.command(&["backtest", "--rules", "rules.yaml", "access.log"]);
    assert_eq!(done.code, 0);
    assert!(
        done.stdout.contains("5 messages about 3 alerts"),
        "{}",
        done.stdout
    );
    assert!(!done.stdout.contains('\u{1b}'), "{}", done.stdout);
}

#[test]
fn logs_packed_with_zstd_are_read_and_one_that_is_cut_off_says_so() {
    let host = host();
    let (text, bad) = (bursts(0..60), line(0, 0, "/a", 502));
    let packed = zstd::encode_all(text.as_bytes(), 3).unwrap();
    host.write("access.log.3", &packed);
    host.write("cut.zst", &packed[..packed.len() - 7]);
    let backtest = |file| {
        let args = ["backtest", "--json", "--rules", "rules.yaml", file];
        host.command(&args)
    };
    let done = backtest("access.log.3");
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let summary = json_lines(&done.stdout).pop().expect("a summary");
    assert_eq!(summary["summary"]["bytes"], text.len());
    let done = backtest("cut.zst");
    assert_eq!(done.code, 74);
    let said = "cannot read cut.zst: the compressed data is cut off behind ";
    assert!(done.stderr.contains(said), "{}", done.stderr);

    let args = [
        "match",
        "--rule",
        "bad-gateways",
        "--rules",
        "rules.yaml",
        "access.log.3",
    ];
    let done = host.command(&args);
    assert_eq!((done.code, done.stdout.lines().count()), (0, 600));
    assert!(done.stdout.starts_with(&bad), "{}", done.stdout);
}

#[test]
fn since_and_until_bound_what_counts() {
    let host = host();
    host.write("access.log", bursts([0, 20, 40]));
    let first_starts = |bounds: &[&str]| -> Vec<String> {
        let mut args = vec!["backtest", "--json", "--rules", "rules.yaml", "access.log"];
        args.extend(bounds);
        let done = host.command(&args);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let mut objects = json_lines(&done.stdout);
        assert_eq!(objects.pop().expect("a summary")["summary"]["lines"], 30);
        let first = objects.iter().filter(|json| json["reason"] == "first");
        first
            .map(|json| json["started_at"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = [
        "2025-11-21T09:00:09Z",
        "2025-11-21T09:20:09Z",
        "2025-11-21T09:40:09Z",
    ];
    assert_eq!(first_starts(&[]), all);
    assert_eq!(first_starts(&["--since", "2025-11-21T09:20:00Z"]), all[1..]);
    assert_eq!(first_starts(&["--since", "2025-11-21T09:20:01Z"]), all[2..]);
    assert_eq!(first_starts(&["--until", "2025-11-21T09:20:10Z"]), all[..2]);
    assert_eq!(first_starts(&["--until", "2025-11-21T09:20:09Z"]), all[..1]);
    let empty: [&str; 0] = [];
    assert_eq!(first_starts(&["--since", "1h"]), empty);
    let wrong = [
        "backtest",
        "--rules",
        "rules.yaml",
        "--since",
        "soon",
        "access.log",
    ];
    assert_eq!(host.command(&wrong).code, 2);
}

#[test]
fn watch_shows_a_burst_and_ends_with_ctrl_c() {
    let host = host();
    host.write("access.log", line(0, 0, "/old", 200));
    let args = ["watch", "--rules", "rules.yaml", "access.log"];
    let agent = Agent::start(host.lapwing(&args).stdin(Stdio::null()));
    agent.stderr.wait_for("ready");
    host.append(
        "access.log",
        bursts([5]).replace("GET /a", "GET /\u{1b}[2Jx"),
    );
    agent.stdout.wait_for("10 bad gateways in 1m");
    let done = agent.end_by(Signal::INT);
    assert!(
        done.stderr.contains("access.log (nginx) with 2 rules"),
        "{}",
        done.stderr
    );
    assert!(done.stdout.contains("critical"), "{}", done.stdout);
    for text in [&done.stdout, &done.stderr] {
        let is_harmless = |c: char| c == '\n' || !c.is_control();
        assert!(text.chars().all(is_harmless), "{text:?}");
    }
}

#[test]
fn watch_needs_no_rules_and_reads_from_the_start_when_asked() {
    let host = Host::new();
    host.write("access.log", bursts([0]));
    let args = ["watch", "--from-start", "access.log"];
    let agent = Agent::start(host.lapwing(&args).stdin(Stdio::null()));
    agent.stdout.wait_for("nginx-502-burst");
    agent.end_by(Signal::INT);
    assert_eq!(host.command(&["watch", "missing.log"]).code, 74);
}

#[test]
fn a_secret_in_a_url_is_never_said() {
    let token = "T0K3N-that-nobody-may-see";
    let (dead, receiver) = (DeadAddress::new(), Receiver::start());
    receiver.answer_next([
        Answer::status(404),
        Answer::status(400),
        Answer::status(500),
    ]);
    let host = Host::new();
    host.write("token", format!("{token}\n"));
    host.write("rules.yaml", RULES);
    host.configure(&format!(
        "inputs: {{access: {{type: file, path: access.log, start_at: beginning}}}}\n\
         outputs:\n  \
           gone-hook: {{type: webhook, url: 'http://{}/${{file:token}}'}}\n  \
           one-hook: {{type: webhook, url: '{}', secret: '${{file:token}}'}}\n  \
           a-chat: {{type: slack, webhook_url: '{}'}}\n  \
           two-hook: {{type: webhook, url: '{}', secret: '${{file:token}}'}}\n",
        dead.address,
        receiver.url("/a/${file:token}"),
        receiver.url("/b/${file:token}"),
        receiver.url("/c?token=${file:token}"),
    ));
    host.append("access.log", bursts([0]));
    let agent = host.run();
    receiver.wait_for(3, |request| request.path.contains(token));
    for output in ["gone-hook", "one-hook", "a-chat", "two-hook"] {
        // Each says why it cannot deliver.
        agent.stderr.wait_for(&format!("output={output}"));
    }
    let said = agent.stop();
    assert!(!said.contains(token), "{said}");
    // Nor when the URL itself is wrong.
    let config = host.read("lapwing.yaml").replace("'http://", "'nttp://");
    host.write("lapwing.yaml", config);
    let done = host.command(&["check", "-c", "lapwing.yaml"]);
    assert_eq!(done.code, 78);
    assert!(done.stderr.contains("bad-url"), "{}", done.stderr);
    assert!(!done.stderr.contains(token), "{}", done.stderr);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let host = host();
    host.write("access.log", bursts(0..60).repeat(100));
    let args = [
        "match",
        "--rule",
        "bad-gateways",
        "--rules",
        "rules.yaml",
        "access.log",
    ];
    let mut command = host.lapwing(&args);
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // As `| head -1` does: one line, then the pipe is closed.
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    drop(stdout);
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    let code = child.wait().unwrap().code();
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert!(line.contains(" 502 "));
}

#[test]
fn standard_input_is_an_input_that_ends() {
    let receiver = Receiver::start();
    let host = Host::with(
        &format!(
            "inputs: {{piped: {{type: stdin, format: nginx}}}}\n\
             outputs: {{hook: {{type: webhook, url: '{}'}}}}\n",
            receiver.url("/")
        ),
        RULES,
    );
    let done = host.command_with(&["run", "-c", "lapwing.yaml"], bursts([0]).trim_end());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let received = receiver.received();
    assert_eq!(received.len(), 1, "the last line without LF counts");
    assert_eq!(received[0].json["samples"][4]["source"], "stdin");
}

#[test]
fn a_signal_to_reload_takes_new_rules_and_refuses_wrong_ones() {
    let receiver = Receiver::start();
    let host = Host::with(
        &format!(
            "inputs: {{access: {{type: file, path: access.log, format: nginx}}}}\n\
             outputs: {{hook: {{type: webhook, url: '{}'}}}}\n",
            receiver.url("/")
        ),
        RULES,
    );
    let agent = host.run();
    let hang_up = |agent: &Agent| rustix::process::kill_process(agent.pid(), Signal::HUP).unwrap();
    host.write("rules.yaml", "rules: [{name: x, type: nothing}]");
    hang_up(&agent);
    agent.stderr.wait_for("not reloaded");
    host.append("access.log", bursts([0]));
    receiver.wait_for(1, |request| request.is("bad-gateways", "firing"));

    host.write(
        "rules.yaml",
        "rules: [{name: other, type: any, match: {contains: [/new]}}]",
    );
    hang_up(&agent);
    agent.stderr.wait_for("INFO reloaded");
    host.append("access.log", line(1, 0, "/new", 200));
    receiver.wait_for(1, |request| request.is("other", "firing"));
    let stderr = Arc::clone(&agent.stderr);
    agent.stop();
    assert!(
        stderr.text().contains("rules.yaml:1:25"),
        "{}",
        stderr.text()
    );
}

#[test]
fn a_time_without_a_zone_is_one_of_the_hosts() {
    let host = Host::new();
    host.write(
        "rules.yaml",
        "rules: [{name: a, type: any, match: {contains: [oops]}}]",
    );
    host.write(
        "error.log",
        "2025/11/21 09:00:00 [error] 1#1: *1 oops, client: 10.0.0.9\n",
    );
    let mut command = host.lapwing(&["backtest", "--rules", "rules.yaml", "--json", "error.log"]);
    let output = command.env("TZ", "EST5").output().unwrap();
    let told = json_lines(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(told[0]["started_at"], "2025-11-21T14:00:00Z");
}
