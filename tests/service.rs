//! The agent as a service: what its manager is told, and what signals do.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::{Signal, kill_process};

use crate::host::{Agent, Host, SOON, wait_until};

const CONFIG: &str = "
inputs: {app: {type: file, path: app.log, format: plain}}
outputs: {archive: {type: file, path: alerts.jsonl}}
";
const RULES: &str = "rules: [{name: five, match: {contains: [oops]}, type: frequency, num_events: 5, timeframe: 1h}]";

/// What a service manager hears.
struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    fn listen(host: &Host) -> Self {
        let socket = UnixDatagram::bind(host.path("notify")).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        Self { socket }
    }

    /// The next message with a line that begins so; what came before it.
    fn wait_for(&self, begin: &str) -> (String, Vec<String>) {
        let mut before = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let size = self.socket.recv(&mut buffer);
            let size = size.unwrap_or_else(|error| panic!("{error}: {begin} after {before:?}"));
            let text = String::from_utf8(buffer[..size].to_vec()).unwrap();
            if text.lines().any(|line| line.starts_with(begin)) {
                return (text, before);
            }
            before.push(text);
        }
    }
}

fn run(host: &Host, patience: Duration) -> Agent {
    let mut command = host.lapwing(&["run", "-c", "lapwing.yaml"]);
    command
        .env("NOTIFY_SOCKET", host.path("notify"))
        .env("WATCHDOG_USEC", patience.as_micros().to_string());
    Agent::start(&mut command)
}

#[test]
fn the_manager_is_told_of_the_start_reloads_and_the_end() {
    let host = Host::with(CONFIG, RULES);
    let manager = Manager::listen(&host);
    let agent = run(&host, Duration::from_mins(10));
    let (ready, _) = manager.wait_for("READY=1");
    assert!(
        ready.contains("STATUS=watching 1 input with 1 rule for 1 output\n"),
        "{ready}"
    );
    kill_process(agent.pid(), Signal::HUP).unwrap();
    let (reloading, _) = manager.wait_for("RELOADING=1");
    assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
    manager.wait_for("READY=1");
    // A refused one ends as well, and says why.
    host.write("rules.yaml", "rules: 5");
    kill_process(agent.pid(), Signal::HUP).unwrap();
    manager.wait_for("RELOADING=1");
    let (ready, _) = manager.wait_for("READY=1");
    assert!(ready.contains("; not reloaded at "), "{ready}");
    let stderr = agent.stop();
    assert!(stderr.contains("not reloaded"), "{stderr}");
    manager.wait_for("STOPPING=1");
}

#[test]
fn the_watchdog_is_fed_while_nothing_happens_and_over_reloads() {
    let host = Host::with(CONFIG, RULES);
    let manager = Manager::listen(&host);
    let agent = run(&host, Duration::from_millis(300));
    for _ in 0..5 {
        manager.wait_for("WATCHDOG=1");
    }
    kill_process(agent.pid(), Signal::HUP).unwrap();
    manager.wait_for("RELOADING=1");
    manager.wait_for("READY=1");
    for _ in 0..5 {
        manager.wait_for("WATCHDOG=1");
    }
    agent.stop();
}

#[test]
fn signals_turn_the_log_up_and_down() {
    let host = Host::with(CONFIG, RULES);
    let agent = host.run();
    for (signal, level) in [
        (Signal::USR1, "level=debug"),
        (Signal::USR1, "level=trace"),
        (Signal::USR2, "level=debug"),
        (Signal::USR2, "level=info"),
        (Signal::USR2, "level=warn"),
        (Signal::USR2, "level=error"),
        (Signal::USR1, "level=warn"),
    ] {
        let said = agent.stderr.text().matches(level).count();
        kill_process(agent.pid(), signal).unwrap();
        wait_until(level, || agent.stderr.text().matches(level).count() > said);
    }
    let stderr = agent.stop();
    assert!(!stderr.contains("INFO stopped"), "{stderr}");
}

#[test]
fn under_the_journal_lines_bear_priorities_and_no_times() {
    let host = Host::with(CONFIG, RULES);
    // Standard error that is not the journal, although the variable is there, has times.
    let mut command = host.lapwing(&["run", "-c", "lapwing.yaml"]);
    let agent = Agent::start(command.env("JOURNAL_STREAM", "1:2"));
    agent.stderr.wait_for("ready");
    let stderr = agent.stop();
    assert!(stderr.starts_with("20"), "{stderr}");
}

/// How much a process holds: open descriptors, and resident kilobytes.
fn holds(agent: &Agent) -> (usize, usize) {
    let process = format!("/proc/{}", agent.pid().as_raw_nonzero());
    let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.unwrap().split_whitespace().next().unwrap();
    let descriptors = std::fs::read_dir(format!("{process}/fd")).unwrap().count();
    (descriptors, resident.parse().unwrap())
}

/// More with `LAPWING_RELOADS`.
const RELOADS: usize = 40;
/// Between two of them.
const LINES: usize = 100;

#[test]
fn reloads_under_load_lose_no_line_and_no_window_and_hold_no_more() {
    let reloads = std::env::var("LAPWING_RELOADS").map_or(RELOADS, |n| n.parse().unwrap());
    let host = Host::with(CONFIG, "");
    // It fires with the very last line, if each was counted once, over all the reloads.
    let lines = reloads * LINES;
    let rules = RULES
        .replace("num_events: 5", &format!("num_events: {lines}"))
        .replace("1h", "24h");
    host.write("rules.yaml", &rules);
    let agent = host.run();
    let mut held = Vec::new();
    for round in 0..reloads {
        let numbers = round * LINES + 1..=(round + 1) * LINES;
        let text = numbers.map(|n| format!("oops {n:07}\n"));
        let text = text.collect::<Vec<_>>().concat();
        let (first, second) = text.split_at(38 * "oops 0000001\n".len());
        host.append("app.log", first);
        if round % 7 == 3 {
            std::fs::rename(host.path("app.log"), host.path("app.log.1")).unwrap();
        }
        kill_process(agent.pid(), Signal::HUP).unwrap();
        host.append("app.log", second);
        let said = round + 1;
        wait_until("the reload", || {
            agent.stderr.text().matches("INFO reloaded").count() >= said
        });
        held.push(holds(&agent));
    }
    wait_until("the alert", || host.path("alerts.jsonl").exists());
    let alert: serde_json::Value =
        serde_json::from_str(host.read("alerts.jsonl").lines().next().unwrap()).unwrap();
    assert_eq!(alert["count"], lines);
    let samples = alert["samples"].as_array().unwrap();
    let last = format!("oops {lines:07}");
    assert_eq!(samples.last().unwrap()["line"], last.as_str());
    let (settled, end) = (held[reloads / 4], *held.last().unwrap());
    eprintln!("descriptors and resident kB, settled {settled:?}, at the end {end:?}");
    // Rotated files are kept open for 5 s.
    assert!(end.0 <= settled.0 + 8, "descriptors: {held:?}");
    assert!(end.1 <= settled.1 + 8 * 1024, "resident: {held:?}");
    agent.stop();
}
