//! What `lapwing doctor` looks at before anybody is in trouble: files, ports, certificates, the state.

use std::net::{TcpListener, UdpSocket};

use serde_json::Value;

use crate::host::{Host, json_lines};
use crate::real_servers::{certificates, free_port, nginx};

const CONFIG: &str = "
inputs:
  app: {type: file, path: ['*.log'], format: plain}
outputs:
  archive: {type: file, path: alerts.jsonl}
";
const RULES: &str = "
version: 1
rules:
  - {name: boom, match: {contains: [boom]}, type: any}
";

/// Everything it found; it trusts the test's authority where `trusts` says so.
fn found(host: &Host, trusts: Option<&str>) -> Vec<Value> {
    let mut command = host.lapwing(&["doctor", "-c", "lapwing.yaml", "--json"]);
    command.env_remove("https_proxy").env_remove("HTTPS_PROXY");
    if let Some(authority) = trusts {
        command.env("SSL_CERT_FILE", host.path(authority));
    }
    let done = command.output().expect("it was built");
    json_lines(&String::from_utf8_lossy(&done.stdout))
}

/// Level and message of each thing that was found of this.
fn of<'a>(found: &'a [Value], about: &str) -> Vec<(&'a str, &'a str)> {
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
    let free = free_port();
    let host = Host::with(
        &format!(
            "
http: {{listen: '{taken}'}}
inputs:
  free: {{type: syslog, listen: ['udp://127.0.0.1:{free}', 'tcp://127.0.0.1:{free}']}}
  taken: {{type: syslog, listen: ['tcp://{taken}']}}
  elsewhere: {{type: syslog, listen: ['udp://192.0.2.1:5514']}}
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

#[test]
fn the_doctor_shakes_hands_and_tells_a_certificate_that_nobody_trusts() {
    let [encrypted, plain] = [free_port(), free_port()];
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp = udp.local_addr().unwrap().port();
    let host = Host::with(
        &format!(
            "
inputs:
  app: {{type: file, path: ['*.log'], format: plain}}
outputs:
  safe: {{type: webhook, url: 'https://localhost:{encrypted}/'}}
  other-name: {{type: webhook, url: 'https://127.0.0.2:{encrypted}/'}}
  no-tls: {{type: webhook, url: 'https://localhost:{plain}/'}}
  datagrams: {{type: syslog, url: 'udp://127.0.0.1:{udp}'}}
"
        ),
        RULES,
    );
    certificates(&host);
    let _nginx = nginx(
        &host,
        encrypted,
        &format!(
            "server {{ listen {encrypted} ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem; }}\n\
             server {{ listen {plain}; }}"
        ),
    );
    let trusting = found(&host, Some("ca.pem"));
    let (level, message) = of(&trusting, "output safe")[0];
    assert_eq!(level, "ok", "{message}");
    assert!(message.contains("certificate is good"), "{message}");
    for about in ["output other-name", "output no-tls"] {
        let (level, message) = of(&trusting, about)[0];
        assert_eq!(level, "error");
        assert!(message.contains("no TLS"), "{message}");
    }
    assert_eq!(of(&trusting, "output datagrams")[0].0, "ok");
    certificates(&host);
    let mistrusting = found(&host, Some("ca.pem"));
    let (level, message) = of(&mistrusting, "output safe")[0];
    assert_eq!(level, "error", "of another authority: {message}");
}
