//! Adding up rows by a key.

use std::{collections::BTreeSet, sync::Arc};

use arrow::datatypes::DataType;
use datafusion::{
    common::{Result, ScalarValue},
    functions_aggregate::expr_fn::{max, min, sum},
    logical_expr::{Expr, cast, col, lit, when},
    prelude::DataFrame,
};
use lake::{
    TableName,
    schema::{allocations, assets},
};

use crate::{
    dictionary::{Dictionary, EMPTY},
    functions::{agree, any_code, common_entries, merge_entries, only_code, only_number, steady_controller},
};

/// Columns that keep the rows of different ETL files apart, so that a file's part can be replaced on its own.
const FILE_KEYS: [&str; 3] = [
    allocations::FEDERATED_CLUSTER,
    allocations::WINDOW_START,
    allocations::WINDOW_END,
];

/// Columns by which a derived table adds up the rows of its base table; none for a table that is not derived.
pub fn derived_keys(table: TableName) -> Option<Vec<&'static str>> {
    let keys: &[&str] = match table {
        TableName::AllocationsByNamespace => &["cluster", "namespace", allocations::UNMOUNTED],
        TableName::AllocationsByNode => &["cluster", "node", allocations::UNMOUNTED],
        TableName::AllocationsByWorkload => &[
            allocations::UNMOUNTED,
            "cluster",
            "namespace",
            "controller_kind",
            "controller",
            allocations::SERVICES,
            "labels",
            "annotations",
        ],
        TableName::AssetsByType => &[
            assets::TYPE,
            "category",
            "provider",
            "account",
            "project",
            "service",
            "cluster",
        ],
        TableName::Allocations | TableName::Assets | TableName::SourceFiles => return None,
    };
    Some(FILE_KEYS.into_iter().chain(keys.iter().copied()).collect())
}

/// What adding up needs to know of its input.
#[derive(Clone, Debug)]
pub struct Input {
    /// The dictionary of the input's codes.
    pub dictionary: Arc<Dictionary>,
    /// Columns that the result is to lack, such as those of numbers that are zero in every row.
    pub without: BTreeSet<&'static str>,
    /// Whether every row is a single member, as in a base table.
    pub single: bool,
    /// Whether aggregates have the labels and annotations that their members agree on. Otherwise only what has a
    /// single member keeps its own.
    pub metadata: bool,
}

impl Input {
    /// An input of which nothing is known but its dictionary.
    pub fn new(dictionary: Arc<Dictionary>) -> Self {
        Self {
            dictionary,
            without: BTreeSet::new(),
            single: false,
            metadata: false,
        }
    }
}

/// Adds up allocations that agree on `keys`. The result has all columns of the input under their own names, and
/// those of `keys` that have a name of their own. Rules: OpenCost's `Allocation.add`.
pub fn allocations(rows: DataFrame, keys: Vec<Expr>, input: &Input) -> Result<DataFrame> {
    let mut plan = Columns::new(keys, input);
    plan.add(allocations::FEDERATED_CLUSTER, agree);
    plan.window_and_span();
    for name in allocations::PROPERTIES {
        match name {
            "controller" => plan.add(name, controller),
            _ => plan.add(name, agree),
        }
    }
    plan.add(allocations::UNMOUNTED, min);
    plan.add(allocations::SERVICES, |column| of_single_member(column, input));
    for name in allocations::MEMBER_MAPS {
        if input.metadata {
            // Volumes and balancers of no pod never have labels, which says nothing of those who do.
            plan.add(name, |column| common_entries(of_mounted(column), &input.dictionary));
        } else {
            plan.add(name, |column| of_single_member(column, input));
        }
    }
    for name in allocations::NAMESPACE_MAPS {
        plan.add(name, any_code);
    }
    plan.add(allocations::MEMBERS, sum);
    for name in allocations::SUMS {
        plan.add(name, sum);
    }
    for name in allocations::AVERAGES {
        plan.add_mean(name, minutes());
    }
    for name in allocations::MAXIMA {
        plan.add(name, only_number);
    }
    // A volume is told apart by cluster and name, a balancer by its key.
    plan.add(allocations::VOLUMES, |column| merge_entries(column, 2));
    plan.add(allocations::LOAD_BALANCERS, |column| merge_entries(column, 1));
    plan.finish(rows)
}

/// Adds up assets that agree on `keys`. The result has all columns of the input under their own names, and those of
/// `keys` that have a name of their own. Rules: OpenCost's `Node.add`, `Disk.add` and `Any.add`.
pub fn assets(rows: DataFrame, keys: Vec<Expr>, input: &Input) -> Result<DataFrame> {
    let mut plan = Columns::new(keys, input);
    plan.add(assets::FEDERATED_CLUSTER, agree);
    plan.window_and_span();
    plan.add(assets::TYPE, agree);
    for name in assets::PROPERTIES.into_iter().chain(assets::DETAILS) {
        plan.add(name, agree);
    }
    plan.add(assets::LABELS, |column| common_entries(column, &input.dictionary));
    plan.add("members", sum);
    for name in assets::SUMS
        .into_iter()
        .chain(assets::NODE_SUMS)
        .chain(assets::DISK_SUMS)
    {
        plan.add(name, sum);
    }
    // A node has its GPUs for as long as it runs.
    plan.add_mean("gpu_count", minutes());
    for name in ["discount", "preemptible"] {
        plan.add_mean(name, unadjusted());
    }
    for name in assets::CPU_BREAKDOWN {
        plan.add_known_mean(name, col("cpu_cost"));
    }
    for name in assets::RAM_BREAKDOWN {
        plan.add_known_mean(name, col("ram_cost"));
    }
    let [overhead_cpu, overhead_ram, overhead_cost] = assets::OVERHEAD;
    plan.add_known_mean(overhead_cpu, col("cpu_cost"));
    plan.add_known_mean(overhead_ram, col("ram_cost"));
    plan.add(overhead_cost, only_number);
    for name in assets::DISK_BREAKDOWN {
        plan.add_known_mean(name, unadjusted());
    }
    plan.add_mean("local", unadjusted());
    plan.add("byte_hours_used", sum);
    plan.add("byte_usage_max", only_number);
    plan.add("private", min);
    plan.finish(rows)
}

/// The code of a column for a group whose only row is a single member: a derived row keeps what its members agree on
/// in the columns that it is grouped by, which an aggregate must not show as its own.
fn of_single_member(column: Expr, input: &Input) -> Expr {
    if input.single {
        return only_code(column);
    }
    let mut single = when(col(allocations::MEMBERS).eq(lit(1_i64)), column.clone());
    only_code(single.otherwise(lit(EMPTY)).unwrap_or(column))
}

/// Null for volumes and load balancers of no pod.
fn of_mounted(column: Expr) -> Expr {
    let mounted = when(col(allocations::UNMOUNTED).is_false(), column.clone());
    mounted.end().unwrap_or(column)
}

/// The controller, which windows of one place need not agree on.
fn controller(column: Expr) -> Expr {
    let place = ["cluster", "node", "namespace", "pod", "container"].map(col);
    let [cluster, node, namespace, pod, container] = place;
    steady_controller(
        [allocations::WINDOW_START, allocations::WINDOW_END].map(col),
        [cluster, node, namespace, pod, container, column],
    )
}

/// An asset's cost before reconciliation with the bill.
fn unadjusted() -> Expr {
    col("total_cost") - col("adjustment")
}

/// Minutes between `start` and `end`, the weight of averages over time.
fn minutes() -> Expr {
    let micros = |name| cast(cast(col(name), DataType::Int64), DataType::Float64);
    (micros(allocations::END) - micros(allocations::START)) / lit(60e6)
}

/// The columns of the result: how each is aggregated, and how it is finished from the aggregates.
struct Columns<'a> {
    input: &'a Input,
    keys: Vec<Expr>,
    key_names: Vec<String>,
    aggregates: Vec<Expr>,
    result: Vec<Expr>,
}

impl<'a> Columns<'a> {
    fn new(keys: Vec<Expr>, input: &'a Input) -> Self {
        let key_names: Vec<_> = keys.iter().map(|key| key.qualified_name().1).collect();
        Self {
            input,
            result: key_names.iter().map(|name| col(name.as_str())).collect(),
            keys,
            key_names,
            aggregates: Vec::new(),
        }
    }

    /// Aggregates a column, unless the rows are grouped by it, or the result is to lack it.
    fn add(&mut self, name: &str, function: impl FnOnce(Expr) -> Expr) {
        if self.key_names.iter().any(|key| key == name) || self.input.without.contains(name) {
            return;
        }
        self.aggregates.push(function(col(name)).alias(name));
        self.result.push(col(name));
    }

    fn window_and_span(&mut self) {
        self.add(allocations::WINDOW_START, min);
        self.add(allocations::WINDOW_END, max);
        self.add(allocations::START, min);
        self.add(allocations::END, max);
    }

    /// Averages a column by weight; zero where there is no weight.
    ///
    /// For a weight of minutes the sum is divided by the minutes of the result, which are fewer than the members'
    /// together: two containers side by side request as much as both.
    fn add_mean(&mut self, name: &str, weight: Expr) {
        if self.input.without.contains(name) {
            return;
        }
        let divisor = if weight == minutes() {
            minutes()
        } else {
            let total = format!("{name}.weight");
            self.aggregates.push(sum(weight.clone()).alias(&total));
            Expr::Column(datafusion::common::Column::from_name(total))
        };
        self.aggregates.push(sum(col(name) * weight).alias(name));
        self.push_quotient(name, divisor, lit(0.0));
    }

    /// Averages a column by weight over the rows where it is known; null where it is known of none.
    fn add_known_mean(&mut self, name: &str, weight: Expr) {
        if self.input.without.contains(name) {
            return;
        }
        let total = format!("{name}.weight");
        let known = when(col(name).is_not_null(), weight.clone()).end();
        self.aggregates.extend(known.ok().map(|known| sum(known).alias(&total)));
        self.aggregates.push(sum(col(name) * weight).alias(name));
        let total = Expr::Column(datafusion::common::Column::from_name(total));
        self.push_quotient(name, total, lit(ScalarValue::Float64(None)));
    }

    fn push_quotient(&mut self, name: &str, divisor: Expr, otherwise: Expr) {
        let quotient = when(divisor.clone().not_eq(lit(0.0)), col(name) / divisor)
            .otherwise(otherwise)
            .unwrap_or_else(|_| col(name));
        self.result.push(quotient.alias(name));
    }

    fn finish(self, rows: DataFrame) -> Result<DataFrame> {
        rows.aggregate(self.keys, self.aggregates)?.select(self.result)
    }
}
