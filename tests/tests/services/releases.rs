//! The change from one release to the next.

use std::{
    fs,
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use test_cluster::{TestCluster, TestOptions};

use crate::{
    asking::{WEEK, difference},
    bucket::{copy_of_golden, daily},
};

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
            "allocation?aggregate=namespace&idle=true",
            "allocation?aggregate=controller&step=1d",
            "assets?aggregate=type&step=1d",
        ] {
            let url = format!("{}/model/{question}&{WEEK}", cluster.base_url());
            let answer = client.get(url).send().await.unwrap().error_for_status().unwrap();
            answers.push(answer.json::<serde_json::Value>().await.unwrap()["data"].take());
        }
        serde_json::Value::from(answers)
    };
    let before = answers().await;

    let url = format!(
        "{}/model/allocation?{WEEK}&aggregate=namespace&idle=false",
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
        let differs = difference(&answers().await, &before, "");
        assert_eq!(
            differs.is_some(),
            *content == contents[1],
            "release {last}: {differs:?}"
        );
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(last, first + RELEASES);
    assert!(asked.load(Ordering::Relaxed) > 0);
}
