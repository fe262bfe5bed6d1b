use std::path::Path;

use crate::run;

fn write(bucket: &Path, more: &[&str]) -> crate::Outcome {
    let plan = [
        "--clusters",
        "1",
        "--nodes",
        "2",
        "--pods-per-node",
        "2",
        "--end",
        "2026-03-31",
    ];
    let bucket = ["demo-data", "--bucket", bucket.to_str().unwrap()];
    run(bucket.iter().chain(&plan).chain(more))
}

#[test]
fn the_last_file_is_of_the_last_day() {
    let bucket = tempfile::tempdir().unwrap();
    let written = write(bucket.path(), &["--days", "2", "--hours", "0"]);
    assert_eq!(written.code, Some(0), "{}", written.stderr);
    assert!(written.stdout.starts_with("4 files with "), "{}", written.stdout);
    let clusters = bucket.path().join("federated");
    let cluster = clusters.read_dir().unwrap().next().unwrap().unwrap().path();
    for day in ["1774828800-1774915200", "1774915200-1775001600"] {
        let file = cluster.join("etl/bingen/allocations/1d").join(day);
        assert!(file.is_file(), "{}", file.display());
        let shown = run([Path::new("inspect"), &file]);
        assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    }
}

#[test]
fn impossible_plans_are_usage_errors() {
    let bucket = tempfile::tempdir().unwrap();
    let refused = write(bucket.path(), &["--days", "0", "--hours", "0"]);
    assert_eq!(refused.code, Some(64));
    assert_eq!(
        refused.stderr,
        "fedcost: the plan asks for no days and no hours; ask for some of either\n"
    );
}
