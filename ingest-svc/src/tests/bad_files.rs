//! Each kind of bad file is treated as `docs/operations/bad-files.md` says, and costs the others nothing.

use bingen::{
    AllocationRecord, AllocationSetEncoder, AllocationSetEnvelope, EncodeOptions, Pipeline, Timestamp, Window,
};
use chrono::TimeDelta;
use lake::TableName;

use super::world::{DAY, FIRST_DAY, World, allocations, assets, expected, path};
use crate::ingest::SourceFile;

const GOOD: (&str, i64, &[(&str, f64)]) = ("good", FIRST_DAY, &[("a", 1.0), ("b", 2.0)]);

/// What became of one file beside a good one.
async fn ingest_one(cluster: &str, bytes: Vec<u8>) -> (World, SourceFile) {
    let world = World::new();
    let file = path(cluster, Pipeline::Allocations, FIRST_DAY);
    world.put_allocations(GOOD.0, GOOD.1, GOOD.2).await;
    world.put_assets(GOOD.0, GOOD.1, "node", 5.0).await;
    world.put(&file, bytes).await;
    let status = world.ingest().cycle(world.now).await.unwrap();
    let found = status.files[file.as_ref()].clone();
    let costs = world.costs().await;
    let good = expected(&[GOOD]);
    assert!(good.iter().all(|(key, cost)| costs.get(key) == Some(cost)), "{costs:?}");
    (world, found)
}

/// Set aside, for a reason that says so.
async fn is_set_aside(bytes: Vec<u8>, told: &str) {
    let (world, file) = ingest_one("bad", bytes).await;
    let error = file.error.unwrap_or_default();
    assert!(error.contains(told), "{error:?} does not say {told:?}");
    assert_eq!(world.costs().await, expected(&[GOOD]));
}

/// Read, with these warnings, and these costs.
async fn is_read(bytes: Vec<u8>, warnings: &[(&str, u64)], costs: &[(&str, f64)]) {
    let (world, file) = ingest_one("bad", bytes).await;
    assert_eq!(file.error, None);
    let found: Vec<_> = file
        .warnings
        .iter()
        .map(|(name, count)| (name.as_str(), *count))
        .collect();
    assert_eq!(found, warnings);
    let all: &[_] = if costs.is_empty() {
        &[GOOD]
    } else {
        &[GOOD, ("bad", FIRST_DAY, costs)]
    };
    assert_eq!(world.costs().await, expected(all));
    assert_eq!(file.rows, costs.len() as u64);
}

fn good() -> Vec<u8> {
    allocations("bad", FIRST_DAY, [("a", 1.0)]).encode().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_etl_file_is_set_aside() {
    is_set_aside(Vec::new(), "cut short").await;
    is_set_aside(b"<html>not found</html>".to_vec(), "version").await;
    let whole = good();
    is_set_aside(whole[..whole.len() - 5].to_vec(), "cut short").await;
    let mut longer = good();
    longer.extend(b"more");
    is_set_aside(longer, "4 bytes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_version_is_set_aside() {
    let options = EncodeOptions {
        string_table: false,
        ..EncodeOptions::default()
    };
    let mut bytes = allocations("bad", FIRST_DAY, [("a", 1.0)])
        .encode_with(options)
        .unwrap();
    bytes[0] = 99;
    is_set_aside(bytes, "99").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_of_another_window_is_set_aside() {
    let bytes = allocations("bad", FIRST_DAY + DAY, [("a", 1.0)]).encode().unwrap();
    is_set_aside(bytes, "holds the window 2026-03-02").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_without_a_window_is_of_its_names_window() {
    let mut set = allocations("bad", FIRST_DAY, [("a", 1.0)]);
    set.window = Window::default();
    is_read(set.encode().unwrap(), &[("no_window", 1)], &[("a", 1.0)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn items_of_a_cluster_with_files_of_its_own_are_not_counted_twice() {
    let bytes = allocations("good", FIRST_DAY, [("a", 1.0)]).encode().unwrap();
    is_set_aside(bytes, "\"good\", which has a folder of its own").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_may_be_called_otherwise_than_its_cluster() {
    let bytes = allocations("cluster-one", FIRST_DAY, [("a", 1.0), ("b", 2.0)])
        .encode()
        .unwrap();
    is_read(bytes, &[("other_cluster", 2)], &[("a", 1.0), ("b", 2.0)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_items_of_one_name_the_last_counts() {
    let mut encoder = AllocationSetEncoder::new(EncodeOptions::default()).unwrap();
    let name = encoder.strings().intern("a");
    let other = encoder.strings().intern("b");
    for (name, cost) in [(name, 1.0), (other, 3.0), (name, 2.0)] {
        let mut record = AllocationRecord {
            key: name,
            name,
            has_properties: true,
            ..AllocationRecord::default()
        };
        record.properties.pod = name;
        record.amounts.cpu_cost = cost;
        encoder.push(&record).unwrap();
    }
    let envelope = AllocationSetEnvelope {
        window: Window::from_unix_seconds(FIRST_DAY, FIRST_DAY + DAY),
        ..AllocationSetEnvelope::default()
    };
    let bytes = encoder.finish(&envelope).unwrap();
    is_read(bytes, &[("duplicate_name", 1)], &[("a", 2.0), ("b", 3.0)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_are_none_count_as_zero() {
    let mut set = allocations("bad", FIRST_DAY, [("a", f64::NAN), ("b", 2.0)]);
    let other = set.allocations.get_mut("b").unwrap();
    other.amounts.ram_cost = f64::INFINITY;
    other.amounts.ram_cost_adjustment = f64::NEG_INFINITY;
    // Of `a`, the cost and the hours.
    is_read(set.encode().unwrap(), &[("not_finite", 4)], &[("a", 0.0), ("b", 2.0)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn costs_may_be_below_zero_and_amounts_may_not() {
    let mut set = allocations("bad", FIRST_DAY, [("a", -4.0)]);
    // An adjustment is below zero as often as not.
    set.allocations.get_mut("a").unwrap().amounts.cpu_cost_adjustment = -1.0;
    let warnings = [("negative_amount", 1), ("negative_cost", 1)];
    is_read(set.encode().unwrap(), &warnings, &[("a", -4.0)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_outside_of_the_window_are_moved_into_it() {
    let mut set = allocations("bad", FIRST_DAY, [("early", 1.0), ("swapped", 2.0), ("unset", 3.0)]);
    let item = |set: &mut bingen::AllocationSet, name: &str, start, end| {
        let item = set.allocations.get_mut(name).unwrap();
        (item.start, item.end) = (start, end);
    };
    let at = Timestamp::from_unix_seconds;
    item(&mut set, "early", at(FIRST_DAY - 60), at(FIRST_DAY + 60));
    item(&mut set, "swapped", at(FIRST_DAY + 60), at(FIRST_DAY));
    item(&mut set, "unset", Timestamp::UNSET, Timestamp::UNSET);
    let costs = [("early", 1.0), ("swapped", 2.0), ("unset", 3.0)];
    is_read(set.encode().unwrap(), &[("outside_window", 2)], &costs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_set_says_that_there_was_nothing() {
    let bytes = allocations("bad", FIRST_DAY, []).encode().unwrap();
    is_read(bytes, &[("empty", 1)], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_agent_found_odd_is_passed_on() {
    let mut set = allocations("bad", FIRST_DAY, [("a", 1.0)]);
    set.warnings = vec!["no data for an hour".to_owned(); 2];
    set.errors = vec!["query failed".to_owned()];
    let warnings = [("agent_error", 1), ("agent_warning", 2)];
    is_read(set.encode().unwrap(), &warnings, &[("a", 1.0)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_are_checked_alike() {
    let world = World::new();
    let mut set = assets("bad", FIRST_DAY, "node", f64::NAN);
    set.window = Window::default();
    let file = path("bad", Pipeline::Assets, FIRST_DAY);
    world.put(&file, set.encode().unwrap()).await;
    let status = world.ingest().cycle(world.now).await.unwrap();
    let found = &status.files[file.as_ref()];
    assert_eq!(found.error, None);
    assert_eq!(found.warnings["not_finite"], 1);
    assert_eq!(found.warnings["no_window"], 1);
    assert_eq!((found.figures["nodes"], found.figures["cores"]), (1.0, 2.0));
    let costs = world.costs_in(TableName::Assets, "name").await;
    assert_eq!(costs, expected(&[("bad", FIRST_DAY, &[("node", 0.0)])]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_of_the_future_is_read_when_it_has_come() {
    let mut world = World::new();
    let tomorrow = (world.now.timestamp() / DAY + 2) * DAY;
    world.put_allocations("early", tomorrow, &[("a", 1.0)]).await;
    let mut running = world.ingest();
    let status = running.cycle(world.now).await.unwrap();
    assert_eq!((status.progress.files_failed, status.files_set_aside), (1, 1));
    assert!(
        status
            .files
            .values()
            .all(|file| file.error.as_deref().unwrap().contains("in the future"))
    );
    // It is not looked at again before.
    let now = world.later(TimeDelta::minutes(10));
    assert_eq!(running.cycle(now).await.unwrap().progress.files_to_read, 0);
    let now = world.later(TimeDelta::days(2));
    let status = running.cycle(now).await.unwrap();
    assert_eq!((status.progress.files_read, status.files_set_aside), (1, 0));
    assert_eq!(world.costs().await, expected(&[("early", tomorrow, &[("a", 1.0)])]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_too_large_for_the_memory_is_not_read() {
    let world = World::new();
    let file = path("bad", Pipeline::Allocations, FIRST_DAY);
    world.put(&file, vec![0; 11 << 20]).await;
    let status = world.ingest().cycle(world.now).await.unwrap();
    let error = status.files[file.as_ref()].error.clone().unwrap();
    assert!(error.contains("66 MiB") && error.contains("memory_mib"), "{error}");
    assert_eq!(status.progress.bytes_read, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_and_many_files_are_read_within_the_memory() {
    let world = World::new();
    // Together more than the bound allows at once.
    let names: Vec<String> = (0..6_000)
        .map(|number| format!("a-pod-with-a-long-name-{number}"))
        .collect();
    for cluster in ["a", "b", "c", "d"] {
        let set = allocations(cluster, FIRST_DAY, names.iter().map(|name| (name.as_str(), 1.0)));
        let bytes = set.encode().unwrap();
        assert!(bytes.len() > 2 << 20, "{}", bytes.len());
        world.put(&path(cluster, Pipeline::Allocations, FIRST_DAY), bytes).await;
    }
    let status = world.ingest().cycle(world.now).await.unwrap();
    assert_eq!((status.progress.files_read, status.progress.rows), (4, 24_000));
    let costs = world.costs().await;
    assert_eq!(costs.len(), 4);
    assert!(costs.values().all(|names| names.len() == 6_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_goes_bad_keeps_its_old_rows_until_it_is_good_or_gone() {
    let mut world = World::new();
    let file = path("good", Pipeline::Allocations, FIRST_DAY);
    world.put_allocations(GOOD.0, GOOD.1, GOOD.2).await;
    let mut running = world.ingest();
    running.cycle(world.now).await.unwrap();

    world.put(&file, b"damaged".to_vec()).await;
    let now = world.later(TimeDelta::minutes(10));
    let status = running.cycle(now).await.unwrap();
    let known = &status.files[file.as_ref()];
    assert!(known.error.is_some());
    assert_eq!(known.rows, 2, "the tables still hold its old rows");
    assert_eq!(world.costs().await, expected(&[GOOD]));
    // After a restart as well.
    let status = world.ingest().cycle(now).await.unwrap();
    assert_eq!((status.progress.files_to_read, status.files_set_aside), (0, 1));

    object_store::ObjectStoreExt::delete(&*world.store, &file)
        .await
        .unwrap();
    let now = world.later(TimeDelta::minutes(10));
    running.cycle(now).await.unwrap();
    assert_eq!(world.costs().await, expected(&[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_file_for_a_window_is_passed_over_and_counted() {
    let world = World::new();
    let folder = "federated/good/etl/bingen/allocations/1d";
    let older = allocations("good", FIRST_DAY, [("old", 1.0)]).encode().unwrap();
    let range = format!("{FIRST_DAY}-{}", FIRST_DAY + DAY);
    world.put(&format!("{folder}/older.{range}").into(), older).await;
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    world.put_allocations(GOOD.0, GOOD.1, GOOD.2).await;
    world
        .put(&format!("{folder}/notes.txt").into(), b"hello".to_vec())
        .await;
    let status = world.ingest().cycle(world.now).await.unwrap();
    assert_eq!((status.second_files, status.foreign_objects), (1, 1));
    assert_eq!(world.costs().await, expected(&[GOOD]));
}
