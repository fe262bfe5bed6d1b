//! `/debug/releases`: which releases can be returned to.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use fedcost_proto::ingest::v1 as proto;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Gateway,
    api::{json::Time, success::Success},
    error::ApiError,
};

/// The releases that can be returned to.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Releases {
    /// The number of the pinned one.
    pinned: Option<u64>,
    /// Why it was pinned.
    pin_reason: Option<String>,
    /// Newest first.
    releases: Vec<Recorded>,
}

/// A release on record.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RecordedRelease)]
pub(crate) struct Recorded {
    number: u64,
    published: Option<Time>,
    rows: u64,
    newest: bool,
    /// The older release whose tables it has.
    rolled_back_to: Option<u64>,
}

impl Releases {
    fn of(message: proto::ListReleasesResponse) -> Self {
        let releases = message.releases.into_iter().map(|recorded| {
            let release = recorded.release.unwrap_or_default();
            Recorded {
                number: release.number,
                published: Time::of(release.published.as_ref()),
                rows: release.rows,
                newest: recorded.newest,
                rolled_back_to: (recorded.rolled_back_to > 0).then_some(recorded.rolled_back_to),
            }
        });
        Self {
            releases: releases.collect(),
            pinned: (message.pinned > 0).then_some(message.pinned),
            pin_reason: (!message.pin_reason.is_empty()).then_some(message.pin_reason),
        }
    }
}

pub(crate) async fn releases(gateway: Gateway) -> Result<Response, ApiError> {
    let message = gateway.upstream.releases(gateway.deadline()).await?;
    Ok(Json(Success::of(Releases::of(message))).into_response())
}
