//! Decodes all ETL files of a folder one by one, in one thread, and says in JSON how long that took: what ingest can be
//! measured against.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement that fails may panic"
)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Instant,
};

use bingen::{AllocationSetDecoder, AssetSetDecoder};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Megabytes of memory at most (proc(5), `VmHWM`).
fn peak_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1000.0
}

fn main() {
    let folder = env::args().nth(1).expect("a folder of ETL files");
    let mut paths = Vec::new();
    files(Path::new(&folder), &mut paths);
    let (mut bytes, mut rows) = (0, 0_u64);
    let started = Instant::now();
    for path in &paths {
        let content = fs::read(path).unwrap();
        bytes += content.len();
        if path.components().any(|part| part.as_os_str() == "assets") {
            let mut decoder = AssetSetDecoder::new(&content).unwrap();
            while decoder.next().unwrap().is_some() {
                rows += 1;
            }
        } else {
            let mut decoder = AllocationSetDecoder::new(&content).unwrap();
            while decoder.next().unwrap().is_some() {
                rows += 1;
            }
        }
    }
    println!(
        r#"{{"files": {}, "bytes": {bytes}, "rows": {rows}, "seconds": {:.3}, "peak_mb": {:.1}}}"#,
        paths.len(),
        started.elapsed().as_secs_f64(),
        peak_mb()
    );
}
