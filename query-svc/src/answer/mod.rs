//! From the rows of a plan's result to an answer: shared costs and idle items joined in, in order, and written out.

mod ipc;
mod messages;
mod table;
mod texts;

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, AsArray as _, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
        StructArray, TimestampMicrosecondArray, UInt32Array, new_empty_array, new_null_array,
    },
    buffer::OffsetBuffer,
    compute::concat_batches,
    datatypes::{DataType, Field, Fields, Float64Type, Schema},
};
use chrono::{DateTime, Utc};
use cost_model::allocation::{ResourceCost, ResourceUse, total_efficiency};
use cost_plan::dictionary::{Code, EMPTY};
use datafusion::error::Result;
use lake::{TableName, schema::allocations};
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use self::table::Table;
pub(crate) use self::{
    ipc::pieces,
    messages::{SetOf, allocation_messages, asset_messages, timestamp, window_message},
    table::{Answer, SetSummary},
};
use crate::{
    allocate::{self, Allocations, AssetShare, CostParts, IdleItem, ItemKey, SharedParts},
    plan::{self, Reader},
    question::{AllocationQuestion, AssetQuestion, CostMetric, SortBy},
};

/// Answers a question about allocations.
pub(crate) async fn allocations(
    reader: &Reader<'_>,
    question: &AllocationQuestion,
    now: DateTime<Utc>,
) -> Result<Answer> {
    let Allocations {
        rows,
        shared,
        idle,
        asset_shares,
    } = allocate::answer(reader, question, now).await?;
    let keys = question.aggregation.name_keys().len();
    let dictionary = reader.served.warm().dictionary();
    let mut table = Table::new(rows, TableName::Allocations, keys, dictionary)?;
    if !shared.is_empty() {
        add_shared_costs(&mut table, &shared, question.sharing.breakdown)?;
    }
    if !asset_shares.is_empty() {
        add_asset_shares(&mut table, &asset_shares)?;
    }
    add_idle(&mut table, &idle, reader)?;
    if question.cost_metric != CostMetric::Cumulative {
        restate_costs(&mut table, reader, question.cost_metric)?;
    }
    let rank = rank(&table, question.page.sort_by);
    table.into_answer(
        reader.sets,
        &question.page,
        &rank,
        question.page.sort_by == SortBy::Name,
    )
}

/// Answers a question about assets.
pub(crate) async fn assets(reader: &Reader<'_>, question: &AssetQuestion) -> Result<Answer> {
    let rows = reader.assets(&question.aggregation, &question.filter).await?;
    let keys = question.aggregation.name_keys().len();
    let dictionary = reader.served.warm().dictionary();
    let table = Table::new(rows, TableName::Assets, keys, dictionary)?;
    let rank = match question.page.sort_by {
        SortBy::TotalCost => sum(&table, &["total_cost"]),
        other => rank(&table, other),
    };
    table.into_answer(
        reader.sets,
        &question.page,
        &rank,
        question.page.sort_by == SortBy::Name,
    )
}

/// Replaces or adds columns.
fn with_columns(rows: &RecordBatch, changed: Vec<(&str, ArrayRef)>) -> Result<RecordBatch> {
    let mut fields: Vec<Arc<Field>> = rows.schema_ref().fields().iter().cloned().collect();
    let mut columns = rows.columns().to_vec();
    for (name, column) in changed {
        match fields.iter().position(|field| field.name() == name) {
            Some(at) => columns[at] = column,
            None => {
                fields.push(Arc::new(Field::new(name, column.data_type().clone(), true)));
                columns.push(column);
            }
        }
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

fn numbers(values: Vec<f64>) -> ArrayRef {
    Arc::new(Float64Array::from(values))
}

/// What items have, in the order of the rows, and how many each row has.
fn of_rows<'a, T>(table: &Table, items: &'a FxHashMap<ItemKey, T>) -> impl Iterator<Item = Option<&'a T>> {
    let sets = table.sets();
    let keys: Vec<Vec<Code>> = table.key_codes().into_iter().map(<[Code]>::to_vec).collect();
    (0..table.rows.num_rows()).map(move |row| {
        let codes: Vec<Code> = keys.iter().map(|codes| codes[row]).collect();
        items.get(&(sets[row] as usize, codes))
    })
}

/// Adds to each item what it gets of the shared cost.
fn add_shared_costs(table: &mut Table, shared: &FxHashMap<ItemKey, SharedParts>, breakdown: bool) -> Result<()> {
    let mut costs = sum(table, &["shared_cost"]);
    let mut items: Vec<(&str, CostParts)> = Vec::new();
    let mut lengths = Vec::with_capacity(costs.len());
    for (parts, cost) in of_rows(table, shared).zip(&mut costs) {
        let before = items.len();
        for (name, parts) in parts.into_iter().flatten() {
            *cost += parts.total;
            items.push((name, *parts));
        }
        lengths.push(items.len() - before);
    }
    let mut changed = vec![("shared_cost", numbers(costs))];
    if breakdown {
        changed.push(("shared_costs", shared_costs_column(&items, lengths)?));
    }
    table.rows = with_columns(&table.rows, changed)?;
    Ok(())
}

/// Adds to each item what part of each asset's cost is its own.
fn add_asset_shares(table: &mut Table, shares: &FxHashMap<ItemKey, Vec<AssetShare>>) -> Result<()> {
    let mut items: Vec<AssetShare> = Vec::new();
    let mut lengths = Vec::new();
    for shares in of_rows(table, shares) {
        let before = items.len();
        items.extend(shares.into_iter().flatten());
        lengths.push(items.len() - before);
    }
    let codes =
        |code: fn(&AssetShare) -> Code| -> ArrayRef { Arc::new(UInt32Array::from_iter_values(items.iter().map(code))) };
    let parts = |part: fn(&AssetShare) -> f64| numbers(items.iter().map(part).collect());
    let kinds = StringArray::from_iter_values(items.iter().map(|share| share.kind));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("cluster", codes(|share| share.cluster)),
        ("name", codes(|share| share.name)),
        ("type", Arc::new(kinds)),
        ("provider_id", codes(|share| share.provider_id)),
        ("cpu", parts(|share| share.cpu)),
        ("gpu", parts(|share| share.gpu)),
        ("ram", parts(|share| share.ram)),
        ("load_balancer", parts(|share| share.load_balancer)),
        ("pv", parts(|share| share.pv)),
        ("node_resource_cost", parts(|share| share.node_resource_cost)),
    ];
    let column = list_of_structs(columns, lengths, items.len())?;
    table.rows = with_columns(&table.rows, vec![("asset_shares", column)])?;
    Ok(())
}

/// A column of lists of structs with these fields, each list as long as `lengths` says.
fn list_of_structs(columns: Vec<(&str, ArrayRef)>, lengths: Vec<usize>, items: usize) -> Result<ArrayRef> {
    let fields = columns
        .iter()
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), false));
    let fields: Fields = fields.collect();
    let item = Arc::new(Field::new("item", DataType::Struct(fields.clone()), true));
    let columns: Vec<ArrayRef> = columns.into_iter().map(|(_, column)| column).collect();
    let structs = StructArray::try_new_with_length(fields, columns, None, items)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(item, offsets, Arc::new(structs), None)?))
}

fn shared_costs_column(items: &[(&str, CostParts)], lengths: Vec<usize>) -> Result<ArrayRef> {
    let column = |part: fn(&CostParts) -> f64| numbers(items.iter().map(|(_, parts)| part(parts)).collect());
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "name",
            Arc::new(StringArray::from_iter_values(items.iter().map(|(name, _)| name))),
        ),
        ("total_cost", column(|parts| parts.total)),
        ("cpu_cost", column(|parts| parts.cpu)),
        ("gpu_cost", column(|parts| parts.gpu)),
        ("ram_cost", column(|parts| parts.ram)),
        ("pv_cost", column(|parts| parts.pv)),
        ("network_cost", column(|parts| parts.network)),
        ("load_balancer_cost", column(|parts| parts.load_balancer)),
        ("external_cost", column(|parts| parts.external)),
    ];
    list_of_structs(columns, lengths, items.len())
}

/// Adds idle items as the last rows.
fn add_idle(table: &mut Table, idle: &[IdleItem], reader: &Reader<'_>) -> Result<()> {
    if idle.is_empty() {
        return Ok(());
    }
    // A cost that no allocation has may be idle all the same.
    let absent = |name: &&str| table.rows.column_by_name(name).is_none();
    let zeros = || numbers(vec![0.0; table.rows.num_rows()]);
    let added = ["cpu_cost", "gpu_cost", "ram_cost"]
        .into_iter()
        .filter(absent)
        .map(|name| (name, zeros()));
    let rows = with_columns(&table.rows, added.collect())?;
    let windows = reader.sets.windows();
    let set_window = |item: &IdleItem, start: bool| {
        let window = windows.get(item.set).copied().unwrap_or_else(|| reader.sets.window());
        if start { window.start() } else { window.end() }.timestamp_micros()
    };
    let columns = rows
        .schema_ref()
        .fields()
        .iter()
        .map(|field| -> Result<ArrayRef> {
            let codes = |code: fn(&IdleItem) -> Code| -> ArrayRef {
                Arc::new(UInt32Array::from_iter_values(idle.iter().map(code)))
            };
            let costs = |cost: fn(&IdleItem) -> f64| numbers(idle.iter().map(cost).collect());
            let times = |time: &dyn Fn(&IdleItem) -> i64| -> ArrayRef {
                let times = TimestampMicrosecondArray::from_iter_values(idle.iter().map(time));
                Arc::new(times.with_timezone("UTC"))
            };
            // Covered windows are told by the rows beside them.
            let within = |item: &IdleItem, time: i64| time.clamp(set_window(item, true), set_window(item, false));
            Ok(match field.name().as_str() {
                plan::SET => codes(|item| item.set as Code),
                "cluster" => codes(|item| item.cluster),
                "node" | "provider_id" => codes(|item| item.node),
                "cpu_cost" => costs(|item| item.cpu_cost),
                "gpu_cost" => costs(|item| item.gpu_cost),
                "ram_cost" => costs(|item| item.ram_cost),
                allocations::START => times(&|item| item.start),
                allocations::END => times(&|item| item.end),
                allocations::WINDOW_START => times(&|item| within(item, item.start)),
                allocations::WINDOW_END => times(&|item| within(item, item.end)),
                _ => nothing(field, idle.len())?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let idle_rows = RecordBatch::try_new(rows.schema(), columns)?;
    table.rows = concat_batches(&rows.schema(), [&rows, &idle_rows])?;
    table.special_names = idle.iter().map(|item| item.name.clone()).collect();
    Ok(())
}

/// Nothing, in the type of a column.
fn nothing(field: &Field, rows: usize) -> Result<ArrayRef> {
    Ok(match field.data_type() {
        data_type if field.is_nullable() && !matches!(data_type, DataType::List(_) | DataType::Float64) => {
            match data_type {
                DataType::UInt32 => Arc::new(UInt32Array::from(vec![EMPTY; rows])),
                _ => new_null_array(data_type, rows),
            }
        }
        DataType::UInt32 => Arc::new(UInt32Array::from(vec![EMPTY; rows])),
        DataType::Float64 if allocations::MAXIMA.contains(&field.name().as_str()) => {
            new_null_array(&DataType::Float64, rows)
        }
        DataType::Float64 => numbers(vec![0.0; rows]),
        DataType::Int64 => Arc::new(Int64Array::from(vec![0; rows])),
        DataType::Boolean => Arc::new(BooleanArray::from(vec![false; rows])),
        DataType::List(item) => {
            let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(0, rows));
            let items = new_empty_array(item.data_type());
            Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, None)?)
        }
        other => new_null_array(other, rows),
    })
}

/// The columns of costs.
fn is_cost(name: &str) -> bool {
    name.ends_with("_cost") || name.ends_with("_cost_adjustment")
}

/// States costs per hour, day or month rather than for the whole window of their set.
fn restate_costs(table: &mut Table, reader: &Reader<'_>, metric: CostMetric) -> Result<()> {
    let windows = reader.sets.windows();
    let factor = |set: &u32| {
        let window = windows.get(*set as usize);
        metric.factor(window.map_or(0.0, |window| window.duration().num_seconds() as f64 / 3600.0))
    };
    let factors: Vec<f64> = table.sets().iter().map(factor).collect();
    let restate = |column: &Float64Array, factor_of: &dyn Fn(usize) -> f64| -> ArrayRef {
        let restated = column
            .iter()
            .enumerate()
            .map(|(row, cost)| cost.map(|cost| cost * factor_of(row)));
        Arc::new(restated.collect::<Float64Array>())
    };
    let columns = table
        .rows
        .columns()
        .iter()
        .zip(table.rows.schema_ref().fields())
        .map(|(column, field)| {
            if let Some(costs) = column
                .as_primitive_opt::<Float64Type>()
                .filter(|_| is_cost(field.name()))
            {
                return Ok(restate(costs, &|row| factors[row]));
            }
            let Some(lists) = column.as_list_opt::<i32>() else {
                return Ok(Arc::clone(column));
            };
            // Volumes, balancers and parts of shared costs, by the row that each is of.
            let lengths = lists.offsets().lengths().enumerate();
            let row_of: Vec<usize> = lengths
                .flat_map(|(row, length)| std::iter::repeat_n(row, length))
                .collect();
            let first = lists.value_offsets().first().map_or(0, |first| *first as usize);
            let structs = lists.values().slice(first, row_of.len());
            let structs = structs.as_struct();
            let items = structs.columns().iter().zip(structs.fields()).map(|(column, field)| {
                let costs = column.as_primitive_opt::<Float64Type>();
                let is_cost = field.name() == "cost" || is_cost(field.name());
                match costs.filter(|_| is_cost) {
                    Some(costs) => restate(costs, &|item| factors[row_of[item]]),
                    None => Arc::clone(column),
                }
            });
            let items =
                StructArray::try_new_with_length(structs.fields().clone(), items.collect(), None, row_of.len())?;
            let DataType::List(item) = column.data_type() else {
                return Ok(Arc::clone(column));
            };
            let offsets = OffsetBuffer::from_lengths(lists.offsets().lengths());
            Ok::<ArrayRef, datafusion::error::DataFusionError>(Arc::new(ListArray::try_new(
                Arc::clone(item),
                offsets,
                Arc::new(items),
                None,
            )?))
        });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    table.rows = RecordBatch::try_new(table.rows.schema(), columns)?;
    Ok(())
}

/// Fewer rows than this are added up on one thread.
const ROWS_PER_THREAD: usize = 8 * 1024;

/// The sum of some columns, of those that are there.
fn sum(table: &Table, columns: &[&str]) -> Vec<f64> {
    let columns: Vec<&[f64]> = columns.iter().filter_map(|column| table.numbers(column)).collect();
    let mut sums = vec![0.0; table.rows.num_rows()];
    sums.par_iter_mut()
        .with_min_len(ROWS_PER_THREAD)
        .enumerate()
        .for_each(|(row, sum)| *sum = columns.iter().map(|numbers| numbers[row]).sum());
    sums
}

/// What items are put in order by.
fn rank(table: &Table, sort_by: SortBy) -> Vec<f64> {
    let resource = |cost: &str, request: &str, usage: &str| -> Vec<ResourceUse> {
        let adjustment = format!("{cost}_adjustment");
        let [costs, adjustments, requests, usages] =
            [cost, adjustment.as_str(), request, usage].map(|column| sum(table, &[column]));
        (0..costs.len())
            .map(|row| ResourceUse {
                request: requests[row],
                usage: usages[row],
                cost: ResourceCost {
                    cost: costs[row],
                    adjustment: adjustments[row],
                },
            })
            .collect()
    };
    let cpu = || resource("cpu_cost", "cpu_core_request_average", "cpu_core_usage_average");
    let gpu = || resource("gpu_cost", "gpu_request_average", "gpu_usage_average");
    let ram = || resource("ram_cost", "ram_byte_request_average", "ram_byte_usage_average");
    let efficiencies = |uses: Vec<ResourceUse>| uses.into_iter().map(ResourceUse::efficiency).collect();
    match sort_by {
        SortBy::Name => vec![0.0; table.rows.num_rows()],
        SortBy::TotalCost => {
            let columns: Vec<&str> = plan::UNSHARED_COST.into_iter().chain(["shared_cost"]).collect();
            sum(table, &columns)
        }
        SortBy::Columns(columns) => sum(table, columns),
        SortBy::CpuEfficiency => efficiencies(cpu()),
        SortBy::GpuEfficiency => efficiencies(gpu()),
        SortBy::RamEfficiency => efficiencies(ram()),
        SortBy::TotalEfficiency => cpu()
            .into_iter()
            .zip(ram())
            .map(|(cpu, ram)| total_efficiency(cpu, ram))
            .collect(),
    }
}
