//! Returning to releases, and clearing them away.

use chrono::TimeDelta;
use futures::TryStreamExt as _;
use lake::{Pin, TableName};
use object_store::ObjectStore as _;

use super::world::{FIRST_DAY, World, costs_of, expected};

async fn objects(world: &World) -> usize {
    let all: Vec<_> = world
        .store
        .list(Some(&"derived/allocations".into()))
        .try_collect()
        .await
        .unwrap();
    all.iter()
        .filter(|object| object.location.as_ref().ends_with(".parquet"))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn rolling_back_brings_an_older_release_and_the_next_cycle_goes_on_from_it() {
    let mut world = World::new();
    let mut running = world.ingest();
    world.put_allocations("a", FIRST_DAY, &[("x", 1.0)]).await;
    running.cycle(world.now).await.unwrap();
    world.put_allocations("a", FIRST_DAY, &[("x", 2.0)]).await;
    let now = world.later(TimeDelta::minutes(10));
    running.cycle(now).await.unwrap();

    let number = running.ingest.roll_back(1, now).await.unwrap();
    assert_eq!(number, 3);
    let release = world.release().await.unwrap();
    assert_eq!((release.number, release.rolled_back_to), (3, Some(1)));
    assert_eq!(world.costs().await, expected(&[("a", FIRST_DAY, &[("x", 1.0)])]));
    let sums = world.costs_in(TableName::AllocationsByNamespace, "namespace").await;
    assert_eq!(sums, expected(&[("a", FIRST_DAY, &[("web", 1.0)])]));

    // What has changed since is read again.
    assert_eq!(running.cycle(now).await.unwrap().progress.files_read, 1);
    assert_eq!(world.costs().await, expected(&[("a", FIRST_DAY, &[("x", 2.0)])]));
    // There and back, from what was taken back.
    running.ingest.roll_back(2, now).await.unwrap();
    assert_eq!(world.costs().await, expected(&[("a", FIRST_DAY, &[("x", 2.0)])]));

    let error = running.ingest.roll_back(77, now).await.unwrap_err().to_string();
    assert!(error.contains("release 77 is not on record"), "{error}");
    assert_eq!(world.release().await.unwrap().number, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_releases_are_cleared_away_but_for_the_pinned_one() {
    let mut world = World::new();
    let mut running = world.ingest();
    let lake = world.lake();
    for (number, cost) in [1.0, 2.0, 3.0, 4.0].into_iter().enumerate() {
        world.put_allocations("a", FIRST_DAY, &[("x", cost)]).await;
        let now = world.later(TimeDelta::hours(2));
        running.cycle(now).await.unwrap();
        if number == 1 {
            let pin = Pin {
                number: 2,
                since: now,
                reason: "an audit".to_owned(),
            };
            lake.set_pin(Some(&pin)).await.unwrap();
        }
    }
    assert_eq!(lake.recorded_releases().await.unwrap(), [1, 2, 3, 4]);
    assert_eq!(objects(&world).await, 4);
    assert_eq!(lake.served_release().await.unwrap().unwrap().number, 2);

    // Two days later nobody needs what was replaced, but for the pinned release.
    let now = world.later(TimeDelta::days(2));
    world.put_allocations("b", FIRST_DAY, &[("y", 5.0)]).await;
    running.cycle(now).await.unwrap();
    assert_eq!(lake.recorded_releases().await.unwrap(), [2, 4, 5]);
    let pinned = lake.recorded_release(2).await.unwrap().unwrap();
    let costs = costs_of(&lake, &pinned, TableName::Allocations, "pod").await;
    assert_eq!(costs, expected(&[("a", FIRST_DAY, &[("x", 2.0)])]));
    // One of the pinned release, one that left as release 4 came, and two of the newest.
    assert_eq!(objects(&world).await, 4);

    lake.set_pin(None).await.unwrap();
    assert_eq!(lake.served_release().await.unwrap().unwrap().number, 5);
    let now = world.later(TimeDelta::days(2));
    world.put_allocations("b", FIRST_DAY, &[("y", 6.0)]).await;
    running.cycle(now).await.unwrap();
    assert_eq!(lake.recorded_releases().await.unwrap(), [5, 6]);
    assert_eq!(
        world.costs().await,
        expected(&[("a", FIRST_DAY, &[("x", 4.0)]), ("b", FIRST_DAY, &[("y", 6.0)])])
    );
}
