//! The gRPC side: translating requests and the status.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use fedcost_proto::ingest::v1::{
    self as proto, GetStatusRequest, GetStatusResponse, ListFilesRequest, ListFilesResponse, RefreshRequest,
    RefreshResponse, WatchStatusRequest, WatchStatusResponse, ingest_service_server::IngestService,
};
use futures::{Stream, StreamExt as _, stream::BoxStream};
use lake::{Lake, LakeError, TableName};
use prost_types::Timestamp;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{
    ingest::{self, SourceFile},
    runner::Requests,
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
    pub(crate) shutdown: CancellationToken,
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
            status: Some(to_proto(&status)),
        }))
    }

    async fn get_status(&self, _: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        Ok(Response::new(GetStatusResponse {
            status: Some(to_proto(&self.requests.status())),
        }))
    }

    type WatchStatusStream = BoxStream<'static, Result<WatchStatusResponse, Status>>;

    async fn watch_status(&self, _: Request<WatchStatusRequest>) -> Result<Response<Self::WatchStatusStream>, Status> {
        let shutdown = self.shutdown.clone();
        // A watch channel keeps the newest value only, so a slow reader skips what it missed.
        let statuses = WatchStream::new(self.requests.watch()).then(async |status| {
            tokio::time::sleep(WATCH_PAUSE).await;
            Ok(WatchStatusResponse {
                status: Some(to_proto(&status)),
            })
        });
        Ok(Response::new(until(statuses, shutdown)))
    }

    type ListFilesStream = BoxStream<'static, Result<ListFilesResponse, Status>>;

    async fn list_files(&self, request: Request<ListFilesRequest>) -> Result<Response<Self::ListFilesStream>, Status> {
        let ListFilesRequest { cluster, failed_only } = request.into_inner();
        let mut files = released_files(&self.lake).await.map_err(|error| {
            tracing::warn!(%error, "cannot list files");
            Status::unavailable("the list of files cannot be read from the lake; try again later")
        })?;
        files.retain(|file| (cluster.is_empty() || file.cluster == cluster) && (!failed_only || file.error.is_some()));
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let pages: Vec<_> = files
            .chunks(FILES_PER_PAGE)
            .map(|page| {
                Ok(ListFilesResponse {
                    files: page.iter().map(file_to_proto).collect(),
                })
            })
            .collect();
        Ok(Response::new(futures::stream::iter(pages).boxed()))
    }
}

fn until<T: Send + 'static>(
    stream: impl Stream<Item = T> + Send + 'static,
    shutdown: CancellationToken,
) -> BoxStream<'static, T> {
    stream.take_until(shutdown.cancelled_owned()).boxed()
}

/// The files that the newest release tells of.
async fn released_files(lake: &Lake) -> Result<Vec<SourceFile>, LakeError> {
    let table = TableName::SourceFiles;
    let release = lake.load_release().await?;
    let Some(version) = release.and_then(|published| published.release.tables.get(&table).copied()) else {
        return Ok(Vec::new());
    };
    let mut files = Vec::new();
    for file in lake.table_at(table, version.version).await?.files {
        let batches = lake.read_file(table, &file).await?;
        files.extend(ingest::from_batches(file.partition.resolution, &batches));
    }
    Ok(files)
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
        }),
        release: status.release.as_ref().map(|release| proto::Release {
            number: release.number,
            published: Some(timestamp(release.published)),
            rows: release.rows,
        }),
        next_cycle: status.next_cycle.map(timestamp),
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
    }
}
