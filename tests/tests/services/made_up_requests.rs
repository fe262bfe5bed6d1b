//! Requests that schemathesis makes up from the API's own description, asked of the real services.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use crate::asking::Services;

/// Requests for each path that takes parameters, which is about half a minute.
const EXAMPLES: &str = "25";

/// Whether the services fail at nothing, and answer as they say they do.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

/// Runs schemathesis in `folder`, and reads its report.
fn run(base: &str, folder: &Path) -> (Output, Value) {
    let report = &folder.join("report.json");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("bash")
        .arg(here.join("../deploy/dev/schemathesis.sh"))
        .arg("--config-file")
        .arg(here.join("schemathesis/schemathesis.toml"))
        .args(["run", &format!("{base}/openapi.json")])
        .args(["--phases", "fuzzing", "--max-examples", EXAMPLES, "--checks", CHECKS])
        // The same requests every time, and nothing kept for the next one.
        .args(["--seed", "1", "--generation-database", "none"])
        .args(["--workers", "2", "--no-color", "--report", "json", "--report-json-path"])
        .arg(report)
        // It leaves files of its own where it is run.
        .current_dir(folder)
        .output()
        .expect("bash runs schemathesis; install it to run this test");
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let report = std::fs::read(report).unwrap_or_else(|error| {
        panic!(
            "schemathesis gave no report ({error}). deploy/dev/schemathesis.sh installs it, for which it needs python3 \
             with venv and a package index.\n{text}"
        )
    });
    let report = serde_json::from_slice(&report).unwrap_or_else(|error| panic!("{error}: {text}"));
    (output, report)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_made_of_the_description_are_answered_as_it_says() {
    let services = Services::start().await;
    let base = services.cluster.base_url();
    let folder = services.cluster.folder().to_owned();
    let (output, report) = tokio::task::spawn_blocking(move || run(&base, &folder)).await.unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );

    assert_eq!(report["complete"], true, "{report}");
    let count = |value: &Value| value.as_u64().expect("a count");
    assert_eq!(report["operations"]["tested"], report["operations"]["total"]);
    assert!(count(&report["operations"]["total"]) > 40, "{}", report["operations"]);
    assert!(
        count(&report["test_cases"]["generated"]) > 400,
        "{}",
        report["test_cases"]
    );
    assert_eq!(
        count(&report["test_cases"]["with_failures"]),
        0,
        "{}",
        report["failures"]
    );
    // What is refused says little of what is behind it, so that some requests must be answered at every path.
    let rates = report["valid_rates"].as_object().expect("rates by path");
    let answered = |rate: &Value| count(&rate["fuzzing"]["accepted"]) > 0;
    let refused: Vec<_> = rates
        .iter()
        .filter(|(_, rate)| !answered(rate))
        .map(|(path, _)| path)
        .collect();
    assert!(
        rates.len() > 40 && refused.is_empty(),
        "nothing was answered at {refused:?} of {}",
        rates.len()
    );
    services.cluster.stop().await;
}
