//! What `lapwing doctor` says of outputs: who answers, who can be trusted, what is written and run, and what goes
//! by a proxy.

use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use crate::doctor::{RULES, found, found_with, of};
use crate::host::Host;
use crate::real_servers::{Server, certificates, free_port, nginx};

/// A host with nothing but outputs.
fn with_outputs(outputs: &str) -> Host {
    let config = format!(
        "inputs:\n  app: {{type: file, path: ['*.log'], format: plain}}\noutputs:\n{outputs}"
    );
    Host::with(&config, RULES)
}

/// Somebody who listens at a port, and the port.
fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[test]
fn the_doctor_shakes_hands_and_tells_a_certificate_that_nobody_trusts() {
    let [encrypted, plain] = [free_port(), free_port()];
    let host = with_outputs(&format!(
        "
  safe: {{type: webhook, url: 'https://localhost:{encrypted}/'}}
  capitals: {{type: webhook, url: 'HTTPS://localhost:{encrypted}/'}}
  other-name: {{type: webhook, url: 'https://127.0.0.2:{encrypted}/'}}
  no-tls: {{type: webhook, url: 'https://localhost:{plain}/'}}
  no-mail: {{type: email, smtp_url: 'SMTPS://localhost:{plain}', from: a@example.com, to: [b@example.com]}}
"
    ));
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
    for about in ["output safe", "output capitals"] {
        let (level, message) = of(&trusting, about)[0];
        assert_eq!(level, "ok", "{message}");
        assert!(message.contains("certificate is good"), "{message}");
    }
    for about in ["output other-name", "output no-tls", "output no-mail"] {
        let (level, message) = of(&trusting, about)[0];
        assert_eq!(level, "error", "{about}: {message}");
        assert!(message.contains("no TLS"), "{message}");
    }
    certificates(&host);
    let mistrusting = found(&host, Some("ca.pem"));
    let (level, message) = of(&mistrusting, "output safe")[0];
    assert_eq!(level, "error", "of another authority: {message}");
}

#[test]
fn a_server_that_takes_one_connection_at_a_time_speaks_tls_all_the_same() {
    let port = free_port();
    let host = with_outputs(&format!(
        "  one: {{type: webhook, url: 'https://localhost:{port}/'}}\n"
    ));
    certificates(&host);
    let mut openssl = Command::new("openssl");
    let address = format!("127.0.0.1:{port}");
    openssl
        .args(["s_server", "-quiet", "-cert", "cert.pem", "-key", "key.pem"])
        .args(["-accept", &address])
        .current_dir(host.path(""))
        .stderr(Stdio::null());
    let _server = Server::start(&mut openssl, port);
    let found = found(&host, Some("ca.pem"));
    let (level, message) = of(&found, "output one")[0];
    assert_eq!(level, "ok", "{message}");
}

#[test]
fn the_doctor_knows_who_answers_whatever_is_spoken() {
    let (_listener, port) = listener();
    let six = TcpListener::bind("[::1]:0").unwrap();
    let six = six.local_addr().unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp = udp.local_addr().unwrap().port();
    let host = with_outputs(&format!(
        "
  mail: {{type: email, smtp_url: 'smtp://127.0.0.1:{port}', from: a@example.com, to: [b@example.com]}}
  room: {{type: irc, server: '127.0.0.1:{port}', tls: false, channel: '#ops'}}
  six: {{type: webhook, url: 'http://{six}/'}}
  datagrams: {{type: syslog, url: 'udp://127.0.0.1:{udp}'}}
  counts: {{type: statsd, address: '127.0.0.1:{udp}'}}
  nobody: {{type: irc, server: 'nobody.invalid', channel: '#ops'}}
"
    ));
    let found = found(&host, None);
    for about in ["mail", "room", "six", "datagrams", "counts"] {
        let (level, message) = of(&found, &format!("output {about}"))[0];
        assert_eq!(level, "ok", "{about}: {message}");
    }
    let (level, message) = of(&found, "output nobody")[0];
    assert_eq!(level, "error");
    assert!(message.contains("cannot be resolved"), "{message}");
}

#[test]
fn what_cannot_be_written_or_run_is_not_called_good() {
    let host = with_outputs("");
    let config = format!(
        "inputs:\n  app: {{type: file, path: ['*.log'], format: plain}}\noutputs:\n
  good: {{type: file, path: alerts.jsonl}}
  folder: {{type: file, path: folder}}
  below-a-file: {{type: file, path: app.log/alerts.jsonl}}
  no-folder: {{type: file, path: missing/alerts.jsonl}}
  script: {{type: exec, command: [{0}]}}
  no-script: {{type: exec, command: [{1}]}}
  not-executable: {{type: exec, command: [{2}]}}
",
        host.path("script").display(),
        host.path("folder").display(),
        host.path("app.log").display(),
    );
    host.configure(&config);
    std::fs::create_dir(host.path("folder")).unwrap();
    host.write("app.log", "");
    host.write("script", "#!/bin/sh\n");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(host.path("script"), mode).unwrap();
    let found = found(&host, None);
    for about in ["good", "script"] {
        let (level, message) = of(&found, &format!("output {about}"))[0];
        assert_eq!(level, "ok", "{about}: {message}");
    }
    for about in [
        "folder",
        "below-a-file",
        "no-folder",
        "no-script",
        "not-executable",
    ] {
        let (level, message) = of(&found, &format!("output {about}"))[0];
        assert_eq!(level, "error", "{about}: {message}");
    }
}

#[test]
fn a_proxy_is_asked_for_http_only_and_as_the_environment_has_it() {
    let (_listener, proxy) = listener();
    let dead = free_port();
    let host = with_outputs(&format!(
        "
  safe: {{type: webhook, url: 'https://localhost:{dead}/'}}
  plain: {{type: webhook, url: 'http://nobody.invalid/'}}
  room: {{type: irc, server: '127.0.0.1:{dead}', tls: false, channel: '#ops'}}
  logs: {{type: syslog, url: 'tcp://127.0.0.1:{dead}'}}
  mail: {{type: email, smtp_url: 'smtp://127.0.0.1:{dead}', from: a@example.com, to: [b@example.com]}}
  counts: {{type: graphite, address: '127.0.0.1:{dead}'}}
"
    ));
    let url = format!("http://ops:SESAME@127.0.0.1:{proxy}");
    let levels = |variables: &[(&str, &str)], names: &[&str]| -> Vec<String> {
        let found = found_with(&host, variables);
        let level = |name: &&str| of(&found, &format!("output {name}"))[0];
        let said: Vec<_> = names.iter().map(level).collect();
        assert!(!format!("{said:?}").contains("SESAME"));
        said.into_iter()
            .map(|(level, _)| level.to_owned())
            .collect()
    };
    let all = [("HTTPS_PROXY", &*url), ("http_proxy", &*url)];
    let others = ["room", "logs", "mail", "counts"];
    assert_eq!(levels(&all, &["safe", "plain"]), ["ok"; 2]);
    assert_eq!(levels(&all, &others), ["error"; 4], "they know no proxy");
    assert_eq!(levels(&all[..1], &["safe", "plain"]), ["ok", "error"]);
    let excepted = [all[0], ("NO_PROXY", "*")];
    assert_eq!(levels(&excepted, &["safe"]), ["error"]);
    assert_eq!(levels(&[("HTTPS_PROXY", "")], &["safe"]), ["error"]);
    let gone = format!("http://127.0.0.1:{dead}");
    assert_eq!(levels(&[("ALL_PROXY", &gone)], &["safe"]), ["error"]);
}
