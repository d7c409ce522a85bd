use super::*;

#[test]
fn goes_on_where_it_had_stopped() {
    let mut rig = Rig::new(&["*.log"]);
    rig.append("a.log", numbers(0..10));
    rig.append("b.log", numbers(0..10));
    let mut tail = rig.start();
    tail.wait("both", |tail| tail.seen.len() == 20);
    rig.stop(tail);
    rig.append("a.log", numbers(10..20));
    rig.append("c.log", numbers(0..5));
    let mut tail = rig.start();
    tail.wait("what is new", |tail| tail.seen.len() == 15);
    rig.stop(tail);
    rig.start().end(&[]);
}

#[test]
fn start_at_end_is_for_the_very_first_start_only() {
    let mut rig = Rig::new(&["*.log"]);
    rig.start_at = StartAt::End;
    let tail = rig.start();
    rig.stop(tail);
    rig.append("a.log", "appeared while stopped\n");
    let mut tail = rig.start();
    tail.expect(&["appeared while stopped"]);
    tail.end(&["appeared while stopped"]);
}

#[test]
fn a_stop_at_any_batch_loses_and_repeats_nothing() {
    let mut rig = Rig::new(&["a.log*"]);
    rig.append("a.log", numbers(0..30_000));
    let mut seen = Vec::new();
    for round in 0..200 {
        let mut tail = rig.start();
        if seen.len() == 30_003 {
            drop(tail.stop());
            break;
        }
        let before = tail.seen.len();
        tail.wait("a batch", |tail| tail.seen.len() > before);
        seen.extend(rig.stop(tail));
        if round < 3 {
            rig.rename("a.log", &format!("a.log.{round}"));
            rig.append("a.log", numbers(30_000 + round..30_001 + round));
        }
    }
    assert_eq!(numbers_of(&seen), (0..30_003).collect::<Vec<_>>());
}

#[test]
fn positions_of_a_folder_that_is_not_there_are_kept() {
    let mut rig = Rig::new(&["x/*.log"]);
    fs::create_dir(rig.path("x")).unwrap();
    rig.append("x/a.log", "one\n");
    let mut tail = rig.start();
    tail.expect(&["one"]);
    rig.stop(tail);
    rig.rename("x", "unmounted");
    let mut tail = rig.start();
    rig.rename("unmounted", "x");
    rig.append("x/a.log", "two\n");
    tail.expect(&["two"]);
    tail.end(&["two"]);
}

/// What is known of the family stands under a name that the input does not mean.
#[test]
fn a_log_that_was_made_and_rotated_while_the_position_was_that_of_a_rotated_one() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", "one\n");
    let mut tail = rig.start();
    tail.expect(&["one"]);
    rig.rename("a.log", "a.log.1");
    rig.append("a.log.1", "two\n");
    tail.expect(&["one", "two"]);
    rig.stop(tail);
    rig.rename("a.log.1", "a.log.2");
    rig.append("a.log", "three\n");
    rig.rename("a.log", "a.log.1");
    let mut tail = rig.start();
    tail.expect(&["three"]);
    rig.append("a.log", "four\n");
    tail.expect(&["three", "four"]);
    rig.stop(tail);
    rig.start().end(&[]);
}

/// It has the inode of the rotated one that was deleted, as file systems like to give it.
#[test]
fn a_log_that_was_made_and_rotated_with_the_inode_of_the_one_that_is_known() {
    let mut rig = Rig::new(&["a.log"]);
    rig.append("a.log", "one is long enough to be told from others\n");
    let mut tail = rig.start();
    tail.expect(&["one is long enough to be told from others"]);
    rig.rename("a.log", "a.log.1");
    rig.append("a.log.1", "two\n");
    tail.expect(&["one is long enough to be told from others", "two"]);
    rig.stop(tail);
    // The same file with another's text is what a new one with its inode is.
    fs::write(rig.path("a.log.1"), "three, which nobody has read before\n").unwrap();
    let mut tail = rig.start();
    tail.expect(&["three, which nobody has read before"]);
    rig.stop(tail);
    rig.start().end(&[]);
}
