//! Cycles over a bucket that changes.

use std::fs;

use fedcost_proto::ingest::v1::{ListFilesRequest, Progress, SourceFile, Status};
use serde_json::Value;
use test_cluster::{TestCluster, TestOptions};

use crate::bucket::{copy_of_golden, daily, files};

/// First second of 2026-03-01.
const FIRST_DAY: i64 = 1_772_323_200;

async fn start(bucket: &tempfile::TempDir) -> (TestCluster, Progress) {
    let cluster = TestCluster::start(TestOptions::new(bucket.path())).await.unwrap();
    let status = wait_for_first_cycle(&cluster).await;
    cluster.refresh_and_wait().await.unwrap();
    (cluster, status.progress.unwrap())
}

/// The first cycle begins on its own, so its figures are those of the cycle before the first refresh.
async fn wait_for_first_cycle(cluster: &TestCluster) -> Status {
    let mut ingest = cluster.ingest();
    loop {
        let answer = ingest
            .get_status(fedcost_proto::ingest::v1::GetStatusRequest {})
            .await
            .unwrap();
        let status = answer.into_inner().status.unwrap();
        if status.cycle_ended.is_some() && status.release.is_some() {
            return status;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn refreshed(cluster: &TestCluster) -> Progress {
    cluster.refresh_and_wait().await.unwrap().progress.unwrap()
}

/// Total cost of each cluster on the first day.
async fn first_day(cluster: &TestCluster) -> Value {
    let window = "2026-03-01T00:00:00Z,2026-03-02T00:00:00Z";
    let url = format!(
        "{}/model/allocation?window={window}&aggregate=cluster&idle=false",
        cluster.base_url()
    );
    let mut answer: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    answer["data"][0].take()
}

async fn failed_files(cluster: &TestCluster) -> Vec<SourceFile> {
    let request = ListFilesRequest {
        cluster: String::new(),
        failed_only: true,
    };
    let mut pages = cluster.ingest().list_files(request).await.unwrap().into_inner();
    let mut files = Vec::new();
    while let Some(page) = pages.message().await.unwrap() {
        files.extend(page.files);
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_bucket_is_neither_read_nor_written() {
    let bucket = copy_of_golden();
    let (cluster, first) = start(&bucket).await;
    assert_eq!((first.files_found, first.files_read, first.files_failed), (310, 310, 0));
    let before = files(bucket.path());
    for _ in 0..2 {
        let again = refreshed(&cluster).await;
        assert_eq!(again.files_found, 310);
        assert_eq!((again.files_to_read, again.files_read, again.bytes_read), (0, 0, 0));
    }
    assert_eq!(files(bucket.path()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_the_release_stands() {
    let bucket = copy_of_golden();
    let (cluster, _) = start(&bucket).await;
    let expected = first_day(&cluster).await;
    cluster.stop().await;
    let before = files(&bucket.path().join("derived"));

    let (cluster, again) = start(&bucket).await;
    assert_eq!((again.files_found, again.files_read), (310, 0));
    assert_eq!(first_day(&cluster).await, expected);
    assert_eq!(files(&bucket.path().join("derived")), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_and_removed_files_change_only_their_windows() {
    let bucket = copy_of_golden();
    let (cluster, _) = start(&bucket).await;
    let before = first_day(&cluster).await;

    let first = daily(bucket.path(), "prod-us", "allocations", FIRST_DAY);
    let mut set = bingen::AllocationSet::decode(&fs::read(&first).unwrap()).unwrap();
    set.allocations
        .values_mut()
        .for_each(|item| item.amounts.cpu_cost *= 2.0);
    fs::write(&first, set.encode().unwrap()).unwrap();
    let progress = refreshed(&cluster).await;
    assert_eq!((progress.files_to_read, progress.files_read), (1, 1));
    let changed = first_day(&cluster).await;
    assert_ne!(changed["prod-us"]["totalCost"], before["prod-us"]["totalCost"]);
    for other in ["prod-eu", "staging", "edge-1"] {
        assert_eq!(changed[other], before[other], "{other}");
    }

    fs::remove_file(&first).unwrap();
    let progress = refreshed(&cluster).await;
    assert_eq!((progress.files_to_read, progress.files_removed), (0, 1));
    let removed = first_day(&cluster).await;
    assert!(removed.get("prod-us").is_none(), "{removed}");
    for other in ["prod-eu", "staging", "edge-1"] {
        assert_eq!(removed[other], before[other], "{other}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_set_aside_and_costs_nothing_else() {
    let bucket = copy_of_golden();
    let damaged = daily(bucket.path(), "staging", "allocations", FIRST_DAY);
    let good = fs::read(&damaged).unwrap();
    fs::write(&damaged, &good[..good.len() / 2]).unwrap();
    let (cluster, first) = start(&bucket).await;
    assert_eq!((first.files_read, first.files_failed), (309, 1));
    let without = first_day(&cluster).await;
    assert!(
        without.get("staging").is_none() && without.get("prod-us").is_some(),
        "{without}"
    );

    let failed = failed_files(&cluster).await;
    assert_eq!(failed.len(), 1);
    assert!(damaged.ends_with(&failed[0].path), "{}", failed[0].path);
    assert!(failed[0].error.contains("cut short"), "{}", failed[0].error);
    // It is not read again until it changes.
    assert_eq!(refreshed(&cluster).await.files_to_read, 0);

    fs::write(&damaged, &good).unwrap();
    let progress = refreshed(&cluster).await;
    assert_eq!((progress.files_read, progress.files_failed), (1, 0));
    let repaired = first_day(&cluster).await;
    assert!(repaired.get("staging").is_some(), "{repaired}");
    assert_eq!(failed_files(&cluster).await, []);

    // Damaged once more, it costs nobody what was known of it.
    fs::write(&damaged, b"not an etl file").unwrap();
    assert_eq!(refreshed(&cluster).await.files_failed, 1);
    assert_eq!(first_day(&cluster).await, repaired);
}
