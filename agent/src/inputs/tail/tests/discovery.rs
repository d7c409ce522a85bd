use super::*;

#[test]
fn new_files_and_folders_are_found() {
    noticing(|notices| {
        let mut rig = Rig::new(&["**/*.log"]);
        rig.notices = notices;
        rig.exclude = vec!["no*.log".to_owned()];
        let mut tail = rig.start();
        assert!(tail.positions.is_empty(), "ready without any file");
        rig.append("a.log", "one\n");
        rig.append("none.log", "excluded\n");
        rig.append("a.txt", "not meant\n");
        tail.expect(&["one"]);
        fs::create_dir_all(rig.path("x/y")).unwrap();
        rig.append("x/y/b.log", "two\n");
        tail.expect(&["one", "two"]);
        rig.append("x/y/b.log", "three\n");
        tail.expect(&["one", "two", "three"]);
        tail.end(&["one", "two", "three"]);
    });
}

#[test]
fn a_folder_on_the_way_may_come_later() {
    let rig = Rig::new(&["x/y/*.log"]);
    let mut tail = rig.start();
    fs::create_dir(rig.path("x")).unwrap();
    fs::create_dir(rig.path("x/y")).unwrap();
    rig.append("x/y/a.log", "one\n");
    tail.expect(&["one"]);
    // Gone with all that is in it, and back.
    fs::remove_dir_all(rig.path("x")).unwrap();
    fs::create_dir_all(rig.path("x/y")).unwrap();
    rig.append("x/y/a.log", "two\n");
    tail.expect(&["one", "two"]);
    tail.end(&["one", "two"]);
}

#[test]
fn a_folder_that_is_moved_away_and_back_is_not_read_twice() {
    let rig = Rig::new(&["x/*.log"]);
    fs::create_dir(rig.path("x")).unwrap();
    rig.append("x/a.log", "one\n");
    let mut tail = rig.start();
    tail.expect(&["one"]);
    rig.rename("x", "z");
    rig.append("b", "");
    rig.rename("z", "x");
    rig.append("x/a.log", "two\n");
    tail.expect(&["one", "two"]);
    tail.end(&["one", "two"]);
}

#[test]
fn many_new_files_are_all_found() {
    let rig = Rig::new(&["*.log"]);
    let mut tail = rig.start();
    for number in 0..2000 {
        rig.append(&format!("{number}.log"), format!("{number}\n"));
    }
    tail.wait("all", |tail| tail.seen.len() == 2000);
    let mut seen: Vec<u32> = tail
        .texts()
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..2000).collect::<Vec<_>>());
    drop(tail.stop());
}

#[test]
fn what_is_no_file_is_passed_over() {
    let rig = Rig::new(&["*.log"]);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        rig.path("pipe.log"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    fs::create_dir(rig.path("folder.log")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(rig.path("socket.log")).unwrap();
    let mut tail = rig.start();
    rig.append("a.log", "one\n");
    tail.expect(&["one"]);
    tail.end(&["one"]);
    drop(socket);
}

#[test]
fn odd_names_are_names() {
    use std::os::unix::ffi::OsStrExt as _;
    let rig = Rig::new(&["*.log"]);
    let mut tail = rig.start();
    let long = format!("{}.log", "x".repeat(251));
    let names = [
        "new\nline.log".as_bytes(),
        b"quote\".log",
        b"\xFF\xFE.log",
        long.as_bytes(),
    ];
    for name in names {
        fs::write(
            rig.folder.path().join(std::ffi::OsStr::from_bytes(name)),
            "one\n",
        )
        .unwrap();
    }
    tail.wait("all", |tail| tail.seen.len() == names.len());
    drop(tail.stop());
}

#[test]
fn a_file_that_lived_for_a_moment_is_read() {
    let rig = Rig::new(&["*.log"]);
    let mut tail = rig.start();
    for number in 0..20 {
        let mut writer = rig.writer("short.log");
        writer
            .write_all(format!("line {number:08}\n").as_bytes())
            .unwrap();
        tail.wait("its line", |tail| tail.seen.len() == number + 1);
        rig.remove("short.log");
    }
    drop(tail.stop());
}

#[test]
fn a_log_that_is_replaced_by_a_folder_a_pipe_or_a_socket_is_read_again_when_it_is_a_file() {
    let rig = Rig::new(&["a.log"]);
    rig.append("a.log", "line 0\n");
    let mut tail = rig.start();
    tail.expect(&["line 0"]);
    let fifo = |path: &Path| {
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    };
    let socket = |path: &Path| drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    let folder = |path: &Path| fs::create_dir(path).unwrap();
    let replace: [&dyn Fn(&Path); 3] = [&folder, &fifo, &socket];
    let mut lines = vec!["line 0".to_owned()];
    for (number, make) in (1..).zip(replace) {
        let path = rig.path("a.log");
        rig.remove("a.log");
        make(&path);
        tail.wait_for("its complaint or none", |tail| {
            let unreadable = &tail.counters.inputs()[0].unreadable;
            path.is_dir() || !unreadable.is_empty()
        });
        if path.is_dir() {
            fs::remove_dir(&path).unwrap();
        } else {
            rig.remove("a.log");
        }
        rig.append("a.log", format!("line {number}\n"));
        lines.push(format!("line {number}"));
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        tail.expect(&lines);
    }
    drop(tail.stop());
}
