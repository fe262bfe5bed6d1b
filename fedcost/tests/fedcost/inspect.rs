use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;

use crate::{golden, run};

const ALLOCATIONS: &str = "prod-eu/etl/bingen/allocations/1d/1772668800-1772755200";
const ASSETS: &str = "prod-eu/etl/bingen/assets/1d/1772668800-1772755200";

fn inspect(file: &Path, more: &[&str]) -> crate::Outcome {
    run(["inspect", file.to_str().unwrap()].iter().chain(more))
}

#[test]
fn allocations_are_summed_up() {
    let shown = inspect(&golden(ALLOCATIONS), &[]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    for text in [
        "holds        allocations, version 22\n",
        "window       2026-03-05T00:00:00Z to 2026-03-06T00:00:00Z\n",
        "rows         54\n",
        "clusters     1 (prod-eu)\n",
        "total                            14.17478\n",
    ] {
        assert!(shown.stdout.contains(text), "{text:?} is not in\n{}", shown.stdout);
    }
}

#[test]
fn assets_are_counted_by_kind_also_when_compressed_and_renamed() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    let mut encoder = GzEncoder::new(File::create(&copy).unwrap(), Compression::fast());
    encoder.write_all(&fs::read(golden(ASSETS)).unwrap()).unwrap();
    encoder.finish().unwrap();

    let unknown = inspect(&copy, &[]);
    assert_eq!(unknown.code, Some(64));
    assert!(unknown.stderr.contains("give --pipeline"), "{}", unknown.stderr);
    let shown = inspect(&copy, &["--pipeline", "assets"]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    for text in ["rows         25\n", "Node (4) ", "Disk (14) "] {
        assert!(shown.stdout.contains(text), "{text:?} is not in\n{}", shown.stdout);
    }
}

#[test]
fn json_is_the_whole_set() {
    let shown = inspect(&golden(ALLOCATIONS), &["--json"]);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    let json: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(json["pipeline"], "allocations");
    assert_eq!(json["version"], 22);
    let allocations = json["set"]["allocations"].as_object().unwrap();
    assert_eq!(allocations.len(), 54);
    assert!(allocations.values().all(|allocation| allocation["cpuCost"].is_number()));
}

#[test]
fn damage_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cut");
    let whole = fs::read(golden(ASSETS)).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    for more in [&["--pipeline", "assets"][..], &["--pipeline", "assets", "--json"]] {
        let shown = inspect(&file, more);
        assert_eq!(shown.code, Some(1));
        assert_eq!(shown.stdout, "");
        assert!(
            shown.stderr.contains("cut: ") && shown.stderr.contains(" at byte "),
            "{}",
            shown.stderr
        );
        assert_eq!(shown.stderr.lines().count(), 1);
    }
    let missing = inspect(&folder.path().join("assets/none"), &[]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("none: cannot be read: "), "{}", missing.stderr);
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let mut child = crate::fedcost()
        .arg("inspect")
        .arg(golden(ALLOCATIONS))
        .arg("--json")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{:?}", String::from_utf8(output.stderr));
}
