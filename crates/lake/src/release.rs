//! Releases: which version of each table is current.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
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
    /// The token of the lease under which it was written; of a release from before there were leases, 0.
    #[serde(default)]
    pub writer: u64,
    /// The older release whose tables it names, when it takes back what came after that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_to: Option<u64>,
    /// The version of each table.
    pub tables: BTreeMap<TableName, TableVersion>,
}

impl Release {
    /// Whether it is the same release as another, whoever wrote it.
    pub fn has_tables_of(&self, other: &Self) -> bool {
        self.number == other.number && self.tables == other.tables
    }
}

/// Which release questions are answered from, while newer ones are published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// The release.
    pub number: u64,
    /// When it was pinned.
    pub since: DateTime<Utc>,
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
}

/// What a release is published with.
#[derive(Clone, Debug, Default)]
pub struct NewRelease {
    /// The version of each table.
    pub tables: BTreeMap<TableName, TableVersion>,
    /// The token of the lease.
    pub writer: u64,
    /// The number that it must be above, beside that of the release before it.
    pub above: u64,
    /// The older release whose tables these are.
    pub rolled_back_to: Option<u64>,
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

/// Folder of the releases on record, below [`ROOT`].
const RECORDS: &str = "releases";

impl Lake {
    fn release_path(&self) -> Path {
        Path::from_iter([ROOT, "release.json"])
    }

    /// The newest release, or `None` before the first.
    pub async fn load_release(&self) -> Result<Option<PublishedRelease>, LakeError> {
        let path = self.release_path();
        match self.read_json::<Release>(&path).await? {
            Some((release, _)) if release.format != FORMAT => Err(wrong_format(&path, &release)),
            found => Ok(found.map(|(release, version)| PublishedRelease { release, version })),
        }
    }

    /// Publishes the release that follows `previous`.
    ///
    /// Fails with [`LakeError::PublishedElsewhere`] when the release in the bucket is not `previous` any more, so
    /// that of two writers only one can go on.
    pub async fn publish_release(
        &self,
        previous: Option<&PublishedRelease>,
        new: NewRelease,
        now: DateTime<Utc>,
    ) -> Result<PublishedRelease, LakeError> {
        let rows = new.tables.iter().filter(|(name, _)| name.is_base());
        let release = Release {
            format: FORMAT,
            number: previous.map_or(0, |previous| previous.release.number).max(new.above) + 1,
            published: now,
            rows: rows.map(|(_, table)| table.rows).sum(),
            writer: new.writer,
            rolled_back_to: new.rolled_back_to,
            tables: new.tables,
        };
        self.point_at(previous, release).await
    }

    /// Writes this writer's token into the pointer, and changes nothing else. A writer that read the pointer before
    /// cannot publish any more, however late it wakes up.
    pub async fn fence(&self, published: &PublishedRelease, writer: u64) -> Result<PublishedRelease, LakeError> {
        let release = Release {
            writer,
            ..published.release.clone()
        };
        self.point_at(Some(published), release).await
    }

    async fn point_at(
        &self,
        previous: Option<&PublishedRelease>,
        release: Release,
    ) -> Result<PublishedRelease, LakeError> {
        let path = self.release_path();
        let body = to_json(&path, &release)?;
        let mode = match previous {
            None => PutMode::Create,
            Some(previous) => PutMode::Update(previous.version.clone()),
        };
        let written = self
            .store
            .put_opts(&path, body.into(), PutOptions::from(mode))
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

    /// Keeps a published release on record, so that it can be returned to. Doing so twice does nothing.
    pub async fn record_release(&self, release: &Release) -> Result<(), LakeError> {
        let path = record_path(release.number);
        let body = to_json(&path, release)?;
        match self.store.put_opts(&path, body.into(), PutMode::Create.into()).await {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(LakeError::store(&path)(error)),
        }
    }

    /// The numbers of the releases on record, ascending.
    pub async fn recorded_releases(&self) -> Result<Vec<u64>, LakeError> {
        let folder = Path::from_iter([ROOT, RECORDS]);
        let listed: Vec<_> = self
            .store
            .list(Some(&folder))
            .try_collect()
            .await
            .map_err(LakeError::store(&folder))?;
        let number = |meta: &object_store::ObjectMeta| meta.location.filename()?.strip_suffix(".json")?.parse().ok();
        let mut numbers: Vec<u64> = listed.iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// A release on record; none when it was never published, or was cleared away.
    pub async fn recorded_release(&self, number: u64) -> Result<Option<Release>, LakeError> {
        let path = record_path(number);
        match self.read_json::<Release>(&path).await? {
            Some((release, _)) if release.format != FORMAT => Err(wrong_format(&path, &release)),
            found => Ok(found.map(|(release, _)| release)),
        }
    }

    /// Takes a release off the record.
    pub async fn forget_release(&self, number: u64) -> Result<(), LakeError> {
        let path = record_path(number);
        match self.store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(LakeError::store(&path)(error)),
        }
    }

    /// Which release is pinned, if one is.
    pub async fn load_pin(&self) -> Result<Option<Pin>, LakeError> {
        Ok(self.read_json(&pin_path()).await?.map(|(pin, _)| pin))
    }

    /// Pins a release, instead of any that is pinned, or none.
    pub async fn set_pin(&self, pin: Option<&Pin>) -> Result<(), LakeError> {
        let path = pin_path();
        let done = match pin {
            Some(pin) => {
                let body = to_json(&path, pin)?;
                self.store.put(&path, body.into()).await.map(drop)
            }
            None => self.store.delete(&path).await,
        };
        match done {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(LakeError::store(&path)(error)),
        }
    }

    /// The release that questions are answered from: the pinned one, else the newest.
    pub async fn served_release(&self) -> Result<Option<Release>, LakeError> {
        match self.load_pin().await? {
            Some(pin) => match self.recorded_release(pin.number).await? {
                Some(release) => Ok(Some(release)),
                None => Err(LakeError::NoSuchRelease { number: pin.number }),
            },
            None => Ok(self.load_release().await?.map(|published| published.release)),
        }
    }

    async fn read_json<T: serde::de::DeserializeOwned>(
        &self,
        path: &Path,
    ) -> Result<Option<(T, UpdateVersion)>, LakeError> {
        let object = match self.store.get_opts(path, GetOptions::default()).await {
            Ok(object) => object,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(LakeError::store(path)(error)),
        };
        let version = UpdateVersion {
            e_tag: object.meta.e_tag.clone(),
            version: object.meta.version.clone(),
        };
        let bytes = object.bytes().await.map_err(LakeError::store(path))?;
        let value = serde_json::from_slice(&bytes).map_err(|error| LakeError::CorruptRelease {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        Ok(Some((value, version)))
    }

    /// Changes whenever another release is served, so that this is noticed without reading anything.
    pub async fn release_etag(&self) -> Result<Option<String>, LakeError> {
        let pointer = self.etag_of(&self.release_path()).await?;
        let pin = self.etag_of(&pin_path()).await?;
        Ok(pointer.map(|pointer| pointer + "|" + &pin.unwrap_or_default()))
    }

    /// Whether the pointer is still the one that was read or written as this.
    pub async fn is_current(&self, published: &PublishedRelease) -> Result<bool, LakeError> {
        let path = self.release_path();
        match self.store.head(&path).await {
            Ok(meta) => Ok(meta.e_tag == published.version.e_tag),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(LakeError::store(&path)(error)),
        }
    }

    async fn etag_of(&self, path: &Path) -> Result<Option<String>, LakeError> {
        match self.store.head(path).await {
            Ok(meta) => Ok(meta.e_tag.or_else(|| Some(meta.last_modified.to_rfc3339()))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(LakeError::store(path)(error)),
        }
    }

    /// Puts a release in the place of a pointer that cannot be read.
    pub async fn replace_corrupt_pointer(&self, release: Release) -> Result<PublishedRelease, LakeError> {
        let path = self.release_path();
        let meta = self.store.head(&path).await.map_err(LakeError::store(&path))?;
        let unreadable = PublishedRelease {
            release: release.clone(),
            version: UpdateVersion {
                e_tag: meta.e_tag,
                version: meta.version,
            },
        };
        self.point_at(Some(&unreadable), release).await
    }
}

fn record_path(number: u64) -> Path {
    // As many digits as any number has, so that a listing is in order.
    Path::from_iter([ROOT, RECORDS, &format!("{number:020}.json")])
}

fn pin_path() -> Path {
    Path::from_iter([ROOT, "pin.json"])
}

fn to_json(path: &Path, value: &impl Serialize) -> Result<Bytes, LakeError> {
    let body = serde_json::to_vec_pretty(value).map_err(|error| LakeError::CorruptRelease {
        path: path.clone(),
        reason: error.to_string(),
    })?;
    Ok(body.into())
}

fn wrong_format(path: &Path, release: &Release) -> LakeError {
    LakeError::CorruptRelease {
        path: path.clone(),
        reason: format!("format is {}, this version reads {FORMAT}", release.format),
    }
}
