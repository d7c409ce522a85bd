use super::*;
use crate::outputs::sample::{at, hostile, notification};

fn entry() -> Entry {
    of_notification(&notification()).unwrap()
}

#[test]
fn a_collector_is_told_what_a_person_would_read() {
    let entry = entry();
    assert_eq!(
        entry.text,
        "CRITICAL · web-1 · nginx-502-burst: 10 bad gateways in 1m on web-1 (10 hits in 1m, fires at 10)"
    );
    assert_eq!(entry.id, "nginx-502-burst-7f3a9c2e51b04d68/1");
}

#[test]
fn loki_has_few_labels_and_its_times_as_texts() {
    let json = loki(&[entry(), entry()]);
    assert_eq!(json["streams"].as_array().unwrap().len(), 1);
    let labels = json["streams"][0]["stream"].as_object().unwrap();
    assert_eq!(labels.len(), 5);
    assert_eq!(json["streams"][0]["values"][1][0], "1795251645000000000");
}

#[test]
fn otlp_has_64_bit_numbers_as_texts() {
    let json = otlp(&[entry()], at("2026-11-21T09:00:46Z"));
    let record = &json["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert_eq!(record["timeUnixNano"], "1795251645000000000");
    assert_eq!(record["severityNumber"], 18);
}

#[test]
fn elasticsearch_creates_each_under_its_own_id() {
    let body = elasticsearch(&[entry()], "lapwing");
    let lines: Vec<Value> = body
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines[0]["create"]["_id"],
        "nginx-502-burst-7f3a9c2e51b04d68/1"
    );
    assert_eq!(lines[1]["@timestamp"], "2026-11-21T09:00:45Z");
    assert!(body.ends_with('\n'));
}

#[test]
fn a_syslog_message_is_one_whatever_the_log_holds() {
    let plain = String::from_utf8(syslog(&entry(), None, 8192)).unwrap();
    assert!(
        plain.starts_with("<10>1 2026-11-21T09:00:45Z web-1 lapwing "),
        "{plain}"
    );
    for evil in ["\n<34>1 - - - - - - forged", "\"] [x y=\"", "ü\u{202e}\0"] {
        let message = syslog(
            &of_notification(&hostile(&evil.repeat(500))).unwrap(),
            None,
            2048,
        );
        assert!(message.len() <= 2048, "{}", message.len());
        assert!(!message.iter().any(|byte| *byte < 0x20), "{evil:?}");
        String::from_utf8(message).unwrap();
    }
}

#[test]
fn a_large_body_is_packed() {
    let call = |bytes: usize| {
        let json = Value::from("x".repeat(bytes));
        compressed(Call::json(Secret::new("http://x"), &json))
    };
    assert!(call(10).headers.is_empty());
    let packed = call(100_000);
    assert_eq!(packed.headers[0], ("Content-Encoding", "gzip".to_owned()));
    assert!(packed.body.len() < 2000);
}
