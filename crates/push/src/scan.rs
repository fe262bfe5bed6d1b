//! The agent's folder: which files there are, and which of them are finished.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bingen::{EtlPath, Pipeline, Resolution};
use serde::{Deserialize, Serialize};

/// By what a change of a file is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// Bytes.
    pub(crate) size: u64,
    /// When it was last written, in nanoseconds since 1970.
    pub(crate) modified_ns: i64,
    /// Tells a file from the one that was renamed over it.
    pub(crate) inode: u64,
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            modified_ns: metadata
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(metadata.mtime_nsec()),
            inode: metadata.ino(),
        }
    }
}

/// An ETL file of the agent's.
#[derive(Debug, Clone)]
pub(crate) struct LocalFile {
    /// Path below `etl/bingen/`, such as `allocations/1d/1772323200-1772409600`; the file's name in the state.
    pub(crate) key: String,
    /// Where it is on disk.
    pub(crate) path: PathBuf,
    /// What it is, and where it goes.
    pub(crate) target: EtlPath,
    /// How it looked.
    pub(crate) stamp: Stamp,
}

/// What a look through the folder found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// The ETL files, those of the latest windows first: they are what people ask for.
    pub(crate) files: Vec<LocalFile>,
    /// Files whose names are not those of ETL files, such as an agent's temporary ones.
    pub(crate) ignored: usize,
}

/// Why the folder cannot be looked through.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot be read: {source}", path.display())]
pub struct ScanError {
    path: PathBuf,
    source: io::Error,
}

/// Looks through the folder for the files of `cluster`. Blocks.
pub(crate) fn scan(directory: &Path, cluster: &str) -> Result<Scan, ScanError> {
    // A folder that does not exist is a mistake; one without ETL files belongs to an agent that has just begun.
    entries(directory)?.ok_or_else(|| ScanError {
        path: directory.to_owned(),
        source: io::ErrorKind::NotFound.into(),
    })?;
    let mut scan = Scan::default();
    let Some(base) = base_of(directory, cluster) else {
        return Ok(scan);
    };
    for pipeline in Pipeline::ALL {
        for resolution in Resolution::ALL {
            let folder = base.join(pipeline.as_str()).join(resolution.as_str());
            for entry in entries(&folder)?.into_iter().flatten() {
                let path = folder.join(&entry);
                let metadata = match fs::metadata(&path) {
                    Ok(metadata) if metadata.is_file() => metadata,
                    Ok(_) => continue,
                    // The agent removes old files as we look.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(source) => return Err(ScanError { path, source }),
                };
                let key = format!("{pipeline}/{resolution}/{entry}");
                match format!("federated/{cluster}/etl/bingen/{key}").parse() {
                    Ok(target) => scan.files.push(LocalFile {
                        key,
                        path,
                        target,
                        stamp: Stamp::of(&metadata),
                    }),
                    Err(error) => {
                        tracing::debug!(path = %path.display(), %error, "not an etl file");
                        scan.ignored += 1;
                    }
                }
            }
        }
    }
    scan.files
        .sort_by(|a, b| (b.target.end, &a.key).cmp(&(a.target.end, &b.key)));
    Ok(scan)
}

/// The folder that holds the pipelines' folders. People name it, or one of those above it.
fn base_of(directory: &Path, cluster: &str) -> Option<PathBuf> {
    let below = ["", "bingen", "etl/bingen", &format!("federated/{cluster}/etl/bingen")];
    below.map(|below| directory.join(below)).into_iter().find(|base| {
        Pipeline::ALL
            .iter()
            .any(|pipeline| base.join(pipeline.as_str()).is_dir())
    })
}

/// The names in a folder; None when there is no such folder. Names that are not UTF-8 are passed over.
fn entries(folder: &Path) -> Result<Option<Vec<String>>, ScanError> {
    let failed = |source| ScanError {
        path: folder.to_owned(),
        source,
    };
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    let names = listing.filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose());
    names.collect::<Result<_, _>>().map(Some).map_err(failed)
}

/// Remembers for how long each file has looked as it does.
///
/// Only our own clock and what we saw ourselves count: a file system's clock may differ, and tools that copy files
/// give them old times.
#[derive(Debug, Default)]
pub(crate) struct Settling {
    seen: HashMap<String, (Stamp, Instant)>,
}

impl Settling {
    /// Whether the file has looked the same for at least `settle`.
    pub(crate) fn is_settled(&mut self, file: &LocalFile, now: Instant, settle: Duration) -> bool {
        match self.seen.get(&file.key) {
            Some((stamp, since)) if *stamp == file.stamp => now.duration_since(*since) >= settle,
            Some(_) | None => {
                self.seen.insert(file.key.clone(), (file.stamp, now));
                settle.is_zero()
            }
        }
    }

    /// Forgets all files but these, so that memory does not grow with the agent's history.
    pub(crate) fn keep(&mut self, waiting: &HashSet<&str>) {
        self.seen.retain(|key, _| waiting.contains(key.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: &str = "1772323200-1772409600";

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        folder
    }

    #[test]
    fn finds_the_files_wherever_the_folder_is_named() {
        for above in ["", "bingen/", "etl/bingen/", "federated/a/etl/bingen/"] {
            let folder = folder(&[
                &format!("{above}allocations/1d/{DAY}"),
                &format!("{above}assets/1h/1772406000-1772409600.gz"),
                &format!("{above}allocations/1d/{DAY}.tmp123"),
                &format!("{above}allocations/1h/{DAY}"),
                &format!("{above}other/1d/{DAY}"),
                &format!("{above}readme"),
            ]);
            let scan = scan(folder.path(), "a").unwrap();
            let keys: Vec<_> = scan.files.iter().map(|file| file.key.as_str()).collect();
            assert_eq!(
                keys,
                [
                    "allocations/1d/1772323200-1772409600",
                    "assets/1h/1772406000-1772409600.gz"
                ]
            );
            assert_eq!(
                scan.files[0].target.to_string(),
                format!("federated/a/etl/bingen/allocations/1d/{DAY}")
            );
            assert_eq!(scan.ignored, 2);
        }
    }

    #[test]
    fn the_latest_windows_come_first() {
        let files = ["0-86400", "172800-259200", "86400-172800"].map(|window| format!("assets/1d/{window}"));
        let folder = folder(&files.each_ref().map(String::as_str));
        let scan = scan(folder.path(), "a").unwrap();
        let starts: Vec<_> = scan.files.iter().map(|file| file.target.start).collect();
        assert_eq!(starts, [172_800, 86_400, 0]);
    }

    #[test]
    fn an_empty_folder_is_fine_and_a_missing_one_is_not() {
        let folder = folder(&[]);
        assert!(scan(folder.path(), "a").unwrap().files.is_empty());
        let error = scan(&folder.path().join("none"), "a").unwrap_err();
        assert!(error.to_string().contains("none: cannot be read"), "{error}");
    }

    #[test]
    fn a_file_settles_from_when_it_was_last_seen_to_change() {
        let folder = folder(&[&format!("assets/1d/{DAY}")]);
        let mut file = scan(folder.path(), "a").unwrap().files.remove(0);
        let (mut settling, settle, start) = (Settling::default(), Duration::from_secs(10), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(!settling.is_settled(&file, start, settle));
        assert!(!settling.is_settled(&file, after(9), settle));
        file.stamp.size += 1;
        assert!(!settling.is_settled(&file, after(11), settle));
        assert!(!settling.is_settled(&file, after(20), settle));
        assert!(settling.is_settled(&file, after(21), settle));
        settling.keep(&HashSet::new());
        assert!(!settling.is_settled(&file, after(40), settle));
    }
}
