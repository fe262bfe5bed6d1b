//! With S3 as the bucket.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, path::Path};
use push::{LEASE_FILE, Options, PushError};

use super::{
    harness::{RunningPusher, World, day, set},
    moto::Moto,
};

/// Content by path below a cluster's `etl/bingen/`, as ingest reads it.
async fn pushed(world: &World, cluster: &str) -> BTreeMap<String, Vec<u8>> {
    let store = world.read();
    let folder = Path::from(format!("federated/{cluster}/etl/bingen"));
    let objects: Vec<ObjectMeta> = store.list(Some(&folder)).try_collect().await.unwrap();
    let mut files = BTreeMap::new();
    for ObjectMeta { location, .. } in objects {
        let content = store.get(&location).await.unwrap().bytes().await.unwrap();
        let key = location.as_ref().strip_prefix(&format!("{folder}/")).unwrap();
        files.insert(key.to_owned(), content.to_vec());
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn files_reach_s3_and_doubles_are_told() {
    let moto = Moto::start().await;
    moto.create_bucket("costs").await;
    let mut world = World::over(moto.store("costs", "prefix: team/costs")).await;
    let mut files: BTreeMap<_, _> = (0..10).map(|n| (day(n), set(&format!("n{n}")))).collect();
    // More than fits into one request to the bucket.
    files.insert(day(10), large());
    for (key, content) in &files {
        world.write(key, content);
    }
    let report = world.once(world.of_cluster("a")).await.unwrap();
    assert_eq!((report.found, report.uploaded), (11, 11));
    assert!(pushed(&world, "a").await == files);

    // A state that was lost costs looks, and no uploads.
    std::fs::remove_file(world.directory.path().join("state.json")).unwrap();
    world.write(&day(3), set("changed"));
    files.insert(day(3), set("changed"));
    let report = world.once(world.of_cluster("a")).await.unwrap();
    assert_eq!((report.uploaded, report.present), (1, 10));
    assert!(pushed(&world, "a").await == files);

    // The lease rests on conditional writes.
    let first = RunningPusher::start(world.of_cluster("a"));
    let lease = Path::from(format!("federated/a/{LEASE_FILE}"));
    let is_held = async || {
        let read = world.read().get(&lease).await.unwrap().bytes().await.unwrap();
        String::from_utf8_lossy(&read).contains("\"released\": false")
    };
    while !is_held().await {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let double = Options {
        state: Some(world.directory.path().join("double.json")),
        ..world.of_cluster("a")
    };
    let error = world.once(double.clone()).await.unwrap_err();
    assert!(matches!(error, PushError::AnotherPusher { .. }), "{error}");
    first.stop().await;
    let report = world.once(double).await.unwrap();
    assert_eq!((report.uploaded, report.present), (0, 11));
    world.stop_gateway().await;
}

/// A set of more than eight mebibytes.
fn large() -> Vec<u8> {
    let mut set = bingen::AllocationSet::default();
    for number in 0..160 {
        let name = format!("{number}{}", "x".repeat(60_000));
        set.allocations.insert(name, bingen::Allocation::default());
    }
    let content = set.encode().unwrap();
    assert!(content.len() > 8 << 20);
    content
}
