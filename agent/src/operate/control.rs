//! The listening side of the control socket: who may ask, how long they may take, how many at
//! once. What is asked is answered by the [`Sight`] of the agent that runs now.
//!
//! The socket belongs to the agent's user and group, mode 0660, so the system itself turns others
//! away. It is made under another name and renamed: at no moment does it stand there with other
//! rights, and one that a killed agent left is replaced.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::peer::Peer;
use super::protocol::{MAX_REQUEST, Reply, Request};
use super::sight::Sight;
use super::watching;

/// Connections that are served at once; others wait.
const MOST_CONNECTIONS: usize = 16;
/// A connection is closed after this, whatever it does, unless it watches.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause after the system refused a connection (no descriptors, say).
const PAUSE: Duration = Duration::from_millis(100);

/// A socket that is served until this is dropped.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    task: JoinHandle<()>,
    sight: watch::Sender<Option<Arc<Sight>>>,
}

impl Control {
    /// Listens at `path`; must be called inside a tokio runtime. Until [`Control::show`], whoever
    /// asks waits.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AddrInUse`] when another agent listens there; else that of the system.
    pub fn listen(path: &Path) -> io::Result<Self> {
        let listener = bind(path)?;
        let (sight, shown) = watch::channel(None);
        Ok(Self {
            path: path.to_owned(),
            task: tokio::spawn(serve(listener, shown, path.into())),
            sight,
        })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Answers from this agent from now on; `None`: whoever asks waits for the next one.
    pub fn show(&self, sight: Option<Arc<Sight>>) {
        self.sight.send_replace(sight);
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        // Somebody else may have taken it away already.
        fs::remove_file(&self.path).ok();
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(format!(".{}", std::process::id()));
    let fresh = PathBuf::from(fresh);
    fs::remove_file(&fresh).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    let listener = UnixListener::bind(&fresh)?;
    let named = fs::set_permissions(&fresh, Permissions::from_mode(0o660))
        .and_then(|()| fs::rename(&fresh, path));
    if let Err(error) = named {
        fs::remove_file(&fresh).ok();
        return Err(error);
    }
    Ok(listener)
}

async fn serve(
    listener: UnixListener,
    shown: watch::Receiver<Option<Arc<Sight>>>,
    path: Arc<Path>,
) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return; // it is never closed
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (shown, path) = (shown.clone(), Arc::clone(&path));
                tokio::spawn(async move {
                    // One who asks too slowly, or goes away, is not missed.
                    answer(stream, shown, &path).await.ok();
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a connection to the control socket failed");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn answer(
    stream: UnixStream,
    shown: watch::Receiver<Option<Arc<Sight>>>,
    path: &Path,
) -> io::Result<()> {
    let peer = Peer::of(&stream.peer_cred()?, path);
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read.take(MAX_REQUEST as u64));
    let mut line = Vec::new();
    timeout(PATIENCE, read.read_until(b'\n', &mut line)).await??;
    let text = match serde_json::from_slice::<Request>(&line) {
        Err(error) => lines(&[Reply::Error(format!("that is no request: {error}"))])?,
        Ok(request) if request.is_order() && !peer.may_order() => lines(&[Reply::NotPermitted])?,
        Ok(Request::Tap(query)) => return watching::serve(query, read, write, shown).await,
        Ok(request) => timeout(PATIENCE, reply(request, &peer, shown)).await??,
    };
    timeout(PATIENCE, write.write_all(&text)).await??;
    write.shutdown().await
}

/// As they go over the socket.
pub(super) fn lines(replies: &[Reply]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for reply in replies {
        serde_json::to_writer(&mut text, reply)?;
        text.push(b'\n');
    }
    Ok(text)
}

async fn reply(
    request: Request,
    peer: &Peer,
    mut shown: watch::Receiver<Option<Arc<Sight>>>,
) -> io::Result<Vec<u8>> {
    let shown = shown.wait_for(Option::is_some).await;
    let Some(sight) = shown.ok().and_then(|sight| sight.clone()) else {
        return Ok(Vec::new());
    };
    lines(&replies(request, peer, &sight).await)
}

fn values<T: serde::Serialize>(
    rows: Result<Vec<T>, String>,
) -> Result<Vec<serde_json::Value>, String> {
    let value = |row: &T| serde_json::to_value(row).map_err(|error| error.to_string());
    rows?.iter().map(value).collect()
}

async fn replies(request: Request, peer: &Peer, sight: &Sight) -> Vec<Reply> {
    let rows = match request {
        Request::Status {} => serde_json::to_value(sight.status().await)
            .map(|status| vec![status])
            .map_err(|error| error.to_string()),
        Request::Alerts {} => sight.alerts().await,
        Request::History(query) => sight.history(query).await,
        Request::SilenceList {} => sight.silences().await,
        Request::Ack {
            id,
            note,
            on_behalf_of,
        } => {
            let by = peer.name(on_behalf_of.as_deref());
            sight.acknowledge(id, by, note).await
        }
        Request::SilenceAdd {
            matchers,
            for_ms,
            note,
            on_behalf_of,
        } => {
            let author = peer.name(on_behalf_of.as_deref());
            let span = Duration::from_millis(for_ms);
            sight.silence(&matchers, span, (author, note)).await
        }
        Request::SilenceExpire { id } => sight.expire(id).await,
        Request::Drill { rule } => values(sight.drill(&rule).await),
        Request::Tap(_) => Err("that has an answer of its own".to_owned()),
        Request::Resend { output, id } => {
            let resent = sight.resend(output.as_deref(), id.as_deref()).await;
            values(resent.map(|resent| vec![resent]))
        }
    };
    match rows {
        Ok(rows) => rows
            .into_iter()
            .map(Reply::Row)
            .chain([Reply::End])
            .collect(),
        Err(why) => vec![Reply::Error(why)],
    }
}
