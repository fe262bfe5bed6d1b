//! Buckets for tests: copies of the golden one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use walkdir::WalkDir;

/// The folder of the golden bucket, its queries and their answers.
pub(crate) fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// A copy of the golden bucket, which a test may change.
pub(crate) fn copy_of_golden() -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&golden().join("bucket"), copy.path());
    copy
}

/// Copies all that is in a folder.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    for entry in WalkDir::new(from) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(target).unwrap();
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The path of a golden daily file.
pub(crate) fn daily(bucket: &Path, cluster: &str, pipeline: &str, start: i64) -> PathBuf {
    let end = start + 86_400;
    bucket.join(format!("federated/{cluster}/etl/bingen/{pipeline}/1d/{start}-{end}"))
}

/// Path, size and time of change of every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<(PathBuf, u64, std::time::SystemTime)> {
    let mut files: Vec<_> = WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let metadata = entry.metadata().unwrap();
            (entry.into_path(), metadata.len(), metadata.modified().unwrap())
        })
        .collect();
    files.sort();
    files
}
