use proptest::prelude::*;

use super::*;
use crate::outputs::message::Way;
use crate::outputs::sample::notification;
use lapwing_rules::model::Notification;

fn sent(notification: &Notification) -> Value {
    payload(&Message::of(notification, &Way::default()))
}

#[test]
fn an_alert_in_a_channel() {
    let message = serde_json::to_string_pretty(&sent(&notification())).unwrap();
    insta::assert_snapshot!(message);
}

/// All texts of a value, wherever they stand.
fn texts(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key == "text" => out.push(text.clone()),
                    other => texts(other, out),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| texts(value, out)),
        _ => {}
    }
}

fn check_limits(message: &Value) {
    let blocks = message["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50);
    let size = message["blocks"].to_string().len();
    assert!(size <= 13_000, "{size}");
    for block in blocks {
        let limit = match block["type"].as_str().unwrap() {
            "header" => HEADER_CHARS,
            _ => SECTION_CHARS,
        };
        let mut found = Vec::new();
        texts(block, &mut found);
        assert!(!found.is_empty(), "{block}");
        for text in found {
            assert!(!text.is_empty(), "{block}");
            assert!(text.encode_utf16().count() <= limit, "{block}");
        }
    }
}

#[test]
fn nothing_in_a_log_can_ping_or_link() {
    let evil = "<!channel> <@U1> <https://e.example|click> & *bold* `code` \u{202e}\x1b[31m";
    let mut alert = notification();
    alert.summary = evil.to_owned();
    alert.host = evil.to_owned();
    alert.samples[0].line = evil.to_owned();
    alert.group.insert("x".to_owned(), evil.to_owned());
    alert
        .top
        .insert(evil.to_owned(), vec![(evil.to_owned(), 1)]);
    alert.dashboard_url = Some(format!("https://e.example/{evil}"));
    alert.runbook_url = Some("javascript:alert(1)".to_owned());
    let message = sent(&alert);
    let body = message.to_string();
    assert!(!body.contains(['<', '>', '\u{202e}', '\x1b']), "{body}");
    assert!(!body.contains("mrkdwn"), "{body}");
    assert!(!body.contains(r#""type":"link""#), "{body}");
    check_limits(&message);
}

#[test]
fn the_largest_alert_keeps_the_limits_and_says_what_is_cut() {
    for filler in ["x", "<", "\u{1F600}", "\\", "\x1b"] {
        let long = filler.repeat(8192);
        let mut alert = notification();
        alert.summary.clone_from(&long);
        alert.rule = "r".repeat(300);
        alert.host.clone_from(&long);
        alert.samples = vec![alert.samples[0].clone(); 9];
        for sample in &mut alert.samples {
            sample.line.clone_from(&long);
        }
        for n in 0..30 {
            alert.group.insert(format!("g{n}"), long.clone());
            alert
                .top
                .insert(format!("t{n}"), vec![(long.clone(), 1); 5]);
        }
        alert.dashboard_url = Some(long);
        let message = sent(&alert);
        check_limits(&message);
        assert!(message.to_string().contains("characters)"));
    }
}

proptest! {
    #[test]
    fn limits_hold_for_any_text(text in "[\\x00-\\x{10ffff}<>&]{0,300}", copies in 1_usize..20) {
        let mut alert = notification();
        let text = text.repeat(copies);
        alert.summary.clone_from(&text);
        alert.samples[0].line.clone_from(&text);
        alert.group.insert(text.clone(), text);
        check_limits(&sent(&alert));
    }
}
