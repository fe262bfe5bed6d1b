//! `/clusterInfoMap`, `/clusterInfo` and `/clusters/status`: the clusters that the bucket holds anything of.

use std::collections::BTreeMap;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use fedcost_proto::query::v1 as proto;
use serde::Serialize;
use utoipa::ToSchema;

use super::{json::Time, success::Success};
use crate::{Gateway, error::ApiError};

/// A cluster. What is not known is empty.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cluster {
    id: String,
    name: String,
    provider: String,
    account: String,
    project: String,
    region: String,
    /// First instant of its first window.
    first_window: Option<Time>,
    /// One past the last instant of its last window.
    last_window: Option<Time>,
    /// When a file of it was last written.
    last_upload: Option<Time>,
    /// Rows of allocations and assets.
    rows: u64,
    /// Files that cannot be read.
    files_set_aside: u64,
}

impl Cluster {
    fn of(message: proto::Cluster) -> Self {
        Self {
            first_window: Time::of(message.first_window.as_ref()),
            last_window: Time::of(message.last_window.as_ref()),
            last_upload: Time::of(message.last_upload.as_ref()),
            id: message.id,
            name: message.name,
            provider: message.provider,
            account: message.account,
            project: message.project,
            region: message.region,
            rows: message.rows,
            files_set_aside: message.files_set_aside,
        }
    }
}

/// Every cluster by its id.
pub(crate) async fn map(gateway: Gateway) -> Result<Response, ApiError> {
    let clusters: BTreeMap<_, _> = clusters(&gateway)
        .await?
        .into_iter()
        .map(|cluster| (cluster.id.clone(), cluster))
        .collect();
    Ok(Json(Success::of(clusters)).into_response())
}

/// Clients ask about the cluster that they are in; of several, the first one answers.
pub(crate) async fn info(gateway: Gateway) -> Result<Response, ApiError> {
    let first = clusters(&gateway).await?.into_iter().next();
    Ok(Json(Success::of(first.unwrap_or_default())).into_response())
}

/// The clusters in order of their ids.
pub(crate) async fn status(gateway: Gateway) -> Result<Response, ApiError> {
    Ok(Json(Success::of(clusters(&gateway).await?)).into_response())
}

async fn clusters(gateway: &Gateway) -> Result<Vec<Cluster>, ApiError> {
    let answer = gateway.upstream.clusters(gateway.deadline()).await?;
    Ok(answer.clusters.into_iter().map(Cluster::of).collect())
}
