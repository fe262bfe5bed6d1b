//! The change from one release to the next.

use std::{
    fs,
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use test_cluster::{TestCluster, TestOptions};

use crate::bucket::{copy_of_golden, daily};

const FIRST_DAY: i64 = 1_772_323_200;

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_releases_change() {
    const RELEASES: u64 = 5;
    let bucket = copy_of_golden();
    let cluster = TestCluster::start(TestOptions::new(bucket.path())).await.unwrap();
    let first = cluster.refresh_and_wait().await.unwrap().release.unwrap().number;

    let answers = async || {
        let client = reqwest::Client::new();
        let mut answers = Vec::new();
        for question in [
            "allocation?aggregate=namespace&idle=true&window=7d",
            "allocation?aggregate=controller&step=1d&window=7d",
            "assets?aggregate=type&step=1d&window=7d",
        ] {
            // The golden week.
            let question = question.replace("7d", "2026-03-01T00:00:00Z,2026-03-08T00:00:00Z");
            let url = format!("{}/model/{question}", cluster.base_url());
            let answer = client.get(url).send().await.unwrap().error_for_status().unwrap();
            answers.push(answer.json::<serde_json::Value>().await.unwrap()["data"].take());
        }
        answers
    };
    let before = answers().await;

    let url = format!(
        "{}/model/allocation?window=2026-03-01T00:00:00Z,2026-03-08T00:00:00Z&aggregate=namespace&idle=false",
        cluster.base_url()
    );
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let (url, stop, asked) = (url.clone(), Arc::clone(&stop), Arc::clone(&asked));
            tokio::spawn(async move {
                let client = reqwest::Client::new();
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.get(&url).send().await.unwrap();
                    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
                    let answer: serde_json::Value = answer.json().await.unwrap();
                    assert_eq!(answer["data"].as_array().unwrap().len(), 7);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();

    let changing = daily(bucket.path(), "prod-us", "allocations", FIRST_DAY);
    let content = fs::read(&changing).unwrap();
    let mut other = bingen::AllocationSet::decode(&content).unwrap();
    other
        .allocations
        .values_mut()
        .for_each(|item| item.amounts.cpu_cost *= 2.0);
    let contents = [content, other.encode().unwrap()];
    let mut last = first;
    for content in contents.iter().rev().cycle().take(RELEASES as usize) {
        fs::write(&changing, content).unwrap();
        last = cluster.refresh_and_wait().await.unwrap().release.unwrap().number;
        // Rows that were taken over from the release before are those of their own files.
        let changed = answers().await != before;
        assert_eq!(changed, *content == contents[1], "release {last}");
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(last, first + RELEASES);
    assert!(asked.load(Ordering::Relaxed) > 0);
}
