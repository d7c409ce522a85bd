//! The store's thread while the disk takes nothing: what is told, what is kept, what is recorded
//! once it takes something again.

use std::sync::mpsc::{Receiver, Sender};
use std::thread::JoinHandle;

use super::disk::Disk;
use super::*;
use crate::clock;

/// A store's thread over a disk that fails when it is told to.
struct Running {
    disk: Disk,
    reader: Reader,
    health: Arc<Health>,
    send: Sender<StoreMessage>,
    reports: Receiver<Report>,
    thread: Option<JoinHandle<()>>,
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = clock::monotonic() + Duration::from_secs(30);
    while !holds() {
        assert!(clock::monotonic() < deadline, "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Running {
    fn new() -> Self {
        let disk = Disk::default();
        let store = disk.store();
        let (reader, health) = (store.reader(), store.health());
        let (send, inbox) = mpsc::channel();
        let (tell, reports) = mpsc::channel();
        let body = move || {
            let after = |report: &Report| tell.send(report.clone()).unwrap_or_default();
            run(store, &inbox, after).unwrap();
        };
        let thread = std::thread::Builder::new().spawn(body).unwrap();
        Self {
            disk,
            reader,
            health,
            send,
            reports,
            thread: Some(thread),
        }
    }

    fn send(&self, message: impl FnOnce(Reply) -> StoreMessage) -> Result<Done, Arc<StoreError>> {
        let (tell, told) = mpsc::channel();
        let reply = Box::new(move |result| tell.send(result).unwrap());
        self.send.send(message(reply)).unwrap();
        told.recv().unwrap()
    }

    fn commit(&self, commit: &Arc<Commit>) -> Result<Done, Arc<StoreError>> {
        self.send(|reply| StoreMessage::Commit(Arc::clone(commit), reply))
    }

    fn settle(&self, settlement: Settlement) -> Result<Done, Arc<StoreError>> {
        self.send(|reply| StoreMessage::Settle(vec![settlement], reply))
    }

    /// Sends it, as the pump does, until it is at least in memory.
    fn insist(&self, commit: &Arc<Commit>) {
        until("it is told from memory", || self.commit(commit).is_ok());
    }

    fn stop(&mut self) {
        self.send.send(StoreMessage::Stop).unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn alerts_are_told_from_a_full_disk_and_recorded_once_it_is_well() {
    let mut running = Running::new();
    let old = Arc::new(told(vec![routed(1, &["chat", "hook"])]));
    assert!(matches!(running.commit(&old), Ok(Done::Durable)));
    running.disk.fail();
    let new = Arc::new(told(vec![routed(2, &["chat", "hook"])]));
    running.insist(&new);
    assert!(matches!(running.commit(&new), Ok(Done::InMemory { .. })));
    let view = running.health.view();
    assert_eq!(view.in_memory.rows, 1, "said again, taken once");
    assert!(view.failing.unwrap().error.contains("no storage space"));
    let woken: Vec<_> = running.reports.try_iter().collect();
    assert_eq!(woken.last().unwrap().queued, ["chat", "hook"]);

    // One output takes it; the other is still sending it when the disk is well again.
    let from_memory = |output: &str| {
        let Some(Waiting::Pending(pending)) = running.reader.next_pending(output, None).unwrap()
        else {
            panic!("nothing waits for {output}");
        };
        assert_eq!(pending.notification.seq, 2);
        assert!(!Reader::is_on_disk(pending.key));
        pending.key
    };
    let key = from_memory("chat");
    let done = running.settle(settlement("chat", key, Outcome::Delivered));
    assert!(matches!(done, Ok(Done::InMemory { .. })), "{done:?}");
    let late = from_memory("hook");

    running.disk.be_well();
    until("all is recorded", || {
        running.health.view().failing.is_none()
    });
    assert_eq!(running.health.view().in_memory.rows, 0);
    let done = running.settle(settlement("hook", late, Outcome::Delivered));
    assert!(matches!(done, Ok(Done::Durable)));
    for output in ["chat", "hook"] {
        assert_eq!(waiting(&running.reader, output), [1], "{output}");
        running
            .settle(settlement(output, 1, Outcome::Delivered))
            .unwrap();
    }
    // What was told from memory is not told again when its lines are read again.
    running.commit(&new).unwrap();
    assert_eq!(waiting(&running.reader, "chat"), [0_u32; 0]);
    let history = running.reader.history(None, 10).unwrap();
    assert_eq!(history.len(), 2);
    for entry in history {
        let outcomes: Vec<_> = entry.deliveries.iter().map(|d| d.outcome).collect();
        assert_eq!(
            outcomes,
            [Outcome::Delivered; 2],
            "{}",
            entry.notification.seq
        );
    }
    running.stop();
}

#[test]
fn what_was_not_delivered_from_memory_waits_on_disk_afterwards() {
    let mut running = Running::new();
    running.disk.fail();
    running.insist(&Arc::new(told(vec![
        routed(1, &["chat"]),
        routed(2, &["chat"]),
    ])));
    let tried = Settlement {
        attempts: 3,
        last_error: Some("HTTP 503".to_owned()),
        ..settlement("chat", 1 << 63, Outcome::Waiting)
    };
    running.settle(tried).unwrap();
    running.disk.be_well();
    until("all is recorded", || {
        running.health.view().failing.is_none()
    });
    assert_eq!(waiting(&running.reader, "chat"), [1, 2]);
    let Some(Waiting::Pending(first)) = running.reader.next_pending("chat", None).unwrap() else {
        panic!("nothing waits");
    };
    assert_eq!((first.attempts, Reader::is_on_disk(first.key)), (3, true));
    running.stop();
}

#[test]
fn positions_are_not_taken_into_memory() {
    let mut running = Running::new();
    running.disk.fail();
    let commit = Arc::new(Commit {
        positions: vec![position(1, 10)],
        ..told(vec![routed(1, &["chat"])])
    });
    running.insist(&commit);
    running.disk.be_well();
    until("all is recorded", || {
        running.health.view().failing.is_none()
    });
    running.stop();
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("state.redb"), running.disk.image()).unwrap();
    let (store, saved) = open(dir.path());
    assert!(saved.positions.is_empty(), "nobody sent them again");
    assert_eq!(waiting(&store.reader(), "chat"), [1]);
}

#[test]
fn when_memory_is_full_too_the_pump_is_told_to_keep_the_rest() {
    let mut running = Running::new();
    running.disk.fail();
    running.insist(&Arc::new(told(vec![routed(0, &["chat"])])));
    let bare = |seq| {
        let mut routed = routed(seq, &["chat"]);
        routed.notification.samples.clear();
        routed
    };
    let many = Arc::new(told((1..=10_000).map(bare).collect()));
    assert!(running.commit(&many).is_err());
    let full = running.health.view().in_memory.rows;
    assert_eq!(full, 10_000);
    // What every output has done with makes way, and is counted.
    let Some(Waiting::Pending(first)) = running.reader.next_pending("chat", None).unwrap() else {
        panic!("nothing waits");
    };
    running
        .settle(settlement("chat", first.key, Outcome::Delivered))
        .unwrap();
    assert!(matches!(running.commit(&many), Ok(Done::InMemory { .. })));
    let view = running.health.view();
    assert_eq!((view.in_memory.rows, view.dropped.unrecorded), (full, 1));
    running.disk.be_well();
    until("all is recorded", || {
        running.health.view().failing.is_none()
    });
    let queue = running.reader.queue("chat").unwrap();
    assert_eq!(queue.rows, 10_000);
    running.stop();
}
