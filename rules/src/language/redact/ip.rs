//! Finds IP addresses by hand: their borders need a look to both sides that a pattern has not.
//!
//! A version number (`1.2.3.4.5`, `v1.2.3.4`), a time (`12:30:45`), a MAC address and a path
//! (`std::collections`) are none; ports, prefixes, brackets and zones stay as they are.

use core::net::Ipv6Addr;
use std::ops::Range;

/// The longest text of an IPv6 address, with an IPv4 address at its end.
const MAX_V6_BYTES: usize = 45;

/// Calls `each` with the place of every address, left to right. O(text).
pub(super) fn find_all(text: &[u8], each: &mut dyn FnMut(Range<usize>)) {
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.';
    for run in runs(text, 0..text.len(), is_part) {
        match v6(text, &run) {
            Some(place) => each(place),
            None => {
                for dotted in runs(text, run, |byte| byte.is_ascii_digit() || byte == b'.') {
                    if let Some(place) = v4(text, dotted) {
                        each(place);
                    }
                }
            }
        }
    }
}

/// The longest stretches of bytes of `within` that are all of a kind.
fn runs(
    text: &[u8],
    within: Range<usize>,
    kind: impl Fn(u8) -> bool,
) -> impl Iterator<Item = Range<usize>> {
    let mut at = within.start;
    std::iter::from_fn(move || {
        let rest = text.get(at..within.end)?;
        let start = at + rest.iter().position(|&byte| kind(byte))?;
        let rest = text.get(start..within.end)?;
        let end = start
            + rest
                .iter()
                .position(|&byte| !kind(byte))
                .unwrap_or(rest.len());
        at = end;
        Some(start..end)
    })
}

/// The address in `run`, with at most a full stop or a colon before or behind, or a port behind.
fn v6(text: &[u8], run: &Range<usize>) -> Option<Range<usize>> {
    let bytes = text.get(run.clone())?;
    if memchr::memchr_iter(b':', bytes).count() < 2 {
        return None;
    }
    let lead = bytes.iter().take_while(|&&byte| byte == b'.').count();
    let trail = bytes.iter().rev().take_while(|&&byte| byte == b'.').count();
    let place = run.start + lead..(run.end - trail).max(run.start + lead);
    let without_port = text
        .get(place.clone())?
        .iter()
        .rposition(|&byte| byte == b':')
        .map_or(place.end, |colon| place.start + colon);
    [
        place.clone(),
        place.start + 1..place.end,
        place.start..place.end.saturating_sub(1),
        place.start..without_port,
    ]
    .into_iter()
    .find(|place| is_v6(text, place))
}

fn is_v6(text: &[u8], place: &Range<usize>) -> bool {
    let Some(bytes) = text.get(place.clone()) else {
        return false;
    };
    // `::` alone is punctuation far more often than the unspecified address.
    (3..=MAX_V6_BYTES).contains(&bytes.len())
        && !touches_word(text, place)
        && str::from_utf8(bytes).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// The four numbers of `dotted`, with full stops before or behind left out.
fn v4(text: &[u8], dotted: Range<usize>) -> Option<Range<usize>> {
    let bytes = text.get(dotted.clone())?;
    let lead = bytes.iter().take_while(|&&byte| byte == b'.').count();
    let trail = bytes.iter().rev().take_while(|&&byte| byte == b'.').count();
    let place = dotted.start + lead..(dotted.end - trail).max(dotted.start + lead);
    // Leading zeros are no good address to a resolver, but they tell a reader the same.
    let is_octet = |part: &[u8]| {
        (1..=3).contains(&part.len())
            && part
                .iter()
                .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))
                <= 255
    };
    let mut octets = 0;
    for part in text.get(place.clone())?.split(|&byte| byte == b'.') {
        if octets == 4 || !is_octet(part) {
            return None;
        }
        octets += 1;
    }
    (octets == 4 && !touches_word(text, &place)).then_some(place)
}

/// Whether a letter, a digit or `_` stands right before or behind.
fn touches_word(text: &[u8], place: &Range<usize>) -> bool {
    let is_word =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    is_word(place.start.checked_sub(1).and_then(|at| text.get(at))) || is_word(text.get(place.end))
}
