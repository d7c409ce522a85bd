//! Outputs that write bytes to a socket and are done: syslog, `StatsD`, Graphite.
//!
//! None of these protocols confirms anything. Over TCP and TLS each batch has a connection of its
//! own, closed on our side after the last byte: a collector that closes it in turn has read all of
//! it. UDP confirms nothing at all.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use lapwing_rules::model::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UdpSocket, lookup_host};

use super::collect::{self, Entry};
use super::kind::{Meter, Syslog, SyslogTransport, Tls};
use super::retry::Verdict;
use super::safe;
use super::tls;

/// RFC 5426: every receiver should take so much.
const UDP_BYTES: usize = 2048;
/// What fits into one Ethernet frame.
const STATSD_BYTES: usize = 1400;
/// What common collectors take by default.
const TCP_BYTES: usize = 8192;
/// A collector that has not closed its side by then keeps it open.
const TO_CLOSE: Duration = Duration::from_secs(2);

/// A try's outcome: everything that can go wrong with a socket may pass.
pub(super) fn verdict(result: io::Result<()>) -> Verdict {
    match result {
        Ok(()) => Verdict::Delivered,
        Err(error) => Verdict::Retry {
            why: match error.kind() {
                io::ErrorKind::TimedOut => "no answer in time".to_owned(),
                _ => safe::short(&error.to_string(), 200).into_owned(),
            },
            after: None,
        },
    }
}

/// Hands `entries` to a syslog collector.
pub(super) async fn syslog(server: &Syslog, entries: &[Entry], timeout: Duration) -> Verdict {
    let (host, port, token) = (server.host.as_str(), server.port, server.token.as_ref());
    let tls = match server.transport {
        SyslogTransport::Udp => {
            let datagrams: Vec<Vec<u8>> = entries
                .iter()
                .map(|entry| collect::syslog(entry, token, UDP_BYTES))
                .collect();
            return verdict(datagrams_to(&format!("{host}:{port}"), &datagrams, timeout).await);
        }
        SyslogTransport::Tls => Tls::Yes,
        SyslogTransport::Tcp => Tls::No,
    };
    let mut bytes = Vec::new();
    for entry in entries {
        let frame = collect::syslog(entry, token, TCP_BYTES);
        bytes.extend_from_slice(format!("{} ", frame.len()).as_bytes());
        bytes.extend_from_slice(&frame);
    }
    verdict(stream_to(host, port, tls, &bytes, timeout).await)
}

async fn stream_to(
    host: &str,
    port: u16,
    tls: Tls,
    bytes: &[u8],
    timeout: Duration,
) -> io::Result<()> {
    let work = async {
        let mut stream = tls::connect(host, port, tls, timeout).await?;
        stream.write_all(bytes).await?;
        stream.flush().await?;
        stream.shutdown().await?;
        let mut rest = [0; 512];
        let closed = async {
            while stream.read(&mut rest).await? > 0 {}
            Ok::<(), io::Error>(())
        };
        match tokio::time::timeout(TO_CLOSE, closed).await {
            // One that ends the connection without TLS's own end has read it all the same.
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            Ok(closed) => closed,
            Err(_) => Ok(()),
        }
    };
    tokio::time::timeout(timeout + TO_CLOSE, work)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn datagrams_to(address: &str, datagrams: &[Vec<u8>], timeout: Duration) -> io::Result<()> {
    let work = async {
        let mut addresses = lookup_host(address).await?;
        let peer = addresses.next().ok_or(io::ErrorKind::NotFound)?;
        let local = if peer.is_ipv4() {
            "0.0.0.0:0"
        } else {
            "[::]:0"
        };
        let socket = UdpSocket::bind(local).await?;
        socket.connect(peer).await?;
        for datagram in datagrams {
            socket.send(datagram).await?;
        }
        Ok(())
    };
    tokio::time::timeout(timeout, work)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Hands counts to `StatsD`.
pub(super) async fn statsd(
    meter: &Meter,
    counts: &BTreeMap<String, u64>,
    timeout: Duration,
) -> Verdict {
    let mut datagrams: Vec<Vec<u8>> = Vec::new();
    for (rule, count) in counts {
        let line = format!("{}:{count}|c", metric(meter, rule));
        match datagrams.last_mut() {
            Some(last) if last.len() + 1 + line.len() <= STATSD_BYTES => {
                last.push(b'\n');
                last.extend_from_slice(line.as_bytes());
            }
            _ => datagrams.push(line.into_bytes()),
        }
    }
    verdict(datagrams_to(&meter.address, &datagrams, timeout).await)
}

/// Hands counts to Graphite's plaintext port.
pub(super) async fn graphite(
    meter: &Meter,
    counts: &BTreeMap<String, u64>,
    at: Timestamp,
    timeout: Duration,
) -> Verdict {
    let mut text = String::new();
    for (rule, count) in counts {
        writeln!(text, "{} {count} {}", metric(meter, rule), at.as_secs())
            .expect("writing to a String cannot fail");
    }
    let Some((host, port)) = host_and_port(&meter.address) else {
        return Verdict::Refused {
            why: "its address is none".to_owned(),
        };
    };
    verdict(stream_to(&host, port, Tls::No, text.as_bytes(), timeout).await)
}

/// `PREFIX.rule.NAME.hits`, or without a prefix `rule.NAME.hits`.
fn metric(meter: &Meter, rule: &str) -> String {
    // Dots would make levels, colons and bars end the name; rules have none of them.
    let rule: String = rule
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect();
    match meter.prefix.trim_end_matches('.') {
        "" => format!("rule.{rule}.hits"),
        prefix => format!("{prefix}.rule.{rule}.hits"),
    }
}

/// The two parts of `host:port` or `[::1]:port`.
pub fn host_and_port(address: &str) -> Option<(String, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then_some((host.to_owned(), port.parse().ok().filter(|port| *port > 0)?))
}

#[cfg(test)]
mod tests;
