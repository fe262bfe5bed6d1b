//! `/etl/allocation/repair` and `/etl/asset/repair`: have files of some windows read again.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use chrono::Utc;
use fedcost_proto::ingest::v1::RepairRequest;

use crate::{
    Gateway,
    api::{success::Success, time_range::TimeRange},
    error::ApiError,
    face::Face,
    parameters::{Parameters, table},
};

pub(crate) async fn allocations(gateway: Gateway, face: Face, parameters: Parameters) -> Result<Response, ApiError> {
    repair(&gateway, face, &parameters, "allocations", "Repairing Allocation ETL").await
}

pub(crate) async fn assets(gateway: Gateway, face: Face, parameters: Parameters) -> Result<Response, ApiError> {
    repair(&gateway, face, &parameters, "assets", "Repairing Asset ETL").await
}

async fn repair(
    gateway: &Gateway,
    face: Face,
    parameters: &Parameters,
    pipeline: &str,
    answer: &'static str,
) -> Result<Response, ApiError> {
    let window = TimeRange::read(parameters, face, Utc::now(), gateway.calendar, gateway.limits.sets)?.window();
    let cluster = parameters.get(table::CLUSTER.name).unwrap_or_default();
    if !gateway.caller.may_operate(cluster) {
        return Err(ApiError::Forbidden {
            who: gateway.caller.name.clone(),
            what: "have files of all these clusters read again, so name one with the parameter cluster that it may",
        });
    }
    let request = RepairRequest {
        start: window.start,
        end: window.end,
        pipeline: pipeline.to_owned(),
        cluster: cluster.to_owned(),
    };
    gateway.upstream.repair(request, gateway.deadline()).await?;
    Ok(Json(Success::of(answer)).into_response())
}
