//! One file: read, checked, compared, uploaded, proved.

use std::{collections::HashMap, sync::Arc};

use object_gateway::{GatewayStore, checksum::Sha256};
use object_store::{Attribute, Attributes, Error, GetOptions, ObjectStore, path::Path};
use tokio::{
    sync::{OnceCell, Semaphore},
    task::spawn_blocking,
};

use crate::{
    config::Limits,
    failure::Failure,
    read::{self, Content, ReadError},
    scan::LocalFile,
    state::Pushed,
};

/// Name of the metadata that holds a file's checksum. Of letters and digits only, as some stores allow nothing else.
const CHECKSUM: &str = "sha256";

/// Bytes for one permit of memory. The semaphore counts in 32 bits.
const PERMIT: usize = 1024;

/// Uploads files, within the limits.
#[derive(Debug, Clone)]
pub(crate) struct Uploader {
    store: GatewayStore,
    memory: Arc<Semaphore>,
    limits: Limits,
    /// Set once the bucket has refused to store attributes.
    without_attributes: Arc<OnceCell<()>>,
}

/// What became of a file.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is in the bucket now, proved.
    Uploaded,
    /// Its content was in the bucket already.
    Present,
    /// It changed meanwhile, so it comes round again.
    Changed,
    /// It is not an ETL file that anybody could read.
    Damaged(ReadError),
    /// It cannot be read, or is far too large.
    Unreadable(String),
    /// The gateway did not take it.
    Failed(Failure),
}

/// What is known of a file beforehand.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The upload that the state tells of.
    pub(crate) pushed: Option<Pushed>,
    /// The size of the object, where the bucket was listed.
    pub(crate) listed: Option<u64>,
}

impl Uploader {
    pub(crate) fn new(store: GatewayStore, limits: Limits) -> Self {
        let permits = permits(limits.memory).max(1);
        Self {
            store,
            memory: Arc::new(Semaphore::new(permits as usize)),
            limits,
            without_attributes: Arc::default(),
        }
    }

    /// Lists what the bucket holds of a cluster: sizes by path.
    pub(crate) async fn list(&self, cluster: &str) -> Result<HashMap<String, u64>, Failure> {
        use futures::TryStreamExt;
        let prefix = Path::from_iter(["federated", cluster, "etl", "bingen"]);
        let objects = self.store.list(Some(&prefix));
        let sizes = objects.map_ok(|object| (object.location.to_string(), object.size));
        sizes.try_collect().await.map_err(|error| Failure::of(&error))
    }

    /// Uploads the file unless its content is there already. What is in the bucket now, if it is known.
    pub(crate) async fn upload(&self, file: LocalFile, known: Known) -> (LocalFile, Outcome, Option<Pushed>) {
        let (outcome, checksum) = match self.try_upload(&file, known).await {
            Ok((outcome, checksum)) => (outcome, Some(checksum)),
            Err(outcome) => (outcome, None),
        };
        let pushed = checksum.map(|checksum| Pushed {
            stamp: file.stamp,
            sha256: checksum.to_string(),
        });
        (file, outcome, pushed)
    }

    async fn try_upload(&self, file: &LocalFile, known: Known) -> Result<(Outcome, Sha256), Outcome> {
        let size = file.stamp.size;
        if size > self.limits.largest_file {
            let most = self.limits.largest_file;
            let text = format!("has {size} bytes; no ETL file is expected to have more than {most}");
            return Err(Outcome::Unreadable(text));
        }
        // A file larger than the whole budget takes all of it.
        let wanted = permits(usize::try_from(size).unwrap_or(usize::MAX)).min(permits(self.limits.memory).max(1));
        // The semaphore is never closed.
        let _held = self.memory.acquire_many(wanted).await;
        let reading = file.clone();
        let content = match spawn_blocking(move || read::read(&reading)).await {
            Ok(Ok(content)) => content,
            Ok(Err(ReadError::Changed)) => return Err(Outcome::Changed),
            Ok(Err(error @ ReadError::Read(_))) => return Err(Outcome::Unreadable(error.to_string())),
            Ok(Err(error @ (ReadError::Decode(_) | ReadError::Unpack(_)))) => return Err(Outcome::Damaged(error)),
            Err(failed) => return Err(Outcome::Unreadable(failed.to_string())),
        };
        let checksum = content.checksum;
        let target = Path::parse(file.target.to_string()).map_err(|error| Outcome::Unreadable(error.to_string()))?;
        let present = match known {
            // Written again with the same content, as agents do.
            Known {
                pushed: Some(pushed), ..
            } => pushed.sha256 == checksum.to_string(),
            Known {
                listed: Some(listed), ..
            } => listed == size && self.has(&target, checksum).await?,
            Known { .. } => false,
        };
        if present {
            return Ok((Outcome::Present, checksum));
        }
        self.put(&target, content).await?;
        Ok((Outcome::Uploaded, checksum))
    }

    /// Whether the object says that it has this content.
    async fn has(&self, target: &Path, checksum: Sha256) -> Result<bool, Outcome> {
        match self.store.get_opts(target, GetOptions::new().with_head(true)).await {
            Ok(object) => {
                let found = object.attributes.get(&Attribute::Metadata(CHECKSUM.into()));
                Ok(found.is_some_and(|found| found.as_ref() == checksum.to_string()))
            }
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(Outcome::Failed(Failure::of(&error))),
        }
    }

    async fn put(&self, target: &Path, content: Content) -> Result<(), Outcome> {
        let Content { bytes, checksum } = content;
        let mut attributes = Attributes::new();
        if !self.without_attributes.initialized() {
            attributes.insert(Attribute::Metadata(CHECKSUM.into()), checksum.to_string().into());
        }
        let put = self
            .store
            .put_proved(target, bytes.clone().into(), &attributes, checksum);
        let result = match put.await {
            Err(Error::NotSupported { source }) if !attributes.is_empty() => {
                tracing::info!(%source, "the bucket stores no checksums beside objects; going on without them");
                let plain = Attributes::new();
                let put = self.store.put_proved(target, bytes.into(), &plain, checksum).await;
                if put.is_ok() {
                    // Another upload may have found the same.
                    let _same = self.without_attributes.set(());
                }
                put
            }
            result => result,
        };
        result.map(drop).map_err(|error| Outcome::Failed(Failure::of(&error)))
    }
}

fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(PERMIT))
        .unwrap_or(u32::MAX)
        .min(u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX))
}
