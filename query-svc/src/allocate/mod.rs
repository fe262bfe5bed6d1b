//! What is done with allocations once the plan has added them up per step: it is linear in those sums, so it needs
//! no second look at the rows.

mod add;

use std::collections::BTreeMap;

use cost_model::Window;
use fedcost_proto::query::v1::Allocation;

use crate::plan::Sets;

/// Adds up allocations over time, in the order in which they come: that of their steps.
pub(crate) struct Accumulator<'a> {
    sets: &'a Sets,
    answer: Vec<Accumulated>,
}

/// A set under construction.
#[derive(Default)]
struct Accumulated {
    /// The steps that held anything.
    covered: Option<Window>,
    allocations: BTreeMap<String, Allocation>,
}

impl<'a> Accumulator<'a> {
    pub(crate) fn new(sets: &'a Sets) -> Self {
        let answer = sets.windows().iter().map(|_| Accumulated::default()).collect();
        Self { sets, answer }
    }

    /// Adds an allocation of a step.
    pub(crate) fn add(&mut self, step: usize, allocation: Allocation) {
        let Some((window, set)) = self.sets.step(step) else {
            return;
        };
        let Some(accumulated) = self.answer.get_mut(set) else {
            return;
        };
        accumulated.covered = Some(accumulated.covered.map_or(window, |covered| covered.hull(window)));
        match accumulated.allocations.get_mut(&allocation.name) {
            Some(sum) => add::add(sum, allocation),
            None => {
                accumulated.allocations.insert(allocation.name.clone(), allocation);
            }
        }
    }

    /// The sets, each in order of names. An accumulated set covers the steps that held anything: the reference
    /// leaves out empty ones.
    pub(crate) fn finish(self) -> impl Iterator<Item = (Window, Vec<Allocation>)> {
        let windows = self.sets.windows();
        let accumulated = self.sets.accumulated();
        self.answer.into_iter().zip(windows).map(move |(set, window)| {
            let window = if accumulated {
                set.covered.unwrap_or(*window)
            } else {
                *window
            };
            (window, set.allocations.into_values().collect())
        })
    }
}
