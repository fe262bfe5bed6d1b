//! `/healthz`, `/readyz` and `/status`: whether the gateway lives, can answer, and what ingest is doing.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use fedcost_proto::{
    ingest::v1::{self as ingest, State as IngestState},
    query::v1::GetReleaseResponse,
};
use futures::future::BoxFuture;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use tonic::Code;

use super::json::Time;
use crate::{Gateway, error::ApiError};

const NO_STORE: (header::HeaderName, HeaderValue) = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// The process lives.
pub(crate) async fn healthz() -> Response {
    ([NO_STORE], "ok\n").into_response()
}

/// Whether questions are answered, and if not, why.
pub(crate) async fn readyz(gateway: Gateway) -> Response {
    let readiness = Readiness::find(&gateway).await;
    let code = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, [NO_STORE], Json(readiness)).into_response()
}

/// The same, for those who run the service.
#[derive(Debug)]
pub(crate) struct WhetherReady(pub(crate) Gateway);

impl service_kit::admin::Readiness for WhetherReady {
    fn reasons(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async { Readiness::find(&self.0).await.reasons })
    }
}

/// The same, and what ingest is doing. For people and our pages, so always 200.
pub(crate) async fn status(gateway: Gateway) -> Response {
    let (readiness, ingest) = tokio::join!(Readiness::find(&gateway), gateway.upstream.ingest_status());
    let (ingest, ingest_error) = match &ingest {
        Ok(status) => (Some(Ingest::of(status, gateway.caller.sees_everything())), None),
        Err(error) => (None, Some(reason("ingest-svc", error))),
    };
    (
        [NO_STORE],
        Json(Status {
            readiness,
            ingest,
            ingest_error,
            utc_offset_minutes: gateway.calendar.utc_offset_seconds() / 60,
        }),
    )
        .into_response()
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    /// Why it is not.
    reasons: Vec<String>,
    release: Option<Release>,
}

impl Readiness {
    async fn find(gateway: &Gateway) -> Self {
        let (release, mut reasons) = match gateway.upstream.release().await {
            Ok(release) => (Some(Release::of(&release)), Vec::new()),
            Err(error) => (None, vec![reason("query-svc", &error)]),
        };
        if gateway.shutdown.is_cancelled() {
            reasons.push("gateway-svc: shutting down".to_owned());
        }
        Self {
            ready: reasons.is_empty(),
            reasons,
            release,
        }
    }
}

/// Names the service, since whoever reads this runs it.
fn reason(service: &str, error: &ApiError) -> String {
    match error {
        ApiError::Upstream(status) if status.code() == Code::FailedPrecondition => {
            format!("{service}: no release yet")
        }
        ApiError::Upstream(status) if status.code() == Code::Unavailable => format!("{service}: not reachable"),
        ApiError::TimedOut => format!("{service}: no answer in time"),
        other => format!("{service}: {other}"),
    }
}

#[derive(Serialize)]
struct Release {
    number: u64,
    published: Option<Time>,
    loaded: Option<Time>,
}

impl Release {
    fn of(message: &GetReleaseResponse) -> Self {
        Self {
            number: message.number,
            published: Time::of(message.published.as_ref()),
            loaded: Time::of(message.loaded.as_ref()),
        }
    }
}

#[derive(Serialize)]
struct Status {
    #[serde(flatten)]
    readiness: Readiness,
    ingest: Option<Ingest>,
    #[serde(rename = "ingestError")]
    ingest_error: Option<String>,
    /// By how much days begin before those of UTC, for the web page's times.
    #[serde(rename = "utcOffsetMinutes")]
    utc_offset_minutes: i32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ingest {
    state: &'static str,
    cycle: u64,
    cycle_started: Option<Time>,
    cycle_ended: Option<Time>,
    next_cycle: Option<Time>,
    last_error: Option<String>,
    progress: Option<Progress>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    files_found: u64,
    files_to_read: u64,
    files_read: u64,
    files_failed: u64,
    bytes_to_read: u64,
    bytes_read: u64,
    rows: u64,
    partitions_to_write: u64,
    partitions_written: u64,
}

impl Ingest {
    /// Files and errors are of all clusters, so who sees less is told no more of them than that there are some.
    fn of(message: &ingest::Status, all: bool) -> Self {
        let last_error = match message.last_error.as_str() {
            "" => None,
            error if all => Some(error.to_owned()),
            _ => Some("the last cycle failed; whoever runs this can see why".to_owned()),
        };
        Self {
            state: match message.state() {
                IngestState::Unspecified => "unknown",
                IngestState::Idle => "idle",
                IngestState::Finding => "finding",
                IngestState::Ingesting => "ingesting",
                IngestState::Publishing => "publishing",
            },
            cycle: message.cycle,
            cycle_started: Time::of(message.cycle_started.as_ref()),
            cycle_ended: Time::of(message.cycle_ended.as_ref()),
            next_cycle: Time::of(message.next_cycle.as_ref()),
            last_error,
            progress: message.progress.as_ref().filter(|_| all).map(|progress| Progress {
                files_found: progress.files_found,
                files_to_read: progress.files_to_read,
                files_read: progress.files_read,
                files_failed: progress.files_failed,
                bytes_to_read: progress.bytes_to_read,
                bytes_read: progress.bytes_read,
                rows: progress.rows,
                partitions_to_write: progress.partitions_to_write,
                partitions_written: progress.partitions_written,
            }),
        }
    }
}
