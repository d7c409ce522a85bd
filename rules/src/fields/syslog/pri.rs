//! `<34>`: facility and severity, as a number or by name.

/// The first eight bytes of a line may be a priority and a version; more digits are neither.
const MOST_DIGITS: usize = 3;

const FACILITIES: [(&str, &str); 24] = [
    ("kern", "0"),
    ("user", "1"),
    ("mail", "2"),
    ("daemon", "3"),
    ("auth", "4"),
    ("syslog", "5"),
    ("lpr", "6"),
    ("news", "7"),
    ("uucp", "8"),
    ("cron", "9"),
    ("authpriv", "10"),
    ("ftp", "11"),
    ("ntp", "12"),
    ("audit", "13"),
    ("alert", "14"),
    ("clockd", "15"),
    ("local0", "16"),
    ("local1", "17"),
    ("local2", "18"),
    ("local3", "19"),
    ("local4", "20"),
    ("local5", "21"),
    ("local6", "22"),
    ("local7", "23"),
];

const SEVERITIES: [(&str, &str); 8] = [
    ("emerg", "0"),
    ("alert", "1"),
    ("crit", "2"),
    ("err", "3"),
    ("warning", "4"),
    ("notice", "5"),
    ("info", "6"),
    ("debug", "7"),
];

/// Older names, as BSD and busybox still write them.
const OTHER_NAMES: [(&[u8], &str); 4] = [
    (b"panic", "emerg"),
    (b"error", "err"),
    (b"warn", "warning"),
    (b"security", "auth"),
];

/// What a line says of its facility and severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pri {
    /// Nothing.
    Absent,
    /// Brackets, and a number in them that means nothing.
    Unknown,
    /// Indices into the tables; a severity may stand alone.
    Known {
        facility: Option<usize>,
        severity: usize,
    },
}

impl Pri {
    /// Cuts `<34>` off the start of a line, with a byte order mark before it and spaces behind it.
    /// Gives the line itself where there is none. Leading zeros count as well.
    pub(super) fn cut(line: &[u8]) -> (Self, &[u8]) {
        let text = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        let digits = text.strip_prefix(b"<").and_then(|text| {
            let end = text
                .iter()
                .take(MOST_DIGITS + 1)
                .position(|byte| *byte == b'>')?;
            let digits = text.get(..end)?;
            let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
            is_number.then(|| (digits, text.get(end + 1..).unwrap_or_default()))
        });
        let Some((digits, rest)) = digits else {
            return (Self::Absent, text);
        };
        let number = digits
            .iter()
            .fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
        let pri = if number / 8 < FACILITIES.len() {
            Self::Known {
                facility: Some(number / 8),
                severity: number % 8,
            }
        } else {
            Self::Unknown
        };
        let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
        (pri, rest.get(spaces..).unwrap_or_default())
    }

    /// `daemon.info`, as busybox and `OpenWrt` write it before the tag, or `info` alone, as F5 does.
    pub(super) fn of_word(word: &[u8]) -> Option<Self> {
        let (facility, severity) = match memchr::memchr(b'.', word) {
            Some(dot) => {
                let facility = index(&FACILITIES, word.get(..dot)?)?;
                (Some(facility), word.get(dot + 1..)?)
            }
            None => (None, word),
        };
        let severity = index(&SEVERITIES, severity)?;
        Some(Self::Known { facility, severity })
    }

    /// Name and number.
    pub(super) fn facility(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Known { facility, .. } => FACILITIES.get(facility?).copied(),
            Self::Absent | Self::Unknown => None,
        }
    }

    /// Name and number.
    pub(super) fn severity(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Known { severity, .. } => SEVERITIES.get(severity).copied(),
            Self::Absent | Self::Unknown => None,
        }
    }
}

/// The version of RFC 5424 and its space at the start of `text`: what is behind them.
pub(super) fn version(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'1'..=b'9', b' ', rest @ ..] | [b'1'..=b'9', b'0'..=b'9', b' ', rest @ ..] => Some(rest),
        _ => None,
    }
}

fn index(names: &[(&str, &str)], word: &[u8]) -> Option<usize> {
    let other = OTHER_NAMES.iter().find(|(other, _)| *other == word);
    let word = other.map_or(word, |(_, name)| name.as_bytes());
    names.iter().position(|(name, _)| name.as_bytes() == word)
}
