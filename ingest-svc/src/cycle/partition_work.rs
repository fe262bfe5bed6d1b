//! Reading the files of a partition, and writing the partition anew in all tables.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use arrow::array::RecordBatch;
use bingen::Pipeline;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use lake::{DataFile, LakeError, Partition, TableName, TableState};
use object_store::ObjectStoreExt as _;
use tokio::sync::Semaphore;
use tracing::{Instrument as _, field, info_span, warn};

use super::{CycleError, Ingest, plan::Work, plan::is_future};
use crate::{
    derive::BaseRows,
    ingest::{self, DecodeFileError, Decoded, FoundFile, SourceFile},
    partition::{FileKey, Rewritten, rewrite},
    reconcile::{assets_of, reconcile},
    steps::Step,
};

/// A file decodes to about this many times its size, counting the columns and what writing them takes.
const MEMORY_PER_FILE_BYTE: u64 = 6;
/// Rows kept from a partition take about this many times the size of their compressed files.
const MEMORY_PER_STORED_BYTE: u64 = 20;
/// Files read from the store at once, per partition.
const CONCURRENT_READS: usize = 4;
/// Memory permits are in this unit, since a semaphore counts to 2^29 or so.
const PERMIT_BYTES: u64 = 64 * 1024;

/// A file and its rows, or why it is set aside.
type FileRead = (FoundFile, Result<Decoded, DecodeFileError>);

/// What was done in a partition of a pipeline.
pub(super) struct Done {
    pub(super) tables: Vec<(TableName, Rewritten)>,
    pub(super) files: Vec<SourceFile>,
}

/// The table that a pipeline's rows are in.
pub(super) fn base_of(pipeline: Pipeline) -> TableName {
    match pipeline {
        Pipeline::Allocations => TableName::Allocations,
        _ => TableName::Assets,
    }
}

/// What does not change while the partitions of a cycle are written.
pub(super) struct Surroundings<'a> {
    pub(super) tables: &'a BTreeMap<TableName, TableState>,
    pub(super) known: &'a BTreeMap<String, SourceFile>,
    pub(super) clusters: &'a Arc<BTreeSet<String>>,
    pub(super) memory: Semaphore,
    pub(super) now: DateTime<Utc>,
}

/// Files of a partition that are read and written together.
struct Batch<'a> {
    key: (Pipeline, Partition),
    files: Vec<FoundFile>,
    /// Windows whose rows are taken out.
    replaced: HashSet<FileKey>,
    /// What earlier versions of the files gave; none when that is dropped.
    known: Option<&'a BTreeMap<String, SourceFile>>,
}

/// The data files of a partition, and what becomes of them.
struct Change {
    table: TableName,
    before: Vec<DataFile>,
    after: Vec<DataFile>,
}

impl Change {
    fn into_rewritten(self) -> (TableName, Rewritten) {
        let paths = |files: &[DataFile]| files.iter().map(|file| file.path.clone()).collect::<HashSet<_>>();
        let (before, after) = (paths(&self.before), paths(&self.after));
        let rewritten = Rewritten {
            removed: before.difference(&after).cloned().collect(),
            added: self
                .after
                .into_iter()
                .filter(|file| !before.contains(&file.path))
                .collect(),
        };
        (self.table, rewritten)
    }
}

/// Spreads files over batches of about so many bytes, each of at least one file. There is always a batch.
fn batches(files: Vec<FoundFile>, bytes: u64) -> Vec<Vec<FoundFile>> {
    let mut batches = vec![Vec::new()];
    let mut size = 0;
    for file in files {
        if size > 0 && size + file.size > bytes {
            batches.push(Vec::new());
            size = 0;
        }
        size += file.size;
        if let Some(batch) = batches.last_mut() {
            batch.push(file);
        }
    }
    batches
}

impl Ingest {
    /// The permits of the whole bound on memory.
    pub(super) fn memory(&self) -> Semaphore {
        Semaphore::new(self.permits_for(self.settings.memory_bytes) as usize)
    }

    fn permits_for(&self, bytes: u64) -> u32 {
        let limit = self.settings.memory_bytes.div_ceil(PERMIT_BYTES).max(1);
        let permits = bytes.div_ceil(PERMIT_BYTES).clamp(1, limit);
        u32::try_from(permits).unwrap_or(u32::MAX)
    }

    /// The largest file, unpacked, that is read within the bound on memory.
    fn largest_file(&self) -> u64 {
        self.settings.memory_bytes / MEMORY_PER_FILE_BYTE
    }

    /// Reads the new and changed files of a partition and rewrites the partition in all tables, in as many batches as
    /// the bound on memory asks for.
    pub(super) async fn ingest(
        &self,
        around: &Surroundings<'_>,
        pipeline: Pipeline,
        partition: Partition,
        work: Work,
    ) -> Result<Done, CycleError> {
        let base = base_of(pipeline);
        let mut changes: Vec<Change> = std::iter::once(base)
            .chain(base.derived().iter().copied())
            .map(|table| {
                let files = around
                    .tables
                    .get(&table)
                    .map_or(&[][..], |state| state.files.as_slice());
                let before: Vec<_> = files
                    .iter()
                    .filter(|file| file.partition == partition)
                    .cloned()
                    .collect();
                let after = if work.rebuild { Vec::new() } else { before.clone() };
                Change { table, before, after }
            })
            .collect();
        let mut replaced: HashSet<FileKey> = work
            .removed
            .iter()
            .map(|file| (file.cluster.clone(), file.window.start))
            .collect();
        let mut files = Vec::new();
        let known = (!work.rebuild).then_some(around.known);
        for batch in batches(work.read, self.largest_file() / 2) {
            let stored: u64 = changes
                .iter()
                .flat_map(|change| &change.after)
                .map(|file| file.size)
                .sum();
            let to_read: u64 = batch.iter().map(|file| file.size).sum();
            let needed = self.permits_for(to_read * MEMORY_PER_FILE_BYTE + stored * MEMORY_PER_STORED_BYTE);
            // The semaphore is never closed.
            let _permit = around
                .memory
                .acquire_many(needed)
                .await
                .map_err(|_| CycleError::Stopped)?;
            let batch = Batch {
                key: (pipeline, partition),
                files: batch,
                replaced: std::mem::take(&mut replaced),
                known,
            };
            self.write_batch(around, batch, &mut changes, &mut files).await?;
        }
        self.step(Step::PartitionWritten).await?;
        self.status.progress(|progress| progress.partitions_written += 1);
        Ok(Done {
            tables: changes.into_iter().map(Change::into_rewritten).collect(),
            files,
        })
    }

    async fn write_batch(
        &self,
        around: &Surroundings<'_>,
        batch: Batch<'_>,
        changes: &mut [Change],
        files: &mut Vec<SourceFile>,
    ) -> Result<(), CycleError> {
        let Batch {
            key: (pipeline, partition),
            files: batch,
            mut replaced,
            known,
        } = batch;
        let base = base_of(pipeline);
        let now = around.now;
        let mut rows = Vec::new();
        let mut reads = stream::iter(batch)
            .map(|file| self.read_in_span(file, base, around.clusters, now))
            .buffered(CONCURRENT_READS);
        while let Some(read) = reads.try_next().await? {
            let Some((file, decoded)) = read else { continue };
            match decoded {
                Ok(decoded) => {
                    let read = SourceFile::read(&file, &decoded, now);
                    self.status.progress(|progress| {
                        progress.files_read += 1;
                        progress.rows += read.rows;
                        progress.files_with_warnings += u64::from(!read.warnings.is_empty());
                    });
                    if !read.warnings.is_empty() {
                        tracing::info!(path = %file.path, warnings = ?read.warnings, "read with warnings");
                    }
                    files.push(read);
                    replaced.insert((file.cluster, file.window.start));
                    rows.push(decoded.rows);
                }
                Err(error) => {
                    // What an earlier version of the file gave is kept: stale figures beat none.
                    warn!(path = %file.path, %error, "file set aside");
                    self.status.progress(|progress| progress.files_failed += 1);
                    let before = known.and_then(|known| known.get(file.path.as_ref()));
                    files.push(SourceFile::set_aside(&file, error.to_string(), before, now));
                }
            }
        }
        drop(reads);
        if pipeline == Pipeline::Allocations {
            self.reconcile(around, partition, &mut rows, files).await?;
        }

        let failed = |source| CycleError::Derive { partition, source };
        let damaged = |source| CycleError::of_partition((pipeline, partition), source);
        let base_rows = BaseRows::new(base, &rows).map_err(failed)?;
        let mut rows = Some(rows);
        for change in changes {
            let rows = match rows.take() {
                Some(rows) => rows,
                None => base_rows.derive(&self.session, change.table).await.map_err(failed)?,
            };
            let rewritten = rewrite(&self.lake, change.table, partition, &change.after, &replaced, rows, now)
                .await
                .map_err(damaged)?;
            change.after.retain(|file| !rewritten.removed.contains(&file.path));
            change.after.extend(rewritten.added);
        }
        Ok(())
    }

    /// Shares out what the bill added to the assets of the same clusters and windows, which were ingested before.
    async fn reconcile(
        &self,
        around: &Surroundings<'_>,
        partition: Partition,
        rows: &mut [RecordBatch],
        files: &mut [SourceFile],
    ) -> Result<(), CycleError> {
        // The last files are those of the rows, but for those that were set aside.
        let read: Vec<_> = files
            .iter_mut()
            .rev()
            .filter(|file| file.error.is_none())
            .take(rows.len())
            .collect();
        let wanted: HashSet<FileKey> = read
            .iter()
            .map(|file| (file.cluster.clone(), file.window.start))
            .collect();
        let table = TableName::Assets;
        let arrow = |source| LakeError::Arrow { table, source };
        let mut batches = Vec::new();
        let stored = around.tables.get(&table).into_iter().flat_map(|state| &state.files);
        let may_hold =
            |file: &&DataFile| file.partition == partition && wanted.iter().any(|(cluster, _)| file.may_hold(cluster));
        for file in stored.filter(may_hold) {
            let read = self.lake.read_file(table, file).await;
            batches.extend(read.map_err(|source| CycleError::of_partition((Pipeline::Assets, partition), source))?);
        }
        let assets = assets_of(&batches, &wanted).map_err(arrow)?;
        for (file, rows) in read.into_iter().zip(rows.iter_mut().rev()) {
            if let Some(assets) = assets.get(&(file.cluster.clone(), file.window.start)) {
                let reconciled = reconcile(rows, assets).map_err(arrow)?;
                *rows = reconciled.rows;
                file.figures.extend(reconciled.figures);
            }
        }
        Ok(())
    }

    async fn read_in_span(
        &self,
        file: FoundFile,
        table: TableName,
        clusters: &Arc<BTreeSet<String>>,
        now: DateTime<Utc>,
    ) -> Result<Option<FileRead>, CycleError> {
        let span = info_span!(
            "file",
            path = %file.path,
            cluster = file.cluster,
            %table,
            window.start = %file.window.start,
            window.end = %file.window.end,
            bytes = file.size,
            rows = field::Empty,
            otel.status_code = field::Empty,
        );
        let read = self.read(file, clusters, now).instrument(span.clone()).await;
        match &read {
            Ok(Some((_, Ok(decoded)))) => span.record("rows", decoded.rows.num_rows()),
            Ok(Some((_, Err(_)))) | Err(_) => span.record("otel.status_code", "ERROR"),
            Ok(None) => &span,
        };
        read
    }

    /// Reads a file, unless it is gone.
    async fn read(
        &self,
        file: FoundFile,
        clusters: &Arc<BTreeSet<String>>,
        now: DateTime<Utc>,
    ) -> Result<Option<FileRead>, CycleError> {
        let limit = self.largest_file();
        if is_future(&file, now) {
            let start = file.window.start;
            return Ok(Some((file, Err(DecodeFileError::Future { start }))));
        }
        if file.size > limit {
            let size = file.size;
            let needed = (size * MEMORY_PER_FILE_BYTE).div_ceil(1 << 20);
            return Ok(Some((file, Err(DecodeFileError::TooLargeForMemory { size, needed }))));
        }
        let read = async { self.bucket.get(&file.path).await?.bytes().await };
        let bytes: Bytes = match read.await {
            Ok(bytes) => bytes,
            // It was deleted since it was listed; the next cycle will not find it.
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => {
                let path = file.path.clone();
                return Err(CycleError::Read { path, source });
            }
        };
        self.status
            .progress(|progress| progress.bytes_read += bytes.len() as u64);
        let path = file.path.clone();
        let clusters = Arc::clone(clusters);
        tokio::task::spawn_blocking(move || {
            let decoded = ingest::decode(&file, &bytes, limit, &clusters);
            Some((file, decoded))
        })
        .await
        .map_err(|source| CycleError::Decode { path, source })
    }

    /// Writes down which files of a partition were read.
    pub(super) async fn remember(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::FileWindow;

    fn file(size: u64) -> FoundFile {
        FoundFile {
            path: "a".into(),
            cluster: "a".to_owned(),
            pipeline: Pipeline::Assets,
            resolution: lake::Resolution::Day,
            window: FileWindow {
                start: DateTime::UNIX_EPOCH,
                end: DateTime::UNIX_EPOCH,
            },
            gzip: false,
            etag: None,
            size,
            last_modified: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn batches_are_as_large_as_they_may_be() {
        let sizes = |bytes, sizes: &[u64]| -> Vec<Vec<u64>> {
            let files = sizes.iter().map(|size| file(*size)).collect();
            let batches = batches(files, bytes).into_iter();
            batches
                .map(|batch| batch.iter().map(|file| file.size).collect())
                .collect()
        };
        assert_eq!(sizes(10, &[]), [Vec::<u64>::new()]);
        assert_eq!(sizes(10, &[4, 6, 1]), [vec![4, 6], vec![1]]);
        assert_eq!(sizes(10, &[40, 6, 1]), [vec![40], vec![6, 1]]);
    }
}
