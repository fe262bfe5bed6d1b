//! Boundaries of hours, days, weeks, months and quarters at a fixed offset from UTC.

use chrono::{
    DateTime, Datelike, Days, FixedOffset, Months, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, Utc,
};

use crate::Window;

/// A span of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// Seven days from a Sunday on.
    Week,
    /// A calendar month.
    Month,
    /// Three calendar months, from January, April, July or October on.
    Quarter,
}

/// Where days begin: midnight at an offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    offset: FixedOffset,
}

impl Calendar {
    /// Days that begin at midnight UTC.
    pub fn utc() -> Self {
        Self { offset: Utc.fix() }
    }

    /// Days that begin at midnight at `offset`.
    pub fn at(offset: FixedOffset) -> Self {
        Self { offset }
    }

    /// Where days begin, in seconds east of UTC.
    pub fn utc_offset_seconds(self) -> i32 {
        self.offset.local_minus_utc()
    }

    /// The span that `instant` falls into.
    pub fn span(self, unit: Unit, instant: DateTime<Utc>) -> Window {
        let local = instant.naive_utc() + self.offset_delta();
        let start = floor(unit, local);
        Window::from_bounds(self.utc_of(start), self.utc_of(next(unit, start)))
    }

    /// The latest boundary that is not after `instant`.
    pub fn floor(self, unit: Unit, instant: DateTime<Utc>) -> DateTime<Utc> {
        self.span(unit, instant).start()
    }

    /// The earliest boundary that is not before `instant`.
    pub fn ceil(self, unit: Unit, instant: DateTime<Utc>) -> DateTime<Utc> {
        let span = self.span(unit, instant);
        if span.start() == instant { instant } else { span.end() }
    }

    fn offset_delta(self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.offset.local_minus_utc()))
    }

    fn utc_of(self, local: NaiveDateTime) -> DateTime<Utc> {
        (local - self.offset_delta()).and_utc()
    }
}

impl Default for Calendar {
    fn default() -> Self {
        Self::utc()
    }
}

fn midnight(date: NaiveDate) -> NaiveDateTime {
    date.and_time(NaiveTime::MIN)
}

fn floor(unit: Unit, local: NaiveDateTime) -> NaiveDateTime {
    let date = local.date();
    let since_midnight = local - midnight(date);
    match unit {
        Unit::Minute => midnight(date) + TimeDelta::minutes(since_midnight.num_minutes()),
        Unit::Hour => midnight(date) + TimeDelta::hours(since_midnight.num_hours()),
        Unit::Day => midnight(date),
        Unit::Week => midnight(date - Days::new(u64::from(date.weekday().num_days_from_sunday()))),
        Unit::Month => midnight(first_of_month(date)),
        Unit::Quarter => midnight(first_of_month(date) - Months::new(date.month0() % 3)),
    }
}

fn next(unit: Unit, start: NaiveDateTime) -> NaiveDateTime {
    match unit {
        Unit::Minute => start + TimeDelta::minutes(1),
        Unit::Hour => start + TimeDelta::hours(1),
        Unit::Day => start + Days::new(1),
        Unit::Week => start + Days::new(7),
        Unit::Month => start + Months::new(1),
        Unit::Quarter => start + Months::new(3),
    }
}

fn first_of_month(date: NaiveDate) -> NaiveDate {
    date - Days::new(u64::from(date.day0()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn finds_the_span_of_an_instant() {
        let cases = [
            (
                Unit::Minute,
                "2026-03-05T13:37:42Z",
                "2026-03-05T13:37:00Z",
                "2026-03-05T13:38:00Z",
            ),
            (
                Unit::Hour,
                "2026-03-05T13:37:42Z",
                "2026-03-05T13:00:00Z",
                "2026-03-05T14:00:00Z",
            ),
            (
                Unit::Day,
                "2026-03-05T00:00:00Z",
                "2026-03-05T00:00:00Z",
                "2026-03-06T00:00:00Z",
            ),
            (
                Unit::Week,
                "2026-03-05T13:37:42Z",
                "2026-03-01T00:00:00Z",
                "2026-03-08T00:00:00Z",
            ),
            (
                Unit::Week,
                "2026-03-01T00:00:00Z",
                "2026-03-01T00:00:00Z",
                "2026-03-08T00:00:00Z",
            ),
            (
                Unit::Week,
                "2026-01-01T00:00:00Z",
                "2025-12-28T00:00:00Z",
                "2026-01-04T00:00:00Z",
            ),
            (
                Unit::Month,
                "2024-02-29T23:59:59Z",
                "2024-02-01T00:00:00Z",
                "2024-03-01T00:00:00Z",
            ),
            (
                Unit::Quarter,
                "2025-12-31T23:59:59Z",
                "2025-10-01T00:00:00Z",
                "2026-01-01T00:00:00Z",
            ),
            (
                Unit::Quarter,
                "1969-05-02T00:00:00Z",
                "1969-04-01T00:00:00Z",
                "1969-07-01T00:00:00Z",
            ),
        ];
        for (unit, instant, start, end) in cases {
            let span = Calendar::utc().span(unit, time(instant));
            assert_eq!(
                (span.start(), span.end()),
                (time(start), time(end)),
                "{unit:?} {instant}"
            );
        }
    }

    #[test]
    fn an_offset_shifts_boundaries() {
        let west = Calendar::at("-07:00".parse().unwrap());
        let span = west.span(Unit::Day, time("2026-03-05T06:59:59Z"));
        assert_eq!(span.start(), time("2026-03-04T07:00:00Z"));
        let india = Calendar::at("+05:30".parse().unwrap());
        let span = india.span(Unit::Week, time("2026-03-07T18:30:00Z"));
        assert_eq!(
            (span.start(), span.end()),
            (time("2026-03-07T18:30:00Z"), time("2026-03-14T18:30:00Z"))
        );
        assert_eq!(
            india.ceil(Unit::Day, time("2026-03-07T18:30:00Z")),
            time("2026-03-07T18:30:00Z")
        );
        assert_eq!(
            india.ceil(Unit::Day, time("2026-03-07T18:30:01Z")),
            time("2026-03-08T18:30:00Z")
        );
    }

    proptest! {
        #[test]
        fn spans_hold_their_instant_and_meet(
            seconds in -2_000_000_000_i64..4_000_000_000,
            offset in -50_400..50_400_i32,
            unit in prop::sample::select(vec![
                Unit::Minute, Unit::Hour, Unit::Day, Unit::Week, Unit::Month, Unit::Quarter,
            ]),
        ) {
            let calendar = Calendar::at(FixedOffset::east_opt(offset).unwrap());
            let instant = DateTime::from_timestamp(seconds, 0).unwrap();
            let span = calendar.span(unit, instant);
            prop_assert!(span.contains(instant));
            prop_assert_eq!(calendar.span(unit, span.start()), span);
            prop_assert_eq!(calendar.span(unit, span.end()).start(), span.end());
        }
    }
}
