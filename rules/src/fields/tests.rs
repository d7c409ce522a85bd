//! What holds for every format.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::language::pattern::{Case, Pattern};

static ALL_FORMATS: LazyLock<Vec<Format>> = LazyLock::new(all_formats);

fn all_formats() -> Vec<Format> {
    let own = |text: &str, time_format: Option<&str>| Format::Pattern {
        pattern: Box::new(Pattern::new(text, Case::Sensitive).expect("a pattern")),
        time_format: time_format.map(str::to_owned),
    };
    let mut formats: Vec<_> = Format::NAMES
        .iter()
        .filter_map(|name| Format::named(name))
        .collect();
    formats.push(Format::Json {
        time_field: Some("a.b".to_owned()),
    });
    formats.push(Format::Logfmt {
        time_field: Some("at".to_owned()),
    });
    formats.push(own(r"^(?P<time>\S+ \S+) \[(?P<level>\w+)\] ", None));
    formats.push(own(
        r"(?P<time>\w+ \d+ \d+:\d+:\d+)",
        Some("%b %d %H:%M:%S"),
    ));
    formats
}

/// What `read` gives must hold the very time that `time` gives.
fn time_by_reading(format: &Format, line: &[u8]) -> Option<Timestamp> {
    let assume = Assume::default();
    let mut fields = Fields::default();
    format.read(line, &mut fields);
    let of = |name: &str| fields.get(name);
    match format {
        Format::Nginx | Format::Apache => timestamp::access(of("time")?),
        Format::NginxError => timestamp::iso(of("time")?, Zone::UTC),
        Format::Json { time_field } | Format::Logfmt { time_field } => match time_field {
            Some(name) => timestamp::any_shape(of(name)?, assume),
            None => TIME_NAMES
                .iter()
                .find_map(|name| timestamp::any_shape(of(name)?, assume)),
        },
        // Its time is no field.
        Format::Syslog => format.time(line),
        Format::Plain => None,
        Format::Pattern {
            time_format: None, ..
        } => timestamp::any_shape(of("time")?, assume),
        Format::Pattern {
            time_format: Some(format),
            ..
        } => timestamp::by_format(format, of("time")?, assume),
    }
}

fn check_agreement(line: &[u8]) {
    for format in ALL_FORMATS.iter() {
        assert_eq!(
            format.time(line),
            time_by_reading(format, line),
            "{format:?} {}",
            line.escape_ascii()
        );
    }
    let detected = Format::detect(line);
    assert!(Format::NAMES.contains(&detected.name()));
    let mut fields = Fields::default();
    detected.read(line, &mut fields);
    assert_eq!(
        fields.is_empty(),
        matches!(detected, Format::Plain),
        "{detected:?} {}",
        line.escape_ascii()
    );
}

/// Pieces that lines of all formats are made of.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9.]{1,5}",
        "[a-z.@]{1,4}=?",
        r#"[ "\\,:{}\[\]=?-]"#,
        r"\\(u[0-9a-f]{2,4}|x[0-9a-f]{1,2}|.)",
        Just(" - - [21/Nov/2026:09:00:00 +0000] \"".to_owned()),
        Just("GET /a?b HTTP/1.1\" 502 1 \"-\" \"-\" ".to_owned()),
        Just("2026/11/21 09:00:00 [error] 1#2: *3 ".to_owned()),
        Just(", client: ".to_owned()),
        Just(", host: \"".to_owned()),
        Just("2026-11-21T09:00:00Z".to_owned()),
        Just("1795251600".to_owned()),
        Just("{\"time\":".to_owned()),
        Just("\"ts\":".to_owned()),
        Just(" ts=".to_owned()),
        Just("Nov 21 09:00:00".to_owned()),
        Just("<13>1 ".to_owned()),
        Just(" web app 1 - ".to_owned()),
        Just("[id a=\"b\"]".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_make_a_reader_panic_or_disagree(line: Vec<u8>) {
        check_agreement(&line);
    }

    #[test]
    fn no_near_miss_makes_a_reader_panic_or_disagree(pieces in prop::collection::vec(piece(), 0..12)) {
        check_agreement(pieces.concat().as_bytes());
    }

    #[test]
    fn a_line_cut_anywhere_is_still_read(cut in 0usize..200, with in any::<u8>()) {
        for line in [
            r#"e.com:80 1.2.3.4 - bob [21/Nov/2026:09:00:00 +0000] "GET /a?b HTTP/1.1" 502 173 "http://e/" "curl \"8\"" up="a b" rt=0.1"#,
            r#"2026/11/21 09:00:00 [error] 12#34: *90 a "b", client: ::1, server: e, request: "GET / HTTP/1.1", host: "e""#,
            r#"{"time":"2026-11-21T09:00:00Z","a":{"b":1795251600},"c":["\u00e9",null,-1.5e3]}"#,
            r#"ts=2026-11-21T09:00:00Z level=info msg="a \"b\"" at=1795251600"#,
            r#"<13>1 2026-11-21T09:00:00Z web app 1 ID [a b="c"][d e="\"" f="\]"] text"#,
            "<189>45: web: *Nov 21 2026 09:00:00.123 UTC: %SYS-5-CONFIG_I: text",
        ] {
            let mut line = line.as_bytes().to_vec();
            line.truncate(cut);
            check_agreement(&line);
            line.push(with);
            check_agreement(&line);
        }
    }
}

#[test]
fn every_name_but_pattern_is_a_format() {
    for name in Format::NAMES {
        let found = Format::named(name).map(|format| format.name());
        assert_eq!(found, (*name != "pattern").then_some(*name));
    }
    assert!(Format::named("auto").is_none());
}

#[test]
fn a_pattern_bears_a_time_only_with_a_group_for_it() {
    let format = |text: &str| Format::Pattern {
        pattern: Box::new(Pattern::new(text, Case::Sensitive).unwrap()),
        time_format: Some("%d.%m.%Y %H:%M".to_owned()),
    };
    assert!(!format("(?P<level>[A-Z]+)").has_time());
    let format = format(r"^(?P<time>[\d.]+ [\d:]+) (?P<level>[A-Z]+)( (?P<code>\d+))?");
    assert!(format.has_time());
    let line = b"21.11.2026 09:00 ERROR x";
    assert_eq!(format.time(line), "2026-11-21T09:00:00Z".parse().ok());
    let mut fields = Fields::default();
    format.read(line, &mut fields);
    assert_eq!(fields.get("level"), Some(&b"ERROR"[..]));
    assert_eq!(fields.get("code"), None);
}

#[test]
fn a_time_without_a_year_needs_one_to_be_near() {
    let format = Format::Pattern {
        pattern: Box::new(
            Pattern::new(r"^(?P<time>\w+ \d+ \d+:\d+:\d+)", Case::Sensitive).unwrap(),
        ),
        time_format: Some("%b %d %H:%M:%S".to_owned()),
    };
    let line = b"Dec 31 23:59:59 web app: x";
    assert_eq!(format.time(line), None);
    let near = "2027-01-01T00:00:10Z".parse().ok();
    let assume = Assume {
        zone: Zone::UTC,
        near,
    };
    assert_eq!(
        format.time_assuming(line, assume),
        "2026-12-31T23:59:59Z".parse().ok()
    );
}
