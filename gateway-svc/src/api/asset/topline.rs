//! `/assets/topline`: what all assets together cost.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use chrono::Utc;
use cost_answer::AssetColumns;
use serde::Serialize;
use utoipa::ToSchema;

use super::read;
use crate::{
    Gateway,
    api::{incoming::Incoming, number::SixDecimals, success::Success, time_range::TimeRange},
    error::ApiError,
    face::Face,
    parameters::Parameters,
};

/// What all assets together cost.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AssetTopline)]
pub(crate) struct Topline {
    total_cost: SixDecimals,
    /// What reconciliation added; within the total.
    adjustment: SixDecimals,
    /// How many items there are.
    num_results: u64,
}

pub(crate) async fn topline(gateway: Gateway, face: Face, parameters: Parameters) -> Result<Response, ApiError> {
    let range = TimeRange::read(&parameters, face, Utc::now(), gateway.calendar, gateway.limits.sets)?.as_one_set();
    let question = read(&parameters, face, &range)?;
    let deadline = gateway.deadline();
    let stream = gateway.upstream.assets(question, deadline).await?;
    let (_, mut incoming) = Incoming::open(stream, range.most_sets(), deadline).await?;
    let (mut total_cost, mut adjustment, mut num_results) = (0.0, 0.0, 0);
    while let Some(batch) = incoming.next().await? {
        let columns = AssetColumns::new(&batch)?;
        for row in 0..columns.rows() {
            let row = columns.row(row);
            total_cost += row.total_cost;
            adjustment += row.adjustment;
            num_results += 1;
        }
    }
    Ok(Json(Success::of(Topline {
        total_cost: SixDecimals(total_cost),
        adjustment: SixDecimals(adjustment),
        num_results,
    }))
    .into_response())
}
