//! What stands behind the stamp: the words of RFC 5424, or a host and a tag where they can be told
//! from the message.
//!
//! RFC 3164 leaves open where its header ends. A host is taken for one only behind a stamp, a tag
//! only when it ends in a colon or in brackets; what is neither belongs to the message.

use super::pri::Pri;
use super::stamp::Stamp;
use super::{Start, or_empty, structured, word};

/// A longer word is no host and no tag.
const MOST_WORD_BYTES: usize = 255;

/// What is behind the stamp; empty where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Header<'a> {
    /// Where it stands in words, behind the stamp.
    pub(super) pri: Option<Pri>,
    pub(super) hostname: &'a [u8],
    pub(super) appname: &'a [u8],
    pub(super) procid: &'a [u8],
    pub(super) msgid: &'a [u8],
    /// Whole elements, as they are written.
    pub(super) structured: &'a [u8],
    pub(super) message: &'a [u8],
}

impl<'a> Header<'a> {
    pub(super) fn read(start: &Start<'a>) -> Self {
        let is_new = start.has_version && matches!(start.stamp, Stamp::Iso(_) | Stamp::Nil);
        is_new
            .then(|| Self::of_words(start.rest))
            .flatten()
            .unwrap_or_else(|| Self::behind_stamp(start.rest))
    }

    /// Nothing but a text.
    pub(super) fn of_text(text: &'a [u8]) -> Self {
        Self {
            message: text,
            ..Self::default()
        }
    }

    /// `text` is what follows a priority.
    pub(super) fn without_stamp(text: &'a [u8]) -> Self {
        match cisco_start(text) {
            Some(cisco) => Self {
                hostname: cisco.origin,
                ..Self::behind_stamp(cisco.rest)
            },
            None => Self::with_tag(text),
        }
    }

    /// ` host app procid msgid sd message` as RFC 5424 has it; `None` when words are missing. Of
    /// broken structured data nothing is read: it stays in the message.
    fn of_words(rest: &'a [u8]) -> Option<Self> {
        let mut text = rest.strip_prefix(b" ")?;
        let mut words = [&b""[..]; 4];
        for place in &mut words {
            (*place, text) = word(text);
            if place.is_empty() {
                return None;
            }
        }
        let [hostname, appname, procid, msgid] = words;
        if appname.ends_with(b":") {
            return None;
        }
        let (structured, message) = match text {
            [b'-'] => (&b""[..], &b""[..]),
            [b'-', b' ', rest @ ..] => (&b""[..], rest),
            [b'[', ..] => match structured::cut(text) {
                Some((elements, rest)) => (elements, rest.strip_prefix(b" ").unwrap_or(rest)),
                None => (&b""[..], text),
            },
            _ => (&b""[..], text),
        };
        Some(Self {
            pri: None,
            hostname: or_empty(hostname),
            appname: or_empty(appname),
            procid: or_empty(procid),
            msgid: or_empty(msgid),
            structured,
            message: without_extra_space(message),
        })
    }

    /// `rest` begins with what ends the stamp.
    fn behind_stamp(rest: &'a [u8]) -> Self {
        let text = rest.strip_prefix(b":").unwrap_or(rest);
        let (pri, text) = bracketed_pri(text.trim_ascii_start());
        let (first, behind) = word(text);
        if let Some(pri) = Pri::of_word(first)
            && Tag::cut(behind).is_some()
        {
            // OpenWrt and ESXi's own files name no host.
            return Self {
                pri: Some(pri),
                ..Self::with_tag(behind)
            };
        }
        let is_host = !behind.is_empty()
            && first.len() <= MOST_WORD_BYTES
            && (is_ipv6(first) || Tag::cut(text).is_none());
        if !is_host {
            return Self {
                pri,
                ..Self::with_tag(text)
            };
        }
        let forwarded = text
            .strip_prefix(b"Message forwarded from ")
            .and_then(|text| Some(text.split_at(memchr::memchr(b':', text)?)));
        let (host, behind) = match forwarded {
            // AIX.
            Some((host, behind)) => (host, behind),
            None => (first, behind),
        };
        let host = match host {
            [host @ .., b':'] if !host.ends_with(b":") => host,
            host => host,
        };
        let header = Self::behind_host(behind);
        Self {
            pri: pri.or(header.pri),
            hostname: or_empty(host),
            ..header
        }
    }

    fn behind_host(text: &'a [u8]) -> Self {
        // `host : %ASA-6-302013: text`
        let text = text.strip_prefix(b":").unwrap_or(text);
        let text = text.strip_prefix(b" ").unwrap_or(text);
        if text.first().is_some_and(u8::is_ascii_digit)
            && let Some(cisco) = cisco_start(text)
        {
            // A relay has put its own header before that of the device.
            return Self::with_tag(behind_colon(cisco.rest));
        }
        let (first, behind) = word(text);
        match Pri::of_word(first) {
            Some(pri) if Tag::cut(behind).is_some() => Self {
                pri: Some(pri),
                ..Self::with_tag(behind)
            },
            _ => Self::with_tag(text),
        }
    }

    fn with_tag(text: &'a [u8]) -> Self {
        match Tag::cut(text) {
            Some(tag) => Self {
                appname: or_empty(tag.name),
                procid: or_empty(tag.procid),
                message: tag.behind,
                ..Self::default()
            },
            None => Self::of_text(text),
        }
    }
}

/// rsyslog's template for RFC 5424 writes the space before a text twice; more than one are of a text
/// that is indented.
fn without_extra_space(message: &[u8]) -> &[u8] {
    match message {
        [b' ', rest @ ..] if !rest.starts_with(b" ") => rest,
        message => message,
    }
}

/// The end of a stamp and the space behind it.
fn behind_colon(rest: &[u8]) -> &[u8] {
    rest.strip_prefix(b":").unwrap_or(rest).trim_ascii_start()
}

/// `<auth.info>`, as FreeBSD's `syslogd -vv` writes it behind the stamp.
fn bracketed_pri(text: &[u8]) -> (Option<Pri>, &[u8]) {
    let cut = || {
        let inner = text.strip_prefix(b"<")?;
        let end = inner.iter().take(20).position(|byte| *byte == b'>')?;
        let pri = Pri::of_word(inner.get(..end)?)?;
        Some((pri, inner.get(end + 1..)?.trim_ascii_start()))
    };
    cut().map_or((None, text), |(pri, rest)| (Some(pri), rest))
}

/// A host is one word, and no tag has two colons in a row but Perl's modules.
fn is_ipv6(word: &[u8]) -> bool {
    let is_inner = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let (address, _scope) = word.split_at(memchr::memchr(b'%', word).unwrap_or(word.len()));
    let colons = memchr::memchr_iter(b':', address).count();
    let has_gap = memchr::memmem::find(address, b"::").is_some();
    address.iter().all(is_inner) && (has_gap || colons == 7)
}

/// Whether a word is how programs call the level of their own lines: `2026-11-21T09:00:00Z INFO
/// app: text` is not syslog.
pub(super) fn is_level(word: &[u8]) -> bool {
    let levels: [&[u8]; 12] = [
        b"TRACE",
        b"DEBUG",
        b"INFO",
        b"NOTICE",
        b"WARN",
        b"WARNING",
        b"ERR",
        b"ERROR",
        b"CRIT",
        b"CRITICAL",
        b"FATAL",
        b"PANIC",
    ];
    let is_bracket = |byte: &u8| matches!(byte, b'[' | b']' | b'(' | b')');
    let start = word.iter().take_while(|byte| is_bracket(byte)).count();
    let word = word.get(start..).unwrap_or_default();
    let end = word.iter().position(is_bracket).unwrap_or(word.len());
    let word = word.get(..end).unwrap_or_default();
    levels.iter().any(|level| level.eq_ignore_ascii_case(word))
}

/// What Cisco's devices write: a number, sometimes the device, a stamp with a mark before it.
pub(super) struct CiscoStart<'a> {
    origin: &'a [u8],
    pub(super) stamp: Stamp<'a>,
    rest: &'a [u8],
}

/// `45: *Nov 21 09:00:00.123: `, `29: router1: *Nov 21 09:00:00 UTC: `,
/// `7: RP/0/RSP0/CPU0:Nov 21 09:00:00 : `, `: 2026 Nov 21 09:00:00 UTC: `, `*Nov 21 09:00:00: `.
pub(super) fn cisco_start(text: &[u8]) -> Option<CiscoStart<'_>> {
    let mut rest = text;
    let mut is_numbered = false;
    // Some number a message twice.
    for _ in 0..2 {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, behind) = rest.split_at(digits);
        match behind.strip_prefix(b":") {
            Some(behind) => rest = behind.trim_ascii_start(),
            None => break,
        }
        is_numbered |= !number.is_empty();
    }
    if let Some((stamp, rest)) = marked_stamp(rest) {
        return Some(CiscoStart {
            origin: &[],
            stamp,
            rest,
        });
    }
    if !is_numbered {
        return None;
    }
    let is_inner = |byte: &&u8| !matches!(byte, b':' | b' ');
    let end = rest
        .iter()
        .take(MOST_WORD_BYTES)
        .take_while(is_inner)
        .count();
    let (origin, behind) = rest.split_at(end);
    let (stamp, rest) = marked_stamp(behind.strip_prefix(b":")?.trim_ascii_start())?;
    Some(CiscoStart {
        origin,
        stamp,
        rest,
    })
}

/// A star or a dot before the stamp says that the device's clock is not set, or has been.
fn marked_stamp(text: &[u8]) -> Option<(Stamp<'_>, &[u8])> {
    let text = match text {
        [b'*' | b'.', rest @ ..] => rest,
        text => text,
    };
    Stamp::cut(text).filter(|(stamp, _)| stamp.is_classic())
}

/// `name[procid]:` or `name:`, with one space behind it.
struct Tag<'a> {
    name: &'a [u8],
    procid: &'a [u8],
    behind: &'a [u8],
}

impl<'a> Tag<'a> {
    /// Cuts a tag off the start of `text`.
    fn cut(text: &'a [u8]) -> Option<Self> {
        let head = text.get(..MOST_WORD_BYTES).unwrap_or(text);
        let end = memchr::memchr(b' ', head).unwrap_or(head.len());
        let word = head.get(..end)?;
        let (name, procid, len) = Self::bracketed(word).or_else(|| {
            let name = word.strip_suffix(b":")?;
            Some((name, &b""[..], word.len()))
        })?;
        let behind = text.get(len..)?;
        is_name(name).then_some(Self {
            name,
            procid,
            behind: behind.strip_prefix(b" ").unwrap_or(behind),
        })
    }

    /// `name[procid]` with or without a colon behind it, or `kernel:[`: name, process, and how long
    /// they are.
    fn bracketed(word: &'a [u8]) -> Option<(&'a [u8], &'a [u8], usize)> {
        let open = memchr::memchr(b'[', word)?;
        let name = word.get(..open)?;
        if let Some(name) = name.strip_suffix(b":") {
            return Some((name, b"", open));
        }
        let inner = word.get(open + 1..)?;
        let close = memchr::memchr(b']', inner)?;
        let behind = inner.get(close + 1..)?;
        let len = open + close + 2;
        match behind.first() {
            None => Some((name, inner.get(..close)?, len)),
            Some(b':') => Some((name, inner.get(..close)?, len + 1)),
            Some(_) => None,
        }
    }
}

/// Not a number, as Cisco's are, and without the signs that texts begin with.
fn is_name(name: &[u8]) -> bool {
    let is_odd = |byte: &u8| byte.is_ascii_control() || b"\"'<>={},;".contains(byte);
    let is_numeric = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b':' | b'.');
    !name.is_empty() && !name.iter().any(is_odd) && !name.iter().all(is_numeric)
}
