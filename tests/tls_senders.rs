//! Who sends by TLS with a good certificate, a bad one or none, and how they end: openssl speaks to a real
//! agent. `tests/setup` fetches it, and the clock that certificates of another time are made by.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use rustix::process::{Signal, kill_process};

use crate::host::{Agent, Host, json_lines, wait_until};
use crate::storms::library;
use crate::syslog::port;

const RULES: &str = "
version: 1
rules:
  - {name: tls, match: {contains: [TLS]}, type: any, group_by: [message]}
";

/// An authority `NAME.pem`, and what it signed: `NAME-server.pem` and `NAME-client.pem`.
pub(crate) fn certificates(host: &Host, name: &str) {
    let (key, cert, subject) = (
        format!("{name}.key"),
        format!("{name}.pem"),
        format!("/CN={name}"),
    );
    let new = [
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
    ];
    let to = ["-subj", &subject, "-keyout", &key, "-out", &cert];
    openssl(host, &[&new[..], &to].concat(), NOW);
    for who in ["server", "client"] {
        sign(host, name, who, NOW);
    }
}

/// The clock as it is.
const NOW: &str = "+0";

/// Has the authority `name` sign `NAME-WHO.pem`, which holds for two days, on a clock that is so far off.
fn sign(host: &Host, name: &str, who: &str, clock: &str) {
    let at = |ending: &str| format!("{name}-{who}.{ending}");
    let (key, request, cert) = (at("key"), at("csr"), at("pem"));
    let (its_key, its_cert) = (format!("{name}.key"), format!("{name}.pem"));
    // rsyslog compares names only.
    host.write("ext", "subjectAltName=IP:127.0.0.1,DNS:127.0.0.1\n");
    let new = ["req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x"];
    openssl(
        host,
        &[&new[..], &["-keyout", &key, "-out", &request]].concat(),
        clock,
    );
    let by = [
        "x509",
        "-req",
        "-CA",
        &its_cert,
        "-CAkey",
        &its_key,
        "-CAcreateserial",
    ];
    let what = [
        "-in", &request, "-days", "2", "-extfile", "ext", "-out", &cert,
    ];
    openssl(host, &[&by[..], &what].concat(), clock);
}

fn openssl(host: &Host, args: &[&str], clock: &str) {
    let mut command = Command::new("openssl");
    command.args(args).current_dir(host.path("."));
    command.env("LD_PRELOAD", library("faketime/libfaketimeMT.so.1"));
    command.env("FAKETIME", clock);
    let done = command.output().expect("tests/setup installs openssl");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
}

/// `openssl s_client` that has been given one message; it goes on until its input ends.
fn sender(host: &Host, port: u16, message: &str, args: &[&str]) -> Child {
    let to = format!("127.0.0.1:{port}");
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &to, "-quiet", "-no_ign_eof"]);
    command.arg("-verify_return_error").args(args);
    command.current_dir(host.path(".")).stdin(Stdio::piped());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().expect("tests/setup installs openssl");
    let mut stdin = child.stdin.as_ref().unwrap();
    writeln!(stdin, "<13>{message}").ok();
    child
}

/// Sends one message; gives whether the handshake was to the sender's liking.
pub(crate) fn send(host: &Host, port: u16, message: &str, args: &[&str]) -> bool {
    let mut child = sender(host, port, message, args);
    drop(child.stdin.take());
    child.wait().unwrap().success()
}

/// A host that takes those who show a certificate of the authority `one`, its own signed by that as well.
fn mutual() -> Host {
    let host = Host::with(
        "inputs:\n  net: {type: syslog, listen: ['tls://127.0.0.1:0'], tls: {cert: cert.pem, key: key.pem, client_ca: one.pem}}\noutputs:\n  file: {type: file, path: alerts.jsonl}\n",
        RULES,
    );
    certificates(&host, "one");
    use_server_of(&host, "one");
    host
}

fn use_server_of(host: &Host, name: &str) {
    host.write("cert.pem", host.read(&format!("{name}-server.pem")));
    host.write("key.pem", host.read(&format!("{name}-server.key")));
}

/// Trusts the authority `ca`, and shows the certificate `client`.
fn identity(ca: &str, client: &str) -> Vec<String> {
    let (cert, key) = (format!("{client}.pem"), format!("{client}.key"));
    ["-CAfile", ca, "-cert", &cert, "-key", &key]
        .map(str::to_owned)
        .to_vec()
}

fn borrowed(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

/// The messages of the alerts that were told.
fn messages(host: &Host) -> Vec<String> {
    let text = std::fs::read_to_string(host.path("alerts.jsonl")).unwrap_or_default();
    let message = |alert: &serde_json::Value| alert["group"]["message"].as_str().map(str::to_owned);
    json_lines(&text).iter().filter_map(message).collect()
}

fn failed_handshakes(host: &Host) -> u64 {
    let done = host.command(&["status", "--json", "-c", "lapwing.yaml"]);
    let received = &json_lines(&done.stdout)[0]["inputs"]["net"]["received"];
    received["handshakes_failed"].as_u64().unwrap()
}

fn reload(agent: &Agent) {
    kill_process(agent.pid(), Signal::HUP).unwrap();
    agent.stderr.wait_for("reloaded");
}

#[test]
fn tls_takes_those_with_a_certificate_of_its_authority_and_a_new_one_after_a_reload() {
    let host = mutual();
    certificates(&host, "two");
    let agent = host.run();
    let port = port(&agent, "tls");
    let good = identity("one.pem", "one-client");
    let good = borrowed(&good);
    assert!(send(&host, port, "TLS good", &good));
    wait_until("the good one", || messages(&host) == ["TLS good"]);
    send(&host, port, "TLS none", &["-CAfile", "one.pem"]);
    send(
        &host,
        port,
        "TLS unknown",
        &borrowed(&identity("one.pem", "two-client")),
    );
    let mut plain = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    plain.write_all(b"<13>TLS plain\n").unwrap();
    agent.stderr.wait_for("a TLS handshake failed");
    use_server_of(&host, "two");
    reload(&agent);
    let renewed = identity("two.pem", "one-client");
    assert!(!send(&host, port, "TLS by the old authority", &good));
    assert!(send(&host, port, "TLS renewed", &borrowed(&renewed)));
    wait_until("the renewed one", || messages(&host).len() == 2);
    assert_eq!(messages(&host), ["TLS good", "TLS renewed"]);
    agent.stop();
}

#[test]
fn a_certificate_that_has_ended_or_not_begun_lets_nobody_in_and_is_counted() {
    let host = mutual();
    let agent = host.run();
    let port = port(&agent, "tls");
    let client = identity("one.pem", "one-client");
    let client = borrowed(&client);
    for (refused, clock) in [(1, "-10d"), (2, "+10d")] {
        sign(&host, "one", "client", clock);
        send(&host, port, &format!("TLS by a clock of {clock}"), &client);
        wait_until("the refusal", || failed_handshakes(&host) >= refused);
    }
    sign(&host, "one", "client", NOW);
    assert!(send(&host, port, "TLS now", &client));
    wait_until("the good one", || !messages(&host).is_empty());
    assert_eq!(messages(&host), ["TLS now"]);
    agent.stop();
}

#[test]
fn a_sender_sees_that_the_agents_own_certificate_has_ended_and_sends_it_nothing() {
    let host = mutual();
    sign(&host, "one", "server", "-10d");
    use_server_of(&host, "one");
    let agent = host.run();
    let client = identity("one.pem", "one-client");
    assert!(!send(
        &host,
        port(&agent, "tls"),
        "TLS to nobody",
        &borrowed(&client)
    ));
    wait_until("the refusal", || failed_handshakes(&host) == 1);
    assert!(messages(&host).is_empty());
    agent.stop();
}

#[test]
fn a_sender_that_asks_for_another_name_sends_nothing_and_one_that_asks_for_its_own_does() {
    let host = mutual();
    let agent = host.run();
    let port = port(&agent, "tls");
    let client = identity("one.pem", "one-client");
    let ask = |name: &str, message: &str| {
        let args = [&borrowed(&client)[..], &["-verify_hostname", name]].concat();
        send(&host, port, message, &args)
    };
    assert!(!ask("elsewhere.example", "TLS to another"));
    wait_until("the refusal", || failed_handshakes(&host) == 1);
    assert!(ask("127.0.0.1", "TLS to this one"));
    wait_until("the good one", || messages(&host) == ["TLS to this one"]);
    agent.stop();
}

#[test]
fn tls_of_before_1_2_is_refused_and_counted() {
    let host = mutual();
    let agent = host.run();
    let port = port(&agent, "tls");
    let client = identity("one.pem", "one-client");
    for (refused, version) in [(1, "-tls1"), (2, "-tls1_1")] {
        let old = [version, "-cipher", "ALL:@SECLEVEL=0"];
        let args = [&borrowed(&client)[..], &old].concat();
        assert!(!send(&host, port, "TLS old", &args));
        wait_until("the refusal", || failed_handshakes(&host) >= refused);
    }
    assert!(messages(&host).is_empty());
    agent.stop();
}

#[test]
fn an_end_without_close_notify_loses_nothing_that_came_before() {
    let host = mutual();
    let agent = host.run();
    let client = identity("one.pem", "one-client");
    let mut child = sender(&host, port(&agent, "tls"), "TLS abrupt", &borrowed(&client));
    wait_until("the message", || messages(&host) == ["TLS abrupt"]);
    child.kill().unwrap();
    child.wait().unwrap();
    // The connection is given back, and nobody is blamed for a bad handshake.
    let open = || {
        let done = host.command(&["status", "--json", "-c", "lapwing.yaml"]);
        let received = &json_lines(&done.stdout)[0]["inputs"]["net"]["received"];
        received["connections"].as_u64().unwrap()
    };
    wait_until("the connection to be let go", || open() == 0);
    assert_eq!(failed_handshakes(&host), 0);
    agent.stop();
}
