//! Allocations in columns.

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};

use crate::{
    NAME, SET,
    columns::{
        ColumnsError, Entries, MapColumn, NumberColumn, Ranges, Source, TextColumn, Texts, TextsColumn, TimeColumn,
        all_known,
    },
    items::{
        AssetShareColumns, AssetShares, LoadBalancerColumns, LoadBalancers, SharedCostColumns, SharedCosts,
        VolumeColumns, Volumes, columns_of, items_of,
    },
};

/// An allocation of an answer. What the fields mean, and their units, is as in the message `Allocation`.
#[expect(
    missing_docs,
    reason = "fields are called as the columns and the message's fields are"
)]
#[derive(Clone, Debug)]
pub struct AllocationRow<'a> {
    pub set: u32,
    pub name: &'a str,
    pub cluster: &'a str,
    pub node: &'a str,
    pub container: &'a str,
    pub controller: &'a str,
    pub controller_kind: &'a str,
    pub namespace: &'a str,
    pub pod: &'a str,
    pub services: Texts<'a>,
    pub provider_id: &'a str,
    pub labels: Entries<'a>,
    pub annotations: Entries<'a>,
    pub namespace_labels: Entries<'a>,
    pub namespace_annotations: Entries<'a>,
    pub start: Option<DateTime<Utc>>,
    pub end: Option<DateTime<Utc>>,
    pub cpu_core_hours: f64,
    pub cpu_core_request_average: f64,
    pub cpu_core_usage_average: f64,
    pub cpu_cost: f64,
    pub cpu_cost_adjustment: f64,
    pub gpu_hours: f64,
    pub gpu_request_average: f64,
    pub gpu_usage_average: f64,
    pub gpu_cost: f64,
    pub gpu_cost_adjustment: f64,
    pub network_transfer_bytes: f64,
    pub network_receive_bytes: f64,
    pub network_cost: f64,
    pub network_cross_zone_cost: f64,
    pub network_cross_region_cost: f64,
    pub network_internet_cost: f64,
    pub network_cost_adjustment: f64,
    pub load_balancer_cost: f64,
    pub load_balancer_cost_adjustment: f64,
    pub pv_cost_adjustment: f64,
    pub ram_byte_hours: f64,
    pub ram_byte_request_average: f64,
    pub ram_byte_usage_average: f64,
    pub ram_cost: f64,
    pub ram_cost_adjustment: f64,
    pub shared_cost: f64,
    pub external_cost: f64,
    /// Figures that exist only for a single container.
    pub maxima: Option<Maxima>,
    pub volumes: Volumes<'a>,
    pub load_balancers: LoadBalancers<'a>,
    pub shared_costs: SharedCosts<'a>,
    pub asset_shares: AssetShares<'a>,
}

/// Figures that exist only for a single container.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Maxima {
    /// Most cores used at once.
    pub cpu_core_usage: f64,
    /// Most bytes of memory used at once.
    pub ram_byte_usage: f64,
}

// In the order of `AllocationColumns::row`.
const NUMBERS: [&str; 27] = [
    "cpu_core_hours",
    "cpu_core_request_average",
    "cpu_core_usage_average",
    "cpu_cost",
    "cpu_cost_adjustment",
    "gpu_hours",
    "gpu_request_average",
    "gpu_usage_average",
    "gpu_cost",
    "gpu_cost_adjustment",
    "network_transfer_bytes",
    "network_receive_bytes",
    "network_cost",
    "network_cross_zone_cost",
    "network_cross_region_cost",
    "network_internet_cost",
    "network_cost_adjustment",
    "load_balancer_cost",
    "load_balancer_cost_adjustment",
    "pv_cost_adjustment",
    "ram_byte_hours",
    "ram_byte_request_average",
    "ram_byte_usage_average",
    "ram_cost",
    "ram_cost_adjustment",
    "shared_cost",
    "external_cost",
];

/// The columns of a batch of allocations.
#[derive(Clone, Debug)]
pub struct AllocationColumns<'a> {
    rows: usize,
    sets: &'a [u32],
    name: TextColumn<'a>,
    cluster: TextColumn<'a>,
    node: TextColumn<'a>,
    container: TextColumn<'a>,
    controller: TextColumn<'a>,
    controller_kind: TextColumn<'a>,
    namespace: TextColumn<'a>,
    pod: TextColumn<'a>,
    services: TextsColumn<'a>,
    provider_id: TextColumn<'a>,
    labels: MapColumn<'a>,
    annotations: MapColumn<'a>,
    namespace_labels: MapColumn<'a>,
    namespace_annotations: MapColumn<'a>,
    start: TimeColumn<'a>,
    end: TimeColumn<'a>,
    numbers: [NumberColumn<'a>; NUMBERS.len()],
    maxima: [NumberColumn<'a>; 2],
    volumes: Option<(Ranges<'a>, VolumeColumns<'a>)>,
    load_balancers: Option<(Ranges<'a>, LoadBalancerColumns<'a>)>,
    shared_costs: Option<(Ranges<'a>, SharedCostColumns<'a>)>,
    asset_shares: Option<(Ranges<'a>, AssetShareColumns<'a>)>,
}

impl<'a> AllocationColumns<'a> {
    /// Finds the columns of `batch`.
    ///
    /// # Errors
    /// [`ColumnsError`] when `set` or `name` is missing, or a column has another type than it must.
    pub fn new(batch: &'a RecordBatch) -> Result<Self, ColumnsError> {
        let source = Source::Batch(batch);
        Ok(Self {
            rows: batch.num_rows(),
            sets: source.set(SET)?,
            name: source.required_text(NAME)?,
            cluster: source.text("cluster")?,
            node: source.text("node")?,
            container: source.text("container")?,
            controller: source.text("controller")?,
            controller_kind: source.text("controller_kind")?,
            namespace: source.text("namespace")?,
            pod: source.text("pod")?,
            services: source.texts("services")?,
            provider_id: source.text("provider_id")?,
            labels: source.entries("labels")?,
            annotations: source.entries("annotations")?,
            namespace_labels: source.entries("namespace_labels")?,
            namespace_annotations: source.entries("namespace_annotations")?,
            start: source.time("start")?,
            end: source.time("end")?,
            numbers: source.numbers(NUMBERS)?,
            maxima: source.numbers(["cpu_core_usage_max", "ram_byte_usage_max"])?,
            volumes: columns_of(source, "volumes", VolumeColumns::new)?,
            load_balancers: columns_of(source, "load_balancers", LoadBalancerColumns::new)?,
            shared_costs: columns_of(source, "shared_costs", SharedCostColumns::new)?,
            asset_shares: columns_of(source, "asset_shares", AssetShareColumns::new)?,
        })
    }

    /// How many rows the batch has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of the set that `row` is of.
    pub fn set(&self, row: usize) -> u32 {
        self.sets[row]
    }

    /// A row of the batch.
    ///
    /// # Panics
    /// When the batch has no such row.
    pub fn row(&self, row: usize) -> AllocationRow<'_> {
        let namespace = self.namespace.get(row);
        // What members of several namespaces say of theirs says nothing of the aggregate.
        let of_namespace = |column: &MapColumn<'a>| match namespace {
            "" => Entries::none(),
            _ => column.get(row),
        };
        let [
            cpu_core_hours,
            cpu_core_request_average,
            cpu_core_usage_average,
            cpu_cost,
            cpu_cost_adjustment,
            gpu_hours,
            gpu_request_average,
            gpu_usage_average,
            gpu_cost,
            gpu_cost_adjustment,
            network_transfer_bytes,
            network_receive_bytes,
            network_cost,
            network_cross_zone_cost,
            network_cross_region_cost,
            network_internet_cost,
            network_cost_adjustment,
            load_balancer_cost,
            load_balancer_cost_adjustment,
            pv_cost_adjustment,
            ram_byte_hours,
            ram_byte_request_average,
            ram_byte_usage_average,
            ram_cost,
            ram_cost_adjustment,
            shared_cost,
            external_cost,
        ] = self.numbers.each_ref().map(|column| column.get(row));
        AllocationRow {
            set: self.sets[row],
            name: self.name.get(row),
            cluster: self.cluster.get(row),
            node: self.node.get(row),
            container: self.container.get(row),
            controller: self.controller.get(row),
            controller_kind: self.controller_kind.get(row),
            namespace,
            pod: self.pod.get(row),
            services: self.services.get(row),
            provider_id: self.provider_id.get(row),
            labels: self.labels.get(row),
            annotations: self.annotations.get(row),
            namespace_labels: of_namespace(&self.namespace_labels),
            namespace_annotations: of_namespace(&self.namespace_annotations),
            start: self.start.get(row),
            end: self.end.get(row),
            cpu_core_hours,
            cpu_core_request_average,
            cpu_core_usage_average,
            cpu_cost,
            cpu_cost_adjustment,
            gpu_hours,
            gpu_request_average,
            gpu_usage_average,
            gpu_cost,
            gpu_cost_adjustment,
            network_transfer_bytes,
            network_receive_bytes,
            network_cost,
            network_cross_zone_cost,
            network_cross_region_cost,
            network_internet_cost,
            network_cost_adjustment,
            load_balancer_cost,
            load_balancer_cost_adjustment,
            pv_cost_adjustment,
            ram_byte_hours,
            ram_byte_request_average,
            ram_byte_usage_average,
            ram_cost,
            ram_cost_adjustment,
            shared_cost,
            external_cost,
            maxima: all_known(&self.maxima, row).map(|[cpu_core_usage, ram_byte_usage]| Maxima {
                cpu_core_usage,
                ram_byte_usage,
            }),
            volumes: items_of(self.volumes.as_ref(), row),
            load_balancers: items_of(self.load_balancers.as_ref(), row),
            shared_costs: items_of(self.shared_costs.as_ref(), row),
            asset_shares: items_of(self.asset_shares.as_ref(), row),
        }
    }
}
