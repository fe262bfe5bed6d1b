//! How fast allocations become JSON: the figures of as many pods as an answer has, in batches as they come.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gateway_svc::write_allocations;

const ROWS: usize = 8192;
const DAY_MICROS: i64 = 86_400_000_000;
const START_MICROS: i64 = 1_772_323_200_000_000;

/// Pods as they are: some cost in every resource but the GPU, and figures with many digits.
fn pods() -> RecordBatch {
    let texts =
        |make: &dyn Fn(usize) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values((0..ROWS).map(make))) };
    let times = |offset: i64| -> ArrayRef {
        let times = (0..ROWS as i64).map(|row| START_MICROS + offset + row % 7 * 60_000_000);
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
    };
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("set", Arc::new(UInt32Array::from(vec![0; ROWS]))),
        (
            "name",
            texts(&|row| format!("cluster-{}/namespace-{}/pod-{row:08x}", row % 20, row % 97)),
        ),
        ("cluster", texts(&|row| format!("cluster-{}", row % 20))),
        (
            "node",
            texts(&|row| format!("ip-10-0-{}-{}.ec2.internal", row % 250, row % 97)),
        ),
        ("namespace", texts(&|row| format!("namespace-{}", row % 97))),
        ("controller", texts(&|row| format!("deployment-{}", row % 997))),
        ("controller_kind", texts(&|_| "deployment".to_owned())),
        ("pod", texts(&|row| format!("deployment-{}-{row:08x}", row % 997))),
        ("provider_id", texts(&|row| format!("i-{row:017x}"))),
        ("start", times(0)),
        ("end", times(DAY_MICROS)),
    ];
    for (index, (name, scale)) in [
        ("cpu_core_hours", 12.0),
        ("cpu_core_request_average", 0.5),
        ("cpu_core_usage_average", 0.3),
        ("cpu_cost", 0.4),
        ("cpu_cost_adjustment", -0.01),
        ("network_transfer_bytes", 1e9),
        ("network_receive_bytes", 3e9),
        ("network_cost", 0.02),
        ("network_internet_cost", 0.02),
        ("ram_byte_hours", 5e10),
        ("ram_byte_request_average", 2e9),
        ("ram_byte_usage_average", 1.5e9),
        ("ram_cost", 0.2),
        ("ram_cost_adjustment", -0.005),
        ("shared_cost", 0.1),
    ]
    .into_iter()
    .enumerate()
    {
        let numbers = (0..ROWS).map(|row| scale * (1.0 + ((row * 7 + index * 13) % 1009) as f64 / 1009.0));
        columns.push((name, Arc::new(Float64Array::from_iter_values(numbers))));
    }
    RecordBatch::try_from_iter(columns).unwrap_or_else(|error| panic!("{error}"))
}

fn allocations(criterion: &mut Criterion) {
    let pods = pods();
    let write = || write_allocations(&pods).unwrap_or_else(|error| panic!("{error}"));
    let mut group = criterion.benchmark_group("json");
    group.throughput(Throughput::Bytes(write().len() as u64));
    group.bench_function("allocations", |bencher| bencher.iter(write));
    group.finish();
}

criterion_group!(benches, allocations);
criterion_main!(benches);
