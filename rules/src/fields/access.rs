//! The access logs of nginx and Apache: `combined`, Apache's `common`, either with a virtual host
//! in front, and any `key=value` after them.
//!
//! Values stand as the log has them: `-` stays `-`, and what the server escaped stays escaped, so
//! that a rule says what an operator sees in the file. The key `vhost` is there when the line
//! begins with one.

use super::escape::closing_quote;
use super::{Fields, timestamp};
use crate::model::Timestamp;

/// What a line of an access log gives by itself; a `key=value` of such a name does not replace it.
const NAMES: &[&str] = &[
    "vhost",
    "remote_addr",
    "remote_user",
    "time",
    "request",
    "method",
    "path",
    "query",
    "protocol",
    "status",
    "bytes",
    "referer",
    "user_agent",
];

/// `21/Nov/2026:09:00:00 +0000`
const TIME_LEN: usize = 26;

/// A line, cut at the one place that nothing in it can forge: its first quote that is not escaped.
/// The servers escape quotes in the user's name, so that quote opens the request, and the time
/// stands right before it.
struct Line<'a> {
    /// Address and user.
    head: &'a [u8],
    /// Between the brackets.
    time: &'a [u8],
    /// Behind the quote that opens the request.
    tail: &'a [u8],
}

impl<'a> Line<'a> {
    fn split(line: &'a [u8]) -> Option<Self> {
        let mut quote = closing_quote(line)?;
        // Apache writes an empty user as `""`.
        if line[quote..].starts_with(b"\"\" [") {
            quote += 2 + closing_quote(&line[quote + 2..])?;
        }
        let (before, tail) = (line.get(..quote)?, line.get(quote + 1..)?);
        let before = before.strip_suffix(b"] ")?;
        let (head, time) = before.split_at_checked(before.len().checked_sub(TIME_LEN)?)?;
        let head = head.strip_suffix(b" [")?;
        Some(Self { head, time, tail })
    }
}

/// The time between the brackets.
pub(super) fn time(line: &[u8]) -> Option<Timestamp> {
    let line = Line::split(line)?;
    Head::split(line.head)?;
    timestamp::access(line.time)
}

/// Whether a line is of this format, and whether a virtual host stands in front. Asks for more
/// than [`read`] does: the status has to be there.
pub(super) fn detect(line: &[u8]) -> Option<Head<'_>> {
    let line = Line::split(line)?;
    timestamp::access(line.time)?;
    let (_, rest) = quoted(line.tail)?;
    let (status, _) = status(rest)?;
    if status.len() == 3 {
        Head::split(line.head)
    } else {
        None
    }
}

/// Appends the line's fields.
pub(super) fn read(line: &[u8], out: &mut Fields) {
    let Some(line) = Line::split(line) else {
        return;
    };
    if timestamp::access(line.time).is_none() {
        return;
    }
    let Some(head) = Head::split(line.head) else {
        return;
    };
    if let Some(vhost) = head.vhost {
        out.push("vhost", vhost);
    }
    out.push("remote_addr", head.addr);
    out.push("remote_user", head.user);
    out.push("time", line.time);
    // A line that was cut may end in the request.
    let (request, rest) = quoted(line.tail).unwrap_or((line.tail, &[]));
    read_request(request, out);
    let mut rest = rest;
    if let Some((status, behind)) = status(rest) {
        out.push("status", status);
        let (bytes, behind) = number(behind);
        if let Some(bytes) = bytes {
            out.push("bytes", bytes);
        }
        rest = behind;
    }
    for name in ["referer", "user_agent"] {
        let Some((value, behind)) = opening_quote(rest).and_then(quoted) else {
            break;
        };
        out.push(name, value);
        rest = behind;
    }
    read_pairs(rest, out);
}

/// What stands before the time.
pub(super) struct Head<'a> {
    pub(super) vhost: Option<&'a [u8]>,
    addr: &'a [u8],
    user: &'a [u8],
}

impl<'a> Head<'a> {
    /// `1.2.3.4 - user` or `vhost:443 1.2.3.4 - user`; the user may hold spaces. The word before
    /// the user is identd's, which is `-` everywhere but in museums: that tells the two apart.
    fn split(head: &'a [u8]) -> Option<Self> {
        let (first, rest) = word(head);
        let (second, user) = word(rest);
        let (third, vhost_user) = word(user);
        let head = if second != b"-" && third == b"-" && !vhost_user.is_empty() {
            Self {
                vhost: Some(first),
                addr: second,
                user: vhost_user,
            }
        } else {
            Self {
                vhost: None,
                addr: first,
                user,
            }
        };
        (!head.addr.is_empty() && !head.user.is_empty()).then_some(head)
    }
}

/// `GET /path?query HTTP/1.1`, or what is left of it in a broken request: a path may hold spaces,
/// the protocol may be missing, and what does not begin with a method is the field `request` alone.
fn read_request(request: &[u8], out: &mut Fields) {
    out.push("request", request);
    let Some(space) = memchr::memchr(b' ', request) else {
        return;
    };
    let (method, target) = (&request[..space], &request[space + 1..]);
    let is_method = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_');
    if method.is_empty() || method.len() > 32 || !method.iter().all(is_method) {
        return;
    }
    out.push("method", method);
    let last_space = memchr::memrchr(b' ', target).map_or(0, |space| space + 1);
    let (before, last) = target.split_at(last_space);
    let (target, protocol) = if last.starts_with(b"HTTP/") {
        (before.strip_suffix(b" ").unwrap_or(before), Some(last))
    } else {
        (target, None)
    };
    let (path, query) = match memchr::memchr(b'?', target) {
        Some(mark) => (&target[..mark], Some(&target[mark + 1..])),
        None => (target, None),
    };
    if !path.is_empty() {
        out.push("path", path);
    }
    for (name, value) in [("query", query), ("protocol", protocol)] {
        if let Some(value) = value {
            out.push(name, value);
        }
    }
}

/// Every `key=value` and `key="value"` of what the operator added to the format; what has no key
/// is passed over.
fn read_pairs(text: &[u8], out: &mut Fields) {
    let mut rest = text.trim_ascii_start();
    while !rest.is_empty() {
        if let Some(text) = opening_quote(rest) {
            let (_, behind) = quoted(text).unwrap_or_default();
            rest = behind.trim_ascii_start();
            continue;
        }
        let end = rest
            .iter()
            .position(|byte| matches!(byte, b'=' | b' ' | b'"'));
        let (key, behind) = rest.split_at(end.unwrap_or(rest.len()));
        rest = behind;
        if let Some(text) = behind.strip_prefix(b"=") {
            let (value, behind) = match text.strip_prefix(b"\"") {
                Some(text) => quoted(text).unwrap_or((text, &[])),
                None => text.split_at(bare_value_len(text)),
            };
            if let Ok(key) = str::from_utf8(key)
                && is_key(key)
                && !NAMES.contains(&key)
            {
                out.push(key, value);
            }
            rest = behind;
        }
        rest = rest.trim_ascii_start();
    }
}

/// How much of `text` is one value without quotes: a word, and the words that nginx joins to it
/// when one request went to several upstreams (`10.0.0.1:80, 10.0.0.2:80 : 10.0.0.3:80`).
fn bare_value_len(text: &[u8]) -> usize {
    let mut end = word(text).0.len();
    loop {
        let (value, behind) = text.split_at(end);
        let joint = match behind {
            [b' ', b':', b' ', ..] => 3,
            [b' ', ..] if value.ends_with(b",") => 1,
            _ => return end,
        };
        let (next, _) = word(&behind[joint..]);
        if next.is_empty() || next.iter().any(|byte| matches!(byte, b'=' | b'"')) {
            return end;
        }
        end += joint + next.len();
    }
}

fn is_key(key: &str) -> bool {
    let is_inner =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@');
    key.bytes().all(is_inner)
        && key
            .bytes()
            .next()
            .is_some_and(|byte| !byte.is_ascii_digit() && byte != b'-')
}

/// The text up to the first space, and what is behind that space.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', text) {
        Some(space) => (&text[..space], &text[space + 1..]),
        None => (text, &[]),
    }
}

/// The status behind the request, and what is behind it: a space, then one to three digits (nginx
/// and Apache write three), or the `-` of an absent one. The matcher relies on this shape.
fn status(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (status, behind) = word(rest.strip_prefix(b" ")?);
    let is_code = (1..=3).contains(&status.len()) && status.iter().all(u8::is_ascii_digit);
    (is_code || status == b"-").then_some((status, behind))
}

/// A word of digits, or the `-` of an absent one, in front of `rest`; what else stands there stays.
fn number(rest: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let (value, behind) = word(rest.strip_prefix(b" ").unwrap_or(rest));
    let is_number = value == b"-" || !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if is_number {
        (Some(value), behind)
    } else {
        (None, rest)
    }
}

/// What is behind an opening quote, when `rest` begins with one, with or without a space before it.
fn opening_quote(rest: &[u8]) -> Option<&[u8]> {
    rest.strip_prefix(b" ").unwrap_or(rest).strip_prefix(b"\"")
}

/// `text` begins behind an opening quote: what is quoted, and what is behind the closing quote.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = closing_quote(text)?;
    Some((&text[..end], &text[end + 1..]))
}

#[cfg(test)]
mod tests;
