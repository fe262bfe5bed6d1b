//! No cost is lost or made up, however it is added up, shared out or kept apart.

use std::collections::HashSet;

use demo_data::{DemoPlan, bucket::write_bucket};
use fedcost_proto::query::v1::{
    Accumulate, Allocation, AssetType, Idle, IdleMode, Label, QueryAllocationsRequest, QueryAssetsRequest, Sharing,
    SharingSplit, Window, query_service_client::QueryServiceClient,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use service_kit::client::Channel;
use tempfile::TempDir;
use test_cluster::{TestCluster, TestOptions};

/// 2026-03-04, midnight UTC.
const END: i64 = 1_772_582_400;
const DAYS: i64 = 3;
const HOURS_PER_MONTH: f64 = 730.0;

const KEYS: [&str; 14] = [
    "cluster",
    "node",
    "namespace",
    "controllerKind",
    "controller",
    "deployment",
    "service",
    "pod",
    "container",
    "team",
    "environment",
    "label:app",
    "annotation:none",
    "all",
];

fn bucket(seed: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let plan = DemoPlan {
        clusters: 3,
        nodes: 4,
        pods_per_node: 6,
        days: DAYS as usize,
        hours: 0,
        seed,
        ..DemoPlan::example(END)
    };
    write_bucket(folder.path(), &plan, &mut |_| {}).unwrap();
    folder
}

fn window() -> Option<Window> {
    let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    Some(Window {
        start: time(END - DAYS * 86_400),
        end: time(END),
    })
}

struct Client(QueryServiceClient<Channel>);

impl Client {
    async fn allocations(&mut self, request: QueryAllocationsRequest) -> Vec<Allocation> {
        let request = QueryAllocationsRequest {
            window: window(),
            ..request
        };
        let mut stream = self.0.query_allocations(request).await.unwrap().into_inner();
        let mut items = Vec::new();
        while let Some(message) = stream.message().await.unwrap() {
            items.extend(message.allocations);
        }
        items
    }

    async fn total(&mut self, request: QueryAllocationsRequest) -> f64 {
        self.allocations(request).await.iter().map(total_cost).sum()
    }

    /// What clusters cost beside their machines: their management, and disks that have a node's name.
    async fn tenancy_costs(&mut self) -> f64 {
        let request = QueryAssetsRequest {
            window: window(),
            ..QueryAssetsRequest::default()
        };
        let mut stream = self.0.query_assets(request).await.unwrap().into_inner();
        let mut assets = Vec::new();
        while let Some(message) = stream.message().await.unwrap() {
            assets.extend(message.assets);
        }
        let place = |asset: &fedcost_proto::query::v1::Asset| {
            let properties = asset.properties.clone().unwrap();
            (properties.cluster, properties.name)
        };
        let nodes: HashSet<_> = assets
            .iter()
            .filter(|asset| asset.r#type() == AssetType::Node)
            .map(place)
            .collect();
        let is_tenancy = |asset: &&fedcost_proto::query::v1::Asset| match asset.r#type() {
            AssetType::ClusterManagement => true,
            AssetType::Disk => nodes.contains(&place(asset)),
            _ => false,
        };
        assets.iter().filter(is_tenancy).map(|asset| asset.total_cost).sum()
    }
}

fn total_cost(item: &Allocation) -> f64 {
    [
        item.cpu_cost,
        item.cpu_cost_adjustment,
        item.gpu_cost,
        item.gpu_cost_adjustment,
        item.ram_cost,
        item.ram_cost_adjustment,
        item.pv_cost_adjustment,
        item.network_cost,
        item.network_cost_adjustment,
        item.load_balancer_cost,
        item.load_balancer_cost_adjustment,
        item.shared_cost,
        item.external_cost,
    ]
    .iter()
    .sum::<f64>()
        + item.volumes.iter().map(|volume| volume.cost).sum::<f64>()
}

/// A question without a filter, of any kind.
fn question(random: &mut StdRng, namespaces: &[String]) -> QueryAllocationsRequest {
    let keys = random.random_range(0..=3);
    let mut aggregate: Vec<String> = (0..keys).map(|_| (*KEYS.choose(random).unwrap()).to_owned()).collect();
    if aggregate.iter().any(|key| key == "all") {
        aggregate = vec!["all".to_owned()];
    }
    let mode = *[IdleMode::Hide, IdleMode::Separate, IdleMode::Share]
        .choose(random)
        .unwrap();
    let accumulate = *[Accumulate::None, Accumulate::All, Accumulate::Week]
        .choose(random)
        .unwrap();
    let split = *[SharingSplit::Weighted, SharingSplit::Even].choose(random).unwrap();
    let shared = random.random_range(0..=2);
    let label = Label {
        name: "team".to_owned(),
        value: "platform".to_owned(),
    };
    QueryAllocationsRequest {
        aggregate,
        accumulate: accumulate.into(),
        idle: Some(Idle {
            mode: mode.into(),
            by_node: random.random(),
            split: random.random(),
        }),
        sharing: Some(Sharing {
            namespaces: (0..shared)
                .map(|_| namespaces.choose(random).unwrap().clone())
                .collect(),
            labels: random.random_bool(0.3).then_some(label).into_iter().collect(),
            cost_per_month: if random.random_bool(0.3) { 730.0 } else { 0.0 },
            split: split.into(),
            tenancy_costs: random.random(),
            include_breakdown: random.random(),
        }),
        include_aggregated_metadata: random.random(),
        ..QueryAllocationsRequest::default()
    }
}

fn assert_close(got: f64, expected: f64, what: &dyn std::fmt::Debug) {
    let allowed = 1e-6 * expected.abs().max(1.0);
    assert!(
        (got - expected).abs() <= allowed,
        "{got} instead of {expected}: {what:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_are_the_same_however_they_are_asked_for() {
    for seed in [1, 2] {
        let bucket = bucket(seed);
        let cluster = TestCluster::start(TestOptions::new(bucket.path())).await.unwrap();
        cluster.refresh_and_wait().await.unwrap();
        let mut client = Client(cluster.query());

        let containers = client.allocations(QueryAllocationsRequest::default()).await;
        assert!(containers.len() > 200, "only {} containers", containers.len());
        let unaggregated: f64 = containers.iter().map(total_cost).sum();
        let namespaces: HashSet<String> = containers
            .iter()
            .map(|item| item.properties.clone().unwrap().namespace)
            .filter(|namespace| namespace != "__unmounted__")
            .collect();
        let mut namespaces: Vec<_> = namespaces.into_iter().collect();
        namespaces.sort();
        let tenancy = client.tenancy_costs().await;
        assert!(tenancy > 0.0, "nothing to share within clusters");
        let mut idle = [0.0; 2];
        for (by_node, idle) in [false, true].into_iter().zip(&mut idle) {
            let separate = Idle {
                mode: IdleMode::Separate.into(),
                by_node,
                split: false,
            };
            let request = QueryAllocationsRequest {
                idle: Some(separate),
                ..QueryAllocationsRequest::default()
            };
            *idle = client.total(request).await - unaggregated;
            assert!(*idle > 0.0, "nothing is idle");
        }
        // Finer places, but the same nodes, and what is allocated on them.
        assert_close(idle[1], idle[0], &"idle by node");

        let mut random = StdRng::seed_from_u64(seed);
        for _ in 0..60 {
            let request = question(&mut random, &namespaces);
            let sharing = request.sharing.clone().unwrap();
            let mut expected = unaggregated + sharing.cost_per_month / HOURS_PER_MONTH * 24.0 * DAYS as f64;
            if request.idle.unwrap().mode() != IdleMode::Hide {
                expected += idle[0];
            }
            let items = client.allocations(request.clone()).await;
            // What is shared within a cluster goes to what is not shared among all, and only where that costs anything.
            let parts: f64 = items.iter().map(total_cost).sum();
            if sharing.tenancy_costs {
                if sharing.namespaces.is_empty() && sharing.labels.is_empty() {
                    assert_close(parts, expected + tenancy, &request);
                } else {
                    assert!(
                        parts <= expected + tenancy + 1e-6 && parts >= expected - 1e-6,
                        "{parts}: {request:?}"
                    );
                }
            } else {
                assert_close(parts, expected, &request);
            }
            if sharing.include_breakdown {
                for item in &items {
                    let parts: f64 = item.shared_costs.iter().map(|part| part.total_cost).sum();
                    let whole = if sharing.tenancy_costs { parts } else { item.shared_cost };
                    assert_close(parts, whole, &(&item.name, &request));
                }
            }
        }
        cluster.stop().await;
    }
}

/// Where the reference does not conserve cost, and the golden answers ask for the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_reference_loses_or_doubles_is_known() {
    let bucket = bucket(1);
    let cluster = TestCluster::start(TestOptions::new(bucket.path())).await.unwrap();
    cluster.refresh_and_wait().await.unwrap();
    let mut client = Client(cluster.query());
    let ask = |mode: IdleMode, filter: &str, namespaces: &[&str]| QueryAllocationsRequest {
        aggregate: vec!["namespace".to_owned()],
        accumulate: Accumulate::All.into(),
        filter: filter.to_owned(),
        idle: Some(Idle {
            mode: mode.into(),
            by_node: false,
            split: false,
        }),
        sharing: Some(Sharing {
            namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
            ..Sharing::default()
        }),
        ..QueryAllocationsRequest::default()
    };
    let filter = "namespace!:\"monitoring\"";
    // With a filter, idle apart and idle shared come to the same …
    let apart = client.total(ask(IdleMode::Separate, filter, &[])).await;
    let shared = client.total(ask(IdleMode::Share, filter, &[])).await;
    assert_close(apart, shared, &"idle with a filter");
    // … but not where allocations are shared too: their idle is kept whole.
    let apart = client.total(ask(IdleMode::Separate, filter, &["kube-system"])).await;
    let shared = client.total(ask(IdleMode::Share, filter, &["kube-system"])).await;
    assert!(apart > shared + 1e-3, "{apart} is not more than {shared}");

    // Where everything is shared, everything is lost.
    let all: HashSet<String> = client
        .allocations(ask(IdleMode::Hide, "", &[]))
        .await
        .into_iter()
        .map(|item| item.name)
        .collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    assert_eq!(client.total(ask(IdleMode::Separate, "", &all)).await, 0.0);
    cluster.stop().await;
}
