//! `/cloudCost…`: costs of cloud accounts beside clusters. The bucket holds none that are read, so the answers are
//! empty, but whole: the page of OpenCost shows them as such, where it would show an error for no answer.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use chrono::Utc;
use serde_json::{Value, json};

use super::{json::WindowJson, success::Success, time_range::TimeRange};
use crate::{Gateway, error::ApiError, face::Face, parameters::Parameters};

pub(crate) async fn sets(gateway: Gateway, face: Face, parameters: Parameters) -> Result<Response, ApiError> {
    let range = read(&gateway, face, &parameters)?;
    let window = WindowJson::of(Some(&range.window()));
    Ok(answer(json!({"sets": [], "window": window})))
}

pub(crate) async fn totals(gateway: Gateway, face: Face, parameters: Parameters) -> Result<Response, ApiError> {
    read(&gateway, face, &parameters)?;
    let combined = json!({"name": "Totals", "kubernetesPercent": 0, "cost": 0});
    Ok(answer(json!({"numResults": 0, "combined": combined})))
}

/// The graph and the table.
pub(crate) async fn list(gateway: Gateway, face: Face, parameters: Parameters) -> Result<Response, ApiError> {
    read(&gateway, face, &parameters)?;
    Ok(answer(json!([])))
}

/// The connections to cloud accounts, of which there are none.
pub(crate) async fn status() -> Response {
    answer(json!([]))
}

pub(crate) async fn autocomplete() -> Response {
    answer(json!({"data": []}))
}

fn read(gateway: &Gateway, face: Face, parameters: &Parameters) -> Result<TimeRange, ApiError> {
    TimeRange::read(parameters, face, Utc::now(), gateway.calendar, gateway.limits.sets)
}

fn answer(data: Value) -> Response {
    Json(Success::of(data)).into_response()
}
