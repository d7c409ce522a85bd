//! The matcher against a naive one that knows no literals: every rule on every line, one by one.

mod crowded;
pub(super) mod draw;
mod oracle;
mod placed;
pub(super) mod pool;
mod records;

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::index::Index;
use super::plan::{Limits, Tier, Why};
use super::{FieldUse, Kernel, Matcher, Scratch, Setup, Wanted};
use crate::fields::Format;
use crate::language::expression::Expression;
use crate::language::pattern::{Case, Pattern};
use crate::language::rule::Match;
use crate::model::{RuleId, Text};

use draw::Draw;
use oracle::Oracle;
use pool::pool;

/// A rule's `match` as an operator writes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    contains: Vec<Vec<u8>>,
    regex: Vec<String>,
    ignore_case: bool,
    not_contains: Vec<Vec<u8>>,
    not_regex: Vec<String>,
}

impl Written {
    pub(super) fn contains(texts: &[&str]) -> Self {
        Self {
            contains: texts.iter().map(|text| text.as_bytes().to_vec()).collect(),
            ..Self::default()
        }
    }

    pub(super) fn regex(patterns: &[&str]) -> Self {
        Self {
            regex: patterns.iter().map(|text| (*text).to_owned()).collect(),
            ..Self::default()
        }
    }

    pub(super) fn ignoring_case(self) -> Self {
        Self {
            ignore_case: true,
            ..self
        }
    }

    pub(super) fn but_not(self, text: &str, pattern: &str) -> Self {
        Self {
            not_contains: vec![text.as_bytes().to_vec()],
            not_regex: vec![pattern.to_owned()],
            ..self
        }
    }

    pub(super) fn checked(&self) -> Match {
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
    Matcher::of(wanted_of(rules))
}

fn wanted_of(rules: &[Written]) -> Vec<Wanted> {
    let wanted = (0..).map(RuleId).zip(rules).map(|(rule, written)| Wanted {
        rule,
        matching: Arc::new(written.checked()),
        fields: FieldUse::Unwanted,
    });
    wanted.collect()
}

/// Every kernel, with plans made for ordinary logs and for nothing but `lines`, and with tiers shut.
/// Not all combinations each time: which ones depends on `turn`.
fn all_matchers(rules: &[Written], lines: &[u8], turn: usize) -> Vec<Matcher> {
    let much = lines.repeat(40_000 / lines.len().max(1) + 1);
    let mut matchers = Vec::new();
    for (kernel, turn) in Kernel::supported().zip(turn..) {
        let setup = Setup {
            kernel,
            sample: if turn.is_multiple_of(2) { b"" } else { &much },
            ..Setup::default()
        };
        let limits = Limits::of(kernel);
        let no_classes = Limits {
            common: 0,
            ..limits
        };
        let shut = [
            limits,
            Limits { hot: 0, ..limits },
            no_classes,
            Limits {
                hot: u64::MAX,
                common: u64::MAX,
                ..limits
            },
            Limits {
                hot: 0,
                ..no_classes
            },
        ];
        let limits = shut[turn % shut.len()];
        matchers.push(Matcher::within(
            wanted_of(rules),
            &setup,
            limits,
            &super::in_turn,
        ));
    }
    matchers
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

/// The same, searched first and told afterwards.
fn told(matcher: &Matcher, text: Text<'_>, scratch: &mut Scratch) -> Pairs {
    let (mut found, mut pairs) = (super::Pairs::default(), Vec::new());
    matcher.search(text, &Format::Plain, scratch, &mut found);
    matcher.tell(text, &found, &Format::Plain, scratch, &mut |found| {
        pairs.push((found.line.start, found.line.end, found.rule.0));
    });
    pairs
}

/// Whole by all kernels and plans, and by one cut at every border between lines.
fn check(rules: &[Written], lines: &[u8]) -> usize {
    let expected = check_whole(rules, lines);
    let mut scratch = Scratch::default();
    let matcher = matcher(rules);
    let borders = memchr::memchr_iter(b'\n', lines).map(|lf| lf + 1);
    for cut in borders {
        let (head, tail) = lines.split_at(cut);
        let mut pairs = scan(&matcher, head, &mut scratch);
        let behind = scan(&matcher, tail, &mut scratch).into_iter();
        pairs.extend(behind.map(|(start, end, rule)| (start + cut, end + cut, rule)));
        assert_eq!(
            pairs,
            expected,
            "cut at {cut}: {}",
            shown(rules, lines, &matcher)
        );
    }
    expected.len()
}

fn shown(rules: &[Written], lines: &[u8], matcher: &Matcher) -> String {
    format!(
        "rules {rules:?}\nlines {:?}\nplan {:?} {:?}",
        lines.escape_ascii().to_string(),
        matcher.plan(),
        matcher.search.kernel,
    )
}

/// By all kernels and plans.
fn check_whole(rules: &[Written], lines: &[u8]) -> Pairs {
    let expected = Oracle::new(rules).pairs(lines);
    let mut scratch = Scratch::default();
    let turn = rules.len() + 3 * lines.len();
    for matcher in all_matchers(rules, lines, turn) {
        assert_eq!(
            scan(&matcher, lines, &mut scratch),
            expected,
            "{}",
            shown(rules, lines, &matcher)
        );
        let told = told(&matcher, lines.into(), &mut scratch);
        assert_eq!(
            told,
            expected,
            "told later: {}",
            shown(rules, lines, &matcher)
        );
    }
    expected
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
    // How many cases is left open: PROPTEST_CASES says how many.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

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

proptest! {
    // A case takes as long as many others.
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: ProptestConfig::default().cases / 60 + 1,
        ..ProptestConfig::default()
    })]

    #[test]
    fn finds_what_is_drawn_from_many_patterns_that_begin_alike(seed in any::<u64>()) {
        let mut draw = Draw::new(seed);
        let rules = crowd(&mut draw);
        let lines = draw.lines_for(&rules);
        check_whole(&rules, &lines);
    }
}

/// Rules that need the same run first, and then something else each.
fn crowd(draw: &mut Draw) -> Vec<Written> {
    let mut rule = |_| {
        let mut written = draw.written();
        for pattern in &mut written.regex {
            *pattern = format!("zqj-lock=.*(?:{pattern})");
        }
        Written {
            contains: Vec::new(),
            ignore_case: false,
            ..written
        }
    };
    let mut rules: Vec<Written> = (0..14).map(&mut rule).collect();
    rules.retain(|written| !written.regex.is_empty());
    rules
}

#[test]
fn rules_that_begin_alike_are_asked_only_where_their_other_text_stands() {
    let mut patterns: Vec<String> = (0..20).map(|n| format!("zqj-lock.*end={n:02}")).collect();
    patterns.push("zqj-lock.*(?:over|gone)".to_owned());
    patterns.push("zqj-lock.*[0-9]+".to_owned());
    let rules: Vec<Written> = patterns
        .iter()
        .map(|pattern| Written::regex(&[pattern]))
        .collect();
    let lines =
        b"zqj-lock end=07\nend=08 zqj-lock\nzqj-lock\r\nend=09\nzqj-lock GONE zqj-lock gone";
    assert_eq!(check(&rules, lines), 2 + 1);
    let matcher = matcher(&rules);
    assert_eq!(matcher.search.index.as_ref().map(Index::crowds), Some(1));
    let mut asked = 0;
    let mut scratch = Scratch::default();
    let ask = &mut |_, _: &mut _| asked += 1;
    matcher
        .search
        .scan(lines.as_slice().into(), rules.len(), &mut scratch, ask);
    // The digit in each of the four lines, `end=` with its number in two, `gone`.
    assert_eq!(asked, 4 + 2 + 1);
}

#[test]
fn drawn_patterns_have_literals_and_drawn_lines_match() {
    let (mut literal, mut pairs) = (0, 0);
    for seed in 0..150 {
        let mut draw = Draw::new(seed);
        let rules = [draw.written()];
        let lines = draw.lines_for(&rules);
        let matcher = matcher(&rules);
        let tier = &matcher.plan().rules[0].tier;
        literal += usize::from(matches!(tier, Tier::Window { .. } | Tier::Classes { .. }));
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
    scratch.candidates.wrap_soon();
    for _ in 0..10 {
        assert_eq!(scan(&few, lines, &mut scratch), fresh(&few));
        assert_eq!(scan(&many, lines, &mut scratch), fresh(&many));
    }
}

#[test]
fn thousands_of_rules_share_one_search() {
    let rules: Vec<Written> = (0..3000)
        .map(|number| Written::contains(&[&format!("ERR-{number:04} in")]))
        .collect();
    let matcher = matcher(&rules);
    let by_windows = matcher.plan().rules.iter();
    assert!(
        by_windows
            .clone()
            .all(|plan| matches!(plan.tier, Tier::Window { .. }))
    );
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

/// Rules that together hold more byte sets than are stored: each has a name and 240 of its own.
fn rules_of_many_sets() -> Vec<Written> {
    let rule = |rule: u32| {
        let set = |index: u32| {
            let number = rule * 240 + index;
            let (low, middle, high) = (number % 40, number / 40 % 40, number / 1600);
            format!(
                r"[\x{:02x}\x{:02x}\x{:02x}]",
                0x80 + low,
                0xA8 + middle,
                0xD0 + high
            )
        };
        let sets: String = (0..240).map(set).collect();
        Written::regex(&[&format!("(?-u)zqjwx{rule:03}{sets}")])
    };
    (0..280).map(rule).collect()
}

#[test]
fn no_rule_is_lost_and_none_found_twice_when_there_is_no_room_for_its_sets() {
    let mut rules = rules_of_many_sets();
    rules.push(Written::regex(&[r"(?-u)[\x02\x03]~"]));
    rules.push(Written::regex(&[r"(?-u)zqjwx000|zzvbdfg[\x04\x05]"]));
    let lines = b"zqjwx000\n\x03~\nzzvbdfg\x04\nzzvbdfg\x06 zqjwx000";
    assert_eq!(check(&rules, lines), 4);
}

#[test]
fn either_side_of_a_word_boundary_is_not_everywhere_where_bytes_are_no_text() {
    for pattern in [
        r"(?:\b|\B)\x00",
        r"(?:\b|\B|#|^){1,3}\x00",
        r"\x00(?:\B|\b)",
    ] {
        for lines in [
            &b"a\xff\x00b\n\xff\x00\xff\na\x00b"[..],
            b"\xe2\x84\x00k\nk\xe2\x84\xaa\x00\xff",
            b"x\xc5\x00\xff\nk\x00\xff",
        ] {
            check(&[Written::regex(&[pattern])], lines);
        }
    }
}
