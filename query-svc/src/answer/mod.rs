//! From the rows of a plan's result to the messages of an answer.

mod allocation;
mod asset;
mod columns;

use cost_model::Window;
use fedcost_proto::query::v1::{self as proto, Allocation, Asset};
use prost_types::Timestamp;

pub(crate) use allocation::allocations;
pub(crate) use asset::assets;

use crate::plan::Sets;

/// A set of an answer.
#[derive(Debug)]
pub(crate) struct Set<T> {
    pub(crate) window: Window,
    pub(crate) items: Vec<T>,
}

/// An item as it was read from a row.
pub(crate) struct Row<T> {
    /// The set's number.
    set: usize,
    /// The hull of the windows of the files that it comes from.
    window: Option<Window>,
    item: T,
}

/// What a set holds.
pub(crate) trait Item {
    fn name(&self) -> &str;

    /// Tells the item its set's window.
    fn set_window(&mut self, window: proto::Window);
}

impl Item for Allocation {
    fn name(&self) -> &str {
        &self.name
    }

    fn set_window(&mut self, window: proto::Window) {
        self.window = Some(window);
    }
}

impl Item for Asset {
    fn name(&self) -> &str {
        &self.name
    }

    fn set_window(&mut self, window: proto::Window) {
        self.window = Some(window);
    }
}

/// Puts items into their sets, in order of their names. An accumulated set covers the steps that held anything, as the
/// reference leaves out empty ones; each item has its set's window.
pub(crate) fn into_sets<T: Item>(sets: &Sets, rows: Vec<Row<T>>) -> Vec<Set<T>> {
    let mut answer: Vec<(Option<Window>, Vec<T>)> = sets.windows().iter().map(|_| (None, Vec::new())).collect();
    for row in rows {
        if let Some((covered, items)) = answer.get_mut(row.set) {
            *covered = covered.iter().copied().chain(row.window).reduce(Window::hull);
            items.push(row.item);
        }
    }
    let answer = answer.into_iter().zip(sets.windows());
    answer
        .map(|((covered, mut items), window)| {
            let window = covered.filter(|_| sets.accumulated()).unwrap_or(*window);
            items.sort_by(|a, b| a.name().cmp(b.name()));
            for item in &mut items {
                item.set_window(window_message(window));
            }
            Set { window, items }
        })
        .collect()
}

pub(crate) fn window_message(window: Window) -> proto::Window {
    proto::Window {
        start: Some(timestamp(window.start().timestamp_micros())),
        end: Some(timestamp(window.end().timestamp_micros())),
    }
}

/// A time that is given in microseconds since the Unix epoch.
fn timestamp(micros: i64) -> Timestamp {
    Timestamp {
        seconds: micros.div_euclid(1_000_000),
        // Below 10^9.
        nanos: (micros.rem_euclid(1_000_000) * 1_000) as i32,
    }
}
