//! The gateway over real HTTP.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not marked as tests")]

mod alone;
mod answers;
mod clients;
mod scripted;
mod support;
