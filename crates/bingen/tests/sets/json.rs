//! The owned types as JSON, with the names the reference's own JSON uses for the same things.

use bingen::{AllocationSet, AssetSet, Pipeline};

use crate::golden::golden_files;

#[test]
fn sets_are_written_as_json() {
    let files = golden_files();
    let first = |pipeline| files.iter().find(|file| file.path.pipeline == pipeline).unwrap();

    let allocations = AllocationSet::decode(&first(Pipeline::Allocations).bytes).unwrap();
    let json = serde_json::to_value(&allocations).unwrap();
    for (key, allocation) in &allocations.allocations {
        let found = &json["allocations"][key];
        assert_eq!(found["cpuCost"], allocation.amounts.cpu_cost);
        assert_eq!(
            found["properties"]["providerID"],
            allocation.properties.as_ref().unwrap().provider_id
        );
        assert_eq!(found["start"], allocation.start.to_string());
        for (pv_key, pv) in &allocation.pvs {
            assert_eq!(
                found["pvs"][format!("cluster={}:name={}", pv_key.cluster, pv_key.name)]["cost"],
                pv.cost
            );
        }
    }

    let assets = AssetSet::decode(&first(Pipeline::Assets).bytes).unwrap();
    let json = serde_json::to_value(&assets).unwrap();
    for (key, asset) in &assets.assets {
        assert_eq!(json["assets"][key]["type"], asset.kind().as_str());
        assert_eq!(json["assets"][key]["cost"], asset.cost);
    }
}
