//! More groups than there is room for: who has to go, and who fires all the same.

use super::*;

/// So many strangers come each second, and never again.
const STRANGERS: i64 = 1_000;
const ROOM: usize = 500;

fn crowded() -> Engine {
    let mut rule = ten_a_minute();
    rule.max_groups = ROOM;
    engine(rule)
}

fn strangers(engine: &mut Engine, second: i64, told: &mut Vec<Told>) {
    for n in 0..STRANGERS {
        let name = format!("stranger {}", second * STRANGERS + n);
        engine.observe(&hit(second, &name), told);
    }
}

#[test]
fn who_comes_again_only_after_many_times_as_many_others_as_there_is_room_for_fires() {
    let mut engine = crowded();
    let mut told = Vec::new();
    for second in 0..60 {
        strangers(&mut engine, second, &mut told);
        if second % 4 == 0 {
            // 4,000 others between two of its hits.
            engine.observe(&hit(second, "hot"), &mut told);
        }
    }
    assert_eq!(engine.groups[0].len(), ROOM);
    // It had to go once, before anybody knew that it would come again.
    assert_eq!(
        trace(&told),
        "40s first hot seq=1 count=10 suppressed=0 started=40\n"
    );
    let dropped = 60 * STRANGERS + 2 - i64::try_from(ROOM).unwrap();
    assert_eq!(engine.counts()[0].dropped_groups, dropped.unsigned_abs());
}

#[test]
fn an_alert_that_is_running_outlives_a_flood_of_others() {
    let mut engine = crowded();
    let mut told = Vec::new();
    for second in 0..10 {
        engine.observe(&hit(second, "slow"), &mut told);
    }
    for second in 10..200 {
        strangers(&mut engine, second, &mut told);
    }
    engine.observe(&hit(200, "slow"), &mut told);
    engine.advance(Timestamp::from_secs(1_000), &mut told);
    let expected = "9s first slow seq=1 count=10 suppressed=0 started=9\n\
                    360s resolved slow seq=2 count=11 suppressed=1 started=9 ended=60\n";
    assert_eq!(trace(&told), expected);
}

#[test]
fn where_all_fire_the_one_that_is_idle_longest_goes_and_its_end_is_told() {
    let mut rule = rule(ConditionSpec::Frequency {
        num_events: 1,
        timeframe: Duration::from_secs(1),
    });
    rule.max_groups = 3;
    rule.resolve_after = Duration::from_mins(5);
    let mut engine = engine(rule);
    let mut told = Vec::new();
    for (second, name) in [(0, "a"), (2, "b"), (4, "c"), (6, "a"), (8, "d"), (10, "e")] {
        engine.observe(&hit(second, name), &mut told);
    }
    let ends: Vec<String> = told
        .iter()
        .filter(|told| told.notification.reason == Reason::Resolved)
        .map(|told| told.notification.group["g"].clone())
        .collect();
    assert_eq!(ends, ["b", "c"]);
}

#[test]
fn in_a_backlog_what_has_ended_by_itself_goes_before_what_still_fires() {
    let mut rule = rule(ConditionSpec::Frequency {
        num_events: 1,
        timeframe: Duration::from_secs(1),
    });
    rule.max_groups = 2;
    let mut engine = engine(rule);
    let mut told = Vec::new();
    // Nobody has told the engine that time went on: only the lines do.
    for (second, name) in [(0, "old"), (1_000, "new"), (1_001, "newest")] {
        engine.observe(&hit(second, name), &mut told);
    }
    engine.observe(&hit(1_002, "new"), &mut told);
    let expected = "0s first old seq=1 count=1 suppressed=0 started=0\n\
                    1000s first new seq=1 count=1 suppressed=0 started=1000\n\
                    301s resolved old seq=2 count=1 suppressed=0 started=0 ended=1\n\
                    1001s first newest seq=1 count=1 suppressed=0 started=1001\n";
    assert_eq!(trace(&told), expected);
}
