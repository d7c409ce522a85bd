//! Deliveries on a bad day: an endpoint that is dead for ten minutes, hundreds of messages that wait when
//! the agent is killed, a log full of hits. Long waits pass on a clock that runs sixty times as fast: all
//! that the agent knows of time comes through libfaketime.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use lapwing::clock;
use lapwing_rules::model::Timestamp;
use serde_json::Value;

use crate::host::{Agent, EACH_WORD, Host, json_lines, wait_until};
use crate::receiver::{DeadAddress, Received, Receiver};

/// So many seconds of the agent's pass in one of ours.
const SPEED: u32 = 60;

/// A library that stands between the agent and the C library; its folder is named after the architecture.
pub(crate) fn library(name: &str) -> String {
    let folders = [
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib",
    ];
    let found = folders.map(|folder| format!("{folder}/{name}"));
    let found = found.into_iter().find(|path| Path::new(path).exists());
    found.unwrap_or_else(|| panic!("{name} is missing; tests/setup installs it"))
}

pub(crate) fn run_on_a_fast_clock(host: &Host) -> Agent {
    let mut command = host.lapwing(&["run", "-c", "lapwing.yaml"]);
    command.env("LD_PRELOAD", library("faketime/libfaketimeMT.so.1"));
    command.env("FAKETIME", format!("+0 x{SPEED}"));
    let agent = Agent::start(&mut command);
    agent.stderr.wait_for("ready");
    agent
}

/// `word=w0` to `word=w(count - 1)`, a line each.
fn words(count: usize) -> String {
    let lines: Vec<String> = (0..count).map(|n| format!("word=w{n}\n")).collect();
    lines.concat()
}

/// What the messages say, in the order in which they came.
fn summaries(received: &[Received]) -> Vec<String> {
    let summary = |one: &Received| one.json["summary"].as_str().unwrap_or_default().to_owned();
    received.iter().map(summary).collect()
}

fn waiting(host: &Host, output: &str) -> Value {
    let status = host.command(&["status", "-c", "lapwing.yaml", "--json"]);
    json_lines(&status.stdout)[0]["outputs"][output]["waiting"].clone()
}

#[test]
fn an_endpoint_that_was_dead_for_ten_minutes_gets_all_in_order_at_its_pace() {
    let dead = DeadAddress::new();
    let host = Host::telling_each_word(&format!(
        "  hook: {{type: webhook, url: 'http://{0}/hook', send_resolved: false, rate_limit: 10/1m}}\n  \
           chat: {{type: mattermost, webhook_url: 'http://{0}/chat', send_resolved: false}}\n",
        dead.address
    ));
    let agent = run_on_a_fast_clock(&host);
    host.append("app.log", words(40));
    wait_until("all of them wait", || waiting(&host, "hook") == 40);
    let began = clock::monotonic();
    wait_until("ten minutes have passed", || {
        began.elapsed() * SPEED > Duration::from_mins(10)
    });
    assert_eq!(waiting(&host, "hook"), 40, "nothing is given up");
    let receiver = dead.comes_to_life();
    let at_hook = |request: &Received| request.path == "/hook";
    let told = receiver.wait_for(40, at_hook);
    // The first may go alone, to see whether it was what nobody took.
    let in_one = |request: &Received| request.body.contains(" messages in one");
    let chat = receiver.wait_for(1, in_one).remove(0);
    agent.stop();
    let in_chat = receiver
        .received()
        .into_iter()
        // That the other one was dead is a message of its own.
        .filter(|request| !at_hook(request) && !request.body.contains("the output hook"));
    assert!(in_chat.count() <= 2);
    let expected: Vec<String> = (0..40).map(|n| format!("saw w{n}")).collect();
    assert_eq!(summaries(&told), expected);
    // Ten at once, and ten more in each of the three minutes after; the agent's minute is our second.
    let took = told[39].at - told[0].at;
    assert!(took > Duration::from_millis(2_800), "{took:?}");
    let text = chat.json["text"].as_str().unwrap();
    assert!(text.contains("min late"), "{text}");
}

#[test]
fn a_clock_that_jumps_ahead_makes_nothing_too_old_and_tells_no_fallback() {
    let (dead, second) = (DeadAddress::new(), Receiver::start());
    let host = Host::telling_each_word(&format!(
        "  first: {{type: webhook, url: 'http://{}/', send_resolved: false, fallback: {{to: second, after: 1h}}}}\n  \
           second: {{type: webhook, url: '{}', send_resolved: false}}\n",
        dead.address,
        second.url("/")
    ));
    host.write(
        "rules.yaml",
        EACH_WORD.replace("realert: 0s", "realert: 0s, notify: [first]"),
    );
    host.write("clock", "+0");
    let mut command = host.lapwing(&["run", "-c", "lapwing.yaml"]);
    command.env("LD_PRELOAD", library("faketime/libfaketimeMT.so.1"));
    command.env("FAKETIME_TIMESTAMP_FILE", host.path("clock"));
    command.env("FAKETIME_NO_CACHE", "1");
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let agent = Agent::start(&mut command);
    agent.stderr.wait_for("ready");
    host.append("app.log", "word=one\n");
    agent.stderr.wait_for("not delivered, tried again later");
    host.write("clock", "+3d");
    host.append("app.log", "word=two\n");
    wait_until("both wait", || waiting(&host, "first") == 2);
    let first = dead.comes_to_life();
    let told = first.wait_for(2, |_| true);
    agent.stop();
    assert_eq!(summaries(&told), ["saw one", "saw two"]);
    let at =
        |one: &Received| -> Timestamp { one.json["sent_at"].as_str().unwrap().parse().unwrap() };
    let apart = at(&told[1]).since(at(&told[0]));
    assert!(
        apart > Duration::from_hours(71),
        "the clock did jump: {apart:?}"
    );
    assert_eq!(second.received().len(), 0);
}

#[test]
fn an_output_that_takes_nothing_is_told_of_by_the_others_once_and_its_recovery_once() {
    let dead = DeadAddress::new();
    let host = Host::telling_each_word(&format!(
        "  hook: {{type: webhook, url: 'http://{}/hook'}}\n  archive: {{type: file, path: alerts.jsonl}}\n",
        dead.address
    ));
    let told = || -> Vec<Value> {
        let text = std::fs::read_to_string(host.path("alerts.jsonl")).unwrap_or_default();
        let all = json_lines(&text).into_iter();
        let mut told: Vec<_> = all
            .filter(|told| told["rule"] == "lapwing-output-dead")
            .collect();
        // A kill may come before it is known that it was told.
        told.dedup_by_key(|told| (told["id"].clone(), told["seq"].clone()));
        told
    };
    let agent = run_on_a_fast_clock(&host);
    host.append("app.log", words(3));
    wait_until("the alert", || !told().is_empty());
    agent.kill9();
    let agent = run_on_a_fast_clock(&host);
    host.append("app.log", "word=more\n");
    let receiver = dead.comes_to_life();
    wait_until("its end", || told().len() > 1);
    agent.stop();
    let told = told();
    let of = |name: &str| -> Vec<&Value> { told.iter().map(|told| &told[name]).collect() };
    assert_eq!(of("status"), ["firing", "resolved"]);
    assert_eq!(of("seq"), [1, 2]);
    assert_eq!(told[0]["id"], told[1]["id"]);
    assert_eq!(told[0]["group"]["output"], "hook");
    let summary = told[0]["summary"].as_str().unwrap();
    assert!(summary.contains("hook takes nothing"), "{summary}");
    let itself = |request: &Received| request.json["rule"] == "lapwing-output-dead";
    assert!(!receiver.received().iter().any(itself));
}

#[test]
fn what_fires_is_told_to_an_alertmanager_every_minute_and_its_end_once() {
    let receiver = Receiver::start();
    let host = Host::telling_each_word(&format!(
        "  am: {{type: alertmanager, url: '{}'}}\n",
        receiver.url("")
    ));
    host.write(
        "rules.yaml",
        EACH_WORD.replace("resolve_after: 500ms", "resolve_after: 5m"),
    );
    let agent = run_on_a_fast_clock(&host);
    host.append("app.log", "word=one\n");
    let ends = |request: &Received| -> Timestamp {
        request.json[0]["endsAt"].as_str().unwrap().parse().unwrap()
    };
    wait_until("its end is told", || {
        // What sleeps without the C library sleeps as long as ever: a line wakes it.
        host.append("app.log", "tick\n");
        let told: Vec<Timestamp> = receiver.received().iter().map(ends).collect();
        told.windows(2).any(|pair| pair[1] < pair[0])
    });
    agent.stop();
    let told = receiver.received();
    assert!(
        (4..=8).contains(&told.len()),
        "{} requests in five minutes",
        told.len()
    );
    for pair in told.windows(2) {
        assert_eq!(pair[0].json[0]["labels"], pair[1].json[0]["labels"]);
        assert_eq!(pair[0].json[0]["startsAt"], pair[1].json[0]["startsAt"]);
    }
    for pair in told[..told.len() - 1].windows(2) {
        let longer = ends(&pair[1]).since(ends(&pair[0]));
        assert!(
            longer >= Duration::from_secs(50),
            "said anew, not said again: {longer:?}"
        );
    }
}

#[test]
fn five_hundred_that_wait_when_the_agent_is_killed_all_arrive_under_their_keys() {
    const MANY: usize = 500;
    let dead = DeadAddress::new();
    let host = Host::telling_each_word(&format!(
        "  hook: {{type: webhook, url: 'http://{}/', send_resolved: false}}\n",
        dead.address
    ));
    let agent = host.run();
    host.append("app.log", words(MANY));
    wait_until("all of them wait", || waiting(&host, "hook") == MANY);
    let undelivered = &["history", "--undelivered", "-c", "lapwing.yaml", "--json"];
    let kept = json_lines(&host.command(undelivered).stdout);
    let key = |one: &Value| format!("{}/{}", one["id"].as_str().unwrap(), one["seq"]);
    let queued: BTreeSet<String> = kept
        .iter()
        .filter(|one| one["status"] == "firing")
        .map(key)
        .collect();
    assert_eq!(queued.len(), MANY);
    agent.kill9();
    let receiver = dead.comes_to_life();
    let agent = host.run();
    let told = receiver.wait_for(MANY, |_| true);
    agent.stop();
    assert_eq!(receiver.received().len(), MANY, "each of them once");
    let keys: BTreeSet<String> = told.iter().map(Received::key).collect();
    assert_eq!(keys, queued);
    let expected: Vec<String> = (0..MANY).map(|n| format!("saw w{n}")).collect();
    assert_eq!(summaries(&told), expected);
}

#[test]
fn a_flood_of_hits_is_counted_to_the_last_and_told_at_the_outputs_pace() {
    const HITS: u64 = 400_000;
    const APART: Duration = Duration::from_secs(1);
    let receiver = Receiver::start();
    let host = Host::telling_each_word(&format!(
        "  hook: {{type: webhook, url: '{}', rate_limit: 1/1s}}\n",
        receiver.url("/")
    ));
    host.write(
        "rules.yaml",
        EACH_WORD
            .replace("realert: 0s", "realert: 200ms")
            .replace("resolve_after: 500ms", "resolve_after: 2s"),
    );
    let agent = host.run();
    let line = "word=flood of the same thing, again and again\n";
    for _ in 0..20 {
        host.append("app.log", line.repeat(20_000));
    }
    let last = receiver
        .wait_for(1, |request| request.is("each", "resolved"))
        .remove(0);
    agent.stop();
    assert_eq!(last.json["count"], HITS, "all hits of the alert");
    let told = receiver.received();
    let sum: u64 = told
        .iter()
        .map(|one| one.json["suppressed"].as_u64().unwrap())
        .sum();
    assert_eq!(
        sum + told[0].json["count"].as_u64().unwrap(),
        HITS,
        "no hit is told twice"
    );
    for pair in told.windows(2) {
        let apart = pair[1].at - pair[0].at;
        // A request may be slower on its way than the one behind it, on a busy machine.
        assert!(apart > APART / 2, "{apart:?}");
    }
    let took = told[told.len() - 1].at - told[0].at;
    assert!(
        took + APART / 2 > APART * u32::try_from(told.len() - 1).unwrap(),
        "{took:?}"
    );
}

/// Who is where, from now on. The library sees that the file has changed by the second that it is of: `second`,
/// another each time.
fn write_hosts(host: &Host, text: &str, second: u64) {
    host.write("hosts", text);
    let file = std::fs::File::options()
        .append(true)
        .open(host.path("hosts"));
    let changed = UNIX_EPOCH + Duration::from_secs(second);
    file.unwrap().set_modified(changed).unwrap();
}

#[test]
fn a_name_that_cannot_be_found_is_looked_up_again_and_one_that_moves_is_followed() {
    let old = Receiver::start();
    let port = old.url("").rsplit(':').next().unwrap().to_owned();
    let new = Receiver::at(format!("127.0.0.2:{port}").parse().unwrap());
    let host = Host::telling_each_word(&format!(
        "  hook: {{type: webhook, url: 'http://hooks.example.com:{port}/', send_resolved: false}}\n"
    ));
    write_hosts(&host, "127.0.0.9 somebody.else.example.com\n", 3000);
    let mut command = host.lapwing(&["run", "-c", "lapwing.yaml"]);
    command.env("LD_PRELOAD", library("libnss_wrapper.so"));
    command.env("NSS_WRAPPER_HOSTS", host.path("hosts"));
    let agent = Agent::start(&mut command);
    agent.stderr.wait_for("ready");
    host.append("app.log", "word=one\n");
    agent.stderr.wait_for("dns error");
    write_hosts(&host, "127.0.0.1 hooks.example.com\n", 2000);
    let first = old.wait_for(1, |_| true);
    assert_eq!(summaries(&first), ["saw one"]);
    write_hosts(&host, "127.0.0.2 hooks.example.com\n", 1000);
    drop(old);
    host.append("app.log", "word=two\n");
    let second = new.wait_for(1, |_| true);
    assert_eq!(summaries(&second), ["saw two"]);
    agent.stop();
}
