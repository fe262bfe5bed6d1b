//! What ingest is doing, what it has read, what is missing, and having it read again.

mod coverage;
mod diagnostics;
mod records;
mod releases;
mod repair;

pub(crate) use self::{
    coverage::{MultiCluster, Summary, multicluster, summary},
    diagnostics::{Figures, each as figures},
    records::{Orchestrator, Record, orchestrator, records},
    releases::{Releases, releases},
    repair::{allocations as repair_allocations, assets as repair_assets},
};
