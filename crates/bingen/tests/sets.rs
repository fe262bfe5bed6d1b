//! Whole sets: the golden files of the reference, generated sets in every version, and damaged files.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

#[path = "sets/damage.rs"]
mod damage;
#[path = "sets/errors.rs"]
mod errors;
#[path = "sets/generate.rs"]
mod generate;
#[path = "sets/golden.rs"]
mod golden;
#[cfg(feature = "serde")]
#[path = "sets/json.rs"]
mod json;
#[path = "sets/round_trip.rs"]
mod round_trip;
#[path = "sets/versions.rs"]
mod versions;

/// Tells how much memory the tests hold at most, so that a damaged file cannot ask for more than it is worth.
#[global_allocator]
static MEMORY: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;
