//! An IRC network that wants to know who speaks: `InspIRCd` with Atheme's services, as Libera and others
//! run their likes. SASL is what lets a client in before it joins.

use std::process::{Command, Stdio};

use crate::host::{Host, wait_until};
use crate::real_servers::{Person, Server, free_port};

/// The server; its services connect to `link`.
fn inspircd(host: &Host, port: u16, link: u16) -> Server {
    let dir = host.path("");
    let dir = dir.display();
    host.write("motd", "hello\n");
    host.write(
        "ircd.conf",
        format!(
            r#"<server name="irc.example.com" description="test" network="test" id="001">
<admin name="a" nick="a" email="a@example.com">
<bind address="127.0.0.1" port="{port}" type="clients">
<bind address="127.0.0.1" port="{link}" type="servers">
<connect allow="*" timeout="60" resolvehostnames="no">
<pid file="{dir}/ircd.pid">
<log method="file" type="*" level="default" target="{dir}/ircd.log">
<path configdir="{dir}" datadir="{dir}" logdir="{dir}" runtimedir="{dir}">
<files motd="{dir}/motd">
<module name="cap"><module name="sasl"><module name="services_account"><module name="spanningtree"><module name="md5">
<sasl target="services.example.com" requiressl="no">
<link name="services.example.com" ipaddr="127.0.0.1" port="{link}" allowmask="127.0.0.0/8" sendpass="link" recvpass="link" timeout="5m" hidden="no">
<uline server="services.example.com" silent="yes">
<class name="Shutdown" commands="DIE">
"#
        ),
    );
    let mut command = Command::new("inspircd");
    command
        .args(["--runasroot", "--nofork", "--config"])
        .arg(host.path("ircd.conf"))
        .stderr(Stdio::null());
    Server::start(&mut command, port)
}

/// The services; they say nothing of being there but in the channel of the server.
fn atheme(host: &Host, link: u16) -> Server {
    let modules = [
        "protocol/inspircd",
        "backend/opensex",
        "crypto/pbkdf2v2",
        "nickserv/main",
        "nickserv/register",
        "saslserv/main",
        "saslserv/plain",
    ];
    let modules = modules.map(|name| format!("loadmodule \"modules/{name}\";\n"));
    host.write(
        "atheme.conf",
        format!(
            r#"{}
serverinfo {{
  name = "services.example.com"; desc = "services"; numeric = "00A"; recontime = 1; netname = "test";
  adminname = "a"; adminemail = "a@example.com"; registeremail = "a@example.com"; mta = "/bin/true"; loglevel = {{ all; }};
}};
uplink "irc.example.com" {{ host = "127.0.0.1"; send_password = "link"; receive_password = "link"; port = {link}; }};
nickserv {{ nick = "NickServ"; user = "n"; host = "services"; real = "n"; }};
saslserv {{ nick = "SaslServ"; user = "s"; host = "services"; real = "s"; }};
database {{ pwhashes = 1; }};
"#,
            modules.concat()
        ),
    );
    let dir = host.path("");
    let file = |name: &str| dir.join(name).display().to_string();
    let mut command = Command::new("atheme-services");
    command
        .args(["-r", "-n", "-c", &file("atheme.conf"), "-D", &file("")])
        .args(["-l", &file("atheme.log"), "-p", &file("atheme.pid")])
        .stderr(Stdio::null());
    Server::start(&mut command, link)
}

#[test]
fn an_account_speaks_where_only_accounts_may_and_a_wrong_password_is_said() {
    let (port, link) = (free_port(), free_port());
    let host = Host::telling_each_word(&format!(
        "  right: {{type: irc, server: '127.0.0.1:{port}', tls: false, channel: '#ops', nick: watcher, sasl: {{user: watcher, password: sesame-open}}}}\n  \
           wrong: {{type: irc, server: '127.0.0.1:{port}', tls: false, channel: '#ops', nick: other, sasl: {{user: watcher, password: wrong-one}}}}\n"
    ));
    let _server = inspircd(&host, port, link);
    let _services = atheme(&host, link);
    wait_until("the services are there", || {
        host.read("ircd.log").contains("Received end of netburst")
    });
    let mut person = Person::join(port);
    let mut owner = Person::join_as(port, "watcher");
    owner.say("PRIVMSG NickServ :REGISTER sesame-open ops@example.com\r\n");
    owner.wait_for("is now registered");
    drop(owner);
    person.wait_for("QUIT");
    // From here on nobody comes in without an account.
    person.say("MODE #ops +R\r\n");
    person.wait_for("+R");
    let agent = host.run();
    host.append("app.log", "word=one\n");
    let title = person.wait_for("PRIVMSG #ops :🔴");
    assert!(title.starts_with(":watcher!"), "{title}");
    person.wait_for("resolved");
    agent.stderr.wait_for("output=wrong");
    let said = agent.stop();
    let of_wrong = said
        .lines()
        .find(|line| line.contains("output=wrong"))
        .unwrap();
    assert!(
        of_wrong.contains("SASL") || of_wrong.contains("904"),
        "{of_wrong}"
    );
    assert!(
        !said.contains("sesame-open") && !said.contains("wrong-one"),
        "{said}"
    );
}

#[test]
fn a_server_that_knows_no_accounts_is_not_joined_without_one() {
    let port = free_port();
    let host = Host::telling_each_word(&format!(
        "  chat: {{type: irc, server: '127.0.0.1:{port}', tls: false, channel: '#ops', nick: watcher, sasl: {{user: watcher, password: sesame-open}}}}\n"
    ));
    host.write(
        "ngircd.conf",
        format!(
            "[Global]\nName = irc.example.com\nInfo = test\nListen = 127.0.0.1\nPorts = {port}\nMotdPhrase = hello\n\
             [Options]\nPAM = no\nIdent = no\nDNS = no\nSyslogFacility = local1\n"
        ),
    );
    let mut command = Command::new("ngircd");
    command
        .args(["-n", "-f"])
        .arg(host.path("ngircd.conf"))
        .stderr(Stdio::null());
    let _server = Server::start(&mut command, port);
    let agent = host.run();
    host.append("app.log", "word=one\n");
    agent.stderr.wait_for("SASL");
    assert!(agent.stop().contains("refused"));
}
