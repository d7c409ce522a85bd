//! `lapwing check`: every mistake of every file at once, each with its place.

use crate::host::{Agent, Host, json_lines};

/// Six mistakes.
const CONFIG: &str = r"
inputs:
  access: {type: file, path: access.log, fromat: nginx}
  journal: {type: jornald}
outputs:
  hook: {type: webhook, url: '${LAPWING_TEST_UNSET}'}
  archive: {type: file}
  screen: {type: console, timeout: 10s, timeout: 20s}
  chat: {type: slcak, webhook_url: 'https://hooks.example.com/x'}
";

/// Ten mistakes.
const RULES: &str = r"
version: 1
rules:
  - name: bad-regex
    match: {regex: ['fine', 'upstream=(?P<upstream\S+)']}
    type: any
  - name: bad-where
    match: {where: 'status in [502, 503'}
    type: any
  - name: bad-duration
    type: frequency
    num_events: 10
    timeframe: 1 minute
  - name: bad-duration
    type: any
    notify: [hook, archvie]
  - name: no-number
    type: frequency
    timeframe: 1m
  - name: bad-template
    summary: '{{ cuont }} hits'
    type: any
  - name: out-of-range
    type: any
    samples: 1000
  - name: later
    type: any
    escalate: {after: 10m}
  - name: nearest
    type: any
    serverity: info
";

/// Where each mistake stands: line and column (counted in the files as they are written, which is
/// below three lines of `Host::configure`), its code, and a part of what is said.
const IN_CONFIG: &[(u64, u64, &str, &str)] = &[
    (6, 42, "unknown-key", "did you mean `format`?"),
    (7, 19, "unknown-type", "did you mean `journald`?"),
    (9, 30, "bad-substitution", "LAPWING_TEST_UNSET"),
    (10, 12, "missing-key", "needs `path`"),
    (11, 41, "duplicate-key", "`timeout` stands twice"),
    (12, 16, "unknown-type", "did you mean `slack`?"),
];
const IN_RULES: &[(u64, u64, &str, &str)] = &[
    (5, 51, "bad-regex", "capture group"),
    (8, 40, "bad-where", "expected `,` or `]`"),
    (13, 16, "bad-value", "`1 minute`"),
    (14, 11, "duplicate-name", "line 10"),
    (16, 20, "unknown-name", "did you mean `archive`?"),
    (17, 5, "missing-key", "needs `num_events`"),
    (21, 18, "bad-template", "did you mean `count`?"),
    (25, 14, "out-of-range", "from 0 to 100"),
    (28, 15, "missing-key", "`escalate` needs `notify`"),
    (31, 5, "unknown-key", "did you mean `severity`?"),
];

fn with_mistakes() -> Host {
    let host = Host::with(CONFIG, RULES);
    assert!(std::env::var_os("LAPWING_TEST_UNSET").is_none());
    host
}

#[test]
fn all_mistakes_of_all_files_are_told_at_once_each_with_its_place() {
    let host = with_mistakes();
    let done = host.command(&["check", "-c", "lapwing.yaml", "--json"]);
    assert_eq!(done.code, 78, "{}", done.stderr);
    let problems = json_lines(&done.stdout);
    let of_file = |file: &'static str, expected: &[(u64, u64, &str, &str)]| {
        let is_of_file = |problem: &&serde_json::Value| {
            let name = problem["file"].as_str().expect("a file");
            name.ends_with(file)
        };
        let mine: Vec<_> = problems.iter().filter(is_of_file).collect();
        for (problem, (line, column, code, text)) in mine.iter().zip(expected) {
            assert_eq!(problem["code"], *code, "{problem}");
            assert_eq!(problem["line"], *line, "{problem}");
            assert_eq!(problem["column"], *column, "{problem}");
            assert_eq!(problem["severity"], "error", "{problem}");
            let help = problem["help"].as_str().unwrap_or_default();
            let said = format!("{} {help}", problem["message"].as_str().expect("a message"));
            assert!(said.contains(text), "{problem}");
        }
        assert_eq!(mine.len(), expected.len(), "{mine:#?}");
    };
    of_file("lapwing.yaml", IN_CONFIG);
    of_file("rules.yaml", IN_RULES);
    assert_eq!(problems.len(), IN_CONFIG.len() + IN_RULES.len());
}

#[test]
fn the_text_shows_the_line_and_marks_the_place() {
    let host = with_mistakes();
    let done = host.command(&["check", "-c", "lapwing.yaml"]);
    assert_eq!((done.code, done.stdout.as_str()), (78, ""));
    let shown = "\
5 |     match: {regex: ['fine', 'upstream=(?P<upstream\\S+)']}
  |                                                   ^
";
    assert!(done.stderr.contains(shown), "{}", done.stderr);
    assert!(done.stderr.contains("rules.yaml:5:51\n"), "{}", done.stderr);
    assert!(done.stderr.ends_with("16 problems\n"), "{}", done.stderr);
    assert!(!done.stderr.contains('\u{1b}'), "no colours into a pipe");
}

#[test]
fn the_agent_refuses_to_start_with_what_check_refuses() {
    let host = with_mistakes();
    let done = host.command(&["run", "-c", "lapwing.yaml"]);
    assert_eq!(done.code, 78);
    assert!(done.stderr.contains("rules.yaml:31:5"), "{}", done.stderr);
    assert!(!host.path("state").exists());
}

#[test]
fn a_file_that_is_no_yaml_hides_no_mistake_of_another() {
    let host = Host::new();
    host.write("rules.yaml", RULES);
    host.write("broken.yaml", "rules:\n  - name: 'x\n");
    let done = host.command(&["check", "broken.yaml", "rules.yaml", "--json"]);
    assert_eq!(done.code, 78);
    let problems = json_lines(&done.stdout);
    let broken = problems.iter().filter(|problem| problem["code"] == "yaml");
    assert_eq!(broken.count(), 1, "{problems:#?}");
    // One less: without a configuration, any output may be named.
    assert_eq!(problems.len(), IN_RULES.len(), "{problems:#?}");
}

#[test]
fn a_clean_configuration_is_fine() {
    let host = Host::with(
        "inputs: {access: {type: file, path: '*.log'}}\noutputs: {screen: {type: console}}\n",
        "rules: [{name: all, type: any, notify: [screen], inputs: ['acc*']}]\n",
    );
    let done = host.command(&["check", "-c", "lapwing.yaml"]);
    assert_eq!(
        (done.code, done.stderr.as_str()),
        (0, "1 rule, nothing wrong\n")
    );
    let done = host.command(&["check", "-c", "lapwing.yaml", "--json"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, ""));
    assert_eq!(host.command(&["check", "pack:nginx"]).code, 0);
}

/// Everything that a configuration can say, as an operator would write it on a host.
const WHOLE: &str = include_str!("../examples/whole.yaml");

/// A certificate that signs itself, and its key.
fn make_certificate(host: &Host) {
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt"]);
    openssl.args(["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    openssl.args([
        "-subj",
        "/CN=web-1",
        "-keyout",
        "tls/key.pem",
        "-out",
        "tls/cert.pem",
    ]);
    let done = openssl.current_dir(host.path("")).output();
    let done = done.expect("openssl: tests/setup installs it");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    std::fs::copy(host.path("tls/cert.pem"), host.path("tls/ca.pem")).unwrap();
}

#[test]
fn the_contracts_configuration_is_clean_where_what_it_names_is_there() {
    let host = Host::new();
    for folder in ["rules.d", "secrets", "tls"] {
        std::fs::create_dir(host.path(folder)).unwrap();
    }
    host.write("lapwing.yaml", WHOLE.replace("/etc/lapwing/", ""));
    host.write(
        "rules.d/shop.yaml",
        include_str!("../examples/first-rule.yaml"),
    );
    let check = || {
        let mut command = host.lapwing(&["check", "-c", "lapwing.yaml", "--json"]);
        Agent::start(command.env("HOOK_SECRET", "sesame"))
    };
    let mut bare = check();
    assert_eq!(bare.wait().code(), Some(78));
    let codes: Vec<String> = json_lines(&bare.stdout.text())
        .iter()
        .map(|problem| problem["code"].as_str().expect("a code").to_owned())
        .collect();
    assert_eq!(codes, ["bad-tls", "bad-substitution"]);

    make_certificate(&host);
    host.write(
        "secrets/slack",
        "https://hooks.slack.com/services/T000/B000/XXXX\n",
    );
    let mut whole = check();
    let code = whole.wait().code();
    let said = whole.stdout.text() + &whole.stderr.text();
    assert_eq!((code, said.as_str()), (Some(0), ""));
}

#[test]
fn exit_codes_tell_a_missing_file_from_a_wrong_call() {
    let host = Host::new();
    assert_eq!(host.command(&["check", "-c", "missing.yaml"]).code, 74);
    assert_eq!(host.command(&["check", "missing.yaml"]).code, 74);
    assert_eq!(host.command(&["run", "-c", "missing.yaml"]).code, 74);
    assert_eq!(host.command(&["check", "pack:missing"]).code, 78);
    assert_eq!(host.command(&["check", "--jsno"]).code, 2);
    assert_eq!(host.command(&["chekc"]).code, 2);
    assert_eq!(host.command(&[]).code, 2);
}

#[test]
fn a_problem_beside_a_secret_does_not_show_it() {
    let host = Host::new();
    host.write("rules.yaml", "rules: []");
    host.configure(
        "outputs:\n  \
           a: {type: webhook, timeout: soon, url: 'http://h/SESAME', secret: SESAME}\n  \
           b: {type: slack, webhook_url: hooks.slack.com/SESAME}\n  \
           c:\n    type: webhook\n    url: http://h/\n    secret: [SESAME]\n    secretx: SESAME\n",
    );
    for args in [
        &["check", "-c", "lapwing.yaml"][..],
        &["run", "-c", "lapwing.yaml"],
    ] {
        let done = host.command(args);
        assert_eq!(done.code, 78, "{}", done.stderr);
        assert!(done.stderr.contains("lapwing.yaml:5:"), "{}", done.stderr);
        assert!(
            !done.stderr.contains("SESAME") && !done.stdout.contains("SESAME"),
            "{}",
            done.stderr
        );
    }
}

#[test]
fn an_irc_server_written_as_a_url_is_refused_with_the_right_form() {
    let host = Host::with(
        "outputs:\n  room: {type: irc, server: 'irc://127.0.0.1:6667', channel: '#ops'}\n",
        "version: 1\nrules: []\n",
    );
    let done = host.command(&["check", "-c", "lapwing.yaml"]);
    assert_eq!(done.code, 78, "{}", done.stderr);
    assert!(done.stderr.contains("write `host:6697`"), "{}", done.stderr);
}

#[test]
fn a_rule_file_in_another_encoding_is_refused() {
    let host = Host::new();
    host.write(
        "rules.yaml",
        b"rules: [{name: a, type: any, match: {contains: ['caf\xe9']}}]",
    );
    let done = host.command(&["check", "rules.yaml"]);
    assert!(
        done.code == 78 && done.stderr.contains("not UTF-8"),
        "{}",
        done.stderr
    );
    assert_eq!(host.command(&["check", "nothing*.yaml"]).code, 74);
}
