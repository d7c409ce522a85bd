//! The journal of systemd, read by the real `journalctl` out of files that systemd's own
//! `systemd-journal-remote` writes: nothing is lost or told twice, whatever becomes of either.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};

use crate::host::{Agent, Host, json_lines, wait_until};

/// When the first entry was written, in microseconds; the others came a second after each other.
const START: u64 = 1_735_689_600_000_000;

/// A host with a folder for a journal.
fn host(start_at: &str) -> Host {
    host_with(&format!("start_at: {start_at}"))
}

/// The same with these keys.
fn host_with(keys: &str) -> Host {
    let host = Host::with(
        &format!(
            "inputs:\n  journal: {{type: journald, directory: journal, {keys}}}\noutputs:\n  file: {{type: file, path: alerts.jsonl}}\n"
        ),
        "version: 1\nrules:\n  - {name: each, match: {contains: [BOOM]}, type: any, group_by: [hostname, appname, procid, severity, message], realert: 0s}\n",
    );
    fs::create_dir(host.path("journal")).expect("a folder of its own");
    host
}

/// Puts entries into a file of the journal, the first of them the `number`th of all.
fn write(host: &Host, name: &str, number: u64, messages: &[&str]) {
    write_in_boot(host, 1, name, number, messages);
}

/// The same, of that boot.
fn write_in_boot(host: &Host, boot: u128, name: &str, number: u64, messages: &[&str]) {
    let entry = |(number, message): (u64, &&str)| {
        let at = START + number * 1_000_000;
        format!(
            "__REALTIME_TIMESTAMP={at}\n__MONOTONIC_TIMESTAMP={at}\n_BOOT_ID={boot:032x}\n\
             _HOSTNAME=web-9\nSYSLOG_IDENTIFIER=shop\n_PID=77\nPRIORITY=3\nMESSAGE={message}\n\n"
        )
    };
    let entries: String = (number..).zip(messages).map(entry).collect();
    host.write("entries", entries);
    let mut command = Command::new("/lib/systemd/systemd-journal-remote");
    command.args([&format!("--output=journal/{name}.journal"), "entries"]);
    let done = command.current_dir(host.path(".")).output();
    let done = done.expect("tests/setup installs systemd-journal-remote");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
}

/// The messages that were told, in their order.
fn told(host: &Host) -> Vec<String> {
    let text = fs::read_to_string(host.path("alerts.jsonl")).unwrap_or_default();
    let message = |alert: &serde_json::Value| {
        let message = alert["group"]["message"].as_str();
        message.unwrap_or_default().to_owned()
    };
    json_lines(&text).iter().map(message).collect()
}

fn wait_told(host: &Host, expected: &[&str]) {
    wait_until(&format!("{expected:?}"), || {
        told(host).len() >= expected.len()
    });
    assert_eq!(told(host), expected);
}

/// What the agent says of the input.
fn status(host: &Host) -> serde_json::Value {
    let done = host.command(&["status", "--json", "-c", "lapwing.yaml"]);
    json_lines(&done.stdout)[0]["inputs"]["journal"].clone()
}

/// Starts an agent whose `journalctl` is this script.
fn run_with(host: &Host, script: &str) -> Agent {
    fs::create_dir_all(host.path("bin")).expect("a folder of its own");
    host.write("bin/journalctl", format!("#!/bin/sh\n{script}\n"));
    let all = Permissions::from_mode(0o755);
    fs::set_permissions(host.path("bin/journalctl"), all).expect("a file of its own");
    let mut command = host.lapwing(&["run", "-c", "lapwing.yaml"]);
    Agent::start(command.env("PATH", host.path("bin")))
}

#[test]
fn the_journal_is_read_on_where_it_was_left() {
    let host = host("beginning");
    write(&host, "one", 0, &["BOOM first"]);
    let agent = host.run();
    wait_told(&host, &["BOOM first"]);
    let alert = &json_lines(&host.read("alerts.jsonl"))[0];
    let group = |name: &str| alert["group"][name].as_str().unwrap_or_default();
    let fields = ["hostname", "appname", "procid", "severity"].map(group);
    assert_eq!(fields, ["web-9", "shop", "77", "err"]);
    agent.stop();
    write(&host, "two", 1, &["BOOM second"]);
    let agent = host.run();
    wait_told(&host, &["BOOM first", "BOOM second"]);
    agent.stop();
}

#[test]
fn an_entry_that_is_written_once_the_agent_is_ready_is_told_however_slow_journalctl_is() {
    let host = host("end");
    write(&host, "one", 0, &["BOOM before"]);
    let agent = run_with(&host, "/bin/sleep 1; exec /usr/bin/journalctl \"$@\"");
    agent.stderr.wait_for("ready");
    write(&host, "two", 1, &["BOOM after"]);
    wait_told(&host, &["BOOM after"]);
    agent.stop();
}

#[test]
fn what_is_written_while_the_agent_is_down_is_told_though_it_had_seen_no_entry_before() {
    for before in [&["BOOM before"][..], &[]] {
        let host = host("end");
        if !before.is_empty() {
            write(&host, "one", 0, before);
        }
        host.run().stop();
        write(&host, "two", 1, &["BOOM meanwhile"]);
        let agent = host.run();
        wait_told(&host, &["BOOM meanwhile"]);
        agent.stop();
    }
}

#[test]
fn while_rsyslog_writes_the_same_into_a_file_the_journal_is_not_read_and_then_from_there_on() {
    const MINUTE: u64 = 60;
    let host = host_with("start_at: beginning, unless_files: [no-such-file, syslog]");
    host.write("syslog", "");
    let now = fs::metadata(host.path("syslog"))
        .unwrap()
        .modified()
        .unwrap();
    // The number of an entry that was written so many minutes ago.
    let ago = |minutes: u64| {
        let at = now.duration_since(UNIX_EPOCH).unwrap().as_secs() - minutes * MINUTE;
        at - START / 1_000_000
    };
    let written = |minutes: u64| {
        let at = now - Duration::from_secs(minutes * MINUTE);
        let file = File::create(host.path("syslog")).unwrap();
        file.set_times(FileTimes::new().set_modified(at)).unwrap();
    };
    let is_passed_over = || status(&host)["unreadable"][0]["passed_over"] == true;
    written(120);
    write(&host, "one", ago(180), &["BOOM in both"]);
    let agent = host.run();
    assert!(is_passed_over(), "{}", status(&host));
    agent.stop();
    // rsyslog was removed two hours ago, and is there again while the agent reads.
    write(&host, "two", ago(90), &["BOOM in the journal"]);
    let agent = host.run();
    wait_told(&host, &["BOOM in the journal"]);
    assert_eq!(status(&host)["unreadable_total"], 0);
    host.write("syslog", "a line");
    write(&host, "three", ago(0), &["BOOM at the change"]);
    wait_until("the files are read", is_passed_over);
    write(&host, "four", ago(0) + 60, &["BOOM in both again"]);
    agent.stop();
    let agent = host.run();
    assert!(is_passed_over(), "{}", status(&host));
    agent.stop();
    // What is in neither is worse than what is in both.
    assert_eq!(told(&host), ["BOOM in the journal", "BOOM at the change"]);
}

#[test]
fn what_was_written_before_a_reboot_is_told_after_it() {
    let host = host("end");
    write_in_boot(&host, 1, "one", 0, &["BOOM before"]);
    host.run().stop();
    write_in_boot(&host, 1, "two", 1, &["BOOM shutting down"]);
    write_in_boot(&host, 2, "three", 2, &["BOOM booting"]);
    let agent = host.run();
    wait_told(&host, &["BOOM shutting down", "BOOM booting"]);
    // Of another boot, and nobody has to be killed for it.
    write_in_boot(&host, 3, "four", 3, &["BOOM again"]);
    wait_told(&host, &["BOOM shutting down", "BOOM booting", "BOOM again"]);
    let log = agent.stop();
    assert!(!log.contains("has to be started again"), "{log}");
}

/// The `journalctl` that it reads from now.
fn child(agent: &Agent) -> Option<Pid> {
    let children = format!("/proc/{0}/task/", agent.pid());
    let tasks = fs::read_dir(children).ok()?.flatten();
    let of = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).ok();
    let all: String = tasks.filter_map(of).collect();
    let numbers = all
        .split_ascii_whitespace()
        .filter_map(|it| it.parse().ok());
    let follows = |pid: &i32| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline"));
        line.is_ok_and(|line| line.contains("--follow"))
    };
    numbers.filter(follows).find_map(Pid::from_raw)
}

#[test]
fn a_journalctl_that_is_killed_is_started_again_and_loses_and_repeats_nothing() {
    let host = host("end");
    let agent = host.run();
    let mut before = None;
    let mut expected = Vec::new();
    for (number, message) in (0..).zip(["BOOM 1", "BOOM 2", "BOOM 3"]) {
        let mut now = None;
        wait_until("another child", || {
            now = child(&agent);
            now.is_some() && now != before
        });
        if number > 0 {
            write(&host, &format!("a{number}"), number, &[message]);
            expected.push(message);
            wait_told(&host, &expected);
        }
        kill_process(now.unwrap(), Signal::KILL).unwrap();
        before = now;
    }
    agent.stderr.wait_for("journalctl has to be started again");
    assert_eq!(status(&host)["unreadable_total"], 0, "it can be read");
    agent.stop();
}

#[test]
fn entries_of_a_journal_that_was_vacuumed_are_all_told_and_the_gap_is_said() {
    let host = host("beginning");
    write(&host, "one", 0, &["BOOM 1", "BOOM 2"]);
    let agent = host.run();
    wait_told(&host, &["BOOM 1", "BOOM 2"]);
    agent.stop();
    fs::remove_file(host.path("journal/one.journal")).unwrap();
    write(&host, "two", 5, &["BOOM 3", "BOOM 4"]);
    let agent = host.run();
    wait_told(&host, &["BOOM 1", "BOOM 2", "BOOM 3", "BOOM 4"]);
    let log = agent.stop();
    assert!(
        log.contains("does not hold the entry any more that was read last"),
        "{log}"
    );
}

#[test]
fn a_journal_that_cannot_be_read_is_said_and_one_that_can_be_again_is_read() {
    let host = host("beginning");
    fs::remove_dir(host.path("journal")).unwrap();
    let agent = host.run();
    let unreadable = || {
        let status = status(&host);
        let error = status["unreadable"][0]["error"].as_str();
        (
            status["unreadable_total"].as_u64().unwrap(),
            error.unwrap_or_default().to_owned(),
        )
    };
    wait_until("it to be said", || unreadable().0 == 1);
    assert!(
        unreadable().1.contains("No such file or directory"),
        "{:?}",
        unreadable()
    );
    fs::create_dir(host.path("journal")).unwrap();
    write(&host, "one", 0, &["BOOM at last"]);
    wait_told(&host, &["BOOM at last"]);
    assert_eq!(unreadable().0, 0);
    agent.stop();
}

#[test]
fn without_journalctl_the_agent_runs_and_says_so() {
    let host = host("beginning");
    write(&host, "one", 0, &["BOOM at last"]);
    let agent = run_with(&host, "exit 1");
    fs::remove_file(host.path("bin/journalctl")).unwrap();
    agent.stderr.wait_for("ready");
    wait_until("it to be said", || status(&host)["unreadable_total"] == 1);
    std::os::unix::fs::symlink("/usr/bin/journalctl", host.path("bin/journalctl")).unwrap();
    wait_told(&host, &["BOOM at last"]);
    agent.stop();
}

#[test]
fn an_entry_that_is_far_too_long_is_counted_as_lost_and_the_next_one_is_told() {
    let host = host("beginning");
    let config = host.read("lapwing.yaml");
    host.write(
        "lapwing.yaml",
        config.replace(
            "start_at: beginning",
            "start_at: beginning, max_line_bytes: 64KiB",
        ),
    );
    let long = format!("BOOM {}", "x".repeat(2 << 20));
    write(&host, "one", 0, &[&long, "BOOM short"]);
    let agent = host.run();
    wait_told(&host, &["BOOM short"]);
    assert_eq!(status(&host)["losses"][0]["kind"], "oversize");
    agent.stop();
}
