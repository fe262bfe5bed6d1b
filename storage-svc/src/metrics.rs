//! What the gateway counts beside its calls.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::{Registry, Unit},
};

use crate::policy::Operation;

/// Counters of the gateway. Clones count into the same; a default value counts into nothing that is ever read.
#[derive(Debug, Clone, Default)]
pub struct StorageMetrics {
    denied: Family<DeniedLabels, Counter>,
    read: Counter,
    written: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeniedLabels {
    caller: String,
    operation: Operation,
}

impl StorageMetrics {
    /// Creates the counters and registers them. Call it once per registry.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "storage_denied",
            "Requests that the policy denied",
            metrics.denied.clone(),
        );
        registry.register_with_unit(
            "storage_read",
            "Content sent to callers",
            Unit::Bytes,
            metrics.read.clone(),
        );
        registry.register_with_unit(
            "storage_written",
            "Content written",
            Unit::Bytes,
            metrics.written.clone(),
        );
        metrics
    }

    pub(crate) fn denied(&self, caller: String, operation: Operation) {
        self.denied.get_or_create(&DeniedLabels { caller, operation }).inc();
    }

    pub(crate) fn read(&self, bytes: u64) {
        self.read.inc_by(bytes);
    }

    pub(crate) fn written(&self, bytes: u64) {
        self.written.inc_by(bytes);
    }
}
