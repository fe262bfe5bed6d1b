//! A handler that panics fails its own call with INTERNAL, and no other.

use std::{
    any::Any,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use tonic::{Status, body::Body};
use tower::Service;
use tracing::error;

/// Catches panics both before the response begins and while it is streamed.
#[derive(Clone, Debug)]
pub(super) struct CatchPanic<S> {
    inner: S,
}

impl<S> CatchPanic<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S> Service<Request<Body>> for CatchPanic<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The generated services do all their work in the future, so the call itself need not be guarded.
        let answer = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        Box::pin(async move {
            match answer.await {
                Ok(answer) => Ok(answer?.map(|body| Body::new(GuardedBody { inner: Some(body) }))),
                Err(payload) => Ok(internal(payload.as_ref()).into_http()),
            }
        })
    }
}

struct GuardedBody {
    // Gone after a panic: what panicked may be in no state to be polled again.
    inner: Option<Body>,
}

impl http_body::Body for GuardedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(inner) = self.inner.as_mut() else {
            return Poll::Ready(None);
        };
        let poll = AssertUnwindSafe(|| Pin::new(inner).poll_frame(context));
        std::panic::catch_unwind(poll).unwrap_or_else(|payload| {
            self.inner = None;
            let mut trailers = HeaderMap::new();
            Poll::Ready(Some(
                internal(payload.as_ref())
                    .add_header(&mut trailers)
                    .map(|()| Frame::trailers(trailers)),
            ))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(http_body::Body::is_end_stream)
    }
}

fn internal(payload: &(dyn Any + Send)) -> Status {
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    error!(panic = message, "handler panicked");
    // What panicked is for the log; the caller has no use for the inside of a service.
    Status::internal("the call failed by an error in the service, which its log describes")
}
