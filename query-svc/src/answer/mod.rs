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

/// An item of a set, as it was read from a row.
pub(crate) struct Row<T> {
    /// The set's number.
    set: usize,
    /// The window of the files that it comes from.
    window: Option<Window>,
    item: T,
}

/// Items that are told in which window they are.
pub(crate) trait Item {
    fn name(&self) -> &str;
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

/// Puts items into their sets, in order of their names.
///
/// A set that sums up several steps covers those that hold anything (the reference leaves out empty ones), a set of
/// one step that step, and each item has its set's window.
pub(crate) fn into_sets<T: Item>(sets: &Sets, rows: Vec<Row<T>>) -> Vec<Set<T>> {
    let mut answer: Vec<Set<T>> = sets
        .windows()
        .iter()
        .map(|window| Set {
            window: *window,
            items: Vec::new(),
        })
        .collect();
    let mut covered: Vec<Option<Window>> = vec![None; answer.len()];
    for row in rows {
        let Some(set) = answer.get_mut(row.set) else {
            continue;
        };
        set.items.push(row.item);
        if let Some(window) = row.window {
            let hull = covered[row.set].map_or(window, |covered| covered.hull(window));
            covered[row.set] = Some(hull);
        }
    }
    for (set, covered) in answer.iter_mut().zip(covered) {
        if sets.accumulated() {
            set.window = covered.unwrap_or(set.window);
        }
        set.items.sort_by(|a, b| a.name().cmp(b.name()));
        let window = window_message(set.window);
        for item in &mut set.items {
            item.set_window(window);
        }
    }
    answer
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
