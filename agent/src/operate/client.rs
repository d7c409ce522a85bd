//! The asking side of the control socket. Blocking, for subcommands; every wait has an end.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use super::protocol::{MAX_REPLY, Reply, Request};

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
    let path = socket.display().to_string();
    let stream = UnixStream::connect(socket).map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => AskError::NotPermitted { path },
        _ => AskError::NoAgent { path, source },
    })?;
    read_answer(stream, request).map_err(AskError::Broken)?
}

fn read_answer(
    mut stream: UnixStream,
    request: &Request,
) -> io::Result<Result<Vec<Value>, AskError>> {
    stream.set_read_timeout(Some(request.patience()))?;
    stream.set_write_timeout(Some(request.patience()))?;
    let mut asked = serde_json::to_vec(request)?;
    asked.push(b'\n');
    stream.write_all(&asked)?;
    let mut rows = Vec::new();
    for line in BufReader::new(stream.take(MAX_REPLY)).lines() {
        match serde_json::from_str(&line?)? {
            Reply::Row(row) => rows.push(row),
            Reply::Error(why) => return Ok(Err(AskError::Refused(why))),
            Reply::NotPermitted => return Ok(Err(AskError::MayNot)),
            Reply::End => return Ok(Ok(rows)),
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}
