use chrono::{DateTime, NaiveDate};
use proptest::prelude::*;

use super::*;

const NOV_22: Millis = 1_795_359_233_000; // 2026-11-22T14:53:53Z

fn utc() -> Dates {
    Dates::new(Zone::Fixed(0), NOV_22)
}

fn at(text: &str) -> Millis {
    DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
}

#[test]
fn stamps_are_read() {
    let cases = [
        ("22/Nov/2026:14:53:53 +0000", NOV_22),
        ("22/Nov/2026:14:53:53 +0330", NOV_22 - 12_600_000),
        ("22/Nov/2026:14:53:53 -0930", NOV_22 + 34_200_000),
        ("22/Nov/2026:14:53:53", NOV_22),
        ("22/Nov/2026:14:53:53.243", NOV_22 + 243),
        ("22/Nov/2026:14:53:53.243 +0000", NOV_22 + 243),
        ("2026-11-22T14:53:53+00:00", NOV_22),
        ("2026-11-22T14:53:53+0000", NOV_22),
        ("2026-11-22T14:53:53Z", NOV_22),
        ("2026-11-22T14:53:53.961850+00:00", NOV_22 + 961),
        ("2026-11-22 14:53:53", NOV_22),
        ("2026-11-22 14:53:53,5", NOV_22 + 500),
        ("2026-11-22T14:53:53.9", NOV_22 + 900),
        ("2026/11/22 14:53:53", NOV_22),
        ("Nov 22 14:53:53", NOV_22),
        ("Nov  2 14:53:53", NOV_22 - 20 * DAY),
        ("Nov 02 14:53:53", NOV_22 - 20 * DAY),
        ("1795359233", NOV_22),
        ("1795359233.243", NOV_22 + 243),
        ("1795359233.24", NOV_22 + 240),
        ("1795359233243", NOV_22 + 243),
        ("1795359233243567", NOV_22 + 243),
        ("1795359233243567891", NOV_22 + 243),
        ("0.5", 500),
    ];
    for (text, want) in cases {
        assert_eq!(utc().any(text.as_bytes()), Some(want), "{text}");
        let mut dates = utc();
        let _ = dates.any(text.as_bytes());
        assert_eq!(dates.any(text.as_bytes()), Some(want), "{text}, remembered");
    }
}

#[test]
fn what_is_no_date_is_refused() {
    let cases = [
        "",
        "-",
        "32/Nov/2026:14:53:53 +0000",
        "00/Nov/2026:14:53:53 +0000",
        "29/Feb/2026:14:53:53 +0000",
        "22/Nov/2026:24:53:53 +0000",
        "22/Nov/2026:14:60:53 +0000",
        "22/Nov/2026:14:53:60 +0000",
        "22/Nox/2026:14:53:53 +0000",
        "22/nov/2026:14:53:53 +0000",
        "22/Nov/2026:14:53:53 +00",
        "22/Nov/2026:14:53:5",
        "22/Nov/2026:14:53:53 0000",
        "22/Nov/2026:14:53:53 +2500",
        "22/Nov/2026:14:53:53 CET",
        "22/Nov/2026:14:53:53.",
        "2026-13-22T14:53:53Z",
        "2026-11-31T14:53:53Z",
        "2026-11-22_14:53:53Z",
        "2026/11-22 14:53:53",
        "2026-11-22",
        "2026-11-22T14:53:53X",
        "Nov 31 14:53:53",
        "Feb 30 14:53:53",
        "Nov22 14:53:53",
        "nov. 22 14:53:53",
        "17953592332435678911",
        "17953x9233",
        "1.2.3",
        "-5",
        ".5",
        "1.8e9",
    ];
    for text in cases {
        let accepted = utc().any(text.as_bytes());
        // `+00` is ISO 8601's short offset.
        assert_eq!(accepted.is_some(), text.ends_with(" +00"), "{text}");
    }
}

#[test]
fn a_remembered_minute_is_no_other() {
    let mut dates = utc();
    assert_eq!(dates.iso(b"2026-11-22 14:53:53"), Some(NOV_22));
    assert_eq!(dates.slashed(b"2026-11-22 14:53:53"), None);
    assert_eq!(dates.iso(b"2026-11-22 14:53:53+01:00"), Some(NOV_22 - HOUR));
    assert_eq!(dates.iso(b"2026-11-22 14:53:53"), Some(NOV_22));
    assert_eq!(dates.iso(b"2026-11-22 14:54:00"), Some(NOV_22 + 7_000));
}

#[test]
fn the_year_is_the_nearest() {
    let cases = [
        ("Dec 31 23:59:59", "2027-01-01T00:00:05Z", "2026-12-31T23:59:59Z"),
        ("Jan  1 00:00:01", "2026-12-31T23:59:59Z", "2027-01-01T00:00:01Z"),
        ("Feb 29 12:00:00", "2026-11-22T00:00:00Z", "2028-02-29T12:00:00Z"),
        ("Feb 29 12:00:00", "2025-03-01T00:00:00Z", "2024-02-29T12:00:00Z"),
        ("Feb 29 12:00:00", "2099-03-01T00:00:00Z", "2096-02-29T12:00:00Z"),
        ("Jul 14 12:00:00", "2026-07-14T12:00:00Z", "2026-07-14T12:00:00Z"),
    ];
    for (text, near, want) in cases {
        let mut dates = Dates::new(Zone::Fixed(0), at(near));
        assert_eq!(dates.rfc3164(text.as_bytes()), Some(at(want)), "{text} near {near}");
    }
}

#[test]
fn the_hour_that_comes_twice_takes_the_nearest_reading() {
    let zone = Zone::parse("Europe/Berlin").unwrap();
    // 25 October 2026, 03:00 CEST is 02:00 CET.
    let mut dates = Dates::new(zone, at("2026-10-25T00:29:59Z"));
    assert_eq!(dates.clf(b"25/Oct/2026:02:30:00"), Some(at("2026-10-25T00:30:00Z")));
    dates.set_near(at("2026-10-25T01:29:59Z"));
    assert_eq!(dates.clf(b"25/Oct/2026:02:30:00"), Some(at("2026-10-25T01:30:00Z")), "not remembered");
    // 29 March 2026, 02:00 CET is 03:00 CEST: a clock that was not moved went on.
    assert_eq!(dates.clf(b"29/Mar/2026:02:30:00"), Some(at("2026-03-29T01:30:00Z")));
    assert_eq!(dates.clf(b"22/Nov/2026:14:53:53.007"), Some(at("2026-11-22T13:53:53.007Z")));
    assert_eq!(dates.clf(b"22/Nov/2026:14:53:53 +0000"), Some(NOV_22), "its own zone wins");
}

#[test]
fn ambiguity_is_announced() {
    let saw = |stamp: &[u8], zone: &str| {
        let mut dates = Dates::new(Zone::parse(zone).unwrap(), 0);
        dates.any(stamp).unwrap();
        dates.saw_ambiguous()
    };
    assert!(saw(b"25/Oct/2026:02:30:00", "Europe/Berlin"));
    assert!(saw(b"2026-10-25 02:59:59.9", "Europe/Berlin"));
    assert!(!saw(b"25/Oct/2026:02:30:00 +0100", "Europe/Berlin"), "its own zone");
    assert!(!saw(b"25/Oct/2026:03:00:00", "Europe/Berlin"));
    assert!(!saw(b"25/Oct/2026:01:59:59", "Europe/Berlin"));
    assert!(!saw(b"29/Mar/2026:02:30:00", "Europe/Berlin"), "the hour that is skipped has one reading");
    assert!(!saw(b"25/Oct/2026:02:30:00", "UTC"));
}

#[test]
fn how_far_a_finished_file_was_read_decides_no_year() {
    let mut dates = Dates::new(Zone::parse("Europe/Berlin").unwrap(), at("2026-11-22T00:00:00Z"));
    dates.set_newest(at("2026-02-01T00:00:00Z"));
    assert_eq!(dates.rfc3164(b"Dec 31 12:00:00"), Some(at("2026-12-31T11:00:00Z")));
    dates.set_newest(at("2026-10-25T00:59:59Z"));
    assert_eq!(dates.clf(b"25/Oct/2026:02:00:00"), Some(at("2026-10-25T01:00:00Z")));
    dates.set_near(at("2026-02-01T00:00:00Z"));
    assert_eq!(
        dates.rfc3164(b"Dec 31 12:00:00"),
        Some(at("2025-12-31T11:00:00Z")),
        "one that is being written"
    );
}

#[test]
fn zones_have_names() {
    for name in ["UTC", "Europe/Berlin", "America/St_Johns", "+02:00", "-09:30"] {
        assert_eq!(Zone::parse(name).unwrap().to_string(), name);
    }
    assert_eq!(Zone::parse("-0930"), Some(Zone::Fixed(-34_200_000)));
    assert_eq!(Zone::parse("Europe/Berlim"), None);
    assert_eq!(Zone::parse(""), None);
}

proptest! {
    /// Read on elsewhere, the rest is dated as it would have been here.
    #[test]
    fn a_reading_goes_on_later(
        zone in prop::sample::select(vec!["America/New_York", "+05:30", "UTC"]),
        near in 1_700_000_000_000..1_900_000_000_000i64,
        newest in proptest::option::of(1_700_000_000_000..1_900_000_000_000i64),
        minutes in prop::collection::vec(0..180u32, 2..8),
        cut in 0usize..8,
    ) {
        let mut here = Dates::new(Zone::parse(zone).unwrap(), near);
        newest.into_iter().for_each(|newest| here.set_newest(newest));
        let mut there = None;
        for (i, minute) in minutes.iter().enumerate() {
            if i == cut {
                let saved = serde_json::to_vec(&here.dated()).unwrap();
                there = Some(Dates::going_on(&serde_json::from_slice(&saved).unwrap()));
            }
            let clock = format!("{:02}:{:02}:07", minute / 60, minute % 60);
            for text in [format!("2026-11-01 {clock}"), format!("01/Nov/2026:{clock}"), format!("Nov  1 {clock}")] {
                let found = here.any(text.as_bytes());
                if let Some(there) = &mut there {
                    prop_assert_eq!(there.any(text.as_bytes()), found);
                    prop_assert_eq!(there.dated(), here.dated());
                }
            }
        }
    }

    #[test]
    fn every_second_equals_chronos(secs in 0i64..7_000_000_000, millis in 0i64..1_000, zone in -18i32 * 4..18 * 4) {
        let utc_time = DateTime::from_timestamp_millis(secs * SECOND + millis).unwrap();
        let offset = chrono::FixedOffset::east_opt(zone * 900).unwrap();
        let local = utc_time.with_timezone(&offset);
        let mut dates = utc();
        for format in ["%d/%b/%Y:%H:%M:%S%.3f %z", "%Y-%m-%dT%H:%M:%S%.3f%:z", "%Y/%m/%d %H:%M:%S%.3f %z"] {
            let text = local.format(format).to_string();
            prop_assert_eq!(dates.any(text.as_bytes()), Some(secs * SECOND + millis), "{}", text);
        }
    }

    #[test]
    fn a_calendar_without_that_day_says_so(year in 1i32..9_999, month in 0u32..14, day in 0u32..33) {
        let want = NaiveDate::from_ymd_opt(year, month, day).and_then(|d| d.and_hms_opt(0, 0, 0));
        let got = days(year.into(), month.into(), day.into()).map(|d| d * DAY);
        prop_assert_eq!(got, want.map(|d| d.and_utc().timestamp_millis()));
    }

    #[test]
    fn random_bytes_never_panic(text in proptest::collection::vec(any::<u8>(), 0..40), near in any::<i64>()) {
        let mut dates = Dates::new(Zone::parse("America/New_York").unwrap(), near);
        let _ = dates.any(&text);
        let _ = (dates.clf(&text), dates.iso(&text), dates.slashed(&text), dates.rfc3164(&text), epoch(&text));
    }

    #[test]
    fn random_dates_never_panic(text in "[0-9]{2}/(Nov|Feb)/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2}", near in any::<i64>()) {
        let mut dates = Dates::new(Zone::parse("America/New_York").unwrap(), near);
        let _ = dates.clf(text.as_bytes());
        let _ = dates.rfc3164(b"Feb 29 01:02:03");
        dates.set_newest(near);
        let _ = dates.iso(b"2026-11-01 01:30:00");
    }
}

#[test]
fn a_header_says_how_far_east() {
    let mut dates = Dates::new(Zone::Named(chrono_tz::Europe::Berlin), 0);
    let text = b"22/Nov/2026:14:53:53.243";
    for _ in 0..2 {
        let utc = dates.clf_east(text, 0).unwrap();
        assert_eq!(dates.clf_east(text, 7_200_000), Some(utc - 7_200_000));
        assert_eq!(dates.clf(text), Some(utc - 3_600_000));
        assert_eq!(dates.clf_east(b"22/Nov/2026:14:53:53.243 +0100", 0), Some(utc - 3_600_000));
    }
}
