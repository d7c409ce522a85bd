//! `messages.txt` is the table: a message, and under it all that is read from it.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::fields::timestamp::Zone;
use crate::fields::{Format, MAX_FIELDS, MAX_NAME_BYTES};

const MESSAGES: &str = include_str!("tests/messages.txt");
/// When the messages of the table arrive.
const ARRIVAL: &str = "2026-11-21T09:00:05Z";

fn near(arrival: &str) -> Assume {
    Assume {
        near: arrival.parse().ok(),
        ..Assume::default()
    }
}

/// The bytes that a line of the table stands for: `\xHH` and `\n` between `>` and its end.
fn bytes_of(written: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = written;
    while let Some((plain, escape)) = rest.split_once("\\x") {
        bytes.extend_from_slice(plain.as_bytes());
        let (hex, behind) = escape.split_at(2);
        bytes.push(u8::from_str_radix(hex, 16).expect("two digits"));
        rest = behind;
    }
    bytes.extend_from_slice(rest.as_bytes());
    match bytes.strip_suffix(b"\\n") {
        Some(line) => [line, b"\n"].concat(),
        None => bytes,
    }
}

/// All that is read and is not empty: what the header says, the message, the structured data.
fn shown(line: &[u8]) -> String {
    let mut fields = Fields::default();
    read(line, &mut fields);
    let values: Vec<(&str, String)> = fields
        .iter()
        .map(|(name, value)| (name, String::from_utf8_lossy(value).replace('\x1b', "␛")))
        .collect();
    let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
    assert_eq!(names[..NAMES.len()], NAMES);
    let of = |name: &str| &values.iter().find(|(known, _)| *known == name).unwrap().1;
    let mut header = String::new();
    if let Some(time) = time(line, near(ARRIVAL)) {
        write!(header, " {time}").unwrap();
    }
    for name in ["facility", "severity"] {
        let code = of(&format!("{name}_code"));
        assert_eq!(of(name).is_empty(), code.is_empty());
        if !code.is_empty() {
            write!(header, " {name}={}/{code}", of(name)).unwrap();
        }
    }
    for name in ["hostname", "appname", "procid", "msgid"] {
        if !of(name).is_empty() {
            write!(header, " {name}={}", of(name)).unwrap();
        }
    }
    let mut out = String::new();
    if !header.is_empty() {
        writeln!(out, " {header}").unwrap();
    }
    for (name, value) in &values[NAMES.len() - 1..] {
        if *name != "message" || !value.is_empty() {
            writeln!(out, "  {name}={value}").unwrap();
        }
    }
    out
}

#[test]
fn reads_every_message_of_the_table() {
    let mut lines = MESSAGES.lines().peekable();
    let (mut count, mut wrong) = (0, String::new());
    while let Some(line) = lines.next() {
        let Some(message) = line.strip_prefix("> ").or(line.strip_prefix(">")) else {
            assert!(line.is_empty() || line.starts_with('#'), "{line}");
            continue;
        };
        let mut expected = String::new();
        while let Some(line) = lines.next_if(|line| line.starts_with("  ")) {
            writeln!(expected, "{line}").unwrap();
        }
        let found = shown(&bytes_of(message));
        count += 1;
        if found != expected {
            write!(wrong, "> {message}\n{found}").unwrap();
        }
    }
    assert!(count > 150, "{count}");
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_stamp_without_a_year_is_of_the_latest_that_is_not_after_its_arrival() {
    let table = "
        Dec 31 23:59:59 | 2027-01-01T00:00:10Z | 2026-12-31T23:59:59Z
        Jan  1 00:00:01 | 2026-12-31T23:59:50Z | 2027-01-01T00:00:01Z
        Jan  1 00:00:01 | 2027-01-01T00:00:02Z | 2027-01-01T00:00:01Z
        Jan 10 09:00:00 | 2026-11-21T09:00:00Z | 2026-01-10T09:00:00Z
        Dec 10 09:00:00 | 2026-11-21T09:00:00Z | 2025-12-10T09:00:00Z
        Nov 22 09:00:00 | 2026-11-21T09:00:00Z | 2026-11-22T09:00:00Z
        Feb 29 09:00:00 | 2024-03-01T09:00:00Z | 2024-02-29T09:00:00Z
        Feb 29 09:00:00 | 2025-01-31T09:00:00Z | 2024-02-29T09:00:00Z
        Feb 29 09:00:00 | 2026-03-01T09:00:00Z |
        Feb 28 09:00:00 | 2026-03-01T09:00:00Z | 2026-02-28T09:00:00Z
        Feb 29 2026 09:00:00 | 2026-03-01T09:00:00Z |
        Feb 29 2024 09:00:00 | 2026-03-01T09:00:00Z | 2024-02-29T09:00:00Z";
    for row in table.trim_start_matches('\n').lines() {
        let mut cells = row.split('|').map(str::trim);
        let (stamp, arrival) = (cells.next().unwrap(), cells.next().unwrap());
        let expected = cells.next().unwrap();
        let line = format!("<13>{stamp} web app: text");
        let found = time(line.as_bytes(), near(arrival)).map(|time| time.to_string());
        assert_eq!(found.unwrap_or_default(), expected, "{stamp} at {arrival}");
    }
    assert_eq!(
        time(b"<13>Nov 21 09:00:00 web app: text", Assume::default()),
        None
    );
}

#[test]
fn a_stamp_without_a_zone_is_of_the_zone_assumed() {
    let zone = Zone::east(3600).unwrap();
    let assume = Assume {
        zone,
        ..near(ARRIVAL)
    };
    for (line, expected) in [
        ("Nov 21 09:00:00 web app: text", "2026-11-21T08:00:00Z"),
        (
            "<189>45: Nov 21 09:00:00 UTC: %SYS-5-X: text",
            "2026-11-21T09:00:00Z",
        ),
        (
            "<189>45: Nov 21 09:00:00 CET: %SYS-5-X: text",
            "2026-11-21T08:00:00Z",
        ),
        ("2026-11-21T09:00:00 web app: text", "2026-11-21T08:00:00Z"),
        ("2026-11-21T09:00:00Z web app: text", "2026-11-21T09:00:00Z"),
        (
            "Sat 2026-11-21 09:00:00 CET web app: text",
            "2026-11-21T08:00:00Z",
        ),
    ] {
        let found = time(line.as_bytes(), assume).map(|time| time.to_string());
        assert_eq!(found.as_deref(), Some(expected), "{line}");
    }
}

/// What holds for any line.
fn check(line: &[u8]) {
    let assume = near(ARRIVAL);
    let mut fields = Fields::default();
    read(line, &mut fields);
    let names: Vec<&str> = fields.iter().map(|(name, _)| name).collect();
    assert_eq!(names.get(..NAMES.len()), Some(&NAMES[..]));
    for name in &names[NAMES.len()..] {
        assert!(name.starts_with("sd.") && name.len() <= 4 + MAX_NAME_BYTES);
    }
    let is_part = |name: &str| {
        let value = fields.get(name).unwrap();
        memchr::memmem::find(line, value).is_some()
    };
    for name in ["hostname", "appname", "procid", "msgid", "message"] {
        assert!(is_part(name), "{name} of {}", line.escape_ascii());
    }
    // A line that has neither priority nor stamp is its own message.
    let has_start = Start::cut(line).is_ok() || line.contains(&b'<');
    if !has_start {
        assert_eq!(fields.get("message"), Some(text_of(line)));
    }
    if detect(line) {
        assert!(Start::cut(line).is_ok() && fields.get("appname") != Some(b""));
    }
    // What is behind a whole message does not change its time.
    let more = [line, b" and more"].concat();
    if let Some(found) = time(line, assume).filter(|_| line.ends_with(b"text")) {
        assert_eq!(time(&more, assume), Some(found));
    }
}

fn piece() -> impl Strategy<Value = String> {
    let words = [
        "<13>",
        "<192>",
        "1 ",
        "- ",
        "Nov 21 09:00:00",
        "Nov  1 2026 09:00:00.5",
        "2026-11-21T09:00:00Z",
        "Sat ",
        "45: ",
        "*",
        ":",
        " ",
        " UTC:",
        "web ",
        "fe80:: ",
        "app[12]: ",
        "app: ",
        "daemon.info ",
        "<auth.info> ",
        "[id a=\"b\"]",
        "[id a=\"",
        "\\\"",
        "]",
        "\u{feff}",
        "Message forwarded from ",
        "1795251600.123 ",
        "text",
        "2026 ",
    ];
    prop_oneof![
        proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        "[ -~]{0,4}"
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn no_bytes_make_it_panic_or_make_things_up(line: Vec<u8>) {
        check(&line);
        check(&[&b"<13>1 2026-11-21T09:00:00Z "[..], &line].concat());
        check(&[&b"Nov 21 09:00:00 "[..], &line].concat());
    }

    #[test]
    fn no_order_of_its_parts_makes_it_panic_or_make_things_up(
        pieces in prop::collection::vec(piece(), 0..12),
    ) {
        check(pieces.concat().as_bytes());
    }

    #[test]
    fn a_message_cut_anywhere_is_still_read(index in 0usize..200, cut in 0usize..300, with in any::<u8>()) {
        let messages: Vec<&str> = MESSAGES.lines().filter_map(|line| line.strip_prefix("> ")).collect();
        let mut line = bytes_of(messages[index % messages.len()]);
        line.truncate(cut);
        check(&line);
        line.push(with);
        check(&line);
    }
}

#[test]
fn a_long_line_of_any_kind_is_read_in_one_pass() {
    // A second look for each of these would take minutes.
    const LONG: usize = 512 << 10;
    for part in [
        "[a b=\"",
        "[a b=\"c\"]",
        "[a b=\"c\" d",
        " a=\"\\\"",
        "[",
        "]",
        ":",
        "1: ",
        "45: ",
        "a: ",
        "a[1]: ",
        "<13>",
        "Nov 21 09:00:00 ",
        "2026-11-21T09:00:00Z ",
        " ",
        "9",
        "\0",
        "-",
        "a",
    ] {
        let tail = part.repeat(LONG / part.len());
        for head in [
            "",
            "<13>",
            "<13>1 - h a 1 ID ",
            "<13>1 - h a 1 ID [a ",
            "Nov 21 09:00:00 ",
        ] {
            let line = format!("{head}{tail}");
            let mut fields = Fields::default();
            read(line.as_bytes(), &mut fields);
            assert!(fields.len() <= NAMES.len() + MAX_FIELDS);
            assert_eq!(
                time(line.as_bytes(), near(ARRIVAL)).is_some(),
                time(&line.as_bytes()[..100], near(ARRIVAL)).is_some()
            );
            detect(line.as_bytes());
        }
    }
}

#[test]
fn an_element_of_too_many_parameters_or_too_long_a_name_is_bounded() {
    let many: Vec<String> = (0..2000).map(|n| format!(" p{n}=\"{n}\"")).collect();
    let many = many.concat();
    let line = format!("<13>1 - h a 1 ID [x{many}][y p=\"1\"] text");
    let mut fields = Fields::default();
    read(line.as_bytes(), &mut fields);
    assert_eq!(fields.len(), NAMES.len() + MAX_FIELDS);
    assert_eq!(fields.get("sd.x.p999"), Some(&b"999"[..]));
    assert_eq!(fields.get("sd.x.p1000"), None);
    assert_eq!(fields.get("message"), Some(&b"text"[..]));

    let long = "x".repeat(MAX_NAME_BYTES);
    let line = format!("<13>1 - h a 1 ID [{long} p=\"1\"][y p=\"1\"] text");
    fields.clear();
    read(line.as_bytes(), &mut fields);
    assert_eq!(fields.len(), NAMES.len() + 1);
    assert_eq!(fields.get("sd.y.p"), Some(&b"1"[..]));
}

#[test]
fn the_names_of_all_priorities_are_those_of_the_rfc() {
    for code in 0..=191u16 {
        let line = format!("<{code}>app: text");
        let mut fields = Fields::default();
        Format::Syslog.read(line.as_bytes(), &mut fields);
        let number = |name: &str| {
            str::from_utf8(fields.get(name).unwrap())
                .unwrap()
                .parse::<u16>()
                .unwrap()
        };
        assert_eq!(number("facility_code") * 8 + number("severity_code"), code);
        assert!(
            !fields.get("facility").unwrap().is_empty()
                && !fields.get("severity").unwrap().is_empty()
        );
    }
}
