//! `time_intervals:` of a rule file, as in Alertmanager → named intervals; and their names in rules.

use std::ops::RangeInclusive;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::Names;
use crate::language::reader::{Keys, Reader, Section, meant, shown};
use crate::language::yaml::Node;
use crate::mute::{Span, TimeInterval, Times};

pub(super) const INTERVAL_KEYS: Keys = Keys {
    of: "a time interval",
    known: &["name", "time_intervals"],
};
pub(super) const SPAN_KEYS: Keys = Keys {
    of: "an item of `time_intervals`",
    known: &[
        "times",
        "weekdays",
        "days_of_month",
        "months",
        "years",
        "location",
    ],
};
pub(super) const TIME_KEYS: Keys = Keys {
    of: "an item of `times`",
    known: &["start_time", "end_time"],
};

const WEEKDAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Reads the list into `names`; an item with an error is there all the same, so that a rule that
/// names it is not wrong for that.
pub(super) fn read(reader: &mut Reader, node: &Node, names: &mut Names<'_>) {
    for node in reader.list(node, "time_intervals") {
        let Some(section) = reader.section(node, INTERVAL_KEYS) else {
            continue;
        };
        let Some(name_node) = section.get("name") else {
            reader.error(
                "missing-key",
                section.place,
                "a time interval needs a `name`",
                None,
            );
            continue;
        };
        let Some(name) = reader.text(name_node, "name") else {
            continue;
        };
        let spans = section.get("time_intervals");
        let spans = spans.map_or(&[][..], |node| reader.list(node, "time_intervals"));
        let spans: Vec<Span> = spans
            .iter()
            .filter_map(|node| span(reader, node, names.known.zone))
            .collect();
        if spans.is_empty() {
            let help = "write `time_intervals: [{weekdays: [saturday, sunday]}]`".to_owned();
            let message = format!("the time interval `{name}` has no times");
            reader.error("missing-key", section.place, message, Some(help));
        }
        if let Some((first, _)) = names.times.get(name) {
            let message = format!(
                "a time interval named `{name}` stands already in {}, line {}",
                first.file, first.line
            );
            let help = Some("names are unique over all files".to_owned());
            reader.error("duplicate-name", &name_node.place, message, help);
            continue;
        }
        let interval = TimeInterval {
            name: name.to_owned(),
            spans,
        };
        let entry = (name_node.place.clone(), Arc::new(interval));
        names.times.insert(name.to_owned(), entry);
    }
}

/// The intervals that a rule names under `key`.
pub(super) fn named(
    reader: &mut Reader,
    section: &Section<'_>,
    key: &str,
    names: &Names<'_>,
) -> Vec<Times> {
    let Some(node) = section.get(key) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, node) in reader.text_nodes(node, key) {
        if let Some((_, interval)) = names.times.get(name) {
            found.push(Arc::clone(interval));
            continue;
        }
        let known = names.times.keys().map(String::as_str);
        let help = meant(name, known)
            .unwrap_or_else(|| "they stand under `time_intervals` beside `rules`".to_owned());
        let message = format!("there is no time interval `{name}`");
        reader.error("unknown-name", &node.place, message, Some(help));
    }
    found
}

type FindZone = Option<fn(&str) -> Option<TimeZone>>;

fn span(reader: &mut Reader, node: &Node, find_zone: FindZone) -> Option<Span> {
    let section = reader.section(node, SPAN_KEYS)?;
    let times = section
        .get("times")
        .map_or(&[][..], |node| reader.list(node, "times"));
    let times = times.iter().filter_map(|node| time(reader, node)).collect();
    let mut list = |key: &'static str, read: Read| {
        let nodes = section.get(key).map(|node| reader.text_nodes(node, key));
        let mut ranges = Vec::new();
        for (text, node) in nodes.unwrap_or_default() {
            match read(text) {
                Ok(found) => ranges.extend(found),
                Err(help) => {
                    let message = format!("`{}` means nothing in `{key}`", shown(node));
                    reader.error("bad-value", &node.place, message, Some(help.to_owned()));
                }
            }
        }
        ranges
    };
    let small = |ranges: Vec<RangeInclusive<i16>>| {
        let byte = |n: i16| i8::try_from(n).unwrap_or_default();
        let small = |range: RangeInclusive<i16>| byte(*range.start())..=byte(*range.end());
        ranges.into_iter().map(small).collect::<Vec<_>>()
    };
    let weekdays = small(list("weekdays", weekdays));
    let days_of_month = small(list("days_of_month", days));
    let months = small(list("months", months));
    let years = list("years", years);
    Some(Span {
        times,
        weekdays,
        days_of_month,
        months,
        years,
        zone: zone(reader, &section, find_zone),
    })
}

fn zone(reader: &mut Reader, section: &Section<'_>, find: FindZone) -> TimeZone {
    let node = section.get("location");
    let Some((name, node)) = node.and_then(|node| Some((reader.text(node, "location")?, node)))
    else {
        return TimeZone::UTC;
    };
    if name == "UTC" {
        return TimeZone::UTC;
    }
    find.and_then(|find| find(name)).unwrap_or_else(|| {
        let help = "write a name of the IANA database, such as Europe/Berlin".to_owned();
        let message = format!("there is no time zone `{}`", shown(node));
        reader.error("bad-value", &node.place, message, Some(help));
        TimeZone::UTC
    })
}

fn time(reader: &mut Reader, node: &Node) -> Option<(u16, u16)> {
    let section = reader.section(node, TIME_KEYS)?;
    let mut minute = |key: &str| {
        let Some(node) = section.get(key) else {
            let message = format!("an item of `times` needs `{key}`");
            let help = "write `{start_time: '09:00', end_time: '17:00'}`".to_owned();
            reader.error("missing-key", section.place, message, Some(help));
            return None;
        };
        let text = reader.text(node, key)?;
        let minute = minute_of(text);
        if minute.is_none() {
            let message = format!("`{key}` takes a time of day, and `{}` is none", shown(node));
            let help = "write hours and minutes in quotes, '00:00' to '24:00'".to_owned();
            reader.error("bad-value", &node.place, message, Some(help));
        }
        minute
    };
    let (start, end) = (minute("start_time"), minute("end_time"));
    let (start, end) = (start?, end?);
    if start >= end {
        let help = "write a time over midnight as two: one to '24:00', one from '00:00'".to_owned();
        let message = "`end_time` is not after `start_time`";
        reader.error("out-of-range", section.place, message, Some(help));
        return None;
    }
    Some((start, end))
}

/// `09:00` → 540.
fn minute_of(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |text: &str| -> Option<u16> {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten()
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= 1_440).then_some(minute)
}

/// `a:b` or `a` → ranges, or what to write instead.
type Read = fn(&str) -> Result<Vec<RangeInclusive<i16>>, &'static str>;

fn ends(text: &str) -> (&str, &str) {
    let (first, last) = text.split_once(':').unwrap_or((text, text));
    (first.trim(), last.trim())
}

/// The place of a word in a list; all of them have one.
fn place(words: &[&str], word: &str) -> Option<i16> {
    let word = word.to_ascii_lowercase();
    let index = words.iter().position(|known| *known == word)?;
    i16::try_from(index).ok()
}

/// From `first` to `last`, over the end of `all` where `last` comes before `first`.
fn around(first: i16, last: i16, all: RangeInclusive<i16>) -> Vec<RangeInclusive<i16>> {
    if first <= last {
        vec![first..=last]
    } else {
        vec![first..=*all.end(), *all.start()..=last]
    }
}

fn weekdays(text: &str) -> Result<Vec<RangeInclusive<i16>>, &'static str> {
    let (first, last) = ends(text);
    let both = place(&WEEKDAYS, first).zip(place(&WEEKDAYS, last));
    let (first, last) = both.ok_or("write `monday`, or `monday:friday`")?;
    Ok(around(first, last, 0..=6))
}

fn months(text: &str) -> Result<Vec<RangeInclusive<i16>>, &'static str> {
    let month = |text: &str| {
        let number = text.parse().ok().filter(|n| (1..=12).contains(n));
        number.or_else(|| place(&MONTHS, text).map(|n| n + 1))
    };
    let (first, last) = ends(text);
    let both = month(first).zip(month(last));
    let (first, last) = both.ok_or("write `may`, `5`, or `may:august`")?;
    Ok(around(first, last, 1..=12))
}

fn days(text: &str) -> Result<Vec<RangeInclusive<i16>>, &'static str> {
    const HELP: &str = "write `1`, `1:5`, or `-3:-1` for the last three days of the month";
    let day = |text: &str| -> Option<i16> {
        let day = text.parse().ok()?;
        (day != 0 && (-31..=31).contains(&day)).then_some(day)
    };
    let (first, last) = ends(text);
    let (first, last) = day(first).zip(day(last)).ok_or(HELP)?;
    let is_backwards = first.signum() == last.signum() && first > last;
    if is_backwards || first < 0 && last > 0 {
        return Err(HELP);
    }
    Ok(vec![first..=last])
}

fn years(text: &str) -> Result<Vec<RangeInclusive<i16>>, &'static str> {
    const HELP: &str = "write `2027`, or `2027:2029`";
    let year = |text: &str| text.parse().ok().filter(|n| (1970..=2262).contains(n));
    let (first, last) = ends(text);
    let (first, last) = year(first).zip(year(last)).ok_or(HELP)?;
    if first > last {
        return Err(HELP);
    }
    Ok(vec![first..=last])
}
