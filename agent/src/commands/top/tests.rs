//! What the screen shows, and what keys do.

use lapwing_rules::model::{Notification, Severity, Timestamp};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use serde_json::json;

use super::screen::draw;
use super::seen::{Alert, Look};
use super::view::View;
use super::*;
use crate::operate::status::Status;
use crate::outputs::example;

fn status(hits: u64, firing: u64) -> Status {
    let rule = |hits, firing| {
        json!({"type": "frequency", "mode": "live", "hits": hits, "alerts": firing,
               "notifications": 0, "firing": firing, "dropped_groups": 0})
    };
    serde_json::from_value(json!({
        "version": "0.1.0", "host": "web-1\u{1b}[31m", "pid": 1, "uptime_s": 120, "ready": true,
        "inputs": {"nginx": {"type": "file", "files": 2, "lines": 7, "bytes": hits * 2048, "lag_bytes": 0, "skewed": 0,
            "unreadable": [], "unreadable_total": 0, "losses": []}},
        "rules": {"a-quiet-one": rule(0, 0), "bad-gateways": rule(hits, firing)},
        "outputs": {},
        "state": {"path": "/x", "bytes": 1, "committed_at": null, "commit_ms": 1, "failing_since": null, "error": null,
            "in_memory": 0, "dropped": {"queue_full": 0, "orphaned": 0, "unrecorded": 0}, "start": "ok"},
        "engine": "ok", "last_reload": null
    }))
    .unwrap()
}

fn drawn(seen: &Seen, view: &mut View) -> String {
    let mut terminal = Terminal::new(TestBackend::new(120, 16)).unwrap();
    terminal
        .draw(|frame| draw(frame, seen, view, Timestamp::from_secs(0)))
        .unwrap();
    let buffer = terminal.backend().buffer().clone();
    let cells = buffer.content().chunks(120);
    let lines = cells.map(|row| {
        row.iter()
            .map(ratatui::buffer::Cell::symbol)
            .collect::<String>()
    });
    lines
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect::<Vec<_>>()
        .concat()
}

fn alert(id: &str, severity: Severity, upstream: &str) -> Alert {
    let notification = Notification {
        id: id.to_owned(),
        rule: "bad-gateways".to_owned(),
        severity,
        group: [("upstream".to_owned(), upstream.to_owned())].into(),
        summary: format!("502 of {upstream}"),
        ..example::alert("web-1", Timestamp::from_secs(0))
    };
    Alert {
        notification,
        muted: None,
    }
}

fn look(hits: u64, alerts: Vec<Alert>) -> Look {
    (status(hits, alerts.len() as u64), alerts)
}

fn press(view: &mut View, seen: &Seen, keys: &[KeyCode]) -> Act {
    let act = |_, key: &KeyCode| view.key(KeyEvent::from(*key), seen);
    keys.iter().fold(Act::Nothing, act)
}

fn write(text: &str) -> Vec<KeyCode> {
    let keys = text.chars().map(KeyCode::Char);
    keys.chain([KeyCode::Enter]).collect()
}

#[test]
fn what_fires_stands_first_with_its_rate() {
    let began = clock::monotonic();
    let mut seen = Seen::new(look(0, Vec::new()), began);
    for (second, hits) in [(1, 2), (2, 2), (3, 9)] {
        let firing = vec![alert("a-1", Severity::Critical, "10.0.0.7")];
        seen.take(look(hits, firing), began + Duration::from_secs(second));
    }
    let screen = drawn(&seen, &mut View::default());
    assert!(
        screen.starts_with("lapwing 0.1.0 web-1\\x1b[31m  up 2m  1 firing\n"),
        "{screen}"
    );
    assert!(screen.contains("14 KiB/s"), "{screen}");
    assert!(screen.contains("502 of 10.0.0.7"), "{screen}");
    assert!(screen.contains("9 hits         ▃▁█"), "{screen}");
    let place = |screen: &str, rule: &str| screen.rfind(rule).unwrap();
    assert!(
        place(&screen, "bad-gateways") < place(&screen, "a-quiet-one"),
        "{screen}"
    );
    let mut by_name = View::default();
    press(
        &mut by_name,
        &seen,
        &[KeyCode::Char('o'), KeyCode::Char('o')],
    );
    let screen = drawn(&seen, &mut by_name);
    assert!(
        place(&screen, "bad-gateways") > place(&screen, "a-quiet-one"),
        "{screen}"
    );
    seen.fail("no agent listens");
    assert!(drawn(&seen, &mut by_name).contains("no agent listens"));
}

#[test]
fn the_chosen_alert_stays_chosen_when_another_comes_above_it() {
    let old = || alert("old", Severity::Warning, "\"x\"");
    let new = alert("new", Severity::Critical, "y");
    let mut seen = Seen::new(look(0, vec![old()]), clock::monotonic());
    let mut view = View::default();
    press(&mut view, &seen, &[KeyCode::Down]);
    seen.take(look(0, vec![new, old()]), clock::monotonic());
    assert!(drawn(&seen, &mut view).contains("502 of y"));
    press(&mut view, &seen, &[KeyCode::Char('a')]);
    assert!(drawn(&seen, &mut view).contains("acknowledge old"));
    let Act::Order(Request::Ack { id, note, .. }) = press(&mut view, &seen, &write("at it")) else {
        panic!("an acknowledgement");
    };
    assert_eq!((id.as_str(), note.as_str()), ("old", "at it"));
    press(&mut view, &seen, &[KeyCode::Char('s')]);
    let act = press(&mut view, &seen, &write("2h planned work"));
    let Act::Order(Request::SilenceAdd {
        matchers,
        for_ms,
        note,
        ..
    }) = act
    else {
        panic!("a silence");
    };
    assert_eq!(matchers, [r#"rule="bad-gateways""#, r#"upstream="\"x\"""#]);
    assert_eq!((for_ms, note.as_str()), (7_200_000, "planned work"));
}

#[test]
fn alerts_of_one_rule_are_told_apart_by_their_groups() {
    let of = |id: &str, upstream: &str| {
        let mut alert = alert(id, Severity::Critical, upstream);
        alert.notification.summary = "10 bad gateways".to_owned();
        alert
    };
    let both = vec![of("a", "10.0.0.7"), of("b", "10.0.0.8\u{1b}[2J")];
    let seen = Seen::new(look(0, both), clock::monotonic());
    let screen = drawn(&seen, &mut View::default());
    for row in [
        "10.0.0.7  10 bad gateways",
        "10.0.0.8\\x1b[2J  10 bad gateways",
    ] {
        assert!(screen.contains(row), "{screen}");
    }
}

#[test]
fn nothing_is_ordered_without_a_choice_or_a_time() {
    let seen = Seen::new(
        look(0, vec![alert("a", Severity::Info, "")]),
        clock::monotonic(),
    );
    let mut view = View::default();
    for key in ['a', 's'] {
        assert_eq!(press(&mut view, &seen, &[KeyCode::Char(key)]), Act::Nothing);
        assert!(drawn(&seen, &mut view).contains("nothing is chosen"));
    }
    press(
        &mut view,
        &seen,
        &[KeyCode::Tab, KeyCode::Down, KeyCode::Char('s')],
    );
    assert!(matches!(
        press(&mut view, &seen, &write("soon")),
        Act::Refuse(_)
    ));
    press(
        &mut view,
        &seen,
        &[KeyCode::Char('s'), KeyCode::Char('9'), KeyCode::Esc],
    );
    assert!(view.prompt.is_none());
    assert_eq!(press(&mut view, &seen, &[KeyCode::Char('q')]), Act::End);
}
