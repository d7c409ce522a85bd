//! The store against restarts, crashes at every write, failing disks and damaged files.

mod disk;

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use lapwing_rules::model::Timestamp;
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
        memory: Memory {
            last_time: Some(Timestamp::from_secs(7)),
            format: Some("nginx".to_owned()),
        },
    }
}

fn group(name: &str, state: Option<&str>) -> GroupRecord {
    let state = state.map(|state| state.as_bytes().to_vec());
    GroupRecord {
        rule: "burst".to_owned(),
        group: name.to_owned(),
        state,
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
    Settlement {
        output: output.to_owned(),
        key,
        outcome,
        attempts: 1,
        last_error: None,
    }
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

#[test]
fn everything_is_there_after_a_restart() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("state");
    let (mut store, saved) = open(&path);
    assert!(saved.first_start && saved.set_aside.is_none());
    let odd = Position {
        path: OsString::from_vec(b"/var/log/\xff\n\".log".to_vec()).into(),
        ..position(2, 5)
    };
    let first = Commit {
        positions: vec![position(1, 10), odd.clone(), position(3, 1)],
        forgotten: Vec::new(),
        groups: vec![group("a", Some("[1]")), group("b", Some("[2]"))],
        notifications: vec![routed(1, &["chat", "hook"]), routed(2, &["hook"])],
    };
    let report = store.commit(&first, now()).unwrap();
    assert_eq!(report.queued, ["chat", "hook"]);
    let second = Commit {
        positions: vec![position(1, 20)],
        forgotten: vec![position(3, 0).key],
        groups: vec![group("a", None), group("b", Some("[3]"))],
        notifications: Vec::new(),
    };
    store.commit(&second, now()).unwrap();
    drop(store);

    let (store, saved) = open(&path);
    assert!(!saved.first_start && saved.set_aside.is_none());
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
    assert!(open(dir.path()).1.first_start);
    let (mut store, saved) = open(dir.path());
    assert!(saved.first_start, "nothing was committed");
    store.commit(&Commit::default(), now()).unwrap();
    drop(store);
    assert!(!open(dir.path()).1.first_start);
}

#[test]
fn a_second_agent_is_refused() {
    let dir = tempdir().unwrap();
    let first = open(dir.path());
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Locked));
    assert_eq!(error.to_string(), "another lapwing uses this state folder");
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

/// A state folder whose database was used and closed.
fn used_folder() -> tempfile::TempDir {
    let dir = tempdir().unwrap();
    let (mut store, _) = open(dir.path());
    let commit = Commit {
        positions: (0..200).map(|inode| position(inode, 10)).collect(),
        groups: vec![group("a", Some("[1]"))],
        notifications: (1..50).map(|seq| routed(seq, &["chat"])).collect(),
        ..Commit::default()
    };
    store.commit(&commit, now()).unwrap();
    dir
}

/// Where the damaged file lies afterwards.
fn check_set_aside(dir: &Path, damaged: &[u8]) -> PathBuf {
    fs::write(dir.join("state.redb"), damaged).unwrap();
    let (store, saved) = open(dir);
    let aside = saved.set_aside.expect("it was taken for a good one");
    assert!(
        aside
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("state.redb.damaged-")
    );
    assert!(!saved.first_start);
    assert!(saved.positions.is_empty() && saved.groups.is_empty());
    // Nothing was committed to the new one: it is still no first start.
    drop(store);
    let (mut store, saved) = open(dir);
    assert!(!saved.first_start);
    store
        .commit(&told(vec![routed(1, &["chat"])]), now())
        .unwrap();
    aside
}

#[test]
fn a_file_that_is_no_state_is_set_aside() {
    let good = fs::read(used_folder().path().join("state.redb")).unwrap();
    let mut headless = good.clone();
    headless[..4096].fill(0);
    for damaged in [
        Vec::new(),
        b"r".to_vec(),
        b"not a database at all, but a letter to the editor".to_vec(),
        vec![0; good.len()],
        good[..good.len() / 2].to_vec(),
        good[..4096].to_vec(),
        good[..100].to_vec(),
        headless,
    ] {
        let dir = tempdir().unwrap();
        let aside = check_set_aside(dir.path(), &damaged);
        assert!(fs::read(aside).unwrap() == damaged, "it was changed");
    }
}

#[test]
fn a_foreign_database_and_a_future_format_are_set_aside() {
    for change in [
        |database: &Database| {
            let transaction = database.begin_write().unwrap();
            transaction
                .open_table(tables::META)
                .unwrap()
                .insert(tables::FORMAT_KEY, 2)
                .unwrap();
            transaction.commit().unwrap();
        },
        |database: &Database| {
            let transaction = database.begin_write().unwrap();
            transaction.delete_table(tables::META).unwrap();
            transaction.commit().unwrap();
        },
    ] {
        let dir = used_folder();
        let database = Database::open(dir.path().join("state.redb")).unwrap();
        change(&database);
        drop(database);
        let bytes = fs::read(dir.path().join("state.redb")).unwrap();
        assert!(check_set_aside(dir.path(), &bytes).is_file());
    }
}

#[test]
fn a_flipped_bit_is_found_or_does_not_matter() {
    let dir = used_folder();
    let good = fs::read(dir.path().join("state.redb")).unwrap();
    let before = open(dir.path()).1;
    let mut found = 0;
    for index in (0..good.len()).step_by(good.len() / 150) {
        let dir = tempdir().unwrap();
        let mut flipped = good.clone();
        flipped[index] ^= 0x10;
        fs::write(dir.path().join("state.redb"), &flipped).unwrap();
        let (store, saved) = open(dir.path());
        if saved.set_aside.is_some() {
            found += 1;
            continue;
        }
        assert_eq!(saved.positions, before.positions, "byte {index}");
        assert_eq!(saved.groups, before.groups, "byte {index}");
        assert_eq!(waiting(&store.reader(), "chat").len(), 49, "byte {index}");
    }
    assert!(found > 10, "{found}");
}

#[test]
fn a_crash_while_setting_aside_does_not_make_a_first_start() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("state.redb.damaged-1"), b"x").unwrap();
    fs::write(dir.path().join("state.redb.new"), b"half of a new one").unwrap();
    let (_, saved) = open(dir.path());
    assert!(!saved.first_start);
    assert_eq!(
        saved.set_aside.unwrap(),
        dir.path().join("state.redb.damaged-1")
    );
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("file"), b"").unwrap();
    let error = Store::open(&dir.path().join("file/state")).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
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
        assert!(saved.set_aside.is_none());
        assert_eq!(
            waiting(&store.reader(), "chat").len(),
            usize::try_from(seq).unwrap()
        );
    }
}
