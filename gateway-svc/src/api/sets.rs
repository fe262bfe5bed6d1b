//! Writing sets as they arrive: each message becomes JSON at once, so that an answer is never in memory as a whole.

use std::io;

use async_stream::try_stream;
use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use fedcost_proto::query::v1 as proto;
use futures::{Stream, TryStreamExt};
use http::{HeaderValue, header};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use tonic::Status;
use tracing::Span;

use super::{allocation_json::AllocationJson, asset_json::AssetJson};
use crate::error::ApiError;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How many bytes are gathered before they are passed on.
const CHUNK_BYTES: usize = 32 * 1024;

/// Sets in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A list of maps, one per set.
    List,
    /// One map. For questions that have one set.
    Map,
}

/// A message with a part of a set.
pub(crate) trait SetPart: Send + 'static {
    /// The set's number in the answer, from 0.
    fn set(&self) -> u32;

    /// The items by name, each as JSON.
    fn items(&self) -> impl Iterator<Item = (&str, impl Serialize)>;
}

impl SetPart for proto::QueryAllocationsResponse {
    fn set(&self) -> u32 {
        self.set
    }

    fn items(&self) -> impl Iterator<Item = (&str, impl Serialize)> {
        self.allocations
            .iter()
            .map(|item| (item.name.as_str(), AllocationJson(item)))
    }
}

impl SetPart for proto::QueryAssetsResponse {
    fn set(&self) -> u32 {
        self.set
    }

    fn items(&self) -> impl Iterator<Item = (&str, impl Serialize)> {
        self.assets.iter().map(|item| (item.name.as_str(), AssetJson(item)))
    }
}

/// Answers with the sets of `stream`. Waits for the first message, so that what goes wrong until then has a status
/// of its own; what goes wrong later cuts the answer short, which clients notice by the missing end.
pub(crate) async fn respond<M: SetPart>(
    mut stream: impl Stream<Item = Result<M, Status>> + Send + Unpin + 'static,
    shape: Shape,
    most_sets: u64,
    deadline: Instant,
) -> Result<Response, ApiError> {
    let first = next(&mut stream, deadline).await?;
    let mut writer = SetWriter::new(shape, most_sets);
    let mut buffer = Vec::with_capacity(CHUNK_BYTES);
    writer.begin(&mut buffer);
    let span = Span::current();
    let chunks = try_stream! {
        let mut part = first;
        while let Some(message) = part {
            writer.write(&message, &mut buffer).map_err(|error| cut_short(&span, error))?;
            if buffer.len() >= CHUNK_BYTES {
                yield Bytes::from(std::mem::replace(&mut buffer, Vec::with_capacity(CHUNK_BYTES)));
            }
            part = next(&mut stream, deadline).await.map_err(|error| cut_short(&span, error))?;
        }
        writer.end(&mut buffer);
        yield Bytes::from(std::mem::take(&mut buffer));
    };
    Ok(([(header::CONTENT_TYPE, JSON)], Body::from_stream(typed(chunks))).into_response())
}

/// Names the stream's error, which its macro cannot.
fn typed<S: Stream<Item = Result<Bytes, io::Error>>>(stream: S) -> S {
    stream
}

async fn next<M: SetPart>(
    stream: &mut (impl Stream<Item = Result<M, Status>> + Unpin),
    deadline: Instant,
) -> Result<Option<M>, ApiError> {
    match timeout_at(deadline, stream.try_next()).await {
        Ok(message) => message.map_err(ApiError::Upstream),
        Err(_) => Err(ApiError::TimedOut),
    }
}

fn cut_short(span: &Span, error: ApiError) -> io::Error {
    span.in_scope(|| tracing::error!(%error, "answer cut short"));
    io::Error::other(error)
}

/// Writes `{"code":200,"data":…}` around the sets.
pub(super) struct SetWriter {
    shape: Shape,
    most_sets: u64,
    sets_begun: u64,
    set_is_empty: bool,
}

impl SetWriter {
    pub(super) fn new(shape: Shape, most_sets: u64) -> Self {
        Self {
            shape,
            most_sets,
            sets_begun: 0,
            set_is_empty: true,
        }
    }

    pub(super) fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"code\":200,\"data\":");
        if self.shape == Shape::List {
            out.push(b'[');
        }
    }

    fn begin_set(&mut self, out: &mut Vec<u8>) {
        if self.sets_begun > 0 {
            out.extend_from_slice(b"},");
        }
        out.push(b'{');
        self.sets_begun += 1;
        self.set_is_empty = true;
    }

    pub(super) fn write(&mut self, part: &impl SetPart, out: &mut Vec<u8>) -> Result<(), ApiError> {
        let set = u64::from(part.set());
        let is_over = set + 1 < self.sets_begun;
        if is_over || set >= self.most_sets || (self.shape == Shape::Map && set > 0) {
            return Err(ApiError::OutOfOrder);
        }
        // A set that nothing is said about is empty, but there.
        while self.sets_begun <= set {
            self.begin_set(out);
        }
        for (name, item) in part.items() {
            if !self.set_is_empty {
                out.push(b',');
            }
            self.set_is_empty = false;
            serde_json::to_writer(&mut *out, name)?;
            out.push(b':');
            serde_json::to_writer(&mut *out, &item)?;
        }
        Ok(())
    }

    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        // Clients read the first set without asking whether there is one.
        if self.sets_begun == 0 {
            self.begin_set(out);
        }
        out.push(b'}');
        if self.shape == Shape::List {
            out.push(b']');
        }
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::to_bytes;
    use futures::{StreamExt, stream};

    use super::*;

    struct Part(u32, &'static [&'static str]);

    impl SetPart for Part {
        fn set(&self) -> u32 {
            self.0
        }

        fn items(&self) -> impl Iterator<Item = (&str, impl Serialize)> {
            self.1.iter().map(|name| (*name, 1))
        }
    }

    fn write(shape: Shape, parts: &[Part]) -> Result<String, ApiError> {
        let mut writer = SetWriter::new(shape, 4);
        let mut out = Vec::new();
        writer.begin(&mut out);
        for part in parts {
            writer.write(part, &mut out)?;
        }
        writer.end(&mut out);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn parts_of_a_set_are_joined_and_missing_sets_are_empty() {
        let parts = [
            Part(0, &["a"]),
            Part(0, &[]),
            Part(0, &["b\"", "c"]),
            Part(2, &[]),
            Part(3, &["d"]),
        ];
        assert_eq!(
            write(Shape::List, &parts).unwrap(),
            r#"{"code":200,"data":[{"a":1,"b\"":1,"c":1},{},{},{"d":1}]}"#
        );
        assert_eq!(
            write(Shape::Map, &parts[..3]).unwrap(),
            r#"{"code":200,"data":{"a":1,"b\"":1,"c":1}}"#
        );
    }

    #[test]
    fn nothing_is_one_empty_set() {
        assert_eq!(write(Shape::List, &[]).unwrap(), r#"{"code":200,"data":[{}]}"#);
        assert_eq!(write(Shape::Map, &[]).unwrap(), r#"{"code":200,"data":{}}"#);
    }

    #[test]
    fn sets_out_of_order_are_refused() {
        for parts in [&[Part(1, &[]), Part(0, &[])][..], &[Part(4, &[])]] {
            assert!(matches!(write(Shape::List, parts), Err(ApiError::OutOfOrder)));
        }
        assert!(matches!(write(Shape::Map, &[Part(1, &[])]), Err(ApiError::OutOfOrder)));
    }

    async fn respond_to(
        stream: impl Stream<Item = Result<Part, Status>> + Send + Unpin + 'static,
    ) -> Result<Response, ApiError> {
        respond(stream, Shape::List, 10, Instant::now() + Duration::from_secs(1)).await
    }

    #[tokio::test]
    async fn what_goes_wrong_first_has_a_status_and_what_goes_wrong_later_cuts_the_answer() {
        let refused = stream::iter([Err(Status::invalid_argument("x"))]);
        assert_eq!(respond_to(refused).await.unwrap_err().status().as_u16(), 400);

        let broken = stream::iter([Ok(Part(0, &["a"])), Err(Status::internal("x"))]);
        let response = respond_to(broken).await.unwrap();
        assert!(to_bytes(response.into_body(), usize::MAX).await.is_err());

        let whole = stream::iter([Ok(Part(0, &["a"])), Ok(Part(1, &["b"]))]);
        let response = respond_to(whole).await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert_eq!(body, r#"{"code":200,"data":[{"a":1},{"b":1}]}"#);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_stalls_is_given_up() {
        let stalled = stream::pending();
        assert_eq!(respond_to(stalled).await.unwrap_err().status().as_u16(), 504);

        let stalled_later = stream::iter([Ok(Part(0, &["a"]))]).chain(stream::pending());
        let response = respond_to(stalled_later).await.unwrap();
        assert!(to_bytes(response.into_body(), usize::MAX).await.is_err());
    }
}
