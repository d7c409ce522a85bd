//! Syslog, as files and senders have it: RFC 5424, RFC 3164, and what programs and devices write
//! that have read neither.
//!
//! Everything is cut where it stands; nothing is built but the fields. What cannot be read is left
//! empty and stays in `message`, in the worst case the whole line: a line is never refused. Which
//! shapes there are is said by `syslog/tests/messages.txt`, one example of each.
//!
//! Written by hand: `syslog_loose` wants UTF-8, loses the priority of what it cannot read, cuts
//! structured data out of RFC 3164 texts and asks for the current year, so that all but the names
//! of facilities would have to be done again. The fuzz target `syslog` writes headers by the grammars of both
//! RFCs and wants back what it wrote.

mod header;
mod pri;
mod stamp;
mod structured;

use self::header::Header;
use self::pri::Pri;
use self::stamp::Stamp;
use super::Fields;
use super::timestamp::Assume;
use crate::model::Timestamp;

/// The fields that every line has, empty where it says nothing of them.
const NAMES: [&str; 9] = [
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

/// What stands before the rest of a header.
struct Start<'a> {
    pri: Pri,
    /// The version of RFC 5424 stands before the stamp.
    has_version: bool,
    stamp: Stamp<'a>,
    /// Behind the stamp, with the space or colon that ends it.
    rest: &'a [u8],
}

impl<'a> Start<'a> {
    /// `None` when there is no stamp; `pri` and `text` are what is read all the same.
    fn cut(line: &'a [u8]) -> Result<Self, (Pri, &'a [u8])> {
        let (pri, text) = Pri::cut(line);
        let versioned = pri::version(text).filter(|behind| {
            let is_told = !matches!(pri, Pri::Absent);
            is_told || Stamp::cut(behind).is_some_and(|(stamp, _)| stamp.is_iso())
        });
        let found = match versioned {
            Some(behind) => Stamp::cut_or_nil(behind),
            None => Stamp::cut(text),
        };
        match (found, versioned.is_some()) {
            (Some((stamp, rest)), has_version) => Ok(Self {
                pri,
                has_version,
                stamp,
                rest,
            }),
            (None, _) => Err((pri, text)),
        }
    }
}

/// The time of the line's stamp. Reads nothing behind it, except for what Cisco's devices put
/// before it.
pub(super) fn time(line: &[u8], assume: Assume) -> Option<Timestamp> {
    match Start::cut(line) {
        Ok(start) => start.stamp.time(assume),
        Err((Pri::Absent, _)) => None,
        Err((_, text)) => header::cisco_start(text)?.stamp.time(assume),
    }
}

/// Whether a line bears a stamp and says who wrote it, as syslog does and hardly anything else.
pub(super) fn detect(line: &[u8]) -> bool {
    match Start::cut(line) {
        Ok(start) => {
            let header = Header::read(&start);
            let says_who = !header.appname.is_empty() && !header::is_level(header.hostname);
            says_who && (!header.hostname.is_empty() || !matches!(start.pri, Pri::Absent))
                || start.stamp.is_classic() && !header.appname.is_empty()
        }
        Err(_) => false,
    }
}

/// Appends the line's fields: all of [`NAMES`], then its structured data.
pub(super) fn read(line: &[u8], out: &mut Fields) {
    let (pri, header) = match Start::cut(line) {
        Ok(start) => (start.pri, Header::read(&start)),
        Err((Pri::Absent, _)) => (Pri::Absent, Header::of_text(line)),
        Err((pri, text)) => (pri, Header::without_stamp(text)),
    };
    // A number goes before words behind it.
    let pri = match pri {
        Pri::Known { .. } => pri,
        Pri::Absent | Pri::Unknown => header.pri.unwrap_or(pri),
    };
    let (facility, severity) = (pri.facility(), pri.severity());
    let values: [&[u8]; 9] = [
        facility.map_or(b"", |(name, _)| name.as_bytes()),
        facility.map_or(b"", |(_, code)| code.as_bytes()),
        severity.map_or(b"", |(name, _)| name.as_bytes()),
        severity.map_or(b"", |(_, code)| code.as_bytes()),
        header.hostname,
        header.appname,
        header.procid,
        header.msgid,
        text_of(header.message),
    ];
    for (name, value) in NAMES.iter().zip(values) {
        out.push(name, value);
    }
    structured::read(header.structured, out);
}

/// A message without the byte order mark that RFC 5424 puts before it, and without the NUL or line
/// feed that senders of datagrams leave behind it.
fn text_of(message: &[u8]) -> &[u8] {
    let mut text = message.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(message);
    while let [before @ .., b'\0' | b'\n'] = text {
        text = before;
    }
    text
}

/// The text up to the first space, and what is behind that space.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', text) {
        Some(space) => (&text[..space], &text[space + 1..]),
        None => (text, &[]),
    }
}

/// `-` is how RFC 5424 writes nothing.
fn or_empty(word: &[u8]) -> &[u8] {
    if word == b"-" { b"" } else { word }
}

#[cfg(test)]
mod tests;
