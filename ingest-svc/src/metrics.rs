//! What ingest tells Prometheus, read off its status when somebody looks.

use std::{collections::BTreeMap, fmt, time::Duration};

use chrono::{DateTime, Utc};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use crate::{
    ingest::SourceFile,
    status::{State, Status, StatusBoard},
};

/// Shows what the board says, and how often ingest looks at the bucket.
pub(crate) fn register(registry: &mut Registry, board: StatusBoard, refresh: Duration) {
    registry.register_collector(Box::new(IngestCollector { board, refresh }));
}

/// What a person who waits for a cluster's figures wants to know.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ClusterFiles {
    /// When its newest file was written.
    newest_file: Option<DateTime<Utc>>,
    /// Files that cannot be read.
    set_aside: u64,
    /// Where the newest window of each pipeline ends.
    newest_windows: BTreeMap<&'static str, DateTime<Utc>>,
}

impl ClusterFiles {
    /// By cluster, of all files that were read.
    pub(crate) fn of<'a>(files: impl Iterator<Item = &'a SourceFile>) -> BTreeMap<String, Self> {
        let mut clusters: BTreeMap<String, Self> = BTreeMap::new();
        for file in files {
            let cluster = clusters.entry(file.cluster.clone()).or_default();
            cluster.newest_file = cluster.newest_file.max(Some(file.last_modified));
            if file.error.is_some() {
                cluster.set_aside += 1;
                continue;
            }
            let newest = cluster
                .newest_windows
                .entry(file.pipeline.as_str())
                .or_insert(file.window.end);
            *newest = (*newest).max(file.window.end);
        }
        clusters
    }
}

#[derive(Debug)]
struct IngestCollector {
    board: StatusBoard,
    refresh: Duration,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct ClusterLabels {
    cluster: String,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct PipelineLabels {
    cluster: String,
    pipeline: &'static str,
}

const SECONDS: Option<&Unit> = Some(&Unit::Seconds);

impl Collector for IngestCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let status = self.board.now();
        let encoder = &mut encoder;
        cycles(encoder, &status)?;
        let refresh = self.refresh.as_secs_f64();
        gauge(
            encoder,
            "ingest_refresh",
            "From the start of one cycle to the next",
            SECONDS,
            refresh,
        )?;
        let running = f64::from(u8::from(status.state != State::Idle));
        gauge(encoder, "ingest_cycle_running", "1 while a cycle runs", None, running)?;
        let times = [
            (
                "ingest_cycle_started_timestamp",
                "When the running or last cycle began",
                status.cycle_started,
            ),
            (
                "ingest_last_success_timestamp",
                "When a cycle last ended well",
                status.last_success,
            ),
            (
                "ingest_release_published_timestamp",
                "When the newest release was published",
                status.release.as_ref().map(|release| release.published),
            ),
        ];
        for (name, help, time) in times {
            if let Some(time) = time {
                gauge(encoder, name, help, SECONDS, seconds(time))?;
            }
        }
        if let (Some(started), Some(ended)) = (status.cycle_started, status.cycle_ended)
            && ended >= started
        {
            let last = (ended - started).num_milliseconds() as f64 / 1000.0;
            gauge(
                encoder,
                "ingest_last_cycle_duration",
                "What the last cycle took",
                SECONDS,
                last,
            )?;
        }
        if let Some(release) = &status.release {
            let number = release.number as f64;
            gauge(encoder, "ingest_release_number", "The newest release", None, number)?;
            gauge(
                encoder,
                "ingest_release_rows",
                "Base rows of the newest release",
                None,
                release.rows as f64,
            )?;
        }
        let progress = status.progress;
        for (name, help, value) in [
            (
                "ingest_cycle_files_found",
                "Files that the running or last cycle listed",
                progress.files_found,
            ),
            (
                "ingest_cycle_files_to_read",
                "Of these, new or changed",
                progress.files_to_read,
            ),
            (
                "ingest_cycle_files_read",
                "Of these, read and decoded",
                progress.files_read,
            ),
            (
                "ingest_cycle_files_failed",
                "Of these, set aside",
                progress.files_failed,
            ),
            (
                "ingest_cycle_rows",
                "Base rows that the running or last cycle decoded",
                progress.rows,
            ),
        ] {
            gauge(encoder, name, help, None, value as f64)?;
        }
        let bytes = progress.bytes_read as f64;
        gauge(
            encoder,
            "ingest_cycle_read",
            "What the running or last cycle read",
            Some(&Unit::Bytes),
            bytes,
        )?;
        clusters(encoder, &status)
    }
}

fn cycles(encoder: &mut DescriptorEncoder<'_>, status: &Status) -> fmt::Result {
    let help = "Cycles since the process began, by how they ended";
    let ended = status.cycle - u64::from(status.state != State::Idle && status.cycle > 0);
    let counts = [
        ("ended", ended.saturating_sub(status.cycles_failed)),
        ("failed", status.cycles_failed),
    ];
    let kind = ConstCounter::new(0_u64).metric_type();
    let mut metric = encoder.encode_descriptor("ingest_cycles", help, None, kind)?;
    for (outcome, count) in counts {
        ConstCounter::new(count).encode(metric.encode_family(&OutcomeLabels { outcome })?)?;
    }
    Ok(())
}

fn clusters(encoder: &mut DescriptorEncoder<'_>, status: &Status) -> fmt::Result {
    let kind = ConstGauge::new(0_f64).metric_type();
    let clusters = || {
        status.clusters_files.iter().map(|(cluster, files)| {
            let labels = ClusterLabels {
                cluster: cluster.clone(),
            };
            (labels, files)
        })
    };
    let help = "When the cluster's newest file was written";
    let mut metric = encoder.encode_descriptor("ingest_cluster_newest_file_timestamp", help, SECONDS, kind)?;
    for (labels, files) in clusters() {
        if let Some(newest) = files.newest_file {
            ConstGauge::new(seconds(newest)).encode(metric.encode_family(&labels)?)?;
        }
    }
    let help = "Files of the cluster that cannot be read";
    let mut metric = encoder.encode_descriptor("ingest_cluster_files_set_aside", help, None, kind)?;
    for (labels, files) in clusters() {
        ConstGauge::new(files.set_aside as f64).encode(metric.encode_family(&labels)?)?;
    }
    let help = "Where the cluster's newest window ends";
    let mut metric = encoder.encode_descriptor("ingest_cluster_newest_window_end_timestamp", help, SECONDS, kind)?;
    for (ClusterLabels { cluster }, files) in clusters() {
        for (&pipeline, &end) in &files.newest_windows {
            let cluster = cluster.clone();
            let labels = PipelineLabels { cluster, pipeline };
            ConstGauge::new(seconds(end)).encode(metric.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, unit: Option<&Unit>, value: f64) -> fmt::Result {
    let metric = ConstGauge::new(value);
    metric.encode(encoder.encode_descriptor(name, help, unit, metric.metric_type())?)
}

fn seconds(time: DateTime<Utc>) -> f64 {
    time.timestamp_millis() as f64 / 1000.0
}
