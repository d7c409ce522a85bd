//! Outputs: does the name resolve, does anybody listen, is the certificate trusted, may the file be
//! written? Nothing is sent.

use std::fs;
use std::io;
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
use crate::outputs::{Kind, Spec, Transport, proxy_of, shake_hands};

/// For each of: the name, the connection, the handshake.
const PATIENCE: Duration = Duration::from_secs(5);

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
        other => server(about, other, found).await,
    }
}

fn file(about: String, path: &Path, found: &mut Findings) {
    match may_append(path) {
        Ok(()) => found.ok(about, format!("{} can be written to", path.display())),
        Err(error) => {
            let message = format!("{} cannot be written to: {error}", path.display());
            let fix = "make the folder, and let the agent's user write to it";
            found.add(Level::Error, about, message, fix);
        }
    }
}

/// As the agent will: it makes the file, not the folder.
fn may_append(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    let (there, access) = match fs::metadata(path) {
        Ok(it) if it.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => (path, Access::WRITE_OK),
        // Its folder, or a link to nowhere.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            (folder, Access::WRITE_OK | Access::EXEC_OK)
        }
        Err(error) => return Err(error),
    };
    Ok(accessat(CWD, there, access, AtFlags::EACCESS)?)
}

fn program(about: String, command: &[String], found: &mut Findings) {
    let program = command.first().map_or("", String::as_str);
    match may_run(program) {
        Ok(()) => found.ok(about, format!("{program} can be run")),
        Err(error) => {
            let message = format!("{program} cannot be run: {error}");
            let fix = "give its whole path, and let the agent's user run it";
            found.add(Level::Error, about, message, fix);
        }
    }
}

fn may_run(program: &str) -> io::Result<()> {
    // A folder can be entered, which is the same right.
    if fs::metadata(program)?.is_file() {
        Ok(accessat(CWD, program, Access::EXEC_OK, AtFlags::EACCESS)?)
    } else {
        Err(io::Error::other("it is no regular file"))
    }
}

/// The host and port of a URL are no secret; the rest may be.
async fn server(about: String, kind: &Kind, found: &mut Findings) {
    let Some((host, port)) = kind.peer() else {
        let fix = "check it with `lapwing check`";
        return found.add(Level::Error, about, "its URL is none", fix);
    };
    let Some(proxy) = proxy_of(kind) else {
        return match reach((&host, port), kind.transport()).await {
            Ok(how) => found.ok(about, format!("{host} port {port} {how}")),
            Err((trouble, fix)) => found.add(Level::Error, about, trouble, fix),
        };
    };
    // What goes by a proxy needs no way of its own.
    let by = format!(
        "it goes by the proxy that this environment names, {} port {}",
        proxy.host, proxy.port
    );
    match reach((&proxy.host, proxy.port), proxy.transport).await {
        Ok(how) => {
            let message = format!("{by}, which {how}; `lapwing notify test` tells how far");
            found.ok(about, message);
        }
        Err((trouble, _)) => {
            let fix = "is that proxy up? the service has an environment of its own: \
                       `systemctl show -P Environment lapwing`";
            found.add(Level::Error, about, format!("{by}: {trouble}"), fix);
        }
    }
}

/// How it answers; else what is wrong, with what to do.
async fn reach(at: (&str, u16), transport: Transport) -> Result<String, (String, &'static str)> {
    let (host, port) = at;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let (trouble, fix) = match timeout(PATIENCE, lookup_host((bare, port))).await {
        Ok(Ok(addresses)) => {
            let addresses: Vec<_> = addresses.collect();
            let talked = talk(bare, &addresses, transport).await;
            return talked
                .map_err(|(trouble, fix)| (format!("{host} port {port}: {trouble}"), fix));
        }
        Ok(Err(error)) => (error.to_string(), "check the name, and /etc/resolv.conf"),
        Err(_) => ("no answer in 5 s".to_owned(), "check /etc/resolv.conf"),
    };
    Err((
        format!("the name {host} cannot be resolved: {trouble}"),
        fix,
    ))
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
            // On this very connection: some take one at a time.
            Ok(Ok(stream)) if transport == Transport::Tls => {
                return match shake_hands(host, stream, PATIENCE).await {
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
