//! The life of an alert, as tables: hits at seconds in, a line for each notification out.

mod crowds;
mod jumps;
mod mutes;
mod saving;
mod types;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::language::redact::Redactor;
use crate::language::rule::{ConditionSpec, Match, Rule};
use crate::language::template::{OfRule, Template};
use crate::model::{Reason, Severity};
use crate::scanner::empty_hit;

fn rule(condition: ConditionSpec) -> Rule {
    Rule {
        name: "r".into(),
        place: crate::language::diagnostic::Place::default(),
        summary: Template::new("{{ count }}", OfRule::default()).unwrap(),
        description: Template::default(),
        severity: Severity::Warning,
        labels: BTreeMap::new(),
        runbook_url: None,
        dashboard_url: None,
        inputs: Vec::new(),
        mode: Mode::Live,
        matching: Arc::new(Match::default()),
        parts: Vec::new(),
        condition,
        group_by: vec!["g".into()],
        max_groups: 100,
        top_count_keys: vec!["path".into()],
        samples: 3,
        redact: Redactor::default(),
        realert: Duration::from_mins(10),
        exponential_realert: None,
        resolve_after: Duration::from_mins(5),
        notify: None,
        active_times: Vec::new(),
        mute_times: Vec::new(),
        escalate: None,
        fold_groups: None,
        repeats: crate::language::rule::Repeats::default(),
        context: crate::language::rule::Context::default(),
        dedupe: crate::language::rule::Dedupe::default(),
        attach: crate::model::Attachment::all(),
        tests: Vec::new(),
    }
}

fn ten_a_minute() -> Rule {
    rule(ConditionSpec::Frequency {
        num_events: 10,
        timeframe: Duration::from_mins(1),
    })
}

fn engine(rule: Rule) -> Engine {
    Engine::new(
        Arc::new(RuleSet::new(vec![rule])),
        "h".into(),
        Arc::new(["in".into()]),
    )
}

fn hit(second: i64, group: &str) -> Hit {
    let mut hit = empty_hit();
    hit.time = Timestamp::from_secs(second);
    hit.arrival = hit.time;
    hit.sample.at = hit.time;
    hit.sample.line = format!("line at {second}");
    hit.group = vec![group.to_owned()];
    hit.top = vec![Some(format!("/{}", second % 2))];
    hit
}

fn trace(told: &[Told]) -> String {
    let mut text = String::new();
    for Told {
        notification: n, ..
    } in told
    {
        let reason = format!("{:?}", n.reason).to_lowercase();
        let ended = n
            .ended_at
            .map_or_else(String::new, |at| format!(" ended={}", at.as_secs()));
        writeln!(
            text,
            "{}s {reason} {} seq={} count={} suppressed={} started={}{ended}",
            n.sent_at.as_secs(),
            n.group["g"],
            n.seq,
            n.count,
            n.suppressed,
            n.started_at.as_secs(),
        )
        .unwrap();
    }
    text
}

/// Feeds hits of one group, lets time come to `until`.
fn check(rule: Rule, seconds: impl IntoIterator<Item = i64>, until: i64, expected: &str) {
    let mut engine = engine(rule);
    let mut told = Vec::new();
    for second in seconds {
        engine.advance(Timestamp::from_secs(second), &mut told);
        engine.observe(&hit(second, "a"), &mut told);
    }
    engine.advance(Timestamp::from_secs(until), &mut told);
    let expected: String = expected
        .lines()
        .map(|line| format!("{}\n", line.trim()))
        .filter(|l| l != "\n")
        .collect();
    assert_eq!(trace(&told), expected);
}

#[test]
fn the_tenth_hit_fires_and_silence_resolves() {
    check(
        ten_a_minute(),
        (0..10).map(|n| n * 5),
        10_000,
        "45s first a seq=1 count=10 suppressed=0 started=45
         360s resolved a seq=2 count=10 suppressed=0 started=45 ended=60",
    );
}

#[test]
fn hits_that_go_on_are_told_after_realert_and_not_before() {
    check(
        ten_a_minute(),
        (0..=160).map(|n| n * 5),
        10_000,
        "45s first a seq=1 count=10 suppressed=0 started=45
         645s repeat a seq=2 count=130 suppressed=120 started=45
         1115s resolved a seq=3 count=161 suppressed=31 started=45 ended=815",
    );
}

#[test]
fn exponential_realert_doubles_up_to_its_limit() {
    let mut rule = ten_a_minute();
    rule.realert = Duration::from_secs(100);
    rule.exponential_realert = Some(Duration::from_mins(5));
    check(
        rule,
        0..1_200,
        1_200,
        "9s first a seq=1 count=10 suppressed=0 started=9
         109s repeat a seq=2 count=110 suppressed=100 started=9
         309s repeat a seq=3 count=310 suppressed=200 started=9
         609s repeat a seq=4 count=610 suppressed=300 started=9
         909s repeat a seq=5 count=910 suppressed=300 started=9",
    );
}

#[test]
fn any_tells_the_first_hit_at_once_and_the_others_as_a_digest() {
    let mut rule = rule(ConditionSpec::Any);
    rule.realert = Duration::from_mins(1);
    check(
        rule,
        [0, 10, 20, 70, 200],
        10_000,
        "0s first a seq=1 count=1 suppressed=0 started=0
         60s digest a seq=2 count=3 suppressed=2 started=0
         120s digest a seq=3 count=4 suppressed=1 started=0
         200s repeat a seq=4 count=5 suppressed=1 started=0
         500s resolved a seq=5 count=5 suppressed=0 started=0 ended=200",
    );
}

#[test]
fn a_digest_is_not_lost_when_the_alert_ends_before_it() {
    check(
        rule(ConditionSpec::Any),
        [0, 60],
        10_000,
        "0s first a seq=1 count=1 suppressed=0 started=0
         360s digest a seq=2 count=2 suppressed=1 started=0
         360s resolved a seq=3 count=2 suppressed=0 started=0 ended=60",
    );
}

#[test]
fn a_backlog_resolves_by_its_own_line_time() {
    // Everything arrives at once; `advance` is never called in between.
    let mut engine = engine(ten_a_minute());
    let mut told = Vec::new();
    for second in (0..10).chain(1_000..1_010) {
        let mut hit = hit(second, "a");
        hit.arrival = Timestamp::from_secs(5_000);
        engine.observe(&hit, &mut told);
    }
    assert_eq!(
        told.iter()
            .map(|t| t.notification.reason)
            .collect::<Vec<_>>(),
        [Reason::First, Reason::Resolved, Reason::First]
    );
    assert_eq!(told[2].notification.history.fired_30d, 1);
    assert_eq!(told[2].notification.history.last_duration_s, Some(51));
    // From here on the clocks run alike: 5 minutes after the condition ceases to hold.
    assert_eq!(
        engine.next_due(),
        Some(Timestamp::from_secs(5_000 + 51 + 300))
    );
}

#[test]
fn what_was_saved_goes_on_as_if_nothing_had_happened() {
    for cut in 0..30 {
        let mut whole = (engine(ten_a_minute()), Vec::new());
        let mut parts = (engine(ten_a_minute()), Vec::new());
        for n in 0..30 {
            if n == cut {
                let saved = parts.0.take_changes();
                parts.0 = engine(ten_a_minute());
                assert!(parts.0.restore(&saved).is_empty());
            }
            for (engine, told) in [&mut whole, &mut parts] {
                engine.observe(
                    &hit(n * 4, ["a", "b"][usize::try_from(n % 2).unwrap()]),
                    told,
                );
            }
        }
        for (engine, told) in [&mut whole, &mut parts] {
            engine.advance(Timestamp::from_secs(1_000), told);
        }
        assert_eq!(whole.1, parts.1, "cut before hit {cut}");
    }
}

#[test]
fn groups_are_bounded_and_the_longest_idle_goes_first() {
    let mut rule = ten_a_minute();
    rule.max_groups = 2;
    let mut engine = engine(rule);
    let mut told = Vec::new();
    for second in 0..9 {
        engine.observe(&hit(second, "hot"), &mut told);
        engine.observe(&hit(second, &format!("cold{second}")), &mut told);
    }
    engine.observe(&hit(9, "hot"), &mut told);
    assert_eq!(
        trace(&told),
        "9s first hot seq=1 count=10 suppressed=0 started=9\n"
    );
    assert_eq!(engine.counts()[0].dropped_groups, 8);
}

#[test]
fn of_very_many_groups_few_are_kept_and_the_rest_are_counted() {
    let mut rule = ten_a_minute();
    rule.max_groups = 500;
    let mut engine = engine(rule);
    let mut told = Vec::new();
    let many = 100_000;
    for n in 0..many {
        // A thousand strangers a second, and one that comes more than twice.
        let second = n / 1_000;
        engine.observe(&hit(second, &format!("stranger {n}")), &mut told);
        if n % 400 == 0 {
            engine.observe(&hit(second, "hot"), &mut told);
        }
    }
    assert_eq!(engine.groups[0].len(), 500);
    let dropped = u64::try_from(many).unwrap() + 1 - 500;
    assert_eq!(engine.counts()[0].dropped_groups, dropped);
    let told = trace(&told);
    assert!(told.starts_with("3s first hot seq=1 count=10 "), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn a_group_that_was_saved_and_dropped_is_taken_back() {
    let mut rule = ten_a_minute();
    rule.max_groups = 1;
    let mut engine = engine(rule);
    engine.observe(&hit(0, "a"), &mut Vec::new());
    assert!(engine.take_changes()[0].state.is_some());
    engine.observe(&hit(1, "b"), &mut Vec::new());
    engine.observe(&hit(2, "a"), &mut Vec::new());
    engine.observe(&hit(3, "b"), &mut Vec::new());
    let changes = engine.take_changes();
    let states: Vec<_> = changes
        .iter()
        .map(|c| (c.key.as_str(), c.state.is_some()))
        .collect();
    assert_eq!(states, [("1:a", false), ("1:b", true)]);
}

#[test]
fn a_message_has_the_latest_lines_and_the_commonest_values() {
    let mut engine = engine(ten_a_minute());
    let mut told = Vec::new();
    // One hit that has left the window by the time it fires does not count.
    engine.observe(&hit(-100, "a"), &mut told);
    for second in 0..10 {
        engine.observe(&hit(second, "a"), &mut told);
    }
    let n = &told[0].notification;
    assert_eq!(
        n.samples
            .iter()
            .map(|s| s.line.as_str())
            .collect::<Vec<_>>(),
        ["line at 7", "line at 8", "line at 9"]
    );
    assert_eq!(n.top["path"], [("/0".to_owned(), 5), ("/1".to_owned(), 5)]);
    assert_eq!(
        (n.summary.as_str(), n.first_hit_at),
        ("10", Timestamp::from_secs(0))
    );
    assert_eq!((n.value.0, n.threshold.0), (10.0, 10.0));
    assert!(n.id.len() == 2 + 16 && n.id.starts_with("r-"), "{}", n.id);
}

#[test]
fn rules_that_are_off_see_nothing() {
    let mut rule = rule(ConditionSpec::Any);
    rule.mode = Mode::Off;
    let mut engine = engine(rule);
    let mut told = Vec::new();
    engine.observe(&hit(0, "a"), &mut told);
    assert!(told.is_empty() && !engine.has_changes());
}

#[test]
fn a_rule_that_goes_live_while_its_shadow_fires_tells_of_it_first() {
    let in_mode = |mode| {
        let mut rule = ten_a_minute();
        rule.mode = mode;
        engine(rule)
    };
    let mut shadow = in_mode(Mode::Shadow);
    let mut told = Vec::new();
    for second in 0..10 {
        shadow.observe(&hit(second, "a"), &mut told);
    }
    assert_eq!(told[0].notification.mode, Mode::Shadow);
    let shadow_id = told[0].notification.id.clone();
    let saved = shadow.take_changes();
    for (mode, expected) in [(Mode::Live, "first"), (Mode::Shadow, "")] {
        let mut after = in_mode(mode);
        assert!(after.restore(&saved).is_empty());
        let mut told = Vec::new();
        // The same line time again: what nobody heard of must not be taken for this.
        after.observe(&hit(9, "a"), &mut told);
        assert!(trace(&told).contains(expected));
        assert!(told.iter().all(|it| it.notification.id != shadow_id));
        assert_eq!(told.is_empty(), expected.is_empty(), "{}", trace(&told));
    }
}

#[test]
fn long_lines_in_many_groups_take_bounded_memory() {
    let mut engine = engine(ten_a_minute());
    for n in 0..20_000 {
        let mut hit = hit(0, &(n % 5_000).to_string());
        hit.sample.line = "x".repeat(Sample::MAX_BYTES);
        engine.observe(&hit, &mut Vec::new());
    }
    assert!(
        engine.sample_bytes < SAMPLE_BUDGET + 5_000 * 3 * SHORT_SAMPLE,
        "{}",
        engine.sample_bytes
    );
    let groups = engine.groups[0]
        .iter()
        .map(|(_, group)| group.sample_bytes())
        .sum::<usize>();
    assert_eq!(engine.sample_bytes, groups);
}

#[test]
fn after_a_restart_the_longest_idle_group_still_goes_first() {
    let rule = || {
        let mut rule = ten_a_minute();
        rule.max_groups = 3;
        rule
    };
    let mut before = engine(rule());
    for (second, group) in [(0, "9"), (1, "8"), (2, "7")] {
        before.observe(&hit(second, group), &mut Vec::new());
    }
    let saved = before.take_changes();
    let mut after = engine(rule());
    assert!(after.restore(&saved).is_empty());
    after.observe(&hit(3, "new"), &mut Vec::new());
    let gone: Vec<String> = after
        .take_changes()
        .into_iter()
        .filter(|c| c.state.is_none())
        .map(|c| c.key)
        .collect();
    assert_eq!(gone, ["1:9"]);
}

#[test]
fn a_straggler_does_not_tell_an_ended_episode_again() {
    let mut engine = engine(ten_a_minute());
    let mut told = Vec::new();
    for second in (0..10).chain([400, 5, 410]) {
        engine.observe(&hit(second, "a"), &mut told);
    }
    assert_eq!(
        trace(&told),
        "9s first a seq=1 count=10 suppressed=0 started=9\n\
         360s resolved a seq=2 count=10 suppressed=0 started=9 ended=60\n"
    );
}
