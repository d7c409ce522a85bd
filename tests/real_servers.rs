//! Messages to real servers, read back from them: an Alertmanager, an IRC server and an SMTP server
//! and a syslog collector with TLS, and a proxy on the way.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::host::{Agent, Host, wait_until};
use crate::receiver::Receiver;

/// A port that nobody takes now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A server that is killed when it is dropped.
pub(crate) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Server {
    /// Starts it and waits until somebody listens at `port`.
    pub(crate) fn start(command: &mut Command, port: u16) -> Self {
        let program = command.get_program().to_string_lossy().into_owned();
        let path = format!(
            "{}:/usr/sbin:/sbin",
            std::env::var("PATH").unwrap_or_default()
        );
        let command = command
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let child = command.spawn();
        let child =
            child.unwrap_or_else(|error| panic!("{program}: {error}; tests/setup installs it"));
        let server = Self(child);
        wait_until(&format!("{program} listens"), || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        server
    }
}

/// A certificate for localhost, and the authority that it is signed by, in `host`'s folder: `ca.pem`,
/// `cert.pem`, `key.pem`.
pub(crate) fn certificates(host: &Host) {
    host.write(
        "ext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n",
    );
    for line in [
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=test-authority -addext basicConstraints=critical,CA:TRUE",
        "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.csr -subj /CN=localhost",
        "x509 -req -in cert.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem -days 30 -extfile ext",
    ] {
        let mut command = Command::new("openssl");
        command
            .args(line.split(' '))
            .current_dir(host.path(""))
            .stderr(Stdio::null());
        assert!(command.status().unwrap().success(), "openssl {line}");
    }
}

/// An nginx with these servers in its `http`, in `host`'s folder.
pub(crate) fn nginx(host: &Host, port: u16, servers: &str) -> Server {
    let dir = host.path("");
    let dir = dir.display();
    let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temp = folders
        .map(|what| format!("{what}_temp_path {dir}/{what};\n"))
        .concat();
    host.write(
        "nginx.conf",
        format!(
            "daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/error.log;\n\
             events {{ worker_connections 64; }}\nhttp {{ {temp} {servers} }}\n"
        ),
    );
    let mut command = Command::new("nginx");
    command.args([
        "-e",
        &format!("{dir}/error.log"),
        "-p",
        &format!("{dir}"),
        "-c",
        &format!("{dir}/nginx.conf"),
    ]);
    Server::start(&mut command, port)
}

/// The agent, which trusts the test's authority and no other.
fn run_trusting(host: &Host) -> Agent {
    let mut command = host.lapwing(&["run", "-c", "lapwing.yaml"]);
    let agent = Agent::start(command.env("SSL_CERT_FILE", host.path("ca.pem")));
    agent.stderr.wait_for("ready");
    agent
}

fn get(address: (&str, u16), path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", address.0).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text.split_once("\r\n\r\n")?.1.to_owned())
}

#[test]
fn a_real_alertmanager_has_the_alert_and_hears_of_its_end() {
    let port = free_port();
    let host = Host::telling_each_word(&format!(
        "  am: {{type: alertmanager, url: 'http://127.0.0.1:{port}'}}\n"
    ));
    host.write(
        "am.yml",
        "route: {receiver: none}\nreceivers: [{name: none}]\n",
    );
    let dir = host.path("");
    let mut command = Command::new("prometheus-alertmanager");
    command
        .arg(format!("--config.file={}", dir.join("am.yml").display()))
        .arg(format!("--storage.path={}", dir.join("am").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=")
        .stderr(Stdio::null());
    let _server = Server::start(&mut command, port);
    let agent = host.run();
    let alerts = || -> Vec<Value> {
        let text = get(("127.0.0.1", port), "/api/v2/alerts").unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    };
    // An alert that goes on for long enough to be seen.
    let mut seen = Value::Null;
    wait_until("the Alertmanager has it", || {
        host.append("app.log", "word=\"one\"\n");
        seen = alerts().first().cloned().unwrap_or_default();
        seen.is_object()
    });
    assert_eq!(seen["labels"]["alertname"], "each");
    assert_eq!(seen["labels"]["severity"], "critical");
    assert_eq!(seen["labels"]["word"], "\"one\"");
    assert_eq!(seen["annotations"]["summary"], "saw \"one\"");
    wait_until("the Alertmanager hears of the end", || alerts().is_empty());
    agent.stop();
}

/// A person in the channel.
pub(crate) struct Person {
    lines: BufReader<TcpStream>,
}

impl Person {
    pub(crate) fn join(port: u16) -> Self {
        Self::join_as(port, "person")
    }

    pub(crate) fn join_as(port: u16, nick: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_mins(1)))
            .unwrap();
        let mut person = Self {
            lines: BufReader::new(stream),
        };
        person.say(&format!("NICK {nick}\r\nUSER {nick} 0 * :{nick}\r\n"));
        person.wait_for(" 001 ");
        person.say("JOIN #ops\r\n");
        person.wait_for(" 366 ");
        person
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.lines.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The next line with `text` in it.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(
                self.lines.read_line(&mut line).unwrap() > 0,
                "the server closed the connection"
            );
            if let Some(token) = line.strip_prefix("PING ") {
                let pong = format!("PONG {token}");
                self.say(&pong);
            }
            if line.contains(text) {
                return line;
            }
        }
    }
}

#[test]
fn a_channel_on_a_real_irc_server_hears_of_it_over_tls() {
    let (plain, tls) = (free_port(), free_port());
    let host = Host::telling_each_word(&format!(
        "  chat: {{type: irc, server: 'localhost:{tls}', channel: '#ops', nick: watcher}}\n"
    ));
    certificates(&host);
    let dir = host.path("");
    let file = |name: &str| dir.join(name).display().to_string();
    // Without TLS's own parameters its GnuTLS makes some, which takes a while.
    host.write(
        "ngircd.conf",
        format!(
            "[Global]\nName = irc.example.com\nInfo = test\nListen = 127.0.0.1\nPorts = {plain}\nMotdPhrase = hello\n\
             [Options]\nPAM = no\nIdent = no\nDNS = no\nSyslogFacility = local1\n\
             [SSL]\nCertFile = {}\nKeyFile = {}\nPorts = {tls}\n",
            file("cert.pem"),
            file("key.pem")
        ),
    );
    let mut command = Command::new("ngircd");
    command
        .args(["-n", "-f", &file("ngircd.conf")])
        .stderr(Stdio::null());
    let _server = Server::start(&mut command, plain);
    let mut person = Person::join(plain);
    let agent = run_trusting(&host);
    host.append("app.log", "word=one \x02QUIT\u{202e}\n");
    let title = person.wait_for("PRIVMSG #ops :🔴");
    assert!(title.starts_with(":watcher!"), "{title}");
    assert!(
        title.contains("CRITICAL · web-1 · each: saw one"),
        "{title}"
    );
    let sample = person.wait_for("> word=one");
    assert!(sample.trim_end().ends_with(r"\x02QUIT\u{202e}"), "{sample}");
    person.wait_for("resolved");
    agent.stop();
    person.wait_for("QUIT");
}

#[test]
fn a_mail_arrives_by_starttls_and_not_without() {
    let port = free_port();
    let host = Host::telling_each_word(&format!(
        "  mail: {{type: email, smtp_url: 'smtp://localhost:{port}', from: 'lapwing@example.com', to: [ops@example.com], send_resolved: false}}\n"
    ));
    certificates(&host);
    let dir = host.path("");
    let file = |name: &str| dir.join(name).display().to_string();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/peers.py");
    let mut command = Command::new("/usr/bin/python3");
    command.arg(script).args([
        "smtp",
        &port.to_string(),
        &file("cert.pem"),
        &file("key.pem"),
        &file("mails"),
    ]);
    let _server = Server::start(&mut command, port);
    let agent = run_trusting(&host);
    host.append("app.log", "word=one <b>\n");
    wait_until("the mail is there", || {
        fs::read_to_string(file("mails")).is_ok_and(|text| text.contains("=== end"))
    });
    agent.stop();
    let mail = host.read("mails");
    assert!(
        mail.starts_with("=== tls=yes to=ops@example.com\n"),
        "{mail}"
    );
    let (head, body) = mail.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("Subject: ") && head.contains("Message-ID: <each-"),
        "{head}"
    );
    assert!(body.contains("saw one"), "{body}");
    assert!(!body.contains("one <b></"), "{body}");
}

#[test]
fn a_real_syslog_collector_takes_lines_and_alerts_over_tls() {
    let port = free_port();
    let host = Host::telling_each_word(&format!(
        "  collector: {{type: syslog, url: 'tls://localhost:{port}'}}\n  \
           lines: {{type: syslog, url: 'tls://localhost:{port}', send: lines}}\n"
    ));
    certificates(&host);
    let dir = host.path("");
    let file = |name: &str| dir.join(name).display().to_string();
    host.write(
        "rsyslog.conf",
        format!(
            "global(workDirectory=\"{}\" net.enableDNS=\"off\" defaultNetstreamDriver=\"gtls\" \
               defaultNetstreamDriverCAFile=\"{}\" defaultNetstreamDriverCertFile=\"{}\" defaultNetstreamDriverKeyFile=\"{}\")\n\
             module(load=\"imtcp\" streamDriver.name=\"gtls\" streamDriver.mode=\"1\" streamDriver.authMode=\"anon\")\n\
             input(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")\n\
             template(name=\"t\" type=\"string\" string=\"%app-name%|%msgid%|%syslogseverity-text%|%hostname%|%structured-data%|%msg%\\n\")\n\
             *.* action(type=\"omfile\" file=\"{}\" template=\"t\")\n",
            dir.display(),
            file("ca.pem"),
            file("cert.pem"),
            file("key.pem"),
            file("collected")
        ),
    );
    let mut command = Command::new("rsyslogd");
    command
        .args(["-n", "-iNONE", "-f", &file("rsyslog.conf")])
        .stderr(Stdio::null());
    let _server = Server::start(&mut command, port);
    let agent = run_trusting(&host);
    host.append("app.log", "word=one\nnothing\nword=two\n");
    let collected = || fs::read_to_string(file("collected")).unwrap_or_default();
    let of = |kind: &str| {
        let head = format!("lapwing|{kind}|crit|web-1|");
        collected()
            .lines()
            .filter(|line| line.starts_with(&head))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    wait_until("the alerts and their ends are collected", || {
        of("notification").len() >= 4
    });
    wait_until("the lines are collected", || of("line").len() >= 2);
    agent.stop();
    let lines = of("line");
    assert_eq!(lines.len(), 2, "{}", collected());
    assert!(
        lines[0].ends_with("word=one") && lines[0].contains("rule=\"each\""),
        "{}",
        lines[0]
    );
    assert!(of("notification")[0].contains("saw one"), "{}", collected());
}

#[test]
fn the_environments_proxy_is_used_and_redirects_are_not() {
    let receiver = Receiver::start();
    let port = free_port();
    let host = Host::telling_each_word(&format!(
        "  hook: {{type: webhook, url: 'http://hooks.example.com:{}/x', send_resolved: false}}\n",
        receiver_port(&receiver)
    ));
    let dir = host.path("");
    let dir = dir.display();
    let _server = nginx(
        &host,
        port,
        &format!(
            "log_format went '$request_method $http_host $status';\n\
             server {{ listen 127.0.0.1:{port}; access_log {dir}/proxied.log went;\n\
             location / {{ proxy_set_header Host $http_host; proxy_pass http://127.0.0.1:$proxy_port_of; }}\n\
             set $proxy_port_of {}; }}\n",
            receiver_port(&receiver)
        ),
    );
    let mut agent = host.lapwing(&["run", "-c", "lapwing.yaml"]);
    let agent = Agent::start(agent.env("HTTP_PROXY", format!("http://127.0.0.1:{port}")));
    agent.stderr.wait_for("ready");
    host.append("app.log", "word=one\n");
    let request = receiver.wait_for(1, |_| true).remove(0);
    assert_eq!(request.json["summary"], "saw one");
    agent.stop();
    let proxied = host.read("proxied.log");
    assert!(proxied.starts_with("POST hooks.example.com"), "{proxied}");
}

pub(crate) fn receiver_port(receiver: &Receiver) -> u16 {
    let url = receiver.url("");
    let address: SocketAddr = url
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .parse()
        .unwrap();
    address.port()
}
