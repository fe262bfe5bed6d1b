//! The bucket: which one, how to reach it, and what may be asked of it.

mod attempts;
mod azure;
pub mod config;
mod confirmed;
mod connector;
mod gcs;
pub mod local;
mod observed;
mod probe;
mod remote;
mod s3;
mod serial;
mod signed_headers;
pub(crate) mod writer;

use std::{fmt, sync::Arc};

use object_store::{ObjectStore, PutMode, path::Path, prefix::PrefixStore};

use self::{
    config::{BucketConfig, ConditionalWrites, StoreConfig},
    local::{LocalError, LocalFolder},
    observed::Observed,
    remote::Opened,
    serial::SerialConditions,
};
pub use self::{connector::ConnectError, probe::ProbeError, remote::RemoteError};
use crate::{metrics::StorageMetrics, secret::Scrubber};

const MIB: usize = 1024 * 1024;

/// Bytes in a part that goes to a local file: few changes of thread, little memory.
const LOCAL_PART_SIZE: usize = 4 * MIB;

/// Bytes in a part of an upload to GCS and Azure, whose files do not name a size.
const REMOTE_PART_SIZE: usize = 8 * MIB;

/// Bytes that a write over HTTP may hold in parts on their way, beside the one that fills. A single part may be larger.
const REMOTE_IN_FLIGHT: usize = 16 * MIB;

/// Largest conditional write over HTTP, in bytes, because it goes in one request and waits in memory. The lake's
/// conditional writes are commits and release pointers, far below.
const REMOTE_LARGEST_CONDITIONAL: usize = 64 * MIB;

/// Why the bucket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A local folder.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// A store at the other end of HTTP.
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

/// Opens a bucket, for tools that hold its credentials themselves. Paths are relative to the configured prefix.
///
/// # Errors
/// When the bucket's configuration does not work on this machine. Whether the bucket answers is not known yet.
pub async fn open(config: &StoreConfig) -> Result<Arc<dyn ObjectStore>, OpenError> {
    Ok(Store::open(config, StorageMetrics::default()).await?.objects)
}

/// An opened bucket.
#[derive(Clone)]
pub(crate) struct Store {
    /// The objects, by paths relative to the configured prefix.
    pub(crate) objects: Arc<dyn ObjectStore>,
    uploads: UploadSizes,
    pub(crate) scrubber: Scrubber,
    /// Whether the store may lack conditional writes, so that it has to be tried out.
    conditions_unknown: bool,
}

/// In what pieces a write goes to the store.
#[derive(Debug, Clone, Copy)]
struct UploadSizes {
    /// Bytes in each part but the last. A write that fits into one goes in one request.
    part: usize,
    /// How many parts are sent at the same time.
    parallel: usize,
    /// The largest conditional write in bytes. None where it may go in parts.
    conditional: Option<usize>,
}

impl Store {
    /// Opens a bucket. A missing local folder is created.
    ///
    /// # Errors
    /// When the bucket's configuration does not work on this machine. Whether the bucket answers is not known yet.
    pub(crate) async fn open(config: &StoreConfig, metrics: StorageMetrics) -> Result<Self, OpenError> {
        let (opened, uploads) = match &config.bucket {
            BucketConfig::Filesystem { directory } => {
                let folder = LocalFolder::open(directory)?;
                tidy(folder.clone());
                let uploads = UploadSizes {
                    part: LOCAL_PART_SIZE,
                    parallel: 2,
                    conditional: None,
                };
                let opened = Opened {
                    objects: Arc::new(folder),
                    scrubber: Scrubber::default(),
                };
                (opened, uploads)
            }
            BucketConfig::S3(s3) => {
                let part = usize::try_from(s3.part_size).unwrap_or(usize::MAX);
                (s3::open(s3, metrics.clone()).await?, UploadSizes::remote(part))
            }
            BucketConfig::Gcs(gcs) => (gcs::open(gcs, metrics.clone())?, UploadSizes::remote(REMOTE_PART_SIZE)),
            BucketConfig::Azure(azure) => (
                azure::open(azure, metrics.clone())?,
                UploadSizes::remote(REMOTE_PART_SIZE),
            ),
        };
        let Opened { objects, scrubber } = opened;
        let objects: Arc<dyn ObjectStore> = Arc::new(Observed::new(objects, metrics));
        let objects = match config.prefix.as_ref() {
            "" => objects,
            _ => Arc::new(PrefixStore::new(objects, config.prefix.clone())),
        };
        let objects = match config.conditional_writes {
            ConditionalWrites::Store => objects,
            ConditionalWrites::Gateway => Arc::new(SerialConditions::new(objects)),
        };
        Ok(Self {
            objects,
            uploads,
            scrubber,
            conditions_unknown: !config.is_directory(),
        })
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Store")
            .field("objects", &self.objects.to_string())
            .finish_non_exhaustive()
    }
}

impl UploadSizes {
    /// For a store at the other end of HTTP.
    fn remote(part: usize) -> Self {
        Self {
            part,
            parallel: (REMOTE_IN_FLIGHT / part).max(1),
            conditional: Some(REMOTE_LARGEST_CONDITIONAL),
        }
    }

    /// The largest write that goes in one request.
    fn single(self, mode: &PutMode) -> usize {
        match (mode, self.conditional) {
            (PutMode::Create | PutMode::Update(_), Some(conditional)) => conditional,
            (PutMode::Create | PutMode::Update(_), None) | (PutMode::Overwrite, _) => self.part,
        }
    }
}

/// Removes what a crash left behind. Not waited for, because it walks the whole folder.
fn tidy(folder: LocalFolder) {
    tokio::task::spawn_blocking(move || {
        let files = folder.remove_abandoned();
        if files > 0 {
            tracing::info!(files, "removed files of writes that a crash interrupted");
        }
    });
}

/// The empty path is the bucket itself, which the library calls no prefix.
pub(crate) fn prefix_of(path: &Path) -> Option<&Path> {
    (!path.as_ref().is_empty()).then_some(path)
}
