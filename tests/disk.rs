//! The state folder's disk is full, fails, takes nothing, or is somebody else's: the agent goes on
//! watching and telling, and says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::host::{Agent, Host, json_lines, wait_until};
use crate::receiver::{Received, Receiver};
use crate::strace::Strace;

const RULES: &str = r"
version: 1
rules:
  - name: numbered
    match: {regex: ['^line (?P<n>[0-9]+)$']}
    type: any
    group_by: [n]
    realert: 0s
";

fn config(receiver: &Receiver, start_at: &str) -> String {
    format!(
        "inputs: {{app: {{type: file, path: app.log, format: plain, start_at: {start_at}}}}}\n\
         outputs: {{hook: {{type: webhook, url: '{}'}}}}\n",
        receiver.url("/")
    )
}

fn line(number: usize) -> String {
    format!("line {number}\n")
}

fn is_line(request: &Received, number: usize) -> bool {
    let told = request.json["group"]["n"].as_str();
    request.is("numbered", "firing") && told.is_some_and(|told| told.parse() == Ok(number))
}

/// How often each key of the rule was received.
fn keys(receiver: &Receiver, rule: &str) -> BTreeMap<String, usize> {
    let mut keys = BTreeMap::new();
    for request in receiver.received() {
        if request.json["rule"] == rule {
            *keys.entry(request.key()).or_default() += 1;
        }
    }
    keys
}

/// System calls, and the error that they give.
type Failure = (&'static str, &'static str);

const FULL: Failure = ("pwrite64,ftruncate,fallocate", "ENOSPC");
const SYNC_FAILS: Failure = ("fdatasync,fsync", "EIO");

/// Until it is dropped, these system calls of the store's thread fail.
fn fail(agent: &Agent, (calls, error): Failure) -> Strace {
    let (trace, inject) = (
        format!("trace={calls}"),
        format!("inject={calls}:error={error}"),
    );
    Strace::on(agent, "store", &["-e", &trace, "-e", &inject])
}

/// The disk fails, comes back, and the agent is started again.
fn check_failing(failure: Failure, error: &str) {
    let receiver = Receiver::start();
    let host = Host::with(&config(&receiver, "beginning"), RULES);
    let agent = host.run();
    host.append("app.log", line(1));
    receiver.wait_for(1, |request| is_line(request, 1));

    let strace = fail(&agent, failure);
    for number in 2..5 {
        host.append("app.log", line(number));
        receiver.wait_for(1, |request| is_line(request, number));
    }
    let own = receiver.wait_for(1, |request| request.is("lapwing-state", "firing"));
    let said = own[0].json["summary"].as_str().expect("text");
    assert!(
        said.contains("cannot be saved") && said.contains(error),
        "{said}"
    );
    assert_eq!(own[0].json["severity"], "critical");
    agent.stderr.wait_for("the state cannot be saved");
    drop(strace);

    let end = receiver.wait_for(1, |request| request.is("lapwing-state", "resolved"));
    assert_eq!(end[0].json["id"], own[0].json["id"]);
    assert_eq!(end[0].json["seq"], 2);
    agent.stop();
    // Everything was recorded: nothing is read or told again.
    let agent = host.run();
    host.append("app.log", line(5));
    receiver.wait_for(1, |request| is_line(request, 5));
    agent.stop();
    let numbered = keys(&receiver, "numbered");
    assert_eq!(numbered.len(), 5, "{numbered:?}");
    assert!(numbered.values().all(|times| *times == 1), "{numbered:?}");
}

#[test]
fn alerts_are_told_while_the_disk_is_full_and_recorded_afterwards() {
    check_failing(FULL, "No space left on device");
}

#[test]
fn alerts_are_told_while_writes_fail_and_recorded_afterwards() {
    check_failing((FULL.0, "EIO"), "Input/output error");
}

#[test]
fn alerts_are_told_while_the_disk_is_read_only_and_recorded_afterwards() {
    check_failing((FULL.0, "EROFS"), "Read-only file system");
}

#[test]
fn a_sync_that_fails_is_not_taken_for_a_good_one_and_alerts_are_told_all_the_same() {
    check_failing(SYNC_FAILS, "Input/output error");
}

#[test]
fn what_was_told_from_memory_is_told_again_under_the_same_key_after_a_kill() {
    let receiver = Receiver::start();
    let host = Host::with(&config(&receiver, "beginning"), RULES);
    let agent = host.run();
    host.append("app.log", line(1));
    receiver.wait_for(1, |request| is_line(request, 1));
    let strace = fail(&agent, FULL);
    host.append("app.log", line(2));
    receiver.wait_for(1, |request| is_line(request, 2));
    let own = receiver.wait_for(1, |request| request.is("lapwing-state", "firing"));
    agent.kill9();
    drop(strace);
    let agent = host.run();
    receiver.wait_for(2, |request| is_line(request, 2));
    // The alert on the agent itself ends, too, although its beginning stands nowhere.
    let end = receiver.wait_for(1, |request| request.is("lapwing-state", "resolved"));
    assert_eq!(end[0].json["id"], own[0].json["id"]);
    host.append("app.log", line(3));
    receiver.wait_for(1, |request| is_line(request, 3));
    agent.stop();
    let keys: BTreeSet<String> = keys(&receiver, "numbered").into_keys().collect();
    assert_eq!(keys.len(), 3, "{keys:?}");
}

/// A real full disk: a small tmpfs that only the agent sees.
#[test]
fn alerts_are_told_on_a_full_tmpfs_and_the_state_is_saved_when_there_is_room_again() {
    let receiver = Receiver::start();
    let host = Host::with(&config(&receiver, "beginning"), RULES);
    fs::create_dir(host.path("state")).unwrap();
    let lapwing = host.lapwing(&[]);
    let mut command = Command::new("unshare");
    command
        .args(["-rm", "sh", "-c"])
        .arg("mount -t tmpfs -o size=32m none state && exec \"$0\" run -c lapwing.yaml")
        .arg(lapwing.get_program())
        .current_dir(host.path(""));
    let agent = Agent::start(&mut command);
    agent.stderr.wait_for("ready");
    // What the agent sees of its folder.
    let state = host.path("state");
    let inside = format!("/proc/{}/root{}", agent.pid(), state.display());
    let filler = format!("{inside}/filler");
    fs::write(&filler, vec![b'x'; 40 << 20]).unwrap_err();
    // More than the file has room for.
    let numbers = 0..1_500_usize;
    host.append("app.log", numbers.clone().map(line).collect::<String>());
    receiver.wait_for(1, |request| request.is("lapwing-state", "firing"));
    wait_until("every line to be told", || {
        keys(&receiver, "numbered").len() == numbers.len()
    });
    fs::remove_file(&filler).unwrap();
    host.append("app.log", line(1_000));
    receiver.wait_for(1, |request| is_line(request, 1_000));
    receiver.wait_for(1, |request| request.is("lapwing-state", "resolved"));
    agent.stop();
    assert!(
        keys(&receiver, "numbered")
            .values()
            .all(|times| *times == 1)
    );
}

#[test]
fn a_folder_that_takes_nothing_does_not_keep_the_agent_from_watching() {
    let receiver = Receiver::start();
    let host = Host::with(&config(&receiver, "end"), RULES);
    host.append("app.log", line(1));
    let agent = host.run();
    host.append("app.log", line(2));
    receiver.wait_for(1, |request| is_line(request, 2));
    agent.stop();
    host.append("app.log", line(3));
    // Permissions mean nothing to root: a lock that leads to itself can be opened by nobody.
    let lock = host.path("state").join("lock");
    fs::remove_file(&lock).unwrap();
    symlink("lock", &lock).unwrap();
    let agent = host.run();
    host.append("app.log", line(4));
    for number in [3, 4] {
        receiver.wait_for(1, |request| is_line(request, number));
    }
    receiver.wait_for(1, |request| request.is("lapwing-state", "firing"));
    agent.stderr.wait_for("nothing can be saved");
    fs::remove_file(&lock).unwrap();
    receiver.wait_for(1, |request| request.is("lapwing-state", "resolved"));
    agent.stop();
    let agent = host.run();
    host.append("app.log", line(5));
    receiver.wait_for(1, |request| is_line(request, 5));
    agent.stop();
    let numbered = keys(&receiver, "numbered");
    assert!(
        numbered.len() == 4 && numbered.values().all(|times| *times == 1),
        "{numbered:?}"
    );
}

#[test]
fn files_are_read_on_from_the_second_copy_when_the_state_file_is_damaged() {
    let receiver = Receiver::start();
    let host = Host::with(&config(&receiver, "beginning"), RULES);
    let agent = host.run();
    host.append("app.log", line(1));
    receiver.wait_for(1, |request| is_line(request, 1));
    agent.stop();
    host.append("app.log", line(2));
    let file = host.path("state").join("state.redb");
    let mut bytes = fs::read(&file).unwrap();
    let half = bytes.len() / 2;
    bytes.truncate(half);
    fs::write(&file, &bytes).unwrap();
    let agent = host.run();
    receiver.wait_for(1, |request| is_line(request, 2));
    let own = receiver.wait_for(1, |request| request.is("lapwing-state", "firing"));
    let said = own[0].json["summary"].as_str().expect("text");
    assert!(said.contains("read on from"), "{said}");
    receiver.wait_for(1, |request| request.is("lapwing-state", "resolved"));
    agent.stop();
    assert_eq!(keys(&receiver, "numbered").len(), 2);
    assert!(
        keys(&receiver, "numbered")
            .values()
            .all(|times| *times == 1)
    );
}

#[test]
fn a_state_folder_that_vanishes_costs_no_line() {
    let receiver = Receiver::start();
    let host = Host::with(&config(&receiver, "beginning"), RULES);
    let agent = host.run();
    host.append("app.log", line(1));
    receiver.wait_for(1, |request| is_line(request, 1));
    fs::remove_dir_all(host.path("state")).unwrap();
    host.append("app.log", line(2));
    receiver.wait_for(1, |request| is_line(request, 2));
    let own = receiver.wait_for(1, |request| request.is("lapwing-state", "firing"));
    let said = own[0].json["summary"].as_str().expect("text");
    assert!(said.contains("the state file is gone"), "{said}");
    receiver.wait_for(1, |request| request.is("lapwing-state", "resolved"));
    // Whoever asks for the status is answered by the agent that began again.
    let status = host.command(&["status", "-c", "lapwing.yaml", "--json"]);
    let status = &json_lines(&status.stdout)[0];
    assert_eq!(status["engine"], "ok");
    assert_eq!(status["state"]["failing_since"], serde_json::Value::Null);
    agent.stop();
    let agent = host.run();
    host.append("app.log", line(3));
    receiver.wait_for(1, |request| is_line(request, 3));
    agent.stop();
    let numbered = keys(&receiver, "numbered");
    assert!(
        numbered.len() == 3 && numbered.values().all(|times| *times == 1),
        "{numbered:?}"
    );
}

#[test]
fn with_all_positions_lost_old_lines_are_no_news_and_the_gap_is_told_with_its_files() {
    let receiver = Receiver::start();
    let host = Host::with(&config(&receiver, "beginning"), RULES);
    let agent = host.run();
    host.append("app.log", line(1));
    receiver.wait_for(1, |request| is_line(request, 1));
    agent.stop();
    host.append("app.log", line(2));
    fs::write(host.path("state").join("state.redb"), "garbage").unwrap();
    fs::remove_file(host.path("state").join("positions")).unwrap();
    let agent = host.run();
    let own = receiver.wait_for(1, |request| request.is("lapwing-state", "firing"));
    let said = own[0].json["summary"].as_str().expect("text");
    for part in ["positions are lost", "not checked in 1 files", "app.log"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    host.append("app.log", line(3));
    receiver.wait_for(1, |request| is_line(request, 3));
    agent.stop();
    let numbered = keys(&receiver, "numbered");
    assert_eq!(numbered.len(), 2, "line 2 was told: {numbered:?}");
}

#[test]
fn a_second_agent_on_one_state_folder_is_refused() {
    let receiver = Receiver::start();
    let host = Host::with(&config(&receiver, "beginning"), RULES);
    let agent = host.run();
    let second = host.command(&["run", "-c", "lapwing.yaml"]);
    assert_eq!(second.code, 74, "{}", second.stderr);
    assert!(
        second
            .stderr
            .contains("another lapwing uses this state folder"),
        "{}",
        second.stderr
    );
    host.append("app.log", line(1));
    receiver.wait_for(1, |request| is_line(request, 1));
    agent.stop();
}
