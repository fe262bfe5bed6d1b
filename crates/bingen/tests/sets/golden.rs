//! The files that the reference implementation wrote.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bingen::{AllocationSet, AssetDetails, AssetSet, CloudCostSet, EtlPath, Pipeline};

pub(crate) struct GoldenFile {
    pub(crate) path: EtlPath,
    pub(crate) bytes: Vec<u8>,
}

/// All files of the golden bucket, in the order of their paths.
pub(crate) fn golden_files() -> Vec<GoldenFile> {
    let bucket = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/bucket");
    let mut paths = Vec::new();
    collect_files(&bucket, &mut paths);
    paths.sort();
    let parse = |path: PathBuf| GoldenFile {
        path: path.strip_prefix(&bucket).unwrap().to_str().unwrap().parse().unwrap(),
        bytes: fs::read(&path).unwrap(),
    };
    paths.into_iter().map(parse).collect()
}

fn collect_files(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_files(&path, paths);
        } else {
            paths.push(path);
        }
    }
}

#[test]
fn every_file_decodes_and_keeps_its_values_when_written_again() {
    let files = golden_files();
    assert_eq!(files.len(), 310);
    for file in &files {
        let window = bingen::Window::from_unix_seconds(file.path.start, file.path.end);
        match file.path.pipeline {
            Pipeline::Allocations => {
                let set = AllocationSet::decode(&file.bytes).unwrap();
                assert_eq!(set.window, window);
                assert!(!set.allocations.is_empty());
                assert_eq!(AllocationSet::decode(&set.encode().unwrap()).unwrap(), set);
            }
            Pipeline::Assets => {
                let set = AssetSet::decode(&file.bytes).unwrap();
                assert_eq!(set.window, window);
                assert!(!set.assets.is_empty());
                assert_eq!(AssetSet::decode(&set.encode().unwrap()).unwrap(), set);
            }
            Pipeline::CloudCosts => {
                CloudCostSet::decode(&file.bytes).unwrap();
            }
        }
    }
}

/// The daily files of 2026-03-04, of which the reference told every value as JSON.
fn files_of_expected_day(pipeline: Pipeline) -> impl Iterator<Item = GoldenFile> {
    golden_files().into_iter().filter(move |file| {
        file.path.pipeline == pipeline && (file.path.start, file.path.end) == (1_772_582_400, 1_772_668_800)
    })
}

fn expected_entries(name: &str) -> serde_json::Map<String, serde_json::Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/expected")
        .join(name);
    let mut answer: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    match answer["data"][0].take() {
        serde_json::Value::Object(entries) => entries,
        other => panic!("{name} has no set but {other}"),
    }
}

fn assert_close(found: f64, expected: &serde_json::Value, what: &str) {
    let expected = expected.as_f64().unwrap();
    let close = (found - expected).abs() <= f64::max(2e-5, 1e-6 * expected.abs());
    assert!(close, "{what}: {found} instead of {expected}");
}

fn assert_same_map(found: &BTreeMap<String, String>, expected: &serde_json::Value, what: &str) {
    let expected = expected
        .as_object()
        .map(|map| map.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let found = found.iter().map(|(key, value)| (key.as_str(), Some(value.as_str())));
    let expected: BTreeMap<_, _> = expected.into_iter().flatten().collect();
    assert_eq!(found.collect::<BTreeMap<_, _>>(), expected, "{what}");
}

#[test]
fn allocations_have_the_values_the_reference_answers() {
    let expected = expected_entries("alloc-raw-1d.json");
    let mut seen = 0;
    for file in files_of_expected_day(Pipeline::Allocations) {
        for (key, allocation) in AllocationSet::decode(&file.bytes).unwrap().allocations {
            let amounts = &allocation.amounts;
            let properties = allocation.properties.unwrap();
            // The answer names allocations by their properties.
            let name = [
                &properties.cluster,
                &properties.node,
                &properties.namespace,
                &properties.pod,
                &properties.container,
            ]
            .map(String::as_str)
            .join("/");
            let expected = &expected[&name];
            for (field, found) in [
                ("cpuCoreHours", amounts.cpu_core_hours),
                ("cpuCoreRequestAverage", amounts.cpu_core_request_average),
                ("cpuCoreUsageAverage", amounts.cpu_core_usage_average),
                ("cpuCost", amounts.cpu_cost),
                ("cpuCostAdjustment", amounts.cpu_cost_adjustment),
                ("gpuHours", amounts.gpu_hours),
                ("gpuCost", amounts.gpu_cost),
                ("networkTransferBytes", amounts.network_transfer_bytes),
                ("networkReceiveBytes", amounts.network_receive_bytes),
                ("networkCost", amounts.network_cost),
                ("networkCrossZoneCost", amounts.network_cross_zone_cost),
                ("networkInternetCost", amounts.network_internet_cost),
                ("loadBalancerCost", amounts.load_balancer_cost),
                ("ramByteHours", amounts.ram_byte_hours),
                ("ramByteRequestAverage", amounts.ram_bytes_request_average),
                ("ramByteUsageAverage", amounts.ram_bytes_usage_average),
                ("ramCost", amounts.ram_cost),
                ("ramCostAdjustment", amounts.ram_cost_adjustment),
            ] {
                assert_close(found, &expected[field], &format!("{key} {field}"));
            }
            for (pv_key, pv) in &allocation.pvs {
                assert_close(pv.cost, &expected["pvs"][pv_key.to_string()]["cost"], &key);
            }
            for (lb_key, lb) in &allocation.load_balancers {
                assert_close(lb.hours, &expected["lbAllocations"][lb_key]["hours"], &key);
            }
            assert_eq!(allocation.start.to_string(), expected["start"].as_str().unwrap());
            assert_eq!(allocation.end.to_string(), expected["end"].as_str().unwrap());
            let names = &expected["properties"];
            assert_eq!(properties.controller, names["controller"].as_str().unwrap_or_default());
            assert_eq!(properties.provider_id, names["providerID"].as_str().unwrap_or_default());
            assert_same_map(&properties.labels, &names["labels"], &key);
            assert_same_map(&properties.annotations, &names["annotations"], &key);
            assert_same_map(&properties.namespace_labels, &names["namespaceLabels"], &key);
            seen += 1;
        }
    }
    assert_eq!(seen, expected.len());
}

#[test]
fn assets_have_the_values_the_reference_answers() {
    let expected = expected_entries("assets-raw-1d.json");
    let mut seen = 0;
    for file in files_of_expected_day(Pipeline::Assets) {
        for (key, asset) in AssetSet::decode(&file.bytes).unwrap().assets {
            let expected = &expected[&key];
            assert_eq!(asset.kind().as_str(), expected["type"].as_str().unwrap());
            assert_same_map(&asset.labels, &expected["labels"], &key);
            let cost = match &asset.details {
                AssetDetails::Node(node) => {
                    assert_close(node.cpu_cost, &expected["cpuCost"], &key);
                    assert_close(node.ram_byte_hours, &expected["ramByteHours"], &key);
                    assert_eq!(node.node_type, expected["nodeType"].as_str().unwrap());
                    node.gpu_cost + (node.cpu_cost + node.ram_cost) * (1.0 - node.discount)
                }
                AssetDetails::Disk(disk) => {
                    assert_close(disk.byte_hours, &expected["byteHours"], &key);
                    assert_eq!(disk.claim_name, expected["claimName"].as_str().unwrap());
                    asset.cost
                }
                _ => asset.cost,
            };
            assert_close(cost + asset.adjustment, &expected["totalCost"], &key);
            seen += 1;
        }
    }
    assert_eq!(seen, expected.len());
}
