//! A disk that can fail, and that remembers every write so that a crash after any of them can be
//! played through.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use super::*;

#[derive(Clone, Debug)]
enum Operation {
    Write(usize, Vec<u8>),
    SetLen(usize),
    Sync,
}

impl Operation {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Write(at, data) => image[*at..*at + data.len()].copy_from_slice(data),
            Self::SetLen(length) => image.resize(*length, 0),
            Self::Sync => {}
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    image: Arc<Mutex<Vec<u8>>>,
    log: Arc<Mutex<Vec<Operation>>>,
    fails: Arc<AtomicBool>,
    /// Of the write after so many, only the first half is done; 0: of none.
    short_after: Arc<AtomicUsize>,
}

impl Disk {
    fn done(&self, operation: Operation) -> io::Result<()> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        operation.apply(&mut self.image.lock().unwrap());
        self.log.lock().unwrap().push(operation);
        Ok(())
    }

    /// From now on it takes nothing.
    pub(super) fn fail(&self) {
        self.fails.store(true, Ordering::SeqCst);
    }

    /// Of the `n`th write from now on it takes the first half, and nothing behind that.
    fn cut_short(&self, n: usize) {
        self.short_after.store(n, Ordering::SeqCst);
    }

    /// From now on it takes everything.
    pub(super) fn be_well(&self) {
        self.short_after.store(0, Ordering::SeqCst);
        self.fails.store(false, Ordering::SeqCst);
    }

    /// What stands on it.
    pub(super) fn image(&self) -> Vec<u8> {
        self.image.lock().unwrap().clone()
    }

    pub(super) fn store(&self) -> Store {
        let disk = self.clone();
        let open = move || builder_for_tests(disk.clone());
        let database = open().unwrap();
        write::initialise(&database, 0).unwrap();
        Store::assemble(database, Box::new(open))
    }
}

fn builder_for_tests(disk: Disk) -> Result<Database, StoreError> {
    Database::builder()
        .create_with_backend(disk)
        .map_err(StoreError::from_database)
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.image.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let image = self.image.lock().unwrap();
        let from = index(offset);
        let bytes = image
            .get(from..from + out.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.done(Operation::SetLen(index(len)))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.done(Operation::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let left = self.short_after.load(Ordering::SeqCst);
        self.short_after
            .store(left.saturating_sub(1), Ordering::SeqCst);
        if left == 1 {
            let half = data[..data.len() / 2].to_vec();
            self.done(Operation::Write(index(offset), half))?;
            self.fail();
        }
        self.done(Operation::Write(index(offset), data.to_vec()))
    }
}

/// What a start finds on `image`: all before the commit, or all of it too.
fn check_whole(image: &[u8], what: &str) -> bool {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("state.redb"), image).unwrap();
    let (store, saved) = open(dir.path());
    assert_eq!(saved.start, Start::Resumed, "{what}");
    let seen = (
        saved.positions[0].offset,
        saved.groups.clone(),
        waiting(&store.reader(), "chat").len(),
    );
    let before = (10, vec![group("a", Some("[1]"))], 1);
    let after = (20, vec![group("a", Some("[2]"))], 2);
    assert!(seen == before || seen == after, "{what}: {seen:?}");
    seen == after
}

fn commit(offset: u64, state: &str, seq: u32) -> Commit {
    Commit {
        positions: vec![position(1, offset)],
        groups: vec![group("a", Some(state))],
        notifications: vec![routed(seq, &["chat"])],
        ..Commit::default()
    }
}

#[test]
fn a_crash_at_any_write_leaves_all_of_a_commit_or_nothing() {
    let disk = Disk::default();
    let mut store = disk.store();
    store.commit(&commit(10, "[1]", 1), now()).unwrap();
    let base = disk.image.lock().unwrap().clone();
    disk.log.lock().unwrap().clear();
    store.commit(&commit(20, "[2]", 2), now()).unwrap();
    let log = disk.log.lock().unwrap().clone();
    assert!(
        log.iter()
            .filter(|operation| matches!(operation, Operation::Sync))
            .count()
            >= 1
    );
    let mut synced = base;
    let mut since_sync: Vec<Operation> = Vec::new();
    for (n, operation) in log.iter().enumerate() {
        since_sync.push(operation.clone());
        let mut killed = synced.clone();
        for operation in &since_sync {
            operation.apply(&mut killed);
        }
        check_whole(&killed, &format!("killed after operation {n}"));
        for parity in 0..2 {
            let mut cut = synced.clone();
            for (i, operation) in since_sync.iter().enumerate() {
                if i % 2 == parity || matches!(operation, Operation::SetLen(_)) {
                    operation.apply(&mut cut);
                }
            }
            check_whole(
                &cut,
                &format!("power cut after operation {n}, every other write lost"),
            );
        }
        if matches!(operation, Operation::Sync) {
            synced = killed;
            since_sync.clear();
        }
    }
    let image = disk.image.lock().unwrap().clone();
    assert!(check_whole(&image, "a commit that was said to be durable"));
}

#[test]
fn a_failed_commit_is_an_error_and_can_be_made_again() {
    let disk = Disk::default();
    let mut store = disk.store();
    let reader = store.reader();
    store
        .commit(&told(vec![routed(1, &["chat"])]), now())
        .unwrap();
    disk.fails.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert!(
            store
                .commit(&told(vec![routed(2, &["chat"])]), now())
                .is_err()
        );
        assert!(
            store
                .settle(&[settlement("chat", 1, Outcome::Delivered)], now())
                .is_err()
        );
    }
    disk.fails.store(false, Ordering::SeqCst);
    store
        .commit(&told(vec![routed(2, &["chat"])]), now())
        .unwrap();
    store
        .settle(&[settlement("chat", 1, Outcome::Delivered)], now())
        .unwrap();
    assert_eq!(waiting(&reader, "chat"), [2]);
}

/// A disk that is nearly full takes the beginning of a write (77).
#[test]
fn a_write_that_is_cut_short_fails_its_commit_and_leaves_the_one_before_whole() {
    for n in 1.. {
        let disk = Disk::default();
        let mut store = disk.store();
        store.commit(&commit(10, "[1]", 1), now()).unwrap();
        disk.cut_short(n);
        if store.commit(&commit(20, "[2]", 2), now()).is_ok() {
            assert!(n > 3, "a commit is several writes");
            return;
        }
        let what = format!("write {n} was cut short");
        check_whole(&disk.image(), &what);
        disk.be_well();
        store.commit(&commit(20, "[2]", 2), now()).unwrap();
        drop(store);
        assert!(check_whole(&disk.image(), &what), "{what}");
    }
}
