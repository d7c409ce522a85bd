//! Watching hits and lines of a running agent as they come.

use std::process::Stdio;
use std::thread;

use rustix::process::{Signal, kill_process};

use crate::host::{Done, Host, json_lines, wait_until};

const CONFIG: &str = "
inputs:
  app: {type: file, path: ['app.log'], format: plain}
  other: {type: file, path: ['other.log'], format: plain}
outputs:
  archive: {type: file, path: alerts.jsonl}
";
const RULES: &str = "
version: 1
rules:
  - {name: boom, match: {contains: [boom]}, type: any, redact: [email]}
  - {name: bang, match: {contains: [bang]}, type: frequency, num_events: 3, timeframe: 1m, mode: shadow}
";

/// Runs `tap` with `args`; meanwhile calls `write`, again and again, until it has ended.
fn tap(host: &Host, args: &[&str], mut write: impl FnMut()) -> Done {
    let args = [&["tap", "-c", "lapwing.yaml"], args].concat();
    thread::scope(|scope| {
        let watching = scope.spawn(|| host.command(&args));
        wait_until("the end of the tap", || {
            write();
            watching.is_finished()
        });
        watching.join().unwrap()
    })
}

#[test]
fn hits_are_shown_as_they_come_with_their_rule_and_their_place() {
    let host = Host::with(CONFIG, RULES);
    host.write("app.log", "");
    let agent = host.run();
    let done = tap(&host, &["--json", "-n", "4"], || {
        host.append("app.log", "nothing\nboom by a@b.example\nbang\n");
    });
    assert_eq!(done.code, 0, "{}", done.stderr);
    let rows = json_lines(&done.stdout);
    assert_eq!(rows.len(), 4, "{}", done.stdout);
    let of = |rule: &str| rows.iter().find(|row| row["rule"] == rule).unwrap();
    assert_eq!(of("boom")["line"], "boom by [email]");
    assert_eq!(of("boom")["input"], "app");
    assert!(of("boom")["source"].as_str().unwrap().ends_with("app.log"));
    assert_eq!(of("boom")["offset"].as_u64().unwrap() % 33, 8);
    assert_eq!(of("bang")["mode"], "shadow");
    agent.stop();
}

#[test]
fn a_reload_does_not_end_the_watching() {
    let host = Host::with(CONFIG, RULES);
    host.write("app.log", "");
    let agent = host.run();
    let mut times = 0;
    let done = tap(
        &host,
        &["--json", "--rule", "boom", "-n", "60", "--rate", "1000"],
        || {
            times += 1;
            host.append("app.log", format!("boom {times}\n"));
            if times % 20 == 5 {
                kill_process(agent.pid(), Signal::HUP).unwrap();
            }
        },
    );
    assert_eq!(
        (done.code, json_lines(&done.stdout).len()),
        (0, 60),
        "{}",
        done.stderr
    );
    assert!(agent.stop().contains("reloaded"));
}

#[test]
fn any_line_can_be_watched_and_what_a_rule_wants_blanked_is() {
    let host = Host::with(CONFIG, RULES);
    host.write("app.log", "");
    host.write("other.log", "");
    let agent = host.run();
    let args = [
        "--lines",
        "--input",
        "other",
        "--contains",
        "login",
        "-n",
        "1",
    ];
    let done = tap(&host, &args, || {
        host.append("app.log", "login elsewhere\n");
        host.append("other.log", "nobody\n\x1b[2Jlogin of a@b.example\r\n");
    });
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.stdout.lines().count(), 1, "{}", done.stdout);
    assert!(done.stdout.contains("other.log"), "{}", done.stdout);
    assert!(
        done.stdout.ends_with("[2Jlogin of [email]\n"),
        "{}",
        done.stdout
    );
    assert!(!done.stdout.contains('\x1b'));
    agent.stop();
}

#[test]
fn what_comes_faster_than_it_is_shown_is_counted() {
    let host = Host::with(CONFIG, RULES);
    host.write("app.log", "");
    let agent = host.run();
    let done = tap(&host, &["--json", "--rate", "2", "-n", "5"], || {
        host.append("app.log", "boom\n".repeat(50));
    });
    let rows = json_lines(&done.stdout);
    let shown = rows.iter().filter(|row| row["rule"] == "boom").count();
    let skipped: u64 = rows.iter().filter_map(|row| row["skipped"].as_u64()).sum();
    assert_eq!(shown, 5, "{}", done.stdout);
    assert!(skipped >= 48, "{}", done.stdout);
    agent.stop();
}

#[test]
fn who_asks_for_what_there_is_not_is_told() {
    let host = Host::with(CONFIG, RULES);
    let agent = host.run();
    for (args, why) in [
        (["--rule", "bmoo"], "there is no rule `bmoo`"),
        (["--input", "app.log"], "there is no input `app.log`"),
    ] {
        let done = host.command(&[&["tap", "-c", "lapwing.yaml"][..], &args].concat());
        assert_eq!(done.code, 1);
        assert!(done.stderr.contains(why), "{}", done.stderr);
    }
    agent.stop();
    assert_eq!(host.command(&["tap", "-c", "lapwing.yaml"]).code, 69);
}

#[test]
fn more_watchers_than_there_is_room_for_are_turned_away_and_none_stays_behind() {
    let host = Host::with(CONFIG, RULES);
    let agent = host.run();
    let watch = || {
        let mut command = host.lapwing(&["tap", "-c", "lapwing.yaml"]);
        command.stderr(Stdio::null()).spawn().unwrap()
    };
    let mut watchers: Vec<_> = (0..4).map(|_| watch()).collect();
    let refused = || {
        let done = host.command(&["tap", "-c", "lapwing.yaml", "--rule", "none"]);
        done.stderr.contains("others are watching already")
    };
    wait_until("no room", refused);
    for watcher in &mut watchers {
        watcher.kill().unwrap();
        watcher.wait().unwrap();
    }
    wait_until("room again", || !refused());
    agent.stop();
}
