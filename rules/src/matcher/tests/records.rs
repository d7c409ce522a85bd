//! Records of several lines: whatever finds a place in one of their lines, each rule is judged over
//! the whole record, as a naive loop would.

use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;

use super::draw::Draw;
use super::oracle::Oracle;
use super::pool::pool;
use super::{Pairs, Written, all_matchers, bit, matcher, told, wanted};
use crate::fields::Format;
use crate::matcher::{FieldUse, Matcher, Scratch};
use crate::model::Text;

fn scan(matcher: &Matcher, text: Text<'_>, scratch: &mut Scratch) -> Pairs {
    let mut pairs = Vec::new();
    matcher.scan_records(text, &Format::Plain, scratch, &mut |found| {
        pairs.push((found.line.start, found.line.end, found.rule.0));
    });
    pairs
}

/// Joins lines of `bytes`: so many in turn.
fn records_of(bytes: &[u8], joined: &[usize]) -> Vec<Range<usize>> {
    let mut records = Vec::new();
    let mut joined = joined.iter().cycle();
    let mut start = 0;
    let mut lines = bytes.split_inclusive(|&byte| byte == b'\n').peekable();
    while lines.peek().is_some() {
        let count = joined.next().copied().unwrap_or(1);
        let taken: Vec<&[u8]> = lines.by_ref().take(count).collect();
        let end = start + taken.iter().map(|line| line.len()).sum::<usize>();
        if taken.len() > 1 {
            records.push(start..end);
        }
        start = end;
    }
    records
}

/// All kernels and plans, whole and cut between two records. Gives how many pairs there are.
fn check(rules: &[Written], bytes: &[u8], joined: &[usize]) -> usize {
    let records = records_of(bytes, joined);
    let expected = Oracle::new(rules).pairs_of(bytes, &records);
    let text = Text {
        bytes,
        records: &records,
    };
    let mut scratch = Scratch::default();
    for matcher in all_matchers(rules, bytes, rules.len() + 3 * bytes.len()) {
        assert_eq!(
            scan(&matcher, text, &mut scratch),
            expected,
            "rules {rules:?}\nlines {:?}\nrecords {records:?}\nplan {:?} {:?}",
            bytes.escape_ascii().to_string(),
            matcher.plan(),
            matcher.search.kernel,
        );
    }
    let matcher = matcher(rules);
    assert_eq!(told(&matcher, text, &mut scratch), expected, "told later");
    for record in &records {
        let (head, tail) = bytes.split_at(record.start);
        let before = records.partition_point(|other| other.start < record.start);
        let of = |bytes, records| Text { bytes, records };
        let shifted: Vec<Range<usize>> = records[before..]
            .iter()
            .map(|other| other.start - record.start..other.end - record.start)
            .collect();
        let mut pairs = scan(&matcher, of(head, &records[..before]), &mut scratch);
        let behind = scan(&matcher, of(tail, &shifted), &mut scratch).into_iter();
        pairs.extend(
            behind.map(|(start, end, rule)| (start + record.start, end + record.start, rule)),
        );
        assert_eq!(pairs, expected, "cut at {}", record.start);
    }
    expected.len()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn finds_the_records_that_a_naive_matcher_finds(
        rules in vec(proptest::sample::select(pool()), 0..8),
        lines in vec(bit(), 0..40),
        joined in vec(1_usize..5, 1..6),
    ) {
        check(&rules, &lines.concat(), &joined);
    }

    #[test]
    fn finds_records_of_what_is_drawn_from_patterns_that_are_drawn_too(
        seed in any::<u64>(),
        joined in vec(1_usize..5, 1..6),
    ) {
        let mut draw = Draw::new(seed);
        let rules: Vec<Written> = (0..4).map(|_| draw.written()).collect();
        let lines = draw.lines_for(&rules);
        check(&rules, &lines, &joined);
    }
}

#[test]
fn every_rule_of_the_pool_finds_records_of_what_is_drawn_from_it() {
    let pool = pool();
    let mut pairs = 0;
    for (seed, rule) in (0..).zip(&pool) {
        let mut draw = Draw::new(seed);
        let lines = draw.lines_for(std::slice::from_ref(rule));
        pairs += check(std::slice::from_ref(rule), &lines, &[3, 1, 2]);
    }
    // Else little is proved.
    assert!(pairs > 200, "{pairs} pairs");
}

#[test]
fn what_tells_rules_of_a_crowd_apart_may_stand_in_another_line_of_the_record() {
    let rule = |n: usize| Written {
        contains: vec![b"zqj-session".to_vec()],
        ..Written::regex(&[&format!("code={n:03} .*x")])
    };
    let rules: Vec<Written> = (0..40).map(rule).collect();
    let lines = b"zqj-session\n code=007 ax\nzqj-session code=039 x\ncode=001 x\n";
    assert_eq!(check(&rules, lines, &[2, 1]), 2);
}

#[test]
fn anchors_are_the_ends_of_the_record_and_a_pattern_stays_within_a_line() {
    let accepts = |pattern: &str| {
        let lines = b"before\nERROR first\n  at Main\r\nCaused by: last\nbehind\n";
        let rules = [Written::regex(&[pattern])];
        check(&rules, lines, &[1, 3, 1]);
        let pairs = Oracle::new(&rules).pairs_of(lines, &records_of(lines, &[1, 3, 1]));
        pairs.iter().any(|&(start, end, _)| (start, end) == (7, 45))
    };
    for yes in [
        "^ERROR",
        "last$",
        "Main",
        "(?m)^Caused",
        "(?m)first$",
        "(?m)^.*at Main",
        r"by:\s+last\z",
        r"\bCaused\b",
    ] {
        assert!(accepts(yes), "{yes}");
    }
    for no in [
        "^Caused",
        "first$",
        r"first\s+at",
        "(?s)ERROR.*Main",
        "^.*Main",
        r"^\s*at",
        "before",
        "behind",
    ] {
        assert!(!accepts(no), "{no}");
    }
}

#[test]
fn keys_are_judged_over_the_whole_record() {
    let rules = [
        Written {
            contains: vec![b"ERROR".to_vec()],
            regex: vec!["at [A-Z]".to_owned()],
            ..Written::default()
        },
        Written::contains(&["ERROR"]).but_not("NullPointer", "never"),
    ];
    let lines = b"ERROR a\n at Main\nERROR b\nNullPointer\nERROR c\n at main\n";
    assert_eq!(check(&rules, lines, &[2]), 3);
    let records = records_of(lines, &[2]);
    let found = Oracle::new(&rules).pairs_of(lines, &records);
    assert_eq!(found, [(0, 16, 0), (0, 16, 1), (37, 53, 1)]);
}

#[test]
fn records_lie_across_the_borders_of_pieces() {
    // A piece is 256 KiB: records of some 100 KiB, and one that is longer than a piece.
    let mut lines = Vec::new();
    let mut joined = Vec::new();
    for count in [2_000, 1, 1_700, 1, 9_000, 3, 1, 5_000] {
        joined.push(count);
        lines.extend_from_slice(b"begins with key=1#\n");
        for line in 1..count {
            lines
                .extend_from_slice(format!("  at some.place.in.the.code line {line}\n").as_bytes());
        }
    }
    let rules = [
        Written::contains(&["key=1#"]),
        Written::contains(&["in.the.code line 1699"]),
        Written::regex(&["^begins"]),
        Written::regex(&[r"line 4999$"]),
        Written::regex(&["^ +at"]),
    ];
    assert_eq!(check(&rules, &lines, &joined), 8 + 4 + 8 + 1);
}

#[test]
fn fields_are_those_of_the_whole_record_or_else_of_its_first_line() {
    let rule = wanted(0, &[], Some("level == 'error' and n > 1"), FieldUse::Wanted);
    let matcher = Matcher::of(vec![rule]);
    let bytes = b"{\n \"level\": \"error\",\n \"n\": 2\n}\n{\"level\": \"error\", \"n\": 3}\n  at Main\n{\"level\": \"error\"}\n\"n\": 4\n";
    let records = records_of(bytes, &[4, 2, 2]);
    let text = Text {
        bytes,
        records: &records,
    };
    let mut found = Vec::new();
    let format = Format::Json { time_field: None };
    matcher.scan_records(text, &format, &mut Scratch::default(), &mut |record| {
        let n = record.fields.get("n").map(<[u8]>::to_vec);
        found.push((record.line.start, n));
    });
    assert_eq!(found, [(0, Some(b"2".to_vec())), (31, Some(b"3".to_vec()))]);
    let (mut pairs, mut told) = (crate::matcher::Pairs::default(), Vec::new());
    let mut scratch = Scratch::default();
    matcher.search(text, &format, &mut scratch, &mut pairs);
    matcher.tell(text, &pairs, &format, &mut scratch, &mut |record| {
        let n = record.fields.get("n").map(<[u8]>::to_vec);
        told.push((record.line.start, n));
    });
    assert_eq!(told, found, "told later");
}
