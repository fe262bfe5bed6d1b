//! The gRPC side: translating requests and the status.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bingen::Pipeline;
use chrono::{DateTime, Utc};
use fedcost_proto::ingest::v1::{
    self as proto, GetCoverageRequest, GetCoverageResponse, GetStatusRequest, GetStatusResponse, ListFilesRequest,
    ListFilesResponse, ListReleasesRequest, ListReleasesResponse, PinReleaseRequest, PinReleaseResponse,
    RefreshRequest, RefreshResponse, RepairRequest, RepairResponse, ResetRequest, ResetResponse, RollBackRequest,
    RollBackResponse, UnpinReleaseRequest, UnpinReleaseResponse, WatchStatusRequest, WatchStatusResponse,
    ingest_service_server::IngestService,
};
use futures::{Stream, StreamExt as _, stream::BoxStream};
use lake::{Lake, LakeError, Pin, Release};
use prost_types::Timestamp;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{
    coverage::{Coverage, coverage},
    cycle::CycleError,
    ingest::SourceFile,
    orders::Repair,
    runner::Requests,
    settings::Retention,
    status,
};

/// Between two messages of a watched status.
const WATCH_PAUSE: Duration = Duration::from_millis(100);
/// Files in one message of a listing.
const FILES_PER_PAGE: usize = 500;

/// Answers the calls of `fedcost.ingest.v1`.
pub(crate) struct IngestHandlers {
    pub(crate) requests: Requests,
    pub(crate) lake: Lake,
    pub(crate) refresh: Duration,
    pub(crate) retention: Retention,
    pub(crate) shutdown: CancellationToken,
}

impl IngestHandlers {
    fn status(&self, status: &status::Status) -> proto::Status {
        proto::Status {
            refresh_seconds: self.refresh.as_secs(),
            ..to_proto(status)
        }
    }

    fn recorded(release: &Release, newest: u64) -> proto::RecordedRelease {
        proto::RecordedRelease {
            release: Some(release_to_proto(release)),
            rolled_back_to: release.rolled_back_to.unwrap_or(0),
            writer: release.writer,
            newest: release.number == newest,
        }
    }
}

/// What the lake says, for whoever asked.
fn lake_status(error: &LakeError) -> Status {
    match error {
        LakeError::NoSuchRelease { .. } => Status::not_found(error.to_string()),
        LakeError::Busy { .. } | LakeError::PublishedElsewhere { .. } | LakeError::LeaseLost { .. } => {
            Status::aborted(format!("{error}; try again"))
        }
        LakeError::Table { .. }
        | LakeError::Store { .. }
        | LakeError::ForeignFile { .. }
        | LakeError::CorruptRelease { .. }
        | LakeError::Parquet { .. }
        | LakeError::Arrow { .. }
        | LakeError::Task { .. } => {
            tracing::warn!(%error, "the lake cannot be read or written");
            Status::unavailable("the lake cannot be read or written; the log of ingest-svc says why")
        }
    }
}

fn invalid(field: &str, message: impl Into<String>) -> Status {
    let mut details = ErrorDetails::new();
    let message = message.into();
    details.add_bad_request_violation(field, message.clone());
    Status::with_error_details(Code::InvalidArgument, format!("{field}: {message}"), details)
}

fn time(field: &str, time: Option<Timestamp>) -> Result<DateTime<Utc>, Status> {
    time.and_then(|time| DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?))
        .ok_or_else(|| invalid(field, "is missing or no time"))
}

fn repair(request: RepairRequest) -> Result<Repair, Status> {
    let window = (time("start", request.start)?, time("end", request.end)?);
    if window.0 >= window.1 {
        return Err(invalid("end", "is not later than start"));
    }
    let pipeline = match request.pipeline.as_str() {
        "" => None,
        "allocations" => Some(Pipeline::Allocations),
        "assets" => Some(Pipeline::Assets),
        other => {
            return Err(invalid(
                "pipeline",
                format!("is {other:?}, takes allocations or assets"),
            ));
        }
    };
    Ok(Repair {
        pipeline,
        cluster: (!request.cluster.is_empty()).then_some(request.cluster),
        window,
    })
}

#[async_trait]
impl IngestService for IngestHandlers {
    async fn refresh(&self, request: Request<RefreshRequest>) -> Result<Response<RefreshResponse>, Status> {
        let asked = self.requests.refresh();
        let status = if request.into_inner().wait {
            self.requests.finished(asked).await
        } else {
            self.requests.status()
        };
        Ok(Response::new(RefreshResponse {
            started: asked.started,
            status: Some(self.status(&status)),
        }))
    }

    async fn get_status(&self, _: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        Ok(Response::new(GetStatusResponse {
            status: Some(self.status(&self.requests.status())),
        }))
    }

    type WatchStatusStream = BoxStream<'static, Result<WatchStatusResponse, Status>>;

    async fn watch_status(&self, _: Request<WatchStatusRequest>) -> Result<Response<Self::WatchStatusStream>, Status> {
        let (shutdown, refresh_seconds) = (self.shutdown.clone(), self.refresh.as_secs());
        // A watch channel keeps the newest value only, so a slow reader skips what it missed.
        let statuses = WatchStream::new(self.requests.watch()).then(move |status| async move {
            tokio::time::sleep(WATCH_PAUSE).await;
            let status = proto::Status {
                refresh_seconds,
                ..to_proto(&status)
            };
            Ok(WatchStatusResponse { status: Some(status) })
        });
        Ok(Response::new(until(statuses, shutdown)))
    }

    type ListFilesStream = BoxStream<'static, Result<ListFilesResponse, Status>>;

    async fn list_files(&self, request: Request<ListFilesRequest>) -> Result<Response<Self::ListFilesStream>, Status> {
        let ListFilesRequest { cluster, failed_only } = request.into_inner();
        let status = self.requests.status();
        // They are kept in order of their paths.
        let files: Vec<_> = status
            .files
            .values()
            .filter(|file| (cluster.is_empty() || file.cluster == cluster) && (!failed_only || file.error.is_some()))
            .collect();
        let pages: Vec<_> = files
            .chunks(FILES_PER_PAGE)
            .map(|page| {
                Ok(ListFilesResponse {
                    files: page.iter().map(|file| file_to_proto(file)).collect(),
                })
            })
            .collect();
        Ok(Response::new(futures::stream::iter(pages).boxed()))
    }

    async fn get_coverage(
        &self,
        request: Request<GetCoverageRequest>,
    ) -> Result<Response<GetCoverageResponse>, Status> {
        let cluster = request.into_inner().cluster;
        let status = self.requests.status();
        let files = status.files.values();
        let files = files.filter(|file| cluster.is_empty() || file.cluster == cluster);
        let coverages = coverage(files, self.retention, Utc::now());
        Ok(Response::new(GetCoverageResponse {
            coverages: coverages.iter().map(coverage_to_proto).collect(),
        }))
    }

    async fn repair(&self, request: Request<RepairRequest>) -> Result<Response<RepairResponse>, Status> {
        let repair = repair(request.into_inner())?;
        let status = self.requests.status();
        let files = status.files.values().filter(|file| repair.covers_known(file)).count() as u64;
        tracing::info!(?repair, files, "repair asked for");
        self.requests.repair(repair);
        Ok(Response::new(RepairResponse { files }))
    }

    async fn reset(&self, _: Request<ResetRequest>) -> Result<Response<ResetResponse>, Status> {
        tracing::info!("reset asked for");
        self.requests.reset();
        Ok(Response::new(ResetResponse {}))
    }

    async fn list_releases(&self, _: Request<ListReleasesRequest>) -> Result<Response<ListReleasesResponse>, Status> {
        let list = async {
            let newest = self
                .lake
                .load_release()
                .await?
                .map_or(0, |newest| newest.release.number);
            let mut releases = Vec::new();
            for number in self.lake.recorded_releases().await?.into_iter().rev() {
                if let Some(release) = self.lake.recorded_release(number).await? {
                    releases.push(Self::recorded(&release, newest));
                }
            }
            let pin = self.lake.load_pin().await?;
            Ok(ListReleasesResponse {
                releases,
                pinned: pin.as_ref().map_or(0, |pin| pin.number),
                pin_reason: pin.map(|pin| pin.reason).unwrap_or_default(),
            })
        };
        list.await.map(Response::new).map_err(|error| lake_status(&error))
    }

    async fn pin_release(&self, request: Request<PinReleaseRequest>) -> Result<Response<PinReleaseResponse>, Status> {
        let PinReleaseRequest { number, reason } = request.into_inner();
        let pin = async {
            if self.lake.recorded_release(number).await?.is_none() {
                return Err(LakeError::NoSuchRelease { number });
            }
            let since = Utc::now();
            self.lake.set_pin(Some(&Pin { number, since, reason })).await
        };
        pin.await.map_err(|error| lake_status(&error))?;
        tracing::info!(release = number, "pinned");
        Ok(Response::new(PinReleaseResponse {}))
    }

    async fn unpin_release(&self, _: Request<UnpinReleaseRequest>) -> Result<Response<UnpinReleaseResponse>, Status> {
        self.lake.set_pin(None).await.map_err(|error| lake_status(&error))?;
        tracing::info!("unpinned");
        Ok(Response::new(UnpinReleaseResponse {}))
    }

    async fn roll_back(&self, request: Request<RollBackRequest>) -> Result<Response<RollBackResponse>, Status> {
        let number = request.into_inner().number;
        match self.requests.roll_back(number).await {
            Some(Ok(newest)) => Ok(Response::new(RollBackResponse { number: newest })),
            Some(Err(CycleError::Lake(error))) => Err(lake_status(&error)),
            Some(Err(error)) => Err(Status::aborted(error.to_string())),
            None => Err(Status::unavailable("ingest is shutting down")),
        }
    }
}

fn until<T: Send + 'static>(
    stream: impl Stream<Item = T> + Send + 'static,
    shutdown: CancellationToken,
) -> BoxStream<'static, T> {
    stream.take_until(shutdown.cancelled_owned()).boxed()
}

fn timestamp(time: DateTime<Utc>) -> Timestamp {
    SystemTime::from(time).into()
}

fn to_proto(status: &status::Status) -> proto::Status {
    let state = match status.state {
        status::State::Idle => proto::State::Idle,
        status::State::Finding => proto::State::Finding,
        status::State::Ingesting => proto::State::Ingesting,
        status::State::Publishing => proto::State::Publishing,
    };
    let progress = status.progress;
    proto::Status {
        state: state.into(),
        cycle: status.cycle,
        cycle_started: status.cycle_started.map(timestamp),
        cycle_ended: status.cycle_ended.map(timestamp),
        last_error: status.last_error.clone(),
        progress: Some(proto::Progress {
            files_found: progress.files_found,
            files_to_read: progress.files_to_read,
            files_read: progress.files_read,
            files_failed: progress.files_failed,
            files_removed: progress.files_removed,
            bytes_to_read: progress.bytes_to_read,
            bytes_read: progress.bytes_read,
            rows: progress.rows,
            partitions_to_write: progress.partitions_to_write,
            partitions_written: progress.partitions_written,
            files_with_warnings: progress.files_with_warnings,
        }),
        release: status.release.as_ref().map(release_to_proto),
        next_cycle: status.next_cycle.map(timestamp),
        last_success: status.last_success.map(timestamp),
        cycles_failed: status.cycles_failed,
        clusters: status.clusters.len() as u64,
        files: status.files.len() as u64,
        files_set_aside: status.files_set_aside,
        second_files: status.second_files,
        foreign_objects: status.foreign_objects,
        refresh_seconds: 0,
    }
}

fn release_to_proto(release: &Release) -> proto::Release {
    proto::Release {
        number: release.number,
        published: Some(timestamp(release.published)),
        rows: release.rows,
    }
}

fn coverage_to_proto(coverage: &Coverage) -> proto::Coverage {
    proto::Coverage {
        cluster: coverage.cluster.clone(),
        pipeline: coverage.pipeline.as_str().to_owned(),
        resolution: coverage.resolution.as_str().to_owned(),
        first: coverage.span.map(|(first, _)| timestamp(first)),
        last: coverage.span.map(|(_, last)| timestamp(last)),
        last_upload: coverage.last_upload.map(timestamp),
        windows: coverage.windows,
        missing: coverage.missing.iter().copied().map(timestamp).collect(),
        files_set_aside: coverage.set_aside,
        files_with_warnings: coverage.with_warnings,
        rows: coverage.rows,
        fresh: coverage.fresh,
    }
}

fn file_to_proto(file: &SourceFile) -> proto::SourceFile {
    proto::SourceFile {
        path: file.path.clone(),
        cluster: file.cluster.clone(),
        pipeline: file.pipeline.as_str().to_owned(),
        resolution: file.resolution.as_str().to_owned(),
        window_start: Some(timestamp(file.window.start)),
        window_end: Some(timestamp(file.window.end)),
        etag: file.etag.clone().unwrap_or_default(),
        size: file.size,
        last_modified: Some(timestamp(file.last_modified)),
        rows: file.rows,
        error: file.error.clone().unwrap_or_default(),
        ingested: Some(timestamp(file.ingested)),
        warnings: file.warnings.clone().into_iter().collect(),
        figures: file.figures.clone().into_iter().collect(),
    }
}
