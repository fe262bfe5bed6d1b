//! `/model/assets` and `/assets`.

use axum::{extract::State, response::Response};
use chrono::Utc;
use cost_model::AssetAggregation;
use fedcost_proto::query::v1::QueryAssetsRequest;

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
    // One map can hold one set, whatever step a client sends along.
    let (shape, range) = match face {
        Face::Kubecost => (Shape::List, range),
        Face::OpenCost => (Shape::Map, range.as_one_set()),
    };
    let aggregation = AssetAggregation::parse(parameters.get("aggregate").unwrap_or_default())?;
    unsupported::refuse(&parameters)?;
    let question = QueryAssetsRequest {
        window: Some(range.window()),
        step: range.step().into(),
        aggregate: aggregation.to_items(),
        accumulate: range.accumulate().into(),
    };
    let deadline = gateway.deadline();
    let stream = gateway.upstream.assets(question, deadline).await?;
    sets::respond(stream, shape, range.most_sets(), deadline).await
}
