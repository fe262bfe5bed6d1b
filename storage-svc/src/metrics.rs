//! What the gateway counts beside its calls.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::{limiter::Limit, policy::Operation};

/// Counters of the gateway. Clones count into the same; a default value counts into nothing that is ever read.
#[derive(Debug, Clone, Default)]
pub struct StorageMetrics {
    operations: Family<OperationLabels, Counter>,
    operation_durations: OperationDurations,
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

/// What is asked of the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum StoreOperation {
    Get,
    Head,
    Put,
    BeginUpload,
    List,
    Delete,
    Copy,
}

impl StoreOperation {
    /// The label, and the name of the span.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Head => "head",
            Self::Put => "put",
            Self::BeginUpload => "begin_upload",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Copy => "copy",
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum StoreOutcome {
    Ok,
    NotFound,
    /// There was an object already, or another one.
    Condition,
    Denied,
    Failed,
}

impl StoreOutcome {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotFound => "not_found",
            Self::Condition => "condition",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    operation: &'static str,
}

#[derive(Debug, Clone)]
struct OperationDurations(Family<DurationLabels, Histogram, fn() -> Histogram>);

// From a local file to a bucket that is asked again for half a minute.
const DURATION_BUCKETS_SECONDS: [f64; 9] = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];

impl Default for OperationDurations {
    fn default() -> Self {
        Self(Family::new_with_constructor(|| {
            Histogram::new(DURATION_BUCKETS_SECONDS)
        }))
    }
}

impl StorageMetrics {
    /// Creates the counters and registers them. Call it once per registry.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "store_operations",
            "Operations on the bucket by what came of them",
            metrics.operations.clone(),
        );
        registry.register_with_unit(
            "store_operation_duration",
            "Time that operations on the bucket took, to the head of what they answer",
            Unit::Seconds,
            metrics.operation_durations.0.clone(),
        );
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

    pub(crate) fn store_operation(&self, operation: StoreOperation, outcome: StoreOutcome, duration: Duration) {
        let (operation, outcome) = (operation.name(), outcome.name());
        self.operations
            .get_or_create(&OperationLabels { operation, outcome })
            .inc();
        self.operation_durations
            .0
            .get_or_create(&DurationLabels { operation })
            .observe(duration.as_secs_f64());
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
