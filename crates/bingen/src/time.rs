//! Moments and windows of time.

use std::fmt;

/// Seconds from 0001-01-01T00:00:00Z, where Go's time starts, to the Unix epoch.
pub(crate) const UNIX_EPOCH_SINCE_YEAR_ONE: i64 = 62_135_596_800;

const NANOS_PER_SECOND: u32 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// A moment in UTC, to the nanosecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
}

impl Timestamp {
    /// 0001-01-01T00:00:00Z, which the reference uses for "no time".
    pub const UNSET: Self = Self {
        seconds: -UNIX_EPOCH_SINCE_YEAR_ONE,
        nanos: 0,
    };

    /// The moment `seconds` after 1970-01-01T00:00:00Z.
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self { seconds, nanos: 0 }
    }

    /// The moment `seconds` and `nanos` after 1970-01-01T00:00:00Z, or none when `nanos` is a second or more.
    pub const fn new(seconds: i64, nanos: u32) -> Option<Self> {
        if nanos < NANOS_PER_SECOND {
            Some(Self { seconds, nanos })
        } else {
            None
        }
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, below zero before it.
    pub const fn unix_seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after [`unix_seconds`](Self::unix_seconds), below a thousand million.
    pub const fn subsecond_nanos(self) -> u32 {
        self.nanos
    }

    /// Whether this is [`UNSET`](Self::UNSET).
    pub fn is_unset(self) -> bool {
        self == Self::UNSET
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::UNSET
    }
}

/// As RFC 3339 in UTC, such as `2026-03-04T00:00:00Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_date(self.seconds.div_euclid(SECONDS_PER_DAY));
        let second = self.seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            formatter,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        if self.nanos != 0 {
            write!(formatter, ".{:09}", self.nanos)?;
        }
        formatter.write_str("Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Year, month and day of the proleptic Gregorian calendar, `days` after 1970-01-01.
fn civil_date(days: i64) -> (i64, i64, i64) {
    // Years are counted from March, so that the leap day is the last of its year, in eras of 400 years.
    const DAYS_PER_ERA: i64 = 146_097;
    const MARCH_OF_YEAR_ZERO: i64 = 719_468;
    let days = days + MARCH_OF_YEAR_ZERO;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// A half-open span of time `[start, end)`; an absent bound is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Window {
    /// The first moment inside.
    pub start: Option<Timestamp>,
    /// The first moment after.
    pub end: Option<Timestamp>,
}

impl Window {
    /// The window from `start` to `end`, both in Unix seconds.
    pub const fn from_unix_seconds(start: i64, end: i64) -> Self {
        Self {
            start: Some(Timestamp::from_unix_seconds(start)),
            end: Some(Timestamp::from_unix_seconds(end)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_rfc_3339() {
        let cases = [
            (Timestamp::from_unix_seconds(1_772_582_400), "2026-03-04T00:00:00Z"),
            (Timestamp::from_unix_seconds(951_782_399), "2000-02-28T23:59:59Z"),
            (Timestamp::from_unix_seconds(951_868_799), "2000-02-29T23:59:59Z"),
            (Timestamp::from_unix_seconds(-1), "1969-12-31T23:59:59Z"),
            (Timestamp::new(0, 5_000_000).unwrap(), "1970-01-01T00:00:00.005000000Z"),
            (Timestamp::UNSET, "0001-01-01T00:00:00Z"),
        ];
        for (timestamp, text) in cases {
            assert_eq!(timestamp.to_string(), text);
        }
    }

    #[test]
    fn prints_the_farthest_moments_without_overflow() {
        for seconds in [i64::MIN, i64::MAX] {
            assert!(!Timestamp::from_unix_seconds(seconds).to_string().is_empty());
        }
    }

    #[test]
    fn refuses_a_whole_second_of_nanos() {
        assert_eq!(Timestamp::new(0, 1_000_000_000), None);
    }
}
