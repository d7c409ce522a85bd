//! Datagrams, many with each system call, sorted by sender: each sender's in the order they came.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lapwing_rules::model::Source;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};
use rustix::net::sockopt;
use tokio::io::Interest;
use tokio::net::{UdpSocket, UnixDatagram};

use super::frame::append;
use super::kernel;
use super::network::DRAIN;
use super::shared::{Closed, Current, Phase, Shared};
use super::{Address, Counters};
use crate::clock;
use crate::inputs::framer::Framed;

/// Datagrams taken with one system call.
const AT_ONCE: usize = 256;
/// The longest one that there is, and a byte more. Pages that are not touched cost nothing. At a
/// distance of a power of two their beginnings would all compete for the same lines of the cache.
const SLOT_BYTES: usize = 64 * 1024 + 320;
/// Datagrams gather for this, where many of them come.
const GATHER: Duration = Duration::from_millis(1);
/// So many within that time are many.
const MANY: usize = 16;
/// The room that a socket must have to be left alone for so long: for some five thousand datagrams.
const ROOM_TO_GATHER: usize = 4 * 1024 * 1024;
/// What is handed over at once, about.
const BATCH_BYTES: usize = 256 * 1024;
/// What a datagram costs besides its bytes: each sender's lines stand on their own.
const OVERHEAD_BYTES: usize = 128;
/// Datagrams taken before others have their turn.
const MOST_IN_A_READ: usize = 4_096;
/// Senders whose names are remembered.
const MOST_SENDERS: usize = 10_000;
/// How often the kernel is asked what it dropped while datagrams come.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Reads until the end, or an error.
pub(super) async fn serve(
    shared: &Rc<Shared>,
    input: &Arc<str>,
    address: &Address,
    socket: OwnedFd,
) -> io::Result<()> {
    let is_local = address.path().map(|path| path.display().to_string());
    let socket = Socket::new(address, socket)?;
    let mut live = Some(shared.live());
    let room = sockopt::socket_recv_buffer_size(&socket).unwrap_or(0);
    let mut reader = Reader::new(is_local, room);
    let before = kernel::drops(&socket);
    if before.is_none() && matches!(socket, Socket::Udp(_)) {
        tracing::warn!(%input, "what the system drops at {address} is not known: /proc/self/net/udp cannot be read");
    }
    let mut drops = before.unwrap_or(0);
    let mut phase = shared.phase();
    let mut has_read = false;
    while let Some((now, current)) = shared.turn(&mut phase, input).await {
        if now == Phase::Draining {
            let until = clock::monotonic() + DRAIN;
            reader.drain(&socket, shared, &current, until).await?;
            count_drops(&socket, &mut drops, &current.counters);
            live = None;
            phase.changed().await.ok();
            continue;
        }
        live.get_or_insert_with(|| shared.live());
        tokio::select! {
            biased;
            _ = phase.changed() => {}
            () = tokio::time::sleep(ASK_EVERY), if has_read => {
                has_read = false;
                if count_drops(&socket, &mut drops, &current.counters) {
                    say_dropped(shared, &current);
                }
            }
            ready = socket.readable() => {
                ready?;
                has_read = true;
                let more = reader.read(&socket, current.config.max_line_bytes)?;
                if !more {
                    socket.is_empty();
                }
                if reader.hand_over(shared, &current) == Err(Closed) {
                    phase.changed().await.ok();
                }
                if reader.reads.is_multiple_of(64) && count_drops(&socket, &mut drops, &current.counters) {
                    // With datagrams coming without end the other branch would never have its turn.
                    say_dropped(shared, &current);
                }
                if reader.pace.is_busy() {
                    tokio::time::sleep(GATHER).await;
                } else {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
    Ok(())
}

/// Reading a datagram costs little, being woken for it a lot: where they come quickly, they gather for
/// a moment and are taken together. Only where the socket has room for what comes meanwhile.
struct Pace {
    may_gather: bool,
    began: Instant,
    /// Since then.
    count: usize,
    is_busy: bool,
}

impl Pace {
    fn new(room: usize) -> Self {
        Self {
            may_gather: room >= ROOM_TO_GATHER,
            began: clock::monotonic(),
            count: 0,
            is_busy: false,
        }
    }

    fn took(&mut self, count: usize, now: Instant) {
        self.count += count;
        if now.saturating_duration_since(self.began) >= GATHER {
            self.is_busy = self.count >= MANY;
            (self.began, self.count) = (now, 0);
        }
    }

    fn is_busy(&self) -> bool {
        self.may_gather && self.is_busy
    }

    /// How many to ask for: each costs a little, whether it comes or not.
    fn at_once(&self) -> usize {
        if self.is_busy { AT_ONCE } else { MANY }
    }
}

/// Either kind.
enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl Socket {
    fn new(address: &Address, socket: OwnedFd) -> io::Result<Self> {
        Ok(match address {
            Address::UnixDatagram(_) => Self::Unix(UnixDatagram::from_std(socket.into())?),
            _ => Self::Udp(UdpSocket::from_std(socket.into())?),
        })
    }

    async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.readable().await,
            Self::Unix(socket) => socket.readable().await,
        }
    }

    /// Nothing more has come: from now on it is readable when something does.
    fn is_empty(&self) {
        let nothing = || io::Result::<()>::Err(io::ErrorKind::WouldBlock.into());
        // It fails in any case, and that is noted.
        match self {
            Self::Udp(socket) => socket.try_io(Interest::READABLE, nothing).ok(),
            Self::Unix(socket) => socket.try_io(Interest::READABLE, nothing).ok(),
        };
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Udp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

fn say_dropped(shared: &Shared, current: &Current) {
    shared.say("dropped", || {
        let (input, total) = (&current.config.input, current.counters.datagrams_dropped.get());
        tracing::warn!(%input, total, "the system drops datagrams: they come faster than they are read");
    });
}

/// Gives whether there were any.
fn count_drops(socket: &Socket, before: &mut u32, counters: &Counters) -> bool {
    let now = kernel::drops(socket).unwrap_or(*before);
    let more = now.wrapping_sub(*before);
    *before = now;
    counters.datagrams_dropped.add(u64::from(more));
    more > 0
}

/// Who sent a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Sender {
    Host(IpAddr),
    /// A process of this host.
    Local,
}

struct Reader {
    /// The path of the socket, which stands for whoever sends.
    path: Option<String>,
    slots: Vec<u8>,
    headers: MultiHeaders<SockaddrStorage>,
    sources: HashMap<Sender, Arc<Source>>,
    waiting: Waiting,
    reads: u64,
    pace: Pace,
}

impl Reader {
    fn new(path: Option<String>, room: usize) -> Self {
        Self {
            path,
            slots: vec![0; AT_ONCE * SLOT_BYTES],
            headers: MultiHeaders::preallocate(AT_ONCE, None),
            sources: HashMap::new(),
            waiting: Waiting::default(),
            reads: 0,
            pace: Pace::new(room),
        }
    }

    /// Takes what has come, up to about what is handed over at once. Gives whether there may be more.
    fn read(&mut self, socket: &Socket, max: usize) -> io::Result<bool> {
        self.reads += 1;
        while !self.waiting.is_full() {
            let at_once = self.pace.at_once();
            let slots = self.slots.chunks_exact_mut(SLOT_BYTES).take(at_once);
            let mut slots: Vec<[IoSliceMut<'_>; 1]> =
                slots.map(|slot| [IoSliceMut::new(slot)]).collect();
            let got = recvmmsg(
                socket.as_fd().as_raw_fd(),
                &mut self.headers,
                slots.iter_mut(),
                MsgFlags::MSG_DONTWAIT,
                None,
            );
            let got = match got {
                Ok(got) => got,
                Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            let mut count = 0;
            for datagram in got {
                count += 1;
                let sender = sender(datagram.address.as_ref());
                // Of one that is longer than a slot the system gives no more: a byte was lost at least.
                let lost = u64::from(datagram.flags.contains(MsgFlags::MSG_TRUNC));
                // Of one without a byte there is no piece.
                let text = datagram.iovs().next().unwrap_or_default();
                self.waiting
                    .take(sender, text, text.len() as u64 + lost, max);
            }
            self.pace.took(count, clock::monotonic());
            if count < at_once {
                // What comes next makes the socket readable anew.
                return Ok(true);
            }
        }
        Ok(true)
    }

    /// Takes and hands over all that has come, until this time: where they come without end there is
    /// no other one.
    async fn drain(
        &mut self,
        socket: &Socket,
        shared: &Shared,
        current: &Current,
        until: Instant,
    ) -> io::Result<()> {
        while self.read(socket, current.config.max_line_bytes)? {
            if self.hand_over(shared, current) == Err(Closed) {
                return Ok(());
            }
            if clock::monotonic() >= until {
                break;
            }
            tokio::task::yield_now().await;
        }
        // Where nobody takes anything, nothing can be done.
        self.hand_over(shared, current).ok();
        Ok(())
    }

    fn hand_over(&mut self, shared: &Shared, current: &Current) -> Result<(), Closed> {
        if self.sources.len() > MOST_SENDERS {
            self.sources.clear();
        }
        let path = self.path.as_deref();
        for (sender, framed, messages) in self.waiting.empty() {
            let source = self.sources.entry(sender).or_insert_with(|| {
                let name = match (sender, path) {
                    (Sender::Host(host), _) => format!("syslog://{host}"),
                    (Sender::Local, path) => format!("syslog://{}", path.unwrap_or("local")),
                };
                Arc::new(Source {
                    input: current.config.id,
                    name: name.into(),
                })
            });
            shared.hand_over_lines(current, source, framed, messages)?;
        }
        Ok(())
    }
}

/// Datagrams that were read and not handed over.
#[derive(Default)]
struct Waiting {
    /// In the order in which their senders were first heard, with the number of messages.
    lines: Vec<(Sender, Framed, u64)>,
    /// Where a sender's stand.
    places: HashMap<Sender, usize>,
    datagrams: usize,
    /// What they cost, about.
    bytes: usize,
}

impl Waiting {
    fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES || self.datagrams >= MOST_IN_A_READ
    }

    /// Appends a datagram, of whose `length` bytes `text` came, to those of its sender. O(bytes),
    /// however many senders there are.
    fn take(&mut self, sender: Sender, text: &[u8], length: u64, max: usize) {
        self.datagrams += 1;
        self.bytes += text.len() + OVERHEAD_BYTES;
        // Nearly always the last one again.
        if let Some((last, framed, messages)) = self.lines.last_mut()
            && *last == sender
        {
            *messages += u64::from(append(text, length, max, framed));
            return;
        }
        if let Some((_, framed, messages)) = self
            .places
            .get(&sender)
            .and_then(|index| self.lines.get_mut(*index))
        {
            *messages += u64::from(append(text, length, max, framed));
            return;
        }
        let mut framed = Framed::default();
        // Of an empty one nothing stays.
        if append(text, length, max, &mut framed) {
            self.places.insert(sender, self.lines.len());
            self.lines.push((sender, framed, 1));
        }
    }

    /// Gives all of them.
    fn empty(&mut self) -> Vec<(Sender, Framed, u64)> {
        (self.bytes, self.datagrams) = (0, 0);
        self.places.clear();
        std::mem::take(&mut self.lines)
    }
}

fn sender(address: Option<&SockaddrStorage>) -> Sender {
    let v4 = |it: &SockaddrStorage| it.as_sockaddr_in().map(|it| IpAddr::V4(it.ip()));
    let v6 = |it: &SockaddrStorage| {
        let ip: Ipv6Addr = it.as_sockaddr_in6()?.ip();
        Some(ip.to_canonical())
    };
    let host = address.and_then(|it| v4(it).or_else(|| v6(it)));
    host.map_or(Sender::Local, Sender::Host)
}

#[cfg(test)]
mod tests;
