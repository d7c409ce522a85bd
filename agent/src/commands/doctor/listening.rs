//! Inputs that others send to, and the page: could an agent listen there? Only where none runs: one that
//! does says itself what it cannot.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use rustix::process::geteuid;

use super::{Findings, Level};
use crate::config::{Config, InputKind};
use crate::inputs::syslog::{self, Address};

/// Below this a port takes a right, where the system does not say another.
const FIRST_FREE_PORT: u16 = 1024;
/// Where it says so.
const SAYS_FIRST_FREE: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
/// What to do where somebody listens already.
pub(super) const IN_USE: &str = "`ss -lnptu` shows who listens there";
/// What to do where only root may listen. The unit lets the service have no capability at all.
pub(super) const NEEDS_RIGHT: &str = "let systemd open it (lapwing.socket, see operating.md), choose a port from 1024 on, or lower \
                                      the sysctl net.ipv4.ip_unprivileged_port_start";
/// The socket unit among the package's examples.
const UNIT: &str = "lapwing.socket";

/// One address of the configuration.
struct Tried {
    about: String,
    shown: String,
    /// As systemd shows it, without the kind.
    at: String,
    kind: &'static str,
    port: Option<u16>,
    /// Held, so that what follows finds it as it will be.
    socket: io::Result<Option<OwnedFd>>,
}

pub(super) fn look(config: &Config, found: &mut Findings) {
    let mut tried = Vec::new();
    for input in &config.inputs {
        if let InputKind::Syslog(spec) = &input.kind {
            let about = format!("input {}", input.name);
            tried.extend(spec.listen.iter().map(|at| input_at(&about, at)));
        }
    }
    if let Some(http) = &config.http {
        let listened = TcpListener::bind(http.listen);
        tried.push(Tried {
            about: "http".to_owned(),
            shown: http.listen.to_string(),
            at: http.listen.to_string(),
            kind: "Stream",
            port: Some(http.listen.port()),
            socket: listened.map(|listener| Some(listener.into())),
        });
    }
    for tried in tried {
        say(&tried, found);
    }
}

fn input_at(about: &str, address: &Address) -> Tried {
    let shown = address.to_string();
    let at = shown.split_once("://").map_or("", |(_, at)| at);
    let kind = match address {
        Address::Udp(_) | Address::UnixDatagram(_) => "Datagram",
        Address::Tcp(..) | Address::Relp(..) | Address::UnixStream(_) => "Stream",
    };
    Tried {
        about: about.to_owned(),
        at: at.to_owned(),
        kind,
        port: address.socket().map(|at| at.port()),
        socket: syslog::try_listening(address),
        shown,
    }
}

fn say(tried: &Tried, found: &mut Findings) {
    let (about, at) = (&tried.about, &tried.shown);
    let needs_right = tried
        .port
        .is_some_and(|port| (1..first_free_port()).contains(&port));
    let error = match &tried.socket {
        Ok(_) if needs_right && geteuid().is_root() => {
            let message = format!("root can listen at {at}, the service's user perhaps not");
            return found.add(Level::Warning, about, message, NEEDS_RIGHT);
        }
        Ok(_) => return found.ok(about, format!("it can listen at {at}")),
        Err(error) => error,
    };
    let fix = match error.kind() {
        io::ErrorKind::AddrInUse if opens(&units_sockets(), &tried.at, tried.kind) => {
            return found.ok(about, format!("{UNIT} holds {at} for it"));
        }
        io::ErrorKind::AddrInUse => IN_USE,
        io::ErrorKind::PermissionDenied if needs_right => NEEDS_RIGHT,
        io::ErrorKind::PermissionDenied => "let the agent's user write to that folder",
        io::ErrorKind::AddrNotAvailable => "`ip addr` shows the addresses of this host",
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => "choose another path",
        io::ErrorKind::InvalidFilename => "a socket's path may have 103 bytes",
        _ => "",
    };
    let message = format!("it cannot listen at {at}: {error}");
    found.add(Level::Error, about, message, fix);
}

fn first_free_port() -> u16 {
    let text = std::fs::read_to_string(SAYS_FIRST_FREE).ok();
    text.and_then(|text| text.trim().parse().ok())
        .unwrap_or(FIRST_FREE_PORT)
}

/// What the service manager says of the socket unit; empty where there is none that could say it.
fn units_sockets() -> String {
    let mut asked = Command::new("systemctl");
    asked.args(["show", "--property=ActiveState,Listen", UNIT]);
    let said = asked.stdin(Stdio::null()).stderr(Stdio::null()).output();
    said.map_or(String::new(), |said| {
        String::from_utf8_lossy(&said.stdout).into_owned()
    })
}

/// Whether a socket unit of which this was said is active and listens there.
fn opens(said: &str, at: &str, kind: &str) -> bool {
    let has = |line: &str| said.lines().any(|said| said == line);
    has("ActiveState=active") && has(&format!("Listen={at} ({kind})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_active_socket_unit_holds_is_not_anothers() {
        // As `systemctl show` prints the sockets of the package's example.
        let said = "Listen=[::]:514 (Datagram)\nListen=[::]:514 (Stream)\nActiveState=active\n";
        let held = |said: &str, text: &str| {
            let tried = input_at("input hosts", &Address::parse(text).unwrap());
            opens(said, &tried.at, tried.kind)
        };
        assert!(held(said, "udp://*:514"));
        assert!(held(said, "relp://[::]:514"));
        assert!(!held(said, "tcp://127.0.0.1:514"));
        assert!(!held(said, "tcp://*:5140"));
        assert!(!held(&said.replace("=active", "=failed"), "udp://*:514"));
        assert!(!held("", "udp://*:514"));
    }
}
