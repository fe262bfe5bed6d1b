//! One cycle: find, ingest, derive, publish.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use arrow::array::RecordBatch;
use bingen::Pipeline;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use datafusion::{error::DataFusionError, prelude::SessionContext};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use lake::{Lake, LakeError, Partition, PublishedRelease, Resolution, TableName, TableState};
use object_store::{ObjectStore, ObjectStoreExt as _};
use service_kit::telemetry;
use tokio::sync::Semaphore;
use tracing::{Instrument as _, Span, field, info, info_span, warn};

use crate::{
    derive::BaseRows,
    ingest::{self, DecodeFileError, FindError, FoundFile, SourceFile},
    metrics::ClusterFiles,
    partition::{FileKey, Rewritten, rewrite},
    status::{Progress, State, StatusBoard},
};

/// How ingest behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// From the start of one cycle to the start of the next.
    pub refresh: Duration,
    /// Which windows are kept.
    pub retention: Retention,
    /// Bytes of memory for files being decoded and partitions being written, about.
    pub memory_bytes: u64,
}

/// Which windows are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days of daily windows; `None` keeps all.
    pub daily: Option<u32>,
    /// Hours of hourly windows; `None` keeps all.
    pub hourly: Option<u32>,
}

impl Retention {
    /// As many days and hours as given, of which 0 keeps all.
    pub fn of(days: u32, hours: u32) -> Self {
        let limit = |count| (count > 0).then_some(count);
        Self {
            daily: limit(days),
            hourly: limit(hours),
        }
    }

    fn keeps(self, file: &FoundFile, now: DateTime<Utc>) -> bool {
        let oldest = match file.resolution {
            Resolution::Day => self.daily.map(|days| now - TimeDelta::days(i64::from(days))),
            Resolution::Hour => self.hourly.map(|hours| now - TimeDelta::hours(i64::from(hours))),
        };
        oldest.is_none_or(|oldest| file.window.end > oldest)
    }
}

/// Why a cycle failed. What it had written is not in the release, and is cleared up by the next cycle.
#[derive(Debug, thiserror::Error)]
pub enum CycleError {
    /// The bucket could not be listed.
    #[error(transparent)]
    Find(#[from] FindError),
    /// An ETL file could not be read from the store.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: object_store::path::Path,
        /// What the store says.
        #[source]
        source: object_store::Error,
    },
    /// Decoding was cancelled, or panicked.
    #[error("decoding {path} did not finish: {source}")]
    Decode {
        /// The file.
        path: object_store::path::Path,
        /// What became of the task.
        #[source]
        source: tokio::task::JoinError,
    },
    /// The lake could not be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// A table could not be derived.
    #[error("cannot derive from partition {partition}: {source}")]
    Derive {
        /// The partition.
        partition: Partition,
        /// What DataFusion says.
        #[source]
        source: DataFusionError,
    },
    /// Shutdown came first.
    #[error("stopped before the cycle ended")]
    Stopped,
}

/// A file decodes to about this many times its size, counting the columns and what writing them takes.
const MEMORY_PER_FILE_BYTE: u64 = 6;
/// Rows kept from a partition take about this many times the size of their compressed files.
const MEMORY_PER_STORED_BYTE: u64 = 20;
/// The most that is unpacked of one compressed file.
const LARGEST_UNPACKED_FILE: u64 = 1 << 30;
/// Files read from the store at once, per partition.
const CONCURRENT_READS: usize = 4;
/// Memory permits are in this unit, since a semaphore counts to 2^29 or so.
const PERMIT_BYTES: u64 = 64 * 1024;

/// What the released tables hold. Ingest is the only writer, so this is read once and then kept.
struct Released {
    release: Option<PublishedRelease>,
    tables: BTreeMap<TableName, TableState>,
    /// The ETL files that were read, by path.
    files: BTreeMap<String, SourceFile>,
}

/// Runs cycles over one bucket.
pub(crate) struct Ingest {
    bucket: Arc<dyn ObjectStore>,
    lake: Lake,
    settings: Settings,
    status: StatusBoard,
    session: SessionContext,
    released: Option<Released>,
}

/// What is to be done in one partition of one pipeline.
#[derive(Default)]
struct Work {
    read: Vec<FoundFile>,
    removed: Vec<SourceFile>,
}

/// What was done.
struct Done {
    tables: Vec<(TableName, Rewritten)>,
    files: Vec<SourceFile>,
}

impl Ingest {
    pub(crate) fn new(bucket: Arc<dyn ObjectStore>, settings: Settings, status: StatusBoard) -> Self {
        Self {
            lake: Lake::new(Arc::clone(&bucket)),
            bucket,
            settings,
            status,
            session: SessionContext::new(),
            released: None,
        }
    }

    /// Runs a cycle. Whatever the result, the next cycle starts from what is released.
    pub(crate) async fn run(&mut self) -> Result<(), CycleError> {
        let now = Utc::now();
        self.status.update(|status| {
            status.state = State::Finding;
            status.cycle += 1;
            status.cycle_started = Some(now);
            status.progress = Progress::default();
        });
        let span = info_span!(
            "cycle",
            trace_id = field::Empty,
            otel.status_code = field::Empty,
            number = self.status.now().cycle,
            files = field::Empty,
            bytes = field::Empty,
            rows = field::Empty,
        );
        telemetry::note_trace(&span);
        let result = self.cycle(now).instrument(span.clone()).await;
        let _entered = span.enter();
        let ended = Utc::now();
        let duration_ms = (ended - now).num_milliseconds();
        let progress = self.status.now().progress;
        span.record("files", progress.files_read);
        span.record("bytes", progress.bytes_read);
        span.record("rows", progress.rows);
        if result.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        match &result {
            Ok(()) => info!(
                duration_ms,
                files_found = progress.files_found,
                files_read = progress.files_read,
                files_failed = progress.files_failed,
                files_removed = progress.files_removed,
                bytes_read = progress.bytes_read,
                rows = progress.rows,
                "cycle ended"
            ),
            Err(error) => {
                self.released = None;
                warn!(duration_ms, %error, "cycle failed; the last release is still served");
            }
        }
        self.status.update(|status| {
            status.state = State::Idle;
            status.cycle_ended = Some(ended);
            match &result {
                Ok(()) => status.last_success = Some(ended),
                Err(_) => status.cycles_failed += 1,
            }
            if let Some(released) = &self.released {
                status.clusters_files = Arc::new(ClusterFiles::of(released.files.values()));
            }
            status.last_error = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
        });
        result
    }

    async fn cycle(&mut self, now: DateTime<Utc>) -> Result<(), CycleError> {
        let released = match self.released.take() {
            Some(released) => released,
            None => self.load().await?,
        };
        self.status.update(|status| {
            status.release = released.release.as_ref().map(|published| published.release.clone());
        });

        let mut found = ingest::find(&self.bucket).await?;
        found.retain(|file| self.settings.retention.keeps(file, now));
        let work = plan(&found, &released.files);
        let touched: BTreeSet<Partition> = work.keys().map(|(_, partition)| *partition).collect();
        self.status.update(|status| {
            status.state = State::Ingesting;
            let read = || work.values().flat_map(|work| &work.read);
            status.progress = Progress {
                files_found: found.len() as u64,
                files_to_read: read().count() as u64,
                bytes_to_read: read().map(|file| file.size).sum(),
                files_removed: work.values().map(|work| work.removed.len() as u64).sum(),
                partitions_to_write: work.len() as u64,
                ..Progress::default()
            };
        });
        drop(found);
        if work.is_empty() && released.release.is_some() {
            self.released = Some(released);
            return Ok(());
        }

        let mut files = released.files;
        for removed in work.values().flat_map(|work| &work.removed) {
            files.remove(&removed.path);
        }
        let permits = self.permits_for(self.settings.memory_bytes);
        let memory = Semaphore::new(permits as usize);
        let parallel = std::thread::available_parallelism().map_or(2, usize::from);
        let done: Vec<Done> = stream::iter(work)
            .map(|((pipeline, partition), work)| {
                self.ingest(&memory, &released.tables, pipeline, partition, work, now)
                    .instrument(info_span!("partition", pipeline = pipeline.as_str(), %partition))
            })
            .buffer_unordered(parallel)
            .try_collect()
            .await?;

        self.status.update(|status| status.state = State::Publishing);
        let mut tables = released.tables;
        for part in done {
            for (table, rewritten) in part.tables {
                apply(&mut tables, table, rewritten);
            }
            files.extend(part.files.into_iter().map(|file| (file.path.clone(), file)));
        }
        for partition in touched {
            let rewritten = self.remember(&tables, &files, partition, now).await?;
            apply(&mut tables, TableName::SourceFiles, rewritten);
        }
        let mut committed = BTreeMap::new();
        for (name, table) in tables {
            committed.insert(name, self.lake.commit(name, table.files, now).await?);
        }
        let versions = committed
            .iter()
            .filter_map(|(name, table)| Some((*name, table.released()?)))
            .collect();
        let release = self
            .lake
            .publish_release(released.release.as_ref(), versions, Utc::now())
            .await?;
        info!(
            release = release.release.number,
            rows = release.release.rows,
            "published"
        );
        self.status
            .update(|status| status.release = Some(release.release.clone()));
        self.released = Some(Released {
            release: Some(release),
            tables: committed,
            files,
        });
        Ok(())
    }

    async fn load(&self) -> Result<Released, CycleError> {
        let release = self.lake.load_release().await?;
        let mut tables: BTreeMap<_, _> = TableName::ALL
            .into_iter()
            .map(|name| (name, TableState::empty(name)))
            .collect();
        for (name, table) in release.iter().flat_map(|published| &published.release.tables) {
            tables.insert(*name, self.lake.table_at(*name, table.version).await?);
        }
        let mut files = BTreeMap::new();
        let source_files = TableName::SourceFiles;
        for file in tables.get(&source_files).into_iter().flat_map(|table| &table.files) {
            let batches = self.lake.read_file(source_files, file).await?;
            let read = ingest::from_batches(file.partition.resolution, &batches);
            files.extend(read.into_iter().map(|file| (file.path.clone(), file)));
        }
        Ok(Released { release, tables, files })
    }

    fn permits_for(&self, bytes: u64) -> u32 {
        let limit = self.settings.memory_bytes.div_ceil(PERMIT_BYTES).max(1);
        let permits = bytes.div_ceil(PERMIT_BYTES).clamp(1, limit);
        u32::try_from(permits).unwrap_or(u32::MAX)
    }

    /// Reads the new and changed files of a partition and rewrites the partition in all tables.
    async fn ingest(
        &self,
        memory: &Semaphore,
        tables: &BTreeMap<TableName, TableState>,
        pipeline: Pipeline,
        partition: Partition,
        work: Work,
        now: DateTime<Utc>,
    ) -> Result<Done, CycleError> {
        let base = match pipeline {
            Pipeline::Allocations => TableName::Allocations,
            _ => TableName::Assets,
        };
        let present = |table| tables.get(&table).map_or(&[][..], |state| state.files.as_slice());
        let stored: u64 = present(base)
            .iter()
            .filter(|file| file.partition == partition)
            .map(|file| file.size)
            .sum();
        let to_read: u64 = work.read.iter().map(|file| file.size).sum();
        let needed = self.permits_for(to_read * MEMORY_PER_FILE_BYTE + stored * MEMORY_PER_STORED_BYTE);
        // The semaphore is never closed.
        let _permit = memory.acquire_many(needed).await.map_err(|_| CycleError::Stopped)?;

        let mut rows = Vec::new();
        let mut files = Vec::new();
        let mut replaced: HashSet<FileKey> = work
            .removed
            .iter()
            .map(|file| (file.cluster.clone(), file.window.start))
            .collect();
        let mut reads = stream::iter(work.read)
            .map(|file| {
                let span = info_span!(
                    "file",
                    path = %file.path,
                    cluster = file.cluster,
                    table = %base,
                    window.start = %file.window.start,
                    window.end = %file.window.end,
                    bytes = file.size,
                    rows = field::Empty,
                    otel.status_code = field::Empty,
                );
                self.read(file).instrument(span)
            })
            .buffered(CONCURRENT_READS);
        while let Some((file, decoded)) = reads.try_next().await? {
            match decoded {
                Ok(batch) => {
                    let count = batch.num_rows() as u64;
                    self.status.progress(|progress| {
                        progress.files_read += 1;
                        progress.rows += count;
                    });
                    files.push(SourceFile::read(&file, count, None, now));
                    replaced.insert((file.cluster, file.window.start));
                    rows.push(batch);
                }
                Err(error) => {
                    // What an earlier version of the file gave is kept: stale figures beat none.
                    warn!(path = %file.path, %error, "file set aside");
                    self.status.progress(|progress| progress.files_failed += 1);
                    files.push(SourceFile::read(&file, 0, Some(error.to_string()), now));
                }
            }
        }
        drop(reads);

        let failed = |source| CycleError::Derive { partition, source };
        let base_rows = BaseRows::new(base, &rows).map_err(failed)?;
        let mut rewritten = Vec::new();
        let change = rewrite(&self.lake, base, partition, present(base), &replaced, rows, now).await?;
        rewritten.push((base, change));
        for &table in base.derived() {
            let rows = base_rows.derive(&self.session, table).await.map_err(failed)?;
            let change = rewrite(&self.lake, table, partition, present(table), &replaced, rows, now).await?;
            rewritten.push((table, change));
        }
        self.status.progress(|progress| progress.partitions_written += 1);
        Ok(Done {
            tables: rewritten,
            files,
        })
    }

    async fn read(&self, file: FoundFile) -> Result<(FoundFile, Result<RecordBatch, DecodeFileError>), CycleError> {
        let read = async { self.bucket.get(&file.path).await?.bytes().await };
        let bytes: Bytes = read.await.map_err(|source| CycleError::Read {
            path: file.path.clone(),
            source,
        })?;
        self.status
            .progress(|progress| progress.bytes_read += bytes.len() as u64);
        let path = file.path.clone();
        tokio::task::spawn_blocking(move || {
            let decoded = ingest::decode(&file, &bytes, LARGEST_UNPACKED_FILE);
            (file, decoded)
        })
        .await
        .inspect(|(_, decoded)| {
            let span = Span::current();
            match decoded {
                Ok(batch) => span.record("rows", batch.num_rows()),
                Err(_) => span.record("otel.status_code", "ERROR"),
            };
        })
        .map_err(|source| CycleError::Decode { path, source })
    }

    /// Writes down which files of a partition were read.
    async fn remember(
        &self,
        tables: &BTreeMap<TableName, TableState>,
        files: &BTreeMap<String, SourceFile>,
        partition: Partition,
        now: DateTime<Utc>,
    ) -> Result<Rewritten, CycleError> {
        let table = TableName::SourceFiles;
        let removed = tables
            .get(&table)
            .into_iter()
            .flat_map(|state| &state.files)
            .filter(|file| file.partition == partition)
            .map(|file| file.path.clone())
            .collect();
        let mut present: Vec<&SourceFile> = files.values().filter(|file| file.partition() == partition).collect();
        present.sort_by(|a, b| a.cluster.cmp(&b.cluster));
        let mut added = Vec::new();
        if let (Some(first), Some(last)) = (present.first(), present.last()) {
            let clusters = (first.cluster.clone(), last.cluster.clone());
            let batch = ingest::to_batch(&present).map_err(|source| LakeError::Arrow { table, source })?;
            added.push(
                self.lake
                    .write_file(table, partition, clusters, vec![batch], now)
                    .await?,
            );
        }
        Ok(Rewritten { removed, added })
    }
}

/// What differs between the bucket and what was read of it.
fn plan(found: &[FoundFile], known: &BTreeMap<String, SourceFile>) -> BTreeMap<(Pipeline, Partition), Work> {
    let mut work: BTreeMap<(Pipeline, Partition), Work> = BTreeMap::new();
    let mut present = HashSet::new();
    for file in found {
        present.insert(file.path.as_ref());
        if !known.get(file.path.as_ref()).is_some_and(|read| read.is_current(file)) {
            let key = (file.pipeline, file.partition());
            work.entry(key).or_default().read.push(file.clone());
        }
    }
    for file in known.values().filter(|file| !present.contains(file.path.as_str())) {
        let key = (file.pipeline, file.partition());
        work.entry(key).or_default().removed.push(file.clone());
    }
    work
}

fn apply(tables: &mut BTreeMap<TableName, TableState>, table: TableName, rewritten: Rewritten) {
    let state = tables.entry(table).or_insert_with(|| TableState::empty(table));
    state.files.retain(|file| !rewritten.removed.contains(&file.path));
    state.files.extend(rewritten.added);
}
