//! The endpoints, one file per family.

pub(crate) mod allocation;
mod allocation_json;
pub(crate) mod asset;
mod asset_json;
#[cfg(test)]
mod golden_tests;
mod json;
mod sets;
pub(crate) mod start_page;
pub(crate) mod status;
mod time_range;
