//! Adding up rows in memory: an aggregate of aggregates is the aggregate of all members.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not marked as tests")]

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, AsArray as _, BooleanArray, Float64Array, Int64Array, ListArray, MapBuilder, RecordBatch,
        StringViewArray, StringViewBuilder, StructArray, TimestampMicrosecondArray,
    },
    buffer::OffsetBuffer,
    compute::concat_batches,
    datatypes::{DataType, Field, Fields, Float64Type, UInt32Type},
};
use cost_plan::{
    aggregate::{self, Input, derived_keys},
    coded,
    dictionary::{Dictionary, EMPTY},
};
use datafusion::{
    datasource::MemTable,
    logical_expr::{Expr, col},
    prelude::{DataFrame, SessionConfig, SessionContext},
};
use lake::{TableName, schema::allocations};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

const HOUR_MICROS: i64 = 3_600_000_000;

/// Rows with few values per column, so that groups have several members that agree on some things.
fn plain_rows(random: &mut StdRng, table: TableName, count: usize) -> RecordBatch {
    let schema = table.schema();
    let columns = schema
        .fields()
        .iter()
        .map(|field| column(random, field, count))
        .collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

/// The same in coded form, and what adding them up needs to know.
fn rows(random: &mut StdRng, table: TableName, count: usize) -> (RecordBatch, Input) {
    let dictionary = Arc::new(Dictionary::default());
    let coded = coded::encode(&plain_rows(random, table, count), &dictionary).unwrap();
    (coded, Input::new(dictionary))
}

#[test]
fn what_is_encoded_is_decoded() {
    let mut random = StdRng::seed_from_u64(3);
    for table in [TableName::Allocations, TableName::Assets] {
        let plain = plain_rows(&mut random, table, 200);
        let dictionary = Dictionary::default();
        let coded = coded::encode(&plain, &dictionary).unwrap();
        assert_eq!(coded.schema(), coded::schema(&table.schema()));
        assert_eq!(coded::decode(&coded, &table.schema(), &dictionary).unwrap(), plain);
    }
}

fn column(random: &mut StdRng, field: &Field, count: usize) -> ArrayRef {
    match field.data_type() {
        DataType::Utf8View => {
            let values = (0..count).map(|_| ["", "a", "b", "c"][random.random_range(0..4)]);
            Arc::new(StringViewArray::from_iter_values(values))
        }
        DataType::Float64 => {
            let values = (0..count).map(|_| f64::from(random.random_range(0..1000)) / 8.0);
            Arc::new(Float64Array::from_iter_values(values))
        }
        DataType::Int64 => Arc::new(Int64Array::from(vec![1; count])),
        DataType::Boolean => Arc::new(BooleanArray::from(vec![false; count])),
        DataType::Timestamp(..) => {
            // Starts lie before ends.
            let first = if field.name().ends_with("end") { 24 } else { 0 };
            let values = (0..count).map(|_| (first + random.random_range(0..24)) * HOUR_MICROS);
            Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC"))
        }
        DataType::Map(..) => {
            // Known or not, and the same wherever known, as the labels of one namespace are.
            let mut maps = MapBuilder::new(None, StringViewBuilder::new(), StringViewBuilder::new());
            for _ in 0..count {
                for (name, value) in [("k", "v"), ("l", "w")].into_iter().take(2 * random.random_range(0..2)) {
                    maps.keys().append_value(name);
                    maps.values().append_value(value);
                }
                maps.append(true).unwrap();
            }
            arrow::compute::cast(&maps.finish(), field.data_type()).unwrap()
        }
        DataType::List(item) => {
            let lengths: Vec<usize> = (0..count).map(|_| random.random_range(0..3)).collect();
            let items = match item.data_type() {
                DataType::Struct(fields) => structs(random, fields, lengths.iter().sum()),
                _ => column(random, item, lengths.iter().sum()),
            };
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(ListArray::try_new(Arc::clone(item), offsets, items, None).unwrap())
        }
        other => panic!("no made-up values for {other}"),
    }
}

fn structs(random: &mut StdRng, fields: &Fields, count: usize) -> ArrayRef {
    // What is no key follows from it, as a volume's id at the provider does from its name.
    let columns = fields.iter().map(|field| match field.name().as_str() {
        "provider_id" | "service" | "ip" => Arc::new(StringViewArray::from(vec!["x"; count])) as ArrayRef,
        _ => column(random, field, count),
    });
    let columns = columns.collect();
    Arc::new(StructArray::try_new(fields.clone(), columns, None).unwrap())
}

fn session() -> SessionContext {
    // Several partitions and small batches, so that states are merged.
    SessionContext::new_with_config(SessionConfig::new().with_target_partitions(3).with_batch_size(64))
}

fn frame(session: &SessionContext, batch: &RecordBatch) -> DataFrame {
    let half = batch.num_rows() / 2;
    let partitions = vec![
        vec![batch.slice(0, half)],
        vec![batch.slice(half, batch.num_rows() - half)],
    ];
    let table = MemTable::try_new(batch.schema(), partitions).unwrap();
    session.read_table(Arc::new(table)).unwrap()
}

/// The result in one batch, in order of its keys.
async fn collect(frame: DataFrame, keys: &[&str]) -> RecordBatch {
    let order = keys.iter().map(|key| col(*key).sort(true, true)).collect();
    let schema = Arc::new(frame.schema().as_arrow().clone());
    let batches = frame.sort(order).unwrap().collect().await.unwrap();
    let schema = batches.first().map_or(schema, |batch| batch.schema());
    concat_batches(&schema, &batches).unwrap()
}

fn columns(keys: &[&str]) -> Vec<Expr> {
    keys.iter().map(|key| col(*key)).collect()
}

fn assert_same(once: &RecordBatch, twice: &RecordBatch, except: &[&str]) {
    assert_eq!(once.num_rows(), twice.num_rows());
    for field in once.schema().fields() {
        let name = field.name().as_str();
        if except.contains(&name) {
            continue;
        }
        let [a, b] = [once, twice].map(|batch| batch.column_by_name(name).unwrap());
        match (a.as_primitive_opt::<Float64Type>(), b.as_primitive_opt::<Float64Type>()) {
            (Some(a), Some(b)) => {
                for (row, (a, b)) in a.iter().zip(b).enumerate() {
                    let close = match (a, b) {
                        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(1.0),
                        (a, b) => a.is_none() && b.is_none(),
                    };
                    assert!(close, "{name} of row {row}: {a:?} at once, {b:?} in two steps");
                }
            }
            _ => assert_eq!(a, b, "{name}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn allocations_added_up_in_two_steps_are_the_same() {
    for seed in 0..8 {
        let mut random = StdRng::seed_from_u64(seed);
        let (batch, mut input) = rows(&mut random, TableName::Allocations, 500);
        let session = session();
        let base = frame(&session, &batch);
        let finer = derived_keys(TableName::AllocationsByWorkload).unwrap();
        let derived = aggregate::allocations(base.clone(), columns(&finer), &input).unwrap();
        let derived = collect(derived, &finer).await;
        for keys in [&["namespace"][..], &["cluster", "controller_kind"], &["window_start"]] {
            for metadata in [false, true] {
                input.metadata = metadata;
                let once = collect(
                    aggregate::allocations(base.clone(), columns(keys), &input).unwrap(),
                    keys,
                )
                .await;
                let again = aggregate::allocations(frame(&session, &derived), columns(keys), &input).unwrap();
                assert_same(&once, &collect(again, keys).await, &[]);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_added_up_in_two_steps_are_the_same() {
    let mut random = StdRng::seed_from_u64(1);
    let (batch, input) = rows(&mut random, TableName::Assets, 500);
    let session = session();
    let base = frame(&session, &batch);
    let finer = derived_keys(TableName::AssetsByType).unwrap();
    let derived = collect(
        aggregate::assets(base.clone(), columns(&finer), &input).unwrap(),
        &finer,
    )
    .await;
    let once = collect(aggregate::assets(base, columns(&["type"]), &input).unwrap(), &["type"]).await;
    let again = aggregate::assets(frame(&session, &derived), columns(&["type"]), &input).unwrap();
    // Made-up adjustments are larger than costs, so that weights of opposite signs meet; real ones are not.
    assert_same(&once, &collect(again, &["type"]).await, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sums_are_kept_and_single_members_keep_what_is_theirs() {
    let mut random = StdRng::seed_from_u64(2);
    let (batch, input) = rows(&mut random, TableName::Allocations, 300);
    let session = session();
    let keys = ["cluster", "node", "namespace", "pod"];
    let added = aggregate::allocations(frame(&session, &batch), columns(&keys), &input).unwrap();
    let added = collect(added, &keys).await;
    for name in allocations::SUMS {
        let [before, after] = [&batch, &added].map(|batch| {
            let column = batch.column_by_name(name).unwrap();
            column.as_primitive::<Float64Type>().iter().flatten().sum::<f64>()
        });
        assert!((before - after).abs() < 1e-6, "{name}: {before} became {after}");
    }
    let members = added
        .column_by_name(allocations::MEMBERS)
        .unwrap()
        .as_primitive::<arrow::datatypes::Int64Type>();
    let [labels, _] = allocations::MEMBER_MAPS.map(|name| added.column_by_name(name).unwrap());
    let labels = labels.as_primitive::<UInt32Type>().values();
    let single: Vec<bool> = members.iter().flatten().map(|members| members == 1).collect();
    assert!(single.contains(&false));
    assert!(
        single
            .iter()
            .zip(labels)
            .any(|(single, labels)| *single && *labels != EMPTY)
    );
    for (row, (single, labels)) in single.iter().zip(labels).enumerate() {
        assert!(*single || *labels == EMPTY, "labels of row {row}");
    }
}
