//! Damaged, foreign, missing and later files, and folders that take nothing: what a start makes
//! of them.

use std::os::unix::fs::symlink;

use super::*;
use crate::store::checkpoint::{self, Checkpoint};

/// A state folder whose database was used and closed.
fn used_folder() -> tempfile::TempDir {
    let dir = tempdir().unwrap();
    let (mut store, _) = open(dir.path());
    let commit = Commit {
        positions: positions(),
        groups: vec![group("a", Some("[1]"))],
        notifications: (1..50).map(|seq| routed(seq, &["chat"])).collect(),
        ..Commit::default()
    };
    store.commit(&commit, now()).unwrap();
    dir
}

fn positions() -> Vec<Position> {
    (0..200).map(|inode| position(inode, 10)).collect()
}

/// Where the damaged file lies after a start, which must not take it for a good one, nor for a
/// first start.
fn check_set_aside(dir: &Path, damaged: &[u8]) -> PathBuf {
    fs::write(dir.join("state.redb"), damaged).unwrap();
    let (store, saved) = open(dir);
    assert!(
        matches!(saved.start, Start::Lost { .. }),
        "{:?}",
        saved.start
    );
    let aside = saved.set_aside().expect("it is set aside").to_owned();
    let name = aside.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("state.redb.damaged-"), "{name}");
    assert!(saved.positions.is_empty() && saved.groups.is_empty());
    // Nothing was committed to the new one: it is still no first start.
    drop(store);
    let (mut store, saved) = open(dir);
    assert_ne!(saved.start, Start::Fresh);
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

fn change(dir: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::open(dir.join("state.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}

#[test]
fn a_foreign_database_is_set_aside() {
    let dir = used_folder();
    change(dir.path(), |transaction| {
        transaction.delete_table(tables::META).unwrap();
    });
    let bytes = fs::read(dir.path().join("state.redb")).unwrap();
    assert!(check_set_aside(dir.path(), &bytes).is_file());
}

#[test]
fn the_state_of_a_later_version_is_refused_and_left_as_it_is() {
    let dir = used_folder();
    change(dir.path(), |transaction| {
        let mut meta = transaction.open_table(tables::META).unwrap();
        meta.insert(tables::FORMAT_KEY, 2).unwrap();
    });
    for _ in 0..2 {
        let error = Store::open(dir.path()).unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Newer {
                    found: 2,
                    known: 1,
                    ..
                }
            ),
            "{error}"
        );
        let told = error.to_string();
        assert!(told.contains("install that version again"), "{told}");
    }
    assert!(dir.path().join("state.redb").is_file());
    change(dir.path(), |transaction| {
        let mut meta = transaction.open_table(tables::META).unwrap();
        meta.insert(tables::FORMAT_KEY, 1).unwrap();
    });
    assert_eq!(open(dir.path()).1.positions.len(), 200, "upgraded again");
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
        if saved.set_aside().is_some() {
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
    assert!(matches!(saved.start, Start::Lost { .. }));
    assert_eq!(
        saved.set_aside().unwrap(),
        dir.path().join("state.redb.damaged-1")
    );
}

/// With a checkpoint beside it, files are read on from there.
#[test]
fn positions_outlive_a_damaged_and_a_deleted_state_file() {
    type Damage = fn(&Path);
    let damages: [Damage; 3] = [
        |path| fs::write(path, b"garbage").unwrap(),
        |path| fs::remove_file(path).unwrap(),
        |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        },
    ];
    for damage in damages {
        let dir = used_folder();
        let checkpoint = Checkpoint {
            at: now(),
            positions: positions(),
        };
        write(dir.path(), &checkpoint);
        damage(&dir.path().join("state.redb"));
        let (_, saved) = open(dir.path());
        assert!(
            matches!(saved.start, Start::Recovered { as_of, .. } if as_of == now()),
            "{:?}",
            saved.start
        );
        assert_eq!(saved.positions, positions());
        assert_eq!(saved.unusable, None);
    }
}

/// It was made anew, empty, and files were read again from their beginnings.
#[test]
fn a_state_file_that_is_deleted_while_a_commit_fails_is_not_made_anew() {
    let dir = tempdir().unwrap();
    let (mut store, _) = open(dir.path());
    let commit = Commit {
        positions: positions(),
        ..Commit::default()
    };
    store.commit(&commit, now()).unwrap();
    // As a failed commit leaves it.
    store.shared.set(View::Closed);
    let path = dir.path().join("state.redb");
    fs::remove_file(&path).unwrap();
    for _ in 0..2 {
        let error = store.commit(&commit, now()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged(_)), "{error}");
        assert!(!path.exists());
    }
}

#[test]
fn a_damaged_checkpoint_without_a_state_file_is_no_first_start() {
    let dir = tempdir().unwrap();
    fs::write(
        dir.path().join("positions"),
        "lapwing-positions 1 and then?",
    )
    .unwrap();
    let (_, saved) = open(dir.path());
    assert!(
        matches!(saved.start, Start::Lost { .. }),
        "{:?}",
        saved.start
    );
}

fn write(dir: &Path, checkpoint: &Checkpoint) {
    let mut writer = checkpoint::Writer::begin(dir, checkpoint.at).unwrap();
    for position in checkpoint.positions.clone() {
        writer.add(position).unwrap();
    }
    let bytes = writer.finish().unwrap();
    assert_eq!(fs::metadata(dir.join("positions")).unwrap().len(), bytes);
}

#[test]
fn a_checkpoint_that_is_not_whole_is_none() {
    let dir = tempdir().unwrap();
    let odd = Position {
        path: OsString::from_vec(b"/var/log/\xff\n\".log".to_vec()).into(),
        ..position(2, 5)
    };
    let checkpoint = Checkpoint {
        at: now(),
        positions: vec![position(1, 10), odd],
    };
    write(dir.path(), &checkpoint);
    let path = dir.path().join("positions");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let good = fs::read(&path).unwrap();
    assert_eq!(checkpoint::read(dir.path()), Some(checkpoint));
    for index in 0..good.len() {
        let mut flipped = good.clone();
        flipped[index] ^= 0x01;
        for damaged in [&good[..index], &flipped] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(checkpoint::read(dir.path()), None, "byte {index}");
        }
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("file"), b"").unwrap();
    let error = Store::open(&dir.path().join("file/state")).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
}

/// Permissions mean nothing to root, which tests may run as: a lock that is a folder cannot be
/// opened by anybody.
#[test]
fn a_folder_that_takes_nothing_is_read_and_kept_in_memory() {
    let dir = used_folder();
    let lock = dir.path().join("lock");
    fs::remove_file(&lock).unwrap();
    symlink("lock", &lock).unwrap();
    let (mut store, saved) = open(dir.path());
    assert!(saved.unusable.is_some());
    assert_eq!(
        (saved.start, saved.positions),
        (Start::Resumed, positions())
    );
    assert_eq!(
        waiting(&store.reader(), "chat").len(),
        49,
        "out of the copy"
    );
    assert!(store.commit(&Commit::default(), now()).is_err());
    // Once it takes something again, the state goes on where it was.
    fs::remove_file(&lock).unwrap();
    store
        .commit(&told(vec![routed(50, &["chat"])]), now())
        .unwrap();
    drop(store);
    let (store, saved) = open(dir.path());
    assert_eq!(
        (saved.start, saved.positions),
        (Start::Resumed, positions())
    );
    assert_eq!(waiting(&store.reader(), "chat").len(), 50);
}
