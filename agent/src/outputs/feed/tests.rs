use super::*;
use crate::outputs::kind::{Kind, Meter};

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
    let specs = [counts_spec(), Spec::new("screen", Kind::Console)];
    let feed = Feed::of(&specs, |_| Arc::default());
    assert!(feed.tap("meter").is_some());
    assert!(feed.tap("screen").is_none());
}

fn tap_of(spec: Spec) -> Arc<Tap> {
    let name = spec.name.clone();
    Feed::of(&[spec], |_| Arc::default()).tap(&name).unwrap()
}

fn tap_of_lines(max_bytes: u64) -> Arc<Tap> {
    let mut spec = Spec::new("archive", Kind::File { path: "x".into() });
    spec.send = Send::Lines;
    spec.queue_max_bytes = max_bytes;
    tap_of(spec)
}

#[test]
fn a_full_queue_loses_the_newest_and_counts_them_at_once() {
    let tap = tap_of_lines(10_000);
    for n in 0..100 {
        tap.put(entry(format!("{n:0500}")));
    }
    assert_eq!((tap.size().rows, tap.stats.lock().dropped), (10, 90));
    let now = clock::monotonic();
    assert_eq!(tap.batch(now).entries(Timestamp::default()).len(), 10);
    assert_eq!(tap.size().rows, 10, "they are not out");
    tap.under_way(3);
    assert_eq!(tap.size().rows, 3, "these are not");
    tap.under_way(0);
    tap.put(entry("more".to_owned()));
    assert_eq!(tap.size().rows, 1, "there is room again");
}

#[test]
fn counts_say_how_long_was_counted_also_after_an_outage() {
    let tap = tap_of(counts_spec());
    let began = clock::monotonic();
    let said = |tap: &Tap, at: u64| {
        tap.count("r", "h", 3);
        let batch = tap.batch(began + Duration::from_secs(at));
        let entries = batch.entries(Timestamp::default());
        (
            entries[0].text.clone(),
            entries[0].fields["interval_s"].clone(),
        )
    };
    assert_eq!(
        said(&tap, 10),
        ("rule=r hits=3 interval_s=10".to_owned(), json!(10))
    );
    assert_eq!(
        said(&tap, 310),
        ("rule=r hits=3 interval_s=300".to_owned(), json!(300))
    );
}
