//! Messages that leave through a proxy, as the environment says: a real one, which opens tunnels for what is
//! encrypted and wants a password.

use std::process::Command;

use crate::host::{Agent, Host};
use crate::real_servers::{Server, certificates, free_port, nginx, receiver_port};
use crate::receiver::Receiver;

const PASSWORD: &str = "sesame-open";

/// Takes what is sent to it at this port over TLS and hands it on.
fn behind_tls(host: &Host, receiver: &Receiver) -> (u16, Server) {
    certificates(host);
    let port = free_port();
    let dir = host.path("");
    let dir = dir.display();
    let server = nginx(
        host,
        port,
        &format!(
            "server {{ listen 127.0.0.1:{port} ssl; access_log off;\n\
             ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;\n\
             location / {{ proxy_pass http://127.0.0.1:{}; }} }}\n",
            receiver_port(receiver)
        ),
    );
    (port, server)
}

fn tinyproxy(host: &Host) -> (u16, Server) {
    let port = free_port();
    let log = host.path("proxy.log");
    host.write(
        "proxy.conf",
        format!(
            "Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nLogFile \"{}\"\nLogLevel Connect\n\
             BasicAuth ops {PASSWORD}\n",
            log.display()
        ),
    );
    let mut command = Command::new("tinyproxy");
    command.args(["-d", "-c"]).arg(host.path("proxy.conf"));
    (port, Server::start(&mut command, port))
}

fn run(host: &Host, proxy: &str) -> Agent {
    let mut agent = host.lapwing(&["run", "-c", "lapwing.yaml"]);
    let agent = Agent::start(
        agent
            .env("SSL_CERT_FILE", host.path("ca.pem"))
            .env("HTTPS_PROXY", proxy)
            .env("NO_PROXY", "127.0.0.1"),
    );
    agent.stderr.wait_for("ready");
    agent
}

#[test]
fn a_tunnel_through_the_environments_proxy_is_taken_but_where_it_says_not_to() {
    let receiver = Receiver::start();
    let host = Host::new();
    let (port, _tls) = behind_tls(&host, &receiver);
    let (proxy, _proxy) = tinyproxy(&host);
    host.configure(&format!(
        "inputs: {{app: {{type: file, path: app.log, format: plain}}}}\noutputs:\n  \
           far: {{type: webhook, url: 'https://localhost:{port}/far', send_resolved: false}}\n  \
           near: {{type: webhook, url: 'https://127.0.0.1:{port}/near', send_resolved: false}}\n"
    ));
    host.write("rules.yaml", crate::host::EACH_WORD);
    let agent = run(&host, &format!("http://ops:{PASSWORD}@127.0.0.1:{proxy}"));
    host.append("app.log", "word=one\n");
    for path in ["/far", "/near"] {
        let request = receiver
            .wait_for(1, |request| request.path == path)
            .remove(0);
        assert_eq!(request.json["summary"], "saw one");
    }
    agent.stop();
    let log = host.read("proxy.log");
    assert!(log.contains(&format!("CONNECT localhost:{port}")), "{log}");
    assert!(!log.contains("CONNECT 127.0.0.1"), "{log}");
}

#[test]
fn a_proxy_that_wants_another_password_is_asked_again_and_the_one_it_got_is_not_said() {
    let receiver = Receiver::start();
    let host = Host::telling_each_word(
        "  far: {type: webhook, url: 'https://localhost:1/far', send_resolved: false}\n",
    );
    let (_port, _tls) = behind_tls(&host, &receiver);
    let (proxy, _proxy) = tinyproxy(&host);
    let agent = run(
        &host,
        &format!("http://ops:other-{PASSWORD}@127.0.0.1:{proxy}"),
    );
    host.append("app.log", "word=one\n");
    agent.stderr.wait_for("not delivered, tried again later");
    let status = host.command(&["status", "-c", "lapwing.yaml"]);
    assert!(
        status.stdout.contains("nothing is sent before"),
        "{}",
        status.stdout
    );
    let said = agent.stop();
    assert!(said.contains("tunnel"), "{said}");
    assert!(
        !said.contains(PASSWORD) && !status.stdout.contains(PASSWORD),
        "{said}"
    );
}
