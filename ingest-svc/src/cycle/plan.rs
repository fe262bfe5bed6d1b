//! What differs between the bucket and what was read of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bingen::Pipeline;
use chrono::{DateTime, TimeDelta, Utc};
use lake::{Partition, Resolution};

use crate::{
    ingest::{FoundFile, SourceFile},
    orders::Pending,
};

/// By how much clocks may be wrong before a window counts as one of the future.
const CLOCK_SKEW: TimeDelta = TimeDelta::hours(1);

/// Whether a file's window begins later than any clock can explain.
pub(super) fn is_future(file: &FoundFile, now: DateTime<Utc>) -> bool {
    file.window.start > now + CLOCK_SKEW
}

/// What is to be done in one partition of one pipeline.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Files that are new, changed, or asked for.
    pub(super) read: Vec<FoundFile>,
    /// Files that left the bucket or the retention period.
    pub(super) removed: Vec<SourceFile>,
    /// Whether all that the tables hold of the partition is dropped first.
    pub(super) rebuild: bool,
}

pub(super) type Plan = BTreeMap<(Pipeline, Partition), Work>;

/// Compares the files of the bucket with those that were read.
///
/// `damaged` partitions are made anew from the files of the bucket.
pub(super) fn plan(
    found: &[FoundFile],
    known: &BTreeMap<String, SourceFile>,
    orders: &Pending,
    damaged: &BTreeSet<(Pipeline, Partition)>,
    now: DateTime<Utc>,
) -> Plan {
    let mut work = Plan::new();
    for &key in damaged {
        work.entry(key).or_default().rebuild = true;
    }
    let mut present = HashSet::new();
    // What the bill added to assets is shared out to the allocations of the same window.
    let mut assets_changed: HashSet<(&str, Resolution, DateTime<Utc>)> = HashSet::new();
    for file in found {
        present.insert(file.path.as_ref());
        let key = (file.pipeline, file.partition());
        let before = known.get(file.path.as_ref());
        let is_read = before.is_some_and(|read| read.is_current(file) && !read.is_due(now));
        if !is_read || damaged.contains(&key) || orders.asks_for(file) {
            work.entry(key).or_default().read.push(file.clone());
            if file.pipeline == Pipeline::Assets {
                assets_changed.insert((&file.cluster, file.resolution, file.window.start));
            }
        }
    }
    for file in known.values().filter(|file| !present.contains(file.path.as_str())) {
        let key = (file.pipeline, file.partition());
        work.entry(key).or_default().removed.push(file.clone());
        if file.pipeline == Pipeline::Assets {
            assets_changed.insert((&file.cluster, file.resolution, file.window.start));
        }
    }
    for file in found.iter().filter(|file| file.pipeline == Pipeline::Allocations) {
        if assets_changed.contains(&(&*file.cluster, file.resolution, file.window.start)) {
            let read = &mut work.entry((file.pipeline, file.partition())).or_default().read;
            if !read.iter().any(|other| other.path == file.path) {
                read.push(file.clone());
            }
        }
    }
    if orders.reset {
        for work in work.values_mut() {
            work.rebuild = true;
        }
    }
    work
}

impl SourceFile {
    /// Whether it was set aside for being of the future, which has come.
    fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.error.is_some() && self.ingested + CLOCK_SKEW < self.window.start && self.window.start <= now + CLOCK_SKEW
    }
}
