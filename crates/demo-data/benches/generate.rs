//! How many allocations are made up and encoded in a second, with nobody taking the bytes.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails may panic")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use demo_data::{DemoPlan, Summary, generate};

fn make(plan: &DemoPlan) -> Summary {
    let mut sink = |_, bytes| {
        black_box::<Vec<u8>>(bytes);
        Ok(())
    };
    generate(plan, &mut sink, &mut |_| {}).unwrap()
}

fn benchmarks(criterion: &mut Criterion) {
    let end = 1_773_014_400;
    let plan = DemoPlan {
        clusters: 4,
        nodes: 100,
        pods_per_node: 25,
        days: 4,
        hours: 8,
        end,
        seed: 1,
    };
    let mut group = criterion.benchmark_group("demo data");
    group.throughput(Throughput::Elements(make(&plan).allocations));
    group.sample_size(20);
    group.bench_function("generate", |bencher| bencher.iter(|| make(black_box(&plan))));
    group.finish();
}

criterion_group!(benches, benchmarks);
criterion_main!(benches);
