//! Releases: which version of each table is current.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::{GetOptions, ObjectStoreExt as _, PutMode, PutOptions, UpdateVersion, path::Path};
use serde::{Deserialize, Serialize};

use crate::{Lake, LakeError, ROOT, TableName};

/// A consistent set of table versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Version of this file's own format, and of the tables' columns: 2.
    pub format: u32,
    /// Counts up from 1.
    pub number: u64,
    /// When it was published.
    pub published: DateTime<Utc>,
    /// Base rows (allocations and assets) in it.
    pub rows: u64,
    /// The version of each table.
    pub tables: BTreeMap<TableName, TableVersion>,
}

/// A version of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableVersion {
    /// Version in the table's Delta log.
    pub version: u64,
    /// Rows at that version.
    pub rows: u64,
}

/// A release as it stands in the bucket.
#[derive(Clone, Debug)]
pub struct PublishedRelease {
    /// The release.
    pub release: Release,
    version: UpdateVersion,
}

const FORMAT: u32 = 2;

impl Lake {
    fn release_path(&self) -> Path {
        Path::from_iter([ROOT, "release.json"])
    }

    /// The newest release, or `None` before the first.
    pub async fn load_release(&self) -> Result<Option<PublishedRelease>, LakeError> {
        let path = self.release_path();
        let object = match self.store.get_opts(&path, GetOptions::default()).await {
            Ok(object) => object,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(LakeError::store(&path)(error)),
        };
        let version = UpdateVersion {
            e_tag: object.meta.e_tag.clone(),
            version: object.meta.version.clone(),
        };
        let bytes = object.bytes().await.map_err(LakeError::store(&path))?;
        let corrupt = |reason: String| LakeError::CorruptRelease {
            path: path.clone(),
            reason,
        };
        let release: Release = serde_json::from_slice(&bytes).map_err(|error| corrupt(error.to_string()))?;
        if release.format != FORMAT {
            return Err(corrupt(format!(
                "format is {}, this version reads {FORMAT}",
                release.format
            )));
        }
        Ok(Some(PublishedRelease { release, version }))
    }

    /// Publishes the release that follows `previous`.
    ///
    /// Fails with [`LakeError::PublishedElsewhere`] when the release in the bucket is not `previous` any more, so
    /// that of two writers only one can go on.
    pub async fn publish_release(
        &self,
        previous: Option<&PublishedRelease>,
        tables: BTreeMap<TableName, TableVersion>,
        now: DateTime<Utc>,
    ) -> Result<PublishedRelease, LakeError> {
        let rows = tables
            .iter()
            .filter(|(name, _)| name.is_base())
            .map(|(_, table)| table.rows)
            .sum();
        let release = Release {
            format: FORMAT,
            number: previous.map_or(1, |previous| previous.release.number + 1),
            published: now,
            rows,
            tables,
        };
        let path = self.release_path();
        let body = serde_json::to_vec_pretty(&release).map_err(|error| LakeError::CorruptRelease {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        let mode = match previous {
            None => PutMode::Create,
            Some(previous) => PutMode::Update(previous.version.clone()),
        };
        let written = self
            .store
            .put_opts(&path, Bytes::from(body).into(), PutOptions::from(mode))
            .await
            .map_err(|error| match error {
                object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. } => {
                    LakeError::PublishedElsewhere { number: release.number }
                }
                other => LakeError::store(&path)(other),
            })?;
        Ok(PublishedRelease {
            release,
            version: UpdateVersion {
                e_tag: written.e_tag,
                version: written.version,
            },
        })
    }

    /// The entity tag of the release pointer, to notice a new release without reading it.
    pub async fn release_etag(&self) -> Result<Option<String>, LakeError> {
        let path = self.release_path();
        match self.store.head(&path).await {
            Ok(meta) => Ok(meta.e_tag.or_else(|| Some(meta.last_modified.to_rfc3339()))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(LakeError::store(&path)(error)),
        }
    }
}
