//! `/allocation`, `/allocation/compute`, `/allocation/summary`, `/allocation/summary/topline` and
//! `/allocation/trends`, with and without `/model`.

pub(crate) mod figures;
mod item;
mod question;
mod topline;
mod trends;

use axum::response::Response;
use chrono::Utc;

pub(crate) use self::{
    item::{Allocation, Summary},
    question::page,
    topline::{Topline, topline},
    trends::{Trends, trends},
};
use super::{
    csv::{CsvItem, CsvWriter},
    outgoing,
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
    answer::<Allocation>(&gateway, face, &parameters, Shape::List).await
}

pub(crate) async fn summary(gateway: Gateway, face: Face, parameters: Parameters) -> Result<Response, ApiError> {
    answer::<Summary>(&gateway, face, &parameters, Shape::Summary).await
}

async fn answer<I: CsvItem>(
    gateway: &Gateway,
    face: Face,
    parameters: &Parameters,
    shape: Shape,
) -> Result<Response, ApiError> {
    let range = TimeRange::read(parameters, face, Utc::now(), gateway.calendar, gateway.limits.sets)?;
    let mut question = question::read(parameters, face, &range)?;
    question.page = Some(page(parameters, &table::SORT_BY)?);
    let format = parameters.word(&table::FORMAT)?;
    let deadline = gateway.deadline();
    let stream = gateway.upstream.allocations(question, deadline).await?;
    match format {
        Some("csv") => outgoing::respond(stream, CsvWriter::<I>::new(), range.most_sets(), deadline).await,
        _ => outgoing::respond(stream, SetWriter::<I>::new(shape), range.most_sets(), deadline).await,
    }
}
