//! The made-up files are the same each time, readable, and make sense together.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::collections::{BTreeMap, HashSet};

use bingen::{Allocation, AllocationSet, AssetDetails, AssetKind, AssetSet, EtlPath, Pipeline, Resolution, Timestamp};
use demo_data::{DemoError, DemoPlan, Summary, bucket, generate};

const DAY: i64 = 86_400;
/// 2026-03-09T00:00:00Z, a Monday.
const MIDNIGHT: i64 = 1_773_014_400;

fn plan() -> DemoPlan {
    DemoPlan {
        clusters: 5,
        nodes: 24,
        pods_per_node: 10,
        days: 7,
        hours: 26,
        end: MIDNIGHT,
        seed: 3,
    }
}

fn files(plan: &DemoPlan) -> (BTreeMap<EtlPath, Vec<u8>>, Summary) {
    let mut files = BTreeMap::new();
    let mut sink = |path: String, bytes| {
        assert!(files.insert(path.parse().unwrap(), bytes).is_none(), "{path} twice");
        Ok(())
    };
    let summary = generate(plan, &mut sink, &mut |_| {}).unwrap();
    (files, summary)
}

/// The decoded sets of each cluster and window.
fn sets(plan: &DemoPlan) -> Vec<(EtlPath, AllocationSet, AssetSet)> {
    let (files, _) = files(plan);
    let allocations = files.iter().filter(|(path, _)| path.pipeline == Pipeline::Allocations);
    allocations
        .map(|(path, bytes)| {
            let assets = &files[&EtlPath {
                pipeline: Pipeline::Assets,
                ..path.clone()
            }];
            (
                path.clone(),
                AllocationSet::decode(bytes).unwrap(),
                AssetSet::decode(assets).unwrap(),
            )
        })
        .collect()
}

#[test]
fn the_same_plan_gives_the_same_bytes() {
    let (first, summary) = files(&plan());
    let (second, again) = files(&plan());
    assert!(first == second);
    assert_eq!(summary, again);
    assert_eq!(summary.files, plan().files());
    assert_eq!(summary.files, first.len());
    assert_eq!(
        summary.bytes,
        first.values().map(|bytes| bytes.len() as u64).sum::<u64>()
    );
    let (other, _) = files(&DemoPlan { seed: 4, ..plan() });
    assert!(first != other);
}

#[test]
fn a_day_that_has_passed_is_the_same_in_later_plans() {
    let (first, _) = files(&plan());
    let (later, _) = files(&DemoPlan {
        end: MIDNIGHT + 2 * DAY + 40_000,
        ..plan()
    });
    let shared: Vec<_> = first.keys().filter(|path| later.contains_key(path)).collect();
    // Of seven days and of the day that has begun, five are in both; the hours are all different.
    assert_eq!(shared.len(), 2 * 5 * 4);
    assert!(shared.into_iter().all(|path| first[path] == later[path]));
}

#[test]
fn windows_follow_each_other_up_to_the_end() {
    let (files, _) = files(&plan());
    for resolution in Resolution::ALL {
        let starts: Vec<i64> = files
            .keys()
            .filter(|path| path.resolution == resolution && path.cluster == "staging")
            .filter(|path| path.pipeline == Pipeline::Assets)
            .map(|path| path.start)
            .collect();
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == resolution.seconds()));
        assert_eq!(*starts.last().unwrap() + resolution.seconds(), MIDNIGHT);
        let expected = if resolution == Resolution::Daily { 7 } else { 26 };
        assert_eq!(starts.len(), expected);
    }
}

#[test]
fn the_day_that_runs_holds_what_has_passed_of_it() {
    let end = MIDNIGHT + 13 * 3_600 + 1_234;
    let plan = DemoPlan {
        days: 2,
        hours: 2,
        end,
        ..plan()
    };
    let now = Timestamp::from_unix_seconds(end);
    let mut running = 0;
    for (path, allocations, assets) in sets(&plan) {
        let bound = Timestamp::from_unix_seconds(path.end.min(end));
        assert!(!allocations.allocations.is_empty());
        assert!(
            allocations
                .allocations
                .values()
                .all(|allocation| allocation.end <= bound)
        );
        let ends = assets
            .assets
            .values()
            .filter(|asset| asset.kind() == AssetKind::Disk)
            .map(|asset| asset.end);
        assert_eq!(ends.max(), Some(bound));
        running += usize::from(bound == now);
    }
    assert_eq!(running, 2 * plan.clusters);
}

#[test]
fn allocations_are_named_and_placed_as_agents_do() {
    for (path, set, _) in sets(&plan()) {
        for (key, allocation) in &set.allocations {
            let properties = allocation.properties.as_ref().unwrap();
            assert_eq!(key, &allocation.name);
            assert_eq!(properties.cluster, path.cluster);
            assert_eq!(allocation.window, set.window);
            let (start, end) = (set.window.start.unwrap(), set.window.end.unwrap());
            assert!(
                start <= allocation.start && allocation.start < allocation.end && allocation.end <= end,
                "{key}"
            );
            let names = if properties.pod == "__unmounted__" {
                vec![
                    &properties.cluster,
                    &properties.namespace,
                    &properties.pod,
                    &properties.container,
                ]
            } else {
                assert!(
                    !properties.labels.is_empty() && !properties.provider_id.is_empty(),
                    "{key}"
                );
                vec![
                    &properties.cluster,
                    &properties.node,
                    &properties.namespace,
                    &properties.pod,
                    &properties.container,
                ]
            };
            assert_eq!(
                key,
                &names.into_iter().map(String::as_str).collect::<Vec<_>>().join("/")
            );
            assert!(key.len() < 300);
        }
    }
}

#[derive(Default)]
struct Cost {
    cpu: f64,
    ram: f64,
    gpu: f64,
}

fn cost_by_node(set: &AllocationSet) -> BTreeMap<&str, Cost> {
    let mut costs = BTreeMap::<&str, Cost>::new();
    for allocation in set.allocations.values() {
        let cost = costs
            .entry(&allocation.properties.as_ref().unwrap().provider_id)
            .or_default();
        let amounts = &allocation.amounts;
        cost.cpu += amounts.cpu_cost + amounts.cpu_cost_adjustment;
        cost.ram += amounts.ram_cost + amounts.ram_cost_adjustment;
        cost.gpu += amounts.gpu_cost + amounts.gpu_cost_adjustment;
    }
    costs
}

#[test]
fn nodes_cost_more_than_what_runs_on_them() {
    for (path, allocations, assets) in sets(&plan()) {
        let costs = cost_by_node(&allocations);
        let mut nodes = HashSet::new();
        for (key, asset) in &assets.assets {
            let AssetDetails::Node(node) = &asset.details else {
                continue;
            };
            let provider_id = asset.properties.as_ref().unwrap().provider_id.as_str();
            assert!(nodes.insert(provider_id), "{key}");
            let (cpu, ram) = (
                node.cpu_cost * (1.0 - node.discount),
                node.ram_cost * (1.0 - node.discount),
            );
            // The adjustment falls on all resources alike.
            let rate = 1.0 + asset.adjustment / (cpu + ram + node.gpu_cost);
            let Some(allocated) = costs.get(provider_id) else {
                continue;
            };
            assert!(
                allocated.cpu <= cpu * rate,
                "{path} {key}: {} of {}",
                allocated.cpu,
                cpu * rate
            );
            assert!(
                allocated.ram <= ram * rate,
                "{path} {key}: {} of {}",
                allocated.ram,
                ram * rate
            );
            assert!(allocated.gpu <= node.gpu_cost * rate * (1.0 + 1e-9), "{path} {key}");
            for breakdown in [node.cpu_breakdown.unwrap(), node.ram_breakdown.unwrap()] {
                let sum = breakdown.idle + breakdown.system + breakdown.other + breakdown.user;
                assert!((1.0..1.06).contains(&(sum + 1e-9)), "{key}: {breakdown:?}");
            }
        }
        for provider_id in costs.keys().filter(|id| !id.is_empty()) {
            assert!(nodes.contains(provider_id), "{path} has no node {provider_id}");
        }
    }
}

#[test]
fn volumes_and_load_balancers_agree_with_their_assets() {
    let mut mounted = 0;
    for (_, allocations, assets) in sets(&plan()) {
        let mut costs = BTreeMap::new();
        for asset in assets.assets.values() {
            costs.insert(asset.properties.as_ref().unwrap().name.as_str(), asset.cost);
        }
        let mut shared = BTreeMap::<&str, f64>::new();
        for (key, allocation) in &allocations.allocations {
            for (pv_key, pv) in &allocation.pvs {
                assert!((pv.cost - costs[pv_key.name.as_str()]).abs() < 1e-9, "{key}");
                mounted += 1;
            }
            for load_balancer in allocation.load_balancers.values() {
                *shared.entry(&load_balancer.service).or_default() += load_balancer.cost;
            }
            let sum: f64 = allocation
                .load_balancers
                .values()
                .map(|load_balancer| load_balancer.cost)
                .sum();
            assert!((allocation.amounts.load_balancer_cost - sum).abs() < 1e-12);
        }
        assert!(shared.iter().all(|(service, cost)| *cost <= costs[service] + 1e-9));
    }
    assert!(mounted > 100);
}

#[test]
fn the_hours_of_a_day_add_up_to_it() {
    let plan = DemoPlan {
        days: 1,
        hours: 24,
        ..plan()
    };
    let mut daily = BTreeMap::<String, f64>::new();
    let mut hourly = BTreeMap::<String, f64>::new();
    for (path, allocations, assets) in sets(&plan) {
        let sums = if path.resolution == Resolution::Daily {
            &mut daily
        } else {
            &mut hourly
        };
        let mut add = |what: &str, value: f64| {
            *sums.entry(format!("{} {what}", path.cluster)).or_default() += value;
        };
        for allocation in allocations.allocations.values() {
            let Allocation { amounts, pvs, .. } = allocation;
            add("cpu", amounts.cpu_cost);
            add("ram", amounts.ram_cost);
            add("gpu", amounts.gpu_cost);
            add("volumes", pvs.values().map(|pv| pv.cost).sum());
            add("load balancers", amounts.load_balancer_cost);
            add("network", amounts.network_cost);
        }
        for asset in assets.assets.values() {
            let cost = match &asset.details {
                AssetDetails::Node(node) => node.cpu_cost + node.gpu_cost + node.ram_cost,
                _ => asset.cost,
            };
            add(asset.kind().as_str(), cost);
        }
    }
    assert!(daily.len() > 40);
    for (what, day) in daily {
        let hours = hourly[&what];
        assert!(
            (hours - day).abs() <= 0.05 * day + 1e-9,
            "{what}: {hours} in hours, {day} in the day"
        );
    }
}

#[test]
fn clusters_have_the_variety_of_real_ones() {
    let sets = sets(&plan());
    let days: Vec<_> = sets
        .iter()
        .filter(|(path, ..)| path.resolution == Resolution::Daily)
        .collect();
    let clusters: HashSet<_> = days.iter().map(|(path, ..)| path.cluster.as_str()).collect();
    assert_eq!(clusters.len(), 5);
    let mut providers = HashSet::new();
    let mut kinds = HashSet::new();
    let (mut spot, mut gpus, mut adjusted) = (0, 0, 0);
    for asset in days.iter().flat_map(|(_, _, assets)| assets.assets.values()) {
        providers.insert(asset.properties.as_ref().unwrap().provider.as_str());
        kinds.insert(asset.kind());
        adjusted += usize::from(asset.adjustment != 0.0);
        if let AssetDetails::Node(node) = &asset.details {
            spot += usize::from(node.preemptible == 1.0);
            gpus += usize::from(node.gpu_count > 0.0);
        }
    }
    assert_eq!(providers.len(), 4);
    assert_eq!(kinds.len(), 5);
    assert!(spot > 0 && gpus > 0 && adjusted > 0, "{spot} {gpus} {adjusted}");

    let properties = days
        .iter()
        .flat_map(|(_, allocations, _)| allocations.allocations.values())
        .map(|allocation| allocation.properties.as_ref().unwrap());
    let controllers: HashSet<_> = properties
        .clone()
        .map(|properties| properties.controller_kind.as_str())
        .collect();
    assert_eq!(
        controllers,
        ["", "deployment", "statefulset", "daemonset", "job"].into()
    );
    let namespaces: HashSet<_> = properties
        .clone()
        .map(|properties| properties.namespace.as_str())
        .collect();
    assert!(namespaces.len() > 10 && namespaces.contains("__unmounted__"));
    assert!(
        properties
            .clone()
            .any(|properties| properties.controller.contains("-pr-"))
    );

    // Pods come and go: some of the first day are there on the last, but not all.
    let pods = |day: usize| {
        let (_, allocations, _) = days
            .iter()
            .filter(|(path, ..)| path.cluster == "prod-us-east")
            .nth(day)
            .unwrap();
        let pods = allocations
            .allocations
            .values()
            .map(|allocation| allocation.properties.as_ref().unwrap());
        pods.map(|properties| properties.pod.clone()).collect::<HashSet<_>>()
    };
    let (first, last) = (pods(0), pods(6));
    let stayed = first.intersection(&last).count();
    assert!(
        stayed > first.len() / 10 && stayed < first.len() * 9 / 10,
        "{stayed} of {}",
        first.len()
    );
}

#[test]
fn a_bucket_on_disk_holds_every_file_whole() {
    let folder = tempfile::tempdir().unwrap();
    let plan = DemoPlan {
        clusters: 2,
        nodes: 2,
        pods_per_node: 3,
        days: 2,
        hours: 1,
        ..plan()
    };
    let mut last = Summary::default();
    let summary = bucket::write_bucket(folder.path(), &plan, &mut |progress| last = *progress).unwrap();
    assert_eq!(summary, last);
    // A second time replaces what is there.
    bucket::write_bucket(folder.path(), &plan, &mut |_| {}).unwrap();
    let (files, _) = files(&plan);
    assert_eq!(summary.files, files.len());
    for (path, bytes) in &files {
        assert!(std::fs::read(folder.path().join(path.to_string())).unwrap() == *bytes);
        let siblings = std::fs::read_dir(folder.path().join(path.to_string()).parent().unwrap())
            .unwrap()
            .count();
        assert_eq!(siblings, if path.resolution == Resolution::Daily { 2 } else { 1 });
    }
}

#[test]
fn a_sink_that_fails_ends_it() {
    let mut taken = 0;
    let mut sink = |_, _| {
        taken += 1;
        if taken < 4 {
            Ok(())
        } else {
            Err("the disk is full".into())
        }
    };
    let error = generate(&plan(), &mut sink, &mut |_| {}).unwrap_err();
    assert!(
        matches!(&error, DemoError::Sink { path, .. } if path.starts_with("federated/")),
        "{error}"
    );
    assert_eq!(taken, 4);
}

#[test]
fn plans_without_sense_are_refused() {
    let error = |plan: DemoPlan| generate(&plan, &mut |_, _| Ok(()), &mut |_| {}).unwrap_err();
    let message = error(DemoPlan { nodes: 0, ..plan() }).to_string();
    assert_eq!(message, "nodes is 0, but must be from 1 to 10000");
    assert!(matches!(
        error(DemoPlan {
            days: 0,
            hours: 0,
            ..plan()
        }),
        DemoError::NothingAsked
    ));
    assert!(matches!(
        error(DemoPlan { end: 1_000, ..plan() }),
        DemoError::EndOutOfRange { end: 1_000 }
    ));
    assert!(matches!(
        error(DemoPlan {
            end: i64::MIN,
            ..plan()
        }),
        DemoError::EndOutOfRange { .. }
    ));
    assert!(matches!(
        error(DemoPlan {
            end: i64::MAX,
            ..plan()
        }),
        DemoError::EndOutOfRange { .. }
    ));
}
