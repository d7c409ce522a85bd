//! Files that cannot be read, are no files, or are too many, before a running agent.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use serde_json::Value;

use crate::host::{Agent, Host, LAPWING, json_lines, wait_until};

const CONFIG: &str = "
inputs:
  app: {type: file, path: ['logs/*.log'], format: plain, start_at: beginning}
";
const RULES: &str = "
version: 1
rules:
  - {name: lines, match: {contains: [line]}, type: any, notify: []}
";
/// A user without any rights.
const NOBODY: u32 = 65534;

fn host() -> Host {
    let host = Host::with(CONFIG, RULES);
    fs::create_dir(host.path("logs")).unwrap();
    host
}

fn status(host: &Host) -> Value {
    let done = host.command(&["status", "-c", "lapwing.yaml", "--json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    json_lines(&done.stdout).remove(0)
}

fn wait_for_hits(host: &Host, count: u64) {
    wait_until(&format!("{count} hits"), || {
        status(host)["rules"]["lines"]["hits"] == count
    });
}

// Case 34.
#[test]
fn of_ten_thousand_files_with_256_descriptors_every_line_is_read() {
    const FILES: usize = 10_000;
    let host = host();
    for n in 0..FILES {
        host.write(&format!("logs/{n}.log"), format!("line {n}\n"));
    }
    let mut command = Command::new("sh");
    let run = format!("ulimit -n 256; exec '{LAPWING}' run -c lapwing.yaml");
    command.args(["-c", &run]).current_dir(host.path(""));
    let agent = Agent::start(&mut command);
    agent.stderr.wait_for("ready");
    wait_for_hits(&host, FILES as u64);
    for n in (0..FILES).step_by(100) {
        host.append(&format!("logs/{n}.log"), "line\n");
    }
    wait_for_hits(&host, FILES as u64 + 100);
    agent.stop();
}

// Case 31.
#[test]
fn what_was_written_while_a_file_could_not_be_read_is_read_when_it_can() {
    let host = host();
    let log = host.path("logs/app.log");
    let start = || {
        let mut command = host.lapwing(&["run", "-c", "lapwing.yaml"]);
        if rustix::process::geteuid().is_root() {
            // Root may read everything: the agent runs as somebody else, who can reach the binary.
            let binary = host.path("lapwing");
            fs::copy(LAPWING, &binary).unwrap();
            for path in [host.path(""), host.path("logs"), binary.clone()] {
                chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
            command = Command::new(binary);
            command.args(["run", "-c", "lapwing.yaml"]);
            command.current_dir(host.path("")).uid(NOBODY).gid(NOBODY);
        }
        let agent = Agent::start(&mut command);
        agent.stderr.wait_for("ready");
        agent
    };
    let allow = |mode| fs::set_permissions(&log, Permissions::from_mode(mode)).unwrap();
    host.append("logs/app.log", "line 1\n");
    let agent = start();
    wait_for_hits(&host, 1);
    agent.stop();
    allow(0o000);
    host.append("logs/other.log", "line 2\n");
    let agent = start();
    wait_for_hits(&host, 1);
    let unreadable = || status(&host)["inputs"]["app"]["unreadable"].clone();
    wait_until("the complaint", || unreadable()[0]["path"].is_string());
    allow(0o644);
    host.append("logs/app.log", "line 3\n");
    wait_for_hits(&host, 2);
    wait_until("the end of the complaint", || {
        unreadable() == Value::Array(Vec::new())
    });
    agent.stop();
}

// Case 43.
#[test]
fn a_device_without_end_in_place_of_a_log_keeps_nobody_from_reading() {
    let host = host();
    host.append("logs/app.log", "line 1\n");
    let agent = host.run();
    wait_for_hits(&host, 1);
    fs::remove_file(host.path("logs/app.log")).unwrap();
    symlink("/dev/zero", host.path("logs/app.log")).unwrap();
    symlink("/dev/full", host.path("logs/full.log")).unwrap();
    host.append("logs/other.log", "line 2\n");
    wait_for_hits(&host, 2);
    fs::remove_file(host.path("logs/app.log")).unwrap();
    host.append("logs/app.log", "line 3\n");
    wait_for_hits(&host, 3);
    let about = fs::read_to_string(format!("/proc/{}/status", agent.pid().as_raw_nonzero()));
    let about = about.unwrap();
    let peak = about.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak: u64 = peak
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    assert!(peak < 256 << 10, "{peak} KiB");
    agent.stop();
}
