//! Durations as Go writes them: `90s`, `2m`, `1h30m`, `1.5s`, `250ms`.

use std::{str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, de};

/// Longest duration that makes sense in a configuration file. Keeps sums far from overflow.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Units and their length in seconds.
const UNITS: [(&str, f64); 10] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
    // Not Go's own, but known to the library that reads this file in the reference.
    ("d", 86_400.0),
    ("w", 604_800.0),
    ("y", 31_536_000.0),
];

/// A duration of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GoDuration(pub(crate) Duration);

/// The text is not a duration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration: write a number and a unit, such as 90s, 2m or 1h30m, at most a year")]
pub(crate) struct DurationError(String);

impl FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || DurationError(text.to_owned());
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let mut rest = text;
        let mut seconds = 0.0;
        while !rest.is_empty() {
            let digits = rest.find(|character: char| !character.is_ascii_digit() && character != '.');
            let (number, tail) = rest.split_at(digits.ok_or_else(error)?);
            let unit_end = tail
                .find(|character: char| character.is_ascii_digit())
                .unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit_end);
            let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(error)?;
            seconds += number.parse::<f64>().map_err(|_| error())? * unit;
            rest = tail;
        }
        match Duration::try_from_secs_f64(seconds) {
            Ok(duration) if duration <= LONGEST && !text.is_empty() => Ok(Self(duration)),
            _ => Err(error()),
        }
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_writes() {
        for (text, milliseconds) in [
            ("90s", 90_000),
            ("2m", 120_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            ("250ms", 250),
            ("0s", 0),
            ("0", 0),
        ] {
            assert_eq!(
                text.parse(),
                Ok(GoDuration(Duration::from_millis(milliseconds))),
                "{text}"
            );
        }
        for text in ["", "90", "s", "-1s", "1 s", "1x", "1.2.3s", "99999999h", "1e3s", "2mm"] {
            assert!(text.parse::<GoDuration>().is_err(), "{text:?}");
        }
    }
}
