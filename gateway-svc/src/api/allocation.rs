//! `/model/allocation`, `/allocation` and `/allocation/compute`.

use axum::{extract::State, response::Response};
use chrono::Utc;
use cost_model::Aggregation;
use fedcost_proto::query::v1::QueryAllocationsRequest;

use super::{
    sets::{self, Shape},
    time_range::TimeRange,
};
use crate::{Gateway, error::ApiError, face::Face, parameters::Parameters, unsupported};

pub(crate) async fn answer(
    State(gateway): State<Gateway>,
    face: Face,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let range = TimeRange::read(&parameters, face, Utc::now(), gateway.calendar, gateway.limits.sets)?;
    let aggregation = Aggregation::parse(parameters.get("aggregate").unwrap_or_default())?;
    unsupported::refuse(&parameters)?;
    let question = QueryAllocationsRequest {
        window: Some(range.window()),
        step: range.step().into(),
        aggregate: aggregation.to_items(),
        accumulate: range.accumulate().into(),
    };
    let deadline = gateway.deadline();
    let stream = gateway.upstream.allocations(question, deadline).await?;
    sets::respond(stream, Shape::List, range.most_sets(), deadline).await
}
