//! The lake: Delta tables under `derived/` in the bucket, and the release pointer that says which version of
//! each table is current.
//!
//! Tables are written by ingest alone. Each is partitioned by resolution and day, and rewritten a partition at a
//! time. A [`Release`] names one Delta version of every table, so that readers see all tables change at once.

mod error;
mod lease;
mod partition;
mod release;
pub mod schema;
mod table;
mod vacuum;
mod write;

use std::sync::Arc;

use object_store::{ObjectStore, path::Path};

pub use error::LakeError;
pub use lease::{Holder, Lease};
pub use partition::{DataFile, Partition, Resolution};
pub use release::{NewRelease, Pin, PublishedRelease, Release, TableVersion};
pub use table::{TableName, TableState};
pub use vacuum::{Cleared, DataObjects, LONGEST_CYCLE};
pub use write::decode_file;

/// Folder of the lake in the bucket.
pub const ROOT: &str = "derived";

/// The lake in a bucket.
#[derive(Clone, Debug)]
pub struct Lake {
    store: Arc<dyn ObjectStore>,
}

impl Lake {
    /// The lake under [`ROOT`] of this bucket.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store }
    }

    /// The bucket that holds the lake.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Path in the bucket of one of a table's data files.
    pub fn data_file_path(&self, table: TableName, file: &DataFile) -> Path {
        Path::from_iter(table.path().parts().chain(Path::from(file.path.as_str()).parts()))
    }
}
