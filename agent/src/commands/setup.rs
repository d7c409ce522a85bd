//! `lapwing setup rsyslog|syslog-ng`: prints what makes that daemon forward everything to this agent.
//!
//! What it prints buffers on disk while the agent is down, tries again every few seconds, and keeps the
//! agent's own messages out: each alert about them would cause the next. The tests have the real daemons
//! check every variant, and forward with them to an agent that comes late.

use std::process::ExitCode;

use super::terminal::print;
use crate::cli::{Daemon, Setup, Transport};
use crate::error::AgentError;

/// Exit code 0, or 2 where the daemon does not know the transport.
pub(super) fn run(args: &Setup) -> Result<ExitCode, AgentError> {
    let Some((host, port)) = split(args) else {
        let to = args.to.as_deref().unwrap_or_default();
        return Err(AgentError::Usage(format!("`{to}` is no HOST:PORT")));
    };
    let text = match args.daemon {
        Daemon::Rsyslog => rsyslog(args, &host, port),
        Daemon::SyslogNg => syslog_ng(args, &host, port).ok_or_else(|| {
            let why = "syslog-ng does not speak RELP: use --transport tls or tcp";
            AgentError::Usage(why.to_owned())
        })?,
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Where to send it: what the transport listens at by default, or `--to`.
fn split(args: &Setup) -> Option<(String, u16)> {
    let usual = match args.transport {
        Transport::Tcp | Transport::Udp => 5514,
        Transport::Tls => 6514,
        Transport::Relp | Transport::RelpTls => 2514,
    };
    let Some(to) = &args.to else {
        return Some(("127.0.0.1".to_owned(), usual));
    };
    let (host, port) = to.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_name = |c: char| c.is_ascii_alphanumeric() || ".:-_%".contains(c);
    let fine = !host.is_empty() && host.chars().all(is_name);
    fine.then_some((host.to_owned(), port.parse().ok()?))
}

/// The input that takes it, for `lapwing.yaml`.
fn input(args: &Setup, port: u16) -> String {
    let (scheme, tls) = match args.transport {
        Transport::Udp => ("udp", ""),
        Transport::Tcp => ("tcp", ""),
        Transport::Tls => ("tls", ", tls: {cert: FILE, key: FILE}"),
        Transport::Relp => ("relp", ""),
        Transport::RelpTls => (
            "relp+tls",
            ", tls: {cert: FILE, key: FILE, client_ca: FILE}",
        ),
    };
    // What comes from another host does not come to this one's 127.0.0.1.
    let at = if args.to.is_some() { "*" } else { "127.0.0.1" };
    format!(
        "# Listens there, under `inputs` in lapwing.yaml: forwarded: {{type: syslog, listen: ['{scheme}://{at}:{port}']{tls}}}"
    )
}

fn rsyslog(args: &Setup, host: &str, port: u16) -> String {
    let (ca, cert, key) = (args.ca.display(), args.cert.display(), args.key.display());
    let (load, action) = match args.transport {
        Transport::Udp => (
            "",
            format!(r#"type="omfwd" target="{host}" port="{port}" protocol="udp""#),
        ),
        Transport::Tcp => (
            "",
            format!(
                r#"type="omfwd" target="{host}" port="{port}" protocol="tcp" TCP_Framing="octet-counted""#
            ),
        ),
        Transport::Tls => (
            "",
            format!(
                r#"type="omfwd" target="{host}" port="{port}" protocol="tcp" TCP_Framing="octet-counted"
           StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/name"
           StreamDriverPermittedPeers="{host}" StreamDriver.CAFile="{ca}""#
            ),
        ),
        Transport::Relp => (
            "module(load=\"omrelp\")\n",
            format!(r#"type="omrelp" target="{host}" port="{port}""#),
        ),
        Transport::RelpTls => (
            "module(load=\"omrelp\")\n",
            format!(
                r#"type="omrelp" target="{host}" port="{port}"
           tls="on" tls.caCert="{ca}" tls.myCert="{cert}" tls.myPrivKey="{key}"
           tls.authMode="name" tls.permittedPeer=["{host}"]"#
            ),
        ),
    };
    let package = match args.transport {
        Transport::Tls => "# Needs the package rsyslog-gnutls.\n",
        Transport::Relp => "# Needs the package rsyslog-relp.\n",
        Transport::RelpTls => {
            "# Needs the package rsyslog-relp. Without a certificate of its own librelp encrypts in a way that no\n\
             # agent with a certificate understands.\n"
        }
        Transport::Tcp | Transport::Udp => "",
    };
    let input = input(args, port);
    format!(
        r#"# Forwards everything to lapwing: /etc/rsyslog.d/90-lapwing.conf
{input}
# `rsyslogd -N1` checks it, `systemctl restart rsyslog` makes it so.
# While lapwing is down, messages wait in memory and then in rsyslog's workDirectory, up to 1 GB. One that finds
# both full waits 10 s and is dropped then; meanwhile all else that this rsyslog writes is late, too.
{package}{load}ruleset(name="lapwing" queue.type="LinkedList" queue.filename="lapwing" queue.maxDiskSpace="1g"
        queue.size="50000" queue.saveOnShutdown="on" queue.timeoutEnqueue="10000") {{
    # lapwing's own messages stay here: each alert about them would cause the next.
    if $programname == "lapwing" then stop
    action({action}
           template="RSYSLOG_SyslogProtocol23Format" action.resumeRetryCount="-1" action.resumeInterval="1")
}}
call lapwing
"#
    )
}

fn syslog_ng(args: &Setup, host: &str, port: u16) -> Option<String> {
    let ca = args.ca.display();
    let transport = match args.transport {
        Transport::Udp => r#"transport("udp")"#.to_owned(),
        Transport::Tcp => r#"transport("tcp")"#.to_owned(),
        Transport::Tls => format!(
            "transport(\"tls\")\n        tls(ca-file(\"{ca}\") peer-verify(required-trusted))"
        ),
        Transport::Relp | Transport::RelpTls => return None,
    };
    let input = input(args, port);
    Some(format!(
        r#"# Forwards everything to lapwing: /etc/syslog-ng/conf.d/90-lapwing.conf
{input}
# `syslog-ng --syntax-only` checks it, `systemctl restart syslog-ng` makes it so.
# `s_src` is the source of Debian's configuration; name your own.
destination d_lapwing {{
    syslog("{host}" port({port}) {transport}
        log-fifo-size(100000));
}};
# lapwing's own messages stay here: each alert about them would cause the next.
filter f_not_lapwing {{ not program("lapwing" type(string)); }};
log {{ source(s_src); filter(f_not_lapwing); destination(d_lapwing); }};
"#
    ))
}
