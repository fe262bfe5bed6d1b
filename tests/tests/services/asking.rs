//! The real services over the golden bucket, asked by HTTP, and what tests say of their answers.

use std::{collections::BTreeSet, fs, future::Future, sync::Arc};

use query_svc::config::LimitsConfig;
use serde_json::{Map, Value};
use tempfile::TempDir;
use test_cluster::{TestCluster, TestOptions};

use crate::bucket::{copy_of_golden, golden};

/// Items by name.
pub(crate) type Set = Map<String, Value>;

/// The golden week, seven whole days.
pub(crate) const WEEK: &str = "window=2026-03-01T00:00:00Z,2026-03-08T00:00:00Z";
/// The golden day on which one cluster is missing.
pub(crate) const DAY: &str = "window=2026-03-04T00:00:00Z,2026-03-05T00:00:00Z";
/// The golden day that hours are known of, beside the day as a whole.
pub(crate) const HOURLY_DAY: &str = "window=2026-03-09T00:00:00Z,2026-03-10T00:00:00Z";
/// Leaves out what a cluster costs beside its machines, as the golden answers do.
pub(crate) const BARE: &str = "shareTenancyCosts=false&includeSharedCostBreakdown=false";

/// Figures are rounded to five decimals, each off by at most half of the last one.
const ROUNDING: f64 = 0.000_005;

/// The services, and whom to ask them with.
pub(crate) struct Services {
    pub(crate) cluster: TestCluster,
    http: reqwest::Client,
    _bucket: TempDir,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) text: String,
}

impl Services {
    pub(crate) async fn start() -> Self {
        Self::with_limits(LimitsConfig::default()).await
    }

    /// Services of which query takes no more than this.
    pub(crate) async fn with_limits(query_limits: LimitsConfig) -> Self {
        Self::over(copy_of_golden(), query_limits).await
    }

    /// Services over another bucket.
    pub(crate) async fn over(bucket: TempDir, query_limits: LimitsConfig) -> Self {
        let options = TestOptions {
            query_limits,
            ..TestOptions::new(bucket.path())
        };
        let cluster = TestCluster::start(options).await.unwrap();
        cluster.refresh_and_wait().await.unwrap();
        Self {
            cluster,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            _bucket: bucket,
        }
    }

    /// Asks with a path and parameters as a client writes them.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        let request = self.http.get(format!("{}{path}", self.cluster.base_url()));
        let response = request.header("X-API-KEY", "unused").send().await.unwrap();
        Answer {
            status: response.status().as_u16(),
            content_type: response.headers()["content-type"].to_str().unwrap().to_owned(),
            text: response.text().await.unwrap(),
        }
    }

    /// An answer that must be JSON and say that all is well.
    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert_eq!(answer.content_type, "application/json", "{path}");
        let value: Value = serde_json::from_str(&answer.text).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(value["code"], 200, "{path}");
        value
    }

    /// The sets of an answer that is a list of them.
    pub(crate) async fn sets(&self, path: &str) -> Vec<Set> {
        sets_of(&self.json(path).await)
    }

    /// The only set of an answer.
    pub(crate) async fn set(&self, path: &str) -> Set {
        let mut sets = self.sets(path).await;
        assert_eq!(sets.len(), 1, "{path}");
        sets.remove(0)
    }

    /// The message of an answer that refuses the question.
    pub(crate) async fn refused(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text);
        if path.starts_with("/model/") {
            let value: Value = serde_json::from_str(&answer.text).unwrap();
            assert_eq!(value["code"], 400, "{path}");
            return value["message"].as_str().unwrap().to_owned();
        }
        assert!(answer.content_type.starts_with("text/plain"), "{path}: {answer:?}");
        answer.text
    }
}

fn sets_of(answer: &Value) -> Vec<Set> {
    let list = answer["data"].as_array().expect("a list of sets");
    list.iter().map(|set| set.as_object().expect("a set").clone()).collect()
}

/// The sets that the reference answers to the golden query `id`.
pub(crate) fn golden_sets(id: &str) -> Vec<Set> {
    let file = golden().join("expected").join(format!("{id}.json"));
    sets_of(&serde_json::from_slice(&fs::read(file).unwrap()).unwrap())
}

/// The only set that the reference answers to the golden query `id`.
pub(crate) fn golden_set(id: &str) -> Set {
    let mut sets = golden_sets(id);
    assert_eq!(sets.len(), 1, "{id}");
    sets.remove(0)
}

/// A figure that must be there and be a number.
pub(crate) fn figure(item: &Value, field: &str) -> f64 {
    let value = &item[field];
    value.as_f64().unwrap_or_else(|| panic!("{field} is {value} in {item}"))
}

/// The sum of a figure over items.
pub(crate) fn sum<'a>(items: impl IntoIterator<Item = &'a Value>, field: &str) -> f64 {
    items.into_iter().map(|item| figure(item, field)).sum()
}

/// Checks that two figures are the same, where `roundings` rounded figures were added up to them.
pub(crate) fn assert_close(got: f64, expected: f64, roundings: usize, what: &str) {
    let allowed = 1e-6 * expected.abs() + ROUNDING * roundings as f64 + 1e-9;
    assert!((got - expected).abs() <= allowed, "{what}: {got} instead of {expected}");
}

/// Checks that the items of `got` have the same names as those of `expected`, and the same figures but for those of
/// `except`.
pub(crate) fn assert_same_figures(got: &Set, expected: &Set, except: &[&str], what: &str) {
    let names = |set: &Set| {
        let mut names: Vec<_> = set.keys().cloned().collect();
        names.sort();
        names
    };
    assert_eq!(names(got), names(expected), "{what}");
    for (name, item) in expected {
        let figures = item.as_object().expect("an item").iter();
        let figures = figures.filter(|(field, value)| value.is_number() && !except.contains(&field.as_str()));
        let mut compared = 0;
        for (field, value) in figures {
            let what = format!("{what}: {name}: {field}");
            assert_close(figure(&got[name], field), value.as_f64().unwrap(), 4, &what);
            compared += 1;
        }
        assert!(compared > 0, "{what}: {name} has no figures");
    }
}

/// What differs between two answers, by the place in them; none when they are the same but for rounding.
pub(crate) fn difference(got: &Value, expected: &Value, place: &str) -> Option<String> {
    match (got, expected) {
        (Value::Number(one), Value::Number(other)) => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            let allowed = 2e-5 + 1e-6 * other.abs();
            ((one - other).abs() > allowed).then(|| format!("{place}: {one} instead of {other}"))
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => one
            .iter()
            .zip(other)
            .enumerate()
            .find_map(|(at, (one, other))| difference(one, other, &format!("{place}[{at}]"))),
        (Value::Object(one), Value::Object(other)) => {
            let keys = |map: &Map<String, Value>| map.keys().cloned().collect::<BTreeSet<_>>();
            let (keys, expected) = (keys(one), keys(other));
            if keys != expected {
                let differ: Vec<_> = keys.symmetric_difference(&expected).take(5).collect();
                return Some(format!("{place}: the keys {differ:?} are in one of both"));
            }
            keys.iter()
                .find_map(|key| difference(&one[key], &other[key], &format!("{place}.{key}")))
        }
        (one, other) => (one != other).then(|| format!("{place}: {one} instead of {other}")),
    }
}

/// The names of items in the order in which the answer has them, which a parsed one does not keep.
pub(crate) fn names_in_order(text: &str) -> Vec<&str> {
    let items = text.split("{\"name\":\"").skip(1);
    items.map(|item| item.split('"').next().unwrap_or_default()).collect()
}

/// Checks that share the services; all of them are run, even if some fail.
pub(crate) struct Checks {
    services: Arc<Services>,
    failed: Vec<&'static str>,
}

impl Checks {
    pub(crate) async fn start() -> Self {
        Self {
            services: Arc::new(Services::start().await),
            failed: Vec::new(),
        }
    }

    pub(crate) async fn run<F>(&mut self, name: &'static str, check: impl FnOnce(Arc<Services>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // The panic itself is on stderr by then.
        if tokio::spawn(check(Arc::clone(&self.services))).await.is_err() {
            self.failed.push(name);
        }
    }

    pub(crate) async fn end(self) {
        if let Some(services) = Arc::into_inner(self.services) {
            services.cluster.stop().await;
        }
        assert!(self.failed.is_empty(), "failed: {}", self.failed.join(", "));
    }
}
