//! `/assets`, `/assets/topline` and `/assets/diff`, with and without `/model`.

mod diff;
mod item;
mod topline;

use axum::response::Response;
use chrono::Utc;
use cost_model::AssetAggregation;
use fedcost_proto::query::v1::QueryAssetsRequest;

pub(crate) use self::{
    diff::diff,
    item::Asset,
    topline::{Topline, topline},
};
use super::{
    allocation::page,
    csv::CsvWriter,
    filter, outgoing,
    sets::{SetWriter, Shape},
    time_range::TimeRange,
};
use crate::{
    Gateway,
    error::ApiError,
    face::Face,
    parameters::{Parameters, table},
};

pub(crate) async fn sets(gateway: Gateway, face: Face, parameters: Parameters) -> Result<Response, ApiError> {
    let range = TimeRange::read(&parameters, face, Utc::now(), gateway.calendar, gateway.limits.sets)?;
    // One map can hold one set, whatever step a client sends along.
    let (shape, range) = match face {
        Face::Kubecost => (Shape::List, range),
        Face::OpenCost => (Shape::Map, range.as_one_set()),
    };
    let mut question = read(&parameters, face, &range)?;
    question.page = Some(page(&parameters, &table::ASSET_SORT_BY)?);
    let format = parameters.word(&table::FORMAT)?;
    let deadline = gateway.deadline();
    let stream = gateway.upstream.assets(question, deadline).await?;
    match format {
        Some("csv") => outgoing::respond(stream, CsvWriter::<Asset>::new(), range.most_sets(), deadline).await,
        _ => outgoing::respond(stream, SetWriter::<Asset>::new(shape), range.most_sets(), deadline).await,
    }
}

/// Reads a question about assets, all of them on one page.
fn read(parameters: &Parameters, face: Face, range: &TimeRange) -> Result<QueryAssetsRequest, ApiError> {
    let aggregation = AssetAggregation::parse(parameters.get(table::ASSET_AGGREGATE.name).unwrap_or_default())?;
    Ok(QueryAssetsRequest {
        window: Some(range.window()),
        step: range.step().into(),
        aggregate: aggregation.to_items(),
        accumulate: range.accumulate().into(),
        filter: filter::assets(parameters, face)?,
        page: None,
        explain: parameters.is_set(&table::EXPLAIN, face)?,
        steps_per_set: range.steps_per_set(),
        utc_offset_seconds: range.utc_offset_seconds(),
        as_of: parameters.get(table::AS_OF.name).unwrap_or_default().to_owned(),
        // Whoever asks says it.
        scope: None,
    })
}
