//! A real nginx in front of a dead upstream: its own logs, real requests, a real receiver.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use hmac::{Hmac, KeyInit as _, Mac as _};
use lapwing::clock;
use lapwing_rules::model::Timestamp;
use rustix::process::geteuid;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::host::{Host, wait_until};
use crate::receiver::{DeadAddress, Received, Receiver};

/// How often a port is looked for that nobody takes before nginx does.
const ATTEMPTS: usize = 5;

/// A reverse proxy that logs into a host's folder; killed when it is dropped.
struct Nginx {
    process: Child,
    address: SocketAddr,
}

impl Nginx {
    fn start(host: &Host, upstream: SocketAddr) -> Self {
        for _ in 0..ATTEMPTS {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = free.local_addr().unwrap();
            drop(free);
            if let Some(nginx) = Self::start_at(host, address, upstream) {
                return nginx;
            }
        }
        panic!("nginx: {}", host.read("error.log"));
    }

    /// `None` when it ends at once: the port was taken meanwhile.
    fn start_at(host: &Host, address: SocketAddr, upstream: SocketAddr) -> Option<Self> {
        let dir = host.path("");
        let dir = dir.display();
        let user = if geteuid().is_root() {
            "user root;"
        } else {
            ""
        };
        let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temp = folders
            .map(|what| format!("{what}_temp_path {dir}/{what};\n"))
            .concat();
        let config = format!(
            r#"daemon off; master_process off; {user}
            pid {dir}/nginx.pid;
            error_log {dir}/error.log warn;
            events {{ worker_connections 64; }}
            http {{
              {temp}
              log_format with_upstream '$remote_addr - $remote_user [$time_local] "$request" $status '
                '$body_bytes_sent "$http_referer" "$http_user_agent" upstream=$upstream_addr';
              access_log {dir}/access.log with_upstream;
              server {{ listen {address}; location / {{ proxy_pass http://{upstream}; }} }}
            }}"#
        );
        host.write("nginx.conf", config);
        let mut command = Command::new("nginx");
        // As the temporary folder's own nginx: nothing of the machine's is read or written.
        command.args(["-e", "error.log", "-c", "nginx.conf", "-p"]);
        command.arg(host.path("")).current_dir(host.path(""));
        // Debian keeps it where only root looks.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin"));
        let output = command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = output.spawn().expect("nginx is installed by tests/setup");
        let mut nginx = Self { process, address };
        let mut ended = false;
        wait_until("nginx to listen", || {
            ended = nginx.process.try_wait().unwrap().is_some();
            ended || TcpStream::connect(address).is_ok()
        });
        (!ended).then_some(nginx)
    }

    /// A real request; gives the status.
    fn get(&self, path: &str) -> u16 {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: shop\r\nUser-Agent: test/1\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).expect("a status line");
        status.parse().unwrap()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

const RULES: &str = r#"
version: 1
rules:
  - name: bad-gateways
    summary: '{{ count }} bad gateways in {{ timeframe }} from {{ upstream }} on {{ host }}'
    description: The upstream is dead.
    severity: critical
    labels: {team: web}
    runbook_url: https://wiki.example.com/502
    dashboard_url: 'https://grafana.example.com/d/ngx?from={{ started_ms }}'
    match: {contains: ['" 502 '], where: 'status == 502'}
    type: frequency
    num_events: 10
    timeframe: 4s
    resolve_after: 2s
    group_by: [upstream]
    top_count_keys: [path]
"#;

/// A line of the access log, and where it begins.
fn lines_with_offsets(log: &str) -> Vec<(u64, &str)> {
    let mut offset = 0;
    let line = |line: &'_ str| (line.len() as u64, line.len());
    let mut lines = Vec::new();
    for text in log.split_inclusive('\n') {
        lines.push((offset, text.trim_end_matches('\n')));
        offset += line(text).0;
    }
    lines
}

/// The line's own time, as notifications write it.
fn time_of(line: &str) -> Timestamp {
    let from = line.find('[').expect("a time") + 1;
    let text = line.get(from..from + 26).expect("a time");
    let time = jiff::fmt::strtime::parse("%d/%b/%Y:%H:%M:%S %z", text).unwrap();
    Timestamp::from_secs(time.to_timestamp().unwrap().as_second())
}

fn moment(json: &Value) -> Timestamp {
    json.as_str().expect("a time").parse().unwrap()
}

/// The signature that section 6 of the contract promises for this request.
fn expected_signature(request: &Received, secret: &str) -> String {
    let given = request.header("x-lapwing-signature");
    let time = given
        .strip_prefix("t=")
        .and_then(|rest| rest.split(',').next())
        .expect("a time");
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{time}.{}", request.body).as_bytes());
    let digest = mac.finalize().into_bytes();
    let hex: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={time},v1={}", hex.concat())
}

#[test]
fn thirty_requests_to_a_dead_upstream_are_one_alert_and_its_end() {
    let receiver = Receiver::start();
    let upstream = DeadAddress::new();
    let host = Host::with(
        &format!(
            "inputs:\n  nginx-access: {{type: file, path: access.log, format: nginx}}\n\
             outputs:\n  hook: {{type: webhook, url: '{}', secret: open-sesame}}\n",
            receiver.url("/alerts")
        ),
        RULES,
    );
    let nginx = Nginx::start(&host, upstream.address);
    let agent = host.run();
    let began = clock::now();
    for n in 0..30 {
        let path = if n % 3 == 0 { "/cart?id=7" } else { "/" };
        assert_eq!(nginx.get(path), 502);
    }
    let all = receiver.wait_for(2, |_| true);
    agent.stop();

    let all_now = receiver.received();
    assert_eq!(all_now.len(), 2, "one alert and its end: {all_now:#?}");
    let log = host.read("access.log");
    let lines = lines_with_offsets(&log);
    assert_eq!(lines.len(), 30);
    check_request(&all[0]);
    check_firing(&all[0].json, &host, &lines, upstream.address, began);
    check_request(&all[1]);
    check_resolved(&all[1].json, &all[0].json, &lines);
}

fn check_request(request: &Received) {
    let json = &request.json;
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/alerts")
    );
    assert_eq!(request.header("content-type"), "application/json");
    let (id, seq) = (json["id"].as_str().expect("an id"), &json["seq"]);
    assert_eq!(request.key(), format!("{id}/{seq}"));
    assert_eq!(
        request.header("x-lapwing-signature"),
        expected_signature(request, "open-sesame")
    );
}

fn check_firing(
    json: &Value,
    host: &Host,
    lines: &[(u64, &str)],
    upstream: SocketAddr,
    began: Timestamp,
) {
    let upstream = upstream.to_string();
    let started = time_of(lines[9].1);
    let started_ms = started.as_nanos() / 1_000_000;
    let samples: Vec<Value> = lines[5..10]
        .iter()
        .map(|(offset, line)| {
            json!({
                "at": time_of(line), "line": line, "source": host.path("access.log"),
                "offset": offset, "before": [], "after": [],
            })
        })
        .collect();
    let id = json["id"].as_str().expect("an id");
    let hash = id.strip_prefix("bad-gateways-").expect("the rule's name");
    assert!(hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let sent = moment(&json["sent_at"]);
    assert!(began <= sent && sent <= clock::now(), "{sent}");
    let counts = json["rate"]["counts"].as_array().expect("counts");
    assert_eq!(counts.iter().filter_map(Value::as_u64).sum::<u64>(), 10);
    let expected = json!({
        "version": 1, "id": id, "seq": 1, "status": "firing", "reason": "first",
        "rule": "bad-gateways", "type": "frequency", "severity": "critical", "mode": "live",
        "host": "web-1", "input": "nginx-access",
        "group": {"upstream": upstream},
        "summary": format!("10 bad gateways in 4s from {upstream} on web-1"),
        "description": "The upstream is dead.", "labels": {"team": "web"},
        "count": 10, "suppressed": 0, "timeframe_s": 4, "value": 10, "threshold": 10,
        "started_at": started, "first_hit_at": time_of(lines[0].1), "ended_at": null,
        "sent_at": sent, "samples": samples,
        "top": {"path": [["/", 6], ["/cart", 4]]},
        "history": {"fired_30d": 0, "last_started_at": null, "last_duration_s": null},
        "rate": json["rate"],
        "runbook_url": "https://wiki.example.com/502",
        "dashboard_url": format!("https://grafana.example.com/d/ngx?from={started_ms}"),
    });
    assert_eq!(*json, expected);
}

fn check_resolved(json: &Value, firing: &Value, lines: &[(u64, &str)]) {
    for same in [
        "version",
        "id",
        "rule",
        "type",
        "severity",
        "mode",
        "host",
        "input",
        "group",
        "description",
        "labels",
        "timeframe_s",
        "threshold",
        "started_at",
        "first_hit_at",
        "history",
        "runbook_url",
        "dashboard_url",
    ] {
        assert_eq!(json[same], firing[same], "{same}");
    }
    assert_eq!(json["seq"], 2);
    assert_eq!(json["status"], "resolved");
    assert_eq!(json["reason"], "resolved");
    assert_eq!(json["count"], 30);
    assert_eq!(json["suppressed"], 20);
    // It held until the tenth hit from the end left the window of four seconds.
    let held = time_of(lines[20].1).plus(std::time::Duration::from_secs(4));
    assert_eq!(moment(&json["ended_at"]), held);
}

#[test]
fn the_shipped_pack_tells_of_refused_connections_from_the_error_log() {
    let receiver = Receiver::start();
    let upstream = DeadAddress::new();
    let host = Host::new();
    host.write(
        "lapwing.yaml",
        format!(
            "host: web-1\nstate_dir: state\nrules: [pack:nginx]\n\
             inputs:\n  access: {{type: file, path: access.log}}\n  errors: {{type: file, path: error.log}}\n\
             outputs:\n  hook: {{type: webhook, url: '{}'}}\n",
            receiver.url("/")
        ),
    );
    let nginx = Nginx::start(&host, upstream.address);
    let agent = host.run();
    for _ in 0..30 {
        assert_eq!(nginx.get("/checkout"), 502);
    }
    receiver.wait_for(2, |_| true);
    agent.stop();

    let all: Vec<Value> = receiver
        .received()
        .iter()
        .map(|request| request.json.clone())
        .collect();
    let of_rule = |rule: &str| -> Vec<&Value> {
        let mine = all.iter().filter(|json| json["rule"] == rule);
        mine.collect()
    };
    assert_eq!(all.len(), 2, "{all:#?}");
    let refused = of_rule("nginx-upstream-refused")[0];
    assert_eq!(refused["input"], "errors");
    assert_eq!(refused["count"], 10);
    assert_eq!(
        refused["group"],
        json!({"backend": upstream.address.to_string()})
    );
    let sample = &refused["samples"][4];
    let text = sample["line"].as_str().expect("a line");
    assert!(
        text.contains("connect() failed (111: Connection refused)"),
        "{text}"
    );
    let offset = usize::try_from(sample["offset"].as_u64().expect("an offset")).unwrap();
    let log = host.read("error.log");
    assert_eq!(
        log.get(offset..).and_then(|rest| rest.lines().next()),
        Some(text)
    );
    assert_eq!(of_rule("nginx-502-burst")[0]["input"], "access");
}
