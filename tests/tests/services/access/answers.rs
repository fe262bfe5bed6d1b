//! Answers for roles that see less than everything, against those of services over a bucket that holds nothing else.

use std::{fs, path::Path};

use bingen::AllocationSet;
use serde_json::Value;
use tempfile::TempDir;
use url::form_urlencoded;
use walkdir::WalkDir;

use super::Asked;
use crate::{
    asking::{DAY, HOURLY_DAY, WEEK, difference},
    bucket::{copy_of_golden, golden},
};

/// A copy of the golden bucket with these clusters, and of some no allocations but those of these namespaces.
fn part_of_golden(clusters: &[&str], namespaces: impl Fn(&str) -> Option<fn(&str) -> bool>) -> TempDir {
    let bucket = copy_of_golden();
    for entry in fs::read_dir(bucket.path().join("federated")).unwrap() {
        let path = entry.unwrap().path();
        let cluster = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !clusters.contains(&cluster.as_str()) {
            fs::remove_dir_all(&path).unwrap();
        } else if let Some(keep) = namespaces(&cluster) {
            fs::remove_dir_all(path.join("etl/bingen/assets")).unwrap();
            keep_namespaces(&path, keep);
        }
    }
    bucket
}

fn keep_namespaces(cluster: &Path, keep: fn(&str) -> bool) {
    let files = WalkDir::new(cluster.join("etl/bingen/allocations"))
        .into_iter()
        .map(Result::unwrap);
    for file in files.filter(|entry| entry.file_type().is_file()) {
        let mut set = AllocationSet::decode(&fs::read(file.path()).unwrap()).unwrap();
        set.allocations.retain(|_, item| {
            let properties = item.properties.as_ref();
            keep(properties.map_or("", |properties| properties.namespace.as_str()))
        });
        fs::write(file.path(), set.encode().unwrap()).unwrap();
    }
}

const FILTERS: [&str; 9] = [
    "",
    r#"cluster:"prod-us""#,
    r#"cluster!:"prod-us""#,
    r#"cluster:"edge-1""#,
    r#"namespace:"web""#,
    r#"namespace!:"web""#,
    r#"namespace:"kube-system"|node~:"1""#,
    r#"label[app]:"web"|services:"checkout""#,
    r#"cluster:"nosuch""#,
];

const SHAPES: [&str; 12] = [
    "idle=false",
    "aggregate=cluster&idle=true&splitIdle=true",
    "aggregate=namespace&idle=true",
    "aggregate=namespace&accumulate=true&shareIdle=true",
    "aggregate=node&idle=true&idleByNode=true&splitIdle=true",
    "aggregate=controller&accumulate=true&idle=true&shareNamespaces=kube-system,monitoring&shareSplit=weighted",
    "aggregate=label:app&accumulate=true&shareNamespaces=kube-system&shareSplit=even&shareIdle=true",
    "aggregate=namespace&accumulate=true&shareCost=1000&shareTenancyCosts=true&includeSharedCostBreakdown=true",
    "aggregate=service&accumulate=true&includeProportionalAssetResourceCosts=true&idleByNode=true",
    "aggregate=all&accumulate=true&idle=true&reconcile=false",
    "aggregate=pod&accumulate=true&limit=7&offset=2&sortBy=name&includeAggregatedMetadata=true",
    "aggregate=cluster,namespace&costMetric=daily&idle=true&format=csv&sortBy=name",
];

fn with_filter(path: &str, filter: &str) -> String {
    let filter: String = form_urlencoded::byte_serialize(filter.as_bytes()).collect();
    format!("{path}&filter={filter}")
}

/// Paths about costs, with parameters.
fn questions() -> Vec<String> {
    let mut asked = Vec::new();
    for (at, shape) in SHAPES.into_iter().enumerate() {
        // Every filter comes with a third of the shapes, every shape with three filters.
        for filter in FILTERS.iter().skip(at % 3).step_by(3) {
            asked.push(with_filter(&format!("/model/allocation?{DAY}&{shape}"), filter));
        }
        match at % 3 {
            0 => asked.push(format!("/model/allocation/summary?{WEEK}&{shape}")),
            1 => asked.push(format!("/allocation/compute?{HOURLY_DAY}&step=1h&{shape}")),
            _ => asked.push(format!("/model/allocation/summary/topline?{WEEK}&{shape}")),
        }
    }
    // Services of several controllers, over time.
    asked.push(format!(
        "/model/allocation?{HOURLY_DAY}&step=1h&aggregate=service&accumulate=true&idle=false"
    ));
    let fields = [
        "cluster",
        "namespace",
        "node",
        "label",
        "label:app",
        "services",
        "team",
        "provider",
        "pod",
    ];
    for (filter, field) in FILTERS.into_iter().zip(fields) {
        asked.push(with_filter(
            &format!("/allocation/summary/topline?{WEEK}&aggregate=cluster"),
            filter,
        ));
        asked.push(with_filter(
            &format!("/model/allocation/trends?{DAY}&aggregate=namespace"),
            filter,
        ));
        asked.push(with_filter(
            &format!("/allocation/autocomplete?{WEEK}&field={field}"),
            filter,
        ));
        asked.push(format!(
            "/allocation/autocomplete?{WEEK}&field={field}&search=a&limit=3"
        ));
    }
    for filter in [
        "",
        r#"cluster:"prod-eu""#,
        r#"assetType:"node""#,
        r#"cluster!:"edge-1"+name~:"a""#,
    ] {
        for shape in ["aggregate=type&accumulate=true", "aggregate=cluster&format=csv"] {
            asked.push(with_filter(&format!("/model/assets?{WEEK}&{shape}"), filter));
        }
        asked.push(with_filter(&format!("/assets?{DAY}"), filter));
        asked.push(with_filter(&format!("/model/assets/topline?{WEEK}"), filter));
        let windows =
            "before=2026-03-02T00:00:00Z,2026-03-03T00:00:00Z&after=2026-03-03T00:00:00Z,2026-03-04T00:00:00Z";
        asked.push(with_filter(
            &format!("/model/assets/diff?{windows}&costChangeRatio=0"),
            filter,
        ));
    }
    for field in [
        "cluster",
        "name",
        "type",
        "account",
        "project",
        "providerID",
        "label",
        "service",
    ] {
        asked.push(format!("/model/assets/autocomplete?{WEEK}&field={field}"));
    }
    let wrong = [
        "/model/allocation?window=never",
        "/allocation?window=7d&aggregate=nosuch",
        "/model/assets?window=7d&filter=a",
    ];
    asked.extend(wrong.map(str::to_owned));
    // What the reference was asked.
    let queries: Value = serde_json::from_slice(&fs::read(golden().join("queries.json")).unwrap()).unwrap();
    for query in queries.as_array().unwrap().iter().step_by(2) {
        let parameters = query["params"].as_object().unwrap().iter();
        let parameters = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters.map(|(name, value)| (name, value.as_str().unwrap())))
            .finish();
        asked.push(format!("{}?{parameters}", query["path"].as_str().unwrap()));
    }
    asked
}

/// An answer as a value; a table as its rows.
pub(super) fn value_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| {
        // Entries of labels are in no order of their own.
        let entries = |cell: &str| {
            let mut entries: Vec<_> = cell.split(';').collect();
            entries.sort_unstable();
            Value::from(entries.join(";"))
        };
        let cell = |cell: &str| cell.parse::<f64>().map_or_else(|_| entries(cell), Value::from);
        let mut rows = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes());
        let rows = rows
            .records()
            .map(|row| row.unwrap().iter().map(cell).collect::<Vec<_>>());
        Value::from(rows.map(Value::from).collect::<Vec<_>>())
    })
}

pub(super) async fn are_those_over_a_bucket_of_what_may_be_seen(asked: &Asked) {
    let web: fn(&str) -> bool = |namespace| namespace == "web" || namespace.starts_with("monitor");
    let shop: fn(&str) -> bool = |namespace| ["web", "data"].contains(&namespace);
    let all = ["edge-1", "prod-eu", "prod-us", "staging"];
    let mut failed = Vec::new();
    for (user, bucket, unseen) in [
        (
            "prod",
            part_of_golden(&["prod-eu", "prod-us"], |_| None),
            &["edge-1"][..],
        ),
        (
            "team",
            part_of_golden(&all, |_| Some(web)),
            &["kube-system", "checkout"],
        ),
        (
            "mixed",
            part_of_golden(&["prod-us", "staging"], |cluster| {
                (cluster == "prod-us").then_some(shop)
            }),
            &["edge-1", "prod-eu"],
        ),
        ("root", copy_of_golden(), &[]),
    ] {
        let expected = Asked::over(bucket, false).await;
        // All that is there is asked for less often: other tests do.
        for path in questions().iter().step_by(if user == "root" { 9 } else { 1 }) {
            let (got, expected) = (asked.get_as(user, path).await, expected.get(path).await);
            let differs = if got.status == expected.status {
                difference(&value_of(&got.text), &value_of(&expected.text), "")
            } else {
                Some(format!("{} instead of {}: {}", got.status, expected.status, got.text))
            };
            let leaked = unseen
                .iter()
                .find(|name| got.status == 200 && got.text.contains(**name));
            if let Some(what) = differs.or_else(|| leaked.map(|name| format!("{name} is in the answer"))) {
                failed.push(format!("{user} {path}\n    {what}"));
            }
        }
        if user == "prod" {
            for path in [
                "/model/debug/ingestionSummary",
                "/model/clusters/status",
                "/model/clusterInfoMap",
            ] {
                let (got, expected) = (
                    asked.json_as(user, path).await,
                    value_of(&expected.get(path).await.text),
                );
                failed.extend(difference(&without_times(got), &without_times(expected), path));
            }
        }
        expected.cluster.stop().await;
    }
    assert!(
        failed.is_empty(),
        "{} differ:\n{}",
        failed.len(),
        failed[..failed.len().min(20)].join("\n")
    );
}

/// Files of a copied bucket were written at other times.
fn without_times(mut answer: Value) -> Value {
    match &mut answer {
        Value::Object(map) => {
            map.remove("lastUpload");
            map.values_mut().for_each(|value| *value = without_times(value.take()));
        }
        Value::Array(list) => list.iter_mut().for_each(|value| *value = without_times(value.take())),
        _ => {}
    }
    answer
}
