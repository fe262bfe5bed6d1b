//! From rows to items: idle cost, sharing and aggregation, in the reference's order.
//!
//! Idle and shared costs are linear in a few sums per window (see `docs/allocation-math.md`), so a row's part of them is
//! its own cost times a factor of its window and place. One plan adds everything up over time and keys at once.

mod asset_shares;
mod idle;
mod share;
mod totals;

use std::collections::{BTreeSet, HashSet};

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use cost_plan::{aggregate, dictionary::EMPTY};
use datafusion::{
    error::Result,
    logical_expr::{Expr, col, lit, when},
};
use lake::{TableName, schema::allocations};
use rustc_hash::FxHashMap;

pub(crate) use self::{
    asset_shares::{AssetShare, AssetShares},
    idle::IdleItem,
    share::{CostParts, ItemKey, SharedParts},
};
use self::{
    idle::IdleCosts,
    share::{shared_costs, sharing_name, tenancy_factors},
    totals::{allocated, available, idle_places},
};
use crate::{
    plan::{
        CPU_COST, Factors, GPU_COST, PlaceKind, RAM_COST, Reader, Rows, UNSHARED_COST, factor_of, filter_columns,
        sum_of, told_apart,
    },
    question::{AllocationQuestion, IdleMode},
};

/// What a question's plans gave.
#[derive(Debug, Default)]
pub(crate) struct Allocations {
    /// Items by set and keys, in coded form.
    pub(crate) rows: Vec<RecordBatch>,
    /// What items get of the shared cost.
    pub(crate) shared: FxHashMap<ItemKey, SharedParts>,
    /// Items of idle cost.
    pub(crate) idle: Vec<IdleItem>,
    /// What part of each asset's cost is an item's.
    pub(crate) asset_shares: AssetShares,
}

/// Answers a question. `now` is for sets that have not ended, whose flat shared cost is that of the time that passed.
pub(crate) async fn answer(
    reader: &Reader<'_>,
    question: &AllocationQuestion,
    now: DateTime<Utc>,
) -> Result<Allocations> {
    let wants_idle = question.idle.mode != IdleMode::Hide;
    let wants_tenancy = question.sharing.tenancy_costs;
    let places = idle_places(question);
    let (mut allocated_rows, mut available_places) = (Vec::new(), Vec::new());
    if wants_idle || wants_tenancy || question.sharing.is_any() {
        allocated_rows = allocated(reader, question).await?;
    }
    if wants_idle || wants_tenancy {
        available_places = available(reader, places).await?;
    }
    // A window in which everything is shared, or nothing ran, has nothing that idle or shared cost could be added to.
    let windows: HashSet<i64> = allocated_rows
        .iter()
        .filter(|rows| !rows.is_shared())
        .map(|rows| rows.place.window)
        .collect();
    allocated_rows.retain(|rows| windows.contains(&rows.place.window));
    available_places.retain(|place| windows.contains(&place.place.window));

    let idle = wants_idle.then(|| IdleCosts::new(&allocated_rows, &available_places));
    let shared_idle = idle.as_ref().filter(|_| question.idle.mode == IdleMode::Share);
    let mut changes = Changes::default();
    if let Some(idle) = shared_idle {
        changes.idle = Some((places, idle.factors()));
    }
    if wants_tenancy {
        changes.tenancy = Some(if places == PlaceKind::Node {
            // Disks that are no node's own are places of their own, but of a cluster all the same.
            tenancy_factors(&allocated_rows, &available(reader, PlaceKind::Cluster).await?)
        } else {
            tenancy_factors(&allocated_rows, &available_places)
        });
    }
    let mut answer = Allocations {
        rows: rows(reader, question, changes).await?,
        ..Allocations::default()
    };
    if question.sharing.is_any() {
        let step = reader.sets.step_hours();
        let hours_of = |start: i64| {
            let passed = (now.timestamp_micros() - start) as f64 / 3.6e9;
            step.min(passed)
        };
        answer.shared = shared_costs(reader, question, &allocated_rows, shared_idle, hours_of).await?;
    }
    if question.asset_shares {
        answer.asset_shares = asset_shares::asset_shares(reader, question, &answer.rows).await?;
    }
    if let Some(idle) = &idle {
        let dictionary = reader.served.warm().dictionary();
        let left = match question.idle.mode {
            IdleMode::Share => idle.undistributed(&question.filter, dictionary, &reader.planner.aliases),
            IdleMode::Hide | IdleMode::Separate => idle.separate(!question.filter.is_all()),
        };
        let set_of = |window| reader.sets.number_of(window);
        answer.idle = idle::items(&left, question.idle.by_node, question.idle.split, set_of, dictionary);
    }
    Ok(answer)
}

/// What rows get before they are added up.
#[derive(Default)]
struct Changes {
    /// Idle cost per cost of CPU, GPUs and memory.
    idle: Option<(PlaceKind, [Factors; 3])>,
    /// Cost that is shared within a cluster, per cost.
    tenancy: Option<Factors>,
}

impl Changes {
    fn columns(&self) -> BTreeSet<&'static str> {
        let mut columns = BTreeSet::new();
        if let Some((places, _)) = &self.idle {
            columns.extend(places.columns());
        }
        if self.tenancy.is_some() {
            columns.extend(PlaceKind::Cluster.columns());
            columns.insert(allocations::UNMOUNTED);
        }
        columns
    }

    fn apply(self, mut rows: Rows) -> Result<Rows> {
        let input = &mut rows.input;
        let mut changed: Vec<(&'static str, Expr)> = Vec::new();
        if let Some((places, factors)) = self.idle {
            for ((resource, factors), cost) in [CPU_COST, GPU_COST, RAM_COST].into_iter().zip(factors).zip(IDLE_TAKERS)
            {
                // Who has no cost gets no idle.
                if resource.iter().any(|column| !input.without.contains(column)) {
                    let part = sum_of(&resource, input) * factor_of(places, factors);
                    changed.push((cost, col(cost) + part));
                }
            }
        }
        if let Some(factors) = self.tenancy {
            let part = sum_of(&UNSHARED_COST, input) * factor_of(PlaceKind::Cluster, factors);
            // What is of no pod is of no tenant.
            let part = when(col(allocations::UNMOUNTED), lit(0.0)).otherwise(part)?;
            changed.push(("shared_cost", col("shared_cost") + part));
        }
        if changed.is_empty() {
            return Ok(rows);
        }
        for (column, _) in &changed {
            input.without.remove(column);
        }
        let columns = rows.frame.schema().fields().iter().map(|field| {
            let change = changed.iter().find(|(column, _)| column == field.name());
            change.map_or_else(
                || col(field.name()),
                |(column, expression)| expression.clone().alias(*column),
            )
        });
        let columns: Vec<Expr> = columns.collect();
        rows.try_map(|frame| frame.select(columns.clone()))
    }
}

/// Columns of rows that say nothing of items.
const UNTOLD: [&str; 3] = [
    allocations::FEDERATED_CLUSTER,
    allocations::UNMOUNTED,
    allocations::MEMBERS,
];

/// The columns that idle cost of CPU, GPUs and memory is added to.
const IDLE_TAKERS: [&str; 3] = ["cpu_cost", "gpu_cost", "ram_cost"];

/// The rows that pass the filter and are not shared, of a table that tells apart what the question asks and `columns`.
async fn filtered_rows(
    reader: &Reader<'_>,
    question: &AllocationQuestion,
    mut columns: BTreeSet<&'static str>,
) -> Result<Rows> {
    columns.extend(told_apart(&question.aggregation));
    columns.extend(filter_columns(&question.filter));
    columns.extend(question.sharing.columns());
    let mut rows = reader.rows(TableName::Allocations, &columns, &question.filter).await?;
    if let Some(matches) = reader.matches(&question.filter) {
        rows = rows.try_map(|frame| frame.filter(matches.clone()))?;
    }
    if let Some(name) = sharing_name(&question.sharing, reader.served.warm().dictionary()) {
        rows = rows.try_map(|frame| frame.filter(name.clone().eq(lit(EMPTY))))?;
    }
    Ok(rows)
}

/// Adds up what passes the filter and is not shared.
async fn rows(reader: &Reader<'_>, question: &AllocationQuestion, changes: Changes) -> Result<Vec<RecordBatch>> {
    let mut columns = changes.columns();
    if question.metadata {
        columns.extend(allocations::MEMBER_MAPS);
    }
    let mut rows = changes.apply(filtered_rows(reader, question, columns).await?)?;
    rows.input.metadata = question.metadata;
    rows.input.without.extend(UNTOLD);
    let (keys, input) = (reader.group_by(&question.aggregation), rows.input.clone());
    let add_up = |frame| aggregate::allocations(frame, keys.clone(), &input);
    reader.run_parts(rows, &question.aggregation, add_up).await
}
