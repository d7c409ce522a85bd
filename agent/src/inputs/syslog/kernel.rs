//! Datagrams that the kernel dropped because a socket's buffer was full, as it counts them itself.

use std::fs;
use std::os::fd::AsFd;

/// How many the kernel has dropped of this socket so far; `None` where it does not say. The count
/// goes round at 2³².
pub(super) fn drops(socket: impl AsFd) -> Option<u32> {
    let inode = rustix::fs::fstat(socket).ok()?.st_ino;
    // Below this process's own folder: with nothing but processes in `/proc` (`ProcSubset=pid`) there
    // is no other.
    ["/proc/self/net/udp", "/proc/self/net/udp6"]
        .iter()
        .find_map(|table| drops_in(&fs::read_to_string(table).ok()?, inode))
}

/// `sl local remote st queues tr retrnsmt uid timeout inode ref pointer drops`
fn drops_in(table: &str, inode: u64) -> Option<u32> {
    table.lines().skip(1).find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let is_it = words.nth(9)?.parse() == Ok(inode);
        is_it.then(|| words.nth(2)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_known_where_nothing_but_processes_stands_in_proc() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(drops(&socket), Some(0));
        let file = fs::File::open("/proc/self/status").unwrap();
        assert_eq!(drops(&file), None, "no socket at all");
    }

    #[test]
    fn the_drops_of_one_socket_are_found() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops             \n\
            1234: 0100007F:158A 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 77 2 0000000000000000 5\n\
            1235: 0100007F:158B 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 78 2 0000000000000000 4294967295\n";
        assert_eq!(drops_in(table, 77), Some(5));
        assert_eq!(drops_in(table, 78), Some(u32::MAX));
        assert_eq!(drops_in(table, 79), None);
    }
}
