//! What part of each asset's cost is an item's: of its nodes' CPU, GPUs and memory, its volumes and load balancers.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use cost_model::AssetFilter;
use cost_plan::dictionary::{Code, EMPTY, Names};
use datafusion::{
    error::Result,
    functions_aggregate::expr_fn::sum,
    logical_expr::{Expr, col},
};
use lake::{
    TableName,
    schema::{allocations, assets},
};
use rustc_hash::FxHashMap;

use super::{ItemKey, filtered_rows, totals::Resources};
use crate::{
    columns::{codes, numbers, structs},
    plan::{self, CPU_COST, GPU_COST, RAM_COST, Reader, Rows, key_column, sum_of},
    question::AllocationQuestion,
};

/// What part of an asset's cost is an item's.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AssetShare {
    pub(crate) cluster: Code,
    /// [`EMPTY`] for all nodes of the cluster.
    pub(crate) name: Code,
    pub(crate) kind: &'static str,
    pub(crate) provider_id: Code,
    pub(crate) cpu: f64,
    pub(crate) gpu: f64,
    pub(crate) ram: f64,
    pub(crate) load_balancer: f64,
    pub(crate) pv: f64,
    pub(crate) node_resource_cost: f64,
}

/// The shares of each item, in order of what they are of.
pub(crate) type AssetShares = FxHashMap<ItemKey, Vec<AssetShare>>;

/// An asset in a set: cluster, name, kind.
type AssetKey = (usize, Code, Code, Code);

/// What assets cost.
struct AssetTotals {
    resources: FxHashMap<AssetKey, Resources>,
    total: FxHashMap<AssetKey, f64>,
}

/// Adds assets up by set, cluster, name and kind; `by_node` tells whether nodes are told apart.
async fn asset_totals(reader: &Reader<'_>, by_node: bool) -> Result<AssetTotals> {
    let columns = ["cluster", "name", assets::TYPE].into();
    let Rows { frame, input, .. } = reader.rows(TableName::Assets, &columns, &AssetFilter::All).await?;
    let mut keys: Vec<Expr> = ["cluster", "name", assets::TYPE].map(col).to_vec();
    keys.push(reader.sets.column().alias(plan::SET));
    let sums = ["cpu_total_cost", "gpu_total_cost", "ram_total_cost", "total_cost"];
    let sums = sums.map(|name| sum(sum_of(&[name], &input)).alias(name));
    let batches = reader.run(frame.aggregate(keys, sums.to_vec())?).await?;
    let node = reader.served.warm().dictionary().read().find_text("Node");
    let mut totals = AssetTotals {
        resources: FxHashMap::default(),
        total: FxHashMap::default(),
    };
    for batch in &batches {
        let (sets, clusters) = (codes(batch, plan::SET)?, codes(batch, "cluster")?);
        let (names, kinds) = (codes(batch, "name")?, codes(batch, assets::TYPE)?);
        let (cpu, gpu) = (numbers(batch, "cpu_total_cost")?, numbers(batch, "gpu_total_cost")?);
        let (ram, total) = (numbers(batch, "ram_total_cost")?, numbers(batch, "total_cost")?);
        for row in 0..batch.num_rows() {
            let (set, kind) = (sets[row] as usize, kinds[row]);
            let name = if Some(kind) == node && !by_node {
                EMPTY
            } else {
                names[row]
            };
            let key = (set, clusters[row], name, kind);
            totals.resources.entry(key).or_default().add(Resources {
                cpu: cpu[row],
                gpu: gpu[row],
                ram: ram[row],
            });
            *totals.total.entry(key).or_default() += total[row];
        }
    }
    Ok(totals)
}

/// The shares of the items that the plans gave as `items`.
pub(super) async fn asset_shares(
    reader: &Reader<'_>,
    question: &AllocationQuestion,
    items: &[RecordBatch],
) -> Result<AssetShares> {
    let by_node = question.idle.by_node;
    let totals = asset_totals(reader, by_node).await?;
    let places: &[&'static str] = if by_node {
        &["cluster", "node", "provider_id"]
    } else {
        &["cluster"]
    };
    let Rows { frame, input, .. } = filtered_rows(reader, question, places.iter().copied().collect()).await?;
    let mut keys = reader.keys(&question.aggregation);
    let key_count = keys.len();
    keys.push(reader.sets.column().alias(plan::SET));
    keys.extend(places.iter().map(|place| col(*place).alias(format!("of_{place}"))));
    let resources = [("cpu", CPU_COST), ("gpu", GPU_COST), ("ram", RAM_COST)];
    let sums = resources.map(|(name, columns)| sum(sum_of(&columns, &input)).alias(name));
    let batches = reader.run(frame.aggregate(keys, sums.to_vec())?).await?;

    let names = reader.served.warm().dictionary().read();
    let [node, disk, balancer] = ["Node", "Disk", "LoadBalancer"].map(|kind| names.find_text(kind).unwrap_or(EMPTY));
    let mut shares: FxHashMap<ItemKey, BTreeMap<(&'static str, Code, Code), AssetShare>> = FxHashMap::default();
    for batch in &batches {
        let key_codes = (0..key_count)
            .map(|key| codes(batch, &key_column(key)))
            .collect::<Result<Vec<_>>>()?;
        let sets = codes(batch, plan::SET)?;
        let clusters = codes(batch, "of_cluster")?;
        let (nodes, ids) = match by_node {
            true => (Some(codes(batch, "of_node")?), Some(codes(batch, "of_provider_id")?)),
            false => (None, None),
        };
        let (cpu, gpu, ram) = (numbers(batch, "cpu")?, numbers(batch, "gpu")?, numbers(batch, "ram")?);
        for row in 0..batch.num_rows() {
            let item = (sets[row] as usize, key_codes.iter().map(|codes| codes[row]).collect());
            let name = nodes.map_or(EMPTY, |nodes| nodes[row]);
            let total = totals.resources.get(&(sets[row] as usize, clusters[row], name, node));
            let total = total.copied().unwrap_or_default();
            let own = Resources {
                cpu: cpu[row],
                gpu: gpu[row],
                ram: ram[row],
            };
            let part = own.zip(total, fraction);
            shares.entry(item).or_default().insert(
                ("Node", clusters[row], name),
                AssetShare {
                    cluster: clusters[row],
                    name,
                    kind: "Node",
                    provider_id: ids.map_or(EMPTY, |ids| ids[row]),
                    cpu: part.cpu,
                    gpu: part.gpu,
                    ram: part.ram,
                    node_resource_cost: fraction(own.sum(), total.sum()),
                    ..AssetShare::default()
                },
            );
        }
    }
    for batch in items {
        let key_codes = (0..key_count)
            .map(|key| codes(batch, &key_column(key)))
            .collect::<Result<Vec<_>>>()?;
        let sets = codes(batch, plan::SET).ok();
        for row in 0..batch.num_rows() {
            let set = sets.map_or(0, |sets| sets[row] as usize);
            let item = (set, key_codes.iter().map(|codes| codes[row]).collect::<Vec<_>>());
            let parts = volumes(batch, row, set, disk, &totals)?;
            let parts = parts
                .into_iter()
                .chain(load_balancers(batch, row, set, balancer, &totals, &names)?);
            for share in parts {
                shares
                    .entry(item.clone())
                    .or_default()
                    .insert((share.kind, share.cluster, share.name), share);
            }
        }
    }
    Ok(shares
        .into_iter()
        .map(|(item, shares)| (item, shares.into_values().collect()))
        .collect())
}

fn fraction(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn volumes(batch: &RecordBatch, row: usize, set: usize, disk: Code, totals: &AssetTotals) -> Result<Vec<AssetShare>> {
    let volumes = structs(batch, allocations::VOLUMES, row)?;
    let (clusters, names) = (codes(&volumes, "cluster")?, codes(&volumes, "name")?);
    let (ids, costs) = (codes(&volumes, "provider_id")?, numbers(&volumes, "cost")?);
    let shares = (0..volumes.num_rows()).map(|at| {
        let total = totals
            .total
            .get(&(set, clusters[at], names[at], disk))
            .copied()
            .unwrap_or_default();
        AssetShare {
            cluster: clusters[at],
            name: names[at],
            kind: "PV",
            provider_id: ids[at],
            pv: fraction(costs[at], total),
            ..AssetShare::default()
        }
    });
    Ok(shares.collect())
}

fn load_balancers(
    batch: &RecordBatch,
    row: usize,
    set: usize,
    balancer: Code,
    totals: &AssetTotals,
    names: &Names,
) -> Result<Vec<AssetShare>> {
    let balancers = structs(batch, allocations::LOAD_BALANCERS, row)?;
    let (keys, services) = (codes(&balancers, "key")?, codes(&balancers, "service")?);
    let costs = numbers(&balancers, "cost")?;
    let shares = (0..balancers.num_rows()).map(|at| {
        // The key is the cluster, the namespace and the service; a balancer is called by the last two.
        let cluster = names
            .text_of(keys[at])
            .split('/')
            .next()
            .and_then(|cluster| names.find_text(cluster));
        let cluster = cluster.unwrap_or(EMPTY);
        let total = totals
            .total
            .get(&(set, cluster, services[at], balancer))
            .copied()
            .unwrap_or_default();
        AssetShare {
            cluster,
            name: services[at],
            kind: "LoadBalancer",
            load_balancer: fraction(costs[at], total),
            ..AssetShare::default()
        }
    });
    Ok(shares.collect())
}
