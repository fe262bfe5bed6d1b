//! Whole sets: the golden files of the reference, generated sets in every version, and damaged files.

#[path = "sets/golden.rs"]
mod golden;
