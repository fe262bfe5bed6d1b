//! An answer in columns as it comes from query-svc: its sets first, then its rows.

use chrono::{DateTime, Utc};
use cost_answer::{Decoder, RecordBatch};
use fedcost_proto::query::v1::{self as proto, ColumnsResponse};
use futures::{Stream, TryStreamExt};
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use super::json;
use crate::error::ApiError;

/// The sets of an answer, in order of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sets {
    pub(crate) heads: Vec<SetHead>,
    /// How the question was answered, if that was asked.
    pub(crate) explanation: Option<proto::Explanation>,
}

/// What is known of a set before its items.
#[derive(Clone, Debug, Default)]
pub(crate) struct SetHead {
    pub(crate) start: Option<DateTime<Utc>>,
    pub(crate) end: Option<DateTime<Utc>>,
    /// The window as JSON: every item has it.
    pub(crate) window: Vec<u8>,
}

impl SetHead {
    fn of(summary: &proto::SetSummary) -> Self {
        let mut window = Vec::new();
        json::window(&mut window, summary.window.as_ref());
        let message = summary.window.unwrap_or_default();
        Self {
            start: json::instant(message.start.as_ref()),
            end: json::instant(message.end.as_ref()),
            window,
        }
    }
}

impl Sets {
    fn of(message: &ColumnsResponse) -> Self {
        Self {
            heads: message.sets.iter().map(SetHead::of).collect(),
            explanation: message.explanation.clone(),
        }
    }

    /// From the first set's start to the last one's end.
    pub(crate) fn window(&self) -> proto::Window {
        let start = self.heads.first().and_then(|set| set.start);
        let end = self.heads.last().and_then(|set| set.end);
        proto::Window {
            start: start.map(json::Time::to_message),
            end: end.map(json::Time::to_message),
        }
    }
}

/// The rows of an answer, batch by batch.
pub(crate) struct Incoming<S> {
    stream: S,
    decoder: Decoder,
    deadline: Instant,
}

impl<S: Stream<Item = Result<ColumnsResponse, Status>> + Unpin> Incoming<S> {
    /// Waits for the sets, so that what goes wrong until then has a status of its own.
    pub(crate) async fn open(mut stream: S, most_sets: u64, deadline: Instant) -> Result<(Sets, Self), ApiError> {
        let first = message(&mut stream, deadline).await?.unwrap_or_default();
        let sets = Sets::of(&first);
        if sets.heads.len() as u64 > most_sets.max(1) {
            return Err(ApiError::OutOfOrder);
        }
        let mut decoder = Decoder::new();
        decoder.push(first.arrow_ipc);
        let incoming = Self {
            stream,
            decoder,
            deadline,
        };
        Ok((sets, incoming))
    }

    /// The next batch of rows; none after the last one.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>, ApiError> {
        loop {
            if let Some(batch) = self.decoder.next_batch()? {
                return Ok(Some(batch));
            }
            match message(&mut self.stream, self.deadline).await? {
                Some(message) => self.decoder.push(message.arrow_ipc),
                None => {
                    self.decoder.finish()?;
                    return Ok(None);
                }
            }
        }
    }
}

async fn message(
    stream: &mut (impl Stream<Item = Result<ColumnsResponse, Status>> + Unpin),
    deadline: Instant,
) -> Result<Option<ColumnsResponse>, ApiError> {
    match timeout_at(deadline, stream.try_next()).await {
        Ok(message) => message.map_err(ApiError::Upstream),
        Err(_) => Err(ApiError::TimedOut),
    }
}
