//! The gRPC side: checking questions, and streaming answers.

use std::{sync::Arc, time::SystemTime};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cost_model::{Accumulate, Aggregation, AssetAggregation, ParameterError, Step, Window};
use datafusion::{error::DataFusionError, prelude::DataFrame};
use fedcost_proto::query::v1::{
    self as proto, GetReleaseRequest, GetReleaseResponse, QueryAllocationsRequest, QueryAllocationsResponse,
    QueryAssetsRequest, QueryAssetsResponse, query_service_server::QueryService,
};
use futures::{StreamExt as _, stream, stream::BoxStream};
use prost_types::Timestamp;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{
    answer::{self, Item, Row, Set, into_sets, window_message},
    plan::{Planner, Sets, TooManySteps},
    release::{Releases, Served},
};

/// Items in one message, so that none grows past what gRPC takes.
const ITEMS_PER_MESSAGE: usize = 256;

/// Answers the calls of `fedcost.query.v1`.
pub(crate) struct QueryHandlers {
    pub(crate) planner: Planner,
    pub(crate) releases: Releases,
}

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
enum QueryError {
    #[error("no release is published yet: ingest has not ended its first cycle")]
    NoRelease,
    #[error("{0}")]
    Parameter(#[from] ParameterError),
    #[error("window is missing, or does not start before it ends")]
    Window,
    #[error("{0}")]
    TooManySteps(#[from] TooManySteps),
    #[error("{0}")]
    Engine(#[from] DataFusionError),
}

impl From<QueryError> for Status {
    fn from(error: QueryError) -> Self {
        let bad_field = |field: &str| {
            let details = ErrorDetails::with_bad_request_violation(field, error.to_string());
            Self::with_error_details(Code::InvalidArgument, error.to_string(), details)
        };
        match &error {
            QueryError::NoRelease => Self::failed_precondition(error.to_string()),
            QueryError::Parameter(_) => bad_field("aggregate"),
            QueryError::Window | QueryError::TooManySteps(_) => bad_field("window"),
            QueryError::Engine(engine) => match engine.find_root() {
                DataFusionError::ResourcesExhausted(_) => {
                    tracing::warn!(%error, "query needs too much memory");
                    Self::resource_exhausted(
                        "the answer needs more memory than queries may use: ask for a shorter window or fewer keys",
                    )
                }
                DataFusionError::ObjectStore(_) => {
                    tracing::warn!(%error, "query cannot read the lake");
                    Self::unavailable("the lake cannot be read; try again later")
                }
                _ => {
                    tracing::error!(%error, "query failed");
                    Self::internal("the query failed; the log of query-svc says why")
                }
            },
        }
    }
}

impl QueryHandlers {
    fn served(&self) -> Result<Arc<Served>, QueryError> {
        self.releases.current().ok_or(QueryError::NoRelease)
    }
}

#[async_trait]
impl QueryService for QueryHandlers {
    type QueryAllocationsStream = BoxStream<'static, Result<QueryAllocationsResponse, Status>>;

    async fn query_allocations(
        &self,
        request: Request<QueryAllocationsRequest>,
    ) -> Result<Response<Self::QueryAllocationsStream>, Status> {
        let request = request.into_inner();
        let sets = sets(request.window, request.step(), request.accumulate())?;
        let aggregation = Aggregation::from_items(request.aggregate.iter().map(String::as_str));
        let aggregation = aggregation.map_err(QueryError::from)?;
        let served = self.served()?;
        let plan = self
            .planner
            .allocations(&served, &sets, aggregation)
            .map_err(QueryError::from)?;
        let answer = run(plan, &sets, answer::allocations).await?;
        Ok(Response::new(messages(answer, |set, window, allocations| {
            QueryAllocationsResponse {
                set,
                window,
                allocations,
            }
        })))
    }

    type QueryAssetsStream = BoxStream<'static, Result<QueryAssetsResponse, Status>>;

    async fn query_assets(
        &self,
        request: Request<QueryAssetsRequest>,
    ) -> Result<Response<Self::QueryAssetsStream>, Status> {
        let request = request.into_inner();
        let sets = sets(request.window, request.step(), request.accumulate())?;
        let aggregation = AssetAggregation::from_items(request.aggregate.iter().map(String::as_str));
        let aggregation = aggregation.map_err(QueryError::from)?;
        let served = self.served()?;
        let plan = self
            .planner
            .assets(&served, &sets, aggregation)
            .map_err(QueryError::from)?;
        let answer = run(plan, &sets, answer::assets).await?;
        Ok(Response::new(messages(answer, |set, window, assets| {
            QueryAssetsResponse { set, window, assets }
        })))
    }

    async fn get_release(&self, _: Request<GetReleaseRequest>) -> Result<Response<GetReleaseResponse>, Status> {
        let served = self.served()?;
        Ok(Response::new(GetReleaseResponse {
            number: served.release.number,
            published: Some(timestamp(served.release.published)),
            loaded: Some(timestamp(served.loaded)),
        }))
    }
}

fn timestamp(time: DateTime<Utc>) -> Timestamp {
    SystemTime::from(time).into()
}

fn sets(window: Option<proto::Window>, step: proto::Step, accumulate: proto::Accumulate) -> Result<Sets, QueryError> {
    let time = |time: Option<Timestamp>| {
        let time = time?;
        DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?)
    };
    let window = window
        .and_then(|window| Window::new(time(window.start)?, time(window.end)?))
        .ok_or(QueryError::Window)?;
    let step = match step {
        proto::Step::Hour => Step::Hour,
        proto::Step::Unspecified | proto::Step::Day => Step::Day,
    };
    let accumulate = match accumulate {
        proto::Accumulate::Unspecified | proto::Accumulate::None => Accumulate::None,
        proto::Accumulate::All => Accumulate::All,
        proto::Accumulate::Hour => Accumulate::Hour,
        proto::Accumulate::Day => Accumulate::Day,
        proto::Accumulate::Week => Accumulate::Week,
        proto::Accumulate::Month => Accumulate::Month,
        proto::Accumulate::Quarter => Accumulate::Quarter,
    };
    Ok(Sets::new(window, step, accumulate)?)
}

/// Runs a plan and puts its rows into sets. Dropping the future ends the work.
async fn run<T: Item>(
    plan: DataFrame,
    sets: &Sets,
    read: fn(&RecordBatch) -> Result<Vec<Row<T>>, DataFusionError>,
) -> Result<Vec<Set<T>>, QueryError> {
    let mut batches = plan.execute_stream().await?;
    let mut rows = Vec::new();
    while let Some(batch) = batches.next().await {
        rows.extend(read(&batch?)?);
    }
    Ok(into_sets(sets, rows))
}

/// The messages of an answer. Each set has at least one, so that empty sets are seen.
fn messages<T: Send + 'static, M: Send + 'static>(
    answer: Vec<Set<T>>,
    message: impl Fn(u32, Option<proto::Window>, Vec<T>) -> M + Send + 'static,
) -> BoxStream<'static, Result<M, Status>> {
    let pieces = answer.into_iter().zip(0..).flat_map(|(set, number)| {
        let window = window_message(set.window);
        let mut items = set.items.into_iter();
        let mut first = true;
        std::iter::from_fn(move || {
            let piece: Vec<T> = items.by_ref().take(ITEMS_PER_MESSAGE).collect();
            let more = first || !piece.is_empty();
            first = false;
            more.then_some((number, window, piece))
        })
    });
    let messages = pieces.map(move |(number, window, piece)| Ok(message(number, Some(window), piece)));
    stream::iter(messages).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_has_a_message_and_none_is_too_long() {
        let window = Window::new(DateTime::UNIX_EPOCH, DateTime::from_timestamp(60, 0).unwrap()).unwrap();
        let answer = [0, 1, ITEMS_PER_MESSAGE, ITEMS_PER_MESSAGE + 1]
            .map(|items| Set {
                window,
                items: vec![(); items],
            })
            .into();
        let sent: Vec<_> = futures::executor::block_on_stream(messages(answer, |set, _, items| (set, items.len())))
            .map(Result::unwrap)
            .collect();
        let full = ITEMS_PER_MESSAGE;
        assert_eq!(sent, [(0, 0), (1, 1), (2, full), (3, full), (3, 1)]);
    }
}
