//! The asking side of the control socket. Blocking, for subcommands; every wait has an end.

use std::io::{self, BufRead as _, BufReader, Read as _, Take, Write as _};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::protocol::{MAX_REPLY, Reply, Request};

/// An agent takes a request at once.
const WRITING: Duration = Duration::from_secs(10);

/// Whether more is wanted.
pub type Flow = ControlFlow<()>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens there.
    #[error("no agent listens at {path}: {source}")]
    NoAgent {
        /// The socket.
        path: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The socket may not be opened.
    #[error(
        "not permitted to talk to the agent at {path}: run this as root, or as a member of the group that owns the socket"
    )]
    NotPermitted {
        /// The socket.
        path: String,
    },
    /// It may be looked at, and not told anything.
    #[error("not permitted to change anything: only root and the members of the agent's group may")]
    MayNot,
    /// The connection broke, or what came over it makes no sense.
    #[error("the agent's answer cannot be read: {0}")]
    Broken(io::Error),
    /// The agent could not do it.
    #[error("the agent says: {0}")]
    Refused(String),
}

/// Asks the agent at `socket` and gives the rows of its answer.
///
/// # Errors
///
/// See [`AskError`].
pub fn ask(socket: &Path, request: &Request) -> Result<Vec<Value>, AskError> {
    let mut rows = Vec::new();
    converse(connect(socket)?.take(MAX_REPLY), request, &mut |row| {
        rows.push(row);
        Flow::Continue(())
    })?;
    Ok(rows)
}

/// The same for an answer without an end: shows `each` row as it comes, until that breaks.
///
/// # Errors
///
/// See [`AskError`].
pub fn listen(
    socket: &Path,
    request: &Request,
    each: &mut dyn FnMut(Value) -> Flow,
) -> Result<(), AskError> {
    converse(connect(socket)?.take(u64::MAX), request, each)
}

fn connect(socket: &Path) -> Result<UnixStream, AskError> {
    let path = socket.display().to_string();
    UnixStream::connect(socket).map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => AskError::NotPermitted { path },
        _ => AskError::NoAgent { path, source },
    })
}

fn converse(
    stream: Take<UnixStream>,
    request: &Request,
    each: &mut dyn FnMut(Value) -> Flow,
) -> Result<(), AskError> {
    send(stream.get_ref(), request).map_err(AskError::Broken)?;
    for line in BufReader::new(stream).lines() {
        let line = line.map_err(AskError::Broken)?;
        let reply = serde_json::from_str(&line).map_err(|error| AskError::Broken(error.into()))?;
        match reply {
            Reply::Row(row) => {
                if each(row).is_break() {
                    return Ok(());
                }
            }
            Reply::End => return Ok(()),
            Reply::Error(why) => return Err(AskError::Refused(why)),
            Reply::NotPermitted => return Err(AskError::MayNot),
        }
    }
    Err(AskError::Broken(io::ErrorKind::UnexpectedEof.into()))
}

fn send(mut stream: &UnixStream, request: &Request) -> io::Result<()> {
    stream.set_read_timeout(request.patience())?;
    stream.set_write_timeout(Some(WRITING))?;
    let mut asked = serde_json::to_vec(request)?;
    asked.push(b'\n');
    stream.write_all(&asked)
}
