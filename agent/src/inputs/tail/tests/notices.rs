//! Without inotify, or with too little of it, everything is found all the same (cases 35 to 37).

use std::process::Command;

use notify::event::{Event as Notice, EventKind, Flag};

use super::*;

/// Runs a test of this program again in a user namespace of its own, where the limits of inotify are
/// these. The test knows by the variable that it is inside.
const INSIDE: &str = "LAPWING_TEST_INSIDE";

fn inside(test: &str, limit: &str) {
    let program = std::env::current_exe().unwrap();
    let script = format!("echo {limit} && exec \"$0\" --exact \"$1\" --nocapture");
    let done = Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c", &script])
        .arg(program)
        .arg(format!("inputs::tail::tests::notices::{test}"))
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let wrong = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}\n{wrong}");
    assert!(said.contains("1 passed"), "{said}\n{wrong}");
}

fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

fn set(limit: &str, value: &str) {
    fs::write(Path::new("/proc/sys/user").join(limit), value).unwrap();
}

/// Files grow, rotate and appear in several folders.
fn everything_is_read(rig: &Rig, tail: &mut Tail) {
    for round in 0..3 {
        for folder in ["x", "y", "z"] {
            let name = format!("{folder}/a.log");
            let lines = tail.seen.len();
            rig.append(&name, "grown\n");
            tail.wait("what has grown", |tail| tail.seen.len() > lines);
            rig.append(&name, "rest\n");
            rig.rename(&name, &format!("{folder}/a.log.{round}"));
            rig.append(&name, "new\n");
        }
        let lines = round * 9 + 9;
        tail.wait("what was rotated", |tail| tail.seen.len() >= lines);
    }
    rig.append("z/late.log", "late\n");
    tail.wait("the late one", |tail| tail.seen.len() >= 28);
    for (text, count) in [("grown", 9), ("rest", 9), ("new", 9), ("late", 1)] {
        let seen = tail.texts().iter().filter(|seen| **seen == text).count();
        assert_eq!(seen, count, "{text}");
    }
}

fn folders() -> Rig {
    let rig = Rig::new(&["*/*.log"]);
    for folder in ["x", "y", "z"] {
        fs::create_dir(rig.path(folder)).unwrap();
    }
    rig
}

#[test]
fn out_of_watches_files_are_looked_at_and_no_line_is_lost() {
    if !is_inside() {
        return inside(
            "out_of_watches_files_are_looked_at_and_no_line_is_lost",
            "2 > /proc/sys/user/max_inotify_watches",
        );
    }
    let rig = folders();
    let mut tail = rig.start();
    everything_is_read(&rig, &mut tail);
    // There are enough again: after the next scan notices come, and a new file is found at once.
    set("max_inotify_watches", "1000");
    tail.wait_for("notices", |tail| tail.counters.folders_unseen.get() == 0);
    drop(tail.stop());
}

#[test]
fn out_of_instances_files_are_looked_at_and_no_line_is_lost() {
    if !is_inside() {
        return inside(
            "out_of_instances_files_are_looked_at_and_no_line_is_lost",
            "0 > /proc/sys/user/max_inotify_instances",
        );
    }
    let rig = folders();
    let mut tail = rig.start();
    assert!(tail.counters.folders_unseen.get() > 0, "the limit holds");
    everything_is_read(&rig, &mut tail);
    set("max_inotify_instances", "1000");
    tail.wait_for("notices", |tail| tail.counters.folders_unseen.get() == 0);
    drop(tail.stop());
}

#[test]
fn dropped_notices_make_everything_be_looked_at() {
    let rig = Rig::new(&["*.log"]);
    rig.append("a.log", "one\n");
    let mut tail = rig.start();
    tail.expect(&["one"]);
    // What the system says when its queue has overflown; here nothing was dropped but the notice.
    let shared = wake::Shared::default();
    let (handle, control) = control();
    let mut told = shared.callback_for(&control);
    told(Ok(Notice::new(EventKind::Other).set_flag(Flag::Rescan)));
    assert!(shared.take().everything);
    assert!(control.signals.try_recv().is_ok(), "the thread is woken");
    drop((handle, tail.stop()));
}
