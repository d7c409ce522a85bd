//! The parser of syslog messages: what was written in a header is read from it, and of any other
//! bytes nothing is made up.
//!
//! From `tests/fuzz`:
//!
//! ```text
//! mkdir -p corpus/syslog
//! cargo +nightly fuzz run --fuzz-dir . syslog corpus/syslog seeds/syslog -- -dict=syslog.dict
//! ```
//!
//! The first byte of an input says what the rest is: a message as it stands, or the parts of one of
//! RFC 5424 or RFC 3164, with a byte 0x1F between them, out of which the message is written by the
//! RFC's grammar.

#![no_main]

use lapwing_rules::fields::{Assume, Fields, Format};
use libfuzzer_sys::fuzz_target;

const HEADER: [&str; 9] = [
    "facility",
    "facility_code",
    "severity",
    "severity_code",
    "hostname",
    "appname",
    "procid",
    "msgid",
    "message",
];

fuzz_target!(|input: &[u8]| {
    let Some((kind, rest)) = input.split_first() else {
        return;
    };
    match kind % 4 {
        0 => rfc5424(rest),
        1 => rfc3164(rest),
        _ => {
            any(rest);
        }
    }
});

/// What holds for any line. Gives its fields.
fn any(line: &[u8]) -> Fields {
    let mut fields = Fields::default();
    Format::Syslog.read(line, &mut fields);
    let names: Vec<&str> = fields.iter().map(|(name, _)| name).collect();
    assert_eq!(names[..HEADER.len()], HEADER);
    assert!(names[HEADER.len()..].iter().all(|name| name.starts_with("sd.")));
    for name in ["hostname", "appname", "procid", "msgid", "message"] {
        let value = fields.get(name).unwrap();
        let is_part = value.is_empty() || memchr::memmem::find(line, value).is_some();
        assert!(is_part, "{name} of {}", line.escape_ascii());
    }
    for name in ["facility", "severity"] {
        let code = fields.get(&format!("{name}_code")).unwrap();
        assert_eq!(fields.get(name).unwrap().is_empty(), code.is_empty());
    }
    // A second reading of the same bytes adds the same.
    let count = fields.len();
    let mut again = Fields::default();
    Format::Syslog.read(line, &mut again);
    assert_eq!(again.len(), count);
    Format::Syslog.time_assuming(line, Assume::default());
    Format::detect(line);
    fields
}

/// The parts of an input, one after the other; empty when there are no more.
struct Parts<'a>(std::slice::Split<'a, u8, fn(&u8) -> bool>);

impl<'a> Parts<'a> {
    fn of(input: &'a [u8]) -> Self {
        Self(input.split(|byte| *byte == 0x1F))
    }

    fn next(&mut self) -> &'a [u8] {
        self.0.next().unwrap_or_default()
    }

    /// Of the next part what may stand in such a word; `-` where that is nothing.
    fn word(&mut self, most: usize, may_stand: fn(u8) -> bool) -> Vec<u8> {
        let inner = self.next().iter().copied().filter(|byte| may_stand(*byte));
        let word: Vec<u8> = inner.take(most).collect();
        if word.is_empty() { b"-".to_vec() } else { word }
    }

    fn byte(&mut self) -> u8 {
        self.next().first().copied().unwrap_or_default()
    }
}

fn is_printable(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

fn is_name(byte: u8) -> bool {
    is_printable(byte) && !matches!(byte, b'=' | b']' | b'"')
}

/// `-` is how nothing is written.
fn meant(word: &[u8]) -> &[u8] {
    if word == b"-" { b"" } else { word }
}

const STAMPS: [&str; 4] = [
    "-",
    "2026-11-21T09:00:00Z",
    "2026-11-21T09:00:00.123456+01:00",
    "1985-04-12T23:20:50.52-07:00",
];

fn rfc5424(input: &[u8]) {
    let mut parts = Parts::of(input);
    let pri = usize::from(parts.byte()) % 192;
    let stamp = STAMPS[usize::from(parts.byte()) % STAMPS.len()];
    let mut words = [255, 48, 128, 32].map(|most| parts.word(most, is_printable));
    // Told apart from the tag of RFC 3164 behind a stamp of this one, which is common, by its colon.
    if words[1].ends_with(b":") {
        words[1].push(b'x');
    }
    let mut line = format!("<{pri}>1 {stamp}").into_bytes();
    for word in &words {
        line.push(b' ');
        line.extend_from_slice(word);
    }
    let mut data: Vec<(String, Vec<u8>)> = Vec::new();
    line.push(b' ');
    let elements = parts.byte() % 4;
    if elements == 0 {
        line.push(b'-');
    }
    for _ in 0..elements {
        let id = parts.word(32, is_name);
        line.push(b'[');
        line.extend_from_slice(&id);
        for _ in 0..parts.byte() % 3 {
            let name = parts.word(32, is_name);
            let value = parts.next();
            line.push(b' ');
            line.extend_from_slice(&name);
            line.extend_from_slice(b"=\"");
            for byte in value {
                if matches!(byte, b'"' | b'\\' | b']') {
                    line.push(b'\\');
                }
                line.push(*byte);
            }
            line.push(b'"');
            let name = [&b"sd."[..], &id, b".", &name].concat();
            data.push((String::from_utf8(name).unwrap(), value.to_vec()));
        }
        line.push(b']');
    }
    let message = parts.next();
    let mut expected = message;
    if !message.is_empty() {
        line.push(b' ');
        line.extend_from_slice(message);
        // rsyslog writes one space too many before a text: one alone is not of the text.
        if let [b' ', rest @ ..] = message
            && !rest.starts_with(b" ")
        {
            expected = rest;
        }
        expected = expected.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(expected);
        while let [before @ .., b'\0' | b'\n'] = expected {
            expected = before;
        }
    }
    let fields = any(&line);
    let is = |name: &str, expected: &[u8]| {
        let found = fields.get(name).unwrap_or_default();
        assert!(
            found == expected,
            "{name} is {} and not {} in {}",
            found.escape_ascii(),
            expected.escape_ascii(),
            line.escape_ascii()
        );
    };
    is("facility_code", (pri / 8).to_string().as_bytes());
    is("severity_code", (pri % 8).to_string().as_bytes());
    let names = ["hostname", "appname", "procid", "msgid"];
    for (name, word) in names.iter().zip(&words) {
        is(name, meant(word));
    }
    is("message", expected);
    let found: Vec<(String, Vec<u8>)> = fields
        .iter()
        .skip(HEADER.len())
        .map(|(name, value)| (name.to_owned(), value.to_vec()))
        .collect();
    assert_eq!(found, data, "{}", line.escape_ascii());
    let time = Format::Syslog.time(&line);
    assert_eq!(time.map(|time| time.to_string()), expected_time(stamp));
}

fn expected_time(stamp: &str) -> Option<String> {
    let time = match stamp {
        "-" => return None,
        "2026-11-21T09:00:00Z" => "2026-11-21T09:00:00Z",
        "2026-11-21T09:00:00.123456+01:00" => "2026-11-21T08:00:00.123456Z",
        _ => "1985-04-13T06:20:50.52Z",
    };
    Some(time.to_owned())
}

fn rfc3164(input: &[u8]) {
    let mut parts = Parts::of(input);
    let pri = usize::from(parts.byte()) % 192;
    let is_host = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'0'..=b'9' | b'.');
    let is_tag = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/');
    // A letter in front: neither a number nor a stamp nor the word for nothing.
    let host = [&b"h"[..], &parts.word(60, is_host)].concat();
    let tag = [&b"a"[..], &parts.word(31, is_tag)].concat();
    let pid = usize::from(parts.byte());
    let message = parts.next();
    let procid = if pid % 2 == 0 { String::new() } else { format!("[{pid}]") };
    let mut line = format!("<{pri}>Nov  1 09:00:00 ").into_bytes();
    line.extend_from_slice(&host);
    line.push(b' ');
    line.extend_from_slice(&tag);
    line.extend_from_slice(procid.as_bytes());
    line.extend_from_slice(b": ");
    line.extend_from_slice(message);
    let mut expected = message.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(message);
    while let [before @ .., b'\0' | b'\n'] = expected {
        expected = before;
    }
    let fields = any(&line);
    let is = |name: &str, expected: &[u8]| {
        let found = fields.get(name).unwrap();
        assert!(
            found == expected,
            "{name} is {} and not {} in {}",
            found.escape_ascii(),
            expected.escape_ascii(),
            line.escape_ascii()
        );
    };
    is("facility_code", (pri / 8).to_string().as_bytes());
    is("severity_code", (pri % 8).to_string().as_bytes());
    is("hostname", &host);
    is("appname", &tag);
    is("procid", procid.trim_matches(['[', ']']).as_bytes());
    is("message", expected);
}
