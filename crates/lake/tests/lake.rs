//! Tables and releases against an object store in memory.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not marked as tests")]

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray, new_null_array};
use chrono::{DateTime, Utc};
use lake::{DataFile, Lake, LakeError, NewRelease, Partition, Resolution, TableName};
use object_store::{ObjectStoreExt as _, memory::InMemory, path::Path};

const TABLE: TableName = TableName::SourceFiles;

fn lake() -> Lake {
    Lake::new(Arc::new(InMemory::new()))
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn partition() -> Partition {
    Partition::of(Resolution::Day, at("2026-03-01T00:00:00Z"))
}

fn rows(cluster: &str, paths: &[&str]) -> RecordBatch {
    let strings = |text: &str| -> ArrayRef { Arc::new(StringViewArray::from(vec![text; paths.len()])) };
    let numbers = |number: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![number; paths.len()])) };
    let times = || -> ArrayRef {
        let start = at("2026-03-01T00:00:00Z").timestamp_micros();
        Arc::new(TimestampMicrosecondArray::from(vec![start; paths.len()]).with_timezone("UTC"))
    };
    let columns: Vec<ArrayRef> = vec![
        strings(cluster),
        strings("allocations"),
        times(),
        times(),
        Arc::new(StringViewArray::from_iter_values(paths)),
        strings("etag"),
        numbers(10),
        times(),
        numbers(3),
        Arc::new(StringViewArray::from(vec![None::<&str>; paths.len()])),
        times(),
        new_null_array(
            TABLE.schema().field_with_name("warnings").unwrap().data_type(),
            paths.len(),
        ),
        new_null_array(
            TABLE.schema().field_with_name("figures").unwrap().data_type(),
            paths.len(),
        ),
    ];
    RecordBatch::try_new(TABLE.schema(), columns).unwrap()
}

async fn write(lake: &Lake, cluster: &str, paths: &[&str]) -> DataFile {
    let clusters = (cluster.to_owned(), cluster.to_owned());
    lake.write_file(TABLE, partition(), clusters, vec![rows(cluster, paths)], Utc::now())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_replace_the_content_of_a_table() {
    let lake = lake();
    let (first, second) = (write(&lake, "a", &["1", "2"]).await, write(&lake, "b", &["3"]).await);

    let created = lake.commit(TABLE, vec![first.clone()], Utc::now()).await.unwrap();
    let replaced = lake.commit(TABLE, vec![second.clone()], Utc::now()).await.unwrap();
    assert!(replaced.version > created.version);

    let read = lake.table_at(TABLE, replaced.version.unwrap()).await.unwrap();
    assert_eq!(read.files, vec![second.clone()]);
    assert_eq!(read.rows(), 1);
    let old = lake.table_at(TABLE, created.version.unwrap()).await.unwrap();
    assert_eq!(old.files, vec![first]);

    let batches = lake.read_file(TABLE, &second).await.unwrap();
    assert_eq!(batches, vec![rows("b", &["3"])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_a_difference_writes_nothing() {
    let lake = lake();
    let file = write(&lake, "a", &["1"]).await;
    let first = lake.commit(TABLE, vec![file.clone()], Utc::now()).await.unwrap();
    let second = lake.commit(TABLE, vec![file], Utc::now()).await.unwrap();
    assert_eq!(first.version, second.version);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_can_be_created() {
    let lake = lake();
    for table in TableName::ALL {
        let state = lake.commit(table, Vec::new(), Utc::now()).await.unwrap();
        assert_eq!(state.version, Some(0), "{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_writers_one_publishes() {
    let lake = lake();
    assert!(lake.load_release().await.unwrap().is_none());
    let first = lake
        .publish_release(None, NewRelease::default(), Utc::now())
        .await
        .unwrap();
    assert_eq!(first.release.number, 1);
    let second = lake
        .publish_release(Some(&first), NewRelease::default(), Utc::now())
        .await
        .unwrap();
    assert_eq!(second.release.number, 2);

    for stale in [None, Some(&first)] {
        let refused = lake.publish_release(stale, NewRelease::default(), Utc::now()).await;
        assert!(
            matches!(refused, Err(LakeError::PublishedElsewhere { .. })),
            "{refused:?}"
        );
    }
    let read = lake.load_release().await.unwrap().unwrap();
    assert_eq!(read.release, second.release);
    // What was read can be built on, as well as what was written.
    lake.publish_release(Some(&read), NewRelease::default(), Utc::now())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_release_is_reported() {
    let lake = lake();
    let path = Path::from("derived/release.json");
    for body in ["", "{", r#"{"format": 9}"#] {
        lake.store().put(&path, body.to_owned().into()).await.unwrap();
        let error = lake.load_release().await.unwrap_err();
        assert!(matches!(error, LakeError::CorruptRelease { .. }), "{error}");
    }
}

/// Publishes these files as the content of the table, as of a time.
async fn publish(lake: &Lake, files: &[&DataFile], now: DateTime<Utc>) -> u64 {
    let files = files.iter().map(|file| (*file).clone()).collect();
    let state = lake.commit(TABLE, files, now).await.unwrap();
    let new = NewRelease {
        tables: [(TABLE, state.released().unwrap())].into(),
        ..NewRelease::default()
    };
    let previous = lake.load_release().await.unwrap();
    let release = lake.publish_release(previous.as_ref(), new, now).await.unwrap().release;
    lake.record_release(&release).await.unwrap();
    release.number
}

async fn is_there(lake: &Lake, file: &DataFile) -> bool {
    let path = lake.data_file_path(TABLE, file);
    lake.store().head(&path).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_kept_release_names_is_not_cleared_away() {
    let lake = lake();
    let (first, second) = (write(&lake, "a", &["1"]).await, write(&lake, "a", &["2"]).await);
    let (third, orphan) = (write(&lake, "a", &["3"]).await, write(&lake, "a", &["4"]).await);
    // Objects are of now, so that all of this is later than they were written.
    let hours = |count| Utc::now() + chrono::TimeDelta::hours(count);
    publish(&lake, &[&first], hours(1)).await;
    publish(&lake, &[&second], hours(2)).await;
    // There and away again: what counts is when it left last.
    publish(&lake, &[&first], hours(3)).await;
    publish(&lake, &[&third], hours(4)).await;
    let newest = lake.load_release().await.unwrap().unwrap().release;

    let all = [&first, &second, &third, &orphan];
    for (before, releases, present) in [
        (0, [1, 2, 3, 4].as_slice(), [true, true, true, true]),
        // Release 2 ended at three o'clock.
        (3, &[2, 3, 4], [true, true, true, false]),
        // A file that left as release 3 came may be one that it names, by a slower writer.
        (4, &[3, 4], [true, true, true, false]),
        (9, &[4], [false, false, true, false]),
    ] {
        // A little earlier, as times were taken a little earlier too.
        let before_time = hours(before) - chrono::TimeDelta::minutes(1);
        lake.vacuum(&newest, None, before_time).await.unwrap();
        assert_eq!(lake.recorded_releases().await.unwrap(), releases, "{before}");
        for (file, present) in all.into_iter().zip(present) {
            assert_eq!(is_there(&lake, file).await, present, "{before}: {}", file.path);
        }
    }
}
