//! Opens sockets: those that the service manager handed over, else new ones. What stands at the path
//! of a socket is replaced only when it is a socket that nobody listens at.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, FromRawFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use nix::sys::socket::sockopt::TcpMaxSeg;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType, sockopt};

use super::address::Address;

/// What a burst of datagrams may take while nobody reads: the kernel grants twice that, and bears it
/// only while it is filled.
const DATAGRAM_BUFFER: usize = 32 * 1024 * 1024;
/// Senders over RELP are asked for segments no longer than this, in bytes. librelp corks its socket
/// (`tcp(7)`) while it sends a batch; once its window of 128 messages is full it waits for
/// acknowledgements of what stands in a segment that is not full, and so was not sent, until the kernel
/// gives up after 200 ms. On this host's own loopback a segment has 64 KiB, which is more than a window:
/// 640 messages a second. Full ones go out at once.
const RELP_SEGMENT: u32 = 1_400;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;
/// The first descriptor that a service manager hands over.
const FIRST_HANDED: i32 = 3;

/// Sockets that the service manager opened, until they are asked for.
static HANDED: LazyLock<Mutex<Vec<OwnedFd>>> = LazyLock::new(|| Mutex::new(handed_over()));

/// A socket that listens at `address`; one that waits for nothing.
///
/// # Errors
///
/// That of the system; what it says of a path names the path's trouble.
pub(super) fn open(address: &Address) -> io::Result<OwnedFd> {
    let socket = open_plainly(address)?;
    if matches!(address, Address::Relp(..))
        && let Err(error) = nix::sys::socket::setsockopt(&socket, TcpMaxSeg, &RELP_SEGMENT)
    {
        // It only makes senders of this host slow.
        tracing::debug!(%error, "segments at {address} are as long as the system has them");
    }
    Ok(socket)
}

fn open_plainly(address: &Address) -> io::Result<OwnedFd> {
    if let Some(socket) = take_handed(address) {
        rustix::io::ioctl_fionbio(&socket, true)?;
        if matches!(address, Address::Udp(_) | Address::UnixDatagram(_)) {
            enlarge(&socket);
        }
        return Ok(socket);
    }
    match address {
        Address::Udp(at) => internet(*at, SocketType::DGRAM),
        Address::Tcp(at, _) | Address::Relp(at, _) => {
            let socket = internet(*at, SocketType::STREAM)?;
            rustix::net::listen(&socket, BACKLOG)?;
            Ok(socket)
        }
        Address::UnixDatagram(path) => local(path, SocketType::DGRAM),
        Address::UnixStream(path) => local(path, SocketType::STREAM),
    }
}

/// Whether a socket could be opened at `address` now. At a path nothing is made; elsewhere it is opened, and
/// given: held until the others of a configuration have been tried, it is in the way of those as it would be.
///
/// # Errors
///
/// Why not.
pub fn try_listening(address: &Address) -> io::Result<Option<OwnedFd>> {
    match address {
        Address::Udp(at) => internet(*at, SocketType::DGRAM).map(Some),
        Address::Tcp(at, _) | Address::Relp(at, _) => {
            let socket = internet(*at, SocketType::STREAM)?;
            rustix::net::listen(&socket, 0)?;
            Ok(Some(socket))
        }
        Address::UnixDatagram(path) | Address::UnixStream(path) => {
            SocketAddrUnix::new(made_name(path))?;
            may_stand(path)?;
            // The nearest that is there: the agent makes the rest.
            let there = path.ancestors().skip(1).find(|folder| folder.exists());
            let there = there.unwrap_or(Path::new("/"));
            if !there.is_dir() {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            let access = Access::WRITE_OK | Access::EXEC_OK;
            accessat(CWD, there, access, AtFlags::EACCESS)?;
            Ok(None)
        }
    }
}

fn internet(at: SocketAddr, kind: SocketType) -> io::Result<OwnedFd> {
    let family = if at.is_ipv6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let make = || -> io::Result<OwnedFd> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(family, kind, flags, None)?;
        if kind == SocketType::STREAM {
            sockopt::set_socket_reuseaddr(&socket, true)?;
        } else {
            enlarge(&socket);
        }
        Ok(socket)
    };
    let socket = make()?;
    match rustix::net::bind(&socket, &at) {
        // Somebody, perhaps this very agent, has the port for IPv4.
        Err(rustix::io::Errno::ADDRINUSE) if at.is_ipv6() && at.ip().is_unspecified() => {
            let socket = make()?;
            sockopt::set_ipv6_v6only(&socket, true)?;
            rustix::net::bind(&socket, &at)?;
            Ok(socket)
        }
        bound => {
            bound?;
            Ok(socket)
        }
    }
}

/// As much as the system allows; more than its limit with the right to it.
fn enlarge(socket: &OwnedFd) {
    if sockopt::set_socket_recv_buffer_size_force(socket, DATAGRAM_BUFFER / 2).is_err() {
        // What the limit allows is what there is.
        sockopt::set_socket_recv_buffer_size(socket, DATAGRAM_BUFFER / 2).ok();
    }
}

/// Made under another name and renamed: at no moment does it stand there with other rights, and what
/// a killed agent left is replaced. Whoever is on this host may write, as to `/dev/log`.
fn local(path: &Path, kind: SocketType) -> io::Result<OwnedFd> {
    may_stand(path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None)?;
    if kind == SocketType::DGRAM {
        enlarge(&socket);
    }
    let made = made_name(path);
    // What an agent left that was killed just here.
    fs::remove_file(&made).ok();
    rustix::net::bind(&socket, &SocketAddrUnix::new(&made)?)?;
    let placed = fs::set_permissions(&made, Permissions::from_mode(0o666))
        .and_then(|()| match kind {
            SocketType::STREAM => Ok(rustix::net::listen(&socket, BACKLOG)?),
            _ => Ok(()),
        })
        .and_then(|()| fs::rename(&made, path));
    if placed.is_err() {
        fs::remove_file(&made).ok();
    }
    placed.map(|()| socket)
}

/// Whether nothing is in the way at the path of a socket but one that is nobody's any more.
fn may_stand(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => {
            let what = "something that is no socket stands there";
            Err(io::Error::new(io::ErrorKind::AlreadyExists, what))
        }
        Ok(_) if !is_stale(path)? => Err(io::ErrorKind::AddrInUse.into()),
        _ => Ok(()),
    }
}

/// What stands at the path of a socket that was opened: tells when that is taken away, or is another's.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Place {
    /// Of a socket that has just been opened; `None` where its address is no path.
    pub(super) fn of(address: &Address) -> Option<Self> {
        let path = address.path()?.to_owned();
        let there = fs::symlink_metadata(&path).ok()?;
        Some(Self {
            path,
            device: there.dev(),
            inode: there.ino(),
        })
    }

    /// Whether it is still the same.
    pub(super) fn holds(&self) -> bool {
        let there = fs::symlink_metadata(&self.path);
        there.is_ok_and(|there| there.dev() == self.device && there.ino() == self.inode)
    }

    /// Takes it away, unless it is another's by now.
    pub(super) fn remove(&self) {
        if self.holds() {
            // Somebody may be quicker.
            fs::remove_file(&self.path).ok();
        }
    }
}

fn made_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// Whether the socket that stands there is nobody's any more. Only a refusal says so: one of another
/// kind is somebody's, and so is one whose owner takes no more connections just now, for which nobody
/// here waits.
fn is_stale(path: &Path) -> io::Result<bool> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let asked = rustix::net::connect(&socket, &SocketAddrUnix::new(path)?);
    Ok(matches!(
        asked,
        Err(rustix::io::Errno::CONNREFUSED | rustix::io::Errno::NOENT)
    ))
}

/// The socket that the service manager opened for this address.
fn take_handed(address: &Address) -> Option<OwnedFd> {
    let mut handed = HANDED.lock().unwrap_or_else(PoisonError::into_inner);
    let index = handed.iter().position(|socket| is_of(socket, address))?;
    Some(handed.swap_remove(index))
}

fn is_of(socket: &OwnedFd, address: &Address) -> bool {
    let kind = sockopt::socket_type(socket);
    let Ok(name) = rustix::net::getsockname(socket) else {
        return false;
    };
    let at = |wanted: &SocketAddr| SocketAddr::try_from(name.clone()).is_ok_and(|at| at == *wanted);
    let path = |wanted: &Path| {
        let name = SocketAddrUnix::try_from(name.clone()).ok();
        let bytes = name.as_ref().and_then(SocketAddrUnix::path_bytes);
        bytes.is_some_and(|bytes| bytes == wanted.as_os_str().as_encoded_bytes())
    };
    match address {
        Address::Udp(wanted) => kind == Ok(SocketType::DGRAM) && at(wanted),
        Address::Tcp(wanted, _) | Address::Relp(wanted, _) => {
            kind == Ok(SocketType::STREAM) && at(wanted)
        }
        Address::UnixDatagram(wanted) => kind == Ok(SocketType::DGRAM) && path(wanted),
        Address::UnixStream(wanted) => kind == Ok(SocketType::STREAM) && path(wanted),
    }
}

/// `LISTEN_FDS` descriptors from 3 on, where `LISTEN_PID` is this process: `sd_listen_fds(3)`.
fn handed_over() -> Vec<OwnedFd> {
    let number = |name| std::env::var(name).ok()?.parse::<i32>().ok();
    let is_ours = number("LISTEN_PID").is_some_and(|pid| pid.cast_unsigned() == std::process::id());
    let count = number("LISTEN_FDS").filter(|_| is_ours).unwrap_or(0);
    let numbers = FIRST_HANDED..FIRST_HANDED.saturating_add(count.clamp(0, 1024));
    numbers.filter_map(adopt).collect()
}

/// A socket that was handed over; `None` where there is none of that number.
#[expect(unsafe_code, reason = "nothing safe makes a descriptor of a number")]
fn adopt(number: i32) -> Option<OwnedFd> {
    if !Path::new(&format!("/proc/self/fd/{number}")).exists() {
        return None;
    }
    // SAFETY: the descriptor is open, as was just seen, and by the protocol of LISTEN_FDS it was
    // opened for this process, which has nowhere else made anything of its number: this runs once.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(socket.as_fd(), rustix::io::FdFlags::CLOEXEC).ok()?;
    Some(socket)
}

/// Where a socket listens: tells which port 0 became.
pub(super) fn bound(socket: &OwnedFd) -> Option<SocketAddr> {
    let name: SocketAddrAny = rustix::net::getsockname(socket).ok()?;
    SocketAddr::try_from(name).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

    use super::*;

    #[test]
    fn a_socket_of_another_kind_that_somebody_listens_at_is_not_taken_for_a_stale_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let (as_stream, as_datagrams) = (
            Address::UnixStream(path.clone()),
            Address::UnixDatagram(path.clone()),
        );
        let is_in_use = |address| {
            let why = open(address).unwrap_err();
            assert_eq!(why.kind(), io::ErrorKind::AddrInUse);
        };
        let datagrams = UnixDatagram::bind(&path).unwrap();
        is_in_use(&as_stream);
        is_in_use(&as_datagrams);
        drop(datagrams);
        let streams = open(&as_stream).unwrap();
        is_in_use(&as_datagrams);
        is_in_use(&as_stream);
        drop(streams);
        open(&as_datagrams).unwrap();
    }

    #[test]
    fn a_sender_over_relp_is_asked_for_short_segments() {
        let address = Address::parse("relp://127.0.0.1:0").unwrap();
        let socket = open(&address).unwrap();
        let _sender = std::net::TcpStream::connect(bound(&socket).unwrap()).unwrap();
        let accepted = rustix::net::accept(&socket).unwrap();
        let segment = nix::sys::socket::getsockopt(&accepted, TcpMaxSeg).unwrap();
        assert!(segment <= RELP_SEGMENT, "{segment}");
    }

    #[test]
    fn a_daemon_that_takes_no_connections_keeps_its_socket_and_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let stuck = UnixListener::bind(&path).unwrap();
        rustix::net::listen(&stuck, 0).unwrap();
        let full = {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let kind = SocketType::STREAM;
            let socket = || rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None);
            let to = SocketAddrUnix::new(&path).unwrap();
            let mut waiting = Vec::new();
            loop {
                waiting.push(socket().unwrap());
                if rustix::net::connect(waiting.last().unwrap(), &to).is_err() {
                    break waiting;
                }
            }
        };
        // With a connection that waits to be accepted each of these would hang for good.
        for address in [
            Address::UnixStream(path.clone()),
            Address::UnixDatagram(path.clone()),
        ] {
            let why = open(&address).unwrap_err();
            assert_eq!(why.kind(), io::ErrorKind::AddrInUse);
        }
        drop(full);
        drop(stuck);
        drop(UnixStream::connect(&path).unwrap_err());
        open(&Address::UnixStream(path)).unwrap();
    }
}
