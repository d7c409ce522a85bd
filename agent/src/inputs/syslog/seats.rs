//! Who may have a connection, and which one has to go. It closes nothing and knows no socket.
//!
//! Each open connection has a [`Seat`]. Where all of an input's are taken, a newcomer gets one of a peer
//! that has at least two more: nobody can keep all others out. Who is on this host has seats apart from
//! those of the network. The bytes of messages under way that all connections hold together are bounded:
//! the one that holds most goes.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

/// What all connections may hold of messages under way.
const MOST_HELD: usize = 32 * 1024 * 1024;
/// A limit for messages that leaves less than so many of them room raises that one.
const LEAST_MESSAGES: usize = 4;

/// Whose a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Who {
    /// A process of this host, over a socket in the file system.
    Local,
    /// A host. Of IPv6 its network, out of which it has as many addresses as it likes.
    Host(IpAddr),
}

impl Who {
    pub(super) fn of(address: IpAddr) -> Self {
        Self::Host(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX));
                IpAddr::V6(network)
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// Why a connection has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evicted {
    /// Another peer has fewer.
    ForAnother,
    /// Of all it held most.
    HeldMost,
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Seats(RefCell<Table>);

#[derive(Debug, Default)]
struct Table {
    open: HashMap<u64, Rc<Inner>>,
    counts: HashMap<(Arc<str>, Who), u64>,
    next: u64,
    /// What all hold.
    held: usize,
}

#[derive(Debug)]
struct Inner {
    of: (Arc<str>, Who),
    held: Cell<usize>,
    heard: Cell<Instant>,
    evicted: Cell<Option<Evicted>>,
    told: Notify,
}

/// Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    number: u64,
    inner: Rc<Inner>,
    all: Rc<Seats>,
}

impl Seats {
    /// A seat for a newcomer, where each side of the input `input` has `most`; `None`: there is none.
    pub(super) fn take(
        self: &Rc<Self>,
        input: &Arc<str>,
        who: Who,
        most: u64,
        now: Instant,
    ) -> Option<Seat> {
        let mut table = self.0.borrow_mut();
        let is_beside =
            |it: &(Arc<str>, Who)| it.0 == *input && (it.1 == Who::Local) == (who == Who::Local);
        let beside = || table.counts.iter().filter(|(it, _)| is_beside(it));
        if beside().map(|(_, count)| count).sum::<u64>() >= most {
            let own = table.counts.get(&(Arc::clone(input), who));
            let own = own.copied().unwrap_or(0);
            let (greediest, count) = beside().max_by_key(|(_, count)| **count)?;
            if own + 2 > *count {
                return None;
            }
            let theirs = table.open.values().filter(|it| it.of == *greediest);
            let silent = theirs.min_by_key(|it| it.heard.get()).map(Rc::clone)?;
            table.evict(&silent, Evicted::ForAnother);
        }
        let inner = Rc::new(Inner {
            of: (Arc::clone(input), who),
            held: Cell::new(0),
            heard: Cell::new(now),
            evicted: Cell::new(None),
            told: Notify::new(),
        });
        table.next += 1;
        let number = table.next;
        table.open.insert(number, Rc::clone(&inner));
        *table.counts.entry(inner.of.clone()).or_default() += 1;
        let all = Rc::clone(self);
        Some(Seat { number, inner, all })
    }
}

impl Table {
    /// It is no longer counted, however long it takes until it is gone.
    fn evict(&mut self, inner: &Rc<Inner>, why: Evicted) {
        inner.evicted.set(Some(why));
        inner.told.notify_one();
        self.open.retain(|_, it| !Rc::ptr_eq(it, inner));
        self.forget(inner);
    }

    fn forget(&mut self, inner: &Inner) {
        self.held -= inner.held.take();
        if let Some(count) = self.counts.get_mut(&inner.of) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&inner.of);
            }
        }
    }
}

impl Seat {
    /// Its other side has said something.
    pub(super) fn heard(&self, now: Instant) {
        self.inner.heard.set(now);
    }

    /// It holds so many bytes of messages under way now, each of at most `max_bytes`.
    pub(super) fn hold(&self, bytes: usize, max_bytes: usize) {
        let before = self.inner.held.get();
        if before == bytes || self.inner.evicted.get().is_some() {
            return;
        }
        let mut table = self.all.0.borrow_mut();
        self.inner.held.set(bytes);
        table.held = table.held - before + bytes;
        let most = MOST_HELD.max(max_bytes.saturating_mul(LEAST_MESSAGES));
        if bytes > before && table.held > most {
            let greediest = table.open.values().max_by_key(|it| it.held.get());
            if let Some(greediest) = greediest.map(Rc::clone) {
                table.evict(&greediest, Evicted::HeldMost);
            }
        }
    }

    /// Waits until it has to go.
    pub(super) async fn evicted(&self) -> Evicted {
        loop {
            if let Some(why) = self.inner.evicted.get() {
                return why;
            }
            self.inner.told.notified().await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = self.all.0.borrow_mut();
        if table.open.remove(&self.number).is_some() {
            table.forget(&self.inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn who(address: &str) -> Who {
        Who::of(address.parse().unwrap())
    }

    fn is_evicted(seat: &Seat) -> bool {
        seat.inner.evicted.get().is_some()
    }

    #[test]
    fn one_host_that_takes_all_connections_keeps_no_other_out() {
        let (seats, input, now) = (Rc::new(Seats::default()), Arc::from("net"), Instant::now());
        let take = |who| seats.take(&input, who, 4, now);
        let greedy = who("203.0.113.1");
        let theirs: Vec<Seat> = (0..4).map_while(|_| take(greedy)).collect();
        assert_eq!(theirs.len(), 4);
        for (seat, age) in theirs.iter().zip([3, 1, 9, 2]) {
            seat.heard(now + Duration::from_secs(age));
        }
        assert!(take(greedy).is_none(), "it has as many as there are");
        let other = take(who("203.0.113.2")).unwrap();
        assert!(
            is_evicted(&theirs[1]),
            "the one that was silent for longest"
        );
        let another = take(who("203.0.113.2")).unwrap();
        assert!(is_evicted(&theirs[3]));
        assert_eq!(theirs.iter().filter(|it| is_evicted(it)).count(), 2);
        // Two each: nobody takes any more from anybody but a third.
        assert!(take(greedy).is_none() && take(who("203.0.113.2")).is_none());
        take(who("203.0.113.3")).unwrap();
        drop((other, another, theirs));
        assert!(seats.0.borrow().open.is_empty() && seats.0.borrow().counts.is_empty());
    }

    #[test]
    fn processes_of_this_host_have_connections_of_their_own() {
        let (seats, input, now) = (Rc::new(Seats::default()), Arc::from("net"), Instant::now());
        let remote = seats.take(&input, who("203.0.113.1"), 1, now).unwrap();
        let local = seats.take(&input, Who::Local, 1, now).unwrap();
        assert!(seats.take(&input, Who::Local, 1, now).is_none());
        let elsewhere = seats.take(&Arc::from("other"), who("203.0.113.1"), 1, now);
        assert!(elsewhere.is_some());
        assert!(!is_evicted(&remote) && !is_evicted(&local));
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer_and_an_address_of_ipv4_is_one_however_it_is_written() {
        assert_eq!(who("2001:db8::1"), who("2001:db8::ffff:2"));
        assert_ne!(who("2001:db8::1"), who("2001:db8:0:1::1"));
        assert_eq!(who("::ffff:203.0.113.1"), who("203.0.113.1"));
    }

    #[test]
    fn unfinished_messages_of_very_many_connections_take_no_more_than_32_mib() {
        let (seats, input, now) = (Rc::new(Seats::default()), Arc::from("net"), Instant::now());
        let max = 256 * 1024;
        let seats: Vec<Seat> = (0..1_000)
            .map(|_| seats.take(&input, Who::Local, 1_000, now).unwrap())
            .collect();
        for (number, seat) in seats.iter().enumerate() {
            seat.hold(10, max);
            seat.hold(100_000 + number, max);
            assert!(seat.all.0.borrow().held <= MOST_HELD);
        }
        let gone = seats.iter().filter(|it| is_evicted(it)).count();
        assert!((600..=700).contains(&gone), "{gone}");
        for seat in &seats {
            seat.hold(0, max);
        }
        assert_eq!(seats[0].all.0.borrow().held, 0);
        // One message of the greatest length there is has room in any case.
        seats
            .iter()
            .find(|it| !is_evicted(it))
            .unwrap()
            .hold(64 << 20, 64 << 20);
        assert_eq!(seats.iter().filter(|it| is_evicted(it)).count(), gone);
    }
}
