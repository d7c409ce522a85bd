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
