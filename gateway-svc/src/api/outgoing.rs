//! Answers on their way to the client. Each batch of rows is written when it arrives, so that an answer is never in
//! memory as a whole, and the next one is read meanwhile.

use std::io;

use arrow::record_batch::RecordBatch;
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use fedcost_proto::query::v1::ColumnsResponse;
use futures::{Stream, StreamExt};
use http::{HeaderValue, header};
use tokio::{sync::mpsc, task::spawn_blocking, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tracing::Instrument;

use super::incoming::{Incoming, Sets};
use crate::error::ApiError;

/// How many bytes are gathered before they are passed on.
const CHUNK_BYTES: usize = 512 * 1024;
/// Room for the item that goes beyond that.
const ITEM_BYTES: usize = 16 * 1024;
/// From how many rows on writing is worth another thread.
const MANY_ROWS: usize = 256;
/// Batches that are read ahead, and chunks that are written ahead.
const AHEAD: usize = 2;

/// Writes the rows of an answer.
pub(crate) trait Writer: Send + 'static {
    const CONTENT_TYPE: HeaderValue;
    /// What browsers save the answer as, rather than showing it.
    const FILE: Option<HeaderValue>;

    fn begin(&mut self, sets: Sets, out: &mut Vec<u8>) -> Result<(), ApiError>;

    /// Writes rows of `batch`, beginning with row `from`, for as long as `has_room` says so. Returns the row that
    /// comes next.
    fn write(&mut self, batch: &RecordBatch, from: usize, out: &mut Vec<u8>) -> Result<usize, ApiError>;

    fn end(&mut self, out: &mut Vec<u8>);
}

/// Whether another item may be written before what there is should be passed on.
pub(crate) fn has_room(out: &[u8]) -> bool {
    out.len() < CHUNK_BYTES
}

/// Answers with what `writer` makes of `stream`. Waits for the first message, so that what goes wrong until then has a
/// status of its own; what goes wrong later cuts the answer short, which clients notice by the missing end.
pub(crate) async fn respond<W: Writer>(
    stream: impl Stream<Item = Result<ColumnsResponse, Status>> + Send + Unpin + 'static,
    mut writer: W,
    most_sets: u64,
    deadline: Instant,
) -> Result<Response, ApiError> {
    let (sets, incoming) = Incoming::open(stream, most_sets, deadline).await?;
    let mut buffer = Vec::with_capacity(ITEM_BYTES);
    writer.begin(sets, &mut buffer)?;
    let (batches, read) = mpsc::channel(AHEAD);
    let (chunks, written) = mpsc::channel(AHEAD);
    tokio::spawn(read_all(incoming, batches).in_current_span());
    tokio::spawn(
        async move {
            if let Err(error) = write_all(writer, buffer, read, &chunks).await {
                tracing::error!(%error, "answer cut short");
                // Nobody minds when the client is gone.
                let _ = chunks.send(Err(io::Error::other(error))).await;
            }
        }
        .in_current_span(),
    );
    let body = Body::from_stream(ReceiverStream::new(written).map(|chunk: Result<Bytes, io::Error>| chunk));
    let mut response = ([(header::CONTENT_TYPE, W::CONTENT_TYPE)], body).into_response();
    if let Some(file) = W::FILE {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, file);
    }
    Ok(response)
}

type Batch = Result<RecordBatch, ApiError>;

/// Ends with the stream, or when nobody writes any more.
async fn read_all<S>(mut incoming: Incoming<S>, batches: mpsc::Sender<Batch>)
where
    S: Stream<Item = Result<ColumnsResponse, Status>> + Send + Unpin + 'static,
{
    loop {
        let batch = tokio::select! {
            batch = incoming.next() => batch.transpose(),
            () = batches.closed() => return,
        };
        let Some(batch) = batch else { return };
        if batches.send(batch).await.is_err() {
            return;
        }
    }
}

async fn write_all<W: Writer>(
    mut writer: W,
    mut buffer: Vec<u8>,
    mut batches: mpsc::Receiver<Batch>,
    chunks: &mpsc::Sender<Result<Bytes, io::Error>>,
) -> Result<(), ApiError> {
    while let Some(batch) = batches.recv().await {
        let batch = batch?;
        let mut row = 0;
        while row < batch.num_rows() {
            if batch.num_rows() - row < MANY_ROWS {
                row = writer.write(&batch, row, &mut buffer)?;
            } else {
                let batch = batch.clone();
                (writer, buffer, row) = spawn_blocking(move || {
                    buffer.reserve(CHUNK_BYTES + ITEM_BYTES);
                    let row = writer.write(&batch, row, &mut buffer)?;
                    Ok::<_, ApiError>((writer, buffer, row))
                })
                .await
                .map_err(|_| ApiError::Panicked)??;
            }
            if !has_room(&buffer) && chunks.send(Ok(Bytes::from(std::mem::take(&mut buffer)))).await.is_err() {
                // The client is gone.
                return Ok(());
            }
        }
    }
    writer.end(&mut buffer);
    let _ = chunks.send(Ok(Bytes::from(buffer))).await;
    Ok(())
}
