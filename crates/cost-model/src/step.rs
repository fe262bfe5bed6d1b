//! The length of the sets that a question is answered from.

use std::fmt;

use chrono::TimeDelta;

use crate::{ParameterError, calendar::Unit};

const TAKES: &str = "1h or 1d (longer sets: accumulate=week, month, quarter or all)";

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
    /// Reads the parameter `step`.
    ///
    /// # Errors
    /// [`ParameterError::Malformed`] for anything but an hour or a day.
    pub fn parse(text: &str) -> Result<Self, ParameterError> {
        match text.trim().to_ascii_lowercase().as_str() {
            "1h" | "60m" | "hour" => Ok(Self::Hour),
            "1d" | "24h" | "day" => Ok(Self::Day),
            _ => Err(ParameterError::Malformed {
                parameter: "step",
                got: text.to_owned(),
                takes: TAKES,
            }),
        }
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
    fn reads_hours_and_days_and_says_what_it_takes() {
        for (text, step) in [
            ("1h", Step::Hour),
            ("1D", Step::Day),
            ("24h", Step::Day),
            ("60m", Step::Hour),
        ] {
            assert_eq!(Step::parse(text).unwrap(), step, "{text}");
        }
        for text in ["", "1w", "2d", "fortnight"] {
            let message = Step::parse(text).unwrap_err().to_string();
            assert_eq!(message, format!("parameter step got {text:?}; it takes {TAKES}"));
        }
    }
}
