//! SIGHUP and SIGTERM when not everything is well.

use std::process::Stdio;

use rustix::process::{Signal, kill_process};

use crate::host::{Agent, Host, wait_until};
use crate::receiver::Receiver;

const RULES: &str = r"
rules:
  - name: ten
    match: {contains: [oops]}
    type: frequency
    num_events: 10
    timeframe: 1h
";

fn config(receiver: &Receiver) -> String {
    format!(
        "inputs: {{app: {{type: file, path: app.log, format: plain}}}}\n\
         outputs: {{hook: {{type: webhook, url: '{}'}}}}\n",
        receiver.url("/")
    )
}

fn hang_up(agent: &Agent) {
    kill_process(agent.pid(), Signal::HUP).unwrap();
}

#[test]
fn a_window_at_nine_of_ten_fires_exactly_once_over_a_reload() {
    let receiver = Receiver::start();
    let host = Host::with(&config(&receiver), RULES);
    let agent = host.run();
    host.append("app.log", "oops\n".repeat(9));
    hang_up(&agent);
    agent.stderr.wait_for("INFO reloaded");
    assert_eq!(receiver.received().len(), 0, "nine are none");
    host.append("app.log", "oops\n");
    let firing = receiver.wait_for(1, |request| request.is("ten", "firing"));
    assert_eq!(firing[0].json["count"], 10);
    agent.stop();
    // Nor does the next start say it again.
    host.run().stop();
    assert_eq!(receiver.received().len(), 1);
}

// Case 97.
#[test]
fn a_window_at_nine_of_ten_fires_exactly_once_over_a_sigkill() {
    let receiver = Receiver::start();
    let config = config(&receiver).replace("format: plain", "format: plain, start_at: beginning");
    let host = Host::with(&config, RULES);
    let agent = host.run();
    host.append("app.log", "oops\n".repeat(9));
    // Read, counted and committed, or none of it: either way these are nine.
    wait_until("the nine lines", || {
        host.command(&["status", "-c", "lapwing.yaml"])
            .stdout
            .contains("9 hits")
    });
    agent.kill9();
    let agent = host.run();
    assert_eq!(receiver.received().len(), 0, "nine are none");
    host.append("app.log", "oops\n");
    let firing = receiver.wait_for(1, |request| request.is("ten", "firing"));
    assert_eq!(firing[0].json["count"], 10);
    agent.stop();
    host.run().stop();
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn a_reload_that_cannot_start_leaves_the_old_agent_running() {
    let receiver = Receiver::start();
    let host = Host::with(&config(&receiver), RULES);
    let agent = host.run();
    // Correct, but no folder can be made there.
    let text = host.read("lapwing.yaml");
    host.write(
        "lapwing.yaml",
        text.replace("state_dir: state", "state_dir: /proc/none/state"),
    );
    hang_up(&agent);
    agent.stderr.wait_for("not reloaded");
    host.append("app.log", "oops\n".repeat(10));
    receiver.wait_for(1, |request| request.is("ten", "firing"));
    agent.stop();
}

#[test]
fn an_agent_that_reads_standard_input_refuses_to_reload_and_loses_nothing() {
    let receiver = Receiver::start();
    let config = config(&receiver).replace("type: file, path: app.log,", "type: stdin,");
    let host = Host::with(&config, RULES);
    let mut agent = Agent::start(
        host.lapwing(&["run", "-c", "lapwing.yaml"])
            .stdin(Stdio::piped()),
    );
    agent.stderr.wait_for("ready");
    agent.write(&"oops\n".repeat(4));
    hang_up(&agent);
    agent.stderr.wait_for("not reloaded");
    agent.write(&"oops\n".repeat(6));
    receiver.wait_for(1, |request| request.is("ten", "firing"));
    agent.stop();
}

#[test]
fn a_terminal_that_takes_nothing_does_not_keep_the_agent_from_ending() {
    let rules = RULES
        .replace("num_events: 10", "num_events: 1")
        .replace("timeframe", "realert: 0s\n    timeframe");
    let host = Host::with(
        "inputs: {app: {type: file, path: app.log, format: plain, start_at: beginning}}\n\
         outputs: {screen: {type: console}, archive: {type: file, path: alerts.jsonl}}\n",
        &rules,
    );
    // A pipe that nobody reads.
    let (reader, writer) = std::io::pipe().unwrap();
    let mut child = host
        .lapwing(&["run", "-c", "lapwing.yaml"])
        .stdout(writer)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the state", || {
        host.path("state").join("state.redb").exists()
    });
    host.append(
        "app.log",
        "oops and a long line to fill the pipe with\n".repeat(2_000),
    );
    wait_until("the other output", || {
        host.path("alerts.jsonl").exists() && host.read("alerts.jsonl").lines().count() > 300
    });
    kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    let began = lapwing::clock::monotonic();
    let mut status = None;
    wait_until("the end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert!(
        status.unwrap().success() && began.elapsed().as_secs() < 5,
        "{:?}",
        began.elapsed()
    );
    drop(reader);
}
