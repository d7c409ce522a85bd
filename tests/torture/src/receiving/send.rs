//! A sender of syslog that is as fast as the system lets it be: messages are made before, and written
//! many at a time. It counts; it judges nothing.

use std::io::{self, IoSlice, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg};

use crate::clock;
use crate::random::Random;

/// Messages of one round; the same ones are sent again and again.
const ROUND: usize = 10_000;
/// One message of so many is what a rule looks for.
pub const HIT: usize = 1_000;
/// Datagrams sent with one system call.
const AT_ONCE: usize = 256;
/// Bytes written at once.
const WRITE_BYTES: usize = 256 * 1024;

/// The messages of one round, each with its LF.
#[derive(Debug)]
pub struct Load {
    bytes: Vec<u8>,
    /// Where each message stands in them, without its LF.
    places: Vec<Range<usize>>,
}

/// What was sent, and how long that took.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Messages.
    pub messages: u64,
    /// Until the last of them was taken by the system.
    pub took: Duration,
}

impl Load {
    /// What hosts send of sshd, cron, nginx, the kernel and a program; 160 bytes a message or so.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut bytes = Vec::new();
        let mut places = Vec::new();
        for number in 0..ROUND {
            let start = bytes.len();
            message(number, &mut random, &mut bytes);
            places.push(start..bytes.len());
            bytes.push(b'\n');
        }
        Self { bytes, places }
    }

    /// Bytes of a message with its LF, in the mean.
    pub fn mean_bytes(&self) -> usize {
        self.bytes.len() / self.places.len()
    }

    /// Sends whole rounds over one connection for `span` or a little longer.
    ///
    /// # Errors
    ///
    /// The other side hung up.
    pub fn over_tcp(&self, stream: &mut TcpStream, span: Duration) -> io::Result<Sent> {
        let began = clock::monotonic();
        let mut messages = 0;
        while began.elapsed() < span {
            for part in self.bytes.chunks(WRITE_BYTES) {
                stream.write_all(part)?;
            }
            messages += ROUND as u64;
        }
        Ok(sent(messages, began))
    }

    /// Sends whole rounds as datagrams for `span` or a little longer; `socket` is connected.
    ///
    /// # Errors
    ///
    /// Nobody listens.
    pub fn over_udp(&self, socket: &UdpSocket, span: Duration) -> io::Result<Sent> {
        let began = clock::monotonic();
        let mut messages = 0;
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(AT_ONCE, None);
        while began.elapsed() < span {
            for places in self.places.chunks(AT_ONCE) {
                self.send_some(socket, places, &mut headers)?;
            }
            messages += ROUND as u64;
        }
        Ok(sent(messages, began))
    }

    fn send_some(
        &self,
        socket: &UdpSocket,
        places: &[Range<usize>],
        headers: &mut MultiHeaders<SockaddrStorage>,
    ) -> io::Result<()> {
        let slices: Vec<[IoSlice<'_>; 1]> = places
            .iter()
            .map(|place| {
                [IoSlice::new(
                    self.bytes.get(place.clone()).unwrap_or_default(),
                )]
            })
            .collect();
        let mut left = &slices[..];
        while !left.is_empty() {
            let nobody = vec![None; left.len()];
            let (fd, flags) = (socket.as_raw_fd(), MsgFlags::empty());
            match sendmmsg(fd, headers, left, nobody, [], flags) {
                Ok(done) => left = left.get(done.count()..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn sent(messages: u64, began: Instant) -> Sent {
    Sent {
        messages,
        took: began.elapsed(),
    }
}

fn message(number: usize, random: &mut Random, out: &mut Vec<u8>) {
    let (host, pid, n) = (random.below(40), random.below(30_000), random.below(60_000));
    let head = |pri: u32, app: &str| {
        let second = number / 200;
        format!("<{pri}>Nov 21 09:00:{second:02} web-{host} {app}[{pid}]: ")
    };
    let address = format!("10.{}.{}.{}", n % 7, host, n % 250);
    let text = match number % HIT {
        0 => {
            head(38, "sshd")
                + &format!("Failed password for invalid user admin from {address} port {n} ssh2")
        }
        _ => match random.below(6) {
            0 => {
                head(38, "sshd")
                    + &format!(
                        "Connection closed by authenticating user backup {address} port {n} [preauth]"
                    )
            }
            1 => head(78, "CRON") + "(root) CMD (   cd / && run-parts --report /etc/cron.hourly)",
            2 => {
                head(190, "nginx")
                    + &format!(
                        "{address} - - [21/Nov/2026:09:00:00 +0000] \"GET /shop/item/{n}?ref=mail HTTP/1.1\" 200 {} \"https://shop.example.com/\" \"Mozilla/5.0 (X11; Linux x86_64; rv:128.0)\"",
                        n * 3
                    )
            }
            3 => head(30, "systemd") + &format!("session-{n}.scope: Deactivated successfully."),
            4 => {
                head(6, "kernel")
                    + &format!(
                        "[{n}.123456] IN=eth0 OUT= MAC=02:42:ac:11:00:02 SRC={address} DST=10.0.0.1 LEN=60 TTL=63 PROTO=TCP SPT={n} DPT=443 SYN"
                    )
            }
            _ => {
                head(134, "shop")
                    + &format!(
                        "level=info msg=\"order placed\" order={n} customer={pid} total={host}.50 currency=EUR took={}ms",
                        n % 900
                    )
            }
        },
    };
    out.extend_from_slice(text.as_bytes());
}
