//! What can go wrong in the lake.

use deltalake_core::DeltaTableError;
use object_store::path::Path;

use crate::TableName;

/// A failure of the lake.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// Delta Lake could not read or commit a table.
    #[error("table {table}: {source}")]
    Table {
        /// The table.
        table: TableName,
        /// What Delta Lake says.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// The store could not read or write an object.
    #[error("object {path}: {source}")]
    Store {
        /// The object.
        path: Path,
        /// What the store says.
        #[source]
        source: object_store::Error,
    },
    /// A file of the table's log says something that this version of the lake does not understand.
    #[error("table {table}, file {file}: {reason}")]
    ForeignFile {
        /// The table.
        table: TableName,
        /// The file, relative to the table.
        file: String,
        /// What is not understood.
        reason: String,
    },
    /// The release pointer cannot be read.
    #[error("release pointer {path}: {reason}; restore it from a backup, or delete it to rebuild the lake")]
    CorruptRelease {
        /// The release pointer.
        path: Path,
        /// What is wrong.
        reason: String,
    },
    /// Somebody else published a release meanwhile.
    #[error("release {number} was not published: another writer published one first; is ingest running twice?")]
    PublishedElsewhere {
        /// The number that the release would have had.
        number: u64,
    },
    /// A release was asked for that is not on record.
    #[error("release {number} is not on record: it was never published, or was cleared away")]
    NoSuchRelease {
        /// Its number.
        number: u64,
    },
    /// Another writer is at work.
    #[error("another ingest-svc is writing the lake: {holder}; this one waits for its turn")]
    Busy {
        /// Who.
        holder: crate::Holder,
    },
    /// Another writer took the lease over.
    #[error("lost the lease of the lake to another ingest-svc: {holder}; what was not published is dropped")]
    LeaseLost {
        /// Who has it, as far as is known.
        holder: String,
    },
    /// Rows could not be encoded as Parquet, or decoded from it.
    #[error("table {table}: {source}")]
    Parquet {
        /// The table.
        table: TableName,
        /// What Parquet says.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// Arrow rejected an operation on rows.
    #[error("table {table}: {source}")]
    Arrow {
        /// The table.
        table: TableName,
        /// What Arrow says.
        #[source]
        source: arrow::error::ArrowError,
    },
    /// A task was cancelled, or panicked.
    #[error("table {table}: encoding did not finish: {source}")]
    Task {
        /// The table.
        table: TableName,
        /// What became of the task.
        #[source]
        source: tokio::task::JoinError,
    },
}

impl LakeError {
    pub(crate) fn table(table: TableName) -> impl Fn(DeltaTableError) -> Self {
        move |source| Self::Table {
            table,
            source: Box::new(source),
        }
    }

    pub(crate) fn store(path: &Path) -> impl Fn(object_store::Error) -> Self {
        let path = path.clone();
        move |source| Self::Store {
            path: path.clone(),
            source,
        }
    }
}
