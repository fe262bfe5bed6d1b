//! Rows of some data files in coded form, ready to be added up.

use std::{
    collections::{BTreeSet, HashSet},
    ops::Range,
    sync::Arc,
};

use arrow::{
    array::{AsArray as _, RecordBatch, UInt32Array},
    compute::concat_batches,
    datatypes::UInt32Type,
};
use bytes::Bytes;
use chrono::NaiveDate;
use cost_plan::{
    coded,
    dictionary::{Code, Dictionary},
};
use datafusion::error::{DataFusionError, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use lake::{DataFile, Lake, LakeError, Resolution, TableName, decode_file};

use super::packed::{PIECE_ROWS, PackedRows, Packing};

/// Rows that are decoded at a time: with their texts they take many times the memory that is kept of them.
const DECODED_ROWS: usize = 8 * 1024;

/// Files of one block that are fetched at once.
const CONCURRENT_FETCHES: usize = 8;

/// Data files whose rows are kept together.
#[derive(Debug)]
pub(crate) struct BlockSpec {
    pub(crate) table: TableName,
    pub(crate) resolution: Resolution,
    /// In order of their days.
    pub(crate) files: Vec<DataFile>,
    /// The paths of the files, which never change once written.
    pub(crate) key: Arc<str>,
}

impl BlockSpec {
    fn new(table: TableName, files: Vec<DataFile>) -> Option<Self> {
        let resolution = files.first()?.partition.resolution;
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        Some(Self {
            table,
            resolution,
            key: format!("{table}:{}", paths.join(",")).into(),
            files,
        })
    }

    /// Cuts a table into blocks. Derived tables are small, so a block holds a month of days; of a base table each file
    /// is a block.
    pub(crate) fn of_table(table: TableName, files: &[DataFile]) -> Vec<Self> {
        let mut files = files.to_vec();
        files.sort_by(|a, b| (a.partition, &a.path).cmp(&(b.partition, &b.path)));
        let together = |a: &DataFile, b: &DataFile| {
            let month = |file: &DataFile| {
                (
                    file.partition.resolution,
                    file.partition.day.format("%Y-%m").to_string(),
                )
            };
            !table.is_base() && month(a) == month(b)
        };
        files
            .chunk_by(together)
            .filter_map(|files| Self::new(table, files.to_vec()))
            .collect()
    }

    /// Whether a file is in both.
    pub(crate) fn shares_files_with(&self, other: &Self) -> bool {
        let paths: HashSet<&str> = self.files.iter().map(|file| file.path.as_str()).collect();
        other.files.iter().any(|file| paths.contains(file.path.as_str()))
    }

    pub(crate) fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Whether windows of these days may be in it.
    pub(crate) fn may_hold(&self, days: &std::ops::RangeInclusive<NaiveDate>) -> bool {
        self.files.iter().any(|file| days.contains(&file.partition.day))
    }
}

/// Rows of one cluster next to each other.
#[derive(Debug)]
struct Run {
    day: NaiveDate,
    cluster: Code,
    rows: Range<usize>,
}

/// Rows of one data file.
#[derive(Debug, Clone)]
struct FileRows {
    path: String,
    day: NaiveDate,
    rows: Range<usize>,
}

/// What is known of a file.
enum Content {
    Coded(RecordBatch),
    Parquet(Bytes),
}

/// The rows of a [`BlockSpec`].
#[derive(Debug)]
pub(crate) struct Block {
    rows: PackedRows,
    /// In order, and without a gap.
    files: Vec<FileRows>,
    /// In order, and without a gap.
    runs: Vec<Run>,
    /// Columns of numbers that are zero in every row, and may be left out of a plan.
    pub(crate) zero: BTreeSet<&'static str>,
}

impl Block {
    /// Reads the files of a block. What `earlier`, of the same dictionary, has of them is taken from there.
    pub(crate) async fn load(
        lake: &Lake,
        spec: &BlockSpec,
        dictionary: &Arc<Dictionary>,
        earlier: Option<Arc<Self>>,
    ) -> Result<Self> {
        let fetch = async |file: &DataFile| {
            let known = earlier.as_ref().and_then(|earlier| earlier.rows_of(&file.path));
            let content = match known {
                Some(rows) => Content::Coded(rows?),
                None => Content::Parquet(lake.fetch_file(spec.table, file).await.map_err(read_error)?),
            };
            Ok::<_, DataFusionError>((file.path.clone(), file.partition.day, content))
        };
        let fetched: Vec<_> = stream::iter(&spec.files)
            .map(fetch)
            .buffered(CONCURRENT_FETCHES)
            .try_collect()
            .await?;
        let (table, dictionary) = (spec.table, Arc::clone(dictionary));
        // All on one thread, whose memory is used again from file to file.
        let decode = move || {
            let (mut coded_rows, mut files) = (Vec::new(), Vec::<FileRows>::new());
            let mut count = 0;
            for (path, day, content) in fetched {
                let start = count;
                match content {
                    Content::Coded(rows) => {
                        count += rows.num_rows();
                        coded_rows.push(rows);
                    }
                    Content::Parquet(bytes) => {
                        for batch in decode_file(table, bytes, DECODED_ROWS).map_err(read_error)? {
                            let batch = batch.map_err(read_error)?;
                            count += batch.num_rows();
                            coded_rows.push(coded::encode(&batch, &dictionary)?);
                        }
                    }
                }
                let rows = start..count;
                files.push(FileRows { path, day, rows });
            }
            Self::new(table, coded_rows, files)
        };
        let decoded = tokio::task::spawn_blocking(decode).await;
        decoded.map_err(|error| DataFusionError::External(Box::new(error)))?
    }

    fn new(table: TableName, coded_rows: Vec<RecordBatch>, files: Vec<FileRows>) -> Result<Self> {
        let whole = concat_batches(&coded::schema(&table.schema()), &coded_rows)?;
        drop(coded_rows);
        // Derived tables are small, and read by most questions.
        let packing = if table.is_base() {
            Packing::Tight
        } else {
            Packing::Loose
        };
        let (runs, rows) = (runs(&whole, &files), PackedRows::new(&whole, packing)?);
        let zero = rows.zero_columns().into_iter().filter_map(number_column).collect();
        Ok(Self {
            rows,
            files,
            runs,
            zero,
        })
    }

    /// The rows of a file; none when it is not in here.
    fn rows_of(&self, path: &str) -> Option<Result<RecordBatch>> {
        let file = self.files.iter().find(|file| file.path == path)?;
        Some(self.rows.piece(&file.rows))
    }

    /// Bytes of memory, about.
    pub(crate) fn bytes(&self) -> usize {
        self.rows.bytes() + self.runs.len() * size_of::<Run>()
    }

    /// The rows of these days and clusters, in pieces.
    pub(crate) fn pieces(
        &self,
        days: &std::ops::RangeInclusive<NaiveDate>,
        wanted: impl Fn(Code) -> bool,
    ) -> impl Iterator<Item = Result<RecordBatch>> {
        let runs = self
            .runs
            .iter()
            .filter(|run| days.contains(&run.day) && wanted(run.cluster));
        let mut spans: Vec<Range<usize>> = Vec::new();
        for run in runs {
            match spans.last_mut() {
                Some(span) if span.end == run.rows.start => span.end = run.rows.end,
                _ => spans.push(run.rows.clone()),
            }
        }
        let pieces = spans.into_iter().flat_map(|span| {
            let starts = span.clone().step_by(PIECE_ROWS);
            starts.map(move |start| start..span.end.min(start + PIECE_ROWS))
        });
        pieces.map(|piece| self.rows.piece(&piece))
    }

    /// How many rows are of each cluster; a cluster may come several times.
    pub(crate) fn rows_of_clusters(&self) -> impl Iterator<Item = (Code, usize)> {
        self.runs.iter().map(|run| (run.cluster, run.rows.len()))
    }

    /// A column of codes, by cluster; a cluster may come several times.
    pub(crate) fn codes_of_clusters(&self, column: &str) -> Result<Vec<(Code, UInt32Array)>> {
        let codes_of = |run: &Run| {
            let codes = self.rows.codes(column, &run.rows)?;
            Ok((run.cluster, codes))
        };
        self.runs.iter().map(codes_of).collect()
    }

    /// All rows.
    pub(crate) fn rows(&self) -> Result<RecordBatch> {
        self.rows.piece(&(0..self.rows.len()))
    }
}

fn read_error(error: LakeError) -> DataFusionError {
    match error {
        LakeError::Store { source, .. } => DataFusionError::ObjectStore(Box::new(source)),
        other => DataFusionError::External(Box::new(other)),
    }
}

/// The name of a column of numbers that may be left out of a plan when it is zero.
fn number_column(name: &str) -> Option<&'static str> {
    use lake::schema::{allocations, assets};
    let all = allocations::SUMS
        .into_iter()
        .chain(allocations::AVERAGES)
        .chain(assets::SUMS)
        .chain(assets::NODE_SUMS)
        .chain(assets::DISK_SUMS)
        .chain(["gpu_count", "preemptible"]);
    all.into_iter().find(|column| *column == name)
}

/// Where the day or the cluster changes.
fn runs(rows: &RecordBatch, files: &[FileRows]) -> Vec<Run> {
    let clusters = rows.column_by_name("cluster");
    let clusters = clusters.and_then(|column| column.as_primitive_opt::<UInt32Type>());
    let mut runs: Vec<Run> = Vec::new();
    for file in files {
        for at in file.rows.clone() {
            let cluster = clusters.map_or(0, |clusters| clusters.value(at));
            match runs.last_mut() {
                Some(run) if run.cluster == cluster && run.day == file.day => run.rows.end = at + 1,
                _ => runs.push(Run {
                    day: file.day,
                    cluster,
                    rows: at..at + 1,
                }),
            }
        }
    }
    runs
}
