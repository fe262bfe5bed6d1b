//! What ingest tells Prometheus, read off its status when somebody looks.

use std::{collections::BTreeMap, fmt, time::Duration};

use bingen::Pipeline;
use chrono::{DateTime, Utc};
use lake::Resolution;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

use crate::{
    coverage::{Coverage, coverage},
    ingest::SourceFile,
    settings::{Retention, Settings},
    status::{State, Status, StatusBoard},
};

/// Shows what the board says, of a service with these settings.
pub(crate) fn register(registry: &mut Registry, board: StatusBoard, settings: &Settings) {
    registry.register_collector(Box::new(IngestCollector {
        board,
        refresh: settings.refresh,
        retention: settings.retention,
    }));
}

#[derive(Debug)]
struct IngestCollector {
    board: StatusBoard,
    refresh: Duration,
    retention: Retention,
}

const SECONDS: Option<&Unit> = Some(&Unit::Seconds);
const BYTES: Option<&Unit> = Some(&Unit::Bytes);

impl Collector for IngestCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (status, now) = (self.board.now(), Utc::now());
        let encoder = &mut encoder;
        let refresh = self.refresh.as_secs_f64();
        gauge(
            encoder,
            "ingest_refresh",
            "From one cycle to the next",
            SECONDS,
            refresh,
        )?;
        cycles(encoder, &status)?;
        bucket(encoder, &status)?;
        if let Some(release) = &status.release {
            for (name, help, value) in [
                ("ingest_release_number", "The newest release", release.number),
                ("ingest_release_rows", "Base rows of the newest release", release.rows),
            ] {
                gauge(encoder, name, help, None, value as f64)?;
            }
            let help = "When the newest release was published";
            let published = seconds(release.published);
            gauge(encoder, "ingest_release_published_timestamp", help, SECONDS, published)?;
        }
        clusters(encoder, &coverage(status.files.values(), self.retention, now))?;
        figures(encoder, &last_days(status.files.values(), now))
    }
}

/// Cycles, and how far the running one is.
fn cycles(encoder: &mut DescriptorEncoder<'_>, status: &Status) -> fmt::Result {
    let is_running = status.state != State::Idle;
    let ended = status.cycle.saturating_sub(u64::from(is_running));
    let help = "Cycles since the process began, by how they ended";
    let kind = ConstCounter::new(0_u64).metric_type();
    let mut metric = encoder.encode_descriptor("ingest_cycles", help, None, kind)?;
    for (outcome, count) in [
        ("ended", ended.saturating_sub(status.cycles_failed)),
        ("failed", status.cycles_failed),
    ] {
        ConstCounter::new(count).encode(metric.encode_family(&[("outcome", outcome)])?)?;
    }

    let running = f64::from(u8::from(is_running));
    gauge(encoder, "ingest_cycle_running", "1 while a cycle runs", None, running)?;
    for (name, help, time) in [
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
    ] {
        if let Some(time) = time {
            gauge(encoder, name, help, SECONDS, seconds(time))?;
        }
    }
    if status.cycle_ended.is_some() {
        let last = Duration::from_millis(status.last_cycle_ms).as_secs_f64();
        let name = "ingest_last_cycle_duration";
        gauge(encoder, name, "What the last cycle took", SECONDS, last)?;
    }
    let progress = status.progress;
    for (name, help, unit, value) in [
        (
            "ingest_cycle_files_found",
            "Files that the running or last cycle listed",
            None,
            progress.files_found,
        ),
        (
            "ingest_cycle_files_to_read",
            "Of these, new or changed",
            None,
            progress.files_to_read,
        ),
        (
            "ingest_cycle_files_read",
            "Of these, read and decoded",
            None,
            progress.files_read,
        ),
        (
            "ingest_cycle_files_failed",
            "Of these, set aside",
            None,
            progress.files_failed,
        ),
        (
            "ingest_cycle_rows",
            "Base rows that the running or last cycle decoded",
            None,
            progress.rows,
        ),
        (
            "ingest_cycle_read",
            "What the running or last cycle read",
            BYTES,
            progress.bytes_read,
        ),
    ] {
        gauge(encoder, name, help, unit, value as f64)?;
    }
    Ok(())
}

/// What is in the bucket beside the files that are read.
fn bucket(encoder: &mut DescriptorEncoder<'_>, status: &Status) -> fmt::Result {
    for (name, help, value) in [
        (
            "ingest_clusters",
            "Federated clusters that have a folder",
            status.clusters.len() as u64,
        ),
        (
            "ingest_second_files",
            "Files that are not read, since a newer one is of the same window",
            status.second_files,
        ),
        (
            "ingest_foreign_objects",
            "Objects among the ETL files that are none by their name",
            status.foreign_objects,
        ),
    ] {
        gauge(encoder, name, help, None, value as f64)?;
    }
    Ok(())
}

fn labels(coverage: &Coverage) -> [(&str, &str); 3] {
    [
        ("cluster", &coverage.cluster),
        ("pipeline", coverage.pipeline.as_str()),
        ("resolution", coverage.resolution.as_str()),
    ]
}

/// Which windows there are of each cluster, pipeline and resolution.
fn clusters(encoder: &mut DescriptorEncoder<'_>, coverages: &[Coverage]) -> fmt::Result {
    let mut newest: BTreeMap<&str, DateTime<Utc>> = BTreeMap::new();
    for coverage in coverages {
        if let Some(upload) = coverage.last_upload {
            let newest = newest.entry(&coverage.cluster).or_insert(upload);
            *newest = (*newest).max(upload);
        }
    }
    let help = "When the cluster's newest file was written";
    let name = "ingest_cluster_newest_file_timestamp";
    let files = newest.iter();
    let files = files.map(|(cluster, time)| ([("cluster", *cluster)], seconds(*time)));
    family(encoder, name, help, SECONDS, files)?;

    let help = "Where the cluster's newest window ends that was read";
    let name = "ingest_cluster_newest_window_end_timestamp";
    let ends = coverages.iter().filter_map(|coverage| {
        let end = coverage.read_until?;
        Some((labels(coverage), seconds(end)))
    });
    family(encoder, name, help, SECONDS, ends)?;

    type Count = fn(&Coverage) -> u64;
    let counts: [(_, _, Count); 5] = [
        (
            "ingest_cluster_windows",
            "Windows of the cluster that were read",
            |coverage| coverage.windows,
        ),
        (
            "ingest_cluster_windows_missing",
            "Windows of the cluster that have passed since its first one and were not read",
            |coverage| coverage.missing.len() as u64,
        ),
        (
            "ingest_cluster_files_set_aside",
            "Files of the cluster that cannot be read",
            |coverage| coverage.set_aside,
        ),
        (
            "ingest_cluster_files_with_warnings",
            "Files of the cluster that were read though something in them is odd",
            |coverage| coverage.with_warnings,
        ),
        ("ingest_cluster_rows", "Base rows of the cluster", |coverage| {
            coverage.rows
        }),
    ];
    for (name, help, count) in counts {
        let counted = coverages
            .iter()
            .map(|coverage| (labels(coverage), count(coverage) as f64));
        family(encoder, name, help, None, counted)?;
    }
    Ok(())
}

/// Of each cluster and pipeline, the file of the last day that has passed and was read.
fn last_days<'a>(files: impl Iterator<Item = &'a SourceFile>, now: DateTime<Utc>) -> Vec<&'a SourceFile> {
    let mut last: BTreeMap<(&str, Pipeline), &SourceFile> = BTreeMap::new();
    let whole =
        files.filter(|file| file.resolution == Resolution::Day && file.window.end <= now && !file.figures.is_empty());
    for file in whole {
        let newest = last.entry((&file.cluster, file.pipeline)).or_insert(file);
        if file.window.end > newest.window.end {
            *newest = file;
        }
    }
    last.into_values().collect()
}

fn figures(encoder: &mut DescriptorEncoder<'_>, files: &[&SourceFile]) -> fmt::Result {
    let help = "Figures on the quality of the cluster's data, of the last day that has passed";
    let figures = files.iter().flat_map(|file| {
        file.figures.iter().map(|(figure, value)| {
            let labels = [
                ("cluster", file.cluster.as_str()),
                ("pipeline", file.pipeline.as_str()),
                ("figure", figure),
            ];
            (labels, *value)
        })
    });
    family(encoder, "ingest_cluster_last_day", help, None, figures)
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, unit: Option<&Unit>, value: f64) -> fmt::Result {
    let metric = ConstGauge::new(value);
    metric.encode(encoder.encode_descriptor(name, help, unit, metric.metric_type())?)
}

fn family(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    values: impl Iterator<Item = (impl EncodeLabelSet, f64)>,
) -> fmt::Result {
    let kind = ConstGauge::new(0_f64).metric_type();
    let mut metric = encoder.encode_descriptor(name, help, unit, kind)?;
    for (labels, value) in values {
        ConstGauge::new(value).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

fn seconds(time: DateTime<Utc>) -> f64 {
    time.timestamp_millis() as f64 / 1000.0
}
