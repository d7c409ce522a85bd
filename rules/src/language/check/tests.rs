//! The checker against texts: what operators get wrong, with its place; and everything that this
//! project itself publishes as rules, which must be clean and pass its own tests.

mod mistakes;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::{Checked, Defaults, Known, SourceFile, check};
use super::{condition, defaults, inline_test, matching, rule};
use super::{inhibition, speaking, times};
use crate::language::diagnostic::{Diagnostic, Level};
use crate::language::packs;
use crate::language::pattern::{Case, Pattern};
use crate::language::rule::{Rule, RuleSet};
use crate::model::{Mode, Severity};
use crate::trial;

const LANGUAGE: &str = include_str!("../../../LANGUAGE.md");
const README: &str = include_str!("../../../../README.md");
const FIRST_RULE: &str = include_str!("../../../../examples/first-rule.yaml");

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile {
        name: name.into(),
        text: text.into(),
    }
}

fn check_alone(files: &[SourceFile]) -> (Vec<Rule>, Vec<Diagnostic>) {
    let known = Known {
        zone: Some(|name| jiff::tz::TimeZone::get(name).ok()),
        ..Known::default()
    };
    let checked = check(files, &Defaults::default(), known);
    (checked.rules, checked.problems)
}

/// `2:5 unknown-key: unknown key … (did you mean …)`
fn line(problem: &Diagnostic) -> String {
    let place = &problem.place;
    let help = problem.help.as_deref().unwrap_or("no help");
    format!(
        "{}:{} {}: {} ({help})",
        place.line, place.column, problem.code, problem.message
    )
}

#[test]
fn problems_of_all_files_are_told_and_good_rules_are_kept() {
    let first = "rules:\n  - {name: a, type: any, x: 1, y: 2}\n  - {name: good, type: any}\n";
    let second = "rules: [\n";
    let third = "rules:\n  - {name: good, type: any}\n  - {name: b, type: frequency}\n";
    let files = [
        file("1.yaml", first),
        file("2.yaml", second),
        file("3.yaml", third),
    ];
    let (rules, problems) = check_alone(&files);
    let told: Vec<String> = problems
        .iter()
        .map(|problem| {
            let place = &problem.place;
            format!(
                "{}:{}:{} {}",
                place.file, place.line, place.column, problem.code
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "1.yaml:2:26 unknown-key",
            "1.yaml:2:32 unknown-key",
            "2.yaml:2:1 yaml",
            "3.yaml:2:12 duplicate-name",
            "3.yaml:3:5 missing-key",
            "3.yaml:3:5 missing-key",
        ]
    );
    let names: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["good"]);
}

#[test]
fn a_warning_keeps_its_rule() {
    let text = "rules: [{name: a, type: any, match: {regex: 'x*'}}]";
    let (rules, problems) = check_alone(&[file("f.yaml", text)]);
    assert_eq!(problems.len(), 1);
    assert_eq!((problems[0].level, rules.len()), (Level::Warning, 1));
}

#[test]
fn the_rule_is_named_with_which_large_patterns_take_too_much_memory() {
    let large: usize = Pattern::new(r"\w{200}", Case::Sensitive)
        .unwrap()
        .large_bytes();
    let count = Pattern::MAX_LARGE_BYTES / large + 2;
    let rules = (0..count)
        .map(|n| format!("\n  - {{name: r{n}, type: any, match: {{regex: ['{n}\\w{{200}}']}}}}"));
    let text = format!("rules:{}", rules.collect::<String>());
    let (kept, problems) = check_alone(&[file("f.yaml", &text)]);
    assert!(!problems.is_empty() && kept.len() + problems.len() == count);
    let first = &problems[0];
    assert_eq!(
        (first.code, first.place.line),
        ("bad-regex", kept.len() + 2)
    );
    assert!(
        first.message.contains("more than 256 MiB"),
        "{}",
        first.message
    );
}

#[test]
fn names_are_held_against_the_configuration_where_there_is_one() {
    let text = "rules: [{name: a, type: any, inputs: [nginx-*, 'sys*'], notify: [ops, pagr]}]";
    let (inputs, outputs) = (
        ["nginx-access".to_owned()],
        ["ops".to_owned(), "pager".to_owned()],
    );
    let known = Known {
        inputs: Some(&inputs),
        outputs: Some(&outputs),
        zone: None,
    };
    let Checked {
        rules, problems, ..
    } = check(&[file("f.yaml", text)], &Defaults::default(), known);
    let told: Vec<String> = problems.iter().map(line).collect();
    assert_eq!(
        told,
        [
            "1:48 unknown-name: there is no input `sys*` (the configuration has: nginx-access)",
            "1:71 unknown-name: there is no output `pagr` (did you mean `pager`?)",
        ]
    );
    assert!(rules.is_empty());
    assert_eq!(check_alone(&[file("f.yaml", text)]).1, []);
}

#[test]
fn a_rule_overrules_its_file_and_a_file_the_configuration() {
    let configured = file(
        "base.yaml",
        "{severity: info, samples: 1, realert: 1m, notify: [ops]}",
    );
    let mut reader = super::Reader::default();
    let node = super::yaml::read(&configured.name, &configured.text, &mut reader.problems);
    let base = super::read_defaults(&mut reader, &node.unwrap(), Known::default());
    let text = "defaults: {samples: 2, realert: 2m, mode: shadow}\n\
                rules: [{name: a, type: any, realert: 3m}]";
    let Checked {
        rules, problems, ..
    } = check(&[file("f.yaml", text)], &base, Known::default());
    assert_eq!((reader.problems, problems), (vec![], vec![]));
    let [rule] = rules.as_slice() else {
        panic!("one rule")
    };
    assert_eq!(rule.realert, Duration::from_mins(3));
    assert_eq!((rule.samples, rule.mode), (2, Mode::Shadow));
    assert_eq!(rule.severity, Severity::Info);
    assert_eq!(rule.notify.as_deref(), Some(&["ops".to_owned()][..]));
}

#[test]
fn a_bare_rule_has_the_defaults_that_the_language_names() {
    let (rules, _) = check_alone(&[file("f.yaml", "rules: [{name: a, type: any}]")]);
    let [rule] = rules.as_slice() else {
        panic!("one rule")
    };
    assert_eq!((rule.severity, rule.mode), (Severity::Warning, Mode::Live));
    assert_eq!(rule.realert, Duration::from_mins(10));
    assert_eq!(rule.resolve_after, Duration::from_mins(5));
    assert_eq!((rule.samples, rule.max_groups), (5, 10_000));
    assert_eq!((&rule.notify, rule.exponential_realert), (&None, None));
}

/// Checks a text that is published as right, and runs every test in it. Gives how many those were.
fn check_published(name: &str, text: &str) -> usize {
    let (rules, problems) = check_alone(&[file(name, text)]);
    assert_eq!(problems, [], "{name}\n{text}");
    let rules = Arc::new(RuleSet::new(rules));
    assert!(!rules.is_empty(), "{name} holds no rule\n{text}");
    let mut ran = 0;
    for (id, rule) in rules.iter() {
        for test in &rule.tests {
            let outcome = trial::run(&rules, id, test, None);
            assert_eq!(
                outcome.mismatches,
                [],
                "{name}: {}: {}",
                rule.name,
                test.name
            );
            ran += 1;
        }
    }
    ran
}

/// The YAML blocks of `rules/LANGUAGE.md`, each with the line it begins in. One that does not
/// begin like a file is some keys of a rule, and gets the rest of one.
fn published_examples() -> Vec<(usize, String)> {
    let mut examples = Vec::new();
    let mut lines = LANGUAGE.lines().enumerate();
    while let Some((at, fence)) = lines.next() {
        if fence != "```yaml" {
            continue;
        }
        let body: Vec<&str> = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| *line != "```")
            .collect();
        let begins = |word: &str| body.iter().any(|line| line.starts_with(word));
        if begins("rule_files:") {
            continue;
        }
        let mut text = String::new();
        if !begins("rules:") {
            text.push_str("rules:\n  -\n");
            for (key, missing) in [("name:", "name: example"), ("type:", "type: any")] {
                if !begins(key) {
                    writeln!(text, "    {missing}").unwrap();
                }
            }
        }
        let indent = if text.is_empty() { "" } else { "    " };
        for line in &body {
            writeln!(text, "{indent}{line}").unwrap();
        }
        examples.push((at + 1, text));
    }
    examples
}

#[test]
fn every_example_of_the_language_is_right_and_its_tests_pass() {
    let examples = published_examples();
    let ran: usize = examples
        .iter()
        .map(|(at, text)| check_published(&format!("LANGUAGE.md:{at}"), text))
        .sum();
    assert!(
        examples.len() >= 10 && ran >= 5,
        "{} examples, {ran} tests",
        examples.len()
    );
}

#[test]
fn the_test_file_of_the_language_tests_rules_that_stand_elsewhere() {
    let shown = "\n```yaml\nrule_files:";
    let at = LANGUAGE.find(shown).unwrap() + "\n```yaml\n".len();
    let text = LANGUAGE.get(at..).unwrap().split("\n```").next().unwrap();
    let test_file = file("shop_test.yaml", text);
    let named: Vec<String> = super::rule_files(&test_file)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(named, ["shop.yaml", "pack:nginx"]);
    let shop = file("shop.yaml", &published_examples()[0].1);
    let pack = packs::find("nginx").unwrap();
    let (rules, problems) = check_alone(&[test_file, shop, pack]);
    assert_eq!(problems, []);
    let rules = Arc::new(RuleSet::new(rules));
    let mut ran = 0;
    for (id, rule) in rules.iter() {
        let tests = rule.tests.iter();
        for test in tests.filter(|test| &*test.place.file == "shop_test.yaml") {
            let outcome = trial::run(&rules, id, test, None);
            assert_eq!(outcome.mismatches, [], "{}", test.name);
            ran += 1;
        }
    }
    assert_eq!(ran, 2);
}

#[test]
fn what_other_rules_of_the_file_tell_is_no_part_of_a_test() {
    let text = "rules:
  - {name: quiet, type: flatline, timeframe: 1m, match: {contains: [nobody]}}
  - name: tested
    type: any
    match: {contains: [x]}
    tests: [{lines: [{at: 0s, line: x}], expect: [{at: 10m, alerts: 1}]}]
";
    assert_eq!(check_published("two.yaml", text), 1);
}

#[test]
fn the_first_rule_is_right_and_the_readme_shows_it() {
    let told = check_published("first-rule.yaml", FIRST_RULE);
    let shown = README
        .split("```yaml\n")
        .filter_map(|behind| behind.split_once("\n```"))
        .map(|(block, _)| block)
        .find(|block| block.starts_with("version: 1"))
        .unwrap();
    let name = |text: &str| check_alone(&[file("f.yaml", text)]).0[0].name.clone();
    assert_eq!(name(shown), name(FIRST_RULE));
    assert!(told >= check_published("README.md", shown));
}

#[test]
fn every_key_of_the_language_has_an_example() {
    let all: String = published_examples()
        .into_iter()
        .map(|(_, text)| text)
        .chain([LANGUAGE.split("```yaml\nrule_files").nth(1).unwrap().into()])
        .chain(["rule_files: []".to_owned()])
        .collect();
    let sections = [
        super::FILE_KEYS,
        defaults::KEYS,
        rule::RULE_KEYS,
        matching::MATCH_KEYS,
        matching::NOT_KEYS,
        matching::STEP_KEYS,
        condition::REFERENCE_KEYS,
        inhibition::INHIBIT_KEYS,
        speaking::ESCALATE_KEYS,
        speaking::CONTEXT_KEYS,
        times::INTERVAL_KEYS,
        times::SPAN_KEYS,
        times::TIME_KEYS,
        inline_test::TEST_KEYS,
        inline_test::NAMED_TEST_KEYS,
        inline_test::LINE_KEYS,
        inline_test::EXPECT_KEYS,
    ];
    for section in sections {
        for key in section.known {
            let is_inner = |c: char| c.is_alphanumeric() || c == '_';
            let written = all
                .match_indices(&format!("{key}:"))
                .any(|(at, _)| !all.get(..at).unwrap_or_default().ends_with(is_inner));
            assert!(written, "no example of `{key}` in {}", section.of);
        }
    }
}

#[test]
fn every_key_of_a_type_is_a_key_of_a_rule() {
    for (key, _) in condition::OWN_KEYS {
        assert!(rule::RULE_KEYS.known.contains(key), "{key}");
    }
}

#[test]
fn the_shipped_packs_are_clean_and_every_rule_passes_its_tests() {
    for name in packs::names() {
        let pack = packs::find(name).unwrap();
        assert!(check_published(&pack.name, &pack.text) > 0);
        let (rules, _) = check_alone(&[pack]);
        for rule in &rules {
            assert!(!rule.tests.is_empty(), "{} has no test", rule.name);
        }
    }
    assert!(packs::names().count() > 0);
}
