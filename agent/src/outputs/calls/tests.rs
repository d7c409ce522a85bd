use super::*;
use crate::outputs::message::Way;
use crate::outputs::sample::notification;

fn url(text: &str) -> String {
    text.to_owned()
}

#[test]
fn a_base_may_have_its_path_already_and_keeps_its_query() {
    for (base, path, whole) in [
        ("http://h", "api/v2/alerts", "http://h/api/v2/alerts"),
        ("http://h/", "api/v2/alerts", "http://h/api/v2/alerts"),
        (
            "http://h/x/api/v2/alerts",
            "api/v2/alerts",
            "http://h/x/api/v2/alerts",
        ),
        ("http://h?k=1", "_bulk?f=2", "http://h/_bulk?k=1&f=2"),
    ] {
        assert_eq!(below(&Secret::new(base), path).expose(), url(whole));
    }
}

fn made(kind: &Kind) -> Call {
    let outgoing = Outgoing::one(std::sync::Arc::new(notification()), Way::default());
    call(kind, &outgoing, Timestamp::from_secs(1_795_251_646))
        .unwrap()
        .unwrap()
}

fn json(call: &Call) -> Value {
    serde_json::from_slice(&call.body).unwrap()
}

#[test]
fn a_matrix_event_has_a_name_that_makes_a_repeat_harmless() {
    let made = made(&Kind::Matrix {
        url: Secret::new("https://m.example.com"),
        token: Secret::new("t"),
        room: "!r:example.com".to_owned(),
    });
    assert_eq!(made.method, Method::PUT);
    let path = "https://m.example.com/_matrix/client/v3/rooms/%21r%3Aexample.com/send/m.room.message/\
                nginx-502-burst-7f3a9c2e51b04d68%2F1";
    assert_eq!(made.url.expose(), path);
    assert_eq!(json(&made)["m.mentions"], serde_json::json!({}));
}

#[test]
fn jira_service_management_has_another_base() {
    let kind = |api_url: &str| Kind::Opsgenie {
        api_url: Secret::new(api_url),
        api_key: Secret::new("k"),
    };
    assert_eq!(
        made(&kind("https://api.opsgenie.com")).url.expose(),
        "https://api.opsgenie.com/v2/alerts"
    );
    assert_eq!(
        made(&kind("https://api.atlassian.com/jsm/ops/integration/v2"))
            .url
            .expose(),
        "https://api.atlassian.com/jsm/ops/integration/v2/alerts"
    );
}

#[test]
fn pagerdutys_event_has_its_fields_within_their_limits() {
    let made = made(&Kind::PagerDuty {
        api_url: Secret::new("https://events.pagerduty.com"),
        routing_key: Secret::new("r"),
    });
    let event = json(&made);
    assert_eq!(made.url.expose(), "https://events.pagerduty.com/v2/enqueue");
    assert_eq!(event["event_action"], "trigger");
    assert_eq!(event["dedup_key"], notification().id);
    for key in ["summary", "source", "severity"] {
        assert!(!event["payload"][key].as_str().unwrap().is_empty(), "{key}");
    }
    assert!(
        ["critical", "error", "warning", "info"]
            .contains(&event["payload"]["severity"].as_str().unwrap())
    );
}
