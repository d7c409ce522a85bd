//! Senders that mean no good, or whose messages are odd, and what happens while nobody can be told: to a
//! real agent. `tests/syslog.rs` has the table of which fault is held where.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Resource, Signal, getrlimit, kill_process, setrlimit};

use crate::host::{Agent, Host, LAPWING, json_lines, wait_until};
use crate::strace::Strace;
use crate::syslog::{Relp, connect, counted, host, port, texts};

/// What the parser is tested with, as it is written in its table.
const MESSAGES: &str = include_str!("../rules/src/fields/syslog/tests/messages.txt");

/// The disk takes nothing.
const FULL: [&str; 4] = [
    "-e",
    "trace=pwrite64,ftruncate,fallocate",
    "-e",
    "inject=pwrite64,ftruncate,fallocate:error=ENOSPC",
];

/// What the agent says of the input `net`.
fn received(host: &Host) -> serde_json::Value {
    let done = host.command(&["status", "--json", "-c", "lapwing.yaml"]);
    json_lines(&done.stdout)[0]["inputs"]["net"]["received"].clone()
}

/// As many descriptors as the system allows this process.
fn allow_descriptors() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    limit.current.unwrap_or(u64::MAX)
}

fn resident_kib(agent: &Agent) -> u64 {
    let path = format!("/proc/{}/status", agent.pid());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_ascii_whitespace().next());
    number.unwrap().parse().unwrap()
}

/// The lines that the output `lines` was given.
fn told_lines(host: &Host) -> Vec<String> {
    let text = std::fs::read_to_string(host.path("lines.jsonl")).unwrap_or_default();
    let end = text.rfind('\n').map_or(0, |lf| lf + 1);
    let line = |it: &serde_json::Value| it["line"].as_str().unwrap_or_default().to_owned();
    let whole = text.get(..end).unwrap_or_default();
    json_lines(whole).iter().map(line).collect()
}

/// Messages of the table that a file of JSON shows as they came.
fn messages() -> Vec<&'static str> {
    let plain = |line: &&str| !line.is_empty() && !line.contains('\\') && line.is_ascii();
    let shown = MESSAGES.lines().filter_map(|line| line.strip_prefix("> "));
    shown.filter(plain).collect()
}

#[test]
fn odd_messages_are_the_same_lines_over_every_transport() {
    // A frame that begins with a digit is of one framing only.
    let begins_count = |line: &str| line.starts_with(|c: char| ('1'..='9').contains(&c));
    let messages = messages();
    assert!(messages.len() > 100, "{}", messages.len());
    let host = Host::with("", "version: 1\nrules:\n  - {name: all, type: any}\n");
    let (datagram, stream) = (host.path("d.sock"), host.path("s.sock"));
    host.configure(&format!(
        "inputs:\n  net:\n    type: syslog\n    listen: ['udp://127.0.0.1:0', 'tcp://127.0.0.1:0', 'relp://127.0.0.1:0', 'unix://{}', 'unix+stream://{}']\n\
         outputs:\n  lines: {{type: file, path: lines.jsonl, send: lines}}\n",
        datagram.display(),
        stream.display()
    ));
    let agent = host.run();
    let lines = || told_lines(&host);
    let mut expected = Vec::new();
    let mut check = |transport: &str, sent: &[&str]| {
        expected.extend(sent.iter().map(|line| (*line).to_owned()));
        wait_until(&format!("{transport}: {} lines", expected.len()), || {
            lines().len() >= expected.len()
        });
        let lines = lines();
        for (line, expected) in lines.iter().zip(&expected) {
            assert_eq!(line, expected, "{transport}");
        }
        assert_eq!(lines.len(), expected.len(), "{transport}");
    };
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    for message in &messages {
        udp.send_to(message.as_bytes(), ("127.0.0.1", port(&agent, "udp")))
            .unwrap();
    }
    check("udp", &messages);
    let mut tcp = connect(&agent, "tcp");
    let lines_only: Vec<&str> = messages
        .iter()
        .copied()
        .filter(|it| !begins_count(it))
        .collect();
    tcp.write_all((lines_only.join("\n") + "\n").as_bytes())
        .unwrap();
    check("tcp, lines", &lines_only);
    let framed: String = messages.iter().map(|it| counted(it)).collect();
    tcp.write_all(framed.as_bytes()).unwrap();
    check("tcp, counted", &messages);
    let local = UnixDatagram::unbound().unwrap();
    for message in &messages {
        local.send_to(message.as_bytes(), &datagram).unwrap();
    }
    check("unix", &messages);
    let mut local = UnixStream::connect(&stream).unwrap();
    local.write_all(framed.as_bytes()).unwrap();
    check("unix+stream", &messages);
    let mut relp = Relp::open(&agent);
    for message in &messages {
        relp.send("syslog", message);
    }
    check("relp", &messages);
    agent.stop();
}

#[test]
fn two_thousand_that_send_a_byte_now_and_then_keep_nobody_out() {
    allow_descriptors();
    let host = host(
        "'tcp://127.0.0.1:0'",
        "    max_connections: 2001\n    idle_timeout: 3s\n",
    );
    let agent = host.run();
    let mut good = connect(&agent, "tcp");
    let mut slow: Vec<TcpStream> = (0..2_000).map(|_| connect(&agent, "tcp")).collect();
    let mut number = 0;
    let mut open = slow.len();
    wait_until("all of them to be closed", || {
        // Never idle for so long, and no frame is ever whole.
        for stream in &mut slow {
            stream.write_all(b"x").ok();
        }
        writeln!(good, "<13>BOOM {number}").unwrap();
        number += 1;
        let count = received(&host)["connections"].as_u64().unwrap();
        open = usize::try_from(count).unwrap();
        open == 1
    });
    assert_eq!(received(&host)["timed_out"], 2_000);
    assert_eq!(texts(&host, number).len(), number);
    agent.stop();
}

#[test]
fn ten_thousand_connections_that_say_nothing_cost_little_and_those_that_speak_are_heard() {
    const MANY: usize = 10_000;
    let allowed = allow_descriptors();
    assert!(
        allowed > 10_100,
        "`ulimit -n` allows {allowed} descriptors only"
    );
    let host = host("'tcp://127.0.0.1:0'", "    max_connections: 10000\n");
    let agent = host.run();
    let before = resident_kib(&agent);
    let at = ("127.0.0.1", port(&agent, "tcp"));
    let mut streams: Vec<TcpStream> = (0..MANY).map(|_| TcpStream::connect(at).unwrap()).collect();
    wait_until("all of them", || received(&host)["connections"] == MANY);
    let each = (resident_kib(&agent) - before) / 10;
    assert!(each < 8 * 1024, "a connection costs {each} bytes");
    for (number, stream) in streams.iter_mut().enumerate().step_by(100) {
        writeln!(stream, "<13>BOOM {number}").unwrap();
    }
    texts(&host, MANY / 100);
    drop(streams);
    wait_until("all of them to be gone", || {
        received(&host)["connections"] == 0
    });
    agent.stop();
}

#[test]
fn those_who_never_begin_their_handshake_are_closed_and_make_room() {
    let host = host(
        "'tls://127.0.0.1:0'",
        "    tls: {cert: cert.pem, key: key.pem}\n    max_connections: 20\n    idle_timeout: 1s\n",
    );
    crate::tls_senders::certificates(&host, "one");
    host.write("cert.pem", host.read("one-server.pem"));
    host.write("key.pem", host.read("one-server.key"));
    let agent = host.run();
    let mut silent: Vec<TcpStream> = (0..20).map(|_| connect(&agent, "tls")).collect();
    // Not a byte, or a byte that is none of TLS: both end.
    silent[0].write_all(b"<13>plain text\n").unwrap();
    for stream in &mut silent {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).ok();
    }
    assert_eq!(received(&host)["handshakes_failed"], 20);
    let good =
        crate::tls_senders::send(&host, port(&agent, "tls"), "BOOM", &["-CAfile", "one.pem"]);
    assert!(good);
    texts(&host, 1);
    agent.stop();
}

#[test]
fn relp_that_was_not_acknowledged_before_a_kill_is_told_once_it_is_sent_again() {
    let host = host("'relp://127.0.0.1:0'", "");
    let mut agent = host.run();
    let mut acknowledged = 0;
    for _ in 0..4 {
        // What a sender does: all that is not acknowledged, again, in a new session.
        let mut relp = Relp::open(&agent);
        for number in acknowledged..200 {
            relp.send(
                "syslog",
                &format!("<13>1 2026-11-21T09:00:00Z h a - - - BOOM {number}"),
            );
        }
        for _ in 0..37 {
            assert!(relp.answer().contains("200 OK"));
            acknowledged += 1;
        }
        agent.kill9();
        agent = host.run();
        // Whatever was acknowledged is told, now or before.
        texts(&host, acknowledged);
    }
    let mut relp = Relp::open(&agent);
    for number in acknowledged..200 {
        relp.ask(
            "syslog",
            &format!("<13>1 2026-11-21T09:00:00Z h a - - - BOOM {number}"),
        );
    }
    // `told` holds each id and number once: what came again has no second id.
    let mut all: Vec<String> = (0..200).map(|number| format!("BOOM {number}")).collect();
    all.sort();
    assert_eq!(texts(&host, 200), all);
    agent.stop();
}

#[test]
fn relp_is_not_acknowledged_before_it_is_saved_and_all_of_it_afterwards() {
    const MESSAGES: usize = 40;
    let host = host("'relp://127.0.0.1:0'", "");
    let agent = host.run();
    let mut relp = Relp::open(&agent);
    let strace = Strace::on(&agent, "store", &FULL);
    for number in 0..MESSAGES {
        relp.send("syslog", &format!("<13>BOOM {number}"));
    }
    // Told out of memory: it has them all, and not a word for the sender.
    texts(&host, MESSAGES);
    assert!(relp.is_silent(Duration::from_secs(2)));
    drop(strace);
    for number in 0..MESSAGES {
        let answer = relp.answer();
        let expected = format!("{} rsp 6 200 OK", number + 2);
        assert!(answer.starts_with(&expected), "{answer}");
    }
    agent.stop();
}

#[test]
fn a_sigterm_while_a_sender_goes_on_without_end_ends_the_agent_and_keeps_what_came_before() {
    let host = host("'tcp://127.0.0.1:0'", "");
    let agent = host.run();
    let mut stream = connect(&agent, "tcp");
    kill_process(agent.pid(), Signal::STOP).unwrap();
    stream.write_all(b"<13>BOOM first\n").unwrap();
    let flood = move || {
        let lines = b"<13>of no concern\n".repeat(1_000);
        while stream.write_all(&lines).is_ok() {}
    };
    let flood = std::thread::Builder::new().spawn(flood).unwrap();
    kill_process(agent.pid(), Signal::TERM).unwrap();
    kill_process(agent.pid(), Signal::CONT).unwrap();
    agent.stop();
    flood.join().unwrap();
    assert_eq!(texts(&host, 1), ["BOOM first"]);
}

#[test]
fn a_datagram_that_comes_in_fragments_is_one_message() {
    let host = host("'udp://127.0.0.1:0'", "    max_line_bytes: 64KiB\n");
    // A network of its own, in which no packet has more than 1,280 bytes.
    let script = format!("ip link set lo mtu 1280 up && exec {LAPWING} run -c lapwing.yaml");
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "sh", "-c", &script]);
    let agent = Agent::start(command.current_dir(host.path(".")));
    agent.stderr.wait_for("ready");
    let message = format!("BOOM {}", "x".repeat(30_000));
    host.write("message", &message);
    let (pid, port) = (agent.pid().to_string(), port(&agent, "udp").to_string());
    let mut command = Command::new("nsenter");
    command.args([
        "--user",
        "--preserve-credentials",
        "--net",
        "--target",
        &pid,
    ]);
    command.args(["logger", "--udp", "--server", "127.0.0.1", "--port", &port]);
    command.args(["--size", "64KiB", "--file", "message"]);
    let sent = command.current_dir(host.path(".")).output().unwrap();
    let said = String::from_utf8_lossy(&sent.stderr);
    assert!(sent.status.success(), "{said}");
    texts(&host, 1);
    let done = host.command(&["status", "--json", "-c", "lapwing.yaml"]);
    let input = &json_lines(&done.stdout)[0]["inputs"]["net"];
    assert_eq!(input["received"]["messages"], 1);
    assert!(input["bytes"].as_u64() > Some(30_000), "{input}");
    agent.stop();
}

#[test]
fn a_socket_that_is_taken_away_or_replaced_is_made_anew() {
    let host = host("'tcp://127.0.0.1:0'", "");
    let (datagram, stream) = (host.path("d.sock"), host.path("s.sock"));
    host.configure(&format!(
        "inputs:\n  net: {{type: syslog, listen: ['unix://{}', 'unix+stream://{}']}}\noutputs:\n  file: {{type: file, path: alerts.jsonl}}\n",
        datagram.display(),
        stream.display()
    ));
    let agent = host.run();
    let mut before = UnixStream::connect(&stream).unwrap();
    std::fs::remove_file(&datagram).unwrap();
    std::fs::remove_file(&stream).unwrap();
    host.write("elsewhere", "not to be touched");
    symlink(host.path("elsewhere"), &stream).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    wait_until("the one that was removed", || {
        sender.send_to(b"<13>BOOM 1", &datagram).is_ok()
    });
    agent.stderr.wait_for("its socket was taken away");
    before.write_all(b"<13>BOOM 2\n").unwrap();
    assert_eq!(texts(&host, 2), ["BOOM 1", "BOOM 2"]);
    let deaf = || received(&host)["deaf"].to_string();
    wait_until("it to be said", || {
        deaf().contains("something that is no socket stands there")
    });
    std::fs::remove_file(&stream).unwrap();
    wait_until("the one that was replaced", || {
        UnixStream::connect(&stream).is_ok()
    });
    let mut after = UnixStream::connect(&stream).unwrap();
    after.write_all(b"<13>BOOM 3\n").unwrap();
    texts(&host, 3);
    assert_eq!(host.read("elsewhere"), "not to be touched");
    agent.stop();
    assert!(!datagram.exists() && !stream.exists());
}

#[test]
fn a_full_queue_of_datagrams_makes_senders_wait_and_loses_none_that_was_taken() {
    let host = host("'tcp://127.0.0.1:0'", "");
    let path = host.path("d.sock");
    host.configure(&format!(
        "inputs:\n  net: {{type: syslog, listen: ['unix://{}']}}\noutputs:\n  file: {{type: file, path: alerts.jsonl}}\n",
        path.display()
    ));
    let agent = host.run();
    kill_process(agent.pid(), Signal::STOP).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.set_nonblocking(true).unwrap();
    let mut taken = 0;
    let full = loop {
        match sender.send_to(format!("<13>BOOM {taken}").as_bytes(), &path) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 1_000_000, "it is never full");
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    kill_process(agent.pid(), Signal::CONT).unwrap();
    assert_eq!(texts(&host, taken).len(), taken);
    agent.stop();
}

#[test]
fn while_nothing_can_be_told_or_saved_streams_wait_and_nothing_that_was_sent_is_lost() {
    /// More than memory has room for, where neither disk nor output takes any.
    const ALERTS: usize = 24_000;
    /// Then lines that concern nobody, more than sockets and inboxes hold.
    const OTHERS: usize = 40_000;
    let host = Host::with(
        // Nobody listens at the discard port.
        "inputs:\n  net: {type: syslog, listen: ['tcp://127.0.0.1:0', 'udp://127.0.0.1:0', 'relp://127.0.0.1:0']}\n\
         outputs:\n  hook: {type: webhook, url: 'http://127.0.0.1:9/'}\n",
        "version: 1\ndefaults: {max_groups: 100000}\nrules:\n  - {name: each, match: {contains: [BOOM]}, type: any, group_by: [procid], realert: 0s}\n",
    );
    let agent = host.run();
    let mut stream = connect(&agent, "tcp");
    let mut relp = Relp::open(&agent);
    let strace = Strace::on(&agent, "store", &FULL);
    let alert = |n| format!("<13>1 2026-11-21T09:00:00Z h a {n} - - BOOM\n");
    let other = format!(
        "<13>1 2026-11-21T09:00:00Z h a - - - {}\n",
        "x".repeat(1_000)
    );
    let text = (0..ALERTS).map(alert).collect::<String>() + &other.repeat(OTHERS);
    stream.set_nonblocking(true).unwrap();
    let (mut left, mut stood) = (text.as_bytes(), 0);
    wait_until("it to stop reading", || {
        match rustix::io::write(&stream, left) {
            Ok(count) => (left, stood) = (left.get(count..).unwrap(), 0),
            Err(error) => {
                assert_eq!(error, rustix::io::Errno::AGAIN);
                stood += 1;
            }
        }
        assert!(!left.is_empty(), "it took everything");
        stood > 400
    });
    relp.send(
        "syslog",
        "<13>1 2026-11-21T09:00:00Z h a - - - after all of them",
    );
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let large = vec![b'y'; 60_000];
    for _ in 0..2_000 {
        udp.send_to(&large, ("127.0.0.1", port(&agent, "udp")))
            .unwrap();
    }
    // The disk takes something again.
    drop(strace);
    stream.set_nonblocking(false).unwrap();
    stream.write_all(left).unwrap();
    assert!(relp.answer().contains("200 OK"), "it is acknowledged now");
    wait_until("all to be accounted for", || {
        let received = received(&host);
        let number = |name: &str| received[name].as_u64().unwrap();
        let dropped = number("datagrams_dropped");
        dropped > 0 && number("messages") + dropped == (ALERTS + OTHERS + 1 + 2_000) as u64
    });
}
