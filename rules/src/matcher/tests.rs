//! The matcher against a naive one that knows no literals: every rule on every line, one by one.

mod draw;
mod oracle;
mod pool;

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::plan::{Tier, Why};
use super::scan::Search;
use super::{FieldUse, Matcher, Scratch, Wanted};
use crate::fields::Format;
use crate::language::expression::Expression;
use crate::language::pattern::{Case, Pattern};
use crate::language::rule::Match;
use crate::model::RuleId;

use draw::Draw;
use oracle::Oracle;
use pool::pool;

/// A rule's `match` as an operator writes it.
#[derive(Clone, Debug, Default)]
struct Written {
    contains: Vec<Vec<u8>>,
    regex: Vec<String>,
    ignore_case: bool,
    not_contains: Vec<Vec<u8>>,
    not_regex: Vec<String>,
}

impl Written {
    fn contains(texts: &[&str]) -> Self {
        Self {
            contains: texts.iter().map(|text| text.as_bytes().to_vec()).collect(),
            ..Self::default()
        }
    }

    fn regex(patterns: &[&str]) -> Self {
        Self {
            regex: patterns.iter().map(|text| (*text).to_owned()).collect(),
            ..Self::default()
        }
    }

    fn ignoring_case(self) -> Self {
        Self {
            ignore_case: true,
            ..self
        }
    }

    fn but_not(self, text: &str, pattern: &str) -> Self {
        Self {
            not_contains: vec![text.as_bytes().to_vec()],
            not_regex: vec![pattern.to_owned()],
            ..self
        }
    }

    fn checked(&self) -> Match {
        let case = if self.ignore_case {
            Case::Ignore
        } else {
            Case::Sensitive
        };
        let patterns = |texts: &[String]| {
            texts
                .iter()
                .map(|text| Pattern::new(text, case).unwrap())
                .collect()
        };
        Match {
            contains: self.contains.clone(),
            regex: patterns(&self.regex),
            ignore_case: self.ignore_case,
            condition: None,
            not_contains: self.not_contains.clone(),
            not_regex: patterns(&self.not_regex),
        }
    }
}

fn matcher(rules: &[Written]) -> Matcher {
    let wanted = (0..).map(RuleId).zip(rules).map(|(rule, written)| Wanted {
        rule,
        matching: Arc::new(written.checked()),
        fields: FieldUse::Unwanted,
    });
    Matcher::of(wanted.collect())
}

/// `(start of the line, end of the line, rule)` in the order they were found.
type Pairs = Vec<(usize, usize, u32)>;

fn scan(matcher: &Matcher, lines: &[u8], scratch: &mut Scratch) -> Pairs {
    let mut pairs = Vec::new();
    matcher.scan(lines, &Format::Plain, scratch, &mut |found| {
        pairs.push((found.line.start, found.line.end, found.rule.0));
    });
    pairs
}

/// Whole, and cut at every border between lines.
fn check(rules: &[Written], lines: &[u8]) -> usize {
    let matcher = matcher(rules);
    let expected = Oracle::new(rules).pairs(lines);
    let shown = || {
        format!(
            "rules {rules:?}\nlines {:?}\nplan {:?}",
            lines.escape_ascii().to_string(),
            matcher.plan()
        )
    };
    let mut scratch = Scratch::default();
    assert_eq!(scan(&matcher, lines, &mut scratch), expected, "{}", shown());
    let borders = memchr::memchr_iter(b'\n', lines).map(|lf| lf + 1);
    for cut in borders {
        let (head, tail) = lines.split_at(cut);
        let mut pairs = scan(&matcher, head, &mut scratch);
        let behind = scan(&matcher, tail, &mut scratch).into_iter();
        pairs.extend(behind.map(|(start, end, rule)| (start + cut, end + cut, rule)));
        assert_eq!(pairs, expected, "cut at {cut}: {}", shown());
    }
    expected.len()
}

/// Bits that rules of the pool look for, that nearly are, and that break lines.
fn bit() -> impl Strategy<Value = Vec<u8>> {
    let fixed: Vec<&[u8]> = vec![
        b"key",
        b"KEY",
        b"kiss",
        b"KISS",
        b"ki\xC5\xBF\xC5\xBF",
        b"\xE2\x84\xAAiss",
        b"\xE2\x84\xAAey",
        b"lock",
        b"loc",
        b"#",
        b"##",
        b"\r",
        b"\0",
        b"\xFF",
        b"\xE2",
        b"\x84",
        b"\xC3\xA9#",
        b"\xC3\x89",
        b"straSSe",
        b"STRA\xE1\xBA\x9EE#",
        b" ",
        b"=",
        b"42",
        b"k",
        b"s",
        b"\n",
        b"\n",
        b"\r\n",
        b"\n\n",
        b"\r\r\n",
        b"zz",
        b"sKEY#",
        b"a",
    ];
    prop_oneof![
        20 => proptest::sample::select(fixed).prop_map(<[u8]>::to_vec),
        2 => vec(any::<u8>(), 0..4),
        1 => vec(proptest::sample::select(b"abcks #".to_vec()), 0..300),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn finds_the_pairs_that_a_naive_matcher_finds(
        rules in vec(proptest::sample::select(pool()), 0..8),
        lines in vec(bit(), 0..40),
    ) {
        check(&rules, &lines.concat());
    }

    #[test]
    fn finds_what_is_drawn_from_patterns_that_are_drawn_too(seed in any::<u64>()) {
        let mut draw = Draw::new(seed);
        let rules: Vec<Written> = (0..4).map(|_| draw.written()).collect();
        let lines = draw.lines_for(&rules);
        check(&rules, &lines);
    }
}

#[test]
fn drawn_patterns_have_literals_and_drawn_lines_match() {
    let (mut literal, mut pairs) = (0, 0);
    for seed in 0..150 {
        let mut draw = Draw::new(seed);
        let rules = [draw.written()];
        let lines = draw.lines_for(&rules);
        literal += usize::from(!matcher(&rules).plan().literals.is_empty());
        pairs += check(&rules, &lines);
    }
    // Else the property tests above would prove little.
    assert!(literal > 50, "{literal} of 150 rules have a literal");
    assert!(pairs > 500, "{pairs} pairs");
}

#[test]
fn every_rule_of_the_pool_finds_what_is_drawn_from_it() {
    let pool = pool();
    for (seed, rule) in (0..).zip(&pool) {
        let mut draw = Draw::new(seed);
        let lines = draw.lines_for(std::slice::from_ref(rule));
        check(std::slice::from_ref(rule), &lines);
    }
}

#[test]
fn lines_are_counted_by_their_ends() {
    let every = [Written::default()];
    for (lines, expected) in [
        ("", vec![]),
        ("\n", vec![(0, 0, 0)]),
        ("a", vec![(0, 1, 0)]),
        ("a\n", vec![(0, 1, 0)]),
        ("\r\n", vec![(0, 0, 0)]),
        ("\r", vec![(0, 1, 0)]),
        ("a\r\n\nb", vec![(0, 1, 0), (3, 3, 0), (4, 5, 0)]),
    ] {
        assert_eq!(
            scan(&matcher(&every), lines.as_bytes(), &mut Scratch::default()),
            expected,
            "{lines:?}"
        );
        check(&every, lines.as_bytes());
    }
}

#[test]
fn no_text_hides_another() {
    let rules: Vec<Written> = ["abcde#", "bcd", "cde", "abc", "d", "bcde#f", "#fg"]
        .iter()
        .map(|text| Written::contains(&[text]))
        .collect();
    assert_eq!(check(&rules, b"abcde#fg\nabcd\nxcde"), 7 + 3 + 2);
}

#[test]
fn a_rule_is_reported_once_a_line_however_often_it_matches() {
    let rules = [
        Written::contains(&["segfault", "fault"]),
        Written::regex(&["segf[a-z]+"]),
    ];
    assert_eq!(
        scan(
            &matcher(&rules),
            b"segfault segfault\n",
            &mut Scratch::default()
        ),
        [(0, 17, 0), (0, 17, 1)]
    );
}

#[test]
fn a_scratch_serves_many_matchers_and_many_turns() {
    let (few, many) = (matcher(&pool()[..3]), matcher(&pool()));
    let lines = b"key#\nkiss\n\nKEY\n";
    let mut scratch = Scratch::default();
    let fresh = |matcher: &Matcher| scan(matcher, lines, &mut Scratch::default());
    scratch.wrap_soon();
    for _ in 0..10 {
        assert_eq!(scan(&few, lines, &mut scratch), fresh(&few));
        assert_eq!(scan(&many, lines, &mut scratch), fresh(&many));
    }
}

#[test]
fn without_an_automaton_every_rule_is_asked_on_every_line() {
    let rules = pool();
    let mut matcher = matcher(&rules);
    let (plan, search) = Search::new(std::mem::take(&mut matcher.plan).without_literals());
    assert!(
        plan.rules
            .iter()
            .any(|rule| rule.tier == Tier::EveryLine(Why::TooMany))
    );
    (matcher.plan, matcher.search) = (plan, search);
    let lines = b"key#\nkiss\r\n\nsKEY#\nlock";
    assert_eq!(
        scan(&matcher, lines, &mut Scratch::default()),
        Oracle::new(&rules).pairs(lines)
    );
}

/// Why a rule is asked when it is, as text.
fn tier_of(written: &Written) -> String {
    matcher(std::slice::from_ref(written)).plan().rules[0]
        .tier
        .to_string()
}

#[test]
fn the_plan_says_why_a_rule_is_asked() {
    let anywhere = Written::default().but_not("healthz", "^$");
    for (written, expected) in [
        (Written::default(), "on every line: `match` is empty"),
        (
            anywhere,
            "on every line: it has neither `contains` nor `regex`",
        ),
        (
            Written::regex(&["oops", r"\d+"]),
            "on every line: pattern 2 of `regex` needs no fixed text",
        ),
        (
            Written::contains(&["e"]),
            "on every line: most lines hold \"e\"",
        ),
        (
            Written::contains(&["\" 502 "]),
            "where a line holds \"\\\" 502 \" (from `contains`)",
        ),
        (Written::regex(&["x[^\\s\\S]"]), "never: no line can match"),
        (
            Written::regex(&[r#"HTTP/1\.[01]" 50[23] "#]),
            r#"where a line holds "\" 502 " or "\" 503 " (from `regex`)"#,
        ),
        (
            Written::regex(&[r"segfault at [0-9a-f]+ "]),
            "where a line holds \"segfault at \" (from `regex`)",
        ),
        (
            Written::regex(&["(?i)stack ?overflow"]),
            "where a line holds \"overflow\" (from `regex`)",
        ),
        (
            Written {
                contains: vec![b"http/1.1".to_vec()],
                ..Written::regex(&["worker_connections .*"])
            },
            "where a line holds \"worker_connections \" (from `regex`)",
        ),
    ] {
        assert_eq!(tier_of(&written), expected);
    }
}

#[test]
fn a_folded_k_or_s_keeps_its_cousins_outside_ascii() {
    let kelvin = Written::contains(&["sk#"]).ignoring_case();
    let plan = matcher(std::slice::from_ref(&kelvin));
    let Tier::Literal { literals, .. } = &plan.plan().rules[0].tier else {
        panic!("{kelvin:?}")
    };
    let texts: Vec<_> = literals
        .iter()
        .map(|text| str::from_utf8(text).unwrap())
        .collect();
    assert_eq!(
        texts,
        ["sk#", "s\u{212a}#", "\u{17f}k#", "\u{17f}\u{212a}#"]
    );
    assert_eq!(check(&[kelvin], "SK#\nſK#\nsk\n\u{212a}s#\n".as_bytes()), 2);
}

#[test]
fn thousands_of_rules_share_one_search() {
    let rules: Vec<Written> = (0..3000)
        .map(|number| Written::contains(&[&format!("ERR-{number:04} in")]))
        .collect();
    let matcher = matcher(&rules);
    assert_eq!(matcher.plan().literals.len(), 3000);
    let line = b"x\nERR-0042 in\nerr-0043 in\nERR-2999 in";
    assert_eq!(
        scan(&matcher, line, &mut Scratch::default()),
        [(2, 13, 42), (26, 37, 2999)]
    );
}

#[test]
fn a_very_long_text_is_searched_for_by_a_part() {
    let long = "segfault ".repeat(300);
    let rules = [
        Written::contains(&[&long]),
        Written::contains(&[&long]).ignoring_case(),
    ];
    assert!(
        matcher(&rules)
            .plan()
            .literals
            .iter()
            .all(|text| text.len() <= 32)
    );
    let lines = format!("{long}\nsegfault\n{}", long.to_uppercase());
    assert_eq!(check(&rules, lines.as_bytes()), 3);
}

#[test]
fn what_is_asked_on_every_line_is_said_to_be() {
    let rules = [Written::default(), Written::contains(&["segfault"])];
    let plan = matcher(&rules);
    assert_eq!(
        plan.plan().rules[0].tier,
        Tier::EveryLine(Why::NothingAsked)
    );
    assert_eq!(check(&rules, b"a\nsegfault\n\nb"), 5);
}

fn wanted(rule: u32, regex: &[&str], condition: Option<&str>, fields: FieldUse) -> Wanted {
    let condition = condition.map(|text| Expression::parse(text).unwrap());
    let matching = Match {
        condition,
        ..Written::regex(regex).checked()
    };
    Wanted {
        rule: RuleId(rule),
        matching: Arc::new(matching),
        fields,
    }
}

#[test]
fn named_groups_are_fields_of_their_rule_alone() {
    let matcher = Matcher::of(vec![
        wanted(
            0,
            &["nothing", r"user=(?P<who>\w+)", r"(?P<never>user)"],
            None,
            FieldUse::Wanted,
        ),
        wanted(1, &["user="], None, FieldUse::Wanted),
        wanted(2, &[r"user=(?P<who>\w+)"], None, FieldUse::Unwanted),
        wanted(
            3,
            &[r"user=(?P<who>\w+)"],
            Some("who == 'joe' and user == 'joe'"),
            FieldUse::Unwanted,
        ),
        wanted(4, &[], Some("code in [7, 8]"), FieldUse::Unwanted),
        wanted(
            5,
            &[r"user=(?P<user>\w)"],
            Some("user == 'j'"),
            FieldUse::Unwanted,
        ),
    ]);
    let mut told = Vec::new();
    let lines = b"user=joe code=7\ncode=8\nuser=ann\n";
    let format = Format::Logfmt { time_field: None };
    matcher.scan(lines, &format, &mut Scratch::default(), &mut |found| {
        let fields: Vec<String> = found
            .fields
            .iter()
            .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value)))
            .collect();
        told.push(format!(
            "{} {} {}",
            found.line.start,
            found.rule.0,
            fields.join(" ")
        ));
    });
    assert_eq!(
        told,
        [
            "0 0 user=joe code=7 who=joe",
            "0 1 user=joe code=7",
            "0 2 ",
            "0 3 user=joe code=7 who=joe",
            "0 4 user=joe code=7",
            "0 5 user=joe code=7 user=j",
            "16 4 code=8",
            "23 0 user=ann who=ann",
            "23 1 user=ann",
            "23 2 ",
        ]
    );
}
