//! How sets are added up over time.

use std::fmt;

use crate::{Calendar, ParameterError, Step, Window, calendar::Unit, flag};

const TAKES: &str = "true, false, all, none, hour, day, week, month or quarter";

/// How sets are added up over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Accumulate {
    /// One set a step.
    #[default]
    None,
    /// One set for the whole window.
    All,
    /// One set an hour.
    Hour,
    /// One set a day.
    Day,
    /// One set a week, from Sunday on.
    Week,
    /// One set a calendar month.
    Month,
    /// One set a calendar quarter.
    Quarter,
}

impl Accumulate {
    /// Reads the value of `accumulate` or `accumulateBy`, whichever `parameter` names.
    ///
    /// # Errors
    /// [`ParameterError::Malformed`] for anything but a boolean or a span of the calendar.
    pub fn parse(parameter: &'static str, text: &str) -> Result<Self, ParameterError> {
        let text = text.trim();
        if let Some(all) = flag::parse(text) {
            return Ok(if all { Self::All } else { Self::None });
        }
        match text.to_ascii_lowercase().as_str() {
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            "hour" => Ok(Self::Hour),
            "day" => Ok(Self::Day),
            "week" => Ok(Self::Week),
            "month" => Ok(Self::Month),
            "quarter" => Ok(Self::Quarter),
            _ => Err(ParameterError::Malformed {
                parameter,
                got: text.to_owned(),
                takes: TAKES,
            }),
        }
    }

    /// Reads both parameters, where they are given; `accumulateBy` wins. None when neither is.
    ///
    /// # Errors
    /// As [`Accumulate::parse`].
    pub fn from_parameters(
        accumulate: Option<&str>,
        accumulate_by: Option<&str>,
    ) -> Result<Option<Self>, ParameterError> {
        match (accumulate_by, accumulate) {
            (Some(text), _) => Self::parse("accumulateBy", text).map(Some),
            (None, Some(text)) => Self::parse("accumulate", text).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The longest step whose sets add up to this: an hour's sets cannot be had of daily ones.
    pub fn longest_step(self) -> Step {
        match self {
            Self::Hour => Step::Hour,
            Self::None | Self::All | Self::Day | Self::Week | Self::Month | Self::Quarter => Step::Day,
        }
    }

    /// The window of the set that `set` is added to. `query` is the whole question's window, in whole steps: what
    /// of a week was not asked about is not in its set's window either.
    pub fn bucket(self, set: Window, query: Window, calendar: Calendar) -> Window {
        let unit = match self {
            Self::None => return set,
            Self::All => return query.hull(set),
            Self::Hour => Unit::Hour,
            Self::Day => Unit::Day,
            Self::Week => Unit::Week,
            Self::Month => Unit::Month,
            Self::Quarter => Unit::Quarter,
        };
        let asked = calendar.span(unit, set.start()).intersection(query).unwrap_or(set);
        // A set longer than the unit stays whole.
        asked.hull(set)
    }
}

impl fmt::Display for Accumulate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "none",
            Self::All => "all",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start: &str, end: &str) -> Window {
        let at = |day: &str| format!("{day}:00:00Z").parse().unwrap();
        Window::new(at(start), at(end)).unwrap()
    }

    #[test]
    fn reads_booleans_and_spans() {
        let cases = [
            ("true", Accumulate::All),
            ("1", Accumulate::All),
            ("False", Accumulate::None),
            ("all", Accumulate::All),
            ("none", Accumulate::None),
            ("Hour", Accumulate::Hour),
            ("day", Accumulate::Day),
            ("WEEK", Accumulate::Week),
            ("month", Accumulate::Month),
            ("quarter", Accumulate::Quarter),
        ];
        for (text, expected) in cases {
            assert_eq!(Accumulate::parse("accumulate", text).unwrap(), expected, "{text}");
            assert_eq!(
                Accumulate::parse("accumulate", &expected.to_string()).unwrap(),
                expected
            );
        }
        let error = Accumulate::from_parameters(Some("true"), Some("year")).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("parameter accumulateBy got \"year\"; it takes {TAKES}")
        );
    }

    #[test]
    fn accumulate_by_wins() {
        let read = |accumulate, by| Accumulate::from_parameters(accumulate, by).unwrap();
        assert_eq!(read(Some("true"), Some("day")), Some(Accumulate::Day));
        assert_eq!(read(Some("week"), None), Some(Accumulate::Week));
        assert_eq!(read(None, None), None);
    }

    #[test]
    fn a_set_goes_to_the_part_of_its_span_that_was_asked_about() {
        let query = window("2026-03-01T00", "2026-03-10T00");
        let day = window("2026-03-09T00", "2026-03-10T00");
        let hour = window("2026-03-09T06", "2026-03-09T07");
        let cases = [
            (Accumulate::None, day, day),
            (Accumulate::All, day, query),
            (Accumulate::Hour, hour, hour),
            (Accumulate::Hour, day, day),
            (Accumulate::Day, hour, day),
            (Accumulate::Week, day, window("2026-03-08T00", "2026-03-10T00")),
            (
                Accumulate::Week,
                window("2026-03-01T00", "2026-03-02T00"),
                window("2026-03-01T00", "2026-03-08T00"),
            ),
            (Accumulate::Month, hour, query),
            (Accumulate::Quarter, hour, query),
        ];
        for (accumulate, set, expected) in cases {
            assert_eq!(
                accumulate.bucket(set, query, Calendar::utc()),
                expected,
                "{accumulate} {set:?}"
            );
        }
    }
}
