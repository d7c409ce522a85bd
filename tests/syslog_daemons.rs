//! The real rsyslog and syslog-ng forward to a real agent with what `lapwing setup` prints. `tests/setup`
//! fetches them.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use lapwing_torture::receiving::unpacked_syslog_ng;

use crate::host::{Host, LAPWING, json_lines, wait_until};
use crate::receiver::DeadAddress;
use crate::tls_senders::certificates;

const RULES: &str = "
version: 1
rules:
  - {name: all, match: {contains: [BOOM]}, type: frequency, num_events: 2000, timeframe: 1h, group_by: [peer, appname]}
";

/// Ended when it is dropped.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn run(program: &str, args: &[&str], folder: &Path) -> (bool, String) {
    let mut command = Command::new(program);
    let done = command.args(args).current_dir(folder).output();
    let done = done.unwrap_or_else(|error| panic!("{program}: {error}; run tests/setup"));
    let text = [done.stdout, done.stderr].concat();
    (
        done.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

fn listening(log: &str, scheme: &str) -> u16 {
    let mark = format!("listening at {scheme}://127.0.0.1:");
    let rest = log.split(&mark).nth(1).expect("it says where");
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap();
    digits.parse().unwrap()
}

#[test]
fn what_setup_prints_for_rsyslog_is_what_rsyslog_takes() {
    let host = Host::new();
    certificates(&host, "one");
    for transport in ["tcp", "tls", "relp", "relp-tls", "udp"] {
        let at = |name: &str| host.path(name).display().to_string();
        let (ca, cert, key) = (at("one.pem"), at("one-client.pem"), at("one-client.key"));
        let args = ["setup", "rsyslog", "--transport", transport, "--ca", &ca];
        let own = ["--cert", &cert, "--key", &key];
        let done = host.command(&[&args[..], &own[..]].concat());
        assert_eq!(done.code, 0, "{}", done.stderr);
        let head = format!("global(workDirectory=\"{}\")\n", host.path(".").display());
        host.write("rsyslog.conf", head + &done.stdout);
        let (fine, text) = run("rsyslogd", &["-N1", "-f", "rsyslog.conf"], &host.path("."));
        assert!(fine && !text.contains("error"), "{transport}: {text}");
    }
    let done = host.command(&["setup", "syslog-ng", "--transport", "relp"]);
    assert_eq!(done.code, 2, "syslog-ng does not speak it");
    let done = host.command(&["setup", "rsyslog", "--to", "a\"b:1"]);
    assert_eq!(
        done.code, 2,
        "nothing gets into a configuration that is no name"
    );
}

#[test]
fn rsyslog_forwards_a_file_to_the_last_line() {
    for (scheme, transport) in [
        ("tcp", "tcp"),
        ("tls", "tls"),
        ("relp", "relp"),
        ("relp+tls", "relp-tls"),
    ] {
        let host = receiving(scheme);
        let agent = host.run();
        let to = format!("127.0.0.1:{}", listening(&agent.stderr.text(), scheme));
        let at = |name: &str| host.path(name).display().to_string();
        let (ca, cert, key) = (at("one.pem"), at("one-client.pem"), at("one-client.key"));
        let args = ["setup", "rsyslog", "--transport", transport, "--to", &to];
        let files = ["--ca", &ca, "--cert", &cert, "--key", &key];
        let snippet = host.command(&[&args[..], &files[..]].concat()).stdout;
        let config = format!(
            "global(workDirectory=\"{}\")\nmodule(load=\"imfile\")\ninput(type=\"imfile\" File=\"{}\" Tag=\"shop\")\n{snippet}",
            at("."),
            at("app.log")
        );
        host.write("rsyslog.conf", config);
        write_lines(&host);
        let (config, pid) = (at("rsyslog.conf"), at("rsyslog.pid"));
        let mut command = Command::new("rsyslogd");
        let command = command.args(["-n", "-f", &config, "-i", &pid]);
        let daemon = Daemon(command.spawn().expect("tests/setup installs rsyslog"));
        check_told(&host, transport);
        drop(daemon);
        agent.stop();
    }
}

#[test]
fn the_input_that_setup_names_is_one() {
    for daemon in ["rsyslog", "syslog-ng"] {
        for transport in ["tcp", "udp"] {
            let host = Host::new();
            let printed = host.command(&["setup", daemon, "--transport", transport]);
            let mut lines = printed.stdout.lines();
            let input = lines.find_map(|line| line.split_once("lapwing.yaml: "));
            let (_, input) = input.unwrap_or_else(|| panic!("{}", printed.stdout));
            host.configure(&format!("inputs:\n  {input}\n"));
            host.write("rules.yaml", "version: 1\nrules: []\n");
            let done = host.command(&["check", "-c", "lapwing.yaml"]);
            assert_eq!(done.code, 0, "{input}: {}", done.stderr);
        }
    }
}

#[test]
fn rsyslog_loses_nothing_of_what_it_is_given_while_the_agent_is_down() {
    const LINES: usize = 100_000;
    let host = receiving("tcp");
    let rules = host.read("rules.yaml").replace("2000", &LINES.to_string());
    host.write("rules.yaml", rules);
    // Bound, so that nobody else takes it, and nobody listens.
    let dead = DeadAddress::new();
    let to = dead.address.to_string();
    let snippet = host.command(&["setup", "rsyslog", "--to", &to]).stdout;
    let at = |name: &str| host.path(name).display().to_string();
    let config = format!(
        "global(workDirectory=\"{}\")\nmodule(load=\"imfile\")\ninput(type=\"imfile\" File=\"{}\" Tag=\"shop\")\n{snippet}",
        at("."),
        at("app.log")
    );
    host.write("rsyslog.conf", config);
    let lines = (0..LINES).map(|n| format!("BOOM {n}\n"));
    host.write("app.log", lines.collect::<String>());
    let mut command = Command::new("rsyslogd");
    let (config, pid) = (at("rsyslog.conf"), at("rsyslog.pid"));
    let command = command.args(["-n", "-f", &config, "-i", &pid]);
    let daemon = Daemon(command.spawn().expect("tests/setup installs rsyslog"));
    // More than its memory has room for is on the disk: it has gone through most of the file.
    wait_until("it to have put much aside", || {
        let files = std::fs::read_dir(host.path(".")).unwrap();
        let files = files.flatten().filter(|file| {
            let name = file.file_name();
            name.to_string_lossy().starts_with("lapwing.0")
        });
        let bytes: u64 = files
            .map(|file| file.metadata().map_or(0, |it| it.len()))
            .sum();
        bytes > 10 << 20
    });
    drop(dead);
    host.configure(&format!(
        "inputs:\n  net: {{type: syslog, listen: ['tcp://{to}']}}\noutputs:\n  file: {{type: file, path: alerts.jsonl}}\n"
    ));
    let agent = host.run();
    // What was on its disk comes before what was in its memory.
    wait_until("all of them", || host.path("alerts.jsonl").exists());
    drop(daemon);
    agent.stop();
}

/// A host that listens at this scheme, with certificates by the authority `one`.
fn receiving(scheme: &str) -> Host {
    let tls = if scheme.ends_with("tls") {
        ", tls: {cert: one-server.pem, key: one-server.key}"
    } else {
        ""
    };
    let host = Host::with(
        &format!(
            "inputs:\n  net: {{type: syslog, listen: ['{scheme}://127.0.0.1:0']{tls}}}\noutputs:\n  file: {{type: file, path: alerts.jsonl}}\n"
        ),
        RULES,
    );
    if !tls.is_empty() {
        certificates(&host, "one");
    }
    host
}

fn write_lines(host: &Host) {
    let lines: Vec<String> = (0..2_000).map(|n| format!("BOOM {n}")).collect();
    host.write("app.log", lines.join("\n") + "\n");
}

/// All lines came, and the last one last.
fn check_told(host: &Host, how: &str) {
    wait_until(&format!("{how}: two thousand lines"), || {
        host.path("alerts.jsonl").exists()
    });
    wait_until("a whole alert", || {
        host.read("alerts.jsonl").ends_with('\n')
    });
    let alert = &json_lines(&host.read("alerts.jsonl"))[0];
    assert_eq!(alert["count"], 2_000, "{how}");
    assert_eq!(alert["group"]["peer"], "127.0.0.1");
    assert_eq!(alert["group"]["appname"], "shop");
    assert_eq!(alert["samples"][0]["source"], "syslog://127.0.0.1");
    let last = alert["samples"].as_array().unwrap().last().unwrap();
    let line = last["line"].as_str().unwrap();
    assert!(line.ends_with("BOOM 1999"), "{how}: {last}");
}

/// syslog-ng, out of the folder that `tests/setup` unpacked it into: its package conflicts with rsyslog's.
fn syslog_ng(folder: &Path) -> Command {
    let root = Path::new(LAPWING)
        .ancestors()
        .nth(2)
        .expect("a target folder")
        .join("peers/syslog-ng");
    let program = root.join("usr/sbin/syslog-ng");
    assert!(program.exists(), "{}: run tests/setup", program.display());
    let mut command = unpacked_syslog_ng(&root);
    command.current_dir(folder).stdin(Stdio::null());
    command
}

#[test]
fn syslog_ng_takes_what_setup_prints_and_forwards_a_file_to_the_last_line() {
    for (scheme, transport) in [("tcp", "tcp"), ("tls", "tls"), ("udp", "udp")] {
        let host = receiving(scheme);
        let agent = host.run();
        let to = format!("127.0.0.1:{}", listening(&agent.stderr.text(), scheme));
        let ca = host.path("one.pem").display().to_string();
        let args = [
            "setup",
            "syslog-ng",
            "--transport",
            transport,
            "--to",
            &to,
            "--ca",
            &ca,
        ];
        let done = host.command(&args);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let log = host.path("app.log").display().to_string();
        let source = format!(
            "@version: 3.38\nsource s_src {{ file(\"{log}\" flags(no-parse) follow-freq(0.1) program-override(\"shop\")); }};\n"
        );
        host.write("peer.conf", source + &done.stdout);
        let checked = syslog_ng(&host.path("."))
            .arg("--syntax-only")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{transport}: {said}");
        write_lines(&host);
        let daemon = Daemon(syslog_ng(&host.path(".")).spawn().unwrap());
        check_told(&host, transport);
        drop(daemon);
        agent.stop();
    }
}

#[test]
fn its_own_messages_that_come_back_through_rsyslog_are_dropped_and_counted() {
    let host = receiving("tcp");
    host.write(
        "rules.yaml",
        "version: 1\nrules:\n  - {name: all, type: any, group_by: [message], realert: 0s}\n",
    );
    let agent = host.run();
    let at = |name: &str| host.path(name).display().to_string();
    let port = listening(&agent.stderr.text(), "tcp");
    // A daemon that forwards everything, the agent's own log too, as its process writes it to the journal.
    let config = format!(
        "global(workDirectory=\"{}\" localHostname=\"web-1\")\nmodule(load=\"imfile\")\n\
         template(name=\"own\" type=\"string\" string=\"<12>1 %timereported:::date-rfc3339% %hostname% lapwing {} - - %msg%\")\n\
         input(type=\"imfile\" File=\"{}\" Tag=\"x\" freshStartTail=\"off\")\n\
         action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{port}\" protocol=\"tcp\" template=\"own\")\n",
        at("."),
        agent.pid(),
        at("own.log"),
    );
    host.write("rsyslog.conf", config);
    host.write("own.log", "an output failed\n".repeat(100));
    let (config, pid) = (at("rsyslog.conf"), at("rsyslog.pid"));
    let mut command = Command::new("rsyslogd");
    let daemon = Daemon(
        command
            .args(["-n", "-f", &config, "-i", &pid])
            .spawn()
            .expect("tests/setup installs rsyslog"),
    );
    let own = || {
        let done = host.command(&["status", "--json", "-c", "lapwing.yaml"]);
        json_lines(&done.stdout)[0]["inputs"]["net"]["received"]["own"].as_u64()
    };
    // rsyslog says at its start that it started: that is one more.
    wait_until("all of them to come back", || own() >= Some(100));
    drop(daemon);
    let log = agent.stop();
    assert!(log.contains("this agent's own messages come back"), "{log}");
    assert!(
        !host.path("alerts.jsonl").exists(),
        "nobody was told of them"
    );
}
