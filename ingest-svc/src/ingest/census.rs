//! Figures on the quality of the data of a file, kept with it: what the diagnostics of clusters are made of.

use std::collections::{BTreeMap, HashMap};

use bingen::{AllocationRecord, AssetDetails, AssetRecord, Symbol};

use super::FileWindow;

const SECONDS_PER_HOUR: f64 = 3600.0;

/// Counts the containers of an allocation file.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// How often each container occurs, by namespace, pod and name.
    containers: HashMap<[Symbol; 3], u64>,
    /// The same, also by the node's id at the provider.
    with_ids: HashMap<[Symbol; 4], u64>,
    with_labels: u64,
    with_annotations: u64,
    without_node: u64,
}

impl Census {
    pub(super) fn count(&mut self, record: &AllocationRecord) {
        let properties = &record.properties;
        if properties.container == Symbol::EMPTY || properties.pod == Symbol::EMPTY {
            return;
        }
        let name = [properties.namespace, properties.pod, properties.container];
        let [namespace, pod, container] = name;
        *self.containers.entry(name).or_default() += 1;
        let with_id = [namespace, pod, container, properties.provider_id];
        *self.with_ids.entry(with_id).or_default() += 1;
        self.with_labels += u64::from(!properties.labels.is_empty());
        self.with_annotations += u64::from(!properties.annotations.is_empty());
        self.without_node += u64::from(properties.node == Symbol::EMPTY);
    }

    pub(super) fn figures(&self) -> BTreeMap<String, f64> {
        named([
            ("containers", self.containers.values().sum::<u64>() as f64),
            ("containers_with_labels", self.with_labels as f64),
            ("containers_with_annotations", self.with_annotations as f64),
            ("containers_without_node", self.without_node as f64),
            ("container_duplicates", repeated(self.containers.values())),
            ("container_duplicates_with_id", repeated(self.with_ids.values())),
        ])
    }
}

/// Counts the nodes of an asset file.
#[derive(Debug, Default)]
pub(super) struct AssetCensus {
    /// How often each node occurs, by its name.
    nodes: HashMap<Symbol, u64>,
    core_hours: f64,
    node_cost: f64,
}

impl AssetCensus {
    pub(super) fn count(&mut self, record: &AssetRecord) {
        if let AssetDetails::Node(node) = &record.details {
            let name = record.properties.unwrap_or_default().name;
            *self.nodes.entry(name).or_default() += 1;
            self.core_hours += finite(node.cpu_core_hours);
            self.node_cost += finite(record.total_cost());
        }
    }

    pub(super) fn figures(&self, window: FileWindow) -> BTreeMap<String, f64> {
        let hours = (window.end - window.start).as_seconds_f64() / SECONDS_PER_HOUR;
        named([
            ("nodes", self.nodes.values().sum::<u64>() as f64),
            ("node_duplicates", repeated(self.nodes.values())),
            ("cores", self.core_hours / hours),
            ("node_cost", self.node_cost),
        ])
    }
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

/// How many there are beyond one of each.
fn repeated<'a>(counts: impl Iterator<Item = &'a u64>) -> f64 {
    counts.map(|count| count - 1).sum::<u64>() as f64
}

fn named<const N: usize>(figures: [(&str, f64); N]) -> BTreeMap<String, f64> {
    figures.map(|(name, figure)| (name.to_owned(), figure)).into()
}
