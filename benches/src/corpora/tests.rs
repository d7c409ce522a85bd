use super::*;

use crate::engines::{line_pairs, lines};
use crate::rule_sets;

const SIZE: usize = 256 * 1024;

/// How many of a thousand lines match one of the 50 rules.
fn matching_in_thousand(log: &[u8]) -> usize {
    let mut pairs = line_pairs(&rule_sets::r50().patterns, log).unwrap();
    pairs.dedup_by_key(|(line, _)| *line);
    pairs.len() * 1000 / lines(log).count()
}

#[test]
fn a_corpus_is_the_same_each_time_and_ends_with_a_whole_line() {
    let rules = rule_sets::r500().patterns;
    let makers: [&dyn Fn() -> Vec<u8>; 4] = [
        &|| nginx(SIZE),
        &|| mixed(SIZE),
        &|| near_misses(SIZE, &rules),
        &|| tenth_matching(SIZE, &rules),
    ];
    for make in makers {
        let log = make();
        assert_eq!(make(), log);
        assert!(log.ends_with(b"\n"));
        assert!((SIZE..SIZE + LINE_BYTES).contains(&log.len()));
        assert!(lines(&log).all(|(_, line)| !line.is_empty()));
    }
}

#[test]
fn most_of_an_ordinary_day_is_no_trouble() {
    for (log, least, most) in [(nginx(4 * SIZE), 1, 40), (mixed(4 * SIZE), 5, 10)] {
        let found = matching_in_thousand(&log);
        assert!((least..=most).contains(&found), "{found} of 1000 match");
    }
}

#[test]
fn near_misses_hardly_ever_match() {
    let log = near_misses(SIZE, &rule_sets::r50().patterns);
    let found = matching_in_thousand(&log);
    assert!(found < 20, "{found} of 1000 match");
}

#[test]
fn every_near_miss_is_one_byte_away_from_a_match() {
    let mut choices = Choices::new(1);
    for rule in rule_sets::r50().patterns {
        let matching = example(&rule, &mut choices);
        let mut almost = matching.clone();
        spoil(&mut almost, &mut choices);
        let differ = |(a, b): (&u8, &u8)| usize::from(a != b);
        let bytes: usize = matching.bytes.iter().zip(&almost.bytes).map(differ).sum();
        assert_eq!(
            (matching.bytes.len(), bytes),
            (almost.bytes.len(), 1),
            "{rule}"
        );
    }
}

#[test]
fn one_line_in_ten_matches_where_that_is_asked_for() {
    let log = tenth_matching(SIZE, &rule_sets::r50().patterns);
    let found = matching_in_thousand(&log);
    assert!((80..=120).contains(&found), "{found} of 1000 match");
}
