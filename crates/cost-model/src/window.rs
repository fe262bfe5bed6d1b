//! Half-open spans of time, and every form in which a question may give one.

mod parse;

use chrono::{DateTime, TimeDelta, Utc};

pub use parse::parse;

use crate::{Calendar, Step};

/// A half-open span of time, `[start, end)`, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

impl Window {
    /// The span from `start` to `end`; none unless it starts before it ends.
    pub fn new(start: DateTime<Utc>, end: DateTime<Utc>) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }

    /// For bounds that are known to be in order.
    pub(crate) fn from_bounds(start: DateTime<Utc>, end: DateTime<Utc>) -> Self {
        debug_assert!(start < end, "{start} is not before {end}");
        Self { start, end }
    }

    /// First instant.
    pub fn start(self) -> DateTime<Utc> {
        self.start
    }

    /// One past the last instant.
    pub fn end(self) -> DateTime<Utc> {
        self.end
    }

    /// How long it is.
    pub fn duration(self) -> TimeDelta {
        self.end - self.start
    }

    /// True when `instant` is in it.
    pub fn contains(self, instant: DateTime<Utc>) -> bool {
        self.start <= instant && instant < self.end
    }

    /// What it has in common with `other`.
    pub fn intersection(self, other: Self) -> Option<Self> {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// The smallest span that holds both.
    pub fn hull(self, other: Self) -> Self {
        Self {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }

    /// The same length, earlier by `delta`; none beyond what times can hold.
    fn earlier(self, delta: TimeDelta) -> Option<Self> {
        Some(Self {
            start: self.start.checked_sub_signed(delta)?,
            end: self.end.checked_sub_signed(delta)?,
        })
    }

    /// Widened to whole steps of the calendar.
    pub fn align(self, step: Step, calendar: Calendar) -> Self {
        Self {
            start: calendar.floor(step.unit(), self.start),
            end: calendar.ceil(step.unit(), self.end),
        }
    }

    /// How many steps it touches.
    pub fn step_count(self, step: Step, calendar: Calendar) -> u64 {
        let whole = self.align(step, calendar).duration();
        (whole.num_seconds() / step.duration().num_seconds()).unsigned_abs()
    }

    /// Its steps in order of time, after widening it to whole ones.
    pub fn steps(self, step: Step, calendar: Calendar) -> impl Iterator<Item = Self> {
        let whole = self.align(step, calendar);
        let mut start = whole.start;
        std::iter::from_fn(move || {
            let window = Self::new(start, whole.end.min(start + step.duration()))?;
            start = window.end;
            Some(window)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(start: &str, end: &str) -> Window {
        Window::new(start.parse().unwrap(), end.parse().unwrap()).unwrap()
    }

    #[test]
    fn is_never_empty() {
        let instant: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().unwrap();
        assert_eq!(Window::new(instant, instant), None);
        let first = window("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z");
        let second = window("2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z");
        assert_eq!(first.intersection(second), None);
        assert_eq!(
            first.hull(second),
            window("2026-03-01T00:00:00Z", "2026-03-03T00:00:00Z")
        );
        assert!(!first.contains(first.end()));
    }

    #[test]
    fn partial_steps_are_widened_to_whole_ones() {
        let unaligned = window("2026-03-01T10:30:00Z", "2026-03-02T23:59:59Z");
        let steps: Vec<_> = unaligned.steps(Step::Day, Calendar::utc()).collect();
        assert_eq!(
            steps,
            [
                window("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
                window("2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"),
            ]
        );
        assert_eq!(unaligned.step_count(Step::Hour, Calendar::utc()), 38);
        let east = Calendar::at("+02:00".parse().unwrap());
        assert_eq!(
            unaligned.align(Step::Day, east),
            window("2026-02-28T22:00:00Z", "2026-03-03T22:00:00Z")
        );
    }

    proptest! {
        #[test]
        fn steps_tile_the_aligned_window(start in 0_i64..4_000_000_000, seconds in 1_i64..3_000_000, hourly: bool) {
            let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
            let window = Window::new(at(start), at(start + seconds)).unwrap();
            let step = if hourly { Step::Hour } else { Step::Day };
            let whole = window.align(step, Calendar::utc());
            let steps: Vec<_> = window.steps(step, Calendar::utc()).collect();
            prop_assert_eq!(steps.len() as u64, window.step_count(step, Calendar::utc()));
            prop_assert_eq!(steps[0].start(), whole.start());
            prop_assert_eq!(steps[steps.len() - 1].end(), whole.end());
            for pair in steps.windows(2) {
                prop_assert_eq!(pair[0].end(), pair[1].start());
            }
            prop_assert!(steps.iter().all(|each| each.duration() == step.duration()));
            prop_assert!(steps.iter().all(|each| each.intersection(window).is_some()));
        }
    }
}
