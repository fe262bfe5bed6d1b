//! How fast sets are read and written, beside how fast memory can be read at all.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails may panic")]

use std::hint::black_box;

use bingen::{
    Allocation, AllocationAmounts, AllocationProperties, AllocationSet, AllocationSetDecoder, EncodeOptions,
    LbAllocation, PvAllocation, PvKey, RawAllocationOnly, Timestamp, Window,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const ALLOCATIONS: usize = 5_000;
const DAY: i64 = 1_772_323_200;

/// A day of a cluster of some 200 nodes.
fn allocation_set() -> AllocationSet {
    let window = Window::from_unix_seconds(DAY, DAY + 86_400);
    let allocations = (0..ALLOCATIONS).map(|number| {
        let properties = properties(number);
        let name = [
            &properties.cluster,
            &properties.node,
            &properties.namespace,
            &properties.pod,
            &properties.container,
        ]
        .map(String::as_str)
        .join("/");
        let allocation = Allocation {
            name: name.clone(),
            window,
            start: Timestamp::from_unix_seconds(DAY),
            end: Timestamp::from_unix_seconds(DAY + 86_400),
            amounts: amounts(number as f64),
            pvs: if number.is_multiple_of(10) {
                [volume(number)].into()
            } else {
                Default::default()
            },
            raw_allocation_only: Some(RawAllocationOnly {
                cpu_core_usage_max: 0.7,
                ram_bytes_usage_max: 3e8,
                gpu_usage_max: None,
            }),
            load_balancers: if number.is_multiple_of(50) {
                [load_balancer(&properties)].into()
            } else {
                Default::default()
            },
            properties: Some(properties),
            gpu_allocation: None,
        };
        (name, allocation)
    });
    AllocationSet {
        allocations: allocations.collect(),
        window,
        ..AllocationSet::default()
    }
}

fn properties(number: usize) -> AllocationProperties {
    let workload = number / 8;
    let hash = workload.wrapping_mul(2_654_435_761) % 0xffff_ffff;
    let pair = |key: &str, value: String| (key.to_owned(), value);
    AllocationProperties {
        cluster: "prod-us-east-1".into(),
        node: format!("ip-10-0-{}-{}.ec2.internal", number % 4, number % 200),
        container: if number.is_multiple_of(2) {
            "istio-proxy".into()
        } else {
            format!("service-{workload}")
        },
        controller: format!("service-{workload}"),
        controller_kind: "deployment".into(),
        namespace: format!("team-{}", workload % 40),
        pod: format!("service-{workload}-{hash:x}-{:05x}", number / 2),
        services: vec![format!("service-{workload}"), format!("service-{workload}-headless")],
        provider_id: format!("i-0{:016x}", number % 200),
        labels: [
            pair("app", format!("service-{workload}")),
            pair("app_kubernetes_io_name", format!("service-{workload}")),
            pair("app_kubernetes_io_part_of", format!("product-{}", workload % 12)),
            pair("env", "production".into()),
            pair("owner", format!("owner-{}@example.com", workload % 30)),
            pair("pod_template_hash", format!("{hash:x}")),
            pair("team", format!("team-{}", workload % 40)),
            pair("version", format!("v1.{}.0", workload % 9)),
        ]
        .into(),
        annotations: [
            pair(
                "kubectl_kubernetes_io_restartedAt",
                format!("2026-02-{:02}T08:00:00Z", workload % 28 + 1),
            ),
            pair("prometheus_io_port", "9090".into()),
            pair("prometheus_io_scrape", "true".into()),
        ]
        .into(),
        namespace_labels: [
            pair("kubernetes_io_metadata_name", format!("team-{}", workload % 40)),
            pair("department", format!("department-{}", workload % 6)),
        ]
        .into(),
        namespace_annotations: [pair("cost_center", format!("cc-{}", workload % 6))].into(),
    }
}

fn amounts(number: f64) -> AllocationAmounts {
    AllocationAmounts {
        cpu_core_hours: 6.0 + number,
        cpu_core_request_average: 0.25,
        cpu_core_usage_average: 0.2 + number / 1e5,
        cpu_cost: 0.19 + number / 1e4,
        network_transfer_bytes: 5e8 + number,
        network_receive_bytes: 9e8 - number,
        network_cost: 0.03,
        network_internet_cost: 0.02,
        ram_byte_hours: 1.2e10,
        ram_bytes_request_average: 5e8,
        ram_bytes_usage_average: 4e8 + number,
        ram_cost: 0.05,
        ..AllocationAmounts::default()
    }
}

fn volume(number: usize) -> (PvKey, PvAllocation) {
    let key = PvKey {
        cluster: "prod-us-east-1".into(),
        name: format!("pvc-{number:032x}"),
    };
    (
        key,
        PvAllocation {
            byte_hours: 2.5e12,
            cost: 0.33,
            provider_id: format!("vol-0{number:016x}"),
        },
    )
}

fn load_balancer(properties: &AllocationProperties) -> (String, LbAllocation) {
    let service = format!("{}/{}", properties.namespace, properties.controller);
    let load_balancer = LbAllocation {
        service: service.clone(),
        cost: 0.6,
        private: false,
        ip: "203.0.113.7".into(),
        hours: 24.0,
    };
    (format!("prod-us-east-1/{service}"), load_balancer)
}

fn drain(bytes: &[u8]) -> f64 {
    let mut decoder = AllocationSetDecoder::new(bytes).unwrap();
    let mut cost = 0.0;
    while let Some(allocation) = decoder.next().unwrap() {
        cost += allocation.amounts.cpu_cost + allocation.properties.labels.len() as f64;
    }
    decoder.finish().unwrap();
    cost
}

fn sum_words(bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks::<8>();
    words
        .iter()
        .fold(0, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)))
}

fn benchmarks(criterion: &mut Criterion) {
    let set = allocation_set();
    let in_place_options = EncodeOptions {
        version: None,
        string_table: false,
    };
    let (with_table, in_place) = (set.encode().unwrap(), set.encode_with(in_place_options).unwrap());

    let mut group = criterion.benchmark_group("allocations with string table");
    group.throughput(Throughput::Bytes(with_table.len() as u64));
    group.bench_function("sum of words", |bencher| {
        bencher.iter(|| sum_words(black_box(&with_table)))
    });
    group.bench_function("copy", |bencher| bencher.iter(|| black_box(&with_table).clone()));
    group.bench_function("stream", |bencher| bencher.iter(|| drain(black_box(&with_table))));
    group.bench_function("own", |bencher| {
        bencher.iter(|| AllocationSet::decode(black_box(&with_table)).unwrap())
    });
    group.bench_function("encode", |bencher| bencher.iter(|| black_box(&set).encode().unwrap()));
    group.finish();

    let mut group = criterion.benchmark_group("allocations with strings in place");
    group.throughput(Throughput::Bytes(in_place.len() as u64));
    group.bench_function("sum of words", |bencher| {
        bencher.iter(|| sum_words(black_box(&in_place)))
    });
    group.bench_function("stream", |bencher| bencher.iter(|| drain(black_box(&in_place))));
    group.bench_function("own", |bencher| {
        bencher.iter(|| AllocationSet::decode(black_box(&in_place)).unwrap())
    });
    group.bench_function("encode", |bencher| {
        bencher.iter(|| black_box(&set).encode_with(in_place_options).unwrap());
    });
    group.finish();
}

criterion_group!(benches, benchmarks);
criterion_main!(benches);
