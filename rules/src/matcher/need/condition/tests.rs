use proptest::prelude::{ProptestConfig, proptest};

use self::draw::Draw;
use super::*;
use crate::language::pattern::{Case, Pattern};

mod draw;

/// Enough of a planner for patterns: literals and single classes of ASCII.
fn of_pattern(hir: &Hir) -> Need {
    match hir.kind() {
        HirKind::Literal(literal) => Need::text(&literal.0, Meaning::Certain),
        HirKind::Capture(capture) => of_pattern(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => of_pattern(&repetition.sub),
        HirKind::Concat(subs) => Need::All(subs.iter().map(of_pattern).collect()),
        HirKind::Alternation(subs) => Need::Any(subs.iter().map(of_pattern).collect()),
        HirKind::Class(regex_syntax::hir::Class::Unicode(class)) if class.is_ascii() => {
            let ranges = class.ranges().iter();
            let bytes = ranges.fold(ByteSet::default(), |set, range| {
                let byte = |char| u8::try_from(char).unwrap();
                set.union(ByteSet::of_range(byte(range.start()), byte(range.end())))
            });
            run(vec![bytes], 0)
        }
        _ => Need::nothing(),
    }
}

fn need_of(condition: &str, format: &Format) -> Need {
    let condition = Expression::parse(condition).unwrap();
    of_condition(&condition, format, &|name| name == "group", &of_pattern)
}

/// `All[..]` as `(a & b)`, `Any[..]` as `(a | b)`, a run as in a pattern.
fn show(need: &Need) -> String {
    let many = |needs: &[Need], sign: &str| {
        let all: Vec<String> = needs.iter().map(show).collect();
        format!("({})", all.join(sign))
    };
    match need {
        Need::All(needs) if needs.is_empty() => "nothing".to_owned(),
        Need::Any(needs) if needs.is_empty() => "impossible".to_owned(),
        Need::All(needs) => many(needs, " & "),
        Need::Any(needs) => many(needs, " | "),
        Need::Run(run) => {
            assert_eq!(run.meaning, Meaning::Possible);
            assert!(run.inside < run.sets.len());
            let one = |set: &ByteSet| match set.iter().next() {
                Some(byte) if set.len() == 1 => byte.escape_ascii().to_string(),
                _ => format!("{set:?}"),
            };
            run.sets.iter().map(one).collect()
        }
    }
}

/// Whether a line holds a need: every place tried.
fn holds(need: &Need, line: &[u8], end: &[u8]) -> bool {
    match need {
        Need::All(needs) => needs.iter().all(|need| holds(need, line, end)),
        Need::Any(needs) => needs.iter().any(|need| holds(need, line, end)),
        Need::Run(run) => {
            let text = [b"\n", line, end].concat();
            let inside = 1..1 + line.len();
            text.windows(run.sets.len()).enumerate().any(|(at, bytes)| {
                inside.contains(&(at + run.inside))
                    && bytes
                        .iter()
                        .zip(&run.sets)
                        .all(|(byte, set)| set.contains(*byte))
            })
        }
    }
}

fn pattern_format() -> Format {
    let text = r"^(?P<time>\S+) (?P<a>\S+) id=(?P<b>[0-9.e]+)";
    Format::Pattern {
        pattern: Box::new(Pattern::new(text, Case::Sensitive).unwrap()),
        time_format: None,
    }
}

fn format_of(name: &str) -> Format {
    Format::named(name).unwrap_or_else(pattern_format)
}

#[test]
fn a_condition_needs_what_its_fields_are_written_as() {
    let end = r"[\n\r ]";
    for (format, condition, expected) in [
        ("nginx", "status == 502", format!(r#"\" 502{end}"#)),
        ("nginx", "status in [502, 503, 504]", format!(r#"\" 50[2-4]{end}"#)),
        ("nginx", "status == 502 or status == 503", format!(r#"\" 50[2-3]{end}"#)),
        ("nginx", "status >= 500", format!(r#"\" [5-9][0-9][0-9]{end}"#)),
        ("nginx", "status >= 500 and status < 600", format!(r#"\" 5[0-9][0-9]{end}"#)),
        (
            "nginx",
            "status >= 500 and path != '/x' and not (status == 503) and status <= 504",
            format!(r#"\" 50[0-24]{end}"#),
        ),
        ("nginx", "status ~ '^50[02]'", format!(r#"\" 50[02]{end}"#)),
        ("nginx", "status == 5", format!(r#"(\" 5{end} | \" 05{end} | \" 005{end})"#)),
        ("nginx", "status == 'a'", "impossible".to_owned()),
        ("nginx", "not (status == 502)", "nothing".to_owned()),
        ("nginx", "not (path == '/')", "nothing".to_owned()),
        ("nginx", "path == '/x'", r#" /x[\n\r \"?]"#.to_owned()),
        ("nginx", "method in ['PUT', 'PATCH']", r#"(] \"PUT  | ] \"PATCH )"#.to_owned()),
        (
            "apache",
            "status == 502 and (method == 'GET' or path == '/')",
            format!(r#"((] \"GET  |  /[\n\r \"?]) & \" 502{end})"#),
        ),
        ("nginx", "path == '/x' or exists(path)", "nothing".to_owned()),
        ("nginx", "path ~ '^/(?:a|b)c'", "(/ & [a-b] & c)".to_owned()),
        ("nginx", "group == 1 and path == '/x'", r#" /x[\n\r \"?]"#.to_owned()),
        ("nginx", "exists(up)", r#"[\t-\n\x0c-\r \"]up="#.to_owned()),
        (
            "nginx",
            "up == 'a b'",
            r#"([\t-\n\x0c-\r \"]up= & ([\t-\n\x0c-\r \"]up=a b[\n\r ] | [\t-\n\x0c-\r \"]up=\"a b[\n\r\"]))"#
                .to_owned(),
        ),
        ("nginx_error", "level in ['crit', 'error']", "( [crit] |  [error])".to_owned()),
        ("nginx_error", "not (level in ['debug', 'info', 'notice', 'warn', 'error'])",
            "nothing".to_owned()),
        ("nginx_error", "status == 1", "impossible".to_owned()),
        ("nginx_error", "message ~ 'timed out$'", "timed out".to_owned()),
        ("nginx_error", "client == 'x'",
            r#"(, client:  & (, client: x[\n\r,] | , client: \"x[\n\r\"]))"#.to_owned()),
        ("plain", "a == 1", "impossible".to_owned()),
        ("plain", "group == 1", "nothing".to_owned()),
        ("pattern", "a == 'x' and c == 1", "impossible".to_owned()),
        ("pattern", "a == 'x'", "(  &  id= & [.0-9e] & x)".to_owned()),
        ("json", "exists(ab)",
            r#"(\"ab\"[\t-\n\r :] | \\u00[4-7][0-9A-Fa-f] | \\x[4-7][0-9A-Fa-f])"#.to_owned()),
        ("logfmt", "`a b` == 1", "impossible".to_owned()),
        ("logfmt", "ab != 1", r#"[\t-\n\x0c-\r \"]ab[\t-\n\x0c-\r \"=]"#.to_owned()),
    ] {
        let need = need_of(condition, &format_of(format));
        let shown = show(&need);
        assert_eq!(shown, expected, "{format}: {condition}");
    }
}

#[test]
fn long_runs_stand_about_the_value_of_a_key() {
    for (format, condition, runs) in [
        (
            "json",
            "host == 'a/b'",
            &[
                r#"\"host\":\"a/b\""#,
                r#"\"host\": \"a/b\""#,
                r#"\"a\\/b\""#,
            ][..],
        ),
        (
            "json",
            "x.host == 'a'",
            &[r#"[\".]host\":\"a\""#, r#"[\".]host\": \"a\""#],
        ),
        (
            "json",
            "status == 502",
            &[
                r#"\"status\":502[\t-\n\r ,.0Ee}]"#,
                r#"\"status\": 502[\t-\n\r ,.0Ee}]"#,
                r#"\"status\":\"502[\".0Ee]"#,
            ],
        ),
        (
            "json",
            "status >= 500",
            &[r#"[\t-\n\r \":][5-9][0-9][0-9]"#],
        ),
        (
            "logfmt",
            "status == 502",
            &[
                r#"[\t-\n\x0c-\r \"]status=502[\t-\n\x0c-\r .0Ee]"#,
                r#"[\t-\n\x0c-\r \"]status=\"502[\n\r\".0Ee]"#,
            ],
        ),
        (
            "logfmt",
            "up == 'true'",
            &[r#"[\t-\n\x0c-\r \"]up[\t-\n\x0c-\r \"]"#],
        ),
    ] {
        let shown = show(&need_of(condition, &format_of(format)));
        for run in runs {
            assert!(shown.contains(run), "{condition}: {run}\n{shown}");
        }
    }
}

#[test]
fn what_syslog_does_not_write_as_it_is_needs_nothing() {
    for (condition, expected) in [
        ("appname == 'sshd'", "sshd"),
        ("hostname == ''", "nothing"),
        (
            "message ~ '^Failed [a-z]+ for'",
            r"(Failed  & [a-z] &  for)",
        ),
        ("severity == 'err' and severity_code <= 3", "nothing"),
        (
            "facility in ['auth', 'authpriv'] or peer == '10.0.0.1'",
            "nothing",
        ),
        (r#"sd.a.b@1.name == 'say "hi"'"#, r#"name=\""#),
        ("exists(sd.id.name)", r#"name=\""#),
        ("time == 'x'", "impossible"),
    ] {
        assert_eq!(
            show(&need_of(condition, &Format::Syslog)),
            expected,
            "{condition}"
        );
    }
}

#[test]
fn a_line_that_cannot_hold_it_does_not_hold_the_need() {
    let access =
        r#"1.2.3.4 - - [21/Nov/2026:09:00:00 +0000] "GET /x HTTP/1.1" 200 502 "-" "-" up=a"#;
    let json = r#"{"status":200,"ms":12,"level":"info","path":"/b"}"#;
    let logfmt = r#"status=200 ms=12 level=info path="/b""#;
    for (format, line, conditions) in [
        (
            "nginx",
            access,
            &[
                "status == 502",
                "status > 200",
                "path == '/'",
                "up == 'b'",
                "bytes == 50",
                "k == 1",
            ][..],
        ),
        (
            "json",
            json,
            &[
                "status == 502",
                "status >= 500",
                "level == 'error'",
                "path == '/a'",
                "a.b == 1",
            ],
        ),
        (
            "logfmt",
            logfmt,
            &[
                "status == 502",
                "status >= 500",
                "level == 'error'",
                "path == '/a'",
                "k == 1",
            ],
        ),
    ] {
        for condition in conditions {
            let need = need_of(condition, &format_of(format));
            assert!(
                !holds(&need, line.as_bytes(), b"\n"),
                "{condition}: {}",
                show(&need)
            );
        }
    }
}

#[test]
fn numbers_may_be_written_in_other_ways() {
    let writes = [
        "502",
        "502.0",
        "0502",
        "5.02e2",
        "50.2E1",
        "0.502e+3",
        "50200e-2",
        "502e0",
        "00.0502e4",
        "501.99999999999999999999",
        "5.0199999999999999999999e2",
        "502.00000000000000001",
    ];
    for number in writes {
        for (format, line) in [
            ("logfmt", format!("k={number}")),
            ("logfmt", format!("a=1 k=\"{number}\" b")),
            ("json", format!("{{\"k\": \"{number}\"}}")),
            (
                "json",
                format!(
                    "{{\"k\" :\t\"\\u00{:02x}{}\"}}",
                    number.as_bytes()[0],
                    number.get(1..).unwrap()
                ),
            ),
            (
                "nginx",
                format!(r#"h - - [21/Nov/2026:09:00:00 +0000] "-" 200 1 k={number}"#),
            ),
        ] {
            for condition in ["k == 502", "k >= 502", "k > 500", "k in [1, 502]"] {
                check(&format_of(format), line.as_bytes(), condition);
                assert!(
                    condition_holds(&format_of(format), line.as_bytes(), condition),
                    "{line}"
                );
            }
        }
    }
}

fn condition_holds(format: &Format, line: &[u8], condition: &str) -> bool {
    let mut fields = Fields::default();
    format.read(line, &mut fields);
    Expression::parse(condition).unwrap().holds(&fields)
}

fn check(format: &Format, line: &[u8], condition: &str) {
    if condition_holds(format, line, condition) {
        let need = need_of(condition, format);
        for end in [&b"\n"[..], b"\r\n"] {
            assert!(
                holds(&need, line, end),
                "{}: {condition}: {}\n{}",
                format.name(),
                line.escape_ascii(),
                show(&need)
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_line_for_which_a_condition_holds_holds_its_need(seed in proptest::num::u64::ANY) {
        let mut draw = Draw::new(seed);
        let format = format_of(draw.format());
        let line = draw.line(&format);
        let mut fields = Fields::default();
        format.read(&line, &mut fields);
        for _ in 0..16 {
            let condition = draw.condition(&fields);
            if Expression::parse(&condition).is_ok() {
                check(&format, &line, &condition);
            }
        }
    }

    #[test]
    fn a_record_for_which_a_condition_holds_holds_its_need(
        seed in proptest::num::u64::ANY,
        breaks in proptest::collection::vec((0_usize..1000, proptest::bool::ANY), 1..4),
    ) {
        let mut draw = Draw::new(seed);
        let format = format_of(draw.format());
        let mut record = draw.line(&format);
        for (at, instead) in breaks {
            let at = at % (record.len() + 1);
            if instead && at < record.len() {
                record[at] = b'\n';
            } else {
                record.insert(at, b'\n');
            }
        }
        let mut fields = Fields::default();
        format.read(&record, &mut fields);
        for _ in 0..16 {
            let condition = draw.condition(&fields);
            if Expression::parse(&condition).is_ok() {
                check(&format, &record, &condition);
            }
        }
    }
}
