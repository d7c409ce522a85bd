//! Places in a journal, as systemd writes them: `s=ID;i=NUMBER;b=…`. Pure.
//!
//! `i`, in hexadecimal, numbers all entries that bear the same `s`, whatever file they are in: that is
//! how an entry that is missing is known.

use std::path::Path;

use lapwing_rules::model::Timestamp;

/// Saved where the journal held nothing when it was first looked at, or is read from its beginning: its
/// first entry comes next.
pub(super) const BEGINNING: &str = "";

/// Where reading goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nobody has looked yet.
    Unknown,
    /// Behind the entry of this cursor, or at [`BEGINNING`].
    At(String),
    /// Behind the entries up to this time, which a file holds that is read in the journal's stead.
    Aside(Timestamp),
}

impl Place {
    /// As it was saved.
    pub(super) fn parse(text: &str) -> Self {
        let nanos = text.strip_prefix(ASIDE).and_then(|it| it.parse().ok());
        nanos.map_or_else(
            || Self::At(text.to_owned()),
            |nanos| Self::Aside(Timestamp::from_nanos(nanos)),
        )
    }

    /// To be saved.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Unknown => BEGINNING.to_owned(),
            Self::At(cursor) => cursor.clone(),
            Self::Aside(until) => format!("{ASIDE}{}", until.as_nanos()),
        }
    }
}

/// Before a time, in nanoseconds, where others have a cursor.
const ASIDE: char = '@';

/// Whether an input's saved place says that files are read in its stead.
pub fn is_aside(path: &Path) -> bool {
    path.to_string_lossy().starts_with(ASIDE)
}

/// What was taken away between the last entry that was read and the next one that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Nothing,
    /// So many entries, at least 1.
    Entries(u64),
    /// The journal is another one, or holds nothing any more.
    Unknown,
}

/// `next` is the first entry at or behind the place of the entry `last`, which was the last one read.
pub(super) fn missing(last: &str, next: Option<&str>) -> Missing {
    if last == BEGINNING || next == Some(last) {
        return Missing::Nothing;
    }
    let Some(next) = next else {
        return Missing::Unknown;
    };
    let number = |cursor| u64::from_str_radix(field(cursor, "i=")?, 16).ok();
    let is_same = field(last, "s=").is_some_and(|id| field(next, "s=") == Some(id));
    let numbers = number(last).zip(number(next)).filter(|_| is_same);
    match numbers.and_then(|(last, next)| next.checked_sub(last)?.checked_sub(1)) {
        Some(0) => Missing::Nothing,
        Some(entries) => Missing::Entries(entries),
        None => Missing::Unknown,
    }
}

fn field<'a>(cursor: &'a str, name: &str) -> Option<&'a str> {
    cursor.split(';').find_map(|part| part.strip_prefix(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_what_it_was_saved_as() {
        for place in [
            Place::At(BEGINNING.to_owned()),
            Place::At("s=c946;i=1f".to_owned()),
            Place::Aside(Timestamp::from_nanos(1_795_248_000_123_456_789)),
        ] {
            assert_eq!(Place::parse(&place.text()), place);
        }
    }

    #[test]
    fn entries_that_were_taken_away_unread_are_counted() {
        let last = "s=c946;i=1f;b=01;m=1;t=2;x=3";
        let check = |next, expected| assert_eq!(missing(last, next), expected, "{next:?}");
        check(Some(last), Missing::Nothing);
        // The last one is gone, and nothing that was not read.
        check(Some("s=c946;i=20;b=01;m=1;t=2;x=3"), Missing::Nothing);
        check(Some("s=c946;i=30;b=02;m=1;t=2;x=3"), Missing::Entries(16));
        check(Some("s=48b0;i=20;b=02;m=1;t=2;x=3"), Missing::Unknown);
        check(Some("s=c946;i=1e;b=01;m=1;t=2;x=3"), Missing::Unknown);
        check(Some("no cursor"), Missing::Unknown);
        check(None, Missing::Unknown);
        assert_eq!(missing(BEGINNING, Some(last)), Missing::Nothing);
        assert_eq!(missing(BEGINNING, None), Missing::Nothing);
    }
}
