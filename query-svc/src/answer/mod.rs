//! From the rows of a plan's result to the messages of an answer.

mod allocation;
mod asset;
mod columns;

use cost_model::Window;
use fedcost_proto::query::v1::{self as proto, Allocation, Asset};
use prost_types::Timestamp;

pub(crate) use allocation::allocations;
pub(crate) use asset::assets;

use crate::{allocate::Accumulator, plan::Sets};

/// A set of an answer.
#[derive(Debug)]
pub(crate) struct Set<T> {
    pub(crate) window: Window,
    pub(crate) items: Vec<T>,
}

/// An item as it was read from a row.
pub(crate) struct Row<T> {
    /// Number of its step, for allocations, or of its set, for assets.
    set: usize,
    /// The hull of the windows of the files that it comes from.
    window: Option<Window>,
    item: T,
}

/// Collects the rows of a result into sets.
pub(crate) trait Collect<'a, T> {
    /// For an answer in these sets.
    fn new(sets: &'a Sets) -> Self;

    /// Takes a row. Rows come in the order that the plan gives.
    fn push(&mut self, row: Row<T>);

    /// The sets, with items in order of their names, each told its set's window.
    fn finish(self) -> Vec<Set<T>>;
}

/// Collects allocations, which the plan adds up per step.
pub(crate) struct AllocationSets<'a>(Accumulator<'a>);

impl<'a> Collect<'a, Allocation> for AllocationSets<'a> {
    fn new(sets: &'a Sets) -> Self {
        Self(Accumulator::new(sets))
    }

    fn push(&mut self, row: Row<Allocation>) {
        self.0.add(row.set, row.item);
    }

    fn finish(self) -> Vec<Set<Allocation>> {
        let finish = |(window, mut items): (Window, Vec<Allocation>)| {
            for item in &mut items {
                item.window = Some(window_message(window));
            }
            Set { window, items }
        };
        self.0.finish().map(finish).collect()
    }
}

/// Collects assets, which the plan adds up per set.
pub(crate) struct AssetSets<'a> {
    sets: &'a Sets,
    /// The items of each set, and the hull of their windows.
    answer: Vec<(Option<Window>, Vec<Asset>)>,
}

impl<'a> Collect<'a, Asset> for AssetSets<'a> {
    fn new(sets: &'a Sets) -> Self {
        let answer = sets.windows().iter().map(|_| (None, Vec::new())).collect();
        Self { sets, answer }
    }

    fn push(&mut self, row: Row<Asset>) {
        let Some((covered, items)) = self.answer.get_mut(row.set) else {
            return;
        };
        *covered = covered.map_or(row.window, |covered| {
            Some(row.window.map_or(covered, |more| covered.hull(more)))
        });
        items.push(row.item);
    }

    fn finish(self) -> Vec<Set<Asset>> {
        let accumulated = self.sets.accumulated();
        let answer = self.answer.into_iter().zip(self.sets.windows());
        answer
            .map(|((covered, mut items), window)| {
                // As for allocations: an accumulated set covers the steps that held anything.
                let window = covered.filter(|_| accumulated).unwrap_or(*window);
                items.sort_by(|a, b| a.name.cmp(&b.name));
                for item in &mut items {
                    item.window = Some(window_message(window));
                }
                Set { window, items }
            })
            .collect()
    }
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
