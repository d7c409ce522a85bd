//! The structured data of RFC 5424: `[id name="value"][id2]`.

use crate::fields::escape::closing_quote;
use crate::fields::{Fields, MAX_FIELDS, MAX_NAME_BYTES};

/// Cuts the elements off the start of `text`, which begins with `[`, and what is behind them with
/// the space before it. `None` when they are broken.
pub(super) fn cut(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = text;
    while rest.starts_with(b"[") {
        rest = each_param(rest, &mut |_, _, _| ())?;
    }
    Some(text.split_at(text.len() - rest.len()))
}

/// Appends `sd.ID.NAME` for every parameter; `text` is what [`cut`] gave, or empty. Quotes,
/// backslashes and brackets are unescaped.
pub(super) fn read(text: &[u8], out: &mut Fields) {
    let mut left = MAX_FIELDS;
    let mut rest = text;
    while rest.starts_with(b"[") {
        let behind = each_param(rest, &mut |id, name, value| {
            if left == 0 || id.len() + name.len() > MAX_NAME_BYTES {
                return;
            }
            left -= 1;
            out.push_with(
                |key| {
                    for part in ["sd.", id, ".", name] {
                        key.push_str(part);
                    }
                },
                |text| unescape(value, text),
            );
        });
        match behind {
            Some(behind) => rest = behind,
            None => return,
        }
    }
}

type Each<'f> = dyn FnMut(&str, &str, &[u8]) + 'f;

/// Calls `each` with the element's id, and a parameter's name and value as it is written, for each
/// parameter of the element that `text` begins with; gives what is behind it.
fn each_param<'a>(text: &'a [u8], each: &mut Each<'_>) -> Option<&'a [u8]> {
    let (id, mut rest) = name(text.strip_prefix(b"[")?)?;
    loop {
        let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
        let behind = rest.get(spaces..)?;
        if let Some(behind) = behind.strip_prefix(b"]") {
            return Some(behind);
        }
        if spaces == 0 {
            return None;
        }
        let (name, behind) = name(behind)?;
        let value = behind.strip_prefix(b"=\"")?;
        let end = closing_quote(value)?;
        each(id, name, value.get(..end)?);
        rest = value.get(end + 1..)?;
    }
}

/// Printable ASCII without what ends a name.
fn name(text: &[u8]) -> Option<(&str, &[u8])> {
    let is_inner = |byte: &&u8| byte.is_ascii_graphic() && !matches!(byte, b'=' | b']' | b'"');
    let end = text.iter().take_while(is_inner).count();
    let (name, rest) = text.split_at(end);
    (end > 0).then(|| Some((str::from_utf8(name).ok()?, rest)))?
}

/// A backslash before any other byte is one.
fn unescape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at(at);
        out.extend_from_slice(plain);
        let (meant, behind) = match escape {
            [_, byte @ (b'"' | b'\\' | b']'), behind @ ..] => (*byte, behind),
            [backslash, behind @ ..] => (*backslash, behind),
            [] => return,
        };
        out.push(meant);
        rest = behind;
    }
    out.extend_from_slice(rest);
}
