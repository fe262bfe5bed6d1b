//! `--demo`: made-up clusters for a bucket that has none.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use chrono::Utc;
use demo_data::{DemoError, DemoPlan, bucket};
use tracing::info;

use crate::progress::Screen;

/// Where the clusters' folders are.
const FEDERATED: &str = "federated";

/// Files are written here first, so that an interrupted run leaves no half of a demo that looks like a whole one.
const UNFINISHED: &str = ".fedcost-demo-unfinished";

/// Why the bucket was not filled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FillError {
    #[error(transparent)]
    Demo(#[from] DemoError),
    #[error("{}: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
}

/// Two weeks of four clusters that end now: a few seconds' work, and enough to see something in every view.
fn plan() -> DemoPlan {
    DemoPlan {
        clusters: 4,
        nodes: 8,
        pods_per_node: 12,
        days: 14,
        hours: 48,
        end: Utc::now().timestamp(),
        seed: 1,
    }
}

/// True when some cluster has a folder in the bucket.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn has_clusters(bucket: &Path) -> io::Result<bool> {
    match fs::read_dir(bucket.join(FEDERATED)) {
        Ok(mut clusters) => Ok(clusters.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Fills a bucket that has no clusters.
///
/// # Errors
/// When the files cannot be written; the bucket then has no clusters still.
pub(crate) fn fill(bucket: &Path, screen: &Screen) -> Result<(), FillError> {
    let unfinished = bucket.join(UNFINISHED);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| FillError::Folder { path, source }
    };
    match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&unfinished)(error)),
        _ => {}
    }
    let plan = plan();
    info!(
        "filling {} with {} made-up clusters of {} nodes: {} days and {} hours",
        bucket.display(),
        plan.clusters,
        plan.nodes,
        plan.days,
        plan.hours
    );
    let bar = screen.files(plan.files() as u64);
    let written = bucket::write_bucket(&unfinished, &plan, &mut |so_far| bar.set_position(so_far.files as u64));
    bar.finish_and_clear();
    let summary = written?;
    let federated = bucket.join(FEDERATED);
    fs::rename(unfinished.join(FEDERATED), &federated).map_err(failed(&federated))?;
    fs::remove_dir(&unfinished).map_err(failed(&unfinished))?;
    info!(
        files = summary.files,
        bytes = summary.bytes,
        allocations = summary.allocations,
        assets = summary.assets,
        "the bucket is filled"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_folders_below_federated() {
        let bucket = tempfile::tempdir().unwrap();
        assert!(!has_clusters(bucket.path()).unwrap());
        fs::create_dir(bucket.path().join(FEDERATED)).unwrap();
        assert!(!has_clusters(bucket.path()).unwrap());
        fs::create_dir(bucket.path().join(FEDERATED).join("prod-eu")).unwrap();
        assert!(has_clusters(bucket.path()).unwrap());
    }
}
