use super::*;

#[test]
fn a_deleted_file_is_read_to_its_end_and_forgotten() {
    let rig = Rig::new(&["a.log"]);
    rig.append("a.log", numbers(0..50_000));
    let mut tail = rig.start();
    rig.append("a.log", "line 00050000 without a line feed");
    rig.remove("a.log");
    tail.wait("the last words", |tail| tail.seen.len() == 50_001);
    tail.wait("forgetting", |tail| tail.positions.is_empty());
    let (seen, _) = tail.stop();
    assert_eq!(numbers_of(&seen), (0..50_001).collect::<Vec<_>>());
}

#[test]
fn a_deleted_file_goes_on_in_the_thread_that_follows() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", numbers(0..10));
    let mut tail = rig.start();
    tail.wait("the first", |tail| tail.seen.len() == 10);
    let mut writer = rig.writer("a.log");
    rig.remove("a.log");
    // Deleted, with a rest that may be read by now or not; its successor has the name.
    writer.write_all(numbers(10..20_000).as_bytes()).unwrap();
    rig.append("a.log", numbers(30_000..30_010));
    let (mut seen, positions, kept) = tail.leave(Handle::stop);
    (rig.saved, rig.first_start) = (positions, FirstStart::No);
    writer
        .write_all(numbers(20_000..30_000).as_bytes())
        .unwrap();
    let mut tail = rig.start_with(kept);
    let so_far = seen.len();
    tail.wait("the rest", |tail| tail.seen.len() + so_far >= 30_010);
    // The writer has not been told yet that its file is gone.
    writer.write_all(b"last words without a line feed").unwrap();
    drop(writer);
    tail.wait("the last words", |tail| {
        tail.seen.iter().any(|seen| seen.text.starts_with("last"))
    });
    tail.wait("forgetting", |tail| tail.positions.len() == 1);
    seen.extend(tail.stop().0);
    seen.retain(|seen| !seen.text.starts_with("last"));
    // What was written to it after its successor had been read comes after that.
    let mut numbers = numbers_of(&seen);
    numbers.sort_unstable();
    assert_eq!(numbers, (0..30_010).collect::<Vec<_>>());
}

/// They had two descriptors each, and a process with many files had none left.
#[test]
fn files_that_stay_where_they_are_are_handed_to_the_thread_that_follows_and_not_opened_twice() {
    let mut rig = Rig::new(&["*.log"]);
    for number in 0..20 {
        rig.append(&format!("{number}.log"), "one\n");
    }
    let mut tail = rig.start();
    tail.wait("all", |tail| tail.seen.len() == 20);
    let (_, positions, kept) = tail.leave(Handle::stop);
    (rig.saved, rig.first_start) = (positions, FirstStart::No);
    let folder = fs::canonicalize(rig.folder.path()).unwrap();
    let descriptors = || {
        let all = fs::read_dir("/proc/self/fd").unwrap().flatten();
        let led = all.filter_map(|entry| fs::read_link(entry.path()).ok());
        led.filter(|path| path.starts_with(&folder) && path.extension().is_some())
            .count()
    };
    assert_eq!((kept.len(), descriptors()), (20, 20));
    let mut tail = rig.start_with(kept);
    assert_eq!(descriptors(), 20);
    for number in 0..20 {
        rig.append(&format!("{number}.log"), "two\n");
    }
    tail.wait("what is new", |tail| tail.seen.len() == 20);
    drop(tail.stop());
}

/// Years of rotations into a folder that nobody looks into are not to be remembered.
#[test]
fn what_is_rotated_into_another_folder_is_no_loss_after_a_restart() {
    let mut rig = Rig::new(&["a.log"]);
    fs::create_dir(rig.path("old")).unwrap();
    rig.append("a.log", "one\n");
    let mut tail = rig.start();
    tail.expect(&["one"]);
    rig.rename("a.log", "old/a.log.1");
    rig.append("a.log", "two\n");
    tail.expect(&["one", "two"]);
    tail.wait("the first to be let go", |tail| {
        tail.positions.values().any(|position| position.done)
    });
    rig.stop(tail);
    let tail = rig.start();
    assert_eq!(tail.counters.losses(), []);
    rig.stop(tail);
    assert_eq!(rig.saved.len(), 1, "{:?}", rig.saved);
}

#[test]
fn at_the_end_a_deleted_file_is_read_to_its_end() {
    let rig = Rig::new(&["a.log"]);
    rig.append("a.log", numbers(0..10));
    let mut tail = rig.start();
    tail.wait("the first", |tail| tail.seen.len() == 10);
    rig.append("a.log", numbers(10..50_000));
    rig.append("a.log", "line 00050000 without a line feed");
    rig.remove("a.log");
    let (seen, positions, kept) = tail.leave(Handle::end);
    assert_eq!(numbers_of(&seen), (0..50_001).collect::<Vec<_>>());
    assert!(positions.is_empty() && kept.is_empty());
}

#[test]
fn a_file_made_anew_is_read_from_its_beginning() {
    noticing(|notices| {
        let mut rig = Rig::new(&["a.log"]);
        rig.notices = notices;
        rig.append("a.log", "one\n");
        let mut tail = rig.start();
        tail.expect(&["one"]);
        rig.remove("a.log");
        rig.append("a.log", "two\n");
        tail.expect(&["one", "two"]);
        tail.end(&["one", "two"]);
    });
}

/// While it is read its inode cannot become that of another; what is made anew later may get it.
#[test]
fn a_log_deleted_and_made_anew_again_and_again_is_read_each_time_whatever_inode_it_gets() {
    let rig = Rig::new(&["a.log"]);
    let mut tail = rig.start();
    let mut inodes = std::collections::BTreeSet::new();
    let mut lines = Vec::new();
    // Other tests make files beside this one: it may take a while until one has an inode again.
    for number in 0.. {
        // Shorter, as long as, and longer than the one before.
        let line = format!("{number:0width$}", width = 2 + number % 3);
        rig.append("a.log", format!("{line}\n"));
        let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(rig.path("a.log")).unwrap());
        inodes.insert(inode);
        lines.push(line);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        tail.expect(&lines);
        rig.remove("a.log");
        if number == 30 {
            // All of them are let go: from here on inodes come again.
            tail.wait("forgetting", |tail| tail.positions.is_empty());
        }
        if number > 60 && inodes.len() < number {
            break;
        }
        assert!(number < 2_000, "none came again");
    }
    drop(tail.stop());
}

#[test]
fn an_inode_used_again_while_stopped_is_another_file() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", "one\n");
    let mut tail = rig.start();
    tail.expect(&["one"]);
    rig.stop(tail);
    // Which inode a new file gets is the file system's choice: make the saved one fit.
    rig.remove("a.log");
    rig.append("a.log", "a new file, and a longer one\n");
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(rig.path("a.log")).unwrap());
    rig.saved[0].key.inode = inode;
    let mut tail = rig.start();
    tail.expect(&["a new file, and a longer one"]);
    rig.stop(tail);
    rig.start().end(&[]);
}

#[test]
fn what_was_deleted_while_stopped_is_counted_and_forgotten() {
    let mut rig = Rig::new(&["*.log"]);
    rig.append("a.log", "one\n");
    let mut tail = rig.start();
    tail.expect(&["one"]);
    rig.stop(tail);
    rig.remove("a.log");
    let (handle_events, counters) = {
        let root = rig.folder.path().display();
        let setup = Setup {
            configs: vec![Config {
                input: "logs".to_owned(),
                id: InputId(7),
                paths: vec![Pattern::parse(&format!("{root}/*.log")).unwrap()],
                exclude: Vec::new(),
                start_at: StartAt::End,
                framing: Framing::lines(100),
            }],
            saved: rig.saved.clone(),
            first_start: FirstStart::No,
            kept: Vec::new(),
            own: Vec::new(),
            notices: Notices::System,
            counters: Counters::new(),
        };
        let counters = Arc::clone(&setup.counters);
        let (handle, control) = control();
        let (inbox, events) = sync_channel::<Event>(16);
        handle.stop();
        run(setup, &control, &inbox);
        (events, counters)
    };
    assert!(matches!(handle_events.recv(), Ok(Event::Forget(key)) if key == rig.saved[0].key));
    assert!(matches!(handle_events.recv(), Ok(Event::Ready(InputId(7)))));
    assert_eq!(counters.files_lost.get(), 1);
}
