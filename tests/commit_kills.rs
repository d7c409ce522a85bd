//! SIGKILL at every system call of a commit: no alert is lost, none has a second id, no line is
//! told under two names.

use std::collections::{BTreeMap, BTreeSet};

use crate::host::{Agent, Host, wait_until};
use crate::receiver::Receiver;
use crate::strace::{Strace, WRITES};

/// Every line is an alert, and every third one is in a window as well.
const RULES: &str = r"
version: 1
rules:
  - name: numbered
    match: {regex: ['^line (?P<n>[0-9]+) ']}
    type: any
    group_by: [n]
    realert: 0s
  - name: threes
    match: {contains: ['of three']}
    type: frequency
    num_events: 3
    timeframe: 30d
    realert: 0s
";

/// Told numbers, each with the keys that it was told under.
fn told(receiver: &Receiver) -> BTreeMap<usize, BTreeSet<String>> {
    let mut keys: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for request in receiver.received() {
        if request.is("numbered", "firing") {
            let number = request.json["group"]["n"].as_str().expect("n");
            let number = number.parse().expect("a number");
            keys.entry(number).or_default().insert(request.key());
        }
    }
    keys
}

struct Ground {
    receiver: Receiver,
    host: Host,
    written: usize,
}

impl Ground {
    /// One more line; waits until it is told, or until the agent is dead.
    fn provoke(&mut self, agent: &Agent) {
        let number = self.written;
        self.written += 1;
        self.host
            .append("app.log", format!("line {number} of three and more\n"));
        wait_until("the line to be told, or the end", || {
            told(&self.receiver).contains_key(&number) || agent.is_gone()
        });
    }
}

/// How often the store's thread makes each system call for one alert, from its commit to the mark
/// that it is delivered.
fn calls_of_a_commit(ground: &mut Ground) -> BTreeMap<String, usize> {
    let agent = ground.host.run();
    let strace = Strace::on(&agent, "store", &["-e", &format!("trace={WRITES}")]);
    ground.provoke(&agent);
    // The mark comes after the answer: with the next alert it is surely there.
    ground.provoke(&agent);
    agent.stop();
    let mut calls = BTreeMap::new();
    for line in strace.finish() {
        if let Some((name, _)) = line.split_once('(') {
            *calls.entry(name.trim().to_owned()).or_default() += 1;
        }
    }
    calls
}

#[test]
fn a_kill_at_any_system_call_of_a_commit_loses_no_alert_and_gives_none_a_second_id() {
    let receiver = Receiver::start();
    let host = Host::with(
        &format!(
            "inputs: {{app: {{type: file, path: app.log, format: plain, start_at: beginning}}}}\n\
             outputs: {{hook: {{type: webhook, url: '{}'}}}}\n",
            receiver.url("/")
        ),
        RULES,
    );
    let mut ground = Ground {
        receiver,
        host,
        written: 0,
    };
    let calls = calls_of_a_commit(&mut ground);
    assert!(
        calls.get("fdatasync").is_some_and(|count| *count >= 2) && calls.contains_key("pwrite64"),
        "{calls:?}"
    );
    let mut kills = 0;
    for (call, count) in &calls {
        for n in 1..=*count {
            let agent = ground.host.run();
            let trace = format!("trace={call}");
            let inject = format!("inject={call}:signal=KILL:when={n}");
            let strace = Strace::on(&agent, "store", &["-e", &trace, "-e", &inject]);
            ground.provoke(&agent);
            kills += usize::from(agent.is_gone());
            agent.kill9();
            drop(strace);
        }
    }
    let agent = ground.host.run();
    let written = ground.written;
    wait_until("every line to be told", || {
        told(&ground.receiver).len() == written
    });
    agent.stop();
    assert!(
        kills >= calls.values().sum::<usize>() / 3,
        "{kills} of {calls:?}"
    );
    check_told(&ground);
}

/// Every line under one name, and the window over all of them exact.
fn check_told(ground: &Ground) {
    let written = ground.written;
    let twice: Vec<_> = told(&ground.receiver)
        .into_iter()
        .filter(|(_, keys)| keys.len() > 1)
        .collect();
    assert!(twice.is_empty(), "told under two names: {twice:#?}");
    // The window over all lines fired once, and every later line repeated it under one id.
    let threes = ground.receiver.received();
    let threes = threes
        .iter()
        .filter(|request| request.is("threes", "firing"));
    let (mut ids, mut keys, mut counts) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for request in threes {
        ids.insert(request.json["id"].to_string());
        keys.insert(request.key());
        counts.insert(request.json["count"].as_u64().expect("a count"));
    }
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(
        keys.len(),
        written - 2,
        "one for each line from the third on"
    );
    let every_count: BTreeSet<u64> = (3..=written as u64).collect();
    assert_eq!(
        counts, every_count,
        "a line was counted twice or not at all"
    );
}
