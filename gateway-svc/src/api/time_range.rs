//! The parameters that say which time a question is about: `window`, `step`, `accumulate` and `accumulateBy`.

use chrono::{DateTime, Utc};
use cost_model::{Accumulate, Calendar, ParameterError, Step, Window, window};
use fedcost_proto::query::v1 as proto;

use super::json::Time;
use crate::{
    error::ApiError,
    face::Face,
    parameters::{Parameter, Parameters, table},
};

/// Which time a question is about, and how it is cut into sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeRange {
    /// In whole steps.
    window: Window,
    step: Step,
    /// Steps in a set, where sets are not accumulated.
    steps_per_set: u32,
    accumulate: Accumulate,
    /// How many steps that is.
    steps: u64,
    calendar: Calendar,
}

impl TimeRange {
    pub(crate) fn read(
        parameters: &Parameters,
        face: Face,
        now: DateTime<Utc>,
        calendar: Calendar,
        most_sets: u64,
    ) -> Result<Self, ApiError> {
        Self::of(&table::WINDOW, parameters, face, now, calendar, most_sets)
    }

    /// Reads the time from another parameter than `window`.
    pub(crate) fn of(
        parameter: &'static Parameter,
        parameters: &Parameters,
        face: Face,
        now: DateTime<Utc>,
        calendar: Calendar,
        most_sets: u64,
    ) -> Result<Self, ApiError> {
        let text = parameters.get(parameter.name).ok_or_else(|| parameter.missing())?;
        let window = window::parse(text, now, calendar).map_err(|error| match error {
            ParameterError::Missing { .. } => parameter.missing(),
            ParameterError::Malformed { got, .. } => parameter.malformed(&got),
            ParameterError::Backwards { got, .. } => ParameterError::Backwards {
                parameter: parameter.name,
                got,
            },
            other @ (ParameterError::Conflict { .. }
            | ParameterError::Syntax { .. }
            | ParameterError::TooLong { .. }) => other,
        })?;
        let step = parameters.get("step").map(Step::parse).transpose()?;
        let accumulate = Accumulate::from_parameters(parameters.get("accumulate"), parameters.get("accumulateBy"))?;
        let accumulate = match (face, accumulate.unwrap_or_default(), step) {
            // OpenCost's step is the whole window unless one is given.
            (Face::OpenCost, Accumulate::None, None) => Accumulate::All,
            (_, accumulate, _) => accumulate,
        };
        let (step, steps_per_set) = match step {
            None => (accumulate.longest_step(), 1),
            Some((step, _)) if step > accumulate.longest_step() => {
                return Err(ApiError::Parameter(ParameterError::Conflict {
                    parameter: "step",
                    got: parameters.get("step").unwrap_or_default().to_owned(),
                    other: format!("accumulate={accumulate}"),
                    takes: "1h",
                }));
            }
            Some((step, count)) => (step, count.get()),
        };
        let steps = window.step_count(step, calendar);
        if steps > most_sets {
            return Err(ApiError::TooManySets {
                parameter: parameter.name,
                got: text.to_owned(),
                sets: steps,
                step,
                most: most_sets,
            });
        }
        Ok(Self {
            window: window.align(step, calendar),
            step,
            steps_per_set,
            accumulate,
            steps,
            calendar,
        })
    }

    /// The same time as one set.
    pub(crate) fn as_one_set(self) -> Self {
        Self {
            accumulate: Accumulate::All,
            ..self
        }
    }

    /// The window of the same length before this one; none when no calendar has it.
    pub(crate) fn before(self) -> Option<Self> {
        let start = self.window.start().checked_sub_signed(self.window.duration())?;
        let window = Window::new(start, self.window.start())?;
        Some(Self { window, ..self })
    }

    /// How many sets the answer has at most.
    pub(crate) fn most_sets(self) -> u64 {
        self.steps
    }

    pub(crate) fn window(self) -> proto::Window {
        proto::Window {
            start: Some(Time::to_message(self.window.start())),
            end: Some(Time::to_message(self.window.end())),
        }
    }

    pub(crate) fn step(self) -> proto::Step {
        match self.step {
            Step::Hour => proto::Step::Hour,
            Step::Day => proto::Step::Day,
        }
    }

    pub(crate) fn steps_per_set(self) -> u32 {
        self.steps_per_set
    }

    /// Where days begin, in seconds east of UTC.
    pub(crate) fn utc_offset_seconds(self) -> i32 {
        self.calendar.utc_offset_seconds()
    }

    pub(crate) fn accumulate(self) -> proto::Accumulate {
        match self.accumulate {
            Accumulate::None => proto::Accumulate::None,
            Accumulate::All => proto::Accumulate::All,
            Accumulate::Hour => proto::Accumulate::Hour,
            Accumulate::Day => proto::Accumulate::Day,
            Accumulate::Week => proto::Accumulate::Week,
            Accumulate::Month => proto::Accumulate::Month,
            Accumulate::Quarter => proto::Accumulate::Quarter,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(face: Face, query: &str) -> Result<TimeRange, ApiError> {
        let now = "2026-03-05T13:37:42Z".parse().unwrap();
        TimeRange::read(&Parameters::parse(query), face, now, Calendar::utc(), 1000)
    }

    #[test]
    fn the_faces_differ_in_what_nothing_means() {
        let cases = [
            (Face::Kubecost, "", Step::Day, Accumulate::None),
            (Face::Kubecost, "&accumulate=true", Step::Day, Accumulate::All),
            (
                Face::Kubecost,
                "&accumulate=true&accumulateBy=week",
                Step::Day,
                Accumulate::Week,
            ),
            (Face::Kubecost, "&step=1h&accumulate=day", Step::Hour, Accumulate::Day),
            (Face::Kubecost, "&accumulate=hour", Step::Hour, Accumulate::Hour),
            (Face::OpenCost, "", Step::Day, Accumulate::All),
            (Face::OpenCost, "&accumulate=false", Step::Day, Accumulate::All),
            (Face::OpenCost, "&step=1d", Step::Day, Accumulate::None),
            (
                Face::OpenCost,
                "&step=1h&accumulate=false",
                Step::Hour,
                Accumulate::None,
            ),
            (Face::OpenCost, "&step=1d&accumulate=true", Step::Day, Accumulate::All),
            (Face::OpenCost, "&accumulate=day", Step::Day, Accumulate::Day),
        ];
        for (face, query, step, accumulate) in cases {
            let range = read(face, &format!("window=7d{query}")).unwrap();
            assert_eq!((range.step, range.accumulate), (step, accumulate), "{face:?} {query}");
        }
    }

    #[test]
    fn partial_steps_are_widened() {
        let range = read(
            Face::Kubecost,
            "window=2026-03-01T00:00:00Z,2026-03-01T23:59:59Z&step=1h",
        )
        .unwrap();
        assert_eq!(range.most_sets(), 24);
        assert_eq!(
            range.window().end.unwrap().seconds - range.window().start.unwrap().seconds,
            86_400
        );
        assert_eq!(read(Face::Kubecost, "window=15m").unwrap().most_sets(), 1);
    }

    #[test]
    fn errors_name_the_parameter() {
        let cases = [
            ("", "parameter window is missing"),
            ("window=7d&step=90m", "parameter step got \"90m\""),
            ("window=7d&accumulate=year", "parameter accumulate got \"year\""),
            (
                "window=7d&step=1d&accumulate=hour",
                "parameter step got \"1d\", which does not go with accumulate=hour",
            ),
            (
                "window=9999d&step=1h",
                "parameter window got \"9999d\", which is 239976 sets of 1h; it takes at most 1000",
            ),
        ];
        for (query, expected) in cases {
            let error = read(Face::Kubecost, query).unwrap_err();
            assert_eq!(error.status().as_u16(), 400);
            assert!(error.to_string().starts_with(expected), "{error}");
        }
    }
}
