//! The status page and metrics: what they show, and whom they turn away.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::host::{Agent, Host, SOON, wait_until};

const CONFIG: &str = "
http: {listen: '127.0.0.1:0', hosts: [status.example.com]}
inputs:
  app: {type: file, path: ['*.log'], format: plain}
outputs:
  archive: {type: file, path: alerts.jsonl}
";
const RULES: &str = r"
rules:
  - {name: boom, match: {contains: [boom]}, type: any, severity: critical}
  - {name: quiet, match: {contains: [nothing-has-this]}, type: any}
";

/// Where the agent listens, as its log says.
fn address(agent: &Agent) -> String {
    agent.stderr.wait_for("the status page is at http://");
    let text = agent.stderr.text();
    let (_, rest) = text.split_once("the status page is at http://").unwrap();
    rest.split_once('/').unwrap().0.to_owned()
}

/// An answer: its status, its head, its body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

fn ask(address: &str, head: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = Vec::new();
    // It may close before it has read all.
    stream.read_to_end(&mut text).ok();
    let text = String::from_utf8(text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Answer {
        status: status.unwrap_or_else(|| panic!("no answer: {text}")),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

fn get(address: &str, path: &str) -> Answer {
    ask(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"),
    )
}

#[test]
fn the_page_and_everything_below_it_is_served() {
    let host = Host::with(CONFIG, RULES);
    let agent = host.run();
    let address = address(&agent);
    host.append("app.log", "boom <script>alert(1)</script>\n");
    wait_until("the delivery", || host.path("alerts.jsonl").exists());
    for (path, kind) in [
        ("/", "text/html"),
        ("/page.css", "text/css"),
        ("/page.js", "text/javascript"),
        ("/icon.svg", "image/svg+xml"),
        ("/api/status", "application/json"),
        ("/api/overview", "application/json"),
    ] {
        let answer = get(&address, path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(
            answer.head.contains(&format!("content-type: {kind}")),
            "{path}: {}",
            answer.head
        );
        assert!(
            answer
                .head
                .contains("content-security-policy: default-src 'none';"),
            "{path}"
        );
        for foreign in ["http://", "https://"] {
            let found = answer.body.replace("http://www.w3.org/", "");
            assert!(
                !found.contains(foreign) || path.starts_with("/api"),
                "{path} leads elsewhere"
            );
        }
    }
    let overview: Value = serde_json::from_str(&get(&address, "/api/overview").body).unwrap();
    assert_eq!(overview["firing"][0]["rule"], "boom");
    assert_eq!(
        overview["recent"][0]["samples"][0],
        "boom <script>alert(1)</script>"
    );
    assert_eq!(get(&address, "/healthz").body, "ok\n");
    assert_eq!(get(&address, "/readyz").body, "ready\n");
    assert_eq!(get(&address, "/etc/passwd").status, 404);
    agent.stop();
}

#[test]
fn prometheus_can_read_the_figures() {
    let host = Host::with(CONFIG, RULES);
    let agent = host.run();
    let address = address(&agent);
    host.append("app.log", "boom\nnothing\n");
    wait_until("the delivery", || {
        get(&address, "/metrics")
            .body
            .contains("outcome=\"delivered\"} 1\n")
    });
    wait_until("the canary", || {
        let figures = get(&address, "/metrics").body;
        figures.contains("lapwing_canary_lines_total{outcome=\"arrived\"} 1\n")
            && figures.contains("\nlapwing_canary_seconds 0.")
    });
    let figures = get(&address, "/metrics").body;
    for line in [
        "lapwing_lines_total{input=\"app\"} 2",
        "lapwing_bytes_total{input=\"app\"} 13",
        "lapwing_hits_total{rule=\"boom\"} 1",
        "lapwing_hits_total{rule=\"quiet\"} 0",
        "lapwing_alerts_total{rule=\"boom\"} 1",
        "lapwing_notifications_total{output=\"archive\",outcome=\"delivered\"} 1",
        "lapwing_dropped_total{reason=\"queue_full\"} 0",
        "lapwing_skewed_total{input=\"app\"} 0",
        "lapwing_reloads_total{outcome=\"ok\"} 0",
        "lapwing_input_lag_bytes{input=\"app\"} 0",
        "lapwing_output_queue{output=\"archive\"} 0",
    ] {
        assert!(
            figures.contains(&format!("{line}\n")),
            "{line} in\n{figures}"
        );
    }
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = promtool.expect("promtool: tests/setup installs it");
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(figures.as_bytes())
        .unwrap();
    let said = promtool.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&said.stderr);
    assert!(
        said.status.success() && text.is_empty() && said.stdout.is_empty(),
        "{text}"
    );
    agent.stop();
}

#[test]
fn foreign_names_bodies_and_changes_are_turned_away() {
    let host = Host::with(CONFIG, RULES);
    let agent = host.run();
    let address = address(&agent);
    let with_host = |name: &str| {
        ask(
            &address,
            &format!("GET /api/status HTTP/1.1\r\nHost: {name}\r\n\r\n"),
        )
    };
    for name in ["localhost:7311", "127.0.0.1", "STATUS.example.com"] {
        assert_eq!(with_host(name).status, 200, "{name}");
    }
    for name in [
        "evil.example.com",
        "evil.example.com:80",
        "localhost.evil.com",
    ] {
        let answer = with_host(name);
        assert_eq!(answer.status, 421, "{name}");
        assert!(!answer.body.contains("boom"));
    }
    assert_eq!(ask(&address, "GET /metrics HTTP/1.0\r\n\r\n").status, 421);
    // A gigabyte is announced, and nobody waits for it.
    let post = format!(
        "POST /api/status HTTP/1.1\r\nHost: {address}\r\nContent-Length: 1073741824\r\n\r\n"
    );
    assert_eq!(ask(&address, &post).status, 405);
    let long = format!(
        "GET / HTTP/1.1\r\nHost: {address}\r\nX: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    assert_eq!(ask(&address, &long).status, 431);
    // Those who say nothing keep nobody else from asking for long.
    let _silent: Vec<TcpStream> = (0..40)
        .map(|_| TcpStream::connect(&address).unwrap())
        .collect();
    assert_eq!(get(&address, "/healthz").status, 200);
    agent.stop();
}

#[test]
fn a_page_is_kept_up_to_date_over_a_reload() {
    let host = Host::with(CONFIG, RULES);
    let agent = host.run();
    let address = address(&agent);
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    write!(stream, "GET /api/live HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let mut next = || -> Value {
        let data = lines.find_map(|line| line.strip_prefix("data: ").map(str::to_owned));
        serde_json::from_str(&data.unwrap()).unwrap()
    };
    assert_eq!(next()["firing"], Value::Array(Vec::new()));
    host.append("app.log", "boom\n");
    while next()["firing"][0]["rule"] != "boom" {}
    rustix::process::kill_process(agent.pid(), rustix::process::Signal::HUP).unwrap();
    while next()["status"]["last_reload"]["ok"] != true {}
    assert_eq!(next()["firing"][0]["rule"], "boom");
    agent.stop();
}
