//! What `lapwing doctor` looks at before anybody is in trouble: files, ports, the state. Outputs: `doctor_outputs`.

use std::net::TcpListener;

use serde_json::Value;

use crate::host::{Host, json_lines};
use crate::real_servers::free_port;

const CONFIG: &str = "
inputs:
  app: {type: file, path: ['*.log'], format: plain}
outputs:
  archive: {type: file, path: alerts.jsonl}
";
pub(crate) const RULES: &str = "
version: 1
rules:
  - {name: boom, match: {contains: [boom]}, type: any}
";

/// Everything it found; it trusts the test's authority where `trusts` says so.
pub(crate) fn found(host: &Host, trusts: Option<&str>) -> Vec<Value> {
    let authority = trusts.map(|name| host.path(name).display().to_string());
    let variable = authority
        .as_deref()
        .map(|authority| ("SSL_CERT_FILE", authority));
    found_with(host, variable.as_slice())
}

/// The same, with these variables in its environment.
pub(crate) fn found_with(host: &Host, variables: &[(&str, &str)]) -> Vec<Value> {
    let mut command = host.lapwing(&["doctor", "-c", "lapwing.yaml", "--json"]);
    let done = command.envs(variables.iter().copied()).output();
    json_lines(&String::from_utf8_lossy(
        &done.expect("it was built").stdout,
    ))
}

/// Level and message of each thing that was found of this.
pub(crate) fn of<'a>(found: &'a [Value], about: &str) -> Vec<(&'a str, &'a str)> {
    let of = found.iter().filter(|finding| finding["about"] == about);
    let said = of.map(|finding| (finding["level"].as_str(), finding["message"].as_str()));
    let said: Vec<_> = said
        .map(|(level, message)| (level.unwrap_or_default(), message.unwrap_or_default()))
        .collect();
    assert!(!said.is_empty(), "{about} in {found:?}");
    said
}

#[test]
fn the_doctor_names_what_is_wrong_and_how_to_mend_it() {
    let host = Host::with(
        "
inputs:
  app: {type: file, path: ['*.log'], format: plain}
  gone: {type: file, path: [nowhere/*.log]}
outputs:
  archive: {type: file, path: missing/alerts.jsonl}
  hook: {type: webhook, url: 'http://127.0.0.1:1/SECRETPATH'}
",
        RULES,
    );
    host.write("app.log", "");
    let done = host.command(&["doctor", "-c", "lapwing.yaml", "--json"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    let found = json_lines(&done.stdout);
    let level = |about: &str| {
        let of = |finding: &&Value| finding["about"] == about;
        let finding = found.iter().find(of);
        finding.unwrap_or_else(|| panic!("{about} in {}", done.stdout))["level"].clone()
    };
    assert_eq!(level("input app"), "ok");
    assert_eq!(level("input gone"), "warning");
    assert_eq!(level("state"), "ok");
    assert_eq!(level("output archive"), "error");
    assert_eq!(level("output hook"), "error");
    assert_eq!(level("agent"), "warning");
    assert!(!done.stdout.contains("SECRETPATH"));
}

#[test]
fn the_doctor_is_content_with_an_agent_that_is_well() {
    let host = Host::with(CONFIG, RULES);
    host.write("app.log", "boom\n");
    let agent = host.run();
    let done = host.command(&["doctor", "-c", "lapwing.yaml"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert!(
        done.stdout.contains("is running and ready"),
        "{}",
        done.stdout
    );
    agent.stop();
}

#[test]
fn the_doctor_tries_to_listen_where_no_agent_runs() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let [free, crowded] = [free_port(), free_port()];
    let host = Host::with(
        &format!(
            "
http: {{listen: '{taken}'}}
inputs:
  free: {{type: syslog, listen: ['udp://127.0.0.1:{free}', 'tcp://127.0.0.1:{free}']}}
  taken: {{type: syslog, listen: ['tcp://{taken}']}}
  elsewhere: {{type: syslog, listen: ['udp://192.0.2.1:5514']}}
  crowded: {{type: syslog, listen: ['tcp://*:{crowded}', 'relp://127.0.0.1:{crowded}']}}
outputs:
  archive: {{type: file, path: alerts.jsonl}}
"
        ),
        RULES,
    );
    let found = found(&host, None);
    for (level, message) in of(&found, "input free") {
        assert_eq!(level, "ok", "{message}");
    }
    assert_eq!(of(&found, "input free").len(), 2);
    for about in ["input taken", "input elsewhere", "http"] {
        assert_eq!(of(&found, about)[0].0, "error", "{about}");
    }
    // The first of the two takes every address; the agent would find the second taken.
    let crowded: Vec<_> = of(&found, "input crowded").iter().map(|it| it.0).collect();
    assert_eq!(crowded, ["ok", "error"]);
}

#[test]
fn the_doctor_knows_where_a_socket_in_the_file_system_cannot_stand() {
    let host = Host::new();
    let long = "long/".repeat(30);
    let at = |path: &str| host.path(path).display().to_string();
    host.configure(&format!(
        "
http: {{listen: '127.0.0.1:{}'}}
inputs:
  good: {{type: syslog, listen: ['unix://{}', 'unix+stream://{}']}}
  below-a-file: {{type: syslog, listen: ['unix://{}']}}
  a-file: {{type: syslog, listen: ['unix://{}']}}
  long: {{type: syslog, listen: ['unix+stream://{}sock']}}
outputs:
  archive: {{type: file, path: alerts.jsonl}}
",
        free_port(),
        at("new/folder/sock"),
        at("stream"),
        at("afile/sock"),
        at("afile"),
        at(&long),
    ));
    host.write("rules.yaml", RULES);
    host.write("afile", "");
    let found = found(&host, None);
    let levels = |about: &str| -> Vec<_> { of(&found, about).iter().map(|it| it.0).collect() };
    assert_eq!(levels("input good"), ["ok"; 2]);
    assert_eq!(levels("http"), ["ok"]);
    for about in ["input below-a-file", "input a-file", "input long"] {
        assert_eq!(levels(about), ["error"], "{about}");
    }
    assert!(!host.path("new").exists(), "it makes nothing");
}

#[test]
fn the_doctor_does_not_take_the_agents_own_ports_for_anothers() {
    let free = free_port();
    let host = Host::with(
        &format!(
            "inputs:\n  net: {{type: syslog, listen: ['tcp://127.0.0.1:{free}']}}\noutputs:\n  archive: {{type: file, path: alerts.jsonl}}\n"
        ),
        RULES,
    );
    let agent = host.run();
    let done = host.command(&["doctor", "-c", "lapwing.yaml"]);
    assert_eq!(done.code, 0, "{}", done.stdout);
    agent.stop();
}
