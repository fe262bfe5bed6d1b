//! What people who run FedCost ask and order: what was read, what is missing, repairs, pins, returns to older releases.

use std::{fs, process::Command};

use fedcost_proto::ingest::v1::{
    ListReleasesRequest, PinReleaseRequest, ResetRequest, RollBackRequest, UnpinReleaseRequest,
};
use serde_json::Value;
use test_cluster::{TestCluster, TestOptions};

use crate::{
    bucket::{copy_of_golden, daily, files},
    processes::binary,
};

const FIRST_DAY: i64 = 1_772_323_200;
const SECOND_DAY: i64 = FIRST_DAY + 86_400;

async fn started(bucket: &tempfile::TempDir) -> TestCluster {
    let cluster = TestCluster::start(TestOptions::new(bucket.path())).await.unwrap();
    cluster.refresh_and_wait().await.unwrap();
    cluster
}

async fn get(cluster: &TestCluster, path: &str) -> Value {
    let url = format!("{}/model/{path}", cluster.base_url());
    let answer = reqwest::get(&url).await.unwrap();
    assert!(answer.status().is_success(), "{url}: {}", answer.text().await.unwrap());
    let mut answer: Value = answer.json().await.unwrap();
    answer["data"].take()
}

/// What `prod-us` cost on the first day.
async fn cost(cluster: &TestCluster, more: &str) -> f64 {
    let window = "2026-03-01T00:00:00Z,2026-03-02T00:00:00Z";
    let path = format!("allocation?window={window}&aggregate=cluster&idle=false{more}");
    let sets = get(cluster, &path).await;
    sets[0]["prod-us"]["totalCost"].as_f64().unwrap()
}

/// Waits until query serves something else.
async fn changed(cluster: &TestCluster, before: f64) -> f64 {
    for _ in 0..500 {
        let now = cost(cluster, "").await;
        if now != before {
            return now;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("still {before}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_and_what_is_missing() {
    let bucket = copy_of_golden();
    let damaged = daily(bucket.path(), "staging", "allocations", FIRST_DAY);
    fs::write(&damaged, b"not an etl file").unwrap();
    let cluster = started(&bucket).await;

    let orchestrator = get(&cluster, "debug/orchestrator").await;
    assert_eq!(orchestrator["filesSetAside"], 1);
    assert_eq!(
        (orchestrator["clusters"].as_u64(), orchestrator["files"].as_u64()),
        (Some(4), Some(310))
    );
    assert!(orchestrator["lastSuccess"].is_string() && orchestrator["lastError"].is_null());

    let set_aside = get(&cluster, "debug/ingestionRecords?state=setAside").await;
    assert_eq!(set_aside.as_array().unwrap().len(), 1);
    assert_eq!(set_aside[0]["cluster"], "staging");
    assert!(damaged.ends_with(set_aside[0]["path"].as_str().unwrap()));
    let all = get(&cluster, "debug/ingestionRecords?cluster=staging&limit=1000").await;
    assert!(
        all.as_array()
            .unwrap()
            .iter()
            .all(|record| record["cluster"] == "staging")
    );

    // A day is missing of `prod-eu` (see the golden bucket's README), and one cannot be read of `staging`.
    let summary = get(&cluster, "debug/ingestionSummary").await;
    let missing = |cluster: &str, pipeline: &str| -> Vec<String> {
        let found =
            summary.as_array().unwrap().iter().find(|found| {
                found["cluster"] == cluster && found["pipeline"] == pipeline && found["resolution"] == "1d"
            });
        let missing = found.unwrap()["missing"].as_array().unwrap().clone();
        // The golden days are long past, so that all later ones are missing as well.
        let early = missing
            .iter()
            .filter_map(Value::as_str)
            .filter(|start| *start < "2026-03-10");
        early.map(str::to_owned).collect()
    };
    assert_eq!(missing("prod-eu", "allocations"), ["2026-03-04T00:00:00Z"]);
    assert_eq!(missing("staging", "allocations"), ["2026-03-01T00:00:00Z"]);
    assert_eq!(missing("staging", "assets"), Vec::<String>::new());

    let clusters = get(&cluster, "diagnostics/multicluster").await;
    assert_eq!(clusters["overview"]["clusters"], 4);
    assert_eq!(clusters["overview"]["withErrors"], 1);
    let nodes = get(&cluster, "diagnostic/nodeCount?cluster=prod-us").await;
    assert_eq!(nodes[0]["windowStart"], "2026-03-01T00:00:00Z");
    assert!(nodes[0]["values"]["prod-us"].as_f64().unwrap() >= 1.0);
    // The agents of the golden bucket reconcile by themselves.
    let reconciled = get(&cluster, "diagnostic/reconciledCost").await;
    assert!(
        reconciled.as_array().unwrap().iter().all(|day| day["total"] == 0.0),
        "{reconciled}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_is_asked_for_over_http() {
    let bucket = copy_of_golden();
    let cluster = started(&bucket).await;
    let window = "window=2026-03-01T00:00:00Z,2026-03-03T00:00:00Z&cluster=prod-us";
    let answer = get(&cluster, &format!("etl/allocation/repair?{window}")).await;
    assert_eq!(answer, "Repairing Allocation ETL");
    let answer = get(&cluster, &format!("etl/asset/repair?{window}")).await;
    assert_eq!(answer, "Repairing Asset ETL");
    // Both may have been done by one cycle or by two; then there is nothing to do.
    let mut read = 0;
    for _ in 0..500 {
        let orchestrator = get(&cluster, "debug/orchestrator").await;
        read = read.max(orchestrator["progress"]["filesRead"].as_u64().unwrap());
        if read > 0 && orchestrator["state"] == "idle" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(read > 0);
    let url = format!("{}/model/etl/asset/repair?window=never", cluster.base_url());
    assert_eq!(reqwest::get(url).await.unwrap().status(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_are_pinned_returned_to_and_asked_by_number() {
    let bucket = copy_of_golden();
    let cluster = started(&bucket).await;
    let mut ingest = cluster.ingest();
    let first = cost(&cluster, "").await;
    let changing = daily(bucket.path(), "prod-us", "allocations", FIRST_DAY);
    let old = fs::read(&changing).unwrap();
    // A set of the other day is of another window, so it is set aside; the costs stay as they are.
    fs::copy(daily(bucket.path(), "prod-us", "allocations", SECOND_DAY), &changing).unwrap();
    cluster.refresh_and_wait().await.unwrap();
    assert_eq!(cost(&cluster, "").await, first);

    let set = bingen::AllocationSet::decode(&old).unwrap();
    let mut halved = set.clone();
    halved
        .allocations
        .values_mut()
        .for_each(|item| item.amounts.cpu_cost /= 2.0);
    fs::write(&changing, halved.encode().unwrap()).unwrap();
    let newest = cluster.refresh_and_wait().await.unwrap().release.unwrap().number;
    let second = cost(&cluster, "").await;
    assert!(second < first);
    assert_eq!(cost(&cluster, "&asOf=1").await, first);
    assert_eq!(cost(&cluster, &format!("&asOf={newest}")).await, second);
    assert_eq!(cost(&cluster, "&asOf=2126-01-01T00:00:00Z").await, second);
    for wrong in ["77", "yesterday", "2001-01-01T00:00:00Z"] {
        let url = format!("{}/model/assets?window=7d&asOf={wrong}", cluster.base_url());
        let answer = reqwest::get(url).await.unwrap();
        assert_eq!(answer.status(), 400, "{wrong}");
        assert!(answer.text().await.unwrap().contains("asOf"));
    }

    let pin = PinReleaseRequest {
        number: 1,
        reason: "an audit".to_owned(),
    };
    ingest.pin_release(pin).await.unwrap();
    assert_eq!(changed(&cluster, second).await, first);
    let releases = get(&cluster, "debug/releases").await;
    assert_eq!(
        (releases["pinned"].as_u64(), releases["pinReason"].as_str()),
        (Some(1), Some("an audit"))
    );
    ingest.unpin_release(UnpinReleaseRequest {}).await.unwrap();
    assert_eq!(changed(&cluster, first).await, second);

    ingest.roll_back(RollBackRequest { number: 1 }).await.unwrap();
    assert_eq!(changed(&cluster, second).await, first);
    let list = ingest.list_releases(ListReleasesRequest {}).await.unwrap().into_inner();
    assert_eq!(list.releases[0].rolled_back_to, 1);
    assert_eq!(list.releases[0].release.unwrap().number, newest + 1);
    let unknown = ingest.roll_back(RollBackRequest { number: 99 }).await.unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::NotFound);

    ingest.reset(ResetRequest {}).await.unwrap();
    assert_eq!(changed(&cluster, first).await, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn costs_are_answered_without_what_reconciliation_added() {
    let bucket = copy_of_golden();
    let cluster = started(&bucket).await;
    let window = "window=2026-03-01T00:00:00Z,2026-03-02T00:00:00Z&aggregate=cluster";
    let with = get(&cluster, &format!("allocation?{window}&idle=true")).await;
    let without = get(&cluster, &format!("allocation?{window}&idle=true&reconcile=false")).await;
    let number = |sets: &Value, name: &str, field: &str| sets[0][name][field].as_f64().unwrap();
    let adjustment = number(&with, "staging", "cpuCostAdjustment");
    assert!(adjustment != 0.0);
    assert_eq!(number(&without, "staging", "cpuCostAdjustment"), 0.0);
    assert_eq!(
        number(&with, "staging", "cpuCost"),
        number(&without, "staging", "cpuCost")
    );

    // Allocations and idle are together what the nodes cost, before the adjustment or after it.
    let assets = get(
        &cluster,
        "assets?window=2026-03-01T00:00:00Z,2026-03-02T00:00:00Z&filterTypes=Node",
    )
    .await;
    let nodes = assets[0].as_object().unwrap().values();
    let (total, adjusted) = nodes.fold((0.0, 0.0), |(total, adjusted), node| {
        let number = |field: &str| node[field].as_f64().unwrap_or(0.0);
        (total + number("totalCost"), adjusted + number("adjustment"))
    });
    let resources = |sets: &Value| -> f64 {
        let items = sets[0].as_object().unwrap().values();
        items
            .map(|item| {
                let fields = [
                    "cpuCost",
                    "gpuCost",
                    "ramCost",
                    "cpuCostAdjustment",
                    "gpuCostAdjustment",
                    "ramCostAdjustment",
                ];
                fields.iter().filter_map(|field| item[*field].as_f64()).sum::<f64>()
            })
            .sum()
    };
    let (with, without) = (resources(&with), resources(&without));
    assert!((with - total).abs() < 0.01, "{with} of {total}");
    assert!(
        (without - (total - adjusted)).abs() < 0.01,
        "{without} of {}",
        total - adjusted
    );
}

/// Runs `fedcost` and returns whether it went well, and what it said.
fn fedcost(arguments: &[&std::ffi::OsStr]) -> (bool, String) {
    let output = Command::new(binary("fedcost")).args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_restored_into_a_bucket_without_a_lake() {
    let (bucket, backups) = (copy_of_golden(), tempfile::tempdir().unwrap());
    let cluster = started(&bucket).await;
    let before = cost(&cluster, "").await;
    cluster.stop().await;
    let (at, to) = (bucket.path().as_os_str(), backups.path().join("one"));
    let to = to.as_os_str();
    let (done, said) = fedcost(&["backup".as_ref(), "--bucket".as_ref(), at, "--to".as_ref(), to]);
    assert!(done && said.starts_with("release 1:"), "{said}");
    // Not over one that is there.
    let (done, said) = fedcost(&["backup".as_ref(), "--bucket".as_ref(), at, "--to".as_ref(), to]);
    assert!(!done && said.contains("there is a backup already"), "{said}");

    fs::remove_dir_all(bucket.path().join("derived")).unwrap();
    let restore = ["restore".as_ref(), "--bucket".as_ref(), at, "--from".as_ref(), to];
    let (done, said) = fedcost(&[&restore[..], &["--check".as_ref()]].concat());
    assert!(done && said.contains("all as the manifest says"), "{said}");
    assert!(!bucket.path().join("derived").exists());
    let (done, said) = fedcost(&restore);
    assert!(done && said.contains("release 2 is published"), "{said}");

    let cluster = TestCluster::start(TestOptions::new(bucket.path())).await.unwrap();
    let status = cluster.refresh_and_wait().await.unwrap();
    // Nothing was read: all is as it was restored.
    assert_eq!(status.release.unwrap().number, 2);
    assert_eq!(status.progress.unwrap().files_read, 0);
    assert_eq!(cost(&cluster, "").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_is_refused() {
    let (bucket, backups) = (copy_of_golden(), tempfile::tempdir().unwrap());
    started(&bucket).await.stop().await;
    let (at, to) = (bucket.path().as_os_str(), backups.path().as_os_str());
    let (done, said) = fedcost(&["backup".as_ref(), "--bucket".as_ref(), at, "--to".as_ref(), to]);
    assert!(done, "{said}");
    let files = files(&backups.path().join("allocations"));
    let mut content = fs::read(&files[0].0).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(&files[0].0, content).unwrap();
    let before = crate::bucket::files(&bucket.path().join("derived"));
    let restore = ["restore".as_ref(), "--bucket".as_ref(), at, "--from".as_ref(), to];
    let (done, said) = fedcost(&restore);
    assert!(!done && said.contains("is damaged: its SHA-256 is"), "{said}");
    assert_eq!(crate::bucket::files(&bucket.path().join("derived")), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_is_verified() {
    let bucket = copy_of_golden();
    let cluster = started(&bucket).await;
    let at = cluster.base_url();
    let (done, said) = fedcost(&["verify".as_ref(), "--at".as_ref(), at.as_ref()]);
    // The golden days are long past, so the clusters are stale.
    assert!(!done, "{said}");
    for told in [
        "ok    gateway-svc answers",
        "ok    the bucket is reached",
        "ok    release 1 is published",
        "FAIL  cluster prod-us: allocations/1d",
        "ok    no file is set aside",
    ] {
        assert!(said.contains(told), "{told:?} is not in {said}");
    }
    let (done, said) = fedcost(&["verify".as_ref(), "--at".as_ref(), "http://127.0.0.1:1".as_ref()]);
    assert!(
        !done && said.contains("does not answer") && said.contains("kubectl port-forward"),
        "{said}"
    );
}
