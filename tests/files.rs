//! Files that cannot be read, are no files, or are too many, before a running agent.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{Signal, kill_process};
use serde_json::Value;

use crate::host::{Agent, Host, LAPWING, json_lines, wait_until};
use crate::strace::Strace;

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
            // Not by ourselves: whoever is forked meanwhile would hold it open for writing.
            let copied = Command::new("cp").arg(LAPWING).arg(&binary).status();
            assert!(copied.unwrap().success());
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

// Case 32. The namespace is the agent's own: nobody else sees what is mounted there.
#[test]
fn a_log_on_a_disk_that_is_unmounted_and_mounted_again_is_read_on_and_nothing_twice() {
    let host = host();
    fs::create_dir(host.path("disk")).unwrap();
    host.append("disk/app.log", "line 1\n");
    let mut command = Command::new("unshare");
    let run = format!("mount --bind disk logs && exec '{LAPWING}' run -c lapwing.yaml");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &run])
        .current_dir(host.path(""));
    let agent = Agent::start(&mut command);
    agent.stderr.wait_for("ready");
    wait_for_hits(&host, 1);
    let there = |program: &str, args: &[&str]| {
        let pid = agent.pid().as_raw_nonzero().to_string();
        let mut command = Command::new("nsenter");
        command
            .args(["--user", "--mount", "--preserve-credentials", "-t", &pid])
            .arg(program)
            .args(args)
            .current_dir(host.path(""));
        assert!(command.status().unwrap().success(), "{program} {args:?}");
    };
    let logs = host.path("logs").display().to_string();
    for number in [2, 5] {
        there("umount", &["--lazy", &logs]);
        let files_known = || status(&host)["inputs"]["app"]["files"].as_u64();
        wait_until("the files to be gone", || files_known() == Some(0));
        host.append("disk/app.log", format!("line {number}\n"));
        fs::rename(host.path("disk/app.log"), host.path("disk/app.log.1")).unwrap();
        host.append("disk/app.log", format!("line {}\n", number + 1));
        there(
            "mount",
            &["--bind", &host.path("disk").display().to_string(), &logs],
        );
        wait_for_hits(&host, number + 1);
        host.append("disk/app.log", format!("line {}\n", number + 2));
        wait_for_hits(&host, number + 2);
    }
    agent.stop();
}

// Case 36. The agent stands still while more happens than the system keeps for it.
#[test]
fn when_notices_were_dropped_everything_is_looked_at_and_no_line_is_lost() {
    let host = host();
    host.append("logs/app.log", "line 1\n");
    let agent = host.run();
    wait_for_hits(&host, 1);
    kill_process(agent.pid(), Signal::STOP).unwrap();
    let most = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let most: usize = most.trim().parse().unwrap();
    host.append("logs/a", "");
    let (a, b) = (host.path("logs/a"), host.path("logs/b"));
    // Two notices each, and there and back: four times as many as fit, since a signal takes effect only
    // when each thread gets to it.
    for _ in 0..most {
        fs::rename(&a, &b).unwrap();
        fs::rename(&b, &a).unwrap();
    }
    host.append("logs/app.log", "line 2\n");
    fs::rename(host.path("logs/app.log"), host.path("logs/app.log.1")).unwrap();
    host.append("logs/app.log", "line 3\n");
    host.append("logs/new.log", "line 4\n");
    kill_process(agent.pid(), Signal::CONT).unwrap();
    wait_for_hits(&host, 4);
    agent.stderr.wait_for("the system dropped notices");
    host.append("logs/new.log", "line 5\n");
    wait_for_hits(&host, 5);
    let said = agent.stop();
    assert_eq!(said.matches("the system dropped notices").count(), 1);
}

// Case 39.
#[test]
fn a_read_that_fails_once_is_said_once_and_done_again() {
    let host = host();
    host.append("logs/app.log", "line 1\n");
    let agent = host.run();
    wait_for_hits(&host, 1);
    let args = [
        "-e",
        "trace=pread64",
        "-e",
        "inject=pread64:error=EIO:when=1",
    ];
    let strace = Strace::on(&agent, "tail", &args);
    host.append("logs/app.log", "line 2\n");
    agent.stderr.wait_for("Input/output error");
    wait_for_hits(&host, 2);
    drop(strace);
    host.append("logs/app.log", "line 3\n");
    wait_for_hits(&host, 3);
    let said = agent.stop();
    assert_eq!(said.matches("Input/output error").count(), 1, "{said}");
}

// Case 101.
#[test]
fn its_own_alerts_and_its_own_log_in_the_glob_are_not_read_and_named() {
    let config = "
inputs:
  app: {type: file, path: ['logs/*'], format: plain, start_at: beginning}
outputs:
  archive: {type: file, path: logs/alerts.jsonl}
";
    // Whatever it says of itself or of an alert would be the next one.
    let rules = "
version: 1
rules:
  - {name: lines, match: {regex: ['.']}, type: any, realert: 0s}
";
    let host = Host::with(config, rules);
    fs::create_dir(host.path("logs")).unwrap();
    let mut command = Command::new("sh");
    let run = format!("exec '{LAPWING}' run -c lapwing.yaml 2>> logs/lapwing.log");
    host.append("logs/lapwing.log", "");
    host.append("logs/alerts.jsonl", "");
    command.args(["-c", &run]).current_dir(host.path(""));
    let agent = Agent::start(&mut command);
    wait_until("the start", || {
        host.read("logs/lapwing.log").contains("ready")
    });
    for number in 1..=3 {
        host.append("logs/app.log", "line\n");
        wait_for_hits(&host, number);
    }
    wait_until("the alerts", || {
        host.read("logs/alerts.jsonl").lines().count() == 3
    });
    let unreadable = status(&host)["inputs"]["app"]["unreadable"].to_string();
    for part in [
        "alerts.jsonl",
        "lapwing.log",
        "the alerts of output `archive`",
    ] {
        assert!(unreadable.contains(part), "{part} in {unreadable}");
    }
    // Rotated, and written anew.
    for name in ["alerts.jsonl", "lapwing.log"] {
        let name = format!("logs/{name}");
        fs::rename(host.path(&name), host.path(&format!("{name}.1"))).unwrap();
    }
    host.append("logs/app.log", "line\n");
    wait_for_hits(&host, 4);
    host.append("logs/app.log", "line\n");
    wait_for_hits(&host, 5);
    let doctor = host.command(&["doctor", "-c", "lapwing.yaml"]);
    assert!(doctor.stdout.contains("alerts.jsonl"), "{}", doctor.stdout);
    drop(agent);
}
