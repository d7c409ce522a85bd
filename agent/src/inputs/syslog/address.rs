//! `udp://127.0.0.1:5514` and its like, as values. Pure; nothing is resolved or opened here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Where an input of type `syslog` listens where the file does not say otherwise: both transports.
pub const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5514);

/// What arrives at an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// One message a datagram.
    Udp(SocketAddr),
    /// A stream of frames.
    Tcp(SocketAddr, Security),
    /// A stream of numbered frames, each of which is acknowledged.
    Relp(SocketAddr, Security),
    /// One message a datagram, from this host.
    UnixDatagram(PathBuf),
    /// A stream of frames, from this host.
    UnixStream(PathBuf),
}

/// Whether a stream is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Security {
    /// It is not.
    Plain,
    /// TLS 1.2 or 1.3.
    Tls,
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Something else than the known ones before `://`.
    #[error("there is no transport `{0}`")]
    Scheme(String),
    /// No number, or no port.
    #[error("`{0}` is no address and port")]
    Socket(String),
    /// A relative one, or none.
    #[error("`{0}` is no absolute path")]
    Path(String),
}

impl Address {
    /// The words before `://`.
    pub const SCHEMES: &[&str] = &[
        "udp",
        "tcp",
        "tls",
        "relp",
        "relp+tls",
        "unix",
        "unix+stream",
    ];

    /// Reads one. A host is a number, `localhost`, or `*` for every address of both families.
    ///
    /// # Errors
    ///
    /// When `text` is none.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.split_once("://").unwrap_or((text, ""));
        Ok(match scheme {
            "udp" => Self::Udp(socket(rest)?),
            "tcp" => Self::Tcp(socket(rest)?, Security::Plain),
            "tls" => Self::Tcp(socket(rest)?, Security::Tls),
            "relp" => Self::Relp(socket(rest)?, Security::Plain),
            "relp+tls" => Self::Relp(socket(rest)?, Security::Tls),
            "unix" => Self::UnixDatagram(path(rest)?),
            "unix+stream" => Self::UnixStream(path(rest)?),
            other => return Err(AddressError::Scheme(other.to_owned())),
        })
    }

    /// Whether it needs a certificate.
    pub fn is_encrypted(&self) -> bool {
        matches!(
            self,
            Self::Tcp(_, Security::Tls) | Self::Relp(_, Security::Tls)
        )
    }

    /// The address and port of one that is not in the file system.
    pub fn socket(&self) -> Option<SocketAddr> {
        match self {
            Self::Udp(at) | Self::Tcp(at, _) | Self::Relp(at, _) => Some(*at),
            Self::UnixDatagram(_) | Self::UnixStream(_) => None,
        }
    }

    /// The path of a socket in the file system.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::UnixDatagram(path) | Self::UnixStream(path) => Some(path),
            Self::Udp(_) | Self::Tcp(..) | Self::Relp(..) => None,
        }
    }
}

/// As it is written in the configuration.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(at) => write!(f, "udp://{at}"),
            Self::Tcp(at, Security::Plain) => write!(f, "tcp://{at}"),
            Self::Tcp(at, Security::Tls) => write!(f, "tls://{at}"),
            Self::Relp(at, Security::Plain) => write!(f, "relp://{at}"),
            Self::Relp(at, Security::Tls) => write!(f, "relp+tls://{at}"),
            Self::UnixDatagram(path) => write!(f, "unix://{}", path.display()),
            Self::UnixStream(path) => write!(f, "unix+stream://{}", path.display()),
        }
    }
}

fn socket(text: &str) -> Result<SocketAddr, AddressError> {
    let wrong = || AddressError::Socket(text.to_owned());
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    let host = match host {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        "*" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return Err(wrong()),
    };
    Ok(SocketAddr::new(host, port))
}

fn path(text: &str) -> Result<PathBuf, AddressError> {
    let path = PathBuf::from(text);
    if path.is_absolute() && path.file_name().is_some() {
        Ok(path)
    } else {
        Err(AddressError::Path(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transport_is_read_and_written_back() {
        for text in [
            "udp://127.0.0.1:5514",
            "tcp://[::1]:514",
            "tls://0.0.0.0:6514",
            "relp://10.0.0.1:2514",
            "relp+tls://[fe80::1]:2514",
            "unix:///run/lapwing/syslog.sock",
            "unix+stream:///run/lapwing/stream.sock",
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        let every = Address::parse("tcp://*:514").unwrap();
        assert_eq!(every.to_string(), "tcp://[::]:514");
        let here = Address::parse("udp://localhost:1").unwrap();
        assert_eq!(here.to_string(), "udp://127.0.0.1:1");
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_is_wrong() {
        for (text, message) in [
            ("http://127.0.0.1:1", "there is no transport `http`"),
            ("5514", "there is no transport `5514`"),
            ("udp://127.0.0.1", "`127.0.0.1` is no address and port"),
            ("tcp://web-1:514", "`web-1:514` is no address and port"),
            (
                "tcp://127.0.0.1:70000",
                "`127.0.0.1:70000` is no address and port",
            ),
            ("unix://run/sock", "`run/sock` is no absolute path"),
            ("unix:///", "`/` is no absolute path"),
        ] {
            assert_eq!(Address::parse(text).unwrap_err().to_string(), message);
        }
    }
}
