use super::*;

#[test]
fn a_long_line_is_cut_marked_and_counted_and_the_next_one_is_whole() {
    let mut rig = Rig::new(&["a.log"]);
    rig.max_line_bytes = 1000;
    let lengths = [999, 1000, 1001, 700_000, 3];
    let text: Vec<String> = lengths
        .iter()
        .map(|&length| "x".repeat(length) + "\n")
        .collect();
    rig.append("a.log", text.concat());
    let mut tail = rig.start();
    tail.wait("all", |tail| tail.seen.len() == 5);
    let seen: Vec<_> = tail
        .seen
        .iter()
        .map(|seen| (seen.text.len(), seen.cut))
        .collect();
    assert_eq!(
        seen,
        [
            (999, false),
            (1000, false),
            (1000, true),
            (1000, true),
            (3, false)
        ]
    );
    assert_eq!(tail.seen[4].offset, 999 + 1000 + 1001 + 700_000 + 4);
    assert_eq!(tail.counters.lines_cut.get(), 2);
    assert_eq!(tail.counters.bytes_dropped.get(), 699_001);
    drop(tail.stop());
}

#[test]
fn a_full_inbox_makes_the_file_wait_on_the_disk() {
    let rig = Rig::new(&["a.log"]);
    rig.append("a.log", numbers(0..200_000));
    let mut tail = rig.start();
    // Nothing is taken while 10 MB wait: no more than the inbox's 16 batches are on their way.
    rig.append("a.log", numbers(200_000..200_001));
    tail.wait("all", |tail| tail.seen.len() == 200_001);
    let (seen, _) = tail.stop();
    assert_eq!(numbers_of(&seen), (0..200_001).collect::<Vec<_>>());
}

#[test]
fn it_ends_when_nobody_takes_lines_any_more() {
    let rig = Rig::new(&["a.log"]);
    rig.append("a.log", numbers(0..200_000));
    let Tail { thread, events, .. } = rig.start();
    drop(events);
    thread.join().unwrap();
}

#[test]
fn permission_given_back_is_found() {
    use std::os::unix::fs::PermissionsExt as _;
    if rustix::process::geteuid().is_root() {
        return; // may read everything
    }
    let rig = Rig::new(&["a.log"]);
    rig.append("a.log", "one\n");
    fs::set_permissions(rig.path("a.log"), fs::Permissions::from_mode(0o0)).unwrap();
    let mut tail = rig.start();
    assert_eq!(tail.counters.read_errors.get(), 1);
    fs::set_permissions(rig.path("a.log"), fs::Permissions::from_mode(0o600)).unwrap();
    tail.expect(&["one"]);
    tail.end(&["one"]);
}

#[test]
fn permission_given_back_after_a_restart_goes_on_where_it_had_stopped() {
    use std::os::unix::fs::PermissionsExt as _;
    if rustix::process::geteuid().is_root() {
        return; // may read everything
    }
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", "one\n");
    let mut tail = rig.start();
    tail.expect(&["one"]);
    rig.stop(tail);
    rig.append("a.log", "two\n");
    fs::set_permissions(rig.path("a.log"), fs::Permissions::from_mode(0o0)).unwrap();
    let mut tail = rig.start();
    fs::set_permissions(rig.path("a.log"), fs::Permissions::from_mode(0o600)).unwrap();
    tail.expect(&["two"]);
    tail.end(&["two"]);
}

#[test]
fn more_files_than_may_be_open_are_all_read() {
    const FILES: usize = 700;
    let names: Vec<String> = (0..FILES).map(|n| format!("{n}.log")).collect();
    let rig = Rig::new(&["*.log"]);
    for name in &names {
        rig.append(name, format!("{name}\n"));
    }
    let mut tail = rig.start();
    tail.wait("a line of each", |tail| tail.seen.len() >= FILES);
    assert!(
        tail.counters.files_open.get() <= 512,
        "{}",
        tail.counters.files_open.get()
    );
    // One that was closed meanwhile is followed like the others.
    rig.append(&names[0], "again\n");
    rig.append(&names[FILES - 1], "again\n");
    tail.wait("what came later", |tail| tail.seen.len() >= FILES + 2);
    drop(tail.stop());
}
