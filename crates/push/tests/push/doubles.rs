//! Two pushers for one cluster id.

use std::{fs, time::Duration};

use push::{LEASE_FILE, Options, PushError};

use super::harness::{RunningPusher, World, day, eventually, set};

/// The same cluster from another folder, with a state of its own.
fn double(world: &World, folder: &str) -> Options {
    let directory = world.directory.path().join(folder);
    let path = directory.join(day(2));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, set("of the double")).unwrap();
    Options {
        directory,
        state: None,
        ..world.of_cluster("a")
    }
}

fn lease(world: &World) -> String {
    fs::read_to_string(world.bucket().join("federated/a").join(LEASE_FILE)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_pusher_is_told_and_writes_nothing() {
    let mut world = World::new().await;
    world.write(&day(1), set("x"));
    let first = RunningPusher::start(world.of_cluster("a"));
    eventually("the first is at work", || world.pushed("a").len() == 1).await;

    let error = world.once(double(&world, "double")).await.unwrap_err();
    assert!(
        matches!(&error, PushError::AnotherPusher { cluster, holder } if cluster == "a" && holder.host == "running")
    );
    assert!(
        error
            .to_string()
            .contains("another pusher claims the cluster id \"a\": running"),
        "{error}"
    );
    assert_eq!(world.pushed("a").len(), 1);
    // Another cluster is another matter.
    let mut other = double(&world, "other");
    other.tls = world.authority.issue_cluster("b").unwrap();
    assert_eq!(world.once(other).await.unwrap().uploaded, 1);

    // The second stands by, and goes on once the first has ended.
    let second = RunningPusher::start(double(&world, "double"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.pushed("a").len(), 1);
    first.stop().await;
    assert!(lease(&world).contains("\"released\": true"));
    eventually("the second is at work", || world.pushed("a").len() == 2).await;
    second.stop().await;
    world.stop_gateway().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pusher_that_died_is_succeeded_when_its_lease_has_lapsed() {
    let mut world = World::new().await;
    world.write(&day(1), set("x"));
    let mut options = world.of_cluster("a");
    options.lease = Duration::from_secs(2);
    let first = RunningPusher::start(options.clone());
    eventually("the first is at work", || world.pushed("a").len() == 1).await;
    first.crash().await;

    // With its state it goes on at once, as it is the same pusher.
    world.write(&day(3), set("y"));
    assert_eq!(world.once(options.clone()).await.unwrap().uploaded, 1);
    let again = RunningPusher::start(options);
    eventually("it holds the lease again", || {
        lease(&world).contains("\"released\": false")
    })
    .await;
    again.crash().await;

    // Without it, it has to wait.
    let other = double(&world, "double");
    assert!(matches!(
        world.once(other.clone()).await.unwrap_err(),
        PushError::AnotherPusher { .. }
    ));
    let second = RunningPusher::start(other);
    eventually("the second has taken over", || world.pushed("a").contains_key(&day(2))).await;
    second.stop().await;
    world.stop_gateway().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_state_does_not_hide_a_double() {
    let mut world = World::new().await;
    world.write(&day(1), set("x"));
    let mut options = world.of_cluster("a");
    // So short that the one from whom it was taken notices soon.
    options.lease = Duration::from_secs(1);
    let first = RunningPusher::start(options.clone());
    eventually("the first is at work", || world.pushed("a").len() == 1).await;
    let copy = world.directory.path().join("copy.json");
    eventually("the state is there", || {
        fs::copy(world.directory.path().join("state.json"), &copy).is_ok()
    })
    .await;
    let second = RunningPusher::start(Options {
        state: Some(copy),
        ..double(&world, "double")
    });
    // The second is taken for the first after a restart, once. From then on the first stands by.
    eventually("the second is at work", || world.pushed("a").contains_key(&day(2))).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.write(&day(5), set("of the first"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let pushed = world.pushed("a");
    second.stop().await;
    assert!(!pushed.contains_key(&day(5)), "both wrote");
    eventually("the first goes on when it is alone", || {
        world.pushed("a").contains_key(&day(5))
    })
    .await;
    first.stop().await;
    world.stop_gateway().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_double_has_overwritten_is_put_right() {
    let mut world = World::new().await;
    world.write(&day(2), set("ours"));
    world.once(world.of_cluster("a")).await.unwrap();
    world.once(double(&world, "double")).await.unwrap();
    assert_eq!(world.pushed("a")[&day(2)], set("of the double"));
    // Our state says that it was uploaded, and that was true.
    assert_eq!(world.once(world.of_cluster("a")).await.unwrap().uploaded, 1);
    assert_eq!(world.pushed("a")[&day(2)], set("ours"));
    world.stop_gateway().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_cannot_be_read_is_written_anew() {
    let mut world = World::new().await;
    world.write(&day(1), set("x"));
    let folder = world.bucket().join("federated/a");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(LEASE_FILE), "{").unwrap();
    assert_eq!(world.once(world.of_cluster("a")).await.unwrap().uploaded, 1);
    assert!(lease(&world).contains("instance"));
    world.stop_gateway().await;
}
