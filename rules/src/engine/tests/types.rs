//! Every rule type through the engine: the same notifications whether time is told by lines alone
//! or besides, and whether or not the state was saved and restored in mid-window.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::language::mask::Masks;
use crate::language::rule::{FireOn, Reference, SpikeSpec, SpikeType};
use crate::model::Parts;

const MINUTE: Duration = Duration::from_mins(1);

pub(super) fn conditions() -> Vec<ConditionSpec> {
    let spike = |direction, reference| {
        ConditionSpec::Spike(SpikeSpec {
            direction,
            height: 2.0,
            timeframe: MINUTE,
            threshold_ref: 2,
            threshold_cur: 2,
            reference,
        })
    };
    let pair = |fire_on| ConditionSpec::Pair {
        within: MINUTE,
        fire_on,
    };
    vec![
        ConditionSpec::Any,
        ConditionSpec::Frequency {
            num_events: 3,
            timeframe: MINUTE,
        },
        spike(SpikeType::Both, Reference::Previous),
        spike(SpikeType::Up, Reference::SameTime(MINUTE * 5)),
        ConditionSpec::Flatline {
            threshold: 2,
            timeframe: MINUTE,
        },
        ConditionSpec::NewTerm {
            fields: vec![vec!["x".into()], vec!["x".into(), "y".into()]],
            terms_window_size: MINUTE * 5,
            learn_for: Duration::from_secs(30),
        },
        ConditionSpec::Cardinality {
            field: "x".into(),
            min: Some(2),
            max: Some(3),
            timeframe: MINUTE,
        },
        ConditionSpec::PercentageMatch {
            min: Some(20.0),
            max: Some(70.0),
            min_denominator: 3,
            timeframe: MINUTE,
        },
        pair(FireOn::Missing),
        pair(FireOn::Completed),
        ConditionSpec::Sequence {
            num_events: vec![2, 1],
            within: MINUTE,
        },
        ConditionSpec::NewPattern {
            learn_for: Duration::from_secs(30),
            masks: Arc::new(Masks::all()),
            returned_after: Some(MINUTE * 5),
        },
    ]
}

pub(super) fn quick(condition: ConditionSpec) -> Rule {
    Rule {
        realert: MINUTE * 2,
        resolve_after: MINUTE,
        ..rule(condition)
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) ahead: i64,
    pub(super) late: i64,
    pub(super) group: u8,
    pub(super) parts: u32,
    pub(super) value: u8,
    /// The state is saved and restored before it.
    pub(super) restarts: bool,
}

fn line() -> impl Strategy<Value = Line> {
    (
        prop_oneof![4 => 0i64..20, 1 => 20i64..200],
        0i64..50,
        0u8..2,
        1u32..8,
        0u8..5,
        any::<bool>(),
    )
        .prop_map(|(ahead, late, group, parts, value, restarts)| Line {
            ahead,
            late,
            group,
            parts,
            value,
            restarts,
        })
}

pub(super) fn hit_of(line: Line, second: i64, condition: &ConditionSpec) -> Hit {
    let mut hit = hit(second, ["a", "b"][usize::from(line.group)]);
    // Two bits for the parts, `match` where the type asks for it.
    hit.parts = match condition {
        ConditionSpec::Pair { .. } | ConditionSpec::Sequence { .. } => {
            Parts::from_bits((line.parts & 3).max(1) << 1)
        }
        _ => Parts::from_bits(line.parts | 1),
    };
    let value = Some(line.value.to_string());
    hit.values = match condition {
        ConditionSpec::NewTerm { .. } => {
            let y = (line.parts != 7).then(|| (line.parts % 2).to_string());
            vec![value.clone(), value, y]
        }
        _ => vec![value],
    };
    hit
}

/// All that is told, by alert and in order within each.
pub(super) fn by_alert(told: &[Told]) -> BTreeMap<(String, u32), String> {
    let key = |told: &Told| (told.notification.id.clone(), told.notification.seq);
    let text = |told: &Told| serde_json::to_string(&told.notification).unwrap();
    told.iter().map(|told| (key(told), text(told))).collect()
}

/// What a store keeps.
#[derive(Default)]
struct Disk(BTreeMap<String, SavedGroup>);

impl Disk {
    fn restart(&mut self, old: &mut Engine, condition: &ConditionSpec) -> Engine {
        for mut change in old.take_changes() {
            let parts = self.0.remove(&change.key).map(|saved| saved.parts);
            if change.state.is_some() {
                let mut parts = parts.unwrap_or_default();
                parts.retain(|number, _| *number >= change.first_part);
                parts.append(&mut change.parts);
                change.parts = parts;
                self.0.insert(change.key.clone(), change);
            }
        }
        let mut engine = engine(quick(condition.clone()));
        let saved: Vec<SavedGroup> = self.0.values().cloned().collect();
        assert!(engine.restore(&saved).is_empty());
        engine
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Lines in any order; a restart before some of them.
    #[test]
    fn after_a_restart_every_type_goes_on_as_if_nothing_had_happened(
        lines in prop::collection::vec(line(), 1..50),
    ) {
        for condition in conditions() {
            let mut whole = engine(quick(condition.clone()));
            let (mut parts, mut disk) = (engine(quick(condition.clone())), Disk::default());
            let (mut now, mut told) = (0, [Vec::new(), Vec::new()]);
            for (n, line) in lines.iter().enumerate() {
                now += line.ahead;
                let second = if n % 3 == 2 { now - line.late } else { now };
                if line.restarts {
                    parts = disk.restart(&mut parts, &condition);
                }
                let hit = hit_of(*line, second, &condition);
                for (engine, told) in [&mut whole, &mut parts].into_iter().zip(&mut told) {
                    engine.advance_before(hit.time, told);
                    engine.observe(&hit, told);
                }
            }
            parts = disk.restart(&mut parts, &condition);
            for (engine, told) in [&mut whole, &mut parts].into_iter().zip(&mut told) {
                engine.advance(Timestamp::from_secs(now + 1_000), told);
            }
            let [whole, parts] = told;
            prop_assert_eq!(by_alert(&whole), by_alert(&parts), "{}", condition.name());
            prop_assert_eq!(whole.len(), parts.len());
        }
    }

    /// As `backtest` does it, with the time of each line; as a backlog is read live, without; and
    /// as it is live, with time that passes second by second.
    #[test]
    fn every_type_says_the_same_however_time_is_told(
        lines in prop::collection::vec(line(), 1..40),
    ) {
        for condition in conditions() {
            let mut engines = [(); 3].map(|()| engine(quick(condition.clone())));
            let mut told = [(); 3].map(|()| Vec::new());
            let mut now = 0;
            for line in &lines {
                let before = now;
                now += line.ahead;
                let hit = hit_of(*line, now, &condition);
                for second in before..now {
                    engines[1].advance(Timestamp::from_secs(second), &mut told[1]);
                }
                engines[2].advance_before(hit.time, &mut told[2]);
                for (engine, told) in engines.iter_mut().zip(&mut told) {
                    engine.observe(&hit, told);
                }
            }
            for (engine, told) in engines.iter_mut().zip(&mut told) {
                engine.advance(Timestamp::from_secs(now + 1_000), told);
            }
            let [backlog, live, backtest] = told.map(|told| by_alert(&told));
            prop_assert_eq!(&backlog, &backtest, "{}", condition.name());
            prop_assert_eq!(&live, &backtest, "{}", condition.name());
        }
    }
}

/// How much later than others lines come below.
const LATE: i64 = 50;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// In any order: as a backlog is read, with nothing but the hits; as `backtest` does it, whose
    /// clock stays behind the latest line by more than lines are late; and with a clock that goes on
    /// between the lines for other reasons.
    #[test]
    fn late_lines_count_the_same_as_long_as_the_clock_waits_for_them(
        lines in prop::collection::vec(line(), 1..40),
        others in prop::collection::vec(any::<bool>(), 40),
    ) {
        for condition in conditions() {
            let mut engines = [(); 3].map(|()| engine(quick(condition.clone())));
            let mut told = [(); 3].map(|()| Vec::new());
            let mut now = 0;
            for (n, (line, other)) in lines.iter().zip(&others).enumerate() {
                now += line.ahead;
                let clock = Timestamp::from_secs(now - LATE);
                let second = if n % 3 == 2 { now - line.late } else { now };
                let hit = hit_of(*line, second, &condition);
                engines[1].advance_before(clock, &mut told[1]);
                if *other {
                    engines[2].advance_before(clock, &mut told[2]);
                }
                for (engine, told) in engines.iter_mut().zip(&mut told) {
                    engine.observe(&hit, told);
                }
            }
            for (engine, told) in engines.iter_mut().zip(&mut told) {
                engine.advance(Timestamp::from_secs(now + 1_000), told);
            }
            let [backlog, backtest, other] = told.map(|told| by_alert(&told));
            prop_assert_eq!(&backlog, &backtest, "{}", condition.name());
            prop_assert_eq!(&backlog, &other, "{}", condition.name());
        }
    }
}

/// What is told, in one line each.
fn said(told: &[Told]) -> Vec<String> {
    let line = |told: &Told| {
        let n = &told.notification;
        let reason = format!("{:?}", n.reason).to_lowercase();
        let second = n.sent_at.as_secs();
        format!("{second}s {reason} count={} value={}", n.count, n.value.0)
    };
    told.iter().map(line).collect()
}

fn flatline() -> Rule {
    Rule {
        group_by: Vec::new(),
        ..quick(ConditionSpec::Flatline {
            threshold: 1,
            timeframe: MINUTE,
        })
    }
}

fn ungrouped(second: i64) -> Hit {
    Hit {
        group: Vec::new(),
        ..hit(second, "")
    }
}

#[test]
fn silence_is_told_from_the_start_on_again_and_again_until_a_hit() {
    let mut engine = engine(flatline());
    let mut told = Vec::new();
    engine.watch(Timestamp::from_secs(0));
    engine.advance(Timestamp::from_secs(59), &mut told);
    assert_eq!(said(&told), [] as [&str; 0]);
    engine.advance(Timestamp::from_secs(400), &mut told);
    engine.observe(&ungrouped(410), &mut told);
    engine.observe(&ungrouped(450), &mut told);
    engine.observe(&ungrouped(465), &mut told);
    engine.advance(Timestamp::from_secs(475), &mut told);
    assert_eq!(
        said(&told),
        [
            "60s first count=0 value=0",
            "180s repeat count=0 value=0",
            "300s repeat count=0 value=0",
            "470s resolved count=3 value=2",
        ]
    );
    assert_eq!(
        told[3].notification.ended_at,
        Some(Timestamp::from_secs(410))
    );
}

#[test]
fn a_rule_that_hears_nothing_is_told_from_an_input_that_says_nothing() {
    let mut engine = engine(flatline());
    let at = Timestamp::from_secs;
    let mut told = Vec::new();
    engine.watch(at(0));
    engine.heard(InputId(0), &[(at(5), at(100))]);
    engine.advance(at(200), &mut told);
    engine.set_unreadable(&[InputId(0)]);
    engine.advance(at(300), &mut told);
    // A backlog that tells of lines before the hit.
    let mut hit = ungrouped(430);
    hit.heard = vec![(at(400), at(440))];
    engine.observe(&hit, &mut told);
    let states: Vec<_> = told
        .iter()
        .map(|told| {
            (
                told.notification.sent_at.as_secs(),
                told.notification.input_state,
            )
        })
        .collect();
    assert_eq!(
        states,
        [
            (60, Some(InputState::Ok)),
            (180, Some(InputState::Silent)),
            (300, Some(InputState::Unreadable)),
            (420, Some(InputState::Ok)),
        ]
    );
}

#[test]
fn a_backlog_from_before_the_start_is_looked_at_in_its_own_time() {
    let mut engine = engine(flatline());
    let mut told = Vec::new();
    engine.watch(Timestamp::from_secs(1_000_000));
    for second in [0, 50, 200, 240] {
        let mut hit = ungrouped(second);
        hit.arrival = Timestamp::from_secs(1_000_000);
        engine.observe(&hit, &mut told);
    }
    assert_eq!(said(&told), ["110s first count=0 value=0"]);
    // From here on the clocks run alike: a minute after the last line.
    engine.advance(Timestamp::from_secs(1_000_059), &mut told);
    assert_eq!(said(&told)[1..], ["260s resolved count=2 value=1"]);
    engine.advance(Timestamp::from_secs(1_000_060), &mut told);
    assert_eq!(said(&told)[2..], ["300s first count=0 value=0"]);
}

#[test]
fn what_was_watched_before_a_restart_is_watched_on_from_then() {
    let mut before = engine(flatline());
    before.watch(Timestamp::from_secs(0));
    let saved = before.take_changes();
    let mut after = engine(flatline());
    assert!(after.restore(&saved).is_empty());
    after.watch(Timestamp::from_secs(50));
    let mut told = Vec::new();
    after.advance(Timestamp::from_secs(60), &mut told);
    assert_eq!(said(&told), ["60s first count=0 value=0"]);
}

#[test]
fn a_line_that_bears_the_last_second_may_come_until_it_is_over() {
    let mut engine = engine(flatline());
    engine.wait_for_lines(Duration::from_secs(1));
    engine.watch(Timestamp::from_secs(0));
    let mut told = Vec::new();
    let due = engine.next_due().unwrap();
    assert_eq!(due, Timestamp::from_secs(61));
    engine.advance(Timestamp::from_nanos(60_999_000_000), &mut told);
    let mut late = ungrouped(60);
    late.arrival = Timestamp::from_nanos(60_999_500_000);
    engine.observe(&late, &mut told);
    engine.advance(Timestamp::from_secs(62), &mut told);
    assert!(told.is_empty());
}

#[test]
fn each_new_term_has_an_alert_of_its_own() {
    let mut rule = quick(ConditionSpec::NewTerm {
        fields: vec![vec!["user".into()]],
        terms_window_size: MINUTE * 100,
        learn_for: Duration::ZERO,
    });
    rule.group_by = vec!["g".into()];
    let mut engine = engine(rule);
    let mut told = Vec::new();
    for (second, group, user) in [
        (0, "a", "bob"),
        (1, "a", "eve"),
        (2, "b", "bob"),
        (3, "a", "bob"),
    ] {
        let mut hit = hit(second, group);
        hit.values = vec![Some(user.to_owned())];
        engine.observe(&hit, &mut told);
    }
    let groups: Vec<String> = told
        .iter()
        .map(|told| {
            format!(
                "{}/{}",
                told.notification.group["g"], told.notification.group["user"]
            )
        })
        .collect();
    assert_eq!(groups, ["a/bob", "a/eve", "b/bob"]);
    engine.advance(Timestamp::from_secs(100), &mut told);
    assert_eq!(
        said(&told[3..]),
        [
            "60s resolved count=2 value=1",
            "61s resolved count=1 value=1",
            "62s resolved count=1 value=1",
        ]
    );
}

#[test]
fn what_is_new_in_two_fields_at_once_has_two_ids() {
    let mut rule = quick(ConditionSpec::NewTerm {
        fields: vec![vec!["from".into()], vec!["to".into()]],
        terms_window_size: MINUTE * 100,
        learn_for: Duration::ZERO,
    });
    rule.fold_groups = Some(1);
    let mut engine = engine(rule);
    let mut told = Vec::new();
    let mut hit = hit(0, "a");
    hit.values = vec![Some("*".to_owned()), Some("*".to_owned())];
    engine.observe(&hit, &mut told);
    // One of each, and the one that speaks for both.
    let ids: Vec<String> = engine
        .running(10)
        .into_iter()
        .map(|alert| alert.notification.id)
        .collect();
    assert_eq!(ids.len(), 3);
    let different: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(different.len(), 3, "{ids:?}");
}

#[test]
fn a_million_new_terms_take_no_more_groups_than_allowed() {
    let mut rule = quick(ConditionSpec::NewTerm {
        fields: vec![vec!["user".into()]],
        terms_window_size: MINUTE * 100,
        learn_for: Duration::ZERO,
    });
    rule.max_groups = 50;
    let mut engine = engine(rule);
    let mut told = Vec::new();
    for n in 0..2_000 {
        let mut hit = hit(n / 100, "a");
        hit.values = vec![Some(n.to_string())];
        engine.observe(&hit, &mut told);
    }
    assert!(engine.groups[0].len() <= 50);
    let first = told
        .iter()
        .filter(|told| told.notification.reason == Reason::First);
    assert_eq!(first.count(), 2_000);
}

#[test]
fn a_start_that_waits_is_not_forgotten_when_others_are_tidied_away() {
    let mut engine = engine(quick(ConditionSpec::Pair {
        within: MINUTE,
        fire_on: FireOn::Missing,
    }));
    let mut told = Vec::new();
    let mut start = hit(0, "a");
    start.parts = Parts::from_bits(2);
    engine.observe(&start, &mut told);
    for second in 100..110 {
        let mut finish = hit(second, "b");
        finish.parts = Parts::from_bits(4);
        engine.observe(&finish, &mut told);
    }
    engine.advance(Timestamp::from_secs(110), &mut told);
    assert_eq!(said(&told), ["60s first count=1 value=60"]);
}
