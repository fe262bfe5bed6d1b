//! The versions of each type that this crate knows.

use std::ops::RangeInclusive;

/// The versions of allocation sets that can be read and written.
pub const ALLOCATION_VERSIONS: RangeInclusive<u8> = 15..=25;
/// The versions of asset sets that can be read and written.
pub const ASSET_VERSIONS: RangeInclusive<u8> = 15..=21;
/// The versions of cloud-cost sets that can be read and written.
pub const CLOUD_COST_VERSIONS: RangeInclusive<u8> = 2..=3;

// A window has had the same fields in every version, so old ones need no floor.
const WINDOW_VERSIONS: RangeInclusive<u8> = 0..=18;
/// The version of windows that readers of older sets know. Version 18 has the same bytes.
pub(crate) const OLDER_WINDOW: u8 = 17;

/// A versioned type of the format.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    pub(crate) name: &'static str,
    pub(crate) oldest: u8,
    pub(crate) newest: u8,
}

impl Format {
    const fn new(name: &'static str, versions: RangeInclusive<u8>) -> Self {
        Self {
            name,
            oldest: *versions.start(),
            newest: *versions.end(),
        }
    }

    pub(crate) fn supports(self, version: u8) -> bool {
        (self.oldest..=self.newest).contains(&version)
    }
}

pub(crate) const WINDOW: Format = Format::new("Window", WINDOW_VERSIONS);

pub(crate) const ALLOCATION_SET: Format = Format::new("AllocationSet", ALLOCATION_VERSIONS);
pub(crate) const ALLOCATION: Format = Format::new("Allocation", ALLOCATION_VERSIONS);
pub(crate) const ALLOCATION_PROPERTIES: Format = Format::new("AllocationProperties", ALLOCATION_VERSIONS);
pub(crate) const PV_KEY: Format = Format::new("PVKey", ALLOCATION_VERSIONS);
pub(crate) const PV_ALLOCATION: Format = Format::new("PVAllocation", ALLOCATION_VERSIONS);
pub(crate) const LB_ALLOCATION: Format = Format::new("LbAllocation", ALLOCATION_VERSIONS);
pub(crate) const RAW_ALLOCATION_ONLY: Format = Format::new("RawAllocationOnlyData", ALLOCATION_VERSIONS);
pub(crate) const GPU_ALLOCATION: Format = Format::new("GPUAllocation", ALLOCATION_VERSIONS);

pub(crate) const ASSET_SET: Format = Format::new("AssetSet", ASSET_VERSIONS);
pub(crate) const ASSET_PROPERTIES: Format = Format::new("AssetProperties", ASSET_VERSIONS);
pub(crate) const ANY: Format = Format::new("Any", ASSET_VERSIONS);
pub(crate) const CLOUD: Format = Format::new("Cloud", ASSET_VERSIONS);
pub(crate) const CLUSTER_MANAGEMENT: Format = Format::new("ClusterManagement", ASSET_VERSIONS);
pub(crate) const DISK: Format = Format::new("Disk", ASSET_VERSIONS);
pub(crate) const LOAD_BALANCER: Format = Format::new("LoadBalancer", ASSET_VERSIONS);
pub(crate) const NETWORK: Format = Format::new("Network", ASSET_VERSIONS);
pub(crate) const NODE: Format = Format::new("Node", ASSET_VERSIONS);
pub(crate) const SHARED_ASSET: Format = Format::new("SharedAsset", ASSET_VERSIONS);
pub(crate) const BREAKDOWN: Format = Format::new("Breakdown", ASSET_VERSIONS);
pub(crate) const NODE_OVERHEAD: Format = Format::new("NodeOverhead", ASSET_VERSIONS);

pub(crate) const CLOUD_COST_SET: Format = Format::new("CloudCostSet", CLOUD_COST_VERSIONS);
pub(crate) const CLOUD_COST: Format = Format::new("CloudCost", CLOUD_COST_VERSIONS);
pub(crate) const CLOUD_COST_PROPERTIES: Format = Format::new("CloudCostProperties", CLOUD_COST_VERSIONS);
pub(crate) const COST_METRIC: Format = Format::new("CostMetric", CLOUD_COST_VERSIONS);
