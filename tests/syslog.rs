//! Messages that others send, over every transport, to a real agent. A fault of each kind that broke
//! other receivers: the tests are called after what an operator would see. Of the catalogue of faults that
//! the project keeps, these are held here (`syslog`), by hostile senders (`hostile`: `tests/hostile_senders.rs`),
//! by real daemons (`daemons`: `tests/syslog_daemons.rs`), in units and by fuzzing:
//!
//! | fault | held by |
//! | --- | --- |
//! | 46 valid and odd messages over each transport | hostile: `odd_messages_are_the_same_lines_over_every_transport`; what is read of them: `messages.txt` in `lapwing_rules::fields` |
//! | 47 both framings, mixed, cut at every byte | `inputs::syslog::frame::tests`; fuzz target `frames` |
//! | 48 a frame over the limit | syslog: `a_frame_over_the_limit_is_cut_and_counted_and_the_next_one_is_intact` |
//! | 49 a count of ten digits | syslog: `a_count_of_ten_digits_closes_the_connection_and_no_other` |
//! | 50 slowloris | hostile: `two_thousand_that_send_a_byte_now_and_then_keep_nobody_out` |
//! | 51 10,000 connections, then 10,000 idle | hostile: `ten_thousand_connections_that_say_nothing_cost_little_and_those_that_speak_are_heard` |
//! | 52 TCP without a ClientHello | hostile: `those_who_never_begin_their_handshake_are_closed_and_make_room` |
//! | 53, 54 reset in mid-frame, half-close | syslog: `what_came_before_a_half_close_or_a_reset_is_told` |
//! | 55 SIGTERM with data in the kernel | syslog: `a_sigterm_with_data_in_kernel_buffers_loses_nothing`; hostile: `a_sigterm_while_a_sender_goes_on_without_end_ends_the_agent_and_keeps_what_came_before` |
//! | 56 RELP and kills | syslog: `relp_is_acknowledged_once_what_it_caused_is_durable_and_never_lost_by_a_kill`; hostile: `relp_is_not_acknowledged_before_it_is_saved_and_all_of_it_afterwards`, `relp_that_was_not_acknowledged_before_a_kill_is_told_once_it_is_sent_again` |
//! | 57 odd RELP | syslog: `relp_with_several_opens_wrong_numbers_and_unknown_words_is_answered_or_closed`; fuzz target `relp` |
//! | 58, 59 UDP above the load, of no byte, of 64 KiB, in fragments | syslog: `datagrams_of_no_byte_and_of_64_kib_are_no_trouble_and_kernel_drops_are_counted`; hostile: `a_datagram_that_comes_in_fragments_is_one_message`; units: `datagrams_of_no_byte_count_for_the_bound_of_a_read` |
//! | 60, 61, 62 certificates, old TLS, no close_notify | `tests/tls_senders.rs` |
//! | 63 sockets in the file system | syslog: `a_stale_socket_is_replaced_and_what_is_no_socket_or_in_use_is_left_alone`; hostile: `a_socket_that_is_taken_away_or_replaced_is_made_anew`, `a_full_queue_of_datagrams_makes_senders_wait_and_loses_none_that_was_taken` |
//! | 64 nothing can be told or saved | hostile: `while_nothing_can_be_told_or_saved_streams_wait_and_nothing_that_was_sent_is_lost` |
//! | 65 daemons forward while the agent dies | `tests/torture.rs`: `rsyslog_forwards_over_relp_while_the_agent_is_killed_and_no_line_is_lost`; for hours: the scenario `relp-kill` |

use std::collections::HashSet;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::Duration;

use rustix::process::{Signal, kill_process};

use crate::host::{Agent, Host, json_lines, wait_until};

/// Each message with BOOM is told, by who sent it and what it says.
const RULES: &str = "
version: 1
rules:
  - name: each
    match: {contains: [BOOM]}
    type: any
    group_by: [hostname, peer, message]
";

/// An answer is waited for so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A host that listens at these addresses, with further lines for the input.
pub(crate) fn host(listen: &str, more: &str) -> Host {
    let config = format!(
        "inputs:\n  net:\n    type: syslog\n    listen: [{listen}]\n{more}outputs:\n  file: {{type: file, path: alerts.jsonl}}\n"
    );
    Host::with(&config, RULES)
}

/// Where the agent says that it listens, of the n-th such line.
pub(crate) fn port(agent: &Agent, scheme: &str) -> u16 {
    let text = agent.stderr.text();
    let mark = format!("listening at {scheme}://");
    let line = text.lines().find(|line| line.contains(&mark));
    let line = line.unwrap_or_else(|| panic!("no `{mark}` in {text}"));
    let port = line
        .split(&mark)
        .nth(1)
        .and_then(|it| it.split_ascii_whitespace().next());
    port.and_then(|it| it.rsplit(':').next())
        .unwrap()
        .parse()
        .unwrap()
}

pub(crate) fn connect(agent: &Agent, scheme: &str) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port(agent, scheme))).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What was told so far: host, peer and text of each message, and whether it was cut.
pub(crate) fn told(host: &Host) -> Vec<(String, String, String, bool)> {
    if !host.path("alerts.jsonl").exists() {
        return Vec::new();
    }
    let mut seen = HashSet::new();
    let mut alerts = json_lines(&host.read("alerts.jsonl"));
    // What is said again after a kill is the same by its id.
    alerts.retain(|alert| seen.insert((alert["id"].to_string(), alert["seq"].to_string())));
    // What the agent tells of itself, such as a full disk, is no message.
    alerts.retain(|alert| alert["group"]["message"].is_string());
    let fields = alerts.iter().map(|alert| {
        let group = |name: &str| alert["group"][name].as_str().unwrap().to_owned();
        let sample = &alert["samples"][0];
        let peer = group("peer");
        assert_eq!(sample["source"], format!("syslog://{peer}"));
        let cut = sample["cut"] == true;
        (group("hostname"), peer, group("message"), cut)
    });
    fields.collect()
}

/// Waits until so many messages were told; gives their texts, sorted.
pub(crate) fn texts(host: &Host, count: usize) -> Vec<String> {
    wait_until(&format!("{count} messages"), || told(host).len() >= count);
    let mut texts: Vec<_> = told(host).into_iter().map(|told| told.2).collect();
    texts.sort();
    texts
}

pub(crate) fn counted(message: &str) -> String {
    format!("{} {message}", message.len())
}

#[test]
fn messages_over_every_transport_are_told_with_their_host_and_their_peer() {
    let host = host("'tcp://127.0.0.1:0'", "");
    let (datagrams, stream) = (host.path("d.sock"), host.path("s.sock"));
    let listen = format!(
        "inputs:\n  net: {{type: syslog, listen: ['udp://127.0.0.1:0', 'tcp://127.0.0.1:0', 'tcp://[::1]:0', 'unix://{}', 'unix+stream://{}']}}\noutputs:\n  file: {{type: file, path: alerts.jsonl}}\n",
        datagrams.display(),
        stream.display()
    );
    host.configure(&listen);
    let agent = host.run();
    let line =
        |host: &str, text: &str| format!("<13>1 2026-11-21T09:00:00Z {host} app 1 - - {text}");
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = ("127.0.0.1", port(&agent, "udp"));
    udp.send_to(line("a", "BOOM udp").as_bytes(), to).unwrap();
    let mut tcp = connect(&agent, "tcp");
    let lf = line("b", "BOOM line\n");
    let octets = counted(&line("c", "BOOM first\nsecond"));
    write!(tcp, "{lf}{octets}{lf}").unwrap();
    let local = UnixDatagram::unbound().unwrap();
    local
        .send_to(b"<13>Nov 21 09:00:00 app: BOOM datagram\n\0", &datagrams)
        .unwrap();
    let mut local = UnixStream::connect(&stream).unwrap();
    local.write_all(b"BOOM with nothing before it\n").unwrap();
    wait_until("five messages", || told(&host).len() >= 5);
    let mut told = told(&host);
    told.sort();
    let row = |host: &str, peer: &str, text: &str| {
        (host.to_owned(), peer.to_owned(), text.to_owned(), false)
    };
    let mut expected = vec![
        row("", datagrams.to_str().unwrap(), "BOOM datagram"),
        row("", stream.to_str().unwrap(), "BOOM with nothing before it"),
        row("a", "127.0.0.1", "BOOM udp"),
        row("b", "127.0.0.1", "BOOM line"),
        row("c", "127.0.0.1", "BOOM first\nsecond"),
    ];
    expected.sort();
    assert_eq!(told, expected);
    let done = host.command(&["status", "--json", "-c", "lapwing.yaml"]);
    let status = &json_lines(&done.stdout)[0]["inputs"]["net"]["received"];
    assert_eq!(status["messages"], 6, "{status}");
    assert_eq!(status["connections"], 2, "{status}");
    agent.stop();
    assert!(
        !datagrams.exists() && !stream.exists(),
        "they are taken away"
    );
}

#[test]
fn a_frame_over_the_limit_is_cut_and_counted_and_the_next_one_is_intact() {
    let host = host("'tcp://127.0.0.1:0'", "    max_line_bytes: 64\n");
    let agent = host.run();
    let mut tcp = connect(&agent, "tcp");
    let long = format!("<13>BOOM {}", "x".repeat(100));
    write!(tcp, "{}<13>BOOM 1\n{long}\n<13>BOOM 2\n", counted(&long)).unwrap();
    let texts = texts(&host, 3);
    let cut = format!("BOOM {}", "x".repeat(55));
    assert_eq!(texts, ["BOOM 1", "BOOM 2", cut.as_str()]);
    assert!(told(&host).iter().any(|told| told.3), "the sample says so");
    let done = host.command(&["status", "--json", "-c", "lapwing.yaml"]);
    let received = &json_lines(&done.stdout)[0]["inputs"]["net"]["received"];
    assert_eq!(received["cut"], 2);
    agent.stop();
}

#[test]
fn a_count_of_ten_digits_closes_the_connection_and_no_other() {
    let host = host("'tcp://127.0.0.1:0'", "");
    let agent = host.run();
    let mut good = connect(&agent, "tcp");
    good.write_all(b"<13>BOOM a").unwrap();
    for bad in [
        "10000000000 <13>x".to_owned(),
        "7".repeat(4096),
        // Who has counted before counts on.
        "4 <1>x10000000000 x".to_owned(),
    ] {
        let mut tcp = connect(&agent, "tcp");
        write!(tcp, "<13>BOOM before {}\n{bad}", bad.len()).unwrap();
        // A reset is an end, too: not all that was sent had been read. A time-out is none.
        match tcp.read(&mut [0]) {
            Ok(count) => assert_eq!(count, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{bad:.20}"),
        }
    }
    good.write_all(b"nd b\n").unwrap();
    assert_eq!(
        texts(&host, 4),
        [
            "BOOM and b",
            "BOOM before 17",
            "BOOM before 19",
            "BOOM before 4096"
        ]
    );
    let log = agent.stop();
    assert!(
        log.contains("it announced a frame of a length that no frame has"),
        "{log}"
    );
}

#[test]
fn what_came_before_a_half_close_or_a_reset_is_told() {
    let host = host("'tcp://127.0.0.1:0'", "");
    let agent = host.run();
    let mut half = connect(&agent, "tcp");
    half.write_all(b"<13>BOOM 1\n<13>BOOM last without LF")
        .unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    half.read_to_end(&mut rest).unwrap();
    assert_eq!(texts(&host, 2), ["BOOM 1", "BOOM last without LF"]);
    let mut reset = connect(&agent, "tcp");
    reset.write_all(b"<13>BOOM 2\n99 <13>BOOM 3").unwrap();
    wait_until("the one before the reset", || told(&host).len() >= 3);
    rustix::net::sockopt::set_socket_linger(&reset, Some(Duration::ZERO)).unwrap();
    drop(reset);
    wait_until("the broken one", || told(&host).len() >= 4);
    let last = told(&host).pop().unwrap();
    assert_eq!((last.2.as_str(), last.3), ("BOOM 3", true));
    agent.stop();
}

#[test]
fn a_sigterm_with_data_in_kernel_buffers_loses_nothing() {
    let host = host("'tcp://127.0.0.1:0', 'udp://127.0.0.1:0'", "");
    host.write(
        "rules.yaml",
        "version: 1\nrules:\n  - {name: all, match: {contains: [BOOM]}, type: frequency, num_events: 30001, timeframe: 1h}\n",
    );
    let agent = host.run();
    let (tcp, udp) = (port(&agent, "tcp"), port(&agent, "udp"));
    kill_process(agent.pid(), Signal::STOP).unwrap();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(("127.0.0.1", tcp)).unwrap();
        stream.write_all(&b"<13>BOOM\n".repeat(10_000)).unwrap();
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"<13>BOOM", ("127.0.0.1", udp)).unwrap();
    kill_process(agent.pid(), Signal::TERM).unwrap();
    kill_process(agent.pid(), Signal::CONT).unwrap();
    agent.stop();
    let alerts = json_lines(&host.read("alerts.jsonl"));
    assert_eq!(alerts[0]["count"], 30_001);
}

#[test]
fn a_reload_keeps_connections_and_loses_nothing_of_what_they_send() {
    let host = host("'tcp://127.0.0.1:0'", "");
    let agent = host.run();
    let mut tcp = connect(&agent, "tcp");
    tcp.write_all(b"<13>BOOM 1\n<13>BOOM 2, its").unwrap();
    texts(&host, 1);
    kill_process(agent.pid(), Signal::HUP).unwrap();
    tcp.write_all(b" end\n").unwrap();
    agent.stderr.wait_for("reloaded");
    tcp.write_all(b"<13>BOOM 3\n").unwrap();
    assert_eq!(texts(&host, 3), ["BOOM 1", "BOOM 2, its end", "BOOM 3"]);
    agent.stop();
}

#[test]
fn datagrams_of_no_byte_and_of_64_kib_are_no_trouble_and_kernel_drops_are_counted() {
    let host = host("'udp://127.0.0.1:0'", "");
    let agent = host.run();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = ("127.0.0.1", port(&agent, "udp"));
    socket.send_to(b"", to).unwrap();
    let large = format!("<13>BOOM {}", "x".repeat(65_507 - 9));
    socket.send_to(large.as_bytes(), to).unwrap();
    texts(&host, 1);
    kill_process(agent.pid(), Signal::STOP).unwrap();
    for _ in 0..2_000 {
        socket.send_to(large.as_bytes(), to).unwrap();
    }
    kill_process(agent.pid(), Signal::CONT).unwrap();
    let received = || {
        let done = host.command(&["status", "--json", "-c", "lapwing.yaml"]);
        let received = &json_lines(&done.stdout)[0]["inputs"]["net"]["received"];
        let number = |name: &str| received[name].as_u64().unwrap();
        (number("messages"), number("datagrams_dropped"))
    };
    wait_until("all to be accounted for", || {
        let (messages, dropped) = received();
        messages + dropped == 2_001 && dropped > 0
    });
    agent.stop();
}

#[test]
fn a_stale_socket_is_replaced_and_what_is_no_socket_or_in_use_is_left_alone() {
    let host = host("'tcp://127.0.0.1:0'", "");
    let at = |name: &str| host.path(name).display().to_string();
    host.configure(&format!(
        "inputs:\n  net: {{type: syslog, listen: ['unix://{}', 'unix+stream://{}', 'unix+stream://{}', 'unix+stream://{}']}}\n",
        at("stale"), at("link"), at("file"), at("used")
    ));
    drop(UnixDatagram::bind(host.path("stale")).unwrap());
    host.write("target", "not to be touched");
    symlink(host.path("target"), host.path("link")).unwrap();
    host.write("file", "nor this");
    let other = UnixListener::bind(host.path("used")).unwrap();
    let agent = host.run_unready();
    for name in ["link", "file", "used"] {
        agent
            .stderr
            .wait_for(&format!("cannot listen at unix+stream://{}", at(name)));
    }
    let sender = UnixDatagram::unbound().unwrap();
    wait_until("the stale one to work", || {
        sender.send_to(b"<13>x", host.path("stale")).is_ok()
    });
    assert_eq!(host.read("target"), "not to be touched");
    assert_eq!(host.read("file"), "nor this");
    assert!(
        host.path("used")
            .symlink_metadata()
            .unwrap()
            .file_type()
            .is_socket()
    );
    drop(other);
    agent.stop();
}

#[test]
fn connections_beyond_the_limit_are_refused_and_those_before_go_on() {
    let host = host("'tcp://127.0.0.1:0'", "    max_connections: 20\n");
    let agent = host.run();
    let mut streams: Vec<_> = (0..20).map(|_| connect(&agent, "tcp")).collect();
    let mut refused = connect(&agent, "tcp");
    assert_eq!(refused.read(&mut [0]).unwrap_or(0), 0);
    for (number, stream) in streams.iter_mut().enumerate() {
        writeln!(stream, "<13>BOOM {number}").unwrap();
    }
    texts(&host, 20);
    streams.clear();
    let mut again = connect(&agent, "tcp");
    wait_until("room", || {
        again = connect(&agent, "tcp");
        writeln!(again, "<13>BOOM again").ok();
        std::thread::sleep(Duration::from_millis(20));
        told(&host).len() > 20
    });
    agent.stop();
}

/// Speaks RELP.
pub(crate) struct Relp(TcpStream, u32);

impl Relp {
    pub(crate) fn open(agent: &Agent) -> Self {
        let mut relp = Self(connect(agent, "relp"), 0);
        let answer = relp.ask(
            "open",
            "relp_version=0\nrelp_software=test\ncommands=syslog",
        );
        assert!(
            answer.starts_with("1 rsp") && answer.contains("200 OK"),
            "{answer}"
        );
        relp
    }

    pub(crate) fn send(&mut self, command: &str, data: &str) {
        self.1 += 1;
        let space = if data.is_empty() { "" } else { " " };
        let length = data.len();
        writeln!(self.0, "{} {command} {length}{space}{data}", self.1).unwrap();
    }

    /// One answer: of the length that it says.
    pub(crate) fn answer(&mut self) -> String {
        let mut head = Vec::new();
        let mut byte = [0];
        let spaces = |head: &[u8]| head.split(|byte| *byte == b' ').count() - 1;
        while spaces(&head) < 3 && !(head.ends_with(b"\n") && spaces(&head) == 2) {
            self.0.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let text = String::from_utf8(head).unwrap();
        let length: usize = text
            .split_ascii_whitespace()
            .nth(2)
            .unwrap()
            .parse()
            .unwrap();
        let mut data = vec![0; if length == 0 { 0 } else { length + 1 }];
        self.0.read_exact(&mut data).unwrap();
        text + &String::from_utf8(data).unwrap()
    }

    /// Whether no answer comes for so long.
    pub(crate) fn is_silent(&self, span: Duration) -> bool {
        self.0.set_read_timeout(Some(span)).unwrap();
        let got = self.0.peek(&mut [0]);
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        got.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    pub(crate) fn ask(&mut self, command: &str, data: &str) -> String {
        self.send(command, data);
        self.answer()
    }
}

#[test]
fn relp_is_acknowledged_once_what_it_caused_is_durable_and_never_lost_by_a_kill() {
    let host = host("'relp://127.0.0.1:0'", "");
    let agent = host.run();
    let mut relp = Relp::open(&agent);
    let answer = relp.ask("syslog", "<13>BOOM 1");
    assert!(answer.starts_with("2 rsp 6 200 OK"), "{answer}");
    // Acknowledged: whatever comes now, it is told.
    agent.kill9();
    let agent = host.run();
    assert_eq!(texts(&host, 1), ["BOOM 1"]);
    let mut relp = Relp::open(&agent);
    for number in 2..300 {
        relp.send("syslog", &format!("<13>BOOM {number}"));
    }
    for number in 2..300 {
        let answer = relp.answer();
        assert!(
            answer.starts_with(&format!("{number} rsp 6 200 OK")),
            "{answer}"
        );
    }
    relp.send("syslog", "<13>BOOM 300");
    relp.send("close", "");
    assert!(relp.answer().starts_with("300 rsp 6 200 OK"));
    assert!(relp.answer().starts_with("301 rsp 0"));
    assert!(relp.answer().starts_with("0 serverclose 0"));
    texts(&host, 300);
    agent.stop();
}

#[test]
fn relp_with_several_opens_wrong_numbers_and_unknown_words_is_answered_or_closed() {
    let host = host("'relp://127.0.0.1:0'", "");
    let agent = host.run();
    let mut relp = Relp::open(&agent);
    assert!(relp.ask("open", "relp_version=0").contains("200 OK"));
    relp.1 = 77;
    assert!(
        relp.ask("syslog", "<13>BOOM 78")
            .starts_with("78 rsp 6 200 OK")
    );
    assert!(relp.ask("dance", "x").contains("500"));
    for bad in [
        "1 syslog 9 <13>BOOM x\n",
        "<13>no RELP\n",
        "1234567890 open 0\n",
    ] {
        let mut tcp = connect(&agent, "relp");
        tcp.write_all(bad.as_bytes()).unwrap();
        let mut rest = Vec::new();
        tcp.read_to_end(&mut rest).ok();
        assert!(!rest.windows(6).any(|it| it == b"200 OK"), "{bad}");
    }
    assert!(relp.ask("syslog", "<13>BOOM 80").contains("200 OK"));
    assert_eq!(texts(&host, 2), ["BOOM 78", "BOOM 80"]);
    agent.stop();
}
