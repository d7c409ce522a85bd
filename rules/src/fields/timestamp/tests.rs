use proptest::prelude::*;

use super::*;

/// Reads each text, as UTC where it has no zone, and compares with RFC 3339.
fn check(read: impl Fn(&[u8]) -> Option<Timestamp>, cases: &[(&str, Option<&str>)]) {
    for (text, expected) in cases {
        let found = read(text.as_bytes()).map(|time| time.to_string());
        assert_eq!(found.as_deref(), *expected, "{text}");
    }
}

fn with_format(format: &'static str, near: Option<&str>) -> impl Fn(&[u8]) -> Option<Timestamp> {
    let near = near.map(|near| near.parse().unwrap());
    let assume = Assume {
        zone: Zone::UTC,
        near,
    };
    move |text| by_format(format, text, assume)
}

#[test]
fn reads_the_time_of_access_logs() {
    check(
        access,
        &[
            ("21/Nov/2026:09:00:00 +0000", Some("2026-11-21T09:00:00Z")),
            ("21/Nov/2026:09:00:00 +0130", Some("2026-11-21T07:30:00Z")),
            ("31/Dec/2026:23:30:00 -0530", Some("2027-01-01T05:00:00Z")),
            ("29/Feb/2024:00:00:00 +0000", Some("2024-02-29T00:00:00Z")),
            ("31/Dec/2016:23:59:60 +0000", Some("2016-12-31T23:59:59Z")),
            ("29/Feb/2026:00:00:00 +0000", None),
            ("00/Nov/2026:09:00:00 +0000", None),
            ("21/Nov/2026:24:00:00 +0000", None),
            ("21/Nov/2026:09:00:61 +0000", None),
            ("21/Nov/2026:09:00:00 +2400", None),
            ("21/Nov/2026:09:00:00 +0060", None),
            ("21/Nov/2026:09:00:00", None),
            ("21/Nov/2026:09:00:00 +0000 ", None),
            ("21/nov/2026:09:00:00 +0000", None),
            ("1/Nov/2026:09:00:00 +0000", None),
            ("", None),
        ],
    );
}

#[test]
fn reads_rfc_3339_and_what_is_taken_for_it() {
    check(
        |text| iso(text, Zone::UTC),
        &[
            ("2026-11-21T09:00:00Z", Some("2026-11-21T09:00:00Z")),
            ("2026-11-21t09:00:00z", Some("2026-11-21T09:00:00Z")),
            (
                "2026-11-21T10:00:00.25+01:00",
                Some("2026-11-21T09:00:00.25Z"),
            ),
            ("2026-11-21 09:00:00", Some("2026-11-21T09:00:00Z")),
            ("2026-11-21 09:00:00,123", Some("2026-11-21T09:00:00.123Z")),
            ("2026/11/21 09:00:00", Some("2026-11-21T09:00:00Z")),
            ("2026-11-21 04:00:00 -0500", Some("2026-11-21T09:00:00Z")),
            (
                "2026-11-21 09:00:00.5 +0000 UTC",
                Some("2026-11-21T09:00:00.5Z"),
            ),
            ("2026-11-21T09:00:00+00", Some("2026-11-21T09:00:00Z")),
            (
                "2026-11-21T09:00:00.1234567899Z",
                Some("2026-11-21T09:00:00.123456789Z"),
            ),
            ("2026-02-30T09:00:00Z", None),
            ("2026-13-01T09:00:00Z", None),
            ("2026-11/21T09:00:00Z", None),
            ("2026-11-21T09:00:00.Z", None),
            ("2026-11-21T09:00:00 ", None),
            ("2026-11-21T09:00:00Zzz", None),
            ("2026-11-21T09:00:00+0100 UTC", None),
            ("2026-11-21", None),
            ("0001-01-01T00:00:00Z", None),
            ("0000-00-00 00:00:00", None),
            ("1677-12-31T23:59:59Z", None),
            ("1678-01-01T00:00:00Z", Some("1678-01-01T00:00:00Z")),
        ],
    );
    let late = iso(b"9999-12-31T23:59:59Z", Zone::UTC);
    assert_eq!(late, Some(Timestamp::MAX));
}

#[test]
fn a_time_without_a_zone_is_in_the_assumed_one() {
    let berlin = Zone::east(3600).unwrap();
    let read = |text: &str| iso(text.as_bytes(), berlin).unwrap().to_string();
    assert_eq!(read("2026-11-21 09:00:00"), "2026-11-21T08:00:00Z");
    assert_eq!(read("2026-11-21 09:00:00Z"), "2026-11-21T09:00:00Z");
    assert_eq!(Zone::east(86_400), None);
}

#[test]
fn tells_the_units_of_epoch_times_apart() {
    check(
        epoch,
        &[
            ("1795251600", Some("2026-11-21T09:00:00Z")),
            ("1795251600.25", Some("2026-11-21T09:00:00.25Z")),
            ("1795251600250", Some("2026-11-21T09:00:00.25Z")),
            ("1795251600250.5", Some("2026-11-21T09:00:00.2505Z")),
            ("1795251600250000", Some("2026-11-21T09:00:00.25Z")),
            (
                "1795251600250000001",
                Some("2026-11-21T09:00:00.250000001Z"),
            ),
            ("0.032", None),
            ("60", None),
            ("-1795251600", None),
            ("1795251600.", None),
            ("1795251600.x", None),
            ("17952516001795251600", None),
            ("", None),
        ],
    );
}

#[test]
fn reads_what_a_format_says() {
    check(
        with_format("%d.%m.%Y %H:%M:%S", None),
        &[
            ("21.11.2026 09:00:00", Some("2026-11-21T09:00:00Z")),
            ("30.02.2026 09:00:00", None),
            ("21.11.2026", None),
            ("21.11.2026 09:00:00 ", None),
        ],
    );
    check(
        with_format("%d/%b/%Y %H:%M:%S%.f %z", None),
        &[(
            "21/Nov/2026 10:00:00.5 +0100",
            Some("2026-11-21T09:00:00.5Z"),
        )],
    );
    check(
        with_format("%s", None),
        &[("1795251600", Some("2026-11-21T09:00:00Z"))],
    );
    check(
        with_format("%s.%f", None),
        &[("1795251600.25", Some("2026-11-21T09:00:00.25Z"))],
    );
    check(
        with_format("%Y-%m-%d", None),
        &[("2026-11-21", Some("2026-11-21T00:00:00Z"))],
    );
    check(with_format("%H:%M", None), &[("09:00", None)]);
}

#[test]
fn a_time_without_a_year_takes_the_latest_that_is_not_after_what_it_is_near() {
    let format = "%b %e %H:%M:%S";
    check(
        with_format(format, Some("2027-01-02T00:00:00Z")),
        &[
            ("Dec 31 23:59:59", Some("2026-12-31T23:59:59Z")),
            ("Jan  2 00:00:01", Some("2027-01-02T00:00:01Z")),
            ("Jan  2 23:59:59", Some("2027-01-02T23:59:59Z")),
            ("Feb 29 00:00:00", None),
        ],
    );
    check(
        with_format(format, Some("2026-12-31T12:00:00Z")),
        &[
            ("Jan  1 00:00:00", Some("2027-01-01T00:00:00Z")),
            ("Jan  2 00:00:00", Some("2026-01-02T00:00:00Z")),
            ("Feb 29 00:00:00", None),
        ],
    );
    check(
        with_format(format, Some("2028-03-01T12:00:00Z")),
        &[
            ("Feb 29 00:00:00", Some("2028-02-29T00:00:00Z")),
            ("Mar 31 00:00:00", Some("2027-03-31T00:00:00Z")),
        ],
    );
    check(with_format(format, None), &[("Dec 31 23:59:59", None)]);
}

#[test]
fn a_format_that_reads_no_time_is_found_out() {
    for format in [
        "%Y-%m-%d %H:%M:%S",
        "%d/%b/%Y:%T %z",
        "%b %e %T",
        "%s",
        "%Y%m%d",
        "%Y-%m-%dT%H:%M:%S%.fZ",
        "%s.%f",
    ] {
        assert_eq!(check_time_format(format), Ok(()), "{format}");
    }
    for format in [
        "",
        "time",
        "%H:%M:%S",
        "%Y",
        "%Y-%m",
        "%!",
        "%",
        "%Y-%m-%d %Z",
    ] {
        assert!(check_time_format(format).is_err(), "{format}");
    }
}

proptest! {
    #[test]
    fn agrees_with_jiff_on_every_second_there_is(seconds in -9_214_560_000i64..9_214_560_000, east in -86_399i32..=86_399) {
        let offset = jiff::tz::Offset::from_seconds(east - east % 60).unwrap();
        let time = offset.to_datetime(jiff::Timestamp::from_second(seconds).unwrap());
        let iso_text = format!("{}{}", time.strftime("%Y-%m-%dT%H:%M:%S"), sign(east));
        let access_text = format!("{} {}", time.strftime("%d/%b/%Y:%H:%M:%S"), sign(east));
        if time.year() >= 1678 {
            prop_assert_eq!(any_shape(iso_text.as_bytes(), Assume::default()), Some(Timestamp::from_secs(seconds)));
            prop_assert_eq!(any_shape(access_text.as_bytes(), Assume::default()), Some(Timestamp::from_secs(seconds)));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(text: Vec<u8>, format in "(%[a-zA-Z.]|[ :/-]){0,6}") {
        let near = Some(Timestamp::MAX);
        any_shape(&text, Assume::default());
        by_format(&format, &text, Assume { zone: Zone::UTC, near });
    }

    #[test]
    fn no_near_miss_makes_it_panic(text in "[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}[.,]?[0-9]{0,12}[Z+ -]?[0-9:]{0,6}") {
        any_shape(text.as_bytes(), Assume::default());
    }
}

fn sign(east: i32) -> String {
    let minutes = east.abs() / 60;
    let sign = if east < 0 { '-' } else { '+' };
    format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
}
