//! Logs that rotate under the running agent: every line once.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::host::{Host, wait_until};
use crate::receiver::Receiver;

const RULES: &str = r"
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

/// Rounds of writing and rotating.
const ROUNDS: usize = 8;
/// Lines in a round.
const LINES: usize = 50;

/// One of the ways in which logs are rotated.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Rename,
    CopyTruncate,
}

/// A host whose agent tails `app.log` alone.
fn host(receiver: &Receiver) -> Host {
    let config = format!(
        "inputs: {{app: {{type: file, path: app.log, format: plain, start_at: beginning}}}}\n\
         outputs: {{hook: {{type: webhook, url: '{}'}}}}\n",
        receiver.url("/")
    );
    Host::with(&config, RULES)
}

fn round(n: usize) -> String {
    let lines = (n * LINES..(n + 1) * LINES).map(|n| format!("line {n} of many\n"));
    lines.collect::<Vec<_>>().concat()
}

/// How often each number was told.
fn told(receiver: &Receiver) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in receiver.received() {
        let number = request.json["group"]["n"].as_str().expect("n").to_owned();
        *counts.entry(number).or_default() += 1;
    }
    counts
}

fn every_line_was_told_once(receiver: &Receiver) {
    let told = told(receiver);
    assert_eq!(told.len(), ROUNDS * LINES);
    assert!(told.values().all(|count| *count == 1), "{told:?}");
}

/// Debian keeps it where only root looks.
fn logrotate(host: &Host) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("logrotate");
    command.env("PATH", format!("{path}:/usr/sbin"));
    command.current_dir(host.path(""));
    command.args(["--force", "--state", "logrotate.state", "logrotate.conf"]);
    command
}

/// What Debian's logrotate does, at its hand. `nocompress` and five kept ones, as for nginx.
fn configure_logrotate(host: &Host, way: Way) {
    let how = match way {
        Way::Rename => "create 0644",
        Way::CopyTruncate => "copytruncate",
    };
    let log = host.path("app.log");
    let config = format!(
        "{} {{\n  rotate 5\n  missingok\n  {how}\n}}\n",
        log.display()
    );
    host.write("logrotate.conf", config);
    // It refuses a configuration that others can write.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(host.path("logrotate.conf"), mode).unwrap();
}

fn rotated_by_logrotate(way: Way) {
    let receiver = Receiver::start();
    let host = host(&receiver);
    configure_logrotate(&host, way);
    let agent = host.run();
    for n in 0..ROUNDS {
        host.append("app.log", round(n));
        if way == Way::CopyTruncate {
            // What is truncated before it was read is gone: the contract gives the agent a second.
            receiver.wait_for((n + 1) * LINES, |_| true);
        }
        let done = logrotate(&host)
            .output()
            .expect("logrotate is installed by tests/setup");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{said}");
        assert!(Path::exists(&host.path("app.log.1")), "{said}");
    }
    wait_until("every line", || told(&receiver).len() == ROUNDS * LINES);
    agent.stop();
    every_line_was_told_once(&receiver);
}

#[test]
fn logrotate_with_create_loses_and_repeats_no_line() {
    rotated_by_logrotate(Way::Rename);
}

#[test]
fn logrotate_with_copytruncate_loses_and_repeats_no_line() {
    rotated_by_logrotate(Way::CopyTruncate);
}

#[test]
fn a_writer_that_keeps_the_renamed_file_open_is_read_to_its_end() {
    use std::io::Write as _;
    let receiver = Receiver::start();
    let host = host(&receiver);
    host.write("app.log", "");
    let agent = host.run();
    for n in 0..ROUNDS {
        // As nginx does until it is told to reopen.
        let mut options = std::fs::OpenOptions::new();
        let mut old = options
            .append(true)
            .create(true)
            .open(host.path("app.log"))
            .unwrap();
        let lines = round(n);
        // In the middle of a line, or nearly so.
        let (first, second) = lines.split_at(lines.len() / 2);
        old.write_all(first.as_bytes()).unwrap();
        // What comes and goes under another name before anybody can look was never in the glob.
        receiver.wait_for(n * LINES + first.matches('\n').count(), |_| true);
        std::fs::rename(host.path("app.log"), host.path(&format!("app.log.{n}"))).unwrap();
        old.write_all(second.as_bytes()).unwrap();
    }
    wait_until("every line", || told(&receiver).len() == ROUNDS * LINES);
    agent.stop();
    every_line_was_told_once(&receiver);
}

#[test]
fn what_rotated_while_the_agent_was_stopped_is_read_on_where_it_stood() {
    let receiver = Receiver::start();
    let host = host(&receiver);
    let agent = host.run();
    host.append("app.log", round(0));
    receiver.wait_for(LINES, |_| true);
    agent.stop();
    for n in 1..ROUNDS {
        if n == 4 {
            std::fs::rename(host.path("app.log"), host.path("app.log.1")).unwrap();
        }
        host.append("app.log", round(n));
    }
    let agent = host.run();
    wait_until("every line", || told(&receiver).len() == ROUNDS * LINES);
    agent.stop();
    every_line_was_told_once(&receiver);
}
