//! What query tells Prometheus, read off the release that it serves when somebody looks.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::gauge::ConstGauge,
    registry::{Registry, Unit},
};

use crate::release::Releases;

/// What query tells others in its process. Clones speak of the same service.
#[derive(Clone, Default)]
pub struct QueryMetrics(Arc<OnceLock<Releases>>);

impl QueryMetrics {
    /// Registers what a service tells, once it runs. Call it once per registry.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register_collector(Box::new(metrics.clone()));
        metrics
    }

    /// Speaks of the service that follows these releases.
    pub(crate) fn serve(&self, releases: Releases) {
        // A second service in one process would need metrics of its own.
        let _first = self.0.set(releases);
    }
}

impl fmt::Debug for QueryMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("QueryMetrics").finish_non_exhaustive()
    }
}

impl Collector for QueryMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(served) = self.0.get().and_then(Releases::current) else {
            return Ok(());
        };
        let release = &served.release;
        let (seconds, bytes) = (Some(&Unit::Seconds), Some(&Unit::Bytes));
        let warm = served.warm();
        let dictionary = warm.dictionary().read().bytes();
        for (name, help, unit, value) in [
            (
                "query_release_number",
                "The release that is served",
                None,
                release.number as f64,
            ),
            (
                "query_release_rows",
                "Base rows of the release that is served",
                None,
                release.rows as f64,
            ),
            (
                "query_release_published_timestamp",
                "When the release that is served was published",
                seconds,
                release.published.timestamp() as f64,
            ),
            (
                "query_release_loaded_timestamp",
                "When the release that is served was loaded",
                seconds,
                served.loaded.timestamp() as f64,
            ),
            ("query_tables_in_memory", "Tables in memory", bytes, warm.bytes() as f64),
            (
                "query_tables_in_memory_limit",
                "What tables in memory may take",
                bytes,
                warm.bound() as f64,
            ),
            (
                "query_dictionary",
                "Texts that tables in memory refer to",
                bytes,
                dictionary as f64,
            ),
        ] {
            let metric = ConstGauge::new(value);
            metric.encode(encoder.encode_descriptor(name, help, unit, metric.metric_type())?)?;
        }
        Ok(())
    }
}
