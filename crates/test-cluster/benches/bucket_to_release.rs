//! From a bucket of ETL files to a served release, through all services: rows per second, beside a plain read of the
//! same files.

#![expect(clippy::expect_used, reason = "a benchmark that fails may panic")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use demo_data::{DemoPlan, bucket::write_bucket};
use tempfile::TempDir;
use test_cluster::{TestCluster, TestOptions};
use tokio::runtime::Runtime;
use walkdir::WalkDir;

/// 2026-03-11, midnight UTC.
const END: i64 = 1_773_187_200;

fn bucket() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let plan = DemoPlan {
        clusters: 5,
        nodes: 20,
        pods_per_node: 20,
        days: 10,
        hours: 0,
        ..DemoPlan::example(END)
    };
    write_bucket(folder.path(), &plan, &mut |_| {}).expect("a bucket");
    folder
}

fn read_all(folder: &Path) -> u64 {
    WalkDir::new(folder.join("federated"))
        .into_iter()
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| fs::read(entry.path()).expect("a file").len() as u64)
        .sum()
}

/// Removes the lake, starts all services, and waits until the release is served.
async fn ingest(folder: &Path) -> (Duration, u64) {
    let lake = folder.join("derived");
    if lake.exists() {
        fs::remove_dir_all(&lake).expect("an empty lake");
    }
    let started = Instant::now();
    let cluster = TestCluster::start(TestOptions::new(folder))
        .await
        .expect("the services");
    let status = cluster.refresh_and_wait().await.expect("a release");
    let elapsed = started.elapsed();
    cluster.stop().await;
    (elapsed, status.release.map_or(0, |release| release.rows))
}

fn benchmark(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let folder = bucket();
    let (_, rows) = runtime.block_on(ingest(folder.path()));
    let mut group = criterion.benchmark_group("bucket_to_release");
    group.sample_size(10).throughput(Throughput::Elements(rows));
    group.bench_function(BenchmarkId::new("plain_read", rows), |bencher| {
        bencher.iter(|| read_all(folder.path()));
    });
    group.bench_function(BenchmarkId::new("ingest", rows), |bencher| {
        bencher.iter_custom(|times| (0..times).map(|_| runtime.block_on(ingest(folder.path())).0).sum());
    });
    group.finish();
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
