//! How much goes through, over buckets that need no installation.

use std::{collections::HashSet, fs};

use super::{
    harness::{Gateway, directory},
    large::{check_gibibyte, check_many_keys, many_keys},
    process::Service,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_gibibyte_goes_to_a_local_folder_and_back_in_little_memory() {
    let bucket = directory();
    let store = format!("type: FILESYSTEM\nconfig: {{directory: '{}'}}", bucket.path().display());
    let service = Service::start(&store, "info");
    service.wait_until_it_says("the bucket is reached").await;
    check_gibibyte(&service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_keys_are_listed() {
    let gateway = Gateway::local().await;
    gateway.wait_until_serving().await;
    // Past the gateway, which sees to it that each is on disk.
    let mut folders = HashSet::new();
    for path in many_keys() {
        let file = gateway.bucket().join(path.as_ref());
        let folder = file.parent().unwrap().to_owned();
        if !folders.contains(&folder) {
            fs::create_dir_all(&folder).unwrap();
            folders.insert(folder);
        }
        fs::write(file, "x").unwrap();
    }
    check_many_keys(&gateway.store()).await;
    gateway.stop().await;
}
