//! Durations (`500ms 10s 5m 2h 7d`) and sizes (`64KiB 1MiB`): text to value and back.

use std::time::Duration;

const DURATIONS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// What to write, for messages about what is no duration.
pub const DURATION_HELP: &str = "write a whole number and a unit: 500ms, 10s, 5m, 2h, 7d";
/// What to write, for messages about what is no size.
pub const SIZE_HELP: &str = "write a whole number and a unit: 512B, 64KiB, 1MiB";

/// A whole number and its unit; `0` needs none. At most 100 years.
pub fn duration(text: &str) -> Option<Duration> {
    const CENTURY_MS: u64 = 100 * 366 * 86_400_000;
    if text == "0" {
        return Some(Duration::ZERO);
    }
    scaled(text, DURATIONS)
        .filter(|ms| *ms <= CENTURY_MS)
        .map(Duration::from_millis)
}

/// A whole number of bytes and its unit; without a unit, bytes.
pub fn size(text: &str) -> Option<u64> {
    text.parse().ok().or_else(|| scaled(text, SIZES))
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let scale = units.iter().find(|(name, _)| *name == unit.trim_start())?.1;
    number.parse::<u64>().ok()?.checked_mul(scale)
}

/// As it is written in a file: exact, to the millisecond, in the largest unit that it is a whole number
/// of: `90s`, `2m`, `1500ms`.
pub fn written(span: Duration) -> String {
    let ms = span.as_millis();
    let fits = |(_, scale): &&(&str, u128)| ms.is_multiple_of(*scale) && ms >= *scale;
    let units = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ];
    match units.iter().find(fits) {
        Some((unit, scale)) => format!("{}{unit}", ms / scale),
        None if ms == 0 => "0s".to_owned(),
        None => format!("{ms}ms"),
    }
}

/// As a person writes it, in at most two units, the rest dropped: `1m`, `1m30s`, `2h`, `250ms`.
pub fn duration_text(span: Duration) -> String {
    let ms = span.as_millis();
    if ms < 1_000 {
        return format!("{ms}ms");
    }
    let s = span.as_secs();
    let (first, first_unit, rest, rest_unit) = match s {
        0..60 => (s, "s", 0, ""),
        60..3_600 => (s / 60, "m", s % 60, "s"),
        3_600..86_400 => (s / 3_600, "h", s % 3_600 / 60, "m"),
        _ => (s / 86_400, "d", s % 86_400 / 3_600, "h"),
    };
    if rest == 0 {
        format!("{first}{first_unit}")
    } else {
        format!("{first}{first_unit}{rest}{rest_unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for ms in [
            0, 1, 999, 1_000, 1_500, 90_000, 120_000, 3_648_000, 86_400_000, 90_000_000,
        ] {
            let span = Duration::from_millis(ms);
            assert_eq!(duration(&written(span)), Some(span), "{}", written(span));
        }
        assert_eq!(written(Duration::from_mins(90)), "90m");
    }

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, ms) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("7d", 604_800_000),
            ("0", 0),
        ] {
            assert_eq!(duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in [
            "",
            "10",
            "s",
            "-5s",
            "1.5h",
            "5 min",
            "5M",
            "99999999999999999999s",
            "99999999999d",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_bytes_unless_told() {
        for (text, bytes) in [
            ("7", 7),
            ("64KiB", 65_536),
            ("1MiB", 1_048_576),
            ("2kB", 2_000),
        ] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        assert_eq!(size("64K"), None);
    }

    #[test]
    fn a_duration_is_told_in_two_units() {
        for (s, text) in [
            (0, "0ms"),
            (59, "59s"),
            (60, "1m"),
            (90, "1m30s"),
            (3_600, "1h"),
            (93_784, "1d2h"),
        ] {
            assert_eq!(duration_text(Duration::from_secs(s)), text);
        }
    }
}
