//! What was allocated in each window and place, and what there was to allocate.
//!
//! These sums are few, whatever the question: idle cost and what is shared follow from them.

use std::collections::BTreeSet;

use arrow::{
    array::{ArrayRef, AsArray as _, Float64Array, RecordBatch},
    compute::cast,
    datatypes::{DataType, Float64Type, TimestampMicrosecondType, UInt32Type},
};
use cost_model::AllocationFilter;
use cost_plan::{
    aggregate::Input,
    dictionary::{Code, EMPTY},
};
use datafusion::{
    error::{DataFusionError, Result},
    functions_aggregate::expr_fn::{max, min, sum},
    logical_expr::{Expr, col, lit, when},
};
use lake::{
    TableName,
    schema::{allocations, assets},
};

use super::share::sharing_name;
use crate::{
    plan::{CPU_COST, GPU_COST, Place, PlaceKind, RAM_COST, Reader, Rows, UNSHARED_COST, filter_columns, sum_of},
    question::AllocationQuestion,
};

/// Costs of the resources that a node has.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Resources {
    pub(super) cpu: f64,
    pub(super) gpu: f64,
    pub(super) ram: f64,
}

impl Resources {
    pub(super) fn sum(self) -> f64 {
        self.cpu + self.gpu + self.ram
    }

    /// Each resource's result of both.
    pub(super) fn zip(self, other: Self, combine: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            cpu: combine(self.cpu, other.cpu),
            gpu: combine(self.gpu, other.gpu),
            ram: combine(self.ram, other.ram),
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        *self = self.zip(other, |a, b| a + b);
    }
}

/// Costs that an allocation may have beside those of [`Resources`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OtherCosts {
    pub(super) pv: f64,
    pub(super) pv_adjustment: f64,
    pub(super) network: f64,
    pub(super) load_balancer: f64,
    pub(super) external: f64,
    /// What agents have shared already.
    pub(super) shared: f64,
}

impl OtherCosts {
    pub(super) fn sum(self) -> f64 {
        let Self {
            pv,
            pv_adjustment,
            network,
            load_balancer,
            external,
            shared,
        } = self;
        pv + pv_adjustment + network + load_balancer + external + shared
    }
}

/// What was allocated in a window and place by rows that are alike in these respects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allocated {
    pub(super) place: Place,
    /// Code of what the rows are shared as; [`EMPTY`] when they are not shared.
    pub(super) shared_as: Code,
    /// Whether they are of no pod.
    pub(super) unmounted: bool,
    /// Whether they pass the filter.
    pub(super) matches: bool,
    pub(super) resources: Resources,
    pub(super) other: OtherCosts,
}

impl Allocated {
    pub(super) fn is_shared(&self) -> bool {
        self.shared_as != EMPTY
    }
}

/// What there was to allocate in a window and place.
#[derive(Clone, Debug)]
pub(super) struct Available {
    pub(super) place: Place,
    /// Name of the node, or of the asset that stands for one; [`EMPTY`] for a cluster of several.
    pub(super) node: Code,
    pub(super) resources: Resources,
    /// Cost of the cluster's management and of its nodes' own disks.
    pub(super) tenancy: f64,
    /// Microseconds.
    pub(super) start: i64,
    pub(super) end: i64,
}

/// Reads columns of a result by name.
struct Columns<'a>(&'a RecordBatch);

impl<'a> Columns<'a> {
    fn get(&self, name: &str) -> Result<&'a ArrayRef> {
        let column = self.0.column_by_name(name);
        column.ok_or_else(|| DataFusionError::Internal(format!("column {name} of the totals is missing")))
    }

    fn numbers(&self, name: &str) -> Result<Float64Array> {
        Ok(cast(self.get(name)?, &DataType::Float64)?
            .as_primitive::<Float64Type>()
            .clone())
    }

    fn codes(&self, name: &str) -> Result<Vec<Code>> {
        match self.0.column_by_name(name) {
            Some(column) => Ok(column.as_primitive::<UInt32Type>().values().to_vec()),
            None => Ok(vec![EMPTY; self.0.num_rows()]),
        }
    }

    fn times(&self, name: &str) -> Result<Vec<i64>> {
        let column = cast(self.get(name)?, &lake::schema::timestamp())?;
        Ok(column.as_primitive::<TimestampMicrosecondType>().values().to_vec())
    }

    fn flags(&self, name: &str, otherwise: bool) -> Result<Vec<bool>> {
        match self.0.column_by_name(name) {
            Some(column) => Ok(column.as_boolean().values().iter().collect()),
            None => Ok(vec![otherwise; self.0.num_rows()]),
        }
    }
}

/// The places that a question's idle cost is computed for.
pub(super) fn idle_places(question: &AllocationQuestion) -> PlaceKind {
    if question.idle.by_node {
        PlaceKind::Node
    } else {
        PlaceKind::Cluster
    }
}

/// Adds up what was allocated, whether or not it passes the filter.
pub(super) async fn allocated(reader: &Reader<'_>, question: &AllocationQuestion) -> Result<Vec<Allocated>> {
    let places = idle_places(question);
    let mut columns: BTreeSet<&'static str> = places.columns().iter().copied().collect();
    columns.insert(allocations::UNMOUNTED);
    columns.extend(filter_columns(&question.filter));
    columns.extend(question.sharing.columns());
    // Nothing is left out: what the filter drops is part of the totals.
    let Rows { frame, input, .. } = reader
        .rows(TableName::Allocations, &columns, &AllocationFilter::All)
        .await?;
    let mut keys: Vec<Expr> = vec![col(allocations::WINDOW_START), col(allocations::UNMOUNTED)];
    keys.extend(places.columns().iter().copied().map(col));
    if let Some(matches) = reader.matches(&question.filter) {
        keys.push(matches.alias("matches"));
    }
    if let Some(name) = sharing_name(&question.sharing, reader.served.warm().dictionary()) {
        keys.push(name.alias("shared_as"));
    }
    let sums = [
        ("cpu", &CPU_COST[..]),
        ("gpu", &GPU_COST),
        ("ram", &RAM_COST),
        ("pv", &["pv_cost"]),
        ("pv_adjustment", &["pv_cost_adjustment"]),
        ("network", &["network_cost", "network_cost_adjustment"]),
        (
            "load_balancer",
            &["load_balancer_cost", "load_balancer_cost_adjustment"],
        ),
        ("external", &["external_cost"]),
        ("shared", &["shared_cost"]),
    ];
    debug_assert_eq!(
        UNSHARED_COST.len() + 1,
        sums.iter().map(|(_, columns)| columns.len()).sum::<usize>()
    );
    let sums = sums.map(|(name, columns)| sum(sum_of(columns, &input)).alias(name));
    let batches = reader.run(frame.aggregate(keys, sums.to_vec())?).await?;
    let mut allocated = Vec::new();
    for batch in &batches {
        let columns = Columns(batch);
        let windows = columns.times(allocations::WINDOW_START)?;
        let (clusters, nodes) = (columns.codes("cluster")?, columns.codes("node")?);
        let shared_as = columns.codes("shared_as")?;
        let unmounted = columns.flags(allocations::UNMOUNTED, false)?;
        let matches = columns.flags("matches", true)?;
        let [cpu, gpu, ram] = ["cpu", "gpu", "ram"].map(|name| columns.numbers(name));
        let (cpu, gpu, ram) = (cpu?, gpu?, ram?);
        let [pv, pv_adjustment, network] = ["pv", "pv_adjustment", "network"].map(|name| columns.numbers(name));
        let (pv, pv_adjustment, network) = (pv?, pv_adjustment?, network?);
        let [load_balancer, external, shared] =
            ["load_balancer", "external", "shared"].map(|name| columns.numbers(name));
        let (load_balancer, external, shared) = (load_balancer?, external?, shared?);
        allocated.extend((0..batch.num_rows()).map(|row| Allocated {
            place: Place {
                window: windows[row],
                cluster: clusters[row],
                node: nodes[row],
            },
            shared_as: shared_as[row],
            unmounted: unmounted[row],
            matches: matches[row],
            resources: Resources {
                cpu: cpu.value(row),
                gpu: gpu.value(row),
                ram: ram.value(row),
            },
            other: OtherCosts {
                pv: pv.value(row),
                pv_adjustment: pv_adjustment.value(row),
                network: network.value(row),
                load_balancer: load_balancer.value(row),
                external: external.value(row),
                shared: shared.value(row),
            },
        }));
    }
    Ok(allocated)
}

/// Kinds of assets that stand for a place, the one that says most of it first.
const KINDS: [&str; 4] = ["Node", "LoadBalancer", "ClusterManagement", "Disk"];

/// A part of an asset's cost as it was before its adjustment, which all parts bear alike.
fn before_adjustment(cost: Expr, input: &Input) -> Result<Expr> {
    let total = sum_of(&["total_cost"], input);
    let before = total.clone() - sum_of(&["adjustment"], input);
    when(total.clone().not_eq(lit(0.0)), cost.clone() * before / total).otherwise(cost)
}

/// Adds up what there was to allocate (OpenCost's `ComputeAssetTotals`): a place is where a node, a load balancer or
/// a disk is, and the management of a cluster, though only nodes have anything to allocate.
pub(super) async fn available(reader: &Reader<'_>, places: PlaceKind) -> Result<Vec<Available>> {
    let by_node = places == PlaceKind::Node;
    let mut columns: BTreeSet<&'static str> = [assets::TYPE, "cluster"].into();
    if by_node || reader.unreconciled {
        // Adjustments are of single assets.
        columns.insert("name");
    }
    let Rows { frame, input, .. } = reader
        .rows(TableName::Assets, &columns, &cost_model::AssetFilter::All)
        .await?;
    let kinds = {
        let names = reader.served.warm().dictionary().read();
        KINDS.map(|kind| names.find_text(kind))
    };
    let mut keys: Vec<Expr> = [assets::WINDOW_START, "cluster", assets::TYPE].map(col).to_vec();
    let mut aggregates = vec![
        min(col(assets::START)).alias(assets::START),
        max(col(assets::END)).alias(assets::END),
    ];
    for name in [
        "cpu_total_cost",
        "gpu_total_cost",
        "ram_total_cost",
        "attached_cost",
        "total_cost",
    ] {
        let cost = sum_of(&[name], &input);
        let cost = if reader.unreconciled {
            before_adjustment(cost, &input)?
        } else {
            cost
        };
        aggregates.push(sum(cost).alias(name));
    }
    if by_node {
        keys.push(col("name"));
    } else {
        aggregates.push(cost_plan::functions::agree(col("name")).alias("name"));
    }
    let wanted = kinds.iter().flatten().map(|kind| col(assets::TYPE).eq(lit(*kind)));
    let Some(wanted) = wanted.reduce(Expr::or) else {
        return Ok(Vec::new());
    };
    let batches = reader.run(frame.filter(wanted)?.aggregate(keys, aggregates)?).await?;
    let mut found: Vec<(usize, Available)> = Vec::new();
    for batch in &batches {
        let columns = Columns(batch);
        let windows = columns.times(assets::WINDOW_START)?;
        let (clusters, types, names) = (
            columns.codes("cluster")?,
            columns.codes(assets::TYPE)?,
            columns.codes("name")?,
        );
        let (starts, ends) = (columns.times(assets::START)?, columns.times(assets::END)?);
        let (cpu, gpu) = (columns.numbers("cpu_total_cost")?, columns.numbers("gpu_total_cost")?);
        let ram = columns.numbers("ram_total_cost")?;
        let (attached, total) = (columns.numbers("attached_cost")?, columns.numbers("total_cost")?);
        for row in 0..batch.num_rows() {
            let Some(kind) = kinds.iter().position(|kind| *kind == Some(types[row])) else {
                continue;
            };
            let is_management = KINDS[kind] == "ClusterManagement";
            // Management is of the cluster, and of no node.
            if by_node && is_management {
                continue;
            }
            let is_disk = KINDS[kind] == "Disk";
            let node = if !by_node && (is_management || is_disk) {
                EMPTY
            } else {
                names[row]
            };
            found.push((
                kind,
                Available {
                    place: Place {
                        window: windows[row],
                        cluster: clusters[row],
                        node: if by_node { names[row] } else { EMPTY },
                    },
                    node,
                    resources: Resources {
                        cpu: cpu.value(row),
                        gpu: gpu.value(row),
                        ram: ram.value(row),
                    },
                    tenancy: if is_management {
                        total.value(row)
                    } else {
                        attached.value(row)
                    },
                    start: starts[row],
                    end: ends[row],
                },
            ));
        }
    }
    found.sort_by_key(|(kind, available)| (available.place, *kind));
    let mut merged: Vec<Available> = Vec::new();
    for (_, next) in found {
        match merged.last_mut() {
            // The kind that says most of the place came first; the others add their cost.
            Some(place) if place.place == next.place => {
                place.resources.add(next.resources);
                place.tenancy += next.tenancy;
            }
            _ => merged.push(next),
        }
    }
    Ok(merged)
}
