//! Cycles over a bucket in memory.

mod bad_files;
mod crash;
mod model;
mod reconciliation;
mod releases;
mod repair;
mod world;
