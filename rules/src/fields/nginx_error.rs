//! nginx's error log.
//!
//! `2026/11/21 09:00:00 [error] 12#34: *90 message, client: 10.0.0.9, server: e.com, request: "…"`.
//! The log names no zone: its times are in [`Assume::zone`](super::Assume). What nginx quotes there
//! it does not escape, so a request may imitate the list behind the message; the list is read in
//! the one order that nginx writes, which leaves little room for that.

use super::Fields;
use super::timestamp::{self, Zone};
use crate::model::Timestamp;

/// What may stand behind the message, in nginx's order.
const LIST: &[(&str, &[u8])] = &[
    ("client", b", client: "),
    ("server", b", server: "),
    ("request", b", request: "),
    ("subrequest", b", subrequest: "),
    ("upstream", b", upstream: "),
    ("host", b", host: "),
    ("referrer", b", referrer: "),
];

const LEVELS: &[&[u8]] = &[
    b"debug", b"info", b"notice", b"warn", b"error", b"crit", b"alert", b"emerg",
];

/// `2026/11/21 09:00:00`
const TIME_LEN: usize = 19;

/// Cuts a line into its time, its level, and what is behind.
fn split(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (time, rest) = line.split_at_checked(TIME_LEN)?;
    let rest = rest.strip_prefix(b" [")?;
    // The longest level has six letters.
    let bracket = rest.iter().take(7).position(|byte| *byte == b']')?;
    let (level, rest) = (&rest[..bracket], &rest[bracket + 1..]);
    let is_time = time.get(4) == Some(&b'/') && LEVELS.contains(&level);
    is_time.then_some((time, level, rest))
}

/// The time at its start.
pub(super) fn time(line: &[u8], zone: Zone) -> Option<Timestamp> {
    let (time, ..) = split(line)?;
    timestamp::iso(time, zone)
}

/// Appends the line's fields.
pub(super) fn read(line: &[u8], out: &mut Fields) {
    let Some((time, level, rest)) = split(line) else {
        return;
    };
    if timestamp::iso(time, Zone::UTC).is_none() {
        return;
    }
    out.push("time", time);
    out.push("level", level);
    let rest = read_ids(rest, out);
    let end = list_start(rest).unwrap_or(rest.len());
    let (message, list) = rest.split_at(end);
    out.push("message", message);
    read_list(list, out);
}

/// ` 12#34: *90 `: process, thread, connection; the last only for what happens on one. Gives what
/// is behind.
fn read_ids<'a>(text: &'a [u8], out: &mut Fields) -> &'a [u8] {
    let text = text.trim_ascii_start();
    let Some((pid, rest)) = digits(text) else {
        return text;
    };
    let Some((tid, rest)) = rest.strip_prefix(b"#").and_then(digits) else {
        return text;
    };
    let Some(rest) = rest.strip_prefix(b":") else {
        return text;
    };
    out.push("pid", pid);
    out.push("tid", tid);
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let cid = rest.strip_prefix(b"*").and_then(digits);
    let Some((cid, behind)) = cid else {
        return rest;
    };
    out.push("cid", cid);
    behind.strip_prefix(b" ").unwrap_or(behind)
}

/// The digits at the start of `text`, at least one, and what is behind.
fn digits(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Where the list begins: its first word, and not within the quotes of a file's name unless there
/// is none outside of them.
fn list_start(text: &[u8]) -> Option<usize> {
    let (_, first) = LIST.first()?;
    let mut starts = memchr::memmem::find_iter(text, first);
    let any = starts.next()?;
    let mut quotes = 0;
    let mut counted = 0;
    let outside = std::iter::once(any).chain(starts).find(|&start| {
        quotes += memchr::memchr_iter(b'"', &text[counted..start]).count();
        counted = start;
        quotes % 2 == 0
    });
    Some(outside.unwrap_or(any))
}

/// `list` is empty or begins with `, client: `.
fn read_list(list: &[u8], out: &mut Fields) {
    let mut rest = list;
    let mut keys = LIST;
    while let Some(index) = keys.iter().position(|(_, key)| rest.starts_with(key)) {
        let (name, key) = keys[index];
        keys = &keys[index + 1..];
        rest = &rest[key.len()..];
        let (value, end) = if let Some(quoted) = rest.strip_prefix(b"\"") {
            let end = quoted_end(quoted, keys);
            (&quoted[..end], (end + 2).min(rest.len()))
        } else {
            let end = next_key(rest, keys);
            (&rest[..end], end)
        };
        out.push(name, value);
        rest = &rest[end..];
    }
}

/// The index of the quote that closes `text`: the first one behind which the line ends or the list
/// goes on. Without one the value is all of `text`.
fn quoted_end(text: &[u8], keys: &[(&str, &[u8])]) -> usize {
    memchr::memchr_iter(b'"', text)
        .find(|quote| {
            let behind = &text[quote + 1..];
            behind.is_empty() || keys.iter().any(|(_, key)| behind.starts_with(key))
        })
        .unwrap_or(text.len())
}

/// Where in `text` the list goes on with one of `keys`; the end where it does not.
fn next_key(text: &[u8], keys: &[(&str, &[u8])]) -> usize {
    memchr::memchr_iter(b',', text)
        .find(|comma| keys.iter().any(|(_, key)| text[*comma..].starts_with(key)))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(line: &str) -> String {
        let mut out = Fields::default();
        read(line.as_bytes(), &mut out);
        let show =
            |(name, value): (&str, &[u8])| format!("{name}={}\n", String::from_utf8_lossy(value));
        out.iter().map(show).collect()
    }

    /// The fields behind the level.
    fn after_the_level(rest: &str) -> String {
        let all = fields(&format!("2026/11/21 09:00:00 [error] {rest}"));
        let rest = all
            .strip_prefix("time=2026/11/21 09:00:00\nlevel=error\n")
            .expect("time and level are read");
        rest.replace('\n', " | ")
    }

    #[test]
    fn reads_every_field() {
        let line = r#"2026/11/21 09:00:00 [error] 1234#5678: *90 connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.0.9, server: example.com, request: "GET /a HTTP/1.1", upstream: "http://10.2.0.7:8080/a", host: "example.com", referrer: "http://e.com/""#;
        let expected = "\
time=2026/11/21 09:00:00
level=error
pid=1234
tid=5678
cid=90
message=connect() failed (111: Connection refused) while connecting to upstream
client=10.0.0.9
server=example.com
request=GET /a HTTP/1.1
upstream=http://10.2.0.7:8080/a
host=example.com
referrer=http://e.com/
";
        assert_eq!(fields(line), expected);
        assert_eq!(
            time(line.as_bytes(), Zone::UTC),
            "2026-11-21T09:00:00Z".parse().ok()
        );
        let berlin = Zone::east(3600).unwrap();
        assert_eq!(
            time(line.as_bytes(), berlin),
            "2026-11-21T08:00:00Z".parse().ok()
        );
    }

    #[test]
    fn tells_the_message_from_the_list() {
        for (rest, expected) in [
            (
                "12#34: worker process 9 exited on signal 11",
                "pid=12 | tid=34 | message=worker process 9 exited on signal 11 | ",
            ),
            (
                "12#34: *5 a, b, c: d, client: ::1, server: , request: \"-\"",
                "pid=12 | tid=34 | cid=5 | message=a, b, c: d | client=::1 | server= | request=- | ",
            ),
            (
                "12#34: *5 open() \"/x, client: 6.6.6.6, server: y\" failed (2: No such file), client: 1.2.3.4, server: e.com:443",
                "pid=12 | tid=34 | cid=5 | message=open() \"/x, client: 6.6.6.6, server: y\" failed (2: No such file) | client=1.2.3.4 | server=e.com:443 | ",
            ),
            (
                "12#34: *5 x, client: 1.2.3.4, server: _, request: \"GET /\", client: \"a, b\" HTTP/1.0\", host: \"h\"",
                "pid=12 | tid=34 | cid=5 | message=x | client=1.2.3.4 | server=_ | request=GET /\", client: \"a, b\" HTTP/1.0 | host=h | ",
            ),
            (
                "12#34: *5 a \" b, client: 1.2.3.4, server: _",
                "pid=12 | tid=34 | cid=5 | message=a \" b | client=1.2.3.4 | server=_ | ",
            ),
            (
                "12#34: *5 x, client: 1.2.3.4, server: _, request: \"GET /cut",
                "pid=12 | tid=34 | cid=5 | message=x | client=1.2.3.4 | server=_ | request=GET /cut | ",
            ),
            (
                "12#34: OCSP responder timed out, responder: r3.o.lencr.org, peer: 1.2.3.4:80",
                "pid=12 | tid=34 | message=OCSP responder timed out, responder: r3.o.lencr.org, peer: 1.2.3.4:80 | ",
            ),
            ("something else", "message=something else | "),
            ("", "message= | "),
        ] {
            assert_eq!(after_the_level(rest), expected, "{rest}");
        }
    }

    #[test]
    fn a_line_of_another_kind_gives_nothing() {
        for line in [
            "",
            "2026/11/21 09:00:00 [fatal] 12#34: x",
            "2026/11/21 09:00:00 error 12#34: x",
            "2026/02/30 09:00:00 [error] 12#34: x",
            "2026-11-21 09:00:00 [error] 12#34: x",
            "2026/11/21 09:00:00 [error",
            "2026/11/21 09:00:00",
        ] {
            assert_eq!(fields(line), "", "{line}");
            assert_eq!(time(line.as_bytes(), Zone::UTC), None, "{line}");
        }
    }
}
