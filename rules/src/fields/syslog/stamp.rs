//! The time at a header's start: where it ends, and what it means. A stamp that means no time
//! (29 February of a year without one) is a stamp all the same: what is behind it is still read.

use crate::fields::timestamp::{self, Assume, Classic, Zone};
use crate::model::Timestamp;

/// A stamp as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stamp<'a> {
    /// `-`.
    Nil,
    /// `2026-11-21T09:00:00.123456+00:00`.
    Iso(&'a [u8]),
    /// `Nov 21 09:00:00`.
    Classic(Classic, Option<Zone>),
    /// `1795251600.123`, seconds since the epoch.
    Epoch(&'a [u8]),
}

impl<'a> Stamp<'a> {
    /// Cuts a stamp off the start of `text`. A colon that ends it is behind it, as a space is.
    pub(super) fn cut(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let day = weekday(text).and_then(|text| dated(text).or_else(|| classic(text)));
        day.or_else(|| iso(text))
            .or_else(|| classic(text))
            .or_else(|| epoch(text))
    }

    /// The same behind the version of RFC 5424, where `-` is a stamp.
    pub(super) fn cut_or_nil(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        match text {
            [b'-', rest @ ..] if rest.starts_with(b" ") => Some((Self::Nil, rest)),
            _ => Self::cut(text),
        }
    }

    pub(super) fn time(&self, assume: Assume) -> Option<Timestamp> {
        match self {
            Self::Nil => None,
            Self::Iso(text) => timestamp::iso(text, assume.zone),
            Self::Classic(classic, zone) => classic.time(Assume {
                zone: zone.unwrap_or(assume.zone),
                ..assume
            }),
            Self::Epoch(text) => timestamp::epoch(text),
        }
    }

    pub(super) fn is_iso(&self) -> bool {
        matches!(self, Self::Iso(_))
    }

    pub(super) fn is_classic(&self) -> bool {
        matches!(self, Self::Classic(..))
    }
}

/// A date and a time of day with `T` between them; the zone may be missing.
fn iso(text: &[u8]) -> Option<(Stamp<'_>, &[u8])> {
    is_date(text).then_some(())?;
    if !matches!(text.get(10), Some(b'T' | b't')) {
        return None;
    }
    let is_end = |byte: &u8| {
        !(byte.is_ascii_digit()
            || matches!(byte, b'T' | b't' | b'Z' | b'z' | b'+' | b'-' | b':' | b'.'))
    };
    let end = text.iter().position(is_end).unwrap_or(text.len());
    let (mut stamp, mut rest) = text.split_at(end);
    if let [before @ .., b':'] = stamp {
        stamp = before;
        rest = text.get(end - 1..)?;
    }
    (stamp.len() >= 19 && is_ended(rest)).then_some((Stamp::Iso(stamp), rest))
}

/// `2026-11-21 09:00:00 UTC`, as the journal writes it behind the day of the week.
fn dated(text: &[u8]) -> Option<(Stamp<'_>, &[u8])> {
    let is_stamp = is_date(text) && text.get(10) == Some(&b' ');
    is_stamp.then_some(())?;
    let is_inner = |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b':' | b'.');
    let time = text.get(11..)?.iter().take_while(is_inner).count();
    let (_, behind) = text.split_at_checked(11 + time)?;
    let zone = memchr::memchr(b' ', behind.strip_prefix(b" ")?)? + 1;
    let (name, _) = behind.split_at(zone);
    let end = 11 + time + if is_utc(name) { zone } else { 0 };
    let (stamp, _) = text.split_at(end);
    Some((Stamp::Iso(stamp), text.get(11 + time + zone..)?))
}

fn is_date(text: &[u8]) -> bool {
    let shape = b"0000-00-00";
    text.len() > shape.len()
        && text.iter().zip(shape).all(|(byte, shape)| match shape {
            b'-' => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

fn classic(text: &[u8]) -> Option<(Stamp<'_>, &[u8])> {
    let (classic, rest) = Classic::cut(text)?;
    is_ended(rest).then_some(())?;
    let (zone, rest) = zone(rest);
    Some((Stamp::Classic(classic, zone), rest))
}

/// ` UTC:`, as Cisco's devices write it: a word of capitals that a colon ends. Of a zone that has
/// no fixed meaning nothing is known but its name.
fn zone(text: &[u8]) -> (Option<Zone>, &[u8]) {
    let letters = text
        .iter()
        .skip(1)
        .take_while(|byte| byte.is_ascii_uppercase())
        .count();
    match text.split_at_checked(1 + letters) {
        Some((name @ [b' ', _, _, ..], rest)) if letters <= 5 && rest.starts_with(b":") => {
            (is_utc(name).then_some(Zone::UTC), rest)
        }
        _ => (None, text),
    }
}

fn is_utc(name: &[u8]) -> bool {
    matches!(name.trim_ascii(), b"UTC" | b"GMT" | b"Z")
}

/// Ten digits and a fraction.
fn epoch(text: &[u8]) -> Option<(Stamp<'_>, &[u8])> {
    let is_inner = |byte: &&u8| byte.is_ascii_digit() || **byte == b'.';
    let end = text.iter().take(22).take_while(is_inner).count();
    let (stamp, rest) = text.split_at(end);
    let is_stamp = stamp.get(10) == Some(&b'.') && is_ended(rest);
    (is_stamp && timestamp::epoch(stamp).is_some()).then_some((Stamp::Epoch(stamp), rest))
}

fn weekday(text: &[u8]) -> Option<&[u8]> {
    let (day, rest) = text.split_first_chunk::<4>()?;
    matches!(
        day,
        b"Mon " | b"Tue " | b"Wed " | b"Thu " | b"Fri " | b"Sat " | b"Sun "
    )
    .then_some(rest)
}

/// Whether a stamp may end before `rest`.
fn is_ended(rest: &[u8]) -> bool {
    matches!(rest.first(), None | Some(b' ' | b':'))
}
