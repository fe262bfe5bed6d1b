//! Reads and writes bingen, the binary format in which OpenCost and Kubecost agents keep their ETL files.
//!
//! Two layers share one reading of the format:
//! - the streaming layer ([`AllocationSetDecoder`], [`AssetSetDecoder`], [`CloudCostSetDecoder`]) lends one reused
//!   record at a time, with every string as a [`Symbol`] into the file's [`StringTable`];
//! - the owned layer ([`AllocationSet`], [`AssetSet`], [`CloudCostSet`]) holds whole sets, for tests and tools.
//!
//! ```
//! # fn read(bytes: &[u8]) -> Result<f64, bingen::DecodeError> {
//! let mut decoder = bingen::AllocationSetDecoder::new(bytes)?;
//! let mut cpu_cost = 0.0;
//! while let Some(allocation) = decoder.next()? {
//!     cpu_cost += allocation.amounts.cpu_cost;
//! }
//! let finished = decoder.finish()?;
//! println!("{} {cpu_cost}", finished.strings.resolve(finished.envelope.from_source));
//! # Ok(cpu_cost)
//! # }
//! ```
//!
//! Values are f64 in the units the writer used: cores, bytes, hours and the currency of the cluster. Times are UTC.

mod allocation;
mod asset;
mod cloud_cost;
mod error;
mod input;
mod output;
mod owned;
pub mod path;
mod set;
mod strings;
mod time;
mod version;

pub use allocation::amounts::AllocationAmounts;
pub use allocation::gpu::{GpuAllocation, GpuAllocationRecord};
pub use allocation::owned::{Allocation, AllocationProperties, AllocationSet, LbAllocation, PvAllocation, PvKey};
pub use allocation::record::{
    AllocationPropertiesRecord, AllocationRecord, AllocationSetEnvelope, LbRecord, PvRecord, RawAllocationOnly,
};
pub use asset::details::{
    AssetDetails, AssetKind, AssetProperties, Breakdown, DiskDetails, LoadBalancerDetails, NodeDetails, NodeOverhead,
};
pub use asset::owned::{Asset, AssetSet};
pub use asset::record::{AssetRecord, AssetSetEnvelope};
pub use cloud_cost::owned::{CloudCost, CloudCostSet};
pub use cloud_cost::record::{CloudCostProperties, CloudCostRecord, CloudCostSetEnvelope, CostMetric};
pub use error::{DecodeError, EncodeError};
pub use path::{EtlPath, PathError, Pipeline, Resolution};
pub use set::{EncodeOptions, Finished, SetDecoder, SetEncoder, SetRecord};
pub use strings::{StringTable, Symbol};
pub use time::{Timestamp, Window};
pub use version::{ALLOCATION_VERSIONS, ASSET_VERSIONS, CLOUD_COST_VERSIONS};

/// Lends the allocations of an allocation set, one by one.
pub type AllocationSetDecoder<'a> = SetDecoder<'a, AllocationRecord>;
/// Lends the assets of an asset set, one by one.
pub type AssetSetDecoder<'a> = SetDecoder<'a, AssetRecord>;
/// Lends the costs of a cloud-cost set, one by one.
pub type CloudCostSetDecoder<'a> = SetDecoder<'a, CloudCostRecord>;
/// Writes an allocation set, one allocation at a time.
pub type AllocationSetEncoder<'a> = SetEncoder<'a, AllocationRecord>;
/// Writes an asset set, one asset at a time.
pub type AssetSetEncoder<'a> = SetEncoder<'a, AssetRecord>;
/// Writes a cloud-cost set, one cost at a time.
pub type CloudCostSetEncoder<'a> = SetEncoder<'a, CloudCostRecord>;
