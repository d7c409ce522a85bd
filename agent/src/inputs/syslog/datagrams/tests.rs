use std::net::Ipv4Addr;
use std::sync::Mutex;

use super::super::Config;
use super::super::Spec;
use super::*;
use crate::inputs::Event;

fn host(number: usize) -> Sender {
    let bits = u32::try_from(number).unwrap();
    Sender::Host(IpAddr::V4(Ipv4Addr::from_bits(bits)))
}

fn current() -> Current {
    let config = Config {
        input: "net".into(),
        id: lapwing_rules::model::InputId(0),
        spec: Spec {
            listen: Vec::new(),
            tls: None,
            max_connections: 1,
            idle_timeout: Spec::IDLE_TIMEOUT,
        },
        max_line_bytes: 100_000,
        host: "here".into(),
    };
    Current {
        config,
        tls: None,
        counters: Arc::default(),
    }
}

/// Of each batch, what it holds.
fn collecting() -> (Shared, Arc<Mutex<Vec<Vec<u8>>>>) {
    let shared = Shared::new(super::super::counters::All::default());
    let got: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let theirs = Arc::clone(&got);
    let hand = move |event| {
        if let Event::Lines { batch, .. } = event {
            theirs.lock().unwrap().push(batch.bytes);
        }
        Ok(())
    };
    shared.stand_behind(Box::new(hand), Box::new(()));
    (shared, got)
}

#[test]
fn a_flood_of_tiny_datagrams_from_many_addresses_is_handed_over_soon() {
    let mut waiting = Waiting::default();
    let taken = (0..1_000_000)
        .take_while(|number| {
            let is_full = waiting.is_full();
            if !is_full {
                waiting.take(host(*number), b"x", 1, 100);
            }
            !is_full
        })
        .count();
    assert!(taken <= MOST_IN_A_READ, "{taken}");
    assert_eq!(waiting.empty().len(), taken);
    assert!(!waiting.is_full());
}

#[test]
fn datagrams_of_no_byte_take_no_memory_and_end_a_read() {
    let mut waiting = Waiting::default();
    for number in 0..MOST_IN_A_READ {
        waiting.take(host(number), b"\n\0", 2, 100);
    }
    assert!(waiting.is_full());
    assert!(waiting.places.is_empty());
    assert!(waiting.empty().is_empty());
}

#[tokio::test]
async fn datagrams_of_no_byte_count_for_the_bound_of_a_read() {
    let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_nonblocking(true).unwrap();
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..3 {
        sender.send_to(b"", receiver.local_addr().unwrap()).unwrap();
    }
    let socket = Socket::Udp(UdpSocket::from_std(receiver).unwrap());
    let mut reader = Reader::new(None, 0);
    assert!(reader.read(&socket, 100).unwrap());
    assert_eq!(reader.waiting.datagrams, 3);
}

#[tokio::test]
async fn what_nobody_takes_is_not_counted_as_received() {
    let shared = Shared::new(super::super::counters::All::default());
    shared.stand_behind(Box::new(|_| Err(Closed)), Box::new(()));
    let mut reader = Reader::new(None, 0);
    reader.waiting.take(host(1), b"<13>hello", 9, 100);
    let current = current();
    assert_eq!(reader.hand_over(&shared, &current), Err(Closed));
    let counters = &current.counters;
    assert_eq!((counters.messages.get(), counters.bytes.get()), (0, 0));
}

#[test]
fn each_sender_s_datagrams_stay_in_order_however_they_alternate() {
    let mut waiting = Waiting::default();
    for number in 0..9 {
        waiting.take(host(number % 3), number.to_string().as_bytes(), 1, 100);
    }
    let lines = waiting.empty().into_iter();
    let lines: Vec<_> = lines
        .map(|(from, framed, count)| (from, framed.bytes, count))
        .collect();
    assert_eq!(
        lines,
        [
            (host(0), b"0\n3\n6\n".to_vec(), 3),
            (host(1), b"1\n4\n7\n".to_vec(), 3),
            (host(2), b"2\n5\n8\n".to_vec(), 3),
        ]
    );
}

#[tokio::test]
async fn a_stop_while_datagrams_come_without_end_comes_to_an_end() {
    let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_nonblocking(true).unwrap();
    let to = receiver.local_addr().unwrap();
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.send_to(b"<13>first", to).unwrap();
    let shared = Shared::new(super::super::counters::All::default());
    let hand = move |_| {
        // Whenever some were taken there are more.
        sender.send_to(b"<13>next", to).unwrap();
        Ok(())
    };
    shared.stand_behind(Box::new(hand), Box::new(()));
    let socket = Socket::Udp(UdpSocket::from_std(receiver).unwrap());
    let mut reader = Reader::new(None, 0);
    let current = current();
    let until = clock::monotonic() + Duration::from_millis(20);
    reader
        .drain(&socket, &shared, &current, until)
        .await
        .unwrap();
    assert!(clock::monotonic() >= until);
    assert!(current.counters.messages.get() > 1);
}

#[tokio::test]
async fn a_datagram_that_the_system_cut_is_marked_and_counted() {
    let (receiver, sender) = std::os::unix::net::UnixDatagram::pair().unwrap();
    receiver.set_nonblocking(true).unwrap();
    sender.send(&vec![b'x'; SLOT_BYTES]).unwrap();
    sender.send(&vec![b'y'; SLOT_BYTES + 1]).unwrap();
    let socket = Socket::Unix(UnixDatagram::from_std(receiver).unwrap());
    let mut reader = Reader::new(Some("/dev/log".into()), 0);
    reader.read(&socket, 1_000_000).unwrap();
    let (shared, got) = collecting();
    let current = current();
    reader.hand_over(&shared, &current).unwrap();
    assert_eq!(current.counters.messages.get(), 2);
    assert_eq!(current.counters.cut.get(), 1);
    assert_eq!(got.lock().unwrap()[0].len(), 2 * (SLOT_BYTES + 1));
}
