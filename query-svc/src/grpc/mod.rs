//! The gRPC side: checking questions, and streaming answers.

mod error;
mod question;
mod scope;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use async_stream::try_stream;
use async_trait::async_trait;
use bytes::Bytes;
use chrono::Utc;
use cost_model::{Accumulate, AllocationFilter, AssetFilter, Calendar, Step, filter::Leniency};
use fedcost_proto::query::v1::{
    self as proto, AutocompleteRequest, AutocompleteResponse, ColumnsResponse, GetReleaseRequest, GetReleaseResponse,
    ListClustersRequest, ListClustersResponse, QueryAllocationsRequest, QueryAllocationsResponse, QueryAssetsRequest,
    QueryAssetsResponse, query_service_server::QueryService,
};
use futures::{StreamExt as _, TryStreamExt as _, pin_mut, stream::BoxStream};
use prost::Message;
use service_kit::MAX_MESSAGE_BYTES;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use self::error::QueryError;
use crate::{
    answer::{self, Answer, SetOf, SetSummary, allocation_messages, asset_messages, pieces, timestamp, window_message},
    catalog,
    config::LimitsConfig,
    plan::{Planner, Reader, Sets},
    release::{AsOf, Releases, Served},
};

/// Items in one message at most.
const ITEMS_PER_MESSAGE: usize = 256;

/// Bytes from which on a message is sent, so that none grows past what gRPC takes.
const MESSAGE_BYTES: usize = MAX_MESSAGE_BYTES / 2;

/// Answers the calls of `fedcost.query.v1`.
pub(crate) struct QueryHandlers {
    planner: Planner,
    releases: Releases,
    limits: LimitsConfig,
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl QueryHandlers {
    pub(crate) fn new(planner: Planner, releases: Releases, limits: LimitsConfig) -> Self {
        Self {
            planner,
            releases,
            limits,
            running: Arc::new(Semaphore::new(limits.concurrent)),
            waiting: Arc::new(Semaphore::new(limits.waiting)),
        }
    }

    fn served(&self) -> Result<Arc<Served>, QueryError> {
        self.releases.current().ok_or(QueryError::NoRelease)
    }

    /// The release that is to answer.
    async fn as_of(&self, text: &str) -> Result<Arc<Served>, QueryError> {
        let wrong = || QueryError::Field {
            field: "asOf",
            got: text.to_owned(),
            takes: AsOf::TAKES,
        };
        match AsOf::parse(text).ok_or_else(wrong)? {
            AsOf::Served => self.served(),
            asked => {
                self.served()?;
                self.releases
                    .as_of(asked)
                    .await?
                    .ok_or_else(|| QueryError::NotOnRecord { got: text.to_owned() })
            }
        }
    }

    /// Waits for a turn. It lasts for as long as the permit is held, so for an answer until it is sent.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, QueryError> {
        let busy = || QueryError::Busy {
            waiting: self.limits.waiting,
        };
        if let Ok(turn) = Arc::clone(&self.running).try_acquire_owned() {
            return Ok(turn);
        }
        let _place = self.waiting.try_acquire().map_err(|_| busy())?;
        // The semaphore is never closed.
        Arc::clone(&self.running).acquire_owned().await.map_err(|_| busy())
    }

    fn check_size(&self, answer: &Answer) -> Result<(), QueryError> {
        let (items, most) = (answer.rows(), self.limits.items);
        if items > most {
            return Err(QueryError::TooManyItems { items, most });
        }
        Ok(())
    }

    async fn allocations(&self, request: &Request<QueryAllocationsRequest>) -> Result<Answered, QueryError> {
        let scope = scope::of(request, |request| request.scope.as_ref())?;
        let request = request.get_ref();
        let explain = request.explain && scope.is_everything();
        let question = question::allocations(request)?;
        let turn = self.turn().await?;
        let (served, started) = (self.as_of(&request.as_of).await?, Instant::now());
        let mut reader = Reader::new(&self.planner, &served, &question.sets, &scope, explain);
        reader.unreconciled = request.unreconciled;
        let span = reader.span(&request.aggregate);
        let answer = answer::allocations(&reader, &question, Utc::now())
            .instrument(span.clone())
            .await;
        reader.note_read(&span);
        let answer = answer?;
        self.check_size(&answer)?;
        let explanation = explain.then(|| explanation(reader, started));
        Ok(Answered {
            answer: Arc::new(answer),
            explanation,
            turn,
        })
    }

    async fn assets(&self, request: &Request<QueryAssetsRequest>) -> Result<Answered, QueryError> {
        let scope = scope::of(request, |request| request.scope.as_ref())?;
        let request = request.get_ref();
        let explain = request.explain && scope.is_everything();
        let question = question::assets(request)?;
        let turn = self.turn().await?;
        let (served, started) = (self.as_of(&request.as_of).await?, Instant::now());
        let reader = Reader::new(&self.planner, &served, &question.sets, &scope, explain);
        let span = reader.span(&request.aggregate);
        let answer = answer::assets(&reader, &question).instrument(span.clone()).await;
        reader.note_read(&span);
        let answer = answer?;
        self.check_size(&answer)?;
        let explanation = explain.then(|| explanation(reader, started));
        Ok(Answered {
            answer: Arc::new(answer),
            explanation,
            turn,
        })
    }
}

/// An answer that is still to be sent.
struct Answered {
    answer: Arc<Answer>,
    explanation: Option<proto::Explanation>,
    turn: OwnedSemaphorePermit,
}

fn explanation(reader: Reader<'_>, started: Instant) -> proto::Explanation {
    let release = reader.served.release.number;
    let (read, plans) = reader.notes();
    let scans = read.into_iter().map(|read| proto::TableScan {
        table: read.table.to_string(),
        files: read.files,
        files_read: read.counts.files_read.load(Ordering::Relaxed),
        bytes_read: read.counts.bytes_read.load(Ordering::Relaxed),
        rows: read.rows,
        reason: read.reason.to_owned(),
    });
    proto::Explanation {
        scans: scans.collect(),
        plans,
        release,
        elapsed_micros: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
    }
}

type Responses<T> = BoxStream<'static, Result<T, Status>>;

#[async_trait]
impl QueryService for QueryHandlers {
    type QueryAllocationsStream = Responses<QueryAllocationsResponse>;

    async fn query_allocations(
        &self,
        request: Request<QueryAllocationsRequest>,
    ) -> Result<Response<Self::QueryAllocationsStream>, Status> {
        let answered = self.allocations(&request).await?;
        let message = |(set, window), allocations| QueryAllocationsResponse {
            set,
            window,
            allocations,
        };
        Ok(Response::new(rows(answered, allocation_messages, message)))
    }

    type QueryAllocationColumnsStream = Responses<ColumnsResponse>;

    async fn query_allocation_columns(
        &self,
        request: Request<QueryAllocationsRequest>,
    ) -> Result<Response<Self::QueryAllocationColumnsStream>, Status> {
        Ok(Response::new(columns(self.allocations(&request).await?)))
    }

    type QueryAssetsStream = Responses<QueryAssetsResponse>;

    async fn query_assets(
        &self,
        request: Request<QueryAssetsRequest>,
    ) -> Result<Response<Self::QueryAssetsStream>, Status> {
        let answered = self.assets(&request).await?;
        let message = |(set, window), assets| QueryAssetsResponse { set, window, assets };
        Ok(Response::new(rows(answered, asset_messages, message)))
    }

    type QueryAssetColumnsStream = Responses<ColumnsResponse>;

    async fn query_asset_columns(
        &self,
        request: Request<QueryAssetsRequest>,
    ) -> Result<Response<Self::QueryAssetColumnsStream>, Status> {
        Ok(Response::new(columns(self.assets(&request).await?)))
    }

    async fn autocomplete(
        &self,
        request: Request<AutocompleteRequest>,
    ) -> Result<Response<AutocompleteResponse>, Status> {
        let scope = scope::of(&request, |request| request.scope.as_ref())?;
        let request = request.into_inner();
        let window = question::window(request.window)?;
        let sets = Sets::new(window, Step::Day, Accumulate::All, 1, Calendar::utc()).map_err(QueryError::from)?;
        let malformed = |takes| QueryError::Field {
            field: "field",
            got: request.field.clone(),
            takes,
        };
        let _turn = self.turn().await?;
        let served = self.served()?;
        let reader = Reader::new(&self.planner, &served, &sets, &scope, false);
        let values = if request.assets {
            let filter = AssetFilter::parse(&request.filter, Leniency::Strict).map_err(QueryError::from)?;
            let field = catalog::AssetListing::parse(&request.field);
            let field = field.ok_or_else(|| malformed(catalog::AssetListing::TAKES))?;
            catalog::asset_values(&reader, &field, &filter).await
        } else {
            let filter = AllocationFilter::parse(&request.filter, Leniency::Strict).map_err(QueryError::from)?;
            let field = catalog::AllocationListing::parse(&request.field);
            let field = field.ok_or_else(|| malformed(catalog::AllocationListing::TAKES))?;
            catalog::allocation_values(&reader, &field, &filter).await
        };
        let values = values.map_err(QueryError::from)?;
        Ok(Response::new(AutocompleteResponse {
            values: catalog::search(values, &request.search, request.limit as usize),
        }))
    }

    async fn list_clusters(
        &self,
        request: Request<ListClustersRequest>,
    ) -> Result<Response<ListClustersResponse>, Status> {
        let scope = scope::of(&request, |request| request.scope.as_ref())?;
        let served = self.served()?;
        let clusters = catalog::clusters(&served, &scope).await.map_err(QueryError::from)?;
        Ok(Response::new(ListClustersResponse { clusters }))
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

fn summary_message(set: &SetSummary) -> proto::SetSummary {
    proto::SetSummary {
        window: Some(window_message(set.window)),
        items: set.items,
    }
}

/// An answer in columns.
fn columns(answered: Answered) -> Responses<ColumnsResponse> {
    let Answered {
        answer,
        explanation,
        turn,
    } = answered;
    let messages = try_stream! {
        let _turn = turn;
        yield ColumnsResponse {
            sets: answer.sets.iter().map(summary_message).collect(),
            arrow_ipc: Bytes::new(),
            explanation,
        };
        let pieces = pieces(answer);
        pin_mut!(pieces);
        while let Some(piece) = pieces.try_next().await.map_err(QueryError::from)? {
            let mut piece = Bytes::from(piece);
            while !piece.is_empty() {
                let arrow_ipc = piece.split_to(piece.len().min(MESSAGE_BYTES));
                yield ColumnsResponse { sets: Vec::new(), arrow_ipc, explanation: None };
            }
        }
    };
    messages.boxed()
}

/// Reads the items of a chunk, each with its set.
type ReadItems<T> = fn(&arrow::array::RecordBatch, &[SetSummary]) -> Result<Vec<(SetOf, T)>, cost_answer::ColumnsError>;

/// An answer in messages. Each set has at least one, so that empty sets are seen.
fn rows<T: Message + 'static, M: Send + 'static>(
    answered: Answered,
    read: ReadItems<T>,
    message: impl Fn(SetOf, Vec<T>) -> M + Send + 'static,
) -> Responses<M> {
    let Answered { answer, turn, .. } = answered;
    let messages = try_stream! {
        let _turn = turn;
        let mut grouped = Grouped::new(answer.sets.clone());
        for chunk in 0..answer.chunks() {
            let batch = answer.chunk(chunk).map_err(QueryError::from)?;
            for (set, item) in read(&batch, &answer.sets).map_err(QueryError::from)? {
                for (set, items) in grouped.push(set.0, item) {
                    yield message(set, items);
                }
            }
        }
        for (set, items) in grouped.finish() {
            yield message(set, items);
        }
    };
    messages.boxed()
}

/// Items of one set until there are enough for a message.
struct Grouped<T> {
    sets: Vec<SetSummary>,
    /// The set that is being gathered, and whether anything of it was sent.
    set: u32,
    sent: bool,
    items: Vec<T>,
    /// How long the items are in a message.
    bytes: usize,
}

impl<T: Message> Grouped<T> {
    fn new(sets: Vec<SetSummary>) -> Self {
        Self {
            sets,
            set: 0,
            sent: false,
            items: Vec::new(),
            bytes: 0,
        }
    }

    fn take(&mut self) -> (SetOf, Vec<T>) {
        let window = self.sets.get(self.set as usize).map(|set| window_message(set.window));
        self.sent = true;
        self.bytes = 0;
        ((self.set, window), std::mem::take(&mut self.items))
    }

    /// What is complete before `set` begins.
    fn advance(&mut self, set: u32) -> Vec<(SetOf, Vec<T>)> {
        let mut complete = Vec::new();
        while self.set < set {
            if !self.sent || !self.items.is_empty() {
                complete.push(self.take());
            }
            (self.set, self.sent) = (self.set + 1, false);
        }
        complete
    }

    /// Adds an item, and returns what is complete.
    fn push(&mut self, set: u32, item: T) -> Vec<(SetOf, Vec<T>)> {
        let mut complete = self.advance(set);
        self.bytes += item.encoded_len();
        self.items.push(item);
        if self.items.len() == ITEMS_PER_MESSAGE || self.bytes >= MESSAGE_BYTES {
            complete.push(self.take());
        }
        complete
    }

    fn finish(mut self) -> Vec<(SetOf, Vec<T>)> {
        let sets = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        self.advance(sets)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use cost_model::Window;

    use super::*;

    fn counts_of<T>(sent: Vec<(SetOf, Vec<T>)>) -> Vec<(u32, usize)> {
        sent.into_iter().map(|((set, _), items)| (set, items.len())).collect()
    }

    #[test]
    fn every_set_has_a_message_and_none_is_too_long() {
        let window = Window::new(DateTime::UNIX_EPOCH, DateTime::from_timestamp(60, 0).unwrap()).unwrap();
        let counts = [0, 1, ITEMS_PER_MESSAGE, ITEMS_PER_MESSAGE + 1, 0];
        let mut grouped = Grouped::new(vec![SetSummary { window, items: 0 }; counts.len()]);
        let mut sent = Vec::new();
        for (set, count) in (0..).zip(counts) {
            for _ in 0..count {
                sent.extend(grouped.push(set, proto::Asset::default()));
            }
        }
        sent.extend(grouped.finish());
        let full = ITEMS_PER_MESSAGE;
        assert_eq!(counts_of(sent), [(0, 0), (1, 1), (2, full), (3, full), (3, 1), (4, 0)]);

        let mut grouped = Grouped::new(vec![SetSummary { window, items: 5 }]);
        let half = proto::Asset {
            name: "x".repeat(MESSAGE_BYTES / 2),
            ..proto::Asset::default()
        };
        let mut sent: Vec<_> = (0..5).flat_map(|_| grouped.push(0, half.clone())).collect();
        sent.extend(grouped.finish());
        assert_eq!(counts_of(sent), [(0, 2), (0, 2), (0, 1)]);
    }
}
