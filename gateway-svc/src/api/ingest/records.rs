//! `/debug/orchestrator` and `/debug/ingestionRecords`.

use std::collections::BTreeMap;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use fedcost_proto::ingest::v1::{self as proto, State as IngestState};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Gateway,
    api::{json::Time, success::Success},
    error::ApiError,
    parameters::{Parameters, table},
};

/// What ingest is doing, and what came of the last cycle.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Orchestrator {
    /// `ingesting` while files are found and read, `deriving` while tables are committed and published, else `idle`.
    state: &'static str,
    /// Counts the cycles since the process started.
    cycle: u64,
    cycle_started: Option<Time>,
    cycle_ended: Option<Time>,
    /// When a cycle last ended well.
    last_success: Option<Time>,
    next_cycle: Option<Time>,
    refresh_interval_seconds: u64,
    /// Why the last cycle failed.
    last_error: Option<String>,
    cycles_failed: u64,
    release_id: u64,
    release_time: Option<Time>,
    /// Allocations and assets in the release.
    rows: u64,
    clusters: u64,
    /// Files that were read, or set aside.
    files: u64,
    /// Files that could not be read.
    files_set_aside: u64,
    /// Files that are not read, since a newer one is of the same window.
    second_files: u64,
    /// Objects among the files that are none by their name.
    foreign_objects: u64,
    progress: Progress,
}

/// Files and bytes of the running cycle, or the last one.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = IngestProgress)]
pub(crate) struct Progress {
    files_found: u64,
    files_to_read: u64,
    files_read: u64,
    files_failed: u64,
    files_with_warnings: u64,
    files_removed: u64,
    bytes_to_read: u64,
    bytes_read: u64,
    rows: u64,
    partitions_to_write: u64,
    partitions_written: u64,
}

impl Orchestrator {
    fn of(status: &proto::Status) -> Self {
        let release = status.release.as_ref();
        let progress = status.progress.unwrap_or_default();
        Self {
            state: match status.state() {
                IngestState::Unspecified | IngestState::Idle => "idle",
                IngestState::Finding | IngestState::Ingesting => "ingesting",
                IngestState::Publishing => "deriving",
            },
            cycle: status.cycle,
            cycle_started: Time::of(status.cycle_started.as_ref()),
            cycle_ended: Time::of(status.cycle_ended.as_ref()),
            last_success: Time::of(status.last_success.as_ref()),
            next_cycle: Time::of(status.next_cycle.as_ref()),
            refresh_interval_seconds: status.refresh_seconds,
            last_error: (!status.last_error.is_empty()).then(|| status.last_error.clone()),
            cycles_failed: status.cycles_failed,
            release_id: release.map_or(0, |release| release.number),
            release_time: release.and_then(|release| Time::of(release.published.as_ref())),
            rows: release.map_or(0, |release| release.rows),
            clusters: status.clusters,
            files: status.files,
            files_set_aside: status.files_set_aside,
            second_files: status.second_files,
            foreign_objects: status.foreign_objects,
            progress: Progress {
                files_found: progress.files_found,
                files_to_read: progress.files_to_read,
                files_read: progress.files_read,
                files_failed: progress.files_failed,
                files_with_warnings: progress.files_with_warnings,
                files_removed: progress.files_removed,
                bytes_to_read: progress.bytes_to_read,
                bytes_read: progress.bytes_read,
                rows: progress.rows,
                partitions_to_write: progress.partitions_to_write,
                partitions_written: progress.partitions_written,
            },
        }
    }
}

pub(crate) async fn orchestrator(gateway: Gateway) -> Result<Response, ApiError> {
    let status = gateway.upstream.ingest_status().await?;
    Ok(Json(Success::of(Orchestrator::of(&status))).into_response())
}

/// An ETL file that ingest knows.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = IngestionRecord)]
pub(crate) struct Record {
    /// In the bucket.
    path: String,
    cluster: String,
    /// `allocations` or `assets`.
    pipeline: String,
    /// `1d` or `1h`.
    resolution: String,
    window_start: Option<Time>,
    window_end: Option<Time>,
    etag: String,
    /// In bytes.
    size: u64,
    last_modified: Option<Time>,
    /// Rows that the tables hold of it. Of a file that was set aside, those of the version before.
    rows: u64,
    /// `ingested`, `warnings` or `setAside`.
    state: &'static str,
    /// Why it was set aside.
    error: Option<String>,
    /// What was odd in it, and how often.
    warnings: BTreeMap<String, u64>,
    /// When it was read.
    ingested: Option<Time>,
}

impl Record {
    fn of(file: proto::SourceFile) -> Self {
        Self {
            window_start: Time::of(file.window_start.as_ref()),
            window_end: Time::of(file.window_end.as_ref()),
            last_modified: Time::of(file.last_modified.as_ref()),
            ingested: Time::of(file.ingested.as_ref()),
            state: match (file.error.is_empty(), file.warnings.is_empty()) {
                (false, _) => SET_ASIDE,
                (true, false) => WARNINGS,
                (true, true) => INGESTED,
            },
            error: (!file.error.is_empty()).then_some(file.error),
            path: file.path,
            cluster: file.cluster,
            pipeline: file.pipeline,
            resolution: file.resolution,
            etag: file.etag,
            size: file.size,
            rows: file.rows,
            warnings: file.warnings.into_iter().collect(),
        }
    }
}

const INGESTED: &str = "ingested";
const WARNINGS: &str = "warnings";
const SET_ASIDE: &str = "setAside";

/// Records that are answered unless told.
const RECORDS: usize = 1000;

pub(crate) async fn records(gateway: Gateway, parameters: Parameters) -> Result<Response, ApiError> {
    let state = parameters.word(&table::RECORD_STATE)?;
    let offset = parameters.whole(&table::OFFSET)?.unwrap_or_default();
    let limit = parameters.whole(&table::RECORDS_LIMIT)?.filter(|limit| *limit > 0);
    let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let cluster = parameters.get(table::CLUSTER.name).unwrap_or_default();
    let files = gateway
        .upstream
        .files(cluster, state == Some(SET_ASIDE), gateway.deadline())
        .await?;
    let records = files.into_iter().map(Record::of);
    let records: Vec<_> = records
        .filter(|record| state.is_none_or(|state| record.state == state))
        .skip(count(offset))
        .take(limit.map_or(RECORDS, count))
        .collect();
    Ok(Json(Success::of(records)).into_response())
}
