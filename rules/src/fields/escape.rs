//! Backslash escapes: where a quoted text ends, and what stands in it.

/// Where the text that starts at `text[0]`, behind its opening quote, ends: the index of the first
/// quote that no backslash escapes. O(text).
pub(super) fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let found = at + memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text.get(found) == Some(&b'"') {
            return Some(found);
        }
        at = found + 2;
    }
}

/// Appends what `text` means: `\n \t \r \b \f`, `\uXXXX` (two of them for a surrogate pair, a lone
/// one is U+FFFD), `\xHH` (that byte) and the byte behind any other backslash. A backslash before
/// what is none of these stays.
pub(super) fn unescape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at(at);
        out.extend_from_slice(plain);
        rest = unescape_one(escape, out);
    }
    out.extend_from_slice(rest);
}

/// `escape` begins with a backslash; gives what is behind the escape.
fn unescape_one<'a>(escape: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let (meant, rest) = match escape {
        [_, b'n', rest @ ..] => (b'\n', rest),
        [_, b't', rest @ ..] => (b'\t', rest),
        [_, b'r', rest @ ..] => (b'\r', rest),
        [_, b'b', rest @ ..] => (0x08, rest),
        [_, b'f', rest @ ..] => (0x0c, rest),
        [_, b'u', rest @ ..] => return unescape_unicode(rest, out),
        [_, b'x', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => (
            hex(&[*high, *low])
                .and_then(|byte| u8::try_from(byte).ok())
                .unwrap_or(b'?'),
            rest,
        ),
        [_, byte @ (b'"' | b'\\' | b'/' | b'\''), rest @ ..] => (*byte, rest),
        [backslash, rest @ ..] => (*backslash, rest),
        [] => return escape,
    };
    out.push(meant);
    rest
}

/// `digits` begins behind `\u`.
fn unescape_unicode<'a>(digits: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let Some((unit, rest)) = code_unit(digits) else {
        out.extend_from_slice(b"\\u");
        return digits;
    };
    let second = rest.strip_prefix(b"\\u").and_then(code_unit);
    let (code, rest) = match (unit, second) {
        (0xd800..0xdc00, Some((low @ 0xdc00..0xe000, rest))) => {
            (0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00), rest)
        }
        _ => (unit, rest),
    };
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    rest
}

fn code_unit(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<4>()?;
    Some((hex(digits)?, rest))
}

/// At most eight hexadecimal digits.
fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, byte| {
        let digit = char::from(*byte).to_digit(16)?;
        Some((value << 4) | digit)
    })
}

/// Appends `text` as UTF-8: what is not becomes U+FFFD.
pub(super) fn push_lossy(text: &[u8], out: &mut String) {
    for chunk in text.utf8_chunks() {
        out.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_quote_that_nothing_escapes() {
        for (text, end) in [
            (r#"a" b"#, Some(1)),
            (r#"" b"#, Some(0)),
            (r#"a\"b" c"#, Some(4)),
            (r#"a\\" c"#, Some(3)),
            (r#"a\\\" c"#, None),
            (r"a\", None),
            ("", None),
        ] {
            assert_eq!(closing_quote(text.as_bytes()), end, "{text}");
        }
    }

    #[test]
    fn gives_what_an_escape_means() {
        for (text, meant) in [
            (r"plain", "plain"),
            (r#"a\"b\\c\/d"#, "a\"b\\c/d"),
            (r"\n\t\r", "\n\t\r"),
            (r"\u00e9\u20AC", "é€"),
            (r"\ud83d\ude00!", "😀!"),
            (r"\ud83d!", "\u{fffd}!"),
            (r"\ud83d\u0041", "\u{fffd}A"),
            (r"\x41\x7a", "Az"),
            (r"\u12", r"\u12"),
            (r"\xg0", r"\xg0"),
            (r"\d\", r"\d\"),
        ] {
            let mut out = Vec::new();
            unescape(text.as_bytes(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), meant, "{text}");
        }
    }
}
