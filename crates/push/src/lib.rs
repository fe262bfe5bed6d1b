//! Uploads the ETL files of a federated cluster through the storage gateway.
//!
//! A [`Pusher`] runs beside a cluster's cost agent. It looks through the agent's local ETL folder again and again and
//! uploads what is new or changed to `federated/<cluster id>/etl/bingen/…`; the cluster id is that of its
//! certificate, by which the gateway lets it write there and nowhere else. The bucket's credentials stay with the
//! gateway.
//!
//! What it promises:
//! - A file is uploaded only when it has not changed for a while, was read as it was looked at, and decodes to its
//!   end. An agent that is still writing, or that crashed while it did, damages nothing in the bucket.
//! - Each upload is proved: the gateway compares the SHA-256 before it makes the object visible.
//! - A restart goes on where the last run stopped. What was uploaded is noted in a state file; without that file, the
//!   bucket's listing and the checksums stored with the objects tell.
//! - Two pushers of one cluster id do not overwrite each other's files: one of them holds a lease, and the other
//!   reports it and stands by.
//! - Memory is bounded, whatever the folder holds: see [`Limits`].

mod config;
mod cycle;
mod failure;
mod lease;
mod pusher;
mod read;
mod scan;
mod state;
mod upload;

pub use self::{
    config::{Limits, Options},
    cycle::CycleReport,
    lease::{Holder, LEASE_FILE},
    pusher::{PushError, Pusher},
    scan::ScanError,
    state::STATE_FILE,
};
