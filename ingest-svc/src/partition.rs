//! Rewriting a partition: rows of new and changed files take the place of what the tables held of them.

use std::collections::HashSet;

use arrow::{
    array::{Array as _, AsArray as _, BooleanArray, RecordBatch},
    compute::filter_record_batch,
    datatypes::TimestampMicrosecondType,
    error::ArrowError,
};
use chrono::{DateTime, Utc};
use lake::{DataFile, Lake, LakeError, Partition, TableName, schema::allocations};

/// Rows in one data file, about: large enough that a day is a few files, small enough to hold in memory.
const FILE_ROWS: usize = 256 * 1024;

/// A window of a federated cluster: the rows of one ETL file.
pub(crate) type FileKey = (String, DateTime<Utc>);

/// What rewriting changed in a table.
#[derive(Debug, Default)]
pub(crate) struct Rewritten {
    /// Files that are no longer in the table, by path.
    pub removed: HashSet<String>,
    /// Files that are new in the table.
    pub added: Vec<DataFile>,
}

impl Rewritten {
    pub(crate) fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }
}

/// Takes the rows of these windows out of a partition's files, and puts `rows` in. Only files that may hold rows of
/// the clusters concerned are read and written again.
pub(crate) async fn rewrite(
    lake: &Lake,
    table: TableName,
    partition: Partition,
    files: &[DataFile],
    replaced: &HashSet<FileKey>,
    rows: Vec<RecordBatch>,
    now: DateTime<Utc>,
) -> Result<Rewritten, LakeError> {
    let clusters: HashSet<&str> = replaced.iter().map(|(cluster, _)| cluster.as_str()).collect();
    let touched = files
        .iter()
        .filter(|file| file.partition == partition && clusters.iter().any(|cluster| file.may_hold(cluster)));

    let arrow = |source| LakeError::Arrow { table, source };
    let mut runs = Vec::new();
    let mut rewritten = Rewritten::default();
    for file in touched {
        for batch in lake.read_file(table, file).await? {
            let kept = without(&batch, replaced).map_err(arrow)?;
            runs.extend(by_cluster(&kept));
        }
        rewritten.removed.insert(file.path.clone());
    }
    for batch in &rows {
        runs.extend(by_cluster(batch));
    }
    drop(rows);
    // Stable, so that a cluster's rows stay in the order of their windows.
    runs.sort_by(|(a, _), (b, _)| a.cmp(b));

    for file in into_files(runs) {
        let (Some((first, _)), Some((last, _))) = (file.first(), file.last()) else {
            continue;
        };
        let bounds = (first.clone(), last.clone());
        let batches = file.into_iter().map(|(_, batch)| batch).collect();
        let written = lake.write_file(table, partition, bounds, batches, now).await?;
        rewritten.added.push(written);
    }
    Ok(rewritten)
}

/// The rows that are not of these windows.
fn without(batch: &RecordBatch, replaced: &HashSet<FileKey>) -> Result<RecordBatch, ArrowError> {
    let column = |name| {
        batch
            .column_by_name(name)
            .ok_or_else(|| ArrowError::SchemaError(format!("column {name} is missing")))
    };
    let clusters = column(allocations::FEDERATED_CLUSTER)?.as_string_view();
    let starts = column(allocations::WINDOW_START)?.as_primitive::<TimestampMicrosecondType>();
    let replaced: HashSet<(&str, i64)> = replaced
        .iter()
        .map(|(cluster, start)| (cluster.as_str(), start.timestamp_micros()))
        .collect();
    let keep: BooleanArray = (0..batch.num_rows())
        .map(|row| Some(!replaced.contains(&(clusters.value(row), starts.value(row)))))
        .collect();
    filter_record_batch(batch, &keep)
}

/// Cuts a batch where the federated cluster changes.
fn by_cluster(batch: &RecordBatch) -> Vec<(String, RecordBatch)> {
    let Some(clusters) = batch
        .column_by_name(allocations::FEDERATED_CLUSTER)
        .and_then(|column| column.as_string_view_opt())
    else {
        return Vec::new();
    };
    let mut runs = Vec::new();
    let mut start = 0;
    for row in 1..=clusters.len() {
        if row == clusters.len() || clusters.value(row) != clusters.value(start) {
            runs.push((clusters.value(start).to_owned(), batch.slice(start, row - start)));
            start = row;
        }
    }
    runs
}

/// Spreads runs over files of about [`FILE_ROWS`] rows.
fn into_files(runs: Vec<(String, RecordBatch)>) -> Vec<Vec<(String, RecordBatch)>> {
    let mut files: Vec<Vec<_>> = Vec::new();
    let mut rows = FILE_ROWS;
    for run in runs.into_iter().filter(|(_, batch)| batch.num_rows() > 0) {
        if rows >= FILE_ROWS {
            files.push(Vec::new());
            rows = 0;
        }
        rows += run.1.num_rows();
        if let Some(file) = files.last_mut() {
            file.push(run);
        }
    }
    files
}
