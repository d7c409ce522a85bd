//! What operators get wrong in rule files, one mistake a text.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{check_alone, file, line};

/// One mistake, written into a text where `«` stands before the place that must be told.
struct Mistake(&'static str, &'static str, &'static str);

/// Text with a mistake, its code, and words of the message or of the help.
const MISTAKES: &[Mistake] = &[
    // The text itself.
    Mistake(
        "rules: [{name: a, type: any}\n«",
        "yaml",
        "expected ',' or ']'",
    ),
    Mistake("rules:\n\t«- name: a\n", "yaml", "indented with spaces"),
    Mistake(
        "rules: []\n«---\nrules: []\n",
        "yaml",
        "keep one document a file",
    ),
    Mistake(
        "rules: [{name: a, «[x]: 1, type: any}]",
        "bad-key",
        "a key must be a word",
    ),
    Mistake(
        "rules: [{name: a, type: any, «name: b}]",
        "duplicate-key",
        "first in line 1",
    ),
    // The file.
    Mistake("«- name: a\n", "wrong-type", "`key: value`"),
    Mistake("«rule: []\n", "unknown-key", "did you mean `rules`?"),
    Mistake(
        "inhibit_rules: [{source_matchers: «5, target_matchers: [a=b]}]\n",
        "bad-matcher",
        "`5` is no matcher",
    ),
    Mistake("version: «2\nrules: []\n", "out-of-range", "from 1 to 1"),
    Mistake("rules: «{name: a}\n", "wrong-type", "takes a list"),
    Mistake(
        "defaults: {«summary: x}\n",
        "unknown-key",
        "`summary` in `defaults`",
    ),
    Mistake(
        "defaults: {attach: [«grap]}\n",
        "bad-value",
        "did you mean `graph`?",
    ),
    Mistake(
        "inhibit_rules: [«{source_matchers: [a=b]}]\n",
        "missing-key",
        "`target_matchers`",
    ),
    Mistake(
        "time_intervals: [{name: n, time_intervals: [{weekdays: [«mo]}]}]\n",
        "bad-value",
        "write `monday`",
    ),
    Mistake(
        "time_intervals: [{name: n, time_intervals: [{location: «Berlin}]}]\n",
        "bad-value",
        "Europe/Berlin",
    ),
    Mistake(
        "time_intervals: [{name: n, time_intervals: [{times: [«{start_time: '22:00', end_time: '06:00'}]}]}]\n",
        "out-of-range",
        "over midnight as two",
    ),
    Mistake(
        "rules: [{name: a, type: any, mute_time_intervals: [«nights]}]",
        "unknown-name",
        "beside `rules`",
    ),
    Mistake(
        "rules: [{name: a, type: any, fold_groups: «5}]",
        "bad-combination",
        "`group_by`",
    ),
    Mistake(
        "inhibit_rules: [{source_matchers: [«'rule=dwn'], target_matchers: [severity=warning]}]\nrules: [{name: down, type: any}]\n",
        "no-match",
        "did you mean `down`?",
    ),
    Mistake(
        "inhibit_rules: [{source_matchers: [rule=a], target_matchers: [«severity=crit]}]\nrules: [{name: a, type: any, severity: critical}]\n",
        "no-match",
        "no rule's `severity` is matched by `severity=\"crit\"`",
    ),
    Mistake(
        "inhibit_rules: [{source_matchers: [rule=a], target_matchers: [«'taem!=web']}]\nrules: [{name: a, type: any, labels: {team: web}}]\n",
        "no-match",
        "did you mean `team`?",
    ),
    Mistake(
        "inhibit_rules: [{source_matchers: «[rule=a, type=frequency], target_matchers: [type=any]}]\nrules: [{name: a, type: any}, {name: b, type: frequency, num_events: 2, timeframe: 1m}]\n",
        "no-match",
        "no rule is matched by all of `source_matchers`",
    ),
    Mistake(
        "inhibit_rules: [{source_matchers: [rule=a], target_matchers: [rule=b], equal: [«upstraem]}]\nrules: [{name: a, type: any, group_by: [upstream]}, {name: b, type: any}]\n",
        "no-match",
        "did you mean `upstream`?",
    ),
    Mistake(
        "inhibit_rules: [{source_matchers: [«'rule=~a)|(b'], target_matchers: [rule=b]}]\nrules: [{name: b, type: any}]\n",
        "bad-matcher",
        "unopened group",
    ),
    Mistake(
        "rules: [{name: a, type: any, group_by: [host, «host]}]",
        "bad-value",
        "`group_by` names `host` twice",
    ),
    Mistake(
        "rules: [{name: a, type: any, group_by: [«'']}]",
        "bad-value",
        "a field without a name",
    ),
    Mistake(
        "rules: [{name: a, type: cardinality, cardinality_field: «'', max_cardinality: 5, timeframe: 1m}]",
        "bad-value",
        "a field without a name",
    ),
    Mistake(
        "rules: [{name: a, type: new_term, fields: [user, [user, host], «user]}]",
        "bad-value",
        "`fields` names `user` twice",
    ),
    Mistake(
        "rules: [{name: a, type: any, summary: '{% if count > 9 %}{{ value | «durration }}{% endif %}'}]",
        "bad-template",
        "did you mean `duration`?",
    ),
    Mistake(
        "rules: [{name: a, type: any, tests: [{lines: [{line: x}], expect: [«{at: 0s}]}]}]",
        "empty-test",
        "cannot fail",
    ),
    // Names and types.
    Mistake("rules: [«{type: any}]", "missing-key", "needs a `name`"),
    Mistake(
        "rules: [{name: «Nginx_502, type: any}]",
        "bad-name",
        "lower-case letters",
    ),
    Mistake(
        "rules: [{name: a, type: any}, {name: «a, type: any}]",
        "duplicate-name",
        "stands already in f.yaml, line 1",
    ),
    Mistake("rules: [«{name: a}]", "missing-key", "any, frequency"),
    Mistake(
        "rules: [{name: a, type: «frequancy, num_events: 2, timeframe: 1m}]",
        "unknown-type",
        "did you mean `frequency`?",
    ),
    Mistake(
        "rules: [{name: a, type: flatline, «num_events: 1, timeframe: 1m}]",
        "foreign-key",
        "belongs to `type: frequency`",
    ),
    Mistake(
        "rules: [{name: a, type: spike, timeframe: 1m, spike_height: «1}]",
        "out-of-range",
        "three times as many",
    ),
    Mistake(
        "rules: [{name: a, type: spike, timeframe: 1m, spike_height: 2, reference: {same_time: «30s}}]",
        "out-of-range",
        "from 1m to",
    ),
    Mistake(
        "rules: [{name: a, type: spike, timeframe: 1m, spike_height: 2, reference: «before}]",
        "bad-value",
        "previous",
    ),
    Mistake(
        "rules: [{name: a, type: spike, timeframe: 1m, spike_height: 2, reference: «{}}]",
        "missing-key",
        "same_time: 7d",
    ),
    Mistake(
        "rules: [{name: a, type: new_term, fields: «[user, []]}]",
        "bad-value",
        "fields: [user, [user, remote_addr]]",
    ),
    Mistake(
        "rules: [«{name: a, type: cardinality, cardinality_field: x, timeframe: 1m}]",
        "missing-key",
        "`max_cardinality` or `min_cardinality`",
    ),
    Mistake(
        "rules: [{name: a, type: percentage_match, match_bucket: {contains: x}, timeframe: 1m, min_percentage: «50, max_percentage: 20}]",
        "out-of-range",
        "`min_percentage` is more than `max_percentage`",
    ),
    Mistake(
        "rules: [{name: a, type: percentage_match, match_bucket: {contains: x}, timeframe: 1m, max_percentage: «101}]",
        "out-of-range",
        "from 0 to 100",
    ),
    Mistake(
        "rules: [«{name: a, type: pair, start: {contains: x}, within: 1m}]",
        "missing-key",
        "`finish`",
    ),
    Mistake(
        "rules: [{name: a, type: sequence, within: 1m, steps: «[]}]",
        "bad-value",
        "1 to 16",
    ),
    Mistake(
        "rules: [{name: a, type: sequence, within: 1m, steps: «[{contains: x, num_events: 600}, {contains: y, num_events: 600}]}]",
        "out-of-range",
        "at most 1000 lines",
    ),
    Mistake(
        "rules: [{name: a, type: sequence, within: 1m, steps: [{contains: x, «num_event: 6}]}]",
        "unknown-key",
        "did you mean `num_events`?",
    ),
    Mistake(
        "rules: [{name: a, type: new_pattern, mask: [ip, '«(']}]",
        "bad-regex",
        "",
    ),
    Mistake(
        "rules: [{name: a, type: new_pattern, also_when: [«back]}]",
        "bad-value",
        "returned",
    ),
    Mistake(
        "rules: [{name: a, type: new_pattern, returned_after: «7d}]",
        "foreign-key",
        "also_when: [returned]",
    ),
    Mistake(
        "rules: [{name: a, type: any, «timeframe: 1m}]",
        "foreign-key",
        "belongs to `type: frequency`",
    ),
    Mistake(
        "rules: [«{name: a, type: frequency, timeframe: 1m}]",
        "missing-key",
        "`num_events`",
    ),
    // Keys and values.
    Mistake(
        "rules: [{name: a, type: any, «sevrity: info}]",
        "unknown-key",
        "did you mean `severity`?",
    ),
    Mistake(
        "rules: [{name: a, type: any, escalate: «{after: 1m}}]",
        "missing-key",
        "`escalate` needs `notify`",
    ),
    Mistake(
        "rules: [{name: a, type: any, severity: «criticl}]",
        "bad-value",
        "did you mean `critical`?",
    ),
    Mistake(
        "rules: [{name: a, type: any, mode: «silent}]",
        "bad-value",
        "one of live, shadow, off",
    ),
    Mistake(
        "rules: [{name: a, type: any, realert: «10}]",
        "bad-value",
        "500ms, 10s",
    ),
    Mistake(
        "rules: [{name: a, type: any, resolve_after: «0}]",
        "out-of-range",
        "from 1ms",
    ),
    Mistake(
        "rules: [{name: a, type: any, exponential_realert: «5m}]",
        "out-of-range",
        "less than `realert` (10m)",
    ),
    Mistake(
        "rules: [{name: a, type: frequency, num_events: «ten, timeframe: 1m}]",
        "bad-value",
        "takes a whole number",
    ),
    Mistake(
        "rules: [{name: a, type: frequency, num_events: «99999999999, timeframe: 1m}]",
        "out-of-range",
        "from 1 to 100000",
    ),
    Mistake(
        "rules: [{name: a, type: any, description: «[x]}]",
        "wrong-type",
        "takes one text",
    ),
    Mistake(
        "rules: [{name: a, type: any, labels: «[web]}]",
        "wrong-type",
        "keys and values",
    ),
    Mistake(
        "rules: [{name: a, type: any, inputs: [«'[x']}]",
        "bad-glob",
        "bad glob",
    ),
    // What is matched.
    Mistake(
        "rules: [{name: a, type: any, match: {«contain: x}}]",
        "unknown-key",
        "did you mean `contains`?",
    ),
    Mistake(
        "rules: [{name: a, type: any, match: {not: {«where: x == 1}}}]",
        "unknown-key",
        "`where` in `not`",
    ),
    Mistake(
        "rules: [{name: a, type: any, match: {contains: [x, «'']}}]",
        "empty-text",
        "every line counts",
    ),
    Mistake(
        "rules: [{name: a, type: any, match: {contains: «\"a\\nb\"}}]",
        "line-feed",
        "no line has one",
    ),
    Mistake(
        "rules: [{name: a, type: any, match: {ignore_case: «yes}}]",
        "bad-value",
        "`true` or `false`",
    ),
    Mistake(
        "rules: [{name: a, type: any, match: {regex: [b, 'é«(?=x)']}}]",
        "bad-regex",
        "`not: {regex: […]}`",
    ),
    Mistake(
        "rules: [{name: a, type: any, match: {not: {regex: 'a«\\Zb'}}}]",
        "bad-regex",
        "`$` is the end of the line",
    ),
    Mistake(
        "rules: [{name: a, type: any, match: {regex: «'x*'}}]",
        "every-line",
        "`x*` matches every line",
    ),
    Mistake(
        "rules: [{name: a, type: any, match: {where: 'status «= 502'}}]",
        "bad-where",
        "write ==",
    ),
    Mistake(
        "rules: [{name: a, type: any, match: {where: 'path ~ \"a«(?!b)\"'}}]",
        "bad-where",
        "look-around",
    ),
    Mistake(
        "rules: [{name: a, type: any, match: {regex: 'a«\\nb'}}]",
        "bad-regex",
        "line",
    ),
    Mistake(
        "rules: [{name: a, type: any, match: {where: 'status in [502, 504«'}}]",
        "bad-where",
        "",
    ),
    Mistake(
        "rules: [{name: a, type: any, match: {where: 'status == 502 «status == 504'}}]",
        "bad-where",
        "",
    ),
    // What leaves the host.
    Mistake(
        "rules: [{name: a, type: any, summary: '{{ count | «durration }}'}]",
        "bad-template",
        "did you mean `duration`?",
    ),
    Mistake(
        "rules: [{name: a, type: any, summary: '{{ «group.pth }}', group_by: path}]",
        "bad-template",
        "did you mean `group.path`?",
    ),
    Mistake(
        "rules: [{name: a, type: any, description: '{{ «labels.team }}', labels: {tem: web}}]",
        "bad-template",
        "did you mean `labels.tem`?",
    ),
    Mistake(
        "rules: [{name: a, type: any, runbook_url: 'https://x/{{ «top.user }}', top_count_keys: [path]}]",
        "bad-template",
        "name it in `top_count_keys`",
    ),
    Mistake(
        "rules: [{name: a, type: any, summary: '{{ «count'}]",
        "bad-template",
        "",
    ),
    Mistake(
        "rules: [{name: a, type: any, redact: [ip, '«[a']}]",
        "bad-regex",
        "a literal bracket",
    ),
    Mistake(
        "rules: [{name: a, type: any, summary: '{{ «pathh }}', group_by: path}]",
        "bad-template",
        "did you mean `path`?",
    ),
    Mistake(
        "rules: [{name: a, type: any, summary: '{{ «status_code }}'}]",
        "bad-template",
        "`fields.status_code`",
    ),
    // Tests.
    Mistake(
        "rules: [{name: a, type: any, tests: [{lines: [], expect: «[]}]}]",
        "empty-test",
        "cannot fail",
    ),
    Mistake(
        "rules: [{name: a, type: any, tests: [«{lines: []}]}]",
        "missing-key",
        "`expect: [{at: 1m, alerts: 1}]`",
    ),
    Mistake(
        "«rule_files: [a.yaml]\n",
        "missing-key",
        "a test file needs `tests`",
    ),
    Mistake(
        "tests: [{rule: «a, lines: [], expect: [{at: 1s, alerts: 0}]}]",
        "unknown-name",
        "under `rule_files`",
    ),
    Mistake(
        "tests: [«{lines: [], expect: [{at: 1s, alerts: 0}]}]",
        "missing-key",
        "needs `rule`",
    ),
    Mistake(
        "{rule_files: a.yaml, tests: [], «test: []}",
        "unknown-key",
        "did you mean `tests`?",
    ),
    Mistake(
        "rules: [{name: a, type: any, tests: [«{expect: [{at: 1s, alerts: 0}]}]}]",
        "missing-key",
        "a test needs `lines`",
    ),
    Mistake(
        "rules: [{name: a, type: any, tests: [{lines: [{line: x, at: «5}], expect: [{at: 1s, alerts: 0}]}]}]",
        "bad-value",
        "a duration",
    ),
    Mistake(
        "rules: [{name: a, type: any, tests: [{lines: [], expect: [«{alerts: 1}]}]}]",
        "missing-key",
        "needs `at`",
    ),
    Mistake(
        "rules: [{name: a, type: any, tests: [{lines: [], expect: [{at: 1s, «fired: 1}]}]}]",
        "unknown-key",
        "`fired` in an expectation",
    ),
    Mistake(
        "rules: [{name: a, type: any, tests: [{format: «ngnix, lines: [], expect: [{at: 1s, alerts: 0}]}]}]",
        "bad-value",
        "did you mean `nginx`?",
    ),
];

#[test]
fn every_mistake_is_told_once_with_its_place() {
    let mut wrong = Vec::new();
    for Mistake(marked, code, words) in MISTAKES {
        let (before, behind) = marked.split_once('«').unwrap();
        let text = format!("{before}{behind}");
        let row = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
        let (_, problems) = check_alone(&[file("f.yaml", &text)]);
        let told: Vec<String> = problems.iter().map(line).collect();
        let is_told = |only: &String| {
            only.starts_with(&format!("{row}:{column} {code}: ")) && only.contains(words)
        };
        if told.len() != 1 || !told.iter().all(is_told) {
            wrong.push((marked, told));
        }
    }
    assert_eq!(wrong, []);
}

/// The wording of all of them, to be read as a page: what is wrong, and what to write instead.
#[test]
fn every_mistake_is_told_in_words_that_name_the_fix() {
    let (mut page, mut kinds) = (String::new(), BTreeSet::new());
    for Mistake(marked, ..) in MISTAKES {
        let text = marked.replace('«', "");
        let (_, problems) = check_alone(&[file("f.yaml", &text)]);
        for problem in &problems {
            assert!(problem.help.is_some(), "{text}: {problem:?}");
            // Names apart, what is said.
            let words = problem.message.split('`').step_by(2).collect::<String>();
            kinds.insert((problem.code, words));
        }
        let told: Vec<String> = problems.iter().map(line).collect();
        writeln!(page, "{}\n    {}\n", text.trim_end(), told.join("\n    ")).unwrap();
    }
    assert!(kinds.len() >= 40, "{} kinds of mistake", kinds.len());
    insta::assert_snapshot!("mistakes", page);
}

#[test]
fn every_kind_of_problem_stands_in_the_table() {
    let sources = [
        include_str!("../defaults.rs"),
        include_str!("../inhibition.rs"),
        include_str!("../inline_test.rs"),
        include_str!("../matching.rs"),
        include_str!("../reach.rs"),
        include_str!("../mod.rs"),
        include_str!("../rule.rs"),
        include_str!("../speaking.rs"),
        include_str!("../times.rs"),
        include_str!("../test_file.rs"),
        include_str!("../condition.rs"),
        include_str!("../../reader.rs"),
        include_str!("../../yaml.rs"),
    ];
    let shown: BTreeSet<&str> = MISTAKES.iter().map(|mistake| mistake.1).collect();
    for source in sources {
        // A code is the text behind one of these calls, wherever rustfmt put it.
        for call in [".error(", ".warning(", " error("] {
            for behind in source.split(call).skip(1) {
                let code = behind.trim_start().strip_prefix('"');
                if let Some((code, _)) = code.and_then(|code| code.split_once('"')) {
                    // What only a configuration can say has its own tests.
                    assert!(code == "unknown-name" || shown.contains(code), "{code}");
                }
            }
        }
    }
}
