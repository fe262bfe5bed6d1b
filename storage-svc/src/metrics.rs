//! What the gateway counts beside its calls.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::{limiter::Limit, policy::Operation};

/// Counters of the gateway. Clones count into the same; a default value counts into nothing that is ever read.
#[derive(Debug, Clone, Default)]
pub struct StorageMetrics {
    denied: Family<DeniedLabels, Counter>,
    store_failures: Family<StoreFailureLabels, Counter>,
    read: Counter,
    written: Counter,
    limited: Family<LimitedLabels, Counter>,
    writes: Gauge,
    reads: Gauge,
    held: Gauge,
}

/// How a request to the store failed, as far as it may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum StoreFailure {
    /// The store asks for fewer requests (429 or 503).
    Throttled,
    /// The store says that it failed, or a proxy before it.
    Server,
    /// No head of an answer in time.
    Timeout,
    /// No connection, or one that broke.
    Connection,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoreFailureLabels {
    failure: StoreFailure,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitedLabels {
    limit: Limit,
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
        registry.register(
            "storage_store_failures",
            "Attempts at requests to the store that failed; each is repeated up to 5 times within 30 seconds",
            metrics.store_failures.clone(),
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
        registry.register(
            "storage_limited",
            "Callers that were not let in, or let go, by the limit that they met",
            metrics.limited.clone(),
        );
        registry.register("storage_writes_in_flight", "Writes under way", metrics.writes.clone());
        registry.register(
            "storage_reads_in_flight",
            "Listings and downloads under way",
            metrics.reads.clone(),
        );
        registry.register_with_unit(
            "storage_write_memory",
            "Content of writes under way that is in memory",
            Unit::Bytes,
            metrics.held.clone(),
        );
        metrics
    }

    pub(crate) fn limited(&self, limit: Limit) {
        self.limited.get_or_create(&LimitedLabels { limit }).inc();
    }

    pub(crate) fn write_begun(&self) {
        self.writes.inc();
    }

    pub(crate) fn write_ended(&self) {
        self.writes.dec();
    }

    pub(crate) fn read_begun(&self) {
        self.reads.inc();
    }

    pub(crate) fn read_ended(&self) {
        self.reads.dec();
    }

    /// One write holds so many bytes now, after so many before.
    pub(crate) fn hold(&self, before: usize, now: usize) {
        let bytes = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.held.inc_by(bytes(now));
        self.held.dec_by(bytes(before));
    }

    pub(crate) fn denied(&self, caller: String, operation: Operation) {
        self.denied.get_or_create(&DeniedLabels { caller, operation }).inc();
    }

    pub(crate) fn store_failed(&self, failure: StoreFailure) {
        self.store_failures.get_or_create(&StoreFailureLabels { failure }).inc();
    }

    pub(crate) fn read(&self, bytes: u64) {
        self.read.inc_by(bytes);
    }

    pub(crate) fn written(&self, bytes: u64) {
        self.written.inc_by(bytes);
    }
}
