//! What the agent writes itself is not read (case 101).

use std::os::unix::fs::symlink;

use super::*;

fn rig() -> Rig {
    let mut rig = Rig::new(&["*"]);
    rig.own = vec![Own {
        what: "the alerts of output `archive`".to_owned(),
        at: OwnAt::Path(rig.path("alerts.jsonl")),
    }];
    rig
}

#[test]
fn a_file_of_alerts_is_not_followed_whatever_it_is_called() {
    noticing(|notices| {
        let mut rig = rig();
        rig.notices = notices;
        rig.append("alerts.jsonl", "an alert\n");
        symlink(rig.path("alerts.jsonl"), rig.path("a-link")).unwrap();
        fs::hard_link(rig.path("alerts.jsonl"), rig.path("b-link")).unwrap();
        rig.append("c.log", "one\n");
        let mut tail = rig.start();
        rig.append("alerts.jsonl", "another\n");
        rig.append("c.log", "two\n");
        tail.expect(&["one", "two"]);
        // Rotated, and begun anew.
        rig.rename("alerts.jsonl", "alerts.jsonl.1");
        rig.append("alerts.jsonl", "a third\n");
        rig.append("c.log", "three\n");
        tail.expect(&["one", "two", "three"]);
        let unreadable = tail.counters.inputs()[0].unreadable.clone();
        let names: Vec<_> = unreadable.iter().map(|it| it.path.clone()).collect();
        for name in ["alerts.jsonl", "a-link", "b-link"] {
            assert!(names.contains(&rig.path(name)), "{name}: {names:?}");
        }
        assert!(
            unreadable[0].error.contains("output `archive`"),
            "{unreadable:?}"
        );
        rig.stop(tail);
        rig.append("c.log", "four\n");
        let mut tail = rig.start();
        tail.expect(&["four"]);
        tail.end(&["four"]);
    });
}

/// It was passed over until the next reload.
#[test]
fn a_log_with_the_inode_of_a_deleted_file_of_alerts_is_followed() {
    let rig = rig();
    rig.append("alerts.jsonl", "one\n");
    let mut tail = rig.start();
    // The same file under a name that no rotation gives it is what a new one with its inode is.
    rig.rename("alerts.jsonl", "b.log");
    tail.handle.look();
    tail.wait("a look", |tail| tail.current);
    rig.append("b.log", "two\n");
    tail.handle.look();
    tail.expect(&["one", "two"]);
    tail.end(&["one", "two"]);
}

#[test]
fn a_file_of_alerts_that_comes_later_is_not_followed() {
    let rig = rig();
    rig.append("c.log", "one\n");
    let mut tail = rig.start();
    tail.expect(&["one"]);
    rig.append("alerts.jsonl", "an alert\n");
    rig.append("c.log", "two\n");
    tail.expect(&["one", "two"]);
    tail.end(&["one", "two"]);
}
