//! The span that a question is about, and the sets that it is answered in.

use cost_model::{Accumulate, Calendar, Step, Window};
use datafusion::{
    common::ScalarValue,
    logical_expr::{Expr, col, lit},
};
use lake::{Resolution, schema::allocations};

use super::rows;
use crate::warm::Days;

/// The most steps in one question: an answer has an entry for each, empty ones included.
pub(crate) const MOST_STEPS: u64 = 100_000;

/// The span that a question is about, and the sets that it is to be answered in.
#[derive(Clone, Debug)]
pub(crate) struct Sets {
    /// In whole steps.
    window: Window,
    step: Step,
    /// In order of time, next to each other.
    windows: Vec<Window>,
    /// Whether a set may hold several steps.
    accumulated: bool,
}

/// More sets than an answer may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the window holds {found} steps of {step}, allowed are {MOST_STEPS}: ask for a shorter window or a longer step"
)]
pub(crate) struct TooManySteps {
    found: u64,
    step: Step,
}

impl Sets {
    /// Cuts the window into steps of the calendar, and adds `per_set` of them up to a set, unless `accumulate` says
    /// which.
    pub(crate) fn new(
        window: Window,
        step: Step,
        accumulate: Accumulate,
        per_set: usize,
        calendar: Calendar,
    ) -> Result<Self, TooManySteps> {
        let found = window.step_count(step, calendar);
        if found > MOST_STEPS {
            return Err(TooManySteps { found, step });
        }
        let window = window.align(step, calendar);
        let steps: Vec<Window> = window.steps(step, calendar).collect();
        let windows: Vec<Window> = if accumulate == Accumulate::None {
            let sets = steps.chunks(per_set.max(1));
            sets.filter_map(|steps| steps.iter().copied().reduce(Window::hull))
                .collect()
        } else {
            let mut windows: Vec<Window> = steps
                .into_iter()
                .map(|step| accumulate.bucket(step, window, calendar))
                .collect();
            windows.dedup();
            windows
        };
        Ok(Self {
            window,
            step,
            windows,
            accumulated: accumulate != Accumulate::None || per_set > 1,
        })
    }

    pub(crate) fn windows(&self) -> &[Window] {
        &self.windows
    }

    pub(crate) fn accumulated(&self) -> bool {
        self.accumulated
    }

    pub(crate) fn window(&self) -> Window {
        self.window
    }

    /// How long a step is.
    pub(crate) fn step_hours(&self) -> f64 {
        self.step.duration().num_seconds() as f64 / 3600.0
    }

    pub(crate) fn resolution(&self) -> Resolution {
        match self.step {
            Step::Hour => Resolution::Hour,
            Step::Day => Resolution::Day,
        }
    }

    /// The number of the set that a window which starts at this time (microseconds) falls into.
    pub(crate) fn number_of(&self, start: i64) -> usize {
        let after = self
            .windows
            .partition_point(|set| set.start().timestamp_micros() <= start);
        after.saturating_sub(1)
    }

    /// The set's number, computed from the start of a row's window.
    pub(crate) fn column(&self) -> Expr {
        let starts = self.windows.iter().map(|set| set.start().timestamp_micros()).collect();
        rows::set_of(col(allocations::WINDOW_START), starts)
    }

    /// Tells rows of the window from others of the same days; none when all are of it.
    pub(super) fn holds(&self) -> Option<Expr> {
        // A daily row is of one day, and what is read is cut by days of UTC already.
        if self.step == Step::Day && self.window == self.window.align(Step::Day, Calendar::utc()) {
            return None;
        }
        let micros = |time: chrono::DateTime<chrono::Utc>| {
            lit(ScalarValue::TimestampMicrosecond(
                Some(time.timestamp_micros()),
                Some("UTC".into()),
            ))
        };
        Some(
            col(allocations::WINDOW_START)
                .gt_eq(micros(self.window.start()))
                .and(col(allocations::WINDOW_START).lt(micros(self.window.end()))),
        )
    }

    /// The days whose rows may be asked about.
    pub(crate) fn days(&self) -> Days {
        // A window that ends at midnight does not reach into the day that begins there.
        let last = self.window.end() - chrono::TimeDelta::microseconds(1);
        self.window.start().date_naive()..=last.date_naive()
    }
}
