//! What alerts and dashboards ask of Prometheus is told by services that run.

use std::{convert::Infallible, fs, path::Path};

use fedcost_proto::ingest::v1::ListReleasesRequest;
use promql_parser::{
    label::Matchers,
    parser::{self, Expr, VectorSelector},
    util::{ExprVisitor, walk_expr},
};
use serde_json::Value;
use test_cluster::{TestCluster, TestOptions};

use crate::bucket::{copy_of_golden, daily};

const FIRST_DAY: i64 = 1_772_323_200;
/// What Prometheus adds to each series itself.
const OF_PROMETHEUS: [&str; 2] = ["job", "instance"];

/// The series that an expression asks for.
#[derive(Default)]
struct Series(Vec<VectorSelector>);

impl ExprVisitor for Series {
    type Error = Infallible;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Infallible> {
        match expression {
            Expr::VectorSelector(selector) => self.0.push(selector.clone()),
            Expr::MatrixSelector(selector) => self.0.push(selector.vs.clone()),
            _ => {}
        }
        Ok(true)
    }
}

/// Every text under one of these keys.
fn texts<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == key => found.push(text),
                    _ => texts(value, key, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, key, found)),
        _ => {}
    }
}

fn expressions(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    // JSON is YAML.
    let value: Value = serde_norway::from_str(&text).unwrap();
    let mut found = Vec::new();
    texts(&value, "expr", &mut found);
    assert!(!found.is_empty(), "{}", file.display());
    let found = found.iter().map(|text| text.replace("$__rate_interval", "5m"));
    found.collect()
}

fn label_names(matchers: &Matchers) -> impl Iterator<Item = &str> {
    let names = matchers.matchers.iter().map(|matcher| matcher.name.as_str());
    names.filter(|name| !OF_PROMETHEUS.contains(name))
}

/// Whether there is a series of this name with all labels that the expression looks at.
fn is_told(exposition: &str, selector: &VectorSelector) -> bool {
    let name = selector.name.as_deref().unwrap_or_default();
    exposition.lines().any(|line| {
        let Some(rest) = line.strip_prefix(name) else {
            return false;
        };
        let labels = rest.strip_prefix('{');
        (labels.is_some() || rest.starts_with(' '))
            && label_names(&selector.matchers).all(|label| {
                labels.is_some_and(|labels| {
                    labels.starts_with(&format!("{label}=\"")) || labels.contains(&format!(",{label}=\""))
                })
            })
    })
}

/// The value of the only series that begins so.
fn value(exposition: &str, series: &str) -> f64 {
    let mut found = exposition.lines().filter_map(|line| line.strip_prefix(series));
    let value = found.next().unwrap_or_else(|| panic!("no {series} in\n{exposition}"));
    assert_eq!(found.next(), None, "{series} is not the only one");
    value.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_and_dashboards_find_what_they_ask_for() {
    let bucket = copy_of_golden();
    fs::write(
        daily(bucket.path(), "staging", "allocations", FIRST_DAY),
        b"not an etl file",
    )
    .unwrap();
    let cluster = TestCluster::start(TestOptions::new(bucket.path())).await.unwrap();
    cluster.refresh_and_wait().await.unwrap();
    let url = |path: &str| format!("{}{path}", cluster.base_url());
    let answer = reqwest::get(url("/allocation?window=30d&aggregate=namespace")).await;
    assert_eq!(answer.unwrap().status(), 200);
    cluster.ingest().list_releases(ListReleasesRequest {}).await.unwrap();
    let exposition = reqwest::get(url("/metrics")).await.unwrap().text().await.unwrap();

    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/helm/fedcost/files");
    for file in ["alerts.yaml", "dashboards/operation.json"] {
        for expression in expressions(&files.join(file)) {
            let parsed = parser::parse(&expression).unwrap_or_else(|error| panic!("{file}: {expression}: {error}"));
            let mut series = Series::default();
            let Ok(_) = walk_expr(&mut series, &parsed);
            assert!(!series.0.is_empty(), "{file}: {expression}");
            for selector in series.0 {
                // `up` is Prometheus' own.
                let is_its_own = selector.name.as_deref() == Some("up");
                assert!(
                    is_its_own || is_told(&exposition, &selector),
                    "{file}: {selector} is not in\n{exposition}"
                );
            }
        }
    }

    let staging = r#"{cluster="staging",pipeline="allocations",resolution="1d"}"#;
    let of_staging = |name: &str| value(&exposition, &format!("fedcost_ingest_cluster_{name}{staging}"));
    assert_eq!(of_staging("files_set_aside"), 1.0);
    assert!(of_staging("windows_missing") >= 1.0);
    let end = of_staging("newest_window_end_timestamp_seconds");
    assert_eq!((end % 86400.0, end > FIRST_DAY as f64), (0.0, true));
    let nodes = r#"fedcost_ingest_cluster_last_day{cluster="staging",pipeline="assets",figure="nodes"}"#;
    assert!(value(&exposition, nodes) >= 1.0);
    assert_eq!(
        value(&exposition, r#"fedcost_ingest_cycles_total{outcome="failed"}"#),
        0.0
    );
    cluster.stop().await;
}
