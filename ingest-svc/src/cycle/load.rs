//! What is released, as the bucket has it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bingen::Pipeline;
use lake::{LakeError, Partition, PublishedRelease, TableName, TableState};
use tracing::{error, warn};

use super::{CycleError, Ingest};
use crate::ingest::{self, PIPELINES, SourceFile};

/// What the released tables hold.
#[derive(Clone)]
pub(super) struct Released {
    pub(super) release: Option<PublishedRelease>,
    pub(super) tables: BTreeMap<TableName, TableState>,
    /// The ETL files that were read, by path.
    pub(super) files: Arc<BTreeMap<String, SourceFile>>,
    /// Whether the logs of all tables are known to end with the released version, since we published it.
    pub(super) is_own: bool,
}

/// Of which pipelines the rows of a table are.
fn pipelines_of(table: TableName) -> &'static [Pipeline] {
    match table {
        TableName::Allocations
        | TableName::AllocationsByNamespace
        | TableName::AllocationsByNode
        | TableName::AllocationsByWorkload => &PIPELINES[..1],
        TableName::Assets | TableName::AssetsByType => &PIPELINES[1..],
        TableName::SourceFiles => &PIPELINES,
    }
}

impl Ingest {
    /// What is released: as we left it, unless somebody else has published since.
    pub(super) async fn current(&mut self) -> Result<Released, CycleError> {
        if let Some(released) = self.released.take() {
            let is_current = match &released.release {
                Some(release) => self.lake.is_current(release).await?,
                None => false,
            };
            if is_current {
                return Ok(released);
            }
        }
        self.load().await
    }

    async fn load(&mut self) -> Result<Released, CycleError> {
        let release = match self.lake.load_release().await {
            Err(LakeError::CorruptRelease { path, reason }) => {
                error!(%path, reason, "the release pointer cannot be read; going back to the newest release on record");
                Some(
                    self.newest_on_record(LakeError::CorruptRelease { path, reason })
                        .await?,
                )
            }
            found => found?,
        };
        if let Some(published) = &release {
            // A writer that was killed in between has left it off the record.
            self.lake.record_release(&published.release).await?;
        }
        let mut tables: BTreeMap<_, _> = TableName::ALL
            .into_iter()
            .map(|name| (name, TableState::empty(name)))
            .collect();
        for (name, table) in release.iter().flat_map(|published| &published.release.tables) {
            tables.insert(*name, self.lake.table_at(*name, table.version).await?);
        }
        let mut files = BTreeMap::new();
        let table = TableName::SourceFiles;
        for file in tables.get(&table).into_iter().flat_map(|table| &table.files) {
            let partition = file.partition;
            let batches = match self.lake.read_file(table, file).await {
                Ok(batches) => batches,
                Err(source) => match CycleError::of_partition((Pipeline::Allocations, partition), source) {
                    CycleError::Damaged { source, .. } => {
                        warn!(%partition, error = %source, "the list of files is damaged; reading all of them again");
                        self.damaged.extend(PIPELINES.map(|pipeline| (pipeline, partition)));
                        continue;
                    }
                    other => return Err(other),
                },
            };
            let read = ingest::from_batches(file.partition.resolution, &batches);
            files.extend(read.into_iter().map(|file| (file.path.clone(), file)));
        }
        Ok(Released {
            release,
            tables,
            files: Arc::new(files),
            is_own: false,
        })
    }

    /// Replaces a pointer that cannot be read by the newest release on record whose tables can be.
    async fn newest_on_record(&self, unreadable: LakeError) -> Result<PublishedRelease, CycleError> {
        for number in self.lake.recorded_releases().await?.into_iter().rev() {
            match self.lake.recorded_release(number).await {
                Ok(Some(release)) => return Ok(self.lake.replace_corrupt_pointer(release).await?),
                Ok(None) => {}
                Err(error) => warn!(number, %error, "passed over a release on record"),
            }
        }
        Err(unreadable.into())
    }

    /// Partitions of which data files are gone, or of another size than they were written with.
    pub(super) async fn find_damage(
        &self,
        tables: &BTreeMap<TableName, TableState>,
    ) -> Result<BTreeSet<(Pipeline, Partition)>, CycleError> {
        let mut damaged = BTreeSet::new();
        for (name, table) in tables.iter().filter(|(_, table)| !table.files.is_empty()) {
            let objects = self.lake.data_objects(*name).await?;
            for file in objects.damaged(&self.lake, table) {
                error!(table = %name, file = file.path, "a data file is gone or damaged; making its partition anew");
                damaged.extend(pipelines_of(*name).iter().map(|pipeline| (*pipeline, file.partition)));
            }
        }
        Ok(damaged)
    }
}
