//! What reaches the bucket, when, and what does not.

use std::{collections::BTreeMap, fs, time::Duration};

use push::{PushError, STATE_FILE};
use service_kit::{TrustDomain, certs::DevelopmentCa};
use tokio_util::sync::CancellationToken;

use super::harness::{RunningPusher, SETTLE, World, day, eventually, pusher, set};

fn expected(files: &[(String, Vec<u8>)]) -> BTreeMap<String, Vec<u8>> {
    files.iter().cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn new_and_changed_files_are_uploaded_once() {
    let mut world = World::new().await;
    let files: Vec<_> = (0..30).map(|n| (day(n), set(&format!("n{n}")))).collect();
    for (key, content) in &files {
        world.write(key, content);
    }
    world.write("allocations/1d/0-86400.tmp", "half");
    let report = world.once(world.of_cluster("a")).await.unwrap();
    assert_eq!((report.found, report.uploaded, report.ignored), (30, 30, 1));
    assert_eq!(
        report.bytes,
        files.iter().map(|(_, content)| content.len() as u64).sum::<u64>()
    );
    assert_eq!(world.pushed("a"), expected(&files));

    // The state says that there is nothing to do.
    let report = world.once(world.of_cluster("a")).await.unwrap();
    assert_eq!((report.uploaded, report.present), (0, 0));

    // Written again: once with the same content, once with other.
    world.write(&day(3), set("n3"));
    world.write(&day(4), set("changed"));
    fs::remove_file(world.local(&day(5))).unwrap();
    let report = world.once(world.of_cluster("a")).await.unwrap();
    assert_eq!((report.uploaded, report.present), (1, 1));
    let mut files = expected(&files);
    files.insert(day(4), set("changed"));
    // What the agent has removed stays in the bucket.
    assert_eq!(world.pushed("a"), files);
    world.stop_gateway().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_state_costs_looks_and_no_uploads() {
    let mut world = World::new().await;
    for n in 0..5 {
        world.write(&day(n), set(&format!("n{n}")));
    }
    world.once(world.of_cluster("a")).await.unwrap();
    let state = world.directory.path().join("state.json");
    for damaged in [None, Some("{\"version\": 1, \"files\": ")] {
        match damaged {
            None => fs::remove_file(&state).unwrap(),
            Some(text) => fs::write(&state, text).unwrap(),
        }
        // Of the same size, so that only its checksum tells.
        let path = world.bucket().join("federated/a/etl/bingen").join(day(2));
        fs::remove_file(&path).unwrap();
        fs::write(&path, set("m2")).unwrap();
        let report = world.once(world.of_cluster("a")).await.unwrap();
        assert_eq!((report.uploaded, report.present), (1, 4));
        assert_eq!(world.pushed("a")[&day(2)], set("n2"));
    }
    // Without a place for it, the work is done all the same.
    let mut options = world.of_cluster("a");
    options.state = Some(world.directory.path().join("none/state.json"));
    let report = world.once(options).await.unwrap();
    assert_eq!((report.uploaded, report.present), (0, 5));
    // By default it lies beside the files.
    let mut options = world.of_cluster("a");
    options.state = None;
    world.once(options).await.unwrap();
    assert!(world.local(STATE_FILE).is_file());
    world.stop_gateway().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_written_files_never_reach_the_bucket() {
    let mut world = World::new().await;
    let old = set("old");
    world.write(&day(1), &old);
    let pusher = RunningPusher::start(world.of_cluster("a"));
    eventually("the first is there", || world.pushed("a").contains_key(&day(1))).await;

    // The agent crashes in the middle of its write, in place of a file that is in the bucket.
    let new = set("new, and longer than the old one");
    world.write(&day(1), &new[..new.len() / 2]);
    world.write(&day(2), b"");
    world.write(&day(3), &new);
    eventually("what is whole is there", || world.pushed("a").contains_key(&day(3))).await;
    tokio::time::sleep(SETTLE * 5).await;
    let pushed = world.pushed("a");
    assert_eq!(pushed.keys().collect::<Vec<_>>(), [&day(3), &day(1)]);
    assert_eq!(pushed[&day(1)], old);

    // Once it is back it writes all of it.
    world.write(&day(1), &new);
    eventually("the new content is there", || world.pushed("a")[&day(1)] == new).await;
    pusher.stop().await;

    let error = world.once(world.of_cluster("a")).await.unwrap_err();
    assert!(
        matches!(&error, PushError::Incomplete(report) if report.damaged == 1),
        "{error}"
    );
    world.stop_gateway().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_written_while_it_runs_arrive_whole() {
    let mut world = World::new().await;
    let pusher = RunningPusher::start(world.of_cluster("a"));
    let content = |n: u64, version: usize| set(&format!("n{n} {}", "x".repeat(version * 1000)));
    // The present window is written again and again, piece by piece; others are finished meanwhile.
    for version in 0..10 {
        let whole = content(0, version);
        let path = world.local(&day(0));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = fs::File::create(&path).unwrap();
        for piece in whole.chunks(whole.len() / 4 + 1) {
            std::io::Write::write_all(&mut file, piece).unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            for (key, pushed) in world.pushed("a") {
                let known = (0..10).any(|version| (0..11).any(|n| pushed == content(n, version)));
                assert!(known, "{key} is not as any version of it was");
            }
        }
        let n = version as u64 + 1;
        world.write(&day(n), content(n, 0));
    }
    eventually("all is there", || {
        let pushed = world.pushed("a");
        pushed.len() == 11 && pushed[&day(0)] == content(0, 9)
    })
    .await;
    pusher.stop().await;
    world.stop_gateway().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_restarts_loses_nothing() {
    let mut world = World::new().await;
    let files: Vec<_> = (0..300).map(|n| (day(n), set(&format!("n{n}")))).collect();
    for (key, content) in &files[..200] {
        world.write(key, content);
    }
    let pusher = RunningPusher::start(world.of_cluster("a"));
    eventually("it is in the middle", || world.pushed("a").len() > 20).await;
    world.stop_gateway().await;
    assert!(world.pushed("a").len() < 300);
    for (key, content) in &files[200..] {
        world.write(key, content);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.start_gateway().await;
    eventually("all is there", || world.pushed("a").len() == 300).await;
    assert_eq!(world.pushed("a"), expected(&files));
    pusher.stop().await;
    world.stop_gateway().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pusher_that_is_told_to_stop_goes_on_later() {
    let mut world = World::new().await;
    let files: Vec<_> = (0..300).map(|n| (day(n), set(&format!("n{n}")))).collect();
    for (key, content) in &files {
        world.write(key, content);
    }
    let shutdown = CancellationToken::new();
    let interrupted = tokio::spawn(pusher(world.of_cluster("a"), "host").once(shutdown.clone()));
    eventually("it is in the middle", || world.pushed("a").len() > 20).await;
    shutdown.cancel();
    let error = interrupted.await.unwrap().unwrap_err();
    let first = world.pushed("a").len();
    assert!(first < 300, "it was too fast for this test");
    // It says that it is not done, and what it has begun is whole.
    let left = format!("stopped with {} files to go ({first} files", 300 - first);
    assert!(error.to_string().contains(&left), "{error}");
    let report = world.once(world.of_cluster("a")).await.unwrap();
    assert_eq!((report.uploaded, report.present), (300 - first, 0));
    assert_eq!(world.pushed("a"), expected(&files));
    world.stop_gateway().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_larger_than_the_memory_go_one_by_one() {
    let mut world = World::new().await;
    let large = set(&"x".repeat(60_000));
    let files: Vec<_> = (0..8).map(|n| (day(n), large.clone())).collect();
    for (key, content) in &files {
        world.write(key, content);
    }
    let mut options = world.of_cluster("a");
    options.limits.memory = 10_000;
    assert_eq!(world.once(options.clone()).await.unwrap().uploaded, 8);
    assert_eq!(world.pushed("a"), expected(&files));

    options.limits.largest_file = 50_000;
    world.write(&day(9), &large);
    let error = world.once(options).await.unwrap_err();
    assert!(
        matches!(&error, PushError::Incomplete(report) if report.failed == 1),
        "{error}"
    );
    world.stop_gateway().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_cluster_s_own_certificate_will_do() {
    let mut world = World::new().await;
    world.write(&day(1), set("x"));
    let refused = |options| pusher_error(options);

    let service = world.options(world.authority.issue_service("ingest-svc").unwrap());
    let error = refused(service);
    assert!(
        error.is_usage()
            && error
                .to_string()
                .contains("that of spiffe://fedcost/service/ingest-svc"),
        "{error}"
    );
    let mut other = world.of_cluster("a");
    other.cluster = Some("b".to_owned());
    let error = refused(other);
    assert!(
        error.is_usage() && error.to_string().contains("not of the cluster \"b\""),
        "{error}"
    );
    let mut missing = world.of_cluster("a");
    missing.tls.key = "none.pem".into();
    assert!(refused(missing).to_string().contains("none.pem: cannot be read"));

    // Certificate and gateway of different authorities: whichever side trusts the other, the other does not.
    let folder = world.directory.path().join("foreign");
    let foreign = DevelopmentCa::open_or_create(&folder, TrustDomain::default()).unwrap();
    let issued = foreign.issue_cluster("a").unwrap();
    let own = world.authority.issue_cluster("a").unwrap();
    let mut unknown_gateway = issued.clone();
    unknown_gateway.ca.clone_from(&issued.ca);
    let mut unknown_to_gateway = issued;
    unknown_to_gateway.ca.clone_from(&own.ca);
    for (files, expected) in [(unknown_gateway, "UnknownIssuer"), (unknown_to_gateway, "UnknownCA")] {
        let error = world.once(world.options(files)).await.unwrap_err();
        assert!(
            !error.is_usage() && matches!(error, PushError::BrokenOff { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert!(world.pushed("a").is_empty());
    world.stop_gateway().await;
}

fn pusher_error(options: push::Options) -> PushError {
    push::Pusher::new(options, "host".to_owned()).unwrap_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_away_and_a_folder_that_is_missing_are_named() {
    let mut world = World::new().await;
    world.write(&day(1), set("x"));
    let mut options = world.of_cluster("a");
    options.directory = world.directory.path().join("missing");
    let error = pusher(options, "host").once(Default::default()).await.unwrap_err();
    assert!(error.to_string().contains("missing: cannot be read"), "{error}");

    world.stop_gateway().await;
    let error = world.once(world.of_cluster("a")).await.unwrap_err();
    assert!(error.to_string().contains(&world.address.to_string()), "{error}");
}
