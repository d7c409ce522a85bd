use super::*;
use crate::outputs::kind::Meter;

fn counts_spec() -> Spec {
    let meter = Meter {
        address: "127.0.0.1:1".to_owned(),
        prefix: String::new(),
    };
    Spec::new("meter", Kind::Statsd(meter))
}

fn entry(text: String) -> Entry {
    Entry {
        id: String::new(),
        at: Timestamp::default(),
        kind: "line",
        host: "h".to_owned(),
        rule: "r".to_owned(),
        severity: Severity::Info,
        text,
        fields: json!({}),
    }
}

#[test]
fn only_those_that_want_no_notifications_are_fed() {
    let feed = Feed::of(&[counts_spec(), Spec::new("screen", Kind::Console)]);
    assert!(feed.tap("meter").is_some());
    assert!(feed.tap("screen").is_none());
}

#[test]
fn a_full_queue_loses_the_newest_and_counts_them() {
    let mut spec = Spec::new("archive", Kind::File { path: "x".into() });
    spec.send = Send::Lines;
    spec.queue_max_bytes = 10_000;
    let feed = Feed::of(&[spec]);
    let tap = feed.tap("archive").unwrap();
    for n in 0..100 {
        tap.put(entry(format!("{n:0500}")));
    }
    let (batch, dropped) = tap.batch();
    assert_eq!((batch.len(), dropped), (10, 90));
    assert_eq!(tap.batch().1, 0, "said once");
    tap.put(entry("more".to_owned()));
    assert_eq!(tap.batch().0.len(), 1, "there is room again");
}
