//! Connections: accepted, counted, encrypted where that is wanted, and read.
//!
//! A sender that goes on is never closed but by its own doing. What takes descriptors and gives nothing
//! has bounds: a handshake, a frame that does not end, a connection on which nothing comes.

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use lapwing_rules::model::Source;
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::spawn_local;
use tokio::time::{Instant, timeout, timeout_at};

use super::frame::{Frames, TooLong};
use super::seats::{Evicted, Seat, Who};
use super::session;
use super::shared::{Closed, Current, Live, Phase, Shared};
use super::{Address, Counters};
use crate::inputs::framer::Framed;

/// For a TLS handshake, where `idle_timeout` is not shorter.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A frame that bears a count is complete so long after its first byte, where `idle_timeout` is not
/// shorter. Who writes lines may stop within one until there is more to say.
pub(super) const FRAME: Duration = Duration::from_mins(1);
/// At the end, nothing more is in the kernel when nothing came for this.
const QUIET: Duration = Duration::from_millis(50);
/// Pause after the system refused a connection (no descriptors, say).
const PAUSE: Duration = Duration::from_millis(100);
/// A sender that is gone without a word is found out after two minutes.
const KEEPALIVE: Duration = Duration::from_mins(1);

/// Any connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, String),
}

/// Accepts until the end.
pub(super) async fn serve(
    shared: &Rc<Shared>,
    input: &Arc<str>,
    address: &Address,
    socket: OwnedFd,
) -> io::Result<()> {
    let listener = match address.path() {
        Some(path) => {
            let listener = UnixListener::from_std(socket.into())?;
            Listener::Unix(listener, path.display().to_string())
        }
        None => Listener::Tcp(TcpListener::from_std(socket.into())?),
    };
    let mut phase = shared.phase();
    let mut live = None;
    while let Some((now, current)) = shared.turn(&mut phase, input).await {
        if now == Phase::Reading && live.is_none() {
            live = Some(shared.live());
        }
        let accepted = tokio::select! {
            biased;
            _ = phase.changed(), if now == Phase::Reading => continue,
            accepted = listener.accept() => accepted,
            () = tokio::time::sleep(QUIET), if now == Phase::Draining => {
                live = None;
                phase.changed().await.ok();
                continue;
            }
        };
        match accepted {
            Ok(accepted) => begin(shared, &current, address, accepted),
            Err(error) => {
                shared.say("accept", || {
                    tracing::warn!(%input, %error, "a connection could not be taken");
                });
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    Ok(())
}

/// A new connection, and who has it: as it is counted, and as it is called.
type Accepted = (Box<dyn Stream>, Who, String);

impl Listener {
    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                watch_over(&stream);
                let at = from.ip();
                let name = at.to_canonical().to_string();
                Ok((Box::new(stream), Who::of(at), name))
            }
            Self::Unix(listener, path) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), Who::Local, path.clone()))
            }
        }
    }
}

/// What fails here is done without.
fn watch_over(stream: &TcpStream) {
    sockopt::set_socket_keepalive(stream, true).ok();
    sockopt::set_tcp_keepidle(stream, KEEPALIVE).ok();
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE / 6).ok();
    sockopt::set_tcp_keepcnt(stream, 6).ok();
    // An acknowledgement is small and waited for.
    stream.set_nodelay(true).ok();
}

fn begin(
    shared: &Rc<Shared>,
    current: &Rc<Current>,
    address: &Address,
    (stream, who, name): Accepted,
) {
    let (config, counters) = (&current.config, &current.counters);
    let most = config.spec.max_connections;
    let seat = shared.seats.take(&config.input, who, most, Instant::now());
    let Some(seat) = seat else {
        counters.refused.add(1);
        shared.say("refused", || {
            let input = &config.input;
            tracing::warn!(%input, peer = name, most, "a connection was refused: `max_connections` are open");
        });
        return;
    };
    counters.accepted.add(1);
    let open = Open::new(Arc::clone(counters));
    let peer = Peer {
        input: Arc::clone(&config.input),
        name,
        address: address.clone(),
        client_ca: client_ca(current).cloned(),
        seat,
        live: Some(shared.live()),
        shared: Rc::clone(shared),
    };
    let current = Rc::clone(current);
    spawn_local(async move {
        let _open = open;
        let stream = if peer.address.is_encrypted() {
            match encrypted(&peer, &current, stream).await {
                Some(stream) => stream,
                None => return,
            }
        } else {
            stream
        };
        drop(current);
        match peer.address {
            Address::Relp(..) => session::serve(peer, stream).await,
            _ => read(peer, stream).await,
        }
    });
}

/// Who signs the certificates of those that send.
fn client_ca(current: &Current) -> Option<&PathBuf> {
    current.config.spec.tls.as_ref()?.client_ca.as_ref()
}

/// Counts an open connection.
struct Open(Arc<Counters>);

impl Open {
    fn new(counters: Arc<Counters>) -> Self {
        counters.connections.add(1);
        Self(counters)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.take(1);
    }
}

/// The other end of a connection, and where its messages go.
pub(super) struct Peer {
    pub(super) shared: Rc<Shared>,
    pub(super) input: Arc<str>,
    /// Its address, or the path of the socket.
    pub(super) name: String,
    /// Where it came to.
    pub(super) address: Address,
    /// By whom its certificate is signed.
    pub(super) client_ca: Option<PathBuf>,
    pub(super) seat: Seat,
    /// While it may hand something over at the end.
    pub(super) live: Option<Live>,
}

impl Peer {
    /// What its lines are said to come from.
    pub(super) fn source(&self, current: &Current) -> Arc<Source> {
        Arc::new(Source {
            input: current.config.id,
            name: format!("syslog://{}", self.name).into(),
        })
    }

    /// Whether it could still come to where it came to, as it came.
    pub(super) fn is_wanted(&self, current: &Current) -> bool {
        let is_listened_at = current.config.spec.listen.contains(&self.address);
        let is_known =
            !self.address.is_encrypted() || client_ca(current) == self.client_ca.as_ref();
        is_listened_at && is_known
    }

    /// It had to go.
    pub(super) fn say_evicted(&self, current: &Current, why: Evicted) {
        match why {
            Evicted::ForAnother => {
                current.counters.refused.add(1);
                self.say_closed(
                    "`max_connections` are open, of which its host has most, and another came",
                );
            }
            Evicted::HeldMost => {
                current.counters.broken.add(1);
                self.say_closed(
                    "all connections hold too much of unfinished messages, and it most",
                );
            }
        }
    }

    /// It was closed because of what it did.
    pub(super) fn say_closed(&self, why: &str) {
        self.shared.say("closed", || {
            let (input, peer) = (&self.input, &self.name);
            tracing::warn!(%input, %peer, "a connection was closed: {why}");
        });
    }
}

async fn encrypted(
    peer: &Peer,
    current: &Current,
    stream: Box<dyn Stream>,
) -> Option<Box<dyn Stream>> {
    let acceptor = current.tls.clone()?;
    let most = HANDSHAKE.min(current.config.spec.idle_timeout);
    let shaken = tokio::select! {
        biased;
        why = peer.seat.evicted() => {
            peer.say_evicted(current, why);
            return None;
        }
        shaken = timeout(most, acceptor.accept(stream)) => shaken,
    };
    let why = match shaken {
        Ok(Ok(stream)) => return Some(Box::new(stream)),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it did not come about within {most:?}"),
    };
    current.counters.handshakes_failed.add(1);
    peer.shared.say("handshake", || {
        let (input, peer) = (&peer.input, &peer.name);
        tracing::warn!(%input, peer, "a TLS handshake failed: {why}");
    });
    None
}

/// Reads what there is into the shared buffer and gives it to `take`: 0 bytes are the end.
pub(super) async fn read_some<T>(
    shared: &Shared,
    stream: &mut (impl AsyncRead + Unpin),
    mut take: impl FnMut(&[u8]) -> T,
) -> io::Result<(usize, T)> {
    poll_fn(|context| {
        let mut chunk = shared.chunk.borrow_mut();
        match fill(stream, context, &mut chunk) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(count)) => {
                let taken = take(chunk.get(..count).unwrap_or_default());
                Poll::Ready(Ok((count, taken)))
            }
        }
    })
    .await
}

/// As much as there is: a TLS stream gives a record at a time.
fn fill(
    stream: &mut (impl AsyncRead + Unpin),
    context: &mut Context<'_>,
    chunk: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(chunk);
    while buffer.remaining() > 0 {
        let before = buffer.filled().len();
        match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
            Poll::Ready(Ok(())) if buffer.filled().len() > before => {}
            // The end or the error comes again when it is asked for again.
            Poll::Ready(_) | Poll::Pending if before > 0 => break,
            Poll::Ready(Ok(())) => break,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        }
    }
    Poll::Ready(Ok(buffer.filled().len()))
}

/// Why a connection is read no further.
enum End {
    /// The other side has said all.
    Closed,
    /// Its last frame did not end.
    Reset,
    TooSlow,
    TooLong,
    /// The agent ends, or nobody listens where it came to any more.
    Over,
    Evicted(Evicted),
}

async fn read(peer: Peer, mut stream: Box<dyn Stream>) {
    let Some(first) = peer.shared.current(&peer.input) else {
        return;
    };
    let mut frames = Frames::new(first.config.max_line_bytes);
    let mut source = peer.source(&first);
    drop(first);
    let end = read_on(&peer, &mut stream, &mut frames, &mut source).await;
    let Some(current) = peer.shared.current(&peer.input) else {
        return;
    };
    let mut framed = Framed::default();
    frames.finish(&mut framed);
    let messages = frames.take_messages();
    // The engine may be gone: then nobody is told anything any more.
    peer.shared
        .hand_over_lines(&current, &mut source, framed, messages)
        .ok();
    match end {
        End::Closed | End::Reset | End::Over => {}
        End::TooSlow => current.counters.timed_out.add(1),
        End::TooLong => {
            current.counters.broken.add(1);
            peer.say_closed("it announced a frame of a length that no frame has");
        }
        End::Evicted(why) => peer.say_evicted(&current, why),
    }
}

/// How long the frame that is under way may take.
fn longest(frames: &Frames, idle_timeout: Duration) -> Duration {
    if frames.is_within_line() {
        idle_timeout
    } else {
        FRAME.min(idle_timeout)
    }
}

async fn read_on(
    peer: &Peer,
    stream: &mut Box<dyn Stream>,
    frames: &mut Frames,
    source: &mut Arc<Source>,
) -> End {
    let shared = &peer.shared;
    let mut phase = shared.phase();
    let mut frame_began: Option<Instant> = None;
    while let Some((now, current)) = shared.turn(&mut phase, &peer.input).await {
        if !peer.is_wanted(&current) {
            return End::Over;
        }
        let until = match frame_began {
            _ if now == Phase::Draining => Instant::now() + QUIET,
            Some(began) => began + longest(frames, current.config.spec.idle_timeout),
            None => Instant::now() + current.config.spec.idle_timeout,
        };
        frames.set_max(current.config.max_line_bytes);
        let mut framed = Framed::default();
        let take = |bytes: &[u8]| frames.push(bytes, &mut framed);
        let got = tokio::select! {
            biased;
            _ = phase.changed() => continue,
            why = peer.seat.evicted() => return End::Evicted(why),
            got = timeout_at(until, read_some(shared, stream, take)) => got,
        };
        let (count, taken) = match got {
            Err(_) if now == Phase::Draining => return End::Over,
            Err(_) => return End::TooSlow,
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return End::Closed,
            Ok(Err(_)) => return End::Reset,
            Ok(Ok((0, _))) => return End::Closed,
            Ok(Ok(got)) => got,
        };
        debug_assert!(count > 0, "the end is told apart");
        let has_ended = !framed.bytes.is_empty();
        let now = Instant::now();
        peer.seat.heard(now);
        peer.seat
            .hold(frames.held_bytes(), current.config.max_line_bytes);
        frame_began = match frame_began {
            _ if !frames.is_within() => None,
            Some(began) if !has_ended => Some(began),
            _ => Some(now),
        };
        let messages = frames.take_messages();
        let handed = shared.hand_over_lines(&current, source, framed, messages);
        if taken == Err(TooLong) {
            return End::TooLong;
        }
        if handed == Err(Closed) {
            phase.changed().await.ok();
        }
        tokio::task::yield_now().await;
    }
    End::Over
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_that_stops_within_a_line_is_not_cut_off_after_a_minute() {
        let day = Duration::from_hours(24);
        let within = |bytes: &[u8]| {
            let mut frames = Frames::new(100);
            frames.push(bytes, &mut Framed::default()).unwrap();
            assert!(frames.is_within());
            longest(&frames, day)
        };
        assert_eq!(within(b"<13>the first half of a line"), day);
        assert_eq!(within(b"100 <13>the first half of a frame"), FRAME);
        assert_eq!(within(b"10"), FRAME);
    }
}
