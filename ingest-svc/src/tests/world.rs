//! A bucket in memory, what is put there, and what the released tables hold of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arrow::{
    array::{AsArray as _, RecordBatch},
    datatypes::{Float64Type, TimestampMicrosecondType},
};
use bingen::{
    Allocation, AllocationAmounts, AllocationProperties, AllocationSet, Asset, AssetDetails, AssetProperties, AssetSet,
    EtlPath, NodeDetails, Pipeline, Timestamp, Window,
};
use chrono::{DateTime, TimeDelta, Utc};
use lake::{Lake, Release, TableName};
use object_store::{ObjectStore, ObjectStoreExt as _, memory::InMemory, path::Path};

use crate::{
    cycle::{CycleError, Ingest},
    orders::Orders,
    settings::{Retention, Settings},
    status::{Status, StatusBoard},
    steps::Steps,
};

/// First second of 2026-03-01.
pub(super) const FIRST_DAY: i64 = 1_772_323_200;
pub(super) const DAY: i64 = 86_400;

/// Cost by name, of each cluster and first second of a window.
pub(super) type Costs = BTreeMap<(String, i64), BTreeMap<String, f64>>;

pub(super) struct World {
    pub(super) store: Arc<InMemory>,
    pub(super) settings: Settings,
    pub(super) now: DateTime<Utc>,
}

pub(super) fn settings() -> Settings {
    Settings {
        refresh: Duration::from_secs(600),
        retention: Retention::of(0, 0),
        memory_bytes: 64 << 20,
        keep_releases: Duration::from_secs(86_400),
        lease: Duration::from_secs(30),
        steps: Steps::default(),
    }
}

/// An ingest, and what it says of itself.
pub(super) struct Running {
    pub(super) ingest: Ingest,
    pub(super) status: StatusBoard,
    pub(super) orders: Orders,
}

impl Running {
    pub(super) async fn cycle(&mut self, now: DateTime<Utc>) -> Result<Status, CycleError> {
        self.ingest.run(now).await?;
        Ok(self.status.now())
    }
}

pub(super) fn path(cluster: &str, pipeline: Pipeline, start: i64) -> Path {
    Path::from(EtlPath::new(cluster, pipeline, bingen::Resolution::Daily, start).to_string())
}

fn window(start: i64) -> Window {
    Window::from_unix_seconds(start, start + DAY)
}

/// An allocation of so much CPU cost, called so in the namespace `web`.
pub(super) fn allocation(cluster: &str, name: &str, start: i64, cost: f64) -> Allocation {
    Allocation {
        name: name.to_owned(),
        properties: Some(AllocationProperties {
            cluster: cluster.to_owned(),
            node: "node".to_owned(),
            container: "main".to_owned(),
            namespace: "web".to_owned(),
            pod: name.to_owned(),
            ..AllocationProperties::default()
        }),
        window: window(start),
        start: Timestamp::from_unix_seconds(start),
        end: Timestamp::from_unix_seconds(start + DAY),
        amounts: AllocationAmounts {
            cpu_cost: cost,
            cpu_core_hours: cost,
            ..AllocationAmounts::default()
        },
        ..Allocation::default()
    }
}

/// A set of allocations with these names and costs.
pub(super) fn allocations<'a>(
    cluster: &str,
    start: i64,
    costs: impl IntoIterator<Item = (&'a str, f64)>,
) -> AllocationSet {
    let items = costs.into_iter();
    AllocationSet {
        allocations: items
            .map(|(name, cost)| (name.to_owned(), allocation(cluster, name, start, cost)))
            .collect(),
        window: window(start),
        ..AllocationSet::default()
    }
}

/// A set with a node that costs so much.
pub(super) fn assets(cluster: &str, start: i64, node: &str, cost: f64) -> AssetSet {
    let asset = Asset {
        properties: Some(AssetProperties {
            cluster: cluster.to_owned(),
            name: node.to_owned(),
            ..AssetProperties::default()
        }),
        start: Timestamp::from_unix_seconds(start),
        end: Timestamp::from_unix_seconds(start + DAY),
        window: window(start),
        details: AssetDetails::Node(NodeDetails {
            cpu_cost: cost,
            cpu_core_hours: 48.0,
            ..NodeDetails::default()
        }),
        ..Asset::default()
    };
    AssetSet {
        assets: BTreeMap::from([(node.to_owned(), asset)]),
        window: window(start),
        ..AssetSet::default()
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            store: Arc::new(InMemory::new()),
            settings: settings(),
            now: Utc::now(),
        }
    }

    pub(super) fn bucket(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store) as _
    }

    pub(super) fn lake(&self) -> Lake {
        Lake::new(self.bucket())
    }

    pub(super) fn ingest(&self) -> Running {
        self.ingest_with(self.settings.clone())
    }

    pub(super) fn ingest_with(&self, settings: Settings) -> Running {
        let (status, orders) = (StatusBoard::new(), Orders::default());
        Running {
            ingest: Ingest::new(self.bucket(), settings, status.clone(), orders.clone()),
            status,
            orders,
        }
    }

    /// Time passes.
    pub(super) fn later(&mut self, time: TimeDelta) -> DateTime<Utc> {
        self.now += time;
        self.now
    }

    pub(super) async fn put(&self, path: &Path, bytes: impl Into<Vec<u8>>) {
        let bytes: Vec<u8> = bytes.into();
        self.store.put(path, bytes.into()).await.unwrap();
    }

    pub(super) async fn put_allocations(&self, cluster: &str, start: i64, costs: &[(&str, f64)]) {
        let set = allocations(cluster, start, costs.iter().copied());
        let path = path(cluster, Pipeline::Allocations, start);
        self.put(&path, set.encode().unwrap()).await;
    }

    pub(super) async fn put_assets(&self, cluster: &str, start: i64, node: &str, cost: f64) {
        let set = assets(cluster, start, node, cost);
        self.put(&path(cluster, Pipeline::Assets, start), set.encode().unwrap())
            .await;
    }

    pub(super) async fn release(&self) -> Option<Release> {
        self.lake()
            .load_release()
            .await
            .unwrap()
            .map(|published| published.release)
    }

    /// What the released table of allocations holds.
    pub(super) async fn costs(&self) -> Costs {
        match self.release().await {
            Some(release) => costs_of(&self.lake(), &release, TableName::Allocations, "pod").await,
            None => Costs::new(),
        }
    }

    /// What a released table holds, by the values of a column.
    pub(super) async fn costs_in(&self, table: TableName, column: &str) -> Costs {
        let release = self.release().await.unwrap();
        costs_of(&self.lake(), &release, table, column).await
    }
}

/// What a table holds at a release, by the values of a column.
pub(super) async fn costs_of(lake: &Lake, release: &Release, table: TableName, column: &str) -> Costs {
    let mut costs = Costs::new();
    let Some(version) = release.tables.get(&table) else {
        return costs;
    };
    for file in lake.table_at(table, version.version).await.unwrap().files {
        for batch in lake.read_file(table, &file).await.unwrap() {
            add(&mut costs, &batch, column);
        }
    }
    costs
}

fn add(costs: &mut Costs, batch: &RecordBatch, column: &str) {
    let text = |name: &str| batch.column_by_name(name).unwrap().as_string_view().clone();
    let (clusters, names) = (text("federated_cluster"), text(column));
    let starts = batch.column_by_name("window_start").unwrap();
    let starts = starts.as_primitive::<TimestampMicrosecondType>();
    let cost = batch.column_by_name("cpu_cost").unwrap().as_primitive::<Float64Type>();
    for row in 0..batch.num_rows() {
        let key = (clusters.value(row).to_owned(), starts.value(row) / 1_000_000);
        let of_window = costs.entry(key).or_default();
        *of_window.entry(names.value(row).to_owned()).or_default() += cost.value(row);
    }
}

/// Names and costs of a cluster's window that begins at this second.
pub(super) type CostsOf<'a> = (&'a str, i64, &'a [(&'a str, f64)]);

/// What is expected of [`World::costs`].
pub(super) fn expected(windows: &[CostsOf<'_>]) -> Costs {
    let windows = windows.iter();
    windows
        .map(|(cluster, start, costs)| {
            let costs = costs.iter().map(|(name, cost)| ((*name).to_owned(), *cost));
            (((*cluster).to_owned(), *start), costs.collect())
        })
        .collect()
}
