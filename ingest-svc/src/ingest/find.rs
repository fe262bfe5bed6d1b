//! Finding the ETL files in the bucket.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bingen::{EtlPath, Pipeline};
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use lake::{Partition, Resolution};
use object_store::{ObjectMeta, ObjectStore, path::Path};

use super::FileWindow;

/// Folder of the federated clusters in the bucket.
const FEDERATED: &str = "federated";
/// The pipelines that are ingested, which every agent writes.
pub(crate) const PIPELINES: [Pipeline; 2] = [Pipeline::Allocations, Pipeline::Assets];
/// Listings under way at once.
const CONCURRENT_LISTINGS: usize = 16;

/// An ETL file as it is listed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FoundFile {
    /// Path in the bucket.
    pub path: Path,
    /// The federated cluster in whose folder it is.
    pub cluster: String,
    /// What it holds.
    pub pipeline: Pipeline,
    /// How long its window is.
    pub resolution: Resolution,
    /// Its window.
    pub window: FileWindow,
    /// Whether it is compressed with gzip.
    pub gzip: bool,
    /// Entity tag, if the store has one.
    pub etag: Option<String>,
    /// Size in bytes.
    pub size: u64,
    /// When it was last written.
    pub last_modified: DateTime<Utc>,
}

impl FoundFile {
    /// The partition that its rows are in.
    pub(crate) fn partition(&self) -> Partition {
        Partition::of(self.resolution, self.window.start)
    }
}

/// What the bucket holds.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The ETL files, one per cluster, pipeline and window, in order.
    pub files: Vec<FoundFile>,
    /// The federated clusters that have a folder.
    pub clusters: Arc<BTreeSet<String>>,
    /// Files that are not read, since a newer one is of the same window.
    pub second_files: u64,
    /// Objects in the folders of ETL files that are none by their name.
    pub foreign: u64,
}

/// The bucket could not be listed.
#[derive(Debug, thiserror::Error)]
#[error("cannot list {prefix}: {source}")]
pub struct FindError {
    prefix: Path,
    #[source]
    source: object_store::Error,
}

/// Lists the ETL files of all federated clusters: one listing of the clusters, then one per cluster and pipeline.
/// Objects that are not ETL files by their name are passed over.
pub(crate) async fn find(bucket: &Arc<dyn ObjectStore>) -> Result<Found, FindError> {
    let root = Path::from(FEDERATED);
    let clusters = bucket
        .list_with_delimiter(Some(&root))
        .await
        .map_err(|source| FindError { prefix: root, source })?
        .common_prefixes;
    let names = clusters
        .iter()
        .filter_map(|cluster| cluster.filename().map(str::to_owned));
    let names: BTreeSet<String> = names.collect();
    let prefixes = clusters.into_iter().flat_map(|cluster| {
        PIPELINES.map(|pipeline| {
            let below = ["etl", "bingen", pipeline.as_str()].map(Into::into);
            Path::from_iter(cluster.parts().chain(below))
        })
    });
    let listed: Vec<Vec<ObjectMeta>> = stream::iter(prefixes)
        .map(|prefix| async move {
            let objects: Result<Vec<ObjectMeta>, _> = bucket.list(Some(&prefix)).try_collect().await;
            objects.map_err(|source| FindError { prefix, source })
        })
        .buffer_unordered(CONCURRENT_LISTINGS)
        .try_collect()
        .await?;
    let objects: u64 = listed.iter().map(|objects| objects.len() as u64).sum();
    let mut found: Vec<FoundFile> = listed.into_iter().flatten().filter_map(recognise).collect();
    let recognised = found.len() as u64;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    let files = one_per_window(found);
    Ok(Found {
        second_files: recognised - files.len() as u64,
        foreign: objects - recognised,
        files,
        clusters: Arc::new(names),
    })
}

/// Of several files for one window, such as one with a name in front and one without, the newest one counts: rows
/// are replaced by window, so two sources for one window would take each other's place with every cycle.
fn one_per_window(found: Vec<FoundFile>) -> Vec<FoundFile> {
    let mut newest: BTreeMap<_, FoundFile> = BTreeMap::new();
    for file in found {
        let key = (file.cluster.clone(), file.pipeline, file.resolution, file.window.start);
        match newest.get(&key) {
            Some(other) if other.last_modified >= file.last_modified => {
                tracing::warn!(path = %file.path, instead = %other.path, "passed over a second file for one window");
            }
            _ => {
                if let Some(older) = newest.insert(key, file) {
                    tracing::warn!(path = %older.path, "passed over a second file for one window");
                }
            }
        }
    }
    newest.into_values().collect()
}

fn recognise(object: ObjectMeta) -> Option<FoundFile> {
    let path: EtlPath = match object.location.as_ref().parse() {
        Ok(path) => path,
        Err(error) => {
            tracing::debug!(path = %object.location, %error, "not an etl file");
            return None;
        }
    };
    Some(FoundFile {
        cluster: path.cluster,
        pipeline: path.pipeline,
        resolution: match path.resolution {
            bingen::Resolution::Hourly => Resolution::Hour,
            bingen::Resolution::Daily => Resolution::Day,
        },
        window: FileWindow {
            start: DateTime::from_timestamp(path.start, 0)?,
            end: DateTime::from_timestamp(path.end, 0)?,
        },
        gzip: path.gzip,
        path: object.location,
        etag: object.e_tag,
        size: object.size,
        last_modified: object.last_modified,
    })
}
