//! Idle cost: what nodes cost beyond what is allocated of them, by resource, for each window and place.

use cost_model::{AllocationFilter, LabelAliases, aggregation::Workload};
use cost_plan::dictionary::{Code, Dictionary, EMPTY};
use rustc_hash::FxHashMap;

use super::totals::{Allocated, Available, Resources};
use crate::plan::{Factors, Place};

/// Idle cost of a window and place.
#[derive(Clone, Debug)]
pub(super) struct Idle {
    pub(super) place: Place,
    /// Name of the node; [`EMPTY`] for a cluster of several.
    pub(super) node: Code,
    pub(super) cost: Resources,
    /// Microseconds.
    pub(super) start: i64,
    pub(super) end: i64,
}

/// What rows of a place cost.
#[derive(Clone, Copy, Debug, Default)]
struct PlaceCost {
    /// All of them: what idle is shared among.
    all: Resources,
    /// Of pods: what idle is the rest of.
    mounted: Resources,
    /// What the filter leaves, and what is shared, which it does not apply to.
    left: Resources,
}

/// Idle cost of each place, and how it is distributed there.
#[derive(Debug, Default)]
pub(super) struct IdleCosts {
    idle: Vec<Idle>,
    places: FxHashMap<Place, PlaceCost>,
}

impl IdleCosts {
    /// Idle is what is available less what is allocated to pods. It may be negative, where nodes are overcommitted.
    pub(super) fn new(allocated: &[Allocated], available: &[Available]) -> Self {
        let mut places: FxHashMap<Place, PlaceCost> = FxHashMap::default();
        for rows in allocated {
            let place = places.entry(rows.place).or_default();
            place.all.add(rows.resources);
            if !rows.unmounted {
                place.mounted.add(rows.resources);
            }
            if rows.matches || rows.is_shared() {
                place.left.add(rows.resources);
            }
        }
        let idle = available.iter().map(|available| {
            let allocated = places.get(&available.place).copied().unwrap_or_default();
            Idle {
                place: available.place,
                node: available.node,
                cost: available.resources.zip(allocated.mounted, |have, used| have - used),
                start: available.start,
                end: available.end,
            }
        });
        Self {
            idle: idle.collect(),
            places,
        }
    }

    fn all(&self, place: &Place) -> Resources {
        self.places.get(place).map(|place| place.all).unwrap_or_default()
    }

    /// Idle cost per allocated cost, by resource: what a row's cost is multiplied by to give its part of the idle cost.
    pub(super) fn factors(&self) -> [Factors; 3] {
        let parts: Vec<(Place, Resources)> = self.idle.iter().map(|idle| (idle.place, self.per_cost(idle))).collect();
        let of = |resource: fn(&Resources) -> f64| parts.iter().map(|(place, part)| (*place, resource(part))).collect();
        [of(|part| part.cpu), of(|part| part.gpu), of(|part| part.ram)]
    }

    fn per_cost(&self, idle: &Idle) -> Resources {
        let all = self.all(&idle.place);
        idle.cost.zip(all, |idle, all| if all > 0.0 { idle / all } else { 0.0 })
    }

    /// The part of idle cost that falls to these rows.
    pub(super) fn part_of(&self, rows: &Allocated) -> Resources {
        // There is one entry per place, in their order.
        match self.idle.binary_search_by_key(&rows.place, |idle| idle.place) {
            Ok(at) => self
                .per_cost(&self.idle[at])
                .zip(rows.resources, |factor, cost| factor * cost),
            Err(_) => Resources::default(),
        }
    }

    /// Idle as items of its own. What the filter drops takes its part of the idle cost along: of each place's idle
    /// remains, per resource, what remains of the cost that it would have been shared by.
    pub(super) fn separate(&self, filtered: bool) -> Vec<Idle> {
        let mut idle = self.idle.clone();
        if filtered {
            for item in &mut idle {
                if let Some(cost) = self.places.get(&item.place) {
                    let left = cost
                        .left
                        .zip(cost.all, |left, all| if all > 0.0 { left / all } else { 0.0 });
                    item.cost = item.cost.zip(left, |cost, left| cost * left);
                }
            }
        }
        idle
    }

    /// What is left where idle is shared but nobody used the resource, of places that pass the filter.
    pub(super) fn undistributed(
        &self,
        filter: &AllocationFilter,
        dictionary: &Dictionary,
        aliases: &LabelAliases,
    ) -> Vec<Idle> {
        let names = dictionary.read();
        let undistributed = self.idle.iter().filter_map(|idle| {
            let cost = idle.cost.zip(
                self.all(&idle.place),
                |cost, all| {
                    if cost > 0.0 && all == 0.0 { cost } else { 0.0 }
                },
            );
            let workload = Workload {
                cluster: names.text_of(idle.place.cluster),
                node: names.text_of(idle.node),
                provider_id: names.text_of(idle.node),
                ..Workload::default()
            };
            (cost.sum() > 0.0 && filter.matches(&workload, &[], aliases)).then(|| Idle { cost, ..idle.clone() })
        });
        undistributed.collect()
    }
}

/// An idle item of an answer.
#[derive(Clone, Debug)]
pub(crate) struct IdleItem {
    pub(crate) set: usize,
    /// [`EMPTY`] when it is of several.
    pub(crate) cluster: Code,
    /// The same.
    pub(crate) node: Code,
    /// Its name.
    pub(crate) name: String,
    pub(crate) cpu_cost: f64,
    pub(crate) gpu_cost: f64,
    pub(crate) ram_cost: f64,
    /// Microseconds.
    pub(crate) start: i64,
    pub(crate) end: i64,
}

impl IdleItem {
    fn add(&mut self, other: &Self) {
        let agree = |present: &mut Code, next: Code| {
            if *present != next {
                *present = EMPTY;
            }
        };
        agree(&mut self.cluster, other.cluster);
        agree(&mut self.node, other.node);
        self.cpu_cost += other.cpu_cost;
        self.gpu_cost += other.gpu_cost;
        self.ram_cost += other.ram_cost;
        self.start = self.start.min(other.start);
        self.end = self.end.max(other.end);
    }
}

/// Adds idle up to items: over the windows of each set, and, unless they are to be split, over all places.
pub(super) fn items(
    idle: &[Idle],
    by_node: bool,
    split: bool,
    set_of: impl Fn(i64) -> usize,
    dictionary: &Dictionary,
) -> Vec<IdleItem> {
    use cost_model::naming::IDLE;
    let names = dictionary.read();
    let mut items: std::collections::BTreeMap<(usize, String), IdleItem> = std::collections::BTreeMap::new();
    for idle in idle {
        let name = match (split, by_node) {
            (false, _) => IDLE.to_owned(),
            (true, false) => format!("{}/{IDLE}", names.text_of(idle.place.cluster)),
            (true, true) => {
                let (cluster, node) = (names.text_of(idle.place.cluster), names.text_of(idle.place.node));
                format!("{cluster}/{node}/{IDLE}")
            }
        };
        let item = IdleItem {
            set: set_of(idle.place.window),
            cluster: idle.place.cluster,
            node: idle.node,
            name: name.clone(),
            cpu_cost: idle.cost.cpu,
            gpu_cost: idle.cost.gpu,
            ram_cost: idle.cost.ram,
            start: idle.start,
            end: idle.end,
        };
        items
            .entry((item.set, name))
            .and_modify(|present| present.add(&item))
            .or_insert(item);
    }
    items.into_values().collect()
}
