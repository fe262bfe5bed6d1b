//! The language of the parameter `window`.

use chrono::{DateTime, Datelike, TimeDelta, Utc};

use super::Window;
use crate::{Calendar, ParameterError, calendar::Unit};

const PARAMETER: &str = "window";
const TAKES: &str = "15m, 24h, 7d or 2w, optionally with an offset (7d offset 1d); today, yesterday, week, month, \
                     lastweek or lastmonth; or two Unix seconds or RFC 3339 times joined by a comma";

// Four digits is what RFC 3339 can write, and so what an answer can say.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

/// Reads the parameter `window`.
///
/// Relative windows end with the unit that `now` is in, today for `7d` and for `2w`, so that `Nd` holds N daily
/// sets. `7d offset 1d` is the window of `7d`, earlier by a day. `week` and `month` begin with theirs and end with
/// the minute that `now` is in; what is asked about is not longer than what can be known.
///
/// # Errors
/// [`ParameterError`] when it is missing, in no known form, backwards, or beyond the years 1 to 9999.
pub fn parse(text: &str, now: DateTime<Utc>, calendar: Calendar) -> Result<Window, ParameterError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(ParameterError::Missing {
            parameter: PARAMETER,
            takes: TAKES,
        });
    }
    let malformed = || ParameterError::Malformed {
        parameter: PARAMETER,
        got: text.to_owned(),
        takes: TAKES,
    };
    let window = match text.split_once(',') {
        Some((start, end)) => {
            let start = instant(start).ok_or_else(malformed)?;
            let end = instant(end).ok_or_else(malformed)?;
            Window::new(start, end).ok_or_else(|| ParameterError::Backwards {
                parameter: PARAMETER,
                got: text.to_owned(),
            })?
        }
        None => named(text, now, calendar)
            .or_else(|| relative(text, now, calendar))
            .ok_or_else(malformed)?,
    };
    if YEARS.contains(&window.start.year()) && YEARS.contains(&window.end.year()) {
        Ok(window)
    } else {
        Err(malformed())
    }
}

fn instant(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return DateTime::from_timestamp(seconds, 0);
    }
    // An unescaped `+` of an offset arrives as a space.
    DateTime::parse_from_rfc3339(&text.replace(' ', "+"))
        .ok()
        .map(|time| time.to_utc())
}

fn named(text: &str, now: DateTime<Utc>, calendar: Calendar) -> Option<Window> {
    let before = |window: Window, unit| calendar.span(unit, window.start - TimeDelta::seconds(1));
    let until_now = |unit| Window::new(calendar.span(unit, now).start, calendar.span(Unit::Minute, now).end);
    match text {
        "today" => Some(calendar.span(Unit::Day, now)),
        "yesterday" => Some(before(calendar.span(Unit::Day, now), Unit::Day)),
        "week" => until_now(Unit::Week),
        "month" => until_now(Unit::Month),
        "lastweek" => Some(before(calendar.span(Unit::Week, now), Unit::Week)),
        "lastmonth" => Some(before(calendar.span(Unit::Month, now), Unit::Month)),
        _ => None,
    }
}

fn relative(text: &str, now: DateTime<Utc>, calendar: Calendar) -> Option<Window> {
    let (length, offset) = match text.split_once(" offset ") {
        Some((length, offset)) => (length, Some(offset)),
        None => (text, None),
    };
    let (length, unit) = duration(length)?;
    let end = calendar.span(unit, now).end;
    let window = Window::new(end.checked_sub_signed(length)?, end)?;
    match offset {
        Some(offset) => window.earlier(duration(offset)?.0),
        None => Some(window),
    }
}

/// `15m`, `24h`, `7d` or `2w`: how long, and the unit that it ends with. The API's own words, of which a week ends
/// with a day.
fn duration(text: &str) -> Option<(TimeDelta, Unit)> {
    let text = text.trim();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let count: i64 = digits.parse::<u32>().ok()?.into();
    let (delta, unit) = match &text[digits.len()..] {
        "m" => (TimeDelta::try_minutes(count), Unit::Minute),
        "h" => (TimeDelta::try_hours(count), Unit::Hour),
        "d" => (TimeDelta::try_days(count), Unit::Day),
        "w" => (TimeDelta::try_weeks(count), Unit::Day),
        _ => return None,
    };
    Some((delta?, unit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // A Thursday.
    const NOW: &str = "2026-03-05T13:37:42Z";

    fn parse_at(text: &str, calendar: Calendar) -> Result<String, ParameterError> {
        let window = parse(text, NOW.parse().unwrap(), calendar)?;
        let short = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%S").to_string();
        Ok(format!("{} {}", short(window.start()), short(window.end())))
    }

    #[test]
    fn reads_every_form() {
        let cases = [
            ("15m", "2026-03-05T13:23:00 2026-03-05T13:38:00"),
            ("24h", "2026-03-04T14:00:00 2026-03-05T14:00:00"),
            ("1d", "2026-03-05T00:00:00 2026-03-06T00:00:00"),
            ("7d", "2026-02-27T00:00:00 2026-03-06T00:00:00"),
            ("2w", "2026-02-20T00:00:00 2026-03-06T00:00:00"),
            ("7d offset 1d", "2026-02-26T00:00:00 2026-03-05T00:00:00"),
            ("24h offset 30m", "2026-03-04T13:30:00 2026-03-05T13:30:00"),
            ("today", "2026-03-05T00:00:00 2026-03-06T00:00:00"),
            ("yesterday", "2026-03-04T00:00:00 2026-03-05T00:00:00"),
            ("week", "2026-03-01T00:00:00 2026-03-05T13:38:00"),
            ("month", "2026-03-01T00:00:00 2026-03-05T13:38:00"),
            ("lastweek", "2026-02-22T00:00:00 2026-03-01T00:00:00"),
            ("lastmonth", "2026-02-01T00:00:00 2026-03-01T00:00:00"),
            ("1772323200,1772409601", "2026-03-01T00:00:00 2026-03-02T00:00:01"),
            (
                "2026-03-01T00:00:00Z,2026-03-01T23:59:59Z",
                "2026-03-01T00:00:00 2026-03-01T23:59:59",
            ),
            (
                "2026-03-01T00:00:00+02:00,2026-03-02T00:00:00 02:00",
                "2026-02-28T22:00:00 2026-03-01T22:00:00",
            ),
            (
                "1970-01-01T00:00:00Z,1970-01-02T00:00:00Z",
                "1970-01-01T00:00:00 1970-01-02T00:00:00",
            ),
            (" 7d ", "2026-02-27T00:00:00 2026-03-06T00:00:00"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_at(text, Calendar::utc()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn an_offset_shifts_boundaries() {
        let west = Calendar::at("-07:00".parse().unwrap());
        let cases = [
            ("today", "2026-03-05T07:00:00 2026-03-06T07:00:00"),
            ("2d", "2026-03-04T07:00:00 2026-03-06T07:00:00"),
            ("lastmonth", "2026-02-01T07:00:00 2026-03-01T07:00:00"),
            ("1772323200,1772409600", "2026-03-01T00:00:00 2026-03-02T00:00:00"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_at(text, west).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn errors_name_the_parameter_what_it_got_and_what_it_takes() {
        let message = |text: &str| parse_at(text, Calendar::utc()).unwrap_err().to_string();
        assert!(message("  ").starts_with("parameter window is missing; it takes 15m, 24h, 7d or 2w"));
        for text in [
            "7x",
            "d",
            "-1d",
            "0d",
            "7 d offset",
            "7d offset",
            "7d offset x",
            "1.5d",
            "tomorrow",
            "1,",
            ",",
            "1,2,3",
            "2026-03-01,2026-03-02",
            "99999999999999999999d",
            "4294967295w",
            "2026-13-01T00:00:00Z,2026-03-02T00:00:00Z",
            "999999999999,9999999999999",
            "7d,today",
            "ß",
            "7ß",
        ] {
            assert!(
                message(text).starts_with(&format!("parameter window got {text:?}; it takes 15m")),
                "{text}"
            );
        }
        for text in [
            "2,1",
            "1772323200,1772323200",
            "2026-03-02T00:00:00Z,2026-03-01T00:00:00Z",
        ] {
            assert!(message(text).contains("ends no later than it starts"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_window_or_an_error(text in "\\PC{0,40}", seconds in 0_i64..4_000_000_000) {
            let now = DateTime::from_timestamp(seconds, 0).unwrap();
            if let Ok(window) = parse(&text, now, Calendar::utc()) {
                prop_assert!(window.start() < window.end());
            }
        }

        #[test]
        fn n_days_hold_n_daily_sets_up_to_today(days in 1_u32..1000, seconds in 1_000_000_000_i64..4_000_000_000) {
            let now = DateTime::from_timestamp(seconds, 0).unwrap();
            let window = parse(&format!("{days}d"), now, Calendar::utc()).unwrap();
            prop_assert_eq!(window.step_count(crate::Step::Day, Calendar::utc()), u64::from(days));
            prop_assert!(Calendar::utc().span(Unit::Day, now).end() == window.end());
        }
    }
}
