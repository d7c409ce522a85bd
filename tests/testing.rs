//! `lapwing test` as a person and a CI server see it: inline tests, test files, what a failing one
//! says, and for programs.

use crate::host::{Host, json_lines};

const CONTRACT: &str = include_str!("../examples/nginx-502-burst.yaml");

const TEST_FILE: &str = r#"
rule_files: [../rules/nginx.yaml, pack:sshd]
tests:
  - rule: nginx-502-burst
    name: a health check that fails is no trouble
    lines:
      - {at: 0s, every: 1s, repeat: 24, line: '10.0.0.9 - - [21/Nov/2026:09:00:00 +0000] "GET /healthz HTTP/1.1" 502 173 "-" "curl/8" upstream=a'}
    expect: [{at: 1m, alerts: 0}]
  - rule: nginx-502-burst
    name: the upstream is told
    format: nginx
    lines:
      - {at: 0s, every: 1s, repeat: 10, line: '10.0.0.9 - - [21/Nov/2026:09:00:00 +0000] "GET /a HTTP/1.1" 504 173 "-" "curl/8" upstream=<b>&"'}
    expect: [{at: 1m, alerts: 1, group: {upstream: '<b>&"'}}]
"#;

/// What an expectation says, what it is changed to, and the reason that must be told, with the place
/// of the expectation.
const CHANGES: &[(&str, &str, &str)] = &[
    (
        "{at: 44s, alerts: 0}",
        "{at: 44s, alerts: 1}",
        "44s (PLACE): alerts: expected 1, got 0",
    ),
    (
        "{at: 44s, alerts: 0}",
        "{at: 45s, alerts: 0}",
        "45s (PLACE): alerts: expected 0, got 1",
    ),
    (
        "{at: 45s, alerts: 1,",
        "{at: 45s, alerts: 2,",
        "45s (PLACE): alerts: expected 2, got 1",
    ),
    (
        "{at: 45s, alerts: 1,",
        "{at: 43s, alerts: 1,",
        "43s (PLACE): alerts: expected 1, got 0",
    ),
    (
        "count: 10}",
        "count: 11}",
        "45s (PLACE): count: expected 11, got 10",
    ),
    (
        "count: 10}",
        "group: {upstream: b}}",
        "group: expected upstream=b, got upstream=[ip]:8080",
    ),
    ("count: 10}", "resolved: 1}", "resolved: expected 1, got 0"),
    (
        "count: 10}",
        "suppressed: 3}",
        "suppressed: expected 3, got 0",
    ),
    ("count: 10}", "value: 9}", "value: expected 9, got 10"),
    (
        "count: 10}",
        "notifications: 2}",
        "notifications: expected 2, got 1",
    ),
];

/// `FILE:LINE:COLUMN` of an expectation.
fn place_of(expectation: &str) -> String {
    let mut lines = (1..).zip(CONTRACT.lines());
    let found = lines
        .find_map(|(n, line)| Some((n, line.find('{').filter(|_| line.contains(expectation))?)));
    let (line, column) = found.expect("it stands there");
    format!("rules.yaml:{line}:{}", column + 1)
}

#[test]
fn the_contracts_example_passes_and_each_expectation_when_changed_fails_by_name() {
    let host = Host::new();
    host.write("rules.yaml", CONTRACT);
    let done = host.command(&["test", "rules.yaml"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert!(
        done.stderr.contains("1 passed, 0 failed"),
        "{}",
        done.stderr
    );
    for (stands, changed, reason) in CHANGES {
        assert!(CONTRACT.contains(*stands), "{stands}");
        host.write("rules.yaml", CONTRACT.replace(stands, changed));
        let done = host.command(&["test", "rules.yaml"]);
        assert_eq!(done.code, 1, "{changed}: {}", done.stdout);
        let reason = reason.replace("PLACE", &place_of(stands));
        for said in [
            "FAIL nginx-502-burst / ten in a minute fire once\n",
            &reason,
            "told:\n         45s  first     count 10, value 10, upstream=[ip]:8080\n",
            " lines counted:\n          0s  [ip] - - [21/Nov/2026",
        ] {
            // At 43 s nothing has been told yet.
            assert!(
                done.stdout.contains(said) || said.starts_with("told") && changed.contains("43s"),
                "{said}: {}",
                done.stdout
            );
        }
    }
}

fn with_a_test_file() -> Host {
    let host = Host::new();
    for folder in ["rules", "tests"] {
        std::fs::create_dir(host.path(folder)).unwrap();
    }
    host.write("rules/nginx.yaml", CONTRACT);
    host.write("tests/nginx.yaml", TEST_FILE);
    host
}

#[test]
fn a_test_file_tests_the_rules_that_it_names_and_no_others() {
    let host = with_a_test_file();
    let done = host.command(&["test", "tests/nginx.yaml"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
    assert!(
        done.stderr.contains("2 passed, 0 failed"),
        "{}",
        done.stderr
    );
    // With the rules beside it, their own tests run as well, and the rules are read once.
    let done = host.command(&["test", "rules/nginx.yaml", "tests/nginx.yaml"]);
    assert!(
        done.stderr.contains("3 passed, 0 failed"),
        "{}",
        done.stderr
    );
    let done = host.command(&["check", "tests/nginx.yaml"]);
    assert_eq!(done.code, 0, "{}", done.stderr);

    host.write(
        "tests/nginx.yaml",
        TEST_FILE.replace("rules/nginx", "rules/ngnix"),
    );
    let done = host.command(&["test", "tests/nginx.yaml"]);
    assert_eq!(done.code, 78);
    assert!(done.stderr.contains("ngnix.yaml"), "{}", done.stderr);
    host.write(
        "tests/nginx.yaml",
        TEST_FILE.replace("502-burst", "502-brust"),
    );
    let done = host.command(&["test", "tests/nginx.yaml"]);
    assert_eq!(done.code, 78);
    assert!(
        done.stderr.contains("did you mean `nginx-502-burst`?"),
        "{}",
        done.stderr
    );
}

#[test]
fn junit_holds_every_test_and_is_xml_whatever_the_lines_hold() {
    let host = with_a_test_file();
    host.write(
        "tests/nginx.yaml",
        TEST_FILE.replace("alerts: 1", "alerts: 2"),
    );
    let args = ["test", "--json", "--junit", "out.xml", "tests/nginx.yaml"];
    let done = host.command(&args);
    assert_eq!(done.code, 1, "{}", done.stderr);
    let tests = json_lines(&done.stdout);
    assert_eq!(tests[1]["mismatches"][0]["what"], "alerts");
    assert_eq!(tests[1]["told"][0]["group"]["upstream"], "<b>&\"");
    assert_eq!(tests[1]["counted"].as_array().map(Vec::len), Some(10));

    let read = "import sys, xml.etree.ElementTree as tree\n\
        for case in tree.parse(sys.argv[1]).getroot().iter('testcase'):\n \
        print(case.get('classname'), case.get('name'), [f.get('message') for f in case])";
    let out = host.path("out.xml");
    let python = std::process::Command::new("/usr/bin/python3")
        .args(["-c", read])
        .arg(out)
        .output()
        .expect("python3 is there; see tests/setup");
    let said = String::from_utf8_lossy(&python.stdout).into_owned();
    assert!(
        python.status.success(),
        "{}",
        String::from_utf8_lossy(&python.stderr)
    );
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert_eq!(
        lines[0],
        "nginx-502-burst a health check that fails is no trouble []"
    );
    assert!(lines[1].contains("alerts: expected 2, got 1"), "{said}");
}
