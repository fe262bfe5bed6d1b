//! Answers on their way to the client. Each batch of rows is written when it arrives, so that an answer is never in
//! memory as a whole, and the next one is read meanwhile.

use cost_answer::RecordBatch;
use std::io;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use fedcost_proto::query::v1::ColumnsResponse;
use futures::Stream;
use http::{HeaderValue, header};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tracing::Instrument;

use super::incoming::{Incoming, Sets};
use crate::error::ApiError;

/// How many bytes are gathered before they are passed on: few enough to be written in a moment, so that writing needs no
/// thread of its own, and to stay in the processor's cache until they are sent.
const CHUNK_BYTES: usize = 512 * 1024;
/// Room for the item that goes beyond that.
const ITEM_BYTES: usize = 16 * 1024;
/// Batches that are read ahead.
const BATCHES_AHEAD: usize = 2;
/// Chunks that are written ahead.
const CHUNKS_AHEAD: usize = 4;

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

/// Answers with what `writer` makes of `stream`. Waits for the first rows, so that what goes wrong until then has a
/// status of its own; what goes wrong later cuts the answer short, which clients notice by the missing end.
pub(crate) async fn respond<W: Writer>(
    stream: impl Stream<Item = Result<ColumnsResponse, Status>> + Send + Unpin + 'static,
    mut writer: W,
    most_sets: u64,
    deadline: Instant,
) -> Result<Response, ApiError> {
    let (sets, mut incoming) = Incoming::open(stream, most_sets, deadline).await?;
    let first = incoming.next().await?;
    let mut buffer = Vec::with_capacity(ITEM_BYTES);
    writer.begin(sets, &mut buffer)?;
    let (batches, read) = mpsc::channel(BATCHES_AHEAD);
    let (chunks, written) = mpsc::channel::<Chunk>(CHUNKS_AHEAD);
    tokio::spawn(read_all(first, incoming, batches).in_current_span());
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
    let body = Body::from_stream(ReceiverStream::new(written));
    let mut response = ([(header::CONTENT_TYPE, W::CONTENT_TYPE)], body).into_response();
    if let Some(file) = W::FILE {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, file);
    }
    Ok(response)
}

type Batch = Result<RecordBatch, ApiError>;
type Chunk = Result<Bytes, io::Error>;

/// Ends with the stream, or when nobody writes any more.
async fn read_all<S>(first: Option<RecordBatch>, mut incoming: Incoming<S>, batches: mpsc::Sender<Batch>)
where
    S: Stream<Item = Result<ColumnsResponse, Status>> + Send + Unpin + 'static,
{
    let mut next = first.map(Ok);
    while let Some(batch) = next {
        if batches.send(batch).await.is_err() {
            return;
        }
        next = tokio::select! {
            batch = incoming.next() => batch.transpose(),
            () = batches.closed() => return,
        };
    }
}

async fn write_all<W: Writer>(
    mut writer: W,
    mut buffer: Vec<u8>,
    mut batches: mpsc::Receiver<Batch>,
    chunks: &mpsc::Sender<Chunk>,
) -> Result<(), ApiError> {
    loop {
        let batch = tokio::select! {
            batch = batches.recv() => batch.transpose()?,
            // The client is gone.
            () = chunks.closed() => return Ok(()),
        };
        let Some(batch) = batch else { break };
        let mut row = 0;
        while row < batch.num_rows() {
            buffer.reserve((CHUNK_BYTES + ITEM_BYTES).saturating_sub(buffer.len()));
            row = writer.write(&batch, row, &mut buffer)?;
            if !has_room(&buffer) && chunks.send(Ok(Bytes::from(std::mem::take(&mut buffer)))).await.is_err() {
                return Ok(());
            }
        }
    }
    writer.end(&mut buffer);
    let _ = chunks.send(Ok(Bytes::from(buffer))).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use arrow::{
        array::{ArrayRef, StringArray, UInt32Array},
        ipc::writer::StreamWriter,
    };
    use axum::body::to_bytes;
    use cost_answer::{ColumnsError, SET};
    use fedcost_proto::query::v1 as proto;
    use futures::{StreamExt as _, stream};

    use super::*;
    use crate::api::{
        incoming::SetHead,
        json,
        sets::{Item, SetWriter, Shape},
    };

    /// An item that is only a name.
    struct Name;

    impl Item for Name {
        type Columns<'a> = (&'a UInt32Array, &'a StringArray);
        type Memo = ();

        fn columns(batch: &RecordBatch) -> Result<Self::Columns<'_>, ColumnsError> {
            let column = |name| batch.column_by_name(name).unwrap().as_any();
            Ok((
                column(SET).downcast_ref().unwrap(),
                column("name").downcast_ref().unwrap(),
            ))
        }

        fn set((sets, _): &Self::Columns<'_>, row: usize) -> u32 {
            sets.value(row)
        }

        fn write((_, names): &Self::Columns<'_>, row: usize, _: &SetHead, (): &mut (), out: &mut Vec<u8>) {
            json::string(out, names.value(row));
            out.extend_from_slice(b":1");
        }
    }

    fn batch(rows: &[(u32, &str)]) -> RecordBatch {
        let sets: Vec<_> = rows.iter().map(|(set, _)| *set).collect();
        let names: Vec<_> = rows.iter().map(|(_, name)| *name).collect();
        RecordBatch::try_from_iter([
            (SET, Arc::new(UInt32Array::from(sets)) as ArrayRef),
            ("name", Arc::new(StringArray::from(names))),
        ])
        .unwrap()
    }

    /// The messages of an answer of so many sets.
    fn messages(sets: usize, batches: &[&[(u32, &str)]]) -> Vec<Result<ColumnsResponse, Status>> {
        let mut columns = Vec::new();
        let mut writer = StreamWriter::try_new(&mut columns, &batch(&[]).schema()).unwrap();
        for rows in batches {
            writer.write(&batch(rows)).unwrap();
        }
        writer.finish().unwrap();
        drop(writer);
        let head = ColumnsResponse {
            sets: vec![proto::SetSummary::default(); sets],
            ..ColumnsResponse::default()
        };
        let pieces = columns.chunks(100).map(|piece| ColumnsResponse {
            arrow_ipc: piece.to_vec().into(),
            ..ColumnsResponse::default()
        });
        std::iter::once(head).chain(pieces).map(Ok).collect()
    }

    async fn answer_of(
        stream: impl Stream<Item = Result<ColumnsResponse, Status>> + Send + Unpin + 'static,
        shape: Shape,
    ) -> Result<Response, ApiError> {
        let deadline = Instant::now() + Duration::from_secs(1);
        respond(stream, SetWriter::<Name>::new(shape), 4, deadline).await
    }

    async fn body(response: Response) -> Result<String, axum::Error> {
        let body = to_bytes(response.into_body(), usize::MAX).await?;
        Ok(String::from_utf8(body.to_vec()).unwrap())
    }

    async fn written(
        shape: Shape,
        sets: usize,
        batches: &[&[(u32, &str)]],
    ) -> Result<Result<String, axum::Error>, ApiError> {
        Ok(body(answer_of(stream::iter(messages(sets, batches)), shape).await?).await)
    }

    #[tokio::test]
    async fn batches_of_a_set_are_joined_and_missing_sets_are_empty() {
        let batches: [&[(u32, &str)]; 3] = [&[(0, "a"), (0, "b\"")], &[], &[(0, "c"), (2, "d")]];
        assert_eq!(
            written(Shape::List, 4, &batches).await.unwrap().unwrap(),
            r#"{"code":200,"data":[{"a":1,"b\"":1,"c":1},{},{"d":1},{}]}"#
        );
        assert_eq!(
            written(Shape::Map, 1, &batches[..1]).await.unwrap().unwrap(),
            r#"{"code":200,"data":{"a":1,"b\"":1}}"#
        );
        assert_eq!(
            written(Shape::Summary, 2, &batches[..1]).await.unwrap().unwrap(),
            r#"{"code":200,"data":{"step":0,"sets":[{"allocations":{"a":1,"b\"":1},"window":{"start":null,"end":null}},{"allocations":{},"window":{"start":null,"end":null}}],"window":{"start":null,"end":null}}}"#
        );
    }

    #[tokio::test]
    async fn nothing_is_one_empty_set() {
        for sets in [0, 1] {
            assert_eq!(
                written(Shape::List, sets, &[]).await.unwrap().unwrap(),
                r#"{"code":200,"data":[{}]}"#
            );
            assert_eq!(
                written(Shape::Map, sets, &[]).await.unwrap().unwrap(),
                r#"{"code":200,"data":{}}"#
            );
        }
    }

    #[tokio::test]
    async fn sets_out_of_order_are_refused() {
        for batches in [&[&[(1, "a"), (0, "b")][..]][..], &[&[(4, "a")]]] {
            assert!(written(Shape::List, 4, batches).await.unwrap().is_err());
        }
        assert!(matches!(written(Shape::List, 5, &[]).await, Err(ApiError::OutOfOrder)));
        assert!(matches!(written(Shape::Map, 2, &[]).await, Err(ApiError::OutOfOrder)));
    }

    #[tokio::test]
    async fn what_goes_wrong_first_has_a_status_and_what_goes_wrong_later_cuts_the_answer() {
        let refused = stream::iter([Err(Status::invalid_argument("x"))]);
        assert_eq!(
            answer_of(refused, Shape::List).await.unwrap_err().status().as_u16(),
            400
        );
        let mut broken = messages(1, &[&[(0, "a")]]);
        broken.push(Err(Status::internal("x")));
        let response = answer_of(stream::iter(broken), Shape::List).await.unwrap();
        assert!(body(response).await.is_err());
        let mut short = messages(1, &[&[(0, "a")]]);
        short.truncate(2);
        let refused = answer_of(stream::iter(short), Shape::List).await.unwrap_err();
        assert!(matches!(refused, ApiError::Decode(_)));
    }

    #[tokio::test]
    async fn large_answers_come_in_chunks() {
        let names: Vec<_> = (0..100_000).map(|number| format!("pod-{number}")).collect();
        let rows: Vec<_> = names.iter().map(|name| (0, name.as_str())).collect();
        let answer = written(Shape::List, 1, &[&rows[..60_000], &rows[60_000..]]).await;
        let answer: serde_json::Value = serde_json::from_str(&answer.unwrap().unwrap()).unwrap();
        assert_eq!(answer["data"][0].as_object().unwrap().len(), 100_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_stalls_is_given_up() {
        let stalled = stream::pending();
        assert_eq!(
            answer_of(stalled, Shape::List).await.unwrap_err().status().as_u16(),
            504
        );
        let stalled_later = stream::iter(messages(1, &[&[(0, "a")]])).chain(stream::pending());
        let response = answer_of(stalled_later, Shape::List).await.unwrap();
        assert!(body(response).await.is_err());
    }
}
