//! Inputs that others send to, and the page: could an agent listen there? Only where none runs: one that
//! does says itself what it cannot.

use std::io;

use rustix::process::geteuid;

use super::{Findings, Level};
use crate::config::{Config, InputKind};
use crate::inputs::syslog;

/// Below this a port takes a right, where the system does not say another.
const FIRST_FREE_PORT: u16 = 1024;
/// Where it says so.
const SAYS_FIRST_FREE: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
/// What to do where somebody listens already.
const IN_USE: &str = "`ss -lnptu` shows who listens there";
/// What to do where only root may listen.
const NEEDS_RIGHT: &str = "choose a port from 1024 on, or give the service AmbientCapabilities=CAP_NET_BIND_SERVICE \
                           or a socket unit (see operating.md)";

pub(super) fn look(config: &Config, found: &mut Findings) {
    for input in &config.inputs {
        if let InputKind::Syslog(spec) = &input.kind {
            for address in &spec.listen {
                let port = address.socket().map(|at| at.port());
                let tried = syslog::try_listening(address);
                say(
                    &format!("input {}", input.name),
                    &address.to_string(),
                    port,
                    tried,
                    found,
                );
            }
        }
    }
    if let Some(http) = &config.http {
        let tried = std::net::TcpListener::bind(http.listen).map(drop);
        let port = Some(http.listen.port());
        say("http", &http.listen.to_string(), port, tried, found);
    }
}

fn say(about: &str, at: &str, port: Option<u16>, tried: io::Result<()>, found: &mut Findings) {
    let needs_right = port.is_some_and(|port| (1..first_free_port()).contains(&port));
    match tried {
        Ok(()) if needs_right && geteuid().is_root() => {
            let message = format!("root can listen at {at}, the service\'s user perhaps not");
            found.add(Level::Warning, about, message, NEEDS_RIGHT);
        }
        Ok(()) => found.ok(about, format!("it can listen at {at}")),
        Err(error) => {
            let fix = match error.kind() {
                io::ErrorKind::AddrInUse => IN_USE,
                io::ErrorKind::PermissionDenied if needs_right => NEEDS_RIGHT,
                io::ErrorKind::PermissionDenied => "let the agent\'s user write to that folder",
                io::ErrorKind::AddrNotAvailable => "`ip addr` shows the addresses of this host",
                _ => "",
            };
            found.add(
                Level::Error,
                about,
                format!("it cannot listen at {at}: {error}"),
                fix,
            );
        }
    }
}

fn first_free_port() -> u16 {
    let text = std::fs::read_to_string(SAYS_FIRST_FREE).ok();
    text.and_then(|text| text.trim().parse().ok())
        .unwrap_or(FIRST_FREE_PORT)
}
