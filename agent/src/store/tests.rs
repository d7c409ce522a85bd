//! The store against restarts, crashes at every write, failing disks and damaged files.

mod damage;
mod disk;
mod memory;

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use lapwing_rules::model::{Status, Timestamp};
use lapwing_rules::scanner::Memory;
use tempfile::tempdir;

use super::*;
use crate::inputs::Check;
use crate::outputs::sample::{at, notification};

fn now() -> Timestamp {
    at("2026-11-21T09:00:46Z")
}

fn position(inode: u64, offset: u64) -> Position {
    Position {
        key: PositionKey {
            input: "nginx".to_owned(),
            device: 7,
            inode,
        },
        path: "/var/log/nginx/access.log".into(),
        offset,
        head: Check {
            len: 4096,
            hash: u64::MAX,
        },
        tail: Check { len: 256, hash: 1 },
        seen_at: now(),
        done: inode.is_multiple_of(2),
        memory: Memory {
            last_time: Some(Timestamp::from_secs(7)),
            format: Some("nginx".to_owned()),
            ..Memory::default()
        },
    }
}

fn group(name: &str, state: Option<&str>) -> GroupRecord {
    let state = state.map(|state| state.as_bytes().to_vec());
    GroupRecord {
        rule: "burst".to_owned(),
        group: name.to_owned(),
        state,
        ..GroupRecord::default()
    }
}

fn routed(seq: u32, outputs: &[&str]) -> Routed {
    let mut notification = notification();
    notification.seq = seq;
    Routed {
        notification,
        outputs: outputs.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn told(notifications: Vec<Routed>) -> Commit {
    Commit {
        notifications,
        ..Commit::default()
    }
}

fn settlement(output: &str, key: u64, outcome: Outcome) -> Settlement {
    Settlement::new(output, key, outcome, 1, None)
}

fn open(dir: &Path) -> (Store, Saved) {
    Store::open(dir).unwrap()
}

/// Sequence numbers of what waits for `output`, in order.
fn waiting(reader: &Reader, output: &str) -> Vec<u32> {
    let mut after = None;
    let mut found = Vec::new();
    while let Some(Waiting::Pending(pending)) = reader.next_pending(output, after).unwrap() {
        after = Some(pending.key);
        found.push(pending.notification.seq);
    }
    found
}

/// The agent's alert on itself was never told to be over: the next one did not know of it.
#[test]
fn a_commit_that_is_said_to_have_failed_and_is_there_hides_no_note_of_what_could_not_be_saved() {
    let dir = tempdir().unwrap();
    let after = |seconds| now().plus(Duration::from_secs(seconds));
    let (mut store, _) = open(dir.path());
    store.commit(&Commit::default(), now()).unwrap();
    folder::note_unsaved(store.lock.as_ref().unwrap(), now(), now());
    store.commit(&Commit::default(), after(1)).unwrap();
    drop(store);
    let (mut store, saved) = open(dir.path());
    assert_eq!(saved.unsaved_after, Some(now()));
    // This one is known to have succeeded, and so had the one before it.
    store.commit(&Commit::default(), after(2)).unwrap();
    drop(store);
    assert_eq!(open(dir.path()).1.unsaved_after, None);
}

#[test]
fn everything_is_there_after_a_restart() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("state");
    let (mut store, saved) = open(&path);
    assert_eq!(saved.start, Start::Fresh);
    let odd = Position {
        path: OsString::from_vec(b"/var/log/\xff\n\".log".to_vec()).into(),
        ..position(2, 5)
    };
    let first = Commit {
        positions: vec![position(1, 10), odd.clone(), position(3, 1)],
        forgotten: Vec::new(),
        groups: vec![group("a", Some("[1]")), group("b", Some("[2]"))],
        notifications: vec![routed(1, &["chat", "hook"]), routed(2, &["hook"])],
        ..Commit::default()
    };
    let report = store.commit(&first, now()).unwrap();
    assert_eq!(report.queued, ["chat", "hook"]);
    let second = Commit {
        positions: vec![position(1, 20)],
        forgotten: vec![position(3, 0).key],
        groups: vec![group("a", None), group("b", Some("[3]"))],
        notifications: Vec::new(),
        ..Commit::default()
    };
    store.commit(&second, now()).unwrap();
    drop(store);

    let (store, saved) = open(&path);
    assert_eq!(saved.start, Start::Resumed);
    assert_eq!(saved.positions, [position(1, 20), odd]);
    assert_eq!(saved.groups, [group("b", Some("[3]"))]);
    let reader = store.reader();
    assert_eq!(waiting(&reader, "chat"), [1]);
    assert_eq!(waiting(&reader, "hook"), [1, 2]);
    let Some(Waiting::Pending(pending)) = reader.next_pending("hook", None).unwrap() else {
        panic!("nothing")
    };
    assert_eq!(
        (pending.notification, pending.queued_at),
        (notification(), now())
    );
}

#[test]
fn only_the_owner_can_read_it() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("state");
    let _store = open(&path);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&path) & 0o027, 0);
    assert_eq!(mode(&path.join("state.redb")), 0o600);
    assert_eq!(mode(&path.join("lock")), 0o600);
}

#[test]
fn the_first_start_is_over_with_the_first_commit() {
    let dir = tempdir().unwrap();
    assert_eq!(open(dir.path()).1.start, Start::Fresh);
    let (mut store, saved) = open(dir.path());
    assert_eq!(saved.start, Start::Fresh, "nothing was committed");
    store.commit(&Commit::default(), now()).unwrap();
    drop(store);
    assert_eq!(open(dir.path()).1.start, Start::Resumed);
}

#[test]
fn a_second_agent_is_refused() {
    let dir = tempdir().unwrap();
    let first = open(dir.path());
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }));
    let told = error.to_string();
    assert!(
        told.starts_with("another lapwing uses this state folder: /"),
        "{told}"
    );
    drop(first);
    open(dir.path());
}

#[test]
fn what_is_said_twice_is_queued_once() {
    let dir = tempdir().unwrap();
    let (mut store, _) = open(dir.path());
    store
        .commit(&told(vec![routed(1, &["chat"])]), now())
        .unwrap();
    let again = store
        .commit(
            &told(vec![routed(1, &["chat"]), routed(2, &["chat"])]),
            now(),
        )
        .unwrap();
    assert_eq!(again.repeated, 1);
    assert_eq!(waiting(&store.reader(), "chat"), [1, 2]);
    store
        .settle(&[settlement("chat", 1, Outcome::Delivered)], now())
        .unwrap();
    drop(store);
    let (mut store, _) = open(dir.path());
    assert_eq!(
        store
            .commit(&told(vec![routed(1, &["chat"])]), now())
            .unwrap()
            .repeated,
        1
    );
    assert_eq!(waiting(&store.reader(), "chat"), [2]);
}

#[test]
fn outcomes_become_history() {
    let mut store = Store::volatile().unwrap();
    store
        .commit(
            &told(vec![routed(1, &["chat", "hook"]), routed(2, &[])]),
            now(),
        )
        .unwrap();
    let failed = Settlement {
        attempts: 3,
        last_error: Some("HTTP 503".to_owned()),
        ..settlement("hook", 1, Outcome::Waiting)
    };
    store
        .settle(&[settlement("chat", 1, Outcome::Delivered), failed], now())
        .unwrap();
    let reader = store.reader();
    let Some(Waiting::Pending(pending)) = reader.next_pending("hook", None).unwrap() else {
        panic!("nothing")
    };
    assert_eq!(pending.attempts, 3);
    // Neither a second word nor one about nothing changes anything.
    store
        .settle(
            &[
                settlement("chat", 1, Outcome::Rejected),
                settlement("gone", 9, Outcome::Delivered),
            ],
            now(),
        )
        .unwrap();
    let history = reader.history(None, 10).unwrap();
    assert_eq!(
        history
            .iter()
            .map(|entry| entry.notification.seq)
            .collect::<Vec<_>>(),
        [2, 1]
    );
    let states: Vec<_> = history[1]
        .deliveries
        .iter()
        .map(|d| (d.output.as_str(), d.outcome, d.attempts))
        .collect();
    assert_eq!(
        states,
        [
            ("chat", Outcome::Delivered, 1),
            ("hook", Outcome::Waiting, 3)
        ]
    );
    assert_eq!(
        history[1].deliveries[1].last_error.as_deref(),
        Some("HTTP 503")
    );
    assert_eq!(reader.history(Some(2), 10).unwrap().len(), 1);
    assert_eq!(reader.queue("chat").unwrap(), QueueSize::default());
    assert_eq!(reader.queue("hook").unwrap().rows, 1);
}

#[test]
fn a_full_queue_loses_its_oldest_but_not_the_one_on_its_way() {
    let mut store = Store::volatile().unwrap();
    store
        .commit(&told(vec![routed(1, &["chat"])]), now())
        .unwrap();
    let one = store.reader().queue("chat").unwrap().bytes;
    store.set_queue_limits(BTreeMap::from([("chat".to_owned(), 3 * one + one / 2)]));
    let report = store
        .commit(
            &told((2..=6).map(|seq| routed(seq, &["chat", "hook"])).collect()),
            now(),
        )
        .unwrap();
    assert_eq!(report.dropped, BTreeMap::from([("chat".to_owned(), 3)]));
    assert_eq!(store.health().view().dropped.queue_full, 3);
    assert_eq!(waiting(&store.reader(), "chat"), [1, 5, 6]);
    assert_eq!(waiting(&store.reader(), "hook"), [2, 3, 4, 5, 6]);
    let history = store.reader().history(None, 10).unwrap();
    let dropped = history
        .iter()
        .find(|entry| entry.notification.seq == 2)
        .unwrap();
    assert_eq!(dropped.deliveries[0].outcome, Outcome::Rejected);
    assert!(
        dropped.deliveries[0]
            .last_error
            .as_ref()
            .unwrap()
            .starts_with("dropped")
    );
}

#[test]
fn history_is_bounded_in_age_and_number() {
    let mut store = Store::volatile().unwrap();
    for start in (1..=10_200).step_by(200) {
        store
            .commit(
                &told((start..start + 200).map(|seq| routed(seq, &[])).collect()),
                now(),
            )
            .unwrap();
    }
    let all = store.reader().history(None, 20_000).unwrap();
    assert_eq!(all.len(), 10_000);
    assert_eq!(all.last().unwrap().notification.seq, 201);
    assert_eq!(
        store
            .commit(&told(vec![routed(201, &[])]), now())
            .unwrap()
            .repeated,
        1
    );
    // What waits is not history, whatever its age.
    store
        .commit(&told(vec![routed(20_000, &["chat"])]), now())
        .unwrap();
    let later = now().plus(Duration::from_hours(31 * 24));
    for _ in 0..50 {
        store.commit(&Commit::default(), later).unwrap();
    }
    assert_eq!(store.reader().history(None, 20_000).unwrap().len(), 1);
    assert_eq!(waiting(&store.reader(), "chat"), [20_000]);
}

#[test]
fn what_waits_for_an_output_that_is_gone_is_given_up_after_a_while() {
    let mut store = Store::volatile().unwrap();
    store
        .commit(&told(vec![routed(1, &["old", "chat"])]), now())
        .unwrap();
    let known = ["chat".to_owned()];
    store.retire(&known, now(), now()).unwrap();
    assert_eq!(waiting(&store.reader(), "old"), [1]);
    store
        .retire(&known, now().plus(Duration::from_secs(1)), now())
        .unwrap();
    assert_eq!(waiting(&store.reader(), "old"), [0_u32; 0]);
    assert_eq!(store.health().view().dropped.orphaned, 1);
    assert_eq!(waiting(&store.reader(), "chat"), [1]);
}

#[test]
fn a_long_queue_is_read_in_order_one_at_a_time() {
    let mut store = Store::volatile().unwrap();
    let bare = |seq| {
        let mut routed = routed(seq, &["chat"]);
        routed.notification.samples.clear();
        routed
    };
    for start in (0..100_000).step_by(10_000) {
        store
            .commit(&told((start..start + 10_000).map(bare).collect()), now())
            .unwrap();
    }
    let seen = waiting(&store.reader(), "chat");
    assert!(seen.is_sorted());
    assert_eq!(seen.last(), Some(&99_999));
    assert_eq!(
        store.reader().queue("chat").unwrap().rows,
        seen.len() as u64
    );
}

#[test]
fn the_thread_makes_many_messages_durable_in_one_go() {
    let dir = tempdir().unwrap();
    let (store, _) = open(dir.path());
    let late = store.reader();
    let (send, inbox) = mpsc::channel();
    let (told_pump, replies) = mpsc::channel();
    let reply = || -> Reply {
        let told_pump = told_pump.clone();
        Box::new(move |result| told_pump.send(result.is_ok()).unwrap())
    };
    send.send(StoreMessage::Outputs(BTreeMap::from([(
        "chat".to_owned(),
        1 << 20,
    )])))
    .unwrap();
    for seq in 1..=20 {
        send.send(StoreMessage::Commit(
            Arc::new(told(vec![routed(seq, &["chat"])])),
            reply(),
        ))
        .unwrap();
    }
    send.send(StoreMessage::Settle(
        vec![settlement("chat", 1, Outcome::Delivered)],
        reply(),
    ))
    .unwrap();
    send.send(StoreMessage::Stop).unwrap();
    let mut reports = Vec::new();
    run(store, &inbox, |report| reports.push(report.clone())).unwrap();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].queued, ["chat"]);
    assert_eq!(replies.try_iter().filter(|ok| *ok).count(), 21);
    assert!(late.queue("chat").is_err(), "the store has ended");
    let (store, _) = open(dir.path());
    assert_eq!(
        waiting(&store.reader(), "chat"),
        (2..=20).collect::<Vec<_>>()
    );
}

#[test]
fn a_copy_of_the_open_file_holds_every_commit() {
    let dir = tempdir().unwrap();
    let (mut store, _) = open(dir.path());
    for seq in 1..=20 {
        store
            .commit(&told(vec![routed(seq, &["chat"])]), now())
            .unwrap();
        let copy = tempdir().unwrap();
        fs::copy(
            dir.path().join("state.redb"),
            copy.path().join("state.redb"),
        )
        .unwrap();
        let (store, saved) = open(copy.path());
        assert_eq!(saved.start, Start::Resumed);
        assert_eq!(
            waiting(&store.reader(), "chat").len(),
            usize::try_from(seq).unwrap()
        );
    }
}

/// Only the last one was ended by the next run: the one before it, whose end no commit held, never was.
#[test]
fn all_alerts_that_kills_left_open_are_found() {
    let dir = tempdir().unwrap();
    let (mut store, _) = open(dir.path());
    let said = |id: &str, seq, status| {
        let mut routed = routed(seq, &["hook"]);
        routed.notification.id = id.to_owned();
        routed.notification.rule = id.split('-').next().unwrap().to_owned();
        routed.notification.status = status;
        routed
    };
    let notifications = vec![
        said("self-c", 1, Status::Firing),
        said("self-a", 1, Status::Firing),
        said("self-b", 1, Status::Firing),
        said("self-b", 2, Status::Resolved),
        said("self-a", 2, Status::Firing),
        said("rest-a", 1, Status::Firing),
    ];
    store.apply(&[&told(notifications)], &[], now()).unwrap();
    let open = store.reader().open_of("self").unwrap();
    let open: Vec<_> = open.iter().map(|open| (&*open.id, open.seq)).collect();
    assert_eq!(open, [("self-c", 1), ("self-a", 2)]);
}
