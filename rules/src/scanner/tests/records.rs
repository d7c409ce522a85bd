//! Records of several lines on their way to a hit.

use proptest::prelude::*;

use super::{batch, line, rules, run};
use crate::fields::Format;
use crate::model::{Batch, Text, Timestamp};
use crate::scanner::{Detector, InputSpec, Listening, Scanner, SourceState};

/// As [`batch`], with all lines of `text` for one record.
fn record(text: &str, offset: u64) -> Batch {
    let mut batch = batch(text.as_bytes(), offset);
    if text.trim_end_matches('\n').contains('\n') {
        batch.records.push(0..text.len());
    }
    batch
}

fn joined(batches: &[Batch]) -> Batch {
    let mut whole = batch(b"", batches[0].segments[0].offset);
    for batch in batches {
        let start = whole.bytes.len();
        whole.bytes.extend_from_slice(&batch.bytes);
        let shifted = batch.records.iter().map(|r| r.start + start..r.end + start);
        whole.records.extend(shifted);
    }
    whole
}

proptest! {
    #[test]
    fn the_same_is_told_however_the_records_are_cut_into_batches(
        records in prop::collection::vec(prop::collection::vec(line(), 1..4), 1..30),
        cuts in prop::collection::vec(any::<bool>(), 30),
    ) {
        let mut offset = 0;
        let mut all = Vec::new();
        for lines in records {
            let text = lines.join("\n") + "\n";
            all.push(record(&text, offset));
            offset += text.len() as u64;
        }
        let mut parts: Vec<Vec<Batch>> = vec![Vec::new()];
        for (record, cut) in all.iter().zip(&cuts) {
            parts.last_mut().unwrap().push(record.clone());
            if *cut {
                parts.push(Vec::new());
            }
        }
        let parts: Vec<Batch> = parts.iter().filter(|part| !part.is_empty()).map(|part| joined(part)).collect();
        prop_assert_eq!(run(&parts), run(&[joined(&all)]));
    }
}

/// `(second, sample)` of each hit of the rule `each`.
fn hits(format: Option<Format>, batch: &Batch) -> Vec<(i64, String)> {
    let rules = rules();
    let (each, _) = rules.by_name("each").unwrap();
    let input = InputSpec {
        name: "in".into(),
        format: format.map(Into::into),
    };
    let mut scanner = Scanner::new(&rules, &[input], Listening::AsConfigured);
    let mut hits = Vec::new();
    let mut state = SourceState::default();
    scanner.scan(batch, &mut state, Timestamp::from_secs(6_000), &mut |hit| {
        if hit.rule == each {
            let second = hit.time.since(Timestamp::from_secs(0)).as_secs();
            hits.push((i64::try_from(second).unwrap(), hit.sample.line.clone()));
        }
    });
    hits
}

#[test]
fn a_record_has_the_time_of_its_first_line_that_has_one_and_the_sample_holds_all_of_it() {
    let first = r#"1.1.1.1 - - [01/Jan/1970:00:00:07 +0000] "GET / HTTP/1.1" 200 1 "-" "-""#;
    let later = r#"1.1.1.1 - - [01/Jan/1970:00:00:09 +0000] "GET / HTTP/1.1" 200 1 "-" "-""#;
    for (text, second) in [
        (format!("{first}\n  at oops\n{later}\n"), 7),
        (format!("no time\n  at oops\n{later}\n"), 9),
        ("no time\n  at oops\n".to_owned(), 5_000),
    ] {
        let expected = vec![(second, text.trim_end().to_owned())];
        assert_eq!(hits(Some(Format::Nginx), &record(&text, 0)), expected);
        assert_eq!(hits(None, &record(&text, 0)), expected);
    }
}

#[test]
fn a_record_without_a_time_takes_that_of_the_record_before_it_not_of_a_line_in_it() {
    let of = |second: u32| {
        format!(
            r#"1.1.1.1 - - [01/Jan/1970:00:00:{second:02} +0000] "GET / HTTP/1.1" 200 1 "-" "-""#
        )
    };
    // The record before bears the time of its first line, whatever its second line bears.
    let batches = [
        record(&format!("{}\n{}\n", of(7), of(30)), 0),
        record("oops\n  at Main\n", 200),
    ];
    let found = hits(Some(Format::Nginx), &joined(&batches));
    assert_eq!(found, [(7, "oops\n  at Main".to_owned())]);
}

#[test]
fn json_that_is_spread_over_lines_is_known_by_looking() {
    let bytes = b"{\n \"time\": \"1970-01-01T00:00:07Z\",\n \"message\": \"oops\"\n}\n";
    let whole: Vec<std::ops::Range<usize>> = std::iter::once(0..bytes.len()).collect();
    let text = Text {
        bytes,
        records: &whole,
    };
    assert_eq!(Detector::new(None).format_of(text).name(), "json");
    let lines = Text::from(&bytes[..]);
    assert_eq!(Detector::new(None).format_of(lines).name(), "plain");
    let found = hits(None, &record(std::str::from_utf8(bytes).unwrap(), 0));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, 7);
}
