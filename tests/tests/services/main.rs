//! The real services, asked as users ask them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests are not marked as tests"
)]

mod access;
mod asking;
mod bucket;
mod clients;
mod conservation;
mod crash;
mod features;
mod golden;
mod ingest;
mod made_up_requests;
mod many_rows;
mod metrics;
mod network;
mod operations;
mod processes;
mod query_api;
mod releases;
