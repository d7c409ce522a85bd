//! The runs and their table: each receiver over TCP and over UDP, in turns.

use std::io::Write as _;
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context, ensure};

use super::send::{HIT, Load};
use super::{END, Receiver};
use crate::clock;
use crate::peers::Kind;
use crate::settings::Settings;

/// Whoever needs longer for what was sent is told to be lost.
const PATIENCE: Duration = Duration::from_mins(2);

/// What one run came to.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Who received.
    pub kind: Kind,
    /// Whether as datagrams.
    pub is_udp: bool,
    /// Messages sent.
    pub sent: u64,
    /// Messages a second, sent.
    pub offered: u64,
    /// Messages a second, from the first byte until the last one was found.
    pub rate: u64,
    /// Messages lost, found out by those that a rule looks for: so many times a thousand.
    pub lost: u64,
    /// Datagrams that the kernel dropped, as it says itself.
    pub dropped: u64,
    /// The same as the receiver counts them.
    pub own_drops: Option<u64>,
    /// Processor time of the receiver for a message, nanoseconds.
    pub cpu_ns: u64,
    /// The most that was resident, MiB.
    pub peak_mib: u64,
}

/// One run.
///
/// # Errors
///
/// It does not start, or does not get to the end.
pub fn run(kind: Kind, is_udp: bool, settings: &Settings) -> anyhow::Result<Row> {
    let load = Load::new(settings.seed);
    let receiver = Receiver::start(kind, settings)?;
    // Whatever a start has left to do.
    clock::pass(Duration::from_millis(1_500));
    let before = receiver.cpu();
    let to = ("127.0.0.1", receiver.port);
    let began = clock::monotonic();
    let last = format!("<13>Nov 21 09:00:00 web-1 torture: {END}\n");
    let sent = if is_udp {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(to)?;
        let sent = load.over_udp(&socket, settings.duration)?;
        // It may be dropped like any other.
        let ended = clock::until(PATIENCE, || {
            socket.send(last.trim_end().as_bytes()).is_ok() && {
                clock::pass(Duration::from_millis(5));
                receiver.has_ended()
            }
        });
        ensure!(ended, "{} does not get to the end", kind.name());
        sent
    } else {
        let mut stream = TcpStream::connect(to).context("connect")?;
        let sent = load.over_tcp(&mut stream, settings.duration)?;
        stream.write_all(last.as_bytes())?;
        let ended = clock::until(PATIENCE, || receiver.has_ended());
        ensure!(ended, "{} does not get to the end", kind.name());
        sent
    };
    let took = began.elapsed();
    // Files are written now and then.
    clock::pass(Duration::from_millis(1_500));
    let used = receiver.cpu().saturating_sub(before);
    let expected = sent.messages / HIT as u64;
    let found = receiver.found()?;
    ensure!(
        found <= expected,
        "{} found {found} of {expected}",
        kind.name()
    );
    Ok(Row {
        kind,
        is_udp,
        sent: sent.messages,
        offered: per_second(sent.messages, sent.took),
        rate: per_second(sent.messages, took),
        lost: (expected - found) * HIT as u64,
        dropped: if is_udp { receiver.drops() } else { 0 },
        own_drops: receiver.own_drops().filter(|_| is_udp),
        cpu_ns: u64::try_from(used.as_nanos()).unwrap_or(u64::MAX) / sent.messages.max(1),
        peak_mib: receiver.peak_kib() / 1024,
    })
}

fn per_second(count: u64, span: Duration) -> u64 {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1);
    count * 1_000 / millis
}

/// The table's head.
pub const HEAD: &str = "receiver    over  sent/s     found/s    lost       dropped by the kernel (own count)  ns/message  MiB\n";

impl Row {
    /// One line of the table.
    pub fn text(&self) -> String {
        let over = if self.is_udp { "udp" } else { "tcp" };
        let own = self.own_drops.map_or("-".to_owned(), |own| own.to_string());
        let dropped = format!("{} ({own})", self.dropped);
        format!(
            "{:11} {over:5} {:<10} {:<10} {:<10} {dropped:<33} {:<11} {}\n",
            self.kind.name(),
            self.offered,
            self.rate,
            self.lost,
            self.cpu_ns,
            self.peak_mib
        )
    }
}
