//! Questions over so many rows that they are answered by other plans than those over few.

use demo_data::{DemoPlan, bucket::write_bucket};
use query_svc::config::LimitsConfig;

use crate::asking::{Services, assert_same_figures};

/// 2026-03-19, midnight UTC.
const END: i64 = 1_773_878_400;
const DAYS: i64 = 18;

/// From this many rows on, questions by pod are answered cluster by cluster.
const MANY_ROWS: u64 = 64 * 1024;

/// A filter that drops nothing, with which questions by pod are answered by one plan.
const ALL_PASS: &str = "filter=cluster!:%22none%22";

#[tokio::test(flavor = "multi_thread")]
async fn pods_are_the_same_cluster_by_cluster_and_all_at_once() {
    let bucket = tempfile::tempdir().unwrap();
    let plan = DemoPlan {
        clusters: 5,
        nodes: 25,
        pods_per_node: 20,
        days: DAYS as usize,
        hours: 0,
        ..DemoPlan::example(END)
    };
    let written = write_bucket(bucket.path(), &plan, &mut |_| {}).unwrap();
    assert!(
        written.allocations >= MANY_ROWS,
        "{} rows are too few",
        written.allocations
    );
    let services = Services::over(bucket, LimitsConfig::default()).await;
    let window = format!("window={},{END}&accumulate=true&idle=false", END - DAYS * 86_400);
    for aggregate in ["pod", "cluster,controller,pod,container"] {
        let question = format!("/model/allocation?{window}&aggregate={aggregate}");
        let in_parts = services.set(&question).await;
        let at_once = services.set(&format!("{question}&{ALL_PASS}")).await;
        assert!(in_parts.len() > 5_000, "{aggregate}: {}", in_parts.len());
        assert_same_figures(&in_parts, &at_once, &[], aggregate);
    }
    services.cluster.stop().await;
}
