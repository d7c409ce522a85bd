//! Years between two lines: what the passing of time does is bounded, and the same whether it
//! passes in one step or in many.

use super::types::{Line, by_alert, conditions, hit_of, quick};
use super::*;
use crate::model::Notification;

const HOUR: i64 = 3_600;
const YEAR: i64 = 365 * 24 * HOUR;

/// A busy minute, then nothing for `gap` seconds, then a line.
fn lines(gap: i64) -> Vec<(i64, Line)> {
    let line = |value| Line {
        ahead: 0,
        late: 0,
        group: 0,
        parts: 7,
        value,
        restarts: false,
    };
    let busy = (0..200).map(|n| (n, line(u8::try_from(n % 5).unwrap())));
    busy.chain([(200 + gap, line(0))]).collect()
}

/// Tells everything in it, and by time in steps of `step` seconds where there is one.
fn told_of(condition: &ConditionSpec, lines: &[(i64, Line)], step: Option<i64>) -> Vec<Told> {
    let (mut engine, mut told) = (engine(quick(condition.clone())), Vec::new());
    let mut now = 0;
    for (second, line) in lines {
        while let Some(step) = step.filter(|_| now < *second) {
            now = (now + step).min(*second);
            engine.advance_before(Timestamp::from_secs(now), &mut told);
        }
        engine.observe(&hit_of(*line, *second, condition), &mut told);
    }
    told
}

#[test]
fn a_jump_of_the_clock_does_not_build_every_repeat_in_between() {
    for condition in conditions() {
        for gap in [YEAR, 250 * YEAR] {
            let told = told_of(&condition, &lines(gap), None);
            assert!(told.len() < 300, "{}: {}", condition.name(), told.len());
        }
    }
}

#[test]
fn a_long_silence_is_told_alike_in_one_step_and_in_many() {
    for condition in conditions() {
        let lines = lines(YEAR / 4);
        let [own, one, many] =
            [None, Some(YEAR), Some(HOUR)].map(|step| by_alert(&told_of(&condition, &lines, step)));
        assert_eq!(own, one, "{}", condition.name());
        assert_eq!(own, many, "{}", condition.name());
    }
}

#[test]
fn a_silence_is_repeated_at_its_pace_for_long_and_then_by_a_tenth_of_its_length() {
    let flatline = ConditionSpec::Flatline {
        threshold: 1,
        timeframe: Duration::from_mins(1),
    };
    let told = told_of(&flatline, &lines(30 * 24 * HOUR), None);
    let told: Vec<_> = told.iter().map(|told| &told.notification).collect();
    let start = told[0].started_at;
    let minutes = |told: &Notification| told.sent_at.since(start).as_secs() / 60;
    assert_eq!(minutes(told[1]), 2);
    assert_eq!(minutes(told[100]), 200);
    assert_eq!(minutes(told[101]), 220);
    assert_eq!(minutes(told[102]), 242);
    assert_eq!(told.len(), 157);
}

#[test]
fn a_jump_over_years_of_muted_nights_is_no_long_walk() {
    let mut rule = quick(ConditionSpec::Flatline {
        threshold: 1,
        timeframe: Duration::from_mins(1),
    });
    rule.mute_times = vec![Arc::new(crate::mute::TimeInterval {
        name: "always".into(),
        spans: vec![crate::mute::Span {
            times: Vec::new(),
            weekdays: Vec::new(),
            days_of_month: Vec::new(),
            months: Vec::new(),
            years: Vec::new(),
            zone: jiff::tz::TimeZone::UTC,
        }],
    })];
    let mut engine = engine(rule);
    let mut told = Vec::new();
    engine.observe(&hit(0, "a"), &mut told);
    engine.observe(&hit(250 * YEAR, "a"), &mut told);
    assert_eq!(told.len(), 0);
}
