//! Times of the day, week, month and year, as Alertmanager's `time_intervals` have them. What a
//! clock on the wall of `zone` shows counts, so that nine o'clock stays nine o'clock when clocks
//! change.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use jiff::Zoned;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::model::Timestamp;

/// An interval that a rule names.
pub type Times = Arc<TimeInterval>;

/// A named set of spans.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeInterval {
    /// Unique over all files.
    pub name: String,
    /// It holds when one of these does.
    pub spans: Vec<Span>,
}

/// Every part given must hold; an empty list is no condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Minutes of the day, from the first to before the second; at most 1,440.
    pub times: Vec<(u16, u16)>,
    /// 0 is Sunday.
    pub weekdays: Vec<RangeInclusive<i8>>,
    /// 1 to 31, or -1 for the last day to -31.
    pub days_of_month: Vec<RangeInclusive<i8>>,
    /// 1 to 12.
    pub months: Vec<RangeInclusive<i8>>,
    /// Of the calendar.
    pub years: Vec<RangeInclusive<i16>>,
    /// Whose clocks and calendars count.
    pub zone: TimeZone,
}

impl TimeInterval {
    /// Whether it is one of those times.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.spans.iter().any(|span| span.holds(at))
    }

    /// The next time after `at` at which [`TimeInterval::holds`] may change; it is never further
    /// away than the next midnight.
    pub fn next_change(&self, at: Timestamp) -> Timestamp {
        let changes = self.spans.iter().filter_map(|span| span.next_change(at));
        changes.min().unwrap_or_else(|| at.plus(FAR))
    }
}

/// Where no calendar says when to look again.
const FAR: Duration = Duration::from_hours(24);

fn zoned(at: Timestamp, zone: &TimeZone) -> Option<Zoned> {
    let at = jiff::Timestamp::from_nanosecond(i128::from(at.as_nanos())).ok()?;
    Some(at.to_zoned(zone.clone()))
}

fn timestamp(at: jiff::Timestamp) -> Timestamp {
    Timestamp::from_nanos(i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX))
}

fn one_of<T: PartialOrd>(ranges: &[RangeInclusive<T>], value: &T) -> bool {
    ranges.is_empty() || ranges.iter().any(|range| range.contains(value))
}

impl Span {
    fn holds(&self, at: Timestamp) -> bool {
        let Some(now) = zoned(at, &self.zone) else {
            return false;
        };
        let minute =
            u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs());
        let in_time =
            self.times.is_empty() || self.times.iter().any(|(a, b)| (*a..*b).contains(&minute));
        in_time
            && one_of(&self.weekdays, &now.weekday().to_sunday_zero_offset())
            && self.is_day_of_month(now.date())
            && one_of(&self.months, &now.month())
            && one_of(&self.years, &now.year())
    }

    /// Days that a month does not have are left out, as in Alertmanager: `29:31` begins with
    /// February's last day only where that is the 29th.
    fn is_day_of_month(&self, date: Date) -> bool {
        let last = date.days_in_month();
        let from_end = |day: i8| if day < 0 { last + day + 1 } else { day };
        let holds = |range: &RangeInclusive<i8>| {
            (from_end(*range.start())..=from_end(*range.end())).contains(&date.day())
        };
        self.days_of_month.is_empty() || self.days_of_month.iter().any(holds)
    }

    fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        let now = zoned(at, &self.zone)?;
        let today = now.date();
        let minutes = self.times.iter().flat_map(|(a, b)| [*a, *b]);
        let within_day = minutes
            .filter(|minute| *minute < 1_440)
            .filter_map(|minute| {
                let hour = i8::try_from(minute / 60).ok()?;
                let minute = i8::try_from(minute % 60).ok()?;
                Some(today.at(hour, minute, 0, 0))
            });
        let midnight = today.tomorrow().ok()?.at(0, 0, 0, 0);
        // Where clocks are set back, a time of day comes twice.
        let both = |time: jiff::civil::DateTime| {
            let ambiguous = || self.zone.to_ambiguous_timestamp(time);
            [ambiguous().earlier().ok(), ambiguous().later().ok()]
        };
        let times = within_day.chain([midnight]).flat_map(both).flatten();
        let clock_change = self.zone.following(now.timestamp()).next();
        let changes = times.chain(clock_change.map(|change| change.timestamp()));
        changes.map(timestamp).filter(|change| *change > at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(zone: &str) -> Span {
        let zone = match zone {
            "UTC" => TimeZone::UTC,
            // Berlin's rules since 1996.
            _ => TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap(),
        };
        Span {
            times: Vec::new(),
            weekdays: Vec::new(),
            days_of_month: Vec::new(),
            months: Vec::new(),
            years: Vec::new(),
            zone,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Walks through the changes from one time to another, and writes down where it begins to hold
    /// and where it ends.
    fn walk(span: Span, from: &str, to: &str) -> Vec<String> {
        let interval = TimeInterval {
            name: "x".into(),
            spans: vec![span],
        };
        let (mut now, end) = (at(from), at(to));
        let (mut held, mut edges) = (interval.holds(now), Vec::new());
        while now < end {
            let next = interval.next_change(now).min(end);
            assert!(next > now);
            // Nothing changes in between.
            let steps = u32::try_from(next.since(now).as_secs() / 60).unwrap();
            for minute in 0..steps {
                let between = now.plus(Duration::from_mins(1) * minute);
                assert_eq!(interval.holds(between), held, "{between}");
            }
            now = next;
            if now < end && interval.holds(now) != held {
                held = !held;
                edges.push(format!("{} {}", if held { "from" } else { "to" }, now));
            }
        }
        edges
    }

    #[test]
    fn office_hours_stay_office_hours_when_clocks_change() {
        let mut office = span("Berlin");
        office.times = vec![(9 * 60, 17 * 60)];
        office.weekdays = vec![1..=5];
        // Friday to Monday, with the change to summer time on Sunday.
        assert_eq!(
            walk(office, "2026-03-27T00:00:00Z", "2026-03-30T23:00:00Z"),
            [
                "from 2026-03-27T08:00:00Z",
                "to 2026-03-27T16:00:00Z",
                "from 2026-03-30T07:00:00Z",
                "to 2026-03-30T15:00:00Z"
            ]
        );
    }

    #[test]
    fn a_time_of_day_that_comes_twice_holds_twice_and_one_that_is_skipped_does_not_hold() {
        let mut night = span("Berlin");
        night.times = vec![(2 * 60 + 30, 3 * 60)];
        assert_eq!(
            walk(
                night.clone(),
                "2026-10-24T22:00:00Z",
                "2026-10-25T12:00:00Z"
            ),
            [
                "from 2026-10-25T00:30:00Z",
                "to 2026-10-25T01:00:00Z",
                "from 2026-10-25T01:30:00Z",
                "to 2026-10-25T02:00:00Z"
            ]
        );
        assert!(walk(night, "2026-03-28T23:00:00Z", "2026-03-29T12:00:00Z").is_empty());
    }

    #[test]
    fn days_are_counted_from_the_end_of_their_month_too() {
        let mut last = span("UTC");
        last.days_of_month = vec![-2..=-1];
        last.months = vec![2..=2];
        last.years = vec![2028..=2029];
        assert_eq!(
            walk(last, "2027-12-31T00:00:00Z", "2029-12-31T00:00:00Z"),
            [
                "from 2028-02-28T00:00:00Z",
                "to 2028-03-01T00:00:00Z",
                "from 2029-02-27T00:00:00Z",
                "to 2029-03-01T00:00:00Z"
            ]
        );
    }

    #[test]
    fn a_day_may_end_at_24_and_any_part_may_be_missing() {
        let mut late = span("UTC");
        late.times = vec![(22 * 60, 1_440), (0, 6 * 60)];
        assert_eq!(
            walk(late, "2026-11-21T12:00:00Z", "2026-11-22T12:00:00Z"),
            ["from 2026-11-21T22:00:00Z", "to 2026-11-22T06:00:00Z"]
        );
        assert!(walk(span("UTC"), "2026-11-21T12:00:00Z", "2026-11-22T12:00:00Z").is_empty());
    }
}
