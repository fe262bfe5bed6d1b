//! Reconciliation: what the bill adds to a node, a disk or a load balancer is shared out to what was allocated of it,
//! where the agent has not done so itself. `docs/allocation-math.md` has the rule.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, AsArray as _, Float64Array, ListArray, RecordBatch, StringViewArray},
    datatypes::{Float64Type, TimestampMicrosecondType},
    error::ArrowError,
};
use lake::schema::{allocations, assets};

use crate::partition::FileKey;

/// Below this, a difference of costs is that of rounding.
const ROUNDING: f64 = 1e-6;

/// What assets of one name, or one id, cost together.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    total: f64,
    adjustment: f64,
}

impl Cost {
    /// The adjustment as a part of the cost before it.
    fn ratio(self) -> f64 {
        let before = self.total - self.adjustment;
        if before == 0.0 || self.adjustment == 0.0 {
            return 0.0;
        }
        let ratio = self.adjustment / before;
        if ratio.is_finite() { ratio } else { 0.0 }
    }
}

/// Assets of one kind, by the provider's id and by name.
#[derive(Debug, Default)]
struct Kind {
    by_id: HashMap<String, Cost>,
    by_name: HashMap<String, Cost>,
}

impl Kind {
    fn add(&mut self, id: &str, names: [&str; 2], cost: Cost) {
        let add = |sum: &mut Cost| {
            sum.total += cost.total;
            sum.adjustment += cost.adjustment;
        };
        if !id.is_empty() {
            add(self.by_id.entry(id.to_owned()).or_default());
        }
        let [name, other] = names;
        if !name.is_empty() {
            add(self.by_name.entry(name.to_owned()).or_default());
        }
        if !other.is_empty() && other != name {
            add(self.by_name.entry(other.to_owned()).or_default());
        }
    }

    /// By id, then by name.
    fn find(&self, id: &str, name: &str) -> Option<Cost> {
        let by_id = (!id.is_empty()).then(|| self.by_id.get(id)).flatten();
        by_id.or_else(|| self.by_name.get(name)).copied()
    }
}

/// The assets of one file, which is of one cluster and window.
#[derive(Debug, Default)]
pub(crate) struct Assets {
    nodes: Kind,
    disks: Kind,
    load_balancers: Kind,
}

fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringViewArray, ArrowError> {
    let column = batch
        .column_by_name(name)
        .and_then(|column| column.as_string_view_opt());
    column.ok_or_else(|| ArrowError::SchemaError(format!("column {name} holds no texts")))
}

fn numbers<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Float64Array, ArrowError> {
    let column = batch
        .column_by_name(name)
        .and_then(|column| column.as_primitive_opt::<Float64Type>());
    column.ok_or_else(|| ArrowError::SchemaError(format!("column {name} holds no numbers")))
}

/// The assets of these files that rows of the table of assets tell of.
pub(crate) fn assets_of(
    batches: &[RecordBatch],
    wanted: &HashSet<FileKey>,
) -> Result<HashMap<FileKey, Assets>, ArrowError> {
    let mut found: HashMap<FileKey, Assets> = HashMap::new();
    for batch in batches {
        let clusters = texts(batch, assets::FEDERATED_CLUSTER)?;
        let starts = batch.column_by_name(assets::WINDOW_START);
        let starts = starts.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let starts = starts.ok_or_else(|| ArrowError::SchemaError("windows have no start".to_owned()))?;
        let [kinds, names, ids, volumes] =
            [assets::TYPE, "name", "provider_id", "volume_name"].map(|name| texts(batch, name));
        let (kinds, names, ids, volumes) = (kinds?, names?, ids?, volumes?);
        let (totals, adjustments) = (numbers(batch, "total_cost")?, numbers(batch, "adjustment")?);
        for row in 0..batch.num_rows() {
            let Some(start) = chrono::DateTime::from_timestamp_micros(starts.value(row)) else {
                continue;
            };
            let key = (clusters.value(row).to_owned(), start);
            if !wanted.contains(&key) {
                continue;
            }
            let of_file = found.entry(key).or_default();
            let kind = match kinds.value(row) {
                "Node" => &mut of_file.nodes,
                "Disk" => &mut of_file.disks,
                "LoadBalancer" => &mut of_file.load_balancers,
                _ => continue,
            };
            let cost = Cost {
                total: totals.value(row),
                adjustment: adjustments.value(row),
            };
            kind.add(ids.value(row), [names.value(row), volumes.value(row)], cost);
        }
    }
    Ok(found)
}

/// What came of reconciling a file.
#[derive(Debug)]
pub(crate) struct Reconciled {
    pub(crate) rows: RecordBatch,
    /// Figures that are kept with the file.
    pub(crate) figures: BTreeMap<String, f64>,
}

/// The resources that a node has.
const RESOURCES: [(&str, &str); 3] = [
    ("cpu_cost", "cpu_cost_adjustment"),
    ("gpu_cost", "gpu_cost_adjustment"),
    ("ram_cost", "ram_cost_adjustment"),
];

/// Shares out what was added to assets to the allocations of the same cluster and window.
///
/// A node whose allocations have some adjustment was reconciled by the agent, as were all volumes when some allocation
/// has an adjustment of volumes, and all load balancers likewise: these stay as they are.
pub(crate) fn reconcile(rows: &RecordBatch, assets: &Assets) -> Result<Reconciled, ArrowError> {
    let (nodes, ids) = (texts(rows, "node")?, texts(rows, "provider_id")?);
    let containers = texts(rows, "container")?;
    let costs = RESOURCES.map(|(cost, _)| numbers(rows, cost));
    let [cpu, gpu, ram] = costs;
    let costs = [cpu?, gpu?, ram?];
    let given = RESOURCES.map(|(_, adjustment)| numbers(rows, adjustment));
    let [cpu, gpu, ram] = given;
    let given = [cpu?, gpu?, ram?];

    let place = |row: usize| (ids.value(row), nodes.value(row));
    let mut by_agent = HashSet::new();
    for row in 0..rows.num_rows() {
        if given.iter().any(|column| column.value(row) != 0.0) {
            by_agent.insert(place(row));
        }
    }
    let mut added = given.map(|column| column.values().to_vec());
    let (mut shared_out, mut without_node) = (0.0, 0.0);
    let mut allocated: HashMap<(&str, &str), (f64, f64)> = HashMap::new();
    for row in 0..rows.num_rows() {
        let node = assets.nodes.find(ids.value(row), nodes.value(row));
        let is_container = !containers.value(row).is_empty();
        without_node += f64::from(u8::from(is_container && node.is_none()));
        let Some(node) = node else { continue };
        let ratio = if by_agent.contains(&place(row)) {
            0.0
        } else {
            node.ratio()
        };
        let (sum, _) = allocated.entry(place(row)).or_insert((0.0, node.total));
        for (column, cost) in added.iter_mut().zip(costs) {
            let share = cost.value(row) * ratio;
            column[row] += share;
            shared_out += share;
            *sum += cost.value(row) + column[row];
        }
    }
    let over: f64 = allocated
        .values()
        .map(|(allocated, node)| allocated - node)
        .filter(|over| *over > ROUNDING)
        .sum();

    let mut columns = rows.columns().to_vec();
    let mut replace = |name: &str, values: Vec<f64>| -> Result<(), ArrowError> {
        columns[rows.schema().index_of(name)?] = Arc::new(Float64Array::from(values)) as ArrayRef;
        Ok(())
    };
    for ((_, name), values) in RESOURCES.into_iter().zip(added) {
        replace(name, values)?;
    }
    let lists = [
        (
            "pv_cost_adjustment",
            allocations::VOLUMES,
            "name",
            Some("provider_id"),
            &assets.disks,
        ),
        (
            "load_balancer_cost_adjustment",
            allocations::LOAD_BALANCERS,
            "service",
            None,
            &assets.load_balancers,
        ),
    ];
    for (adjustment, list, name, id, kind) in lists {
        let given = numbers(rows, adjustment)?;
        if given.values().iter().any(|value| *value != 0.0) {
            continue;
        }
        let shares = shares(rows, list, name, id, kind)?;
        shared_out += shares.iter().sum::<f64>();
        replace(adjustment, shares)?;
    }
    let figures = [
        ("containers_without_node", without_node),
        ("reconciled_cost", shared_out),
        ("over_allocated_cost", over),
    ];
    Ok(Reconciled {
        rows: RecordBatch::try_new(rows.schema(), columns)?,
        figures: figures.map(|(name, figure)| (name.to_owned(), figure)).into(),
    })
}

/// What each row's volumes or load balancers get of what was added to theirs.
fn shares(rows: &RecordBatch, list: &str, name: &str, id: Option<&str>, kind: &Kind) -> Result<Vec<f64>, ArrowError> {
    let lists: &ListArray = rows
        .column_by_name(list)
        .and_then(|column| column.as_list_opt())
        .ok_or_else(|| ArrowError::SchemaError(format!("column {list} holds no lists")))?;
    let items = RecordBatch::from(lists.values().as_struct());
    let (names, costs) = (texts(&items, name)?, numbers(&items, "cost")?);
    let ids = id.map(|id| texts(&items, id)).transpose()?;
    let offsets = lists.value_offsets();
    let ends = offsets.iter().zip(offsets.iter().skip(1));
    Ok(ends
        .map(|(start, end)| {
            let items = *start as usize..*end as usize;
            items
                .map(|item| {
                    let id = ids.map_or("", |ids| ids.value(item));
                    kind.find(id, names.value(item)).map_or(0.0, Cost::ratio) * costs.value(item)
                })
                .sum()
        })
        .collect())
}
