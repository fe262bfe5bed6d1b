//! The files that the reference implementation wrote.

use std::fs;
use std::path::{Path, PathBuf};

use bingen::{AllocationSet, AssetSet, CloudCostSet, EtlPath, Pipeline};

pub(crate) struct GoldenFile {
    pub(crate) path: EtlPath,
    pub(crate) bytes: Vec<u8>,
}

/// All files of the golden bucket, in the order of their paths.
pub(crate) fn golden_files() -> Vec<GoldenFile> {
    let bucket = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/bucket");
    let mut paths = Vec::new();
    collect_files(&bucket, &mut paths);
    paths.sort();
    let parse = |path: PathBuf| GoldenFile {
        path: path.strip_prefix(&bucket).unwrap().to_str().unwrap().parse().unwrap(),
        bytes: fs::read(&path).unwrap(),
    };
    paths.into_iter().map(parse).collect()
}

fn collect_files(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_files(&path, paths);
        } else {
            paths.push(path);
        }
    }
}

#[test]
fn every_file_decodes_and_keeps_its_values_when_written_again() {
    let files = golden_files();
    assert_eq!(files.len(), 310);
    for file in &files {
        let window = bingen::Window::from_unix_seconds(file.path.start, file.path.end);
        match file.path.pipeline {
            Pipeline::Allocations => {
                let set = AllocationSet::decode(&file.bytes).unwrap();
                assert_eq!(set.window, window);
                assert!(!set.allocations.is_empty());
                assert_eq!(AllocationSet::decode(&set.encode().unwrap()).unwrap(), set);
            }
            Pipeline::Assets => {
                let set = AssetSet::decode(&file.bytes).unwrap();
                assert_eq!(set.window, window);
                assert!(!set.assets.is_empty());
                assert_eq!(AssetSet::decode(&set.encode().unwrap()).unwrap(), set);
            }
            Pipeline::CloudCosts => {
                CloudCostSet::decode(&file.bytes).unwrap();
            }
        }
    }
}
