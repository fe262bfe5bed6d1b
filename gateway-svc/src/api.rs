//! The endpoints, one file per family.

mod allocation;
mod asset;
mod autocomplete;
mod cloud_cost;
mod cluster;
mod csv;
pub(crate) mod endpoints;
mod explanation;
mod filter;
mod incoming;
mod json;
mod number;
pub(crate) mod openapi;
mod outgoing;
mod page;
pub(crate) mod reference_page;
mod sets;
mod settings;
pub(crate) mod start_page;
mod status;
mod success;
mod time_range;
