//! What is in the way of speaking: tables, and a property over all of it at once: the same lines
//! give the same messages, however time is told and wherever the state was saved and restored.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::language::check::{Defaults, Known, SourceFile, check as check_rules};
use crate::model::{Ack, InputId};
use crate::mute::{self, Silence};

/// An engine with rules out of a file.
fn engine_of(yaml: &str) -> Engine {
    let file = SourceFile {
        name: "rules.yaml".into(),
        text: yaml.into(),
    };
    let checked = check_rules(&[file], &Defaults::default(), Known::default());
    assert_eq!(checked.problems, []);
    let rules = Arc::new(checked.into_rule_set());
    Engine::new(rules, "h".into(), Arc::new(["in".into()]))
}

fn hit_of(engine: &Engine, rule: &str, second: i64, group: &str) -> Hit {
    let (id, rule) = engine.rules.by_name(rule).unwrap();
    let mut hit = hit(second, group);
    hit.rule = id;
    hit.input = InputId(0);
    hit.group.truncate(rule.group_by.len());
    hit.top.clear();
    hit
}

/// `45s first r/a` for each message, to others than `notify` with `→`.
fn lines(told: &[Told]) -> Vec<String> {
    let line = |told: &Told| {
        let n = &told.notification;
        let group = n
            .group
            .values()
            .fold(String::new(), |text, value| text + "/" + value);
        let to = match told.to {
            To::Notify => "",
            To::Escalation => " → escalation",
            To::Both => " → both",
        };
        let reason = format!("{:?}", n.reason).to_lowercase();
        format!(
            "{}s {reason} {}{group} seq={} count={}{to}",
            n.sent_at.as_secs(),
            n.rule,
            n.seq,
            n.count
        )
    };
    told.iter().map(line).collect()
}

/// Feeds `(rule, second, group)`, lets time come to `until`.
fn play(engine: &mut Engine, hits: &[(&str, i64, &str)], until: i64) -> Vec<String> {
    let mut told = Vec::new();
    for (rule, second, group) in hits {
        let hit = hit_of(engine, rule, *second, group);
        engine.advance_before(hit.time, &mut told);
        engine.observe(&hit, &mut told);
    }
    engine.advance(Timestamp::from_secs(until), &mut told);
    lines(&told)
}

const INHIBITED: &str = "
inhibit_rules:
  - {source_matchers: ['rule=down'], target_matchers: ['severity=warning'], equal: [g]}
rules:
  - {name: down, type: any, severity: critical, group_by: [g], resolve_after: 5m}
  - {name: slow, type: any, group_by: [g], resolve_after: 20m}
  - {name: short, type: any, group_by: [g], resolve_after: 1m}
";

#[test]
fn what_still_fires_when_the_alert_ends_that_muted_it_is_told_then() {
    let mut engine = engine_of(INHIBITED);
    let told = play(
        &mut engine,
        &[
            ("down", 0, "a"),
            ("slow", 10, "a"),
            ("short", 11, "a"),
            ("slow", 12, "b"),
        ],
        1_000,
    );
    assert_eq!(
        told,
        [
            "0s first down/a seq=1 count=1",
            "12s first slow/b seq=1 count=1",
            "300s resolved down/a seq=2 count=1",
            "300s first slow/a seq=1 count=1",
        ]
    );
    let counts = |name| engine.counts_of(engine.rules.by_name(name).unwrap().0);
    assert_eq!(
        (counts("slow").held_back.inhibited, counts("slow").alerts),
        (1, 2)
    );
    // It ended without anybody having heard of it.
    assert_eq!(
        (
            counts("short").held_back.inhibited,
            counts("short").resolved
        ),
        (1, 1)
    );
}

#[test]
fn an_alert_does_not_mute_itself() {
    let yaml = INHIBITED.replace("'severity=warning'", "'severity=critical'");
    let told = play(
        &mut engine_of(&yaml),
        &[("down", 0, "a"), ("down", 700, "a")],
        800,
    );
    assert_eq!(told.len(), 3, "{told:?}");
}

fn silence(text: &str, ends: i64) -> Silence {
    Silence {
        id: "1".into(),
        matchers: mute::parse(text).unwrap(),
        author: "al".into(),
        note: String::new(),
        starts_at: Timestamp::from_secs(0),
        ends_at: Timestamp::from_secs(ends),
    }
}

const PLAIN: &str = "
rules:
  - {name: x, type: any, group_by: [g], realert: 1m, resolve_after: 10m}
";

#[test]
fn a_silence_holds_back_and_its_end_tells_what_still_fires() {
    let mut engine = engine_of(PLAIN);
    engine.set_silences(
        vec![silence("rule=x, g=~a|c", 500)],
        Timestamp::from_secs(0),
    );
    let hits = [
        ("x", 0, "a"),
        ("x", 1, "b"),
        ("x", 30, "a"),
        ("x", 100, "a"),
    ];
    assert_eq!(
        play(&mut engine, &hits, 800),
        [
            "1s first x/b seq=1 count=1",
            "500s first x/a seq=1 count=3",
            "601s resolved x/b seq=2 count=1",
            "700s resolved x/a seq=2 count=3",
        ]
    );
}

#[test]
fn the_end_of_what_people_know_of_is_told_when_the_silence_is_over() {
    let mut engine = engine_of(PLAIN);
    let mut told = play(&mut engine, &[("x", 0, "a")], 10);
    engine.set_silences(vec![silence("rule=x", 900)], Timestamp::from_secs(10));
    told.extend(play(&mut engine, &[], 899));
    assert_eq!(told, ["0s first x/a seq=1 count=1"]);
    assert_eq!(
        play(&mut engine, &[], 900),
        ["900s resolved x/a seq=2 count=1"]
    );
}

#[test]
fn a_silence_that_is_ended_early_tells_at_once() {
    let mut engine = engine_of(PLAIN);
    engine.set_silences(vec![silence("rule=x", 500)], Timestamp::from_secs(0));
    assert_eq!(play(&mut engine, &[("x", 0, "a")], 20), [] as [&str; 0]);
    engine.set_silences(vec![silence("rule=x", 30)], Timestamp::from_secs(30));
    assert_eq!(engine.next_due(), Some(Timestamp::from_secs(30)));
    assert_eq!(play(&mut engine, &[], 31), ["30s first x/a seq=1 count=1"]);
}

const ESCALATED: &str = "
rules:
  - {name: x, type: any, notify: [chat], escalate: {after: 5m, unless: acked, notify: [pager]}, resolve_after: 10m}
";

#[test]
fn what_nobody_is_at_goes_to_further_people_who_hear_of_its_end_too() {
    assert_eq!(
        play(&mut engine_of(ESCALATED), &[("x", 0, "")], 1_000),
        [
            "0s first x seq=1 count=1",
            "300s escalated x seq=2 count=1 → escalation",
            "600s resolved x seq=3 count=1 → both",
        ]
    );
}

#[test]
fn what_somebody_is_at_does_not() {
    let mut engine = engine_of(ESCALATED);
    play(&mut engine, &[("x", 0, "")], 1);
    let id = engine.running(10)[0].notification.id.clone();
    let ack = Ack {
        by: "al".into(),
        at: Timestamp::from_secs(2),
        note: "on it".into(),
    };
    assert_eq!(
        engine.acknowledge("nothing", ack.clone()),
        Err(AckError::NotFiring)
    );
    let end = id.get(id.len() - 6..).unwrap();
    assert_eq!(
        engine.acknowledge(end, ack.clone()).unwrap().acked,
        Some(ack.clone())
    );
    assert_eq!(
        play(&mut engine, &[], 1_000),
        ["600s resolved x seq=2 count=1"]
    );
    let mut told = Vec::new();
    engine.observe(&hit_of(&engine, "x", 2_000, ""), &mut told);
    assert_eq!(told[0].notification.history.last_ack, Some(ack));
}

fn ack(second: i64) -> Ack {
    Ack {
        by: "al".into(),
        at: Timestamp::from_secs(second),
        note: "on it".into(),
    }
}

#[test]
fn who_acks_while_a_silence_holds_the_escalation_back_is_not_paged_over() {
    for later in [&[][..], &[("x", 620, "")]] {
        let mut engine = engine_of(&ESCALATED.replace("type: any,", "type: any, realert: 1m,"));
        let mut told = play(&mut engine, &[("x", 0, "")], 10);
        engine.set_silences(vec![silence("rule=x", 600)], Timestamp::from_secs(10));
        // A repeat is held back as well.
        told.extend(play(&mut engine, &[("x", 200, "")], 400));
        assert_eq!(told, ["0s first x seq=1 count=1"]);
        let id = engine.running(10)[0].notification.id.clone();
        engine.acknowledge(&id, ack(401)).unwrap();
        let told = play(&mut engine, later, 3_000);
        assert_eq!(told[0], "600s repeat x seq=2 count=2");
        assert!(told.iter().all(|line| !line.contains('→')), "{told:?}");
    }
}

#[test]
fn what_nobody_acks_while_a_silence_holds_it_back_goes_to_both() {
    let mut engine = engine_of(&ESCALATED.replace("type: any,", "type: any, realert: 1m,"));
    let mut told = play(&mut engine, &[("x", 0, "")], 10);
    engine.set_silences(vec![silence("rule=x", 600)], Timestamp::from_secs(10));
    told.extend(play(&mut engine, &[("x", 200, "")], 3_000));
    assert_eq!(
        told,
        [
            "0s first x seq=1 count=1",
            "600s repeat x seq=2 count=2",
            "600s escalated x seq=3 count=2 → escalation",
            "800s resolved x seq=4 count=2 → both",
        ]
    );
    assert_eq!(engine.counts()[0].held_back.silenced, 2);
}

const SILENT: &str = "
inhibit_rules:
  - {source_matchers: ['rule=quiet'], target_matchers: ['rule=slow']}
rules:
  - {name: quiet, type: flatline, threshold: 1, timeframe: 1m, resolve_after: 30s}
  - {name: slow, type: any, resolve_after: 1h}
";

#[test]
fn what_a_silence_muted_is_told_when_lines_have_come_again() {
    let mut engine = engine_of(SILENT);
    engine.watch(Timestamp::from_secs(0));
    let hits = [("slow", 100, ""), ("quiet", 200, "")];
    assert_eq!(
        play(&mut engine, &hits, 229),
        ["60s first quiet seq=1 count=0"]
    );
    assert_eq!(
        play(&mut engine, &[], 231),
        [
            "230s resolved quiet seq=2 count=1",
            "230s first slow seq=1 count=1",
        ]
    );
}

const FOLDED: &str = "
rules:
  - {name: x, type: any, group_by: [g], fold_groups: 2, resolve_after: 5m}
";

#[test]
fn more_groups_than_fold_groups_are_told_by_one_message() {
    let mut engine = engine_of(FOLDED);
    let hits = [
        ("x", 0, "a"),
        ("x", 1, "b"),
        ("x", 2, "c"),
        ("x", 3, "d"),
        ("x", 4, "d"),
    ];
    let mut told = Vec::new();
    for (rule, second, group) in hits {
        engine.observe(&hit_of(&engine, rule, second, group), &mut told);
    }
    engine.advance(Timestamp::from_secs(900), &mut told);
    assert_eq!(
        lines(&told),
        [
            "0s first x/a seq=1 count=1",
            "1s first x/b seq=1 count=1",
            "2s first x seq=1 count=3",
            "300s resolved x/a seq=2 count=1",
            "301s resolved x/b seq=2 count=1",
            "304s digest x seq=2 count=5",
            "304s resolved x seq=3 count=5",
        ]
    );
    let (first, last) = (&told[2].notification, &told[6].notification);
    assert_eq!(
        (first.folded_groups, last.folded_groups),
        (Some(3), Some(4))
    );
    assert_eq!(
        first.summary,
        "x: 3 groups of g at once on h, most: a (1), b (1), c (1)"
    );
    assert_eq!(last.top["g"][0], ("d".to_owned(), 2));
    assert!(last.group.is_empty());
}

#[test]
fn lines_that_stand_for_several_count_so_many() {
    let mut engine = engine(ten_a_minute());
    let mut told = Vec::new();
    let mut repeated = hit(5, "a");
    repeated.times = 40;
    engine.observe(&hit(0, "a"), &mut told);
    engine.observe(&repeated, &mut told);
    assert_eq!(
        trace(&told),
        "5s first a seq=1 count=41 suppressed=0 started=5\n"
    );
    assert_eq!(engine.counts()[0].hits, 41);
    assert_eq!(told[0].notification.rate.counts.iter().sum::<u32>(), 41);
}

#[test]
fn samples_that_differ_in_numbers_only_are_shown_once() {
    let mut rule = ten_a_minute();
    rule.dedupe = crate::language::rule::Dedupe::Template;
    let mut engine = engine(rule);
    let mut told = Vec::new();
    for second in 0..10 {
        let mut hit = hit(second, "a");
        if second == 4 {
            hit.sample.line = "another".to_owned();
        }
        engine.observe(&hit, &mut told);
    }
    let samples = &told[0].notification.samples;
    let shown: Vec<_> = samples.iter().map(|s| (s.line.as_str(), s.times)).collect();
    assert_eq!(shown, [("another", 1), ("line at 9", 9)]);
}

const ALL: &str = "
time_intervals:
  - {name: pauses, time_intervals: [{times: [{start_time: '00:10', end_time: '00:20'}, {start_time: '00:31', end_time: '00:40'}]}]}
  - {name: first, time_intervals: [{times: [{start_time: '00:00', end_time: '00:45'}]}]}
inhibit_rules:
  - {source_matchers: ['severity=critical'], target_matchers: ['severity!=critical'], equal: [g]}
  - {source_matchers: ['rule=folded, g='], target_matchers: ['rule=often']}
defaults: {realert: 3m, resolve_after: 4m}
rules:
  - {name: down, type: any, severity: critical, group_by: [g]}
  - {name: often, type: frequency, num_events: 2, timeframe: 2m, group_by: [g], escalate: {after: 3m, notify: [p]}}
  - {name: paused, type: any, mute_time_intervals: [pauses], active_time_intervals: [first], group_by: [g]}
  - {name: folded, type: any, severity: critical, group_by: [g], fold_groups: 2, exponential_realert: 10m, resolve_after: 3m}
  - {name: few, type: flatline, threshold: 1, timeframe: 2m, group_by: [g]}
";

#[derive(Clone, Copy, Debug)]
enum Time {
    /// As in `backtest`.
    ByLines,
    /// As over a backlog: not at all, until its end.
    AtTheEnd,
}

fn told_of(
    hits: &[(usize, i64, usize, bool)],
    time: Time,
    restarts: bool,
) -> BTreeMap<(String, u32), String> {
    const RULES: [&str; 5] = ["down", "often", "paused", "folded", "few"];
    const GROUPS: [&str; 4] = ["a", "b", "c", "d"];
    let mut engine = engine_of(ALL);
    let mut disk: BTreeMap<(String, String), SavedGroup> = BTreeMap::new();
    let (mut told, mut second) = (Vec::new(), 0);
    for (rule, ahead, group, restart) in hits {
        second += ahead;
        if *restart && restarts {
            for change in engine.take_changes() {
                disk.insert((change.rule.clone(), change.key.clone()), change);
            }
            disk.retain(|_, group| group.state.is_some());
            engine = engine_of(ALL);
            let saved: Vec<SavedGroup> = disk.values().cloned().collect();
            assert!(engine.restore(&saved).is_empty());
        }
        let hit = hit_of(&engine, RULES[*rule], second, GROUPS[*group]);
        if matches!(time, Time::ByLines) {
            engine.advance_before(hit.time, &mut told);
        }
        engine.observe(&hit, &mut told);
    }
    engine.advance(Timestamp::from_secs(second + 2_000), &mut told);
    let key = |told: &Told| (told.notification.id.clone(), told.notification.seq);
    let text = |told: &Told| {
        format!(
            "{:?} {}",
            told.to,
            serde_json::to_string(&told.notification).unwrap()
        )
    };
    told.iter().map(|told| (key(told), text(told))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn with_all_of_it_in_play_the_same_is_told_however_time_is_told_and_wherever_it_restarts(
        hits in prop::collection::vec(
            (0usize..5, prop_oneof![4 => 0i64..40, 1 => 100i64..600], 0usize..4, any::<bool>()),
            1..80,
        )
    ) {
        let whole = told_of(&hits, Time::ByLines, false);
        for (time, restarts) in [(Time::ByLines, true), (Time::AtTheEnd, false)] {
            let other = told_of(&hits, time, restarts);
            for (key, text) in whole.iter().chain(&other) {
                prop_assert!(
                    whole.get(key) == Some(text) && other.get(key) == Some(text),
                    "{:?} restarts={}\n{:?}\nwhole {:?}\nother {:?}",
                    time, restarts, key, whole.get(key), other.get(key)
                );
            }
        }
    }
}
