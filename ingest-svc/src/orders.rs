//! What people asked of the next cycle.

use std::sync::{Arc, Mutex, PoisonError};

use bingen::Pipeline;
use chrono::{DateTime, Utc};

use crate::ingest::{FileWindow, FoundFile, SourceFile};

/// Files to be read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repair {
    /// Of this pipeline; none means all.
    pub(crate) pipeline: Option<Pipeline>,
    /// Of this federated cluster; none means all.
    pub(crate) cluster: Option<String>,
    /// Whose window overlaps with this one: first instant, and one past the last.
    pub(crate) window: (DateTime<Utc>, DateTime<Utc>),
}

impl Repair {
    fn covers(&self, file: &FoundFile) -> bool {
        self.is_of(file.pipeline, &file.cluster, file.window)
    }

    /// Whether a file that was read is to be read again.
    pub(crate) fn covers_known(&self, file: &SourceFile) -> bool {
        self.is_of(file.pipeline, &file.cluster, file.window)
    }

    fn is_of(&self, pipeline: Pipeline, cluster: &str, window: FileWindow) -> bool {
        let (start, end) = self.window;
        self.pipeline.is_none_or(|wanted| wanted == pipeline)
            && self.cluster.as_ref().is_none_or(|wanted| wanted == cluster)
            && window.start < end
            && start < window.end
    }
}

/// What the next cycle is to do beside its usual work.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    repairs: Vec<Repair>,
    /// Everything is read again.
    pub(crate) reset: bool,
}

impl Pending {
    /// Whether a file is read again, though it has not changed.
    pub(crate) fn asks_for(&self, file: &FoundFile) -> bool {
        self.reset || self.repairs.iter().any(|repair| repair.covers(file))
    }
}

/// The orders that wait. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Orders(Arc<Mutex<Pending>>);

impl Orders {
    pub(crate) fn repair(&self, repair: Repair) {
        self.with(|pending| {
            if !pending.repairs.contains(&repair) {
                pending.repairs.push(repair);
            }
        });
    }

    pub(crate) fn reset(&self) {
        self.with(|pending| pending.reset = true);
    }

    /// Takes what waits.
    pub(crate) fn take(&self) -> Pending {
        self.with(std::mem::take)
    }

    /// Puts back what was taken, since the cycle failed.
    pub(crate) fn put_back(&self, taken: Pending) {
        self.with(|pending| {
            pending.repairs.extend(taken.repairs);
            pending.reset |= taken.reset;
        });
    }

    fn with<T>(&self, change: impl FnOnce(&mut Pending) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
