//! Reconciliation and figures on the quality of data, against cases that were computed by hand.

use std::collections::BTreeMap;

use arrow::{array::AsArray as _, datatypes::Float64Type};
use bingen::{
    Allocation, AllocationAmounts, AllocationProperties, AllocationSet, Asset, AssetDetails, AssetProperties, AssetSet,
    DiskDetails, LbAllocation, LoadBalancerDetails, NodeDetails, Pipeline, PvAllocation, PvKey, Window,
};
use chrono::TimeDelta;
use lake::TableName;
use serde::Deserialize;

use super::world::{DAY, FIRST_DAY, World, path};

const CASES: [&str; 5] = [
    include_str!("reconciliation/nodes.json"),
    include_str!("reconciliation/by_id_then_name.json"),
    include_str!("reconciliation/done_by_the_agent.json"),
    include_str!("reconciliation/volumes_and_balancers.json"),
    include_str!("reconciliation/more_than_there_is.json"),
];

/// One cluster on one day. Costs are before their adjustment.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    what: String,
    assets: Vec<CaseAsset>,
    allocations: Vec<CaseAllocation>,
    /// Adjustments by allocation.
    expected: BTreeMap<String, Adjustments>,
    figures: BTreeMap<String, f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseAsset {
    r#type: String,
    name: String,
    #[serde(default)]
    id: String,
    cost: f64,
    #[serde(default)]
    adjustment: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct CaseAllocation {
    name: String,
    node: String,
    id: String,
    cpu: f64,
    gpu: f64,
    ram: f64,
    volumes: Vec<CaseItem>,
    balancers: Vec<CaseItem>,
    /// What the agent has adjusted already.
    agent: Adjustments,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseItem {
    name: String,
    #[serde(default)]
    id: String,
    cost: f64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
struct Adjustments {
    cpu: f64,
    gpu: f64,
    ram: f64,
    volumes: f64,
    balancers: f64,
}

const WINDOW: Window = Window::from_unix_seconds(FIRST_DAY, FIRST_DAY + DAY);

fn asset(case: &CaseAsset) -> Asset {
    let (cost, details) = match case.r#type.as_str() {
        "Node" => {
            let node = NodeDetails {
                cpu_cost: case.cost,
                ..NodeDetails::default()
            };
            (0.0, AssetDetails::Node(node))
        }
        "Disk" => (case.cost, AssetDetails::Disk(DiskDetails::default())),
        "LoadBalancer" => (case.cost, AssetDetails::LoadBalancer(LoadBalancerDetails::default())),
        other => panic!("{other} is no kind of asset of these cases"),
    };
    Asset {
        properties: Some(AssetProperties {
            cluster: "a".to_owned(),
            name: case.name.clone(),
            provider_id: case.id.clone(),
            ..AssetProperties::default()
        }),
        window: WINDOW,
        adjustment: case.adjustment,
        cost,
        details,
        ..Asset::default()
    }
}

fn allocation(case: &CaseAllocation) -> Allocation {
    let volumes = case.volumes.iter().map(|volume| {
        let key = PvKey {
            cluster: "a".to_owned(),
            name: volume.name.clone(),
        };
        let used = PvAllocation {
            cost: volume.cost,
            provider_id: volume.id.clone(),
            ..PvAllocation::default()
        };
        (key, used)
    });
    let balancers = case.balancers.iter().map(|balancer| {
        let used = LbAllocation {
            service: balancer.name.clone(),
            cost: balancer.cost,
            ..LbAllocation::default()
        };
        (format!("a/{}", balancer.name), used)
    });
    Allocation {
        name: case.name.clone(),
        properties: Some(AllocationProperties {
            cluster: "a".to_owned(),
            node: case.node.clone(),
            provider_id: case.id.clone(),
            namespace: "web".to_owned(),
            pod: case.name.clone(),
            container: "main".to_owned(),
            ..AllocationProperties::default()
        }),
        window: WINDOW,
        amounts: AllocationAmounts {
            cpu_cost: case.cpu,
            gpu_cost: case.gpu,
            ram_cost: case.ram,
            load_balancer_cost: case.balancers.iter().map(|balancer| balancer.cost).sum(),
            cpu_cost_adjustment: case.agent.cpu,
            gpu_cost_adjustment: case.agent.gpu,
            ram_cost_adjustment: case.agent.ram,
            pv_cost_adjustment: case.agent.volumes,
            load_balancer_cost_adjustment: case.agent.balancers,
            ..AllocationAmounts::default()
        },
        pvs: volumes.collect(),
        load_balancers: balancers.collect(),
        ..Allocation::default()
    }
}

async fn put(world: &World, case: &Case) {
    let assets = AssetSet {
        assets: case
            .assets
            .iter()
            .map(|case| (format!("{}/{}", case.r#type, case.name), asset(case)))
            .collect(),
        window: WINDOW,
        ..AssetSet::default()
    };
    let allocations = AllocationSet {
        allocations: case
            .allocations
            .iter()
            .map(|case| (case.name.clone(), allocation(case)))
            .collect(),
        window: WINDOW,
        ..AllocationSet::default()
    };
    world
        .put(&path("a", Pipeline::Assets, FIRST_DAY), assets.encode().unwrap())
        .await;
    world
        .put(
            &path("a", Pipeline::Allocations, FIRST_DAY),
            allocations.encode().unwrap(),
        )
        .await;
}

/// Adjustments in a released table, by the values of a column.
async fn adjustments(world: &World, table: TableName, column: &str) -> BTreeMap<String, Adjustments> {
    let (lake, release) = (world.lake(), world.release().await.unwrap());
    let state = lake.table_at(table, release.tables[&table].version).await.unwrap();
    let mut found: BTreeMap<String, Adjustments> = BTreeMap::new();
    for file in &state.files {
        for batch in lake.read_file(table, file).await.unwrap() {
            let names = batch.column_by_name(column).unwrap().as_string_view();
            for row in 0..batch.num_rows() {
                let value = |name: &str| {
                    let column = batch.column_by_name(&format!("{name}_cost_adjustment")).unwrap();
                    column.as_primitive::<Float64Type>().value(row)
                };
                let sum = found.entry(names.value(row).to_owned()).or_default();
                sum.cpu += value("cpu");
                sum.gpu += value("gpu");
                sum.ram += value("ram");
                sum.volumes += value("pv");
                sum.balancers += value("load_balancer");
            }
        }
    }
    found
}

fn values(of: &Adjustments) -> [f64; 5] {
    [of.cpu, of.gpu, of.ram, of.volumes, of.balancers]
}

fn is_equal(found: &Adjustments, wanted: &Adjustments) -> bool {
    let pairs = values(found).into_iter().zip(values(wanted));
    pairs.into_iter().all(|(found, wanted)| (found - wanted).abs() < 1e-9)
}

#[tokio::test(flavor = "multi_thread")]
async fn hand_computed_cases() {
    for text in CASES {
        let case: Case = serde_json::from_str(text).unwrap();
        let world = World::new();
        put(&world, &case).await;
        let status = world.ingest().cycle(world.now).await.unwrap();

        let found = adjustments(&world, TableName::Allocations, "pod").await;
        assert_eq!(found.len(), case.allocations.len(), "{}", case.what);
        for (name, found) in &found {
            let wanted = case.expected.get(name).copied().unwrap_or_default();
            assert!(
                is_equal(found, &wanted),
                "{}: {name}: {found:?}, not {wanted:?}",
                case.what
            );
        }
        let sums = adjustments(&world, TableName::AllocationsByNamespace, "namespace").await;
        let total: f64 = case.expected.values().flat_map(values).sum();
        let of_namespace: f64 = values(&sums["web"]).into_iter().sum();
        assert!((of_namespace - total).abs() < 1e-9, "{}: {of_namespace}", case.what);

        let known = &status.files[path("a", Pipeline::Allocations, FIRST_DAY).as_ref()];
        for (name, wanted) in &case.figures {
            let found = known.figures[name];
            assert!(
                (found - wanted).abs() < 1e-9,
                "{}: {name}: {found}, not {wanted}",
                case.what
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_that_come_later_adjust_allocations_that_are_there() {
    let mut world = World::new();
    let mut case: Case = serde_json::from_str(CASES[0]).unwrap();
    let assets = std::mem::take(&mut case.assets);
    put(&world, &case).await;
    let mut running = world.ingest();
    running.cycle(world.now).await.unwrap();
    let before = adjustments(&world, TableName::Allocations, "pod").await;
    assert!(
        before.values().all(|found| *found == Adjustments::default()),
        "{before:?}"
    );

    case.assets = assets;
    let set = AssetSet {
        assets: case
            .assets
            .iter()
            .map(|case| (case.name.clone(), asset(case)))
            .collect(),
        window: WINDOW,
        ..AssetSet::default()
    };
    world
        .put(&path("a", Pipeline::Assets, FIRST_DAY), set.encode().unwrap())
        .await;
    let now = world.later(TimeDelta::minutes(10));
    assert_eq!(running.cycle(now).await.unwrap().progress.files_read, 2);
    let after = adjustments(&world, TableName::Allocations, "pod").await;
    for (name, wanted) in &case.expected {
        assert!(is_equal(&after[name], wanted), "{name}: {:?}", after[name]);
    }
}
