//! Reading again what people ask for, and what the lake has lost.

use bingen::Pipeline;
use chrono::{DateTime, TimeDelta, Utc};
use lake::TableName;
use object_store::{ObjectStoreExt as _, path::Path};

use super::world::{DAY, FIRST_DAY, World, expected, path};
use crate::{orders::Repair, settings::Retention};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn repair(days: std::ops::Range<i64>, pipeline: Option<Pipeline>, cluster: Option<&str>) -> Repair {
    Repair {
        pipeline,
        cluster: cluster.map(str::to_owned),
        window: (at(FIRST_DAY + days.start * DAY), at(FIRST_DAY + days.end * DAY)),
    }
}

async fn two_clusters() -> World {
    let world = World::new();
    for cluster in ["a", "b"] {
        for day in 0..3 {
            let start = FIRST_DAY + day * DAY;
            world.put_allocations(cluster, start, &[("x", 1.0 + day as f64)]).await;
            world.put_assets(cluster, start, "node", 5.0).await;
        }
    }
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_reads_what_it_names_and_no_more() {
    let world = two_clusters().await;
    let mut running = world.ingest();
    running.cycle(world.now).await.unwrap();
    let before = world.costs().await;

    for (asked, files) in [
        (repair(0..2, Some(Pipeline::Allocations), Some("a")), 2),
        (repair(1..2, None, None), 4),
        // Allocations are adjusted by their assets, so they are read again too.
        (repair(0..3, Some(Pipeline::Assets), None), 12),
        (repair(5..9, None, None), 0),
    ] {
        running.orders.repair(asked.clone());
        let status = running.cycle(world.now).await.unwrap();
        assert_eq!(status.progress.files_read, files, "{asked:?}");
        assert_eq!(world.costs().await, before);
        // Once.
        assert_eq!(running.cycle(world.now).await.unwrap().progress.files_read, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repaired_file_replaces_exactly_its_window() {
    let mut world = two_clusters().await;
    let mut running = world.ingest();
    running.cycle(world.now).await.unwrap();
    let mut wanted = world.costs().await;
    world
        .put_allocations("a", FIRST_DAY + DAY, &[("y", 7.0), ("z", 8.0)])
        .await;
    let now = world.later(TimeDelta::minutes(10));
    assert_eq!(running.cycle(now).await.unwrap().progress.files_read, 1);
    wanted.extend(expected(&[("a", FIRST_DAY + DAY, &[("y", 7.0), ("z", 8.0)])]));
    assert_eq!(world.costs().await, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_outlives_a_failed_cycle() {
    let world = two_clusters().await;
    let mut running = world.ingest();
    running.cycle(world.now).await.unwrap();
    running.orders.repair(repair(0..1, None, None));
    // Somebody else is writing.
    let mut other = lake::Lease::new(world.lake(), lake::Holder::this(), std::time::Duration::from_secs(30));
    other.take(world.now).await.unwrap();
    let error = running.cycle(world.now).await.unwrap_err().to_string();
    assert!(error.contains("waits for its turn"), "{error}");
    other.give_up(world.now).await;
    assert_eq!(running.cycle(world.now).await.unwrap().progress.files_read, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_makes_everything_anew_while_the_old_release_is_whole() {
    let world = two_clusters().await;
    let mut running = world.ingest();
    running.cycle(world.now).await.unwrap();
    let (before, old) = (world.costs().await, world.release().await.unwrap());
    running.orders.reset();
    let status = running.cycle(world.now).await.unwrap();
    assert_eq!(status.progress.files_read, 12);
    let new = world.release().await.unwrap();
    assert_eq!(new.number, old.number + 1);
    assert_eq!(world.costs().await, before);
    let again = super::world::costs_of(&world.lake(), &old, TableName::Allocations, "pod").await;
    assert_eq!(again, before);
    assert_eq!(running.cycle(world.now).await.unwrap().progress.files_read, 0);
}

/// The data files of a released table.
async fn data_files(world: &World, table: TableName) -> Vec<Path> {
    let lake = world.lake();
    let version = world.release().await.unwrap().tables[&table].version;
    let state = lake.table_at(table, version).await.unwrap();
    state
        .files
        .iter()
        .map(|file| lake.data_file_path(table, file))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_data_file_is_made_anew_at_the_next_start() {
    let world = two_clusters().await;
    world.ingest().cycle(world.now).await.unwrap();
    let before = world.costs().await;
    for table in TableName::ALL {
        for lost in data_files(&world, table).await.iter().take(1) {
            world.store.delete(lost).await.unwrap();
        }
        let status = world.ingest().cycle(world.now).await.unwrap();
        assert!(status.progress.files_read > 0, "{table}");
        assert_eq!(world.costs().await, before, "{table}");
        assert_eq!(
            world.ingest().cycle(world.now).await.unwrap().progress.files_read,
            0,
            "{table}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_data_file_is_made_anew_when_it_is_needed() {
    let mut world = two_clusters().await;
    let mut running = world.ingest();
    running.cycle(world.now).await.unwrap();
    // As long as before, so that no listing tells.
    let damaged = data_files(&world, TableName::Allocations).await.remove(0);
    let size = world.store.head(&damaged).await.unwrap().size;
    world.put(&damaged, vec![7; size as usize]).await;
    for day in 0..3 {
        world.put_allocations("a", FIRST_DAY + day * DAY, &[("y", 9.0)]).await;
    }
    let now = world.later(TimeDelta::minutes(10));
    let error = running.cycle(now).await.unwrap_err().to_string();
    assert!(error.contains("will be made anew"), "{error}");
    running.cycle(now).await.unwrap();
    let wanted = (0..3).flat_map(|day| {
        let start = FIRST_DAY + day * DAY;
        let kept = [("x", 1.0 + day as f64)];
        expected(&[("a", start, &[("y", 9.0)]), ("b", start, &kept)])
    });
    assert_eq!(world.costs().await, wanted.collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lake_is_made_anew() {
    let world = two_clusters().await;
    world.ingest().cycle(world.now).await.unwrap();
    let before = world.costs().await;
    let derived = Path::from("derived");
    let objects: Vec<_> =
        futures::TryStreamExt::try_collect(object_store::ObjectStore::list(&*world.store, Some(&derived)))
            .await
            .unwrap();
    for object in objects {
        world.store.delete(&object.location).await.unwrap();
    }
    world.ingest().cycle(world.now).await.unwrap();
    assert_eq!(world.costs().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_pointer_that_cannot_be_read_is_replaced() {
    let mut world = two_clusters().await;
    let mut running = world.ingest();
    running.cycle(world.now).await.unwrap();
    world.put_allocations("a", FIRST_DAY, &[("y", 7.0)]).await;
    let now = world.later(TimeDelta::minutes(10));
    running.cycle(now).await.unwrap();
    let (before, newest) = (world.costs().await, world.release().await.unwrap());

    world
        .put(&Path::from("derived/release.json"), b"{\"format\": 2, ".to_vec())
        .await;
    assert!(world.lake().load_release().await.is_err());
    let status = world.ingest().cycle(now).await.unwrap();
    assert_eq!(status.progress.files_read, 0);
    assert_eq!(world.costs().await, before);
    assert_eq!(world.release().await.unwrap().number, newest.number);

    // A pointer that is gone asks for the lake to be made anew; numbers go on.
    world.store.delete(&Path::from("derived/release.json")).await.unwrap();
    let status = world.ingest().cycle(now).await.unwrap();
    assert_eq!(status.progress.files_read, 12);
    assert_eq!(world.costs().await, before);
    assert_eq!(world.release().await.unwrap().number, newest.number + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_rolls_off_in_one_release() {
    let mut world = two_clusters().await;
    world.settings.retention = Retention::of(10, 49);
    world.now = at(FIRST_DAY + 3 * DAY + 60);
    let mut running = world.ingest();
    running.cycle(world.now).await.unwrap();
    assert_eq!(world.costs().await.len(), 6);
    let first = world.release().await.unwrap().number;

    // Ten days after the end of the first day, all but the last.
    let now = world.later(TimeDelta::days(9));
    let status = running.cycle(now).await.unwrap();
    assert_eq!(status.progress.files_removed, 8);
    let last = [("x", 3.0)];
    let day = FIRST_DAY + 2 * DAY;
    assert_eq!(world.costs().await, expected(&[("a", day, &last), ("b", day, &last)]));
    let sums = world.costs_in(TableName::AllocationsByNamespace, "namespace").await;
    assert_eq!(
        sums,
        expected(&[("a", day, &[("web", 3.0)]), ("b", day, &[("web", 3.0)])])
    );
    assert_eq!(world.release().await.unwrap().number, first + 1);
    assert!(
        world
            .store
            .head(&path("a", Pipeline::Allocations, FIRST_DAY))
            .await
            .is_ok()
    );
}
