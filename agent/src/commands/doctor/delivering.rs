//! Outputs: does the name resolve, does anybody listen, is the certificate trusted, may the file be
//! written? Nothing is sent.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Access, AtFlags, CWD, accessat};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::{Findings, Level};
use crate::commands::run::block_on;
use crate::config::Config;
use crate::error::AgentError;
use crate::outputs::{Kind, Spec, Transport, shake_hands};

/// For each of: the name, the connection, the handshake.
const PATIENCE: Duration = Duration::from_secs(5);

/// What names a proxy that HTTP goes by.
const PROXIES: &[&str] = &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

pub(super) fn look(config: &Config, found: &mut Findings) -> Result<(), AgentError> {
    if config.outputs.is_empty() {
        let fix = "add one under `outputs`, such as `screen: {type: console}`";
        found.add(Level::Warning, "outputs", "nobody is told of an alert", fix);
    }
    block_on(async {
        for output in &config.outputs {
            look_at(output, found).await;
        }
        Ok(())
    })
}

async fn look_at(output: &Spec, found: &mut Findings) {
    let about = format!("output {}", output.name);
    match &output.kind {
        Kind::Console => found.ok(about, "writes to standard output"),
        Kind::File { path } => file(about, path, found),
        Kind::Exec { command, .. } => program(about, command, found),
        other => match other.peer() {
            Some((host, port)) => server(about, (&host, port), other.transport(), found).await,
            None => found.add(
                Level::Error,
                about,
                "its URL is none",
                "check it with `lapwing check`",
            ),
        },
    }
}

fn file(about: String, path: &Path, found: &mut Findings) {
    let there = if path.exists() {
        path
    } else {
        path.parent().unwrap_or(path)
    };
    match accessat(CWD, there, Access::WRITE_OK, AtFlags::EACCESS) {
        Ok(()) => found.ok(about, format!("{} can be written to", path.display())),
        Err(error) => {
            let message = format!("{} cannot be written to: {error}", there.display());
            let fix = "make the folder, and let the agent's user write to it";
            found.add(Level::Error, about, message, fix);
        }
    }
}

fn program(about: String, command: &[String], found: &mut Findings) {
    let program = command.first().map_or("", String::as_str);
    match accessat(CWD, program, Access::EXEC_OK, AtFlags::EACCESS) {
        Ok(()) => found.ok(about, format!("{program} can be run")),
        Err(error) => {
            let message = format!("{program} cannot be run: {error}");
            let fix = "give its whole path, and let the agent's user run it";
            found.add(Level::Error, about, message, fix);
        }
    }
}

/// The host and port of a URL are no secret; the rest may be.
async fn server(about: String, at: (&str, u16), transport: Transport, found: &mut Findings) {
    let (host, port) = at;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let (trouble, fix) = match timeout(PATIENCE, lookup_host((bare, port))).await {
        Ok(Ok(addresses)) => {
            let addresses: Vec<_> = addresses.collect();
            match talk(bare, &addresses, transport).await {
                Ok(how) => return found.ok(about, format!("{host} port {port} {how}")),
                Err((trouble, fix)) => (format!("{host} port {port}: {trouble}"), fix),
            }
        }
        Ok(Err(error)) => (
            format!("the name {host} cannot be resolved: {error}"),
            "check the name, and /etc/resolv.conf",
        ),
        Err(_) => (
            format!("the name {host} cannot be resolved: no answer in 5 s"),
            "check /etc/resolv.conf",
        ),
    };
    let proxy = PROXIES.iter().find(|name| std::env::var_os(name).is_some());
    match proxy {
        // What goes by a proxy needs no way of its own.
        Some(proxy) => {
            let fix = "`lapwing notify test` sends by the proxy and shows the answer";
            let message = format!("{trouble}; but {proxy} names a proxy");
            found.add(Level::Warning, about, message, fix);
        }
        None => found.add(Level::Error, about, trouble, fix),
    }
}

/// How one of the addresses answers; else what is wrong, with what to do.
async fn talk(
    host: &str,
    addresses: &[SocketAddr],
    transport: Transport,
) -> Result<String, (String, &'static str)> {
    if transport == Transport::Udp {
        let ip = addresses.first().map(|it| it.ip().to_string());
        let ip = ip.unwrap_or_default();
        return Ok(format!(
            "is sent datagrams ({ip}): whether they arrive nobody knows"
        ));
    }
    let mut last = String::new();
    for address in addresses {
        match timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(_)) if transport == Transport::Tls => {
                return match shake_hands(host, address.port(), PATIENCE).await {
                    Ok(()) => Ok(format!(
                        "answers ({}), and its certificate is good",
                        address.ip()
                    )),
                    Err(error) => Err((
                        format!("there is no TLS with it: {error}"),
                        "does it speak TLS, with a certificate for this name that has not ended, of an \
                         authority that this host trusts (update-ca-certificates)? is the clock right?",
                    )),
                };
            }
            Ok(Ok(_)) => return Ok(format!("answers ({})", address.ip())),
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => "no answer in 5 s".clone_into(&mut last),
        }
    }
    Err((
        format!("nobody can be reached: {last}"),
        "is the server up, and does a firewall or a proxy stand between?",
    ))
}
