//! Delta tables: their names, their state at a version, and commits.

use std::{collections::BTreeMap, fmt, sync::Arc};

use arrow::datatypes::{Field, Schema, SchemaRef};
use chrono::{DateTime, Utc};
use deltalake_core::{
    DeltaTable, DeltaTableError,
    kernel::{
        Action, MetadataExt as _, StructType,
        engine::arrow_conversion::TryIntoKernel as _,
        transaction::{CommitBuilder, CommitProperties},
    },
    logstore::{LogStoreRef, StorageConfig, default_logstore},
    operations::create::CreateBuilder,
    protocol::{DeltaOperation, SaveMode},
};
use futures::TryStreamExt as _;
use object_store::{path::Path, prefix::PrefixStore};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{DataFile, Lake, LakeError, Partition, ROOT, TableVersion, schema};

/// The lake's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableName {
    /// One row per container and window.
    Allocations,
    /// Allocations added up by cluster and namespace, per window.
    AllocationsByNamespace,
    /// Allocations added up by cluster and node, per window.
    AllocationsByNode,
    /// Allocations added up by cluster, namespace, controller, services, labels and annotations, per window.
    AllocationsByWorkload,
    /// One row per asset and window.
    Assets,
    /// Assets added up by type and by all properties but name and id, per window.
    AssetsByType,
    /// One row per ETL file that was read.
    SourceFiles,
}

impl TableName {
    /// All tables.
    pub const ALL: [Self; 7] = [
        Self::Allocations,
        Self::AllocationsByNamespace,
        Self::AllocationsByNode,
        Self::AllocationsByWorkload,
        Self::Assets,
        Self::AssetsByType,
        Self::SourceFiles,
    ];

    /// Name in paths, logs and the release.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allocations => "allocations",
            Self::AllocationsByNamespace => "allocations_by_namespace",
            Self::AllocationsByNode => "allocations_by_node",
            Self::AllocationsByWorkload => "allocations_by_workload",
            Self::Assets => "assets",
            Self::AssetsByType => "assets_by_type",
            Self::SourceFiles => "source_files",
        }
    }

    /// The tables that are derived from it.
    pub fn derived(self) -> &'static [Self] {
        match self {
            Self::Allocations => &[
                Self::AllocationsByNamespace,
                Self::AllocationsByNode,
                Self::AllocationsByWorkload,
            ],
            Self::Assets => &[Self::AssetsByType],
            _ => &[],
        }
    }

    /// Whether its rows come from ETL files as they are, rather than being derived.
    pub fn is_base(self) -> bool {
        matches!(self, Self::Allocations | Self::Assets)
    }

    /// Whether it is derived from a base table.
    pub fn is_derived(self) -> bool {
        Self::ALL.into_iter().any(|base| base.derived().contains(&self))
    }

    /// Columns of its data files. The partition columns are not among them, as Delta Lake wants it.
    pub fn schema(self) -> SchemaRef {
        match self {
            Self::Allocations
            | Self::AllocationsByNamespace
            | Self::AllocationsByNode
            | Self::AllocationsByWorkload => schema::allocations::schema(),
            Self::Assets | Self::AssetsByType => schema::assets::schema(),
            Self::SourceFiles => schema::source_files::schema(),
        }
    }

    /// Folder in the bucket.
    pub fn path(self) -> Path {
        Path::from_iter([ROOT, self.as_str()])
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A table at one version.
#[derive(Clone, Debug)]
pub struct TableState {
    /// The table.
    pub name: TableName,
    /// Version in the Delta log; `None` before the table was created.
    pub version: Option<u64>,
    /// Its files.
    pub files: Vec<DataFile>,
}

impl TableState {
    /// A table without rows that is not in the bucket yet.
    pub fn empty(name: TableName) -> Self {
        Self {
            name,
            version: None,
            files: Vec::new(),
        }
    }

    /// Rows in all its files.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// What a release says of it; `None` before the table was created.
    pub fn released(&self) -> Option<TableVersion> {
        self.version.map(|version| TableVersion {
            version,
            rows: self.rows(),
        })
    }
}

impl Lake {
    /// Reads which files a table had at a version.
    pub async fn table_at(&self, name: TableName, version: u64) -> Result<TableState, LakeError> {
        let mut table = DeltaTable::new(self.log_store(name)?);
        table.load_version(version).await.map_err(LakeError::table(name))?;
        self.state_of(name, &table).await
    }

    /// Makes these files, and no others, the content of a table, and returns its state.
    ///
    /// The newest version in the log is compared with `files`, and one commit makes up the difference. So what a
    /// writer committed but never released, because it was killed in between, is undone by the next writer. No
    /// commit is made when there is no difference.
    pub async fn commit(
        &self,
        name: TableName,
        files: Vec<DataFile>,
        now: DateTime<Utc>,
    ) -> Result<TableState, LakeError> {
        let table = self.open_or_create(name).await?;
        let present = self.state_of(name, &table).await?;
        let mut actions = difference(&present.files, &files, now)
            .map_err(|source| LakeError::table(name)(DeltaTableError::SerializeLogJson { json_err: source }))?;
        let snapshot = table.snapshot().map_err(LakeError::table(name))?;
        let schema = delta_schema(name)?;
        let names = |schema: &StructType| schema.fields().map(|field| field.name().clone()).collect::<Vec<_>>();
        // A table that an older version created lacks the columns that came since.
        if names(&snapshot.schema()) != names(&schema) {
            let metadata = snapshot.metadata().clone().with_schema(&schema);
            let metadata = metadata.map_err(|error| LakeError::table(name)(error.into()))?;
            actions.push(Action::Metadata(metadata));
        }
        if actions.is_empty() {
            return Ok(present);
        }
        tracing::debug!(table = %name, actions = actions.len(), "committing");
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(Partition::COLUMNS.map(str::to_owned).to_vec()),
            predicate: None,
        };
        let committed = CommitBuilder::from(CommitProperties::default())
            .with_actions(actions)
            .build(Some(snapshot), table.log_store(), operation)
            .await
            .map_err(LakeError::table(name))?;
        Ok(TableState {
            name,
            version: Some(committed.version()),
            files,
        })
    }

    async fn open_or_create(&self, name: TableName) -> Result<DeltaTable, LakeError> {
        let log_store = self.log_store(name)?;
        let mut table = DeltaTable::new(log_store.clone());
        match table.load().await {
            Ok(()) => Ok(table),
            Err(DeltaTableError::NotATable(_)) => {
                tracing::info!(table = %name, "creating table");
                CreateBuilder::new()
                    .with_log_store(log_store)
                    .with_table_name(name.as_str())
                    .with_columns(delta_schema(name)?.fields().cloned())
                    .with_partition_columns(Partition::COLUMNS)
                    .await
                    .map_err(LakeError::table(name))
            }
            Err(error) => Err(LakeError::table(name)(error)),
        }
    }

    async fn state_of(&self, name: TableName, table: &DeltaTable) -> Result<TableState, LakeError> {
        let log_store = table.log_store();
        let snapshot = table.snapshot().map_err(LakeError::table(name))?;
        let files = snapshot
            .snapshot()
            .file_views(&log_store, None)
            .map_err(LakeError::table(name))
            .and_then(async |view| {
                DataFile::from_log(
                    view.path().into_owned(),
                    view.size(),
                    view.modification_time(),
                    &view.partition_values_map(),
                    view.stats().as_deref(),
                )
                .map_err(|reason| LakeError::ForeignFile {
                    table: name,
                    file: view.path().into_owned(),
                    reason,
                })
            })
            .try_collect()
            .await?;
        Ok(TableState {
            name,
            version: table.version(),
            files,
        })
    }

    pub(crate) fn log_store(&self, name: TableName) -> Result<LogStoreRef, LakeError> {
        let path = name.path();
        // The scheme is ours: nothing but this log store ever resolves the location.
        let location = Url::parse(&format!("fedcost:///{path}/"))
            .map_err(|error| LakeError::table(name)(DeltaTableError::InvalidTableLocation(error.to_string())))?;
        Ok(default_logstore(
            Arc::new(PrefixStore::new(Arc::clone(&self.store), path)),
            Arc::clone(&self.store),
            &location,
            &StorageConfig::default(),
        ))
    }
}

/// The actions that turn one set of files into another.
fn difference(present: &[DataFile], wanted: &[DataFile], now: DateTime<Utc>) -> Result<Vec<Action>, serde_json::Error> {
    let by_path = |files: &[DataFile]| -> BTreeMap<String, DataFile> {
        files.iter().map(|file| (file.path.clone(), file.clone())).collect()
    };
    let (present, wanted) = (by_path(present), by_path(wanted));
    let removed = present
        .iter()
        .filter(|(path, _)| !wanted.contains_key(*path))
        .map(|(_, file)| Ok(Action::Remove(file.to_remove(now))));
    let added = wanted
        .iter()
        .filter(|(path, _)| !present.contains_key(*path))
        .map(|(_, file)| file.to_add().map(Action::Add));
    removed.chain(added).collect()
}

/// The table's columns as Delta Lake declares them, partition columns last.
fn delta_schema(name: TableName) -> Result<StructType, LakeError> {
    let data = name.schema();
    let [resolution, day] = Partition::COLUMNS;
    let fields: Vec<_> = data
        .fields()
        .iter()
        .cloned()
        .chain([
            Arc::new(Field::new(resolution, arrow::datatypes::DataType::Utf8, false)),
            Arc::new(Field::new(day, arrow::datatypes::DataType::Date32, false)),
        ])
        .collect();
    (&Schema::new(fields))
        .try_into_kernel()
        .map_err(|source| LakeError::Arrow { table: name, source })
}
