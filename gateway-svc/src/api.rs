//! The endpoints, one file per family.

pub(crate) mod allocation;
mod allocation_json;
pub(crate) mod asset;
mod asset_json;
mod json;
mod sets;
pub(crate) mod start_page;
pub(crate) mod status;
mod time_range;
