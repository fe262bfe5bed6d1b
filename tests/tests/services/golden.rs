//! The golden cases: what the reference answers over the golden bucket.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde::Deserialize;
use test_cluster::{TestCluster, TestOptions};

use crate::bucket::{copy_of_golden, golden};

#[derive(Deserialize)]
struct Query {
    id: String,
    path: String,
    params: BTreeMap<String, String>,
}

/// Asks the service at `base` all golden queries, and compares the answers with the reference's.
pub(crate) async fn check(base: &str) {
    let queries: Vec<Query> = serde_json::from_slice(&fs::read(golden().join("queries.json")).unwrap()).unwrap();
    assert!(queries.len() >= 59, "only {} golden queries were found", queries.len());

    let folder = tempfile::tempdir().unwrap();
    let (got, expected) = (folder.path().join("got"), folder.path().join("expected"));
    fs::create_dir_all(&got).unwrap();
    fs::create_dir_all(&expected).unwrap();
    let client = reqwest::Client::new();
    for query in queries {
        let answer = client
            .get(format!("{base}{}", query.path))
            .query(&query.params)
            .send()
            .await
            .unwrap();
        let file = format!("{}.json", query.id);
        fs::write(got.join(&file), answer.bytes().await.unwrap()).unwrap();
        fs::copy(golden().join("expected").join(&file), expected.join(&file)).unwrap();
    }
    compare(&got, &expected);
}

fn compare(got: &Path, expected: &Path) {
    let compared = Command::new("python3")
        .arg(golden().join("compare.py"))
        .args([got, expected])
        .output()
        .expect("python3 compares answers; install it to run this test");
    assert!(
        compared.status.success(),
        "{}{}",
        String::from_utf8_lossy(&compared.stdout),
        String::from_utf8_lossy(&compared.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_answers_as_the_reference() {
    let bucket = copy_of_golden();
    let cluster = TestCluster::start(TestOptions::new(bucket.path())).await.unwrap();
    cluster.refresh_and_wait().await.unwrap();
    check(&cluster.base_url()).await;
    cluster.stop().await;
}
