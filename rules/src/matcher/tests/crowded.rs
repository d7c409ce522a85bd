//! Many rules that accept many lines: what a sender can do to the memory of a scan.

use super::super::candidates::Candidates;
use super::{Scratch, Tier, Why, Written, check, matcher, scan, told};
use crate::fields::Format;
use crate::model::Text;

const RULES: usize = 300;
const LINES: usize = 1_000;

fn rules() -> Vec<Written> {
    let rule = |number: usize| match number % 3 {
        0 => Written::contains(&["session closed"]),
        1 => Written::regex(&["session closed|gone"]),
        _ => Written::regex(&["session [a-z]+d for (?:root|bob)"]),
    };
    (0..RULES).map(rule).collect()
}

#[test]
fn a_flood_of_lines_that_all_rules_want_is_searched_in_parts() {
    let rules = rules();
    let lines = b"session closed for bob\n".repeat(LINES);
    let (matcher, mut scratch) = (matcher(&rules), Scratch::default());
    let pairs = scan(&matcher, &lines, &mut scratch);
    assert_eq!(pairs.len(), RULES * LINES);
    assert!(pairs.len() > 2 * super::super::Pairs::MOST);
    assert_eq!(told(&matcher, lines[..].into(), &mut scratch), pairs);
    assert!(pairs.is_sorted_by_key(|(start, _, rule)| (*start, *rule)));
    assert!(
        scratch.candidates.room() <= 2 * Candidates::MOST,
        "{}",
        scratch.candidates.room()
    );
}

#[test]
fn a_record_of_many_lines_is_one_candidate_for_each_rule() {
    let rules = rules();
    let bytes = b"session closed for bob\n".repeat(LINES);
    let record = 0..bytes.len();
    let text = Text {
        bytes: &bytes,
        records: std::slice::from_ref(&record),
    };
    let (matcher, mut scratch) = (matcher(&rules), Scratch::default());
    let mut found = 0;
    matcher.scan_records(text, &Format::Plain, &mut scratch, &mut |_| found += 1);
    assert_eq!(found, RULES);
    assert!(
        scratch.candidates.room() <= 2 * RULES,
        "{}",
        scratch.candidates.room()
    );
}

#[test]
fn patterns_too_large_for_one_automaton_leave_it_to_the_smaller_ones() {
    let mut patterns: Vec<String> = (12..32)
        .map(|count| format!(r"\b\w{{{count}}}\b"))
        .collect();
    patterns.push(r"\b\w\b".to_owned());
    let rules: Vec<Written> = patterns
        .iter()
        .map(|pattern| Written::regex(&[pattern]))
        .collect();
    let tiers = matcher(&rules).plan().rules.clone();
    let count = |is_of: fn(&Tier) -> bool| tiers.iter().filter(|plan| is_of(&plan.tier)).count();
    assert!(
        count(|tier| matches!(tier, Tier::Automaton(_))) > 2,
        "{tiers:?}"
    );
    assert!(
        count(|tier| matches!(tier, Tier::EveryLine(Why::TooLarge))) > 2,
        "{tiers:?}"
    );
    let lines = "a twelve_bytes \u{e9}\u{e9}\u{e9}bcdefghij0 -\nb\u{e9} fourteen_bytes\n\u{e9}\n";
    assert_eq!(check(&rules, lines.as_bytes()), 5);
}
