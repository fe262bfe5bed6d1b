//! The length of the sets that a question is answered from.

use std::{fmt, num::NonZeroU32};

use chrono::TimeDelta;

use crate::{ParameterError, calendar::Unit};

const TAKES: &str = "1h, 1d, 1w, or another duration of whole hours or days, such as 6h or 3d";

/// The length of a set before sets are added up over time, and so which files answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Hourly sets.
    Hour,
    /// Daily sets.
    #[default]
    Day,
}

impl Step {
    /// Reads the parameter `step`: what sets are made of, and how many of them are one set.
    ///
    /// # Errors
    /// [`ParameterError::Malformed`] for anything but a duration of whole hours or days.
    pub fn parse(text: &str) -> Result<(Self, NonZeroU32), ParameterError> {
        let length = match text.trim().to_ascii_lowercase().as_str() {
            "hour" => Ok(Self::Hour.duration()),
            "day" => Ok(Self::Day.duration()),
            "week" => Ok(TimeDelta::weeks(1)),
            text => humantime::parse_duration(text)
                .map_err(|_| ())
                .and_then(|length| TimeDelta::from_std(length).map_err(|_| ())),
        };
        let whole = |length: TimeDelta, step: Self| {
            let (seconds, each) = (length.num_seconds(), step.duration().num_seconds());
            let is_whole = length == TimeDelta::seconds(seconds) && seconds % each == 0;
            let count = is_whole.then(|| u32::try_from(seconds / each).ok()).flatten();
            Some((step, NonZeroU32::new(count?)?))
        };
        length
            .ok()
            .and_then(|length| whole(length, Self::Day).or_else(|| whole(length, Self::Hour)))
            .ok_or_else(|| ParameterError::Malformed {
                parameter: "step",
                got: text.to_owned(),
                takes: TAKES,
            })
    }

    /// The span of the calendar that a set covers.
    pub fn unit(self) -> Unit {
        match self {
            Self::Hour => Unit::Hour,
            Self::Day => Unit::Day,
        }
    }

    /// How long a set is.
    pub fn duration(self) -> TimeDelta {
        match self {
            Self::Hour => TimeDelta::hours(1),
            Self::Day => TimeDelta::days(1),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Hour => "1h",
            Self::Day => "1d",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_whole_hours_and_days_and_says_what_it_takes() {
        for (text, step, count) in [
            ("1h", Step::Hour, 1),
            ("1D", Step::Day, 1),
            ("24h", Step::Day, 1),
            ("60m", Step::Hour, 1),
            ("1w", Step::Day, 7),
            ("week", Step::Day, 7),
            ("36h", Step::Hour, 36),
            ("3d", Step::Day, 3),
            ("1.5d", Step::Hour, 36),
        ] {
            assert_eq!(
                Step::parse(text).unwrap(),
                (step, NonZeroU32::new(count).unwrap()),
                "{text}"
            );
        }
        for text in ["", "0d", "90m", "1", "-1d", "fortnight", "99999999999d"] {
            let message = Step::parse(text).unwrap_err().to_string();
            assert_eq!(message, format!("parameter step got {text:?}; it takes {TAKES}"));
        }
    }
}
