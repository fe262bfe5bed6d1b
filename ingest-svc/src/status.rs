//! What ingest is doing, for logs and for whoever asks.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use lake::Release;
use tokio::sync::watch;

use crate::ingest::SourceFile;

/// What ingest does now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Waits for the next cycle.
    #[default]
    Idle,
    /// Lists the bucket.
    Finding,
    /// Reads, decodes and writes tables.
    Ingesting,
    /// Commits the tables and publishes the release.
    Publishing,
}

/// Files and bytes of a cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// ETL files listed.
    pub files_found: u64,
    /// Files that are new or changed.
    pub files_to_read: u64,
    /// Of these, read and decoded.
    pub files_read: u64,
    /// Of these, set aside since they could not be read.
    pub files_failed: u64,
    /// Of these, read though something in them is odd.
    pub files_with_warnings: u64,
    /// Files that left the bucket or the retention period.
    pub files_removed: u64,
    /// Bytes to be read.
    pub bytes_to_read: u64,
    /// Of these, read.
    pub bytes_read: u64,
    /// Base rows decoded.
    pub rows: u64,
    /// Day partitions to be written.
    pub partitions_to_write: u64,
    /// Of these, written.
    pub partitions_written: u64,
}

/// What ingest is doing, and what came of the last cycle.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// What it does now.
    pub state: State,
    /// Counts up from 1 with each cycle since the process started.
    pub cycle: u64,
    /// When the running cycle, or the last one, started.
    pub cycle_started: Option<DateTime<Utc>>,
    /// When the last cycle ended.
    pub cycle_ended: Option<DateTime<Utc>>,
    /// Why the last cycle failed; empty when it did not.
    pub last_error: String,
    /// Files and bytes of the running cycle, or the last one.
    pub progress: Progress,
    /// The newest release.
    pub release: Option<Release>,
    /// When the next cycle is due.
    pub next_cycle: Option<DateTime<Utc>>,
    /// When a cycle last ended well.
    pub last_success: Option<DateTime<Utc>>,
    /// How long the last cycle took, in milliseconds.
    pub last_cycle_ms: u64,
    /// Cycles that failed since the process started.
    pub cycles_failed: u64,
    /// Bytes of data files that were cleared away since the process started.
    pub bytes_cleared: u64,
    /// The federated clusters that have a folder.
    pub clusters: Arc<BTreeSet<String>>,
    /// Files that are not read, since a newer one is of the same window.
    pub second_files: u64,
    /// Objects among the ETL files that are none by their name.
    pub foreign_objects: u64,
    /// Files that are set aside.
    pub files_set_aside: u64,
    /// The ETL files that were read, by path.
    pub(crate) files: Arc<BTreeMap<String, SourceFile>>,
}

/// The one place where the status is kept.
#[derive(Clone, Debug)]
pub(crate) struct StatusBoard(watch::Sender<Status>);

impl StatusBoard {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Status::default()))
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Status)) {
        self.0.send_modify(change);
    }

    pub(crate) fn progress(&self, change: impl FnOnce(&mut Progress)) {
        self.0.send_modify(|status| change(&mut status.progress));
    }

    pub(crate) fn now(&self) -> Status {
        self.0.borrow().clone()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Status> {
        self.0.subscribe()
    }
}
