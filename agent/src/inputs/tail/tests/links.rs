use std::os::unix::fs::symlink;

use super::*;

#[test]
fn a_hard_link_is_read_once() {
    let rig = Rig::new(&["*.log"]);
    rig.append("a.log", "one\n");
    fs::hard_link(rig.path("a.log"), rig.path("b.log")).unwrap();
    let mut tail = rig.start();
    tail.expect(&["one"]);
    fs::hard_link(rig.path("a.log"), rig.path("c.log")).unwrap();
    rig.append("c.log", "two\n");
    tail.expect(&["one", "two"]);
    // The name by which it is known goes: another one is left.
    rig.remove("a.log");
    rig.append("b.log", "three\n");
    tail.expect(&["one", "two", "three"]);
    tail.end(&["one", "two", "three"]);
}

#[test]
fn a_link_and_its_target_are_read_once() {
    let rig = Rig::new(&["*.log"]);
    rig.append("a.log", "one\n");
    symlink(rig.path("a.log"), rig.path("b.log")).unwrap();
    symlink("circle.log", rig.path("circle.log")).unwrap();
    symlink("nowhere", rig.path("dangling.log")).unwrap();
    let mut tail = rig.start();
    rig.append("a.log", "two\n");
    tail.expect(&["one", "two"]);
    tail.end(&["one", "two"]);
}

#[test]
fn a_link_that_leads_elsewhere_now_has_both_targets_read() {
    let rig = Rig::new(&["logs/current"]);
    fs::create_dir(rig.path("logs")).unwrap();
    fs::create_dir(rig.path("pods")).unwrap();
    let swap = |to: &str| {
        symlink(rig.path(to), rig.path("logs/next")).unwrap();
        rig.rename("logs/next", "logs/current");
    };
    let mut expected = vec!["0".to_owned()];
    rig.append("pods/0", "0\n");
    swap("pods/0");
    let mut tail = rig.start();
    for number in 1..10_usize {
        let (old, new) = (number - 1, number);
        rig.append(&format!("pods/{old}"), format!("rest of {old}\n"));
        rig.append(&format!("pods/{new}"), format!("{new}\n"));
        swap(&format!("pods/{new}"));
        expected.extend([format!("rest of {old}"), format!("{new}")]);
        tail.wait("both", |tail| tail.seen.len() == expected.len());
    }
    rig.append("pods/0", "late\n");
    expected.push("late".to_owned());
    tail.wait("the first again", |tail| tail.seen.len() == expected.len());
    swap("pods/0");
    rig.append("pods/0", "back\n");
    expected.push("back".to_owned());
    tail.wait("the first once more", |tail| {
        tail.seen.len() == expected.len()
    });
    tail.end(&expected.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn folders_in_a_circle_are_walked_once() {
    let rig = Rig::new(&["**/*.log"]);
    fs::create_dir(rig.path("x")).unwrap();
    symlink(rig.folder.path(), rig.path("x/up")).unwrap();
    rig.append("x/a.log", "one\n");
    let mut tail = rig.start();
    rig.append("x/a.log", "two\n");
    tail.expect(&["one", "two"]);
    tail.end(&["one", "two"]);
}
