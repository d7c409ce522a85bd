//! Outputs: does the name resolve, does anybody listen, may the file be written? Nothing is sent.

use std::path::Path;
use std::time::Duration;

use rustix::fs::{Access, AtFlags, CWD, accessat};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::{Findings, Level};
use crate::commands::run::block_on;
use crate::config::Config;
use crate::error::AgentError;
use crate::outputs::{Kind, Spec};

/// For each of: the name, the connection.
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
        other => match other.peer() {
            Some((host, port)) => server(about, &host, port, found).await,
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
async fn server(about: String, host: &str, port: u16, found: &mut Findings) {
    let bare = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let addresses = match timeout(PATIENCE, lookup_host((bare, port))).await {
        Ok(Ok(addresses)) => addresses.collect::<Vec<_>>(),
        Ok(Err(error)) => {
            let message = format!("the name {host} cannot be resolved: {error}");
            let fix = "check the name, and /etc/resolv.conf";
            return found.add(Level::Error, about, message, fix);
        }
        Err(_) => {
            let message = format!("the name {host} cannot be resolved: no answer in 5 s");
            return found.add(Level::Error, about, message, "check /etc/resolv.conf");
        }
    };
    let mut last = String::new();
    for address in &addresses {
        match timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(_)) => {
                return found.ok(
                    about,
                    format!("{host} port {port} answers ({})", address.ip()),
                );
            }
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => "no answer in 5 s".clone_into(&mut last),
        }
    }
    let message = format!("cannot connect to {host} port {port}: {last}");
    let fix = "is the server up, and does a firewall or a proxy stand between?";
    found.add(Level::Error, about, message, fix);
}
